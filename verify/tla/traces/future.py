"""Traces of src/runtime/future.c, operation by operation on its word, its references, its lock and its condition."""
from tracing import Impossible, places, replaced, without

MODULE = "Future"
SCENARIOS = ["future.finish-against-wait", "future.wake-without-reason", "future.two-wait",
             "future.cancel-against-finish", "future.finish-against-detach", "future.callback-against-handle",
             "future.callback-against-wait", "future.cancel-against-complete", "future.complete-against-detach",
             "future.cancel-against-parts", "future.cancel-while-held", "future.failure-against-wait",
             "future.finish-against-deadline", "future.cancel-against-deadline", "future.complete-against-deadline",
             "future.deadline-against-detach", "future.deadline-of-what-waits", "future.wait-with-both-limits"]
MUTANTS = {"future-let-go-forgets": ["future.cancel-against-parts", "future.cancel-while-held"],
           "future-told-twice": ["future.cancel-against-parts", "future.cancel-while-held"],
           "future-held-ignored": ["future.cancel-against-finish", "future.cancel-against-parts"],
           "future-deadline-swapped-late": ["future.cancel-against-deadline"]}
OUTCOMES = {-1: "pending", 0: "ok", 6: "failed", 11: "cancelled", 12: "deadline", 13: "not yet"}
WORK = ("hold", "let_go", "commit", "finish")
ABSENT = ["x1", "x2", "x3", "w1", "w2", "w3"]


def word_of(number):
    """The outcome, and whether it is held, final and waited for."""
    return (OUTCOMES[(number & 0xFFFF) - 1], bool(number >> 29 & 1), bool(number >> 31), bool(number >> 30 & 1))


def translate(lines):
    """Events (who, operation, value, value): the request, cancellers x1..., waiters w1..., the handle, the callback. Whoever
    finds the deadline passed, and makes that the outcome, is "deadline" until all are told."""
    events, calls, counts, tells = [], {}, {"x": 0, "w": 0}, {}
    calls_back = any(text == "future calls" for _, text in lines)
    begins = max((i for i, line in enumerate(lines) if line[1].startswith("future ")), default=None)
    if begins is None:
        return None
    for thread, text in lines[begins + 1:]:
        words = text.replace(":", "").split()
        who, call = calls.get(thread, (None, None))
        if words[0] == "calls":
            call = words[1]
            if call in ("cancel", "wait"):
                kind = "x" if call == "cancel" else "w"
                counts[kind] += 1
                who = kind + str(counts[kind])
            else:
                who = "work" if call in WORK else "handle"
            calls[thread] = (who, call)
        elif words[0] == "answers":
            del calls[thread]
            if call == "cancel":
                events.append((who, "says", OUTCOMES[int(words[1])], 0))
            elif call == "wait":
                events.append((who, "final", OUTCOMES[int(words[1])], 0))
            elif call == "hold":
                events.append((who, "held" if words[1] == "1" else "refused", 0, 0))
        elif words[0] == "publishes":
            events.append(("work", "publish", 0, 0))
        elif words[0] == "called":
            calls[thread] = ("caller", "callback")
            events.append(("caller", "called", OUTCOMES[int(words[1])], 0))
        elif who is None:
            continue
        elif words[0] in ("end", "join", "pause"):
            continue
        elif tells.get(thread) and (words[0], "post")[text.endswith("of rank callbacks")] == tells[thread][0]:
            events.append(("deadline", tells[thread].pop(0), 0, 0))
        elif text == "time runs out":
            events.append((who, "late", 0, 0))
        elif text == "wakes without a reason":
            events.append((who, "stir", 0, 0))
        elif text.endswith("of rank future"):
            events.append((who, words[0], 0, 0))
        elif words[0] == "lock" and text.endswith("of rank callbacks") and who != "caller":
            events.append((who, "post", 0, 0))
        elif words[1].startswith("future+") and words[0] in ("wait", "broadcast"):
            events.append((who, "sleep" if words[0] == "wait" else words[0], 0, 0))
        elif words[1] == "future+4":
            if words[0] == "update":
                before, after = word_of(int(words[2])), word_of(int(words[4]))
                late = call in ("cancel", "wait", "hold") and before[0] == "pending" and after[0] == "deadline"
                events.append(("deadline" if late else who, "swap", before, after))
                if late and after[2]:
                    tells[thread] = ["lock", "broadcast", "unlock"] * before[3] + ["post"] * calls_back
            else:
                events.append((who, "look", word_of(int(words[3])), call))
        elif words[1] == "future+0":
            if words[0] == "update":
                events.append((who, "release", int(words[2]), int(words[4])))
        elif words[0] not in ("load", "store", "update", "compare", "lock", "unlock", "signal", "wait", "broadcast"):
            raise Impossible(text)
    present = {"x%d" % (i + 1) for i in range(counts["x"])} | {"w%d" % (i + 1) for i in range(counts["w"])}
    if any(event[0] == "deadline" for event in events):
        present.add("deadline")
    return {"events": events, "calls": calls_back, "absent": set(ABSENT + ["deadline"]) - present}


def changes(trace, random_one):
    """Pairs (kind, changed trace): each is no behaviour, whatever else there is in it."""
    events = trace["events"]
    found = places(trace, "lock")
    if found:
        yield "a lock that was never taken", without(trace, random_one.choice(found))
    for i in places(trace, "swap"):
        if events[i][3][2] and not events[i][2][2] and any(e[1] == "final" for e in events[i:]):
            yield "a completion dropped", without(trace, i)
            break
    for i in places(trace, "final")[:1]:
        other = "cancelled" if events[i][2] != "cancelled" else "ok"
        yield "two outcomes", replaced(trace, i, (events[i][0], "final", other, 0))
    found = [i for i in places(trace, "swap") if events[i][0] == "work" and events[i][3][1] and not events[i][2][1]]
    if found and any(e[1] == "publish" for e in events):
        yield "published, though it never took hold", without(trace, found[-1])
    for i in [i for i in places(trace, "swap") if events[i][0] == "deadline"]:
        before, after = events[i][2:]
        yield "past its deadline twice", replaced(trace, i, events[i], events[i])
        yield "past its deadline, and final or not as it should not be", replaced(
            trace, i, events[i][:3] + ((after[0], after[1], not after[2], after[3]),))
        finals = [k for k in places(trace, "final") if k > i]
        if finals:
            yield "past its deadline, and ended well", replaced(trace, finals[-1], (events[finals[-1]][0], "final", "ok", 0))
    for i in places(trace, "late")[:1]:
        wakes = next(k for k in places(trace, "lock") if k > i and events[k][0] == events[i][0])
        if not places(trace, "stir") and not any(e[1] == "broadcast" for e in events[:wakes]):
            yield "a wait that gives up before its time", without(trace, i)
    for i in places(trace, "broadcast")[:1]:
        after = [e[0] for e in events[i:] if e[0][0] == "w" and e[1] == "lock"]
        asleep = [k for k in places(trace, "sleep") if k < i and events[k][0] in after]
        if asleep and not places(trace, "stir"):
            yield "a broadcast dropped", without(trace, i)
    for i in places(trace, "post")[:1]:
        if places(trace, "called"):
            yield "called, though nobody posted", without(trace, i)
    for i in places(trace, "called")[:1]:
        yield "called twice", replaced(trace, i, events[i], events[i])
    found = places(trace, "release")
    if len(found) > 1:
        yield "one reference given back twice", replaced(trace, found[-1], events[found[-1]], events[found[-1]])
    publish = places(trace, "publish")
    if publish:
        final = [i for i in places(trace, "swap") if i > publish[0] and events[i][3][2]]
        if final:
            i, k = publish[0], final[0]
            yield "published when it is final", dict(trace, events=events[:i] + events[i + 1:k + 1] + [events[i]]
                                                     + events[k + 1:])

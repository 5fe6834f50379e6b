"""Traces of src/runtime/batch_queue.c, critical section by critical section."""
from tracing import Impossible, of, places, replaced, without

MODULE = "BatchQueue"
SCENARIOS = ["batch.two-requests", "batch.wake-without-reason", "batch.two-workers-one-request",
             "batch.two-workers-two-requests", "batch.full-with-limit", "batch.full-and-release",
             "batch.waits-for-more", "batch.waits-and-other", "batch.drain-against-submit",
             "batch.cancel-against-submit", "batch.drain-against-line", "batch.cancel-against-line",
             "batch.close-against-two-in-line", "batch.line-in-order", "batch.cancel-against-collect"]
MUTANTS = {"batch-line-from-behind": ["batch.line-in-order"], "batch-late-worker-stays": ["batch.waits-and-other"],
           "batch-line-not-refused": ["batch.close-against-two-in-line"]}
CLOSER = "closer"


def translate(lines):
    """Events (who, operation, set, call): who is a request, a worker or the closer; at the end of a critical section the
    set has those who were told."""
    trace = {"events": []}
    events, calls, kinds, told = trace["events"], {}, {}, set()
    closes = False
    for thread, text in lines:
        words = text.split()
        who, call = calls.get(thread, (None, None))
        if words[0] == "queue":
            trace.update(rows=int(words[2]), capacity=int(words[4]), delay=words[7] != "0")
        elif words[0] == "calls":
            call = words[1]
            closes = closes or call in ("drain", "cancel")
            if call == "submit":
                who = kinds[words[2]] = ("odd" if words[3] == "1" else "r") + words[2]
            elif call == "collect":
                who = "w" + words[2]
            elif not closes:
                continue  # awaited before it is closed: nothing that the spec has
            else:
                who = CLOSER
            calls[thread] = (who, call)
        elif words[0] == "has":
            calls.setdefault((thread, "has"), set()).add(kinds[words[1]])
        elif words[0] == "ended":
            has = calls.pop((thread, "has"), set())
            who = calls[(thread, "last")]
            events.append((who, "has", has, ""))
            events.append((who, "ended", set(), ""))
        elif who is None or words[0] in ("end", "join"):
            continue
        elif words[0] == "answers":
            calls[(thread, "last")] = who
            del calls[thread]
            if call == "submit":
                events.append((who, "in" if words[1] == "0" else "refused", set(), call))
            elif call == "collect" and words[1] == "0":
                events.append((who, "gone", set(), call))
            elif call == "await":
                events.append((who, "done" if words[1] == "0" else "not done", set(), call))
        elif text in ("time runs out", "wakes without a reason"):
            events.append((who, "late" if words[0] == "time" else "stir", set(), call))
        elif words[0] == "lock":
            events.append((who, "lock", set(), call))
            told = set()
        elif words[0] in ("signal", "broadcast"):
            if words[1].startswith("workers"):
                told.add("w0" if words[1] == "workers+8" else "w1")
            else:
                told.add("all")
        elif words[0] in ("unlock", "wait"):
            events.append((who, "sleep" if words[0] == "wait" else "unlock", told, call))
        else:
            raise Impossible(text)
    return trace


def changes(trace, random_one):
    """Pairs (kind, changed trace): each is no behaviour, whatever else there is in it."""
    events = trace["events"]
    for i in places(trace, "lock")[:1]:
        yield "a lock that was never taken", without(trace, i)
    for i in places(trace, "has"):
        who, _, has, _ = events[i]
        if not has or events[i + 1][:2] != (who, "ended"):
            continue
        one = sorted(has)[0]
        yield "a request that nobody submitted", without(trace, *of(trace, one))
        if any(e[0] == who and e[1] in ("lock", "has") for e in events[i + 2:]):
            yield "a completion dropped", without(trace, i + 1)
        yield "a request answered twice", replaced(trace, i + 1, events[i + 1], events[i + 1])
        later = [k for k in places(trace, "has") if k > i and events[k][2] and events[k][0] != CLOSER]
        if later:
            k = later[0]
            yield "a request taken twice", replaced(trace, k, events[k][:2] + (events[k][2] | {one}, ""))
        break
    found = [i for i, e in enumerate(events) if e[2] and e[1] in ("unlock", "sleep") and "all" not in e[2]]
    for i in found:
        who = sorted(events[i][2])[0]
        after = [e for e in events[i + 1:] if e[0] == who]
        if after and after[0][1] == "lock" and not any(e[0] == who and e[1] in ("late", "stir") for e in events):
            yield "woken by nobody", replaced(trace, i, events[i][:2] + (set(), events[i][3]))
            break
    for i in places(trace, "refused"):
        yield "let in, though refused", replaced(trace, i, (events[i][0], "in", set(), "submit"))
        break
    line = [i for i in places(trace, "sleep") if events[i][0][0] in "ro"]
    if trace["rows"] == 1 and trace["capacity"] == 1 and len({events[i][0] for i in line}) == 2:
        first, second = events[line[0]][0], events[line[-1]][0]
        has = [sorted(e[2])[0] for e in events[line[-1]:] if e[1] == "has" and e[2]]
        if not any(e[1] in ("late", "stir") for e in events) and {first, second} <= set(has) and line == sorted(line):
            swap = {first: second, second: first}
            yield "one overtakes the line", dict(trace, events=events[:line[-1] + 1] + [
                (swap.get(e[0], e[0]), e[1], {swap.get(one, one) for one in e[2]}, e[3]) for e in events[line[-1] + 1:]])

"""Traces of src/runtime/stream.c: who owns a slot's stream, what is submitted and done, when the slot goes back."""
from tracing import Impossible, places, replaced, without

MODULE = "Stream"
SCENARIOS = ["stream.end-against-completion", "stream.submit-against-end", "stream.close-against-end",
             "stream.close-against-completion", "stream.close-against-submit", "stream.old-handle",
             "stream.shutdown-against-acquire"]
MUTANTS = {"stream-generation-ignored": ["stream.old-handle"], "stream-owned-kept": ["stream.submit-against-end"]}
RUNNER, CLOSER = "runner", "closer"
SLOT = 1 << 1 | 1 << 33  # slot 1, free or remembered


def translate(lines):
    """Events (who, operation, value): owners o1, o2... by their generations, who closes, and whoever completes work."""
    events, calls, leases, begins = [], {}, 0, 0
    for at, (thread, text) in enumerate(lines):
        words = text.replace(":", "").split()
        who, call = calls.get(thread, (None, None))
        if words[0] == "calls":
            call = words[1]
            if call == "begin":
                begins += 1
            who = {"begin": "o%d" % begins, "complete": RUNNER, "close": CLOSER}.get(call) or "o" + words[2]
            calls[thread] = (who, call)
        elif words[0] == "answers":
            del calls[thread]
        elif words[0] == "update" and words[1] == "idle+0":
            before, after = int(words[2]) & SLOT, int(words[4]) & SLOT
            if before and not after:
                leases += 1
                events.append(("o%d" % leases, "lease", 0))
            elif after and not before:
                owner = who or "o%d" % leases
                if events[-1] == (owner, "lease", 0) or (owner != RUNNER and leases > begins):
                    events.remove((owner, "lease", 0))  # the pool is closed: it never was an owner's
                    leases -= 1
                else:
                    events.append((owner, "give", 0))
        elif who is None:
            continue
        elif words[0] in ("lock", "unlock") and text.endswith("of rank stream"):
            answer = next((line.split() for other, line in lines[at:] if other == thread and line.startswith("answers")),
                          ["answers", ""])
            refused = call in ("begin", "submit", "end") and answer[1:] not in (["0"], [""])
            events.append((who, words[0], call + (" refused" if refused else "")))
        elif words[0] == "store" and words[1] == "ownership+0" and call == "begin":
            events.append((who, "begin", int(words[3]) // 4))
        elif words[1] == "leaving+0" and words[0] in ("load", "store"):
            events.append((who, "told" if words[0] == "store" and words[3] == "1" else
                           "claimed" if words[0] == "store" else "leaving", int(words[3])))
        elif words[1] == "timeline+0" and words[0] == "update":
            events.append((who, "submit", int(words[4])))
        elif words[1] == "timeline+64":
            events.append((who, "complete" if words[0] == "store" else "look", int(words[3])))
        elif words[0] not in ("load", "store", "update", "compare", "lock", "unlock", "wait", "broadcast", "signal", "end",
                              "join", "pause", "time", "wakes"):
            raise Impossible(text)
    return {"events": events}


def changes(trace, random_one):
    """Pairs (kind, changed trace): each is no behaviour, whatever else there is in it."""
    events = trace["events"]
    found = places(trace, "lock")
    yield "a lock that was never taken", without(trace, random_one.choice(found))
    yield "an owner that never acquired", without(trace, *[i for i in (places(trace, "begin")[:1])])
    gives = places(trace, "give")
    for i in gives[:1]:
        yield "a slot returned twice", replaced(trace, i, events[i], events[i])
    for i in places(trace, "complete")[:1]:
        submit = [k for k in places(trace, "submit") if k < i]
        if submit:
            yield "done, though never submitted", without(trace, submit[0])
        later = [k for k in gives if k > i]
        if later:
            yield "a completion dropped", without(trace, i)
            k = later[0]
            if events[k][0] != RUNNER and all(e[0] != events[k][0] for e in events[i:k]):
                yield "returned before its work was done", dict(trace, events=events[:i] + [events[k]] + events[i:k]
                                                                + events[k + 1:])
    for i in places(trace, "told")[:1]:
        yield "an end that nobody was told of", without(trace, i)
    for i in places(trace, "unlock"):
        if events[i][2] == "submit refused":
            yield "let in with an old handle", replaced(trace, i, (events[i][0], "submit", 9), (events[i][0], "unlock", "submit"))
            break

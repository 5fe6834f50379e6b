"""Traces of src/runtime/event.c: marks that are recorded, waited for and kept, streams that wait for them, what keeps the
device."""
from tracing import Impossible, places, replaced, without

MODULE = "Event"
SCENARIOS = ["event.records-against-waits", "event.records-against-barrier", "event.streams-wait-for-each-other"]
MUTANTS = {"event-device-not-kept": ["event.records-against-waits"],
           "event-last-unlocked": ["event.records-against-barrier", "event.streams-wait-for-each-other"],
           "event-retained-late": ["event.records-against-barrier", "event.records-against-waits"]}
CALLERS = ("c1", "c2")
OWNERS = {"destroy": "event owner", "close": "device owner"}


def translate(lines):
    """Events (who, operation, value, value, item): callers c1 and c2, the streams' runners s1 and s2, the two owners. What
    calls submit is numbered in the order in which they began: when they took the device's reference or the last mark."""
    events, who, call, items, number, begun = [], {}, {}, {}, {}, 0
    begins = max((i for i, line in enumerate(lines) if line[1] == "event"), default=None)
    if begins is None:
        return None

    def begin(thread):
        nonlocal begun
        begun += 1
        number[thread] = begun

    for thread, text in lines[begins + 1:]:
        words = text.replace(":", "").split()
        if words[0] == "calls":
            call[thread] = words
            who.setdefault(thread, "c%d" % (1 + sum(name in CALLERS for name in who.values())))
            if words[1] in OWNERS:
                who[thread] = OWNERS[words[1]]
        elif words[0] == "serves":
            who[thread] = words[1]
            call[thread] = words
        elif thread not in who:
            continue
        elif words[0] == "answers":
            if call[thread][1] == "wait":
                events.append((who[thread], "answers", "ok" if words[1] == "0" else "not yet", 0, 0))
        elif words[0] == "queues":
            items[words[1]] = number.get(thread, 0)
        elif words[0] == "resumes":
            events.append((who[thread], "resumes", "s" + words[1], 0, 0))
        elif words[0] in ("lock", "unlock") and text.endswith("of rank event"):
            if words[0] == "unlock" and call[thread][1] != "record" and events[-1][:2] != (who[thread], "take"):
                taken = [e for e in events if e[0] == who[thread]][-1]
                if taken[1] == "lock":  # nothing was recorded
                    begin(thread)
            events.append((who[thread], words[0], call[thread][1], 0, 0))
        elif words[0] == "update" and words[1] == "users+0":
            before, after = int(words[2]), int(words[4])
            if after > before:
                if call[thread][1] == "record":
                    begin(thread)
                events.append((who[thread], call[thread][1], before, after, "s" + call[thread][2]))
            else:
                events.append((who[thread], "drop", before, after, 0))
        elif words[0] == "update" and words[1][:2] in ("s1", "s2") and words[1].endswith("+0"):
            events.append((who[thread], "submit", int(words[4]), 0, 0))
        elif words[0] == "store" and words[1] in ("s1+64", "s2+64"):
            events.append((who[thread], "complete", int(words[3]), 0, 0))
        elif words[0] == "update" and words[1].endswith("+0") and words[1][:-2] in items:
            before, after = int(words[2]), int(words[4])
            if after > before:
                begin(thread)
            events.append((who[thread], "take" if after > before else "release", before, after, items[words[1][:-2]]))
        elif words[0] not in ("load", "store", "update", "compare", "lock", "unlock", "wait", "broadcast", "signal", "end", "join",
                              "pause", "fence", "wakes", "block", "time"):
            raise Impossible(text)
        if events and events[-1][:1] == ("device owner",):
            break
    return {"events": events}


def changes(trace, random_one):
    """Pairs (kind, changed trace): each is no behaviour, whatever else there is in it."""
    events = trace["events"]
    yield "a lock that was never taken", without(trace, random_one.choice(places(trace, "lock")))
    completes, submits = places(trace, "complete"), places(trace, "submit")
    yield "a completion dropped", without(trace, random_one.choice(completes))
    yield "recorded, though never submitted", without(trace, random_one.choice(submits))
    i = random_one.choice(places(trace, "release"))
    yield "one reference given back twice", replaced(trace, i, events[i], events[i])
    i = random_one.choice(places(trace, "record"))
    yield "a device that is not kept", without(trace, i)
    for i in places(trace, "take")[:1]:
        yield "an earlier mark than the last, or none", without(trace, i)
    for i in places(trace, "resumes")[:1]:
        before = [k for k in completes if k < i and events[k][0] == events[i][0]]
        yield "a stream resumed before the mark", dict(trace, events=events[:before[-1]] + [events[i]]
                                                       + events[before[-1]:i] + events[i + 1:])
    for i in places(trace, "answers"):
        if events[i][2] == "not yet" and all(k > i for k in completes):
            yield "told before the point", replaced(trace, i, events[i][:2] + ("ok", 0, 0))
            break

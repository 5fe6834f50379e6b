"""Traces of src/runtime/timeline.c, operation by operation."""
from tracing import Impossible, places, without

MODULE = "Timeline"
SCENARIOS = ["timeline.woken-in-vain", "timeline.two-points", "timeline.limited-and-unlimited",
             "timeline.watch-and-wait", "timeline.watches-against-signals", "timeline.watch-moves-against-both",
             "timeline.watches-of-one-point", "timeline.wake-without-reason"]
MUTANTS = {"timeline-not-counted-before-look": ["timeline.woken-in-vain", "timeline.two-points"]}


def translate(lines):
    """Events (call, operation, value) of one execution, and of each call its point and its watch."""
    events, wanted, watch = [], {}, {}
    watches, calls, counts = {}, {}, {"w": 0, "v": 0}

    def name_of(address):
        return watches.setdefault(address, "a%d" % (len(watches) + 1))

    def begin(thread, kind, point):
        counts[kind] += 1
        calls[thread] = call = "%s%d" % (kind, counts[kind])
        wanted[call] = point
        return call

    for thread, text in lines:
        words = text.replace(":", "").split()
        call = calls.get(thread)
        if words[0] == "signals":
            calls[thread] = "signaller"
        elif words[0] == "waits":
            begin(thread, "w", int(words[1]))
        elif words[0] == "watches":
            watch[begin(thread, "v", int(words[2]))] = name_of(words[1])
        elif words[0] == "returns":
            calls[thread] = None
        elif words[0] == "told":
            events.append((call, "told", name_of(words[1])))
        elif call is None or words[0] in ("join", "end", "block"):
            continue
        elif text == "time runs out":
            events.append((call, "expire", 0))
        elif text == "wakes without a reason":
            events.append((call, "stir", 0))
        elif words[1] == "mutex+0":
            events.append((call, words[0], 0))
        elif words[1] == "changed+0":
            operation, value = ("sleep", 0) if words[0] == "wait" else (words[0], int(words[3]))
            events.append((call, operation, value))
        elif words[1] == "waiting+0":
            before, after = (int(words[2]), int(words[4])) if words[0] == "update" else (0, int(words[3]))
            operation = ("look" if words[0] == "load" else "take" if call == "signaller"
                         else "count" if after > before else "uncount")
            events.append((call, operation, after))
        elif words[1] == "completed+0":
            value = int(words[3])
            if call == "signaller":
                if words[0] == "store":
                    events.append((call, "store", value))
                continue  # it looks whether points are in order
            begun = any(event[0] == call for event in events)
            events.append((call, "check" if begun or call[0] == "v" else "first", value))
        elif words[1].startswith("timeline+") or words[1] == "block":
            continue
        else:
            raise Impossible(text)
    return {"events": events, "wanted": wanted, "watch": watch}


def changes(trace, random_one):
    """Pairs (kind, changed trace): each is no behaviour, whatever else there is in it."""
    events = trace["events"]
    for kind, operation in (("a lock that was never taken", "lock"), ("a completion dropped", "store"),
                            ("a waiter not counted", "count"), ("nobody told", "told"),
                            ("a broadcast dropped", "broadcast")):
        found = places(trace, operation)
        if operation in ("told", "store"):
            found = [i for i in found if any(e[0] == "signaller" for e in events[i + 1:])]
        if found:
            yield kind, without(trace, random_one.choice(found))
    for i in places(trace, "told"):
        store = max(k for k in places(trace, "store") if k < i)
        yield "told before its point", dict(trace, events=events[:store] + [events[i]] + events[store:i]
                                            + events[i + 1:])
        yield "told twice", dict(trace, events=events[:i] + [events[i]] + events[i:])
        break
    found = [i for i in places(trace, "check") + places(trace, "first") if events[i][2] < 2]
    if found:
        i = random_one.choice(found)
        later = (events[i][0], events[i][1], events[i][2] + 1)
        yield "a point seen before it is reached", dict(trace, events=events[:i] + [later] + events[i + 1:])

"""Traces of src/runtime/allocator.c, call by call and lock by lock."""
from tracing import places

MODULE = "Allocator"
SCENARIOS = ["alloc.two-users-one-segment", "alloc.allocate-against-signal", "alloc.free-against-allocate",
             "alloc.wait-against-signal", "alloc.limited-wait-against-signal", "alloc.record-against-signal",
             "alloc.record-moves-to-later", "alloc.record-and-wait", "alloc.two-waiters", "alloc.free-ends-wait",
             "alloc.own-free-ends-wait", "alloc.hit-against-collect"]
MUTANTS = {"alloc-record-ignored": ["alloc.record-against-signal", "alloc.record-moves-to-later"]}


def translate(lines):
    """Events (user or stream, operation, stream) of one execution, and how many blocks there are."""
    begins = max((i for i, line in enumerate(lines) if line[1].startswith("heap ")), default=None)
    ends = max((i for i, line in enumerate(lines) if line[1] == "ends"), default=len(lines))
    if begins is None:
        return None
    blocks = int(lines[begins][1].split()[1])
    events, users, calls, owners = [], {}, {}, {}
    for thread, text in lines[begins + 1:ends]:
        words = text.split()
        if words[0] == "allocates":
            stream = words[1]
            users[stream] = users.get(stream, 0) + 1
            calls[thread] = user = stream + "abcdef"[users[stream] - 1]
            events.append((user, "limited" if words[-1] == "limited" else "allocate", "0"))
        elif words[0] == "gets":
            user = calls.pop(thread)
            if words[1] != "(nil)":
                owners[words[1]] = user
            events.append((user, "none" if words[1] == "(nil)" else "got", "0"))
        elif words[0] == "frees":
            calls[thread] = owners.pop(words[1])
            events.append((calls[thread], "free", "0"))
        elif words[0] == "freed":
            events.append((calls.pop(thread), "freed", "0"))
        elif words[0] == "records":
            events.append((owners[words[1]], "record", words[2]))
        elif words[0] == "submitted":
            events.append((words[1], "submit", "0"))
        elif words[0] == "signals":
            calls[thread] = words[1]
            events.append((words[1], "signal", "0"))
        elif words[0] == "signalled":
            events.append((calls.pop(thread), "signalled", "0"))
        elif words[0] == "wait" and thread in calls:
            events.append((calls[thread], "sleep", "0"))
        elif words[-1] == "allocator":
            events.append((calls[thread], words[0], "0"))
    return {"events": events, "blocks": 1 if blocks == 1 else 2}


def changes(trace, random_one):
    events = trace["events"]
    found = places(trace, "free")
    if found:
        i = random_one.choice(found)
        yield "freed, though it never had the block", dict(trace, events=[
            e for e in events if not (e[0] == events[i][0] and e[1] in ("got", "allocate", "limited", "none", "sleep"))])
        yield "freed twice", dict(trace, events=events[:i] + [events[i], (events[i][0], "freed", "0")] + events[i:])
    for i in places(trace, "signal"):
        # who has the only block behind the signal has it before
        later = [k for k in range(i + 1, len(events)) if events[k][1] == "got"]
        between = [e[1] for e in events[i + 1:later[0]]] if later else []
        earlier = [e[1] for e in events[:i]]
        if (trace["blocks"] == 1 and later and between.count("signal") == 0 and "freed" in earlier
                and events[later[0]][0][0] != "1" and earlier.count("got") == earlier.count("freed")
                and earlier.count("submit") > earlier.count("signal")):
            k = later[0]
            user = events[k][0]
            begun = [e for e in events[i + 1:k] if e[0] == user]
            rest = [e for e in events[i + 1:k] if e[0] != user]
            yield "memory had before its point", dict(trace, events=events[:i] + begun + [events[k]] + [events[i]] + rest
                                                      + events[k + 1:])
        last = [k for k in range(i + 1, len(events)) if events[k][1] == "signalled" and events[k][0] == events[i][0]]
        if trace["blocks"] == 1 and later and last and events[later[0]][0][0] != "1" and "freed" in earlier:
            dropped = [e for k, e in enumerate(events) if k not in (i, last[0])]
            if earlier.count("submit") > 0:
                yield "a completion dropped", dict(trace, events=dropped)
        break
    if trace["blocks"] == 1:
        for i in places(trace, "got"):
            other = [u for u in ("1c", "2c", "3c") if all(e[0] != u for e in events)]
            ends = [k for k in range(i + 1, len(events)) if events[k][1] == "free" and events[k][0] == events[i][0]]
            if other and ends:
                more = [(other[0], "allocate", "0"), (other[0], "got", "0")]
                yield "two have one block", dict(trace, events=events[:i + 1] + more + events[i + 1:])
                break

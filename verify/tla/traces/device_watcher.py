"""Traces of src/runtime/device_watcher.c: a stream's runner, the watcher's thread, and a device that may be lost."""
from tracing import Impossible, places, replaced, without

MODULE = "DeviceWatcher"
SCENARIOS = ["watcher.two-runs", "watcher.mark-behind-run", "watcher.lost", "watcher.await-lane",
             "watcher.read-what-is-written"]
MUTANTS = {"watcher-mark-overtakes": ["watcher.mark-behind-run"], "watcher-landed-early": ["watcher.two-runs"]}
DEVICE, WATCHER, RUNNER = "device", "watcher", "s1"
PUBLISHED, REACHED, LOST = "queue+24", "queue+32", "queue+40"


def kinds_of(lines):
    """What each flight turns out to be, in the order in which they begin."""
    kinds = {}
    for _, text in lines:
        words = text.split()
        if words[:2] == ["calls", "await"]:
            kinds[words[2]] = "alone"
        elif words[:2] == ["calls", "end"]:
            kinds.setdefault(words[2], words[3])
    return kinds


def translate(lines):
    """Events (who, operation, value, value): the runner, which is the scenario's main thread, the watcher's thread, and
    the device, which is the one that computes."""
    kinds = kinds_of(lines)
    ends = max((i for i, line in enumerate(lines) if line == (0, "calls drain")), default=len(lines))
    events, calls, seen, watcher, asked = [], {}, 0, None, None
    for at, (thread, text) in enumerate(lines):
        words = text.replace(":", "").split()
        call = calls.get(thread)
        who = RUNNER if thread == 0 else WATCHER if thread == watcher else DEVICE
        if at > ends and thread == 0 and call is None:
            break  # all has ended, and the watcher is destroyed
        if words[0] == "calls":
            calls[thread] = call = words[1:]
            if call[0] == "end" and kinds[call[1]] == "mark":
                events.append((who, "work", 0, 0))
            if call[0] == "end" and kinds[call[1]] == "alone":
                events.append((who, "use", 0, 0))
        elif words[0] == "answers":
            if call[0] in ("await", "drain"):
                events.append((who, "work" if call[0] == "await" else "drained", 0, 0))
            del calls[thread]
        elif words[0] == "lands":
            events.append((who, "land", int(words[1]) + 1, "ok" if words[2] == "0" else "lost"))
        elif words[0] == "finishes":
            events.append((who, "finish", int(words[1]) + 1, 0))
        elif text.endswith("of rank device_watcher") and not (thread == 0 and call is None):
            if watcher is None and thread != 0:
                watcher, who = thread, WATCHER
            if words[0] == "lock" and asked is not None and who == WATCHER:
                events.append((who, "lock", 0, 0))
                events.append((who, "asked", *asked))
                asked = None
            else:
                mine = next((line.split() for other, line in lines[at + 1:] if other == thread), ["end"])
                taken = who == WATCHER and words[0] == "unlock" and mine[0] == "lands"
                kind = kinds.get(call[1], "run") if call and call[0] == "begin" else ""
                events.append((who, words[0], int(mine[1]) + 1 if taken else 0, kind))
        elif words[0] == "wait" and words[1].startswith("watcher"):
            events.append((who, "sleep", 0, 0))
        elif words[0] == "update" and words[1] == "lanes+0":
            events.append((who, "lane", int(int(words[4]) != 0), 0))
        elif words[0] == "store" and words[1] == "timeline+64":
            events.append((who, "told", int(words[3]), 0))
        elif len(words) > 4 and words[2].startswith("queue+") and words[1] == "hardware":
            place, value = words[2], int(words[4])
            if place == PUBLISHED and words[0] == "store":
                if any(e[1] == "lose" for e in events):
                    return None  # a backend that is lost would refuse this
                events.append((who, "launch", value, 0))
            elif place == PUBLISHED and who == DEVICE and value > seen:
                seen += 1
                events.append((DEVICE, "begin", seen, 0))
            elif place == REACHED and words[0] == "store":
                events.append((DEVICE, "reach", value, 0))
            elif place == LOST and words[0] == "store":
                events.append((DEVICE, "lose", 0, 0))
            elif place == LOST:
                asked = (value, 0)
            elif who == WATCHER and place == REACHED:
                if asked is not None:
                    asked = (asked[0], value)
                events.append((who, "look", value, 0))
        elif text in ("time runs out", "wakes without a reason") or words[0] in (
                "end", "join", "pause", "lock", "unlock", "wait", "broadcast", "signal", "load", "store", "update", "compare"):
            continue
        else:
            raise Impossible(text)
    return {"events": events}


def changes(trace, random_one):
    """Pairs (kind, changed trace): each is no behaviour, whatever else there is in it."""
    events = trace["events"]
    found = [i for i in places(trace, "lock") if i > 0]
    if found:
        yield "a lock that was never taken", without(trace, random_one.choice(found))
    landed = [i for i in places(trace, "land") if events[i][0] == WATCHER and events[i][3] == "ok"]
    for i in landed[:1]:
        number = events[i][2]
        reach = [k for k in places(trace, "reach") if k < i]
        if reach and number == 1:
            looks = [k for k in places(trace, "look") if k > reach[0]]
            yield "a completion dropped", without(trace, reach[0], *looks)
            yield "landed, though lost", replaced(trace, i, events[i][:3] + ("lost",))
        yield "landed twice", replaced(trace, i, events[i], events[i])
    for i in places(trace, "told")[:1]:
        yield "the stream's point dropped", without(trace, i)
    for i in places(trace, "launch")[:1]:
        yield "landed, though never launched", without(trace, i)
    for i in places(trace, "drained")[:1]:
        finish = [k for k in places(trace, "finish") if k < i]
        if finish:
            k = finish[-1]
            yield "drained before the end", dict(trace, events=events[:k] + [events[i]] + events[k:i] + events[i + 1:])
    ahead = places(trace, "land")
    if len(ahead) == 2:
        first, second = ahead
        yield "landed out of order", dict(trace, events=[
            e[:2] + (3 - e[2],) + e[3:] if k in (first, second) else e for k, e in enumerate(events)])

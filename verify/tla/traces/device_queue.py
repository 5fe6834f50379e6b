"""Traces of src/runtime/device_queue.c over a backend that counts: submissions, points, a device that may be lost."""
from tracing import Impossible, of, places, replaced, without

MODULE = "DeviceQueue"
SCENARIOS = ["device-queue.two-submit", "device-queue.two-submit-before-any-is-done", "device-queue.wake-without-reason",
             "device-queue.submit-against-destroy", "device-queue.lost-against-one", "device-queue.lost-against-two"]
MUTANTS = {"device-queue-submit-unlocked": ["device-queue.two-submit"], "device-queue-wait-early": ["device-queue.two-submit"]}
DEVICE = "device"
OK = "0"
IGNORED = ("end", "join", "pause", "lock", "unlock", "wait", "broadcast", "time", "wakes", "signal")
PUBLISHED, REACHED = "queue+32", "queue+40"


def translate(lines):
    """Events (who, operation, value) of threads t0 and t1 and the device."""
    events, calls, seen, serving = [], {}, 0, False
    for thread, text in lines:
        words = text.replace(":", "").split()
        who, call = calls.get(thread, (None, None))
        if words[0] == "calls":
            who = "t" + words[2] if words[1] == "submit" else calls[(thread, "last")]
            calls[thread] = (who, words[1])
            calls[(thread, "last")] = who
            if words[1] == "submit":
                events.append((who, "lease", int(words[2]) + 1))
        elif words[0] == "answers":
            del calls[thread]
            if call == "submit":
                events.append((who, "submitted", int(words[2])))
            else:
                events.append((who, "done" if words[1] == OK else "lost", 0))
                events.append((who, "return", 0))
            if call == "submit" and words[1] != OK:
                events.append((who, "return", 0))
        elif text.endswith("of rank device_queue"):
            events.append((who, words[0], 0))
        elif words[0] in IGNORED:
            continue
        elif words[1] == "lost+0":
            if words[0] == "store":
                events.append((DEVICE, "lose", 0))
            elif call == "submit":
                events.append((who, "leave", int(words[3])))
        elif words[-1].isdigit() and words[0] in ("load", "store") and words[2].startswith("queue+"):
            place, value = words[2], int(words[4])
            if place == PUBLISHED and words[0] == "load" and who is None and value > seen and not serving:
                seen += 1
                serving = True
                events.append((DEVICE, "begin", seen))
            elif place == PUBLISHED and words[0] == "store":
                events.append((who, "published", value))
            elif place == REACHED and words[0] == "store":
                serving = False
                events.append((DEVICE, "reach", value))
            elif place == REACHED and call == "wait":
                events.append((who, "look", value))
        else:
            raise Impossible(text)
    return {"events": events}


def changes(trace, random_one):
    """Pairs (kind, changed trace): each is no behaviour, whatever else there is in it."""
    events = trace["events"]
    for i in places(trace, "lock")[-1:]:
        yield "a lock that was never taken", without(trace, i)
    for i in places(trace, "done"):
        who = events[i][0]
        point = max((events[k][2] for k in of(trace, who) if k < i and events[k][1] == "submitted"), default=0)
        reach = [k for k in places(trace, "reach") if events[k][2] == point]
        if not reach:
            continue
        looks = [k for k in of(trace, who) if k > reach[0] and events[k][1] == "look"]
        yield "a completion dropped", without(trace, reach[0], *looks)
        before = max(k for k in of(trace, who) if k < i and events[k][1] == "submitted")
        if before < reach[0]:
            yield "told before its point", dict(trace, events=events[:before + 1] + [events[i]] + [
                e for k, e in enumerate(events[before + 1:], before + 1) if k != i and not (e[0] == who and e[1] == "look")])
        yield "answered twice", replaced(trace, i, events[i], events[i])
        break
    found = places(trace, "submitted")
    for i in found:
        if events[i][2] > 0:
            yield "another's point", replaced(trace, i, (events[i][0], "submitted", 3 - events[i][2]))
            break
    for i in places(trace, "leave"):
        if events[i][2] == 0:
            yield "computed, though never submitted", without(trace, *[
                k for k in of(trace, events[i][0]) if events[k][1] in ("lease", "lock", "leave", "published", "unlock")])
            break

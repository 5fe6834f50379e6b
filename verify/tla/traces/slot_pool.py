"""Traces of src/runtime/slot_pool.c, operation by operation on its two words, its lock and its line."""
from tracing import Impossible, of, places, replaced, without

MODULE = "SlotPool"
SCENARIOS = ["pool.two-threads-two-slots", "pool.two-threads-one-slot", "pool.two-threads-twice",
             "pool.exhausted-with-limit", "pool.two-limits", "pool.wake-without-reason", "pool.forget-against-take",
             "pool.return-against-limit", "pool.return-against-two", "pool.newcomer-behind-one",
             "pool.newcomer-behind-two", "pool.limit-leaves-the-end", "pool.close-against-lease",
             "pool.close-against-waiter", "pool.close-with-limit", "pool.close-against-two", "pool.two-runs-one-spare",
             "pool.runs-pass-an-owner", "pool.spare-and-one-slot", "pool.stopped-in-line",
             "pool.three-threads-one-slot"]
MUTANTS = {"pool-newcomer-overtakes": ["pool.newcomer-behind-one"], "pool-line-from-behind": ["pool.newcomer-behind-two"],
           "pool-spare-kept-back": ["pool.runs-pass-an-owner"]}
SLOTS = 2  # the spec's; what it calls the spare is slot 0 here


def slots_of(mask):
    return {i for i in range(1, SLOTS + 1) if mask >> i & 1} | ({SLOTS + 1} if mask & 1 else set())


def word_of(number):
    return (slots_of(number & 0xFFFFFFFF), slots_of(number >> 32))


def slot_of(text):
    number = int(text)
    return SLOTS + 1 if number == 0 else 0 if number < 0 else number


def translate(lines):
    """Events (who, operation, value, value); owners, runs and closers are o1, n1, c0, by their threads."""
    begin = max(i for i, line in enumerate(lines) if line[1].startswith("pool of"))
    idle = int(lines[begin][1].split()[2])
    trace = {"events": [], "leased": {"h%d" % i: i for i in range(idle + 1, SLOTS + 1)}}
    events, calls, holders = trace["events"], {}, {i: "h%d" % i for i in range(idle + 1, SLOTS + 1)}
    for thread, text in lines[begin + 1:]:
        words = text.replace(":", "").split()
        who, call = calls.get(thread, (None, None))
        if words[0] == "calls":
            call = words[1]
            if call == "return":
                who = holders[slot_of(words[2])]
            else:
                who = "%s%d" % ({"lease": "o", "forget": "o", "run": "n", "close": "c"}[call], thread)
            calls[thread] = (who, call)
            if call == "return":
                events.append((who, "return", slot_of(words[2]), 0))
        elif who is None or words[0] in ("end", "join", "pause"):
            continue
        elif words[0] == "answers":
            del calls[thread]
            if call in ("lease", "run"):
                slot = slot_of(words[1])
                holders[slot] = who
                events.append((who, "got", slot, 0))
            elif call == "close":
                events.append((who, "closed for good" if words[1] == "0" else "not closed", 0, 0))
            else:
                events.append((who, "out", 0, 0))
        elif words[0] in ("time", "wakes"):
            events.append((who, "late" if words[0] == "time" else "stir", 0, 0))
        elif words[0] in ("lock", "unlock", "broadcast", "wait"):
            events.append((who, "sleep" if words[0] == "wait" else words[0], 0, 0))
        elif words[1] == "pool+0":
            if words[0] == "update":
                events.append((who, "word", word_of(int(words[2])), word_of(int(words[4]))))
            else:
                events.append((who, "idle", word_of(int(words[3])), 0))
        elif words[1] == "pool+64":
            if words[0] == "update":
                events.append((who, "count", int(words[2]), int(words[4])))
            else:
                events.append((who, "waiting", int(words[3]), 0))
        elif words[1] == "pool+68":
            events.append((who, "refuse" if words[0] == "store" else "closed", words[3] == "1", 0))
        elif words[1] != "pool+8":
            raise Impossible(text)
    return trace


def changes(trace, random_one):
    """Pairs (kind, changed trace): each is no behaviour, whatever else there is in it."""
    events = trace["events"]
    found = places(trace, "lock")
    if found:
        yield "a lock that was never taken", without(trace, random_one.choice(found))
    for i in places(trace, "return"):
        who = events[i][0]
        got = [k for k in of(trace, who) if k < i]
        if got and not any(events[k][1] == "return" for k in got):
            yield "returned, though never leased", without(trace, *got)
            word = next(k for k in of(trace, who) if k > i and events[k][1] == "word")
            yield "returned twice", replaced(trace, word, events[word], events[word])
            break
    for i in places(trace, "got"):
        if events[i][2] == 0:
            continue
        word = max((k for k in of(trace, events[i][0]) if k < i and events[k][1] == "word"), default=None)
        if word is not None:
            other = "o8"
            more = [(other, "closed", False, 0), (other, "waiting", 0, 0), (other, "word", *events[word][2:]),
                    (other, "closed", False, 0), (other, "got", events[i][2], 0)]
            yield "two have one slot", replaced(trace, i, events[i], *more)
            break
    found = [i for i in places(trace, "count") if events[i - 1][:2] == (events[i][0], "word")]
    if found:
        yield "a grant that nobody was given", without(trace, random_one.choice(found))
    found = [i for i in places(trace, "broadcast") if events[i][0][0] != "c"]
    if found and any(e[1] == "lock" for e in events[found[0] + 1:]):
        yield "a broadcast dropped", without(trace, found[0])
    for i in places(trace, "got"):
        if events[i][2] == 0 and any(e[1] == "refuse" for e in events[:i]):
            yield "handed out, though closed", replaced(trace, i, (events[i][0], "got", 1, 0))
            break

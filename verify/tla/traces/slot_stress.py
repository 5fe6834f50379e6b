"""Rounds of stress_slot_pool.c: the slot pool under threads of the system, call by call, as intervals."""
import stressing
from stressing import calls, is_before, with_call

MODULE = "SlotPoolStress"
ROUNDS = 210
MUTANTS = {"pool-spare-for-owners": 60}
THREADS = 5
SLOTS = 2  # the spec's; what it calls the spare is slot 0 here
ANSWERS = {0: "slot", 10: "closed", 13: "not yet", 14: "exhausted"}


def build(folder, patch=None):
    return stressing.build(folder, "slot_pool", ["src/runtime/slot_pool.c"], patch)


def rounds(program, count):
    return stressing.rounds(program, count, THREADS, lambda words: {}, call_of)


def call_of(words, _):
    operation = words[0]
    call = {"who": "c0", "op": operation, "limit": "", "answer": "", "slot": 0}
    if operation == "lease":
        call.update(who=words[1], limit=words[2], answer=ANSWERS[int(words[3])], slot=slot_of(words[4]))
        if call["answer"] != "slot":
            call["slot"] = 0
    elif operation in ("return", "forget"):
        call.update(who=words[1], slot=slot_of(words[2]))
    elif operation == "close":
        call.update(limit=words[1], answer="closed" if words[2] == "0" else "out")
    return [call]


def slot_of(text):
    number = int(text)
    return SLOTS + 1 if number == 0 else number if number <= SLOTS else number + 1


def changes(trace, random_one):
    """Pairs (kind, changed trace): each is no behaviour, in any order of its calls."""
    leases = calls(trace, "lease")
    got = [one for one in leases if one[2]["answer"] == "slot"]
    closer = THREADS - 1
    if got:
        t, i, call = random_one.choice(got)
        yield "given back, though never leased", with_call(trace, t, i)
        yield "given back twice", with_call(trace, t, i + 1, trace["calls"][t][i + 1], trace["calls"][t][i + 1])
        yield "given back another one", with_call(trace, t, i + 1, dict(trace["calls"][t][i + 1], slot=call["slot"] % 3 + 1))
    for t, i, call in got:
        if is_before(trace, (closer, 0), (t, i)):
            continue
        within = [(k, n, other) for k, n, other in got if k != t and is_before(trace, (t, i), (k, n))
                  and is_before(trace, (k, n), (t, i + 1))]
        if within:
            k, n, other = random_one.choice(within)
            changed = with_call(trace, k, n, dict(other, slot=call["slot"]))
            yield "two have one slot", with_call(changed, k, n + 1, dict(changed["calls"][k][n + 1], slot=call["slot"]))
            break
    for t, i, call in got:
        if i + 2 < len(trace["calls"][t]) and any(one["op"] == "lease" for one in trace["calls"][t][i + 2:]):
            yield "leased again, and never given back", with_call(trace, t, i + 1)
            break
    for t, i, call in got:
        if call["who"][0] == "o":
            changed = with_call(trace, t, i, dict(call, slot=SLOTS + 1))
            yield "the spare for an owner", with_call(changed, t, i + 1, dict(changed["calls"][t][i + 1], slot=SLOTS + 1))
            break
    for t, i, call in leases:
        if call["answer"] == "closed" and is_before(trace, (closer, 0), (t, i)):
            yield "leased, though closed", with_call(trace, t, i, dict(call, answer="slot", slot=1))
            break
    for t, i, call in leases:
        if is_before(trace, (t, i), (closer, 0)) and call["answer"] == "exhausted":
            yield "closed, though nobody had", with_call(trace, t, i, dict(call, answer="closed"))
            break
    for t, i, call in leases:
        if call["answer"] == "closed" and call["limit"] == "forever":
            yield "gives up, though it has for ever", with_call(trace, t, i, dict(call, answer="exhausted"))
            break
    at = len(trace["calls"][closer]) - 1
    close = trace["calls"][closer][at]
    if close["answer"] == "closed":
        last = [(t, i) for t, i, call in calls(trace, "return") if is_before(trace, (t, i), (closer, at))]
        for t, i in last:
            early = tuple(0 if thread == t else count for thread, count in enumerate(close["after"]))
            late = dict(trace["calls"][t][i], after=tuple(
                at + 1 if thread == closer else count for thread, count in enumerate(trace["calls"][t][i]["after"])))
            if i + 1 == len(trace["calls"][t]) and is_before(trace, (t, i - 1), (closer, 0)):
                yield "closed, though one was leased", with_call(
                    with_call(trace, closer, at, dict(close, after=early)), t, i, late)
                break

"""Rounds of stress_timeline.c: the timeline under threads of the system, call by call, as intervals."""
import stressing
from stressing import calls, is_before, with_call

MODULE = "TimelineStress"
ROUNDS = 210
MUTANTS = {"timeline-watch-not-looked": 40}
THREADS = 5
WATCHES = ["a0", "a1"]


def build(folder, patch=None):
    return stressing.build(folder, "timeline", ["src/runtime/timeline.c"], patch)


def rounds(program, count):
    return [finished(trace) for trace in stressing.rounds(program, count, THREADS, lambda words: {}, call_of)]


def call_of(words, members):
    operation = words[0]
    call = {"op": operation, "limit": "", "answer": "", "point": int(words[-1]), "watch": "a0", "told": members}
    if operation == "wait":
        call.update(limit=words[1], answer="ok" if words[2] == "0" else "not yet")
    elif operation == "watch":
        call.update(watch="a" + words[1], answer="set" if words[2] == "1" else "reached")
    return [call]


def finished(trace):
    """Each call of the waiting and watching is somebody of the spec's; signals say how often each watch has been told."""
    counts, told, threads = {"wait": 0, "watch": 0}, dict.fromkeys(WATCHES, 0), []
    for thread in trace["calls"]:
        threads.append([])
        for call in thread:
            call = dict(call)
            if call["op"] == "signal":
                for number in call["told"]:
                    told["a" + number] += 1
                call["who"] = "signaller"
            else:
                counts[call["op"]] += 1
                call["who"] = {"wait": "w", "watch": "v"}[call["op"]] + str(counts[call["op"]])
            call["told"] = dict(told)
            threads[-1].append(call)
    return dict(trace, calls=[tuple(one) for one in threads])


def told_otherwise(trace, at, watch, more):
    """A watch that is told more, or less often from one signal on."""
    thread = len(trace["calls"]) - 1
    for i in range(at, len(trace["calls"][thread])):
        call = trace["calls"][thread][i]
        trace = with_call(trace, thread, i, dict(call, told=dict(call["told"], **{watch: call["told"][watch] + more})))
    return trace


def changes(trace, random_one):
    """Pairs (kind, changed trace): each is no behaviour, in any order of its calls."""
    signaller = THREADS - 1
    waits, watches = calls(trace, "wait"), calls(trace, "watch")
    told_before = dict.fromkeys(WATCHES, 0)
    for at, call in enumerate(trace["calls"][signaller]):
        new = [watch for watch in WATCHES if call["told"][watch] > told_before[watch]]
        told_before = call["told"]
        if new:
            yield "nobody told", told_otherwise(trace, at, new[0], -1)
            yield "told twice", told_otherwise(trace, at, new[0], 1)
            break
    for watch in WATCHES:
        if not any(call["watch"] == watch and call["answer"] == "set" for _, _, call in watches):
            yield "told, though never set", told_otherwise(trace, random_one.randrange(3), watch, 1)
            break
    for t, i, call in waits:
        if call["answer"] == "not yet" and is_before(trace, (t, i), (signaller, call["point"] - 1)):
            yield "a wait that ends before its point", with_call(trace, t, i, dict(call, answer="ok"))
            break
    for t, i, call in waits:
        if call["limit"] == "forever":
            yield "gives up, though it has for ever", with_call(trace, t, i, dict(call, answer="not yet"))
            break
    for t, i, call in waits:
        if call["answer"] == "ok" and is_before(trace, (signaller, call["point"] - 1), (t, i)):
            yield "not yet, though reached before", with_call(trace, t, i, dict(call, answer="not yet"))
            break
    for t, i, call in watches:
        if call["answer"] == "reached" and is_before(trace, (signaller, call["point"] - 1), (t, i)):
            yield "set, though reached before", with_call(trace, t, i, dict(call, answer="set"))
            break
    for t, i, call in watches:
        if call["answer"] == "set" and is_before(trace, (t, i), (signaller, call["point"] - 1)):
            yield "reached, though nobody has signalled", with_call(trace, t, i, dict(call, answer="reached"))
            break

"""Rounds of stress_future.c: futures under threads of the system, call by call, as intervals."""
import stressing
from stressing import calls, is_before, with_call

MODULE = "FutureStress"
ROUNDS = 210
MUTANTS = {"future-held-ignored": 80, "future-committed-late": 80}
THREADS = 5
NAMES = ["x1", "x2", "w", "w", "work"]
OUTCOMES = {0: "ok", 2: "failed", 11: "cancelled", 13: "not yet"}


def build(folder, patch=None):
    return stressing.build(folder, "future", ["src/runtime/future.c", "src/runtime/callbacks.c"], patch)


def rounds(program, count):
    return [finished(trace) for trace in stressing.rounds(program, count, THREADS, lambda words: {}, call_of)]


def call_of(words, _):
    operation = words[0]
    call = {"op": operation, "limit": "", "answer": ""}
    if operation == "hold":
        call["answer"] = "held" if words[1] == "1" else "refused"
    elif operation == "wait":
        call.update(limit=words[1], answer=OUTCOMES.get(int(words[2]), "failed"))
    elif operation in ("commit", "cancel", "finish"):
        call["answer"] = OUTCOMES.get(int(words[1]), "failed")
    return [call]


def finished(trace):
    """Each wait is a waiter of its own; who is absent is said."""
    count, threads = 0, []
    for name, thread in zip(NAMES, trace["calls"]):
        threads.append([])
        for call in thread:
            count += call["op"] == "wait"
            threads[-1].append(dict(call, who="w%d" % count if call["op"] == "wait" else name))
    absent = {"deadline"} | {name for name, thread in zip(NAMES, threads) if not thread}
    return dict(trace, calls=[tuple(one) for one in threads], absent=absent)


def changes(trace, random_one):
    """Pairs (kind, changed trace): each is no behaviour, in any order of its calls."""
    work = THREADS - 1
    waits, last = calls(trace, "wait"), len(trace["calls"][work]) - 1
    ends = [one for one in waits if one[2]["answer"] != "not yet"]
    if ends:
        t, i, call = random_one.choice(ends)
        other = random_one.choice([text for text in ("ok", "failed", "cancelled") if text != call["answer"]])
        if len(ends) > 1 or calls(trace, "cancel") or call["answer"] == "ok":
            yield "two outcomes", with_call(trace, t, i, dict(call, answer=other))
    for t, i, call in waits:
        if is_before(trace, (work, last), (t, i)):
            yield "not yet, though it is final", with_call(trace, t, i, dict(call, answer="not yet"))
            break
    for t, i, call in waits:
        if call["limit"] == "forever":
            yield "gives up, though it has for ever", with_call(trace, t, i, dict(call, answer="not yet"))
            break
    for t, i, call in waits:
        if call["answer"] == "not yet" and is_before(trace, (t, i), (work, 0)) and not any(
                not is_before(trace, (t, i), (k, n)) for k, n, _ in calls(trace, "cancel")):
            yield "final before its end", with_call(trace, t, i, dict(call, answer="ok"))
            break
    commits = calls(trace, "commit")
    for t, i, call in calls(trace, "cancel"):
        if call["answer"] == "ok":
            yield "cancelled, and ended well", with_call(trace, t, i, dict(call, answer="cancelled"))
            break
    for t, i, call in commits:
        if call["answer"] == "cancelled":
            yield "written, though cancelled", with_call(trace, t, i, dict(call, answer="ok"))
            break
    for t, i, call in calls(trace, "hold"):
        if call["answer"] == "refused":
            yield "held, though cancelled", with_call(trace, t, i, dict(call, answer="held"))
            break
    if commits and commits[0][2]["answer"] == "ok":
        holds = calls(trace, "hold")
        yield "written, though it never took hold", with_call(trace, work, holds[-1][1])
    if any(is_before(trace, (work, last), (t, i)) or call["limit"] == "forever" for t, i, call in waits) and not calls(
            trace, "cancel"):
        yield "an end that never came", with_call(trace, work, last)

"""Rounds of stress_batch_queue.c: the batch queue under threads of the system, call by call, as intervals."""
import stressing
from stressing import with_call

MODULE = "BatchQueueStress"
ROUNDS = 230
MUTANTS = {"batch-cancelled-left": 80}
NAMES = ["r0", "r1", "odd2", "r3", "r4", "odd5"]
THREADS = 6


def build(folder, patch=None):
    return stressing.build(folder, "batch_queue", ["src/runtime/batch_queue.c"], patch)


def rounds(program, count):
    return stressing.rounds(program, count, THREADS, lambda words: {
        "rows": int(words[0]), "capacity": int(words[1]), "delay": words[2] == "1"}, call_of)


def call_of(words, members):
    """A call as the spec names it; a worker's batch has ended when it collects again, and then that is one, too."""
    operation = words[0]
    call = {"who": "closer", "op": operation, "limit": "", "answer": "", "set": set()}
    requests = {NAMES[int(number)] for number in members}
    if operation == "submit":
        call.update(who=NAMES[int(words[1])], limit=words[2], answer="in" if words[3] == "0" else "refused")
    elif operation == "collect":
        call.update(who="w" + words[1], answer="run" if words[2] == "1" else "gone", set=requests)
        if words[2] == "1":
            return [call, dict(call, op="ends", late=True)]
    else:
        call["set"] = requests
    return [call]


def changes(trace, random_one):
    """Pairs (kind, changed trace): each is no behaviour, in any order of its calls."""
    collects = [one for one in stressing.calls(trace, "collect") if one[2]["set"]]
    submits = {call["who"]: (t, i, call) for t, i, call in stressing.calls(trace, "submit")}
    if collects:
        t, i, call = random_one.choice(collects)
        one = sorted(call["set"])[0]
        thread, at, submit = submits[one]
        yield "a request that nobody submitted", with_call(trace, thread, at)
        yield "taken in, though refused", with_call(trace, thread, at, dict(submit, answer="refused"))
        yield "a request that is lost", with_call(trace, t, i, dict(call, set=call["set"] - {one}))
        others = [(k, n, other) for k, n, other in collects if (k, n) != (t, i)]
        if others:
            k, n, other = random_one.choice(others)
            yield "a request answered twice", with_call(trace, k, n, dict(other, set=other["set"] | {one}))
        early = list(submit["after"])
        early[t] = i + 1
        yield "collected before it came", with_call(trace, thread, at, dict(submit, after=tuple(early)))
    for thread, at, submit in submits.values():
        if submit["answer"] == "refused" and submit["after"][THREADS - 1] > 0:
            yield "let in behind the end", with_call(trace, thread, at, dict(submit, answer="in"))
            break

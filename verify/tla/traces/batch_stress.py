"""Rounds of stress.c: the batch queue under threads of the system, call by call, as intervals."""
import os
import shutil
import subprocess

import tlc

MODULE = "BatchQueueStress"
ROUNDS = 230
MUTANTS = {"batch-cancelled-left": 80}
NAMES = ["r0", "r1", "odd2", "r3", "r4", "odd5"]
THREADS = 6


def build(folder, patch=None):
    """The program, over the C file, or over a copy of it that a patch changes."""
    os.makedirs(folder, exist_ok=True)
    source = os.path.join(folder, "source")
    shutil.rmtree(source, ignore_errors=True)
    os.makedirs(os.path.join(source, "src/runtime"))
    shutil.copy(os.path.join(tlc.ROOT, "src/runtime/batch_queue.c"), os.path.join(source, "src/runtime"))
    if patch is not None:
        with open(patch, encoding="utf-8") as file:
            subprocess.run(["patch", "-s", "-p1", "-d", source], stdin=file, check=True)
    base = os.path.join(tlc.ROOT, "src/base")
    program = os.path.join(folder, "stress")
    command = [os.environ.get("INTERLEAVE_CC", "clang-22"), "-std=gnu17", "-O1", "-w", "-pthread",
               "-I", os.path.join(tlc.ROOT, "src"), "-I", os.path.join(tlc.ROOT, "include"),
               os.path.join(tlc.HERE, "traces/stress.c"), os.path.join(source, "src/runtime/batch_queue.c"),
               *[os.path.join(base, name) for name in sorted(os.listdir(base)) if name.endswith(".c")],
               "-lm", "-o", program]
    subprocess.run(command, check=True)
    return program


def rounds(program, count):
    """Traces; one of a changed C file may break off."""
    done = subprocess.run([program, str(count), "1"], stdout=subprocess.PIPE, text=True, timeout=300)
    traces, calls = [], None
    for line in done.stdout.splitlines():
        words = line.split()
        if words[0] == "round":
            calls = [[] for _ in range(THREADS)]
            trace = {"rows": int(words[1]), "capacity": int(words[2]), "delay": words[3] == "1", "calls": calls}
        elif words[0] == "call":
            calls[int(words[1])] += call_of(words[2:])
        elif words[0] == "done":
            traces.append(trace)
    return [ordered(trace) for trace in traces]


def call_of(words):
    """A call as the spec names it; a worker's batch has ended when it collects again, and then that is one, too."""
    operation = words[0]
    call = {"who": "closer", "op": operation, "limit": "", "answer": "", "set": set()}
    at = {"submit": 4, "collect": 3, "drain": 1, "cancel": 1, "end": 1, "await": 2}[operation]
    call["begin"], call["end"] = int(words[at]), int(words[at + 1])
    requests = {NAMES[int(number)] for number in words[at + 2:]}
    if operation == "submit":
        call.update(who=NAMES[int(words[1])], limit=words[2], answer="in" if words[3] == "0" else "refused")
    elif operation == "collect":
        call.update(who="w" + words[1], answer="run" if words[2] == "1" else "gone", set=requests)
        if words[2] == "1":
            return [call, dict(call, op="ends", begin=call["end"], end=call["end"])]
    else:
        call["set"] = requests
    return [call]


def ordered(trace):
    """Instead of times: of each other thread how many calls had ended before this one began."""
    calls = [[{key: value for key, value in call.items() if key not in ("begin", "end")} for call in thread]
             for thread in trace["calls"]]
    for mine, thread in zip(calls, trace["calls"]):
        for new, call in zip(mine, thread):
            new["after"] = tuple(0 if other is thread else sum(one["end"] < call["begin"] for one in other)
                                 for other in trace["calls"])
    return dict(trace, calls=[tuple(thread) for thread in calls])


def with_call(trace, thread, at, *calls):
    """Others in place of one call; nobody has waited for what is gone."""
    threads = [list(one) for one in trace["calls"]]
    threads[thread][at:at + 1] = calls
    less = 1 - len(calls)
    for one in threads:
        for i, call in enumerate(one):
            after = list(call["after"])
            if after[thread] > at:
                after[thread] = max(after[thread] - less, 0)
            one[i] = dict(call, after=tuple(after))
    return dict(trace, calls=[tuple(one) for one in threads])


def changes(trace, random_one):
    """Pairs (kind, changed trace): each is no behaviour, in any order of its calls."""
    collects = [(t, i, call) for t, thread in enumerate(trace["calls"]) for i, call in enumerate(thread)
                if call["op"] == "collect" and call["set"]]
    submits = {call["who"]: (t, i, call) for t, thread in enumerate(trace["calls"]) for i, call in enumerate(thread)
               if call["op"] == "submit"}
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
    for who, (thread, at, submit) in submits.items():
        if submit["answer"] == "refused" and submit["after"][THREADS - 1] > 0:
            yield "let in behind the end", with_call(trace, thread, at, dict(submit, answer="in"))
            break

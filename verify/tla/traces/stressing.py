"""What the descriptions of programs share that put an object under threads of the system (stress.h): a trace has the calls of each
thread, in their order, and of each call how many calls of each other thread had ended before it began."""
import os
import shutil
import subprocess

import tlc


def build(folder, name, files, patch=None):
    """stress_NAME.c over these C files, or over copies of them that a patch changes."""
    os.makedirs(folder, exist_ok=True)
    source = os.path.join(folder, "source")
    shutil.rmtree(source, ignore_errors=True)
    os.makedirs(os.path.join(source, "src/runtime"))
    for file in files:
        shutil.copy(os.path.join(tlc.ROOT, file), os.path.join(source, file))
    if patch is not None:
        with open(patch, encoding="utf-8") as text:
            subprocess.run(["patch", "-s", "-p1", "-d", source], stdin=text, check=True)
    base = os.path.join(tlc.ROOT, "src/base")
    program = os.path.join(folder, "stress")
    command = [os.environ.get("INTERLEAVE_CC", "clang-22"), "-std=gnu17", "-O1", "-w", "-pthread",
               "-I", os.path.join(tlc.ROOT, "src"), "-I", os.path.join(tlc.ROOT, "include"),
               "-I", os.path.join(tlc.HERE, "traces"), os.path.join(tlc.HERE, "traces/stress_%s.c" % name),
               *[os.path.join(source, file) for file in files],
               *[os.path.join(base, file) for file in sorted(os.listdir(base)) if file.endswith(".c")],
               "-lm", "-o", program]
    subprocess.run(command, check=True)
    return program


def rounds(program, count, threads, begin, call_of):
    """Traces. begin: what a line `round ...` says, as a dictionary; call_of: of the words of a call, and its members, calls as
    the spec names them, in which `begin` and `end` are set here. A changed C file may break off, or never end."""
    text = ""
    try:
        text = subprocess.run([program, str(count), "1"], stdout=subprocess.PIPE, text=True, timeout=300).stdout
    except subprocess.TimeoutExpired as late:
        text = (late.stdout or b"").decode()
    traces, trace = [], None
    for line in text.splitlines():
        words = line.split()
        if words[0] == "round":
            trace = dict(begin(words[1:]), calls=[[] for _ in range(threads)])
        elif words[0] == "call":
            times = next(i for i in range(len(words) - 1) if len(words[i]) > 9 and len(words[i + 1]) > 9)
            for call in call_of(words[2:times], words[times + 2:]):
                first, last = int(words[times]), int(words[times + 1])
                trace["calls"][int(words[1])].append(dict(call, begin=last if call.pop("late", False) else first, end=last))
        elif words[0] == "done":
            traces.append(ordered(trace))
    return traces


def ordered(trace):
    """Instead of times: of each other thread how many calls had ended before this one began."""
    calls = [[{key: value for key, value in call.items() if key not in ("begin", "end", "late")} for call in thread]
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


def calls(trace, operation=None):
    """Of each call its thread, its place there, and itself."""
    return [(t, i, call) for t, thread in enumerate(trace["calls"]) for i, call in enumerate(thread)
            if operation is None or call["op"] == operation]


def is_before(trace, one, other):
    """Whether a call, (thread, place), had ended when another one began."""
    if one[0] == other[0]:
        return one[1] < other[1]
    return trace["calls"][other[0]][other[1]]["after"][one[0]] > one[1]

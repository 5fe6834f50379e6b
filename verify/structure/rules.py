"""The structural checks, ST.001 to ST.014, on the program's syntax tree, and the mutants that each must flag."""
import concurrent.futures
import os

import st_devices  # noqa: F401: each module adds its checks
import st_lifetime  # noqa: F401
import st_locks  # noqa: F401
import st_memory  # noqa: F401
import tree
from checks import CHECKS
from program import Program

CACHE = tree.ROOT / "build/structure/trees.pickle"
PROGRAMS = {}
LOST = "the check does not know the sources any more: "

TITLES = {
    "001": "use after shutdown is refused", "002": "what was seen before a lock was let go is looked at again",
    "003": "lifetime of events, and of what callbacks capture", "004": "no wait while a lock is held",
    "005": "lifetime of command lists, and of the lanes that own them", "006": "lock order",
    "007": "callbacks: lifetime and re-entry", "008": "nothing serializes globally by accident",
    "009": "every wait is bounded, or can be ended", "010": "the parallel section is parallel",
    "011": "memory that a second stream uses is not reused early",
    "012": "what is done while something is encoded or submitted", "013": "the slot pool, and atomics",
    "014": "what belongs to a thread"}


def tables():
    """The checks as docs/verification.md lists them."""
    lines, last = [], None
    for identity in sorted(CHECKS):
        group = identity.split(".")[1]
        if group != last:
            lines += ["", "**ST.%s** %s" % (group, TITLES[group]), "", "| check | what holds |", "|---|---|"]
        last = group
        lines.append("| %s | %s |" % (identity, CHECKS[identity][0]))
    return "\n".join(lines[1:]) + "\n"


def verdict(program, identity):
    try:
        return CHECKS[identity][1](program)
    except (LookupError, AttributeError, TypeError, ValueError) as problem:
        return [LOST + repr(problem)]


def play(job):
    """Whether a changed source is flagged: the reason, or what is wrong with the mutant."""
    identity, number, flags = job
    path, old, new = CHECKS[identity][2][number]
    text = (tree.ROOT / path).read_text()
    if old not in text:
        return False, "the text is gone from %s: %s" % (path, old.strip().splitlines()[0])
    units = PROGRAMS["units"]
    source = path if path in units else next(name for name, unit in units.items() if path in unit.macros)
    try:
        tree.SEEN.discard(path)
        _, changed = tree.read_unit((source, flags[source], {path: text.replace(old, new, 1)}))
    except SyntaxError as problem:
        return False, "it does not compile: %s" % problem
    kept = [unit for name, unit in units.items() if name != source]
    problems = verdict(Program([*kept, units[source].headers(), changed], path), identity)
    before = PROGRAMS["problems"][identity]
    new_problems = [text for text in problems if text not in before]
    if not new_problems:
        return False, "nothing is flagged"
    return not new_problems[0].startswith(LOST), new_problems[0]


def run(flags, wanted=()):
    """Yields (ID, what it says, problems, [(flagged, reason)] of its mutants)."""
    units = tree.read_all(flags, CACHE)
    PROGRAMS["units"], program = units, Program(units.values())
    chosen = [identity for identity in sorted(CHECKS) if not wanted or identity.startswith(tuple(wanted))]
    PROGRAMS["problems"] = {identity: verdict(program, identity) for identity in chosen}
    tree.load()
    for unit in units.values():
        tree.SEEN.update(file for file in unit.macros if file.endswith(".h"))
    jobs = [(identity, number, flags) for identity in chosen for number in range(len(CHECKS[identity][2]))]
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as pool:
        flagged = dict(zip([job[:2] for job in jobs], pool.map(play, jobs, chunksize=2)))
    for identity in chosen:
        yield identity, CHECKS[identity][0], PROGRAMS["problems"][identity], \
            [flagged[identity, number] for number in range(len(CHECKS[identity][2]))]

"""What a structural check is: a function that takes the program and gives the sentences against it, with an ID, a
sentence that says what holds, and at least one change of a source that it must flag: (file, text, other text)."""
from program import Flow

CHECKS = {}


def check(identity, says, *mutants):
    def add(function):
        assert identity not in CHECKS and mutants, identity
        CHECKS[identity] = (says, function, mutants)
        return function
    return add


def at(program, name, lines, what):
    return ["%s: %s" % (program.where(name, line), what) for line in lines]


def after(program, name, first, later):
    """Lines where `later(node)` is met on a path that has met `first(node)`."""
    bad, function = [], program.functions[name]

    def visit(node, state):
        if state and later(node):
            bad.append(node[1])
        return state or first(node)

    Flow(visit, lambda a, b: a or b).run(function["body"], False, function["end"])
    return sorted(set(bad))

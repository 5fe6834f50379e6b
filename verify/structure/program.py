"""The whole program over the syntax trees: calls through slots, locks that are held, what is reached from where."""
import collections

WAITS = {"hd_thread_join", "pthread_join", "pthread_cond_wait", "pthread_cond_clockwait", "pthread_cond_timedwait",
         "nanosleep", "clock_nanosleep", "usleep", "sleep", "sched_yield", "sem_wait", "poll", "select"}
# What a backend may wait in: the seam's own words for it, whatever the backends of this build do.
BACKEND_WAITS = {"hd_queue_wait_until", "hd_queue_destroy", "hd_unit_close"}
WAIT = "hd_condition_wait_until"
LOCK, UNLOCK = "hd_mutex_lock", "hd_mutex_unlock"


def nodes(node):
    """A node and all below it, in the order in which they are written."""
    if node is None:
        return
    yield node
    for child in node[3]:
        yield from nodes(child)


def short(name):
    return name.rsplit(":", 1)[-1] if isinstance(name, str) else name[1].rsplit(":", 1)[-1]


def is_call(node, *names):
    return node[0] == "call" and (short(node[2]) in names if isinstance(node[2], str) else False)


def is_slot(node, *slots):
    return node[0] == "call" and not isinstance(node[2], str) and node[2][1] in slots


def has_call(node, *names):
    return any(is_call(inner, *names) for inner in nodes(node))


def has_member(node, *fields):
    return any(inner[0] == "member" and inner[2] in fields for inner in nodes(node))


def has_ref(node, *names):
    return any(inner[0] == "ref" and short(inner[2]).rsplit("#", 1)[-1] in names for inner in nodes(node))


def object_of(node):
    """What an address or an object is called: 'struct.field' or a variable's name; None."""
    while node is not None and node[0] in ("unary", "index", "other", "init"):
        node = node[3][0] if node[3] else None
    return node[2] if node is not None and node[0] in ("member", "ref") else None


class Flow:
    """Walks a function along its paths. `visit(node, state)` gives the state behind a node whose children were
    visited; `join(a, b)` that where two paths meet; `branch(condition, taken, state)` that on one side of a test.
    None is the state where no path leads. Each state that a return or the end is met with is in `exits`, as (line, state)."""

    def __init__(self, visit, join, branch=None):
        self.visit, self.merge, self.branch = visit, join, branch or (lambda condition, taken, state: state)
        self.exits, self.labels, self.loops = [], {}, []

    def join(self, a, b):
        return b if a is None else a if b is None else self.merge(a, b)

    def run(self, body, state, end):
        for _ in range(3):  # labels that are jumped back to need another turn
            self.exits, before = [], dict(self.labels)
            last = self.walk(body, state)
            if last is not None:
                self.exits.append((end, last))
            if self.labels == before:
                break
        return self.exits

    def all(self, children, state):
        for child in children:
            state = self.walk(child, state)
        return state

    def walk(self, node, state):
        kind = node[0]
        if state is None and kind not in ("label", "block", "case", "default", "switch", "if", "for", "while", "do"):
            return None
        handler = getattr(self, "walk_" + kind, None)
        if handler:
            return handler(node, state)
        state = self.all(node[3], state)
        return None if state is None else self.visit(node, state)

    def test(self, condition, taken, state):
        """The state behind a condition that is true, or false."""
        if state is None:
            return None
        if condition[0] in ("and", "or"):
            left, right = condition[3]
            whole = (condition[0] == "and") == taken
            first = self.test(left, taken, state)
            if whole:
                return self.test(right, taken, first)
            return self.join(first, self.test(right, taken, self.test(left, not taken, state)))
        if condition[0] == "unary" and condition[2] == "!":
            return self.test(condition[3][0], not taken, state)
        state = self.walk(condition, state)
        return None if state is None else self.branch(condition, taken, state)

    def walk_and(self, node, state):
        return self.join(self.test(node, True, state), self.test(node, False, state))

    walk_or = walk_and

    def walk_cond(self, node, state):
        test, yes, no = node[3]
        return self.join(self.walk(yes, self.test(test, True, state)), self.walk(no, self.test(test, False, state)))

    def walk_if(self, node, state):
        test, yes, *no = node[3]
        then = self.walk(yes, self.test(test, True, state))
        other = self.test(test, False, state)
        return self.join(then, self.walk(no[0], other) if no else other)

    def loop(self, state, test, body, step, first):
        leave = None
        for _ in range(3):
            self.loops.append({"break": None, "continue": None})
            entered = self.test(test, True, state) if test is not None and not first else state
            left = None if first or test is None else self.test(test, False, state)
            behind = self.walk(body, entered)
            marks = self.loops.pop()
            behind = self.join(behind, marks["continue"])
            behind = self.all(step, behind)
            if first and test is not None:
                left = self.test(test, False, behind)
                behind = self.test(test, True, behind)
            leave = self.join(leave, self.join(left, marks["break"]))
            again = self.join(state, behind)
            if again == state:
                break
            state = again
        return leave

    def walk_while(self, node, state):
        test, body = node[3]
        return self.loop(state, None if test[0] == "number" and test[2] else test, body, (), False)

    def walk_do(self, node, state):
        body, test = node[3]
        return self.loop(state, None if test[0] == "number" and test[2] else test, body, (), True)

    def walk_for(self, node, state):
        *head, body = node[3]
        test = [part for part in head if part[0] in ("op", "and", "or", "call", "ref", "member") or
                (part[0] == "unary" and part[2] in ("!", "*"))]
        if head and head[0][0] in ("decls", "assign"):
            state = self.walk(head[0], state) if state is not None else None
        steps = tuple(part for part in head if part[0] in ("assign", "unary") and part is not head[0] and part not in test)
        return self.loop(state, test[0] if test else None, body, steps, False)

    def walk_switch(self, node, state):
        test, body = node[3]
        state = self.walk(test, state) if state is not None else None
        self.loops.append({"break": None, "continue": None, "switch": state})
        behind = self.walk(body, None)
        marks = self.loops.pop()
        if marks["continue"] is not None:
            self.mark("continue", marks["continue"])
        has_default = any(inner[0] == "default" for inner in nodes(body))
        return self.join(self.join(behind, marks["break"]), None if has_default else state)

    def walk_case(self, node, state):
        entry = next((mark["switch"] for mark in reversed(self.loops) if "switch" in mark), None)
        state = self.join(state, entry)
        return self.walk(node[3][-1], state) if node[3] else state

    walk_default = walk_case

    def mark(self, what, state):
        for mark in reversed(self.loops):
            if what == "break" or "switch" not in mark:
                mark[what] = self.join(mark[what], state)
                return

    def walk_break(self, node, state):
        self.mark("break", state)

    def walk_continue(self, node, state):
        self.mark("continue", state)

    def walk_return(self, node, state):
        state = self.all(node[3], state)
        if state is not None:
            state = self.visit(node, state)
            self.exits.append((node[1], state))

    def walk_goto(self, node, state):
        self.labels[node[2]] = self.join(self.labels.get(node[2]), state)

    def walk_label(self, node, state):
        state = self.join(state, self.labels.get(node[2]))
        return self.all(node[3], state)


class Program:
    def __init__(self, units, changed=None):
        """changed: a file that only the last unit is to be believed of."""
        self.functions, self.variables, self.structs, self.enums = {}, {}, {}, {}
        self.declared = collections.defaultdict(list)
        self.macros = collections.defaultdict(dict)
        units = list(units)
        for unit in units:
            stale = changed if unit is not units[-1] else None
            self.functions.update(unit.functions)
            for name, declarations in unit.declared.items():
                self.declared[name] += [one for one in declarations if one["file"] != stale]
            for name, variable in unit.variables.items():
                if variable["defined"] or name not in self.variables:
                    self.variables[name] = variable
            self.structs.update(unit.structs)
            self.enums.update(unit.enums)
            for file, lines in unit.macros.items():
                if file != stale:
                    self.macros[file].update(lines)
        self.effects = {LOCK: None, UNLOCK: None}
        for function in self.functions.values():
            if "calls" not in function:
                function["calls"] = [node for node in nodes(function["body"]) if node[0] == "call"]
        self.find_slots()
        self.find_effects()
        for name, function in self.functions.items():
            if "held" not in function:
                function["held"] = self.find_held(name)
        self.memory = {}

    # ---- which function
    def named(self, name, file=None):
        """The function of that short name, in that file where several have it."""
        found = [key for key, function in self.functions.items()
                 if short(key) == name and (file is None or function["file"] == file)]
        if len(found) != 1:
            raise LookupError("%d functions are named %s" % (len(found), name))
        return found[0]

    def body(self, name, file=None):
        return self.functions[self.named(name, file)]["body"]

    def where(self, name, line):
        function = self.functions.get(name)
        return "%s:%d: %s" % (function["file"] if function else "?", line, short(name))

    # ---- what is called through members, parameters and variables that hold functions
    def give(self, flows, slot, value):
        while value[0] == "unary" and value[2] == "&":
            value = value[3][0]
        if value[0] == "cond":
            for part in value[3][1:]:
                self.give(flows, slot, part)
        elif value[0] in ("ref", "member"):
            flows.append((slot, value[2]))

    def fill(self, flows, type_name, value):
        """An initializer of that type."""
        tag = type_name.replace("const ", "").replace("struct ", "").split("[")[0].strip()
        fields = self.structs.get(tag)
        for i, part in enumerate(value[3]):
            if part[0] == "init":
                self.fill(flows, type_name if fields is None else fields[i][1] if i < len(fields) else "", part)
            elif part[0] == "set" and part[3]:
                if part[3][-1][0] == "init":
                    self.fill(flows, self.type_of(part[2]), part[3][-1])
                else:
                    self.give(flows, part[2], part[3][-1])
            elif fields is not None and i < len(fields):
                self.give(flows, "%s.%s" % (tag, fields[i][0]), part)

    def flows_of(self, function):
        flows = []
        for node in nodes(function["body"]):
            if node[0] == "assign" and node[2] == "=":
                target = object_of(node[3][0])
                if target:
                    self.give(flows, target, node[3][1])
            elif node[0] == "decl" and node[3]:
                if node[3][0][0] == "init":
                    self.fill(flows, node[2][1], node[3][0])
                else:
                    self.give(flows, node[2][0], node[3][0])
            elif node[0] == "set" and node[3]:
                self.give(flows, node[2], node[3][-1])
            elif node[0] == "call" and isinstance(node[2], str) and node[2] in self.functions:
                for (parameter, _), argument in zip(self.functions[node[2]]["params"], node[3]):
                    self.give(flows, parameter, argument)
        return flows

    def find_slots(self):
        given = collections.defaultdict(set)  # slot -> functions and slots that it is given
        for name, variable in self.variables.items():
            if "flows" not in variable:
                variable["flows"] = []
                for value in variable["init"]:
                    (self.fill if value[0] == "init" else self.give)(
                        variable["flows"], variable["type"] if value[0] == "init" else name, value)
        for function in self.functions.values():
            if "flows" not in function:
                function["flows"] = self.flows_of(function)
        for one in (*self.variables.values(), *self.functions.values()):
            for slot, value in one["flows"]:
                given[slot].add(value)
        self.slots = {}
        for slot in given:
            found, seen, todo = set(), set(), [slot]
            while todo:
                one = todo.pop()
                if one not in seen:
                    seen.add(one)
                    if one in self.functions:
                        found.add(one)
                    todo += given.get(one, ())
            self.slots[slot] = found

    def type_of(self, field):
        struct, name = field.rsplit(".", 1)
        return dict(self.structs.get(struct, ())).get(name, "")

    def callees(self, node, caller=""):
        if isinstance(node[2], str):
            return {node[2]}
        found = self.slots.get(node[2][1], set())
        # It is for units with memory of their own only, as its comment says; and what the simulated device does there (it
        # copies the launch, and rests for others to come in) stands for a driver, of which nothing is seen either.
        if short(caller) == "hd_queue_enqueue":
            found = {name for name in found if self.functions[name]["file"].startswith("src/hal/cuda/")}
        return found

    # ---- locks
    def find_effects(self):
        """Functions that take a lock and keep it, or let one go: name -> (taken, let go)."""
        for name, function in self.functions.items():
            locks = [n for n in function["calls"] if is_call(n, LOCK)]
            unlocks = [n for n in function["calls"] if is_call(n, UNLOCK)]
            if bool(locks) != bool(unlocks) and function["static"] and name.endswith(("_lock", "_unlock")):
                self.effects[name] = (frozenset(object_of(n[3][0]) for n in locks),
                                      frozenset(object_of(n[3][0]) for n in unlocks))

    def effect(self, node):
        if node[0] != "call" or not isinstance(node[2], str):
            return frozenset(), frozenset()
        if node[2] == LOCK:
            return frozenset([object_of(node[3][0])]), frozenset()
        if node[2] == UNLOCK:
            return frozenset(), frozenset([object_of(node[3][0])])
        return self.effects.get(node[2]) or (frozenset(), frozenset())

    def find_held(self, name):
        """Of each call in a function, and of each access: the locks that it has taken itself and still holds. What it lets
        go without having taken it, its caller holds: `entry`."""
        function = self.functions[name]
        function["entry"] = frozenset()
        while True:
            held, asked = {}, set()

            def visit(node, state, held=held, asked=asked):
                if node[0] in ("call", "member", "atomic", "assign", "return"):
                    held[id(node)] = held.get(id(node), frozenset()) | state
                taken, let_go = self.effect(node)
                asked |= let_go - state
                return (state | taken) - let_go

            if function["body"] is not None:
                function["exits"] = Flow(visit, lambda a, b: a | b).run(function["body"], function["entry"], function["end"])
            if asked <= function["entry"] or self.effects.get(name) is not None or name in (LOCK, UNLOCK):
                return held
            function["entry"] |= asked

    def given_up(self, callee):
        """Locks of its caller's that a function lets go for a while."""
        return self.functions[callee]["entry"] if callee in self.functions else frozenset()

    def held(self, name, node):
        return self.functions[name]["held"].get(id(node), frozenset())

    # ---- what is reached
    def reach(self, leaf, stop=lambda name: False):
        """name -> {(what `leaf` says of a node below it, its place)}: what each function's calls come to."""
        direct = collections.defaultdict(dict)
        callers = collections.defaultdict(set)
        for name, function in self.functions.items():
            for node in function["calls"]:
                found = leaf(name, node)
                if found is not None:
                    direct[name].setdefault(found, self.where(name, node[1]))
                    continue
                for callee in self.callees(node, name):
                    if callee in self.functions and not stop(callee):
                        callers[callee].add(name)
        reached = {name: dict(direct[name]) for name in self.functions}
        todo = [name for name in reached if reached[name]]
        while todo:
            callee = todo.pop()
            for name in callers[callee]:
                more = {what: place for what, place in reached[callee].items() if what not in reached[name]}
                if more:
                    reached[name].update(more)
                    todo.append(name)
        return reached

    @property
    def waits(self):
        """What each function may wait for: the lock that a condition gives up meanwhile, or '' for others."""
        def leaf(_, node):
            if not isinstance(node[2], str):
                return None
            if node[2] == WAIT:
                return object_of(node[3][1]) or "?"
            return "" if node[2] in WAITS or short(node[2]) in BACKEND_WAITS else None
        if "waits" not in self.memory:
            self.memory["waits"] = self.reach(leaf, stop=lambda name: name in (WAIT, "hd_thread_join"))
        return self.memory["waits"]

    @property
    def locks(self):
        """Which locks each function may take."""
        def leaf(_, node):
            taken = self.effect(node)[0]
            return sorted(taken)[0] if taken else None
        if "locks" not in self.memory:
            self.memory["locks"] = self.reach(leaf)
        return self.memory["locks"]

    def calls(self, *names):
        """(function, node) of each call of any of these."""
        return [(name, node) for name, function in self.functions.items() for node in function["calls"]
                if is_call(node, *names)]

    def reachable(self, *roots):
        found, todo = set(), list(roots)
        while todo:
            name = todo.pop()
            if name in found or name not in self.functions:
                continue
            found.add(name)
            for node in self.functions[name]["calls"]:
                todo += self.callees(node, name)
        return found

    # ---- orders on paths
    def precedes(self, name, before, after, revokes=lambda node: False, branch=None):
        """Lines where `after(node)` is met on a path that has not met `before(node)`, or `revokes(node)` since."""
        bad, function = [], self.functions[name]

        def visit(node, state):
            if after(node) and not state:
                bad.append(node[1])
            return True if before(node) else False if revokes(node) else state

        Flow(visit, lambda a, b: a and b, branch).run(function["body"], False, function["end"])
        return sorted(set(bad))

    def follows(self, name, opens, closes, branch=None):
        """Lines of exits that a path meets with something open: begun by `opens`, not ended by `closes`."""
        function = self.functions[name]

        def visit(node, state):
            return True if opens(node) else False if closes(node) else state

        exits = Flow(visit, lambda a, b: a or b, branch).run(function["body"], False, function["end"])
        return sorted({line for line, state in exits if state})

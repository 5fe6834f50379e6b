"""What only the devices' own sources are held to (src/hal/cuda, src/hal/sim), and the program (src/cli)."""
from checks import after, at, check
from program import has_call, has_member, is_call, nodes, object_of, short

CUDA, QUEUE, SIMULATED = "src/hal/cuda/", "src/hal/cuda/queue.c", "src/hal/sim/queue.c"
# What needs no device: it is asked before there is one, or to have one.
NO_CONTEXT = {"cuInit", "cuDriverGetVersion", "cuDeviceGet", "cuDeviceGetCount", "cuDeviceGetName", "cuDeviceGetAttribute",
              "cuDeviceTotalMem", "cuDevicePrimaryCtxRetain", "cuDevicePrimaryCtxRelease", "cuCtxSetCurrent"}


def driver_call(node):
    """The driver's function that is called, or None."""
    slot = node[2][1] if node[0] == "call" and not isinstance(node[2], str) else ""
    return slot[len("hd_cuda_driver."):] if slot.startswith("hd_cuda_driver.") else None


@check("ST.001.j", "CUDA's driver is called only behind hd_cuda_enter, which refuses a lost device and gives the thread its context",
       (QUEUE, "    hd_status status = hd_cuda_enter(queue->unit);\n    for", "    hd_status status = HD_OK;\n    for"),
       ("src/hal/cuda/memory.c", "    hd_status status = hd_cuda_enter(self);\n    return status != HD_OK || size == 0", "    hd_status status = HD_OK;\n    return status != HD_OK || size == 0"),
       ("src/hal/cuda/graph.c", "    if (hd_cuda_enter(dead->unit) == HD_OK) {", "    if (dead->unit != NULL) {"))
def entered(program):
    cuda = {name: function for name, function in program.functions.items() if function["file"].startswith(CUDA) and function["body"]}
    callers = {callee: {name for name, function in cuda.items() for node in function["calls"] if node[2] == callee} for callee in cuda}
    lines, todo = {}, set(cuda)
    while todo:  # a function that its callers have to enter for
        name = todo.pop()
        found = program.precedes(name, lambda node: is_call(node, "hd_cuda_enter"), lambda node: node[0] == "call" and (
            driver_call(node) not in (None, *NO_CONTEXT) or node[2] in lines))
        if found and name not in lines and name != "hd_cuda_enter":
            lines[name] = found
            todo |= callers[name]
    called = [name for name in cuda if any(driver_call(node) for node in cuda[name]["calls"])]
    return [text for name in lines if not callers[name] for text in at(program, name, lines[name], "the device may be lost, or another's")] + \
        ([] if len(called) > 10 else ["the driver is hardly called"])


@check("ST.012.g", "what CUDA's driver answers is looked at",
       (QUEUE, "        status = hd_cuda_status(\n            driver->cuStreamWriteValue64(queue->stream, address_of((void *)queue->reached),\n"
        "                                         queue->submitted + 1, CU_STREAM_WRITE_VALUE_DEFAULT));",
        "        (void)driver->cuStreamWriteValue64(queue->stream, address_of((void *)queue->reached),\n"
        "                                         queue->submitted + 1, CU_STREAM_WRITE_VALUE_DEFAULT);"),
       ("src/hal/cuda/list.c", "            result = hd_cuda_graph_launch(part->graph, stream);", "            hd_cuda_graph_launch(part->graph, stream);"))
def answers(program):
    # what tells of a device, where nothing rests on it; what is left of one that ends
    known = {("describe", None), ("close_unit", "cuModuleUnload"), ("close_unit", "cuDevicePrimaryCtxRelease")}
    bad = []
    for name, function in program.functions.items():
        if not function["file"].startswith(CUDA):
            continue
        for node in nodes(function["body"]):
            kind, below = node[0], node[3]
            dropped = below if kind == "block" else below[1:] if kind == "if" else \
                below[-1:] if kind in ("for", "while", "case", "default", "label") else below[:1] if kind == "do" else ()
            for one in dropped:
                asked = driver_call(one) if one[0] == "call" else None
                callee = program.functions.get(one[2]) if one[0] == "call" and isinstance(one[2], str) else None
                if (asked or (callee and callee["result"] == "CUresult")) and not known & {(short(name), None), (short(name), asked)}:
                    bad += at(program, name, [one[1]], "nobody looks at the answer")
    return bad


@check("ST.009.i", "who waits for a device looks in each turn whether it was lost, and whether the time is over",
       (QUEUE, "        if (hd_cuda_is_lost()) {\n            return HD_LOST;\n        }\n", ""),
       (QUEUE, "        bool is_late = now >= deadline;", "        bool is_late = false;"),
       (SIMULATED, "        } else if (hd_sim_is_lost(&queue->unit->unit) && !queue->busy) {", "        } else if (queue->ending) {"))
def losses_seen(program):
    bad, waits = [], sorted(program.slots.get("hd_queue_table.wait", ()))
    for name in waits:
        for loop in nodes(program.functions[name]["body"]):
            if loop[0] in ("while", "for", "do"):
                bad += [] if has_call(loop, "hd_cuda_is_lost", "hd_sim_is_lost") else at(program, name, [loop[1]], "waits for a lost device")
                bad += [] if any(node[0] == "op" and node[2] in (">=", "<") and any(
                    part[0] == "ref" and part[2].endswith("#deadline") for part in node[3]) for node in nodes(loop)) else \
                    at(program, name, [loop[1]], "waits beyond its deadline")
    return bad + ([] if len(waits) >= 2 else ["no device is waited for"])


@check("ST.012.h", "the simulated device counts who comes into a queue or a list that another one uses, and is told when it is left",
       (SIMULATED, "    if (hd_exchange_acq_rel(&list->used, true)) {", "    if (hd_load_acquire(&list->used)) {"),
       (SIMULATED, "    hd_store_release(&queue->used, false);\n", ""),
       ("src/hal/sim/command_list.c", "        if (hd_exchange_acq_rel(&self->used, true)) {\n            hd_add_relaxed(&hd_sim.list_overlaps, 1);\n        }\n", ""))
def overlaps_counted(program):
    bad = []
    for name, fields in ((program.named("submit", SIMULATED), ("hd_queue.used", "hd_sim_list.used")),
                         (program.named("destroy", "src/hal/sim/command_list.c"), ("hd_sim_list.used",))):
        for field in fields:
            def is_one(node, *shapes, field=field):
                return node[0] == "atomic" and node[2][0] in shapes and str(object_of(node[3][0])).endswith(field)
            body = program.functions[name]["body"]
            bad += [] if any(is_one(node, "rmw") for node in nodes(body)) else ["%s: does not take %s" % (short(name), field)]
            if short(name) == "submit":
                bad += at(program, name, program.follows(name, lambda node: is_one(node, "rmw"), lambda node: is_one(node, "store")),
                          "leaves %s taken" % field)
    return bad


@check("ST.011.i", "the simulated device tells a point only of a launch that it has computed, computes none of a lost device, and tells "
       "of a loss when nothing is computed any more",
       (SIMULATED, " && !queue->busy) {", ") {"),
       (SIMULATED, "        if (done && !hd_sim_is_lost(&queue->unit->unit)) {", "        if (!hd_sim_is_lost(&queue->unit->unit)) {"),
       (SIMULATED, "        bool done = await_turn(queue, next);\n        if (done) {", "        bool done = await_turn(queue, next);\n        if (next != NULL) {"))
def computed_first(program):
    name = program.named("serve", SIMULATED)
    tests = [node for node in nodes(program.functions[name]["body"]) if node[0] == "if" and (
        has_call(node, "compute") or any(part[0] == "atomic" and part[2][0] == "store" for part in nodes(node)))]
    asks = [node for node in nodes(program.functions[program.named("wait_for", SIMULATED)]["body"])
            if node[0] == "and" and has_call(node, "hd_sim_is_lost") and has_member(node, SIMULATED + ":hd_queue.busy")]
    return ([] if asks else ["wait_for: memory that is still written is given back"]) + (
        [] if len(tests) == 2 else ["serve: %d tests" % len(tests)]) + at(
        program, name, [test[1] for test in tests if not any(part[0] == "ref" and part[2].endswith("#done") for part in nodes(test[3][0]))],
        "goes on though it was not this launch's turn")


@check("ST.009.j", "the program waits for a child without a limit only when that has ended, or was killed",
       ("src/cli/verify/child.c", "                kill(children[i], SIGKILL);\n", ""),
       ("src/cli/verify/child.c", "    kill(-process, SIGKILL); /* the ended one still holds the group's number */\n", ""))
def children_end(program):
    bad, calls = [], program.calls("waitpid")
    for name in {name for name, _ in calls}:
        bad += at(program, name, program.precedes(
            name, lambda node: is_call(node, "kill"), lambda node: is_call(node, "waitpid"),
            lambda node: is_call(node, "start", "list_children")), "may wait for ever")
    return bad + ([] if calls else ["nobody waits for a child"])


@check("ST.014.i", "the program's threads share nothing but what they are given: each has its own state, and one gate",
       ("src/cli/process.c", "    pthread_mutex_unlock(&gate.mutex);\n    for", "    for"),
       ("src/cli/process.c", "    bool run = start->gate->run;\n    pthread_mutex_unlock(&start->gate->mutex);", "    pthread_mutex_unlock(&start->gate->mutex);\n    bool run = start->gate->run;"))
def gate_locked(program):
    bad = []
    for name, function in program.functions.items():
        if function["file"] != "src/cli/process.c":
            continue
        bad += at(program, name, program.follows(name, lambda node: is_call(node, "pthread_mutex_lock"),
                                                 lambda node: is_call(node, "pthread_mutex_unlock")), "leaves the gate locked")
        bad += at(program, name, after(program, name, lambda node: is_call(node, "pthread_mutex_unlock"), lambda node:
                                       node[0] == "member" and node[2] in ("hd_gate.open", "hd_gate.run")), "looks at the gate unlocked")
    return bad

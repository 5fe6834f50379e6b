"""ST.004 no wait under a lock, ST.006 lock order, ST.008 nothing serializes by accident, ST.009 every wait is bounded,
ST.010 the parallel section is parallel, ST.012 what is done while something is encoded."""
from checks import at, check
from program import BACKEND_WAITS, LOCK, UNLOCK, WAIT, WAITS, has_call, has_member, has_ref, is_call, is_slot, nodes, object_of, short

DEVICE, TIMELINE, SUBMISSION = "src/runtime/device.c", "src/runtime/timeline.c", "src/runtime/submission.c"
HARDWARE, POOL, TEAM = "src/runtime/device_queue.c", "src/runtime/slot_pool.c", "src/hal/cpu/team.c"
ALLOCATOR, PLANS, RUNNERS = "src/runtime/allocator.c", "src/runtime/plan_cache.c", "src/runtime/runners.c"
BATCH, RUN, CALLBACKS = "src/runtime/batch_queue.c", "src/graph/model_run.c", "src/runtime/callbacks.c"
LOOKUP = "src/graph/run_plan.c"
SIMULATED = "src/hal/sim/queue.c"
ALLOCATES = {"malloc", "calloc", "realloc", "aligned_alloc", "posix_memalign", "mmap", "strdup"}
TALKS = {"fopen", "open", "openat", "read", "pread", "write", "fwrite", "fread", "printf", "fprintf", "puts", "fputs", "fflush",
         "close", "fclose", "stat", "fstat", "getenv", "syscall"}


def leaf_of(names):
    return lambda _, node: "" if isinstance(node[2], str) and node[2] in names else None


def under_locks(program, reached, skip=lambda name, node: False):
    """Calls under a lock to what `reached` says something of."""
    bad = []
    for name, function in program.functions.items():
        for node in function["calls"]:
            held = program.held(name, node)
            if held and not skip(name, node) and not is_call(node, "hd_check_failed"):
                for callee in sorted(one for one in program.callees(node, name) if held - program.given_up(one)):
                    for place in list(reached.get(callee, {}).values())[:1]:
                        bad.append("%s: under %s, by %s: %s" % (program.where(name, node[1]), ", ".join(sorted(map(str, held))),
                                                                short(callee), place))
    return bad


# ---- ST.004: no wait while a lock is held

@check("ST.004.a", "no call path reaches a wait while a lock other than the condition's own is held",
       (DEVICE, "    hd_slot_pool_refuse(&device->slots);\n", "    hd_slot_pool_refuse(&device->slots);\n    hd_mutex_lock(&device->submission.mutex);\n"),
       (HARDWARE, "    queue_lock(self);\n    hd_status status = hd_queue_enqueue(",
        "    queue_lock(self);\n    (void)hd_queue_wait_until(self->unit, self->queue, 1, HD_FOREVER);\n    hd_status status = hd_queue_enqueue("),
       ("src/runtime/registry.c", "            hd_slot_pool_forget(entry->slots, slot);",
        "            (void)hd_slot_pool_close(entry->slots, slot);"))
def no_wait_under_lock(program):
    bad = []
    for name, function in program.functions.items():
        for node in function["calls"]:
            held = program.held(name, node)
            if not held:
                continue
            if node[2] == WAIT:
                waits = {object_of(node[3][1]): program.where(name, node[1])}
            elif short(node[2]) in BACKEND_WAITS or node[2] in WAITS:
                waits = {"": program.where(name, node[1])}
            else:
                waits = {own: place for callee in program.callees(node, name) if held - program.given_up(callee)
                         for own, place in program.waits.get(callee, {}).items()}
            bad += ["%s: holds %s, and waits at %s" % (program.where(name, node[1]), ", ".join(sorted(map(str, held - {own}))), place)
                    for own, place in waits.items() if held - {own}]
    return bad


@check("ST.004.b", "what waits, or may call what does, says so where it is declared (HD_WAITS)",
       ("src/runtime/timeline.h", "uint64_t deadline) HD_WAITS;", "uint64_t deadline);"),
       ("src/runtime/submission.h", "uint64_t deadline) HD_WAITS;", "uint64_t deadline);"))
def waits_declared(program):
    bad = []
    for name, declarations in sorted(program.declared.items()):
        inner = [one for one in declarations if one["file"].startswith("src/runtime/")]
        if not program.waits.get(name) or not inner:
            continue
        said = any("HD_WAITS" in program.macros[one["file"]].get(line, ()) for one in inner
                   for line in range(one["line"], one["end"] + 2))
        if not said:
            bad.append("%s:%d: %s waits (%s)" % (inner[0]["file"], inner[0]["line"], name, list(program.waits[name].values())[0]))
    return bad


@check("ST.004.c", "no memory is allocated under a lock",
       (PLANS, "            cache_unlock(cache);\n            fresh = hd_alloc_zero", "            fresh = hd_alloc_zero"))
def no_allocation(program):
    if "allocates" not in program.memory:
        program.memory["allocates"] = program.reach(leaf_of(ALLOCATES))
    return under_locks(program, program.memory["allocates"],
                       skip=lambda name, node: is_slot(node, "hd_once_start#start"))


@check("ST.004.d", "no file is touched, nothing is printed and the environment is not read under a lock",
       (PLANS, "    HD_CHECK(\"FLAT.plans-bounded\"", "    extern int puts(const char *);\n    (void)puts(\"full\");\n    HD_CHECK(\"FLAT.plans-bounded\""))
def no_talk(program):
    if "talks" not in program.memory:
        program.memory["talks"] = program.reach(leaf_of(TALKS), stop=lambda name: name in ("hd_check_failed", "hd_check_no_lock_held"))
    bad = under_locks(program, program.memory["talks"])
    return bad + ["%s: %s under a lock" % (program.where(name, node[1]), node[2]) for name, function in program.functions.items()
                  for node in function["calls"] if isinstance(node[2], str) and node[2] in TALKS and program.held(name, node)]


@check("ST.004.e", "what may sleep asserts first that its thread holds no lock, also when it need not sleep",
       (TIMELINE, "    hd_check_no_lock_held();\n", ""),
       (BATCH, "    hd_check_no_lock_held();\n    hd_status status = HD_OK;\n    queue_lock(queue);\n    if", "    hd_status status = HD_OK;\n    queue_lock(queue);\n    if"))
def asserts_no_lock(program):
    known = {"hd_plan_cache_find_unless"}  # asked with no lock by the analysis; it is on the way of each new shape
    bad = []
    for name, function in sorted(program.functions.items()):
        if function["static"] or not function["file"].startswith("src/runtime/") or name in known:
            continue

        def sleeps(node, own=function["file"]):
            callee = program.functions.get(node[2]) if isinstance(node[2], str) else None
            return node[2] == WAIT or (callee is not None and callee["static"] and callee["file"] == own and has_call(callee["body"], WAIT))

        asks = any(is_call(node, "hd_check_no_lock_held") or (isinstance(node[2], str) and node[2] in program.functions and
                   program.functions[node[2]]["static"] and has_call(program.functions[node[2]]["body"], "hd_check_no_lock_held"))
                   for node in function["calls"])
        bad += ["%s: sleeps without asking" % program.where(name, node[1]) for node in function["calls"] if sleeps(node) and not asks]
    return bad


# ---- ST.006: lock order

def ranks(program):
    """Lock -> its rank's place in the order."""
    if "ranks" in program.memory:
        return program.memory["ranks"]
    order = {constant: i for i, constant in enumerate(program.enums.get("hd_rank", []))}
    found = {}
    for name, node in program.calls("hd_mutex_init"):
        if len(node[3]) == 2 and node[3][1][0] == "ref" and node[3][1][2] in order:
            found.setdefault(object_of(node[3][0]), set()).add(order[node[3][1][2]])
    for name, variable in program.variables.items():
        if variable["type"] == "hd_mutex":
            for value in variable["init"]:
                for node in nodes(value):
                    if node[0] == "ref" and node[2] in order:
                        found.setdefault(name, set()).add(order[node[2]])
    program.memory["ranks"] = found
    return found


@check("ST.006.a", "locks are taken in the order of their ranks, along every call path",
       (RUNNERS, "    if (queues->sleeping > 0) {\n        hd_condition_signal(&queues->ready);\n    }\n    runners_unlock(queues);",
        "    queue_lock(queue);\n    queue_unlock(queue);\n    runners_unlock(queues);"),
       (TIMELINE, "        timeline_unlock(timeline);\n        watch->reached(watch);\n        timeline_lock(timeline);", "        watch->reached(watch);"))
def in_order(program):
    order, bad = ranks(program), []
    for name, function in program.functions.items():
        for node in function["calls"]:
            held = program.held(name, node)
            if not held:
                continue
            taken = {lock: program.where(name, node[1]) for lock in program.effect(node)[0]}
            for callee in program.callees(node, name):
                if held - program.given_up(callee):
                    taken.update(program.locks.get(callee, {}))
            bad += ["%s: takes %s (%s) under %s" % (program.where(name, node[1]), lock, place, outer)
                    for lock, place in taken.items() for outer in held
                    if outer in order and lock in order and min(order[lock]) <= max(order[outer])]
    return bad


@check("ST.006.b", "each lock has one rank",
       ("src/runtime/reclaim.c", "hd_mutex_init(&reclaim->mutex, HD_RANK_reclaim)",
        "hd_mutex_init(&reclaim->mutex, reclaim->sources == NULL ? HD_RANK_reclaim : HD_RANK_leaf)"),
       ("src/runtime/callbacks.c", "    if (hd_mutex_init(&callbacks->mutex, HD_RANK_callbacks) != HD_OK) {",
        "    if (hd_mutex_init(&callbacks->mutex, HD_RANK_leaf) != HD_OK || hd_mutex_init(&callbacks->mutex, HD_RANK_callbacks) != HD_OK) {"))
def one_rank(program):
    found = ranks(program)
    locks = {"%s.%s" % (struct, field) for struct, members in program.structs.items() for field, kind in members if kind == "hd_mutex"}
    locks |= {name for name, variable in program.variables.items() if variable["type"] == "hd_mutex"}
    used = {lock for name, node in program.calls(LOCK) for lock in [object_of(node[3][0])]}
    return ["%s has %d ranks" % (lock, len(found.get(lock, ()))) for lock in sorted(locks & used) if len(found.get(lock, ())) != 1]


@check("ST.006.c", "a lock is taken and let go in functions of its own only",
       ("src/runtime/event.c", "    event_lock(event);\n    event_mark *before", "    hd_mutex_lock(&event->mutex);\n    event_mark *before"))
def own_functions(program):
    return ["%s: takes a lock within other work" % program.where(name, node[1]) for name, node in program.calls(LOCK, UNLOCK)
            if not program.functions[name]["file"].startswith("src/base/mutex") and program.effects.get(name) is None]


@check("ST.006.d", "every function leaves with the locks that it came with, on every path",
       (CALLBACKS, "    callbacks->reserved--;\n    callbacks_unlock(callbacks);", "    callbacks->reserved--;"),
       ("src/runtime/stream_cache.c", "        cache_unlock(cache);\n        return HD_BLOCK_NOT_FREED;", "        return HD_BLOCK_NOT_FREED;"))
def balanced(program):
    bad = []
    for name, function in program.functions.items():
        if program.effects.get(name) is None and function["body"] is not None and name not in (LOCK, UNLOCK):
            bad += ["%s: came with %s, leaves with %s" % (program.where(name, line), *(
                ", ".join(sorted(map(str, locks))) or "none" for locks in (function["entry"], state)))
                    for line, state in function.get("exits", ()) if state != function["entry"]]
    return bad


@check("ST.006.e", "whoever takes a lock in a file can let it go there: the two functions come in pairs",
       ("src/runtime/registry.c", "    hd_mutex_unlock(&registry_mutex);", "    registry_mutex.rank = HD_RANK_device;"))
def in_pairs(program):
    takes, lets = set(), set()
    for name, effect in program.effects.items():
        if effect is not None:
            takes |= {(program.functions[name]["file"], lock) for lock in effect[0]}
            lets |= {(program.functions[name]["file"], lock) for lock in effect[1]}
    return ["%s: %s is taken and never let go, or the other way round" % pair for pair in sorted(takes ^ lets)]


# ---- ST.008: nothing serializes globally by accident

STATIC_LOCKS = {"src/runtime/registry.c:registry_mutex", "src/base/once.c:once_mutex",
                "src/hal/sim/memory.c:mutex"}  # in tests: which addresses are whose


@check("ST.008.a", "the process has the locks that are listed, and no others",
       (ALLOCATOR, "#define LARGE_WASTE 3\n", "#define LARGE_WASTE 3\nstatic hd_mutex everything = HD_MUTEX_INITIALIZER(HD_RANK_leaf);\nhd_mutex *hd_everything(void);\nhd_mutex *hd_everything(void) { return &everything; }\n"))
def process_locks(program):
    found = {name for name, variable in program.variables.items()
             if variable["type"] in ("hd_mutex", "pthread_mutex_t", "pthread_rwlock_t", "pthread_spinlock_t")}
    return ["%s: a lock of the whole process" % name for name in sorted(found ^ STATIC_LOCKS)]


# What can be changed and belongs to the process, not to an object.
STATE = {
    "hd_handover_watched",                                                  # set before any thread, by a sanitizer's build
    "src/base/once.c:once_ended", "src/base/once.c:once_mutex",
    "src/base/process.c:ending", "src/base/process.c:hooks_once", "src/base/process.c:is_forked",
    "src/base/process.c:restart_child", "src/base/process.c:uses", "src/base/process.c:working",
    "src/base/thread.c:exit_key", "src/base/thread.c:exit_key_exists", "src/base/thread.c:exit_once",
    "src/graph/planning.c:plan_serial", "src/runtime/device.c:device_serial",  # counters that only give out names
    "src/hal/cpu/isa.c:chosen", "src/hal/cpu/vector_math.c:chosen",            # every thread chooses alike
    "src/runtime/block_table.c:removed",                                    # an address; nothing is kept in it
    "src/runtime/registry.c:open_devices", "src/runtime/registry.c:registry_mutex",
    "src/hal/cuda/backend.c:lost",                                          # a fault ends CUDA for the whole process
    "src/hal/cuda/memory.c:freed",                                          # how often memory of devices was freed
    "src/hal/cuda/driver.c:driver", "src/hal/cuda/driver.c:opened", "src/hal/cuda/driver.c:absence", # opened once
    # the simulated device, in tests: what they have set, and what is counted
    "hd_sim", "hd_sim_random#calls", "src/hal/sim/memory.c:mutex", "src/hal/sim/memory.c:pieces",
    # the program, before and behind its threads
    "src/cli/bench_alloc.c:run#bench", "src/cli/malloc_count.c:counters", "src/cli/malloc_count.c:next_counter",
    "src/cli/failure.c:printed", "src/cli/verify/child.c:inherited", "src/cli/verify/child.c:inherited_count",
    "src/cli/verify/child.c:interrupted_by", "src/cli/verify/child.c:mask_before", "src/cli/verify/child.c:watched",
}
FAULTS = "src/base/fault.c"  # in builds that let calls fail


@check("ST.008.b", "nothing of file scope, or static in a function, can be changed but what is listed",
       ("src/graph/rows.c", "#include", "static int proofs;\nint hd_count_proofs(void);\nint hd_count_proofs(void) { return ++proofs; }\n#include"),
       ("src/hal/cuda/graph.c", "struct hd_cuda_graph {", "static size_t made;\nsize_t hd_cuda_graphs(void);\nsize_t hd_cuda_graphs(void) { return ++made; }\nstruct hd_cuda_graph {"))
def mutable_state(program):
    return ["%s:%d: %s can be changed" % (variable["file"], variable["line"], short(name)) for name, variable in program.variables.items()
            if not variable["const"] and name not in STATE and not variable["thread"] and variable["defined"] and
            variable["file"] != FAULTS and str(variable["file"]).startswith("src/")]


@check("ST.008.c", "the device's one lock for recording is taken under the strategy `global` only",
       (SUBMISSION, "    if (submission->strategy == HD_SYNC_PER_ENCODER) {\n        record(work);",
        "    if (submission->strategy == HD_SYNC_PER_ENCODER) {\n        submission_lock(submission);\n        submission_unlock(submission);\n        record(work);"),
       (SUBMISSION, "        hd_status status = submission->strategy == HD_SYNC_GLOBAL\n                               ? try_global(submission, stream, work, record, &point)\n                               : hd_stream_try_submit(stream, work, &point);",
        "        hd_status status = try_global(submission, stream, work, record, &point);"))
def global_only(program):
    bad = ["%s: takes the device's lock" % program.where(name, node[1]) for name, node in program.calls("submission_lock")
           if short(name) != "try_global"]
    body = program.functions["hd_submission_submit"]["body"]
    chosen = [node for node in nodes(body) if node[0] == "cond" and has_call(node[3][1], "try_global") and
              has_ref(node[3][0], "HD_SYNC_GLOBAL") and not has_call(node[3][2], "try_global")]
    calls = [node for node in nodes(body) if is_call(node, "try_global")]
    return bad + ([] if len(chosen) == len(calls) == 1 else ["hd_submission_submit: every strategy takes the device's lock"])


LOCK_FREE = ("try_take", "hd_slot_pool_take_idle", "hd_timeline_reached", "hd_timeline_submit", "hd_future_look", "take_tile",
             "hd_memory_account_take", "hd_memory_account_give", "find_memo", "hd_block_table_find", "hd_stop_asked", "hd_clock_now")


@check("ST.008.d", "what a warm run goes through takes no lock",
       (LOOKUP, "    const hd_memo *memo = &run->model->memos[run->lane];\n    for",
        "    const hd_memo *memo = &run->model->memos[run->lane];\n    (void)hd_plan_cache_count(run->model->plans);\n    for"),
       (TIMELINE, "    bool reached = hd_load_seq_cst(&timeline->completed) >= point;",
        "    timeline_lock(timeline);\n    timeline_unlock(timeline);\n    bool reached = hd_load_seq_cst(&timeline->completed) >= point;"))
def lock_free(program):
    bad = []
    for wanted in LOCK_FREE:
        names = [name for name in program.functions if short(name) == wanted]
        bad += ["%s is gone" % wanted] if not names else []
        bad += ["%s takes %s (%s)" % (wanted, lock, place) for name in names for lock, place in program.locks[name].items()]
    return bad


# ---- ST.009: every wait is bounded or can be ended

@check("ST.009.a", "every wait on a condition stands in a loop that looks at what it waits for",
       (TIMELINE, "    while (!hd_timeline_reached(timeline, point)) {\n        if (!hd_condition_wait_until(&timeline->changed, &timeline->mutex, deadline)) {\n            status = hd_timeline_reached(timeline, point) ? HD_OK : HD_NOT_YET;\n            break;\n        }\n    }",
        "    if (!hd_condition_wait_until(&timeline->changed, &timeline->mutex, deadline)) {\n        status = hd_timeline_reached(timeline, point) ? HD_OK : HD_NOT_YET;\n    }"),
       ("src/cli/process.c", "    while (!start->gate->open) {", "    if (!start->gate->open) {"))
def waits_in_loops(program):
    known = {"sleep_until_work", "rest"}  # a worker's and the watcher's: their callers' loops look at all when they wake
    bad = []
    for name, function in program.functions.items():
        inside = {id(inner) for node in nodes(function["body"]) if node[0] in ("while", "for", "do") for inner in nodes(node)}
        bad += ["%s: sleeps once" % program.where(name, node[1]) for node in function["calls"]
                if node[2] in (WAIT, "pthread_cond_wait") and id(node) not in inside and short(name) not in known and
                not function["file"].startswith("src/base/")]
    return bad


# Waits without a limit: the function, and what ends it for good: who sets that also tells the condition.
ENDLESS = {
    "take_callback": "hd_callbacks.stopping", "take_ready": "hd_runners.stopping", "sleep_until_work": "hd_cpu_team.stopping",
    "hd_batch_queue_destroy": "hd_batch_queue.standing", "await_end": "hd_once.state", "sleep_until_number": None,
    # what is in flight lands, or the device is found lost
    "hd_device_watcher_reserve": "hd_flight_line.host_size", "hd_device_watcher_await": "hd_flight_line.begun",
    "watch": "hd_device_watcher.stopping",
    "take": "src/hal/sim/queue.c:hd_queue.ending",
}


@check("ST.009.b", "a wait without a limit is one of those listed, and looks at what ends it",
       (CALLBACKS, "    while (callbacks->first == NULL && !callbacks->stopping) {", "    while (callbacks->first == NULL) {"),
       (TIMELINE, "hd_condition_wait_until(&timeline->changed, &timeline->mutex, deadline)", "hd_condition_wait_until(&timeline->changed, &timeline->mutex, UINT64_MAX)"))
def endless(program):
    bad = []
    for name, function in program.functions.items():
        for node in function["calls"]:
            if node[2] != WAIT or function["file"].startswith("src/base/mutex") or not _is_constant(node[3][2]):
                continue
            if short(name) not in ENDLESS:
                bad += at(program, name, [node[1]], "waits for ever")
            elif ENDLESS[short(name)] is not None and not has_member(function["body"], ENDLESS[short(name)]):
                bad += at(program, name, [node[1]], "cannot be ended")
    return bad


def _is_constant(node):
    return not any(inner[0] in ("ref", "member", "call") for inner in nodes(node))


@check("ST.009.c", "what ends a wait without a limit is told where it is set",
       (CALLBACKS, "        callbacks->stopping = true;\n        hd_condition_signal(&callbacks->posted);", "        callbacks->stopping = true;"),
       (RUNNERS, "    queues->stopping = true;\n    hd_condition_broadcast(&queues->ready);", "    queues->stopping = true;"),
       (BATCH, "    queue->is_closed = true;", "    queue->is_closed = true;\n    if (queue->watching == 0) {\n        queue_unlock(queue);\n        return;\n    }"),
       (SIMULATED, "    hd_condition_broadcast(&dead->changed);\n", ""))
def ends_told(program):
    bad, tells = [], ("hd_condition_signal", "hd_condition_broadcast")
    for name, function in program.functions.items():
        for field in ("hd_callbacks.stopping", "hd_runners.stopping", "hd_device_watcher.stopping", "hd_batch_queue.is_closed",
                      "src/hal/sim/queue.c:hd_queue.ending"):
            def sets(node, field=field):
                return node[0] == "assign" and object_of(node[3][0]) == field
            if any(sets(node) for node in nodes(function["body"])):
                bad += at(program, name, program.follows(name, sets, lambda node: is_call(node, *tells)), "sets %s untold" % field)
    return bad


@check("ST.009.d", "a deadline is computed once, not anew after each wake-up",
       (TIMELINE, "    while (!hd_timeline_reached(timeline, point)) {\n        if (!hd_condition_wait_until(&timeline->changed, &timeline->mutex, deadline)) {",
        "    while (!hd_timeline_reached(timeline, point)) {\n        deadline = hd_clock_after_ms(1);\n        if (!hd_condition_wait_until(&timeline->changed, &timeline->mutex, deadline)) {"))
def one_deadline(program):
    bad = []
    for name, function in program.functions.items():
        for loop in nodes(function["body"]):
            if loop[0] in ("while", "for", "do") and any(node[2] == WAIT for node in nodes(loop) if node[0] == "call"):
                bad += ["%s: a deadline that moves" % program.where(name, node[1]) for node in nodes(loop)
                        if is_call(node, "hd_clock_after_ms")]
    return bad


@check("ST.009.e", "a public function's time limit goes through the one vocabulary of waits",
       ("src/runtime/event.c", "    timeout_ms = hd_wait_of_argument(timeout_ms);\n", ""))
def vocabulary(program):
    bad = []
    for name, declarations in sorted(program.declared.items()):
        function = program.functions.get(name)
        if function and any(one["file"].startswith("include/") for one in declarations):
            limits = [parameter for parameter, _ in function["params"] if parameter.endswith(("#timeout_ms", "#wait_ms"))]
            if limits and not has_call(function["body"], "hd_wait_of_argument", "hd_wait_of_option"):
                bad.append("%s:%d: %s reads %s as it is" % (function["file"], function["line"], name, limits[0].split("#")[1]))
    return bad


@check("ST.009.f", "a loop that spins counts its turns, or looks at work that it counts, and sleeps in the end; or it looks at the clock",
       (SIMULATED, "    while (hd_clock_now() < end) {", "    while (nanoseconds > 0) {"),
       (TEAM, "        if (++spins % SPINS_PER_YIELD != 0) {\n            hd_spin_pause();\n        } else if (spins / SPINS_PER_YIELD <= YIELDS_BEFORE_SLEEP) {\n            hd_thread_yield();\n        } else {\n            sleep_until_number(team, word, number);\n            return;\n        }",
        "        hd_spin_pause();"))
def spins_counted(program):
    bad = []
    for name, function in program.functions.items():
        if not str(function["file"]).startswith("src/"):
            continue
        for loop in nodes(function["body"]):
            if loop[0] in ("while", "for", "do") and has_call(loop, "hd_spin_pause", "hd_thread_yield") and \
                    not has_call(loop, "hd_clock_now") and not any(node[0] == "unary" and node[2] == "++" for node in nodes(loop)):
                bad += at(program, name, [loop[1]], "spins without an end")
    return bad


# The program sees the public headers only: its threads begin together, and what they measured may end together.
PROGRAM = {("src/cli/process.c", "pthread_mutex_lock"), ("src/cli/process.c", "pthread_cond_wait"),
           ("src/cli/process.c", "pthread_join"), ("src/cli/bench_alloc.c", "pthread_barrier_wait")}


@check("ST.009.g", "only src/base sleeps by the system's own means, and the program where it is listed",
       ("src/cli/measure.c", "    hd_exit_code code = hd_process_run_threads(count,",
        "    extern unsigned sleep(unsigned);\n    sleep(1);\n    hd_exit_code code = hd_process_run_threads(count,"),
       (TEAM, "            hd_thread_yield();", "            extern int sched_yield(void);\n            sched_yield();"))
def system_waits(program):
    raw = ("pthread_cond_wait", "pthread_cond_timedwait", "pthread_cond_clockwait", "pthread_join", "nanosleep", "clock_nanosleep",
           "usleep", "sleep", "sched_yield", "sem_wait", "poll", "select", "pthread_mutex_lock", "pthread_rwlock_rdlock",
           "pthread_rwlock_wrlock", "pthread_barrier_wait")
    return ["%s: %s" % (program.where(name, node[1]), node[2]) for name, node in program.calls(*raw)
            if node[2] in raw and not program.functions[name]["file"].startswith("src/base/") and
            (program.functions[name]["file"], node[2]) not in PROGRAM]


def has_write(node):
    return any(inner[0] == "assign" or (inner[0] == "unary" and inner[2] in ("++", "--")) or
               (inner[0] == "atomic" and inner[2][0] != "load") for inner in nodes(node))


@check("ST.009.h", "whoever tells a condition holds a lock, and has changed something: there, or where it was called from",
       (TIMELINE, "    timeline_lock(timeline);\n    hd_condition_broadcast(&timeline->changed);", "    hd_condition_broadcast(&timeline->changed);\n    timeline_lock(timeline);"),
       (BATCH, "    queue_lock(queue);\n    hd_batch_counts counts", "    queue_lock(queue);\n    hd_condition_broadcast(&queue->changed);\n    hd_batch_counts counts"))
def told_under_lock(program):
    callers = {}
    for name, function in program.functions.items():
        for node in function["calls"]:
            if isinstance(node[2], str) and not function["file"].startswith("src/cli/"):
                callers.setdefault(node[2], []).append((name, node))

    def under(name, node, depth=4):
        if program.held(name, node):
            return True
        above = callers.get(name, []) if program.functions[name]["static"] and depth > 0 else []
        return bool(above) and all(under(*one, depth - 1) for one in above)

    def changes(name, depth=2):
        return has_write(program.functions[name]["body"]) or (
            depth > 0 and any(changes(above, depth - 1) for above, _ in callers.get(name, ())))

    bad = []
    for name, node in program.calls("hd_condition_signal", "hd_condition_broadcast"):
        bad += at(program, name, [node[1]], "tells under no lock") if not under(name, node) else []
        bad += at(program, name, [node[1]], "tells of nothing") if not changes(name) else []
    return bad


# ---- ST.010: the parallel section is really parallel

@check("ST.010.a", "kernels run under no lock, along every call path",
       (RUN, "    return hd_plan_replay(&replay, plan, &run->memory, run->input_data, run->output_data);",
        "    hd_mutex_lock(&device->submission.mutex);\n    hd_status replayed = hd_plan_replay(&replay, plan, &run->memory, run->input_data, run->output_data);\n    hd_mutex_unlock(&device->submission.mutex);\n    return replayed;"),
       (TEAM, "    hd_stop_enter(job->stop);", "    hd_stop_enter(job->stop);\n    team_lock(team);\n    run_tiles(job->list, 0, 0, 1, scratch);\n    team_unlock(team);"))
def kernels_unlocked(program):
    if "kernels" not in program.memory:
        program.memory["kernels"] = program.reach(lambda _, node: "" if is_slot(node, "hd_kernel.run") else None)
    return under_locks(program, program.memory["kernels"])


@check("ST.010.b", "plans are made under no lock",
       (LOOKUP, "    status = hd_plan_create(&request, further, out_plan, run->error);",
        "    hd_mutex_lock(&run->model->device->submission.mutex);\n    status = hd_plan_create(&request, further, out_plan, run->error);\n    hd_mutex_unlock(&run->model->device->submission.mutex);"))
def plans_unlocked(program):
    return under_locks(program, {"hd_plan_create": {"": "a plan is made"}})


@check("ST.010.c", "each request is recorded by its own thread under no lock, unless the strategy is `global`",
       (SUBMISSION, "    if (submission->strategy == HD_SYNC_PER_ENCODER) {\n        record(work);\n    }",
        "    if (submission->strategy == HD_SYNC_PER_ENCODER) {\n        submission_lock(submission);\n        record(work);\n        submission_unlock(submission);\n    }"))
def recorded_unlocked(program):
    name = "hd_submission_submit"
    calls = [node for node in program.functions[name]["calls"] if is_slot(node, "hd_submission_submit#record")]
    return ["%s: records under a lock" % program.where(name, node[1]) for node in calls if program.held(name, node)] + \
        ([] if calls else ["%s: records nothing itself" % name])


@check("ST.010.d", "the rows of a batch are copied under no lock, and nothing of the graph's is called under a lock but what is listed",
       (PLANS, "            *out_plan = entry->plan;\n            break;", "            *out_plan = entry->plan;\n            extern size_t hd_model_input_count(const void *);\n            (void)hd_model_input_count(NULL);\n            break;"))
def no_graph_under_locks(program):
    listed = ("hd_batch_queue.hurries", "hd_plan_cache_functions.retain", "hd_plan_cache_functions.is_idle",
              "hd_reclaim_source.drop_lane", "hd_reclaim_source.drop_plans", "src/runtime/submission.c:try_global#record")
    bad = []
    for name, function in program.functions.items():
        for node in function["calls"]:
            if program.held(name, node) and not is_slot(node, *listed) and not is_slot(node, "hd_plan_cache_visit#visit"):
                bad += ["%s: %s under a lock" % (program.where(name, node[1]), short(callee)) for callee in program.callees(node, name)
                        if callee in program.functions and program.functions[callee]["file"].startswith(("src/graph/", "src/onnx/"))]
    return bad


@check("ST.010.e", "tiles go to threads by compare-and-swap, and a worker that computes counts as done what it did",
       (TEAM, "        if (hd_cas_weak_acquire(&job->ticket, &ticket, taken)) {", "        hd_store_relaxed(&job->ticket, taken);\n        if (taken != ticket) {"),
       (TEAM, "        tell_caller(team, hd_add_release(&job->done, 1));\n", ""))
def tiles_by_swap(program):
    take, help_ = program.named("take_tile", TEAM), program.named("help", TEAM)
    bad = [] if any(node[0] == "atomic" and node[2][0] == "cas" and object_of(node[3][0]) == "hd_cpu_job.ticket"
                    for node in nodes(program.functions[take]["body"])) else ["take_tile: two threads may take one tile"]
    bad += ["%s: stores a ticket" % program.where(take, node[1]) for node in nodes(program.functions[take]["body"])
            if node[0] == "atomic" and node[2][0] == "store"]
    return bad + ([] if any(node[0] == "atomic" and node[2][0] == "rmw" and object_of(node[3][0]) == "hd_cpu_job.done"
                            for node in nodes(program.functions[help_]["body"])) else ["help: computes uncounted"])


# ---- ST.012: what is done while something is encoded or submitted

@check("ST.012.a", "under the lock for recording nothing is done but to record and to submit",
       (SUBMISSION, "    record(work);\n    hd_status status = hd_stream_try_submit(stream, work, out_wait);\n    submission_unlock",
        "    record(work);\n    (void)hd_timeline_submitted(&stream->stream->timeline);\n    hd_status status = hd_stream_try_submit(stream, work, out_wait);\n    submission_unlock"))
def while_recording(program):
    name = program.named("try_global")
    return ["%s: %s under the lock for recording" % (program.where(name, node[1]), short(node[2])) for node in program.functions[name]["calls"]
            if program.held(name, node) and not is_call(node, "hd_stream_try_submit", "submission_unlock") and not is_slot(node, name + "#record")]


@check("ST.012.b", "under a hardware queue's lock nothing is done but to submit",
       (HARDWARE, "        self->submitted = *out_point;\n", "        self->submitted = self->unit->backend->queues->reached(self->queue);\n"))
def while_submitting(program):
    name = "hd_device_queue_submit"
    return ["%s: %s under the queue's lock" % (program.where(name, node[1]), short(node[2])) for node in program.functions[name]["calls"]
            if program.held(name, node) and not is_call(node, "hd_queue_enqueue", "queue_unlock", "hd_check_failed")]


@check("ST.012.c", "what records takes no lock, allocates nothing and waits for nothing",
       ("src/graph/model_async.c", "        memcpy(run->inputs, run->given,", "        (void)hd_alloc(1);\n        memcpy(run->inputs, run->given,"),
       ("src/graph/model_async.c", "        memcpy(run->inputs, run->given,", "        (void)hd_plan_cache_count(run->model->plans);\n        memcpy(run->inputs, run->given,"))
def recorders(program):
    if "allocates" not in program.memory:
        program.memory["allocates"] = program.reach(leaf_of(ALLOCATES))
    bad, found = [], program.slots.get("%s#record" % program.named("try_global"), set())
    for name in sorted(found):
        for what, reached in (("takes a lock", program.locks), ("allocates", program.memory["allocates"]), ("waits", program.waits)):
            bad += ["%s %s (%s)" % (short(name), what, place) for place in reached.get(name, {}).values()]
    return bad + ([] if found else ["nothing records"])


@check("ST.012.d", "a backend's submit is called under its queue's lock, where lanes share it",
       (HARDWARE, "    queue_lock(self);\n    hd_status status = hd_queue_enqueue(self->unit, self->queue, launch, out_point);",
        "    hd_status status = hd_queue_enqueue(self->unit, self->queue, launch, out_point);\n    queue_lock(self);"))
def submitted_locked(program):
    return ["%s: two threads may be in it" % program.where(name, node[1]) for name, node in program.calls("hd_queue_enqueue")
            if not program.held(name, node)]


@check("ST.012.e", "a point of a hardware queue is waited for behind its lock",
       (HARDWARE, "        self->submitted = *out_point;\n", "        self->submitted = *out_point;\n        (void)hd_device_queue_wait(self, *out_point);\n"))
def waited_unlocked(program):
    return ["%s: waits for a device under a lock" % program.where(name, node[1])
            for name, node in program.calls("hd_queue_wait_until", "hd_device_queue_wait", "hd_queue_destroy") if program.held(name, node)]


@check("ST.012.f", "command lists are recorded under no lock",
       (HARDWARE, "        self->submitted = *out_point;\n", "        self->submitted = *out_point;\n        (void)self->unit->backend->lists->record(self->unit, NULL, NULL, NULL);\n"))
def lists_unlocked(program):
    reached = program.reach(lambda _, node: "" if is_slot(node, "hd_list_table.record") else None)
    bad = under_locks(program, reached)
    return bad + ["%s: records a list under a lock" % program.where(name, node[1]) for name, function in program.functions.items()
                  for node in function["calls"] if is_slot(node, "hd_list_table.record") and program.held(name, node)]

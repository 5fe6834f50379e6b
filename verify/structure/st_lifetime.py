"""ST.001 use after shutdown, ST.003 events and what callbacks capture, ST.005 command lists and lanes, ST.007 callbacks,
ST.014 what belongs to a thread."""
from checks import after, at, check
from program import has_call, has_member, has_ref, is_call, is_slot, nodes, object_of, short

DEVICE, EVENT, STREAM = "src/runtime/device.c", "src/runtime/event.c", "src/runtime/stream.c"
POOL, FUTURE, CALLBACKS = "src/runtime/slot_pool.c", "src/runtime/future.c", "src/runtime/callbacks.c"
RUNNERS, REGISTRY, RUN = "src/runtime/runners.c", "src/runtime/registry.c", "src/graph/model_run.c"
GUARDS = ("hd_thread_is_forked", "hd_process_is_forked", "hd_device_check_open", "hd_device_find_stream", "hd_device_lease",
          "refuse_device")
MAKES = "hd_model_make"  # what public functions hand all on to; it is held to the same


def public(program):
    """Public functions and the type of what they are called for."""
    return [(name, program.functions[name]["params"][0][1]) for name, declarations in program.declared.items()
            if any(one["file"].startswith("include/heddle/") for one in declarations) and name in program.functions and
            program.functions[name]["params"]]


def loads(field):
    return lambda node: node[0] == "atomic" and node[2][0] == "load" and object_of(node[3][0]) == field


def writes(node, *fields):
    """A plain write to one of the members."""
    return node[0] == "assign" and object_of(node[3][0]) in fields


def refused(condition, taken, state):
    """What an earlier check has refused goes no further, and needs no guard any more."""
    if condition[0] == "op" and condition[2] in ("==", "!=") and has_ref(condition, "HD_OK") and has_ref(condition, "status"):
        return state or (condition[2] == "==") != taken
    return state


# ---- ST.001: use after shutdown is refused

@check("ST.001.a", "a public function of a device, stream or event takes no lock and waits for nothing before it has asked "
       "whether it may (forked, shut down)",
       ("src/runtime/stream_api.c", "    hd_status status = hd_device_check_open(device, error);\n", "    hd_status status = HD_OK;\n"),
       (EVENT, "    if (hd_thread_is_forked()) {\n        return; /*", "    if (event == NULL) {\n        return; /*"))
def guarded_entry(program):
    bad = []
    for name, kind in [*public(program), (MAKES, "hd_device *")]:
        if not any(of in kind for of in ("hd_device *", "hd_event *", "hd_future *")):
            continue
        lines = program.precedes(
            name, lambda node: is_call(node, *GUARDS),
            lambda node: node[0] == "call" and not is_call(node, *GUARDS, MAKES) and any(
                program.locks.get(callee) or program.waits.get(callee) for callee in program.callees(node, name)),
            branch=refused)
        bad += at(program, name, lines, "is reached before a guard")
    return bad


@check("ST.001.b", "each guard asks whether the process was forked",
       (DEVICE, "    if (hd_thread_is_forked()) {\n        return hd_fail(error, HD_FORKED, \"the process was forked while a device was open\");\n"
        "    }\n    return hd_slot_pool_is_closed", "    return hd_slot_pool_is_closed"))
def guards_ask(program):
    return ["%s: %s does not ask" % (program.functions[name]["file"], name) for name in map(program.named, GUARDS[2:])
            if not has_call(program.functions[name]["body"], "hd_thread_is_forked")]


@check("ST.001.c", "a slot is not handed over before a look at `closed` that comes behind taking it",
       (POOL, "    if (hd_load_seq_cst(&pool->closed)) {\n        hd_slot_pool_return(pool, slot);",
        "    if (slot == HD_SLOT_NONE) {\n        hd_slot_pool_return(pool, slot);"))
def closed_second_look(program):
    name = program.named("lease", POOL)
    return at(program, name, program.precedes(
        name, loads("hd_slot_pool.closed"),
        lambda node: node[0] == "assign" and has_ref(node[3][0], "out_slot") and has_ref(node[3][1], "slot"),
        lambda node: is_call(node, "try_take", "lease_slowly")), "gives a slot of a closed pool away")


@check("ST.001.d", "nothing is taken from the pool before a first look at `closed`",
       (POOL, "    *out_slot = HD_SLOT_NONE;\n    if (hd_load_seq_cst(&pool->closed)) {\n        return HD_CLOSED;\n    }\n",
        "    *out_slot = HD_SLOT_NONE;\n"))
def closed_first_look(program):
    name = program.named("lease", POOL)
    return at(program, name, program.precedes(name, loads("hd_slot_pool.closed"), lambda node: is_call(node, "try_take")),
              "takes without a look")


@check("ST.001.e", "work gets a point of a stream only behind a check of the handle",
       (STREAM, "    hd_status status = check_owner(stream, ref->generation);\n    if (status == HD_OK) {\n        uint64_t next",
        "    hd_status status = HD_OK;\n    if (status == HD_OK) {\n        uint64_t next"))
def handle_checked(program):
    name = program.named("hd_stream_try_submit")
    return at(program, name, program.precedes(name, lambda node: is_call(node, "check_owner"),
                                              lambda node: is_call(node, "hd_timeline_submit", "hd_runners_submit")),
              "submits with any handle")


@check("ST.001.f", "what runs at a thread's end reaches devices through the registry only",
       (DEVICE, "        hd_registry_forget_slot(remembered.serial, remembered.slot);",
        "        hd_slot_pool_forget((hd_slot_pool *)remembered.serial, remembered.slot);"))
def exit_by_registry(program):
    bad = []
    for caller, node in program.calls("hd_thread_call_at_exit"):
        for name in [inner[2] for inner in nodes(node) if inner[0] == "ref" and inner[2] in program.functions]:
            bad += ["%s: %s at a thread's end" % (program.where(name, call[1]), short(call[2]))
                    for call in program.functions[name]["calls"]
                    if not is_call(call, "hd_thread_is_forked", "hd_registry_forget_slot", "hd_thread_hold_cancelling",
                                   "hd_thread_restore_cancelling", "pthread_setspecific", "hd_process_is_forked")]
    return bad


@check("ST.001.g", "the registry touches a device's slots only under its lock and for the serial that it was asked for",
       (REGISTRY, "        if (entry->serial == serial) {", "        if (entry->slots != NULL) {"),
       (REGISTRY, "void hd_registry_forget_slot(uint64_t serial, uint32_t slot)\n{\n    registry_lock();",
        "void hd_registry_forget_slot(uint64_t serial, uint32_t slot)\n{\n    registry_lock();\n    registry_unlock();"))
def registry_by_serial(program):
    name = program.named("hd_registry_forget_slot")
    body = program.functions[name]["body"]
    touches = [node for node in program.functions[name]["calls"] if is_call(node, "hd_slot_pool_forget")]
    bad = [] if touches else ["%s forgets nothing" % name]
    for node in touches:
        if not program.held(name, node):
            bad += at(program, name, [node[1]], "touches a device that may end meanwhile")
    tests = [node for node in nodes(body) if node[0] == "if" and has_call(node, "hd_slot_pool_forget")]
    if not any(inner[0] == "op" and inner[2] == "==" and has_member(inner, "hd_registry_entry.serial") and has_ref(inner, "serial")
               for test in tests for inner in nodes(test[3][0])):
        bad.append("%s: any device's slot is forgotten" % name)
    return bad


@check("ST.001.h", "a shutdown refuses newcomers before it closes streams and waits",
       (DEVICE, "    hd_slot_pool_refuse(&device->slots);\n", ""))
def refuse_first(program):
    name = "hd_device_shutdown"
    return at(program, name, program.precedes(name, lambda node: is_call(node, "hd_slot_pool_refuse"),
                                              lambda node: is_call(node, "hd_stream_close", "hd_slot_pool_close")),
              "comes before newcomers are refused")


@check("ST.001.i", "a device that ends leaves the registry before its first part is destroyed",
       (DEVICE, "    hd_registry_remove(&dead->registry_entry);\n", ""))
def unlisted_first(program):
    name = "hd_device_destroy"
    return at(program, name, program.precedes(
        name, lambda node: is_call(node, "hd_registry_remove"),
        lambda node: node[0] == "call" and short(node[2]).endswith(("_destroy", "hd_free", "close_units", "destroy_streams"))),
        "destroys what a thread's end may still find")


# ---- ST.003: events, and what callbacks capture

@check("ST.003.a", "a mark, a barrier or an event that keeps a device has retained it in the same function",
       (EVENT, "    barrier->device = event->device;\n    hd_device_retain(event->device);\n", "    barrier->device = event->device;\n"))
def device_retained(program):
    fields = ("event_mark.device", "event_barrier.device", "hd_event.device")
    return ["%s: a device is kept and not retained" % program.where(name, node[1])
            for name, function in program.functions.items() if function["file"] == EVENT
            for node in nodes(function["body"]) if writes(node, *fields) and not has_call(function["body"], "hd_device_retain")]


@check("ST.003.b", "a reference count goes down with acquire and release, and what it counted is freed by the last one only",
       (EVENT, "hd_sub_acq_rel(&mark->reference_count, 1) == 1", "hd_sub_release(&mark->reference_count, 1) == 1"),
       (EVENT, "hd_sub_acq_rel(&mark->reference_count, 1) == 1", "hd_sub_acq_rel(&mark->reference_count, 1) >= 1"))
def counts_down(program):
    bad = []
    for name, function in program.functions.items():
        compared = {id(part) for node in nodes(function["body"]) if node[0] == "op" and node[2] in ("==", "!=")
                    for side in node[3] for part in nodes(side)
                    if any(other[0] == "number" and other[2] == 1 for other in node[3])}
        downs = []
        for node in nodes(function["body"]):
            if node[0] == "atomic" and node[2][0] == "rmw" and str(object_of(node[3][0])).endswith(".reference_count"):
                macros = program.macros.get(function["file"], {}).get(node[1], [])
                if any(macro.startswith("hd_sub") for macro in macros):
                    downs.append(node)
        bad += ["%s: a reference is given back with %s" % (program.where(name, node[1]), node[2][1])
                for node in downs if node[2][1] != "memory_order_acq_rel"]
        bad += ["%s: whoever gives a reference back frees" % program.where(name, node[1])
                for node in downs if id(node) not in compared]
    return bad


@check("ST.003.c", "an event's mark is freed before the device's reference goes, and the device is read before",
       (EVENT, "        hd_free(mark);\n        hd_device_destroy(&device);\n    }\n}", "        hd_device_destroy(&device);\n        hd_free(mark);\n    }\n}"))
def device_goes_last(program):
    bad = []
    for name, function in program.functions.items():
        if function["file"] == EVENT and has_call(function["body"], "hd_free"):
            bad += at(program, name, after(program, name, lambda node: is_call(node, "hd_device_destroy"),
                                           lambda node: is_call(node, "hd_free", "release_mark")),
                      "comes behind the device's reference")
    return bad


@check("ST.003.d", "who resumes a stream, completes its work or gives the last owner back touches nothing of that behind it",
       (EVENT, "    hd_runners_resume(stream->runners, stream->queue_number);\n}",
        "    hd_runners_resume(stream->runners, stream->queue_number);\n    (void)barrier->mark->device;\n}"),
       (FUTURE, "    home->release(home->owner); /* last", "    home->release(home->owner);\n    (void)home->callbacks; /* last"))
def nothing_behind(program):
    bad = []
    for name, is_last in ((program.named("resume_barrier"), lambda node: is_call(node, "hd_runners_resume")),
                          (program.named("run_callback", FUTURE), lambda node: is_slot(node, "hd_future_home.release"))):
        function = program.functions[name]
        bad += at(program, name, after(program, name, is_last, lambda node: node[0] in ("member", "call", "atomic")),
                  "is touched behind what may end it")
        if not any(is_last(node) for node in function["calls"]):
            bad.append("%s does not end so" % name)
    return bad


@check("ST.003.e", "a future that calls back keeps its home before anybody else can see it",
       (FUTURE, "        home->retain(home->owner);\n", ""))
def home_retained(program):
    name = "hd_future_create_with_room"
    body = program.functions[name]["body"]
    sets = [node for node in nodes(body) if node[0] == "if" and any(
        writes(inner, "hd_future.function") for inner in nodes(node))]
    return [] if sets and all(any(is_slot(inner, "hd_future_home.retain") for inner in nodes(node)) for node in sets) else \
        ["%s: the home of a callback is not kept" % name]


@check("ST.003.f", "a run keeps its model, and an asynchronous one its device, before it is handed over or waits",
       (RUN, "    hd_add_relaxed(&model->reference_count, 1);\n", ""),
       ("src/graph/model_async.c", "    hd_device_retain(device);\n", ""))
def run_keeps(program):
    def retains(node):
        return node[0] == "atomic" and node[2][0] == "rmw" and object_of(node[3][0]) == "hd_model.reference_count"
    bad = at(program, "hd_model_run_until", program.precedes(
        "hd_model_run_until", retains, lambda node: is_call(node, "hd_device_lease")), "waits with a model that may end")
    bad += at(program, "hd_model_run_async", program.precedes(
        "hd_model_run_async", retains, lambda node: is_call(node, "hd_device_submit")), "hands a model over that may end")
    return bad + at(program, "hd_model_run_async", program.precedes(
        "hd_model_run_async", lambda node: is_call(node, "hd_device_retain"),
        lambda node: is_call(node, "hd_device_submit")), "submits to a device that may end")


# ---- ST.005: command lists ("encoders") and the lanes that own them

@check("ST.005.a", "command lists are recorded where a lane's plan is replayed, and nowhere else",
       (RUN, "    double work_left = plan->work_left;\n",
        "    double work_left = plan->work_left;\n    (void)device->unit->backend->lists->record(device->unit, NULL, NULL, NULL);\n"))
def recorded_in_one_place(program):
    return ["%s: records a list" % program.where(name, node[1]) for name, function in program.functions.items()
            for node in function["calls"] if is_slot(node, "hd_list_table.record") and
            function["file"] not in ("src/graph/plan_replay.c", "src/hal/cpu/evaluate.c")]


@check("ST.005.b", "a file that records lists also destroys them",
       ("src/graph/plan_replay.c", "lists->destroy(", "lists->record == NULL ? (void)0 : (void)("))
def recorded_and_destroyed(program):
    records, destroys = set(), set()
    for name, function in program.functions.items():
        records |= {function["file"] for node in function["calls"] if is_slot(node, "hd_list_table.record")}
        destroys |= {function["file"] for node in function["calls"] if is_slot(node, "hd_list_table.destroy")}
    return ["%s records lists that nobody there destroys" % file for file in sorted(records - destroys)] + \
        ([] if records else ["nobody records a list"])


@check("ST.005.c", "a lane's workspace is reached by the run that has the lane, by what clears idle lanes, and by the device's end",
       ("src/runtime/device.c", "    const hd_memory_account *account = &device->memory;\n",
        "    const hd_memory_account *account = &device->memory;\n    (void)device->workspaces[0].generation;\n"))
def lane_owned(program):
    known = {"run_on_lane", "hd_device_destroy", "init_parts", "clear_lane", "workspace_of"}  # the last: the watcher's own lane
    return ["%s: reaches into lanes" % program.where(name, node[1]) for name, function in program.functions.items()
            for node in nodes(function["body"]) if node[0] == "member" and
            node[2] in ("hd_device.workspaces", "hd_reclaim.workspaces", "hd_device_watcher.workspaces") and short(name) not in known]


@check("ST.005.d", "a runner's lane is entered before it is used and left on every way out",
       (RUN, "        hd_reclaim_leave(reclaim, lane);", "        (void)reclaim;"),
       (RUN, "        hd_reclaim_enter(reclaim, lane);", "        (void)reclaim;"))
def lane_entered(program):
    name = program.named("run_on_lane", RUN)
    calls = [short(node[2]) for node in program.functions[name]["calls"]]
    bad = ["%s: the lane is not %s" % (short(name), what) for call, what in (("hd_reclaim_enter", "entered"), ("hd_reclaim_leave", "left"))
           if call not in calls]
    return bad + ([] if bad or _branches_alike(program, name) else ["%s: enters under another test than it leaves" % short(name)]) + \
        at(program, name, program.precedes(name, lambda node: is_call(node, "hd_reclaim_enter"), lambda node: is_call(node, "attempt"),
                                           branch=_not_its), "computes on a lane that was not entered")


def _not_its(condition, taken, state):
    """A lane that is not a runner's needs no entering."""
    return state or not taken if condition[0] == "ref" and short(condition[2]).endswith("#is_runners") else state


def _branches_alike(program, name):
    """The tests around entering and leaving are the same expression."""
    tests = [node[3][0] for node in nodes(program.functions[name]["body"]) if node[0] == "if" and (
        has_call(node[3][1], "hd_reclaim_enter") or has_call(node[3][1], "hd_reclaim_leave"))]

    def text(node):
        return (node[0], node[2], tuple(text(child) for child in node[3]))

    return len(tests) == 2 and text(tests[0]) == text(tests[1])


@check("ST.005.e", "a leased stream is given back on every way out of a run",
       (RUN, "    hd_device_return(device, &lease);", "    (void)device;"))
def lease_returned(program):
    bad = []
    for name, node in program.calls("hd_device_lease"):
        bad += at(program, name, program.follows(
            name, lambda node: is_call(node, "hd_device_lease"), lambda node: is_call(node, "hd_device_return"),
            status_branch), "returns with a stream leased")
    return bad


def status_branch(condition, taken, state):
    """On the side of a test of a status where it is no HD_OK, what was asked for was not got."""
    if condition[0] == "op" and condition[2] in ("==", "!=") and has_ref(condition, "HD_OK") and (
            has_ref(condition[3][0], "status") or has_call(condition[3][0], "hd_device_lease")):
        return state if (condition[2] == "==") == taken else False
    return state


@check("ST.005.f", "a list that was recorded for an arena is not taken for one of the next: clearing or moving one counts its generation up",
       ("src/runtime/workspace.c", "    workspace->generation++;\n", ""),
       ("src/runtime/workspace.c", ".generation = workspace->generation + 1", ".generation = workspace->generation"))
def generation_counts(program):
    reserve, clear = program.functions["hd_workspace_reserve_arena"]["body"], program.functions["hd_workspace_clear"]["body"]
    bad = []
    if not any(node[0] == "unary" and node[2] == "++" and has_member(node, "hd_workspace.generation") for node in nodes(reserve)):
        bad.append("hd_workspace_reserve_arena: an arena moves unseen")
    if not any(node[0] == "set" and node[2] == "hd_workspace.generation" and any(
            inner[0] == "op" and inner[2] == "+" for inner in nodes(node)) for node in nodes(clear)):
        bad.append("hd_workspace_clear: an arena goes unseen")
    return bad


# ---- ST.007: callbacks

CALLS_BACK = ("hd_future.function", "hd_callback.run", "hd_timeline_watch.reached", "hd_work.run", "hd_plan_cache_functions.release",
              "hd_future_home.release", "hd_once_start#start", "hd_flight.land", "hd_flight.finish")


# Threads of a device, and what they call that may end it.
MAY_END = (("run_callbacks", lambda node: is_slot(node, "hd_callback.run")), ("run_queue", lambda node: is_slot(node, "hd_work.run")),
           ("watch", lambda node: is_call(node, "end_flight")))
WATCHER = "src/runtime/device_watcher.c"


@check("ST.007.a", "every callback is invoked with no lock held",
       ("src/runtime/timeline.c", "        timeline_unlock(timeline);\n        watch->reached(watch);\n        timeline_lock(timeline);",
        "        watch->reached(watch);"),
       (RUNNERS, "        queue_unlock(queue);\n        hd_process_begin_work();", "        hd_process_begin_work();"))
def callbacks_unlocked(program):
    bad = []
    for name, function in program.functions.items():
        bad += ["%s: a callback under %s" % (program.where(name, node[1]), ", ".join(map(str, program.held(name, node))))
                for node in function["calls"] if is_slot(node, *CALLS_BACK) and program.held(name, node)]
    return bad


@check("ST.007.b", "a caller's function is called on the device's callback thread only",
       (FUTURE, "    note_deadline(future, true);\n    return decide(future, HD_CANCELLED, true);",
        "    note_deadline(future, true);\n    future->function(future->context, HD_CANCELLED, NULL);\n    return decide(future, HD_CANCELLED, true);"))
def on_callback_thread(program):
    allowed = program.slots.get("hd_callback.run", set())
    bad = ["%s: a caller's function is called" % program.where(name, node[1]) for name, function in program.functions.items()
           for node in function["calls"] if is_slot(node, "hd_future.function") and name not in allowed]
    bad += ["%s: runs callbacks" % program.where(name, node[1]) for name, function in program.functions.items()
            for node in function["calls"] if is_slot(node, "hd_callback.run") and short(name) != "run_callbacks"]
    return bad + ([] if allowed else ["nothing is a callback"])


@check("ST.007.c", "a shutdown asked for by a callback is refused before anything is closed",
       (DEVICE, "    if (hd_callbacks_is_current(&device->callbacks)) {", "    if (device->serial == 0) {"))
def busy_from_callback(program):
    name = "hd_device_shutdown"
    return at(program, name, program.precedes(
        name, lambda node: is_call(node, "hd_callbacks_is_current"),
        lambda node: is_call(node, "hd_slot_pool_refuse", "hd_stream_close", "hd_slot_pool_close", "hd_runners_drain")),
        "a callback waits for itself")


@check("ST.007.d", "no thread of a device joins itself: each join of one that runs callbacks or work stands behind a look at who is calling",
       (CALLBACKS, "    if (hd_callbacks_is_current(callbacks)) {\n        HD_CHECK", "    if (callbacks->gone == NULL) {\n        HD_CHECK"),
       (RUNNERS, "        if (hd_thread_is_current(&runner->thread)) {", "        if (runner->gone == NULL) {"))
def no_self_join(program):
    bad = []
    for name, node in program.calls("hd_thread_join"):
        if program.functions[name]["file"] in (RUNNERS, CALLBACKS, WATCHER):
            bad += at(program, name, program.precedes(
                name, lambda node: is_call(node, "hd_thread_is_current", "hd_callbacks_is_current"),
                lambda node: is_call(node, "hd_thread_join")), "may join itself")
    return bad


@check("ST.007.e", "behind a callback or a piece of work, which may have ended the device, nothing is touched before a look at `gone`",
       (CALLBACKS, "        if (*gone) {\n            return; /* it ended the device, and *callbacks with it */\n        }\n", ""),
       (RUNNERS, "        if (*gone) {\n            return;\n        }\n        queue_lock(queue);", "        queue_lock(queue);"),
       (WATCHER, "            if (*gone) {\n                return;\n            }\n            moved", "            moved"))
def gone_first(program):
    bad = []
    for name, runs in MAY_END:
        name = program.named(name)
        first = min((node[1] for node in program.functions[name]["calls"] if runs(node)), default=0)
        bad += at(program, name, program.precedes(
            name, lambda node: node[0] == "unary" and node[2] == "*" and has_ref(node, "gone"),
            lambda node, first=first: node[1] > first and node[0] == "call" and bool(program.effect(node)[0]), runs),
            "touches what may be gone") + ([] if first else ["%s runs nothing" % short(name)])
    return bad


@check("ST.007.f", "a place for a callback that is not used is given back",
       (FUTURE, "fail_callback:\n    if (calls_back) {\n        hd_callbacks_cancel(home->callbacks);\n    }\n", "fail_callback:\n"),
       (FUTURE, "        hd_callbacks_cancel(home->callbacks);\n        home->release(home->owner);", "        home->release(home->owner);"))
def reservation_cancelled(program):
    bad = []
    for name in ("hd_future_create_with_room", "hd_future_discard"):
        if not has_call(program.functions[name]["body"], "hd_callbacks_cancel"):
            bad.append("%s: keeps the place of a callback that will not come" % name)
    return bad


# ---- ST.014: what belongs to a thread

THREAD_LOCAL = {"src/runtime/device.c:remembered", "src/base/thread.c:is_detached", "src/base/mutex.c:held_ranks",
                "src/base/memory.c:current", "src/base/stop.c:current", "src/base/process.c:is_working",
                "src/hal/cuda/memory.c:held", "src/hal/cuda/memory.c:next_held"}


@check("ST.014.a", "a thread's own state is what is listed, and nothing else",
       ("src/base/clock.c", "#include", "static _Thread_local int last_look;\nint hd_last_look(void);\nint hd_last_look(void) { return last_look++; }\n#include"))
def thread_locals(program):
    found = {name for name, variable in program.variables.items() if variable["thread"] and not name.startswith("src/cli/")}
    return ["%s: a thread's own, and not listed" % name for name in sorted(found - THREAD_LOCAL)] + \
        ["%s: listed, and not there" % name for name in sorted(THREAD_LOCAL - found)]


@check("ST.014.b", "a thread's own state is static: no other file reaches it",
       ("src/base/stop.c", "static _Thread_local const hd_stop *current;", "_Thread_local const hd_stop *current;"))
def thread_locals_static(program):
    return ["%s can be reached from elsewhere" % name for name, variable in program.variables.items()
            if variable["thread"] and ":" not in name]


def paired(program, opens, closes, opening=None, closing=None):
    bad = []
    for name, function in program.functions.items():
        if function["calls"] and any(is_call(node, opens) for node in function["calls"]) and short(name) != opens:
            bad += at(program, name, program.follows(
                name, opening or (lambda node: is_call(node, opens)), closing or (lambda node: is_call(node, closes))),
                "leaves without %s" % closes)
    return bad


@check("ST.014.c", "the float environment of a run is left on every way out of a function that entered it",
       (RUN, "    hd_float_environment_leave(&saved);\n", ""))
def float_environment(program):
    return paired(program, "hd_float_environment_enter", "hd_float_environment_leave")


@check("ST.014.d", "a scope that counts memory is left on every way out of a function that entered it",
       ("src/graph/run_plan.c", "    hd_memory_scope_leave(&scope);\n    if (status == HD_CANCELLED", "    if (status == HD_CANCELLED"))
def memory_scope(program):
    return [text for text in paired(program, "hd_memory_scope_enter", "hd_memory_scope_leave")
            if "plan_replay.c" not in text]  # enter and leave are functions of their own there


@check("ST.014.e", "what may stop a thread's work is forgotten on every way out",
       ("src/hal/cpu/team.c", "    hd_stop_enter(NULL);\n    return worked;", "    return worked;"))
def stop_left(program):
    def forgets(node):
        return is_call(node, "hd_stop_enter") and node[3][0][0] in ("number", "other") and not has_ref(node, "stop")
    bad = []
    for name, function in program.functions.items():
        calls = [node for node in function["calls"] if is_call(node, "hd_stop_enter")]
        if calls and not any(forgets(node) for node in calls):
            bad.append("%s: enters a stop and never leaves it" % program.where(name, calls[0][1]))
    return bad


@check("ST.014.f", "work and callbacks run between the marks that tell a fork of them",
       (RUNNERS, "        hd_process_end_work();\n", ""),
       (CALLBACKS, "        hd_process_begin_work();\n", ""))
def marked_work(program):
    bad = paired(program, "hd_process_begin_work", "hd_process_end_work")
    for name, runs in MAY_END:
        name = program.named(name)
        bad += at(program, name, program.precedes(name, lambda node: is_call(node, "hd_process_begin_work"), runs), "runs unmarked")
    return bad


@check("ST.014.g", "a remembered slot is used only for the device whose serial it was remembered with",
       (DEVICE, "remembered.serial == device->serial ? remembered.slot : HD_SLOT_NONE", "remembered.slot"))
def remembered_by_serial(program):
    bad, known = [], {"forget_slot", "remember_slot"}
    for name, function in program.functions.items():
        if function["file"] != DEVICE or short(name) in known:
            continue
        for node in nodes(function["body"]):
            if node[0] == "decl" and node[3] and has_ref(node, "remembered"):
                value = node[3][0]
                if value[0] != "cond" or not (has_member(value[3][0], "hd_device.serial") and has_ref(value[3][0], "remembered")):
                    bad += at(program, name, [node[1]], "takes another device's slot for its own")
    return bad


@check("ST.014.h", "a thread that ends is told again if it uses the library again: the destructor clears its mark first",
       (DEVICE, "    remembered.told_at_exit = false;\n    if", "    if"))
def told_again(program):
    name = program.named("forget_slot")
    return at(program, name, program.precedes(
        name, lambda node: node[0] == "assign" and str(object_of(node[3][0])).endswith(".told_at_exit"),
        lambda node: is_call(node, "hd_registry_forget_slot")), "is not told again") + \
        ([] if has_call(program.functions[name]["body"], "hd_registry_forget_slot") else ["forget_slot forgets nothing"])

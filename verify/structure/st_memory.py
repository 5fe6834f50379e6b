"""ST.002 second looks, ST.011 memory that a second stream uses, ST.013 the slot pool, and atomics."""
from checks import at, check
from program import WAIT, has_call, has_member, has_ref, is_call, nodes, object_of, short

ALLOCATOR, CACHE, PLANS = "src/runtime/allocator.c", "src/runtime/stream_cache.c", "src/runtime/plan_cache.c"
POOL, RECORDS, ACQUIRE = "src/runtime/slot_pool.c", "src/runtime/block_records.c", "src/runtime/stream_api.c"


def atomic(shape, *fields):
    return lambda node: node[0] == "atomic" and node[2][0] in shape and object_of(node[3][0]) in fields


def loops_with(function, inside):
    return [node for node in nodes(function["body"]) if node[0] in ("while", "for", "do") and any(inside(n) for n in nodes(node))]


# ---- ST.002: what was seen before a lock was let go is looked at again

@check("ST.002.a", "who was without the allocator's lock tries to take a block once more before it waits",
       (ALLOCATOR, "        *out_memory = take(allocator, stream, rounded, !missed);\n        if (*out_memory == NULL && !seeks) {",
        "        *out_memory = NULL;\n        if (*out_memory == NULL && !seeks) {"))
def looks_again(program):
    name = program.named("allocate_slowly")
    return at(program, name, program.precedes(name, lambda node: is_call(node, "take"), lambda node: is_call(node, "wait_for_progress"),
                                              lambda node: is_call(node, "allocator_lock")), "waits without another look")


@check("ST.002.b", "a wait for progress compares it with what was seen before, under the lock that it took again",
       (ALLOCATOR, "while (allocator->progress == progress && (in_flight", "while ((in_flight"))
def progress_compared(program):
    name = program.named("wait_for_progress")
    for loop in loops_with(program.functions[name], lambda node: is_call(node, WAIT)):
        if not any(node[0] == "op" and has_member(node, "hd_allocator.progress") and has_ref(node, "progress") for node in nodes(loop[3][0])):
            return at(program, name, [loop[1]], "waits though something came meanwhile")
    return []


@check("ST.002.c", "a block that was found without a lock is checked under its stream's lock before it is changed",
       (CACHE, "    if (!is_in_use(cache, block, memory)) {", "    if (block == NULL) {"),
       (CACHE, "    bool in_use = is_in_use(cache, block, memory);", "    bool in_use = memory != NULL;"))
def block_checked(program):
    bad = []
    for name in ("hd_stream_cache_free", "hd_stream_cache_record"):
        bad += at(program, name, program.precedes(
            name, lambda node: is_call(node, "is_in_use"),
            lambda node: is_call(node, "hd_block_records_add", "hd_block_set", "enlist") or
            (node[0] == "assign" and str(object_of(node[3][0])).startswith("hd_block.")),
            lambda node: is_call(node, "cache_lock")), "changes a block that may be another's by now")
    return bad


@check("ST.002.d", "a plan's entry is added only where a look under the same hold of the lock found none",
       (PLANS, "            continue; /* the second check: the key may have come meanwhile */\n", ""))
def entry_second_look(program):
    name = "hd_plan_cache_find_unless"
    return at(program, name, program.precedes(
        name, lambda node: is_call(node, "find_entry"),
        lambda node: node[0] == "assign" and str(object_of(node[3][0])).endswith(".entries"),
        lambda node: is_call(node, "cache_lock")), "adds a key that may have come meanwhile")


@check("ST.002.e", "a point that was reached before its watch was set counts as progress",
       (ALLOCATOR, "            is_reached = true;\n        }\n    }\n    if (is_reached) {", "            is_reached = true;\n        }\n    }\n    if (is_reached && points == NULL) {"),
       (ALLOCATOR, "    if (is_reached) {\n        allocator_lock(allocator);\n        note_progress(allocator);", "    if (is_reached) {\n        allocator_lock(allocator);"))
def missed_point(program):
    name = program.named("watch_points")
    body = program.functions[name]["body"]
    told = [node for node in nodes(body) if node[0] == "if" and has_call(node[3][1], "note_progress")]
    return [] if has_call(body, "hd_timeline_set_watch") and any(
        node[3][0][0] == "ref" and short(node[3][0][2]).endswith("#is_reached") for node in told) else \
        ["%s: a point that was reached meanwhile is not told" % name]


# ---- ST.011: memory that a second stream uses

@check("ST.011.a", "a freed block is given to others only behind its stream's point",
       (CACHE, "    if (block != NULL && !hd_timeline_reached(cache->timelines[cache->stream], block->due)) {\n        block = NULL;\n    }\n", ""))
def point_reached(program):
    name = "hd_stream_cache_pop_reached"
    return at(program, name, program.precedes(
        name, lambda node: is_call(node, "hd_timeline_reached"),
        lambda node: is_call(node, "take_out"), branch=_none_there), "gives memory away that the device may touch")


def _none_there(condition, taken, state):
    """Where there is no block, nothing has to be reached."""
    if condition[0] == "op" and condition[2] == "!=" and condition[3][0][0] == "ref" and short(condition[3][0][2]).endswith("#block"):
        return state or not taken
    return state


@check("ST.011.b", "a block with records goes back to its stream only when its last record is settled",
       (ALLOCATOR, "    if (hd_block_records_settle(block, allocator->timelines)) {", "    if (block->record_count < 2) {"))
def records_settled(program):
    return [text for name, node in program.calls("hd_stream_cache_settle") for text in at(program, name, program.precedes(
        name, lambda node: is_call(node, "hd_block_records_settle"), lambda node: is_call(node, "hd_stream_cache_settle")),
        "forgets a stream that uses the block")]


@check("ST.011.c", "a recorded block leaves its queue only behind the point that it waits for",
       (ALLOCATOR, "        while ((block = queue->oldest) != NULL &&\n               hd_timeline_reached(allocator->timelines[i], block->due)) {",
        "        while ((block = queue->oldest) != NULL) {"))
def recorded_point(program):
    name = program.named("collect", ALLOCATOR)
    return at(program, name, program.precedes(name, lambda node: is_call(node, "hd_timeline_reached"),
                                              lambda node: is_call(node, "hd_block_queue_remove"),
                                              lambda node: is_call(node, "await_records")), "leaves early")


@check("ST.011.d", "a record notes all that its stream has submitted, unless that is done already",
       (RECORDS, "    uint64_t point = hd_timeline_submitted(timelines[stream]);", "    uint64_t point = 0;"),
       (RECORDS, "    if (!hd_timeline_reached(timelines[stream], point)) {\n        add(block, stream, point);\n    }",
        "    if (point == 0) {\n        add(block, stream, point);\n    }"))
def record_point(program):
    body = program.functions["hd_block_records_add"]["body"]
    return [] if has_call(body, "hd_timeline_submitted") and has_call(body, "hd_timeline_reached") and has_call(body, "add") else \
        ["hd_block_records_add: forgets what the stream has submitted"]


@check("ST.011.e", "only a block in use is recorded, under its stream's lock",
       (CACHE, "    if (in_use && stream != cache->stream) {", "    if (stream != cache->stream) {"),
       (CACHE, "    bool in_use = is_in_use(cache, block, memory);\n    if (in_use && stream != cache->stream) {\n        hd_block_records_add(block, cache->timelines, stream);\n    }\n    cache_unlock(cache);",
        "    bool in_use = is_in_use(cache, block, memory);\n    cache_unlock(cache);\n    if (in_use && stream != cache->stream) {\n        hd_block_records_add(block, cache->timelines, stream);\n    }"))
def recorded_in_use(program):
    name = "hd_stream_cache_record"
    bad = [text for node in program.functions[name]["calls"] if is_call(node, "hd_block_records_add") and not program.held(name, node)
           for text in at(program, name, [node[1]], "records under no lock")]
    tests = [node for node in nodes(program.functions[name]["body"]) if node[0] == "if" and has_call(node, "hd_block_records_add")]
    return bad + ([] if any(has_ref(test[3][0], "in_use") for test in tests) else ["%s: records a block that nobody has" % name])


@check("ST.011.f", "a block becomes everybody's only from what was reached, or new",
       (ALLOCATOR, "    block->due = block->record_points[0];", "    hd_common_blocks_share(&allocator->common, &allocator->blocks, block);"))
def who_shares(program):
    return ["%s: shares a block" % program.where(name, node[1]) for name, node in program.calls("hd_common_blocks_share")
            if short(name) not in ("collect", "add_segment")]


@check("ST.011.g", "pages go back to the system only when the whole segment is free, was never used, or the device ends",
       (ALLOCATOR, "    bool found = false;\n    hd_block *block;", "    bool found = false;\n    hd_block *block;\n    free_segment(allocator, NULL, 0);"))
def who_unmaps(program):
    return ["%s: gives pages back" % program.where(name, node[1]) for name, node in program.calls("free_segment", "hd_segments_give", "hd_pages_free")
            if program.functions[name]["file"] == ALLOCATOR and
            short(name) not in ("release_cache", "allocate_slowly", "hd_allocator_destroy", "free_segment")]


@check("ST.011.h", "a freed block with records is not put where its stream takes from, unless they are settled",
       (CACHE, "    if (block->record_count == 0 || hd_block_records_settle(block, cache->timelines)) {", "    if (block->size != 0) {"))
def freed_with_records(program):
    name = "hd_stream_cache_free"
    return at(program, name, program.precedes(
        name, lambda node: node[0] == "member" and node[2] == "hd_block.record_count" or is_call(node, "hd_block_records_settle"),
        lambda node: is_call(node, "enlist")), "is free though another stream uses it")


# ---- ST.013: the slot pool

@check("ST.013.a", "the word of idle slots changes by atomic operations that read it, but for its beginning",
       (POOL, "        if (hd_cas_weak_acq_rel(&pool->idle, &idle, (idle & ~remembered) | UINT64_C(1) << slot)) {\n            return;\n        }",
        "        hd_store_relaxed(&pool->idle, (idle & ~remembered) | UINT64_C(1) << slot);\n        return;"))
def idle_by_swap(program):
    return ["%s: stores the word" % program.where(name, node[1]) for name, function in program.functions.items()
            for node in nodes(function["body"]) if atomic(("store",), "hd_slot_pool.idle")(node)]


@check("ST.013.b", "a slot that is returned twice is noticed: the word before is looked at",
       (POOL, "    HD_CHECK(\"ONCE.slot-returned-leased\", (before & bits_of(slot)) == 0);\n", ""))
def double_return(program):
    name = program.named("put_back", POOL)
    body = program.functions[name]["body"]
    return [] if any(node[0] == "string" and "ONCE.slot-returned-leased" in node[2] for node in nodes(body)) and \
        any(node[0] == "op" and node[2] == "&" and has_ref(node, "before") for node in nodes(body)) else \
        ["%s: a slot may be returned twice" % name]


HANDSHAKE = {"try_take": ("hd_slot_pool.idle",), "put_back": ("hd_slot_pool.idle",), "hd_slot_pool_refuse": ("hd_slot_pool.closed",),
             "hd_slot_pool_return": ("hd_slot_pool.waiting", "hd_slot_pool.closed"), "lease_slowly": ("hd_slot_pool.waiting",),
             "all_returned": ("hd_slot_pool.idle",)}


@check("ST.013.c", "both halves of each handshake (idle, waiting, closed) are sequentially consistent",
       (POOL, "    if (hd_load_seq_cst(&pool->waiting) == 0 &&", "    if (hd_load_acquire(&pool->waiting) == 0 &&"),
       (POOL, "    hd_add_seq_cst(&pool->waiting, 1);", "    hd_add_acq_rel(&pool->waiting, 1);"),
       (POOL, "    uint64_t before = hd_add_seq_cst(&pool->idle,", "    uint64_t before = hd_add_release(&pool->idle,"))
def handshakes(program):
    bad = []
    for function, fields in HANDSHAKE.items():
        name = program.named(function, POOL)
        seen = [node for node in nodes(program.functions[name]["body"]) if node[0] == "atomic" and object_of(node[3][0]) in fields]
        bad += ["%s: %s" % (program.where(name, node[1]), node[2][1]) for node in seen if node[2][1] != "memory_order_seq_cst"]
        bad += [] if seen else ["%s: has no half of a handshake any more" % name]
    return bad


@check("ST.013.d", "whoever returns a slot looks for waiters behind that, and serves them",
       (POOL, "    pool_lock(pool);\n    serve(pool);\n    pool_unlock(pool);\n}\n\nvoid hd_slot_pool_forget", "}\n\nvoid hd_slot_pool_forget"),
       (POOL, "    put_back(pool, slot, REMEMBERED_SHIFT);\n    /* seq_cst: with", "    (void)REMEMBERED_SHIFT;\n    /* seq_cst: with"))
def waiters_served(program):
    name = "hd_slot_pool_return"
    bad = at(program, name, program.precedes(name, lambda node: is_call(node, "put_back"),
                                             atomic(("load",), "hd_slot_pool.waiting")), "looks before the slot is back")
    return bad + ([] if has_call(program.functions[name]["body"], "serve") else ["%s: leaves waiters asleep" % name])


@check("ST.013.e", "who waits has counted himself, and has looked once more, before sleeping",
       (POOL, "    hd_add_seq_cst(&pool->waiting, 1); /* the other half of the handshake in hd_slot_pool_return */\n    serve(pool);",
        "    hd_add_seq_cst(&pool->waiting, 1); /* the other half of the handshake in hd_slot_pool_return */"),
       (POOL, "    hd_add_seq_cst(&pool->waiting, 1); /* the other half of the handshake in hd_slot_pool_return */\n    serve(pool);",
        "    serve(pool);\n    hd_add_seq_cst(&pool->waiting, 1);"))
def counted_first(program):
    name = program.named("lease_slowly")
    counts = atomic(("rmw",), "hd_slot_pool.waiting")
    bad = at(program, name, program.precedes(name, lambda node: is_call(node, "serve"), lambda node: is_call(node, WAIT)),
             "sleeps though a slot may be there")
    return bad + at(program, name, program.precedes(name, counts, lambda node: is_call(node, "serve", WAIT)), "looks before it is counted")


@check("ST.013.f", "served waiters are told",
       (POOL, "    if (served || pool->closing > 0) {\n        hd_condition_broadcast(&pool->changed);\n    }\n", ""),
       (POOL, "            served = true;\n", ""))
def served_told(program):
    name = program.named("serve", POOL)
    body = program.functions[name]["body"]
    tests = [node for node in nodes(body) if node[0] == "if" and has_call(node, "hd_condition_broadcast")]
    sets = [node for node in nodes(body) if node[0] == "assign" and has_ref(node[3][0], "served")]
    return [] if sets and any(has_ref(test[3][0], "served") for test in tests) else ["%s: a slot is granted untold" % name]


@check("ST.013.g", "who gives up leaves the line",
       (POOL, "            leave_queue(pool, &self);\n            break;", "            break;"))
def leaves_line(program):
    name = program.named("lease_slowly")
    return [] if has_call(program.functions[name]["body"], "leave_queue") else ["%s: stays in the line behind its end" % name]


@check("ST.013.h", "a newcomer looks whether somebody waits before it takes a slot",
       (POOL, "    bool is_behind = hd_load_relaxed(&pool->waiting) != 0;", "    bool is_behind = false;"))
def no_overtaking(program):
    name = program.named("lease", POOL)
    return at(program, name, program.precedes(name, atomic(("load",), "hd_slot_pool.waiting"),
                                              lambda node: is_call(node, "try_take")), "overtakes the line")


@check("ST.013.i", "the slot of a stream that cannot begin goes back",
       (ACQUIRE, "            hd_slot_pool_return(&device->slots, slot);", "            (void)slot;"))
def acquire_returns(program):
    body = program.functions["hd_stream_acquire"]["body"]
    tests = [node for node in nodes(body) if node[0] == "if" and has_call(node, "hd_slot_pool_return")]
    return [] if tests else ["hd_stream_acquire: loses a slot"]


def is_atomic(kind):
    """A pointer to an atomic object is none itself."""
    return "_Atomic" in kind and not points_to_atomic(kind)


def points_to_atomic(kind):
    return "_Atomic" in kind and kind.rstrip().endswith("*")


def plain_accesses(program):
    """Accesses to atomic objects that name no order: (function, line, object)."""
    fields = {"%s.%s" % (struct, field) for struct, members in program.structs.items()
              for field, kind in members if is_atomic(kind)}
    globals_ = {name for name, variable in program.variables.items() if is_atomic(variable["type"])}
    pointers = {"%s.%s" % (struct, field) for struct, members in program.structs.items()
                for field, kind in members if points_to_atomic(kind)}
    found = []

    def walk(name, node, addressed):
        through = node[3][0] if node[0] == "unary" and node[2] == "*" and node[3] else None
        if through is not None and through[0] == "member" and through[2] in pointers:
            found.append((name, through[1], through[2]))
        if (node[0] == "member" and node[2] in fields or node[0] == "ref" and node[2] in globals_) and not addressed:
            found.append((name, node[1], node[2]))
        for child in node[3]:
            walk(name, child, node[0] == "unary" and node[2] == "&" or
                 addressed and node[0] in ("index", "init"))

    for name, function in program.functions.items():
        if function["body"] is not None:
            walk(name, function["body"], False)
    return found


@check("ST.013.j", "every access to an atomic object names its order",
       (POOL, "    hd_sub_relaxed(&pool->waiting, 1);\n}", "    pool->waiting--;\n}"),
       ("src/graph/model_run.c", "hd_load_relaxed(run->duration) / ", "*run->duration / "))
def orders_named(program):
    return ["%s: %s with the order that C gives it" % (program.where(name, line), what)
            for name, line, what in plain_accesses(program) if not what.endswith(("idle_encoders",))]


ACQUIRES = ("memory_order_acquire", "memory_order_acq_rel", "memory_order_seq_cst")
RELEASES = ("memory_order_release", "memory_order_acq_rel", "memory_order_seq_cst")


# Their other side goes through a pointer to the word: team.c's await_number; or is a CUDA device's.
THROUGH_POINTERS = ("hd_cpu_job.done", "hd_cpu_job.state", "src/hal/cuda/queue.c:hd_queue.reached")


@check("ST.013.k", "every object that is released somewhere is acquired somewhere, and the other way round",
       ("src/base/once.c", "hd_store_release(&once->state", "hd_store_relaxed(&once->state"))
def partners(program):
    gives, takes, places = set(), set(), {}
    for name, function in program.functions.items():
        for node in nodes(function["body"]):
            if node[0] != "atomic":
                continue
            what = object_of(node[3][0])
            if what is None or "#" in str(what) or what in THROUGH_POINTERS:
                continue
            places.setdefault(what, program.where(name, node[1]))
            shape, order = node[2][0], node[2][1]
            if shape in ("store", "rmw", "cas") and order in RELEASES:
                gives.add(what)
            if shape in ("load", "rmw", "cas") and order in ACQUIRES:
                takes.add(what)
    return ["%s: %s is released and never acquired" % (places[what], what) for what in sorted(gives - takes)] + \
        ["%s: %s is acquired and never released" % (places[what], what) for what in sorted(takes - gives)]

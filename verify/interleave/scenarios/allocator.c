/* Scenarios of the caching allocator, in segments of 4096 bytes. Blocks are read and written
 * without a lock or atomics by whoever has them, host or device: two owners at a time, or an owner
 * who does not see what the device did with the block before, are a data race; a segment given back
 * too soon is a use after free. */
#include "heap_state.h"

/* The device does the first work of a stream, which uses a block, and then signals. */
static void do_work(heap_state *state, uint32_t stream, uint64_t *block)
{
    block[0] = 7;
    scenario_require("REUSE.in-flight", block[0] == 7 && block[1] == 5);
    signal_on(state, stream, 1);
}

static void device_1(void *argument)
{
    heap_state *state = argument;
    do_work(state, 1, state->blocks[0]);
}

static void device_2(void *argument)
{
    heap_state *state = argument;
    do_work(state, 2, state->blocks[0]);
}

static void do_work_and_signal(heap_state *state, uint32_t stream, uint64_t point)
{
    state->blocks[0][0] = 7;
    scenario_require("REUSE.in-flight", state->blocks[0][0] == 7 && state->blocks[0][1] == 5);
    signal_on(state, stream, point);
}

static void device_2_second(void *argument)
{
    do_work_and_signal(argument, 2, 2);
}

static void device_3_second(void *argument)
{
    do_work_and_signal(argument, 3, 2);
}

static void device_0_first(void *argument)
{
    do_work_and_signal(argument, 0, 1);
}

static void device_1_in_rest(void *argument)
{
    heap_state *state = argument;
    state->blocks[0][0] = 7;
    scenario_require("REUSE.in-flight", state->blocks[0][0] == 7);
    signal_on(state, 1, 1);
}

static void device_first(void *argument)
{
    heap_state *state = argument;
    signal_on(state, 1, 1);
}

static void device_both(void *argument)
{
    heap_state *state = argument;
    signal_on(state, 1, 1);
    signal_on(state, 1, 2);
}

static void user_1(void *argument)
{
    allocate_and_use(argument, 1, SEGMENT, 0);
}

static void user_2(void *argument)
{
    allocate_and_use(argument, 2, SEGMENT, 0);
}

static void small_user_1(void *argument)
{
    allocate_and_use(argument, 1, 64, 0);
}

static void small_user_2(void *argument)
{
    allocate_and_use(argument, 2, 64, 0);
}

static void waiter_1(void *argument)
{
    use(argument, must_allocate(argument, 1, SEGMENT, HD_FOREVER));
}

static void waiter_2(void *argument)
{
    use(argument, must_allocate(argument, 2, SEGMENT, HD_FOREVER));
}

static void keeper_2(void *argument)
{
    heap_state *state = argument;
    state->blocks[0] = must_allocate(state, 2, SEGMENT, HD_FOREVER);
}

static void keeper_3(void *argument)
{
    heap_state *state = argument;
    state->blocks[1] = must_allocate(state, 3, SEGMENT, HD_FOREVER);
}

static void limited_waiter(void *argument)
{
    allocate_and_use(argument, 2, SEGMENT, SCENARIO_LATER);
}

static void freer(void *argument)
{
    heap_state *state = argument;
    must_free(state, state->blocks[0]);
}

static void submit_and_free(void *argument)
{
    heap_state *state = argument;
    submit_to(state, 1);
    must_free(state, state->blocks[1]);
    signal_on(state, 1, 1);
}

static void trimmer(void *argument)
{
    heap_state *state = argument;
    hd_allocator_trim(state->allocator);
}

static void double_freer(void *argument)
{
    heap_state *state = argument;
    if (hd_allocator_free(state->allocator, state->blocks[0])) {
        hd_add_relaxed(&state->accepted, 1);
    }
}

static void run_two(heap_state *state, void (*first)(void *), void (*second)(void *))
{
    hd_thread threads[2];
    scenario_start(&threads[0], "first", first, state);
    scenario_start(&threads[1], "second", second, state);
    hd_thread_join(&threads[0]);
    hd_thread_join(&threads[1]);
}

static void run_and_end(heap_state *state, void (*first)(void *), void (*second)(void *))
{
    run_two(state, first, second);
    heap_end(state);
}

/* A block of stream 1, in use by the device at point 1 of `stream`. */
static heap_state *heap_with_block_in_flight(uint32_t stream)
{
    heap_state *state = heap_make(1);
    state->blocks[0] = must_allocate(state, 1, SEGMENT, 0);
    state->blocks[0][1] = 5;
    submit_to(state, stream);
    return state;
}

static void two_users_one_segment(void)
{
    run_and_end(heap_make(1), user_1, user_2);
}

static void two_users_of_parts(void)
{
    run_and_end(heap_make(1), small_user_1, small_user_2);
}

/* Both descriptions and segments run short at the same time. */
static void two_growths(void)
{
    run_and_end(heap_make_empty(0), small_user_1, user_2);
}

static void keep_or_not(void *argument)
{
    heap_state *state = argument;
    (void)!allocate(state, 2, SEGMENT, 0, &state->blocks[0]);
}

/* The first has a segment when the second has taken the last descriptions, and there is no memory for more. */
static void growth_refused(void)
{
    heap_state *state = heap_make(0);
    uint64_t *held[2];
    for (uint32_t i = 0; i < 2; i++) {
        held[i] = must_allocate(state, 1, SEGMENT, 0);
    }
    state->account.limit = hd_load_relaxed(&state->account.total) + 2 * SEGMENT;
    run_two(state, user_1, keep_or_not);
    if (state->blocks[0] != NULL) {
        must_free(state, state->blocks[0]);
    }
    for (uint32_t i = 0; i < 2; i++) {
        must_free(state, held[i]);
    }
    heap_end(state);
}

static void allocate_against_signal(void)
{
    heap_state *state = heap_with_block_in_flight(1);
    must_free(state, state->blocks[0]);
    run_and_end(state, device_1, user_2);
}

static void free_against_allocate(void)
{
    heap_state *state = heap_with_block_in_flight(1);
    hd_thread device;
    scenario_start(&device, "device", device_1, state);
    run_two(state, freer, user_2);
    hd_thread_join(&device);
    heap_end(state);
}

static void wait_against_signal(void)
{
    heap_state *state = heap_with_block_in_flight(1);
    must_free(state, state->blocks[0]);
    run_and_end(state, device_1, waiter_2);
}

static void limited_wait_against_signal(void)
{
    heap_state *state = heap_with_block_in_flight(1);
    must_free(state, state->blocks[0]);
    run_and_end(state, device_1, limited_waiter);
}

static void record_against_signal(void)
{
    heap_state *state = heap_with_block_in_flight(2);
    must_record(state, state->blocks[0], 2);
    must_free(state, state->blocks[0]);
    run_and_end(state, device_2, user_1);
}

/* The device has used the block at the second point, too, of which it was told later. */
static void record_moves_to_later(void)
{
    heap_state *state = heap_with_block_in_flight(2);
    hd_thread device;
    must_record(state, state->blocks[0], 2);
    submit_to(state, 2);
    must_record(state, state->blocks[0], 2);
    must_free(state, state->blocks[0]);
    signal_on(state, 2, 1);
    scenario_start(&device, "device", device_2_second, state);
    user_1(state);
    hd_thread_join(&device);
    heap_end(state);
}

/* What others have of the block is settled one by one, each attempt by attempt; the device still has it for the last. */
static void try_while(heap_state *state, void (*last)(void *))
{
    hd_thread device;
    allocate_and_use(state, 2, SEGMENT, 0);
    scenario_start(&device, "device", last, state);
    allocate_and_use(state, 2, SEGMENT, 0);
    hd_thread_join(&device);
    heap_end(state);
}

/* Another stream's record is settled before the stream's own work, which is behind it. */
static void record_settled_before_own_work(void)
{
    heap_state *state = heap_with_block_in_flight(1);
    submit_to(state, 2);
    must_record(state, state->blocks[0], 2);
    must_free(state, state->blocks[0]);
    signal_on(state, 2, 1);
    try_while(state, device_1);
}

/* Of two records the first is settled: the other one keeps its stream and its point. */
static void first_record_settled(void)
{
    heap_state *state = heap_with_block_in_flight(2);
    submit_to(state, 3);
    submit_to(state, 3);
    must_record(state, state->blocks[0], 2);
    must_record(state, state->blocks[0], 3);
    must_free(state, state->blocks[0]);
    signal_on(state, 2, 1);
    signal_on(state, 3, 1);
    try_while(state, device_3_second);
}

/* A third stream, of which the block has no place to keep the point. */
static void record_without_a_place(void)
{
    heap_state *state = heap_with_block_in_flight(2);
    submit_to(state, 3);
    submit_to(state, 0);
    must_record(state, state->blocks[0], 2);
    must_record(state, state->blocks[0], 3);
    must_record(state, state->blocks[0], 0);
    must_free(state, state->blocks[0]);
    signal_on(state, 2, 1);
    signal_on(state, 3, 1);
    try_while(state, device_0_first);
}

/* What is cut off a block in flight is in flight, too. */
static void rest_of_block_in_flight(void)
{
    heap_state *state = heap_make(1);
    hd_thread device;
    state->blocks[0] = must_allocate(state, 1, SEGMENT, 0);
    state->blocks[0][1] = 5;
    submit_to(state, 1);
    /* behind the work at point 1, as the stream's own next work may have it */
    must_free(state, state->blocks[0]);
    uint64_t *front = must_allocate(state, 1, 64, 0);
    scenario_require("REUSE.same-memory", front == state->blocks[0]);
    state->blocks[0] = front + 64 / sizeof *front; /* where the device still writes */
    scenario_start(&device, "device", device_1_in_rest, state);
    allocate_and_use(state, 2, 64, 0);
    hd_thread_join(&device);
    must_free(state, front);
    heap_end(state);
}

static void record_and_wait(void)
{
    heap_state *state = heap_with_block_in_flight(2);
    must_record(state, state->blocks[0], 2);
    must_free(state, state->blocks[0]);
    run_and_end(state, device_2, waiter_1);
}

/* Two wait for what one point brings, and keep it: both are woken. */
static void two_waiters(void)
{
    heap_state *state = heap_make(2);
    for (uint32_t i = 0; i < 2; i++) {
        state->blocks[i] = must_allocate(state, 1, SEGMENT, 0);
    }
    submit_to(state, 1);
    for (uint32_t i = 0; i < 2; i++) {
        must_free(state, state->blocks[i]);
    }
    hd_thread waiters[2];
    scenario_start(&waiters[0], "first", keeper_2, state);
    scenario_start(&waiters[1], "second", keeper_3, state);
    signal_on(state, 1, 1);
    for (uint32_t i = 0; i < 2; i++) {
        hd_thread_join(&waiters[i]);
        must_free(state, state->blocks[i]);
    }
    heap_end(state);
}

/* Two need what is cached as one block too large for either: one gives it back to the system, and
 * the other waits for that. */
static void two_releases(void)
{
    heap_state *state = heap_make(2);
    use(state, must_allocate(state, 1, 2 * SEGMENT, 0));
    run_two(state, keeper_2, keeper_3);
    for (uint32_t i = 0; i < 2; i++) {
        must_free(state, state->blocks[i]);
    }
    heap_end(state);
}

static void refused_2(void *argument)
{
    uint64_t *block;
    scenario_require("STATUS.refused",
                     allocate(argument, 2, SEGMENT, HD_FOREVER, &block) == HD_OUT_OF_MEMORY);
}

/* Nothing is to come, which each of two finds out only when the other has looked for memory, too. */
static void two_refused(void)
{
    heap_state *state = heap_make(1);
    uint64_t *held = must_allocate(state, 1, SEGMENT, 0);
    run_two(state, refused_2, refused_2);
    must_free(state, held);
    heap_end(state);
}

/* One needs both segments, freed at two points. */
static void wait_for_two_points(void)
{
    heap_state *state = heap_make(2);
    for (uint32_t i = 0; i < 2; i++) {
        state->blocks[i] = must_allocate(state, 1, SEGMENT, 0);
    }
    for (uint32_t i = 0; i < 2; i++) {
        submit_to(state, 1);
        must_free(state, state->blocks[i]);
    }
    hd_thread device;
    scenario_start(&device, "device", device_both, state);
    use(state, must_allocate(state, 2, 2 * SEGMENT, HD_FOREVER));
    hd_thread_join(&device);
    heap_end(state);
}

static void large_waiter(void *argument)
{
    use(argument, must_allocate(argument, 3, 2 * SEGMENT, HD_FOREVER));
}

/* A watch stands on the second point of stream 1, set by one who needs both segments; then a
 * block is freed that comes free at the first. The second point is not reached before who needs
 * that block has it. */
static void watch_moves_earlier(void)
{
    heap_state *state = heap_make(2);
    uint64_t *later = must_allocate(state, 1, SEGMENT, 0);
    uint64_t *earlier = must_allocate(state, 2, SEGMENT, 0);
    hd_thread device, large;
    submit_to(state, 1);
    must_record(state, earlier, 1);
    submit_to(state, 1);
    must_free(state, later);
    scenario_start(&large, "large", large_waiter, state);
    must_free(state, earlier);
    scenario_start(&device, "device", device_first, state);
    use(state, must_allocate(state, 2, SEGMENT, HD_FOREVER));
    signal_on(state, 1, 2);
    hd_thread_join(&device);
    hd_thread_join(&large);
    heap_end(state);
}

/* The point in flight comes after the waiter has ended: another thread's free ends the wait. */
static void free_ends_wait(void)
{
    heap_state *state = heap_make(2);
    uint64_t *in_flight = must_allocate(state, 1, SEGMENT, 0);
    state->blocks[0] = must_allocate(state, 3, SEGMENT, 0);
    submit_to(state, 1);
    must_free(state, in_flight);
    run_two(state, freer, waiter_2);
    signal_on(state, 1, 1);
    heap_end(state);
}

/* What is freed on the waiter's own stream serves it before its point is reached. */
static void own_free_ends_wait(void)
{
    heap_state *state = heap_make(2);
    uint64_t *in_flight = must_allocate(state, 2, SEGMENT, 0);
    state->blocks[0] = must_allocate(state, 1, SEGMENT, 0);
    submit_to(state, 1);
    submit_to(state, 2);
    must_free(state, in_flight);
    run_two(state, freer, waiter_1);
    signal_on(state, 1, 1);
    signal_on(state, 2, 1);
    heap_end(state);
}

/* A hit, while another stream looks what the device has finished with. */
static void hit_against_collect(void)
{
    heap_state *state = heap_make(1);
    use(state, must_allocate(state, 1, SEGMENT, 0));
    run_and_end(state, user_1, user_2);
}

/* Two hits on one stream, which has one such block. */
static void two_hits(void)
{
    heap_state *state = heap_make(0);
    use(state, must_allocate(state, 1, 64, 0));
    run_and_end(state, small_user_1, small_user_1);
}

/* A block is looked up while the table's index is replaced. */
static void free_against_growth(void)
{
    heap_state *state = heap_make(0);
    state->blocks[0] = must_allocate(state, 1, 64, 0);
    uint64_t *more = must_allocate(state, 1, 64, 0);
    run_two(state, freer, small_user_2);
    must_free(state, more);
    heap_end(state);
}

static void trim_against_allocate(void)
{
    heap_state *state = heap_make(0);
    use(state, must_allocate(state, 2, SEGMENT, 0));
    run_and_end(state, trimmer, user_2);
}

static void trim_against_split(void)
{
    heap_state *state = heap_make(1);
    use(state, must_allocate(state, 2, SEGMENT, 0));
    run_and_end(state, trimmer, small_user_2);
}

static void trim_against_free(void)
{
    heap_state *state = heap_make(0);
    state->blocks[0] = must_allocate(state, 1, SEGMENT, 0);
    run_and_end(state, trimmer, freer);
}

/* Looked up by two at once (ABA): one of them has freed it. */
static void double_free(void)
{
    heap_state *state = heap_make(0);
    state->blocks[0] = must_allocate(state, 1, 64, 0);
    run_two(state, double_freer, double_freer);
    scenario_require("ONCE.accepted", hd_load_relaxed(&state->accepted) == 1);
    heap_end(state);
}

/* The same, while a third one joins the memory to what lies before it. */
static void double_free_against_allocate(void)
{
    heap_state *state = heap_make(1);
    uint64_t *before = must_allocate(state, 1, 64, 0);
    state->blocks[0] = must_allocate(state, 1, 64, 0);
    must_free(state, before); /* so that the joined block has another address */
    hd_thread third;
    scenario_start(&third, "third", user_2, state);
    run_two(state, double_freer, double_freer);
    hd_thread_join(&third);
    scenario_require("ONCE.accepted", hd_load_relaxed(&state->accepted) == 1);
    heap_end(state);
}

/* Two free on one stream while its points go on. */
static void frees_against_submit(void)
{
    heap_state *state = heap_make(0);
    state->blocks[0] = must_allocate(state, 1, 64, 0);
    state->blocks[1] = must_allocate(state, 1, 64, 0);
    run_and_end(state, freer, submit_and_free);
}

const scenario scenarios_allocator[] = {
    {.name = "alloc.two-users-one-segment", .run = two_users_one_segment},
    {.name = "alloc.two-users-of-parts", .run = two_users_of_parts},
    {.name = "alloc.growth-refused", .run = growth_refused},
    {.name = "alloc.two-growths", .run = two_growths, .preemptions = 2, .old_loads = 1},
    {.name = "alloc.allocate-against-signal", .run = allocate_against_signal},
    {.name = "alloc.free-against-allocate", .run = free_against_allocate},
    {.name = "alloc.wait-against-signal", .run = wait_against_signal},
    {.name = "alloc.wait-wakes-without-reason", .run = wait_against_signal, .spurious = 1},
    {.name = "alloc.limited-wait-against-signal", .run = limited_wait_against_signal},
    {.name = "alloc.record-against-signal", .run = record_against_signal},
    {.name = "alloc.record-moves-to-later", .run = record_moves_to_later},
    {.name = "alloc.record-settled-before-own-work", .run = record_settled_before_own_work},
    {.name = "alloc.first-record-settled", .run = first_record_settled},
    {.name = "alloc.record-without-a-place", .run = record_without_a_place},
    {.name = "alloc.rest-of-block-in-flight", .run = rest_of_block_in_flight},
    {.name = "alloc.record-and-wait", .run = record_and_wait},
    {.name = "alloc.two-waiters", .run = two_waiters},
    {.name = "alloc.two-releases", .run = two_releases},
    {.name = "alloc.two-refused", .run = two_refused},
    {.name = "alloc.wait-for-two-points", .run = wait_for_two_points},
    {.name = "alloc.watch-moves-earlier",
     .run = watch_moves_earlier,
     .preemptions = 2,
     .old_loads = 1},
    {.name = "alloc.free-ends-wait", .run = free_ends_wait},
    {.name = "alloc.own-free-ends-wait", .run = own_free_ends_wait},
    {.name = "alloc.hit-against-collect", .run = hit_against_collect},
    {.name = "alloc.two-hits", .run = two_hits},
    {.name = "alloc.free-against-growth", .run = free_against_growth},
    {.name = "alloc.trim-against-allocate", .run = trim_against_allocate},
    {.name = "alloc.trim-against-split", .run = trim_against_split},
    {.name = "alloc.trim-against-free", .run = trim_against_free},
    {.name = "alloc.double-free", .run = double_free},
    {.name = "alloc.double-free-against-allocate", .run = double_free_against_allocate},
    {.name = "alloc.frees-against-submit", .run = frees_against_submit},
    {.name = NULL},
};

/* Laws: each check of a conservation law stops the process when the state that it speaks of is broken. A
 * child process breaks it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "runtime/batch_queue.h"
#include "runtime/callbacks.h"
#include "runtime/device.h"
#include "runtime/future.h"
#include "runtime/memory_account.h"
#include "runtime/plan_cache.h"
#include "runtime/slot_pool.h"
#include "runtime/stream_cache.h"
#include "runtime/timeline.h"

#if !defined(HD_DEBUG_CHECKS)
int main(void)
{
    puts("1..0 # SKIP this build checks no laws (presets: debug, asan, tsan, fault)");
    return 0;
}
#else

/* A child that was refused what it needs, or whose broken state nobody noticed, ends with this. */
#define UNNOTICED 3
#define need(status)                                                                               \
    do {                                                                                           \
        if ((status) != HD_OK) {                                                                   \
            _exit(UNNOTICED);                                                                      \
        }                                                                                          \
    } while (0)

/* ---- slots: free + remembered + leased = 31 */

static hd_slot_pool pool;

static uint32_t lease(void)
{
    uint32_t slot;
    need(hd_slot_pool_init(&pool));
    need(hd_slot_pool_lease(&pool, HD_SLOT_NONE, 0, &slot));
    return slot;
}

static void return_twice(void)
{
    uint32_t slot = lease();
    hd_slot_pool_return(&pool, slot);
    hd_slot_pool_return(&pool, slot);
}

static void lease_what_is_leased(void)
{
    uint32_t slot = lease();
    hd_add_relaxed(&pool.idle, UINT64_C(1) << slot);
    need(hd_slot_pool_lease(&pool, slot, 0, &slot));
}

static void return_what_is_idle(void)
{
    uint32_t slot = lease();
    hd_add_relaxed(&pool.idle, UINT64_C(1) << slot);
    hd_slot_pool_return(&pool, slot);
}

static void lose_a_slot(void)
{
    uint32_t slot = lease();
    hd_sub_relaxed(&pool.leased, UINT32_C(1) << slot);
    hd_slot_pool_destroy(&pool);
}

static void remember_what_is_free(void)
{
    uint32_t slot = lease();
    hd_add_relaxed(&pool.idle, UINT64_C(0x100000001) << slot);
    (void)hd_slot_pool_count(&pool);
}

/* ---- blocks: in use + cached = reserved */

static hd_timeline timelines[HD_STREAM_COUNT];
static hd_timeline *timeline_of[HD_STREAM_COUNT];
static hd_stream_cache cache;

static void open_cache(void)
{
    for (size_t i = 0; i < HD_STREAM_COUNT; i++) {
        timeline_of[i] = &timelines[i];
        need(hd_timeline_init(&timelines[i]));
    }
    need(hd_stream_cache_init(&cache, 1, timeline_of, true));
}

static void count_bytes_twice(void)
{
    open_cache();
    cache.cached_bytes += 64;
    (void)hd_stream_cache_take(&cache, 1);
}

static void forget_bytes(void)
{
    hd_memory_statistics counts = {0};
    open_cache();
    cache.reserved_bytes += 64;
    hd_stream_cache_count(&cache, &counts);
}

static void cache_a_block_in_use(void)
{
    hd_block block = {.size = 64};
    open_cache();
    hd_block_set(&block, HD_BLOCK_IN_USE, 1);
    hd_free_lists_push(&cache.lists, &block);
    (void)hd_stream_cache_take(&cache, hd_size_class(64));
}

static void give_more_than_was_taken(void)
{
    hd_memory_account account = {.limit = 0};
    if (!hd_memory_account_take(&account, HD_MEMORY_BLOCKS, 64)) {
        _exit(UNNOTICED);
    }
    hd_memory_account_give(&account, HD_MEMORY_BLOCKS, 65);
}

static void record_on_no_stream(void)
{
    hd_allocator *allocator;
    hd_memory_account account = {.limit = 0};
    open_cache();
    hd_unit unit = {.backend = hd_backend_host(), .is_host = true};
    need(hd_allocator_create(timeline_of, &unit, &account, &allocator));
    (void)hd_allocator_record(allocator, &account, HD_STREAM_COUNT);
}

/* ---- requests: submitted = ended + pending */

static hd_batch_queue queue;
static hd_batch_worker worker;
static hd_batch_request requests[2];

static void open_queue(void)
{
    queue = (hd_batch_queue){.max_rows = 2, .capacity = 1};
    need(hd_batch_queue_init(&queue));
    need(hd_batch_worker_init(&worker));
    for (size_t i = 0; i < 2; i++) {
        requests[i] = (hd_batch_request){.kind = &queue, .rows = 1};
    }
}

static void lose_a_request(void)
{
    open_queue();
    need(hd_batch_queue_submit(&queue, &requests[0], 0));
    queue.ended++;
    (void)hd_batch_queue_count(&queue);
}

static void end_a_request_twice(void)
{
    hd_batch_list batch;
    open_queue();
    need(hd_batch_queue_submit(&queue, &requests[0], 0));
    if (!hd_batch_queue_collect(&queue, &worker, &batch)) {
        _exit(UNNOTICED);
    }
    queue.submitted--;
    hd_batch_queue_end(&queue, 1);
}

static void take_in_too_many(void)
{
    open_queue();
    need(hd_batch_queue_submit(&queue, &requests[0], 0));
    queue.capacity = 0;
    (void)hd_batch_queue_count(&queue);
}

static void stand_in_line_before_room(void)
{
    hd_batch_submitter submitter = {.request = &requests[0]};
    open_queue();
    queue.first_in_line = &submitter;
    (void)hd_batch_queue_count(&queue);
}

static void destroy_what_is_pending(void)
{
    open_queue();
    need(hd_batch_queue_submit(&queue, &requests[0], 0));
    hd_batch_queue_destroy(&queue);
}

static void drop_a_worker_with_requests(void)
{
    open_queue();
    worker.taken = 1;
    hd_batch_worker_destroy(&worker);
}

/* ---- futures, callbacks, plans, turns */

static hd_callbacks callbacks;
static const hd_future_home home = {.callbacks = &callbacks};

static void finish_twice(void)
{
    hd_future *future;
    need(hd_future_create(&home, NULL, true, &future));
    hd_future_finish(future, HD_OK, NULL);
    hd_future_finish(future, HD_OK, NULL);
}

static void cancel_what_is_not_reserved(void)
{
    need(hd_callbacks_init(&callbacks));
    hd_callbacks_cancel(&callbacks);
}

static void end_callbacks_that_are_to_come(void)
{
    need(hd_callbacks_init(&callbacks));
    need(hd_callbacks_reserve(&callbacks));
    hd_callbacks_destroy(&callbacks);
}

static void ignore_plan(void *plan)
{
    (void)plan;
}

static hd_plan_cache *open_plans(void)
{
    hd_plan_cache *plans;
    void *plan;
    need(
        hd_plan_cache_create(1, (hd_plan_cache_functions){ignore_plan, ignore_plan, NULL}, &plans));
    need(hd_plan_cache_find(plans, "a", 1, 0, &plan));
    return plans;
}

static void finish_a_plan_that_nobody_began(void)
{
    hd_plan_cache_finish(open_plans(), "b", 1, &pool);
}

static void destroy_plans_in_the_making(void)
{
    hd_plan_cache *plans = open_plans();
    hd_plan_cache_destroy(&plans);
}

/* ---- streams and points */

static void signal_what_was_not_submitted(void)
{
    need(hd_timeline_init(&timelines[0]));
    hd_timeline_signal(&timelines[0], 1);
}

static void destroy_a_watched_timeline(void)
{
    hd_timeline_watch watch = {.reached = NULL};
    need(hd_timeline_init(&timelines[0]));
    (void)hd_timeline_submit(&timelines[0]);
    (void)hd_timeline_set_watch(&timelines[0], &watch, 1);
    hd_timeline_destroy(&timelines[0]);
}

static void own_a_stream_twice(void)
{
    static hd_stream_state stream;
    uint32_t generation;
    stream.number = 1;
    need(hd_stream_init(&stream));
    need(hd_stream_begin(&stream, &generation));
    need(hd_stream_begin(&stream, &generation));
}

/* ---- locks */

static hd_mutex outer, inner;

static void open_locks(void)
{
    need(hd_mutex_init(&outer, HD_RANK_stream));
    need(hd_mutex_init(&inner, HD_RANK_timeline));
}

static void lock_in_the_wrong_order(void)
{
    open_locks();
    hd_mutex_lock(&inner);
    hd_mutex_lock(&outer);
}

static void unlock_what_is_not_held(void)
{
    open_locks();
    hd_mutex_unlock(&outer);
}

static void wait_under_a_lock(void)
{
    open_locks();
    hd_mutex_lock(&outer);
    hd_check_no_lock_held();
}

/* ---- the test */

static const struct {
    const char *law;
    void (*break_it)(void);
} laws[] = {
    {"ONCE.slot-returned-once", return_twice},
    {"ONCE.slot-leased-once", lease_what_is_leased},
    {"ONCE.slot-returned-leased", return_what_is_idle},
    {"ONCE.slots", lose_a_slot},
    {"SAFE.slot-free-or-remembered", remember_what_is_free},
    {"FLAT.stream-blocks", count_bytes_twice},
    {"FLAT.stream-blocks", forget_bytes},
    {"REUSE.free-for-this-stream", cache_a_block_in_use},
    {"FLAT.account", give_more_than_was_taken},
    {"SAFE.stream", record_on_no_stream},
    {"ONCE.batch-requests", lose_a_request},
    {"ONCE.batch-requests", end_a_request_twice},
    {"BOUND.batch-capacity", take_in_too_many},
    {"BOUND.batch-line", stand_in_line_before_room},
    {"ONCE.batch-ended", destroy_what_is_pending},
    {"ONCE.batch-worker", drop_a_worker_with_requests},
    {"ONCE.finished-once", finish_twice},
    {"ONCE.callback-reserved", cancel_what_is_not_reserved},
    {"ONCE.callbacks-empty", end_callbacks_that_are_to_come},
    {"ONCE.finish-what-was-begun", finish_a_plan_that_nobody_began},
    {"ONCE.no-making-at-destroy", destroy_plans_in_the_making},
    {"SAFE.timeline-in-order", signal_what_was_not_submitted},
    {"BOUND.timeline-nobody-waits", destroy_a_watched_timeline},
    {"SAFE.stream-one-owner", own_a_stream_twice},
    {"SAFE.lock-order", lock_in_the_wrong_order},
    {"SAFE.unlock-held", unlock_what_is_not_held},
    {"BOUND.wait-under-lock", wait_under_a_lock},
};

/* In the child, whose standard error is the pipe. */
static _Noreturn void break_law(void (*break_it)(void), int error_pipe)
{
    dup2(error_pipe, STDERR_FILENO);
    alarm(20);
    break_it();
    _exit(UNNOTICED);
}

static void each_broken_law_is_noticed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof laws / sizeof laws[0]; i++) {
        char said[512] = "", wanted[64];
        int ends[2], status;
        size_t length = 0;
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            close(ends[0]);
            break_law(laws[i].break_it, ends[1]);
        }
        close(ends[1]);
        for (ssize_t got = 1; got > 0 && length < sizeof said - 1;
             length += (size_t)(got > 0 ? got : 0)) {
            got = read(ends[0], said + length, sizeof said - 1 - length);
        }
        close(ends[0]);
        assert_int_equal(waitpid(child, &status, 0), child);
        snprintf(wanted, sizeof wanted, "law %s broken", laws[i].law);
        if (strstr(said, wanted) == NULL ||
            (WIFEXITED(status) && WEXITSTATUS(status) == UNNOTICED)) {
            fail_msg("%s: the child ended with %d and said: %s", laws[i].law, status, said);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_broken_law_is_noticed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#endif

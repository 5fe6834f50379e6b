/* Queues: order within a queue, parking, many queues on few runners, the end by a runner. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/mutex.h"
#include "base/thread.h"
#include "runtime/runners.h"

#define QUEUES    20
#define PER_QUEUE 500

typedef struct counted_work {
    hd_work work; /* first */
    hd_runners *queues;
    uint32_t queue;
    uint32_t number;
    bool parks; /* the first time */
} counted_work;

static counted_work works[QUEUES][PER_QUEUE];
static uint32_t last[QUEUES]; /* no atomics: two runners of one queue show under tsan */
static _Atomic uint32_t wrong;
static _Atomic uint32_t parked;

static hd_work_result run_counted(hd_work *work, uint32_t runner)
{
    counted_work *self = (counted_work *)work;
    if (runner >= 2) {
        hd_add_relaxed(&wrong, 1);
    }
    if (self->parks) {
        self->parks = false;
        hd_add_relaxed(&parked, 1);
        hd_runners_resume(self->queues, self->queue); /* before it is parked */
        return HD_WORK_PARKED;
    }
    if (last[self->queue] != self->number) {
        hd_add_relaxed(&wrong, 1);
    }
    last[self->queue] = self->number + 1;
    return HD_WORK_DONE;
}

static void many_queues_on_few_runners_keep_their_order(void **state)
{
    (void)state;
    hd_runners *queues;
    assert_int_equal(hd_runners_create(2, QUEUES, &queues), HD_OK);
    assert_int_equal(hd_runners_start(queues), HD_OK);
    for (uint32_t number = 0; number < PER_QUEUE; number++) {
        for (uint32_t queue = 0; queue < QUEUES; queue++) {
            works[queue][number] = (counted_work){.work.run = run_counted,
                                                  .queues = queues,
                                                  .queue = queue,
                                                  .number = number,
                                                  .parks = number % 7 == queue % 7};
            hd_runners_submit(queues, queue, &works[queue][number].work);
        }
    }
    assert_int_equal(hd_runners_drain(queues, HD_FOREVER), HD_OK);
    hd_runners_destroy(&queues);
    assert_null(queues);
    assert_int_equal(hd_load_relaxed(&wrong), 0);
    assert_true(hd_load_relaxed(&parked) > 0);
    for (uint32_t queue = 0; queue < QUEUES; queue++) {
        assert_int_equal(last[queue], PER_QUEUE);
    }
}

static uint32_t turns[8], turn_count; /* queues in the order of their works; the only runner's */

static hd_work_result note_turn(hd_work *work, uint32_t runner)
{
    (void)runner;
    turns[turn_count++] = ((counted_work *)work)->queue;
    return ((counted_work *)work)->number == 0 ? HD_WORK_DONE : HD_WORK_DONE_LONG;
}

/* Queue 0 has four works, queue 1 three, before the only runner starts. */
static void check_turns(bool is_long, const uint32_t *expected)
{
    hd_runners *queues;
    counted_work waiting[7];
    turn_count = 0;
    assert_int_equal(hd_runners_create(1, 2, &queues), HD_OK);
    for (uint32_t i = 0; i < 7; i++) {
        waiting[i] = (counted_work){.work = {.run = note_turn}, .number = is_long, .queue = i / 4};
        hd_runners_submit(queues, i / 4, &waiting[i].work);
    }
    assert_int_equal(hd_runners_start(queues), HD_OK);
    assert_int_equal(hd_runners_drain(queues, HD_FOREVER), HD_OK);
    hd_runners_destroy(&queues);
    assert_int_equal(turn_count, 7);
    assert_memory_equal(turns, expected, 7 * sizeof *turns);
}

static void long_work_lets_other_queues_have_their_turn(void **state)
{
    (void)state;
    check_turns(false, (uint32_t[]){0, 0, 0, 0, 1, 1, 1});
    check_turns(true, (uint32_t[]){0, 1, 0, 1, 0, 1, 0});
}

static hd_thread_cores seen_cores;

static hd_work_result note_cores(hd_work *work, uint32_t runner)
{
    (void)work, (void)runner;
    hd_thread_read_cores(&seen_cores);
    return HD_WORK_DONE;
}

/* Whoever is first to need the runners does not decide where they run. */
static void runners_run_where_their_queues_were_created(void **state)
{
    (void)state;
    hd_runners *queues;
    hd_work work = {.run = note_cores};
    hd_thread_cores before, one;
    hd_thread_read_cores(&before);
    assert_true(before.known);
    one = before;
    bool kept = false;
    for (size_t i = 0; i < sizeof one.mask / sizeof *one.mask; i++) { /* the lowest core only */
        unsigned long lowest = one.mask[i] & -one.mask[i];
        one.mask[i] = kept ? 0 : lowest;
        kept = kept || lowest != 0;
    }
    assert_int_equal(hd_runners_create(1, 1, &queues), HD_OK);
    hd_thread_use_cores(&one);
    assert_true(hd_runners_start_all(queues));
    hd_thread_use_cores(&before);
    (void)!hd_runners_run(queues, 0, &work, NULL);
    hd_runners_destroy(&queues);
    assert_true(seen_cores.known);
    assert_memory_equal(seen_cores.mask, before.mask, sizeof before.mask);
}

static _Atomic uint32_t is_open;

static hd_work_result park_until_open(hd_work *work, uint32_t runner)
{
    (void)runner;
    (void)work;
    return hd_load_acquire(&is_open) ? HD_WORK_DONE : HD_WORK_PARKED;
}

static hd_work_result open_other(hd_work *work, uint32_t runner)
{
    (void)runner;
    counted_work *self = (counted_work *)work;
    hd_store_release(&is_open, 1);
    hd_runners_resume(self->queues, 0);
    return HD_WORK_DONE;
}

static void parked_work_does_not_keep_the_only_runner(void **state)
{
    (void)state;
    hd_runners *queues;
    assert_int_equal(hd_runners_create(1, 2, &queues), HD_OK);
    assert_int_equal(hd_runners_start(queues), HD_OK);
    hd_work parks = {.run = park_until_open};
    counted_work opens = {.work.run = open_other, .queues = queues};
    hd_runners_submit(queues, 0, &parks);
    assert_int_equal(hd_runners_drain(queues, hd_clock_after_ms(10)), HD_NOT_YET);
    hd_runners_submit(queues, 1, &opens.work);
    assert_int_equal(hd_runners_drain(queues, HD_FOREVER), HD_OK);
    hd_runners_destroy(&queues);
}

static _Atomic uint32_t destroyed;

static hd_work_result destroy_own_queues(hd_work *work, uint32_t runner)
{
    (void)runner;
    counted_work *self = (counted_work *)work;
    hd_runners_destroy(&self->queues);
    hd_free(self);
    hd_store_release(&destroyed, 1);
    return HD_WORK_DONE;
}

static void work_may_destroy_its_own_queues(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 50; round++) {
        hd_runners *queues;
        counted_work *work = hd_alloc_zero(1, sizeof *work);
        assert_non_null(work);
        assert_int_equal(hd_runners_create(1 + round % 3, 2, &queues), HD_OK);
        assert_int_equal(hd_runners_start(queues), HD_OK);
        work->work.run = destroy_own_queues;
        work->queues = queues;
        hd_store_release(&destroyed, 0);
        hd_runners_submit(queues, 1, &work->work);
        while (hd_load_acquire(&destroyed) == 0) {
            hd_thread_yield();
        }
    }
}

static void queues_that_were_never_used_have_no_runners_to_end(void **state)
{
    (void)state;
    hd_runners *queues;
    assert_int_equal(hd_runners_create(2, 3, &queues), HD_OK);
    assert_int_equal(hd_runners_drain(queues, 0), HD_OK);
    hd_runners_destroy(&queues);
    hd_runners_destroy(&queues);
}

#define WAITING_CALLERS 8

typedef struct waiting_caller {
    pthread_t thread;
    hd_runners *queues;
    uint32_t queue;
    uint64_t sum;
} waiting_caller;

typedef struct waited_work {
    hd_work work; /* first */
    uint64_t result;
} waited_work;

static uint64_t of_runner[3]; /* no atomics: what a runner alone has */

static hd_work_result run_waited(hd_work *work, uint32_t runner)
{
    ((waited_work *)work)->result = 1;
    of_runner[runner]++;
    return HD_WORK_DONE;
}

static void *run_and_wait(void *argument)
{
    waiting_caller *self = argument;
    for (uint32_t i = 0; i < 300; i++) {
        waited_work work = {.work.run = run_waited};
        (void)!hd_runners_run(self->queues, self->queue, &work.work, NULL);
        self->sum += work.result;
    }
    return NULL;
}

static void callers_wait_for_work_on_their_stacks(void **state)
{
    (void)state;
    hd_runners *queues;
    waiting_caller callers[WAITING_CALLERS];
    assert_int_equal(hd_runners_create(3, WAITING_CALLERS, &queues), HD_OK);
    assert_int_equal(hd_runners_start(queues), HD_OK);
    for (uint32_t i = 0; i < WAITING_CALLERS; i++) {
        callers[i] = (waiting_caller){.queues = queues, .queue = i};
        assert_int_equal(pthread_create(&callers[i].thread, NULL, run_and_wait, &callers[i]), 0);
    }
    for (uint32_t i = 0; i < WAITING_CALLERS; i++) {
        pthread_join(callers[i].thread, NULL);
        assert_int_equal(callers[i].sum, 300);
    }
    hd_runners_destroy(&queues);
    assert_int_equal(of_runner[0] + of_runner[1] + of_runner[2], WAITING_CALLERS * 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_queues_on_few_runners_keep_their_order),
        cmocka_unit_test(parked_work_does_not_keep_the_only_runner),
        cmocka_unit_test(work_may_destroy_its_own_queues),
        cmocka_unit_test(long_work_lets_other_queues_have_their_turn),
        cmocka_unit_test(runners_run_where_their_queues_were_created),
        cmocka_unit_test(callers_wait_for_work_on_their_stacks),
        cmocka_unit_test(queues_that_were_never_used_have_no_runners_to_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

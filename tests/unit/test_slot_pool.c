/* Slot pool: its law under many threads, order of waiters, time limits, close, double returns. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
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
#include "base/thread.h"
#include "runtime/slot_pool.h"

#define SLOTS       31
#define MILLISECOND UINT64_C(1000000)

static hd_slot_pool pool;

static int make_pool(void **state)
{
    (void)state;
    return hd_slot_pool_init(&pool) == HD_OK ? 0 : -1;
}

static int drop_pool(void **state)
{
    (void)state;
    hd_slot_pool_destroy(&pool);
    return 0;
}

static uint64_t after(uint64_t milliseconds)
{
    return hd_clock_now() + milliseconds * MILLISECOND;
}

static void wait_for_waiters(uint32_t count)
{
    while (hd_load_seq_cst(&pool.waiting) != count) {
        usleep(200);
    }
}

static void lease_all(uint32_t *slots)
{
    for (size_t i = 0; i < SLOTS; i++) {
        assert_int_equal(hd_slot_pool_lease(&pool, HD_SLOT_NONE, 0, &slots[i]), HD_OK);
        assert_in_range(slots[i], 1, SLOTS);
        for (size_t j = 0; j < i; j++) {
            assert_int_not_equal(slots[i], slots[j]);
        }
    }
}

static void all_slots_but_the_default_are_leased_once(void **state)
{
    (void)state;
    uint32_t slots[SLOTS], none;
    lease_all(slots);
    hd_slot_counts counts = hd_slot_pool_count(&pool);
    assert_int_equal(counts.leased, SLOTS);
    assert_int_equal(hd_slot_pool_lease(&pool, HD_SLOT_NONE, 0, &none), HD_EXHAUSTED);
    assert_int_equal(none, HD_SLOT_NONE);
    for (size_t i = 0; i < SLOTS; i++) {
        hd_slot_pool_return(&pool, slots[i]);
    }
    counts = hd_slot_pool_count(&pool);
    assert_int_equal(counts.remembered, SLOTS);
    for (uint32_t i = 0; i < 40; i++) {
        hd_slot_pool_forget(&pool, i % 31 + 1);
    }
    counts = hd_slot_pool_count(&pool);
    assert_int_equal(counts.free, SLOTS);
    assert_int_equal(counts.leased, 0);
}

static void a_remembered_slot_comes_back_to_who_asks_for_it_or_goes_to_others(void **state)
{
    (void)state;
    uint32_t slot, again, slots[SLOTS];
    assert_int_equal(hd_slot_pool_lease(&pool, 17, 0, &slot), HD_OK);
    assert_int_equal(slot, 17);
    hd_slot_pool_return(&pool, slot);
    assert_int_equal(hd_slot_pool_lease(&pool, 17, 0, &again), HD_OK);
    assert_int_equal(again, 17);
    uint32_t other;
    /* the wish is taken: another */
    assert_int_equal(hd_slot_pool_lease(&pool, 17, 0, &other), HD_OK);
    assert_int_not_equal(other, 17);
    hd_slot_pool_forget(&pool, 17); /* leased: harmless */
    hd_slot_pool_return(&pool, again);
    hd_slot_pool_return(&pool, other);
    lease_all(slots); /* remembered ones too */
    for (size_t i = 0; i < SLOTS; i++) {
        hd_slot_pool_return(&pool, slots[i]);
    }
}

static void without_a_wish_the_lowest_idle_slot_is_taken(void **state)
{
    (void)state;
    uint32_t slots[SLOTS], slot;
    lease_all(slots);
    hd_slot_pool_return(&pool, 3);
    hd_slot_pool_return(&pool, 9);
    hd_slot_pool_return(&pool, 11);
    hd_slot_pool_forget(&pool, 9); /* free ones do not go first */
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(hd_slot_pool_lease(&pool, i == 2 ? 3 : HD_SLOT_NONE, 0, &slot), HD_OK);
        assert_int_equal(slot, ((uint32_t[]){3, 9, 11})[i]);
    }
    for (uint32_t i = 1; i <= SLOTS; i++) {
        hd_slot_pool_return(&pool, i);
    }
}

static void a_wait_ends_at_its_time_limit_and_leaves_no_trace(void **state)
{
    (void)state;
    uint32_t slots[SLOTS], slot;
    lease_all(slots);
    for (size_t i = 0; i < 3; i++) {
        uint64_t begin = hd_clock_now();
        assert_int_equal(hd_slot_pool_lease(&pool, 3, begin + 15 * MILLISECOND, &slot),
                         HD_EXHAUSTED);
        assert_true(hd_clock_now() - begin >= 15 * MILLISECOND);
        assert_int_equal(hd_load_seq_cst(&pool.waiting), 0);
    }
    hd_slot_pool_return(&pool, slots[4]);
    assert_int_equal(hd_slot_pool_lease(&pool, HD_SLOT_NONE, after(1000), &slot), HD_OK);
    assert_int_equal(slot, slots[4]);
    for (size_t i = 0; i < SLOTS; i++) {
        hd_slot_pool_return(&pool, slots[i]);
    }
}

typedef struct waiter {
    pthread_t thread;
    uint64_t wait_ms;
    hd_status status;
    uint32_t slot;
    uint32_t place; /* in the order in which leases came */
} waiter;

static _Atomic uint32_t place_source;

static void *wait_for_slot(void *argument)
{
    waiter *self = argument;
    self->status = hd_slot_pool_lease(&pool, HD_SLOT_NONE, after(self->wait_ms), &self->slot);
    self->place = hd_add_seq_cst(&place_source, 1);
    return NULL;
}

static void waiters_are_served_first_come_and_nobody_overtakes(void **state)
{
    (void)state;
    enum { WAITERS = 12 };
    uint32_t slots[SLOTS], slot;
    waiter waiters[WAITERS];
    lease_all(slots);
    hd_store_seq_cst(&place_source, 0);
    for (uint32_t i = 0; i < WAITERS; i++) {
        waiters[i] = (waiter){.wait_ms = 20000};
        assert_int_equal(pthread_create(&waiters[i].thread, NULL, wait_for_slot, &waiters[i]), 0);
        wait_for_waiters(i + 1);
    }
    for (uint32_t i = 0; i < WAITERS; i++) {
        hd_slot_pool_return(&pool, slots[i]);
        /* A newcomer sees the queue, or finds the slot given away already: never gets it. */
        assert_int_equal(hd_slot_pool_lease(&pool, slots[i], 0, &slot), HD_EXHAUSTED);
        pthread_join(waiters[i].thread, NULL);
        assert_int_equal(waiters[i].status, HD_OK);
        assert_int_equal(waiters[i].slot, slots[i]);
        assert_int_equal(waiters[i].place, i);
    }
    for (uint32_t i = 0; i < SLOTS; i++) {
        hd_slot_pool_return(&pool, slots[i]);
    }
}

static void a_waiter_that_gives_up_does_not_break_the_queue(void **state)
{
    (void)state;
    static const uint64_t wait_ms[] = {20000, 1000, 20000, 1000, 1010};
    uint32_t slots[SLOTS];
    waiter waiters[5];
    lease_all(slots);
    for (uint32_t i = 0; i < 5; i++) {
        waiters[i] = (waiter){.wait_ms = wait_ms[i]};
        assert_int_equal(pthread_create(&waiters[i].thread, NULL, wait_for_slot, &waiters[i]), 0);
        wait_for_waiters(i + 1);
    }
    wait_for_waiters(2); /* the three with a short wait have left: one between, two at the end */
    waiter late = {.wait_ms = 20000};
    assert_int_equal(pthread_create(&late.thread, NULL, wait_for_slot, &late), 0);
    wait_for_waiters(3);
    waiter *const order[] = {&waiters[0], &waiters[2], &late};
    for (uint32_t i = 0; i < 3; i++) {
        hd_slot_pool_return(&pool, slots[i]);
        pthread_join(order[i]->thread, NULL);
        assert_int_equal(order[i]->status, HD_OK);
        assert_int_equal(order[i]->slot, slots[i]);
    }
    for (uint32_t i = 1; i < 5; i += i == 1 ? 2 : 1) {
        pthread_join(waiters[i].thread, NULL);
        assert_int_equal(waiters[i].status, HD_EXHAUSTED);
        assert_int_equal(waiters[i].slot, HD_SLOT_NONE);
    }
    for (uint32_t i = 0; i < SLOTS; i++) {
        hd_slot_pool_return(&pool, slots[i]);
    }
}

/* --- 256 threads on 31 slots */

#define THREADS 256
#define ROUNDS  60

static _Atomic uint32_t owners[HD_STREAM_COUNT];
static _Atomic uint32_t inside;
static _Atomic bool violated;
static uint64_t plain_counters[HD_STREAM_COUNT]; /* exclusive: whoever leases the slot */

static void use_slot(uint32_t slot, uint32_t round)
{
    if (hd_add_seq_cst(&owners[slot], 1) != 0 || hd_add_seq_cst(&inside, 1) >= SLOTS) {
        hd_store_seq_cst(&violated, true);
    }
    plain_counters[slot]++;
    if (round % 7 == 0) {
        hd_thread_yield();
    }
    hd_slot_counts counts = hd_slot_pool_count(&pool);
    if (counts.free + counts.remembered + counts.leased != SLOTS || counts.leased == 0) {
        hd_store_seq_cst(&violated, true);
    }
    hd_sub_seq_cst(&inside, 1);
    hd_sub_seq_cst(&owners[slot], 1);
}

static void *lease_often(void *argument)
{
    uint32_t *done = argument, slot = HD_SLOT_NONE;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        if (hd_slot_pool_lease(&pool, slot, after(60000), &slot) != HD_OK) {
            break;
        }
        use_slot(slot, round);
        hd_slot_pool_return(&pool, slot);
        if (round % 11 == 0) {
            hd_slot_pool_forget(&pool, slot);
        }
        (*done)++;
    }
    return NULL;
}

static void many_threads_share_few_slots_and_the_law_holds(void **state)
{
    (void)state;
    static pthread_t threads[THREADS];
    static uint32_t done[THREADS];
    memset(done, 0, sizeof done);
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, lease_often, &done[i]), 0);
    }
    uint64_t total = 0;
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(done[i], ROUNDS); /* nobody starved */
    }
    for (size_t i = 0; i < HD_STREAM_COUNT; i++) {
        total += plain_counters[i];
    }
    assert_int_equal(total, THREADS * ROUNDS);
    assert_int_equal(plain_counters[0], 0);
    assert_false(hd_load_seq_cst(&violated));
    assert_int_equal(hd_slot_pool_count(&pool).leased, 0);
    assert_int_equal(hd_load_seq_cst(&pool.waiting), 0);
}

/* Hogs take slots again at once, all the time; one patient thread gets its turn each time, as a rule
 * after no more leases of others than stood in the queue or could slip in before it was seen. */
static _Atomic bool hogs_stop;
static _Atomic uint64_t hog_leases;

static void *hog(void *argument)
{
    uint32_t slot = HD_SLOT_NONE;
    (void)argument;
    while (!hd_load_seq_cst(&hogs_stop)) {
        if (hd_slot_pool_lease(&pool, slot, after(60000), &slot) != HD_OK) {
            hd_store_seq_cst(&violated, true);
            break;
        }
        hd_add_seq_cst(&hog_leases, 1);
        usleep(100);
        hd_slot_pool_return(&pool, slot);
    }
    return NULL;
}

static void a_patient_thread_is_overtaken_a_bounded_number_of_times(void **state)
{
    (void)state;
    enum { HOGS = 40 };
    pthread_t threads[HOGS];
    hd_store_seq_cst(&hogs_stop, false);
    for (size_t i = 0; i < HOGS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, hog, NULL), 0);
    }
    usleep(20000);
    size_t slow = 0;
    for (size_t i = 0; i < 100; i++) {
        uint64_t before = hd_load_seq_cst(&hog_leases);
        uint32_t slot;
        assert_int_equal(hd_slot_pool_lease(&pool, HD_SLOT_NONE, after(60000), &slot), HD_OK);
        slow += hd_load_seq_cst(&hog_leases) - before > 50 * HOGS;
        hd_slot_pool_return(&pool, slot);
    }
    hd_store_seq_cst(&hogs_stop, true);
    for (size_t i = 0; i < HOGS; i++) {
        pthread_join(threads[i], NULL);
    }
    /* Each hog can stand before it once in the queue, and slip in once before it is seen to wait. All
     * of them go on, too, while the scheduler keeps this thread off its core before and after: on a
     * busy machine that may be long, so not every lease counts. */
    assert_in_range(slow, 0, 20);
    assert_false(hd_load_seq_cst(&violated));
}

/* --- close */

static void *close_pool(void *argument)
{
    hd_status *status = argument;
    *status = hd_slot_pool_close(&pool, after(20000));
    return NULL;
}

static void close_waits_for_leased_slots_and_refuses_those_who_wait(void **state)
{
    (void)state;
    uint32_t slots[SLOTS], slot;
    lease_all(slots);
    waiter waiting = {.wait_ms = 20000};
    assert_int_equal(pthread_create(&waiting.thread, NULL, wait_for_slot, &waiting), 0);
    wait_for_waiters(1);
    uint64_t begin = hd_clock_now();
    assert_int_equal(hd_slot_pool_close(&pool, begin + 15 * MILLISECOND), HD_NOT_YET);
    assert_true(hd_clock_now() - begin >= 15 * MILLISECOND);
    pthread_join(waiting.thread, NULL);
    assert_int_equal(waiting.status, HD_CLOSED);
    assert_int_equal(hd_slot_pool_lease(&pool, HD_SLOT_NONE, after(1000), &slot), HD_CLOSED);
    pthread_t closers[2];
    hd_status statuses[2] = {HD_INTERNAL, HD_INTERNAL};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&closers[i], NULL, close_pool, &statuses[i]), 0);
    }
    usleep(5000);
    for (size_t i = 0; i < SLOTS; i++) {
        hd_slot_pool_return(&pool, slots[i]);
    }
    for (size_t i = 0; i < 2; i++) {
        pthread_join(closers[i], NULL);
        assert_int_equal(statuses[i], HD_OK);
    }
    assert_int_equal(hd_slot_pool_close(&pool, 0), HD_OK); /* again */
    assert_true(hd_slot_pool_is_closed(&pool));
}

static void *lease_until_closed(void *argument)
{
    hd_status *status = argument;
    uint32_t slot = HD_SLOT_NONE;
    while ((*status = hd_slot_pool_lease(&pool, slot, after(20000), &slot)) == HD_OK) {
        use_slot(slot, 1);
        hd_slot_pool_return(&pool, slot);
    }
    return NULL;
}

static void close_races_with_leases(void **state)
{
    (void)state;
    for (size_t round = 0; round < 30; round++) {
        pthread_t threads[40];
        hd_status statuses[40];
        hd_slot_pool_destroy(&pool);
        assert_int_equal(hd_slot_pool_init(&pool), HD_OK);
        for (size_t i = 0; i < 40; i++) {
            assert_int_equal(pthread_create(&threads[i], NULL, lease_until_closed, &statuses[i]),
                             0);
        }
        usleep((useconds_t)(round * 50));
        assert_int_equal(hd_slot_pool_close(&pool, after(20000)), HD_OK);
        for (size_t i = 0; i < 40; i++) {
            pthread_join(threads[i], NULL);
            assert_int_equal(statuses[i], HD_CLOSED);
        }
        /* Only now: one that looked at `closed` before may still take a slot, see it and return it. */
        assert_int_equal(hd_slot_pool_count(&pool).leased, 0);
    }
    assert_false(hd_load_seq_cst(&violated));
}

static void a_slot_returned_twice_stops_a_checked_build(void **state)
{
    (void)state;
#if defined(HD_DEBUG_CHECKS)
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        uint32_t slot;
        signal(SIGABRT, SIG_DFL);
        if (freopen("/dev/null", "w", stderr) == NULL ||
            hd_slot_pool_lease(&pool, HD_SLOT_NONE, 0, &slot) != HD_OK) {
            _exit(1);
        }
        hd_slot_pool_return(&pool, slot);
        hd_slot_pool_return(&pool, slot);
        _exit(0);
    }
    int result;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFSIGNALED(result));
    assert_int_equal(WTERMSIG(result), SIGABRT);
#else
    skip();
#endif
}

/* --- the spare */

static void the_spare_is_for_runs_and_the_last_to_be_taken(void **state)
{
    (void)state;
    uint32_t slots[SLOTS], slot, none;
    for (size_t i = 0; i < SLOTS; i++) {
        assert_int_equal(hd_slot_pool_lease_for_run(&pool, HD_SLOT_NONE, 0, NULL, &slots[i]),
                         HD_OK);
        assert_in_range(slots[i], 1, SLOTS);
    }
    assert_int_equal(hd_slot_pool_lease(&pool, HD_SLOT_NONE, 0, &none), HD_EXHAUSTED);
    assert_int_equal(hd_slot_pool_lease(&pool, HD_SLOT_SPARE, after(1), &none), HD_EXHAUSTED);
    for (size_t round = 0; round < 3; round++) {
        assert_int_equal(hd_slot_pool_lease_for_run(&pool, slots[0], 0, NULL, &slot), HD_OK);
        assert_int_equal(slot, HD_SLOT_SPARE);
        assert_int_equal(hd_slot_pool_lease_for_run(&pool, HD_SLOT_NONE, 0, NULL, &none),
                         HD_EXHAUSTED);
        assert_int_equal(hd_slot_pool_lease_for_run(&pool, HD_SLOT_NONE, after(1), NULL, &none),
                         HD_EXHAUSTED);
        assert_int_equal(hd_slot_pool_count(&pool).leased, SLOTS);
        hd_slot_pool_return(&pool, slot);
        hd_slot_pool_forget(&pool, slot); /* harmless */
        assert_int_equal(hd_slot_pool_count(&pool).leased, SLOTS);
    }
    for (size_t i = 0; i < SLOTS; i++) {
        hd_slot_pool_return(&pool, slots[i]);
    }
    assert_int_equal(hd_slot_pool_count(&pool).remembered, SLOTS);
}

static uint32_t runs_slot, owners_slot;

static void *lease_as_run(void *argument)
{
    return hd_slot_pool_lease_for_run(&pool, HD_SLOT_NONE, HD_FOREVER, NULL, &runs_slot) == HD_OK
               ? argument
               : NULL;
}

static void *lease_as_owner(void *argument)
{
    return hd_slot_pool_lease(&pool, HD_SLOT_NONE, HD_FOREVER, &owners_slot) == HD_OK ? argument
                                                                                      : NULL;
}

/* The spare goes past those who wait to be owners to a run behind them; another slot does not. */
static void a_run_gets_the_spare_past_owners_in_the_queue(void **state)
{
    (void)state;
    uint32_t slots[SLOTS], spare;
    pthread_t owner, run;
    void *came;
    lease_all(slots);
    assert_int_equal(pthread_create(&owner, NULL, lease_as_owner, &pool), 0);
    wait_for_waiters(1);
    /* Though one waits, a run finds the spare, also without waiting. */
    assert_int_equal(hd_slot_pool_lease_for_run(&pool, HD_SLOT_NONE, 0, NULL, &spare), HD_OK);
    assert_int_equal(spare, HD_SLOT_SPARE);
    assert_int_equal(hd_load_seq_cst(&pool.waiting), 1);
    assert_int_equal(pthread_create(&run, NULL, lease_as_run, &pool), 0);
    wait_for_waiters(2);
    hd_slot_pool_return(&pool, spare);
    pthread_join(run, &came);
    assert_ptr_equal(came, &pool);
    assert_int_equal(runs_slot, HD_SLOT_SPARE);
    assert_int_equal(hd_load_seq_cst(&pool.waiting), 1);
    assert_int_equal(pthread_create(&run, NULL, lease_as_run, &pool), 0);
    wait_for_waiters(2);
    hd_slot_pool_return(&pool, slots[7]);
    pthread_join(owner, &came);
    assert_ptr_equal(came, &pool);
    assert_int_equal(owners_slot, slots[7]);
    hd_slot_pool_return(&pool, HD_SLOT_SPARE);
    pthread_join(run, &came);
    assert_ptr_equal(came, &pool);
    hd_slot_pool_return(&pool, HD_SLOT_SPARE);
    for (size_t i = 0; i < SLOTS; i++) {
        hd_slot_pool_return(&pool, slots[i]); /* slots[7] is the owner's */
    }
}

static void close_waits_for_the_spare(void **state)
{
    (void)state;
    uint32_t slots[SLOTS], spare;
    lease_all(slots);
    assert_int_equal(hd_slot_pool_lease_for_run(&pool, HD_SLOT_NONE, 0, NULL, &spare), HD_OK);
    for (size_t i = 0; i < SLOTS; i++) {
        hd_slot_pool_return(&pool, slots[i]);
    }
    assert_int_equal(hd_slot_pool_close(&pool, after(1)), HD_NOT_YET);
    hd_slot_pool_return(&pool, spare);
    assert_int_equal(hd_slot_pool_close(&pool, HD_FOREVER), HD_OK);
    assert_int_equal(hd_slot_pool_lease_for_run(&pool, HD_SLOT_NONE, 0, NULL, &spare), HD_CLOSED);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_pool, drop_pool)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_slot_returned_twice_stops_a_checked_build),
        TEST(all_slots_but_the_default_are_leased_once),
        TEST(a_remembered_slot_comes_back_to_who_asks_for_it_or_goes_to_others),
        TEST(without_a_wish_the_lowest_idle_slot_is_taken),
        TEST(a_wait_ends_at_its_time_limit_and_leaves_no_trace),
        TEST(waiters_are_served_first_come_and_nobody_overtakes),
        TEST(a_waiter_that_gives_up_does_not_break_the_queue),
        TEST(many_threads_share_few_slots_and_the_law_holds),
        TEST(a_patient_thread_is_overtaken_a_bounded_number_of_times),
        TEST(close_waits_for_leased_slots_and_refuses_those_who_wait),
        TEST(close_races_with_leases),
        TEST(the_spare_is_for_runs_and_the_last_to_be_taken),
        TEST(a_run_gets_the_spare_past_owners_in_the_queue),
        TEST(close_waits_for_the_spare),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

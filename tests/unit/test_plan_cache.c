/* Plan cache: one maker a key, failing makers, least recently used, other keys go on. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "runtime/plan_cache.h"

typedef struct fake_plan {
    _Atomic uint32_t references;
    uint64_t key;
    struct fake_plan *before; /* with a reference; NULL */
} fake_plan;

static _Atomic int32_t plans_alive;
static hd_plan_cache *cache;

static fake_plan *new_plan(uint64_t key)
{
    fake_plan *plan = malloc(sizeof *plan);
    assert_non_null(plan);
    atomic_init(&plan->references, 1);
    plan->key = key;
    plan->before = NULL;
    hd_add_seq_cst(&plans_alive, 1);
    return plan;
}

static void retain(void *plan)
{
    hd_add_relaxed(&((fake_plan *)plan)->references, 1);
}

static void release(void *plan)
{
    while (plan != NULL && hd_sub_acq_rel(&((fake_plan *)plan)->references, 1) == 1) {
        fake_plan *before = ((fake_plan *)plan)->before;
        hd_sub_seq_cst(&plans_alive, 1);
        free(plan);
        plan = before;
    }
}

static bool is_idle(void *plan)
{
    return hd_load_relaxed(&((fake_plan *)plan)->references) == 1;
}

static void make_cache(size_t capacity)
{
    hd_plan_cache_functions functions = {retain, release, is_idle};
    assert_int_equal(hd_plan_cache_create(capacity, functions, &cache), HD_OK);
}

static void drop_cache(void)
{
    hd_plan_cache_destroy(&cache);
    assert_null(cache);
    assert_int_equal(hd_load_seq_cst(&plans_alive), 0);
}

static bool find(uint64_t key, uint64_t deadline, fake_plan **out_plan)
{
    void *found;
    hd_status status = hd_plan_cache_find(cache, &key, sizeof key, deadline, &found);
    *out_plan = found;
    return status == HD_OK;
}

/* True when the key was there. */
static bool look_up(uint64_t key)
{
    fake_plan *plan;
    assert_true(find(key, HD_FOREVER, &plan));
    bool hit = plan != NULL;
    if (!hit) {
        plan = new_plan(key);
        hd_plan_cache_finish(cache, &key, sizeof key, plan);
    }
    assert_int_equal(plan->key, key);
    release(plan);
    return hit;
}

static void the_least_recently_used_plan_goes_first(void **state)
{
    (void)state;
    make_cache(3);
    assert_false(look_up(1));
    assert_false(look_up(2));
    assert_false(look_up(3));
    assert_int_equal(hd_plan_cache_count(cache), 3);
    assert_true(look_up(1));
    assert_false(look_up(4)); /* 2 goes */
    assert_int_equal(hd_plan_cache_count(cache), 3);
    assert_int_equal(hd_load_seq_cst(&plans_alive), 3);
    assert_true(look_up(1));
    assert_true(look_up(3));
    assert_true(look_up(4));
    assert_false(look_up(2)); /* 1 goes */
    assert_false(look_up(1));
    drop_cache();
}

/* Two keys of one length with the same hash, which is FNV-1a of 64 bits. */
static void keys_of_one_hash_have_plans_of_their_own(void **state)
{
    (void)state;
    static const char *const keys[] = {"8yn0iYCKYHlIj4-BwPqk", "GReLUrM4wMqfg9yzV3KQ"};
    make_cache(3);
    for (uint64_t turn = 0; turn < 2; turn++) {
        for (uint64_t i = 0; i < 2; i++) {
            void *found;
            assert_int_equal(
                hd_plan_cache_find(cache, keys[i], strlen(keys[i]), HD_FOREVER, &found), HD_OK);
            fake_plan *plan = found;
            assert_int_equal(plan != NULL, turn == 1);
            if (plan == NULL) {
                plan = new_plan(i);
                hd_plan_cache_finish(cache, keys[i], strlen(keys[i]), plan);
            }
            assert_int_equal(plan->key, i);
            release(plan);
        }
    }
    assert_int_equal(hd_plan_cache_count(cache), 2);
    drop_cache();
}

static void a_plan_that_was_dropped_lives_as_long_as_its_user(void **state)
{
    (void)state;
    make_cache(1);
    fake_plan *plan;
    assert_false(look_up(1));
    assert_true(find(1, HD_FOREVER, &plan));
    assert_false(look_up(2));
    assert_int_equal(plan->key, 1);
    assert_int_equal(hd_load_seq_cst(&plans_alive), 2);
    release(plan);
    assert_int_equal(hd_load_seq_cst(&plans_alive), 1);
    drop_cache();
}

static void keys_that_are_each_others_beginnings_differ(void **state)
{
    (void)state;
    make_cache(8);
    static const char text[] = "aaaa";
    for (size_t size = 0; size <= 4; size++) {
        void *found;
        assert_int_equal(hd_plan_cache_find(cache, text, size, HD_FOREVER, &found), HD_OK);
        assert_null(found);
        fake_plan *plan = new_plan(size);
        hd_plan_cache_finish(cache, text, size, plan);
        release(plan);
    }
    for (size_t size = 0; size <= 4; size++) {
        void *found;
        assert_int_equal(hd_plan_cache_find(cache, text, size, HD_FOREVER, &found), HD_OK);
        assert_int_equal(((fake_plan *)found)->key, size);
        release(found);
    }
    drop_cache();
}

/* --- many threads */

static _Atomic uint32_t makers, makers_at_once, most_at_once, failures_left;
static _Atomic bool wrong;

static void *ask_for_one_key(void *argument)
{
    (void)argument;
    for (;;) {
        fake_plan *plan;
        uint64_t key = 7;
        if (!find(key, HD_FOREVER, &plan)) {
            hd_store_seq_cst(&wrong, true);
            return NULL;
        }
        if (plan != NULL) {
            release(plan);
            return NULL;
        }
        hd_add_seq_cst(&makers, 1);
        uint32_t at_once = hd_add_seq_cst(&makers_at_once, 1) + 1;
        if (at_once > hd_load_seq_cst(&most_at_once)) {
            hd_store_seq_cst(&most_at_once, at_once);
        }
        usleep(3000);
        hd_sub_seq_cst(&makers_at_once, 1);
        if (hd_load_seq_cst(&failures_left) > 0) {
            hd_sub_seq_cst(&failures_left, 1);
            hd_plan_cache_finish(cache, &key, sizeof key, NULL);
            continue; /* a caller that tries again */
        }
        plan = new_plan(key);
        hd_plan_cache_finish(cache, &key, sizeof key, plan);
        release(plan);
        return NULL;
    }
}

static void run_eight(void *(*function)(void *))
{
    pthread_t threads[8];
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, function, (void *)i), 0);
    }
    for (size_t i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_false(hd_load_seq_cst(&wrong));
}

static void eight_threads_that_want_one_key_make_it_once(void **state)
{
    (void)state;
    for (size_t round = 0; round < 20; round++) {
        make_cache(4);
        hd_store_seq_cst(&makers, 0);
        run_eight(ask_for_one_key);
        assert_int_equal(hd_load_seq_cst(&makers), 1);
        drop_cache();
    }
}

static void after_a_failure_the_next_one_tries_alone(void **state)
{
    (void)state;
    make_cache(4);
    hd_store_seq_cst(&makers, 0);
    hd_store_seq_cst(&most_at_once, 0);
    hd_store_seq_cst(&failures_left, 5);
    run_eight(ask_for_one_key);
    assert_int_equal(hd_load_seq_cst(&makers), 6);
    assert_int_equal(hd_load_seq_cst(&most_at_once), 1);
    assert_int_equal(hd_plan_cache_count(cache), 1);
    drop_cache();
}

static void while_one_key_is_made_others_go_on_and_waits_for_it_end(void **state)
{
    (void)state;
    make_cache(4);
    uint64_t key = 1, begin = hd_clock_now();
    fake_plan *plan;
    assert_true(find(key, HD_FOREVER, &plan));
    assert_null(plan); /* this thread is making key 1 */
    assert_false(look_up(2));
    assert_true(look_up(2));
    assert_false(find(key, begin + UINT64_C(10000000), &plan)); /* HD_NOT_YET */
    assert_null(plan);
    assert_true(hd_clock_now() - begin >= UINT64_C(10000000));
    plan = new_plan(key);
    hd_plan_cache_finish(cache, &key, sizeof key, plan);
    release(plan);
    assert_true(look_up(1));
    drop_cache();
}

static void *ask_for_many_keys(void *argument)
{
    uint64_t state = (uint64_t)(uintptr_t)argument * 77 + 5;
    for (size_t i = 0; i < 3000; i++) {
        state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
        uint64_t key = state >> 60; /* 16 keys in a cache for 5 */
        fake_plan *plan;
        if (!find(key, HD_FOREVER, &plan)) {
            hd_store_seq_cst(&wrong, true);
            return NULL;
        }
        if (plan == NULL) {
            plan = (state >> 50 & 7) == 0 ? NULL : new_plan(key);
            hd_plan_cache_finish(cache, &key, sizeof key, plan);
        }
        if (plan != NULL) {
            if (plan->key != key) {
                hd_store_seq_cst(&wrong, true);
            }
            release(plan);
        }
        if (hd_plan_cache_count(cache) > 5) {
            hd_store_seq_cst(&wrong, true);
        }
    }
    return NULL;
}

static void many_keys_on_many_threads_stay_within_the_capacity(void **state)
{
    (void)state;
    make_cache(5);
    run_eight(ask_for_many_keys);
    drop_cache();
}

static void only_plans_that_nobody_has_are_evicted(void **state)
{
    (void)state;
    make_cache(8);
    void *found;
    fake_plan *used = NULL;
    for (uint64_t key = 0; key < 4; key++) {
        assert_int_equal(hd_plan_cache_find(cache, &key, sizeof key, 0, &found), HD_OK);
        assert_null(found);
        fake_plan *plan = new_plan(key);
        hd_plan_cache_finish(cache, &key, sizeof key, plan);
        if (key == 2) {
            used = plan;
        } else {
            release(plan);
        }
    }
    uint64_t making = 9; /* an entry without a plan stays, too */
    assert_int_equal(hd_plan_cache_find(cache, &making, sizeof making, 0, &found), HD_OK);
    hd_plan_cache_evict(cache);
    assert_int_equal(hd_plan_cache_count(cache), 1);
    assert_int_equal(hd_load_seq_cst(&plans_alive), 1);
    hd_plan_cache_finish(cache, &making, sizeof making, NULL);
    uint64_t key = 2;
    assert_int_equal(hd_plan_cache_find(cache, &key, sizeof key, 0, &found), HD_OK);
    assert_ptr_equal(found, used);
    release(found);
    release(used);
    hd_plan_cache_evict(cache);
    assert_int_equal(hd_plan_cache_count(cache), 0);
    drop_cache();
}

/* Segments of one run: each plan has a reference to the one before. */
static void plans_that_only_evicted_ones_had_are_evicted_with_them(void **state)
{
    (void)state;
    make_cache(8);
    fake_plan *before = NULL;
    for (uint64_t key = 0; key < 5; key++) {
        fake_plan *plan;
        assert_true(find(key, 0, &plan));
        assert_null(plan);
        plan = new_plan(key);
        plan->before = before; /* whose reference it takes over */
        hd_plan_cache_finish(cache, &key, sizeof key, plan);
        before = plan;
    }
    release(before);
    hd_plan_cache_evict(cache);
    assert_int_equal(hd_plan_cache_count(cache), 0);
    assert_int_equal(hd_load_seq_cst(&plans_alive), 0);
    drop_cache();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_least_recently_used_plan_goes_first),
        cmocka_unit_test(keys_of_one_hash_have_plans_of_their_own),
        cmocka_unit_test(a_plan_that_was_dropped_lives_as_long_as_its_user),
        cmocka_unit_test(keys_that_are_each_others_beginnings_differ),
        cmocka_unit_test(eight_threads_that_want_one_key_make_it_once),
        cmocka_unit_test(after_a_failure_the_next_one_tries_alone),
        cmocka_unit_test(while_one_key_is_made_others_go_on_and_waits_for_it_end),
        cmocka_unit_test(only_plans_that_nobody_has_are_evicted),
        cmocka_unit_test(plans_that_only_evicted_ones_had_are_evicted_with_them),
        cmocka_unit_test(many_keys_on_many_threads_stay_within_the_capacity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Timeline: points in order, time limits, watches told once, waiters under load. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/thread.h"
#include "runtime/timeline.h"

#define POINTS  20000
#define WAITERS 3

static hd_timeline timeline;
static uint64_t written[POINTS + 1]; /* before each point; no atomics: a race shows under tsan */
static uint32_t told;
static _Atomic uint32_t wrong; /* what the waiters found */

static int make_timeline(void **state)
{
    (void)state;
    told = 0;
    return hd_timeline_init(&timeline) == HD_OK ? 0 : -1;
}

static int drop_timeline(void **state)
{
    (void)state;
    hd_timeline_destroy(&timeline);
    return 0;
}

static void points_come_in_order_and_are_reached_when_signalled(void **state)
{
    (void)state;
    assert_int_equal(hd_timeline_submit(&timeline), 1);
    assert_int_equal(hd_timeline_submit(&timeline), 2);
    assert_int_equal(hd_timeline_submitted(&timeline), 2);
    assert_true(hd_timeline_reached(&timeline, 0));
    assert_false(hd_timeline_reached(&timeline, 1));
    hd_timeline_signal(&timeline, 2);
    assert_true(hd_timeline_reached(&timeline, 1));
    assert_int_equal(hd_timeline_wait(&timeline, 2, 0), HD_OK);
}

static void a_wait_ends_at_its_time_limit(void **state)
{
    (void)state;
    hd_timeline_submit(&timeline);
    assert_int_equal(hd_timeline_wait(&timeline, 1, 0), HD_NOT_YET);
    uint64_t deadline = hd_clock_after_ms(10);
    assert_int_equal(hd_timeline_wait(&timeline, 1, deadline), HD_NOT_YET);
    assert_true(hd_clock_now() >= deadline);
}

static void count_told(hd_timeline_watch *watch)
{
    assert_true(hd_timeline_reached(&timeline, watch->point));
    assert_false(watch->is_set);
    told++;
}

static void a_watch_is_told_once_when_its_point_is_reached(void **state)
{
    (void)state;
    hd_timeline_watch first = {.reached = count_told}, third = {.reached = count_told};
    for (uint32_t i = 0; i < 3; i++) {
        hd_timeline_submit(&timeline);
    }
    assert_true(hd_timeline_set_watch(&timeline, &third, 3));
    assert_true(hd_timeline_set_watch(&timeline, &first, 1));
    hd_timeline_signal(&timeline, 1);
    assert_int_equal(told, 1);
    hd_timeline_signal(&timeline, 2);
    assert_int_equal(told, 1);
    hd_timeline_signal(&timeline, 3);
    assert_int_equal(told, 2);
    assert_false(hd_timeline_set_watch(&timeline, &first, 1));
    assert_int_equal(told, 2);
}

static void a_watch_that_is_set_moves_to_an_earlier_point_only(void **state)
{
    (void)state;
    hd_timeline_watch watch = {.reached = count_told};
    for (uint32_t i = 0; i < 3; i++) {
        hd_timeline_submit(&timeline);
    }
    assert_true(hd_timeline_set_watch(&timeline, &watch, 2));
    assert_true(hd_timeline_set_watch(&timeline, &watch, 3));
    assert_int_equal(watch.point, 2);
    assert_true(hd_timeline_set_watch(&timeline, &watch, 1));
    hd_timeline_signal(&timeline, 1);
    assert_int_equal(told, 1);
    assert_true(hd_timeline_set_watch(&timeline, &watch, 3));
    assert_false(hd_timeline_set_watch(&timeline, &watch, 1)); /* still set for the third */
    hd_timeline_signal(&timeline, 3);
    assert_int_equal(told, 2);
}

static void set_again(hd_timeline_watch *watch)
{
    told++;
    if (told < 3) {
        assert_true(hd_timeline_set_watch(&timeline, watch, told + 1));
    }
}

static void a_watch_may_be_set_again_when_it_is_told(void **state)
{
    (void)state;
    hd_timeline_watch first = {.reached = set_again}, other = {.reached = count_told};
    for (uint32_t i = 1; i <= 3; i++) {
        hd_timeline_submit(&timeline);
    }
    assert_true(hd_timeline_set_watch(&timeline, &first, 1));
    assert_true(hd_timeline_set_watch(&timeline, &other, 3));
    for (uint32_t i = 1; i <= 3; i++) {
        hd_timeline_signal(&timeline, i);
        assert_int_equal(told, i == 3 ? 4 : i);
    }
}

static void wait_for_all(void *argument)
{
    uint64_t step = (uintptr_t)argument;
    for (uint64_t point = step; point <= POINTS; point += step) {
        hd_status status = hd_timeline_wait(&timeline, point, HD_FOREVER);
        if (status != HD_OK || written[point] != point) {
            hd_add_relaxed(&wrong, 1);
        }
    }
}

static void waiters_see_what_was_done_before_each_point(void **state)
{
    (void)state;
    hd_thread threads[WAITERS];
    for (uintptr_t i = 0; i < WAITERS; i++) {
        assert_int_equal(hd_thread_start(&threads[i], "waiter", wait_for_all, (void *)(i + 1)),
                         HD_OK);
    }
    for (uint64_t point = 1; point <= POINTS; point++) {
        assert_int_equal(hd_timeline_submit(&timeline), point);
        written[point] = point;
        hd_timeline_signal(&timeline, point);
    }
    for (uint32_t i = 0; i < WAITERS; i++) {
        hd_thread_join(&threads[i]);
    }
    assert_int_equal(hd_load_relaxed(&wrong), 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_timeline, drop_timeline)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(points_come_in_order_and_are_reached_when_signalled),
        TEST(a_wait_ends_at_its_time_limit),
        TEST(a_watch_is_told_once_when_its_point_is_reached),
        TEST(a_watch_that_is_set_moves_to_an_earlier_point_only),
        TEST(a_watch_may_be_set_again_when_it_is_told),
        TEST(waiters_see_what_was_done_before_each_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

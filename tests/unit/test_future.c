/* Future: one outcome that stands, and time limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/thread.h"
#include "runtime/future.h"

static uint32_t result; /* no atomics: a race shows under tsan */

static hd_future *make_future(void)
{
    hd_future *future = NULL;
    assert_int_equal(hd_future_create(NULL, NULL, true, &future), HD_OK);
    return future;
}

static void the_first_outcome_stands(void **state)
{
    (void)state;
    hd_future *future = make_future();
    assert_int_equal(hd_future_wait(future, 0, NULL), HD_NOT_YET);
    assert_int_equal(hd_future_cancel(future), HD_CANCELLED);
    assert_int_equal(hd_future_wait(future, 1, NULL), HD_NOT_YET); /* not final yet */
    hd_future_finish(future, HD_OK, NULL);
    hd_error error;
    assert_int_equal(hd_future_wait(future, 0, &error), HD_CANCELLED);
    assert_int_equal(error.status, HD_CANCELLED);
    hd_future_destroy(&future);
    assert_null(future);
}

static void finish(void *argument)
{
    result++;
    hd_future_finish(argument, HD_OK, NULL);
}

static void who_waits_sees_the_result(void **state)
{
    (void)state;
    for (uint32_t round = 1; round <= 200; round++) {
        hd_future *future = make_future();
        hd_thread thread;
        assert_int_equal(hd_thread_start(&thread, "finisher", finish, future), HD_OK);
        assert_int_equal(hd_future_wait(future, UINT32_MAX, NULL), HD_OK);
        assert_int_equal(result, round);
        hd_future_destroy(&future); /* perhaps before the finisher has left */
        hd_thread_join(&thread);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_outcome_stands),
        cmocka_unit_test(who_waits_sees_the_result),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

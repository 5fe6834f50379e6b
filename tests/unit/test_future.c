/* Future: one outcome that stands, whoever fixes it; one callback; who frees it. What is not freed shows
 * under asan. */
#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/thread.h"
#include "runtime/future.h"

static uint32_t result; /* no atomics: a race shows under tsan */

/* A device as futures see it, and what its callbacks were told. Futures that have a callback keep it. */
typedef struct home {
    hd_callbacks callbacks;
    hd_future_home home;
    _Atomic uint32_t owners;
    hd_future *future; /* for the callback to look at; NULL: the handle is gone */
    bool destroys;     /* the callback gives the handle back */
    uint32_t calls;    /* this and what follows: of the callback thread */
    hd_status outcome, seen;
    bool is_elsewhere, has_error; /* not on the callback thread */
    hd_error error;
} home;

static void retain_home(void *owner)
{
    hd_add_relaxed(&((home *)owner)->owners, 1);
}

static void release_home(void *owner)
{
    hd_sub_acq_rel(&((home *)owner)->owners, 1);
}

static void open_home(home *home)
{
    memset(home, 0, sizeof *home);
    assert_int_equal(hd_callbacks_init(&home->callbacks), HD_OK);
    home->home = (hd_future_home){&home->callbacks, home, retain_home, release_home, false};
}

/* Every callback has returned then. */
static void close_home(home *home)
{
    hd_callbacks_destroy(&home->callbacks);
    assert_int_equal(hd_load_relaxed(&home->owners), 0);
}

static void note(void *context, hd_status outcome, const hd_error *error)
{
    home *home = context;
    home->calls++;
    home->outcome = outcome;
    home->is_elsewhere = !hd_callbacks_is_current(&home->callbacks);
    home->has_error = error != NULL;
    if (error != NULL) {
        home->error = *error;
    }
    home->seen = home->future == NULL ? outcome : hd_future_wait(home->future, 0, NULL);
    if (home->destroys) {
        hd_future_destroy(&home->future);
    }
}

static hd_future *make_calling_future(home *home, bool with_handle)
{
    hd_submit_options options = {.struct_size = sizeof options, .callback = note, .context = home};
    hd_future *future = NULL;
    assert_int_equal(hd_future_create(&home->home, &options, with_handle, &future), HD_OK);
    home->future = with_handle ? future : NULL;
    assert_int_equal(hd_load_relaxed(&home->owners), 1);
    return future;
}

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
    assert_true(hd_future_hold(future));
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
        assert_int_equal(hd_future_wait(future, HD_WAIT_FOREVER, NULL), HD_OK);
        assert_int_equal(result, round);
        hd_future_destroy(&future); /* perhaps before the finisher has left */
        hd_thread_join(&thread);
    }
}

static void a_cancel_after_the_end_changes_nothing(void **state)
{
    (void)state;
    hd_future *good = make_future(), *bad = make_future();
    hd_error error;
    hd_fail(&error, HD_INVALID_ARGUMENT, "input 'x' is missing");
    hd_future_finish(good, HD_OK, NULL);
    hd_future_finish(bad, HD_INVALID_ARGUMENT, &error);
    error.message[0] = '\0'; /* it was copied */
    for (int again = 0; again < 2; again++) {
        assert_int_equal(hd_future_cancel(good), HD_OK);
        assert_int_equal(hd_future_wait(good, 0, NULL), HD_OK);
        assert_int_equal(hd_future_cancel(bad), HD_INVALID_ARGUMENT);
        assert_int_equal(hd_future_wait(bad, 0, &error), HD_INVALID_ARGUMENT);
        assert_string_equal(error.message, "input 'x' is missing");
    }
    hd_future_destroy(&good);
    hd_future_destroy(&bad);
    assert_int_equal(hd_future_cancel(NULL), HD_INVALID_ARGUMENT);
    assert_int_equal(hd_future_wait(NULL, 0, &error), HD_INVALID_ARGUMENT);
}

static void work_is_skipped_once_the_outcome_is_fixed(void **state)
{
    (void)state;
    hd_future *future = make_future();
    assert_int_equal(hd_future_look(future), HD_OK);
    assert_int_equal(hd_future_cancel(future), HD_CANCELLED);
    assert_int_equal(hd_future_look(future), HD_CANCELLED);
    assert_false(hd_future_hold(future));
    assert_int_equal(hd_future_cancel(future), HD_CANCELLED);
    hd_future_finish(future, HD_INTERNAL, NULL);
    assert_int_equal(hd_future_wait(future, 0, NULL), HD_CANCELLED);
    hd_future_destroy(&future);
}

static void what_holds_no_memory_is_final_with_its_outcome(void **state)
{
    (void)state;
    for (int late = 0; late < 2; late++) {
        home home;
        hd_error error;
        open_home(&home);
        hd_future *future = make_calling_future(&home, true);
        hd_status outcome = late ? HD_DEADLINE : HD_CANCELLED;
        if (late) {
            future->deadline = hd_clock_now() + 1000000;
        } else {
            assert_int_equal(hd_future_cancel(future), HD_CANCELLED);
        }
        assert_int_equal(hd_future_wait(future, UINT32_MAX, &error), outcome);
        assert_int_equal(error.status, outcome);
        while (hd_load_acquire(&home.owners) != 0) {
            /* the callback comes without the work's end, too */
            hd_thread_yield();
        }
        assert_int_equal(home.outcome, outcome);
        hd_error failed;
        hd_fail(&failed, HD_OUT_OF_MEMORY, "no memory");
        hd_future_finish(future, HD_OUT_OF_MEMORY, &failed); /* too late */
        assert_int_equal(hd_future_wait(future, 0, NULL), outcome);
        hd_future_destroy(&future);
        close_home(&home);
        assert_int_equal(home.calls, 1);
    }
}

static void memory_that_is_let_go_is_the_callers(void **state)
{
    (void)state;
    for (int before = 0; before < 2; before++) {
        hd_future *future = make_future();
        assert_true(hd_future_hold(future));
        if (before) {
            assert_int_equal(hd_future_cancel(future), HD_CANCELLED);
            assert_int_equal(hd_future_wait(future, 0, NULL), HD_NOT_YET);
        }
        hd_future_let_go(future);
        assert_int_equal(hd_future_wait(future, 0, NULL), before ? HD_CANCELLED : HD_NOT_YET);
        if (!before) {
            assert_int_equal(hd_future_cancel(future), HD_CANCELLED);
        }
        assert_int_equal(hd_future_wait(future, 0, NULL), HD_CANCELLED);
        assert_false(hd_future_hold(future));
        hd_future_finish(future, HD_CANCELLED, NULL);
        hd_future_destroy(&future);
    }
}

static void what_is_committed_is_not_stopped(void **state)
{
    (void)state;
    hd_future *future = make_future();
    assert_true(hd_future_hold(future));
    assert_int_equal(hd_future_commit(future), HD_OK);
    assert_int_equal(hd_future_cancel(future), HD_OK);
    /* the structs are being written */
    assert_int_equal(hd_future_wait(future, 0, NULL), HD_NOT_YET);
    hd_future_finish(future, HD_OK, NULL);
    assert_int_equal(hd_future_wait(future, 0, NULL), HD_OK);
    hd_future_destroy(&future);
    future = make_future();
    assert_true(hd_future_hold(future));
    assert_int_equal(hd_future_cancel(future), HD_CANCELLED);
    assert_int_equal(hd_future_commit(future), HD_CANCELLED);
    hd_future_finish(future, HD_CANCELLED, NULL);
    assert_int_equal(hd_future_wait(future, 0, NULL), HD_CANCELLED);
    hd_future_destroy(&future);
}

static void a_deadline_counts_from_the_call(void **state)
{
    (void)state;
    hd_submit_options options = {.struct_size = sizeof options, .deadline_ms = 60000};
    hd_future *future = NULL;
    uint64_t earliest = hd_clock_after_ms(60000);
    assert_int_equal(hd_future_create(NULL, &options, false, &future), HD_OK);
    assert_in_range(future->deadline, earliest, hd_clock_after_ms(60000));
    assert_int_equal(hd_future_look(future), HD_OK);
    hd_future_finish(future, HD_OK, NULL);
}

static void a_deadline_before_the_end_is_the_outcome(void **state)
{
    (void)state;
    for (int who = 0; who < 3; who++) { /* who finds that it has passed */
        hd_future *future = make_future();
        hd_error error;
        assert_true(hd_future_hold(future));
        future->deadline = hd_clock_now();
        if (who == 1) {
            assert_int_equal(hd_future_look(future), HD_DEADLINE);
            assert_int_equal(hd_future_commit(future), HD_DEADLINE);
        } else if (who == 2) {
            assert_int_equal(hd_future_cancel(future), HD_DEADLINE);
        }
        assert_int_equal(hd_future_wait(future, 0, NULL), HD_NOT_YET); /* memory is still in use */
        hd_future_finish(future, HD_OK, NULL);
        assert_int_equal(hd_future_wait(future, 0, &error), HD_DEADLINE);
        assert_non_null(strstr(error.message, "deadline"));
        assert_int_equal(hd_future_cancel(future), HD_DEADLINE);
        hd_future_destroy(&future);
    }
}

static void a_deadline_after_the_end_changes_nothing(void **state)
{
    (void)state;
    static const hd_status ends[] = {HD_OK, HD_OUT_OF_MEMORY, HD_CANCELLED};
    for (size_t i = 0; i < 3; i++) {
        hd_future *future = make_future();
        if (ends[i] == HD_CANCELLED) {
            assert_int_equal(hd_future_cancel(future), HD_CANCELLED);
            future->deadline = hd_clock_now(); /* passes between cancel and end */
        }
        hd_future_finish(future, ends[i] == HD_CANCELLED ? HD_OK : ends[i], NULL);
        future->deadline = hd_clock_now();
        assert_int_equal(hd_future_look(future), ends[i]);
        assert_int_equal(hd_future_cancel(future), ends[i]);
        assert_int_equal(hd_future_wait(future, 0, NULL), ends[i]);
        hd_future_destroy(&future);
    }
}

static void a_callback_comes_once_on_its_thread_when_the_future_is_final(void **state)
{
    (void)state;
    static const hd_status outcomes[] = {HD_OK, HD_OUT_OF_MEMORY, HD_CANCELLED, HD_DEADLINE};
    for (size_t i = 0; i < 4; i++) {
        home home;
        open_home(&home);
        hd_future *future = make_calling_future(&home, true);
        if (outcomes[i] == HD_CANCELLED) {
            assert_int_equal(hd_future_cancel(future), HD_CANCELLED);
        } else if (outcomes[i] == HD_DEADLINE) {
            future->deadline = hd_clock_now();
        }
        hd_future_finish(future, i < 2 ? outcomes[i] : HD_OK, NULL);
        close_home(&home);
        assert_int_equal(home.calls, 1);
        assert_int_equal(home.outcome, outcomes[i]);
        assert_int_equal(home.seen, outcomes[i]);
        assert_false(home.is_elsewhere);
        assert_int_equal(home.has_error, outcomes[i] != HD_OK);
        assert_true(outcomes[i] == HD_OK || home.error.status == outcomes[i]);
        hd_future_destroy(&future);
    }
}

typedef struct canceller {
    hd_future *future;
    hd_status answer, outcome;
    hd_thread thread;
} canceller;

static void cancel_and_wait(void *argument)
{
    canceller *self = argument;
    self->answer = hd_future_cancel(self->future);
    self->outcome = hd_future_wait(self->future, HD_WAIT_FOREVER, NULL);
}

static void many_that_end_a_future_agree(void **state)
{
    (void)state;
    for (int round = 0; round < 200; round++) {
        home home;
        canceller cancellers[3];
        open_home(&home);
        hd_future *future = make_calling_future(&home, true);
        future->deadline = hd_clock_now() + (uint64_t)(round % 8) * 20000;
        for (size_t i = 0; i < 3; i++) {
            cancellers[i].future = future;
            assert_int_equal(hd_thread_start(&cancellers[i].thread, "canceller", cancel_and_wait,
                                             &cancellers[i]),
                             HD_OK);
        }
        hd_future_finish(future, HD_OK, NULL);
        for (size_t i = 0; i < 3; i++) {
            hd_thread_join(&cancellers[i].thread);
        }
        close_home(&home);
        assert_int_equal(home.calls, 1);
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(cancellers[i].answer, home.outcome);
            assert_int_equal(cancellers[i].outcome, home.outcome);
        }
        hd_future_destroy(&future);
    }
}

static void a_request_goes_on_without_its_handle(void **state)
{
    (void)state;
    home home;
    open_home(&home);
    hd_future *future = make_calling_future(&home, true), *handle = future;
    home.future = NULL;
    hd_future_destroy(&handle);
    assert_null(handle);
    hd_future_finish(future, HD_OK, NULL);
    close_home(&home);
    assert_int_equal(home.calls, 1);
    open_home(&home); /* never had one */
    hd_future_finish(make_calling_future(&home, false), HD_OK, NULL);
    close_home(&home);
    assert_int_equal(home.calls, 1);
    hd_future_destroy(&handle); /* NULL is allowed */
    hd_future_destroy(NULL);
    future = handle = make_future(); /* and nobody asks at all */
    hd_future_destroy(&handle);
    hd_future_finish(future, HD_OK, NULL);
}

static void a_callback_may_give_the_handle_back(void **state)
{
    (void)state;
    home home;
    open_home(&home);
    home.destroys = true;
    hd_future_finish(make_calling_future(&home, true), HD_OK, NULL);
    close_home(&home);
    assert_int_equal(home.calls, 1);
    assert_null(home.future);
}

static void a_discarded_future_leaves_nothing_and_calls_nobody(void **state)
{
    (void)state;
    home home;
    open_home(&home);
    for (size_t i = 0; i <= HD_CALLBACK_CAPACITY; i++) { /* its place is free again */
        hd_future_discard(make_calling_future(&home, i % 2 == 0));
        assert_int_equal(hd_load_relaxed(&home.owners), 0);
    }
    hd_future_discard(make_future());
    close_home(&home);
    assert_int_equal(home.calls, 0);
}

static void without_a_place_for_its_callback_there_is_no_future(void **state)
{
    (void)state;
    home home;
    open_home(&home);
    for (size_t i = 0; i < HD_CALLBACK_CAPACITY; i++) {
        assert_int_equal(hd_callbacks_reserve(&home.callbacks), HD_OK);
    }
    hd_submit_options options = {.struct_size = sizeof options, .callback = note, .context = &home};
    hd_future *future = (hd_future *)&options;
    assert_int_equal(hd_future_create(&home.home, &options, true, &future), HD_EXHAUSTED);
    assert_null(future);
    assert_int_equal(hd_load_relaxed(&home.owners), 0);
    for (size_t i = 0; i < HD_CALLBACK_CAPACITY; i++) {
        hd_callbacks_cancel(&home.callbacks);
    }
    close_home(&home);
}

static void room_lies_behind_the_future_and_is_aligned(void **state)
{
    (void)state;
    for (size_t size = 0; size < 100; size += 33) {
        hd_future *future = NULL;
        void *room = NULL;
        assert_int_equal(hd_future_create_with_room(NULL, NULL, false, size, &future, &room),
                         HD_OK);
        assert_true((uintptr_t)room % alignof(max_align_t) == 0);
        memset(room, 0xFF, size);
        assert_int_equal(hd_future_look(future), HD_OK);
        hd_future_finish(future, HD_OK, NULL);
    }
    hd_future *future = NULL;
    void *room = NULL;
    assert_int_equal(hd_future_create_with_room(NULL, NULL, false, SIZE_MAX, &future, &room),
                     HD_OUT_OF_MEMORY);
    assert_null(future);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_outcome_stands),
        cmocka_unit_test(who_waits_sees_the_result),
        cmocka_unit_test(a_cancel_after_the_end_changes_nothing),
        cmocka_unit_test(work_is_skipped_once_the_outcome_is_fixed),
        cmocka_unit_test(what_holds_no_memory_is_final_with_its_outcome),
        cmocka_unit_test(memory_that_is_let_go_is_the_callers),
        cmocka_unit_test(what_is_committed_is_not_stopped),
        cmocka_unit_test(a_deadline_counts_from_the_call),
        cmocka_unit_test(a_deadline_before_the_end_is_the_outcome),
        cmocka_unit_test(a_deadline_after_the_end_changes_nothing),
        cmocka_unit_test(a_callback_comes_once_on_its_thread_when_the_future_is_final),
        cmocka_unit_test(many_that_end_a_future_agree),
        cmocka_unit_test(a_request_goes_on_without_its_handle),
        cmocka_unit_test(a_callback_may_give_the_handle_back),
        cmocka_unit_test(a_discarded_future_leaves_nothing_and_calls_nobody),
        cmocka_unit_test(without_a_place_for_its_callback_there_is_no_future),
        cmocka_unit_test(room_lies_behind_the_future_and_is_aligned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

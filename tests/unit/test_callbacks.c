/* Callbacks: each is called once and in order, places are bounded, the thread may be ended from
 * within; and the once that starts the thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/atomic.h"
#include "base/memory.h"
#include "base/once.h"
#include "base/thread.h"
#include "runtime/callbacks.h"

#define POSTERS 4
#define POSTS   500

static void callbacks_that_were_never_used_have_no_thread(void **state)
{
    (void)state;
    hd_callbacks callbacks;
    assert_int_equal(hd_callbacks_init(&callbacks), HD_OK);
    assert_false(hd_callbacks_is_current(&callbacks));
    assert_false(hd_once_is_started(&callbacks.started));
    hd_callbacks_destroy(&callbacks);
}

typedef struct call {
    hd_callback callback;
    hd_callbacks *callbacks;
    uint32_t *next; /* the number of the next callback that should come; of the callback thread */
    uint32_t number;
    bool right;
} call;

static void note(hd_callback *callback)
{
    call *self = (call *)callback;
    self->right = hd_callbacks_is_current(self->callbacks) && *self->next == self->number;
    ++*self->next;
}

static void a_full_list_is_refused_and_callbacks_come_in_order(void **state)
{
    (void)state;
    hd_callbacks callbacks;
    static call calls[HD_CALLBACK_CAPACITY];
    uint32_t next = 0;
    assert_int_equal(hd_callbacks_init(&callbacks), HD_OK);
    for (size_t i = 0; i < HD_CALLBACK_CAPACITY; i++) {
        assert_int_equal(hd_callbacks_reserve(&callbacks), HD_OK);
    }
    assert_int_equal(hd_callbacks_reserve(&callbacks), HD_EXHAUSTED);
    hd_callbacks_cancel(&callbacks);
    assert_int_equal(hd_callbacks_reserve(&callbacks), HD_OK);
    for (uint32_t i = 0; i < HD_CALLBACK_CAPACITY; i++) {
        calls[i] = (call){{.run = note}, &callbacks, &next, i, false};
        hd_callbacks_post(&callbacks, &calls[i].callback);
    }
    hd_status status;
    while ((status = hd_callbacks_reserve(&callbacks)) == HD_EXHAUSTED) {
        hd_thread_yield();
    }
    assert_int_equal(status, HD_OK);
    hd_callbacks_cancel(&callbacks);
    hd_callbacks_destroy(&callbacks);
    assert_int_equal(next, HD_CALLBACK_CAPACITY);
    for (size_t i = 0; i < HD_CALLBACK_CAPACITY; i++) {
        assert_true(calls[i].right);
    }
}

typedef struct poster {
    hd_callbacks *callbacks;
    hd_callback calls[POSTS];
    hd_thread thread;
} poster;

static uint32_t called; /* of the callback thread */

static void count(hd_callback *callback)
{
    (void)callback;
    called++;
}

static void post_all(void *argument)
{
    poster *self = argument;
    for (size_t i = 0; i < POSTS; i++) {
        while (hd_callbacks_reserve(self->callbacks) != HD_OK) {
            hd_thread_yield();
        }
        self->calls[i].run = count;
        hd_callbacks_post(self->callbacks, &self->calls[i]);
    }
}

static void many_post_at_once_and_each_callback_comes_once(void **state)
{
    (void)state;
    hd_callbacks callbacks;
    static poster posters[POSTERS];
    called = 0;
    assert_int_equal(hd_callbacks_init(&callbacks), HD_OK);
    for (size_t i = 0; i < POSTERS; i++) {
        posters[i].callbacks = &callbacks;
        assert_int_equal(hd_thread_start(&posters[i].thread, "poster", post_all, &posters[i]),
                         HD_OK);
    }
    for (size_t i = 0; i < POSTERS; i++) {
        hd_thread_join(&posters[i].thread);
    }
    hd_callbacks_destroy(&callbacks);
    assert_int_equal(called, POSTERS * POSTS);
}

static _Atomic uint32_t ended;

static void end_callbacks(hd_callback *callback)
{
    call *self = (call *)callback;
    hd_callbacks_destroy(self->callbacks);
    hd_free(self->callbacks);
    hd_free(self);
    hd_add_release(&ended, 1);
}

static void a_callback_may_end_its_own_thread(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 200; i++) {
        hd_callbacks *callbacks = hd_alloc(sizeof *callbacks);
        call *last = hd_alloc_zero(1, sizeof *last);
        assert_true(callbacks != NULL && last != NULL);
        assert_int_equal(hd_callbacks_init(callbacks), HD_OK);
        assert_int_equal(hd_callbacks_reserve(callbacks), HD_OK);
        last->callback.run = end_callbacks;
        last->callbacks = callbacks;
        hd_callbacks_post(callbacks, &last->callback);
        while (hd_load_acquire(&ended) != i + 1) {
            hd_thread_yield();
        }
    }
}

typedef struct start {
    hd_once once;
    uint32_t attempts, failing;
    _Atomic uint32_t refused;
} start;

static hd_status try_start(void *argument)
{
    start *all = argument;
    return all->attempts++ < all->failing ? HD_OUT_OF_MEMORY : HD_OK;
}

static void start_until_started(void *argument)
{
    start *all = argument;
    while (hd_once_start(&all->once, try_start, all) != HD_OK) {
        hd_add_relaxed(&all->refused, 1);
    }
}

static void once_starts_once_and_tries_again_what_failed(void **state)
{
    (void)state;
    for (uint32_t failing = 0; failing < 50; failing++) {
        start all = {.failing = failing};
        hd_thread threads[POSTERS];
        for (size_t i = 0; i < POSTERS; i++) {
            assert_int_equal(hd_thread_start(&threads[i], "starter", start_until_started, &all),
                             HD_OK);
        }
        for (size_t i = 0; i < POSTERS; i++) {
            hd_thread_join(&threads[i]);
        }
        assert_true(hd_once_is_started(&all.once));
        assert_int_equal(all.attempts, failing + 1);
        assert_int_equal(hd_load_relaxed(&all.refused), failing);
    }
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(callbacks_that_were_never_used_have_no_thread),
        cmocka_unit_test(a_full_list_is_refused_and_callbacks_come_in_order),
        cmocka_unit_test(many_post_at_once_and_each_callback_comes_once),
        cmocka_unit_test(a_callback_may_end_its_own_thread),
        cmocka_unit_test(once_starts_once_and_tries_again_what_failed),
    };
    return cmocka_run_group_tests_name("callbacks", tests, NULL, NULL);
}

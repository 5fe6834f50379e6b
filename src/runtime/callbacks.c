#include "runtime/callbacks.h"

#include "base/check.h"
#include "base/clock.h"

static void callbacks_lock(hd_callbacks *callbacks)
    HD_ACQUIRE(&callbacks->mutex, hd_rank_callbacks) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_lock(&callbacks->mutex);
}

static void callbacks_unlock(hd_callbacks *callbacks)
    HD_RELEASE(&callbacks->mutex, hd_rank_callbacks) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_unlock(&callbacks->mutex);
}

hd_status hd_callbacks_init(hd_callbacks *callbacks) HD_NO_THREAD_SAFETY_ANALYSIS
{
    *callbacks = (hd_callbacks){.reserved = 0};
    if (hd_mutex_init(&callbacks->mutex, HD_RANK_callbacks) != HD_OK) {
        return HD_OUT_OF_MEMORY;
    }
    if (hd_condition_init(&callbacks->posted) != HD_OK) {
        hd_mutex_destroy(&callbacks->mutex);
        return HD_OUT_OF_MEMORY;
    }
    return HD_OK;
}

/* The next callback, when it comes; NULL when the thread is to end. */
static hd_callback *take_callback(hd_callbacks *callbacks) HD_REQUIRES(&callbacks->mutex)
{
    while (callbacks->first == NULL && !callbacks->stopping) {
        hd_condition_wait_until(&callbacks->posted, &callbacks->mutex, HD_FOREVER);
    }
    hd_callback *callback = callbacks->first;
    if (callback != NULL) {
        callbacks->first = callback->next;
        callbacks->last = callbacks->first == NULL ? NULL : callbacks->last;
    }
    return callback;
}

/* *gone: set when a callback has destroyed the callbacks. Not inlined, since gcc cannot see that nothing
 * is left then that points to it. */
__attribute__((noinline)) static void run_callbacks(hd_callbacks *callbacks, bool *gone)
{
    callbacks_lock(callbacks);
    callbacks->gone = gone;
    for (;;) {
        hd_callback *callback = take_callback(callbacks);
        callbacks_unlock(callbacks);
        if (callback == NULL) {
            return;
        }
        hd_process_begin_work();
        callback->run(callback);
        hd_process_end_work();
        if (hd_thread_is_forked()) {
            hd_process_end_child(); /* which the callback has forked */
        }
        if (*gone) {
            return; /* it ended the device, and *callbacks with it */
        }
        callbacks_lock(callbacks);
        callbacks->reserved--;
    }
}

static void callbacks_main(void *argument)
{
    bool gone = false;
    run_callbacks(argument, &gone);
}

static hd_status start_thread(void *argument)
{
    hd_callbacks *callbacks = argument;
    return hd_thread_start(&callbacks->thread, "heddle-callback", callbacks_main, callbacks);
}

void hd_callbacks_destroy(hd_callbacks *callbacks) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_check_no_lock_held();
    if (hd_callbacks_is_current(callbacks)) {
        HD_CHECK("ONCE.callbacks-empty", callbacks->reserved == 1 && callbacks->first == NULL);
        *callbacks->gone = true;
        hd_thread_detach(&callbacks->thread);
    } else if (hd_once_is_started(&callbacks->started)) {
        callbacks_lock(callbacks);
        callbacks->stopping = true;
        hd_condition_signal(&callbacks->posted);
        callbacks_unlock(callbacks);
        hd_thread_join(&callbacks->thread);
        HD_CHECK("ONCE.callbacks-empty", callbacks->reserved == 0 && callbacks->first == NULL);
    }
    hd_condition_destroy(&callbacks->posted);
    hd_mutex_destroy(&callbacks->mutex);
}

hd_status hd_callbacks_reserve(hd_callbacks *callbacks)
{
    hd_status status = hd_once_start(&callbacks->started, start_thread, callbacks);
    if (status != HD_OK) {
        return status;
    }
    callbacks_lock(callbacks);
    if (callbacks->reserved < HD_CALLBACK_CAPACITY) {
        callbacks->reserved++;
    } else {
        status = HD_EXHAUSTED;
    }
    callbacks_unlock(callbacks);
    return status;
}

void hd_callbacks_cancel(hd_callbacks *callbacks)
{
    callbacks_lock(callbacks);
    HD_CHECK("ONCE.callback-reserved", callbacks->reserved > 0);
    callbacks->reserved--;
    callbacks_unlock(callbacks);
}

void hd_callbacks_post(hd_callbacks *callbacks, hd_callback *callback)
{
    callback->next = NULL;
    callbacks_lock(callbacks);
    if (callbacks->last == NULL) {
        callbacks->first = callback;
    } else {
        callbacks->last->next = callback;
    }
    callbacks->last = callback;
    hd_condition_signal(&callbacks->posted);
    callbacks_unlock(callbacks);
}

bool hd_callbacks_is_current(hd_callbacks *callbacks)
{
    return hd_once_is_started(&callbacks->started) && hd_thread_is_current(&callbacks->thread);
}

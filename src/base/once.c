#include "base/once.h"

#include "base/mutex.h"
#include "base/thread.h"

enum { NOT_STARTED, STARTING, STARTED };

bool hd_once_is_started(hd_once *once)
{
    /* acquire: pairs with the release below. */
    return hd_load_acquire(&once->state) == STARTED;
}

hd_status hd_once_start(hd_once *once, hd_status (*start)(void *), void *argument)
{
    hd_check_no_lock_held();
    while (!hd_once_is_started(once)) {
        uint32_t expected = NOT_STARTED;
        if (hd_cas_acquire(&once->state, &expected, STARTING)) {
            hd_status status = start(argument);
            /* release: what was started is seen by whoever finds it so. */
            hd_store_release(&once->state, status == HD_OK ? STARTED : NOT_STARTED);
            return status;
        }
        if (expected == STARTING) { /* else that has ended meanwhile */
            hd_spin_pause();
            hd_thread_yield();
        }
    }
    return HD_OK;
}

#include "base/stop.h"

#include <stddef.h>

#include "base/clock.h"

#define LOOK_NANOSECONDS UINT64_C(4000000)

/* Not for the explorer, whose threads share what is a thread's own. */
#define UNSEEN __attribute__((no_sanitize("thread")))

static _Thread_local const hd_stop *current;

UNSEEN void hd_stop_enter(const hd_stop *stop)
{
    current = stop;
}

UNSEEN hd_status hd_stop_asked(void)
{
    return hd_stop_look(current);
}

uint64_t hd_stop_next_look(const hd_stop *stop, uint64_t deadline)
{
    if (stop == NULL) {
        return deadline;
    }
    uint64_t next = hd_clock_now() + LOOK_NANOSECONDS;
    return next < deadline ? next : deadline;
}

hd_status hd_stop_tell(hd_status why, hd_error *error)
{
    return hd_fail(error, why, why == HD_CANCELLED ? "the request was cancelled" : "the request's deadline passed");
}

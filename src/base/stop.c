#include "base/stop.h"

#include <string.h>

#include "base/clock.h"

#define LOOK_NANOSECONDS UINT64_C(4000000)
#define COPY_BYTES       ((size_t)256 << 10) /* from one look to the next */
#define PAGE_BYTES       ((size_t)2 << 20)

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

void hd_stop_copy(void *target, const void *source, size_t size)
{
    for (size_t at = 0, some; at < size; at += some) {
        some = size - at < COPY_BYTES ? size - at : COPY_BYTES;
        if (at > 0 && hd_stop_asked() != HD_OK) {
            return;
        }
        memcpy((unsigned char *)target + at, (const unsigned char *)source + at, some);
    }
}

void hd_stop_clear(void *target, size_t size)
{
    for (size_t at = 0, some; at < size; at += some) {
        some = size - at < COPY_BYTES ? size - at : COPY_BYTES;
        if (at > 0 && hd_stop_asked() != HD_OK) {
            return;
        }
        memset((unsigned char *)target + at, 0, some);
    }
}

void hd_stop_touch(void *memory, size_t size)
{
    volatile unsigned char *bytes = memory;
    for (size_t at = 0; current != NULL && at < size && hd_stop_asked() == HD_OK;
         at += PAGE_BYTES) {
        bytes[at] = 0;
    }
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
    return hd_fail(error, why,
                   why == HD_CANCELLED ? "the request was cancelled"
                                       : "the request's deadline passed");
}

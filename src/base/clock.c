#define _POSIX_C_SOURCE 200809L
#include "base/clock.h"

#include <time.h>

#include "heddle/wait.h"

uint64_t hd_clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

uint32_t hd_wait_of_argument(uint32_t milliseconds)
{
    return milliseconds == HD_NO_WAIT ? 0 : milliseconds;
}

uint32_t hd_wait_of_option(uint32_t milliseconds, uint32_t standard)
{
    return milliseconds == 0 ? standard : hd_wait_of_argument(milliseconds);
}

uint64_t hd_clock_after_ms(uint32_t milliseconds)
{
    if (milliseconds == 0 || milliseconds == HD_WAIT_FOREVER) {
        return milliseconds == 0 ? 0 : HD_FOREVER;
    }
    return hd_clock_now() + (uint64_t)milliseconds * UINT64_C(1000000);
}

#define _POSIX_C_SOURCE 200809L
#include "base/clock.h"

#include <time.h>

uint64_t hd_clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

uint64_t hd_clock_after_ms(uint32_t milliseconds)
{
    return milliseconds == UINT32_MAX ? HD_FOREVER
                                      : hd_clock_now() + (uint64_t)milliseconds * UINT64_C(1000000);
}

/* Clock: monotonic time in nanoseconds, and points in time as limits of waits (BOUND). */
#ifndef HD_BASE_CLOCK_H
#define HD_BASE_CLOCK_H

#include <stdint.h>

#define HD_FOREVER UINT64_MAX

/* Nanoseconds since some fixed point; never goes back. */
uint64_t hd_clock_now(void);

/* The point `milliseconds` from now; HD_FOREVER for UINT32_MAX. */
uint64_t hd_clock_after_ms(uint32_t milliseconds);

#endif

/* Clock: monotonic time in nanoseconds, and points in time as limits of waits (BOUND). */
#ifndef HD_BASE_CLOCK_H
#define HD_BASE_CLOCK_H

#include <stdint.h>

#define HD_FOREVER UINT64_MAX

/* Nanoseconds since some fixed point; never goes back. */
uint64_t hd_clock_now(void);

/* The words of heddle/wait.h. What an argument says in milliseconds, of which HD_NO_WAIT is 0, and what a field
 * of options says, of which 0 is `standard`. */
uint32_t hd_wait_of_argument(uint32_t milliseconds);
uint32_t hd_wait_of_option(uint32_t milliseconds, uint32_t standard);

/* The point `milliseconds` from now, until which a wait goes on: 0, which is not at all, for 0; HD_FOREVER for
 * HD_WAIT_FOREVER. */
uint64_t hd_clock_after_ms(uint32_t milliseconds);

#endif

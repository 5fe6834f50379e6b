/* Float environment: what arithmetic means while a run computes, whatever the caller had set (BITS):
 * round to nearest, subnormal numbers kept, exceptions masked. Thread-safety: the calling thread's. */
#ifndef HD_BASE_FLOAT_ENVIRONMENT_H
#define HD_BASE_FLOAT_ENVIRONMENT_H

#include <fenv.h>
#include <stdint.h>

#if defined(__x86_64__)
typedef uint32_t hd_float_environment; /* MXCSR; x87 is not used */
#else
typedef fenv_t hd_float_environment;
#endif

/* Sets the run's environment on this thread; *saved keeps the caller's, with its exception flags. */
void hd_float_environment_enter(hd_float_environment *saved);

/* Restores what hd_float_environment_enter saved, flags included. */
void hd_float_environment_leave(const hd_float_environment *saved);

#endif

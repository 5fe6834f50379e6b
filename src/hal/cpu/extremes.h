/* Extremes: the maximum and minimum of two numbers as IEEE 754-2019 has them: NaN where one is NaN, and
 * -0 below +0. The NaN is always the same one, so that a fold's bits do not depend on its order (BITS).
 *
 * Thread-safety: any thread. */
#ifndef HD_HAL_CPU_EXTREMES_H
#define HD_HAL_CPU_EXTREMES_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/* Of two equal numbers, which differ at most if they are zeros: a sign where both have one (either). */
#define HD_DEFINE_EXTREMES_(T, BITS, suffix)                                                       \
    static inline T hd_cpu_equal_both_##suffix(T a, T b)                                           \
    {                                                                                              \
        BITS x, y;                                                                                 \
        memcpy(&x, &a, sizeof x);                                                                  \
        memcpy(&y, &b, sizeof y);                                                                  \
        x &= y;                                                                                    \
        memcpy(&a, &x, sizeof x);                                                                  \
        return a;                                                                                  \
    }                                                                                              \
    static inline T hd_cpu_equal_either_##suffix(T a, T b)                                         \
    {                                                                                              \
        BITS x, y;                                                                                 \
        memcpy(&x, &a, sizeof x);                                                                  \
        memcpy(&y, &b, sizeof y);                                                                  \
        x |= y;                                                                                    \
        memcpy(&a, &x, sizeof x);                                                                  \
        return a;                                                                                  \
    }                                                                                              \
    static inline T hd_cpu_maximum_##suffix(T a, T b)                                              \
    {                                                                                              \
        T same = hd_cpu_equal_both_##suffix(a, b);                                                 \
        T larger = a > b ? a : b;                                                                  \
        T number = a == b ? same : larger;                                                         \
        return ((a != a) | (b != b)) ? (T)NAN : number;                                            \
    }                                                                                              \
    static inline T hd_cpu_minimum_##suffix(T a, T b)                                              \
    {                                                                                              \
        T same = hd_cpu_equal_either_##suffix(a, b);                                               \
        T smaller = a < b ? a : b;                                                                 \
        T number = a == b ? same : smaller;                                                        \
        return ((a != a) | (b != b)) ? (T)NAN : number;                                            \
    }

HD_DEFINE_EXTREMES_(float, uint32_t, float32)
HD_DEFINE_EXTREMES_(double, uint64_t, float64)
#undef HD_DEFINE_EXTREMES_

#endif

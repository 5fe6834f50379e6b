/* Elements of any type as numbers, and numbers that hang on nothing but a seed.
 *
 * Thread-safety: any thread, on memory of its own. */
#ifndef HD_FUZZ_GRAPH_ELEMENTS_H
#define HD_FUZZ_GRAPH_ELEMENTS_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hal/cpu/half.h"
#include "heddle/tensor.h"

typedef struct fuzz_random {
    uint64_t state;
} fuzz_random;

/* Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014 (SplitMix64). */
static inline uint64_t fuzz_draw(fuzz_random *random)
{
    uint64_t z = random->state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static inline size_t fuzz_below(fuzz_random *random, size_t limit)
{
    return (size_t)(fuzz_draw(random) % limit);
}

/* True once in `n` times. */
static inline int fuzz_once_in(fuzz_random *random, size_t n)
{
    return fuzz_below(random, n) == 0;
}

#define FUZZ_STORE(type, value)                                                                    \
    do {                                                                                           \
        type element = (type)(value);                                                              \
        memcpy((char *)data + i * sizeof element, &element, sizeof element);                       \
    } while (0)

/* Element i; a number that the type does not hold is cut. */
static inline void fuzz_store(hd_dtype dtype, void *data, size_t i, double number)
{
    double bounded = number > 9e18 ? 9e18 : number >= -9e18 ? number : -9e18; /* NaN: the last */
    int64_t integer = (int64_t)bounded;
    switch (dtype) {
    case HD_FLOAT32:
        FUZZ_STORE(float, number);
        break;
    case HD_FLOAT64:
        FUZZ_STORE(double, number);
        break;
    case HD_FLOAT16:
        FUZZ_STORE(uint16_t, hd_cpu_half_of_float((float)number));
        break;
    case HD_BFLOAT16:
        FUZZ_STORE(uint16_t, hd_cpu_bfloat_of_float((float)number));
        break;
    case HD_BOOL:
        FUZZ_STORE(uint8_t, number != 0);
        break;
    case HD_INT8:
    case HD_UINT8:
        FUZZ_STORE(uint8_t, integer);
        break;
    case HD_INT16:
    case HD_UINT16:
        FUZZ_STORE(uint16_t, integer);
        break;
    case HD_INT32:
    case HD_UINT32:
        FUZZ_STORE(uint32_t, integer);
        break;
    case HD_STRING:
        FUZZ_STORE(hd_string, ((hd_string){"babbab", (size_t)integer % 7}));
        break;
    case HD_INT64:
    case HD_UINT64:
        FUZZ_STORE(int64_t, integer);
        break;
    default: /* narrow ones: a byte each, and each has 0 and 1 */
        FUZZ_STORE(uint8_t, integer & 1);
        break;
    }
}

#define FUZZ_LOAD(type)                                                                            \
    do {                                                                                           \
        type element;                                                                              \
        memcpy(&element, (const char *)data + i * sizeof element, sizeof element);                 \
        return (double)element;                                                                    \
    } while (0)

static inline double fuzz_load(hd_dtype dtype, const void *data, size_t i)
{
    uint16_t half;
    switch (dtype) {
    case HD_FLOAT32:
        FUZZ_LOAD(float);
    case HD_FLOAT64:
        FUZZ_LOAD(double);
    case HD_FLOAT16:
        memcpy(&half, (const char *)data + i * sizeof half, sizeof half);
        return (double)hd_cpu_float_of_half(half);
    case HD_BFLOAT16:
        memcpy(&half, (const char *)data + i * sizeof half, sizeof half);
        return (double)hd_cpu_float_of_bfloat(half);
    case HD_INT8:
        FUZZ_LOAD(int8_t);
    case HD_BOOL:
    case HD_UINT8:
        FUZZ_LOAD(uint8_t);
    case HD_INT16:
        FUZZ_LOAD(int16_t);
    case HD_UINT16:
        FUZZ_LOAD(uint16_t);
    case HD_INT32:
        FUZZ_LOAD(int32_t);
    case HD_UINT32:
        FUZZ_LOAD(uint32_t);
    case HD_UINT64:
        FUZZ_LOAD(uint64_t);
    case HD_INT64:
        FUZZ_LOAD(int64_t);
    case HD_STRING:
        return 0;
    default:
        FUZZ_LOAD(uint8_t);
    }
}

#endif

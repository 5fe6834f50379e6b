/* Random: numbers from a fixed seed, equal in every process, to fill tensors with.
 *
 * Thread-safety: a generator is one thread's at a time. */
#ifndef HEDDLE_CLI_RANDOM_H
#define HEDDLE_CLI_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* SplitMix64: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", 2014. */
typedef struct hd_random_generator {
    uint64_t state; /* the seed */
} hd_random_generator;

uint64_t hd_random_next(hd_random_generator *generator);

/* Fills with a normal distribution (Box and Muller's transform). */
void hd_random_fill_normal(float *values, size_t count, double mean, double deviation,
                           uint64_t seed);

#endif

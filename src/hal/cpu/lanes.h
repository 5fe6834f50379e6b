/* Lanes: as many float32 at once as the instruction set has that a file is compiled for, under one set of names, so that
 * a kernel reads the same for AVX-512, AVX2 and plain C. Each operation does the same for every lane, so a tail that is
 * loaded with fill values and cut when it is stored has the bits of a full vector (BITS).
 *
 * +, -, * and / are C's, lane by lane. Only for files that are compiled once an instruction set. */
#ifndef HD_HAL_CPU_LANES_H
#define HD_HAL_CPU_LANES_H

#include <math.h>
#include <sleef.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* Sanitizers do not see accesses under AVX2's masks: there tails go through memory that they see. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LANES_ARE_WATCHED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define LANES_ARE_WATCHED 1
#endif
#endif
#ifndef LANES_ARE_WATCHED
#define LANES_ARE_WATCHED 0
#endif

/* Before a loop of few and constant steps, whose arrays shall lie in registers. */
#if defined(__clang__)
#define LANES_UNROLL _Pragma("unroll")
#else
#define LANES_UNROLL _Pragma("GCC unroll 32")
#endif

#if defined(__AVX512F__)
#include "hal/cpu/lanes_avx512.h"
#elif defined(__AVX2__)
#include "hal/cpu/lanes_avx2.h"
#else
#include "hal/cpu/lanes_plain.h"
#endif

/* In lanes_*.h, for each instruction set:
 *   LANE_COUNT, LANES_TABLE_SIZE (entries of a table for lanes_lookup), LANES_ARE_FUSED (lanes_fma rounds once)
 *   lanes, lanes_int, lanes_mask (what a comparison gives), lanes_part (which lanes of a tail there are)
 *   LANES_SLEEF(name, x...)            SLEEF's function of that name
 *   lanes_set(x)                       x in every lane
 *   lanes_load, lanes_store            at any address; _part: only the lanes of a part, 0 in the others
 *   lanes_first(n)                     the part of the first n lanes, 0 <= n <= LANE_COUNT
 *   lanes_load_part_or(from, part, fill)
 *   lanes_stream(to, x)                past the caches, `to` at a multiple of the vector; then lanes_stream_end
 *   lanes_fma(a, b, c)                 a * b + c
 *   lanes_smaller, lanes_larger        of two; the second where one is no number or both are zeros, as on x86
 *   lanes_min, lanes_max               of two, as extremes.h has them
 *   lanes_abs, lanes_copysign(magnitude, sign), lanes_sqrt, lanes_round, lanes_floor, lanes_ceil
 *   lanes_less, lanes_equal            masks; false where one is no number
 *   lanes_all(mask), lanes_select(mask, yes, no)
 *   lanes_to_int(x)                    of a whole number; anything for one beyond int32 and for NaN
 *   lanes_nearest(x)                   the nearest whole number, half to even, of one below 2^22
 *   lanes_from_bytes(from, is_signed)  whole numbers of as many bytes as there are lanes
 *   lanes_to_bytes(to, n)              the low byte of each
 *   lanes_from_four(from, flip, zero, to)   four vectors of (byte ^ flip) - zero as float32, and
 *   lanes_to_four(to, n, zero, is_signed)   four of whole numbers and `zero`, held within bytes; not in plain C, and only with
 *                                      each other, since they may change the lanes' order (LANES_COME_IN_FOURS)
 *   lanes_words(from)                  as many bytes as two vectors have lanes, as 16-bit numbers; lanes_interleave(a, b, to) two
 *                                      vectors of pairs of them, in an order of their own; lanes_take_two(from, to) two vectors of
 *                                      32-bit numbers in that order, and lanes_to_two(to, n, is_signed) back, to bytes that hold
 *                                      them; not in plain C
 *   lanes_pair_products(a, b)          products of the low halves, as int16, and of the high ones, added
 *   lanes_flip_odd(x, n)               the sign changed where the lowest bit of n is set
 *   lanes_scale(x, n)                  x * 2^n for whole n from -252 to 254, rounded once where n is at least -160
 *   lanes_lookup(table, index)         table[index mod LANES_TABLE_SIZE]
 *   lanes_swap(x, distance)            each lane with the one that lies `distance`, a power of two, from it
 *   lanes_across_sum, _product, _larger   all lanes folded into one, halves first, always in the same order */

/* Streamed stores become visible to the other threads in order with what follows. */
static inline void lanes_stream_end(void)
{
#if defined(__x86_64__)
    _mm_sfence();
#endif
}

static inline void lanes_put(const bool streams, float *to, lanes x)
{
    if (streams) {
        lanes_stream(to, x);
    } else {
        lanes_store(to, x);
    }
}

/* All lanes folded as extremes.h does. */
static inline float lanes_across_max(lanes x)
{
    for (int distance = LANE_COUNT / 2; distance > 0; distance /= 2) {
        x = lanes_max(x, lanes_swap(x, distance));
    }
    return x[0];
}

static inline float lanes_across_min(lanes x)
{
    for (int distance = LANE_COUNT / 2; distance > 0; distance /= 2) {
        x = lanes_min(x, lanes_swap(x, distance));
    }
    return x[0];
}

#endif

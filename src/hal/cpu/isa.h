/* ISA: which vector instruction set the CPU's kernels use in this process: the best that the processor has, or the
 * one that the environment variable HEDDLE_ISA holds it to (tests, comparisons).
 *
 * Thread-safety: any thread; the answer never changes (BITS: one build on one device model always takes the same
 * kernels). The variable is read once, when the library first looks. */
#ifndef HD_HAL_CPU_ISA_H
#define HD_HAL_CPU_ISA_H

#include <stdbool.h>
#include <stdint.h>

#include "heddle/status.h"

typedef enum hd_cpu_isa_level {
    HD_ISA_BASELINE, /* what the compiler targets anyway: SSE2 on x86-64 */
    HD_ISA_AVX2,     /* avx2, fma and f16c */
    HD_ISA_AVX512    /* these and avx512f, vl, bw, dq */
} hd_cpu_isa_level;

/* What a processor has, and its operating system saves, in the order in which HEDDLE_ISA's words need it. */
enum { HD_CPU_HAS_AVX2 = 1, HD_CPU_HAS_AVX512 = 2, HD_CPU_HAS_AVX512VNNI = 4, HD_CPU_HAS_AMX = 8 };

/* The instruction set for a word (baseline, avx2, avx512, avx512vnni, amx; NULL or empty: the best) on a processor
 * that has `features`. The words beyond avx512 choose AVX-512 as well; of what is beyond, there are
 * kernels for VNNI (hd_cpu_isa_has_vnni).
 * HD_UNAVAILABLE: the processor has no such set, or there is no such word. */
HD_MUST_CHECK hd_status hd_cpu_isa_choose(const char *word, uint32_t features,
                                          hd_cpu_isa_level *out_isa, hd_error *error);

/* What this processor has. */
uint32_t hd_cpu_features(void);

/* Fails as hd_cpu_isa_choose for what HEDDLE_ISA says: then the device cannot be opened. */
HD_MUST_CHECK hd_status hd_cpu_isa_check(hd_error *error);

/* The instruction set of this process. */
hd_cpu_isa_level hd_cpu_isa(void);

/* Where that is AVX-512: it includes VNNI, unless HEDDLE_ISA says avx512. */
bool hd_cpu_isa_has_vnni(void);

#endif

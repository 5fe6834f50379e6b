/* ISA: which vector instruction set the CPU's kernels use in this process.
 *
 * Thread-safety: any thread; the answer never changes (BITS: one build on one device model always
 * takes the same kernels, so there is no setting for it). */
#ifndef HD_HAL_CPU_ISA_H
#define HD_HAL_CPU_ISA_H

typedef enum hd_isa {
    HD_ISA_BASELINE, /* what the compiler targets anyway: SSE2 on x86-64 */
    HD_ISA_AVX2,     /* avx2, fma and f16c */
    HD_ISA_AVX512    /* these and avx512f, vl, bw, dq */
} hd_isa;

/* The best instruction set of this processor that the operating system saves too. */
hd_isa hd_cpu_isa(void);

#endif

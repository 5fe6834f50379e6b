#include "hal/cpu/isa.h"

hd_isa hd_cpu_isa(void)
{
#if defined(__x86_64__)
    /* The compiler's run-time library asks cpuid and xgetbv once, before main. */
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") ||
        !__builtin_cpu_supports("f16c")) {
        return HD_ISA_BASELINE;
    }
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq")) {
        return HD_ISA_AVX512;
    }
    return HD_ISA_AVX2;
#else
    return HD_ISA_BASELINE;
#endif
}

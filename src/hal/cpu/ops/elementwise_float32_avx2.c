#if defined(__x86_64__)
#define TABLE_NAME hd_cpu_elementwise_float32_avx2
#include "hal/cpu/ops/elementwise_float32.inc"
#else
typedef int hd_cpu_elementwise_float32_avx2_is_empty;
#endif

/* Quantization rows: for AVX-512; empty where the compiler targets another processor. */
#if defined(__x86_64__)
#include "hal/cpu/ops/quantization_rows.h"

#define HD_QUANTIZATION_ROWS hd_cpu_quantization_rows_avx512
extern const hd_cpu_quantization_rows hd_cpu_quantization_rows_avx512;
#include "hal/cpu/ops/quantization_rows_template.h"
#else
typedef int hd_cpu_quantization_rows_avx512_is_empty;
#endif

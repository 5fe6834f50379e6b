/* Rows: for AVX-512; empty where the compiler targets another processor. */
#if defined(__x86_64__)
#include "hal/cpu/ops/rows.h"

#define HD_ROWS_SET hd_cpu_rows_avx512
extern const hd_cpu_rows hd_cpu_rows_avx512;
#include "hal/cpu/ops/rows_template.h"
#else
typedef int hd_cpu_rows_avx512_is_empty;
#endif

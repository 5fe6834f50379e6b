/* Rows: for AVX2 and FMA; empty where the compiler targets another processor. */
#if defined(__x86_64__)
#include "hal/cpu/ops/rows.h"

#define HD_ROWS_SET hd_cpu_rows_avx2
extern const hd_cpu_rows hd_cpu_rows_avx2;
#include "hal/cpu/ops/rows_template.h"
#else
typedef int hd_cpu_rows_avx2_is_empty;
#endif

/* Rows: the baseline set, and the choice among the sets. */
#include "hal/cpu/ops/rows.h"

#include "hal/cpu/isa.h"

#define HD_ROWS_SET hd_cpu_rows_baseline
extern const hd_cpu_rows hd_cpu_rows_baseline, hd_cpu_rows_avx2, hd_cpu_rows_avx512;
#include "hal/cpu/ops/rows_template.h"

const hd_cpu_rows *hd_cpu_rows_get(void)
{
#if defined(__x86_64__)
    switch (hd_cpu_isa()) {
    case HD_ISA_AVX512:
        return &hd_cpu_rows_avx512;
    case HD_ISA_AVX2:
        return &hd_cpu_rows_avx2;
    case HD_ISA_BASELINE:
        break;
    }
#endif
    return &hd_cpu_rows_baseline;
}

float hd_cpu_fold_neutral(hd_cpu_fold fold)
{
    switch (fold) {
    case HD_FOLD_PRODUCT:
        return 1.0f;
    case HD_FOLD_MAX:
        return -INFINITY;
    case HD_FOLD_MIN:
        return INFINITY;
    default:
        return 0.0f;
    }
}

/* Quantization rows: the baseline set, and the choice among the sets. */
#include "hal/cpu/ops/quantization_rows.h"

#include "hal/cpu/isa.h"

#define HD_QUANTIZATION_ROWS hd_cpu_quantization_rows_baseline
extern const hd_cpu_quantization_rows hd_cpu_quantization_rows_baseline,
    hd_cpu_quantization_rows_avx2, hd_cpu_quantization_rows_avx512;
#include "hal/cpu/ops/quantization_rows_template.h"

const hd_cpu_quantization_rows *hd_cpu_quantization_rows_get(void)
{
#if defined(__x86_64__)
    switch (hd_cpu_isa()) {
    case HD_ISA_AVX512:
        return &hd_cpu_quantization_rows_avx512;
    case HD_ISA_AVX2:
        return &hd_cpu_quantization_rows_avx2;
    case HD_ISA_BASELINE:
        break;
    }
#endif
    return &hd_cpu_quantization_rows_baseline;
}

/* Convolution blocks in plain C, for machines without FMA: vectors of four, product and sum rounded
 * one after the other. */
#include "hal/cpu/isa.h"
#include "hal/cpu/ops/convolution_block.h"

#define PIXELS                  4
#define DEPTHWISE_PIXELS        4
#define DEPTHWISE_VECTORS       1
#define KERNELS                 hd_cpu_convolution_kernels_baseline
#define PIXEL_LIST(X)           X(1) X(2) X(3) X(4)
#define DEPTHWISE_PIXEL_LIST(X) X(1) X(2) X(3) X(4)
#define PLANE_OUTPUTS           4
#define PLANE_LIST(X)           X(1) X(2) X(3) X(4)
#define PLANE_LIST_WIDE(X)      X(1) X(2)

#include "hal/cpu/ops/convolution_block_template.h"

const hd_cpu_convolution_kernels *hd_cpu_convolution_kernels_get(void)
{
#if defined(__x86_64__)
    switch (hd_cpu_isa()) {
    case HD_ISA_AVX512:
        return &hd_cpu_convolution_kernels_avx512;
    case HD_ISA_AVX2:
        return &hd_cpu_convolution_kernels_avx2;
    default:
        break;
    }
#endif
    return &hd_cpu_convolution_kernels_baseline;
}

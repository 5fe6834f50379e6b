/* Convolution blocks for AVX2 with FMA: 6 pixels by 2 vectors fill 12 of 16 registers. */
#if defined(__x86_64__)
#include "hal/cpu/ops/convolution_block.h"

#define PIXELS                  6
#define DEPTHWISE_PIXELS        6
#define DEPTHWISE_VECTORS       1
#define KERNELS                 hd_cpu_convolution_kernels_avx2
#define PIXEL_LIST(X)           X(1) X(2) X(3) X(4) X(5) X(6)
#define DEPTHWISE_PIXEL_LIST(X) X(1) X(2) X(3) X(4) X(5) X(6)
#define PLANE_OUTPUTS           6
#define PLANE_LIST(X)           X(1) X(2) X(3) X(4) X(5) X(6)
#define PLANE_LIST_WIDE(X)      X(1) X(2) X(3)

#include "hal/cpu/ops/convolution_block_template.h"
#else
typedef int hd_cpu_convolution_avx2_is_for_x86;
#endif

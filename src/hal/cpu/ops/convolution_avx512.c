/* Convolution blocks for AVX-512: 14 pixels by 2 vectors fill 28 of 32 registers. */
#if defined(__x86_64__)
#include "hal/cpu/ops/convolution_block.h"

#define PIXELS            14
#define DEPTHWISE_PIXELS  8
#define DEPTHWISE_VECTORS 2
#define KERNELS           hd_cpu_convolution_kernels_avx512
#define PIXEL_LIST(X)     X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#define DEPTHWISE_PIXEL_LIST(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8)
#define PLANE_OUTPUTS           12
#define PLANE_LIST(X)           X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12)
#define PLANE_LIST_WIDE(X)      X(1) X(2) X(3) X(4) X(5) X(6)

#include "hal/cpu/ops/convolution_block_template.h"
#else
typedef int hd_cpu_convolution_avx512_is_for_x86;
#endif

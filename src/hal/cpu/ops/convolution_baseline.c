/* Convolution blocks in plain C, for machines without FMA: vectors of four, product and sum rounded
 * one after the other. */
#include <string.h>

#include "hal/cpu/isa.h"
#include "hal/cpu/ops/convolution_block.h"

#define LANES                   4
#define PIXELS                  4
#define DEPTHWISE_PIXELS        4
#define DEPTHWISE_VECTORS       1
#define KERNELS                 hd_cpu_convolution_kernels_baseline
#define PIXEL_LIST(X)           X(1) X(2) X(3) X(4)
#define DEPTHWISE_PIXEL_LIST(X) X(1) X(2) X(3) X(4)
#define PLANE_OUTPUTS           4
#define PLANE_LIST(X)           X(1) X(2) X(3) X(4)
#define PLANE_LIST_WIDE(X)      X(1) X(2)
#define HIDE(pointer)           ((void)(pointer))

typedef float vector __attribute__((vector_size(LANES * sizeof(float))));
typedef int32_t mask __attribute__((vector_size(LANES * sizeof(int32_t))));

#define vector_stream(to, x)  vector_store((to), (x))
#define vector_fma(a, b, c)   ((a) * (b) + (c))
#define vector_add(a, b)      ((a) + (b))
#define vector_subtract(a, b) ((a) - (b))
#define vector_multiply(a, b) ((a) * (b))

static inline vector vector_set(float x)
{
    return (vector){x, x, x, x};
}

static inline vector vector_load(const float *from)
{
    vector x;
    memcpy(&x, from, sizeof x);
    return x;
}

static inline void vector_store(float *to, vector x)
{
    memcpy(to, &x, sizeof x);
}

static inline vector vector_load_some(const float *from, int64_t some)
{
    vector x = {0};
    for (int i = 0; i < LANES && i < some; i++) {
        x[i] = from[i];
    }
    return x;
}

static inline void vector_store_some(float *to, vector x, int64_t some)
{
    for (int i = 0; i < LANES && i < some; i++) {
        to[i] = x[i];
    }
}

static inline vector select(mask condition, vector a, vector b)
{
    return (vector)((condition & (mask)a) | (~condition & (mask)b));
}

static inline vector vector_max(vector a, vector b)
{
    return select(a > b, a, b);
}

static inline vector vector_min(vector a, vector b)
{
    return select(a < b, a, b);
}

static inline vector vector_select_negative(vector x, vector a, vector b)
{
    return select(x < vector_set(0.0F), a, b);
}

static void transpose_block(const float *input, int64_t input_stride, float *output,
                            int64_t output_stride, bool streams)
{
    (void)streams;
    for (int64_t i = 0; i < LANES; i++) {
        for (int64_t j = 0; j < LANES; j++) {
            output[j * output_stride + i] = input[i * input_stride + j];
        }
    }
}

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

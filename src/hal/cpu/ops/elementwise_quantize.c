/* Quantization as steps of an elementwise program. */
#include "hal/cpu/ops/elementwise_function.h"
#include "hal/cpu/ops/quantization.h"
#include "hal/cpu/ops/quantization_rows.h"

static int64_t zero_of(const hd_cpu_elementwise_parameters *parameters, const void *const *in,
                       hd_dtype dtype)
{
    return parameters->has_zero ? hd_cpu_quantized_get(dtype, in[2], 0) : 0;
}

void hd_cpu_elementwise_quantize(const hd_cpu_elementwise_parameters *parameters, void *out,
                                 const void *const *in, unsigned scalars, size_t n)
{
    (void)scalars;
    if (n == 0) {
        return;
    }
    const hd_cpu_quantized_bounds bounds = hd_cpu_quantized_bounds_of(parameters->to);
    const int64_t zero = zero_of(parameters, in, parameters->to);
    hd_cpu_quantization_rows_get()->quantize(in[0], (int64_t)n, *(const float *)in[1],
                                             (float)(bounds.low - zero),
                                             (float)(bounds.high - zero), (int32_t)zero, out);
}

void hd_cpu_elementwise_dequantize(const hd_cpu_elementwise_parameters *parameters, void *out,
                                   const void *const *in, unsigned scalars, size_t n)
{
    (void)scalars;
    if (n == 0) {
        return;
    }
    hd_cpu_quantization_rows_get()->dequantize(in[0], (int64_t)n, parameters->from == HD_INT8,
                                               (int32_t)zero_of(parameters, in, parameters->from),
                                               *(const float *)in[1], out);
}

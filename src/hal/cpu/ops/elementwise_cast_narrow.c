/* Conversions from and to narrow numbers (operation/narrow.h), a piece at a time through float32, or through a byte
 * where both sides are integers. */
#include "hal/cpu/half.h"
#include "hal/cpu/ops/elementwise_function.h"
#include "operation/narrow.h"

#define PIECE 256

/* The type whose conversions a narrow integer shares; for others the type itself. */
static hd_dtype byte_of(hd_dtype dtype)
{
    return dtype == HD_INT4 || dtype == HD_INT2     ? HD_INT8
           : dtype == HD_UINT4 || dtype == HD_UINT2 ? HD_UINT8
                                                    : dtype;
}

/* Keeps the low bits, as ONNX cuts integers. */
static void cut(hd_dtype dtype, uint8_t *codes, size_t count)
{
    int32_t low, high;
    hd_narrow_bounds(dtype, &low, &high);
    const uint32_t mask = (uint32_t)(high - low), sign = (uint32_t)-low;
    for (size_t i = 0; i < count; i++) {
        codes[i] = (uint8_t)(((codes[i] & mask) ^ sign) - sign);
    }
}

static void decode(hd_dtype dtype, const uint8_t *codes, size_t count, float *out)
{
    for (size_t i = 0; i < count; i++) {
        out[i] = hd_narrow_decode(dtype, codes[i]);
    }
}

static void cast_piece(const hd_cpu_elementwise_parameters *p, const void *in, size_t count,
                       void *out)
{
    const bool from_float = hd_narrow_is_float(p->from), to_float = hd_narrow_is_float(p->to);
    const hd_dtype from = byte_of(p->from), to = byte_of(p->to);
    float numbers[PIECE];
    const void *operand = in;
    if (from_float) {
        decode(from, in, count, numbers);
        operand = numbers;
    }
    if (to_float) {
        if (!from_float) {
            /* Rounded to odd, so that the next rounding is the only one. */
            hd_cpu_elementwise_cast_to_odd(from)(NULL, numbers, &operand, 0, count);
        }
        for (size_t i = 0; i < count; i++) {
            ((uint8_t *)out)[i] =
                hd_narrow_encode(to, numbers[i], p->saturates, (hd_narrow_rounding)p->rounding);
        }
        return;
    }
    hd_cpu_elementwise_cast(from_float ? HD_FLOAT32 : from, to)(NULL, out, &operand, 0, count);
    if (hd_narrow_is(p->to)) {
        cut(p->to, out, count);
    }
}

void hd_cpu_elementwise_cast_narrow(const hd_cpu_elementwise_parameters *parameters, void *out,
                                    const void *const *in, unsigned scalars, size_t n)
{
    (void)scalars;
    const size_t from = hd_dtype_size(parameters->from), to = hd_dtype_size(parameters->to);
    for (size_t i = 0; i < n; i += PIECE) {
        cast_piece(parameters, (const char *)in[0] + i * from, n - i < PIECE ? n - i : PIECE,
                   (char *)out + i * to);
    }
}

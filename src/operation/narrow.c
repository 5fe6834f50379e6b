#include "operation/narrow.h"

#include <math.h>
#include <string.h>

/* What stands for what no number is. */
typedef enum specials {
    NUMBERS_ONLY, /* no infinity, no NaN */
    ONE_NAN,      /* all bits of exponent and mantissa set; no infinity */
    NAN_AT_MINUS, /* in the place of -0; no infinity */
    AS_IEEE       /* infinities and NaNs as in IEEE 754 */
} specials;

typedef struct narrow_type {
    hd_dtype dtype;
    uint8_t bits;
    bool is_signed;   /* an integer */
    uint8_t mantissa; /* a float's bits behind the point; 0: an integer, or float8e8m0 */
    int bias;
    specials specials;
} narrow_type;

static const narrow_type types[] = {
    {HD_FLOAT8E4M3FN, 8, false, 3, 7, ONE_NAN},
    {HD_FLOAT8E4M3FNUZ, 8, false, 3, 8, NAN_AT_MINUS},
    {HD_FLOAT8E5M2, 8, false, 2, 15, AS_IEEE},
    {HD_FLOAT8E5M2FNUZ, 8, false, 2, 16, NAN_AT_MINUS},
    {HD_UINT4, 4, false, 0, 0, NUMBERS_ONLY},
    {HD_INT4, 4, true, 0, 0, NUMBERS_ONLY},
    {HD_FLOAT4E2M1, 4, false, 1, 1, NUMBERS_ONLY},
    {HD_FLOAT8E8M0, 8, false, 0, 127, ONE_NAN},
    {HD_UINT2, 2, false, 0, 0, NUMBERS_ONLY},
    {HD_INT2, 2, true, 0, 0, NUMBERS_ONLY},
    {HD_FLOAT6E2M3, 6, false, 3, 1, NUMBERS_ONLY},
    {HD_FLOAT6E3M2, 6, false, 2, 3, NUMBERS_ONLY},
};

static const narrow_type *type_of(hd_dtype dtype)
{
    return dtype >= HD_FLOAT8E4M3FN && dtype <= HD_FLOAT6E3M2 ? &types[dtype - HD_FLOAT8E4M3FN]
                                                              : NULL;
}

bool hd_narrow_is(hd_dtype dtype)
{
    return type_of(dtype) != NULL;
}

bool hd_narrow_is_float(hd_dtype dtype)
{
    const narrow_type *type = type_of(dtype);
    return type != NULL && (type->mantissa > 0 || dtype == HD_FLOAT8E8M0);
}

void hd_narrow_bounds(hd_dtype dtype, int32_t *out_low, int32_t *out_high)
{
    const narrow_type *type = type_of(dtype);
    const bool is_integer = type != NULL && !hd_narrow_is_float(dtype);
    const int32_t count = is_integer ? 1 << type->bits : 1;
    *out_low = is_integer && type->is_signed ? -count / 2 : 0;
    *out_high = *out_low + count - 1;
}

float hd_narrow_decode(hd_dtype dtype, uint8_t code)
{
    const narrow_type *type = type_of(dtype);
    if (dtype == HD_FLOAT8E8M0) {
        return code == UINT8_MAX ? NAN : ldexpf(1.0f, (int)code - type->bias);
    }
    const uint32_t sign = 1u << (type->bits - 1), mask = sign - 1;
    const uint32_t magnitude = code & mask;
    const int exponent = (int)(magnitude >> type->mantissa);
    const uint32_t one = 1u << type->mantissa, fraction = magnitude & (one - 1);
    const bool is_negative = (code & sign) != 0;
    if ((type->specials == ONE_NAN && magnitude == mask) ||
        (type->specials == NAN_AT_MINUS && is_negative && magnitude == 0)) {
        return NAN;
    }
    if (type->specials == AS_IEEE && exponent == (int)(mask >> type->mantissa)) {
        return fraction != 0 ? NAN : is_negative ? -INFINITY : INFINITY;
    }
    const float value =
        exponent == 0 ? ldexpf((float)fraction, 1 - type->bias - type->mantissa)
                      : ldexpf((float)(one + fraction), exponent - type->bias - type->mantissa);
    return is_negative ? -value : value;
}

/* A power of two; what is below 0 has none. */
static uint8_t encode_power(float value, bool saturates, hd_narrow_rounding rounding)
{
    if (value != value || value < 0.0f) {
        return UINT8_MAX;
    }
    if (value == 0.0f) {
        return saturates ? 0 : UINT8_MAX;
    }
    if (isinf(value)) {
        return saturates ? UINT8_MAX - 1 : UINT8_MAX;
    }
    int exponent;
    const float fraction = frexpf(value, &exponent) * 2.0f; /* in [1, 2) */
    exponent--;
    if (rounding == HD_NARROW_UP ? fraction > 1.0f
                                 : rounding == HD_NARROW_NEAREST && fraction >= 1.5f) {
        exponent++;
    }
    if (exponent < -127) {
        return saturates ? 0 : UINT8_MAX;
    }
    return exponent <= 127 ? (uint8_t)(exponent + 127)
                           : (uint8_t)(saturates ? UINT8_MAX - 1 : UINT8_MAX);
}

/* What is no number, and what is too large. */
static uint32_t encode_special(const narrow_type *type, bool is_nan, bool saturates)
{
    const uint32_t mask = (1u << (type->bits - 1)) - 1, one = 1u << type->mantissa;
    switch (type->specials) {
    case ONE_NAN:
        return is_nan || !saturates ? mask : mask - 1;
    case AS_IEEE: /* infinity has no fraction; NaN is the quiet one */
        return is_nan      ? (mask & ~(one - 1)) | one >> 1
               : saturates ? (mask & ~(one - 1)) - 1
                           : mask & ~(one - 1);
    case NAN_AT_MINUS:
        return mask; /* NaN is encoded by who calls */
    case NUMBERS_ONLY:
        break;
    }
    return is_nan ? 0 : mask;
}

uint8_t hd_narrow_encode(hd_dtype dtype, float value, bool saturates, hd_narrow_rounding rounding)
{
    const narrow_type *type = type_of(dtype);
    if (dtype == HD_FLOAT8E8M0) {
        return encode_power(value, saturates, rounding);
    }
    const uint32_t sign = 1u << (type->bits - 1);
    const bool is_nan = value != value;
    if (is_nan) {
        /* One code, whatever its sign; -0 where there is none. */
        return (uint8_t)(type->specials == NAN_AT_MINUS || type->specials == NUMBERS_ONLY
                             ? sign
                             : encode_special(type, true, saturates));
    }
    const uint32_t minus = signbit(value) ? sign : 0;
    const float magnitude = fabsf(value);
    uint32_t code;
    uint32_t most = encode_special(type, false, true); /* of the numbers */
    if (isinf(magnitude)) {
        code = most + 1;
    } else if (magnitude == 0.0f) {
        code = 0;
    } else {
        int exponent;
        (void)frexpf(magnitude, &exponent);
        exponent = exponent - 1 < 1 - type->bias ? 1 - type->bias : exponent - 1;
        /* Steps of the last place; one that rounds up to the next power of two carries over. */
        const float steps = rintf(ldexpf(magnitude, type->mantissa - exponent));
        const int64_t whole =
            (int64_t)steps + ((int64_t)(exponent + type->bias - 1) << type->mantissa);
        code = whole > (int64_t)most ? most + 1 : (uint32_t)whole;
    }
    if (code > most) {
        if (type->specials == NAN_AT_MINUS && !saturates) {
            return (uint8_t)sign;
        }
        code = encode_special(type, false, saturates);
    }
    return (uint8_t)(code == 0 && type->specials == NAN_AT_MINUS ? 0 : code | minus);
}

size_t hd_narrow_packed_size(hd_dtype dtype, size_t count)
{
    const narrow_type *type = type_of(dtype);
    const size_t bits = type == NULL ? 8 : type->bits;
    /* In eights, whose bits are whole bytes. */
    return count / 8 * bits + (count % 8 * bits + 7) / 8;
}

void hd_narrow_unpack(hd_dtype dtype, const uint8_t *packed, size_t count, uint8_t *out)
{
    const narrow_type *type = type_of(dtype);
    if (type == NULL || type->bits == 8) {
        if (count > 0) {
            memcpy(out, packed, count);
        }
        return;
    }
    const uint32_t sign = type->is_signed ? 1u << (type->bits - 1) : 0,
                   mask = (1u << type->bits) - 1;
    for (size_t i = 0; i < count; i++) {
        const size_t bit = i % 8 * type->bits, at = i / 8 * type->bits + bit / 8;
        uint32_t code = (uint32_t)packed[at] >> bit % 8;
        if (bit % 8 + type->bits > 8) {
            code |= (uint32_t)packed[at + 1] << (8 - bit % 8);
        }
        code &= mask;
        out[i] = (uint8_t)((code ^ sign) - sign); /* the sign of two's complement, extended */
    }
}

void hd_narrow_pack(hd_dtype dtype, const uint8_t *in, size_t count, uint8_t *out)
{
    const narrow_type *type = type_of(dtype);
    const size_t bits = type == NULL ? 8 : type->bits;
    const uint32_t mask = (1u << bits) - 1;
    uint32_t pending = 0;
    size_t held = 0; /* bits of it */
    for (size_t i = 0; i < count; i++) {
        pending |= (in[i] & mask) << held;
        held += bits;
        if (held >= 8) {
            *out++ = (uint8_t)pending;
            pending >>= 8;
            held -= 8;
        }
    }
    if (held > 0) {
        *out = (uint8_t)pending;
    }
}

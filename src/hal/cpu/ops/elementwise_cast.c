/* Elementwise conversion between all pairs of types. */
#include "hal/cpu/half.h"
#include "hal/cpu/ops/elementwise_loop.inc"

typedef struct cast_row {
    hd_cpu_elementwise_function *int8, *int16, *int32, *int64, *uint8, *uint16, *uint32, *uint64,
        *boolean;
    hd_cpu_elementwise_function *float32, *float64;
    hd_cpu_elementwise_function *odd; /* to float32, rounded to odd: see float_rounded_to_odd */
} cast_row;

static inline uint64_t unsigned_of_double(double x)
{
    return x >= 0x1p64   ? UINT64_MAX
           : x >= 0x1p63 ? (uint64_t)(x - 0x1p63) + (UINT64_C(1) << 63)
                         : (uint64_t)hd_cpu_integer_of_double(x);
}

/* The value cut to float32, its last bit set if anything was lost. Rounding that to a type of at most
 * 22 bits gives what rounding x once gives (Boldo and Melquiond, "When double rounding is odd"). */
static inline float float_rounded_to_odd(double x)
{
    float nearest = (float)x;
    if ((double)nearest == x || x != x) {
        return nearest;
    }
    uint32_t bits;
    memcpy(&bits, &nearest, sizeof bits);
    if (bits & 1) {
        return nearest; /* inexact, and odd already */
    }
    /* The nearest is even; the neighbour on x's side is odd. Magnitudes order like their bits. */
    bool is_above = (nearest < 0 ? -(double)nearest : (double)nearest) > (x < 0 ? -x : x);
    bits = is_above ? bits - 1 : bits + 1;
    memcpy(&nearest, &bits, sizeof bits);
    return nearest;
}

/* Exact up to 2^53, beyond it cut with a sticky last bit, so that the next rounding is the only one. */
static inline double double_of_integer(int64_t x)
{
    if (x > -(INT64_C(1) << 53) && x < INT64_C(1) << 53) {
        return (double)x;
    }
    uint64_t magnitude = x < 0 ? 0 - (uint64_t)x : (uint64_t)x;
    double cut = (double)((magnitude >> 12) << 1 | ((magnitude & 0xFFF) != 0)) * 0x1p11;
    return x < 0 ? -cut : cut;
}

static inline double double_of_unsigned(uint64_t x)
{
    return x < UINT64_C(1) << 53 ? (double)x
                                 : (double)((x >> 12) << 1 | ((x & 0xFFF) != 0)) * 0x1p11;
}

#define DEFINE_CAST(name, R, T, expression) DEFINE_UNARY_LOOP(name, R, T, expression)

#define FROM           float
#define FROM_NAME      float32
#define FROM_IS_FLOAT  1
#define FROM_TO_ODD(x) (x)
#include "hal/cpu/ops/elementwise_cast_from.inc"

/* Numbers within int32, as nearly all are, convert in vectors; a chunk with another one, or NaN, goes one by one. */
#define DEFINE_QUICK_CAST(to_name, R)                                                              \
    static void quick_##to_name(const hd_cpu_elementwise_parameters *parameters, void *out,        \
                                const void *const *in, unsigned scalars, size_t n)                 \
    {                                                                                              \
        const float *a = in[0];                                                                    \
        R *to = out;                                                                               \
        size_t i = 0;                                                                              \
        for (; i + CHUNK <= n; i += CHUNK) {                                                       \
            int within = 1;                                                                        \
            for (size_t j = 0; j < CHUNK; j++) {                                                   \
                within &= (a[i + j] > -0x1p31f) & (a[i + j] < 0x1p31f);                            \
            }                                                                                      \
            if (!within) {                                                                         \
                const void *rest[1] = {a + i};                                                     \
                cast_float32_##to_name(parameters, to + i, rest, scalars, CHUNK);                  \
                continue;                                                                          \
            }                                                                                      \
            INDEPENDENT                                                                            \
            for (size_t j = 0; j < CHUNK; j++) {                                                   \
                to[i + j] = (R)(int32_t)a[i + j];                                                  \
            }                                                                                      \
        }                                                                                          \
        const void *rest[1] = {a + i};                                                             \
        cast_float32_##to_name(parameters, to + i, rest, scalars, n - i);                          \
    }

DEFINE_QUICK_CAST(int8, int8_t)
DEFINE_QUICK_CAST(int16, int16_t)
DEFINE_QUICK_CAST(int32, int32_t)
DEFINE_QUICK_CAST(uint8, uint8_t)
DEFINE_QUICK_CAST(uint16, uint16_t)

#define FROM           double
#define FROM_NAME      float64
#define FROM_IS_FLOAT  1
#define FROM_TO_ODD(x) float_rounded_to_odd(x)
#include "hal/cpu/ops/elementwise_cast_from.inc"

#define FROM           int8_t
#define FROM_NAME      int8
#define FROM_IS_FLOAT  0
#define FROM_TO_ODD(x) (float)(x)
#include "hal/cpu/ops/elementwise_cast_from.inc"

#define FROM           int16_t
#define FROM_NAME      int16
#define FROM_IS_FLOAT  0
#define FROM_TO_ODD(x) (float)(x)
#include "hal/cpu/ops/elementwise_cast_from.inc"

#define FROM           int32_t
#define FROM_NAME      int32
#define FROM_IS_FLOAT  0
#define FROM_TO_ODD(x) float_rounded_to_odd(double_of_integer(x))
#include "hal/cpu/ops/elementwise_cast_from.inc"

#define FROM           int64_t
#define FROM_NAME      int64
#define FROM_IS_FLOAT  0
#define FROM_TO_ODD(x) float_rounded_to_odd(double_of_integer(x))
#include "hal/cpu/ops/elementwise_cast_from.inc"

#define FROM           uint8_t
#define FROM_NAME      uint8
#define FROM_IS_FLOAT  0
#define FROM_TO_ODD(x) (float)(x)
#include "hal/cpu/ops/elementwise_cast_from.inc"

#define FROM           uint16_t
#define FROM_NAME      uint16
#define FROM_IS_FLOAT  0
#define FROM_TO_ODD(x) (float)(x)
#include "hal/cpu/ops/elementwise_cast_from.inc"

#define FROM           uint32_t
#define FROM_NAME      uint32
#define FROM_IS_FLOAT  0
#define FROM_TO_ODD(x) float_rounded_to_odd(double_of_unsigned(x))
#include "hal/cpu/ops/elementwise_cast_from.inc"

#define FROM           uint64_t
#define FROM_NAME      uint64
#define FROM_IS_FLOAT  0
#define FROM_TO_ODD(x) float_rounded_to_odd(double_of_unsigned(x))
#include "hal/cpu/ops/elementwise_cast_from.inc"

static const cast_row *row_of(hd_dtype from)
{
    switch (from) {
    case HD_FLOAT32:
        return &cast_float32_row;
    case HD_FLOAT64:
        return &cast_float64_row;
    case HD_INT8:
        return &cast_int8_row;
    case HD_INT16:
        return &cast_int16_row;
    case HD_INT32:
        return &cast_int32_row;
    case HD_INT64:
        return &cast_int64_row;
    case HD_UINT8:
        return &cast_uint8_row;
    case HD_UINT16:
        return &cast_uint16_row;
    case HD_UINT32:
        return &cast_uint32_row;
    case HD_UINT64:
        return &cast_uint64_row;
    case HD_BOOL:
        return &cast_uint8_row;
    default:
        return NULL;
    }
}

/* --- float16 and bfloat16 go through float32, a piece at a time */

#define PIECE 256

typedef void from_half(float *out, const uint16_t *in, size_t n);
typedef void to_half(uint16_t *out, const float *in, size_t n);

static void cast_from_half(from_half *widen, hd_cpu_elementwise_function *then, size_t out_size,
                           void *out, const void *const *in, size_t n)
{
    const uint16_t *from = in[0];
    char *to = out;
    for (size_t i = 0; i < n; i += PIECE) {
        float piece[PIECE];
        const void *operands[] = {piece};
        size_t now = n - i < PIECE ? n - i : PIECE;
        widen(piece, from + i, now);
        then(NULL, to + i * out_size, operands, 0, now);
    }
}

static void cast_to_half(to_half *narrow, hd_cpu_elementwise_function *first, size_t in_size,
                         void *out, const void *const *in, size_t n)
{
    const char *from = in[0];
    uint16_t *to = out;
    for (size_t i = 0; i < n; i += PIECE) {
        float piece[PIECE];
        const void *operands[] = {from + i * in_size};
        size_t now = n - i < PIECE ? n - i : PIECE;
        first(NULL, piece, operands, 0, now);
        narrow(to + i, piece, now);
    }
}

#define UNUSED_PARAMETERS (void)parameters, (void)scalars
#define DEFINE_HALF_CASTS(name, T, row, member)                                                    \
    static void cast_half_##name(const hd_cpu_elementwise_parameters *parameters, void *out,       \
                                 const void *const *in, unsigned scalars, size_t n)                \
    {                                                                                              \
        UNUSED_PARAMETERS;                                                                         \
        cast_from_half(hd_cpu_vector_float_of_half, cast_float32_row.member, sizeof(T), out, in,   \
                       n);                                                                         \
    }                                                                                              \
    static void cast_bfloat_##name(const hd_cpu_elementwise_parameters *parameters, void *out,     \
                                   const void *const *in, unsigned scalars, size_t n)              \
    {                                                                                              \
        UNUSED_PARAMETERS;                                                                         \
        cast_from_half(hd_cpu_vector_float_of_bfloat, cast_float32_row.member, sizeof(T), out, in, \
                       n);                                                                         \
    }                                                                                              \
    static void cast_##name##_half(const hd_cpu_elementwise_parameters *parameters, void *out,     \
                                   const void *const *in, unsigned scalars, size_t n)              \
    {                                                                                              \
        UNUSED_PARAMETERS;                                                                         \
        cast_to_half(hd_cpu_vector_half_of_float, row.odd, sizeof(T), out, in, n);                 \
    }                                                                                              \
    static void cast_##name##_bfloat(const hd_cpu_elementwise_parameters *parameters, void *out,   \
                                     const void *const *in, unsigned scalars, size_t n)            \
    {                                                                                              \
        UNUSED_PARAMETERS;                                                                         \
        cast_to_half(hd_cpu_vector_bfloat_of_float, row.odd, sizeof(T), out, in, n);               \
    }

/* X(name, C type, its row, the row's member, dtype) */
#define HALF_PARTNER_LIST(X)                                                                       \
    X(float32, float, cast_float32_row, float32, HD_FLOAT32)                                       \
    X(float64, double, cast_float64_row, float64, HD_FLOAT64)                                      \
    X(int8, int8_t, cast_int8_row, int8, HD_INT8)                                                  \
    X(int16, int16_t, cast_int16_row, int16, HD_INT16)                                             \
    X(int32, int32_t, cast_int32_row, int32, HD_INT32)                                             \
    X(int64, int64_t, cast_int64_row, int64, HD_INT64)                                             \
    X(uint8, uint8_t, cast_uint8_row, uint8, HD_UINT8)                                             \
    X(uint16, uint16_t, cast_uint16_row, uint16, HD_UINT16)                                        \
    X(uint32, uint32_t, cast_uint32_row, uint32, HD_UINT32)                                        \
    X(uint64, uint64_t, cast_uint64_row, uint64, HD_UINT64)                                        \
    X(boolean, uint8_t, cast_uint8_row, boolean, HD_BOOL)
#define DEFINE_HALF_CASTS_(name, T, row, member, dtype) DEFINE_HALF_CASTS(name, T, row, member)
HALF_PARTNER_LIST(DEFINE_HALF_CASTS_)

static void cast_half_bfloat(const hd_cpu_elementwise_parameters *parameters, void *out,
                             const void *const *in, unsigned scalars, size_t n)
{
    UNUSED_PARAMETERS;
    cast_to_half(hd_cpu_vector_bfloat_of_float, cast_half_float32, sizeof(uint16_t), out, in, n);
}

static void cast_bfloat_half(const hd_cpu_elementwise_parameters *parameters, void *out,
                             const void *const *in, unsigned scalars, size_t n)
{
    UNUSED_PARAMETERS;
    cast_to_half(hd_cpu_vector_half_of_float, cast_bfloat_float32, sizeof(uint16_t), out, in, n);
}

static hd_cpu_elementwise_function *half_cast(hd_dtype from, hd_dtype to)
{
#define FROM_HALF_(name, T, row, member, dtype)                                                    \
    if (to == dtype) {                                                                             \
        return from == HD_FLOAT16 ? cast_half_##name : cast_bfloat_##name;                         \
    }
#define TO_HALF_(name, T, row, member, dtype)                                                      \
    if (from == dtype) {                                                                           \
        return to == HD_FLOAT16 ? cast_##name##_half : cast_##name##_bfloat;                       \
    }
    if (from == HD_FLOAT16 && to == HD_BFLOAT16) {
        return cast_half_bfloat;
    }
    if (from == HD_BFLOAT16 && to == HD_FLOAT16) {
        return cast_bfloat_half;
    }
    if (from == HD_FLOAT16 || from == HD_BFLOAT16) {
        HALF_PARTNER_LIST(FROM_HALF_)
    } else {
        HALF_PARTNER_LIST(TO_HALF_)
    }
    return NULL;
}

/* NULL: there is no quick way. */
static hd_cpu_elementwise_function *quick_cast(hd_dtype from, hd_dtype to)
{
    if (from != HD_FLOAT32) {
        return NULL;
    }
    switch (to) {
    case HD_INT8:
        return quick_int8;
    case HD_INT16:
        return quick_int16;
    case HD_INT32:
        return quick_int32;
    case HD_UINT8:
        return quick_uint8;
    case HD_UINT16:
        return quick_uint16;
    default:
        return NULL;
    }
}

hd_cpu_elementwise_function *hd_cpu_elementwise_cast(hd_dtype from, hd_dtype to)
{
    hd_cpu_elementwise_function *quick = quick_cast(from, to);
    if (quick != NULL) {
        return quick;
    }
    if (from == to) {
        return hd_dtype_size(from) != 0 ? hd_cpu_elementwise_copy(hd_dtype_size(from)) : NULL;
    }
    if (from == HD_FLOAT16 || from == HD_BFLOAT16 || to == HD_FLOAT16 || to == HD_BFLOAT16) {
        return half_cast(from, to);
    }
    const cast_row *row = row_of(from);
    if (row == NULL) {
        return NULL;
    }
    switch (to) {
    case HD_INT8:
        return row->int8;
    case HD_INT16:
        return row->int16;
    case HD_INT32:
        return row->int32;
    case HD_INT64:
        return row->int64;
    case HD_UINT8:
        return row->uint8;
    case HD_UINT16:
        return row->uint16;
    case HD_UINT32:
        return row->uint32;
    case HD_UINT64:
        return row->uint64;
    case HD_BOOL:
        return row->boolean;
    case HD_FLOAT32:
        return row->float32;
    case HD_FLOAT64:
        return row->float64;
    default:
        return NULL;
    }
}

hd_cpu_elementwise_function *hd_cpu_elementwise_cast_to_odd(hd_dtype from)
{
    return from == HD_FLOAT16    ? cast_half_float32
           : from == HD_BFLOAT16 ? cast_bfloat_float32
                                 : row_of(from)->odd;
}

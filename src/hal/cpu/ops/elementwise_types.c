/* Elementwise functions of every type, and the choice among float32's. */
#include <math.h>

#include "hal/cpu/extremes.h"
#include "hal/cpu/isa.h"
#include "hal/cpu/ops/elementwise_loop.inc"

static double power_of_doubles(double x, double y)
{
    return pow(x, y);
}

/* x^y modulo 2^64; for negative y the quotient 1/x^-y towards zero, 0 also for x = 0. */
static int64_t power_of_integers(int64_t x, int64_t y)
{
    if (y < 0) {
        return x == 1 ? 1 : x == -1 ? (y % 2 == 0 ? 1 : -1) : 0;
    }
    uint64_t result = 1, base = (uint64_t)x;
    for (uint64_t rest = (uint64_t)y; rest != 0; rest >>= 1) {
        if (rest & 1) {
            result *= base;
        }
        base *= base;
    }
    return (int64_t)result;
}

DEFINE_BINARY_LOOP(power_float64, double, double, power_of_doubles(x, y))
DEFINE_BINARY_LOOP(power_int64, int64_t, int64_t, power_of_integers(x, y))

#define TYPE            double
#define NAME            float64
#define TABLE           static const hd_cpu_elementwise_functions table_float64
#define TYPE_IS_FLOAT   1
#define TYPE_IS_SIGNED  1
#define FLOAT_ABSOLUTE  fabs
#define FLOAT_MAXIMUM   hd_cpu_maximum_float64
#define FLOAT_MINIMUM   hd_cpu_minimum_float64
#define FLOAT_REMAINDER fmod
#define POWER           power_float64
#include "hal/cpu/ops/elementwise_type.inc"

#define TYPE           int8_t
#define NAME           int8
#define TABLE          static const hd_cpu_elementwise_functions table_int8
#define TYPE_IS_FLOAT  0
#define TYPE_IS_SIGNED 1
#define WIDE           uint32_t
#include "hal/cpu/ops/elementwise_type.inc"

#define TYPE           uint8_t
#define NAME           uint8
#define TABLE          static const hd_cpu_elementwise_functions table_uint8
#define TYPE_IS_FLOAT  0
#define TYPE_IS_SIGNED 0
#define WIDE           uint32_t
#include "hal/cpu/ops/elementwise_type.inc"

#define TYPE           int16_t
#define NAME           int16
#define TABLE          static const hd_cpu_elementwise_functions table_int16
#define TYPE_IS_FLOAT  0
#define TYPE_IS_SIGNED 1
#define WIDE           uint32_t
#include "hal/cpu/ops/elementwise_type.inc"

#define TYPE           uint16_t
#define NAME           uint16
#define TABLE          static const hd_cpu_elementwise_functions table_uint16
#define TYPE_IS_FLOAT  0
#define TYPE_IS_SIGNED 0
#define WIDE           uint32_t
#include "hal/cpu/ops/elementwise_type.inc"

#define TYPE           int32_t
#define NAME           int32
#define TABLE          static const hd_cpu_elementwise_functions table_int32
#define TYPE_IS_FLOAT  0
#define TYPE_IS_SIGNED 1
#define WIDE           uint32_t
#include "hal/cpu/ops/elementwise_type.inc"

#define TYPE           uint32_t
#define NAME           uint32
#define TABLE          static const hd_cpu_elementwise_functions table_uint32
#define TYPE_IS_FLOAT  0
#define TYPE_IS_SIGNED 0
#define WIDE           uint32_t
#include "hal/cpu/ops/elementwise_type.inc"

#define TYPE           int64_t
#define NAME           int64
#define TABLE          static const hd_cpu_elementwise_functions table_int64
#define TYPE_IS_FLOAT  0
#define TYPE_IS_SIGNED 1
#define WIDE           uint64_t
#define POWER          power_int64
#include "hal/cpu/ops/elementwise_type.inc"

#define TYPE           uint64_t
#define NAME           uint64
#define TABLE          static const hd_cpu_elementwise_functions table_uint64
#define TYPE_IS_FLOAT  0
#define TYPE_IS_SIGNED 0
#define WIDE           uint64_t
#include "hal/cpu/ops/elementwise_type.inc"

/* bool: bytes that hold 0 or 1, so that the bitwise functions are the logical ones. */
DEFINE_BINARY_LOOP(logical_and, uint8_t, uint8_t, x &y)
DEFINE_BINARY_LOOP(logical_or, uint8_t, uint8_t, x | y)
DEFINE_BINARY_LOOP(logical_xor, uint8_t, uint8_t, x ^ y)
DEFINE_BINARY_LOOP(logical_equal, uint8_t, uint8_t, x == y)
DEFINE_UNARY_LOOP(logical_not, uint8_t, uint8_t, x == 0)

static const hd_cpu_elementwise_functions table_bool = {
    .equal = logical_equal,
    .bitwise_and = logical_and,
    .bitwise_or = logical_or,
    .bitwise_xor = logical_xor,
    .bitwise_not = logical_not,
};

static const hd_cpu_elementwise_functions *float32_functions(void)
{
#if defined(__x86_64__)
    if (hd_cpu_isa() == HD_ISA_AVX512) {
        return &hd_cpu_elementwise_float32_avx512;
    }
    if (hd_cpu_isa() == HD_ISA_AVX2) {
        return &hd_cpu_elementwise_float32_avx2;
    }
#endif
    return &hd_cpu_elementwise_float32_baseline;
}

const hd_cpu_elementwise_functions *hd_cpu_elementwise_functions_of(hd_dtype dtype)
{
    switch (dtype) {
    case HD_FLOAT32:
        return float32_functions();
    case HD_FLOAT64:
        return &table_float64;
    case HD_INT8:
        return &table_int8;
    case HD_INT16:
        return &table_int16;
    case HD_INT32:
        return &table_int32;
    case HD_INT64:
        return &table_int64;
    case HD_UINT8:
        return &table_uint8;
    case HD_UINT16:
        return &table_uint16;
    case HD_UINT32:
        return &table_uint32;
    case HD_UINT64:
        return &table_uint64;
    case HD_BOOL:
        return &table_bool;
    default:
        return NULL;
    }
}

/* --- functions that only move elements, by their size */

#define DEFINE_MOVES(T)                                                                            \
    static void where_##T(const hd_cpu_elementwise_parameters *parameters, void *out,              \
                          const void *const *in, unsigned scalars, size_t n)                       \
    {                                                                                              \
        (void)parameters;                                                                          \
        const uint8_t *condition = in[0];                                                          \
        const T *yes = in[1], *no = in[2];                                                         \
        T *to = out;                                                                               \
        size_t condition_step = !(scalars & 1), yes_step = !(scalars & 2),                         \
               no_step = !(scalars & 4);                                                           \
        T no_only = n != 0 ? *no : 0, yes_only = n != 0 ? *yes : 0;                                \
        if (condition_step && yes_step && no_step) {                                               \
            INDEPENDENT                                                                            \
            for (size_t i = 0; i < n; i++) {                                                       \
                to[i] = condition[i] ? yes[i] : no[i];                                             \
            }                                                                                      \
        } else {                                                                                   \
            INDEPENDENT                                                                            \
            for (size_t i = 0; i < n; i++) {                                                       \
                T first = yes_step ? yes[i] : yes_only;                                            \
                T second = no_step ? no[i] : no_only;                                              \
                to[i] = condition[i * condition_step] ? first : second;                            \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    static void copy_##T(const hd_cpu_elementwise_parameters *parameters, void *out,               \
                         const void *const *in, unsigned scalars, size_t n)                        \
    {                                                                                              \
        (void)parameters;                                                                          \
        (void)scalars;                                                                             \
        memmove(out, in[0], n * sizeof(T));                                                        \
    }
DEFINE_MOVES(uint8_t)
DEFINE_MOVES(uint16_t)
DEFINE_MOVES(uint32_t)
DEFINE_MOVES(uint64_t)

hd_cpu_elementwise_function *hd_cpu_elementwise_where(size_t element_size)
{
    return element_size == 1   ? where_uint8_t
           : element_size == 2 ? where_uint16_t
           : element_size == 4 ? where_uint32_t
                               : where_uint64_t;
}

hd_cpu_elementwise_function *hd_cpu_elementwise_copy(size_t element_size)
{
    return element_size == 1   ? copy_uint8_t
           : element_size == 2 ? copy_uint16_t
           : element_size == 4 ? copy_uint32_t
                               : copy_uint64_t;
}

/* --- functions of the vector math and of the C library */

void hd_cpu_elementwise_apply_unary(const hd_cpu_elementwise_parameters *parameters, void *out,
                                    const void *const *in, unsigned scalars, size_t n)
{
    (void)scalars;
    parameters->unary(out, in[0], n);
}

void hd_cpu_elementwise_apply_parametric(const hd_cpu_elementwise_parameters *parameters, void *out,
                                         const void *const *in, unsigned scalars, size_t n)
{
    (void)scalars;
    parameters->parametric(out, in[0], n, parameters->alpha, parameters->beta);
}

void hd_cpu_elementwise_apply_double(const hd_cpu_elementwise_parameters *parameters, void *out,
                                     const void *const *in, unsigned scalars, size_t n)
{
    (void)scalars;
    const double *from = in[0];
    double *to = out;
    for (size_t i = 0; i < n; i++) {
        to[i] = parameters->of_double(from[i]);
    }
}

void hd_cpu_elementwise_apply_pow(const hd_cpu_elementwise_parameters *parameters, void *out,
                                  const void *const *in, unsigned scalars, size_t n)
{
    (void)parameters;
    (void)scalars;
    hd_cpu_vector_pow(out, in[0], in[1], n);
}

/* Reduce, for float64, integers and bool: the element types of reduce_template.h. */
#include <math.h>
#include <sleef.h>

#include "base/stop.h"
#include "hal/cpu/extremes.h"
#include "hal/cpu/ops/reduction.h"

/* Logarithms and roots of integers, cut to whole numbers; out of range there is nothing to be said of
 * them, so they become 0 instead of undefined behaviour. */
static double whole_or_zero(double value)
{
    return value > -9.2e18 && value < 9.2e18 ? value : 0;
}

#define IS_NEGATIVE(x)     ((x) < 0)
#define ACC                double
#define ADD(a, b)          ((a) + (b))
#define SUBTRACT(a, b)     ((a) - (b))
#define MULTIPLY(a, b)     ((a) * (b))
#define MAXIMUM            hd_cpu_maximum_float64
#define MINIMUM            hd_cpu_minimum_float64
#define FROM_DOUBLE(value) (value)
#define T                  double
#define NAME               float64
#define LOWEST             (-INFINITY)
#define HIGHEST            INFINITY
#include "hal/cpu/ops/reduce_template.h"
#undef ACC
#undef ADD
#undef SUBTRACT
#undef MULTIPLY
#undef MAXIMUM
#undef MINIMUM
#undef FROM_DOUBLE

/* Integers wrap around: they are added as unsigned ones, for which that is defined. */
#define ADD(a, b)          ((ACC)((uint64_t)(a) + (uint64_t)(b)))
#define SUBTRACT(a, b)     ((ACC)((uint64_t)(a) - (uint64_t)(b)))
#define MULTIPLY(a, b)     ((ACC)((uint64_t)(a) * (uint64_t)(b)))
#define MAXIMUM(a, b)      ((a) > (b) ? (a) : (b))
#define MINIMUM(a, b)      ((a) < (b) ? (a) : (b))
#define FROM_DOUBLE(value) ((T)(int64_t)whole_or_zero(value))

#define ACC int64_t

#define T       int8_t
#define NAME    int8
#define LOWEST  INT8_MIN
#define HIGHEST INT8_MAX
#include "hal/cpu/ops/reduce_template.h"

#define T       int16_t
#define NAME    int16
#define LOWEST  INT16_MIN
#define HIGHEST INT16_MAX
#include "hal/cpu/ops/reduce_template.h"

#define T       int32_t
#define NAME    int32
#define LOWEST  INT32_MIN
#define HIGHEST INT32_MAX
#include "hal/cpu/ops/reduce_template.h"

#define T       int64_t
#define NAME    int64
#define LOWEST  INT64_MIN
#define HIGHEST INT64_MAX
#include "hal/cpu/ops/reduce_template.h"

#undef ACC
#undef IS_NEGATIVE
#define ACC            uint64_t
#define IS_NEGATIVE(x) false

#define T       uint8_t
#define NAME    uint8
#define LOWEST  0
#define HIGHEST UINT8_MAX
#include "hal/cpu/ops/reduce_template.h"

#define T       uint16_t
#define NAME    uint16
#define LOWEST  0
#define HIGHEST UINT16_MAX
#include "hal/cpu/ops/reduce_template.h"

#define T       uint32_t
#define NAME    uint32
#define LOWEST  0
#define HIGHEST UINT32_MAX
#include "hal/cpu/ops/reduce_template.h"

#define T       uint64_t
#define NAME    uint64
#define LOWEST  0
#define HIGHEST UINT64_MAX
#include "hal/cpu/ops/reduce_template.h"

hd_kernel_run *hd_cpu_reduce_run_of(hd_dtype dtype)
{
    switch (dtype) {
    case HD_FLOAT64:
        return run_float64;
    case HD_INT8:
        return run_int8;
    case HD_INT16:
        return run_int16;
    case HD_INT32:
        return run_int32;
    case HD_INT64:
        return run_int64;
    case HD_UINT8:
    case HD_BOOL: /* the maximum and the minimum of bool are what newer operator sets allow */
        return run_uint8;
    case HD_UINT16:
        return run_uint16;
    case HD_UINT32:
        return run_uint32;
    case HD_UINT64:
        return run_uint64;
    default:
        return NULL;
    }
}

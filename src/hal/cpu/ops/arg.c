/* Arg: ArgMax and ArgMin along one axis. What is not a number counts as the best, as in NumPy. */
#include "hal/cpu/ops/reduction.h"

#include <math.h>

#include "base/stop.h"
#include "operation/axes.h"

typedef struct arg_parameters {
    hd_axis_split split;
    bool smallest;
    bool last; /* among equals the last one */
    int64_t tiles;
} arg_parameters;

#define IS_NAN(x) isnan(x)
#define T         float
#define NAME      float32
#include "hal/cpu/ops/arg_template.h"
#define T    double
#define NAME float64
#include "hal/cpu/ops/arg_template.h"
#undef IS_NAN

#define IS_NAN(x) false
#define T         int8_t
#define NAME      int8
#include "hal/cpu/ops/arg_template.h"
#define T    int16_t
#define NAME int16
#include "hal/cpu/ops/arg_template.h"
#define T    int32_t
#define NAME int32
#include "hal/cpu/ops/arg_template.h"
#define T    int64_t
#define NAME int64
#include "hal/cpu/ops/arg_template.h"
#define T    uint8_t
#define NAME uint8
#include "hal/cpu/ops/arg_template.h"
#define T    uint16_t
#define NAME uint16
#include "hal/cpu/ops/arg_template.h"
#define T    uint32_t
#define NAME uint32
#include "hal/cpu/ops/arg_template.h"
#define T    uint64_t
#define NAME uint64
#include "hal/cpu/ops/arg_template.h"

static hd_kernel_run *run_of(hd_dtype dtype)
{
    switch (dtype) {
    case HD_FLOAT32:
        return run_float32;
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
    case HD_BOOL:
    case HD_UINT8:
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

hd_status hd_cpu_arg_compile(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_operand *x = &operation->inputs[0];
    hd_kernel_run *run = run_of(x->dtype);
    if (run == NULL) {
        return hd_operation_fail(operation, compilation->error, HD_UNSUPPORTED,
                                 "there is no kernel for %s", hd_dtype_name(x->dtype));
    }
    arg_parameters *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    int64_t axis = hd_operation_int(operation, "axis", 0);
    hd_axis_normalize(&axis, x->shape.rank);
    p->split.outer = hd_shape_count_range(&x->shape, 0, (uint32_t)axis);
    p->split.size = x->shape.dims[axis];
    p->split.inner = hd_shape_count_range(&x->shape, (uint32_t)axis + 1, x->shape.rank);
    p->smallest = operation->id == HD_OP_ARG_MIN;
    p->last = hd_operation_int(operation, "select_last_index", 0) != 0;
    p->tiles = hd_cpu_tile_count(p->split.outer * p->split.inner, p->split.size * 4);
    compilation->kernel.run = run;
    compilation->kernel.tile_count = p->tiles;
    return HD_OK;
}

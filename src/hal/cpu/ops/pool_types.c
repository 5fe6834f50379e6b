/* Pool, for MaxPool's indices and its other element types. */
#include <math.h>

#include "base/stop.h"
#include "hal/cpu/extremes.h"
#include "hal/cpu/ops/spatial.h"
#include "operation/window.h"

typedef struct pool_parameters {
    hd_window window;
    bool columns_first; /* storage_order 1: indices count along columns */
    bool has_indices;
    int64_t turns; /* outputs from one look to the next; 1: windows are long, and look themselves */
    int64_t tiles;
} pool_parameters;

static int64_t place_of(const pool_parameters *p, int64_t at)
{
    const hd_window *w = &p->window;
    if (!p->columns_first) {
        return at;
    }
    int64_t column = at % w->input[2], row = at / w->input[2] % w->input[1];
    int64_t slice = at / (w->input[2] * w->input[1]);
    return (column * w->input[1] + row) * w->input[0] + slice;
}

#define T       float
#define NAME    float32
#define LOWEST  (-INFINITY)
#define MAXIMUM hd_cpu_maximum_float32
#include "hal/cpu/ops/pool_template.h"
#define T       double
#define NAME    float64
#define LOWEST  (-INFINITY)
#define MAXIMUM hd_cpu_maximum_float64
#include "hal/cpu/ops/pool_template.h"
#define T             int8_t
#define NAME          int8
#define LOWEST        INT8_MIN
#define MAXIMUM(a, b) ((a) > (b) ? (a) : (b))
#include "hal/cpu/ops/pool_template.h"
#define T             uint8_t
#define NAME          uint8
#define LOWEST        0
#define MAXIMUM(a, b) ((a) > (b) ? (a) : (b))
#include "hal/cpu/ops/pool_template.h"

hd_status hd_cpu_pool_indexed_compile(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    hd_dtype dtype = operation->inputs[0].dtype;
    hd_kernel_run *run = dtype == HD_FLOAT32   ? run_float32
                         : dtype == HD_FLOAT64 ? run_float64
                         : dtype == HD_INT8    ? run_int8
                         : dtype == HD_UINT8   ? run_uint8
                                               : NULL;
    if (run == NULL) {
        return hd_operation_fail(operation, compilation->error, HD_UNSUPPORTED,
                                 "there is no kernel for %s", hd_dtype_name(dtype));
    }
    pool_parameters *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    hd_status status = hd_window_resolve(operation, &p->window, compilation->error);
    if (status != HD_OK) {
        return status;
    }
    const hd_window *w = &p->window;
    p->columns_first = hd_operation_int(operation, "storage_order", 0) != 0;
    p->has_indices = operation->output_count > 1;
    int64_t taps = hd_multiply_bounded(w->kernel[0] * w->kernel[1], w->kernel[2]);
    p->turns = hd_stop_turns(hd_multiply_bounded(taps, 4));
    p->tiles = hd_cpu_tile_count(
        w->batch * w->channels,
        hd_multiply_bounded(taps, w->output[0] * w->output[1] * w->output[2] * 4));
    compilation->kernel.run = run;
    compilation->kernel.tile_count = p->tiles;
    return HD_OK;
}

/* Matrix plain: MatMul and Gemm of the element types other than float32, in plain loops. float64
 * rounds the product and the sum, each on its own; integers wrap. */
#include "hal/cpu/ops/matrix.h"

#include "base/stop.h"

typedef struct plain_product {
    hd_cpu_matmul_sizes sizes;
    int64_t a_row;
    int64_t a_depth;
    int64_t b_depth;
    int64_t b_column;
    bool scaled; /* a Gemm */
    bool has_c;
    struct {
        double alpha;
        double beta;
    } real;
    struct { /* of integers: ONNX's floats, cut to integers */
        int64_t alpha;
        int64_t beta;
    } whole;
    int64_t c_row;
    int64_t c_column;
    size_t output;
    int64_t tile_count;
} plain_product;

#define TYPE  double
#define NAME  float64
#define SCALE real
#include "hal/cpu/ops/matrix_plain.inc"
#define TYPE  uint32_t
#define NAME  int32
#define SCALE whole
#include "hal/cpu/ops/matrix_plain.inc"
#define TYPE  uint64_t
#define NAME  int64
#define SCALE whole
#include "hal/cpu/ops/matrix_plain.inc"

static hd_status finish(hd_cpu_compilation *compilation, plain_product *plain)
{
    const hd_operation *operation = compilation->operation;
    switch (operation->inputs[0].dtype) {
    case HD_FLOAT64:
        compilation->kernel.run = plain_run_float64;
        break;
    case HD_INT32:
    case HD_UINT32:
        compilation->kernel.run = plain_run_int32;
        break;
    case HD_INT64:
    case HD_UINT64:
        compilation->kernel.run = plain_run_int64;
        break;
    default:
        return hd_operation_fail(operation, compilation->error, HD_UNSUPPORTED, "%s has no kernel",
                                 hd_dtype_name(operation->inputs[0].dtype));
    }
    const hd_cpu_matmul_sizes *sizes = &plain->sizes;
    double work = (double)sizes->columns * (double)sizes->depth;
    plain->output = operation->input_count;
    plain->tile_count =
        hd_cpu_tile_count(sizes->rows * sizes->batch, work < 1e9 ? (int64_t)work : 1000000000);
    compilation->kernel.tile_count = plain->tile_count;
    return HD_OK;
}

hd_status hd_cpu_compile_matmul_plain(hd_cpu_compilation *compilation,
                                      const hd_cpu_matmul_sizes *sizes)
{
    plain_product *plain = hd_cpu_parameters(compilation, sizeof *plain);
    if (plain == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    plain->sizes = *sizes;
    plain->a_row = sizes->depth;
    plain->a_depth = 1;
    plain->b_depth = sizes->columns;
    plain->b_column = 1;
    return finish(compilation, plain);
}

static int64_t whole_of(float value)
{
    return value > -1e18f && value < 1e18f ? (int64_t)value : 0;
}

hd_status hd_cpu_compile_gemm_plain(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    plain_product *plain = hd_cpu_parameters(compilation, sizeof *plain);
    if (plain == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    const hd_shape *a = &operation->inputs[0].shape, *y = &operation->outputs[0].shape;
    bool trans_a = hd_operation_int(operation, "transA", 0) != 0;
    bool trans_b = hd_operation_int(operation, "transB", 0) != 0;
    int64_t depth = a->dims[trans_a ? 0 : 1];
    plain->sizes = (hd_cpu_matmul_sizes){
        .rows = y->dims[0], .columns = y->dims[1], .depth = depth, .batch = 1};
    plain->a_row = trans_a ? 1 : depth;
    plain->a_depth = trans_a ? y->dims[0] : 1;
    plain->b_depth = trans_b ? 1 : y->dims[1];
    plain->b_column = trans_b ? depth : 1;
    plain->scaled = true;
    plain->real.alpha = hd_operation_float(operation, "alpha", 1.0f);
    plain->real.beta = hd_operation_float(operation, "beta", 1.0f);
    plain->whole.alpha = whole_of((float)plain->real.alpha);
    plain->whole.beta = whole_of((float)plain->real.beta);
    plain->has_c = hd_operation_has(operation, 2) && plain->real.beta != 0.0;
    if (plain->has_c) {
        const hd_shape *c = &operation->inputs[2].shape;
        int64_t columns = c->rank > 0 ? c->dims[c->rank - 1] : 1;
        int64_t rows = c->rank > 1 ? c->dims[c->rank - 2] : 1;
        plain->c_row = rows == 1 ? 0 : columns;
        plain->c_column = columns == 1 ? 0 : 1;
    }
    return finish(compilation, plain);
}

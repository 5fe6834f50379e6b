/* Einsum: as batched products of gemm.h where two float32 inputs allow it, else as a loop nest. */
#include <math.h>

#include "base/stop.h"
#include "hal/cpu/gemm.h"
#include "hal/cpu/ops/matrix.h"
#include "operation/einsum.h"

typedef struct loop_nest {
    hd_einsum einsum;
    int64_t count; /* elements of the output */
    int64_t tile_count;
} loop_nest;

#define TYPE         float
#define NAME         float32
#define FMA(a, b, c) fmaf(a, b, c)
#include "hal/cpu/ops/matrix_einsum.inc"
#define TYPE         double
#define NAME         float64
#define FMA(a, b, c) ((a) * (b) + (c))
#include "hal/cpu/ops/matrix_einsum.inc"
#define TYPE         uint32_t
#define NAME         int32
#define FMA(a, b, c) ((a) * (b) + (c))
#include "hal/cpu/ops/matrix_einsum.inc"
#define TYPE         uint64_t
#define NAME         int64
#define FMA(a, b, c) ((a) * (b) + (c))
#include "hal/cpu/ops/matrix_einsum.inc"

/* A label, or several that are one, since each is the next one's size times its stride. */
typedef struct product_axis {
    int64_t size;
    int64_t left; /* strides in the left and right factor and in the output */
    int64_t right;
    int64_t out;
} product_axis;

typedef struct batched_product {
    hd_cpu_gemm gemm;
    hd_cpu_gemm_operands operands; /* strides */
    bool swapped;                  /* the second input is the left factor */
    int64_t batch;
    uint32_t axis_count; /* of the batch */
    product_axis axes[HD_EINSUM_LABELS];
} batched_product;

static void run_product(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                        void *scratch)
{
    const batched_product *product = parameters;
    int64_t tiles = product->gemm.tile_count;
    for (int64_t tile = begin; tile < end && product->batch > 0; tile++) {
        hd_cpu_gemm_operands operands = product->operands;
        operands.a = buffers[product->swapped ? 1 : 0];
        operands.b = buffers[product->swapped ? 0 : 1];
        operands.c = buffers[2];
        int64_t rest = tile / tiles;
        for (uint32_t i = product->axis_count; i-- > 0;) {
            int64_t position = rest % product->axes[i].size;
            rest /= product->axes[i].size;
            operands.a += position * product->axes[i].left;
            operands.b += position * product->axes[i].right;
            operands.c += position * product->axes[i].out;
        }
        hd_cpu_gemm_run(&product->gemm, &operands, tile % tiles, scratch);
    }
}

/* The label's strides with input `left` as the left factor. */
static product_axis axis_of(const hd_einsum *einsum, uint32_t label, uint32_t left)
{
    product_axis axis = {.size = einsum->sizes[label],
                         .left = einsum->strides[left][label],
                         .right = einsum->strides[1 - left][label]};
    if (label < einsum->output_rank) {
        axis.out = 1;
        for (uint32_t i = label + 1; i < einsum->output_rank; i++) {
            axis.out *= einsum->sizes[i];
        }
    }
    return axis;
}

/* Makes *inner one axis with the one around it; false where memory does not lie so. */
static bool axis_merge(product_axis *inner, product_axis outer)
{
    if (outer.left != inner->size * inner->left || outer.right != inner->size * inner->right ||
        outer.out != inner->size * inner->out) {
        return false;
    }
    inner->size *= outer.size;
    return true;
}

/* Sorts the labels into rows, columns, depth and batch; false when the sum is no batch of products
 * with contiguous columns. The choice follows from equation and shapes only (BITS). */
static bool find_product(const hd_einsum *einsum, uint32_t left, batched_product *product)
{
    product_axis rows = {.size = 1}, columns = {.size = 1}, depth = {.size = 1};
    bool has_rows = false, has_columns = false, has_depth = false;
    *product = (batched_product){.swapped = left == 1, .batch = 1};
    for (uint32_t label = einsum->label_count; label-- > einsum->output_rank;) {
        product_axis axis = axis_of(einsum, label, left);
        if (axis.left == 0 || axis.right == 0 || (has_depth && !axis_merge(&depth, axis))) {
            return false; /* a sum over one factor alone, or in two strides */
        }
        depth = has_depth ? depth : axis;
        has_depth = true;
    }
    for (uint32_t label = einsum->output_rank; label-- > 0;) {
        product_axis axis = axis_of(einsum, label, left);
        bool column = axis.left == 0 && axis.right != 0, row = axis.left != 0 && axis.right == 0;
        if (column && !has_columns && axis.out == 1) {
            columns = axis;
            has_columns = true;
        } else if (row && !has_rows) {
            rows = axis;
            has_rows = true;
        } else if (!(column && has_columns && axis_merge(&columns, axis)) &&
                   !(row && has_rows && axis_merge(&rows, axis))) {
            product->axes[product->axis_count++] = axis;
            product->batch *= axis.size;
        }
    }
    if (!has_depth || !has_columns || depth.size == 0) {
        return false;
    }
    product->operands = (hd_cpu_gemm_operands){.a_row = rows.left,
                                               .a_depth = depth.left,
                                               .b_depth = depth.right,
                                               .b_column = columns.right,
                                               .c_row = rows.out};
    hd_cpu_gemm_plan(&product->gemm, rows.size, columns.size, depth.size, product->batch);
    return true;
}

static hd_status compile_nest(hd_cpu_compilation *compilation, const hd_einsum *einsum)
{
    const hd_operation *operation = compilation->operation;
    switch (operation->inputs[0].dtype) {
    case HD_FLOAT32:
        compilation->kernel.run = einsum_run_float32;
        break;
    case HD_FLOAT64:
        compilation->kernel.run = einsum_run_float64;
        break;
    case HD_INT32:
    case HD_UINT32:
        compilation->kernel.run = einsum_run_int32;
        break;
    case HD_INT64:
    case HD_UINT64:
        compilation->kernel.run = einsum_run_int64;
        break;
    default:
        return hd_operation_fail(operation, compilation->error, HD_UNSUPPORTED, "%s has no kernel",
                                 hd_dtype_name(operation->inputs[0].dtype));
    }
    loop_nest *nest = hd_cpu_parameters(compilation, sizeof *nest);
    if (nest == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    nest->einsum = *einsum;
    nest->count = hd_shape_count(&operation->outputs[0].shape);
    double work = 4.0;
    for (uint32_t label = einsum->output_rank; label < einsum->label_count; label++) {
        work *= (double)einsum->sizes[label];
    }
    nest->tile_count = hd_cpu_tile_count(nest->count, work < 1e9 ? (int64_t)work : 1000000000);
    compilation->kernel.tile_count = nest->tile_count;
    compilation->kernel.scratch_size = einsum->input_count * (sizeof(void *) + sizeof(int64_t));
    return HD_OK;
}

hd_status hd_cpu_compile_einsum(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    hd_einsum einsum;
    hd_status status =
        hd_einsum_resolve(operation, compilation->region, &einsum, compilation->error);
    if (status != HD_OK) {
        return status;
    }
    batched_product product;
    if (operation->inputs[0].dtype != HD_FLOAT32 || operation->input_count != 2 ||
        (!find_product(&einsum, 0, &product) && !find_product(&einsum, 1, &product))) {
        return compile_nest(compilation, &einsum);
    }
    batched_product *parameters = hd_cpu_parameters(compilation, sizeof *parameters);
    if (parameters == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    *parameters = product;
    compilation->kernel.run = run_product;
    compilation->kernel.scratch_size = HD_GEMM_SCRATCH_SIZE;
    compilation->kernel.tile_count =
        product.batch > 0 ? product.batch * product.gemm.tile_count : 1;
    return HD_OK;
}

#include "hal/cpu/ops/indexing.h"

#include "base/stop.h"

#define COLUMN_BLOCK 1024
#define ROWS_A_LOOK  64

struct cum_sum;
typedef void sum_columns(const struct cum_sum *p, const void *source, void *target, int64_t outer,
                         int64_t from, int64_t to);

/* Items are blocks of columns; each sums in the order of the axis, whatever the tile (BITS). */
typedef struct cum_sum {
    sum_columns *sum;
    int64_t outer, dim, inner, blocks, tile_count;
    bool exclusive, reverse;
} cum_sum;

#define TYPE          float
#define WIDE          float
#define NAME_(suffix) suffix##_float32
#define NAME(suffix)  NAME_(suffix)
#define FUNCTION      sum
#define FIRST         0
#define OPERATOR      +
#include "hal/cpu/ops/indexing_sum.inc"
#define FUNCTION product
#define FIRST    1
#define OPERATOR *
#include "hal/cpu/ops/indexing_sum.inc"
#undef TYPE
#undef WIDE
#undef NAME
#undef NAME_
#define TYPE          double
#define WIDE          double
#define NAME_(suffix) suffix##_float64
#define NAME(suffix)  NAME_(suffix)
#define FUNCTION      sum
#define FIRST         0
#define OPERATOR      +
#include "hal/cpu/ops/indexing_sum.inc"
#define FUNCTION product
#define FIRST    1
#define OPERATOR *
#include "hal/cpu/ops/indexing_sum.inc"
#undef TYPE
#undef WIDE
#undef NAME
#undef NAME_
#define TYPE          int32_t
#define WIDE          uint32_t
#define NAME_(suffix) suffix##_int32
#define NAME(suffix)  NAME_(suffix)
#define FUNCTION      sum
#define FIRST         0
#define OPERATOR      +
#include "hal/cpu/ops/indexing_sum.inc"
#define FUNCTION product
#define FIRST    1
#define OPERATOR *
#include "hal/cpu/ops/indexing_sum.inc"
#undef TYPE
#undef WIDE
#undef NAME
#undef NAME_
#define TYPE          int64_t
#define WIDE          uint64_t
#define NAME_(suffix) suffix##_int64
#define NAME(suffix)  NAME_(suffix)
#define FUNCTION      sum
#define FIRST         0
#define OPERATOR      +
#include "hal/cpu/ops/indexing_sum.inc"
#define FUNCTION product
#define FIRST    1
#define OPERATOR *
#include "hal/cpu/ops/indexing_sum.inc"
#undef TYPE
#undef WIDE
#undef NAME
#undef NAME_

static void run_cum_sum(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                        void *scratch)
{
    (void)scratch;
    const cum_sum *p = parameters;
    int64_t items = p->outer * p->blocks;
    int64_t item = hd_cpu_tile_begin(items, p->tile_count, begin);
    int64_t last = hd_cpu_tile_begin(items, p->tile_count, end);
    for (; item < last; item++) {
        int64_t from = item % p->blocks * COLUMN_BLOCK, to = from + COLUMN_BLOCK;
        p->sum(p, buffers[0], buffers[2], item / p->blocks, from, to < p->inner ? to : p->inner);
    }
}

static sum_columns *sum_of(hd_dtype dtype, bool is_product)
{
    switch (dtype) {
    case HD_FLOAT32:
        return is_product ? product_float32 : sum_float32;
    case HD_FLOAT64:
        return is_product ? product_float64 : sum_float64;
    case HD_INT32:
    case HD_UINT32: /* the same bits */
        return is_product ? product_int32 : sum_int32;
    case HD_INT64:
    case HD_UINT64:
        return is_product ? product_int64 : sum_int64;
    default:
        return NULL;
    }
}

hd_status hd_cpu_compile_cum_sum(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *shape = &operation->inputs[0].shape;
    int64_t axis = hd_operand_int(&operation->inputs[1], 0);
    hd_axis_normalize(&axis, shape->rank);
    cum_sum *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    p->sum = sum_of(operation->inputs[0].dtype, operation->id == HD_OP_CUM_PROD);
    if (p->sum == NULL) {
        return hd_operation_fail(operation, compilation->error, HD_UNSUPPORTED, "dtype %s",
                                 hd_dtype_name(operation->inputs[0].dtype));
    }
    p->outer = hd_shape_count_range(shape, 0, (uint32_t)axis);
    p->dim = shape->dims[axis];
    p->inner = hd_shape_count_range(shape, (uint32_t)axis + 1, shape->rank);
    p->blocks = (p->inner + COLUMN_BLOCK - 1) / COLUMN_BLOCK;
    p->exclusive = hd_operation_int(operation, "exclusive", 0) != 0;
    p->reverse = hd_operation_int(operation, "reverse", 0) != 0;
    p->tile_count = hd_cpu_tile_count(p->outer * p->blocks,
                                      p->dim * (p->inner < COLUMN_BLOCK ? p->inner : COLUMN_BLOCK));
    compilation->kernel.tile_count = p->tile_count;
    compilation->kernel.run = run_cum_sum;
    return HD_OK;
}

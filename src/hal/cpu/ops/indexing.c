#include "hal/cpu/ops/indexing.h"

/* --- Gather: blocks along one axis */

typedef struct gather {
    int64_t outer, dim, index_count, tile_count;
    size_t block; /* bytes behind the axis */
    bool wide;
} gather;

static void run_gather(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                       void *scratch)
{
    (void)scratch;
    const gather *p = parameters;
    int64_t items = p->outer * p->index_count;
    int64_t at = hd_cpu_tile_begin(items, p->tile_count, begin);
    int64_t last = hd_cpu_tile_begin(items, p->tile_count, end);
    if (at >= last) {
        return;
    }
    int64_t outer = at / p->index_count, place = at % p->index_count;
    unsigned char *target = (unsigned char *)buffers[2] + (size_t)at * p->block;
    const unsigned char *source =
        (const unsigned char *)buffers[0] + (size_t)(outer * p->dim) * p->block;
    for (; at < last; at++) {
        int64_t index = hd_cpu_index_read(buffers[1], p->wide, place, p->dim);
        hd_cpu_block_copy(target, source + (size_t)index * p->block, p->block);
        target += p->block;
        if (++place == p->index_count) {
            place = 0;
            source += (size_t)p->dim * p->block;
        }
    }
}

static hd_status compile_gather(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *shape = &operation->inputs[0].shape;
    int64_t axis = hd_operation_int(operation, "axis", 0);
    hd_axis_normalize(&axis, shape->rank);
    gather *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    p->outer = hd_shape_count_range(shape, 0, (uint32_t)axis);
    p->dim = shape->dims[axis];
    p->index_count = hd_shape_count(&operation->inputs[1].shape);
    p->block = (size_t)hd_shape_count_range(shape, (uint32_t)axis + 1, shape->rank) *
               hd_dtype_size(operation->inputs[0].dtype);
    p->wide = operation->inputs[1].dtype == HD_INT64;
    /* No output, no item; inference lets dim be 0 only then. */
    if (p->block == 0 || p->dim == 0) {
        p->outer = 0;
    }
    p->tile_count = hd_cpu_tile_count(p->outer * p->index_count, (int64_t)(p->block / 8 + 4));
    compilation->kernel.tile_count = p->tile_count;
    compilation->kernel.run = run_gather;
    return HD_OK;
}

/* --- GatherElements: rows of the indices' last axis */

typedef struct gather_elements {
    hd_shape shape;               /* of the indices */
    int64_t strides[HD_MAX_RANK]; /* of the data, in elements; 0 for `axis` */
    int64_t axis, axis_stride, dim, rows, columns, tile_count;
    size_t element;
    bool wide;
} gather_elements;

static void run_gather_elements(const void *parameters, void *const *buffers, int64_t begin,
                                int64_t end, void *scratch)
{
    (void)scratch;
    const gather_elements *p = parameters;
    int64_t row = hd_cpu_tile_begin(p->rows, p->tile_count, begin);
    int64_t last = hd_cpu_tile_begin(p->rows, p->tile_count, end);
    uint32_t rank = p->shape.rank;
    for (; row < last; row++) {
        int64_t base = 0;
        for (int64_t i = (int64_t)rank - 2, rest = row; i >= 0; i--) {
            base += rest % p->shape.dims[i] * p->strides[i];
            rest /= p->shape.dims[i];
        }
        unsigned char *target = buffers[2];
        for (int64_t column = 0; column < p->columns && !hd_stop_ends(column); column++) {
            int64_t place = row * p->columns + column;
            int64_t index = hd_cpu_index_read(buffers[1], p->wide, place, p->dim);
            int64_t from = base + column * p->strides[rank - 1] + index * p->axis_stride;
            hd_cpu_block_copy(target + (size_t)place * p->element,
                              (const unsigned char *)buffers[0] + (size_t)from * p->element,
                              p->element);
        }
    }
}

static hd_status compile_gather_elements(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *shape = &operation->inputs[0].shape;
    gather_elements *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    p->axis = hd_operation_int(operation, "axis", 0);
    hd_axis_normalize(&p->axis, shape->rank);
    p->shape = operation->inputs[1].shape;
    hd_shape_strides(shape, p->strides);
    p->axis_stride = p->strides[p->axis];
    p->strides[p->axis] = 0;
    p->dim = shape->dims[p->axis];
    p->columns = p->shape.dims[p->shape.rank - 1];
    p->rows = p->columns == 0 ? 0 : hd_shape_count_range(&p->shape, 0, p->shape.rank - 1);
    p->element = hd_dtype_size(operation->inputs[0].dtype);
    p->wide = operation->inputs[1].dtype == HD_INT64;
    p->tile_count = hd_cpu_tile_count(p->rows, 2 * p->columns + 8);
    compilation->kernel.tile_count = p->tile_count;
    compilation->kernel.run = run_gather_elements;
    return HD_OK;
}

/* --- GatherND */

typedef struct gather_nd {
    int64_t batches, per_batch, depth, batch_stride, tile_count;
    int64_t dims[HD_MAX_RANK], strides[HD_MAX_RANK]; /* of the axes that an index goes by */
    size_t block;                                    /* bytes */
} gather_nd;

static void run_gather_nd(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                          void *scratch)
{
    (void)scratch;
    const gather_nd *p = parameters;
    int64_t items = p->batches * p->per_batch;
    int64_t at = hd_cpu_tile_begin(items, p->tile_count, begin);
    int64_t last = hd_cpu_tile_begin(items, p->tile_count, end);
    for (; at < last; at++) {
        int64_t from = at / p->per_batch * p->batch_stride;
        for (int64_t i = 0; i < p->depth; i++) {
            from +=
                hd_cpu_index_read(buffers[1], true, at * p->depth + i, p->dims[i]) * p->strides[i];
        }
        hd_cpu_block_copy((unsigned char *)buffers[2] + (size_t)at * p->block,
                          (const unsigned char *)buffers[0] + from, p->block);
    }
}

static hd_status compile_gather_nd(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *shape = &operation->inputs[0].shape, *indices = &operation->inputs[1].shape;
    uint32_t batch = (uint32_t)hd_operation_int(operation, "batch_dims", 0);
    int64_t element = (int64_t)hd_dtype_size(operation->inputs[0].dtype);
    gather_nd *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    int64_t strides[HD_MAX_RANK];
    hd_shape_strides(shape, strides);
    p->depth = indices->dims[indices->rank - 1];
    p->batches = hd_shape_count_range(shape, 0, batch);
    p->per_batch = hd_shape_count_range(indices, batch, indices->rank - 1);
    p->batch_stride = hd_shape_count_range(shape, batch, shape->rank) * element;
    for (int64_t i = 0; i < p->depth; i++) {
        p->dims[i] = shape->dims[batch + i];
        p->strides[i] = strides[batch + i] * element;
    }
    p->block =
        (size_t)(hd_shape_count_range(shape, batch + (uint32_t)p->depth, shape->rank) * element);
    if (p->block == 0) {
        p->batches = 0;
    }
    p->tile_count =
        hd_cpu_tile_count(p->batches * p->per_batch, (int64_t)(p->block / 8 + 4) + 4 * p->depth);
    compilation->kernel.tile_count = p->tile_count;
    compilation->kernel.run = run_gather_nd;
    return HD_OK;
}

/* --- OneHot */

typedef struct one_hot {
    hd_dtype dtype; /* of the indices */
    int64_t outer, depth, inner, tile_count;
    size_t element;
} one_hot;

/* Index `at` in [0, depth); -1: outside [-depth, depth - 1], where every element is off. */
static int64_t read_hot(const one_hot *p, const void *indices, int64_t at)
{
    double value = 0;
    int64_t index = 0;
    switch (p->dtype) {
    case HD_FLOAT32:
        value = (double)((const float *)indices)[at];
        break;
    case HD_FLOAT64:
        value = ((const double *)indices)[at];
        break;
    case HD_UINT64:
        value = (double)((const uint64_t *)indices)[at];
        break;
    case HD_INT64:
        index = ((const int64_t *)indices)[at];
        break;
    case HD_INT32:
        index = ((const int32_t *)indices)[at];
        break;
    case HD_UINT32:
        index = ((const uint32_t *)indices)[at];
        break;
    case HD_INT16:
        index = ((const int16_t *)indices)[at];
        break;
    case HD_UINT16:
        index = ((const uint16_t *)indices)[at];
        break;
    case HD_INT8:
        index = ((const int8_t *)indices)[at];
        break;
    default:
        index = ((const uint8_t *)indices)[at];
        break;
    }
    if (p->dtype == HD_FLOAT32 || p->dtype == HD_FLOAT64 || p->dtype == HD_UINT64) {
        if (!(value > -9e15 && value < 9e15)) {
            return -1;
        }
        index = (int64_t)value;
    }
    if (index < -p->depth || index >= p->depth) {
        return -1;
    }
    return index < 0 ? index + p->depth : index;
}

static void run_one_hot(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                        void *scratch)
{
    (void)scratch;
    const one_hot *p = parameters;
    int64_t outer = hd_cpu_tile_begin(p->outer, p->tile_count, begin);
    int64_t last = hd_cpu_tile_begin(p->outer, p->tile_count, end);
    const unsigned char *off = buffers[2], *on = off + p->element;
    for (; outer < last; outer++) {
        int64_t count = p->depth * p->inner;
        unsigned char *target = (unsigned char *)buffers[3] + (size_t)(outer * count) * p->element;
        for (int64_t i = 0; i < count && !hd_stop_ends(i); i++) {
            hd_cpu_block_copy(target + (size_t)i * p->element, off, p->element);
        }
        for (int64_t i = 0; i < p->inner && !hd_stop_ends(i); i++) {
            int64_t index = read_hot(p, buffers[0], outer * p->inner + i);
            if (index >= 0) {
                hd_cpu_block_copy(target + (size_t)(index * p->inner + i) * p->element, on,
                                  p->element);
            }
        }
    }
}

static hd_status compile_one_hot(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *shape = &operation->outputs[0].shape;
    int64_t axis = hd_operation_int(operation, "axis", -1);
    hd_axis_normalize(&axis, shape->rank);
    one_hot *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    p->dtype = operation->inputs[0].dtype;
    p->outer = hd_shape_count_range(shape, 0, (uint32_t)axis);
    p->depth = shape->dims[axis];
    p->inner = hd_shape_count_range(shape, (uint32_t)axis + 1, shape->rank);
    p->element = hd_dtype_size(operation->inputs[2].dtype);
    p->tile_count = hd_cpu_tile_count(p->outer, p->depth * p->inner);
    compilation->kernel.tile_count = p->tile_count;
    compilation->kernel.run = run_one_hot;
    return HD_OK;
}

const hd_cpu_operator hd_cpu_operators_indexing[] = {
    {HD_OP_GATHER, compile_gather},
    {HD_OP_GATHER_ELEMENTS, compile_gather_elements},
    {HD_OP_GATHER_ND, compile_gather_nd},
    {HD_OP_SCATTER, hd_cpu_compile_scatter_elements},
    {HD_OP_SCATTER_ELEMENTS, hd_cpu_compile_scatter_elements},
    {HD_OP_SCATTER_ND, hd_cpu_compile_scatter_nd},
    {HD_OP_ONE_HOT, compile_one_hot},
    {HD_OP_NON_ZERO, hd_cpu_compile_non_zero},
    {HD_OP_TOP_K, hd_cpu_compile_top_k},
    {HD_OP_UNIQUE, hd_cpu_compile_unique},
    {HD_OP_COMPRESS, hd_cpu_compile_compress},
    {HD_OP_TENSOR_SCATTER, hd_cpu_compile_tensor_scatter},
    {HD_OP_CUM_PROD, hd_cpu_compile_cum_sum},
    {HD_OP_CUM_SUM, hd_cpu_compile_cum_sum},
    {HD_OP_HEDDLE_INDEX_CHECK, hd_cpu_compile_index_check},
    {0},
};

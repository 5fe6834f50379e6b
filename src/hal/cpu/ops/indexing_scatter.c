#include <math.h>

#include "base/stop.h"
#include "hal/cpu/extremes.h"
#include "hal/cpu/ops/indexing.h"

/* Several updates of one element are applied in their order, so a tile owns a range of the output and
 * applies all updates that fall into it (BITS). */

/* Lets `count` updates meet as many elements; NULL: they replace them. */
typedef void combine(unsigned char *target, const unsigned char *update, int64_t count);

#define MAXIMUM      hd_cpu_maximum_float32
#define MINIMUM      hd_cpu_minimum_float32
#define TYPE         float
#define WIDE         float
#define NAME(suffix) combine_##suffix##_float32
#include "hal/cpu/ops/indexing_combine.inc"
#undef MAXIMUM
#undef MINIMUM
#define MAXIMUM      hd_cpu_maximum_float64
#define MINIMUM      hd_cpu_minimum_float64
#define TYPE         double
#define WIDE         double
#define NAME(suffix) combine_##suffix##_float64
#include "hal/cpu/ops/indexing_combine.inc"
#undef MAXIMUM
#undef MINIMUM
#define MAXIMUM(a, b) ((a) > (b) ? (a) : (b))
#define MINIMUM(a, b) ((a) < (b) ? (a) : (b))
#define TYPE          int8_t
#define WIDE          uint64_t
#define NAME(suffix)  combine_##suffix##_int8
#include "hal/cpu/ops/indexing_combine.inc"
#define TYPE         uint8_t
#define WIDE         uint64_t
#define NAME(suffix) combine_##suffix##_uint8
#include "hal/cpu/ops/indexing_combine.inc"
#define TYPE         int16_t
#define WIDE         uint64_t
#define NAME(suffix) combine_##suffix##_int16
#include "hal/cpu/ops/indexing_combine.inc"
#define TYPE         uint16_t
#define WIDE         uint64_t
#define NAME(suffix) combine_##suffix##_uint16
#include "hal/cpu/ops/indexing_combine.inc"
#define TYPE         int32_t
#define WIDE         uint64_t
#define NAME(suffix) combine_##suffix##_int32
#include "hal/cpu/ops/indexing_combine.inc"
#define TYPE         uint32_t
#define WIDE         uint64_t
#define NAME(suffix) combine_##suffix##_uint32
#include "hal/cpu/ops/indexing_combine.inc"
#define TYPE         int64_t
#define WIDE         uint64_t
#define NAME(suffix) combine_##suffix##_int64
#include "hal/cpu/ops/indexing_combine.inc"
#define TYPE         uint64_t
#define WIDE         uint64_t
#define NAME(suffix) combine_##suffix##_uint64
#include "hal/cpu/ops/indexing_combine.inc"

/* Bool is 0 or 1: its sum is "or", its product "and", as in NumPy. */
static combine *const combine_all_bool[] = {combine_maximum_uint8, combine_minimum_uint8,
                                            combine_maximum_uint8, combine_minimum_uint8};

static combine *const *combines_of(hd_dtype dtype)
{
    switch (dtype) {
    case HD_BOOL:
        return combine_all_bool;
    case HD_FLOAT32:
        return combine_all_float32;
    case HD_FLOAT64:
        return combine_all_float64;
    case HD_INT8:
        return combine_all_int8;
    case HD_UINT8:
        return combine_all_uint8;
    case HD_INT16:
        return combine_all_int16;
    case HD_UINT16:
        return combine_all_uint16;
    case HD_INT32:
        return combine_all_int32;
    case HD_UINT32:
        return combine_all_uint32;
    case HD_INT64:
        return combine_all_int64;
    case HD_UINT64:
        return combine_all_uint64;
    default:
        return NULL;
    }
}

static hd_status read_reduction(hd_cpu_compilation *compilation, combine **out_combine)
{
    static const char *const names[] = {"add", "mul", "max", "min"};
    const hd_operation *operation = compilation->operation;
    const char *reduction = hd_operation_string(operation, "reduction", "none");
    *out_combine = NULL;
    for (int i = 0; i < 4; i++) {
        if (strcmp(reduction, names[i]) != 0) {
            continue;
        }
        combine *const *all = combines_of(operation->inputs[0].dtype);
        if (all == NULL) {
            return hd_operation_fail(operation, compilation->error, HD_UNSUPPORTED,
                                     "reduction '%s' of %s", reduction,
                                     hd_dtype_name(operation->inputs[0].dtype));
        }
        *out_combine = all[i];
    }
    return HD_OK;
}

static void apply(combine *meet, unsigned char *target, const unsigned char *update, int64_t count,
                  size_t element)
{
    if (meet != NULL) {
        for (int64_t i = 0, next; (next = hd_stop_reach(i, count)) > i; i = next) {
            meet(target + (size_t)i * element, update + (size_t)i * element, next - i);
        }
    } else {
        hd_cpu_block_copy(target, update, (size_t)count * element);
    }
}

/* --- ScatterElements: tiles are ranges of one axis that is not the scattered one */

typedef struct scatter_elements {
    combine *meet;
    hd_shape indices;
    int64_t strides[HD_MAX_RANK]; /* of the data, in elements */
    uint32_t axis, cut;           /* the axis that tiles cut, unless there is only `axis` */
    int64_t dim, cut_dim, tile_count;
    int64_t outer, inner; /* data elements before and behind the cut axis */
    size_t element;
    bool wide;
} scatter_elements;

static void copy_range(const scatter_elements *p, const unsigned char *source,
                       unsigned char *target, int64_t from, int64_t to)
{
    if (source == target) {
        return;
    }
    size_t bytes = (size_t)((to - from) * p->inner) * p->element;
    for (int64_t i = 0; i < p->outer && bytes > 0 && !hd_stop_ends_every(i, 64); i++) {
        size_t offset = (size_t)((i * p->cut_dim + from) * p->inner) * p->element;
        hd_stop_copy(target + offset, source + offset, bytes);
    }
}

static void run_scatter_elements(const void *parameters, void *const *buffers, int64_t begin,
                                 int64_t end, void *scratch)
{
    (void)scratch;
    const scatter_elements *p = parameters;
    int64_t from = hd_cpu_tile_begin(p->cut_dim, p->tile_count, begin);
    int64_t to = hd_cpu_tile_begin(p->cut_dim, p->tile_count, end);
    copy_range(p, buffers[0], buffers[3], from, to);
    bool whole = p->cut == p->axis;
    int64_t index[HD_MAX_RANK] = {0}, count = hd_shape_count(&p->indices);
    for (int64_t at = 0; at < count && !hd_stop_ends(at); at++) {
        if (whole || (index[p->cut] >= from && index[p->cut] < to)) {
            int64_t place = 0;
            for (uint32_t i = 0; i < p->indices.rank; i++) {
                int64_t position =
                    i == p->axis ? hd_cpu_index_read(buffers[1], p->wide, at, p->dim) : index[i];
                place += position * p->strides[i];
            }
            apply(p->meet, (unsigned char *)buffers[3] + (size_t)place * p->element,
                  (const unsigned char *)buffers[2] + (size_t)at * p->element, 1, p->element);
        }
        for (uint32_t i = p->indices.rank; i-- > 0;) {
            if (++index[i] < p->indices.dims[i]) {
                break;
            }
            index[i] = 0;
        }
    }
}

hd_status hd_cpu_compile_scatter_elements(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *shape = &operation->inputs[0].shape;
    int64_t axis = hd_operation_int(operation, "axis", 0);
    hd_axis_normalize(&axis, shape->rank);
    scatter_elements *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    hd_status status = read_reduction(compilation, &p->meet);
    if (status != HD_OK) {
        return status;
    }
    p->axis = (uint32_t)axis;
    p->cut = axis == 0 && shape->rank > 1 ? 1 : 0;
    p->dim = shape->dims[axis];
    p->cut_dim = shape->dims[p->cut];
    p->outer = hd_shape_count_range(shape, 0, p->cut);
    p->inner = hd_shape_count_range(shape, p->cut + 1, shape->rank);
    p->indices = operation->inputs[1].shape;
    hd_shape_strides(shape, p->strides);
    p->element = hd_dtype_size(operation->inputs[0].dtype);
    p->wide = operation->inputs[1].dtype == HD_INT64;
    /* Each tile walks all indices, so there are few tiles: one where the only axis is scattered. */
    p->tile_count = p->cut == p->axis ? 1 : hd_cpu_tile_count(p->cut_dim, p->outer * p->inner);
    p->tile_count = p->tile_count > 8 ? 8 : p->tile_count;
    compilation->kernel.tile_count = p->tile_count;
    compilation->kernel.inplace_inputs = 1;
    compilation->kernel.run = run_scatter_elements;
    return HD_OK;
}

/* --- ScatterND: tiles are ranges of the slices' elements */

typedef struct scatter_nd {
    combine *meet;
    int64_t slices; /* of the data */
    int64_t block;  /* elements of a slice */
    int64_t updates, depth, tile_count;
    int64_t dims[HD_MAX_RANK], strides[HD_MAX_RANK]; /* strides in slices */
    size_t element;
} scatter_nd;

static void run_scatter_nd(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                           void *scratch)
{
    (void)scratch;
    const scatter_nd *p = parameters;
    int64_t from = hd_cpu_tile_begin(p->block, p->tile_count, begin);
    int64_t to = hd_cpu_tile_begin(p->block, p->tile_count, end);
    const unsigned char *source = buffers[0], *update = buffers[2];
    unsigned char *target = buffers[3];
    if (from >= to) {
        return;
    }
    if (source != target && to - from == p->block) {
        hd_stop_copy(target, source, (size_t)(p->slices * p->block) * p->element);
    } else if (source != target) {
        for (int64_t i = 0; i < p->slices && !hd_stop_ends_every(i, 64); i++) {
            size_t offset = (size_t)(i * p->block + from) * p->element;
            hd_stop_copy(target + offset, source + offset, (size_t)(to - from) * p->element);
        }
    }
    for (int64_t at = 0; at < p->updates && !hd_stop_ends_every(at, 64); at++) {
        int64_t slice = 0;
        for (int64_t i = 0; i < p->depth; i++) {
            slice +=
                hd_cpu_index_read(buffers[1], true, at * p->depth + i, p->dims[i]) * p->strides[i];
        }
        apply(p->meet, target + (size_t)(slice * p->block + from) * p->element,
              update + (size_t)(at * p->block + from) * p->element, to - from, p->element);
    }
}

hd_status hd_cpu_compile_scatter_nd(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *shape = &operation->inputs[0].shape, *indices = &operation->inputs[1].shape;
    scatter_nd *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    hd_status status = read_reduction(compilation, &p->meet);
    if (status != HD_OK) {
        return status;
    }
    p->depth = indices->dims[indices->rank - 1];
    p->updates = hd_shape_count_range(indices, 0, indices->rank - 1);
    p->slices = hd_shape_count_range(shape, 0, (uint32_t)p->depth);
    p->block = hd_shape_count_range(shape, (uint32_t)p->depth, shape->rank);
    p->updates = p->slices == 0 ? 0 : p->updates;
    int64_t stride = 1;
    for (int64_t i = p->depth; i-- > 0;) {
        p->dims[i] = shape->dims[i];
        p->strides[i] = stride;
        stride *= shape->dims[i];
    }
    p->element = hd_dtype_size(operation->inputs[0].dtype);
    /* Pieces of at least a cache line each, or the slices' rows would be copied in crumbs. */
    p->tile_count = hd_cpu_tile_count(p->block, p->slices + p->updates);
    int64_t most = p->block * (int64_t)p->element / 1024;
    p->tile_count = p->tile_count > most ? (most < 1 ? 1 : most) : p->tile_count;
    compilation->kernel.tile_count = p->tile_count;
    compilation->kernel.inplace_inputs = 1;
    compilation->kernel.run = run_scatter_nd;
    return HD_OK;
}

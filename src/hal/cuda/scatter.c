/* Operators that read and write places that indices name: GatherND, Scatter, ScatterElements, ScatterND, TensorScatter,
 * ReverseSequence. */
#include "hal/cuda/kernels/scatter.h"

#include <string.h>

#include "hal/cuda/movement.h"

/* Updates that are folded look at all behind them, so that there must not be too many. */
#define MOST_FOLDED 32768

/* Takes neighbours of a block as one wider element, up to 16 bytes; returns how many. */
static int64_t widen(int64_t *block, size_t *element)
{
    int64_t together = 1;
    for (; *element < 16 && *block % 2 == 0 && *block > 0; *element *= 2) {
        *block /= 2;
        together *= 2;
    }
    return together;
}

/* --- GatherND */

static hd_status compile_gather_nd(hd_cuda_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *shape = &operation->inputs[0].shape, *indices = &operation->inputs[1].shape;
    uint32_t batch = (uint32_t)hd_operation_int(operation, "batch_dims", 0);
    int64_t depth = indices->dims[indices->rank - 1], strides[HD_MAX_RANK];
    int64_t block = hd_shape_count_range(shape, batch + (uint32_t)depth, shape->rank);
    int64_t per_batch = hd_shape_count_range(indices, batch, indices->rank - 1);
    int64_t count = hd_shape_count(&operation->outputs[0].shape);
    size_t element = hd_dtype_size(operation->inputs[0].dtype);
    if (count == 0 || hd_shape_count(shape) == 0) {
        return HD_OK;
    }
    hd_shape_strides(shape, strides);
    int64_t together = widen(&block, &element);
    hd_cuda_gather_points p = {
        .count = (unsigned)(count / together),
        .block = hd_cuda_divisor_of((unsigned)block),
        .per_batch = hd_cuda_divisor_of((unsigned)per_batch),
        .batch_stride = (int)(hd_shape_count_range(shape, batch, shape->rank) / together),
        .depth = (int)depth};
    for (int64_t i = 0; i < depth; i++) {
        p.dims[i] = (int)shape->dims[batch + i];
        p.strides[i] = (int)(strides[batch + i] / together);
    }
    const hd_cuda_pointer pointers[] = {{0, offsetof(hd_cuda_gather_points, x), 0},
                                        {1, offsetof(hd_cuda_gather_points, indices), 0},
                                        {2, offsetof(hd_cuda_gather_points, y), 0}};
    return hd_cuda_add_threads(compilation, HD_CUDA_SCATTER_BLOCK,
                               hd_cuda_by_size(HD_CUDA_gather_points_1, element), p.count, &p,
                               sizeof p, pointers, 3);
}

/* --- Scatter, ScatterElements, ScatterND */

static const char *const reductions[] = {"add", "mul", "max", "min"};

enum { REDUCTION_COUNT = sizeof reductions / sizeof reductions[0] };

/* REDUCTION_COUNT: updates replace what is there. */
static size_t reduction_of(const hd_operation *operation)
{
    const char *name = hd_operation_string(operation, "reduction", "none");
    size_t kind = 0;
    while (kind < REDUCTION_COUNT && strcmp(name, reductions[kind]) != 0) {
        kind++;
    }
    return kind;
}

static int64_t update_count_of(const hd_operation *operation)
{
    const hd_shape *indices = &operation->inputs[1].shape;
    return operation->id == HD_OP_SCATTER_ND ? hd_shape_count_range(indices, 0, indices->rank - 1)
                                             : hd_shape_count(indices);
}

static bool supports_scatter(const hd_cuda_unit *unit, const hd_operation *operation)
{
    hd_dtype dtype = operation->inputs[0].dtype;
    return hd_cuda_can_move(unit, operation) &&
           (reduction_of(operation) == REDUCTION_COUNT ||
            ((dtype == HD_FLOAT32 || dtype == HD_INT32 || dtype == HD_INT64) &&
             update_count_of(operation) <= MOST_FOLDED));
}

static hd_status copy_data(hd_cuda_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    hd_cuda_box box = {.source = 0,
                       .target = (uint16_t)operation->input_count,
                       .rank = 1,
                       .dims = {hd_shape_count(&operation->inputs[0].shape)},
                       .source_strides = {1},
                       .target_strides = {1},
                       .element = hd_dtype_size(operation->inputs[0].dtype)};
    return hd_cuda_add_copy(compilation, &box);
}

/* How updates find their places, and how large a slice is. */
static hd_cuda_scatter_places places_of(const hd_operation *operation, int64_t *slice)
{
    const hd_shape *shape = &operation->inputs[0].shape, *indices = &operation->inputs[1].shape;
    int64_t strides[HD_MAX_RANK], axis = hd_operation_int(operation, "axis", 0);
    hd_cuda_scatter_places p = {.count = (unsigned)update_count_of(operation),
                                .is_wide = operation->inputs[1].dtype == HD_INT64,
                                .elects_first = reduction_of(operation) != REDUCTION_COUNT,
                                .is_of_points = operation->id == HD_OP_SCATTER_ND};
    hd_shape_strides(shape, strides);
    if (p.is_of_points) {
        p.rank = (int)indices->dims[indices->rank - 1];
        *slice = hd_shape_count_range(shape, (uint32_t)p.rank, shape->rank);
        for (int i = 0; i < p.rank; i++) {
            p.dims[i] = (int)shape->dims[i];
            p.strides[i] = *slice == 0 ? 0 : (int)(strides[i] / *slice);
        }
        return p;
    }
    hd_axis_normalize(&axis, shape->rank);
    *slice = 1;
    p.rank = (int)indices->rank;
    p.axis_stride = (int)strides[axis];
    p.dim = (int)shape->dims[axis];
    for (uint32_t i = 0; i < indices->rank; i++) {
        p.sizes[i] = hd_cuda_divisor_of((unsigned)indices->dims[i]);
        p.strides[i] = i == (uint32_t)axis ? 0 : (int)strides[i];
    }
    return p;
}

static hd_status compile_scatter(hd_cuda_compilation *compilation)
{
    static const hd_cuda_pointer clear_pointers[] = {
        {HD_CUDA_SCRATCH, offsetof(hd_cuda_scatter_clear, elected), 0}};
    const hd_operation *operation = compilation->operation;
    const hd_dtype dtype = operation->inputs[0].dtype;
    const size_t kind = reduction_of(operation);
    int64_t count = hd_shape_count(&operation->inputs[0].shape), slice;
    if (count == 0) {
        return HD_OK;
    }
    hd_cuda_scatter_places find = places_of(operation, &slice);
    hd_status status = copy_data(compilation);
    if (status != HD_OK || find.count == 0) {
        return status;
    }
    const size_t slices = (size_t)(count / slice), behind = slices * sizeof(int);
    compilation->kernel->scratch_size = behind + find.count * sizeof(int);
    const hd_cuda_scatter_clear clear = {.count = (unsigned)slices,
                                         .value = find.elects_first ? INT32_MAX : -1};
    status = hd_cuda_add_threads(compilation, HD_CUDA_SCATTER_BLOCK, HD_CUDA_scatter_clear,
                                 (int64_t)slices, &clear, sizeof clear, clear_pointers, 1);
    const hd_cuda_pointer find_pointers[] = {
        {1, offsetof(hd_cuda_scatter_places, indices), 0},
        {HD_CUDA_SCRATCH, offsetof(hd_cuda_scatter_places, places), behind},
        {HD_CUDA_SCRATCH, offsetof(hd_cuda_scatter_places, elected), 0}};
    if (status == HD_OK) {
        status = hd_cuda_add_threads(compilation, HD_CUDA_SCATTER_BLOCK, HD_CUDA_scatter_places,
                                     find.count, &find, sizeof find, find_pointers, 3);
    }
    size_t element = hd_dtype_size(dtype);
    if (kind == REDUCTION_COUNT) {
        (void)widen(&slice, &element);
    }
    const hd_cuda_scatter p = {.count = (unsigned)(find.count * slice),
                               .update_count = find.count,
                               .block = hd_cuda_divisor_of((unsigned)slice),
                               .kind = (int)kind};
    const hd_cuda_pointer pointers[] = {
        {2, offsetof(hd_cuda_scatter, updates), 0},
        {HD_CUDA_SCRATCH, offsetof(hd_cuda_scatter, places), behind},
        {HD_CUDA_SCRATCH, offsetof(hd_cuda_scatter, elected), 0},
        {3, offsetof(hd_cuda_scatter, y), 0}};
    const hd_cuda_function function = kind == REDUCTION_COUNT
                                          ? hd_cuda_by_size(HD_CUDA_scatter_1, element)
                                      : dtype == HD_FLOAT32 ? HD_CUDA_scatter_float32
                                      : dtype == HD_INT32   ? HD_CUDA_scatter_int32
                                                            : HD_CUDA_scatter_int64;
    return status == HD_OK ? hd_cuda_add_threads(compilation, HD_CUDA_SCATTER_BLOCK, function,
                                                 p.count, &p, sizeof p, pointers, 4)
                           : status;
}

/* --- TensorScatter */

static hd_status compile_cache(hd_cuda_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *cache = &operation->inputs[0].shape;
    int64_t axis = hd_operation_int(operation, "axis", -2), count = hd_shape_count(cache);
    hd_axis_normalize(&axis, cache->rank);
    int64_t inner = hd_shape_count_range(cache, (uint32_t)axis + 1, cache->rank);
    size_t element = hd_dtype_size(operation->inputs[0].dtype);
    if (count == 0) {
        return HD_OK;
    }
    count /= widen(&inner, &element);
    const hd_cuda_cache p = {
        .count = (unsigned)count,
        .inner = hd_cuda_divisor_of((unsigned)inner),
        .rows = hd_cuda_divisor_of((unsigned)cache->dims[axis]),
        .per_entry = hd_cuda_divisor_of((unsigned)hd_shape_count_range(cache, 1, (uint32_t)axis)),
        .fresh_rows = (int)operation->inputs[1].shape.dims[axis],
        .is_circular = strcmp(hd_operation_string(operation, "mode", "linear"), "circular") == 0};
    hd_cuda_pointer pointers[4] = {
        {0, offsetof(hd_cuda_cache, cache), 0},
        {1, offsetof(hd_cuda_cache, fresh), 0},
        {(uint16_t)operation->input_count, offsetof(hd_cuda_cache, y), 0}};
    size_t used = 3;
    if (hd_operation_has(operation, 2)) {
        pointers[used++] = (hd_cuda_pointer){2, offsetof(hd_cuda_cache, starts), 0};
    }
    return hd_cuda_add_threads(compilation, HD_CUDA_SCATTER_BLOCK,
                               hd_cuda_by_size(HD_CUDA_cache_update_1, element), count, &p,
                               sizeof p, pointers, used);
}

/* --- ReverseSequence */

static hd_status compile_reverse(hd_cuda_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *shape = &operation->inputs[0].shape;
    int64_t count = hd_shape_count(shape), block = hd_shape_count_range(shape, 2, shape->rank);
    size_t element = hd_dtype_size(operation->inputs[0].dtype);
    if (count == 0) {
        return HD_OK;
    }
    count /= widen(&block, &element);
    const hd_cuda_reverse p = {.count = (unsigned)count,
                               .block = hd_cuda_divisor_of((unsigned)block),
                               .second = hd_cuda_divisor_of((unsigned)shape->dims[1]),
                               .first = (int)shape->dims[0],
                               .is_time_first = hd_operation_int(operation, "time_axis", 0) == 0};
    const hd_cuda_pointer pointers[] = {{0, offsetof(hd_cuda_reverse, x), 0},
                                        {1, offsetof(hd_cuda_reverse, lengths), 0},
                                        {2, offsetof(hd_cuda_reverse, y), 0}};
    return hd_cuda_add_threads(compilation, HD_CUDA_SCATTER_BLOCK,
                               hd_cuda_by_size(HD_CUDA_reverse_1, element), count, &p, sizeof p,
                               pointers, 3);
}

hd_half_use hd_cuda_scatter_half_use(const hd_operation *operation)
{
    return reduction_of(operation) == REDUCTION_COUNT ? hd_cuda_move_half_use(operation)
                                                      : hd_cuda_no_half_use(operation);
}

const hd_cuda_operator hd_cuda_operators_scatter[] = {
    {HD_OP_GATHER_ND, hd_cuda_can_move, compile_gather_nd},
    {HD_OP_SCATTER, supports_scatter, compile_scatter},
    {HD_OP_SCATTER_ELEMENTS, supports_scatter, compile_scatter},
    {HD_OP_SCATTER_ND, supports_scatter, compile_scatter},
    {HD_OP_TENSOR_SCATTER, hd_cuda_can_move, compile_cache},
    {HD_OP_REVERSE_SEQUENCE, hd_cuda_can_move, compile_reverse},
    {HD_OP_NONE, NULL, NULL}};

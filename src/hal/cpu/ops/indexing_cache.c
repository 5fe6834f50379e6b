/* TensorScatter: rows of a cache are written, from a place of each entry on. */
#include "hal/cpu/ops/indexing.h"

typedef struct cache_update {
    int64_t outer, rows, fresh; /* axes before, of the cache, of the update */
    int64_t per_entry;          /* items of `outer` that an entry of the batch has */
    size_t row;                 /* bytes */
    int64_t tile_count;
    bool has_starts, is_circular;
    size_t output;
} cache_update;

/* Where the entry's first row goes. Inference and index checks hold it within the cache; what is outside all the same
 * counts as the nearest place (SAFE). */
static int64_t start_of(const cache_update *p, void *const *buffers, int64_t item)
{
    const int64_t start = p->has_starts ? ((const int64_t *)buffers[2])[item / p->per_entry] : 0;
    if (p->is_circular) {
        const int64_t rest = start % p->rows;
        return rest < 0 ? rest + p->rows : rest;
    }
    const int64_t most = p->rows - p->fresh;
    return start < 0 ? 0 : start < most ? start : most;
}

static void run_update(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                       void *scratch)
{
    (void)scratch;
    const cache_update *p = parameters;
    const size_t whole = (size_t)p->rows * p->row;
    const int64_t last = hd_cpu_tile_begin(p->outer, p->tile_count, end);
    for (int64_t item = hd_cpu_tile_begin(p->outer, p->tile_count, begin);
         item < last && p->rows > 0 && !hd_stop_ends_every(item, 16); item++) {
        unsigned char *target = (unsigned char *)buffers[p->output] + (size_t)item * whole;
        const unsigned char *source = (const unsigned char *)buffers[0] + (size_t)item * whole;
        if (source != target) {
            hd_stop_copy(target, source, whole);
        }
        const unsigned char *fresh =
            (const unsigned char *)buffers[1] + (size_t)(item * p->fresh) * p->row;
        const int64_t start = start_of(p, buffers, item);
        const int64_t straight = p->fresh < p->rows - start ? p->fresh : p->rows - start;
        if (straight > 0) {
            hd_stop_copy(target + (size_t)start * p->row, fresh, (size_t)straight * p->row);
        }
        if (p->fresh > straight) { /* around, to the cache's first rows */
            hd_stop_copy(target, fresh + (size_t)straight * p->row,
                         (size_t)(p->fresh - straight) * p->row);
        }
    }
}

hd_status hd_cpu_compile_tensor_scatter(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *cache = &operation->inputs[0].shape;
    int64_t axis = hd_operation_int(operation, "axis", -2);
    hd_axis_normalize(&axis, cache->rank);
    cache_update *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    const int64_t inner = hd_shape_count_range(cache, (uint32_t)axis + 1, cache->rank);
    p->outer = inner == 0 ? 0 : hd_shape_count_range(cache, 0, (uint32_t)axis);
    p->rows = cache->dims[axis];
    p->fresh = operation->inputs[1].shape.dims[axis];
    p->per_entry = hd_shape_count_range(cache, 1, (uint32_t)axis);
    p->row = (size_t)inner * hd_dtype_size(operation->inputs[0].dtype);
    p->has_starts = hd_operation_has(operation, 2);
    p->is_circular = strcmp(hd_operation_string(operation, "mode", "linear"), "circular") == 0;
    p->output = operation->input_count;
    p->tile_count = hd_cpu_tile_count(p->outer, p->rows * inner / 4 + 1);
    compilation->kernel.tile_count = p->tile_count;
    compilation->kernel.inplace_inputs = 1;
    compilation->kernel.run = run_update;
    return HD_OK;
}

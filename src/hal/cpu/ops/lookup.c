/* "heddle.Lookup": where elements are among sorted keys, by halving. */
#include "operation/lookup.h"

#include "base/stop.h"
#include "hal/cpu/ops/trees.h"

typedef struct lookup_parameters {
    hd_dtype dtype;
    int64_t count, key_count;
    int64_t tile_count;
} lookup_parameters;

static void run_lookup(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                       void *scratch)
{
    (void)scratch;
    const lookup_parameters *p = parameters;
    int64_t *found = buffers[2];
    const int64_t last = hd_cpu_tile_begin(p->count, p->tile_count, end);
    for (int64_t i = hd_cpu_tile_begin(p->count, p->tile_count, begin);
         i < last && !hd_stop_ends(i); i++) {
        const hd_lookup_key wanted = hd_lookup_key_at(p->dtype, buffers[0], i);
        int64_t low = 0, high = p->key_count;
        found[i] = p->key_count;
        while (low < high) {
            const int64_t middle = low + (high - low) / 2;
            const hd_lookup_key key = hd_lookup_key_at(p->dtype, buffers[1], middle);
            const int order = hd_lookup_compare(&wanted, &key);
            if (order == 0) {
                found[i] = middle;
                break;
            }
            if (order < 0) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
    }
}

hd_status hd_cpu_compile_lookup(hd_cpu_compilation *compilation)
{
    const hd_operand *inputs = compilation->operation->inputs;
    lookup_parameters *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    p->dtype = inputs[0].dtype;
    p->count = hd_shape_count(&inputs[0].shape);
    p->key_count = inputs[1].shape.dims[0];
    p->tile_count = hd_cpu_tile_count(p->count, 64);
    compilation->kernel.run = run_lookup;
    compilation->kernel.tile_count = p->tile_count;
    return HD_OK;
}

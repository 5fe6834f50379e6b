/* Narrow: elements of less than 8 bits as an hd_tensor packs them to one a byte. */
#include "operation/narrow.h"

#include "base/stop.h"
#include "hal/cpu/kernel.h"

#define EIGHT 8    /* elements whose bits are whole bytes */
#define RUN   4096 /* elements from one look at whether to end to the next */

typedef struct narrow {
    hd_dtype dtype;
    int64_t count;  /* elements */
    int64_t eights; /* of them, the last one perhaps not whole */
    int64_t tiles;
} narrow;

static void run_unpack(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                       void *scratch)
{
    (void)scratch;
    const narrow *n = parameters;
    const int64_t last = hd_cpu_tile_begin(n->eights, n->tiles, end) * EIGHT;
    const int64_t stop = last < n->count ? last : n->count;
    for (int64_t i = hd_cpu_tile_begin(n->eights, n->tiles, begin) * EIGHT;
         i < stop && hd_stop_asked() == HD_OK; i += RUN) {
        const int64_t count = stop - i < RUN ? stop - i : RUN;
        hd_narrow_unpack(n->dtype,
                         (const uint8_t *)buffers[0] + hd_narrow_packed_size(n->dtype, (size_t)i),
                         (size_t)count, (uint8_t *)buffers[1] + i);
    }
}

static hd_status compile_unpack(hd_cpu_compilation *compilation)
{
    narrow *n = hd_cpu_parameters(compilation, sizeof *n);
    if (n == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    n->dtype = compilation->operation->inputs[0].dtype;
    n->count = hd_shape_count(&compilation->operation->inputs[0].shape);
    n->eights = n->count / EIGHT + (n->count % EIGHT != 0);
    n->tiles = hd_cpu_tile_count(n->eights, 4 * EIGHT);
    compilation->kernel.tile_count = n->tiles;
    compilation->kernel.run = run_unpack;
    return HD_OK;
}

const hd_cpu_operator hd_cpu_operators_narrow[] = {
    {HD_OP_HEDDLE_UNPACK_NARROW, compile_unpack},
    {0},
};

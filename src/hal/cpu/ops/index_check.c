#include "base/stop.h"
#include "hal/cpu/ops/indexing.h"
#include "operation/fused.h"

typedef struct index_check {
    hd_fused_index_check bounds;
    int64_t count;
    bool wide;
} index_check;

static int64_t read_index(const index_check *p, const void *indices, int64_t at)
{
    return p->wide ? ((const int64_t *)indices)[at] : ((const int32_t *)indices)[at];
}

/* Index + dim, as an unsigned number, is below 2 dim exactly where the index is in bounds. */
static bool is_outside(int64_t index, int64_t dim)
{
    return (uint64_t)index + (uint64_t)dim >= 2 * (uint64_t)dim;
}

/* One bound for all: no branch on the indices, so that the compiler makes vectors of it. */
static bool any_outside(const index_check *p, const void *indices)
{
    int64_t dim = p->bounds.dims[0];
    bool outside = false;
    if (p->wide) {
        for (int64_t i = 0, next; (next = hd_stop_reach(i, p->count)) > i;) {
            for (; i < next; i++) {
                outside |= is_outside(((const int64_t *)indices)[i], dim);
            }
        }
    } else {
        for (int64_t i = 0, next; (next = hd_stop_reach(i, p->count)) > i;) {
            for (; i < next; i++) {
                outside |= is_outside(((const int32_t *)indices)[i], dim);
            }
        }
    }
    return outside;
}

static void run_index_check(const void *parameters, void *const *buffers, int64_t begin,
                            int64_t end, void *scratch)
{
    (void)begin;
    (void)end;
    (void)scratch;
    const index_check *p = parameters;
    int64_t *found = buffers[1];
    found[HD_INDEX_CHECK_OUTSIDE] = 0;
    if (p->bounds.depth == 1 && !any_outside(p, buffers[0])) {
        return;
    }
    for (int64_t i = 0; i < p->count && !hd_stop_ends(i); i++) {
        int64_t index = read_index(p, buffers[0], i), dim = p->bounds.dims[i % p->bounds.depth];
        if (is_outside(index, dim)) { /* the first one, whatever the thread (BITS) */
            found[HD_INDEX_CHECK_OUTSIDE] = 1;
            found[HD_INDEX_CHECK_INDEX] = index;
            found[HD_INDEX_CHECK_DIM] = dim;
            return;
        }
    }
}

hd_status hd_cpu_compile_index_check(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    index_check *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    p->bounds = *hd_fused_index_check_of(operation);
    p->count = hd_shape_count(&operation->inputs[0].shape);
    p->wide = operation->inputs[0].dtype == HD_INT64;
    compilation->kernel.run = run_index_check;
    return HD_OK;
}

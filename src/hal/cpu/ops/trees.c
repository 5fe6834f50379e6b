/* "heddle.Trees": forests of decision trees (operation/forest.h). Rows walk side by side through one tree at a time, whose
 * nodes the nearest cache keeps meanwhile; a row that is left over goes through several trees at a time. Each row's sums have the trees' order, so
 * neither the batch nor the number of threads changes a bit (BITS). */
#include <string.h>

#include "base/memory.h"
#include "base/stop.h"
#include "hal/cpu/kernel.h"
#include "hal/cpu/ops/trees.h"
#include "operation/forest.h"

#define SIDE_BY_SIDE 16 /* walks at a time: what hides the latency of a step */
#define SETTLE_STEPS                                                                               \
    4 /* after the nearest leaf, looks every so many steps whether all walks have ended */
#define PIECE 64 /* rows between the first tree and the last */
/* elements of sums in scratch memory, where there are many targets */
#define PIECE_SUMS 16384

typedef struct trees_parameters {
    int64_t rows, columns;
    int64_t tile_count;
    int64_t piece;    /* rows at a time */
    hd_dtype dtype;   /* of the input */
    size_t sums_size; /* bytes of scratch memory; integers' rows become float32 behind them */
    bool is_double;   /* the output is float64 */
} trees_parameters;

static bool is_member(const hd_forest *forest, uint32_t list, double x)
{
    const uint32_t *begins = hd_forest_section(forest, forest->lists);
    const double *members = hd_forest_section(forest, forest->members);
    for (uint32_t i = begins[list]; i < begins[list + 1]; i++) {
        if (members[i] == x) {
            return true;
        }
    }
    return false;
}

#define HD_X     float
#define HD_T     float
#define HD_WIDE  float
#define HD_NODE  hd_forest_node_float
#define HD_TREES float_float
#include "hal/cpu/ops/trees_template.h"

#define HD_X     float
#define HD_T     double
#define HD_WIDE  double
#define HD_NODE  hd_forest_node_double
#define HD_TREES float_double
#include "hal/cpu/ops/trees_template.h"

#define HD_X     double
#define HD_T     float
#define HD_WIDE  double
#define HD_NODE  hd_forest_node_float
#define HD_TREES double_float
#include "hal/cpu/ops/trees_template.h"

#define HD_X     double
#define HD_T     double
#define HD_WIDE  double
#define HD_NODE  hd_forest_node_double
#define HD_TREES double_double
#include "hal/cpu/ops/trees_template.h"

/* Whole numbers as float32, which other runtimes compare, too. */
static void run_integers(const trees_parameters *p, void *const *buffers, const hd_forest *forest,
                         int64_t first, int64_t last, unsigned char *scratch)
{
    float *rows = (float *)(scratch + p->sums_size);
    const size_t element = p->is_double ? sizeof(double) : sizeof(float);
    for (int64_t r = first; r < last && hd_stop_asked() == HD_OK; r += p->piece) {
        const int64_t count = last - r < p->piece ? last - r : p->piece;
        for (int64_t i = 0; i < count * p->columns; i++) {
            const int64_t at = r * p->columns + i;
            rows[i] = p->dtype == HD_INT64 ? (float)((const int64_t *)buffers[0])[at]
                                           : (float)((const int32_t *)buffers[0])[at];
        }
        void *output = (unsigned char *)buffers[2] + (size_t)(r * forest->target_count) * element;
        if (forest->is_double) {
            run_float_double(p, rows, forest, output, 0, count, scratch);
        } else {
            run_float_float(p, rows, forest, output, 0, count, scratch);
        }
    }
}

static void run_trees(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                      void *scratch)
{
    const trees_parameters *p = parameters;
    const hd_forest *forest = buffers[1];
    const int64_t first = hd_cpu_tile_begin(p->rows, p->tile_count, begin);
    const int64_t last = hd_cpu_tile_begin(p->rows, p->tile_count, end);
    if (p->dtype == HD_FLOAT64 && forest->is_double) {
        run_double_double(p, buffers[0], forest, buffers[2], first, last, scratch);
    } else if (p->dtype == HD_FLOAT64) {
        run_double_float(p, buffers[0], forest, buffers[2], first, last, scratch);
    } else if (p->dtype != HD_FLOAT32) {
        run_integers(p, buffers, forest, first, last, scratch);
    } else if (forest->is_double) {
        run_float_double(p, buffers[0], forest, buffers[2], first, last, scratch);
    } else {
        run_float_float(p, buffers[0], forest, buffers[2], first, last, scratch);
    }
}

static hd_status compile_trees(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *shape = &operation->inputs[0].shape;
    const hd_forest *forest = operation->inputs[1].data;
    trees_parameters *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    const int64_t targets = forest->target_count;
    p->columns = shape->dims[shape->rank - 1];
    p->rows = shape->rank == 1 ? 1 : shape->dims[0];
    p->dtype = operation->inputs[0].dtype;
    p->is_double = operation->outputs[0].dtype == HD_FLOAT64;
    p->piece = targets > PIECE_SUMS / PIECE ? PIECE_SUMS / targets : PIECE;
    p->piece = p->piece < 1 ? 1 : p->piece;
    const int64_t pieces = (p->rows + p->piece - 1) / p->piece;
    p->tile_count = hd_cpu_tile_count(
        pieces, hd_multiply_bounded(p->piece * 8, (int64_t)forest->tree_count + targets));
    /* Tiles are of whole pieces where they can be: a row's bits do not depend on it. */
    compilation->kernel.run = run_trees;
    compilation->kernel.tile_count = p->tile_count;
    p->sums_size = hd_align_up((size_t)(p->piece * targets) * (sizeof(double) + sizeof(uint8_t)),
                               HD_CACHE_LINE);
    const bool is_integer = p->dtype == HD_INT32 || p->dtype == HD_INT64;
    compilation->kernel.scratch_size =
        p->sums_size + (is_integer ? (size_t)(p->piece * p->columns) * sizeof(float) : 0);
    return HD_OK;
}

const hd_cpu_operator hd_cpu_operators_trees[] = {
    {HD_OP_HEDDLE_LOOKUP, hd_cpu_compile_lookup},
    {HD_OP_HEDDLE_SCORES, hd_cpu_compile_scores},
    {HD_OP_HEDDLE_VOTES, hd_cpu_compile_votes},
    {HD_OP_HEDDLE_TREES, compile_trees},
    {0},
};

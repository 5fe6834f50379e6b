/* Reduce: ReduceSum and its kin: float32 by vectors, other dtypes from reduce_template.h. */
#include <math.h>
#include <sleef.h>

#include "base/stop.h"
#include "hal/cpu/ops/reduction.h"
#include "hal/cpu/ops/rows.h"
#include "operation/axes.h"

#define CHUNK       256 /* results that one piece of a position computes, when rows are long */
#define ROWS_A_LOOK 64  /* of so many results; longer rows have looks of their own */

void hd_cpu_reduce_walk_init(hd_cpu_reduce_walk *walk, const hd_shape *shape,
                             const bool reduced[HD_MAX_RANK])
{
    *walk = (hd_cpu_reduce_walk){.outer = 1, .rows = 1, .width = 1, .fold_width = true};
    /* Neighbours that are both kept or both folded become one dimension; dimensions of 1 vanish. */
    int64_t dims[HD_MAX_RANK] = {0};
    bool fold[HD_MAX_RANK] = {false};
    uint32_t rank = 0;
    for (uint32_t i = 0; i < shape->rank; i++) {
        if (shape->dims[i] == 1) {
            continue;
        }
        if (rank > 0 && fold[rank - 1] == reduced[i]) {
            dims[rank - 1] *= shape->dims[i];
        } else {
            dims[rank] = shape->dims[i];
            fold[rank++] = reduced[i];
        }
    }
    if (rank == 0) {
        return;
    }
    walk->width = dims[rank - 1];
    walk->fold_width = fold[rank - 1];
    int64_t stride = walk->width;
    int64_t strides[HD_MAX_RANK];
    for (uint32_t i = rank - 1; i-- > 0;) {
        strides[i] = stride;
        stride *= dims[i];
    }
    for (uint32_t i = 0; i + 1 < rank; i++) {
        if (fold[i]) {
            walk->rows *= dims[i];
            walk->row_dims[walk->row_rank] = dims[i];
            walk->row_strides[walk->row_rank++] = strides[i];
        } else {
            walk->outer *= dims[i];
            walk->outer_dims[walk->outer_rank] = dims[i];
            walk->outer_strides[walk->outer_rank++] = strides[i];
        }
    }
    if (hd_shape_count(shape) == 0) { /* however many rows of nothing, or none that are wide */
        walk->rows = 0;
        walk->width = walk->fold_width ? 0 : walk->width;
    }
}

int64_t hd_cpu_reduce_offset(uint32_t rank, const int64_t *dims, const int64_t *strides,
                             int64_t index)
{
    if (rank == 1) {
        return index * strides[0];
    }
    int64_t offset = 0;
    for (uint32_t i = rank; i-- > 0;) {
        offset += index % dims[i] * strides[i];
        index /= dims[i];
    }
    return offset;
}

static hd_cpu_fold fold_of(hd_cpu_reduce_kind kind)
{
    static const hd_cpu_fold folds[] = {
        [HD_REDUCE_SUM] = HD_FOLD_SUM,         [HD_REDUCE_MEAN] = HD_FOLD_SUM,
        [HD_REDUCE_MAX] = HD_FOLD_MAX,         [HD_REDUCE_MIN] = HD_FOLD_MIN,
        [HD_REDUCE_PROD] = HD_FOLD_PRODUCT,    [HD_REDUCE_L1] = HD_FOLD_ABSOLUTE,
        [HD_REDUCE_L2] = HD_FOLD_SQUARES,      [HD_REDUCE_LOG_SUM] = HD_FOLD_SUM,
        [HD_REDUCE_LOG_SUM_EXP] = HD_FOLD_MAX, [HD_REDUCE_SUM_SQUARE] = HD_FOLD_SQUARES,
    };
    return folds[kind];
}

/* The fold that joins the folds of two rows. */
static hd_cpu_fold join_of(hd_cpu_fold fold)
{
    return fold == HD_FOLD_SQUARES || fold == HD_FOLD_ABSOLUTE ? HD_FOLD_SUM : fold;
}

static const float *row_at(const hd_cpu_reduce_walk *walk, const float *x, int64_t row)
{
    return x + hd_cpu_reduce_offset(walk->row_rank, walk->row_dims, walk->row_strides, row);
}

/* Infinite maxima would give the difference of infinities. */
static float finite_or_zero(float value)
{
    return isfinite(value) ? value : 0.0f;
}

static float fold_position(const hd_cpu_reduce_parameters *p, const hd_cpu_rows *rows,
                           const float *x)
{
    const hd_cpu_reduce_walk *walk = &p->walk;
    hd_cpu_fold fold = fold_of(p->kind), join = join_of(fold);
    float result = walk->rows > 0 ? rows->fold[fold](x, walk->width) : hd_cpu_fold_neutral(fold);
    for (int64_t r = 1; r < walk->rows && !hd_stop_ends_every(r, ROWS_A_LOOK); r++) {
        float next = rows->fold[fold](row_at(walk, x, r), walk->width);
        rows->fold_into[join](&result, &next, 1);
    }
    if (p->kind == HD_REDUCE_LOG_SUM_EXP) {
        float shift = finite_or_zero(result);
        float sum = 0.0f;
        for (int64_t r = 0; r < walk->rows && !hd_stop_ends_every(r, ROWS_A_LOOK); r++) {
            sum += rows->sum_exp(row_at(walk, x, r), walk->width, shift);
        }
        return Sleef_logf_u10(sum) + shift;
    }
    return result;
}

static void fold_columns(const hd_cpu_reduce_parameters *p, const hd_cpu_rows *rows, const float *x,
                         float *y, int64_t count, float *sum)
{
    const hd_cpu_reduce_walk *walk = &p->walk;
    hd_cpu_fold fold = fold_of(p->kind);
    for (int64_t i = 0; i < count; i++) {
        y[i] = hd_cpu_fold_neutral(fold);
    }
    for (int64_t r = 0; r < walk->rows && !hd_stop_ends_every(r, ROWS_A_LOOK); r++) {
        rows->fold_into[fold](y, row_at(walk, x, r), count);
    }
    if (p->kind == HD_REDUCE_LOG_SUM_EXP) {
        for (int64_t i = 0; i < count; i++) {
            sum[i] = 0.0f;
            y[i] = finite_or_zero(y[i]);
        }
        for (int64_t r = 0; r < walk->rows && !hd_stop_ends_every(r, ROWS_A_LOOK); r++) {
            rows->sum_exp_into(sum, row_at(walk, x, r), y, count);
        }
        for (int64_t i = 0; i < count; i++) {
            y[i] = Sleef_logf_u10(sum[i]) + y[i];
        }
    }
}

static void finish(const hd_cpu_reduce_parameters *p, float *y, int64_t count)
{
    int64_t folded = p->walk.rows * (p->walk.fold_width ? p->walk.width : 1);
    for (int64_t i = 0; i < count; i++) {
        switch (p->kind) {
        case HD_REDUCE_MEAN:
            y[i] /= (float)folded;
            break;
        case HD_REDUCE_L2:
            y[i] = sqrtf(y[i]);
            break;
        case HD_REDUCE_LOG_SUM:
            y[i] = Sleef_logf_u10(y[i]);
            break;
        default:
            return;
        }
    }
}

static void run_float(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                      void *scratch)
{
    const hd_cpu_reduce_parameters *p = parameters;
    const hd_cpu_reduce_walk *walk = &p->walk;
    const hd_cpu_rows *rows = hd_cpu_rows_get();
    const float *x = buffers[0];
    float *out = buffers[p->output];
    int64_t items = walk->outer * p->chunks;
    int64_t first = hd_cpu_tile_begin(items, p->tiles, begin);
    int64_t last = hd_cpu_tile_begin(items, p->tiles, end);
    for (int64_t item = first; item < last; item++) {
        int64_t position = item / p->chunks, piece = item % p->chunks;
        const float *from = x + hd_cpu_reduce_offset(walk->outer_rank, walk->outer_dims,
                                                     walk->outer_strides, position);
        if (walk->fold_width) {
            out[position] = fold_position(p, rows, from);
            finish(p, out + position, 1);
        } else {
            int64_t at = piece * p->chunk;
            int64_t count = walk->width - at < p->chunk ? walk->width - at : p->chunk;
            float *to = out + position * walk->width + at;
            fold_columns(p, rows, from + at, to, count, scratch);
            finish(p, to, count);
        }
    }
}

static bool kind_of(hd_operator_id id, hd_cpu_reduce_kind *out_kind)
{
    static const hd_operator_id ids[] = {
        HD_OP_REDUCE_SUM,         HD_OP_REDUCE_MEAN,      HD_OP_REDUCE_MAX, HD_OP_REDUCE_MIN,
        HD_OP_REDUCE_PROD,        HD_OP_REDUCE_L1,        HD_OP_REDUCE_L2,  HD_OP_REDUCE_LOG_SUM,
        HD_OP_REDUCE_LOG_SUM_EXP, HD_OP_REDUCE_SUM_SQUARE};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        if (ids[i] == id) {
            *out_kind = (hd_cpu_reduce_kind)i;
            return true;
        }
    }
    return false;
}

hd_status hd_cpu_reduce_compile(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_operand *x = &operation->inputs[0];
    hd_kernel_run *run = x->dtype == HD_FLOAT32 ? run_float : hd_cpu_reduce_run_of(x->dtype);
    hd_cpu_reduce_kind kind;
    if (run == NULL || !kind_of(operation->id, &kind)) {
        return hd_operation_fail(operation, compilation->error, HD_UNSUPPORTED,
                                 "there is no kernel for %s", hd_dtype_name(x->dtype));
    }
    bool reduced[HD_MAX_RANK];
    if (hd_axes_reduced(operation, 1, x->shape.rank, reduced, compilation->error) != HD_AXES_DONE) {
        return hd_operation_fail(operation, compilation->error, HD_UNSUPPORTED,
                                 "its axes are not constant");
    }
    hd_cpu_reduce_parameters *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    hd_cpu_reduce_walk_init(&p->walk, &x->shape, reduced);
    p->kind = kind;
    p->output = operation->input_count;
    p->chunk = p->walk.fold_width ? 1 : CHUNK;
    p->chunks = p->walk.fold_width ? 1 : (p->walk.width + CHUNK - 1) / CHUNK;
    int64_t work = p->walk.rows * (p->walk.fold_width ? p->walk.width : CHUNK);
    p->tiles = hd_cpu_tile_count(p->walk.outer * p->chunks, work);
    compilation->kernel.run = run;
    compilation->kernel.tile_count = p->tiles;
    compilation->kernel.scratch_size = CHUNK * sizeof(double);
    return HD_OK;
}

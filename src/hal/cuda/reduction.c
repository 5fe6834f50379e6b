/* Reductions over any axes, ArgMax and ArgMin, softmax along other axes than the last and its like, pooling over whole images. */
#include "hal/cuda/kernels/reduction.h"

#include "hal/cuda/step.h"
#include "operation/axes.h"

/* Elements a result, up to which 32 and 256 threads fold it (8 where results are columns). */
#define FEW_FOLDED  512
#define SOME_FOLDED 8192
#define FEW_ROWS    256

/* Neighbours that are both kept or both folded become one dimension; dimensions of 1 vanish. False: nothing is folded, or more than
 * the kernels count. */
static bool make_fold(const hd_shape *shape, const bool folds[HD_MAX_RANK], hd_cuda_fold *fold)
{
    int64_t count = hd_shape_count(shape), stride = count, folded = 1;
    *fold = (hd_cuda_fold){.by_columns = 0};
    if (count == 0 || count > INT32_MAX) {
        return false;
    }
    bool last_folds = true;
    for (uint32_t i = 0; i < shape->rank; i++) {
        int64_t dim = shape->dims[i];
        stride /= dim;
        if (dim == 1) {
            continue;
        }
        int *rank = folds[i] ? &fold->fold_rank : &fold->kept_rank;
        hd_cuda_divisor *dims = folds[i] ? fold->fold_dims : fold->kept_dims;
        int *strides = folds[i] ? fold->fold_strides : fold->kept_strides;
        if (*rank > 0 && strides[*rank - 1] == (int)(stride * dim)) {
            dims[*rank - 1] = hd_cuda_divisor_of(dims[*rank - 1].by * (unsigned)dim);
        } else {
            dims[(*rank)++] = hd_cuda_divisor_of((unsigned)dim);
        }
        strides[*rank - 1] = (int)stride;
        folded *= folds[i] ? dim : 1;
        last_folds = folds[i];
    }
    if (fold->fold_rank == 0) {
        fold->fold_rank = 1;
        fold->fold_dims[0] = hd_cuda_divisor_of(1);
    }
    fold->folded = (unsigned)folded;
    fold->results = (unsigned)(count / folded);
    fold->by_columns = !last_folds;
    if (fold->by_columns) {
        fold->lanes = folded <= FEW_ROWS ? 8 : 32;
    } else {
        fold->lanes = folded <= FEW_FOLDED ? 32 : folded <= SOME_FOLDED ? 256 : 1024;
    }
    return true;
}

static hd_status launch(hd_cuda_compilation *compilation, hd_cuda_function function,
                        const hd_cuda_fold *fold, const void *parameters, size_t size,
                        size_t y_offset)
{
    uint32_t block = fold->by_columns     ? (uint32_t)fold->lanes * HD_CUDA_REDUCE_COLUMNS
                     : fold->lanes <= 256 ? 256
                                          : 1024;
    uint32_t together = block / (uint32_t)fold->lanes;
    const uint32_t grid[3] = {(uint32_t)hd_cuda_blocks(fold->results, together), 1, 1};
    const hd_cuda_pointer pointers[] = {
        {0, 0, 0}, {(uint16_t)compilation->operation->input_count, (uint16_t)y_offset, 0}};
    return hd_cuda_add_launch(compilation, function, grid, block, parameters, size, pointers, 2) ==
                   NULL
               ? hd_cuda_out_of_memory(compilation)
               : HD_OK;
}

/* The kernel for a type of a row of three; false: there is none. */
static bool find_function(hd_dtype dtype, hd_cuda_function of_float32, hd_cuda_function of_int32,
                          hd_cuda_function of_int64, hd_cuda_function *out_function)
{
    *out_function = dtype == HD_FLOAT32 ? of_float32 : dtype == HD_INT32 ? of_int32 : of_int64;
    return dtype == HD_FLOAT32 || dtype == HD_INT32 || dtype == HD_INT64;
}

/* --- Reduce… */

static int kind_of(const hd_operation *operation)
{
    int64_t power;
    switch (operation->id) {
    case HD_OP_REDUCE_SUM:
        return HD_CUDA_REDUCE_SUM;
    case HD_OP_REDUCE_MAX:
    case HD_OP_GLOBAL_MAX_POOL:
        return HD_CUDA_REDUCE_MAX;
    case HD_OP_REDUCE_MIN:
        return HD_CUDA_REDUCE_MIN;
    case HD_OP_REDUCE_PROD:
        return HD_CUDA_REDUCE_PROD;
    case HD_OP_REDUCE_L1:
        return HD_CUDA_REDUCE_L1;
    case HD_OP_REDUCE_L2:
        return HD_CUDA_REDUCE_L2;
    case HD_OP_REDUCE_LOG_SUM:
        return HD_CUDA_REDUCE_LOG_SUM;
    case HD_OP_REDUCE_LOG_SUM_EXP:
        return HD_CUDA_REDUCE_LOG_SUM_EXP;
    case HD_OP_REDUCE_SUM_SQUARE:
        return HD_CUDA_REDUCE_SUM_SQUARE;
    case HD_OP_GLOBAL_LP_POOL:
        power = hd_operation_int(operation, "p", 2);
        return power == 1 ? HD_CUDA_REDUCE_L1 : power == 2 ? HD_CUDA_REDUCE_L2 : HD_CUDA_REDUCE_LP;
    default:
        return HD_CUDA_REDUCE_MEAN;
    }
}

/* What of an operation's input is folded. */
static bool read_axes(const hd_operation *operation, bool folds[HD_MAX_RANK])
{
    const uint32_t rank = operation->inputs[0].shape.rank;
    switch (operation->id) {
    case HD_OP_GLOBAL_AVERAGE_POOL:
    case HD_OP_GLOBAL_LP_POOL:
    case HD_OP_GLOBAL_MAX_POOL:
        for (uint32_t i = 0; i < rank; i++) {
            folds[i] = i >= 2;
        }
        return true;
    case HD_OP_HEDDLE_GLOBAL_AVERAGE_POOL:
        for (uint32_t i = 0; i < rank; i++) {
            folds[i] = i > 0 && i + 1 < rank;
        }
        return true;
    default:
        return hd_axes_reduced(operation, 1, rank, folds, NULL) == HD_AXES_DONE;
    }
}

static bool make_reduce(const hd_operation *operation, hd_cuda_reduce *p,
                        hd_cuda_function *function)
{
    bool folds[HD_MAX_RANK] = {false};
    const hd_operand *x = &operation->inputs[0];
    *p = (hd_cuda_reduce){.kind = kind_of(operation),
                          .power = (float)hd_operation_int(operation, "p", 2)};
    bool is_of_floats = p->kind == HD_CUDA_REDUCE_L2 || p->kind == HD_CUDA_REDUCE_LOG_SUM ||
                        p->kind == HD_CUDA_REDUCE_LOG_SUM_EXP || p->kind == HD_CUDA_REDUCE_LP;
    return find_function(x->dtype, HD_CUDA_reduce_float32, HD_CUDA_reduce_int32,
                         HD_CUDA_reduce_int64, function) &&
           (x->dtype == HD_FLOAT32 || !is_of_floats) && read_axes(operation, folds) &&
           make_fold(&x->shape, folds, &p->fold);
}

static bool supports_reduce(const hd_cuda_unit *unit, const hd_operation *operation)
{
    (void)unit;
    hd_cuda_reduce p;
    hd_cuda_function function;
    return make_reduce(operation, &p, &function);
}

static hd_status compile_reduce(hd_cuda_compilation *compilation)
{
    hd_cuda_reduce p;
    hd_cuda_function function;
    return !make_reduce(compilation->operation, &p, &function)
               ? HD_INTERNAL
               : launch(compilation, function, &p.fold, &p, sizeof p, offsetof(hd_cuda_reduce, y));
}

/* --- along one axis: ArgMax, ArgMin, softmax */

/* A tensor of three dimensions whose middle one is folded. */
static bool make_axis_fold(const hd_axis_split *split, hd_cuda_fold *fold)
{
    const hd_shape shape = {.rank = 3, .dims = {split->outer, split->size, split->inner}};
    const bool folds[HD_MAX_RANK] = {false, true, false};
    return make_fold(&shape, folds, fold);
}

static bool make_arg(const hd_operation *operation, hd_cuda_arg *p, hd_cuda_function *function)
{
    const hd_operand *x = &operation->inputs[0];
    int64_t axis = hd_operation_int(operation, "axis", 0);
    *p = (hd_cuda_arg){.is_smallest = operation->id == HD_OP_ARG_MIN,
                       .is_last = hd_operation_int(operation, "select_last_index", 0) != 0};
    if (!hd_axis_normalize(&axis, x->shape.rank)) {
        return false;
    }
    const hd_axis_split split = {
        hd_shape_count_range(&x->shape, 0, (uint32_t)axis), x->shape.dims[axis],
        hd_shape_count_range(&x->shape, (uint32_t)axis + 1, x->shape.rank)};
    return find_function(x->dtype, HD_CUDA_arg_float32, HD_CUDA_arg_int32, HD_CUDA_arg_int64,
                         function) &&
           make_axis_fold(&split, &p->fold);
}

static bool supports_arg(const hd_cuda_unit *unit, const hd_operation *operation)
{
    (void)unit;
    hd_cuda_arg p;
    hd_cuda_function function;
    return make_arg(operation, &p, &function);
}

static hd_status compile_arg(hd_cuda_compilation *compilation)
{
    hd_cuda_arg p;
    hd_cuda_function function;
    return !make_arg(compilation->operation, &p, &function)
               ? HD_INTERNAL
               : launch(compilation, function, &p.fold, &p, sizeof p, offsetof(hd_cuda_arg, y));
}

static bool make_softmax(const hd_operation *operation, hd_cuda_softmax *p)
{
    hd_axis_split split;
    *p = (hd_cuda_softmax){.is_log = operation->id == HD_OP_LOG_SOFTMAX};
    /* The rows of the last axis have kernels of their own (rows.c). */
    return operation->inputs[0].dtype == HD_FLOAT32 && hd_axis_split_softmax(operation, &split) &&
           split.inner > 1 && make_axis_fold(&split, &p->fold);
}

static bool supports_softmax(const hd_cuda_unit *unit, const hd_operation *operation)
{
    (void)unit;
    hd_cuda_softmax p;
    return make_softmax(operation, &p);
}

static hd_status compile_softmax(hd_cuda_compilation *compilation)
{
    hd_cuda_softmax p;
    return !make_softmax(compilation->operation, &p)
               ? HD_INTERNAL
               : launch(compilation, HD_CUDA_softmax_any_axis, &p.fold, &p, sizeof p,
                        offsetof(hd_cuda_softmax, y));
}

/* --- Hardmax, LpNormalization, MeanVarianceNormalization */

/* What MeanVarianceNormalization folds. */
static void read_moments(const hd_operation *operation, bool folds[HD_MAX_RANK])
{
    size_t count;
    const int64_t *axes = hd_operation_ints(operation, "axes", &count);
    const uint32_t rank = operation->inputs[0].shape.rank;
    for (uint32_t i = 0; i < rank; i++) {
        folds[i] = axes == NULL && i != 1 && i < 4;
    }
    for (size_t i = 0; axes != NULL && i < count; i++) {
        int64_t axis = axes[i];
        hd_axis_normalize(&axis, rank);
        folds[axis] = true;
    }
}

static bool make_normalize(const hd_operation *operation, hd_cuda_normalize *p)
{
    const hd_shape *shape = &operation->inputs[0].shape;
    hd_axis_split split;
    bool folds[HD_MAX_RANK] = {false};
    *p = (hd_cuda_normalize){.kind = HD_CUDA_HARDMAX};
    if (operation->inputs[0].dtype != HD_FLOAT32) {
        return false;
    }
    if (operation->id == HD_OP_HARDMAX) {
        return hd_axis_split_softmax(operation, &split) && make_axis_fold(&split, &p->fold);
    }
    if (operation->id == HD_OP_MEAN_VARIANCE_NORMALIZATION) {
        p->kind = HD_CUDA_MEAN_VARIANCE;
        read_moments(operation, folds);
        return make_fold(shape, folds, &p->fold);
    }
    int64_t axis = hd_operation_int(operation, "axis", -1);
    p->kind = hd_operation_int(operation, "p", 2) == 2 ? HD_CUDA_NORM_L2 : HD_CUDA_NORM_L1;
    if (!hd_axis_normalize(&axis, shape->rank)) {
        return false;
    }
    folds[axis] = true;
    return make_fold(shape, folds, &p->fold);
}

static bool supports_normalize(const hd_cuda_unit *unit, const hd_operation *operation)
{
    (void)unit;
    hd_cuda_normalize p;
    return make_normalize(operation, &p);
}

static hd_status compile_normalize(hd_cuda_compilation *compilation)
{
    hd_cuda_normalize p;
    return !make_normalize(compilation->operation, &p)
               ? HD_INTERNAL
               : launch(compilation,
                        p.kind == HD_CUDA_HARDMAX ? HD_CUDA_hardmax : HD_CUDA_normalize, &p.fold,
                        &p, sizeof p, offsetof(hd_cuda_normalize, y));
}

#define ROW(id) {HD_OP_##id, supports_reduce, compile_reduce},
const hd_cuda_operator hd_cuda_operators_reduction[] = {
    ROW(REDUCE_L1) ROW(REDUCE_L2) ROW(REDUCE_LOG_SUM) ROW(REDUCE_LOG_SUM_EXP) ROW(REDUCE_MAX)
        ROW(REDUCE_MEAN) ROW(REDUCE_MIN) ROW(REDUCE_PROD) ROW(REDUCE_SUM) ROW(REDUCE_SUM_SQUARE)
            ROW(GLOBAL_AVERAGE_POOL) ROW(GLOBAL_LP_POOL) ROW(GLOBAL_MAX_POOL)
                ROW(HEDDLE_GLOBAL_AVERAGE_POOL){HD_OP_ARG_MAX, supports_arg, compile_arg},
    {HD_OP_ARG_MIN, supports_arg, compile_arg},
    {HD_OP_SOFTMAX, supports_softmax, compile_softmax},
    {HD_OP_LOG_SOFTMAX, supports_softmax, compile_softmax},
    {HD_OP_HARDMAX, supports_normalize, compile_normalize},
    {HD_OP_LP_NORMALIZATION, supports_normalize, compile_normalize},
    {HD_OP_MEAN_VARIANCE_NORMALIZATION, supports_normalize, compile_normalize},
    {HD_OP_NONE, NULL, NULL}};

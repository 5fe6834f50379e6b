/* TopK. */
#include "hal/cuda/kernels/ordering.h"

#include "hal/cuda/movement.h"

/* Elements that a block looks at, over all that it selects, at most. */
#define MOST_LOOKED_AT (INT64_C(1) << 31)

/* The kernels that sort a lane, and that select from it; false: there is none for the type. */
static bool find_functions(hd_dtype dtype, hd_cuda_function *sort, hd_cuda_function *select)
{
    switch (dtype) {
#define CASE(TYPE, name)                                                                           \
    case HD_##TYPE:                                                                                \
        *sort = HD_CUDA_sort_##name;                                                               \
        *select = HD_CUDA_select_##name;                                                           \
        return true;
        CASE(FLOAT32, float32)
        CASE(FLOAT64, float64)
        CASE(INT8, int8)
        CASE(INT16, int16)
        CASE(INT32, int32)
        CASE(INT64, int64)
        CASE(BOOL, uint8)
        CASE(UINT8, uint8)
        CASE(UINT16, uint16)
        CASE(UINT32, uint32)
        CASE(UINT64, uint64)
#undef CASE
    default:
        return false;
    }
}

/* The dimension that is put in order, of one at least; false for a scalar. */
static bool find_axis(const hd_operation *operation, int64_t *axis)
{
    *axis = hd_operation_int(operation, "axis", -1);
    return hd_axis_normalize(axis, operation->inputs[0].shape.rank);
}

static bool supports(const hd_cuda_unit *unit, const hd_operation *operation)
{
    (void)unit;
    hd_cuda_function sort, select;
    int64_t axis, looked_at;
    if (!find_functions(operation->inputs[0].dtype, &sort, &select) || !hd_cuda_moves(operation) ||
        operation->outputs[0].dtype == HD_DTYPE_NONE || !find_axis(operation, &axis)) {
        return false;
    }
    const int64_t dim = operation->inputs[0].shape.dims[axis];
    return dim <= HD_CUDA_TOP_SORTED ||
           (!__builtin_mul_overflow(dim, operation->outputs[0].shape.dims[axis], &looked_at) &&
            looked_at <= MOST_LOOKED_AT);
}

static hd_status compile(hd_cuda_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *shape = &operation->inputs[0].shape;
    hd_cuda_function sort = HD_CUDA_COPY, select = HD_CUDA_COPY;
    int64_t axis;
    (void)find_functions(operation->inputs[0].dtype, &sort, &select);
    (void)find_axis(operation, &axis);
    if (hd_shape_count(&operation->outputs[0].shape) == 0) {
        return HD_OK;
    }
    const int64_t inner = hd_shape_count_range(shape, (uint32_t)axis + 1, shape->rank);
    const hd_cuda_top p = {.inner = hd_cuda_divisor_of((unsigned)inner),
                           .dim = (int)shape->dims[axis],
                           .count = (int)operation->outputs[0].shape.dims[axis],
                           .is_largest = hd_operation_int(operation, "largest", 1) != 0};
    const uint16_t output = (uint16_t)operation->input_count;
    hd_cuda_pointer pointers[3] = {{0, offsetof(hd_cuda_top, x), 0},
                                   {output, offsetof(hd_cuda_top, values), 0}};
    size_t used = 2;
    if (operation->output_count > 1 && operation->outputs[1].dtype != HD_DTYPE_NONE) {
        pointers[used++] =
            (hd_cuda_pointer){(uint16_t)(output + 1), offsetof(hd_cuda_top, indices), 0};
    }
    const uint32_t grid[3] = {(uint32_t)(hd_shape_count_range(shape, 0, (uint32_t)axis) * inner), 1,
                              1};
    return hd_cuda_add_launch(compilation, p.dim <= HD_CUDA_TOP_SORTED ? sort : select, grid,
                              HD_CUDA_TOP_BLOCK, &p, sizeof p, pointers, used) == NULL
               ? hd_cuda_out_of_memory(compilation)
               : HD_OK;
}

const hd_cuda_operator hd_cuda_operators_ordering[] = {{HD_OP_TOP_K, supports, compile},
                                                       {HD_OP_NONE, NULL, NULL}};

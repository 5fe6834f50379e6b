/* DFT and STFT, in float32. */
#include "hal/cuda/kernels/fourier.h"

#include "hal/cuda/movement.h"

/* Multiplications of complex numbers, at most: by definition they are many. */
#define MOST_WORK (INT64_C(1) << 36)

static bool read_dft(const hd_operation *operation, hd_cuda_fourier *p)
{
    const hd_shape *shape = &operation->inputs[0].shape;
    const bool has_axis = operation->opset >= 20 && hd_operation_has(operation, 2);
    if ((has_axis && operation->inputs[2].data == NULL) ||
        (hd_operation_has(operation, 1) && operation->inputs[1].data == NULL)) {
        return false;
    }
    int64_t axis = operation->opset < 20 ? hd_operation_int(operation, "axis", 1)
                   : has_axis            ? hd_operand_int(&operation->inputs[2], 0)
                                         : -2;
    if (!hd_axis_normalize(&axis, shape->rank)) {
        return false;
    }
    const int64_t bins = operation->outputs[0].shape.dims[axis];
    const int64_t inner = hd_shape_count_range(shape, (uint32_t)axis + 1, shape->rank - 1);
    p->is_inverse = hd_operation_int(operation, "inverse", 0) != 0;
    p->mirrors = p->is_inverse && hd_operation_int(operation, "onesided", 0) != 0;
    p->components = (int)shape->dims[shape->rank - 1];
    const int64_t length = p->mirrors ? bins
                           : hd_operation_has(operation, 1)
                               ? hd_operand_int(&operation->inputs[1], 0)
                               : shape->dims[axis];
    const int64_t most = p->mirrors ? length / 2 + 1 : length;
    if (length < 1 || length > INT32_MAX / 4) {
        return false;
    }
    p->length = (int)length;
    p->given = (int)(shape->dims[axis] < most ? shape->dims[axis] : most);
    p->bins = hd_cuda_divisor_of((unsigned)bins);
    p->lanes = hd_cuda_divisor_of((unsigned)inner);
    p->outer_stride = (int)hd_shape_count_range(shape, (uint32_t)axis, shape->rank);
    p->lane_stride = p->components;
    p->point_stride = (int)inner * p->components;
    return true;
}

static bool read_stft(const hd_operation *operation, hd_cuda_fourier *p)
{
    const hd_shape *shape = &operation->inputs[0].shape, *to = &operation->outputs[0].shape;
    const bool has_length = hd_operation_has(operation, 3),
               has_window = hd_operation_has(operation, 2);
    if (operation->inputs[1].data == NULL || (has_length && operation->inputs[3].data == NULL) ||
        (has_window && operation->inputs[2].dtype != HD_FLOAT32)) {
        return false;
    }
    const int64_t length = has_length   ? hd_operand_int(&operation->inputs[3], 0)
                           : has_window ? operation->inputs[2].shape.dims[0]
                                        : shape->dims[1];
    const int64_t step = hd_operand_int(&operation->inputs[1], 0);
    if (length < 1 || length > INT32_MAX / 4 || step > INT32_MAX / 4) {
        return false;
    }
    p->are_frames = 1;
    p->components = shape->rank == 2 ? 1 : (int)shape->dims[2];
    p->length = p->given = (int)length;
    p->bins = hd_cuda_divisor_of((unsigned)to->dims[2]);
    p->lanes = hd_cuda_divisor_of((unsigned)to->dims[1]);
    p->outer_stride = (int)shape->dims[1] * p->components;
    p->lane_stride = (int)step * p->components;
    p->point_stride = p->components;
    return true;
}

static bool read_transform(const hd_operation *operation, hd_cuda_fourier *p)
{
    const hd_shape *y = &operation->outputs[0].shape;
    *p = (hd_cuda_fourier){.length = 0};
    if (operation->inputs[0].dtype != HD_FLOAT32 || !hd_cuda_moves(operation) ||
        hd_shape_count(y) == 0 || hd_shape_count(&operation->inputs[0].shape) == 0 ||
        !(operation->id == HD_OP_DFT ? read_dft(operation, p) : read_stft(operation, p))) {
        return false;
    }
    p->count = (unsigned)(hd_shape_count(y) / (p->mirrors ? 1 : 2));
    p->scale = p->is_inverse ? 1 / (double)p->length : 1;
    return p->components <= 2 && (int64_t)p->count <= MOST_WORK / p->length;
}

static bool supports(const hd_cuda_unit *unit, const hd_operation *operation)
{
    (void)unit;
    hd_cuda_fourier p;
    return read_transform(operation, &p);
}

static hd_status launch(hd_cuda_compilation *compilation, hd_cuda_function function, int64_t count,
                        const hd_cuda_fourier *p, const hd_cuda_pointer *pointers,
                        size_t pointer_count)
{
    const uint32_t grid[3] = {(uint32_t)hd_cuda_blocks(count, HD_CUDA_FOURIER_BLOCK), 1, 1};
    return hd_cuda_add_launch(compilation, function, grid, HD_CUDA_FOURIER_BLOCK, p, sizeof *p,
                              pointers, pointer_count) == NULL
               ? hd_cuda_out_of_memory(compilation)
               : HD_OK;
}

static hd_status compile(hd_cuda_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    hd_cuda_fourier p;
    if (!read_transform(operation, &p)) {
        return HD_INTERNAL;
    }
    hd_cuda_pointer pointers[4] = {
        {HD_CUDA_SCRATCH, offsetof(hd_cuda_fourier, roots), 0},
        {0, offsetof(hd_cuda_fourier, x), 0},
        {(uint16_t)operation->input_count, offsetof(hd_cuda_fourier, y), 0}};
    size_t used = 3;
    if (p.are_frames && hd_operation_has(operation, 2)) {
        pointers[used++] = (hd_cuda_pointer){2, offsetof(hd_cuda_fourier, window), 0};
    }
    compilation->kernel->scratch_size = 2 * (size_t)p.length * sizeof(double);
    hd_status status = launch(compilation, HD_CUDA_fourier_roots, p.length, &p, pointers, 1);
    return status == HD_OK ? launch(compilation, HD_CUDA_fourier, p.count, &p, pointers, used)
                           : status;
}

const hd_cuda_operator hd_cuda_operators_fourier[] = {
    {HD_OP_DFT, supports, compile}, {HD_OP_STFT, supports, compile}, {HD_OP_NONE, NULL, NULL}};

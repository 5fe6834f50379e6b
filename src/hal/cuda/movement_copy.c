#include "hal/cuda/movement.h"

#define MOST_WIDE    16 /* bytes that a thread moves at once */
#define LEAST_TURNED 8  /* rows and columns from which on planes are turned in shared memory */

hd_half_use hd_cuda_move_half_use(const hd_operation *operation)
{
    hd_half_use use = {.alike = true};
    size_t count = operation->input_count;
    for (size_t i = 0; i < count + operation->output_count && i < 64; i++) {
        const hd_operand *operand =
            i < count ? &operation->inputs[i] : &operation->outputs[i - count];
        use.may |= operand->dtype == HD_FLOAT32 ? UINT64_C(1) << i : 0;
    }
    return count + operation->output_count <= 64 ? use : (hd_half_use){0, 0, false};
}

bool hd_cuda_moves(const hd_operation *operation)
{
    bool fits = true;
    for (size_t i = 0; i < operation->input_count && fits; i++) {
        fits = hd_shape_count(&operation->inputs[i].shape) <= INT32_MAX;
    }
    for (size_t i = 0; i < operation->output_count && fits; i++) {
        fits = operation->outputs[i].dtype == HD_DTYPE_NONE ||
               hd_shape_count(&operation->outputs[i].shape) <= INT32_MAX;
    }
    return fits && hd_dtype_size(operation->inputs[0].dtype) != 0;
}

hd_status hd_cuda_add_move(hd_cuda_compilation *compilation, hd_cuda_function function,
                           int64_t count, const void *parameters, size_t size,
                           const hd_cuda_pointer *pointers, size_t pointer_count)
{
    const uint32_t grid[3] = {
        (uint32_t)hd_cuda_blocks(count, HD_CUDA_MOVE_BLOCK * HD_CUDA_MOVE_EACH), 1, 1};
    return hd_cuda_add_launch(compilation, function, grid, HD_CUDA_MOVE_BLOCK, parameters, size,
                              pointers, pointer_count) == NULL
               ? hd_cuda_out_of_memory(compilation)
               : HD_OK;
}

/* Leaves out dimensions of 1 and joins neighbours that lie alike on both sides. */
static void join(hd_cuda_box *box)
{
    uint32_t rank = 0;
    for (uint32_t i = 0; i < box->rank; i++) {
        int64_t dim = box->dims[i], source = box->source_strides[i],
                target = box->target_strides[i];
        if (dim == 1) {
            continue;
        }
        if (rank > 0 && box->source_strides[rank - 1] == source * dim &&
            box->target_strides[rank - 1] == target * dim) {
            dim *= box->dims[--rank];
        }
        box->dims[rank] = dim;
        box->source_strides[rank] = source;
        box->target_strides[rank++] = target;
    }
    if (rank == 0) {
        box->dims[0] = box->source_strides[0] = box->target_strides[0] = 1;
        rank = 1;
    }
    box->rank = rank;
}

/* Takes neighbours as one wider element, as long as all that lies around them allows it. */
static void widen(hd_cuda_box *box)
{
    uint32_t last = box->rank - 1;
    if (box->source_strides[last] != 1 || box->target_strides[last] != 1) {
        return;
    }
    while (box->element < MOST_WIDE && box->dims[last] % 2 == 0) {
        bool fits = box->source_offset % 2 == 0 && box->target_offset % 2 == 0;
        for (uint32_t i = 0; i < last; i++) {
            fits = fits && box->source_strides[i] % 2 == 0 && box->target_strides[i] % 2 == 0;
        }
        if (!fits) {
            return;
        }
        for (uint32_t i = 0; i < last; i++) {
            box->source_strides[i] /= 2;
            box->target_strides[i] /= 2;
        }
        box->source_offset /= 2;
        box->target_offset /= 2;
        box->dims[last] /= 2;
        box->element *= 2;
    }
}

/* A plane whose rows neighbour each other in the source, and columns in the target; false: there is none worth it. */
static bool find_plane(const hd_cuda_box *box, uint32_t *out_row)
{
    uint32_t last = box->rank - 1;
    if (box->element > 8 || box->target_strides[last] != 1 || box->dims[last] < LEAST_TURNED) {
        return false;
    }
    for (uint32_t i = 0; i < last; i++) {
        if (box->source_strides[i] == 1 && box->dims[i] >= LEAST_TURNED) {
            *out_row = i;
            return true;
        }
    }
    return false;
}

static hd_status add_turn(hd_cuda_compilation *compilation, const hd_cuda_box *box, uint32_t row,
                          const hd_cuda_pointer pointers[2])
{
    uint32_t last = box->rank - 1;
    hd_cuda_turn p = {.rows = (unsigned)box->dims[row],
                      .columns = (unsigned)box->dims[last],
                      .x_stride = (int)box->source_strides[last],
                      .y_stride = (int)box->target_strides[row]};
    p.row_tiles = (unsigned)hd_cuda_blocks(p.rows, HD_CUDA_TURN_TILE);
    p.column_tiles = (unsigned)hd_cuda_blocks(p.columns, HD_CUDA_TURN_TILE);
    int64_t blocks = (int64_t)p.row_tiles * p.column_tiles;
    for (uint32_t i = 0; i < last; i++) {
        if (i != row) {
            p.dims[p.rank] = (unsigned)box->dims[i];
            p.x_strides[p.rank] = (int)box->source_strides[i];
            p.y_strides[p.rank++] = (int)box->target_strides[i];
            blocks *= box->dims[i];
        }
    }
    const uint32_t grid[3] = {(uint32_t)blocks, 1, 1};
    return hd_cuda_add_launch(compilation, hd_cuda_by_size(HD_CUDA_turn_1, box->element), grid,
                              HD_CUDA_MOVE_BLOCK, &p, sizeof p, pointers, 2) == NULL
               ? hd_cuda_out_of_memory(compilation)
               : HD_OK;
}

hd_status hd_cuda_add_copy(hd_cuda_compilation *compilation, hd_cuda_box *box)
{
    int64_t count = 1;
    for (uint32_t i = 0; i < box->rank; i++) {
        count *= box->dims[i];
    }
    if (count == 0) {
        return HD_OK;
    }
    join(box);
    widen(box);
    const size_t from = (size_t)box->source_offset * box->element;
    const size_t to = (size_t)box->target_offset * box->element;
    uint32_t row;
    if (find_plane(box, &row)) {
        const hd_cuda_pointer pointers[] = {{box->source, offsetof(hd_cuda_turn, x), from},
                                            {box->target, offsetof(hd_cuda_turn, y), to}};
        return add_turn(compilation, box, row, pointers);
    }
    hd_cuda_copy p = {.count = 1, .rank = (int)box->rank};
    for (uint32_t i = 0; i < box->rank; i++) {
        p.dims[i] = hd_cuda_divisor_of((unsigned)box->dims[i]);
        p.x_strides[i] = (int)box->source_strides[i];
        p.y_strides[i] = (int)box->target_strides[i];
        p.count *= (unsigned)box->dims[i];
    }
    const hd_cuda_pointer pointers[] = {{box->source, offsetof(hd_cuda_copy, x), from},
                                        {box->target, offsetof(hd_cuda_copy, y), to}};
    return hd_cuda_add_move(compilation, hd_cuda_by_size(HD_CUDA_copy_1, box->element), p.count, &p,
                            sizeof p, pointers, 2);
}

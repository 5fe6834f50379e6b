/* LSTM, GRU and RNN, in float32: one product of x and all of W, then a kernel that goes through the steps. */
#include "hal/cuda/kernels/recurrent.h"

#include <string.h>

#include "hal/cuda/kernels/product_float32.h"
#include "hal/cuda/movement.h"
#include "operation/cell.h"

#define MOST_SHARED  (48 << 10)  /* bytes */
#define MOST_SCRATCH (256 << 20) /* bytes */
#define GRID_SIDE    65535
#define TILE         32 /* rows and columns of the plain product's */

_Static_assert((int)HD_CELL_SIGMOID == HD_CUDA_CELL_SIGMOID &&
                   (int)HD_CELL_SOFTPLUS == HD_CUDA_CELL_SOFTPLUS,
               "the kernel has the functions' numbers");

typedef struct recurrent_sizes {
    int64_t steps, batch, inputs, hidden, directions, gates;
    bool is_batch_first;
} recurrent_sizes;

static recurrent_sizes sizes_of(const hd_operation *operation)
{
    const hd_shape *x = &operation->inputs[0].shape, *r = &operation->inputs[2].shape;
    const bool is_batch_first = hd_operation_int(operation, "layout", 0) != 0;
    return (recurrent_sizes){.steps = x->dims[is_batch_first ? 1 : 0],
                             .batch = x->dims[is_batch_first ? 0 : 1],
                             .inputs = x->dims[2],
                             .hidden = r->dims[2],
                             .directions = r->dims[0],
                             .gates = r->dims[1] / r->dims[2],
                             .is_batch_first = is_batch_first};
}

/* All steps' gates. */
static size_t scratch_size(const recurrent_sizes *s)
{
    size_t size;
    const int64_t row = s->directions * s->gates * s->hidden;
    return __builtin_mul_overflow((size_t)(s->steps * s->batch), (size_t)row * sizeof(float), &size)
               ? SIZE_MAX
               : size;
}

static bool supports(const hd_cuda_unit *unit, const hd_operation *operation)
{
    (void)unit;
    for (size_t i = 0; i < operation->input_count; i++) {
        const hd_dtype dtype = operation->inputs[i].dtype;
        if (dtype != (i == 4 ? HD_INT32 : HD_FLOAT32) && dtype != HD_DTYPE_NONE) {
            return false;
        }
    }
    const recurrent_sizes s = sizes_of(operation);
    hd_cell_activation activations[2 * HD_CELL_ACTIVATIONS];
    return hd_cuda_moves(operation) && s.steps > 0 && s.batch > 0 && s.inputs > 0 &&
           (3 + s.gates) * s.hidden <= MOST_SHARED / (int64_t)sizeof(float) &&
           scratch_size(&s) <= MOST_SCRATCH &&
           s.directions * s.gates * s.hidden <= GRID_SIDE * TILE &&
           hd_cell_read_activations(operation, s.directions, activations, NULL) == HD_OK;
}

/* A row for each row of x, of all directions' gates. */
static hd_status add_input_product(hd_cuda_compilation *compilation, const recurrent_sizes *s)
{
    const hd_cuda_plain_product p = {.m = (int)(s->steps * s->batch),
                                     .n = (int)(s->directions * s->gates * s->hidden),
                                     .k = (int)s->inputs,
                                     .alpha = 1,
                                     .beta = 1,
                                     .activation = {.kind = HD_CUDA_IDENTITY},
                                     .x_m = s->inputs,
                                     .x_k = 1,
                                     .w_k = 1,
                                     .w_n = s->inputs};
    const hd_cuda_pointer pointers[] = {{0, offsetof(hd_cuda_plain_product, x), 0},
                                        {1, offsetof(hd_cuda_plain_product, w), 0},
                                        {HD_CUDA_SCRATCH, offsetof(hd_cuda_plain_product, y), 0}};
    const uint32_t grid[3] = {(uint32_t)hd_cuda_blocks(p.m, TILE),
                              (uint32_t)hd_cuda_blocks(p.n, TILE), 1};
    return hd_cuda_add_launch(compilation, HD_CUDA_product_plain, grid, 256, &p, sizeof p, pointers,
                              3) == NULL
               ? hd_cuda_out_of_memory(compilation)
               : HD_OK;
}

static size_t add_operands(const hd_operation *operation, hd_cuda_pointer *pointers)
{
    static const struct {
        uint16_t input, at;
    } inputs[] = {
        {2, offsetof(hd_cuda_recurrent, r)},       {3, offsetof(hd_cuda_recurrent, bias)},
        {4, offsetof(hd_cuda_recurrent, lengths)}, {5, offsetof(hd_cuda_recurrent, h)},
        {6, offsetof(hd_cuda_recurrent, c)},       {7, offsetof(hd_cuda_recurrent, peepholes)}};
    static const uint16_t outputs[] = {offsetof(hd_cuda_recurrent, y),
                                       offsetof(hd_cuda_recurrent, y_h),
                                       offsetof(hd_cuda_recurrent, y_c)};
    size_t used = 0;
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        if (hd_operation_has(operation, inputs[i].input)) {
            pointers[used++] = (hd_cuda_pointer){inputs[i].input, inputs[i].at, 0};
        }
    }
    for (size_t i = 0; i < operation->output_count && i < 3; i++) {
        if (operation->outputs[i].dtype != HD_DTYPE_NONE) {
            pointers[used++] =
                (hd_cuda_pointer){(uint16_t)(operation->input_count + i), outputs[i], 0};
        }
    }
    pointers[used++] = (hd_cuda_pointer){HD_CUDA_SCRATCH, offsetof(hd_cuda_recurrent, products), 0};
    return used;
}

static hd_status compile(hd_cuda_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const recurrent_sizes s = sizes_of(operation);
    hd_cell_activation activations[2 * HD_CELL_ACTIVATIONS] = {0};
    hd_status status =
        hd_cell_read_activations(operation, s.directions, activations, compilation->error);
    status = status == HD_OK ? add_input_product(compilation, &s) : status;
    if (status != HD_OK) {
        return status;
    }
    hd_cuda_recurrent p = {
        .kind = operation->id == HD_OP_LSTM  ? HD_CUDA_CELL_LSTM
                : operation->id == HD_OP_GRU ? HD_CUDA_CELL_GRU
                                             : HD_CUDA_CELL_RNN,
        .steps = (int)s.steps,
        .batch = (int)s.batch,
        .hidden = (int)s.hidden,
        .directions = (int)s.directions,
        .gates = (int)s.gates,
        .is_batch_first = s.is_batch_first,
        .is_reverse =
            strcmp(hd_operation_string(operation, "direction", "forward"), "reverse") == 0,
        .is_linear_before_reset = operation->id == HD_OP_GRU &&
                                  hd_operation_int(operation, "linear_before_reset", 0) != 0,
        .is_input_forget =
            operation->id == HD_OP_LSTM && hd_operation_int(operation, "input_forget", 0) != 0,
        .clip = hd_operation_float(operation, "clip", 0.0f)};
    for (size_t i = 0; i < 2 * HD_CELL_ACTIVATIONS; i++) {
        p.activations[i] = (hd_cuda_cell_activation){(int)activations[i].function,
                                                     activations[i].alpha, activations[i].beta};
    }
    compilation->kernel->scratch_size = scratch_size(&s);
    hd_cuda_pointer pointers[10];
    const size_t used = add_operands(operation, pointers);
    const uint32_t grid[3] = {(uint32_t)(s.directions * s.batch), 1, 1};
    hd_cuda_launch *launch = hd_cuda_add_launch(compilation, HD_CUDA_recurrent, grid,
                                                HD_CUDA_CELL_BLOCK, &p, sizeof p, pointers, used);
    if (launch == NULL) {
        return hd_cuda_out_of_memory(compilation);
    }
    launch->shared = (uint32_t)((3 + s.gates) * s.hidden * (int64_t)sizeof(float));
    return HD_OK;
}

const hd_cuda_operator hd_cuda_operators_recurrent[] = {{HD_OP_LSTM, supports, compile},
                                                        {HD_OP_GRU, supports, compile},
                                                        {HD_OP_RNN, supports, compile},
                                                        {HD_OP_NONE, NULL, NULL}};

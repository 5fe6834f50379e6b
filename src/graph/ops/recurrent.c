/* Recurrent: types and shapes of LSTM, GRU and RNN. */
#include <string.h>

#include "graph/ops/inference.h"

static hd_infer_result fail(const hd_operation *operation, hd_error *error, const char *what)
{
    hd_operation_fail(operation, error, HD_INVALID_ARGUMENT, "%s", what);
    return HD_INFER_FAILED;
}

static bool has_shape(const hd_operation *operation, size_t index, uint32_t rank, int64_t a,
                      int64_t b, int64_t c)
{
    if (!hd_operation_has(operation, index)) {
        return true;
    }
    const hd_shape *shape = &operation->inputs[index].shape;
    int64_t wanted[3] = {a, b, c};
    return shape->rank == rank && memcmp(shape->dims, wanted, rank * sizeof wanted[0]) == 0 &&
           operation->inputs[index].dtype == (index == 4 ? HD_INT32 : operation->inputs[0].dtype);
}

/* Inputs: x, w, r, bias, sequence_lens, initial_h and, for LSTM, initial_c and peepholes. */
hd_infer_result hd_infer_recurrent(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    (void)needed_input;
    const hd_shape *x = &operation->inputs[0].shape, *w = &operation->inputs[1].shape;
    const hd_shape *r = &operation->inputs[2].shape;
    int64_t gates = operation->id == HD_OP_LSTM ? 4 : operation->id == HD_OP_GRU ? 3 : 1;
    const char *direction = hd_operation_string(operation, "direction", "forward");
    bool both = strcmp(direction, "bidirectional") == 0;
    if (!both && strcmp(direction, "forward") != 0 && strcmp(direction, "reverse") != 0) {
        return fail(operation, error, "its direction is unknown");
    }
    bool batch_first = hd_operation_int(operation, "layout", 0) != 0;
    int64_t directions = both ? 2 : 1;
    if (x->rank != 3 || w->rank != 3 || r->rank != 3 || r->dims[2] < 1) {
        return fail(operation, error, "its input or weights do not have three dimensions");
    }
    int64_t hidden = r->dims[2], steps = x->dims[batch_first ? 1 : 0];
    int64_t batch = x->dims[batch_first ? 0 : 1];
    int64_t first = batch_first ? batch : directions, second = batch_first ? directions : batch;
    if (hidden > INT32_MAX || hd_operation_int(operation, "hidden_size", hidden) != hidden ||
        !has_shape(operation, 1, 3, directions, gates * hidden, x->dims[2]) ||
        !has_shape(operation, 2, 3, directions, gates * hidden, hidden) ||
        !has_shape(operation, 3, 2, directions, 2 * gates * hidden, 0) ||
        !has_shape(operation, 4, 1, batch, 0, 0) ||
        !has_shape(operation, 5, 3, first, second, hidden) ||
        !has_shape(operation, 6, 3, first, second, hidden) ||
        !has_shape(operation, 7, 2, directions, 3 * hidden, 0)) {
        return fail(operation, error, "its weights, bias, lengths or initial state do not fit");
    }
    hd_shape last = {.rank = 3, .dims = {first, second, hidden}};
    hd_shape all = {.rank = 4, .dims = {steps, directions, batch, hidden}};
    if (batch_first) {
        all = (hd_shape){.rank = 4, .dims = {batch, steps, directions, hidden}};
    }
    for (size_t i = 0; i < operation->output_count; i++) {
        operation->outputs[i].dtype = operation->inputs[0].dtype;
        operation->outputs[i].shape = i == 0 ? all : last;
    }
    return HD_INFER_DONE;
}

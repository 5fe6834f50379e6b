/* Recurrent: the family's kernels on the CPU: LSTM, GRU and RNN over whole sequences. A tile is a group
 * of batch entries in one direction. The products of x and W are computed for a chunk of time steps at
 * once; weights are read as they are stored, so nothing is packed. */
#include "hal/cpu/ops/recurrent.h"

#include <string.h>

#include "base/stop.h"

#define CHUNK_ROWS 64 /* time steps times entries of a chunk, about */

typedef struct sequence {
    hd_cpu_recurrent_state state;
    const float *x, *w;
    int64_t direction, first; /* the group's first batch entry */
    bool backwards;
    int64_t lengths[HD_RECURRENT_GROUP];
    bool alive[HD_RECURRENT_GROUP];
} sequence;

static int64_t state_offset(const hd_cpu_recurrent *p, int64_t direction, int64_t entry)
{
    return (p->batch_first ? entry * p->directions + direction : direction * p->batch + entry) *
           p->hidden;
}

static int64_t output_offset(const hd_cpu_recurrent *p, int64_t time, int64_t direction,
                             int64_t entry)
{
    return (p->batch_first ? (entry * p->steps + time) * p->directions + direction
                           : (time * p->directions + direction) * p->batch + entry) *
           p->hidden;
}

static const float *input_of(const hd_cpu_recurrent *p, void *const *buffers, size_t index)
{
    return index < p->input_count ? buffers[index] : NULL;
}

/* The sums of both biases; for GRU the hidden gate's second one stays apart where it must. */
static void set_bias(const hd_cpu_recurrent *p, const float *bias, float *gates)
{
    int64_t count = p->gates * p->hidden;
    if (bias == NULL) {
        memset(gates, 0, (size_t)count * sizeof *gates);
        return;
    }
    int64_t both = p->linear_before_reset ? 2 * p->hidden : count;
    for (int64_t i = 0; i < count; i++) {
        gates[i] = i < both ? bias[i] + bias[count + i] : bias[i];
    }
}

/* Gates of steps [step, step + steps): bias and x · W. Step i's of entry e begin at (i · entries + e). */
static void project(const hd_cpu_recurrent *p, const sequence *q, int64_t step, int64_t steps,
                    float *gates)
{
    int64_t size = p->gates * p->hidden, entries = q->state.entries;
    for (int64_t i = 0; i < steps * entries && !hd_stop_ends_every(i, 4); i++) {
        set_bias(p, q->state.bias, gates + i * size);
    }
    int64_t time_step = p->batch_first ? p->inputs : p->batch * p->inputs;
    int64_t entry_step = p->batch_first ? p->steps * p->inputs : p->inputs;
    bool uniform = true;
    for (int64_t e = 1; e < entries; e++) {
        uniform = uniform && q->lengths[e] == q->lengths[0];
    }
    if (uniform && steps < entries) { /* all entries of one step together */
        for (int64_t i = 0; i < steps && step + i < q->lengths[0]; i++) {
            int64_t time = q->backwards ? q->lengths[0] - 1 - step - i : step + i;
            const float *x = q->x + time * time_step + q->first * entry_step;
            hd_cpu_recurrent_product(q->state.rows, gates + i * entries * size, size, x, entry_step,
                                     q->w, entries, p->inputs, size);
        }
        return;
    }
    for (int64_t e = 0; e < entries; e++) {
        int64_t left = q->lengths[e] - step, count = left < steps ? left : steps;
        if (count <= 0) {
            continue;
        }
        int64_t time = q->backwards ? q->lengths[e] - 1 - step : step;
        const float *x = q->x + time * time_step + (q->first + e) * entry_step;
        hd_cpu_recurrent_product(q->state.rows, gates + e * size, entries * size, x,
                                 q->backwards ? -time_step : time_step, q->w, count, p->inputs,
                                 size);
    }
}

static void store_step(const hd_cpu_recurrent *p, const sequence *q, int64_t step, float *y)
{
    for (int64_t e = 0; y != NULL && e < q->state.entries; e++) {
        int64_t time = q->backwards && q->alive[e] ? q->lengths[e] - 1 - step : step;
        float *to = y + output_offset(p, time, q->direction, q->first + e);
        if (q->alive[e]) {
            memcpy(to, q->state.h + e * p->hidden, (size_t)p->hidden * sizeof *to);
        } else { /* behind the end of this entry's sequence */
            memset(to, 0, (size_t)p->hidden * sizeof *to);
        }
    }
}

static void run_sequence(const hd_cpu_recurrent *p, sequence *q, void *const *buffers, float *gates)
{
    void *const *outputs = buffers + p->input_count;
    int64_t size = p->gates * p->hidden, entries = q->state.entries;
    for (int64_t step = 0; step < p->steps && hd_stop_asked() == HD_OK; step++) {
        int64_t in_chunk = step % p->chunk;
        if (in_chunk == 0) {
            int64_t left = p->steps - step;
            project(p, q, step, left < p->chunk ? left : p->chunk, gates);
        }
        for (int64_t e = 0; e < entries; e++) {
            q->alive[e] = step < q->lengths[e];
        }
        p->step(p, &q->state, gates + in_chunk * entries * size);
        store_step(p, q, step, p->output_count > 0 ? outputs[0] : NULL);
    }
    for (int64_t e = 0; e < entries; e++) {
        int64_t offset = state_offset(p, q->direction, q->first + e);
        size_t bytes = (size_t)p->hidden * sizeof(float);
        if (p->output_count > 1 && outputs[1] != NULL) {
            memcpy((float *)outputs[1] + offset, q->state.h + e * p->hidden, bytes);
        }
        if (p->output_count > 2 && outputs[2] != NULL) {
            memcpy((float *)outputs[2] + offset, q->state.c + e * p->hidden, bytes);
        }
    }
}

static void load_state(const hd_cpu_recurrent *p, const sequence *q, const float *from, float *to)
{
    for (int64_t e = 0; e < q->state.entries; e++) {
        size_t bytes = (size_t)p->hidden * sizeof *to;
        if (from == NULL) {
            memset(to + e * p->hidden, 0, bytes);
        } else {
            memcpy(to + e * p->hidden, from + state_offset(p, q->direction, q->first + e), bytes);
        }
    }
}

static void run_recurrent(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                          void *scratch)
{
    const hd_cpu_recurrent *p = parameters;
    int64_t size = p->gates * p->hidden, states = HD_RECURRENT_GROUP * p->hidden;
    const float *bias = input_of(p, buffers, 3), *peepholes = input_of(p, buffers, 7);
    const int32_t *lengths = p->input_count > 4 ? buffers[4] : NULL;
    for (int64_t tile = begin; tile < end; tile++) {
        int64_t d = tile / p->groups, first = tile % p->groups * HD_RECURRENT_GROUP;
        int64_t entries =
            p->batch - first < HD_RECURRENT_GROUP ? p->batch - first : HD_RECURRENT_GROUP;
        float *h = scratch, *c = h + states, *extra = c + states, *gates = extra + states;
        sequence q = {
            .state = {.rows = hd_cpu_rows_get(),
                      .r = (const float *)buffers[2] + d * size * p->hidden,
                      .bias = bias == NULL ? NULL : bias + d * 2 * size,
                      .peepholes = peepholes == NULL ? NULL : peepholes + d * 3 * p->hidden,
                      .activations = p->activations + d * 3,
                      .entries = entries,
                      .h = h,
                      .c = c,
                      .extra = extra},
            .x = buffers[0],
            .w = (const float *)buffers[1] + d * size * p->inputs,
            .direction = d,
            .first = first,
            .backwards = d == 1 || p->reverse};
        q.state.alive = q.alive;
        for (int64_t e = 0; e < entries; e++) { /* lengths out of range are cut to it */
            int64_t length = lengths == NULL ? p->steps : lengths[first + e];
            q.lengths[e] = length < 0 ? 0 : length > p->steps ? p->steps : length;
        }
        load_state(p, &q, input_of(p, buffers, 5), h);
        load_state(p, &q, input_of(p, buffers, 6), c);
        run_sequence(p, &q, buffers, gates);
    }
}

static hd_status compile_recurrent(hd_cpu_compilation *compilation, int kind,
                                   hd_cpu_recurrent_step *step)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *x = &operation->inputs[0].shape, *r = &operation->inputs[2].shape;
    if (operation->inputs[0].dtype != HD_FLOAT32) {
        return hd_operation_fail(operation, compilation->error, HD_UNSUPPORTED,
                                 "there is no kernel for %s",
                                 hd_dtype_name(operation->inputs[0].dtype));
    }
    hd_cpu_recurrent *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    p->batch_first = hd_operation_int(operation, "layout", 0) != 0;
    p->steps = x->dims[p->batch_first ? 1 : 0];
    p->batch = x->dims[p->batch_first ? 0 : 1];
    p->inputs = x->dims[2];
    p->directions = r->dims[0];
    p->hidden = r->dims[2];
    p->gates = r->dims[1] / p->hidden;
    p->groups = (p->batch + HD_RECURRENT_GROUP - 1) / HD_RECURRENT_GROUP;
    p->reverse = strcmp(hd_operation_string(operation, "direction", "forward"), "reverse") == 0;
    p->linear_before_reset =
        kind == 1 && hd_operation_int(operation, "linear_before_reset", 0) != 0;
    p->input_forget = kind == 0 && hd_operation_int(operation, "input_forget", 0) != 0;
    p->clip = hd_operation_float(operation, "clip", 0.0f);
    p->step = step;
    p->input_count = operation->input_count;
    p->output_count = operation->output_count;
    hd_status status =
        hd_cell_read_activations(operation, p->directions, p->activations, compilation->error);
    if (status != HD_OK) {
        return status;
    }
    int64_t entries = p->batch < HD_RECURRENT_GROUP ? p->batch : HD_RECURRENT_GROUP;
    int64_t chunk = entries > 0 ? CHUNK_ROWS / entries : 1;
    p->chunk = chunk > p->steps && p->steps > 0 ? p->steps : chunk;
    p->tiles = p->directions * p->groups;
    size_t floats =
        (size_t)(3 * HD_RECURRENT_GROUP * p->hidden + p->chunk * entries * p->gates * p->hidden);
    compilation->kernel.run = run_recurrent;
    compilation->kernel.tile_count = p->tiles;
    compilation->kernel.scratch_size = floats * sizeof(float);
    if (p->tiles == 0) { /* an empty batch: one tile that finds nothing to do */
        p->groups = p->tiles = compilation->kernel.tile_count = 1;
    }
    return HD_OK;
}

static hd_status compile_lstm(hd_cpu_compilation *compilation)
{
    return compile_recurrent(compilation, 0, hd_cpu_lstm_step);
}

static hd_status compile_gru(hd_cpu_compilation *compilation)
{
    return compile_recurrent(compilation, 1, hd_cpu_gru_step);
}

static hd_status compile_rnn(hd_cpu_compilation *compilation)
{
    return compile_recurrent(compilation, 2, hd_cpu_rnn_step);
}

const hd_cpu_operator hd_cpu_operators_recurrent[] = {
    {HD_OP_LSTM, compile_lstm},
    {HD_OP_GRU, compile_gru},
    {HD_OP_RNN, compile_rnn},
    {0},
};

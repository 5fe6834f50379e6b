/* LinearAttention: a state of [key width, value width] a head, which each position decays, corrects and adds to, and
 * which the queries read. A tile is one state; its positions follow one another, and sums go over the keys in
 * ascending order (BITS). */
#include <string.h>

#include "base/stop.h"
#include "hal/cpu/ops/attention.h"
#include "hal/cpu/vector_math.h"
#include "operation/linear_attention.h"

typedef struct linear_attention {
    hd_linear_attention sizes;
    bool has_past;
    size_t outputs; /* the first one's buffer */
    size_t output_count;
} linear_attention;

/* Row t of head h of an operand [batch, length, heads · width]. */
static const float *row_of(void *const *buffers, size_t index, int64_t at, int64_t heads, int64_t h,
                           int64_t width)
{
    return (const float *)buffers[index] + (at * heads + h) * width;
}

/* out = x · state; state is [keys, values]. */
static void read_state(const float *restrict state, const float *restrict x, int64_t keys,
                       int64_t values, float *restrict out)
{
    memset(out, 0, (size_t)values * sizeof *out);
    for (int64_t d = 0; d < keys; d++) {
        const float factor = x[d];
        const float *restrict row = state + d * values;
        for (int64_t m = 0; m < values; m++) {
            out[m] += factor * row[m];
        }
    }
}

static void decay_state(const linear_attention *p, void *const *buffers, int64_t at, int64_t g,
                        float *state, float *factors)
{
    const hd_linear_attention *s = &p->sizes;
    const float *decay = row_of(buffers, 4, at, s->state_heads, g, s->decay_width);
    hd_cpu_vector_functions_get()->exp(factors, decay, (size_t)s->decay_width);
    for (int64_t d = 0; d < s->key_width; d++) {
        const float factor = factors[s->decay_width == 1 ? 0 : d];
        for (int64_t m = 0; m < s->value_width; m++) {
            state[d * s->value_width + m] *= factor;
        }
    }
}

/* Position `at`, that is batch · length + t. added: room for key_width and value_width numbers. */
static void step(const linear_attention *p, void *const *buffers, int64_t at, int64_t g,
                 float *state, float *added)
{
    const hd_linear_attention *s = &p->sizes;
    const float *k = row_of(buffers, 1, at, s->state_heads, g, s->key_width);
    const float *v = row_of(buffers, 2, at, s->state_heads, g, s->value_width);
    if (s->decay_width > 0) {
        decay_state(p, buffers, at, g, state, added);
    }
    if (s->beta_heads > 0) {
        const float beta = *row_of(buffers, 5, at, s->beta_heads, s->beta_heads == 1 ? 0 : g, 1);
        read_state(state, k, s->key_width, s->value_width, added);
        for (int64_t m = 0; m < s->value_width; m++) {
            added[m] = beta * (v[m] - added[m]);
        }
        v = added;
    }
    for (int64_t d = 0; d < s->key_width; d++) {
        for (int64_t m = 0; m < s->value_width; m++) {
            state[d * s->value_width + m] += k[d] * v[m];
        }
    }
    float *y = p->output_count > 0 ? buffers[p->outputs] : NULL;
    const int64_t group = s->heads / s->state_heads;
    for (int64_t h = g * group; y != NULL && h < (g + 1) * group; h++) {
        float *own = y + (at * s->heads + h) * s->value_width;
        read_state(state, row_of(buffers, 0, at, s->heads, h, s->key_width), s->key_width,
                   s->value_width, own);
        for (int64_t m = 0; m < s->value_width; m++) {
            own[m] *= s->scale;
        }
    }
}

static void run_linear(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                       void *scratch)
{
    const linear_attention *p = parameters;
    const hd_linear_attention *s = &p->sizes;
    const int64_t count = s->key_width * s->value_width;
    float *added = scratch;
    float *present = p->output_count > 1 ? buffers[p->outputs + 1] : NULL;
    for (int64_t tile = begin; tile < end && s->batch > 0; tile++) {
        const int64_t b = tile / s->state_heads, g = tile % s->state_heads;
        float *state =
            present != NULL ? present + tile * count : added + s->key_width + s->value_width;
        if (p->has_past) {
            hd_stop_copy(state, (const float *)buffers[3] + tile * count,
                         (size_t)count * sizeof *state);
        } else {
            hd_stop_clear(state, (size_t)count * sizeof *state);
        }
        for (int64_t t = 0; t < s->length && !hd_stop_ends_every(t, 16); t++) {
            step(p, buffers, b * s->length + t, g, state, added);
        }
    }
}

hd_status hd_cpu_compile_linear_attention(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    linear_attention *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    hd_status status = hd_linear_attention_resolve(operation, &p->sizes, compilation->error);
    if (status != HD_OK) {
        return status;
    }
    for (size_t i = 0; i < operation->input_count; i++) {
        if (hd_operation_has(operation, i) && operation->inputs[i].dtype != HD_FLOAT32) {
            return hd_operation_fail(operation, compilation->error, HD_UNSUPPORTED,
                                     "%s has no kernel", hd_dtype_name(operation->inputs[i].dtype));
        }
    }
    const hd_linear_attention *s = &p->sizes;
    const int64_t tiles = s->batch * s->state_heads;
    p->has_past = hd_operation_has(operation, 3);
    p->outputs = operation->input_count;
    p->output_count = operation->output_count;
    compilation->kernel.tile_count = tiles > 0 ? tiles : 1;
    compilation->kernel.scratch_size =
        (size_t)(s->key_width + s->value_width + s->key_width * s->value_width) * sizeof(float);
    compilation->kernel.run = run_linear;
    return HD_OK;
}

/* Recurrent: one time step of LSTM, GRU and RNN (onnx.ai, "Operators", gives their equations). */
#include <string.h>

#include "base/stop.h"
#include "hal/cpu/ops/recurrent.h"

#define LOOK_WORK ((int64_t)1 << 20) /* multiply-adds from one look to the next */

void hd_cpu_recurrent_product(const hd_cpu_rows *rows, float *c, int64_t c_step, const float *a,
                              int64_t a_step, const float *b, int64_t m, int64_t k, int64_t n)
{
    double work = (double)m * (double)k;
    if (work * (double)n <= (double)LOOK_WORK) {
        rows->product(c, c_step, a, a_step, b, m, k, n);
        return;
    }
    const int64_t width = 8; /* columns that a block of a row holds */
    int64_t piece = (int64_t)((double)LOOK_WORK / (work * (double)width)) * width;
    piece = piece < width ? width : piece;
    for (int64_t j = 0; j < n && hd_stop_asked() == HD_OK; j += piece) {
        rows->product(c + j, c_step, a, a_step, b + j * k, m, k, n - j < piece ? n - j : piece);
    }
}

static void clip(const hd_cpu_recurrent *p, float *x, int64_t count)
{
    for (int64_t i = 0; i < count && p->clip > 0.0f; i++) {
        x[i] = x[i] > p->clip ? p->clip : x[i] < -p->clip ? -p->clip : x[i];
    }
}

static void add_product(float *restrict to, const float *restrict a, const float *restrict b,
                        int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        to[i] += a[i] * b[i];
    }
}

void hd_cpu_lstm_step(const hd_cpu_recurrent *p, const hd_cpu_recurrent_state *s, float *gates)
{
    int64_t n = p->hidden;
    hd_cpu_recurrent_product(s->rows, gates, 4 * n, s->h, n, s->r, s->entries, n, 4 * n);
    for (int64_t e = 0; e < s->entries; e++) {
        if (!s->alive[e]) {
            continue;
        }
        float *input = gates + e * 4 * n, *output = input + n, *forget = output + n;
        float *cell = forget + n, *c = s->c + e * n, *h = s->h + e * n;
        if (s->peepholes != NULL) { /* of input, output and forget gate */
            add_product(input, s->peepholes, c, n);
            add_product(forget, s->peepholes + 2 * n, c, n);
        }
        clip(p, input, n);
        clip(p, forget, 2 * n);
        hd_cpu_cell_activate(&s->activations[0], input, n);
        if (p->input_forget) {
            for (int64_t i = 0; i < n; i++) {
                forget[i] = 1.0f - input[i];
            }
        } else {
            hd_cpu_cell_activate(&s->activations[0], forget, n);
        }
        hd_cpu_cell_activate(&s->activations[1], cell, n);
        for (int64_t i = 0; i < n; i++) {
            c[i] = forget[i] * c[i] + input[i] * cell[i];
        }
        if (s->peepholes != NULL) {
            add_product(output, s->peepholes + n, c, n);
        }
        clip(p, output, n);
        hd_cpu_cell_activate(&s->activations[0], output, n);
        memcpy(h, c, (size_t)n * sizeof *h);
        hd_cpu_cell_activate(&s->activations[2], h, n);
        for (int64_t i = 0; i < n; i++) {
            h[i] *= output[i];
        }
    }
}

/* Gates: update, reset, hidden. The hidden gate's product waits for the reset gate, or is kept apart
 * until then in `extra`. */
void hd_cpu_gru_step(const hd_cpu_recurrent *p, const hd_cpu_recurrent_state *s, float *gates)
{
    int64_t n = p->hidden;
    const float *hidden_r = s->r + 2 * n * n;
    hd_cpu_recurrent_product(s->rows, gates, 3 * n, s->h, n, s->r, s->entries, n, 2 * n);
    for (int64_t e = 0; e < s->entries; e++) {
        float *reset = gates + e * 3 * n + n, *extra = s->extra + e * n;
        const float *h = s->h + e * n;
        clip(p, reset - n, 2 * n);
        hd_cpu_cell_activate(&s->activations[0], reset - n, 2 * n);
        for (int64_t i = 0; i < n; i++) {
            extra[i] = !p->linear_before_reset ? reset[i] * h[i]
                       : s->bias != NULL       ? s->bias[5 * n + i]
                                               : 0.0f;
        }
    }
    if (p->linear_before_reset) {
        hd_cpu_recurrent_product(s->rows, s->extra, n, s->h, n, hidden_r, s->entries, n, n);
        for (int64_t e = 0; e < s->entries; e++) {
            float *reset = gates + e * 3 * n + n;
            add_product(reset + n, reset, s->extra + e * n, n);
        }
    } else {
        hd_cpu_recurrent_product(s->rows, gates + 2 * n, 3 * n, s->extra, n, hidden_r, s->entries,
                                 n, n);
    }
    for (int64_t e = 0; e < s->entries; e++) {
        if (!s->alive[e]) {
            continue;
        }
        float *update = gates + e * 3 * n, *hidden = update + 2 * n, *h = s->h + e * n;
        clip(p, hidden, n);
        hd_cpu_cell_activate(&s->activations[1], hidden, n);
        for (int64_t i = 0; i < n; i++) {
            h[i] = (1.0f - update[i]) * hidden[i] + update[i] * h[i];
        }
    }
}

void hd_cpu_rnn_step(const hd_cpu_recurrent *p, const hd_cpu_recurrent_state *s, float *gates)
{
    int64_t n = p->hidden;
    hd_cpu_recurrent_product(s->rows, gates, n, s->h, n, s->r, s->entries, n, n);
    for (int64_t e = 0; e < s->entries; e++) {
        if (s->alive[e]) {
            clip(p, gates + e * n, n);
            hd_cpu_cell_activate(&s->activations[0], gates + e * n, n);
            memcpy(s->h + e * n, gates + e * n, (size_t)n * sizeof *gates);
        }
    }
}

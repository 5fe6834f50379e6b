/* LSTM, GRU and RNN against plain loops in double precision: both directions, lengths, peepholes; and
 * an entry of a batch has the bits that it has alone. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "support/operation_runner.h"

enum { MOST = 60000, HIDDEN_MOST = 64 };

static float source[MOST], w[MOST], r[MOST], b[2048], peepholes[1024];
static float all[MOST], last_h[MOST], last_c[MOST];

static int setup(void **state)
{
    (void)state;
    operation_fill_floats(source, MOST, 21);
    operation_fill_floats(w, MOST, 22);
    operation_fill_floats(r, MOST, 23);
    operation_fill_floats(b, 2048, 24);
    operation_fill_floats(peepholes, 1024, 25);
    for (int i = 0; i < MOST; i++) { /* states that stay in the functions' bent part */
        w[i] *= 0.4f;
        r[i] *= 0.4f;
    }
    return 0;
}

typedef struct shape {
    int64_t steps, batch, inputs, hidden, directions, gates;
} shape;

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* Row `row` of the gates: x · W + bias of W, and h · R + bias of R apart. */
static void gate(const shape *s, int64_t d, int64_t row, const float *x, const double *h,
                 double *of_x, double *of_h)
{
    int64_t size = s->gates * s->hidden;
    *of_x = (double)b[d * 2 * size + row];
    *of_h = (double)b[d * 2 * size + size + row];
    for (int64_t i = 0; i < s->inputs; i++) {
        *of_x += (double)x[i] * (double)w[(d * size + row) * s->inputs + i];
    }
    for (int64_t i = 0; i < s->hidden; i++) {
        *of_h += h[i] * (double)r[(d * size + row) * s->hidden + i];
    }
}

static void step(const shape *s, int64_t d, const float *x, double *h, double *c)
{
    double next[HIDDEN_MOST], a[4], g[4], reset_h[HIDDEN_MOST];
    int64_t n = s->hidden;
    for (int64_t j = 0; j < n && s->gates == 3; j++) { /* GRU: reset gates come first */
        gate(s, d, n + j, x, h, &a[0], &g[0]);
        reset_h[j] = sigmoid(a[0] + g[0]) * h[j];
    }
    for (int64_t j = 0; j < n; j++) {
        const float *p = peepholes + d * 3 * n + j;
        for (int64_t k = 0; k < s->gates; k++) {
            gate(s, d, k * n + j, x, s->gates == 3 && k == 2 ? reset_h : h, &a[k], &g[k]);
            a[k] += g[k];
        }
        if (s->gates == 4) {
            double forget = sigmoid(a[2] + (double)p[2 * n] * c[j]);
            c[j] = forget * c[j] + sigmoid(a[0] + (double)p[0] * c[j]) * tanh(a[3]);
            next[j] = sigmoid(a[1] + (double)p[n] * c[j]) * tanh(c[j]);
        } else {
            double z = sigmoid(a[0]);
            next[j] = s->gates == 3 ? (1 - z) * tanh(a[2]) + z * h[j] : tanh(a[0]);
        }
    }
    memcpy(h, next, sizeof next[0] * (size_t)n);
}

static void reference(const shape *s, const int32_t *lengths, bool reverse)
{
    memset(all, 0, sizeof all);
    for (int64_t at = 0; at < s->directions * s->batch; at++) {
        int64_t d = at / s->batch, e = at % s->batch;
        double h[HIDDEN_MOST] = {0}, c[HIDDEN_MOST] = {0};
        for (int64_t i = 0; i < lengths[e]; i++) {
            int64_t time = d == 1 || reverse ? lengths[e] - 1 - i : i;
            step(s, d, source + (time * s->batch + e) * s->inputs, h, c);
            for (int64_t j = 0; j < s->hidden; j++) {
                all[((time * s->directions + d) * s->batch + e) * s->hidden + j] = (float)h[j];
            }
        }
        for (int64_t j = 0; j < s->hidden; j++) {
            last_h[at * s->hidden + j] = (float)h[j];
            last_c[at * s->hidden + j] = (float)c[j];
        }
    }
}

static void check(const char *type, const char *direction, shape s)
{
    int32_t lengths[32];
    for (int64_t e = 0; e < s.batch; e++) {
        lengths[e] = (int32_t)(s.steps - e % s.steps);
    }
    int64_t n = s.hidden;
    reference(&s, lengths, strcmp(direction, "reverse") == 0);
    hd_attribute attributes[] = {operation_int("hidden_size", n),
                                 operation_string("direction", direction)};
    operation_case test = {
        .type = type,
        .opset = 14,
        .attributes = attributes,
        .attribute_count = 2,
        .inputs = {OPERATION_TENSOR(HD_FLOAT32, source, s.steps, s.batch, s.inputs),
                   OPERATION_TENSOR(HD_FLOAT32, w, s.directions, s.gates * n, s.inputs),
                   OPERATION_TENSOR(HD_FLOAT32, r, s.directions, s.gates * n, n),
                   OPERATION_TENSOR(HD_FLOAT32, b, s.directions, 2 * s.gates * n),
                   OPERATION_TENSOR(HD_INT32, lengths, s.batch)},
        .input_count = s.gates == 4 ? 8 : 5,
        .output_count = s.gates == 4 ? 3 : 2};
    if (s.gates == 4) {
        test.inputs[7] = OPERATION_TENSOR(HD_FLOAT32, peepholes, s.directions, 3 * n);
    }
    hd_tensor wanted[] = {OPERATION_TENSOR(HD_FLOAT32, all, s.steps, s.directions, s.batch, n),
                          OPERATION_TENSOR(HD_FLOAT32, last_h, s.directions, s.batch, n),
                          OPERATION_TENSOR(HD_FLOAT32, last_c, s.directions, s.batch, n)};
    operation_result result;
    if (operation_run(&test, &result) != HD_OK) {
        fail_msg("%s", result.error.message);
    }
    for (size_t i = 0; i < test.output_count; i++) {
        operation_check_close(&result.outputs[i], &wanted[i], 1e-4, 1e-5);
    }
    operation_result_clear(&result);
    operation_check_partitions(&test);
}

static void check_all(const char *type, int64_t gates)
{
    check(type, "forward", (shape){1, 1, 3, 5, 1, gates});
    check(type, "reverse", (shape){9, 3, 17, 21, 1, gates});
    check(type, "bidirectional", (shape){70, 1, 4, 19, 2, gates});
    check(type, "bidirectional", (shape){5, 11, 9, 16, 2, gates});
}

static void lstm_follows_its_equations(void **state)
{
    (void)state;
    check_all("LSTM", 4);
}

static void gru_follows_its_equations(void **state)
{
    (void)state;
    check_all("GRU", 3);
}

static void rnn_follows_its_equations(void **state)
{
    (void)state;
    check_all("RNN", 1);
}

static void an_entry_of_a_batch_has_its_own_bits(void **state)
{
    (void)state;
    enum { STEPS = 6, BATCH = 13, INPUTS = 10, HIDDEN = 24 };
    static float alone[STEPS * INPUTS];
    for (int i = 0; i < STEPS; i++) {
        memcpy(alone + i * INPUTS, source + (i * BATCH + 9) * INPUTS, INPUTS * sizeof(float));
    }
    operation_case many = {.type = "LSTM",
                           .opset = 14,
                           .inputs = {OPERATION_TENSOR(HD_FLOAT32, source, STEPS, BATCH, INPUTS),
                                      OPERATION_TENSOR(HD_FLOAT32, w, 1, 4 * HIDDEN, INPUTS),
                                      OPERATION_TENSOR(HD_FLOAT32, r, 1, 4 * HIDDEN, HIDDEN)},
                           .input_count = 3,
                           .output_count = 2};
    operation_case one = many;
    one.inputs[0] = OPERATION_TENSOR(HD_FLOAT32, alone, STEPS, 1, INPUTS);
    operation_result a, c;
    assert_int_equal(operation_run(&many, &a), HD_OK);
    assert_int_equal(operation_run(&one, &c), HD_OK);
    assert_memory_equal((float *)a.outputs[1].data + 9 * HIDDEN, c.outputs[1].data,
                        HIDDEN * sizeof(float));
    operation_result_clear(&a);
    operation_result_clear(&c);
}

static void unknown_activations_are_refused(void **state)
{
    (void)state;
    hd_attribute attributes[] = {operation_string("activations", "Sigmoid,Wave,Tanh")};
    operation_case test = {.type = "LSTM",
                           .opset = 14,
                           .attributes = attributes,
                           .attribute_count = 1,
                           .inputs = {OPERATION_TENSOR(HD_FLOAT32, source, 2, 1, 3),
                                      OPERATION_TENSOR(HD_FLOAT32, w, 1, 16, 3),
                                      OPERATION_TENSOR(HD_FLOAT32, r, 1, 16, 4)},
                           .input_count = 3};
    operation_result result;
    assert_int_equal(operation_run(&test, &result), HD_BAD_MODEL);
    operation_result_clear(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lstm_follows_its_equations),
        cmocka_unit_test(gru_follows_its_equations),
        cmocka_unit_test(rnn_follows_its_equations),
        cmocka_unit_test(an_entry_of_a_batch_has_its_own_bits),
        cmocka_unit_test(unknown_activations_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}

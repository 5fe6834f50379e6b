/* ONNX's Attention against its definition in double precision, over groups of heads, caches, masks, windows and both
 * layouts; and the bits of several tiles. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "operation_runner.h"

typedef struct sizes {
    int64_t batch, heads, key_heads, queries, fresh, past, query_width, value_width;
    bool is_flat, is_causal, has_lengths;
    float scale, softcap;
    int64_t left, right;
    int mask; /* 0 none, 1 float [T, S], 2 bool [B, 1, T, S], 3 float, shorter */
} sizes;

static float *floats(int64_t count, uint32_t seed)
{
    float *values = hd_alloc_aligned((size_t)(count + 1) * sizeof *values);
    assert_non_null(values);
    operation_fill_floats(values, count, seed);
    return values;
}

/* Element d of a row of an operand in either layout. */
static double at(const sizes *s, const float *x, int64_t heads, int64_t sequence, int64_t width,
                 int64_t b, int64_t h, int64_t i, int64_t d)
{
    return (double)(s->is_flat ? x[((b * sequence + i) * heads + h) * width + d]
                               : x[((b * heads + h) * sequence + i) * width + d]);
}

/* Row j of the past and the new keys or values. */
static double joined_at(const sizes *s, const float *past, const float *fresh, int64_t width,
                        int64_t b, int64_t g, int64_t j, int64_t d)
{
    return j < s->past ? (double)past[((b * s->key_heads + g) * s->past + j) * width + d]
                       : at(s, fresh, s->key_heads, s->fresh, width, b, g, j - s->past, d);
}

typedef struct operands {
    float *q, *k, *v, *past_k, *past_v, *mask;
    uint8_t *seen;
    int64_t *lengths;
    int64_t mask_keys;
} operands;

/* What is added to the score of key j; -inf hides it. */
static double bias_of(const sizes *s, const operands *o, int64_t b, int64_t i, int64_t j)
{
    const int64_t keys = s->past + s->fresh;
    const int64_t offset = s->has_lengths ? o->lengths[b] - s->queries : s->past;
    if ((s->has_lengths && j >= o->lengths[b]) || (s->is_causal && j > i + offset) ||
        (s->left >= 0 && j < i + offset - s->left) ||
        (s->right >= 0 && j > i + offset + s->right)) {
        return -INFINITY;
    }
    if (s->mask == 2) {
        return o->seen[(b * s->queries + i) * keys + j] != 0 ? 0.0 : -INFINITY;
    }
    return s->mask == 0       ? 0.0
           : j < o->mask_keys ? (double)o->mask[i * o->mask_keys + j]
                              : -INFINITY;
}

static void attend(const sizes *s, const operands *o, int64_t b, int64_t h, int64_t i, double *y)
{
    const int64_t keys = s->past + s->fresh, g = h / (s->heads / s->key_heads);
    double *scores = hd_alloc((size_t)(keys + 1) * sizeof *scores);
    double most = -INFINITY, sum = 0.0;
    for (int64_t j = 0; j < keys; j++) {
        double score = 0.0;
        for (int64_t d = 0; d < s->query_width; d++) {
            score += at(s, o->q, s->heads, s->queries, s->query_width, b, h, i, d) *
                     joined_at(s, o->past_k, o->k, s->query_width, b, g, j, d);
        }
        score *= (double)s->scale;
        score = s->softcap != 0.0f ? (double)s->softcap * tanh(score / (double)s->softcap) : score;
        scores[j] = score + bias_of(s, o, b, i, j);
        most = scores[j] > most ? scores[j] : most;
    }
    for (int64_t j = 0; j < keys; j++) {
        scores[j] = most == -INFINITY ? 0.0 : exp(scores[j] - most);
        sum += scores[j];
    }
    for (int64_t e = 0; e < s->value_width; e++) {
        y[e] = 0.0;
        for (int64_t j = 0; j < keys && sum > 0.0; j++) {
            y[e] += scores[j] / sum * joined_at(s, o->past_v, o->v, s->value_width, b, g, j, e);
        }
    }
    hd_free(scores);
}

static operands make_operands(const sizes *s)
{
    const int64_t keys = s->past + s->fresh;
    operands o = {.q = floats(s->batch * s->heads * s->queries * s->query_width, 1),
                  .k = floats(s->batch * s->key_heads * s->fresh * s->query_width, 2),
                  .v = floats(s->batch * s->key_heads * s->fresh * s->value_width, 3),
                  .past_k = floats(s->batch * s->key_heads * s->past * s->query_width, 4),
                  .past_v = floats(s->batch * s->key_heads * s->past * s->value_width, 5),
                  .mask_keys = s->mask == 3 ? keys / 2 : keys,
                  .seen = hd_alloc((size_t)(s->batch * s->queries * keys + 1)),
                  .lengths = hd_alloc((size_t)s->batch * sizeof(int64_t))};
    o.mask = floats(s->queries * o.mask_keys, 6);
    for (int64_t i = 0; i < s->queries * o.mask_keys; i++) {
        o.mask[i] =
            i % 7 == 3 || i < o.mask_keys ? -INFINITY : o.mask[i]; /* the first row sees nothing */
    }
    for (int64_t i = 0; i < s->batch * s->queries * keys; i++) {
        o.seen[i] = i % 5 != 2 && i >= keys;
    }
    for (int64_t b = 0; b < s->batch; b++) {
        o.lengths[b] = keys - 2 * b;
    }
    return o;
}

static void check(const sizes *s)
{
    operands o = make_operands(s);
    const int64_t keys = s->past + s->fresh;
    hd_attribute attributes[8] = {
        operation_int("is_causal", s->is_causal),     operation_float("scale", s->scale),
        operation_float("softcap", s->softcap),       operation_int("left_window_size", s->left),
        operation_int("right_window_size", s->right), operation_int("q_num_heads", s->heads),
        operation_int("kv_num_heads", s->key_heads)};
    operation_case test = {.type = "Attention",
                           .opset = 25,
                           .attributes = attributes,
                           .attribute_count = s->is_flat ? 7 : 5,
                           .input_count = 7,
                           .output_count = s->past > 0 ? 3 : 1};
    if (s->is_flat) {
        test.inputs[0] =
            OPERATION_TENSOR(HD_FLOAT32, o.q, s->batch, s->queries, s->heads * s->query_width);
        test.inputs[1] =
            OPERATION_TENSOR(HD_FLOAT32, o.k, s->batch, s->fresh, s->key_heads * s->query_width);
        test.inputs[2] =
            OPERATION_TENSOR(HD_FLOAT32, o.v, s->batch, s->fresh, s->key_heads * s->value_width);
    } else {
        test.inputs[0] =
            OPERATION_TENSOR(HD_FLOAT32, o.q, s->batch, s->heads, s->queries, s->query_width);
        test.inputs[1] =
            OPERATION_TENSOR(HD_FLOAT32, o.k, s->batch, s->key_heads, s->fresh, s->query_width);
        test.inputs[2] =
            OPERATION_TENSOR(HD_FLOAT32, o.v, s->batch, s->key_heads, s->fresh, s->value_width);
    }
    if (s->mask == 2) {
        test.inputs[3] = OPERATION_TENSOR(HD_BOOL, o.seen, s->batch, 1, s->queries, keys);
    } else if (s->mask != 0) {
        test.inputs[3] = OPERATION_TENSOR(HD_FLOAT32, o.mask, s->queries, o.mask_keys);
    }
    if (s->past > 0) {
        test.inputs[4] =
            OPERATION_TENSOR(HD_FLOAT32, o.past_k, s->batch, s->key_heads, s->past, s->query_width);
        test.inputs[5] =
            OPERATION_TENSOR(HD_FLOAT32, o.past_v, s->batch, s->key_heads, s->past, s->value_width);
    }
    if (s->has_lengths) {
        test.inputs[6] = OPERATION_TENSOR(HD_INT64, o.lengths, s->batch);
    }
    operation_result result;
    if (operation_run(&test, &result) != HD_OK) {
        fail_msg("%s", result.error.message);
    }
    const float *y = result.outputs[0].data;
    double *expected = hd_alloc((size_t)s->value_width * sizeof *expected);
    for (int64_t n = 0; n < s->batch * s->heads * s->queries; n++) {
        const int64_t b = n / s->queries / s->heads, h = n / s->queries % s->heads,
                      i = n % s->queries;
        attend(s, &o, b, h, i, expected);
        for (int64_t e = 0; e < s->value_width; e++) {
            const double got = at(s, y, s->heads, s->queries, s->value_width, b, h, i, e);
            if (!(fabs(got - expected[e]) <= 1e-5)) {
                fail_msg("entry %d, head %d, query %d, element %d: %g, expected %g", (int)b, (int)h,
                         (int)i, (int)e, got, expected[e]);
            }
        }
    }
    for (int64_t n = 0; s->past > 0 && n < s->batch * s->key_heads * keys * s->value_width; n++) {
        const int64_t e = n % s->value_width, j = n / s->value_width % keys,
                      head = n / s->value_width / keys;
        const double value = joined_at(s, o.past_v, o.v, s->value_width, head / s->key_heads,
                                       head % s->key_heads, j, e);
        assert_true((double)((const float *)result.outputs[2].data)[n] == value);
    }
    operation_result_clear(&result);
    operation_check_partitions(&test);
    hd_free(expected);
    void *owned[] = {o.q, o.k, o.v, o.past_k, o.past_v, o.mask, o.seen, o.lengths};
    for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++) {
        hd_free(owned[i]);
    }
}

static void attention_is_its_definition(void **state)
{
    (void)state;
    for (int mask = 0; mask < 4; mask++) {
        for (int form = 0; form < 16; form++) {
            sizes s = {.batch = 2,
                       .heads = 6,
                       .key_heads = (form & 1) != 0 ? 2 : 6,
                       .queries = 5,
                       .fresh = 7,
                       .past = (form & 2) != 0 ? 4 : 0,
                       .query_width = 9,
                       .value_width = 5,
                       .is_flat = (form & 4) != 0,
                       .is_causal = (form & 8) != 0,
                       .has_lengths = (form & 2) == 0 && mask % 2 == 0,
                       .scale = form == 3 ? 0.0f : 0.7f,
                       .softcap = mask == 1 ? 1.5f : 0.0f,
                       .left = form % 3 == 1 ? 2 : -1,
                       .right = form % 4 == 2 ? 1 : -1,
                       .mask = mask};
            check(&s);
        }
    }
}

static void rows_of_several_blocks_have_the_same_bits(void **state)
{
    (void)state;
    check(&(sizes){.batch = 1,
                   .heads = 4,
                   .key_heads = 2,
                   .queries = 300,
                   .fresh = 300,
                   .query_width = 16,
                   .value_width = 24,
                   .is_causal = true,
                   .scale = 0.25f,
                   .left = -1,
                   .right = -1});
    check(&(sizes){.batch = 1,
                   .heads = 4,
                   .key_heads = 2,
                   .queries = 150,
                   .fresh = 150,
                   .past = 37,
                   .query_width = 16,
                   .value_width = 24,
                   .is_causal = true,
                   .scale = 0.25f,
                   .left = 20,
                   .right = -1,
                   .mask = 1});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention_is_its_definition),
        cmocka_unit_test(rows_of_several_blocks_have_the_same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

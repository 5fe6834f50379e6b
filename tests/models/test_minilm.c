/* MiniLM gives what ONNX Runtime gives, within 1e-4. tests/models/make_minilm.py made what is
 * expected; the model is the one that tools/fetch-model gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "model_case.h"
#include "support/test_device.h"

#define FOLDER  HD_TEST_SOURCE_DIR "/tests/models/minilm"
#define LIMIT   256 /* tokens */
#define WIDTH   384 /* numbers a token */
#define SAMPLES 8   /* of which so many are expected */

/* The model's outputs: ids, mask, [B, T, WIDTH], [B, WIDTH]. */
enum { TOKENS = 2, SENTENCES = 3, OUTPUTS = 4 };

static const model_tolerance tolerance = {.absolute = 1e-4};

/* As make_inputs in make_minilm.py. */
static void make_inputs(int64_t batch, int64_t length, int64_t *ids, int64_t *mask)
{
    uint32_t state = (uint32_t)(batch * 1000 + length);
    for (int64_t row = 0; row < batch; row++) {
        for (int64_t t = 0; t < length; t++) {
            state = state * 1664525 + 1013904223;
            ids[row * length + t] = 1000 + (state >> 8) % 29000;
            mask[row * length + t] = t < length - row * length / (2 * batch);
        }
    }
}

/* As sample in make_minilm.py: [B, T, WIDTH] to [B, T, SAMPLES]. */
static void sample(hd_tensor *tokens, float *memory)
{
    const float *numbers = tokens->data;
    size_t count = tokens->size / (WIDTH * sizeof *numbers);
    for (size_t i = 0; i < count * SAMPLES; i++) {
        size_t token = i / SAMPLES, place = token + i % SAMPLES * (WIDTH / SAMPLES);
        memory[i] = numbers[token * WIDTH + place % WIDTH];
    }
    tokens->data = memory;
    tokens->dims[2] = SAMPLES;
    tokens->size = count * SAMPLES * sizeof *memory;
}

static void compare(const hd_tensor *got, const char *what, int64_t batch, int64_t length,
                    size_t output)
{
    char path[1024], reason[MODEL_CASE_TEXT_SIZE];
    hd_tensor expected = {0};
    hd_error error = {0};
    snprintf(path, sizeof path, FOLDER "/%s_%dx%d.npy", what, (int)batch, (int)length);
    if (hd_tensor_load(path, &expected, &error) != HD_OK) {
        fail_msg("%s", error.message);
    }
    if (!model_case_compare(got, &expected, &tolerance, output, reason)) {
        fail_msg("%s, %dx%d: %s", what, (int)batch, (int)length, reason);
    }
    hd_tensor_release(&expected);
}

static void check(hd_model *model, int64_t batch, int64_t length)
{
    static int64_t ids[LIMIT], mask[LIMIT];
    static float samples[LIMIT * SAMPLES];
    size_t size = (size_t)(batch * length) * sizeof ids[0];
    hd_tensor inputs[] = {{.name = "input_ids", .data = ids, .size = size},
                          {.name = "attention_mask", .data = mask, .size = size}};
    hd_tensor outputs[OUTPUTS] = {0};
    hd_error error = {0};
    make_inputs(batch, length, ids, mask);
    for (size_t i = 0; i < 2; i++) {
        inputs[i].dtype = HD_INT64;
        inputs[i].rank = 2;
        inputs[i].dims[0] = batch;
        inputs[i].dims[1] = length;
    }
    if (hd_model_run(model, inputs, 2, outputs, OUTPUTS, &error) != HD_OK) {
        fail_msg("%s", error.message);
    }
    hd_tensor tokens = outputs[TOKENS];
    assert_int_equal(tokens.dims[2], WIDTH);
    sample(&tokens, samples);
    compare(&tokens, "tokens", batch, length, TOKENS);
    compare(&outputs[SENTENCES], "sentences", batch, length, SENTENCES);
    for (size_t i = 0; i < OUTPUTS; i++) {
        hd_tensor_release(&outputs[i]);
    }
}

static void minilm_is_within_1e4_of_onnx_runtime(void **state)
{
    (void)state;
    const char *path = getenv("HEDDLE_MINILM");
    hd_device *device = NULL;
    hd_model *model = NULL;
    hd_error error = {0};
    if (path == NULL || access(path, R_OK) != 0) {
        print_message(
            "SKIPPED: MiniLM's file is not there; HEDDLE_MINILM=$(tools/fetch-model) names it\n");
        skip();
    }
    assert_int_equal(hd_device_open(test_device_name(), NULL, &device, NULL), HD_OK);
    if (hd_model_load(device, path, NULL, &model, &error) != HD_OK) {
        fail_msg("%s", error.message);
    }
    check(model, 1, 16);
    check(model, 1, 128);
    check(model, 8, 32);
    hd_model_destroy(&model);
    hd_device_destroy(&device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(minilm_is_within_1e4_of_onnx_runtime),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

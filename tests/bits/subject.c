#include "subject.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/process.h"
#include "cli/random.h"

#define TOKENS    48
#define ROW_LIMIT 8 /* rows of a batch that is compared row by row */

const char *subject_minilm_path;

/* Rows of tokens: random ids, a mask that ends earlier in each row, and zeros for the type. */
static int64_t *make_tokens(void)
{
    hd_random_generator generator = {17};
    int64_t *tokens = calloc(3 * SUBJECT_THREADS * TOKENS, sizeof *tokens);
    assert_non_null(tokens);
    for (size_t i = 0; i < SUBJECT_THREADS * TOKENS; i++) {
        tokens[i] = (int64_t)(1000 + hd_random_next(&generator) % 20000);
        tokens[SUBJECT_THREADS * TOKENS + i] = i % TOKENS < TOKENS - i / TOKENS;
    }
    return tokens;
}

/* Inputs, outputs and what they are compared with shall take a third of what is free, or, with a
 * sanitizer's shadow memory, a tenth. */
static size_t count_input_sets(const hd_case_definition *definition)
{
    uint64_t size = (uint64_t)hd_case_element_count(&definition->output) * sizeof(float);
    uint64_t budget = hd_process_available_bytes() / (SUBJECT_SANITIZED ? 10 : 3);
    if (budget == 0 || size * 2 * SUBJECT_THREADS <= budget) {
        return SUBJECT_THREADS;
    }
    uint64_t outputs = size * SUBJECT_THREADS;
    uint64_t fitting = budget > outputs + size ? (budget - outputs) / size : 1;
    return fitting < SUBJECT_THREADS ? (size_t)fitting : SUBJECT_THREADS;
}

bool subject_open(size_t index, subject *out_subject)
{
    *out_subject = (subject){.output_count = 1, .input_sets = SUBJECT_THREADS};
    if (index == SUBJECT_MINILM) {
        out_subject->name = "minilm";
        if (subject_minilm_path == NULL) {
            return false;
        }
        out_subject->tokens = make_tokens();
        return true;
    }
    const hd_case_definition *definition = &hd_case_definitions[index];
    out_subject->name = definition->name;
    out_subject->definition = definition;
    out_subject->input_count = definition->input_count;
    out_subject->input_sets = count_input_sets(definition);
    assert_true(hd_case_weights_create(definition, &out_subject->weights));
    assert_true(hd_case_inputs_create(definition, out_subject->input_sets, CASE_STEP_UNALIGNED,
                                      &out_subject->inputs));
    return true;
}

void subject_close(subject *subject)
{
    hd_case_weights_free(&subject->weights);
    hd_case_inputs_free(&subject->inputs);
    free(subject->tokens);
}

static hd_model *finish_load(subject *subject, hd_model *model, hd_status status,
                             const hd_error *error)
{
    if (status != HD_OK) {
        fail_msg("%s: %s", subject->name, error->message);
    }
    subject->input_count = hd_model_input_count(model);
    subject->output_count = hd_model_output_count(model);
    assert_in_range(subject->input_count, 1, 3);
    assert_in_range(subject->output_count, 1, SUBJECT_TENSORS);
    return model;
}

hd_model *subject_load(subject *subject, hd_device *device)
{
    hd_model *model = NULL;
    hd_error error = {0};
    hd_status status = subject->definition != NULL
                           ? hd_case_model_create(device, subject->definition, &subject->weights,
                                                  true, &model, &error)
                           : hd_model_load(device, subject_minilm_path, NULL, &model, &error);
    return finish_load(subject, model, status, &error);
}

hd_model *subject_load_stacked(subject *subject, hd_device *device)
{
    hd_model *model = NULL;
    hd_error error = {0};
    hd_status status = hd_case_model_create_stacked(device, subject->definition, &subject->weights,
                                                    &model, &error);
    return finish_load(subject, model, status, &error);
}

/* The inputs of MiniLM come in the order ids, mask, types. */
static subject_tensors token_rows(const subject *subject, int64_t first, int64_t count,
                                  int64_t length)
{
    subject_tensors result = {0};
    for (size_t i = 0; i < subject->input_count; i++) {
        int64_t *rows = subject->tokens + ((int64_t)i * SUBJECT_THREADS + first) * TOKENS;
        result.tensors[i] = (hd_tensor){.dtype = HD_INT64,
                                        .rank = 2,
                                        .dims = {count, length},
                                        .data = rows,
                                        .size = (size_t)(count * length) * sizeof *rows};
    }
    return result;
}

subject_tensors subject_inputs(const subject *subject, size_t thread)
{
    subject_tensors result = {0};
    size_t set = thread % subject->input_sets;
    if (subject->definition == NULL) {
        return token_rows(subject, (int64_t)set, 1, TOKENS);
    }
    hd_case_inputs_get(&subject->inputs, set, result.tensors);
    return result;
}

static void set_size(hd_tensor *tensor)
{
    tensor->size = hd_dtype_size(tensor->dtype);
    for (uint32_t i = 0; i < tensor->rank; i++) {
        tensor->size *= (size_t)tensor->dims[i];
    }
}

/* The inputs of thread 0 as batches. One of three dimensions is cut into 8 rows (where the second
 * dimension is no sequence whose elements see one another). */
static subject_tensors batch_of(const subject *subject)
{
    subject_tensors result = subject_inputs(subject, 0);
    hd_tensor *batch = &result.tensors[0];
    if (batch->rank == 3 && subject->definition->input_count == 1) {
        bool is_sequence = strncmp(subject->name, "transformer", 11) == 0;
        batch->dims[1] = is_sequence ? 64 : batch->dims[0] * batch->dims[1] / 64;
        batch->dims[0] = ROW_LIMIT;
        set_size(batch);
    }
    return result;
}

int64_t subject_row_count(const subject *subject)
{
    if (subject->definition == NULL) {
        return ROW_LIMIT;
    }
    int64_t rows = batch_of(subject).tensors[0].dims[0];
    return rows < ROW_LIMIT ? rows : ROW_LIMIT;
}

static void take_rows(hd_tensor *tensor, int64_t first, int64_t count)
{
    size_t row_size = tensor->size / (size_t)tensor->dims[0];
    tensor->data = (char *)tensor->data + (size_t)first * row_size;
    tensor->dims[0] = count;
    tensor->size = (size_t)count * row_size;
}

subject_tensors subject_rows(const subject *subject, int64_t first, int64_t count)
{
    if (subject->definition == NULL) {
        return token_rows(subject, first, count, TOKENS);
    }
    subject_tensors result = batch_of(subject);
    take_rows(&result.tensors[0], first, count);
    if (subject->definition->input_count == 2 && result.tensors[1].rank == 3) {
        take_rows(&result.tensors[1], first, count);
    }
    return result;
}

subject_tensors subject_stacked(const subject *subject, size_t first, size_t count)
{
    subject_tensors result = {0};
    for (size_t i = 0; i < subject->input_count; i++) {
        hd_tensor *stacked = &result.tensors[i];
        for (size_t k = 0; k < count; k++) {
            hd_tensor part = subject_inputs(subject, first + k).tensors[i];
            if (k == 0) {
                *stacked = part;
                stacked->data = malloc(part.size * count);
                assert_non_null(stacked->data);
            }
            memcpy((char *)stacked->data + k * part.size, part.data, part.size);
        }
        hd_case_stack(subject->definition, stacked);
        stacked->dims[0] *= (int64_t)count;
        stacked->size *= count;
    }
    return result;
}

void subject_free_stacked(const subject *subject, subject_tensors *stacked)
{
    for (size_t i = 0; i < subject->input_count; i++) {
        free(stacked->tensors[i].data);
    }
}

subject_tensors subject_reshaped(const subject *subject, size_t turn)
{
    if (subject->definition == NULL) {
        return token_rows(subject, 0, 1 + (int64_t)(turn % 3), 1 + (int64_t)(turn * 7 % TOKENS));
    }
    subject_tensors result = subject_inputs(subject, turn);
    hd_tensor *first = &result.tensors[0], *second = &result.tensors[1];
    first->dims[0] = 1 + (int64_t)turn % first->dims[0];
    if (first->rank == 3 && second->rank == 3) {
        second->dims[0] = first->dims[0];
        set_size(second);
    } else if (first->rank == 3) {
        first->dims[1] = 1 + (int64_t)(turn * 5) % first->dims[1];
    }
    set_size(first);
    return result;
}

hd_status subject_run(const subject *subject, hd_model *model, const subject_tensors *inputs,
                      subject_tensors *outputs, hd_error *error)
{
    return hd_model_run(model, inputs->tensors, subject->input_count, outputs->tensors,
                        subject->output_count, error);
}

void subject_release(const subject *subject, subject_tensors *outputs)
{
    for (size_t i = 0; i < subject->output_count; i++) {
        hd_tensor_release(&outputs->tensors[i]);
    }
}

bool subject_equal(const subject *subject, const subject_tensors *outputs,
                   const subject_tensors *expected, const char *what)
{
    for (size_t i = 0; i < subject->output_count; i++) {
        const hd_tensor *a = &outputs->tensors[i], *b = &expected->tensors[i];
        if (a->dtype != b->dtype || a->rank != b->rank || a->size != b->size ||
            memcmp(a->dims, b->dims, a->rank * sizeof a->dims[0]) != 0) {
            fprintf(stderr, "%s, %s: output %zu has another type or shape\n", subject->name, what,
                    i);
            return false;
        }
        if (memcmp(a->data, b->data, a->size) != 0) {
            size_t byte = 0;
            while (((const char *)a->data)[byte] == ((const char *)b->data)[byte]) {
                byte++;
            }
            fprintf(stderr, "%s, %s: output %zu differs first in element %zu of %zu\n",
                    subject->name, what, i, byte / hd_dtype_size(a->dtype),
                    a->size / hd_dtype_size(a->dtype));
            return false;
        }
    }
    return true;
}

#include "graph_oracle.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "graph/evaluate.h"
#include "graph/graph.h"

#define MAGNITUDE_LIMIT 1000.0f
/* Relative to the value's largest element: what rounding may do to a value that is compared, and what
 * a plan may differ by. A wrong plan differs by far more. */
#define CONDITION_LIMIT 5e-5f
#define TOLERANCE       1e-3f
#define DISTURBANCE     4e-7f

static size_t byte_count(hd_dtype dtype, const hd_shape *shape)
{
    return (size_t)hd_shape_count(shape) * hd_dtype_size(dtype);
}

static void *copy_bytes(const void *data, size_t size)
{
    void *copy = hd_alloc_aligned(size);
    assert_non_null(copy);
    if (size > 0) {
        memcpy(copy, data, size);
    }
    return copy;
}

static void disturb(float *data, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        data[i] *= 1.0f + (i % 3 == 0 ? DISTURBANCE : i % 3 == 1 ? -DISTURBANCE : 0.0f);
    }
}

static void note(graph_oracle *oracle, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void note(graph_oracle *oracle, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    size_t room = sizeof oracle->trace - oracle->trace_size;
    int length = vsnprintf(oracle->trace + oracle->trace_size, room, format, arguments);
    va_end(arguments);
    if (length > 0) {
        oracle->trace_size += (size_t)length < room ? (size_t)length : room - 1;
    }
}

static void note_shape(graph_oracle *oracle, size_t place)
{
    char text[96];
    note(oracle, "%%%zu:%s[%s]", place, hd_dtype_name(oracle->values[place].dtype),
         hd_shape_text(&oracle->values[place].shape, text, sizeof text));
}

void oracle_create(graph_oracle *oracle)
{
    memset(oracle, 0, sizeof *oracle);
    assert_int_equal(hd_graph_create(24, &oracle->graph, NULL), HD_OK); /* the first with Swish */
}

void oracle_destroy(graph_oracle *oracle)
{
    for (size_t i = 0; i < oracle->value_count; i++) {
        hd_free(oracle->values[i].data);
        hd_free(oracle->values[i].disturbed);
    }
    hd_graph_destroy(&oracle->graph);
}

/* Takes data and disturbed over. */
static size_t add_value(graph_oracle *oracle, hd_value value, hd_dtype dtype, const hd_shape *shape,
                        void *data, void *disturbed)
{
    assert_true(oracle->value_count < ORACLE_VALUE_LIMIT);
    size_t place = oracle->value_count++;
    oracle->values[place] = (oracle_value){
        .value = value, .dtype = dtype, .shape = *shape, .data = data, .disturbed = disturbed};
    return place;
}

static void *disturbed_copy(hd_dtype dtype, const hd_shape *shape, const void *data)
{
    if (dtype != HD_FLOAT32) {
        return NULL;
    }
    float *copy = copy_bytes(data, byte_count(dtype, shape));
    disturb(copy, hd_shape_count(shape));
    return copy;
}

size_t oracle_input(graph_oracle *oracle, hd_dtype dtype, const hd_shape *shape, const void *data,
                    bool unknown)
{
    int64_t dims[HD_MAX_RANK];
    for (uint32_t d = 0; d < shape->rank; d++) {
        dims[d] = unknown ? -1 : shape->dims[d];
    }
    char name[32];
    snprintf(name, sizeof name, "input_%zu", oracle->input_count);
    hd_value value;
    assert_int_equal(
        hd_graph_add_input(oracle->graph, name, dtype, shape->rank, dims, &value, NULL), HD_OK);
    size_t place =
        add_value(oracle, value, dtype, shape, copy_bytes(data, byte_count(dtype, shape)),
                  disturbed_copy(dtype, shape, data));
    assert_true(oracle->input_count < ORACLE_INPUT_LIMIT);
    oracle->inputs[oracle->input_count++] = place;
    note_shape(oracle, place);
    note(oracle, " = input%s\n", unknown ? " of unknown shape" : "");
    return place;
}

size_t oracle_constant(graph_oracle *oracle, hd_dtype dtype, const hd_shape *shape,
                       const void *data)
{
    void *copy = copy_bytes(data, byte_count(dtype, shape));
    hd_tensor tensor = {
        .dtype = dtype, .rank = shape->rank, .data = copy, .size = byte_count(dtype, shape)};
    memcpy(tensor.dims, shape->dims, sizeof tensor.dims);
    hd_value value;
    assert_int_equal(hd_graph_add_constant(oracle->graph, &tensor, &value, NULL), HD_OK);
    size_t place = add_value(oracle, value, dtype, shape, copy, disturbed_copy(dtype, shape, data));
    oracle->values[place].constant = true;
    note_shape(oracle, place);
    note(oracle, " = constant");
    if (dtype == HD_INT64) {
        for (int64_t i = 0; i < hd_shape_count(shape) && i < 8; i++) {
            note(oracle, " %lld", (long long)((int64_t *)copy)[i]);
        }
    }
    note(oracle, "\n");
    return place;
}

/* Computes one node, from the disturbed values or the true ones. */
static bool evaluate(const graph_oracle *oracle, const hd_operator *entry, hd_operation *operation,
                     const size_t *inputs, bool disturbed)
{
    for (size_t i = 0; i < operation->input_count; i++) {
        operation->inputs[i] = (hd_operand){.dtype = HD_DTYPE_NONE};
        if (inputs[i] == ORACLE_NONE) {
            continue;
        }
        const oracle_value *value = &oracle->values[inputs[i]];
        operation->inputs[i] = (hd_operand){
            .dtype = value->dtype,
            .shape = value->shape,
            .data = disturbed && value->disturbed != NULL ? value->disturbed : value->data};
    }
    for (size_t i = 0; i < operation->output_count; i++) {
        operation->outputs[i] = (hd_operand){.dtype = HD_FLOAT32};
    }
    size_t needed;
    hd_error error;
    if (entry->infer(operation, &needed, &error) != HD_INFER_DONE) {
        return false;
    }
    for (size_t i = 0; i < operation->output_count; i++) {
        if (!hd_shape_is_valid(&operation->outputs[i].shape, operation->outputs[i].dtype) ||
            hd_shape_count(&operation->outputs[i].shape) > 200000) {
            return false;
        }
    }
    if ((entry->flags & HD_OPERATOR_VIEW) != 0) {
        const hd_operand *input = &operation->inputs[0];
        operation->outputs[0].data =
            copy_bytes(input->data, byte_count(input->dtype, &input->shape));
        return true;
    }
    return hd_evaluate(operation, &error) == HD_OK;
}

static void free_outputs(hd_operand *outputs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        void *data = (void *)(uintptr_t)outputs[i].data;
        hd_free(data);
    }
}

static float largest(const float *data, int64_t count)
{
    float most = 0;
    for (int64_t i = 0; i < count; i++) {
        if (!isfinite(data[i])) {
            return INFINITY;
        }
        most = fmaxf(most, fabsf(data[i]));
    }
    return most;
}

static bool is_comparable(const hd_operand *output, const void *disturbed)
{
    if (output->dtype != HD_FLOAT32) {
        return memcmp(output->data, disturbed, byte_count(output->dtype, &output->shape)) == 0;
    }
    int64_t count = hd_shape_count(&output->shape);
    const float *a = output->data, *b = disturbed;
    float most = largest(a, count);
    if (most > MAGNITUDE_LIMIT) {
        return false;
    }
    for (int64_t i = 0; i < count; i++) {
        if (!(fabsf(a[i] - b[i]) <= CONDITION_LIMIT * (most + 1e-3f))) {
            return false;
        }
    }
    return true;
}

static void note_node(graph_oracle *oracle, const hd_operation *operation, const size_t *inputs,
                      const size_t *outputs)
{
    for (size_t i = 0; i < operation->output_count; i++) {
        note_shape(oracle, outputs[i]);
        note(oracle, " ");
    }
    note(oracle, "= %s", hd_operator_name(operation->id));
    for (size_t i = 0; i < operation->input_count; i++) {
        if (inputs[i] == ORACLE_NONE) {
            note(oracle, " -");
        } else {
            note(oracle, " %%%zu", inputs[i]);
        }
    }
    for (size_t i = 0; i < operation->attribute_count; i++) {
        const hd_attribute *attribute = &operation->attributes[i];
        note(oracle, " %s=", attribute->name);
        if (attribute->kind == HD_ATTRIBUTE_INT) {
            note(oracle, "%lld", (long long)attribute->i);
        } else if (attribute->kind == HD_ATTRIBUTE_FLOAT) {
            note(oracle, "%g", (double)attribute->f);
        } else if (attribute->kind == HD_ATTRIBUTE_STRING) {
            note(oracle, "%s", attribute->s);
        }
        for (size_t j = 0; attribute->kind == HD_ATTRIBUTE_INTS && j < attribute->count; j++) {
            note(oracle, "%s%lld", j == 0 ? "" : ",", (long long)attribute->ints[j]);
        }
    }
    note(oracle, "\n");
}

bool oracle_node(graph_oracle *oracle, const char *type, const size_t *inputs, size_t input_count,
                 const hd_attribute *attributes, size_t attribute_count, size_t *out_values,
                 size_t output_count)
{
    const hd_operator *entry = hd_operator_find(type);
    assert_non_null(entry);
    assert_true(input_count <= 16 && output_count <= 8);
    hd_operand in[16], out[8], disturbed[8];
    hd_operation operation = {.id = entry->id,
                              .name = "",
                              .opset = 21,
                              .attributes = attributes,
                              .attribute_count = attribute_count,
                              .inputs = in,
                              .input_count = input_count,
                              .outputs = disturbed,
                              .output_count = output_count};
    if (!evaluate(oracle, entry, &operation, inputs, true)) {
        return false;
    }
    operation.outputs = out;
    if (!evaluate(oracle, entry, &operation, inputs, false)) {
        free_outputs(disturbed, output_count);
        return false;
    }
    bool good = true;
    for (size_t i = 0; i < output_count; i++) {
        good = good && hd_shape_equal(&out[i].shape, &disturbed[i].shape) &&
               is_comparable(&out[i], disturbed[i].data);
    }
    if (!good) {
        free_outputs(disturbed, output_count);
        free_outputs(out, output_count);
        return false;
    }
    hd_value values[16], made[8];
    for (size_t i = 0; i < input_count; i++) {
        values[i] = inputs[i] == ORACLE_NONE ? HD_VALUE_NONE : oracle->values[inputs[i]].value;
    }
    hd_error error;
    if (hd_graph_add_node(oracle->graph, type, values, input_count, attributes, attribute_count,
                          made, output_count, &error) != HD_OK) {
        fail_msg("%s\n%s", error.message, oracle->trace);
    }
    for (size_t i = 0; i < input_count; i++) {
        oracle->values[inputs[i] == ORACLE_NONE ? 0 : inputs[i]].readers +=
            inputs[i] != ORACLE_NONE;
    }
    for (size_t i = 0; i < output_count; i++) {
        void *true_data = (void *)(uintptr_t)out[i].data,
             *other = (void *)(uintptr_t)disturbed[i].data;
        if (out[i].dtype != HD_FLOAT32) {
            hd_free(other);
            other = NULL;
        } else {
            disturb(other, hd_shape_count(&out[i].shape));
        }
        out_values[i] = add_value(oracle, made[i], out[i].dtype, &out[i].shape, true_data, other);
    }
    note_node(oracle, &operation, inputs, out_values);
    return true;
}

static hd_tensor as_tensor(const oracle_value *value)
{
    hd_tensor tensor = {.dtype = value->dtype,
                        .rank = value->shape.rank,
                        .data = value->data,
                        .size = byte_count(value->dtype, &value->shape)};
    memcpy(tensor.dims, value->shape.dims, sizeof tensor.dims);
    return tensor;
}

static void check_output(const graph_oracle *oracle, const hd_tensor *got, size_t place)
{
    const oracle_value *wanted = &oracle->values[place];
    hd_shape shape = {.rank = got->rank};
    memcpy(shape.dims, got->dims, got->rank * sizeof *got->dims);
    char is[96], should[96];
    if (got->dtype != wanted->dtype || !hd_shape_equal(&shape, &wanted->shape)) {
        fail_msg("%%%zu is %s[%s], not [%s]\n%s", place, hd_dtype_name(got->dtype),
                 hd_shape_text(&shape, is, sizeof is),
                 hd_shape_text(&wanted->shape, should, sizeof should), oracle->trace);
    }
    if (got->dtype != HD_FLOAT32) {
        if (memcmp(got->data, wanted->data, got->size) != 0) {
            fail_msg("%%%zu differs\n%s", place, oracle->trace);
        }
        return;
    }
    const float *a = got->data, *b = wanted->data;
    int64_t count = hd_shape_count(&shape);
    float most = largest(b, count);
    for (int64_t i = 0; i < count; i++) {
        if (!(fabsf(a[i] - b[i]) <= TOLERANCE * (most + 1e-3f))) {
            fail_msg("%%%zu: element %lld is %g, not %g\n%s", place, (long long)i, (double)a[i],
                     (double)b[i], oracle->trace);
        }
    }
}

static void run_once(const graph_oracle *oracle, hd_model *model, hd_tensor *outputs,
                     size_t output_count)
{
    hd_tensor inputs[ORACLE_INPUT_LIMIT];
    void *before[ORACLE_INPUT_LIMIT];
    for (size_t i = 0; i < oracle->input_count; i++) {
        inputs[i] = as_tensor(&oracle->values[oracle->inputs[i]]);
        before[i] = copy_bytes(inputs[i].data, inputs[i].size);
    }
    memset(outputs, 0, output_count * sizeof *outputs);
    hd_error error;
    if (hd_model_run(model, inputs, oracle->input_count, outputs, output_count, &error) != HD_OK) {
        fail_msg("%s\n%s", error.message, oracle->trace);
    }
    for (size_t i = 0; i < oracle->input_count; i++) {
        if (memcmp(before[i], inputs[i].data, inputs[i].size) != 0) {
            fail_msg("input %zu was written to\n%s", i, oracle->trace);
        }
        hd_free(before[i]);
    }
}

/* One output, by its name, into memory of the caller's; the others are not wanted. */
static void check_one_alone(const graph_oracle *oracle, hd_model *model, const size_t *outputs,
                            size_t output_count, const hd_tensor *first)
{
    size_t chosen = oracle->value_count % output_count;
    char name[32];
    snprintf(name, sizeof name, "output_%zu", chosen);
    size_t size = first[chosen].size;
    unsigned char *memory = aligned_alloc(64, (size + 191) / 64 * 64);
    assert_non_null(memory);
    memset(memory, 0xA5, size + 64);
    hd_tensor inputs[ORACLE_INPUT_LIMIT], output = {.name = name, .data = memory, .size = size};
    for (size_t i = 0; i < oracle->input_count; i++) {
        inputs[i] = as_tensor(&oracle->values[oracle->inputs[i]]);
    }
    hd_error error;
    if (hd_model_run(model, inputs, oracle->input_count, &output, 1, &error) != HD_OK) {
        fail_msg("alone: %s\n%s", error.message, oracle->trace);
    }
    check_output(oracle, &output, outputs[chosen]);
    for (size_t i = 0; i < 64; i++) {
        if (memory[size + i] != 0xA5) {
            fail_msg("%%%zu: written behind its end\n%s", outputs[chosen], oracle->trace);
        }
    }
    free(memory);
}

static void check_device(const graph_oracle *oracle, hd_device *device, const hd_graph *graph,
                         const size_t *outputs, size_t output_count, hd_tensor *first)
{
    hd_model *model;
    hd_error error;
    if (hd_model_create(device, graph, NULL, &model, &error) != HD_OK) {
        fail_msg("%s\n%s", error.message, oracle->trace);
    }
    for (size_t repeat = 0; repeat < 2; repeat++) {
        hd_tensor again[ORACLE_VALUE_LIMIT];
        run_once(oracle, model, again, output_count);
        for (size_t i = 0; i < output_count; i++) {
            check_output(oracle, &again[i], outputs[i]);
            if (first[i].data == NULL) {
                first[i] = again[i];
                continue;
            }
            if (first[i].size != again[i].size ||
                memcmp(first[i].data, again[i].data, again[i].size) != 0) {
                fail_msg("%%%zu has other bits when run again\n%s", outputs[i], oracle->trace);
            }
            hd_tensor_release(&again[i]);
        }
    }
    check_one_alone(oracle, model, outputs, output_count, first);
    hd_model_destroy(&model);
}

void oracle_check(const graph_oracle *oracle, hd_device *const *devices, size_t device_count,
                  const size_t *outputs, size_t output_count)
{
    assert_true(output_count <= ORACLE_VALUE_LIMIT);
    /* The graph has other outputs the next time, so each check declares its own. */
    hd_graph *graph = hd_graph_clone(oracle->graph);
    assert_non_null(graph);
    for (size_t i = 0; i < output_count; i++) {
        char name[32];
        snprintf(name, sizeof name, "output_%zu", i);
        hd_value value = oracle->values[outputs[i]].value;
        assert_int_equal(hd_graph_add_output(graph, name, value, NULL), HD_OK);
    }
    hd_tensor first[ORACLE_VALUE_LIMIT];
    memset(first, 0, sizeof first);
    for (size_t i = 0; i < device_count; i++) {
        check_device(oracle, devices[i], graph, outputs, output_count, first);
    }
    for (size_t i = 0; i < output_count; i++) {
        hd_tensor_release(&first[i]);
    }
    hd_graph_destroy(&graph);
}

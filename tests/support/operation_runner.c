#include "support/operation_runner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "graph/operator.h"
#include "support/slowness.h"

#define GUARD      ((size_t)HD_CACHE_LINE)
#define FILL       0xA5
#define GUARD_FILL 0x5C

/* Memory of one operand, with guard bytes before and behind. */
typedef struct operand_memory {
    unsigned char *base;
    unsigned char *data;
    size_t size;
    size_t total;
} operand_memory;

/* One run in progress. */
typedef struct runner {
    const operation_case *test;
    operation_result *result;
    hd_operation operation;
    hd_operand inputs[OPERATION_MAX_OPERANDS];
    hd_operand outputs[OPERATION_MAX_OPERANDS];
    operand_memory memory[2 * OPERATION_MAX_OPERANDS];
    int64_t dims[OPERATION_MAX_OPERANDS][HD_MAX_RANK];
    void *buffers[3 * OPERATION_MAX_OPERANDS];
} runner;

static hd_status memory_create(operand_memory *memory, size_t size, size_t offset)
{
    memory->size = size;
    memory->total = GUARD + offset + size + GUARD;
    memory->base = hd_alloc_aligned(hd_align_up(memory->total, HD_CACHE_LINE));
    if (memory->base == NULL) {
        return HD_OUT_OF_MEMORY;
    }
    memset(memory->base, GUARD_FILL, memory->total);
    memory->data = memory->base + GUARD + offset;
    memset(memory->data, FILL, size);
    return HD_OK;
}

static bool memory_is_intact(const operand_memory *memory)
{
    for (const unsigned char *byte = memory->base; byte < memory->base + memory->total; byte++) {
        bool inside = byte >= memory->data && byte < memory->data + memory->size;
        if (!inside && *byte != GUARD_FILL) {
            return false;
        }
    }
    return true;
}

static size_t tensor_bytes(const hd_tensor *tensor)
{
    size_t bytes = hd_dtype_size(tensor->dtype);
    for (uint32_t i = 0; i < tensor->rank; i++) {
        bytes *= (size_t)tensor->dims[i];
    }
    return bytes;
}

static void prepare(runner *run)
{
    const operation_case *test = run->test;
    size_t output_count = test->output_count == 0 ? 1 : test->output_count;
    for (size_t i = 0; i < test->input_count; i++) {
        const hd_tensor *tensor = &test->inputs[i];
        hd_operand *operand = &run->inputs[i];
        operand->dtype = tensor->dtype;
        operand->shape.rank = tensor->rank;
        memcpy(operand->shape.dims, tensor->dims, sizeof tensor->dims);
        operand->data = (test->known_inputs >> i & 1) != 0 ? tensor->data : NULL;
        operand->packed = test->packed[i];
    }
    run->operation = (hd_operation){.id = hd_operator_lookup(test->type),
                                    .name = "test",
                                    .opset = test->opset == 0 ? 21 : test->opset,
                                    .attributes = test->attributes,
                                    .attribute_count = test->attribute_count,
                                    .inputs = run->inputs,
                                    .input_count = test->input_count,
                                    .outputs = run->outputs,
                                    .output_count = output_count,
                                    .fused = test->fused};
}

static hd_status infer(runner *run, const hd_operator *operator_row)
{
    operation_result *result = run->result;
    for (;;) {
        size_t needed = SIZE_MAX;
        switch (operator_row->infer(&run->operation, &needed, &result->error)) {
        case HD_INFER_DONE:
            for (size_t i = 0; i < run->operation.output_count; i++) {
                if (!hd_shape_is_valid(&run->outputs[i].shape, run->outputs[i].dtype)) {
                    return hd_fail(&result->error, HD_INTERNAL, "output %zu: shape not valid", i);
                }
            }
            return HD_OK;
        case HD_INFER_FAILED:
            return result->error.status == HD_OK
                       ? hd_fail(&result->error, HD_INTERNAL, "inference failed without an error")
                       : result->error.status;
        case HD_INFER_NEEDS_VALUE:
            break;
        }
        if (needed >= run->operation.input_count || run->inputs[needed].data != NULL) {
            return hd_fail(&result->error, HD_INTERNAL, "inference needs what it has");
        }
        run->inputs[needed].data = run->test->inputs[needed].data;
        result->needed_inputs |= (size_t)1 << needed;
    }
}

static hd_status make_buffers(runner *run, uint8_t flags)
{
    const operation_case *test = run->test;
    size_t inputs = test->input_count, outputs = run->operation.output_count;
    for (size_t i = 0; i < inputs + outputs; i++) {
        const hd_operand *operand = i < inputs ? &run->inputs[i] : &run->outputs[i - inputs];
        bool unwanted = i >= inputs && (test->unwanted_outputs >> (i - inputs) & 1) != 0;
        if (operand->dtype == HD_DTYPE_NONE || unwanted) {
            continue;
        }
        if (i == inputs && test->in_place) {
            for (size_t input = 0; input < inputs && run->buffers[i] == NULL; input++) {
                if ((run->result->kernel.inplace_inputs >> input & 1) != 0) {
                    run->buffers[i] = run->buffers[input];
                }
            }
            if (run->buffers[i] != NULL) {
                continue;
            }
        }
        size_t element = hd_dtype_size(operand->dtype);
        size_t size = (size_t)hd_shape_count(&operand->shape) * element;
        if (memory_create(&run->memory[i], size, test->misaligned ? element : 0) != HD_OK) {
            return hd_fail(&run->result->error, HD_OUT_OF_MEMORY, "no memory for operand %zu", i);
        }
        if (i < inputs && test->inputs[i].data != NULL && size > 0) {
            memcpy(run->memory[i].data, test->inputs[i].data, size);
        }
        run->buffers[i] = run->memory[i].data;
    }
    if ((flags & HD_OPERATOR_DYNAMIC) != 0) {
        for (size_t i = 0; i < outputs; i++) {
            memset(run->dims[i], 0xFF, sizeof run->dims[i]);
            run->buffers[inputs + outputs + i] = run->dims[i];
        }
    }
    return HD_OK;
}

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525U + 1013904223U;
    return *state >> 8;
}

/* Runs the tiles in the test's partition; scratch holds other bytes before each call. */
static hd_status execute(runner *run)
{
    const hd_kernel *kernel = &run->result->kernel;
    int64_t tiles = kernel->tile_count;
    uint32_t random = run->test->seed * 2654435761U + 1;
    void *scratch = hd_alloc_aligned(hd_align_up(kernel->scratch_size + 1, HD_CACHE_LINE));
    int64_t *starts = hd_alloc((size_t)(tiles + 1) * sizeof *starts);
    hd_status status = HD_OUT_OF_MEMORY;
    if (scratch == NULL || starts == NULL) {
        hd_fail(&run->result->error, status, "no memory for scratch");
        goto fail;
    }
    int64_t ranges = 0;
    for (int64_t tile = 0; tile < tiles;) {
        starts[ranges++] = tile;
        tile += run->test->partition == OPERATION_WHOLE      ? tiles
                : run->test->partition == OPERATION_SHUFFLED ? 1 + next_random(&random) % 3
                                                             : 1;
    }
    for (int64_t i = 0; i < ranges; i++) {
        /* A range's end is the next greater start, whatever the order: found by search. */
        int64_t pick = i;
        if (run->test->partition == OPERATION_REVERSED) {
            pick = ranges - 1 - i;
        }
        if (run->test->partition == OPERATION_SHUFFLED) {
            /* i -> a·i + b modulo `ranges` visits all when a and `ranges` have no common factor. */
            int64_t step = 1;
            for (int64_t candidate = ranges * 5 / 8; candidate > 1; candidate--) {
                int64_t a = candidate, b = ranges;
                while (b != 0) {
                    int64_t rest = a % b;
                    a = b;
                    b = rest;
                }
                if (a == 1) {
                    step = candidate;
                    break;
                }
            }
            pick = (i * step + run->test->seed) % ranges;
        }
        memset(scratch, (int)(FILL ^ (i & 0xFF)), kernel->scratch_size);
        kernel->run(kernel->parameters, run->buffers, starts[pick],
                    pick + 1 < ranges ? starts[pick + 1] : tiles, scratch);
    }
    status = HD_OK;
fail:
    hd_free(starts);
    hd_free(scratch);
    return status;
}

static hd_status collect(runner *run, uint8_t flags)
{
    size_t inputs = run->operation.input_count;
    operation_result *result = run->result;
    for (size_t i = 0; i < inputs + run->operation.output_count; i++) {
        if (run->memory[i].base != NULL && !memory_is_intact(&run->memory[i])) {
            return hd_fail(&result->error, HD_INTERNAL, "the kernel wrote out of operand %zu", i);
        }
        if (i < inputs && !run->test->in_place && run->buffers[i] != NULL &&
            run->memory[i].size > 0 &&
            memcmp(run->buffers[i], run->test->inputs[i].data, run->memory[i].size) != 0) {
            return hd_fail(&result->error, HD_INTERNAL, "the kernel changed input %zu", i);
        }
    }
    result->output_count = run->operation.output_count;
    for (size_t i = 0; i < result->output_count; i++) {
        if (run->buffers[inputs + i] == NULL) {
            continue;
        }
        hd_tensor *output = &result->outputs[i];
        output->dtype = run->outputs[i].dtype;
        output->rank = run->outputs[i].shape.rank;
        for (uint32_t axis = 0; axis < output->rank; axis++) {
            int64_t most = run->outputs[i].shape.dims[axis];
            bool dynamic = (flags & HD_OPERATOR_DYNAMIC) != 0;
            output->dims[axis] = dynamic ? run->dims[i][axis] : most;
            if (output->dims[axis] < 0 || output->dims[axis] > most) {
                return hd_fail(&result->error, HD_INTERNAL, "output %zu: a wrong dimension", i);
            }
        }
        output->size = tensor_bytes(output);
        output->data = hd_alloc(output->size);
        if (output->data == NULL) {
            return hd_fail(&result->error, HD_OUT_OF_MEMORY, "no memory for output %zu", i);
        }
        memcpy(output->data, run->buffers[inputs + i], output->size);
    }
    return HD_OK;
}

static hd_status run_operation(runner *run)
{
    operation_result *result = run->result;
    const hd_operator *operator_row = hd_operator_of(run->operation.id);
    if (operator_row->infer == NULL) {
        return hd_fail(&result->error, HD_UNSUPPORTED, "no operator '%s'", run->test->type);
    }
    size_t count = run->test->input_count;
    if (count < operator_row->inputs.min ||
        (operator_row->inputs.max != HD_OPERATOR_ANY_NUMBER && count > operator_row->inputs.max) ||
        run->operation.output_count > operator_row->outputs) {
        return hd_fail(&result->error, HD_BAD_MODEL, "'%s': wrong number of operands",
                       run->test->type);
    }
    hd_status status = infer(run, operator_row);
    if (status != HD_OK) {
        return status;
    }
    for (size_t i = 0; i < run->operation.output_count; i++) {
        if ((run->test->unwanted_outputs >> i & 1) != 0) {
            run->outputs[i].dtype = HD_DTYPE_NONE;
        }
    }
    bool view = (operator_row->flags & HD_OPERATOR_VIEW) != 0;
    if (!view) {
        hd_cpu_compile *compile = hd_cpu_operator_find(run->operation.id);
        if (compile == NULL) {
            return hd_fail(&result->error, HD_UNSUPPORTED, "no kernel for '%s'", run->test->type);
        }
        hd_cpu_compilation compilation = {.operation = &run->operation,
                                          .region = &result->region,
                                          .kernel = {.tile_count = 1},
                                          .error = &result->error};
        status = compile(&compilation);
        if (status != HD_OK) {
            return status;
        }
        result->kernel = compilation.kernel;
        if (result->kernel.tile_count < 1 || result->kernel.run == NULL) {
            return hd_fail(&result->error, HD_INTERNAL, "the kernel has no tile or no function");
        }
    }
    status = make_buffers(run, operator_row->flags);
    if (status != HD_OK) {
        return status;
    }
    if (view) {
        memcpy(run->buffers[count], run->buffers[0], run->memory[0].size);
    } else {
        status = execute(run);
        if (status != HD_OK) {
            return status;
        }
    }
    return collect(run, operator_row->flags);
}

hd_status operation_run(const operation_case *test, operation_result *result)
{
    *result = (operation_result){0};
    runner *run = hd_alloc_zero(1, sizeof *run);
    if (run == NULL) {
        return hd_fail(&result->error, HD_OUT_OF_MEMORY, "no memory for the runner");
    }
    run->test = test;
    run->result = result;
    prepare(run);
    for (size_t i = 0; i < run->operation.output_count; i++) {
        /* A wanted output is marked by any dtype; inference puts the true one. */
        run->outputs[i].dtype = (test->unwanted_outputs >> i & 1) != 0 ? HD_DTYPE_NONE : HD_FLOAT32;
    }
    hd_status status = run_operation(run);
    for (size_t i = 0; i < 2 * OPERATION_MAX_OPERANDS; i++) {
        hd_free(run->memory[i].base);
    }
    hd_free(run);
    return status;
}

void operation_result_clear(operation_result *result)
{
    for (size_t i = 0; i < result->output_count; i++) {
        hd_free(result->outputs[i].data);
    }
    hd_region_clear(&result->region);
    *result = (operation_result){0};
}

void operation_check_output(const hd_tensor *output, const hd_tensor *expected)
{
    assert_string_equal(hd_dtype_name(output->dtype), hd_dtype_name(expected->dtype));
    assert_int_equal(output->rank, expected->rank);
    for (uint32_t i = 0; i < output->rank; i++) {
        assert_int_equal(output->dims[i], expected->dims[i]);
    }
    if (output->size > 0) {
        assert_memory_equal(output->data, expected->data, output->size);
    }
}

static double element_value(const hd_tensor *tensor, size_t index)
{
    return tensor->dtype == HD_FLOAT64 ? ((const double *)tensor->data)[index]
                                       : (double)((const float *)tensor->data)[index];
}

void operation_check_close(const hd_tensor *output, const hd_tensor *expected, double relative,
                           double absolute)
{
    assert_string_equal(hd_dtype_name(output->dtype), hd_dtype_name(expected->dtype));
    assert_true(output->dtype == HD_FLOAT32 || output->dtype == HD_FLOAT64);
    assert_int_equal(output->rank, expected->rank);
    for (uint32_t i = 0; i < output->rank; i++) {
        assert_int_equal(output->dims[i], expected->dims[i]);
    }
    size_t count = tensor_bytes(output) / hd_dtype_size(output->dtype);
    for (size_t i = 0; i < count; i++) {
        double a = element_value(output, i), b = element_value(expected, i);
        bool equal =
            a == b || (isnan(a) && isnan(b)) || fabs(a - b) <= absolute + relative * fabs(b);
        if (!equal) {
            fail_msg("element %zu is %.9g, not %.9g", i, a, b);
        }
    }
}

void operation_check_partitions(const operation_case *test)
{
    operation_case variant = *test;
    variant.partition = OPERATION_WHOLE;
    operation_result first;
    if (operation_run(&variant, &first) != HD_OK) {
        fail_msg("%s", first.error.message);
    }
    /* Under a sanitizer every third: each partition, each place and each alignment is still among them. */
    const uint32_t step = SLOWNESS > 1 ? 3 : 1;
    for (uint32_t i = step; i < 4 * OPERATION_PARTITION_COUNT; i += step) {
        variant.partition = (operation_partition)(i % OPERATION_PARTITION_COUNT);
        variant.misaligned = (i / OPERATION_PARTITION_COUNT & 1) != 0;
        variant.in_place = (i / OPERATION_PARTITION_COUNT & 2) != 0;
        variant.seed = i;
        operation_result other;
        if (operation_run(&variant, &other) != HD_OK) {
            fail_msg("%s", other.error.message);
        }
        for (size_t output = 0; output < first.output_count; output++) {
            operation_check_output(&other.outputs[output], &first.outputs[output]);
        }
        operation_result_clear(&other);
    }
    operation_result_clear(&first);
}

hd_tensor operation_tensor(hd_dtype dtype, const void *data, uint32_t rank, const int64_t *dims)
{
    hd_tensor tensor = {.dtype = dtype, .rank = rank};
    for (uint32_t i = 0; i < rank; i++) {
        tensor.dims[i] = dims[i];
    }
    tensor.size = tensor_bytes(&tensor);
    /* The struct of the public interface serves inputs and outputs; a test's inputs are only read. */
    memcpy(&tensor.data, &data, sizeof data);
    return tensor;
}

hd_attribute operation_int(const char *name, int64_t value)
{
    return (hd_attribute){.name = name, .kind = HD_ATTRIBUTE_INT, .i = value};
}

hd_attribute operation_float(const char *name, float value)
{
    return (hd_attribute){.name = name, .kind = HD_ATTRIBUTE_FLOAT, .f = value};
}

hd_attribute operation_string(const char *name, const char *value)
{
    return (hd_attribute){.name = name, .kind = HD_ATTRIBUTE_STRING, .s = value};
}

hd_attribute operation_ints(const char *name, const int64_t *values, size_t count)
{
    return (hd_attribute){.name = name, .kind = HD_ATTRIBUTE_INTS, .ints = values, .count = count};
}

hd_attribute operation_floats(const char *name, const float *values, size_t count)
{
    return (hd_attribute){
        .name = name, .kind = HD_ATTRIBUTE_FLOATS, .floats = values, .count = count};
}

void operation_fill_floats(float *values, int64_t count, uint32_t seed)
{
    uint32_t state = seed * 2654435761U + 12345U;
    for (int64_t i = 0; i < count; i++) {
        values[i] = (float)next_random(&state) / 8388608.0F - 1.0F;
    }
}

/* Elementwise: types and shapes of the operators of this family. */
#include <string.h>

#include "graph/ops/inference.h"

#include "operation/elementwise.h"
#include "operation/fused.h"

hd_infer_result hd_infer_same(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    (void)needed_input;
    (void)error;
    operation->outputs[0].dtype = operation->inputs[0].dtype;
    operation->outputs[0].shape = operation->inputs[0].shape;
    return HD_INFER_DONE;
}

static hd_infer_result fail_types(const hd_operation *operation, size_t index, hd_error *error)
{
    hd_operation_fail(operation, error, HD_INVALID_ARGUMENT, "input %zu is %s, but input 0 is %s",
                      index, hd_dtype_name(operation->inputs[index].dtype),
                      hd_dtype_name(operation->inputs[0].dtype));
    return HD_INFER_FAILED;
}

/* Inputs [1, count) have the type of input 0. */
static bool types_agree(const hd_operation *operation, size_t *out_other)
{
    for (size_t i = 1; i < operation->input_count; i++) {
        if (hd_operation_has(operation, i) &&
            operation->inputs[i].dtype != operation->inputs[0].dtype) {
            *out_other = i;
            return false;
        }
    }
    return true;
}

/* Output 0's shape: all inputs' broadcast, before opset 7 by the attributes. */
static hd_infer_result broadcast_shapes(hd_operation *operation, hd_error *error)
{
    hd_shape result = operation->inputs[0].shape;
    for (size_t i = 1; i < operation->input_count; i++) {
        hd_shape shape;
        if (!hd_operation_has(operation, i)) {
            continue;
        }
        if (!hd_elementwise_shape(operation, i, &shape) ||
            !hd_shape_broadcast(&result, &shape, &result)) {
            char first[96], second[96];
            hd_operation_fail(operation, error, HD_INVALID_ARGUMENT,
                              "shapes %s and %s (input %zu) do not broadcast",
                              hd_shape_text(&result, first, sizeof first),
                              hd_shape_text(&operation->inputs[i].shape, second, sizeof second), i);
            return HD_INFER_FAILED;
        }
    }
    operation->outputs[0].shape = result;
    return HD_INFER_DONE;
}

hd_infer_result hd_infer_arithmetic(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    (void)needed_input;
    size_t other;
    if (!types_agree(operation, &other)) {
        return fail_types(operation, other, error);
    }
    operation->outputs[0].dtype = operation->inputs[0].dtype;
    return broadcast_shapes(operation, error);
}

hd_infer_result hd_infer_comparison(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    hd_infer_result result = hd_infer_arithmetic(operation, needed_input, error);
    operation->outputs[0].dtype = HD_BOOL;
    return result;
}

hd_infer_result hd_infer_power(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    (void)needed_input;
    operation->outputs[0].dtype = operation->inputs[0].dtype;
    return broadcast_shapes(operation, error);
}

/* The slope broadcasts to x, never x to the slope. */
hd_infer_result hd_infer_prelu(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    hd_infer_result result = hd_infer_arithmetic(operation, needed_input, error);
    if (result == HD_INFER_DONE &&
        !hd_shape_equal(&operation->outputs[0].shape, &operation->inputs[0].shape)) {
        hd_operation_fail(operation, error, HD_INVALID_ARGUMENT,
                          "the slope's shape does not broadcast to that of x");
        return HD_INFER_FAILED;
    }
    return result;
}

hd_infer_result hd_infer_test(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    hd_infer_result result = hd_infer_same(operation, needed_input, error);
    operation->outputs[0].dtype = HD_BOOL;
    return result;
}

hd_infer_result hd_infer_clip(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    size_t other;
    if (!types_agree(operation, &other)) {
        return fail_types(operation, other, error);
    }
    for (size_t i = 1; i < operation->input_count; i++) {
        if (hd_operation_has(operation, i) && hd_shape_count(&operation->inputs[i].shape) != 1) {
            hd_operation_fail(operation, error, HD_INVALID_ARGUMENT,
                              "limit (input %zu) is not one number", i);
            return HD_INFER_FAILED;
        }
        if (hd_operation_has(operation, i) &&
            operation->inputs[i].shape.rank > operation->inputs[0].shape.rank) {
            hd_operation_fail(operation, error, HD_INVALID_ARGUMENT,
                              "limit (input %zu) has more dimensions than the input", i);
            return HD_INFER_FAILED;
        }
    }
    return hd_infer_same(operation, needed_input, error);
}

hd_infer_result hd_infer_where(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    (void)needed_input;
    if (operation->inputs[0].dtype != HD_BOOL ||
        operation->inputs[1].dtype != operation->inputs[2].dtype) {
        hd_operation_fail(
            operation, error, HD_INVALID_ARGUMENT, "the condition is %s, the choices are %s and %s",
            hd_dtype_name(operation->inputs[0].dtype), hd_dtype_name(operation->inputs[1].dtype),
            hd_dtype_name(operation->inputs[2].dtype));
        return HD_INFER_FAILED;
    }
    operation->outputs[0].dtype = operation->inputs[1].dtype;
    return broadcast_shapes(operation, error);
}

static bool knows_rounding(const hd_operation *operation, hd_error *error)
{
    const char *mode = hd_operation_string(operation, "round_mode", "up");
    if (strcmp(mode, "up") == 0 || strcmp(mode, "down") == 0 || strcmp(mode, "nearest") == 0) {
        return true;
    }
    hd_operation_fail(operation, error, HD_BAD_MODEL, "there is no round_mode '%.40s'", mode);
    return false;
}

hd_infer_result hd_infer_cast(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    int64_t to = hd_operation_int(operation, "to", HD_DTYPE_NONE);
    if (to < 0 || to > HD_FLOAT6E3M2 || hd_dtype_size((hd_dtype)to) == 0) {
        hd_operation_fail(operation, error, HD_UNSUPPORTED, "there is no element type %lld",
                          (long long)to);
        return HD_INFER_FAILED;
    }
    hd_infer_result result = hd_infer_same(operation, needed_input, error);
    operation->outputs[0].dtype = (hd_dtype)to;
    return knows_rounding(operation, error) ? result : HD_INFER_FAILED;
}

/* The bits stay, so the types are as wide. A bool is one bit in a byte: no other byte becomes one. */
hd_infer_result hd_infer_bit_cast(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    const hd_dtype from = operation->inputs[0].dtype;
    hd_infer_result result = hd_infer_cast(operation, needed_input, error);
    if (result != HD_INFER_DONE) {
        return result;
    }
    const hd_dtype to = operation->outputs[0].dtype;
    if (hd_dtype_size(from) != hd_dtype_size(to) || (to == HD_BOOL && from != HD_BOOL)) {
        hd_operation_fail(operation, error, HD_BAD_MODEL, "the bits of %s are not those of %s",
                          hd_dtype_name(from), hd_dtype_name(to));
        return HD_INFER_FAILED;
    }
    return HD_INFER_DONE;
}

/* A gate and what it lets through; neither broadcasts. */
hd_infer_result hd_infer_gated(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    hd_infer_result result = hd_infer_arithmetic(operation, needed_input, error);
    if (result == HD_INFER_DONE &&
        !hd_shape_equal(&operation->inputs[0].shape, &operation->inputs[1].shape)) {
        hd_operation_fail(operation, error, HD_INVALID_ARGUMENT,
                          "the gate's shape is not that of its input");
        return HD_INFER_FAILED;
    }
    return result;
}

hd_infer_result hd_infer_cast_like(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    hd_infer_result result = hd_infer_same(operation, needed_input, error);
    operation->outputs[0].dtype = operation->inputs[1].dtype;
    return knows_rounding(operation, error) ? result : HD_INFER_FAILED;
}

hd_infer_result hd_infer_chain(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    (void)needed_input;
    const hd_fused_elementwise *chain = hd_operation_is_fused(operation, HD_OP_HEDDLE_ELEMENTWISE)
                                            ? &operation->fused->elementwise
                                            : NULL;
    if (chain == NULL || chain->step_count == 0) {
        hd_operation_fail(operation, error, HD_INTERNAL, "the chain has no steps");
        return HD_INFER_FAILED;
    }
    const size_t count = operation->input_count;
    for (size_t s = 0; s < chain->step_count; s++) {
        const hd_elementwise_step *step = &chain->steps[s];
        for (size_t i = 0; i < step->operand_count; i++) {
            const size_t place = step->operands[i];
            if (place >= count + s ||
                (place < count ? operation->inputs[place].dtype
                               : chain->steps[place - count].operation->outputs[0].dtype) !=
                    step->operation->inputs[i].dtype) {
                hd_operation_fail(operation, error, HD_INTERNAL,
                                  "an operand of step %zu does not fit", s);
                return HD_INFER_FAILED;
            }
        }
    }
    operation->outputs[0].dtype = chain->steps[chain->step_count - 1].operation->outputs[0].dtype;
    return broadcast_shapes(operation, error);
}

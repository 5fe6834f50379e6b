/* Elementwise: the family's kernels on the CPU: single operators, and chains of them. */
#include "hal/cpu/ops/elementwise.h"

#include "hal/cpu/kernel.h"
#include "hal/cpu/ops/elementwise_select.h"
#include "operation/elementwise.h"
#include "operation/fused.h"

static bool program_create(hd_region *region, size_t inputs, size_t instructions,
                           hd_cpu_elementwise_program **out_program)
{
    hd_cpu_elementwise_program *program = hd_region_alloc(region, sizeof *program);
    if (program == NULL) {
        return false;
    }
    program->instruction_capacity = instructions;
    program->variable_capacity = inputs + 2 * instructions; /* results and constants */
    program->instructions = hd_region_array(region, instructions, sizeof *program->instructions);
    program->variables =
        hd_region_array(region, program->variable_capacity, sizeof *program->variables);
    *out_program = program;
    return program->instructions != NULL && program->variables != NULL;
}

static void add_input(hd_cpu_elementwise_program *program, hd_dtype dtype)
{
    program->variables[program->variable_count++] = (hd_cpu_elementwise_variable){
        .dtype = dtype,
        .access = dtype == HD_DTYPE_NONE ? HD_ELEMENTWISE_ABSENT : HD_ELEMENTWISE_FLAT,
        .element_size = hd_dtype_size(dtype),
    };
    program->input_count = program->variable_count;
}

static hd_status unsupported(hd_cpu_compilation *compilation, const hd_operation *step)
{
    hd_dtype dtype = step->input_count > 0 ? step->inputs[0].dtype : HD_DTYPE_NONE;
    return hd_operation_fail(step, compilation->error, HD_UNSUPPORTED,
                             "no kernel for elements of type %s with these attributes",
                             hd_dtype_name(dtype));
}

/* The output is the last instruction's: an operator that passes its operand on becomes a copy. */
static bool end_with(hd_cpu_elementwise_program *program, hd_cpu_elementwise_value result)
{
    if (program->instruction_count > 0 &&
        program->instructions[program->instruction_count - 1].result == result) {
        return true;
    }
    hd_dtype dtype = hd_cpu_elementwise_dtype(program, result);
    return hd_cpu_elementwise_emit(program, hd_cpu_elementwise_copy(hd_dtype_size(dtype)), 0, NULL,
                                   dtype, 1, &result) != HD_ELEMENTWISE_NO_VALUE;
}

static hd_status compile_one(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    size_t count = operation->input_count;
    if (count == 0) {
        return hd_operation_fail(operation, compilation->error, HD_UNSUPPORTED, "it has no inputs");
    }
    hd_cpu_elementwise_program *program;
    hd_cpu_elementwise_value *values = hd_region_array(compilation->region, count, sizeof *values);
    hd_shape *shapes = hd_region_array(compilation->region, count, sizeof *shapes);
    if (values == NULL || shapes == NULL ||
        !program_create(compilation->region, count, HD_ELEMENTWISE_INSTRUCTIONS(count), &program)) {
        return hd_cpu_out_of_memory(compilation);
    }
    bool is_like = operation->id == HD_OP_CAST_LIKE; /* its second input gives the type only */
    for (size_t i = 0; i < count; i++) {
        bool is_given = hd_operation_has(operation, i) && !(is_like && i == 1);
        add_input(program, is_given ? operation->inputs[i].dtype : HD_DTYPE_NONE);
        values[i] = is_given ? (hd_cpu_elementwise_value)i : HD_ELEMENTWISE_NO_VALUE;
        shapes[i] = (hd_shape){0};
        if (is_given && !hd_elementwise_shape(operation, i, &shapes[i])) {
            return unsupported(compilation, operation);
        }
    }
    hd_cpu_elementwise_value result = hd_cpu_elementwise_select(program, operation, count, values);
    if (result == HD_ELEMENTWISE_NO_VALUE || !end_with(program, result)) {
        return unsupported(compilation, operation);
    }
    hd_cpu_elementwise_finish(program, shapes, &operation->outputs[0].shape, &compilation->kernel);
    return HD_OK;
}

static hd_status compile_chain(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_fused_elementwise *chain = hd_fused_elementwise_of(operation);
    size_t count = operation->input_count;
    if (chain->step_count == 0 || chain->step_count > HD_ELEMENTWISE_MAX_STEPS ||
        count > HD_ELEMENTWISE_MAX_INPUTS) {
        return hd_operation_fail(operation, compilation->error, HD_UNSUPPORTED,
                                 "a chain has 1 to %d steps and at most %d inputs",
                                 HD_ELEMENTWISE_MAX_STEPS, HD_ELEMENTWISE_MAX_INPUTS);
    }
    hd_cpu_elementwise_program *program;
    size_t instructions = chain->step_count * HD_ELEMENTWISE_INSTRUCTIONS(3);
    if (!program_create(compilation->region, count, instructions, &program)) {
        return hd_cpu_out_of_memory(compilation);
    }
    hd_cpu_elementwise_value values[HD_ELEMENTWISE_MAX_INPUTS + HD_ELEMENTWISE_MAX_STEPS];
    hd_shape shapes[HD_ELEMENTWISE_MAX_INPUTS];
    for (size_t i = 0; i < count; i++) {
        bool is_given = hd_operation_has(operation, i);
        add_input(program, operation->inputs[i].dtype);
        values[i] = is_given ? (hd_cpu_elementwise_value)i : HD_ELEMENTWISE_NO_VALUE;
        shapes[i] = is_given ? operation->inputs[i].shape : (hd_shape){0};
    }
    for (size_t i = 0; i < chain->step_count; i++) {
        const hd_elementwise_step *step = &chain->steps[i];
        hd_cpu_elementwise_value operands[3];
        if (step->operand_count > 3) {
            return unsupported(compilation, step->operation);
        }
        for (size_t k = 0; k < step->operand_count; k++) {
            if (step->operands[k] >= count + i) {
                return hd_operation_fail(operation, compilation->error, HD_INTERNAL,
                                         "step %zu reads what is not computed yet", i);
            }
            operands[k] = values[step->operands[k]];
        }
        values[count + i] =
            hd_cpu_elementwise_select(program, step->operation, step->operand_count, operands);
        if (values[count + i] == HD_ELEMENTWISE_NO_VALUE) {
            return unsupported(compilation, step->operation);
        }
    }
    if (!end_with(program, values[count + chain->step_count - 1])) {
        return unsupported(compilation, operation);
    }
    hd_cpu_elementwise_finish(program, shapes, &operation->outputs[0].shape, &compilation->kernel);
    return HD_OK;
}

/* A step of a chain has one scale, which broadcasts to x; scales of an axis do not broadcast as ONNX's operands do. */
static bool has_many_scales(const hd_operation *operation)
{
    return (operation->id == HD_OP_QUANTIZE_LINEAR || operation->id == HD_OP_DEQUANTIZE_LINEAR) &&
           (operation->input_count < 2 || hd_shape_count(&operation->inputs[1].shape) != 1 ||
            operation->inputs[1].shape.rank > operation->inputs[0].shape.rank ||
            hd_operation_int(operation, "block_size", 0) != 0);
}

bool hd_cpu_elementwise_fuses(const hd_operation *operation)
{
    size_t count = operation->input_count;
    /* CastLike's second input, where it still has one (settle.h), need not broadcast. */
    if (count == 0 || count > 3 || operation->output_count != 1 ||
        operation->id == HD_OP_CAST_LIKE || has_many_scales(operation) ||
        (operation->opset < 7 && count > 1)) { /* whose broadcasting may be the old one */
        return false;
    }
    hd_cpu_elementwise_variable variables[3 + 2 * HD_ELEMENTWISE_INSTRUCTIONS(3)] = {0};
    hd_cpu_elementwise_instruction instructions[HD_ELEMENTWISE_INSTRUCTIONS(3)];
    hd_cpu_elementwise_program program = {
        .variables = variables,
        .instructions = instructions,
        .variable_capacity = sizeof variables / sizeof variables[0],
        .instruction_capacity = sizeof instructions / sizeof instructions[0],
    };
    hd_cpu_elementwise_value values[3];
    for (size_t i = 0; i < count; i++) {
        if (operation->inputs[i].dtype == HD_DTYPE_NONE) {
            return false; /* a step's operands have no gaps */
        }
        add_input(&program, operation->inputs[i].dtype);
        values[i] = (hd_cpu_elementwise_value)i;
    }
    return hd_cpu_elementwise_select(&program, operation, count, values) != HD_ELEMENTWISE_NO_VALUE;
}

#define ROW(id) {HD_OP_##id, compile_one},
const hd_cpu_operator hd_cpu_operators_elementwise[] = {
    ROW(ABS) ROW(ACOS) ROW(ACOSH) ROW(ADD) ROW(AND) ROW(ASIN) ROW(ASINH) ROW(ATAN) ROW(ATANH) ROW(
        BIT_CAST) ROW(BIT_SHIFT) ROW(BITWISE_AND) ROW(BITWISE_NOT) ROW(BITWISE_OR) ROW(BITWISE_XOR)
        ROW(CAST) ROW(CAST_LIKE) ROW(CEIL) ROW(CELU) ROW(CLIP) ROW(COS) ROW(COSH) ROW(DIV) ROW(ELU)
            ROW(EQUAL) ROW(ERF) ROW(EXP) ROW(FLOOR) ROW(GELU) ROW(GREATER) ROW(GREATER_OR_EQUAL)
                ROW(HARD_SIGMOID) ROW(HARD_SWISH) ROW(IS_INF) ROW(IS_NAN) ROW(LEAKY_RELU) ROW(LESS)
                    ROW(LESS_OR_EQUAL) ROW(LOG) ROW(MAX) ROW(MEAN) ROW(MIN) ROW(MISH) ROW(MOD)
                        ROW(MUL) ROW(NEG) ROW(NOT) ROW(OR) ROW(PRELU) ROW(POW) ROW(RECIPROCAL)
                            ROW(RELU) ROW(ROUND) ROW(SELU) ROW(SHRINK) ROW(SIGMOID) ROW(SIGN)
                                ROW(SIN) ROW(SINH) ROW(SOFTPLUS) ROW(SOFTSIGN) ROW(SQRT) ROW(SUB)
                                    ROW(SUM) ROW(SWI_GLU) ROW(SWISH) ROW(TAN) ROW(TANH)
                                        ROW(THRESHOLDED_RELU) ROW(WHERE)
                                            ROW(XOR){HD_OP_HEDDLE_ELEMENTWISE, compile_chain},
    {0},
};

/* Quantization as steps of an elementwise program. */
#include "hal/cpu/ops/elementwise_program.h"
#include "hal/cpu/ops/quantization.h"
#include "hal/cpu/ops/quantization_rows.h"

static int64_t zero_of(const hd_cpu_elementwise_parameters *parameters, const void *const *in,
                       hd_dtype dtype)
{
    return parameters->has_zero ? hd_cpu_quantized_get(dtype, in[2], 0) : 0;
}

void hd_cpu_elementwise_quantize(const hd_cpu_elementwise_parameters *parameters, void *out,
                                 const void *const *in, unsigned scalars, size_t n)
{
    (void)scalars;
    if (n == 0) {
        return;
    }
    const hd_cpu_quantized_bounds bounds = hd_cpu_quantized_bounds_of(parameters->to);
    const int64_t zero = zero_of(parameters, in, parameters->to);
    hd_cpu_quantization_rows_get()->quantize(in[0], (int64_t)n, *(const float *)in[1],
                                             (float)(bounds.low - zero),
                                             (float)(bounds.high - zero), (int32_t)zero, out);
}

void hd_cpu_elementwise_dequantize(const hd_cpu_elementwise_parameters *parameters, void *out,
                                   const void *const *in, unsigned scalars, size_t n)
{
    (void)scalars;
    if (n == 0) {
        return;
    }
    hd_cpu_quantization_rows_get()->dequantize(in[0], (int64_t)n, parameters->from == HD_INT8,
                                               (int32_t)zero_of(parameters, in, parameters->from),
                                               *(const float *)in[1], out);
}

static float scale_of(const void *scale)
{
    return *(const float *)scale;
}

void hd_cpu_elementwise_quantized_pair(const hd_cpu_elementwise_parameters *parameters, void *out,
                                       const void *const *in, unsigned scalars, size_t n)
{
    (void)scalars;
    if (n == 0) {
        return;
    }
    const hd_dtype types[] = {parameters->from, parameters->other, parameters->to};
    static const uint8_t places[] = {2, 5, 7};
    int32_t zeros[3];
    for (int i = 0; i < 3; i++) {
        zeros[i] = parameters->pair_zeros & 1u << i
                       ? (int32_t)hd_cpu_quantized_get(types[i], in[places[i]], 0)
                       : 0;
    }
    const hd_cpu_quantized_bounds bounds = hd_cpu_quantized_bounds_of(parameters->to);
    const hd_cpu_quantized_pair pair = {.a_zero = zeros[0],
                                        .b_zero = zeros[1],
                                        .a_scale = scale_of(in[1]),
                                        .b_scale = scale_of(in[4]),
                                        .a_signed = parameters->from == HD_INT8,
                                        .b_signed = parameters->other == HD_INT8,
                                        .multiplies = parameters->multiplies,
                                        .cuts = parameters->is_relu,
                                        .y_scale = scale_of(in[6]),
                                        .low = (float)(bounds.low - zeros[2]),
                                        .high = (float)(bounds.high - zeros[2]),
                                        .zero = zeros[2]};
    hd_cpu_quantization_rows_get()->combine(in[0], in[3], (int64_t)n, &pair, out);
}

/* An input that is one element for all, or none. */
static bool is_one(const hd_cpu_elementwise_program *program, hd_cpu_elementwise_value value)
{
    return value < program->input_count &&
           program->variables[value].access == HD_ELEMENTWISE_SCALAR;
}

static bool is_dequantized(const hd_cpu_elementwise_program *program,
                           const hd_cpu_elementwise_instruction *instruction)
{
    return instruction->function == hd_cpu_elementwise_dequantize &&
           instruction->operands[0] < program->input_count &&
           !is_one(program, instruction->operands[0]) &&
           is_one(program, instruction->operands[1]) &&
           (instruction->operand_count < 3 || is_one(program, instruction->operands[2]));
}

void hd_cpu_elementwise_join_pair(hd_cpu_elementwise_program *program)
{
    const size_t count = program->instruction_count;
    hd_cpu_elementwise_instruction *all = program->instructions;
    if (count < 4 || count > 5 || !is_dequantized(program, &all[0]) ||
        !is_dequantized(program, &all[1])) {
        return;
    }
    const hd_cpu_elementwise_functions *floats = hd_cpu_elementwise_functions_of(HD_FLOAT32);
    const hd_cpu_elementwise_instruction *both = &all[2], *last = &all[count - 1];
    const bool multiplies = both->function == floats->multiply, relu = count == 5;
    if ((!multiplies && both->function != floats->add) || (multiplies && relu) ||
        both->operands[0] != all[0].result || both->operands[1] != all[1].result ||
        last->function != hd_cpu_elementwise_quantize ||
        last->operands[0] != all[count - 2].result || !is_one(program, last->operands[1]) ||
        (last->operand_count > 2 && !is_one(program, last->operands[2])) ||
        (relu && (all[3].function != hd_cpu_elementwise_apply_unary ||
                  all[3].parameters.unary != hd_cpu_vector_functions_get()->relu ||
                  all[3].operands[0] != both->result))) {
        return;
    }
    hd_cpu_elementwise_instruction pair = {.function = hd_cpu_elementwise_quantized_pair,
                                           .operand_count = HD_ELEMENTWISE_OPERANDS,
                                           .accepted = 0xFF & ~(1u << 0 | 1u << 3),
                                           .cost = all[0].cost,
                                           .result = last->result,
                                           .parameters = {.from = all[0].parameters.from,
                                                          .other = all[1].parameters.from,
                                                          .to = last->parameters.to,
                                                          .multiplies = multiplies,
                                                          .is_relu = relu}};
    const hd_cpu_elementwise_instruction *const parts[] = {&all[0], &all[1], last};
    for (unsigned i = 0, place = 0; i < 3; i++) {
        if (i < 2) {
            pair.operands[place++] = parts[i]->operands[0];
        }
        const bool has_zero = parts[i]->operand_count > 2;
        pair.operands[place++] = parts[i]->operands[1];
        pair.operands[place++] = parts[i]->operands[has_zero ? 2 : 1];
        pair.parameters.pair_zeros |= (uint8_t)(has_zero ? 1u << i : 0);
    }
    all[0] = pair;
    program->instruction_count = 1;
}

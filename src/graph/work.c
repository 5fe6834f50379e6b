#include "graph/work.h"

#include <math.h>

#include "operation/convolution.h"
#include "operation/deformable.h"
#include "operation/einsum.h"
#include "operation/forest.h"
#include "operation/fused.h"
#include "operation/linear_attention.h"
#include "operation/quantized.h"
#include "operation/scaled_attention.h"
#include "operation/scaling.h"
#include "operation/window.h"

/* Measured on an AVX-512 server core, and rounded up: other processors are slower. */
#define MULTIPLY_ADD       0.25 /* float32 in a product */
#define MULTIPLY_ADD_OTHER 1.5  /* other types: one by one */
#define FUNCTION_FLOAT     6.0  /* exp, tanh and their like of a float32 */
#define FUNCTION_DOUBLE    40.0
#define TREE_STEP          4.0  /* of a walk */
#define FUNCTION_INTEGER   20.0 /* an integer's power or remainder */

static double count_of(const hd_operand *operand)
{
    double count = operand->dtype == HD_DTYPE_NONE ? 0 : 1;
    for (uint32_t i = 0; i < operand->shape.rank; i++) {
        count *= (double)operand->shape.dims[i];
    }
    return count;
}

static double dim_of(const hd_operand *operand, uint32_t axis)
{
    return axis < operand->shape.rank ? (double)operand->shape.dims[axis] : 1;
}

/* Of all operands; an input that is broadcast or read again costs each time. */
static double elements_of(const hd_operation *operation)
{
    double inputs = 0, outputs = 0;
    for (size_t i = 0; i < operation->output_count; i++) {
        outputs += count_of(&operation->outputs[i]);
    }
    for (size_t i = 0; i < operation->input_count; i++) {
        inputs += count_of(&operation->inputs[i]);
    }
    return inputs + outputs;
}

/* What an element costs where an operator takes each of its operands' elements once. */
static double price_of(hd_operator_id id, hd_dtype dtype)
{
    bool is_function = hd_operator_of(id)->is_costly;
    switch (dtype) {
    case HD_FLOAT64:
        return is_function ? FUNCTION_DOUBLE : 3;
    case HD_FLOAT32:
        return is_function ? FUNCTION_FLOAT : 1;
    case HD_FLOAT16:
    case HD_BFLOAT16:
        return is_function ? 2 * FUNCTION_FLOAT : 2;
    default:
        return is_function ? FUNCTION_INTEGER : 2;
    }
}

static double multiply_add_price(const hd_operation *operation)
{
    return operation->inputs[0].dtype == HD_FLOAT32 ? MULTIPLY_ADD : MULTIPLY_ADD_OTHER;
}

/* MatMul, Gemm and heddle.Linear: each element of the output is a sum over the depth. */
double hd_work_of_product(const hd_operation *operation)
{
    const hd_operand *left = &operation->inputs[0];
    uint32_t rank = left->shape.rank;
    bool transposed = operation->id == HD_OP_GEMM && hd_operation_int(operation, "transA", 0) != 0;
    double depth = rank == 0 ? 1 : dim_of(left, transposed ? 0 : rank - 1);
    return count_of(&operation->outputs[0]) * depth * multiply_add_price(operation) +
           elements_of(operation);
}

double hd_work_of_convolution(const hd_operation *operation)
{
    hd_convolution sizes;
    if (hd_convolution_resolve(operation, &sizes, NULL) != HD_OK) {
        return elements_of(operation); /* compiling it will say why */
    }
    double steps = (double)sizes.batch * (double)sizes.channels * (double)sizes.output_channels /
                   (double)(sizes.group > 0 ? sizes.group : 1);
    for (uint32_t i = 0; i < sizes.spatial; i++) {
        steps *=
            (double)(sizes.transposed ? sizes.input[i] : sizes.output[i]) * (double)sizes.kernel[i];
    }
    return steps * multiply_add_price(operation) + elements_of(operation);
}

double hd_work_of_quantized_product(const hd_operation *operation)
{
    hd_quantized_view view;
    hd_quantized_view_make(operation, &view);
    return hd_quantized_is_convolution(operation->id) ? hd_work_of_convolution(&view.operation)
                                                      : hd_work_of_product(&view.operation);
}

double hd_work_of_window(const hd_operation *operation)
{
    hd_window window;
    double steps = count_of(&operation->outputs[0]);
    if (hd_window_resolve(operation, &window, NULL) != HD_OK) {
        return steps;
    }
    for (int i = 0; i < HD_WINDOW_SPATIAL; i++) {
        int64_t taps = window.kernel[i] < window.input[i] ? window.kernel[i] : window.input[i];
        steps *= (double)(taps > 1 ? taps : 1);
    }
    return steps * price_of(operation->id, operation->inputs[0].dtype) + elements_of(operation);
}

double hd_work_of_einsum(const hd_operation *operation)
{
    hd_einsum einsum;
    hd_region region = {0}; /* of strides, which cost nothing here */
    bool is_read = hd_einsum_resolve(operation, &region, &einsum, NULL) == HD_OK;
    hd_region_clear(&region);
    if (!is_read) {
        return elements_of(operation);
    }
    double steps = 1;
    for (uint32_t i = 0; i < einsum.label_count; i++) {
        steps *= (double)einsum.sizes[i];
    }
    /* Two inputs become a product where they can (matrix_einsum.c). */
    double price =
        einsum.input_count == 2 ? multiply_add_price(operation) : 2.0 * einsum.input_count;
    return steps * price + elements_of(operation);
}

/* LSTM, GRU, RNN: every step multiplies the input and the state with each gate's weights. */
double hd_work_of_recurrent(const hd_operation *operation)
{
    const hd_operand *weights = &operation->inputs[1], *recurrence = &operation->inputs[2];
    double rows = dim_of(&operation->inputs[0], 0) * dim_of(&operation->inputs[0], 1);
    double steps = rows * (count_of(weights) + count_of(recurrence));
    double cells = rows * dim_of(weights, 0) * dim_of(weights, 1) * FUNCTION_FLOAT;
    return steps * 2 * MULTIPLY_ADD + cells + elements_of(operation);
}

/* DFT and STFT: lengths are halved while they are even, what is left is summed by definition. */
double hd_work_of_transform(const hd_operation *operation)
{
    const hd_operand *output = &operation->outputs[0];
    bool is_stft = operation->id == HD_OP_STFT;
    double length = 1, lanes = 1;
    if (is_stft) {
        const hd_operand *window = &operation->inputs[2];
        length = hd_operation_has(operation, 3) && operation->inputs[3].data != NULL
                     ? (double)hd_operand_int(&operation->inputs[3], 0)
                 : hd_operation_has(operation, 2) ? dim_of(window, 0)
                                                  : 1;
        lanes = dim_of(output, 0) * dim_of(output, 1);
    } else {
        int64_t axis = operation->opset < 20 ? hd_operation_int(operation, "axis", 1)
                       : hd_operation_has(operation, 2) && operation->inputs[2].data != NULL
                           ? hd_operand_int(&operation->inputs[2], 0)
                           : -2;
        hd_axis_normalize(&axis, output->shape.rank);
        bool is_given = hd_operation_has(operation, 1) && operation->inputs[1].data != NULL;
        length = is_given ? (double)hd_operand_int(&operation->inputs[1], 0)
                          : dim_of(&operation->inputs[0], (uint32_t)axis);
        for (uint32_t i = 0; i + 1 < output->shape.rank; i++) {
            lanes *= i == (uint32_t)axis ? 1 : dim_of(output, i);
        }
    }
    double odd = length;
    double halvings = 0;
    while (odd >= 2 && fmod(odd, 2) == 0) {
        odd /= 2;
        halvings++;
    }
    return lanes * length * (2 * odd + 4 * halvings + 4) + length * FUNCTION_DOUBLE +
           elements_of(operation);
}

/* Each output row is blended from a few input rows, then its places from that row. */
double hd_work_of_scaling(const hd_operation *operation)
{
    hd_scaling scaling;
    double elements = elements_of(operation);
    if (hd_scaling_needs(operation) != 0 ||
        hd_scaling_resolve(operation, &scaling, NULL) != HD_OK) {
        return elements;
    }
    double all_taps = 1, blended = elements, tables = 0;
    for (uint32_t i = 0; i < scaling.output.rank; i++) {
        double taps = (double)hd_scaling_taps(&scaling, i);
        all_taps *= taps > 1 ? taps : 1;
        tables += taps * (double)scaling.output.dims[i];
        /* whichever axis turns out to be the row's: none of what is blended is longer than an input row */
        double stretched = count_of(&operation->outputs[0]) /
                           fmax(1, (double)scaling.output.dims[i]) * (double)scaling.input.dims[i];
        blended = fmax(blended, scaling.output.dims[i] == scaling.input.dims[i] ? 0 : stretched);
    }
    return (blended + elements) * all_taps + 20 * tables;
}

double hd_work_of_roi_pool(const hd_operation *operation)
{
    const hd_operand *image = &operation->inputs[0], *output = &operation->outputs[0];
    /* bins overlap by a row and a column at most */
    double plane = (dim_of(image, 2) + dim_of(output, 2)) * (dim_of(image, 3) + dim_of(output, 3));
    return dim_of(&operation->inputs[1], 0) * dim_of(image, 1) * plane * 4 + count_of(output) * 4;
}

double hd_work_of_roi_align(const hd_operation *operation)
{
    double outputs = count_of(&operation->outputs[0]);
    const hd_operand *image = &operation->inputs[0];
    double samples = (double)hd_operation_int(operation, "sampling_ratio", 0);
    if (samples > 0) {
        return outputs * samples * samples * 20;
    }
    /* Where the regions' sizes say how many samples are taken, two a pixel and dimension lie in the image. */
    double planes = dim_of(&operation->outputs[0], 0) * dim_of(image, 1);
    return planes * dim_of(image, 2) * dim_of(image, 3) * 4 * 20 + outputs * 100;
}

double hd_work_of_suppression(const hd_operation *operation)
{
    double boxes = dim_of(&operation->inputs[0], 1);
    double lists = dim_of(&operation->inputs[1], 0) * dim_of(&operation->inputs[1], 1);
    double kept = boxes;
    if (hd_operation_has(operation, 2) && operation->inputs[2].data != NULL) {
        kept = fmin(kept, (double)hd_operand_int(&operation->inputs[2], 0));
    }
    return lists * boxes * (20 + 4 * kept) + elements_of(operation);
}

/* heddle.Attention: q [B, T, H·D], k [B, S, H·D], v [B, S, H·E]. */
double hd_work_of_attention(const hd_operation *operation)
{
    const hd_operand *query = &operation->inputs[0], *keys = &operation->inputs[1];
    const hd_fused_attention *fused = hd_fused_attention_of(operation);
    double pairs = dim_of(query, 0) * dim_of(query, 1) * dim_of(keys, 1);
    double depth = dim_of(query, 2) + dim_of(&operation->inputs[2], 2);
    return pairs * (depth * MULTIPLY_ADD + (double)fused->heads * FUNCTION_FLOAT) +
           elements_of(operation);
}

double hd_work_of_deformable(const hd_operation *operation)
{
    hd_deformable d;
    if (hd_deformable_resolve(operation, &d, NULL) != HD_OK) {
        return elements_of(operation);
    }
    /* What an output position takes is interpolated once, and multiplied for each channel of its group. */
    const hd_convolution *s = &d.sizes;
    const double taken = (double)s->batch * (double)s->output[0] * (double)s->output[1] *
                         (double)s->channels * (double)s->kernel[0] * (double)s->kernel[1];
    return taken *
               (3 * FUNCTION_FLOAT + MULTIPLY_ADD * (double)s->output_channels / (double)s->group) +
           elements_of(operation);
}

double hd_work_of_multinomial(const hd_operation *operation)
{
    const double classes = dim_of(&operation->inputs[0], 1);
    return count_of(&operation->inputs[0]) * FUNCTION_DOUBLE +
           count_of(&operation->outputs[0]) * (FUNCTION_DOUBLE + log2(classes + 1));
}

double hd_work_of_linear_attention(const hd_operation *operation)
{
    hd_linear_attention a;
    if (hd_linear_attention_resolve(operation, &a, NULL) != HD_OK) {
        return elements_of(operation);
    }
    /* Each position reads, decays and writes the state, and each of its queries reads it. */
    const double passes = 3 * (double)a.state_heads + (double)a.heads;
    return (double)a.batch * (double)a.length * (double)a.key_width *
               ((double)a.value_width * passes + (double)a.state_heads * FUNCTION_FLOAT) +
           elements_of(operation);
}

double hd_work_of_scaled_attention(const hd_operation *operation)
{
    hd_scaled_attention a;
    if (hd_scaled_attention_resolve(operation, &a, NULL) != HD_OK) {
        return elements_of(operation);
    }
    const double pairs = (double)a.batch * (double)a.heads * (double)a.queries * (double)a.keys;
    const double depth = (double)a.query_width + (double)a.value_width;
    return pairs * (depth * MULTIPLY_ADD + FUNCTION_FLOAT * (a.softcap != 0.0f ? 2 : 1)) +
           elements_of(operation);
}

double hd_work_of_chain(const hd_operation *operation)
{
    const hd_fused_elementwise *chain = hd_fused_elementwise_of(operation);
    double outputs = count_of(&operation->outputs[0]), price = 0;
    for (size_t i = 0; i < chain->step_count; i++) {
        const hd_operation *step = chain->steps[i].operation;
        price += price_of(step->id, step->input_count > 0 ? step->inputs[0].dtype : HD_FLOAT32);
    }
    return outputs * price + elements_of(operation);
}

/* HannWindow and its like: a table of doubles, made when it is compiled. */
double hd_work_of_table(const hd_operation *operation)
{
    return count_of(&operation->outputs[0]) * 2 * FUNCTION_DOUBLE;
}

/* Operators that read each input once for each output, however small it is. */
double hd_work_of_variadic(const hd_operation *operation)
{
    return count_of(&operation->outputs[0]) * (double)(operation->input_count + 1) *
           price_of(operation->id, operation->inputs[0].dtype);
}

double hd_work_of_det(const hd_operation *operation)
{
    const hd_operand *input = &operation->inputs[0];
    return count_of(input) * dim_of(input, input->shape.rank - 1) * 4;
}

double hd_work_of_lrn(const hd_operation *operation)
{
    const hd_operand *input = &operation->inputs[0];
    double size = (double)hd_operation_int(operation, "size", 1);
    return count_of(input) * (fmin(size, dim_of(input, 1)) * 2 + FUNCTION_DOUBLE);
}

double hd_work_of_grid_sample(const hd_operation *operation)
{
    double taps = pow(4, fmax(0, (double)operation->inputs[0].shape.rank - 2));
    return count_of(&operation->outputs[0]) * taps * 8 + elements_of(operation);
}

/* TopK, Unique. */
double hd_work_of_sorting(const hd_operation *operation)
{
    return elements_of(operation) * (8 + 4 * log2(count_of(&operation->inputs[0]) + 1));
}

/* Each row walks each tree, a step a level. */
double hd_work_of_trees(const hd_operation *operation)
{
    const hd_forest *forest = operation->inputs[1].data;
    if (forest == NULL) {
        return elements_of(operation);
    }
    const hd_forest_tree *trees = hd_forest_section(forest, forest->trees);
    double steps = 0;
    for (uint32_t t = 0; t < forest->tree_count; t++) {
        steps += trees[t].most_depth + 1;
    }
    return elements_of(operation) + dim_of(&operation->outputs[0], 0) * steps * TREE_STEP;
}

/* A row's pairs are turned into classes' probabilities by up to a hundred passes over all pairs. */
double hd_work_of_votes(const hd_operation *operation)
{
    return elements_of(operation) + 200 * count_of(&operation->inputs[0]) + 100;
}

double hd_work_of(const hd_operation *operation)
{
    const hd_operator *row = hd_operator_of(operation->id);
    if (row->work != NULL) {
        return row->work(operation);
    }
    hd_dtype dtype = operation->input_count > 0 && operation->inputs[0].dtype != HD_DTYPE_NONE
                         ? operation->inputs[0].dtype
                         : operation->outputs[0].dtype;
    return elements_of(operation) * price_of(operation->id, dtype);
}

/* Quantized operators of domain com.microsoft, as onnxruntime's quantization tools write them
 * (github.com/microsoft/onnxruntime, docs/ContribOperators.md). */
#include <math.h>

#include "graph/expansions/expansions.h"
#include "graph/expansions/quantized_parts.h"

/* Inputs: a, b, b's scale, b's zero point, bias. a is quantized when it runs. */
void hd_expand_dynamic_quantize_matmul(hd_expansion *e)
{
    const hd_value *in = e->inputs;
    hd_value quantized[3];
    hd_expand_node(e, HD_OP_DYNAMIC_QUANTIZE_LINEAR, &in[0], 1, NULL, 0, quantized, 3);
    hd_expand_give(e, 0,
                   hd_expand_integer_product(e, quantized[0], in[1], quantized[1], in[2],
                                             quantized[2], in[3], in[4]));
}

/* Inputs: a, b, their scales, their zero points, bias. */
void hd_expand_matmul_integer_to_float(hd_expansion *e)
{
    const hd_value *in = e->inputs;
    hd_expand_give(e, 0,
                   hd_expand_integer_product(e, in[0], in[1], in[2], in[3], in[4], in[5], in[6]));
}

/* Inputs: a, scale, zero point, b, scale, zero point, c (int32, of the product's scale), y's scale and zero point; without
 * these y is float32. */
void hd_expand_qgemm(hd_expansion *e)
{
    enum { A, A_SCALE, A_ZERO, B, B_SCALE, B_ZERO, C, Y_SCALE, Y_ZERO };
    const hd_operation *o = &e->operation;
    const hd_value *in = e->inputs;
    hd_value a = hd_expand_transpose_matrix(e, in[A], hd_operation_int(o, "transA", 0) != 0, false);
    hd_value b = hd_expand_transpose_matrix(e, in[B], hd_operation_int(o, "transB", 0) != 0, false);
    if (hd_operation_int(o, "transB", 0) != 0 && hd_expand_rank(e, in[B]) == 2) {
        b = hd_expand_transpose(e, in[B], (int64_t[]){1, 0}, 2);
    }
    hd_value sum;
    hd_expand_node(e, HD_OP_MATMUL_INTEGER, (hd_value[]){a, b, in[A_ZERO], in[B_ZERO]}, 4, NULL, 0,
                   &sum, 1);
    if (hd_expand_has(e, C)) {
        sum = hd_expand_2(e, HD_OP_ADD, sum, in[C]);
    }
    hd_value scale = hd_expand_2(e, HD_OP_MUL, in[A_SCALE], in[B_SCALE]);
    scale = hd_expand_scale(e, scale, hd_operation_float(o, "alpha", 1));
    hd_value y = hd_expand_2(e, HD_OP_MUL, hd_expand_cast(e, sum, HD_FLOAT32), scale);
    if (hd_expand_has(e, Y_SCALE)) {
        y = hd_expand_quantize(e, y, in[Y_SCALE], in[Y_ZERO]);
    } else if (hd_expand_has(e, Y_ZERO)) {
        hd_expand_fail(e, HD_BAD_MODEL, "it has a zero point of its output, but no scale");
    }
    hd_expand_give(e, 0, y);
}

/* Inputs: a, scale, zero point, b, scale, zero point, y's scale and zero point. */
static void give_binary(hd_expansion *e, hd_operator_id id)
{
    const hd_value *in = e->inputs;
    hd_expand_need(e, 1u << 3 | 1u << 4 | 1u << 6);
    hd_value a = hd_expand_dequantize(e, in[0], in[1], in[2]);
    hd_value b = hd_expand_dequantize(e, in[3], in[4], in[5]);
    hd_expand_give(e, 0, hd_expand_quantize(e, hd_expand_2(e, id, a, b), in[6], in[7]));
}

void hd_expand_qlinear_add(hd_expansion *e)
{
    give_binary(e, HD_OP_ADD);
}

void hd_expand_qlinear_mul(hd_expansion *e)
{
    give_binary(e, HD_OP_MUL);
}

/* Inputs of the operators with one: x, scale, zero point, y's scale and zero point. */
static hd_value dequantized(hd_expansion *e)
{
    hd_expand_need(e, 1u << 1 | 1u << 3);
    return hd_expand_dequantize(e, e->inputs[0], e->inputs[1], e->inputs[2]);
}

static void give_quantized(hd_expansion *e, hd_value y)
{
    hd_expand_give(e, 0, hd_expand_quantize(e, y, e->inputs[3], e->inputs[4]));
}

void hd_expand_qlinear_sigmoid(hd_expansion *e)
{
    give_quantized(e, hd_expand_1(e, HD_OP_SIGMOID, dequantized(e)));
}

void hd_expand_qlinear_leaky_relu(hd_expansion *e)
{
    hd_attribute alpha =
        hd_expand_float("alpha", hd_operation_float(&e->operation, "alpha", 0.01f));
    give_quantized(e, hd_expand_1_with(e, HD_OP_LEAKY_RELU, dequantized(e), alpha));
}

/* Pools are taken of q - z, whose sums are exact, and scaled afterwards. */
static void give_pooled(hd_expansion *e, hd_operator_id id)
{
    static const char *const layout[] = {"channels_last", NULL};
    hd_expand_need(e, 1u << 1 | 1u << 3);
    const bool is_last = hd_operation_int(&e->operation, "channels_last", 0) != 0;
    size_t count;
    hd_operation_ints(&e->operation, "kernel_shape", &count);
    int rank = count > 0 ? (int)count + 2 : hd_expand_rank(e, e->inputs[0]);
    rank = rank >= 3 && rank <= HD_MAX_RANK ? rank : 4; /* images, where nothing says more */
    hd_value x = hd_expand_centered(e, e->inputs[0], e->inputs[2]);
    x = is_last ? hd_expand_turn_channels(e, x, rank, true) : x;
    hd_value y = hd_expand_2(e, HD_OP_MUL, hd_expand_same(e, id, &x, 1, layout), e->inputs[1]);
    give_quantized(e, is_last ? hd_expand_turn_channels(e, y, rank, false) : y);
}

void hd_expand_qlinear_average_pool(hd_expansion *e)
{
    give_pooled(e, HD_OP_AVERAGE_POOL);
}

void hd_expand_qlinear_global_average_pool(hd_expansion *e)
{
    give_pooled(e, HD_OP_GLOBAL_AVERAGE_POOL);
}

void hd_expand_qlinear_reduce_mean(hd_expansion *e)
{
    size_t count;
    const int64_t *axes = hd_operation_ints(&e->operation, "axes", &count);
    hd_attribute keep = hd_expand_int("keepdims", hd_operation_int(&e->operation, "keepdims", 1));
    hd_expand_need(e, 1u << 1 | 1u << 3);
    hd_value x = hd_expand_centered(e, e->inputs[0], e->inputs[2]);
    hd_value mean = hd_expand_2_with(e, HD_OP_REDUCE_MEAN, x, hd_expand_list(e, axes, count), keep);
    give_quantized(e, hd_expand_2(e, HD_OP_MUL, mean, e->inputs[1]));
}

/* The attribute `opset` says which Softmax of ONNX's it is: before 13 the axes from `axis` on are taken together. */
void hd_expand_qlinear_softmax(hd_expansion *e)
{
    const int64_t opset = hd_operation_int(&e->operation, "opset", 13);
    const bool is_new = opset >= 13;
    hd_attribute axis =
        hd_expand_int("axis", hd_operation_int(&e->operation, "axis", is_new ? -1 : 1));
    hd_value x = dequantized(e);
    e->graph->opset = is_new ? HD_EXPANSION_OPSET : 11;
    hd_value y = hd_expand_1_with(e, HD_OP_SOFTMAX, x, axis);
    e->graph->opset = HD_EXPANSION_OPSET;
    give_quantized(e, y);
}

/* What is of the output's scale and zero point already stays as it is. */
static hd_value requantize(hd_expansion *e, hd_value x, const hd_value from[2],
                           const hd_value to[2])
{
    return from[0] == to[0] && from[1] == to[1]
               ? x
               : hd_expand_quantize(e, hd_expand_dequantize(e, x, from[0], from[1]), to[0], to[1]);
}

/* Inputs: condition, x, scale, zero point, y, scale, zero point, the output's scale and zero point. */
void hd_expand_qlinear_where(hd_expansion *e)
{
    const hd_value *in = e->inputs;
    hd_expand_give(e, 0,
                   hd_expand_3(e, HD_OP_WHERE, in[0], requantize(e, in[1], &in[2], &in[7]),
                               requantize(e, in[4], &in[5], &in[7])));
}

/* Inputs: y's scale and zero point, then of each part x, scale, zero point. */
void hd_expand_qlinear_concat(hd_expansion *e)
{
    const hd_value *in = e->all_inputs;
    const size_t count = e->input_count < 5 ? 0 : (e->input_count - 2) / 3;
    hd_attribute axis = hd_expand_int("axis", hd_operation_int(&e->operation, "axis", 0));
    hd_value *parts = hd_region_array(&e->graph->region, count, sizeof *parts), y;
    if (count == 0 || e->input_count != 2 + 3 * count) {
        hd_expand_fail(e, HD_BAD_MODEL,
                       "its parts are no triples of elements, scale and zero point");
        return;
    }
    if (parts == NULL) {
        hd_expand_fail(e, HD_OUT_OF_MEMORY, "no memory for its parts");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const hd_value *part = &in[2 + 3 * i];
        if (part[0] == HD_VALUE_NONE || part[1] == HD_VALUE_NONE) {
            hd_expand_fail(e, HD_BAD_MODEL, "elements or scale of part %zu are left out", i);
        }
        parts[i] = requantize(e, part[0], &part[1], in);
    }
    hd_expand_node(e, HD_OP_CONCAT, parts, count, &axis, 1, &y, 1);
    hd_expand_give(e, 0, y);
}

void hd_expand_quantize_linear(hd_expansion *e)
{
    hd_expand_give(
        e, 0, hd_expand_same(e, HD_OP_QUANTIZE_LINEAR, e->inputs, 3, (const char *const[]){NULL}));
}

void hd_expand_dequantize_linear(hd_expansion *e)
{
    hd_expand_give(
        e, 0,
        hd_expand_same(e, HD_OP_DEQUANTIZE_LINEAR, e->inputs, 3, (const char *const[]){NULL}));
}

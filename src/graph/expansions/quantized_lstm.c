/* DynamicQuantizeLSTM of domain com.microsoft: an LSTM whose constant weights are bytes. onnxruntime quantizes what it
 * multiplies them with, too, when it runs; here that is float32, which is more exact. */
#include "base/memory.h"
#include "graph/expansion.h"
#include "graph/expansions/expansions.h"

enum { X, W, R, OPERANDS = 8, W_SCALE = 8, W_ZERO, R_SCALE, R_ZERO };

static int32_t byte_at(const hd_graph_value *value, int64_t index)
{
    return value->dtype == HD_INT8 ? ((const int8_t *)value->data)[index]
                                   : ((const uint8_t *)value->data)[index];
}

/* Numbers a direction, or a direction and column, of weights [directions, rows, columns]. */
static bool fits(const hd_graph_value *value, const hd_shape *weights)
{
    const int64_t count = hd_shape_count(&value->shape);
    return value->data != NULL &&
           (count == weights->dims[0] ||
            count == hd_multiply_bounded(weights->dims[0], weights->dims[2]));
}

static void fill(const hd_graph_value *w, const hd_graph_value *scales, const hd_graph_value *zeros,
                 float *to)
{
    const int64_t rows = w->shape.dims[1], columns = w->shape.dims[2];
    const bool many_scales = hd_shape_count(&scales->shape) != w->shape.dims[0];
    const bool many_zeros = hd_shape_count(&zeros->shape) != w->shape.dims[0];
    for (int64_t d = 0; d < w->shape.dims[0]; d++) {
        for (int64_t c = 0; c < columns; c++) {
            const float scale = ((const float *)scales->data)[many_scales ? d * columns + c : d];
            const int32_t zero = byte_at(zeros, many_zeros ? d * columns + c : d);
            for (int64_t r = 0; r < rows; r++) {
                to[(d * columns + c) * rows + r] =
                    (float)(byte_at(w, (d * rows + r) * columns + c) - zero) * scale;
            }
        }
    }
}

/* The weights as float32 [directions, columns, rows], as LSTM has them. */
static hd_value dequantized(hd_expansion *e, size_t weight, size_t scale_input)
{
    const hd_graph_value *w = &e->graph->values[e->inputs[weight]];
    const hd_graph_value *scales = &e->graph->values[e->inputs[scale_input]];
    const hd_graph_value *zeros = &e->graph->values[e->inputs[scale_input + 1]];
    if (e->status != HD_OK) {
        return HD_VALUE_NONE;
    }
    if (w->data == NULL || w->shape.rank != 3 || hd_shape_count(&w->shape) == 0 ||
        (w->dtype != HD_INT8 && w->dtype != HD_UINT8) || !fits(scales, &w->shape) ||
        !fits(zeros, &w->shape) || scales->dtype != HD_FLOAT32 || zeros->dtype != w->dtype) {
        hd_expand_fail(e, HD_UNSUPPORTED,
                       "input %zu with its scale and zero point are no constants that fit together",
                       weight);
        return HD_VALUE_NONE;
    }
    const hd_shape shape = {.rank = 3,
                            .dims = {w->shape.dims[0], w->shape.dims[2], w->shape.dims[1]}};
    float *to = hd_alloc_aligned((size_t)hd_shape_count(&shape) * sizeof *to);
    hd_value made = HD_VALUE_NONE;
    if (to != NULL) {
        fill(w, scales, zeros, to);
        made = hd_graph_new_constant(e->graph, "", HD_FLOAT32, &shape, to);
    }
    if (made == HD_VALUE_NONE) {
        hd_free(to);
        hd_expand_fail(e, HD_OUT_OF_MEMORY, "no memory for its weights");
    }
    return made;
}

void hd_expand_dynamic_quantize_lstm(hd_expansion *e)
{
    hd_value inputs[OPERANDS], made[3];
    hd_expand_need(e, 1u << W_SCALE | 1u << W_ZERO | 1u << R_SCALE | 1u << R_ZERO);
    for (size_t i = 0; i < OPERANDS; i++) {
        inputs[i] = e->inputs[i];
    }
    inputs[W] = dequantized(e, W, W_SCALE);
    inputs[R] = dequantized(e, R, R_SCALE);
    hd_expand_node(e, HD_OP_LSTM, inputs, OPERANDS, e->operation.attributes,
                   e->operation.attribute_count, made, 3);
    for (size_t i = 0; i < 3; i++) {
        hd_expand_give(e, i, made[i]);
    }
}

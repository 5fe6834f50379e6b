/* Fuses what quantization tools write around float32 operators: where DequantizeLinear stands before a convolution's or a
 * product's operands and QuantizeLinear behind it, it becomes QLinearConv or QLinearMatMul, whose sums are exact. Done once, when
 * a model is loaded, before constants are folded, and only where the unit says that bytes are faster, and keeps the weight in a form of its own for
 * that operator, that is, computes it (hd_compile_table), or is the host and the convolution depthwise: a device without it keeps its float32
 * kernels. */
#include "graph/graph_quantized.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "operation/quantized.h"

typedef struct fusion {
    hd_graph *graph;
    const hd_unit *unit;
    hd_node **producers; /* of each value, in the block that is looked at; else NULL */
    uint32_t *readers;   /* of each value */
    hd_status status;
} fusion;

/* An operand as it is before DequantizeLinear, or behind QuantizeLinear. */
typedef struct quantized {
    hd_value x, scale, zero;
} quantized;

static const hd_graph_value *value_of(const fusion *f, hd_value value)
{
    return &f->graph->values[value];
}

static bool is_one(const fusion *f, hd_value value, hd_dtype dtype)
{
    const hd_graph_value *entry = value_of(f, value);
    return value != HD_VALUE_NONE && entry->data != NULL && entry->dtype == dtype &&
           hd_shape_count(&entry->shape) == 1;
}

static bool is_node(const hd_node *node, hd_operator_id id)
{
    return node != NULL && node->operator->id == id;
}

static int64_t attribute_of(const hd_node *node, const char *name, int64_t otherwise)
{
    for (size_t i = 0; i < node->attribute_count; i++) {
        if (strcmp(node->attributes[i].name, name) == 0) {
            return node->attributes[i].i;
        }
    }
    return otherwise;
}

/* Scale and zero point of a QuantizeLinear or DequantizeLinear node; a type of bytes where they have one. */
static hd_dtype read_node(const fusion *f, const hd_node *node, quantized *out)
{
    *out = (quantized){node->inputs[0], node->inputs[1],
                       node->input_count > 2 ? node->inputs[2] : HD_VALUE_NONE};
    const hd_dtype dtype =
        out->zero == HD_VALUE_NONE ? HD_DTYPE_NONE : value_of(f, out->zero)->dtype;
    return hd_quantized_is_byte(dtype) && value_of(f, out->zero)->data != NULL &&
                   value_of(f, out->scale)->data != NULL &&
                   value_of(f, out->scale)->dtype == HD_FLOAT32 &&
                   attribute_of(node, "block_size", 0) == 0
               ? dtype
               : HD_DTYPE_NONE;
}

/* The activation that DequantizeLinear gives, of one scale. */
static bool read_activation(const fusion *f, hd_value value, quantized *out)
{
    const hd_node *node = f->producers[value];
    return is_node(node, HD_OP_DEQUANTIZE_LINEAR) && read_node(f, node, out) != HD_DTYPE_NONE &&
           is_one(f, out->scale, HD_FLOAT32) && hd_shape_count(&value_of(f, out->zero)->shape) == 1;
}

/* A constant weight of `rank` dimensions (0: of 3 to 5), of one scale, or one each position of `axis`. */
static bool read_weight(const fusion *f, hd_value value, uint32_t rank, int64_t axis,
                        quantized *out)
{
    const hd_node *node = f->producers[value];
    if (!is_node(node, HD_OP_DEQUANTIZE_LINEAR)) {
        return false;
    }
    const hd_dtype dtype = read_node(f, node, out);
    const hd_graph_value *weight = value_of(f, out->x);
    if (dtype == HD_DTYPE_NONE || weight->data == NULL || weight->dtype != dtype ||
        (rank == 0 ? weight->shape.rank < 3 || weight->shape.rank > 5
                   : weight->shape.rank != rank)) {
        return false;
    }
    const int64_t scales = hd_shape_count(&value_of(f, out->scale)->shape);
    const int64_t given = attribute_of(node, "axis", 1);
    return hd_shape_count(&value_of(f, out->zero)->shape) == scales &&
           (scales == 1 ||
            (value_of(f, out->scale)->shape.rank == 1 && scales == weight->shape.dims[axis] &&
             (given == axis || given + (int64_t)weight->shape.rank == axis)));
}

/* The bias as the int32 numbers that it is given in, whose scale is the product's: HD_VALUE_NONE where it is none such. */
static hd_value read_bias(const fusion *f, hd_value value, const quantized *x, const quantized *w)
{
    const hd_node *node = f->producers[value];
    if (!is_node(node, HD_OP_DEQUANTIZE_LINEAR)) {
        return HD_VALUE_NONE;
    }
    const hd_graph_value *bias = value_of(f, node->inputs[0]),
                         *scale = value_of(f, node->inputs[1]);
    const hd_graph_value *w_scale = value_of(f, w->scale);
    if (bias->data == NULL || bias->dtype != HD_INT32 || scale->data == NULL ||
        scale->dtype != HD_FLOAT32) {
        return HD_VALUE_NONE;
    }
    if (node->input_count > 2 && node->inputs[2] != HD_VALUE_NONE) {
        const hd_graph_value *zero = value_of(f, node->inputs[2]);
        for (int64_t i = 0; zero->data != NULL && i < hd_shape_count(&zero->shape); i++) {
            if (zero->dtype != HD_INT32 || ((const int32_t *)zero->data)[i] != 0) {
                return HD_VALUE_NONE;
            }
        }
        if (zero->data == NULL) {
            return HD_VALUE_NONE;
        }
    }
    const int64_t count = hd_shape_count(&scale->shape), channels = hd_shape_count(&bias->shape);
    const int64_t weights = hd_shape_count(&w_scale->shape);
    if ((count != 1 && count != channels) || (weights != 1 && weights != channels)) {
        return HD_VALUE_NONE;
    }
    const float x_scale = *(const float *)value_of(f, x->scale)->data;
    for (int64_t c = 0; c < channels; c++) {
        const float wanted = x_scale * ((const float *)w_scale->data)[weights == 1 ? 0 : c];
        const float given = ((const float *)scale->data)[count == 1 ? 0 : c];
        if (!(fabsf(given - wanted) <= 4 * FLT_EPSILON * fabsf(wanted))) {
            return HD_VALUE_NONE;
        }
    }
    return node->inputs[0];
}

/* One of one input and output channel a group, which the host computes by lines of channels, and needs no form for. */
static bool is_depthwise(const fusion *f, hd_operator_id id, const hd_node *node, hd_value weight)
{
    const hd_shape *shape = &value_of(f, weight)->shape;
    return f->unit->is_host && id == HD_OP_QLINEAR_CONV && (shape->rank == 3 || shape->rank == 4) &&
           shape->dims[1] == 1 && attribute_of(node, "group", 1) == shape->dims[0];
}

/* The unit computes it: it has a form for the weight, or needs none. */
static bool is_supported(const fusion *f, hd_operator_id id, const hd_node *node,
                         const hd_value *inputs, size_t count)
{
    hd_operand operands[9] = {{0}};
    hd_operation operation = {.id = id,
                              .name = node->name,
                              .opset = node->opset,
                              .attributes = node->attributes,
                              .attribute_count = node->attribute_count,
                              .inputs = operands,
                              .input_count = count};
    for (size_t i = 0; i < count; i++) {
        const hd_graph_value *value = value_of(f, inputs[i]);
        if (inputs[i] != HD_VALUE_NONE && value->data != NULL) {
            operands[i] =
                (hd_operand){.dtype = value->dtype, .shape = value->shape, .data = value->data};
        }
    }
    return f->unit->backend->compile->constant_form(f->unit, &operation, 3).kind != 0 ||
           is_depthwise(f, id, node, inputs[3]);
}

/* QuantizeLinear `last` becomes the fused operator, where all before it fits. */
static void fuse(fusion *f, hd_node *last)
{
    quantized y, x, w;
    hd_node *node = f->producers[last->inputs[0]];
    if (read_node(f, last, &y) == HD_DTYPE_NONE || !is_one(f, y.scale, HD_FLOAT32) ||
        hd_shape_count(&value_of(f, y.zero)->shape) != 1 || f->readers[last->inputs[0]] != 1) {
        return;
    }
    const hd_graph_value *zero = value_of(f, y.zero);
    if (is_node(node, HD_OP_RELU) &&
        /* what is below 0 becomes the least number in any case then */
        (zero->dtype == HD_UINT8 ? *(const uint8_t *)zero->data == 0
                                 : *(const int8_t *)zero->data == INT8_MIN) &&
        f->readers[node->inputs[0]] == 1) {
        node = f->producers[node->inputs[0]];
    }
    const bool is_image = is_node(node, HD_OP_CONV);
    if ((!is_image && !is_node(node, HD_OP_MATMUL)) || !read_activation(f, node->inputs[0], &x) ||
        !read_weight(f, node->inputs[1], is_image ? 0 : 2, is_image ? 0 : 1, &w)) {
        return;
    }
    const bool has_bias = is_image && node->input_count > 2 && node->inputs[2] != HD_VALUE_NONE;
    const hd_value bias = has_bias ? read_bias(f, node->inputs[2], &x, &w) : HD_VALUE_NONE;
    if (has_bias && bias == HD_VALUE_NONE) {
        return;
    }
    const hd_operator_id id = is_image ? HD_OP_QLINEAR_CONV : HD_OP_QLINEAR_MATMUL;
    const hd_value inputs[] = {x.x, x.scale, x.zero, w.x, w.scale, w.zero, y.scale, y.zero, bias};
    const size_t count = has_bias ? 9 : 8;
    if (!is_supported(f, id, node, inputs, count)) {
        return;
    }
    hd_value *copy = hd_region_array(&f->graph->region, count, sizeof *copy);
    if (copy == NULL) {
        f->status = HD_OUT_OF_MEMORY;
        return;
    }
    memcpy(copy, inputs, count * sizeof *copy);
    f->readers[last->inputs[0]]--;
    for (size_t i = 0; i < count; i++) {
        f->readers[inputs[i]]++;
    }
    last->operator = hd_operator_of(id);
    last->name = node->name;
    last->inputs = copy;
    last->input_count = count;
    last->attributes = node->attributes;
    last->attribute_count = node->attribute_count;
}

/* What only fused nodes have read goes, from the last on. */
static void drop_unread(fusion *f, hd_block *block)
{
    size_t kept = block->node_count;
    for (size_t n = block->node_count; n-- > 0;) {
        hd_node *node = &block->nodes[n];
        bool is_read = !is_node(node, HD_OP_DEQUANTIZE_LINEAR) && !is_node(node, HD_OP_CONV) &&
                       !is_node(node, HD_OP_MATMUL) && !is_node(node, HD_OP_RELU);
        for (size_t i = 0; i < node->output_count; i++) {
            is_read = is_read || f->readers[node->outputs[i]] > 0;
        }
        for (size_t i = 0; i < node->input_count && !is_read; i++) {
            f->readers[node->inputs[i]]--;
        }
        if (is_read) {
            block->nodes[--kept] = *node;
        }
    }
    block->node_count -= kept;
    memmove(block->nodes, block->nodes + kept, block->node_count * sizeof *block->nodes);
}

static void fuse_block(fusion *f, hd_block *block)
{
    bool changed = false;
    for (size_t n = 0; n < block->node_count; n++) {
        hd_node *node = &block->nodes[n];
        for (size_t i = 0; i < node->output_count; i++) {
            f->producers[node->outputs[i]] = node;
        }
    }
    f->producers[HD_VALUE_NONE] = NULL;
    for (size_t n = 0; n < block->node_count && f->status == HD_OK; n++) {
        if (is_node(&block->nodes[n], HD_OP_QUANTIZE_LINEAR)) {
            fuse(f, &block->nodes[n]);
            changed = changed || !is_node(&block->nodes[n], HD_OP_QUANTIZE_LINEAR);
        }
    }
    for (size_t n = 0; n < block->node_count; n++) {
        hd_node *node = &block->nodes[n];
        for (size_t i = 0; i < node->output_count; i++) {
            f->producers[node->outputs[i]] = NULL;
        }
    }
    if (changed) {
        drop_unread(f, block);
    }
}

hd_status hd_graph_fuse_quantized(hd_graph *graph, const hd_unit *unit)
{
    const hd_compile_table *table = unit->backend->compile;
    if (table->quantized_is_faster == NULL || !table->quantized_is_faster(unit)) {
        return HD_OK;
    }
    fusion f = {.graph = graph,
                .unit = unit,
                .producers = hd_alloc_zero(graph->value_count, sizeof(hd_node *)),
                .readers = hd_alloc_zero(graph->value_count, sizeof(uint32_t))};
    f.status = f.producers == NULL || f.readers == NULL ? HD_OUT_OF_MEMORY : HD_OK;
    if (f.status == HD_OK) {
        hd_graph_count_readers(graph, f.readers);
    }
    for (size_t b = 0; b < graph->block_count && f.status == HD_OK; b++) {
        fuse_block(&f, graph->blocks[b]);
    }
    hd_free(f.producers);
    hd_free(f.readers);
    return f.status;
}

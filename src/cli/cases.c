#include "cli/cases.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/random.h"

#define ALIGNMENT   64
#define INPUT_SEED  UINT64_C(0x696e707574) /* and up by one an input */
#define WEIGHT_SEED UINT64_C(0x776569676874)

/* Adds nodes until one fails; from then on it does nothing and `status` stays. */
typedef struct hd_builder {
    hd_graph *graph;
    hd_error *error;
    hd_status status;
} hd_builder;

static hd_value add_node(hd_builder *builder, const char *op_type, hd_value a, hd_value b,
                         hd_value c, const hd_attribute *attributes, size_t attribute_count)
{
    hd_value inputs[3] = {a, b, c}, output = HD_VALUE_NONE;
    size_t count = c != HD_VALUE_NONE ? 3 : b != HD_VALUE_NONE ? 2 : 1;
    if (builder->status == HD_OK) {
        builder->status = hd_graph_add_node(builder->graph, op_type, inputs, count, attributes,
                                            attribute_count, &output, 1, builder->error);
    }
    return output;
}

static hd_value add_plain(hd_builder *builder, const char *op_type, hd_value a, hd_value b)
{
    return add_node(builder, op_type, a, b, HD_VALUE_NONE, NULL, 0);
}

static hd_value add_constant(hd_builder *builder, hd_tensor tensor)
{
    hd_value value = HD_VALUE_NONE;
    if (builder->status == HD_OK) {
        builder->status = hd_graph_add_constant(builder->graph, &tensor, &value, builder->error);
    }
    return value;
}

static hd_attribute integers(const char *name, const int64_t *values, size_t count)
{
    return (hd_attribute){.name = name, .kind = HD_ATTRIBUTE_INTS, .ints = values, .count = count};
}

static hd_attribute integer(const char *name, int64_t value)
{
    return (hd_attribute){.name = name, .kind = HD_ATTRIBUTE_INT, .i = value};
}

static hd_value add_layer_norm(hd_builder *builder, hd_value x, hd_value scale, hd_value bias)
{
    hd_attribute attributes[] = {
        integer("axis", -1),
        {.name = "epsilon", .kind = HD_ATTRIBUTE_FLOAT, .f = (float)NORM_EPSILON},
    };
    return add_node(builder, "LayerNormalization", x, scale, bias, attributes, 2);
}

static hd_status build_linear(hd_graph *graph, const hd_value *inputs, const hd_value *weights,
                              hd_value *out_value, hd_error *error)
{
    hd_builder builder = {graph, error, HD_OK};
    hd_attribute transposed = integer("transB", 1);
    *out_value = add_node(&builder, "Gemm", inputs[0], weights[0], weights[1], &transposed, 1);
    return builder.status;
}

static hd_status build_matmul(hd_graph *graph, const hd_value *inputs, const hd_value *weights,
                              hd_value *out_value, hd_error *error)
{
    (void)weights;
    hd_builder builder = {graph, error, HD_OK};
    *out_value = add_plain(&builder, "MatMul", inputs[0], inputs[1]);
    return builder.status;
}

static hd_status build_layernorm(hd_graph *graph, const hd_value *inputs, const hd_value *weights,
                                 hd_value *out_value, hd_error *error)
{
    hd_builder builder = {graph, error, HD_OK};
    *out_value = add_layer_norm(&builder, inputs[0], weights[0], weights[1]);
    return builder.status;
}

static hd_status build_softmax(hd_graph *graph, const hd_value *inputs, const hd_value *weights,
                               hd_value *out_value, hd_error *error)
{
    (void)weights;
    hd_builder builder = {graph, error, HD_OK};
    hd_attribute axis = integer("axis", -1);
    *out_value = add_node(&builder, "Softmax", inputs[0], HD_VALUE_NONE, HD_VALUE_NONE, &axis, 1);
    return builder.status;
}

static hd_status build_conv2d(hd_graph *graph, const hd_value *inputs, const hd_value *weights,
                              hd_value *out_value, hd_error *error)
{
    static const int64_t kernel[] = {3, 3}, pads[] = {1, 1, 1, 1};
    hd_builder builder = {graph, error, HD_OK};
    hd_attribute attributes[] = {integers("kernel_shape", kernel, 2), integers("pads", pads, 4)};
    *out_value = add_node(&builder, "Conv", inputs[0], weights[0], weights[1], attributes, 2);
    return builder.status;
}

static hd_status build_gelu(hd_graph *graph, const hd_value *inputs, const hd_value *weights,
                            hd_value *out_value, hd_error *error)
{
    (void)weights;
    hd_builder builder = {graph, error, HD_OK};
    *out_value = add_plain(&builder, "Gelu", inputs[0], HD_VALUE_NONE);
    return builder.status;
}

/* MatMul and Add, as exporters spell a linear layer over tokens. */
static hd_value add_projection(hd_builder *builder, hd_value x, const hd_value *weights,
                               size_t index)
{
    return add_plain(builder, "Add", add_plain(builder, "MatMul", x, weights[index]),
                     weights[index + 1]);
}

static hd_value add_reshape(hd_builder *builder, hd_value x, const int64_t *dims, int64_t rank)
{
    hd_value target = add_constant(builder, (hd_tensor){.dtype = HD_INT64,
                                                        .rank = 1,
                                                        .dims = {rank},
                                                        .data = (void *)dims,
                                                        .size = (size_t)rank * sizeof *dims});
    return add_plain(builder, "Reshape", x, target);
}

static hd_value add_transpose(hd_builder *builder, hd_value x, const int64_t *order)
{
    hd_attribute permutation = integers("perm", order, 4);
    return add_node(builder, "Transpose", x, HD_VALUE_NONE, HD_VALUE_NONE, &permutation, 1);
}

/* Multi-head self-attention, operator by operator as PyTorch's exporter writes it. A 0 in a
 * Reshape's target keeps that dimension. */
static hd_value add_attention(hd_builder *builder, hd_value x, const hd_value *weights)
{
    static const int64_t split[] = {0, 0, BLOCK_HEADS, BLOCK_HEAD_WIDTH},
                         join[] = {0, 0, BLOCK_WIDTH};
    static const int64_t to_heads[] = {0, 2, 1, 3}, to_keys[] = {0, 2, 3, 1};
    float root = sqrtf((float)BLOCK_HEAD_WIDTH);
    hd_value heads[3];
    for (size_t i = 0; i < 3; i++) {
        hd_value projected = add_projection(builder, x, weights, BLOCK_QUERY_WEIGHT + 2 * i);
        heads[i] = add_transpose(builder, add_reshape(builder, projected, split, 4),
                                 i == 1 ? to_keys : to_heads);
    }
    hd_value divisor = add_constant(
        builder, (hd_tensor){.dtype = HD_FLOAT32, .rank = 0, .data = &root, .size = sizeof root});
    hd_value scores =
        add_plain(builder, "Div", add_plain(builder, "MatMul", heads[0], heads[1]), divisor);
    hd_attribute axis = integer("axis", -1);
    hd_value shares = add_node(builder, "Softmax", scores, HD_VALUE_NONE, HD_VALUE_NONE, &axis, 1);
    hd_value context =
        add_transpose(builder, add_plain(builder, "MatMul", shares, heads[2]), to_heads);
    return add_projection(builder, add_reshape(builder, context, join, 3), weights,
                          BLOCK_OUT_WEIGHT);
}

static hd_status build_transformer(hd_graph *graph, const hd_value *inputs, const hd_value *weights,
                                   hd_value *out_value, hd_error *error)
{
    hd_builder builder = {graph, error, HD_OK};
    hd_value attended = add_attention(&builder, inputs[0], weights);
    hd_value first = add_layer_norm(&builder, add_plain(&builder, "Add", inputs[0], attended),
                                    weights[BLOCK_NORM1_SCALE], weights[BLOCK_NORM1_BIAS]);
    hd_value up = add_projection(&builder, first, weights, BLOCK_UP_WEIGHT);
    hd_value active = add_plain(&builder, "Gelu", up, HD_VALUE_NONE);
    hd_value down = add_projection(&builder, active, weights, BLOCK_DOWN_WEIGHT);
    *out_value = add_layer_norm(&builder, add_plain(&builder, "Add", first, down),
                                weights[BLOCK_NORM2_SCALE], weights[BLOCK_NORM2_BIAS]);
    return builder.status;
}

/* Weights have the variance 1 / K, K being the number of products in a sum; scales of
 * normalizations lie around 1. */
#define VECTOR(n, mean, variance) {{1, {n}}, mean, variance}
#define MATRIX(a, b, k)           {{2, {a, b}}, 0, 1.0 / (k)}
#define NORM(n)                   VECTOR(n, 1, 0.01), VECTOR(n, 0, 0.01)
#define PROJECTION(from, to)      MATRIX(from, to, from), VECTOR(to, 0, 1.0 / (from))

const hd_case_definition hd_case_definitions[CASE_COUNT] = {
    {"linear_16x512x256",
     1,
     2,
     {{2, {16, 512}}},
     {2, {16, 256}},
     {MATRIX(256, 512, 512), VECTOR(256, 0, 1.0 / 512)},
     build_linear,
     hd_case_reference_linear_16x512x256},
    {"linear_64x2048x2048",
     1,
     2,
     {{2, {64, 2048}}},
     {2, {64, 2048}},
     {MATRIX(2048, 2048, 2048), VECTOR(2048, 0, 1.0 / 2048)},
     build_linear,
     hd_case_reference_linear_64x2048x2048},
    {"matmul_256x512x256",
     2,
     0,
     {{2, {256, 512}}, {2, {512, 256}}},
     {2, {256, 256}},
     {{{0}, 0, 0}},
     build_matmul,
     hd_case_reference_matmul_256x512x256},
    {"matmul_1024",
     2,
     0,
     {{2, {1024, 1024}}, {2, {1024, 1024}}},
     {2, {1024, 1024}},
     {{{0}, 0, 0}},
     build_matmul,
     hd_case_reference_matmul_1024},
    {"bmm_8x64x64x64",
     2,
     0,
     {{3, {8, 64, 64}}, {3, {8, 64, 64}}},
     {3, {8, 64, 64}},
     {{{0}, 0, 0}},
     build_matmul,
     hd_case_reference_bmm},
    {"layernorm_16x512x768",
     1,
     2,
     {{3, {16, 512, 768}}},
     {3, {16, 512, 768}},
     {NORM(768)},
     build_layernorm,
     hd_case_reference_layernorm},
    {"softmax_4x128x32000",
     1,
     0,
     {{3, {4, 128, 32000}}},
     {3, {4, 128, 32000}},
     {{{0}, 0, 0}},
     build_softmax,
     hd_case_reference_softmax},
    {"conv2d_4x3x224x224_64k3",
     1,
     2,
     {{4, {4, 3, 224, 224}}},
     {4, {4, 64, 224, 224}},
     {{{4, {64, 3, 3, 3}}, 0, 1.0 / 27}, VECTOR(64, 0, 1.0 / 27)},
     build_conv2d,
     hd_case_reference_conv2d},
    {"gelu_16x512x768",
     1,
     0,
     {{3, {16, 512, 768}}},
     {3, {16, 512, 768}},
     {{{0}, 0, 0}},
     build_gelu,
     hd_case_reference_gelu},
    {"transformer_b4s128d256h4",
     1,
     16,
     {{3, {BLOCK_BATCH, BLOCK_TOKENS, BLOCK_WIDTH}}},
     {3, {BLOCK_BATCH, BLOCK_TOKENS, BLOCK_WIDTH}},
     {PROJECTION(BLOCK_WIDTH, BLOCK_WIDTH), PROJECTION(BLOCK_WIDTH, BLOCK_WIDTH),
      PROJECTION(BLOCK_WIDTH, BLOCK_WIDTH), PROJECTION(BLOCK_WIDTH, BLOCK_WIDTH), NORM(BLOCK_WIDTH),
      PROJECTION(BLOCK_WIDTH, BLOCK_FEED_FORWARD), PROJECTION(BLOCK_FEED_FORWARD, BLOCK_WIDTH),
      NORM(BLOCK_WIDTH)},
     build_transformer,
     hd_case_reference_transformer},
};

const hd_case_definition *hd_case_find(const char *name)
{
    for (size_t i = 0; i < CASE_COUNT; i++) {
        if (strcmp(hd_case_definitions[i].name, name) == 0) {
            return &hd_case_definitions[i];
        }
    }
    return NULL;
}

int64_t hd_case_element_count(const hd_case_shape *shape)
{
    int64_t count = 1;
    for (uint32_t i = 0; i < shape->rank; i++) {
        count *= shape->dims[i];
    }
    return count;
}

/* Room for `count` numbers, on a cache line's border. */
static float *allocate(size_t count)
{
    return aligned_alloc(ALIGNMENT, (count * sizeof(float) + ALIGNMENT) / ALIGNMENT * ALIGNMENT);
}

static hd_tensor tensor_of(const hd_case_shape *shape, float *values)
{
    hd_tensor tensor = {.dtype = HD_FLOAT32, .rank = shape->rank, .data = values};
    memcpy(tensor.dims, shape->dims, shape->rank * sizeof shape->dims[0]);
    tensor.size = (size_t)hd_case_element_count(shape) * sizeof(float);
    return tensor;
}

bool hd_case_weights_create(const hd_case_definition *definition, hd_case_weights *out_weights)
{
    *out_weights = (hd_case_weights){{NULL}};
    for (uint32_t i = 0; i < definition->weight_count; i++) {
        const hd_case_weight *weight = &definition->weights[i];
        size_t count = (size_t)hd_case_element_count(&weight->shape);
        out_weights->values[i] = allocate(count);
        if (out_weights->values[i] == NULL) {
            hd_case_weights_free(out_weights);
            return false;
        }
        hd_random_fill_normal(out_weights->values[i], count, weight->mean, sqrt(weight->variance),
                              WEIGHT_SEED + i);
    }
    return true;
}

void hd_case_weights_free(hd_case_weights *weights)
{
    for (size_t i = 0; i < CASE_WEIGHTS_MAX; i++) {
        free(weights->values[i]);
        weights->values[i] = NULL;
    }
}

/* Which dimensions of the inputs may differ from run to run. */
typedef enum hd_case_open { CASE_OPEN_NONE, CASE_OPEN_ALL_BUT_LAST, CASE_OPEN_ROWS } hd_case_open;

/* Both operands are a caller's, and neither has a dimension for a batch. */
static bool wants_dimension(const hd_case_definition *definition)
{
    return definition->input_count == 2 && definition->inputs[0].rank == 2;
}

void hd_case_stack(const hd_case_definition *definition, hd_tensor *tensor)
{
    if (wants_dimension(definition)) {
        memmove(tensor->dims + 1, tensor->dims, tensor->rank * sizeof *tensor->dims);
        tensor->dims[0] = 1;
        tensor->rank++;
    }
}

void hd_case_unstack(const hd_case_definition *definition, hd_tensor *tensor)
{
    if (wants_dimension(definition)) {
        tensor->rank--;
        memmove(tensor->dims, tensor->dims + 1, tensor->rank * sizeof *tensor->dims);
    }
}

uint32_t hd_case_rows(const hd_case_definition *definition)
{
    return wants_dimension(definition) ? 1 : (uint32_t)definition->inputs[0].dims[0];
}

static hd_status add_inputs(hd_graph *graph, const hd_case_definition *definition,
                            hd_case_open open, hd_value *values, hd_error *error)
{
    static const char *const names[CASE_INPUTS_MAX] = {"a", "b"};
    hd_status status = HD_OK;
    for (uint32_t i = 0; i < definition->input_count && status == HD_OK; i++) {
        hd_tensor tensor = tensor_of(&definition->inputs[i], NULL);
        for (uint32_t d = 0; open == CASE_OPEN_ALL_BUT_LAST && d + 1 < tensor.rank; d++) {
            tensor.dims[d] = -1;
        }
        if (open == CASE_OPEN_ROWS) {
            hd_case_stack(definition, &tensor);
            tensor.dims[0] = -1;
        }
        status = hd_graph_add_input(graph, names[i], HD_FLOAT32, tensor.rank, tensor.dims,
                                    &values[i], error);
    }
    return status;
}

static hd_status create_model(hd_device *device, const hd_case_definition *definition,
                              const hd_case_weights *weights, hd_case_open open,
                              hd_model **out_model, hd_error *error)
{
    hd_graph *graph = NULL;
    hd_value inputs[CASE_INPUTS_MAX], constants[CASE_WEIGHTS_MAX], output = HD_VALUE_NONE;
    hd_status status = hd_graph_create(0, &graph, error);
    if (status == HD_OK) {
        status = add_inputs(graph, definition, open, inputs, error);
    }
    for (uint32_t i = 0; i < definition->weight_count && status == HD_OK; i++) {
        hd_tensor tensor = tensor_of(&definition->weights[i].shape, weights->values[i]);
        status = hd_graph_add_constant(graph, &tensor, &constants[i], error);
    }
    if (status == HD_OK) {
        status = definition->build(graph, inputs, constants, &output, error);
    }
    if (status == HD_OK) {
        status = hd_graph_add_output(graph, "y", output, error);
    }
    if (status == HD_OK) {
        status = hd_model_create(device, graph, NULL, out_model, error);
    }
    hd_graph_destroy(&graph);
    return status;
}

hd_status hd_case_model_create(hd_device *device, const hd_case_definition *definition,
                               const hd_case_weights *weights, bool open_dims, hd_model **out_model,
                               hd_error *error)
{
    return create_model(device, definition, weights,
                        open_dims ? CASE_OPEN_ALL_BUT_LAST : CASE_OPEN_NONE, out_model, error);
}

hd_status hd_case_model_create_stacked(hd_device *device, const hd_case_definition *definition,
                                       const hd_case_weights *weights, hd_model **out_model,
                                       hd_error *error)
{
    return create_model(device, definition, weights, CASE_OPEN_ROWS, out_model, error);
}

bool hd_case_inputs_create(const hd_case_definition *definition, size_t threads, size_t step,
                           hd_case_inputs *out_inputs)
{
    *out_inputs = (hd_case_inputs){.definition = definition, .step = step};
    for (uint32_t i = 0; i < definition->input_count; i++) {
        size_t count = (size_t)hd_case_element_count(&definition->inputs[i]) + (threads - 1) * step;
        out_inputs->values[i] = allocate(count);
        if (out_inputs->values[i] == NULL) {
            hd_case_inputs_free(out_inputs);
            return false;
        }
        hd_random_fill_normal(out_inputs->values[i], count, 0, 1, INPUT_SEED + i);
    }
    return true;
}

void hd_case_inputs_get(const hd_case_inputs *inputs, size_t thread, hd_tensor *out_tensors)
{
    for (uint32_t i = 0; i < inputs->definition->input_count; i++) {
        out_tensors[i] =
            tensor_of(&inputs->definition->inputs[i], inputs->values[i] + thread * inputs->step);
    }
}

void hd_case_inputs_free(hd_case_inputs *inputs)
{
    for (size_t i = 0; i < CASE_INPUTS_MAX; i++) {
        free(inputs->values[i]);
        inputs->values[i] = NULL;
    }
}

double *hd_case_reference_compute(const hd_case_inputs *inputs, size_t thread,
                                  const hd_case_weights *weights)
{
    const hd_case_definition *definition = inputs->definition;
    const float *given[CASE_INPUTS_MAX] = {NULL}, *constants[CASE_WEIGHTS_MAX];
    double *output = malloc((size_t)hd_case_element_count(&definition->output) * sizeof *output);
    if (output == NULL) {
        return NULL;
    }
    for (uint32_t i = 0; i < definition->input_count; i++) {
        given[i] = inputs->values[i] + thread * inputs->step;
    }
    for (size_t i = 0; i < CASE_WEIGHTS_MAX; i++) {
        constants[i] = weights->values[i];
    }
    definition->reference(given, constants, output);
    return output;
}

double hd_case_max_error(const float *values, const double *reference, size_t count)
{
    double largest = 0;
    for (size_t i = 0; i < count; i++) {
        double magnitude = fabs(reference[i]);
        double error = fabs((double)values[i] - reference[i]) / (magnitude > 1 ? magnitude : 1);
        if (!(error <= largest)) {
            largest = isfinite(error) ? error : INFINITY;
        }
    }
    return largest;
}

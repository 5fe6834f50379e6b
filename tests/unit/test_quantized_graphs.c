/* Graphs as quantization tools write them: what stands between DequantizeLinear and QuantizeLinear becomes the quantized
 * operator where it is one, and gives within a step what the nodes as they are written give. */
#include <math.h>

#include "graph/model.h"
#include "rows_fixture.h"
#include "support/operation_runner.h"

enum { CHANNELS = 6, SIDE = 7, KERNEL = 3, MOST = 8 * CHANNELS * KERNEL * KERNEL };

typedef struct graph_case {
    const char *name;
    int64_t outputs, group;
    int64_t axis;     /* of the weight's scales; below 0: one scale */
    float bias_scale; /* times the product's */
    int y_zero;
    bool has_relu, has_bias, is_matrix;
    bool is_read_twice; /* what is quantized is an output, too */
    size_t fused;       /* operators that become quantized ones */
} graph_case;

static const graph_case cases[] = {
    {"image", 8, 1, 0, 1, 3, false, true, false, false, 1},
    {"one scale", 8, 1, -1, 1, 3, false, false, false, false, 1},
    {"depthwise", 6, 6, 0, 1, 0, true, true, false, false, 1},      /* on the host alone */
    {"groups of two", 4, 2, 0, 1, 0, false, true, false, false, 0}, /* no form of the weight */
    {"scales of another axis", 6, 1, 1, 1, 0, false, false, false, false, 0},
    {"a bias of another scale", 8, 1, 0, 3, 3, false, true, false, false, 0},
    {"relu at the least number", 8, 1, 0, 1, 0, true, true, false, false, 1},
    {"relu that cuts", 8, 1, 0, 1, 100, true, true, false, false, 0},
    {"read twice", 8, 1, 0, 1, 3, false, true, false, true, 0},
    {"matrix", 8, 1, 1, 1, 3, false, false, true, false, 1},
};

static hd_value constant(hd_graph *graph, const hd_tensor *tensor)
{
    hd_value value;
    assert_ok(hd_graph_add_constant(graph, tensor, &value, &error));
    return value;
}

static hd_value node(hd_graph *graph, const char *type, const hd_value *inputs, size_t count,
                     const hd_attribute *attributes, size_t attribute_count)
{
    hd_value value;
    assert_ok(hd_graph_add_node(graph, type, inputs, count, attributes, attribute_count, &value, 1,
                                &error));
    return value;
}

static float weight_scales[MOST], bias_scales[8];
static int8_t weights[MOST], weight_zeros[MOST];
static int32_t biases[8], bias_zeros[8];

/* The model, whose weight and bias are constants, or inputs, so that nothing is fused. */
static hd_model *make_model(const graph_case *c, bool has_constants, size_t *out_fused)
{
    static const float x_scale = 0.02f;
    static float y_scale;
    static const uint8_t x_zero = 120;
    static uint8_t y_zero;
    y_scale = c->is_matrix ? 0.02f : 0.03f;
    y_zero = (uint8_t)c->y_zero;
    const int64_t inner = CHANNELS / c->group;
    const hd_tensor x = c->is_matrix ? OPERATION_TENSOR(HD_FLOAT32, NULL, 2, 5, CHANNELS)
                                     : OPERATION_TENSOR(HD_FLOAT32, NULL, 2, CHANNELS, SIDE, SIDE);
    const hd_tensor w = c->is_matrix
                            ? OPERATION_TENSOR(HD_INT8, weights, CHANNELS, c->outputs)
                            : OPERATION_TENSOR(HD_INT8, weights, c->outputs, inner, KERNEL, KERNEL);
    const hd_tensor b = OPERATION_TENSOR(HD_INT32, biases, c->outputs);
    const int64_t count = c->axis < 0 ? 1 : w.dims[c->axis];
    for (int64_t i = 0; i < c->outputs; i++) {
        bias_scales[i] = c->bias_scale * (x_scale * weight_scales[count == 1 ? 0 : i]);
    }
    const hd_tensor w_scale = OPERATION_TENSOR(HD_FLOAT32, weight_scales, count),
                    w_zero = OPERATION_TENSOR(HD_INT8, weight_zeros, count),
                    b_scale = OPERATION_TENSOR(HD_FLOAT32, bias_scales, c->outputs),
                    b_zero = OPERATION_TENSOR(HD_INT32, bias_zeros, c->outputs),
                    xs = OPERATION_SCALAR(HD_FLOAT32, &x_scale),
                    xz = OPERATION_SCALAR(HD_UINT8, &x_zero),
                    ys = OPERATION_SCALAR(HD_FLOAT32, &y_scale),
                    yz = OPERATION_SCALAR(HD_UINT8, &y_zero);
    hd_graph *graph;
    hd_model *model;
    hd_value given[3];
    assert_ok(hd_graph_create(0, &graph, &error));
    assert_ok(hd_graph_add_input(graph, "x", HD_FLOAT32, x.rank, x.dims, &given[0], &error));
    if (has_constants) {
        given[1] = constant(graph, &w);
        given[2] = constant(graph, &b);
    } else {
        assert_ok(hd_graph_add_input(graph, "w", HD_INT8, w.rank, w.dims, &given[1], &error));
        assert_ok(hd_graph_add_input(graph, "b", HD_INT32, 1, b.dims, &given[2], &error));
    }
    hd_value of_x[] = {given[0], constant(graph, &xs), constant(graph, &xz)};
    hd_value of_y[] = {0, constant(graph, &ys), constant(graph, &yz)};
    of_x[0] = node(graph, "QuantizeLinear", of_x, 3, NULL, 0);
    const hd_attribute axis = operation_int("axis", c->axis < 0 ? 1 : c->axis),
                       first = operation_int("axis", 0);
    const hd_value of_w[] = {given[1], constant(graph, &w_scale), constant(graph, &w_zero)};
    const hd_value of_b[] = {given[2], constant(graph, &b_scale), constant(graph, &b_zero)};
    const hd_value inputs[] = {node(graph, "DequantizeLinear", of_x, 3, NULL, 0),
                               node(graph, "DequantizeLinear", of_w, 3, &axis, 1),
                               node(graph, "DequantizeLinear", of_b, 3, &first, 1)};
    const hd_attribute attributes[] = {OPERATION_INTS("pads", 1, 1, 1, 1),
                                       operation_int("group", c->group)};
    const size_t operands = c->has_bias ? 3 : 2;
    hd_value y = c->is_matrix ? node(graph, "MatMul", inputs, 2, NULL, 0)
                              : node(graph, "Conv", inputs, operands, attributes, 2);
    if (c->is_read_twice) {
        assert_ok(hd_graph_add_output(graph, "float", y, &error));
    }
    of_y[0] = c->has_relu ? node(graph, "Relu", &y, 1, NULL, 0) : y;
    of_y[0] = node(graph, "QuantizeLinear", of_y, 3, NULL, 0);
    assert_ok(hd_graph_add_output(graph, "y", of_y[0], &error));
    assert_ok(hd_model_create(device, graph, NULL, &model, &error));
    hd_graph_destroy(&graph);
    *out_fused = 0;
    for (size_t n = 0; n < model->graph->root->node_count; n++) {
        const hd_operator_id id = model->graph->root->nodes[n].operator->id;
        *out_fused += id == HD_OP_QLINEAR_CONV || id == HD_OP_QLINEAR_MATMUL;
    }
    return model;
}

static void check(const graph_case *c)
{
    static float x[2 * CHANNELS * SIDE * SIDE];
    const int64_t inner = CHANNELS / c->group;
    operation_fill_floats(x, 2 * CHANNELS * SIDE * SIDE, 3);
    size_t fused;
    hd_model *model = make_model(c, true, &fused);
    const hd_compile_table *table = device->unit->backend->compile;
    const bool fuses =
        table->quantized_is_faster != NULL && table->quantized_is_faster(device->unit);
    const bool can = fuses && (c->group < CHANNELS || device->unit->is_host);
    if (fused != (can ? c->fused : 0)) {
        fail_msg("%s: %zu operators are fused", c->name, fused);
    }
    hd_tensor image = c->is_matrix ? OPERATION_TENSOR(HD_FLOAT32, x, 2, 5, CHANNELS)
                                   : OPERATION_TENSOR(HD_FLOAT32, x, 2, CHANNELS, SIDE, SIDE);
    const size_t outputs = c->is_read_twice ? 2 : 1;
    hd_tensor got[2] = {{0}}, wanted[2] = {{0}};
    assert_ok(hd_model_run(model, &image, 1, got, outputs, &error));
    hd_model_destroy(&model);
    model = make_model(c, false, &fused);
    assert_int_equal(fused, 0);
    const hd_tensor inputs[] = {
        image,
        c->is_matrix ? OPERATION_TENSOR(HD_INT8, weights, CHANNELS, c->outputs)
                     : OPERATION_TENSOR(HD_INT8, weights, c->outputs, inner, KERNEL, KERNEL),
        OPERATION_TENSOR(HD_INT32, biases, c->outputs)};
    assert_ok(hd_model_run(model, inputs, 3, wanted, outputs, &error));
    hd_model_destroy(&model);
    const uint8_t *a = got[outputs - 1].data, *b = wanted[outputs - 1].data;
    assert_int_equal(got[outputs - 1].size, wanted[outputs - 1].size);
    int64_t ends = 0, differ = 0;
    for (size_t i = 0; i < got[outputs - 1].size; i++) {
        ends += a[i] == 0 || a[i] == 255;
        differ += a[i] != b[i];
        if (abs(a[i] - b[i]) > 1) {
            fail_msg("%s: element %zu is %d, not %d", c->name, i, a[i], b[i]);
        }
    }
    /* a step only where a sum is near a half, and not all of it beyond the type's ends */
    assert_true(100 * differ <= (int64_t)got[outputs - 1].size);
    assert_true(4 * ends <= 3 * (int64_t)got[outputs - 1].size);
    for (size_t i = 0; i < outputs; i++) {
        hd_tensor_release(&got[i]);
        hd_tensor_release(&wanted[i]);
    }
}

static void operators_between_scales_become_quantized(void **state)
{
    (void)state;
    for (int i = 0; i < MOST; i++) {
        weights[i] = (int8_t)(i * 53 % 255 - 127);
        weight_scales[i] = 0.004f + 0.0001f * (float)i;
        weight_zeros[i] = 0;
    }
    for (int i = 0; i < 8; i++) {
        biases[i] = 700 * i - 2500;
    }
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check(&cases[i]);
    }
}

/* QLinearConv, Resize and a depthwise QLinearConv, whose images lie channels last where the first weight is a constant. */
static hd_model *make_images(bool has_constants)
{
    static const float scale = 0.03f, scales[] = {1, 1, 2, 2};
    static const uint8_t zero = 131;
    static const int8_t weight_zero = 0;
    const hd_tensor x = OPERATION_TENSOR(HD_UINT8, NULL, 2, CHANNELS, SIDE, SIDE),
                    w = OPERATION_TENSOR(HD_INT8, weights, 8, CHANNELS, KERNEL, KERNEL),
                    each = OPERATION_TENSOR(HD_INT8, weights, 8, 1, KERNEL, KERNEL),
                    s = OPERATION_SCALAR(HD_FLOAT32, &scale), z = OPERATION_SCALAR(HD_UINT8, &zero),
                    wz = OPERATION_SCALAR(HD_INT8, &weight_zero),
                    sizes = OPERATION_TENSOR(HD_FLOAT32, scales, 4);
    hd_graph *graph;
    hd_model *model;
    hd_value image, weight;
    assert_ok(hd_graph_create(0, &graph, &error));
    assert_ok(hd_graph_add_input(graph, "x", HD_UINT8, 4, x.dims, &image, &error));
    if (has_constants) {
        weight = constant(graph, &w);
    } else {
        assert_ok(hd_graph_add_input(graph, "w", HD_INT8, 4, w.dims, &weight, &error));
    }
    const hd_value one = constant(graph, &s), middle = constant(graph, &z),
                   none = constant(graph, &wz);
    hd_value inputs[] = {image, one, middle, weight, one, none, one, middle};
    const hd_attribute attributes[] = {OPERATION_INTS("pads", 1, 1, 1, 1),
                                       operation_int("group", 8)};
    const hd_attribute nearest = operation_string("mode", "nearest");
    const hd_value turned = node(graph, "QLinearConv", inputs, 8, attributes, 1);
    const hd_value scaled[] = {turned, HD_VALUE_NONE, constant(graph, &sizes)};
    inputs[0] = node(graph, "Resize", scaled, 3, &nearest, 1);
    inputs[3] = constant(graph, &each);
    assert_ok(hd_graph_add_output(graph, "y", node(graph, "QLinearConv", inputs, 8, attributes, 2),
                                  &error));
    assert_ok(hd_graph_add_output(graph, "z", turned, &error));
    assert_ok(hd_model_create(device, graph, NULL, &model, &error));
    hd_graph_destroy(&graph);
    return model;
}

static void images_of_bytes_are_alike_in_both_layouts(void **state)
{
    (void)state;
    static uint8_t x[2 * CHANNELS * SIDE * SIDE];
    for (size_t i = 0; i < sizeof x; i++) {
        x[i] = (uint8_t)(i * 97 % 251);
    }
    for (int i = 0; i < MOST; i++) {
        weights[i] = (int8_t)(i * 53 % 255 - 127);
    }
    const hd_tensor inputs[] = {OPERATION_TENSOR(HD_UINT8, x, 2, CHANNELS, SIDE, SIDE),
                                OPERATION_TENSOR(HD_INT8, weights, 8, CHANNELS, KERNEL, KERNEL)};
    hd_tensor got[2] = {{0}}, wanted[2] = {{0}};
    hd_model *model = make_images(true);
    assert_ok(hd_model_run(model, inputs, 1, got, 2, &error));
    hd_model_destroy(&model);
    model = make_images(false);
    assert_ok(hd_model_run(model, inputs, 2, wanted, 2, &error));
    hd_model_destroy(&model);
    for (size_t i = 0; i < 2; i++) {
        operation_check_output(&got[i], &wanted[i]);
        hd_tensor_release(&got[i]);
        hd_tensor_release(&wanted[i]);
    }
}

/* A chain from bytes to bytes: of many elements by a table, of few one by one. */
static void many_bytes_are_mapped_as_few(void **state)
{
    (void)state;
    enum { FEW = 511, MANY = 9 * FEW };
    static const float scale = 0.03f, slope = 0.004f;
    static const uint8_t zero = 100;
    static const int8_t least = -128;
    static uint8_t x[MANY];
    for (size_t i = 0; i < MANY; i++) {
        x[i] = (uint8_t)(i * 97 + i / 256);
    }
    const hd_tensor s = OPERATION_SCALAR(HD_FLOAT32, &scale), z = OPERATION_SCALAR(HD_UINT8, &zero),
                    ys = OPERATION_SCALAR(HD_FLOAT32, &slope),
                    yz = OPERATION_SCALAR(HD_INT8, &least);
    static const int64_t any[] = {-1};
    hd_graph *graph;
    hd_model *model;
    hd_value inputs[3];
    assert_ok(hd_graph_create(0, &graph, &error));
    assert_ok(hd_graph_add_input(graph, "x", HD_UINT8, 1, any, &inputs[0], &error));
    inputs[1] = constant(graph, &s);
    inputs[2] = constant(graph, &z);
    hd_value y = node(graph, "DequantizeLinear", inputs, 3, NULL, 0);
    y = node(graph, "Sigmoid", &y, 1, NULL, 0);
    const hd_value last[] = {y, constant(graph, &ys), constant(graph, &yz)};
    assert_ok(
        hd_graph_add_output(graph, "y", node(graph, "QuantizeLinear", last, 3, NULL, 0), &error));
    assert_ok(hd_model_create(device, graph, NULL, &model, &error));
    hd_graph_destroy(&graph);
    hd_tensor all = OPERATION_TENSOR(HD_UINT8, x, MANY), mapped = {0};
    assert_ok(hd_model_run(model, &all, 1, &mapped, 1, &error));
    for (size_t i = 0; i < MANY; i += FEW) {
        hd_tensor some = OPERATION_TENSOR(HD_UINT8, x + i, FEW), part = {0};
        assert_ok(hd_model_run(model, &some, 1, &part, 1, &error));
        assert_memory_equal((const uint8_t *)mapped.data + i, part.data, FEW);
        hd_tensor_release(&part);
    }
    hd_tensor_release(&mapped);
    hd_model_destroy(&model);
}

enum { PAIR = 3001 };

/* Two tensors of bytes, dequantized, added or multiplied, perhaps cut at 0, and quantized. */
static hd_model *make_pair(hd_dtype type, const float scales[3], const uint8_t zeros[3],
                           bool multiplies, bool cuts)
{
    static const int64_t sizes[] = {PAIR};
    const hd_tensor one = OPERATION_SCALAR(HD_FLOAT32, NULL), byte = OPERATION_SCALAR(type, NULL);
    hd_graph *graph;
    hd_model *model;
    hd_value x[2];
    hd_value factors[3][3];
    assert_ok(hd_graph_create(0, &graph, &error));
    assert_ok(hd_graph_add_input(graph, "a", type, 1, sizes, &x[0], &error));
    assert_ok(hd_graph_add_input(graph, "b", type, 1, sizes, &x[1], &error));
    for (int i = 0; i < 3; i++) {
        hd_tensor scale = one, zero = byte;
        scale.data = (void *)&scales[i];
        zero.data = (void *)&zeros[i];
        factors[i][1] = constant(graph, &scale);
        factors[i][2] = constant(graph, &zero);
    }
    for (int i = 0; i < 2; i++) {
        factors[i][0] = x[i];
        x[i] = node(graph, "DequantizeLinear", factors[i], 3, NULL, 0);
    }
    hd_value y = node(graph, multiplies ? "Mul" : "Add", x, 2, NULL, 0);
    y = cuts ? node(graph, "Relu", &y, 1, NULL, 0) : y;
    factors[2][0] = y;
    y = node(graph, "QuantizeLinear", factors[2], 3, NULL, 0);
    assert_ok(hd_graph_add_output(graph, "y", y, &error));
    assert_ok(hd_model_create(device, graph, NULL, &model, &error));
    hd_graph_destroy(&graph);
    return model;
}

static float number_of(hd_dtype type, uint8_t byte)
{
    return type == HD_INT8 ? (float)(int8_t)byte : (float)byte;
}

/* Scales with many halves, scales beyond all bounds, and ordinary ones. */
static void pairs_of_bytes_are_combined_as_floats_are(void **state)
{
    (void)state;
    static const float scales[][3] = {{0.021f, 0.031f, 0.04f},     {0.25f, 0.5f, 0.5f},
                                      {0.0213f, 0.0307f, 0.0411f}, {1e30f, 1e20f, 1e-20f},
                                      {1e-44f, 1e-40f, 1e-42f},    {3.0f, 1e-3f, 0.7f}};
    static const uint8_t zeros[][3] = {{128, 120, 0}, {0, 255, 250}, {3, 0, 128}};
    static uint8_t a[PAIR], b[PAIR];
    for (int i = 0; i < PAIR; i++) {
        a[i] = (uint8_t)(i * 97 + i / 256);
        b[i] = (uint8_t)(i * 31 + i / 200);
    }
    for (int turn = 0; turn < 6 * 3 * 8; turn++) {
        const hd_dtype type = turn & 1 ? HD_INT8 : HD_UINT8;
        const bool multiplies = turn & 2, cuts = turn & 4;
        const float *s = scales[turn / 8 % 6];
        const uint8_t *z = zeros[turn / 48];
        hd_model *model = make_pair(type, s, z, multiplies, cuts);
        const hd_tensor inputs[] = {OPERATION_TENSOR(type, a, PAIR),
                                    OPERATION_TENSOR(type, b, PAIR)};
        hd_tensor y = {0};
        assert_ok(hd_model_run(model, inputs, 2, &y, 1, &error));
        const float zero = number_of(type, z[2]), low = type == HD_INT8 ? -128.0f : 0.0f;
        for (int i = 0; i < PAIR; i++) {
            const float left = (number_of(type, a[i]) - number_of(type, z[0])) * s[0];
            const float right = (number_of(type, b[i]) - number_of(type, z[1])) * s[1];
            float value = multiplies ? left * right : left + right;
            value = cuts && value < 0 ? 0 : value;
            const float least = low - zero, most = low + 255.0f - zero;
            value = value / s[2];
            value = value > least ? value : least;
            value = rintf(value < most ? value : most) + zero;
            if ((uint8_t)(int32_t)value != ((const uint8_t *)y.data)[i]) {
                fail_msg("turn %d, element %d: %d, not %g", turn, i, ((uint8_t *)y.data)[i],
                         (double)value);
            }
        }
        hd_tensor_release(&y);
        hd_model_destroy(&model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operators_between_scales_become_quantized),
        cmocka_unit_test(images_of_bytes_are_alike_in_both_layouts),
        cmocka_unit_test(many_bytes_are_mapped_as_few),
        cmocka_unit_test(pairs_of_bytes_are_combined_as_floats_are),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}

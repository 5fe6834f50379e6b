/* Precision: models in float32 that a device computes with halves. Results are held against the CPU's in float32, within what
 * rounding to halves may do; a row's bits are the same alone and among others, and those of all threads. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "support/block_graph.h"
#include "support/operation_runner.h"
#include "support/test_device.h"

enum { WIDTH = 64, ROWS = 24, HEADS = 2, THREADS = 4 };

static hd_graph *make_graph(void)
{
    hd_graph *graph;
    assert_int_equal(hd_graph_create(17, &graph, NULL), HD_OK);
    return graph;
}

/* Numbers of about unit size, the same for a seed. */
static void fill(float *values, size_t count, uint32_t seed, float scale)
{
    uint32_t state = seed * 2654435761u + 1;
    for (size_t i = 0; i < count; i++) {
        float sum = 0;
        for (int k = 0; k < 4; k++) {
            state = state * 1664525u + 1013904223u;
            sum += (float)(state >> 8) / 16777216.0f - 0.5f;
        }
        values[i] = scale * 1.7f * sum;
    }
}

static hd_value add_weight(hd_graph *graph, int64_t rows, int64_t columns, uint32_t seed)
{
    static float values[4 * WIDTH * WIDTH];
    hd_tensor tensor = {.dtype = HD_FLOAT32,
                        .rank = columns == 0 ? 1 : 2,
                        .dims = {rows, columns},
                        .data = values,
                        .size = (size_t)(rows * (columns == 0 ? 1 : columns)) * sizeof *values};
    fill(values, tensor.size / sizeof *values, seed,
         columns == 0 ? 0.2f : 1.0f / sqrtf((float)rows));
    hd_value value;
    assert_int_equal(hd_graph_add_constant(graph, &tensor, &value, NULL), HD_OK);
    return value;
}

static hd_value add_linear(hd_graph *graph, hd_value x, int64_t from, int64_t to, uint32_t seed)
{
    hd_value product = NODE(graph, graph->root, "MatMul", x, add_weight(graph, from, to, seed));
    return NODE(graph, graph->root, "Add", product, add_weight(graph, to, 0, seed + 1));
}

static hd_value add_norm(hd_graph *graph, hd_value x, uint32_t seed)
{
    hd_attribute axis = operation_int("axis", -1);
    return block_node(graph, graph->root, "LayerNormalization", &axis, 1, x,
                      add_weight(graph, WIDTH, 0, seed), add_weight(graph, WIDTH, 0, seed + 1),
                      BLOCK_END);
}

/* x [rows, WIDTH], each row by itself: a feed-forward layer with a residual and norms; what lies between is an output, too. */
static hd_graph *make_layer(void)
{
    hd_graph *graph = make_graph();
    hd_value x = block_input(graph, graph->root, "x", HD_FLOAT32);
    hd_value first = add_norm(graph, add_linear(graph, x, WIDTH, WIDTH, 1), 3);
    hd_value wide = add_linear(graph, first, WIDTH, 4 * WIDTH, 5);
    hd_value erf =
        NODE(graph, graph->root, "Erf",
             NODE(graph, graph->root, "Div", wide, block_floats(graph, 0, (float[]){1.41421356f})));
    hd_value half = NODE(graph, graph->root, "Mul", wide, block_floats(graph, 0, (float[]){0.5f}));
    hd_value gelu =
        NODE(graph, graph->root, "Mul", half,
             NODE(graph, graph->root, "Add", erf, block_floats(graph, 0, (float[]){1})));
    hd_value down = add_linear(graph, gelu, 4 * WIDTH, WIDTH, 7);
    hd_value second = add_norm(graph, NODE(graph, graph->root, "Add", down, first), 9);
    block_output(graph, graph->root, "y", add_linear(graph, second, WIDTH, WIDTH, 11));
    block_output(graph, graph->root, "between",
                 NODE(graph, graph->root, "Reshape", wide,
                      block_ints(graph, 2, (int64_t[]){-1, 2 * WIDTH})));
    return graph;
}

/* x [rows, WIDTH] as one sequence: attention, written out as exporters do, with heads of `size` elements. */
static hd_graph *make_attention_of(int64_t size)
{
    hd_graph *graph = make_graph();
    hd_block *root = graph->root;
    hd_value x = block_input(graph, root, "x", HD_FLOAT32);
    hd_value split = block_ints(graph, 4, (int64_t[]){1, -1, HEADS, size});
    hd_value join = block_ints(graph, 2, (int64_t[]){-1, HEADS * size});
    const int64_t forward[] = {0, 2, 1, 3}, turned[] = {0, 2, 3, 1};
    hd_attribute to_heads = operation_ints("perm", forward, 4);
    hd_attribute to_keys = operation_ints("perm", turned, 4);
    hd_value parts[3];
    for (uint32_t i = 0; i < 3; i++) {
        hd_value linear = add_linear(graph, x, WIDTH, HEADS * size, 21 + 2 * i);
        parts[i] = block_node(graph, root, "Transpose", i == 1 ? &to_keys : &to_heads, 1,
                              NODE(graph, root, "Reshape", linear, split), BLOCK_END);
    }
    hd_value scores = NODE(graph, root, "Mul", NODE(graph, root, "MatMul", parts[0], parts[1]),
                           block_floats(graph, 0, (float[]){0.1767767f}));
    hd_attribute axis = operation_int("axis", -1);
    hd_value weights = block_node(graph, root, "Softmax", &axis, 1, scores, BLOCK_END);
    hd_value heads = NODE(graph, root, "MatMul", weights, parts[2]);
    hd_value merged =
        NODE(graph, root, "Reshape",
             block_node(graph, root, "Transpose", &to_heads, 1, heads, BLOCK_END), join);
    block_output(graph, root, "y",
                 NODE(graph, root, "Add", add_linear(graph, merged, HEADS * size, WIDTH, 31), x));
    return graph;
}

/* Those that CUDA has kernels for in halves. */
static hd_graph *make_attention(void)
{
    return make_attention_of(32);
}

static hd_graph *make_attention_64(void)
{
    return make_attention_of(64);
}

static hd_graph *make_attention_128(void)
{
    return make_attention_of(128);
}

/* What moves elements, and readers that want float32 beside those that want halves. */
static hd_graph *make_moves(void)
{
    hd_graph *graph = make_graph();
    hd_block *root = graph->root;
    hd_value x = block_input(graph, root, "x", HD_FLOAT32);
    hd_value one = add_linear(graph, x, WIDTH, WIDTH, 41),
             other = add_linear(graph, one, WIDTH, WIDTH, 43);
    hd_attribute axis = operation_int("axis", 1);
    hd_value joined = block_node(graph, root, "Concat", &axis, 1, one, other, x, BLOCK_END);
    hd_value both = block_node(graph, root, "Concat", &axis, 1, one, other, BLOCK_END);
    hd_attribute all = operation_int("keepdims", 1);
    hd_value mean = block_node(graph, root, "ReduceMean", &all, 1,
                               NODE(graph, root, "Sigmoid", both), BLOCK_END);
    hd_value sum = NODE(graph, root, "CumSum", other, block_ints(graph, 0, (int64_t[]){1}));
    hd_value scaled = NODE(graph, root, "Mul", sum, block_floats(graph, 0, (float[]){0.1f}));
    block_output(graph, root, "joined", joined);
    block_output(graph, root, "y",
                 NODE(graph, root, "Add", add_linear(graph, scaled, WIDTH, WIDTH, 45), mean));
    return graph;
}

/* A branch that the host takes for the device reads what the device has as halves. */
static hd_graph *make_branch(void)
{
    hd_graph *graph = make_graph();
    hd_block *root = graph->root;
    hd_value x = block_input(graph, root, "x", HD_FLOAT32);
    hd_value inner = NODE(graph, root, "Tanh", add_linear(graph, x, WIDTH, WIDTH, 51));
    hd_value zero = block_floats(graph, 0, (float[]){-100});
    hd_attribute all = operation_int("keepdims", 0);
    hd_value least = block_node(graph, root, "ReduceMin", &all, 1, inner, BLOCK_END);
    hd_value condition = NODE(graph, root, "Greater", least, zero);
    hd_block *then = hd_graph_new_block(graph), *otherwise = hd_graph_new_block(graph);
    block_output(graph, then, "", NODE(graph, then, "Add", inner, inner));
    block_output(graph, otherwise, "", NODE(graph, otherwise, "Neg", inner));
    hd_value y;
    block_control(graph, root, "If", &condition, 1, then, otherwise, &y, 1);
    block_output(graph, root, "y", add_linear(graph, y, WIDTH, WIDTH, 53));
    return graph;
}

/* Sums of scaled rows; `shows`: what is summed is an output, too, and so stays float32. */
static hd_graph *make_sums(bool shows)
{
    hd_graph *graph = make_graph();
    hd_block *root = graph->root;
    hd_value x = block_input(graph, root, "x", HD_FLOAT32);
    hd_value linear = add_linear(graph, x, WIDTH, WIDTH, 61);
    hd_value scaled =
        NODE(graph, root, "Mul", linear, block_floats(graph, 0, (float[]){0.333333f}));
    hd_value sum = NODE(graph, root, "CumSum", scaled, block_ints(graph, 0, (int64_t[]){0}));
    block_output(graph, root, "y", sum);
    if (shows) {
        block_output(graph, root, "scaled", scaled);
    }
    return graph;
}

static hd_tensor rows_tensor(int64_t rows, float *data)
{
    return (hd_tensor){.dtype = HD_FLOAT32,
                       .rank = 2,
                       .dims = {rows, WIDTH},
                       .data = data,
                       .size = (size_t)rows * WIDTH * sizeof *data};
}

/* NULL: the device has no such kernels. */
static hd_device *open_in(hd_precision precision)
{
    hd_device_options options = {.struct_size = sizeof options, .precision = precision};
    hd_device *opened = NULL;
    hd_status status = hd_device_open(test_device_name(), &options, &opened, NULL);
    assert_true(status == HD_OK || (status == HD_UNSUPPORTED && opened == NULL));
    return opened;
}

static hd_device *open_reference(void)
{
    hd_device *opened;
    assert_int_equal(hd_device_open("cpu", NULL, &opened, NULL), HD_OK);
    return opened;
}

static const struct {
    hd_graph *(*make)(void);
    size_t outputs;
} graphs[] = {{make_layer, 2},         {make_attention, 1}, {make_attention_64, 1},
              {make_attention_128, 1}, {make_moves, 2},     {make_branch, 1}};

enum { GRAPHS = sizeof graphs / sizeof graphs[0] };

static float difference(const hd_tensor *a, const hd_tensor *b)
{
    float largest = 0;
    assert_int_equal(a->size, b->size);
    for (size_t i = 0; i < a->size / sizeof(float); i++) {
        float x = ((const float *)a->data)[i], y = ((const float *)b->data)[i];
        float far = fabsf(x - y) / fmaxf(1, fabsf(y));
        assert_false(isnan(far));
        largest = fmaxf(largest, far);
    }
    return largest;
}

static void expect_near(hd_precision precision, float least, float limit)
{
    hd_device *device = open_in(precision), *reference = open_reference();
    float data[ROWS * WIDTH];
    fill(data, ROWS * WIDTH, 99, 1);
    hd_tensor input = rows_tensor(ROWS, data);
    for (size_t g = 0; g < GRAPHS && device != NULL; g++) {
        hd_model *model = block_model(device, graphs[g].make(), 0);
        hd_model *wanted = block_model(reference, graphs[g].make(), 0);
        hd_tensor got[2], want[2];
        block_run(model, &input, 1, got, graphs[g].outputs);
        block_run(wanted, &input, 1, want, graphs[g].outputs);
        float far = 0;
        for (size_t i = 0; i < graphs[g].outputs; i++) {
            assert_int_equal(got[i].dtype, HD_FLOAT32);
            far = fmaxf(far, difference(&got[i], &want[i]));
            hd_tensor_release(&got[i]);
            hd_tensor_release(&want[i]);
        }
        if (far < least || far > limit) {
            fail_msg("graph %zu: largest difference %g", g, (double)far);
        }
        hd_model_destroy(&model);
        hd_model_destroy(&wanted);
    }
    hd_device_destroy(&device);
    hd_device_destroy(&reference);
}

/* Not nearer than rounding allows: else nothing would be computed in halves. */
static void float16_is_near(void **state)
{
    (void)state;
    expect_near(HD_PRECISION_FLOAT16, 1e-5f, 1e-2f);
}

static void bfloat16_is_near(void **state)
{
    (void)state;
    expect_near(HD_PRECISION_BFLOAT16, 1e-4f, 8e-2f);
}

static void a_row_alone_has_the_bits_that_it_has_among_others(void **state)
{
    (void)state;
    hd_device *device = open_in(HD_PRECISION_FLOAT16);
    if (device == NULL) {
        skip();
    }
    hd_model *model = block_model(device, make_layer(), 0);
    float data[ROWS * WIDTH];
    fill(data, ROWS * WIDTH, 7, 1);
    hd_tensor input = rows_tensor(ROWS, data), all[2], one[2];
    block_run(model, &input, 1, all, 2);
    for (size_t row = 0; row < ROWS; row++) {
        hd_tensor alone = rows_tensor(1, data + row * WIDTH);
        block_run(model, &alone, 1, one, 2);
        assert_memory_equal(one[0].data, (float *)all[0].data + row * WIDTH, WIDTH * sizeof(float));
        hd_tensor_release(&one[0]);
        hd_tensor_release(&one[1]);
    }
    hd_tensor_release(&all[0]);
    hd_tensor_release(&all[1]);
    hd_model_destroy(&model);
    hd_device_destroy(&device);
}

/* On a device that sums halves; CUDA's sums take float32, so that what they read stays that. */
static void what_only_steps_see_is_kept_as_halves(void **state)
{
    (void)state;
    hd_device *device = open_in(HD_PRECISION_FLOAT16);
    if (device == NULL || strcmp(test_device_name(), "sim") != 0) {
        hd_device_destroy(&device);
        skip();
    }
    float data[ROWS * WIDTH];
    fill(data, ROWS * WIDTH, 5, 1);
    hd_tensor input = rows_tensor(ROWS, data), hidden, shown[2];
    hd_model *model = block_model(device, make_sums(false), 0);
    hd_model *other = block_model(device, make_sums(true), 0);
    block_run(model, &input, 1, &hidden, 1);
    block_run(other, &input, 1, shown, 2);
    assert_memory_not_equal(hidden.data, shown[0].data, hidden.size);
    assert_true(difference(&hidden, &shown[0]) < 1e-2f);
    hd_tensor_release(&hidden);
    hd_tensor_release(&shown[0]);
    hd_tensor_release(&shown[1]);
    hd_model_destroy(&model);
    hd_model_destroy(&other);
    hd_device_destroy(&device);
}

typedef struct worker {
    hd_model *model;
    const hd_tensor *input;
    const hd_tensor *wanted;
} worker;

static void *run_often(void *argument)
{
    const worker *self = argument;
    for (size_t i = 0; i < 20; i++) {
        hd_tensor y[2];
        block_run(self->model, self->input, 1, y, 2);
        assert_memory_equal(y[0].data, self->wanted[0].data, y[0].size);
        assert_memory_equal(y[1].data, self->wanted[1].data, y[1].size);
        hd_tensor_release(&y[0]);
        hd_tensor_release(&y[1]);
    }
    return NULL;
}

static void all_threads_get_the_same_bits(void **state)
{
    (void)state;
    hd_device *device = open_in(HD_PRECISION_BFLOAT16);
    if (device == NULL) {
        skip();
    }
    float data[ROWS * WIDTH];
    fill(data, ROWS * WIDTH, 8, 1);
    hd_tensor input = rows_tensor(ROWS, data), wanted[2];
    hd_model *model = block_model(device, make_layer(), 0);
    block_run(model, &input, 1, wanted, 2);
    worker self = {model, &input, wanted};
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, run_often, &self), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    hd_tensor_release(&wanted[0]);
    hd_tensor_release(&wanted[1]);
    hd_model_destroy(&model);
    hd_device_destroy(&device);
}

static void what_a_device_lacks_is_refused(void **state)
{
    (void)state;
    hd_device_options options = {.struct_size = sizeof options};
    hd_device *opened;
    hd_error error;
    for (int precision = HD_PRECISION_TF32; precision <= HD_PRECISION_BFLOAT16; precision++) {
        options.precision = (hd_precision)precision;
        assert_int_equal(hd_device_open("cpu", &options, &opened, &error), HD_UNSUPPORTED);
        assert_null(opened);
    }
    options.precision = (hd_precision)17;
    assert_int_equal(hd_device_open("cpu", &options, &opened, &error), HD_INVALID_ARGUMENT);
    options.precision = HD_PRECISION_FLOAT32;
    assert_int_equal(hd_device_open("cpu", &options, &opened, &error), HD_OK);
    hd_device_destroy(&opened);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(float16_is_near),
        cmocka_unit_test(bfloat16_is_near),
        cmocka_unit_test(what_only_steps_see_is_kept_as_halves),
        cmocka_unit_test(a_row_alone_has_the_bits_that_it_has_among_others),
        cmocka_unit_test(all_threads_get_the_same_bits),
        cmocka_unit_test(what_a_device_lacks_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

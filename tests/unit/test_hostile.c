/* Hostile: graphs of a few bytes that ask for hours or for all memory end in time and in little memory where no
 * option says otherwise (BOUND). Each runs in a process of its own, whose time and memory are measured. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "graph/model.h"
#include "support/block_graph.h"
#include "support/operation_runner.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLOWER 10 /* sanitizers multiply both */
#else
#define SLOWER 1
#endif
#define MOST_SECONDS   (2.0 * SLOWER) /* of processor time */
#define MOST_MEGABYTES (150L * SLOWER)

static hd_graph *graph;

#define INTS(...)                                                                                  \
    block_ints(graph, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), (int64_t[]){__VA_ARGS__})

/* Zeros, or ones, of a shape that a few bytes tell. */
static hd_value filled(hd_dtype dtype, hd_value shape)
{
    static const double one_double = 1;
    static const float one_float = 1;
    static hd_tensor one;
    one = (hd_tensor){.dtype = dtype,
                      .rank = 1,
                      .dims = {1},
                      .data = dtype == HD_FLOAT64 ? (void *)(uintptr_t)&one_double
                                                  : (void *)(uintptr_t)&one_float,
                      .size = hd_dtype_size(dtype)};
    hd_attribute value = {.name = "value", .kind = HD_ATTRIBUTE_TENSOR, .tensor = &one};
    return block_node(graph, graph->root, "ConstantOfShape", &value, 1, shape, BLOCK_END);
}

static hd_value greatest(hd_value value)
{
    hd_attribute keep = operation_int("keepdims", 0);
    return block_node(graph, graph->root, "ReduceMax", &keep, 1, value, BLOCK_END);
}

static hd_value one_float(void)
{
    return block_floats(graph, 1, (float[]){1});
}

static hd_value make_constant(void)
{
    return filled(HD_FLOAT32, INTS(INT64_C(1) << 30));
}
static hd_value make_reduced(void)
{
    return greatest(make_constant());
}

static hd_value make_expanded(void)
{
    return NODE(graph, graph->root, "Expand", one_float(), INTS(INT64_C(1) << 40));
}

static hd_value make_tiled(void)
{
    return NODE(graph, graph->root, "Tile", one_float(), INTS(INT64_C(1) << 28));
}

static hd_value make_padded(void)
{
    return NODE(graph, graph->root, "Pad", one_float(), INTS(INT64_C(1) << 28, 0));
}

static hd_value make_range(void)
{
    return NODE(graph, graph->root, "Range", block_ints(graph, 0, (int64_t[]){0}),
                block_ints(graph, 0, (int64_t[]){INT64_C(1) << 28}),
                block_ints(graph, 0, (int64_t[]){1}));
}

/* Its table has twice the bytes of the output. */
static hd_value make_window(void)
{
    return NODE(graph, graph->root, "HannWindow",
                block_ints(graph, 0, (int64_t[]){INT64_C(1) << 27}));
}

static hd_value make_small_window(void)
{
    return greatest(NODE(graph, graph->root, "HannWindow",
                         block_ints(graph, 0, (int64_t[]){INT64_C(20) << 20})));
}

static hd_value make_one_hot(void)
{
    return NODE(graph, graph->root, "OneHot", INTS(0),
                block_ints(graph, 0, (int64_t[]){INT64_C(1) << 29}),
                block_floats(graph, 2, (float[]){0, 1}));
}

static hd_value make_eye(void)
{
    return NODE(graph, graph->root, "EyeLike", filled(HD_FLOAT32, INTS(1 << 14, 1 << 14)));
}

static hd_value make_resized(void)
{
    hd_attribute mode = operation_string("mode", "linear");
    hd_value image = filled(HD_FLOAT32, INTS(1, 1, 2));
    return block_node(graph, graph->root, "Resize", &mode, 1, image, HD_VALUE_NONE, HD_VALUE_NONE,
                      INTS(1, 1, INT64_C(1) << 28), BLOCK_END);
}

static hd_value make_padded_convolution(void)
{
    hd_attribute pads = OPERATION_INTS("pads", INT64_C(1) << 40, INT64_C(1) << 40);
    return block_node(graph, graph->root, "Conv", &pads, 1, filled(HD_FLOAT32, INTS(1, 1, 2)),
                      filled(HD_FLOAT32, INTS(1, 1, 1)), BLOCK_END);
}

static hd_value make_convolution(void)
{
    return greatest(NODE(graph, graph->root, "Conv", filled(HD_FLOAT32, INTS(1, 64, 128, 128)),
                         filled(HD_FLOAT32, INTS(64, 64, 31, 31))));
}

static hd_value make_einsum(void)
{
    hd_value a = filled(HD_FLOAT32, INTS(1 << 12));
    hd_attribute equation = operation_string("equation", "a,b,c,d->");
    return block_node(graph, graph->root, "Einsum", &equation, 1, a, a, a, a, BLOCK_END);
}

static hd_value make_product(void)
{
    hd_value a = filled(HD_FLOAT32, INTS(1 << 11, 1 << 11));
    return greatest(NODE(graph, graph->root, "MatMul", a, a));
}

static hd_value make_powers(void)
{
    hd_value a = filled(HD_FLOAT64, INTS(10 << 20));
    for (int i = 0; i < 20; i++) {
        a = NODE(graph, graph->root, "Pow", a, a);
    }
    return greatest(a);
}

/* Each node alone is cheap enough to be folded. */
static hd_value make_many_functions(void)
{
    hd_value a = filled(HD_FLOAT64, INTS(1 << 17));
    for (int i = 0; i < 1000; i++) {
        a = NODE(graph, graph->root, i % 2 == 0 ? "Tan" : "Sinh", a);
    }
    return greatest(a);
}

static hd_value make_many_products(void)
{
    hd_value a = filled(HD_FLOAT64, INTS(128, 128));
    for (int i = 0; i < 1000; i++) {
        a = NODE(graph, graph->root, "MatMul", a, a);
    }
    return greatest(a);
}

static hd_value make_pool(void)
{
    hd_attribute kernel = OPERATION_INTS("kernel_shape", 512, 512);
    return block_node(graph, graph->root, "AveragePool", &kernel, 1,
                      filled(HD_FLOAT32, INTS(1, 1, 1024, 1024)), BLOCK_END);
}

static hd_value make_transform(void)
{
    return greatest(NODE(graph, graph->root, "DFT", filled(HD_FLOAT32, INTS(1, 200003, 1))));
}

static hd_value make_recurrence(void)
{
    hd_attribute hidden = operation_int("hidden_size", 64);
    hd_value y;
    hd_value inputs[] = {filled(HD_FLOAT32, INTS(1 << 16, 1, 64)),
                         filled(HD_FLOAT32, INTS(1, 256, 64)),
                         filled(HD_FLOAT32, INTS(1, 256, 64))};
    assert_int_equal(hd_graph_add_node(graph, "LSTM", inputs, 3, &hidden, 1, &y, 1, NULL), HD_OK);
    return greatest(y);
}

/* A region of 10^9 pixels would take a million samples a bin, nearly all of them outside of the image. */
static hd_value make_regions(void)
{
    hd_attribute sizes[] = {operation_int("output_height", 16), operation_int("output_width", 16)};
    hd_value region = block_floats(graph, 4, (float[]){0, 0, 1e9F, 1e9F});
    hd_value regions = NODE(graph, graph->root, "Expand", region, INTS(256, 4));
    hd_value batch = NODE(graph, graph->root, "Expand", INTS(0), INTS(256));
    return block_node(graph, graph->root, "RoiAlign", sizes, 2,
                      filled(HD_FLOAT32, INTS(1, 1, 4, 4)), regions, batch, BLOCK_END);
}

static hd_value make_boxes(void)
{
    hd_value boxes = filled(HD_FLOAT32, INTS(1, 1 << 17, 4)),
             scores = filled(HD_FLOAT32, INTS(1, 1, 1 << 17));
    return NODE(graph, graph->root, "NonMaxSuppression", boxes, scores, INTS(INT64_C(1) << 40),
                one_float());
}

static hd_value make_sum(void)
{
    hd_value inputs[200], y;
    inputs[0] = filled(HD_FLOAT32, INTS(8 << 20));
    for (int i = 1; i < 200; i++) {
        inputs[i] = one_float();
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(hd_graph_add_node(graph, "Max", inputs, 200, NULL, 0, &y, 1, NULL), HD_OK);
        inputs[0] = y;
    }
    return greatest(y);
}

/* Turns that compute nothing: each gives back a constant, which is copied. */
static hd_value make_copies(void)
{
    hd_block *body = hd_graph_new_block(graph);
    hd_value y = one_float(), other = block_floats(graph, 1, (float[]){2});
    block_input(graph, body, "i", HD_INT64);
    hd_value condition = block_input(graph, body, "c", HD_BOOL);
    block_input(graph, body, "x", HD_FLOAT32);
    block_output(graph, body, "c", condition);
    block_output(graph, body, "x", other);
    hd_value inputs[] = {block_ints(graph, 0, (int64_t[]){INT64_MAX}), HD_VALUE_NONE, y};
    block_control(graph, graph->root, "Loop", inputs, 3, body, NULL, &y, 1);
    return y;
}

static const struct {
    const char *name;
    hd_value (*make)(void);
} graphs[] = {
    {"constant", make_constant},
    {"reduced", make_reduced},
    {"expanded", make_expanded},
    {"tiled", make_tiled},
    {"padded", make_padded},
    {"range", make_range},
    {"window", make_window},
    {"small window", make_small_window},
    {"one-hot", make_one_hot},
    {"eye", make_eye},
    {"resized", make_resized},
    {"padded convolution", make_padded_convolution},
    {"convolution", make_convolution},
    {"einsum", make_einsum},
    {"product", make_product},
    {"powers", make_powers},
    {"functions", make_many_functions},
    {"products", make_many_products},
    {"pool", make_pool},
    {"transform", make_transform},
    {"recurrence", make_recurrence},
    {"regions", make_regions},
    {"boxes", make_boxes},
    {"sum", make_sum},
    {"copies", make_copies},
};

/* In the child: 0 where the graph runs or is refused in a sentence. */
static int run_graph(hd_value (*make)(void))
{
    hd_device *device = NULL;
    hd_model *model = NULL;
    hd_tensor output = {0};
    hd_error error = {0};
    if (hd_device_open("cpu", NULL, &device, NULL) != HD_OK ||
        hd_graph_create(20, &graph, NULL) != HD_OK) {
        return 2;
    }
    block_output(graph, graph->root, "y", make());
    hd_status status = hd_model_create(device, graph, NULL, &model, &error);
    if (status == HD_OK) {
        status = hd_model_run(model, NULL, 0, &output, 1, &error);
    }
    bool is_told = status == HD_OK || error.message[0] != '\0';
    bool is_refusal = status == HD_OUT_OF_MEMORY || status == HD_UNSUPPORTED ||
                      status == HD_INVALID_ARGUMENT || status == HD_BAD_MODEL;
    hd_tensor_release(&output);
    hd_model_destroy(&model);
    hd_graph_destroy(&graph);
    hd_device_destroy(&device);
    return is_told && (status == HD_OK || is_refusal) ? 0 : 1;
}

static void small_graphs_take_little_time_and_memory(void **state)
{
    (void)state;
    bool all = true;
    for (size_t i = 0; i < sizeof graphs / sizeof graphs[0]; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            alarm(60 * SLOWER);
            _exit(run_graph(graphs[i].make));
        }
        int status;
        struct rusage usage;
        assert_int_equal(wait4(child, &status, 0, &usage), child);
        double seconds = (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
                         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
        bool fits = status == 0 && seconds < MOST_SECONDS && usage.ru_maxrss >> 10 < MOST_MEGABYTES;
        if (!fits) {
            print_error("%s: status %d, %.2f s, %ld MB\n", graphs[i].name, status, seconds,
                        usage.ru_maxrss >> 10);
        }
        all = all && fits;
    }
    assert_true(all);
}

/* The same graph with and without an option that raises the limit. */
static hd_status run_with(uint64_t work_limit, uint64_t memory_limit, hd_value (*make)(void),
                          hd_error *error)
{
    hd_device *device;
    hd_model *model;
    hd_tensor output = {0};
    hd_model_options options = {
        .struct_size = sizeof options, .work_limit = work_limit, .run_memory_limit = memory_limit};
    assert_int_equal(hd_device_open("cpu", NULL, &device, NULL), HD_OK);
    assert_int_equal(hd_graph_create(20, &graph, NULL), HD_OK);
    block_output(graph, graph->root, "y", make());
    assert_int_equal(hd_model_create(device, graph, &options, &model, NULL), HD_OK);
    hd_status status = hd_model_run(model, NULL, 0, &output, 1, error);
    hd_tensor_release(&output);
    hd_model_destroy(&model);
    hd_graph_destroy(&graph);
    hd_device_destroy(&device);
    return status;
}

static void an_option_raises_the_work_limit(void **state)
{
    (void)state;
    hd_error error = {0};
    assert_int_equal(run_with(0, 0, make_product, &error), HD_UNSUPPORTED);
    assert_non_null(strstr(error.message, "work_limit"));
    assert_int_equal(run_with(UINT64_MAX, 0, make_product, &error), HD_OK);
}

static hd_value make_many(void)
{
    return filled(HD_FLOAT32, INTS(30 << 20));
}

static void an_option_raises_the_memory_limit(void **state)
{
    (void)state;
    hd_error error = {0};
    assert_int_equal(run_with(0, 0, make_many, &error), HD_UNSUPPORTED);
    assert_non_null(strstr(error.message, "run_memory_limit"));
    assert_int_equal(run_with(0, UINT64_MAX, make_many, &error), HD_OK);
}

/* 100 MB of activations and 2 G multiply-adds on 64 KB of weights and an image of 800 KB. */
static void what_the_caller_brings_raises_the_limits(void **state)
{
    (void)state;
    enum { SIZE = 450 };
    static float image[SIZE * SIZE], weights[64 * 64 * 9];
    hd_device *device;
    hd_value x, w1, w2;
    assert_int_equal(hd_device_open("cpu", NULL, &device, NULL), HD_OK);
    assert_int_equal(hd_graph_create(20, &graph, NULL), HD_OK);
    assert_int_equal(
        hd_graph_add_input(graph, "x", HD_FLOAT32, 4, (int64_t[]){1, 1, SIZE, SIZE}, &x, NULL),
        HD_OK);
    hd_tensor first = OPERATION_TENSOR(HD_FLOAT32, weights, 64, 1, 3, 3);
    hd_tensor second = OPERATION_TENSOR(HD_FLOAT32, weights, 64, 64, 3, 3);
    first.size = 64 * 9 * sizeof(float);
    second.size = sizeof weights;
    assert_int_equal(hd_graph_add_constant(graph, &first, &w1, NULL), HD_OK);
    assert_int_equal(hd_graph_add_constant(graph, &second, &w2, NULL), HD_OK);
    hd_value y = NODE(graph, graph->root, "Conv", NODE(graph, graph->root, "Conv", x, w1), w2);
    block_output(graph, graph->root, "y", greatest(y));
    hd_model *model = block_model(device, graph, 0);
    hd_tensor output = {0}, input = OPERATION_TENSOR(HD_FLOAT32, image, 1, 1, SIZE, SIZE);
    input.size = sizeof image;
    block_run(model, &input, 1, &output, 1);
    hd_tensor_release(&output);
    hd_model_destroy(&model);
    hd_device_destroy(&device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* before this process has a device */
        cmocka_unit_test(small_graphs_take_little_time_and_memory),
        cmocka_unit_test(an_option_raises_the_work_limit),
        cmocka_unit_test(an_option_raises_the_memory_limit),
        cmocka_unit_test(what_the_caller_brings_raises_the_limits),
    };
    return cmocka_run_group_tests_name("hostile", tests, NULL, NULL);
}

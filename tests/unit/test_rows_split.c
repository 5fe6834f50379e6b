/* Rows within one run: where every core has a caller, the rows of a long batch are run one after
 * the other, with the bits of the whole. */
#include <stdlib.h>

#include "rows_fixture.h"
#include "support/test_device.h"

enum { LONG_ROWS = 8, LONG_TOKENS = 512, LONG_WIDTH = 1024 };

/* y = softmax(x · w) over an axis, x [-1, 512, 1024]: over 40 ms for eight rows on a core. */
static hd_model *make_long_model(hd_device *on, int64_t axis)
{
    static const int64_t dims[] = {-1, LONG_TOKENS, LONG_WIDTH};
    size_t count = (size_t)LONG_WIDTH * LONG_WIDTH;
    float *weights = malloc(count * sizeof *weights);
    fill(weights, count);
    hd_tensor tensor = {.dtype = HD_FLOAT32,
                        .rank = 2,
                        .dims = {LONG_WIDTH, LONG_WIDTH},
                        .data = weights,
                        .size = count * sizeof *weights};
    hd_attribute attribute = {.name = "axis", .kind = HD_ATTRIBUTE_INT, .i = axis};
    hd_graph *graph;
    hd_value values[2], product, y;
    hd_model *model;
    assert_ok(hd_graph_create(0, &graph, &error));
    assert_ok(hd_graph_add_input(graph, "x", HD_FLOAT32, 3, dims, &values[0], &error));
    assert_ok(hd_graph_add_constant(graph, &tensor, &values[1], &error));
    assert_ok(hd_graph_add_node(graph, "MatMul", values, 2, NULL, 0, &product, 1, &error));
    assert_ok(hd_graph_add_node(graph, "Softmax", &product, 1, &attribute, 1, &y, 1, &error));
    assert_ok(hd_graph_add_output(graph, "y", y, &error));
    assert_ok(hd_model_create(on, graph, NULL, &model, &error));
    hd_graph_destroy(&graph);
    free(weights);
    return model;
}

/* A device of one thread is crowded by one caller, so the second run, known to be long, may be
 * split. */
static void check_split(int64_t axis, size_t plans, bool allocates, bool steered)
{
    hd_device_options options = {.struct_size = sizeof options, .thread_count = 1};
    hd_device *single;
    assert_ok(hd_device_open(test_device_name(), &options, &single, &error));
    hd_model *model = make_long_model(single, axis);
    size_t size = (size_t)LONG_ROWS * LONG_TOKENS * LONG_WIDTH * sizeof(float);
    float *x = malloc(size), *memory = malloc(size);
    fill(x, size / sizeof *x);
    hd_tensor input = {.dtype = HD_FLOAT32,
                       .rank = 3,
                       .dims = {LONG_ROWS, LONG_TOKENS, LONG_WIDTH},
                       .data = x,
                       .size = size};
    hd_tensor first = {.data = NULL}, second = {.data = allocates ? NULL : memory, .size = size};
    assert_ok(hd_model_run(model, &input, 1, &first, 1, &error));
    assert_int_equal(hd_plan_cache_count(model->plans), 1);
    if (steered) { /* as by a run of other shapes */
        atomic_fetch_or_explicit(&model->steering, 1, memory_order_relaxed);
    }
    assert_ok(hd_model_run(model, &input, 1, &second, 1, &error));
    assert_int_equal(hd_plan_cache_count(model->plans), plans);
    assert_int_equal(second.size, size);
    assert_int_equal(second.dims[0], LONG_ROWS);
    assert_memory_equal(first.data, second.data, size);
    second.size = size - 4; /* too small, also row by row */
    if (!allocates) {
        assert_int_equal(hd_model_run(model, &input, 1, &second, 1, &error), HD_INVALID_ARGUMENT);
    }
    hd_tensor_release(&first);
    if (allocates) {
        hd_tensor_release(&second);
    }
    free(x);
    free(memory);
    hd_model_destroy(&model);
    hd_device_destroy(&single);
}

/* Without memory for the plan of a row the batch runs as a whole. */
static void a_long_batch_runs_whole_where_memory_is_short(void **state)
{
    (void)state;
    hd_device_options options = {.struct_size = sizeof options, .thread_count = 1};
    hd_device *single;
    hd_memory_info info = {.struct_size = sizeof info};
    assert_ok(hd_device_open(test_device_name(), &options, &single, &error));
    hd_model *model = make_long_model(single, -1);
    size_t size = (size_t)2 * LONG_TOKENS * LONG_WIDTH * sizeof(float);
    float *x = malloc(size), *first = malloc(size), *second = calloc(1, size);
    fill(x, size / sizeof *x);
    hd_tensor input = {.dtype = HD_FLOAT32,
                       .rank = 3,
                       .dims = {2, LONG_TOKENS, LONG_WIDTH},
                       .data = x,
                       .size = size};
    hd_tensor output = {.data = first, .size = size};
    assert_ok(hd_model_run(model, &input, 1, &output, 1, &error));
    for (size_t i = 0; i < HD_DURATION_COUNT; i++) { /* as if runs took a second */
        hd_store_relaxed(&model->run_nanoseconds[i], UINT64_C(1000000000));
    }
    assert_ok(hd_device_get_memory(single, &info));
    single->memory.limit = info.weight_bytes + info.arena_bytes + info.plan_bytes +
                           info.block_bytes + info.table_bytes;
    output.data = second;
    hd_error own = {.status = HD_OK};
    assert_int_equal(hd_model_run(model, &input, 1, &output, 1, &own), HD_OK);
    assert_int_equal(own.status, HD_OK);
    assert_int_equal(hd_plan_cache_count(model->plans), 1);
    assert_memory_equal(first, second, size);
    free(x);
    free(first);
    free(second);
    hd_model_destroy(&model);
    hd_device_destroy(&single);
}

static void a_long_batch_runs_row_by_row_with_equal_bits(void **state)
{
    (void)state;
    check_split(-1, 2, false, false);
    check_split(-1, 2, true, false);
    check_split(0, 1, false, false); /* its rows depend on one another */
    check_split(-1, 3, false, true); /* no row is planned with the values of the first */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_long_batch_runs_row_by_row_with_equal_bits),
        cmocka_unit_test(a_long_batch_runs_whole_where_memory_is_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

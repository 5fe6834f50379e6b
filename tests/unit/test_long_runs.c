/* Long runs: with more of them under way than the device has cores, its runners compute them, with the same
 * bits and the same answers. */
#include <pthread.h>
#include <string.h>

#include "rows_fixture.h"
#include "support/test_device.h"

enum { ROWS = 4, WIDTH = 64, CALLERS = 8, RUNS = 40 };

static hd_model *model;
static float inputs[CALLERS][ROWS * WIDTH], expected[CALLERS][ROWS * WIDTH];

/* y = softmax(x · w). */
static void make_model(uint32_t queue_count)
{
    static const int64_t dims[] = {-1, WIDTH};
    static float weights[WIDTH * WIDTH];
    hd_device_options options = {
        .struct_size = sizeof options, .thread_count = 1, .queue_count = queue_count};
    hd_tensor tensor = {.dtype = HD_FLOAT32,
                        .rank = 2,
                        .dims = {WIDTH, WIDTH},
                        .data = weights,
                        .size = sizeof weights};
    hd_graph *graph;
    hd_value values[2], product, y;
    fill(weights, WIDTH * WIDTH);
    assert_ok(hd_device_open(test_device_name(), &options, &device, &error));
    assert_ok(hd_graph_create(0, &graph, &error));
    assert_ok(hd_graph_add_input(graph, "x", HD_FLOAT32, 2, dims, &values[0], &error));
    assert_ok(hd_graph_add_constant(graph, &tensor, &values[1], &error));
    assert_ok(hd_graph_add_node(graph, "MatMul", values, 2, NULL, 0, &product, 1, &error));
    assert_ok(hd_graph_add_node(graph, "Softmax", &product, 1, NULL, 0, &y, 1, &error));
    assert_ok(hd_graph_add_output(graph, "y", y, &error));
    assert_ok(hd_model_create(device, graph, NULL, &model, &error));
    hd_graph_destroy(&graph);
}

static void end_model(void)
{
    hd_model_destroy(&model);
    hd_device_destroy(&device);
}

static hd_status run(size_t caller, float *y, size_t size, hd_error *own)
{
    hd_tensor x = {.dtype = HD_FLOAT32,
                   .rank = 2,
                   .dims = {ROWS, WIDTH},
                   .data = inputs[caller],
                   .size = sizeof inputs[caller]};
    hd_tensor output = {.data = y, .size = size};
    return hd_model_run(model, &x, 1, &output, 1, own);
}

/* As if all runs took a second: what they really take is forgotten. */
static void pretend_long(void)
{
    for (size_t i = 0; i < HD_DURATION_COUNT; i++) {
        hd_store_relaxed(&model->run_nanoseconds[i], UINT64_C(1000000000));
    }
}

static void run_first(void)
{
    for (size_t i = 0; i < CALLERS; i++) {
        fill(inputs[i], ROWS * WIDTH);
        inputs[i][i] = (float)i;
        assert_ok(run(i, expected[i], sizeof expected[i], &error));
    }
}

static bool runner_has_run(void)
{
    return model->memos[hd_lane_of_runner(0)].plans[0] != NULL;
}

/* `others`: long runs that are already under way; the device has one core. */
static void run_behind(uint32_t others, bool by_runner)
{
    float y[ROWS * WIDTH] = {0};
    pretend_long();
    hd_add_relaxed(&device->long_runs, others);
    assert_ok(run(0, y, sizeof y, &error));
    hd_sub_relaxed(&device->long_runs, others);
    assert_int_equal(runner_has_run(), by_runner);
    assert_memory_equal(y, expected[0], sizeof y);
}

static void a_runner_computes_what_the_cores_are_too_few_for(void **state)
{
    (void)state;
    make_model(0);
    run_first();
    run_behind(0, false);
    run_behind(1, true);
    end_model();
}

static void errors_come_from_the_runner_too(void **state)
{
    (void)state;
    float y[ROWS * WIDTH];
    make_model(0);
    run_first();
    pretend_long();
    hd_add_relaxed(&device->long_runs, 1);
    hd_error own = {.status = HD_OK};
    assert_int_equal(run(0, y, sizeof y - 4, &own), HD_INVALID_ARGUMENT);
    assert_int_equal(own.status, HD_INVALID_ARGUMENT);
    assert_non_null(strstr(own.message, "'y'"));
    hd_sub_relaxed(&device->long_runs, 1);
    assert_true(runner_has_run());
    end_model();
}

/* The runner's lane needs an arena, which the caller's has already. */
static void the_caller_computes_when_the_runner_lacks_memory(void **state)
{
    (void)state;
    hd_memory_info info = {.struct_size = sizeof info};
    make_model(0);
    run_first();
    assert_int_equal(hd_device_get_memory(device, &info), HD_OK);
    device->memory.limit = info.weight_bytes + info.arena_bytes + info.plan_bytes +
                           info.block_bytes + info.table_bytes;
    float y[ROWS * WIDTH] = {0};
    pretend_long();
    hd_add_relaxed(&device->long_runs, 1);
    hd_error own = {.status = HD_OK};
    assert_int_equal(run(0, y, sizeof y, &own), HD_OK);
    assert_int_equal(own.status, HD_OK);
    assert_memory_equal(y, expected[0], sizeof y);
    hd_sub_relaxed(&device->long_runs, 1);
    assert_null(device->workspaces[hd_lane_of_runner(0)].arenas[HD_PLACE_DEVICE].memory);
    end_model();
}

static void callers_compute_where_streams_share_a_queue(void **state)
{
    (void)state;
    make_model(2);
    run_first();
    run_behind(1, false);
    end_model();
}

typedef struct long_caller {
    pthread_t thread;
    size_t number;
    uint32_t equal;
} long_caller;

static void *run_often(void *argument)
{
    long_caller *self = argument;
    hd_error own;
    for (uint32_t i = 0; i < RUNS; i++) {
        float y[ROWS * WIDTH] = {0};
        pretend_long();
        self->equal += run(self->number, y, sizeof y, &own) == HD_OK &&
                       memcmp(y, expected[self->number], sizeof y) == 0;
    }
    return NULL;
}

static void callers_and_runners_take_turns_with_equal_bits(void **state)
{
    (void)state;
    long_caller callers[CALLERS];
    make_model(0);
    run_first();
    /* At least one of them finds another under way. */
    hd_add_relaxed(&device->long_runs, 1);
    for (size_t i = 0; i < CALLERS; i++) {
        callers[i] = (long_caller){.number = i};
        assert_int_equal(pthread_create(&callers[i].thread, NULL, run_often, &callers[i]), 0);
    }
    hd_sub_relaxed(&device->long_runs, 1);
    for (size_t i = 0; i < CALLERS; i++) {
        pthread_join(callers[i].thread, NULL);
        assert_int_equal(callers[i].equal, RUNS);
    }
    assert_int_equal(hd_load_relaxed(&device->long_runs), 0);
    end_model();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_runner_computes_what_the_cores_are_too_few_for),
        cmocka_unit_test(errors_come_from_the_runner_too),
        cmocka_unit_test(the_caller_computes_when_the_runner_lacks_memory),
        cmocka_unit_test(callers_compute_where_streams_share_a_queue),
        cmocka_unit_test(callers_and_runners_take_turns_with_equal_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* FLAT: once warm, runs call neither malloc nor free, whatever way they take, and requests call them
 * for themselves alone. Counted for the whole process, so for runners and batch workers, too.
 * tests/bits/test_flat.c counts plain runs of several cases. */
#define DEVICE_THREADS 1 /* support/device_fixture.h */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "cli/malloc_count.h"
#include "graph/model.h"
#include "support/block_graph.h"
#include "support/device_fixture.h"
#include "support/operation_runner.h"

#define COUNT        100 /* elements of x: too many to steer a plan as an input */
#define OUTPUT_LIMIT 2
#define TURNS        12 /* of inputs that differ, more than a stream remembers plans for */
#define MILLISECOND  UINT64_C(1000000)

/* One thread, so that no worker first starts while calls are counted; and so a run of many rows is split
 * into them. */
static void skip_unless_counted(void)
{
    if (hd_malloc_count_read() < 0) {
        print_message("SKIPPED: a sanitizer's malloc is not counted\n");
        skip();
    }
}

/* What a model is run with in the turn-th of several ways. */
typedef void prepare_input(size_t turn, float *x, hd_tensor *input);

typedef struct subject {
    hd_model *model;
    prepare_input *prepare;
    size_t output_count;
} subject;

static void run_turn(const subject *subject, size_t turn)
{
    static float x[COUNT], memory[OUTPUT_LIMIT][COUNT];
    hd_tensor input = block_tensor(HD_FLOAT32, COUNT, x), outputs[OUTPUT_LIMIT];
    hd_error error;
    subject->prepare(turn, x, &input);
    for (size_t i = 0; i < subject->output_count; i++) {
        outputs[i] = (hd_tensor){.data = memory[i], .size = sizeof memory[i]};
    }
    if (hd_model_run(subject->model, &input, 1, outputs, subject->output_count, &error) != HD_OK) {
        fail_msg("turn %zu: %s", turn, error.message);
    }
}

static void check_warm_runs(const subject *subject)
{
    for (size_t i = 0; i < 3 * TURNS; i++) {
        run_turn(subject, i);
    }
    int64_t before = hd_malloc_count_read();
    for (size_t i = 0; i < 20 * TURNS; i++) {
        run_turn(subject, i);
    }
    assert_int_equal(hd_malloc_count_read() - before, 0);
}

/* Other elements are not zero in each turn. */
static void prepare_places(size_t turn, float *x, hd_tensor *input)
{
    (void)input;
    for (size_t i = 0; i < COUNT; i++) {
        x[i] = i % (turn % TURNS + 1) == 0 ? (float)i + 1 : 0;
    }
}

/* kept: x's elements that are not zero, so its shape follows from computed data. */
static void runs_of_several_segments_do_not_allocate(void **state)
{
    (void)state;
    skip_unless_counted();
    hd_graph *graph;
    assert_int_equal(hd_graph_create(0, &graph, NULL), HD_OK);
    hd_block *root = graph->root;
    hd_value x = block_input(graph, root, "x", HD_FLOAT32);
    hd_value places = NODE(graph, root, "NonZero", x);
    hd_value list = NODE(graph, root, "Reshape", places, block_ints(graph, 1, (int64_t[]){-1}));
    hd_value kept = NODE(graph, root, "Gather", x, list);
    block_output(graph, root, "kept", kept);
    block_output(graph, root, "count", NODE(graph, root, "Shape", kept));
    subject subject = {block_model(device, graph, 0), prepare_places, 2};
    check_warm_runs(&subject);
    hd_model_destroy(&subject.model);
}

static void prepare_sign(size_t turn, float *x, hd_tensor *input)
{
    (void)input;
    for (size_t i = 0; i < COUNT; i++) {
        x[i] = turn % 2 == 0 ? 1.0f : -1.0f;
    }
}

/* y = 0 < the sum of x ? x + 1 : x * 2 as an If, whose condition is computed. */
static void runs_through_computed_branches_do_not_allocate(void **state)
{
    (void)state;
    skip_unless_counted();
    hd_graph *graph;
    assert_int_equal(hd_graph_create(0, &graph, NULL), HD_OK);
    hd_block *root = graph->root,
             *branches[] = {hd_graph_new_block(graph), hd_graph_new_block(graph)};
    hd_value x = block_input(graph, root, "x", HD_FLOAT32), y;
    hd_attribute kept = operation_int("keepdims", 0);
    hd_value sum = block_node(graph, root, "ReduceSum", &kept, 1, x, BLOCK_END);
    hd_value zero = block_floats(graph, 0, (float[]){0});
    hd_value condition = NODE(graph, root, "Less", zero, sum);
    block_output(graph, branches[0], "",
                 NODE(graph, branches[0], "Add", x, block_floats(graph, 0, (float[]){1})));
    block_output(graph, branches[1], "",
                 NODE(graph, branches[1], "Mul", x, block_floats(graph, 0, (float[]){2})));
    block_control(graph, root, "If", &condition, 1, branches[0], branches[1], &y, 1);
    block_output(graph, root, "y", y);
    subject subject = {block_model(device, graph, 0), prepare_sign, 1};
    check_warm_runs(&subject);
    hd_model_destroy(&subject.model);
}

/* The first element says how often a Loop turns. */
static void prepare_turns(size_t turn, float *x, hd_tensor *input)
{
    (void)input;
    for (size_t i = 0; i < COUNT; i++) {
        x[i] = i == 0 ? (float)(turn % TURNS + 1) : 0.01f * (float)i;
    }
}

/* count = count + 1 until it is x[0], with an If on what is computed; scans the counts. */
static void runs_through_loops_do_not_allocate(void **state)
{
    (void)state;
    skip_unless_counted();
    hd_graph *graph;
    assert_int_equal(hd_graph_create(0, &graph, NULL), HD_OK);
    hd_block *root = graph->root, *body = hd_graph_new_block(graph),
             *branches[] = {hd_graph_new_block(graph), hd_graph_new_block(graph)};
    hd_value x = block_input(graph, root, "x", HD_FLOAT32), even, outputs[2];
    hd_value one = block_floats(graph, 0, (float[]){1}), two = block_floats(graph, 0, (float[]){2});
    hd_value last = NODE(graph, root, "Gather", x, block_ints(graph, 0, (int64_t[]){0}));
    hd_value zero = NODE(graph, root, "Sub", last, last);
    block_input(graph, body, "", HD_INT64);
    block_input(graph, body, "", HD_BOOL);
    hd_value count = block_input(graph, body, "", HD_FLOAT32),
             next = NODE(graph, body, "Add", count, one);
    hd_value half = NODE(graph, body, "Floor", NODE(graph, body, "Div", next, two));
    hd_value is_even = NODE(graph, body, "Equal", NODE(graph, body, "Mul", half, two), next);
    block_output(graph, branches[0], "", NODE(graph, branches[0], "Neg", next));
    block_output(graph, branches[1], "", NODE(graph, branches[1], "Mul", next, two));
    block_control(graph, body, "If", &is_even, 1, branches[0], branches[1], &even, 1);
    block_output(graph, body, "", NODE(graph, body, "Less", next, last));
    block_output(graph, body, "", next);
    block_output(graph, body, "", even);
    hd_value inputs[] = {HD_VALUE_NONE, HD_VALUE_NONE, zero};
    block_control(graph, root, "Loop", inputs, 3, body, NULL, outputs, 2);
    block_output(graph, root, "count", outputs[0]);
    block_output(graph, root, "scans", outputs[1]);
    subject subject = {block_model(device, graph, 0), prepare_turns, 2};
    check_warm_runs(&subject);
    hd_model_destroy(&subject.model);
}

static void prepare_shape(size_t turn, float *x, hd_tensor *input)
{
    size_t count = 5 + turn % TURNS;
    *input = block_tensor(HD_FLOAT32, count, x);
    for (size_t i = 0; i < count; i++) {
        x[i] = (float)i;
    }
}

static hd_model *make_plain_model(hd_device *on)
{
    hd_graph *graph;
    assert_int_equal(hd_graph_create(0, &graph, NULL), HD_OK);
    hd_value x = block_input(graph, graph->root, "x", HD_FLOAT32);
    block_output(graph, graph->root, "y", NODE(graph, graph->root, "Tanh", x));
    return block_model(on, graph, 0);
}

static void runs_of_changing_shapes_do_not_allocate(void **state)
{
    (void)state;
    skip_unless_counted();
    subject subject = {make_plain_model(device), prepare_shape, 1};
    check_warm_runs(&subject);
    hd_model_destroy(&subject.model);
}

enum { ROWS = 8, TOKENS = 512, WIDTH = 1024 };

/* Two plans: of the whole, and of a row. */
static void runs_that_are_split_into_rows_do_not_allocate(void **state)
{
    (void)state;
    skip_unless_counted();
    size_t size = (size_t)ROWS * TOKENS * WIDTH * sizeof(float);
    size_t weight_size = (size_t)WIDTH * WIDTH * sizeof(float);
    float *x = calloc(1, size), *y = calloc(1, size), *weights = calloc(1, weight_size);
    hd_graph *graph;
    assert_int_equal(hd_graph_create(0, &graph, NULL), HD_OK);
    hd_tensor tensor = {.dtype = HD_FLOAT32,
                        .rank = 2,
                        .dims = {WIDTH, WIDTH},
                        .data = weights,
                        .size = weight_size};
    hd_value constant, product;
    assert_int_equal(hd_graph_add_constant(graph, &tensor, &constant, NULL), HD_OK);
    product = NODE(graph, graph->root, "MatMul", block_input(graph, graph->root, "x", HD_FLOAT32),
                   constant);
    block_output(graph, graph->root, "y", NODE(graph, graph->root, "Softmax", product));
    hd_model *model = block_model(device, graph, 0);
    hd_tensor input = {
        .dtype = HD_FLOAT32, .rank = 3, .dims = {ROWS, TOKENS, WIDTH}, .data = x, .size = size};
    int64_t before = 0;
    for (int i = 0; i < 10; i++) {
        hd_tensor output = {.data = y, .size = size};
        before = i == 4 ? hd_malloc_count_read() : before;
        assert_int_equal(hd_model_run(model, &input, 1, &output, 1, NULL), HD_OK);
    }
    assert_int_equal(hd_malloc_count_read() - before, 0);
    assert_int_equal(hd_plan_cache_count(model->plans), 2);
    hd_model_destroy(&model);
    free(x);
    free(y);
    free(weights);
}

static void rest(uint64_t nanoseconds)
{
    nanosleep(&(struct timespec){.tv_nsec = (long)nanoseconds}, NULL);
}

/* The calls since `before`, once there are `expected`: a request's memory is freed by whoever of the
 * caller and the library is later. */
static int64_t calls_since(int64_t before, int64_t expected)
{
    for (int i = 0; i < 5000 && hd_malloc_count_read() - before < expected; i++) {
        rest(MILLISECOND);
    }
    rest(20 * MILLISECOND); /* those that are too many */
    return hd_malloc_count_read() - before;
}

enum { IN_FLIGHT = 8, ROUNDS = 100, WIDE = 16 };

static _Atomic uint32_t called;

static void count_callback(void *context, hd_status outcome, const hd_error *error)
{
    (void)context;
    (void)outcome;
    (void)error;
    atomic_fetch_add(&called, 1);
}

/* What a round submits: IN_FLIGHT requests of `rows` rows of WIDE numbers. */
static struct {
    float x[IN_FLIGHT][IN_FLIGHT * WIDE], y[IN_FLIGHT][IN_FLIGHT * WIDE];
    hd_tensor inputs[IN_FLIGHT], outputs[IN_FLIGHT];
} requests;

static void prepare_requests(int64_t rows)
{
    for (size_t i = 0; i < IN_FLIGHT; i++) {
        size_t size = (size_t)rows * WIDE * sizeof(float);
        requests.inputs[i] = (hd_tensor){.dtype = HD_FLOAT32,
                                         .rank = 2,
                                         .dims = {rows, WIDE},
                                         .data = requests.x[i],
                                         .size = size};
        requests.outputs[i] = (hd_tensor){.data = requests.y[i], .size = size};
    }
}

/* Asynchronous runs on one stream; without a handle the callback tells. */
static void run_async_round(hd_model *model, hd_stream stream, bool calls_back)
{
    hd_future *futures[IN_FLIGHT];
    hd_submit_options options = {.struct_size = sizeof options,
                                 .stream = stream,
                                 .callback = calls_back ? count_callback : NULL};
    uint32_t before = atomic_load(&called);
    prepare_requests(1);
    for (size_t i = 0; i < IN_FLIGHT; i++) {
        assert_int_equal(hd_model_run_async(model, &requests.inputs[i], 1, &requests.outputs[i], 1,
                                            &options, calls_back ? NULL : &futures[i], NULL),
                         HD_OK);
    }
    for (size_t i = 0; i < IN_FLIGHT && !calls_back; i++) {
        assert_int_equal(hd_future_wait(futures[i], HD_WAIT_FOREVER, NULL), HD_OK);
        hd_future_destroy(&futures[i]);
    }
    while (calls_back && atomic_load(&called) - before < IN_FLIGHT) {
        rest(MILLISECOND / 10);
    }
}

/* A future and a piece of work: each is allocated and freed once. */
static void asynchronous_runs_allocate_two_objects_each(void **state)
{
    (void)state;
    skip_unless_counted();
    hd_model *model = make_plain_model(device);
    hd_stream stream;
    assert_int_equal(hd_stream_acquire(device, 0, &stream, NULL), HD_OK);
    for (int calls_back = 0; calls_back < 2; calls_back++) {
        for (int i = 0; i < 10; i++) {
            run_async_round(model, stream, calls_back);
        }
        assert_int_equal(hd_stream_synchronize(device, stream, HD_WAIT_FOREVER, NULL), HD_OK);
        rest(20 * MILLISECOND); /* what the last ones free */
        int64_t before = hd_malloc_count_read(), expected = INT64_C(4) * IN_FLIGHT * ROUNDS;
        for (int i = 0; i < ROUNDS; i++) {
            run_async_round(model, stream, calls_back);
        }
        assert_int_equal(calls_since(before, expected), expected);
    }
    assert_int_equal(hd_stream_release(device, stream, NULL), HD_OK);
    hd_model_destroy(&model);
}

/* Submits `count` requests of so many rows. */
static void submit_round(hd_batch *batch, size_t count, int64_t rows)
{
    hd_future *futures[IN_FLIGHT];
    prepare_requests(rows);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(hd_batch_submit(batch, &requests.inputs[i], 1, &requests.outputs[i], 1,
                                         NULL, &futures[i], NULL),
                         HD_OK);
    }
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(hd_future_wait(futures[i], HD_WAIT_FOREVER, NULL), HD_OK);
        hd_future_destroy(&futures[i]);
    }
}

/* Until there was a batch of each size: then its plan, its proof and its memory are there. */
static void warm_up(hd_batch *batch)
{
    hd_batch_statistics before, after = {.struct_size = sizeof after};
    for (size_t count = IN_FLIGHT; count > 0; count--) {
        do {
            before = after;
            submit_round(batch, count, 1);
            assert_int_equal(hd_batch_get_statistics(batch, &after), HD_OK);
        } while (after.batches - before.batches != 1);
    }
    rest(20 * MILLISECOND);
}

/* A request is one object; batches of 1 to IN_FLIGHT rows take turns. */
static void requests_of_a_batch_queue_allocate_one_object_each(void **state)
{
    (void)state;
    skip_unless_counted();
    hd_model *model = make_plain_model(device);
    hd_batch_options options = {.struct_size = sizeof options,
                                .worker_count = 1,
                                .max_rows = IN_FLIGHT,
                                .max_delay_us = 5000};
    hd_batch *batch;
    assert_int_equal(hd_batch_create(model, &options, &batch, NULL), HD_OK);
    warm_up(batch);
    int64_t before = hd_malloc_count_read(), expected = 0;
    for (size_t i = 0; i < ROUNDS; i++) {
        submit_round(batch, i % IN_FLIGHT + 1, 1);
        expected += INT64_C(2) * (int64_t)(i % IN_FLIGHT + 1);
    }
    assert_int_equal(calls_since(before, expected), expected);
    hd_batch_destroy(&batch);
    hd_model_destroy(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_of_several_segments_do_not_allocate),
        cmocka_unit_test(runs_through_computed_branches_do_not_allocate),
        cmocka_unit_test(runs_through_loops_do_not_allocate),
        cmocka_unit_test(runs_of_changing_shapes_do_not_allocate),
        cmocka_unit_test(runs_that_are_split_into_rows_do_not_allocate),
        cmocka_unit_test(asynchronous_runs_allocate_two_objects_each),
        cmocka_unit_test(requests_of_a_batch_queue_allocate_one_object_each),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}

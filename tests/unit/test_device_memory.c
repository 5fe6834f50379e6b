/* Tensors in a device's memory: runs read and write them in place, in their stream's order, and the host's are as before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "graph/model.h"
#include "runtime/device.h"
#include "support/block_graph.h"
#include "support/test_device.h"

#define SIZE  256
#define BYTES (SIZE * sizeof(float))

static hd_error error;
static hd_device *device;
static hd_stream stream;

#define assert_ok(call)                                                                            \
    do {                                                                                           \
        if ((call) != HD_OK) {                                                                     \
            fail_msg("%s: %s", #call, error.message);                                              \
        }                                                                                          \
    } while (0)

static int open_device(void **state)
{
    (void)state;
    assert_ok(hd_device_open(test_device_name(), NULL, &device, &error));
    assert_ok(hd_stream_acquire(device, 0, &stream, &error));
    return 0;
}

static int close_device(void **state)
{
    (void)state;
    hd_memory_statistics counts = {.struct_size = sizeof counts};
    assert_int_equal(hd_memory_get_statistics(device, &counts), HD_OK);
    assert_int_equal(counts.in_use_bytes, 0);
    hd_device_destroy(&device);
    return 0;
}

static void *allocate(size_t size)
{
    void *memory;
    assert_ok(hd_memory_allocate(device, stream, size, 1000, &memory, &error));
    return memory;
}

static void release(void *memory)
{
    assert_ok(hd_memory_free(device, memory, &error));
}

static void fill(void *memory, float first)
{
    float values[SIZE];
    for (int i = 0; i < SIZE; i++) {
        values[i] = first + (float)i;
    }
    assert_ok(hd_memory_copy(device, memory, values, sizeof values, &error));
}

/* It has first, first + step, ... */
static void expect(const void *memory, float first, float step)
{
    float values[SIZE];
    assert_ok(hd_memory_copy(device, values, memory, sizeof values, &error));
    for (int i = 0; i < SIZE; i++) {
        assert_true(values[i] == first + step * (float)i);
    }
}

static hd_tensor tensor(void *data, hd_tensor_place place)
{
    return (hd_tensor){.dtype = HD_FLOAT32,
                       .rank = 1,
                       .dims = {SIZE},
                       .data = data,
                       .size = BYTES,
                       .place = place};
}

/* y = x + 1; z = x; w: a constant; v = -(x + 1) */
static hd_model *make_model(void)
{
    hd_graph *graph;
    assert_ok(hd_graph_create(0, &graph, &error));
    hd_value x = block_input(graph, graph->root, "x", HD_FLOAT32);
    const float one = 1;
    static float numbers[SIZE];
    for (int i = 0; i < SIZE; i++) {
        numbers[i] = (float)(2 * i);
    }
    hd_value sum = NODE(graph, graph->root, "Add", x, block_floats(graph, 0, &one));
    block_output(graph, graph->root, "y", sum);
    block_output(graph, graph->root, "z", NODE(graph, graph->root, "Identity", x));
    block_output(graph, graph->root, "w",
                 NODE(graph, graph->root, "Identity", block_floats(graph, SIZE, numbers)));
    block_output(graph, graph->root, "v", NODE(graph, graph->root, "Neg", sum));
    return block_model(device, graph, 0);
}

static const char *const names[4] = {"y", "z", "w", "v"};
static const float firsts[4] = {6, 5, 0, -6}, steps[4] = {1, 1, 2, -1};

/* Each of x, y, z, w, v is in the host's memory or the device's: bits of `places`. */
static void run_with_places(hd_model *model, uint32_t places, bool is_async)
{
    void *memory[5];
    float host[5][SIZE];
    hd_tensor tensors[5];
    for (uint32_t i = 0; i < 5; i++) {
        bool on_device = (places >> i & 1) != 0;
        memory[i] = on_device ? allocate(BYTES) : (void *)host[i];
        tensors[i] = tensor(memory[i], on_device ? HD_TENSOR_DEVICE : HD_TENSOR_HOST);
        tensors[i].name = i == 0 ? "x" : names[i - 1];
    }
    fill(memory[0], 5);
    if (is_async) {
        hd_submit_options options = {.struct_size = sizeof options, .stream = stream};
        hd_future *future;
        assert_ok(hd_model_run_async(model, tensors, 1, tensors + 1, 4, &options, &future, &error));
        assert_ok(hd_future_wait(future, HD_WAIT_FOREVER, &error));
        hd_future_destroy(&future);
    } else {
        assert_ok(hd_model_run(model, tensors, 1, tensors + 1, 4, &error));
    }
    for (uint32_t i = 0; i < 5; i++) {
        if (i > 0) {
            assert_int_equal(tensors[i].size, BYTES);
            assert_int_equal(tensors[i].rank, 1);
            expect(memory[i], firsts[i - 1], steps[i - 1]);
        }
        if ((places >> i & 1) != 0) {
            release(memory[i]);
        }
    }
}

static void each_tensor_lies_where_it_says(void **state)
{
    (void)state;
    hd_model *model = make_model();
    for (int repeat = 0; repeat < 2; repeat++) {
        for (uint32_t places = 0; places < 32; places++) {
            run_with_places(model, places, false);
            run_with_places(model, places, true);
        }
    }
    hd_model_destroy(&model);
}

/* Runs of a stream hand data on in the device's memory, without a wait between them. */
static void a_stream_orders_what_runs_read_and_write(void **state)
{
    (void)state;
    hd_graph *graph;
    assert_ok(hd_graph_create(0, &graph, &error));
    hd_value x = block_input(graph, graph->root, "x", HD_FLOAT32);
    const float one = 1;
    block_output(graph, graph->root, "y",
                 NODE(graph, graph->root, "Add", x, block_floats(graph, 0, &one)));
    hd_model *model = block_model(device, graph, 0);
    void *a = allocate(BYTES), *b = allocate(BYTES);
    hd_tensor to[2] = {tensor(b, HD_TENSOR_DEVICE), tensor(a, HD_TENSOR_DEVICE)};
    hd_submit_options options = {.struct_size = sizeof options, .stream = stream};
    fill(a, 0);
    for (int i = 0; i < 100; i++) {
        hd_tensor input = tensor(i % 2 == 0 ? a : b, HD_TENSOR_DEVICE);
        assert_ok(hd_model_run_async(model, &input, 1, &to[i % 2], 1, &options, NULL, &error));
    }
    assert_ok(hd_stream_synchronize(device, stream, HD_WAIT_FOREVER, &error));
    expect(a, 100, 1);
    expect(b, 99, 1);
    if (!device->unit->is_host) { /* nothing is copied on the way */
        hd_stream_ref ref;
        assert_ok(hd_device_find_stream(device, stream, &ref, &error));
        const hd_plan *plan = model->memos[hd_lane_of_flights(ref.stream->number)].plans[0];
        assert_int_equal(plan->recipe.step_count, 1);
        assert_int_equal(plan->arena_sizes[HD_PLACE_HOST], 0);
    }
    /* A block that was freed serves the stream's next operations at once; what was submitted still has it. */
    hd_tensor input = tensor(a, HD_TENSOR_DEVICE);
    assert_ok(hd_model_run_async(model, &input, 1, &to[0], 1, &options, NULL, &error));
    release(a);
    void *c = allocate(BYTES);
    hd_tensor last = tensor(c, HD_TENSOR_DEVICE);
    input = tensor(b, HD_TENSOR_DEVICE);
    assert_ok(hd_model_run_async(model, &input, 1, &last, 1, &options, NULL, &error));
    assert_ok(hd_stream_synchronize(device, stream, HD_WAIT_FOREVER, &error));
    expect(c, 102, 1);
    release(b);
    release(c);
    hd_model_destroy(&model);
}

/* A block that a second stream was recorded for is not given out again before that is done. */
static void a_recorded_stream_keeps_a_block(void **state)
{
    (void)state;
    hd_stream other;
    assert_ok(hd_stream_acquire(device, 0, &other, &error));
    hd_model *model = make_model();
    void *x = allocate(BYTES), *y = allocate(BYTES);
    fill(x, 5);
    hd_tensor input = tensor(x, HD_TENSOR_DEVICE), output = tensor(y, HD_TENSOR_DEVICE);
    hd_submit_options options = {.struct_size = sizeof options, .stream = other};
    output.name = "v";
    assert_ok(hd_model_run_async(model, &input, 1, &output, 1, &options, NULL, &error));
    assert_ok(hd_memory_record_stream(device, x, other, &error));
    release(x);
    void *z = allocate(BYTES);
    fill(z, -1000);
    assert_ok(hd_stream_synchronize(device, other, HD_WAIT_FOREVER, &error));
    expect(y, -6, -1);
    release(y);
    release(z);
    hd_model_destroy(&model);
    assert_ok(hd_stream_release(device, other, &error));
}

/* Values that steer a plan are read wherever they are. */
static void a_steering_input_may_lie_there(void **state)
{
    (void)state;
    hd_graph *graph;
    assert_ok(hd_graph_create(0, &graph, &error));
    hd_value x = block_input(graph, graph->root, "x", HD_FLOAT32);
    hd_value shape = block_input(graph, graph->root, "shape", HD_INT64);
    hd_value moved = NODE(graph, graph->root, "Reshape", x, shape);
    block_output(graph, graph->root, "y", NODE(graph, graph->root, "Neg", moved));
    hd_model *model = block_model(device, graph, 0);
    void *on_device = allocate(2 * sizeof(int64_t)), *result = allocate(BYTES);
    float values[SIZE] = {0};
    for (int i = 0; i < 4; i++) {
        int64_t rows[2] = {2 << i, -1};
        assert_ok(hd_memory_copy(device, on_device, rows, sizeof rows, &error));
        hd_tensor inputs[2] = {tensor(values, HD_TENSOR_HOST),
                               block_tensor(HD_INT64, 2, on_device)};
        inputs[1].place = HD_TENSOR_DEVICE;
        hd_tensor output = tensor(result, HD_TENSOR_DEVICE);
        assert_ok(hd_model_run(model, inputs, 2, &output, 1, &error));
        assert_int_equal(output.rank, 2);
        assert_int_equal(output.dims[0], 2 << i);
        assert_int_equal(output.dims[1], SIZE / (2 << i));
    }
    release(on_device);
    release(result);
    hd_model_destroy(&model);
}

/* Sizes that depend on data: the last segment's output is written there, too. */
static void a_run_of_several_segments_writes_there(void **state)
{
    (void)state;
    hd_graph *graph;
    assert_ok(hd_graph_create(0, &graph, &error));
    hd_value x = block_input(graph, graph->root, "x", HD_FLOAT32);
    hd_value found = NODE(graph, graph->root, "NonZero", x);
    block_output(graph, graph->root, "found", found);
    block_output(graph, graph->root, "twice", NODE(graph, graph->root, "Add", found, found));
    hd_model *model = block_model(device, graph, 0);
    void *input = allocate(BYTES), *first = allocate(SIZE * 8), *second = allocate(SIZE * 8);
    float values[SIZE] = {0};
    values[7] = values[9] = 1;
    assert_ok(hd_memory_copy(device, input, values, BYTES, &error));
    hd_tensor given = tensor(input, HD_TENSOR_DEVICE);
    hd_tensor outputs[2] = {{.data = first, .size = SIZE * 8, .place = HD_TENSOR_DEVICE},
                            {.data = second, .size = SIZE * 8, .place = HD_TENSOR_DEVICE}};
    assert_ok(hd_model_run(model, &given, 1, outputs, 2, &error));
    int64_t seen[2];
    assert_int_equal(outputs[0].size, sizeof seen);
    assert_ok(hd_memory_copy(device, seen, first, sizeof seen, &error));
    assert_true(seen[0] == 7 && seen[1] == 9);
    assert_ok(hd_memory_copy(device, seen, second, sizeof seen, &error));
    assert_true(seen[0] == 14 && seen[1] == 18);
    release(input);
    release(first);
    release(second);
    hd_model_destroy(&model);
}

static hd_status run_between(hd_model *model, hd_tensor input, hd_tensor output)
{
    return hd_model_run(model, &input, 1, &output, 1, &error);
}

static void what_is_none_of_its_memory_is_refused(void **state)
{
    (void)state;
    hd_model *model = make_model();
    hd_device *second = NULL;
    void *memory = allocate(BYTES), *foreign = NULL;
    float host[SIZE] = {0};
    hd_tensor here = tensor(memory, HD_TENSOR_DEVICE), there = tensor(host, HD_TENSOR_HOST);
    assert_ok(run_between(model, here, there));
    hd_tensor wrong = here;
    wrong.place = (hd_tensor_place)2;
    assert_int_equal(run_between(model, wrong, there), HD_INVALID_ARGUMENT);
    assert_int_equal(run_between(model, there, wrong), HD_INVALID_ARGUMENT);
    wrong = here;
    wrong.data = NULL; /* the library allocates the host's only */
    assert_int_equal(run_between(model, there, wrong), HD_INVALID_ARGUMENT);
    wrong = here;
    wrong.size = BYTES - 1;
    assert_int_equal(run_between(model, wrong, there), HD_INVALID_ARGUMENT);
    assert_int_equal(run_between(model, there, wrong), HD_INVALID_ARGUMENT);
    if (!device->unit->is_host) {
        wrong = there;
        wrong.place = HD_TENSOR_DEVICE; /* it is the host's */
        assert_int_equal(run_between(model, wrong, there), HD_INVALID_ARGUMENT);
        assert_non_null(strstr(error.message, "none of the device's memory"));
        assert_int_equal(run_between(model, there, wrong), HD_INVALID_ARGUMENT);
        wrong = here;
        void *larger = allocate(BYTES + sizeof(float));
        wrong.data = (char *)larger + sizeof(float); /* at no multiple of 16 bytes */
        assert_int_equal(run_between(model, wrong, there), HD_INVALID_ARGUMENT);
        assert_non_null(strstr(error.message, "multiple of 16"));
        assert_int_equal(run_between(model, there, wrong), HD_INVALID_ARGUMENT);
        release(larger);
        wrong = here;
        wrong.size = (size_t)1 << 40; /* more than there is */
        assert_int_equal(run_between(model, there, wrong), HD_INVALID_ARGUMENT);
    }
    if (strcmp(test_device_name(), "sim") == 0) {
        assert_ok(hd_device_open("sim:1", NULL, &second, &error));
        assert_ok(hd_memory_allocate(second, (hd_stream){0}, BYTES, 0, &foreign, &error));
        assert_int_equal(run_between(model, tensor(foreign, HD_TENSOR_DEVICE), there),
                         HD_INVALID_ARGUMENT);
        assert_ok(hd_memory_free(second, foreign, &error));
        hd_device_destroy(&second);
    }
    assert_int_equal(hd_memory_copy(device, NULL, host, 1, &error), HD_INVALID_ARGUMENT);
    assert_int_equal(hd_memory_copy(device, host, NULL, 1, &error), HD_INVALID_ARGUMENT);
    assert_int_equal(hd_memory_copy(NULL, host, host, 1, &error), HD_INVALID_ARGUMENT);
    assert_ok(hd_memory_copy(device, NULL, NULL, 0, &error));
    release(memory);
    hd_model_destroy(&model);
}

static void graphs_and_batches_take_the_hosts_memory(void **state)
{
    (void)state;
    hd_graph *graph;
    hd_value value;
    void *memory = allocate(BYTES);
    hd_tensor constant = tensor(memory, HD_TENSOR_DEVICE);
    assert_ok(hd_graph_create(0, &graph, &error));
    assert_int_equal(hd_graph_add_constant(graph, &constant, &value, &error), HD_INVALID_ARGUMENT);
    hd_value x = block_input(graph, graph->root, "x", HD_FLOAT32);
    block_output(graph, graph->root, "y", NODE(graph, graph->root, "Neg", x));
    hd_model *model = block_model(device, graph, 0);
    hd_batch *batch;
    assert_ok(hd_batch_create(model, NULL, &batch, &error));
    hd_tensor input = tensor(memory, HD_TENSOR_DEVICE), output = tensor(memory, HD_TENSOR_DEVICE);
    hd_future *future;
    fill(memory, 1);
    hd_status status = hd_batch_submit(batch, &input, 1, &output, 1, NULL, &future, &error);
    assert_int_equal(status, device->unit->is_host ? HD_OK : HD_UNSUPPORTED);
    if (status == HD_OK) {
        assert_ok(hd_future_wait(future, HD_WAIT_FOREVER, &error));
        hd_future_destroy(&future);
    }
    hd_batch_destroy(&batch);
    release(memory);
    hd_model_destroy(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_tensor_lies_where_it_says, open_device, close_device),
        cmocka_unit_test_setup_teardown(a_stream_orders_what_runs_read_and_write, open_device,
                                        close_device),
        cmocka_unit_test_setup_teardown(a_recorded_stream_keeps_a_block, open_device, close_device),
        cmocka_unit_test_setup_teardown(a_steering_input_may_lie_there, open_device, close_device),
        cmocka_unit_test_setup_teardown(a_run_of_several_segments_writes_there, open_device,
                                        close_device),
        cmocka_unit_test_setup_teardown(what_is_none_of_its_memory_is_refused, open_device,
                                        close_device),
        cmocka_unit_test_setup_teardown(graphs_and_batches_take_the_hosts_memory, open_device,
                                        close_device),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

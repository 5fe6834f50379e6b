/* The simulated device: that runs are really its own, with the CPU's bits; what the host does for it; loss, lack of
 * memory, and threads that share its queues. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "hal/sim/sim.h"
#include "runtime/device.h"
#include "support/block_graph.h"

#define ROWS  3
#define WIDTH 16
#define COUNT (ROWS * WIDTH)

static float weights[WIDTH * WIDTH], shifts[WIDTH], input[COUNT];

static int fill_numbers(void **state)
{
    (void)state;
    for (int i = 0; i < WIDTH * WIDTH; i++) {
        weights[i] = (float)((i * 37) % 29 - 14) / 8;
    }
    for (int i = 0; i < WIDTH; i++) {
        shifts[i] = (float)i / 16;
    }
    for (int i = 0; i < COUNT; i++) {
        input[i] = (float)((i * 11) % 17 - 8) / 4;
    }
    return 0;
}

static hd_device *open_device(const char *name, uint32_t queue_count)
{
    hd_device_options options = {
        .struct_size = sizeof options, .thread_count = 2, .queue_count = queue_count};
    hd_device *device = NULL;
    hd_error error;
    if (hd_device_open(name, &options, &device, &error) != HD_OK) {
        fail_msg("%s", error.message);
    }
    return device;
}

static hd_tensor matrix(uint32_t rank, const int64_t *dims, const void *data)
{
    hd_tensor tensor = {
        .dtype = HD_FLOAT32, .rank = rank, .data = (void *)(uintptr_t)data, .size = sizeof(float)};
    for (uint32_t d = 0; d < rank; d++) {
        tensor.dims[d] = dims[d];
        tensor.size *= (size_t)dims[d];
    }
    return tensor;
}

static hd_status make_model(hd_device *device, hd_model **out_model)
{
    hd_graph *graph;
    hd_value w;
    hd_status status = hd_graph_create(0, &graph, NULL);
    *out_model = NULL;
    assert_int_equal(status, HD_OK);
    hd_tensor constant = matrix(2, (int64_t[]){WIDTH, WIDTH}, weights);
    assert_int_equal(hd_graph_add_constant(graph, &constant, &w, NULL), HD_OK);
    hd_value x = block_input(graph, graph->root, "x", HD_FLOAT32);
    hd_value rows = block_input(graph, graph->root, "rows", HD_INT64);
    hd_value product = NODE(graph, graph->root, "MatMul", x, w);
    hd_value sum = NODE(graph, graph->root, "Add", product, block_floats(graph, WIDTH, shifts));
    hd_value softmax = NODE(graph, graph->root, "Softmax", NODE(graph, graph->root, "Relu", sum));
    hd_value sine =
        NODE(graph, graph->root, "Sin", NODE(graph, graph->root, "Gather", softmax, rows));
    block_output(graph, graph->root, "y", sine);
    block_output(graph, graph->root, "z", softmax);
    status = hd_model_create(device, graph, NULL, out_model, NULL);
    hd_graph_destroy(&graph);
    return status;
}

static hd_status run_model(hd_model *model, float y[COUNT], float z[COUNT])
{
    static const int64_t rows[ROWS] = {2, 0, -2};
    hd_tensor inputs[] = {matrix(2, (int64_t[]){ROWS, WIDTH}, input),
                          block_tensor(HD_INT64, ROWS, rows)};
    hd_tensor outputs[] = {{.data = y, .size = COUNT * sizeof(float)},
                           {.data = z, .size = COUNT * sizeof(float)}};
    return hd_model_run(model, inputs, 2, outputs, 2, NULL);
}

/* What the CPU gives. */
static void expect(float y[COUNT], float z[COUNT])
{
    hd_device *device = open_device("cpu", 0);
    hd_model *model;
    assert_int_equal(make_model(device, &model), HD_OK);
    assert_int_equal(run_model(model, y, z), HD_OK);
    hd_model_destroy(&model);
    hd_device_destroy(&device);
}

static void check_run(const char *name, const hd_sim_options *options)
{
    float wanted_y[COUNT], wanted_z[COUNT], y[COUNT], z[COUNT];
    expect(wanted_y, wanted_z);
    hd_sim_configure(options);
    hd_device *device = open_device(name, 0);
    hd_model *model;
    assert_int_equal(make_model(device, &model), HD_OK);
    for (int repeat = 0; repeat < 5; repeat++) {
        memset(y, 0, sizeof y);
        memset(z, 0, sizeof z);
        assert_int_equal(run_model(model, y, z), HD_OK);
        assert_memory_equal(y, wanted_y, sizeof y);
        assert_memory_equal(z, wanted_z, sizeof z);
    }
    hd_model_destroy(&model);
    hd_device_destroy(&device);
    hd_sim_counts counts = hd_sim_count();
    assert_int_equal(counts.live_allocations, 0);
    assert_int_equal(counts.queue_overlaps, 0);
    assert_int_equal(counts.list_overlaps, 0);
    if (options == NULL || options->refused_permille == 0) {
        assert_true(counts.submissions >= 5);
        assert_true(counts.allocations > 0);
    }
}

static void a_run_is_the_devices_own_with_the_cpus_bits(void **state)
{
    (void)state;
    check_run("sim", NULL);
    check_run("sim:0", NULL);
}

static void what_it_does_not_support_the_host_computes(void **state)
{
    (void)state;
    check_run("sim:1", NULL);
    uint32_t shared_work = 0; /* with some seeds all that the model has is refused */
    for (uint32_t seed = 0; seed < 40; seed++) {
        check_run("sim", &(hd_sim_options){
                             .seed = seed, .refused_permille = 500, .delay_microseconds = 5});
        shared_work += hd_sim_count().submissions > 0;
    }
    assert_true(shared_work > 20);
    check_run("sim", &(hd_sim_options){.refused_permille = 1000});
}

#define CHANNELS 16
#define SIDE     9

/* Conv, Relu, Mul and Add of constants, MaxPool, GlobalAveragePool: what passes turn to channels last and fuse. */
static hd_status make_image_model(hd_device *device, hd_model **out_model)
{
    static float kernels[CHANNELS * CHANNELS * 9];
    for (int i = 0; i < CHANNELS * CHANNELS * 9; i++) {
        kernels[i] = (float)((i * 37) % 29 - 14) / 64;
    }
    hd_graph *graph;
    assert_int_equal(hd_graph_create(0, &graph, NULL), HD_OK);
    hd_tensor constant = matrix(4, (int64_t[]){CHANNELS, CHANNELS, 3, 3}, kernels);
    int64_t dims[] = {1, CHANNELS, SIDE, SIDE}, side[] = {2, 2};
    hd_attribute window = {
        .name = "kernel_shape", .kind = HD_ATTRIBUTE_INTS, .ints = side, .count = 2};
    hd_value w, x, y;
    assert_int_equal(hd_graph_add_constant(graph, &constant, &w, NULL), HD_OK);
    assert_int_equal(hd_graph_add_input(graph, "x", HD_FLOAT32, 4, dims, &x, NULL), HD_OK);
    y = NODE(graph, graph->root, "Relu", NODE(graph, graph->root, "Conv", x, w));
    y = NODE(graph, graph->root, "Mul", y, block_floats(graph, 1, &weights[1]));
    y = NODE(graph, graph->root, "Add", y, block_floats(graph, 1, &weights[2]));
    assert_int_equal(hd_graph_add_node(graph, "MaxPool", &y, 1, &window, 1, &y, 1, NULL), HD_OK);
    y = NODE(graph, graph->root, "GlobalAveragePool", y);
    assert_int_equal(hd_graph_add_output(graph, "y", y, NULL), HD_OK);
    hd_status status = hd_model_create(device, graph, NULL, out_model, NULL);
    hd_graph_destroy(&graph);
    return status;
}

static void run_image(const char *name, const hd_sim_options *options, float y[CHANNELS])
{
    static float image[CHANNELS * SIDE * SIDE];
    for (int i = 0; i < CHANNELS * SIDE * SIDE; i++) {
        image[i] = (float)((i * 11) % 17 - 8) / 4;
    }
    hd_sim_configure(options);
    hd_device *device = open_device(name, 0);
    hd_model *model = NULL;
    assert_int_equal(make_image_model(device, &model), HD_OK);
    hd_tensor in = matrix(4, (int64_t[]){1, CHANNELS, SIDE, SIDE}, image);
    hd_tensor out = {.data = y, .size = CHANNELS * sizeof *y};
    assert_int_equal(hd_model_run(model, &in, 1, &out, 1, NULL), HD_OK);
    hd_model_destroy(&model);
    hd_device_destroy(&device);
    assert_int_equal(hd_sim_count().live_allocations, 0);
}

/* A device that has no Linear computes products and sums one by one, and so on: never fewer of its own steps. */
static void what_passes_make_and_it_does_not_support_stays_apart(void **state)
{
    (void)state;
    float wanted[CHANNELS], y[CHANNELS];
    run_image("cpu", NULL, wanted);
    for (hd_operator_id id = HD_OP_NONE + 1; id < HD_OP_COUNT; id++) {
        if (hd_operator_is_internal(id)) {
            check_run("sim", &(hd_sim_options){.refused = {id}});
            run_image("sim", &(hd_sim_options){.refused = {id}}, y);
            assert_memory_equal(y, wanted, sizeof y);
        }
    }
    const hd_sim_options none = {.refused = {HD_OP_HEDDLE_LINEAR, HD_OP_HEDDLE_ELEMENTWISE,
                                             HD_OP_HEDDLE_CONV, HD_OP_HEDDLE_MAX_POOL,
                                             HD_OP_HEDDLE_GLOBAL_AVERAGE_POOL}};
    check_run("sim", NULL);
    const uint64_t whole = hd_sim_count().submissions;
    check_run("sim", &none);
    assert_int_equal(hd_sim_count().submissions, whole); /* the host has no part in it */
    run_image("sim", &none, y);
    assert_memory_equal(y, wanted, sizeof y);
    assert_int_equal(hd_sim_count().submissions, 1);
}

#define TABLE_ROWS  8192
#define TABLE_WIDTH 64

/* Gather of a table of 2 MB; twice: it is also an output, which the host reads. Returns the bytes that the model holds. */
static uint64_t gather_from_table(const char *name, bool twice, float y[2 * TABLE_WIDTH])
{
    static float table[TABLE_ROWS * TABLE_WIDTH];
    for (int i = 0; i < TABLE_ROWS * TABLE_WIDTH; i++) {
        table[i] = (float)i;
    }
    hd_device *device = open_device(name, 0);
    hd_model *model = NULL;
    hd_graph *graph;
    hd_value t;
    assert_int_equal(hd_graph_create(0, &graph, NULL), HD_OK);
    hd_tensor constant = matrix(2, (int64_t[]){TABLE_ROWS, TABLE_WIDTH}, table);
    assert_int_equal(hd_graph_add_constant(graph, &constant, &t, NULL), HD_OK);
    hd_value rows = block_input(graph, graph->root, "rows", HD_INT64);
    hd_value gathered = NODE(graph, graph->root, "Gather", t, rows);
    assert_int_equal(hd_graph_add_output(graph, "y", gathered, NULL), HD_OK);
    if (twice) {
        assert_int_equal(hd_graph_add_output(graph, "t", t, NULL), HD_OK);
    }
    assert_int_equal(hd_model_create(device, graph, NULL, &model, NULL), HD_OK);
    hd_graph_destroy(&graph);
    const int64_t numbers[] = {TABLE_ROWS - 1, 5};
    hd_tensor in = block_tensor(HD_INT64, 2, numbers);
    hd_tensor out = {.name = "y", .data = y, .size = 2 * TABLE_WIDTH * sizeof *y};
    assert_int_equal(hd_model_run(model, &in, 1, &out, 1, NULL), HD_OK);
    hd_memory_info memory = {.struct_size = sizeof memory};
    assert_int_equal(hd_device_get_memory(device, &memory), HD_OK);
    hd_model_destroy(&model);
    hd_device_destroy(&device);
    return memory.weight_bytes;
}

static void a_large_table_lies_on_the_device_alone(void **state)
{
    (void)state;
    const uint64_t size = TABLE_ROWS * TABLE_WIDTH * sizeof(float);
    float wanted[2 * TABLE_WIDTH], y[2 * TABLE_WIDTH];
    hd_sim_configure(NULL);
    gather_from_table("cpu", false, wanted);
    uint64_t held = gather_from_table("sim", false, y);
    assert_memory_equal(y, wanted, sizeof y);
    assert_true(held >= size && held < size + size / 4);
    held = gather_from_table("sim", true, y);
    assert_memory_equal(y, wanted, sizeof y);
    assert_true(held >= 2 * size && held < 2 * size + size / 4);
    hd_sim_configure(&(hd_sim_options){.refused = {HD_OP_GATHER}});
    gather_from_table("sim", false, y);
    assert_memory_equal(y, wanted, sizeof y);
    assert_int_equal(hd_sim_count().live_allocations, 0);
}

static void its_memory_faults_when_the_host_touches_it(void **state)
{
    (void)state;
    hd_sim_configure(NULL);
    hd_device *device = open_device("sim", 0);
    volatile unsigned char *memory = hd_unit_memory_create(device->unit, HD_PLACE_DEVICE, 4096);
    assert_non_null(memory);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        signal(SIGBUS,
               SIG_DFL); /* what an address that is none gives where it is reached by the stack */
        _exit(memory[0] == 0xFF ? 1 : 2);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    /* a signal, or what a sanitizer makes of it */
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) < 3);
    unsigned char seen[4096];
    assert_int_equal(hd_unit_copy(device->unit, seen, (const void *)(uintptr_t)memory, sizeof seen),
                     HD_OK);
    assert_int_equal(seen[0], 0xFF);
    assert_int_equal(seen[4095], 0xFF);
    hd_unit_memory_destroy(device->unit, HD_PLACE_DEVICE, (void *)(uintptr_t)memory, 4096);
    hd_device_destroy(&device);
}

/* However far a model has come: a status, no leak, and the CPU goes on. */
static void a_lost_device_is_a_status_and_takes_no_other_with_it(void **state)
{
    (void)state;
    float y[COUNT], z[COUNT];
    hd_device *cpu = open_device("cpu", 0);
    hd_model *other, *model;
    assert_int_equal(make_model(cpu, &other), HD_OK);
    for (uint64_t n = 1; n < 8; n++) {
        hd_sim_configure(&(hd_sim_options){
            .losing_submission = n, .refused_permille = 300, .delay_microseconds = 10});
        hd_device *device = open_device("sim", 0);
        assert_int_equal(make_model(device, &model), HD_OK);
        hd_status status = HD_OK;
        for (int run = 0; run < 8 && status == HD_OK; run++) {
            status = run_model(model, y, z);
        }
        assert_int_equal(status, HD_LOST);
        assert_int_equal(run_model(model, y, z), HD_LOST); /* for good */
        assert_int_equal(run_model(other, y, z), HD_OK);
        hd_model_destroy(&model);
        hd_device_destroy(&device);
        assert_int_equal(hd_sim_count().live_allocations, 0);
    }
    hd_model_destroy(&other);
    hd_device_destroy(&cpu);
    hd_sim_configure(NULL);
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    float y[COUNT], z[COUNT];
    size_t failures = 0;
    for (uint64_t n = 1; n < 60; n++) {
        /* one is made up for: what is cached goes, and the call tries once more */
        uint64_t count = n % 2 == 0 ? 1 : 100;
        hd_sim_configure(
            &(hd_sim_options){.failing_allocation = n / 2 + 1, .failing_count = count});
        hd_device *device = open_device("sim", 0);
        hd_model *model;
        hd_status status = make_model(device, &model);
        if (status == HD_OK) {
            status = run_model(model, y, z);
        }
        assert_true(status == HD_OK || (status == HD_OUT_OF_MEMORY && count > 1));
        failures += status != HD_OK;
        hd_model_destroy(&model);
        hd_device_destroy(&device);
        assert_int_equal(hd_sim_count().live_allocations, 0);
    }
    assert_true(failures > 0);
    hd_sim_configure(NULL);
}

static hd_model *shared_model;
static float shared_y[COUNT], shared_z[COUNT];
static _Atomic bool violated;

static void *run_often(void *argument)
{
    (void)argument;
    float y[COUNT], z[COUNT];
    for (int run = 0; run < 40; run++) {
        if (run_model(shared_model, y, z) != HD_OK || memcmp(y, shared_y, sizeof y) != 0 ||
            memcmp(z, shared_z, sizeof z) != 0) {
            hd_store_relaxed(&violated, true);
        }
    }
    return NULL;
}

static void threads_share_its_queues(void **state)
{
    (void)state;
    expect(shared_y, shared_z);
    for (uint32_t queues = 1; queues <= 4; queues += 3) {
        hd_sim_configure(
            &(hd_sim_options){.seed = queues, .delay_microseconds = 50, .refused_permille = 200});
        hd_device *device = open_device("sim", queues);
        assert_int_equal(make_model(device, &shared_model), HD_OK);
        pthread_t threads[8];
        hd_store_relaxed(&violated, false);
        for (int i = 0; i < 8; i++) {
            assert_int_equal(pthread_create(&threads[i], NULL, run_often, NULL), 0);
        }
        for (int i = 0; i < 8; i++) {
            pthread_join(threads[i], NULL);
        }
        assert_false(hd_load_relaxed(&violated));
        hd_model_destroy(&shared_model);
        hd_device_destroy(&device);
        assert_int_equal(hd_sim_count().queue_overlaps, 0);
        assert_int_equal(hd_sim_count().list_overlaps, 0);
        assert_int_equal(hd_sim_count().live_allocations, 0);
    }
}

/* It counts who uses a queue beside another, so that the test above can fail. */
static hd_queue *crowded_queue;
static hd_launch crowded_launch;

static void *crowd(void *argument)
{
    const hd_backend *backend = argument;
    /* until both have been inside at once: on a busy machine they may take long turns */
    for (int i = 0; i < 200 || (i < 200000 && hd_sim_count().queue_overlaps == 0); i++) {
        uint64_t point;
        (void)!backend->queues->submit(crowded_queue, &crowded_launch, &point);
    }
    return NULL;
}

static void overlaps_are_counted(void **state)
{
    (void)state;
    hd_sim_configure(&(hd_sim_options){.delay_microseconds = 500});
    hd_unit *unit;
    const hd_backend *backend = &hd_backend_sim;
    assert_int_equal(backend->open(0, &(hd_unit_options){0}, &unit, NULL), HD_OK);
    hd_recipe recipe = {0};
    hd_list_memory memory = {0};
    hd_command_list *list;
    assert_int_equal(backend->lists->record(unit, &recipe, &memory, &list), HD_OK);
    assert_int_equal(backend->queues->create(unit, 0, &crowded_queue), HD_OK);
    crowded_launch = (hd_launch){.list = list};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, crowd, (void *)(uintptr_t)backend), 0);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    backend->queues->destroy(unit, &crowded_queue);
    backend->lists->destroy(unit, &list);
    backend->close(&unit);
    assert_true(hd_sim_count().queue_overlaps > 0);
    assert_true(hd_sim_count().list_overlaps > 0);
    hd_sim_configure(NULL);
}

/* What a launch waits for in another queue is done before it begins; the host does not wait for either. */
static void a_launch_waits_for_another_queues(void **state)
{
    (void)state;
    hd_sim_configure(&(hd_sim_options){.delay_microseconds = 2000});
    const hd_backend *backend = &hd_backend_sim;
    hd_unit *unit;
    hd_queue *queues[2];
    hd_command_list *lists[2];
    hd_recipe recipe = {0};
    hd_list_memory memory = {0};
    assert_int_equal(backend->open(0, &(hd_unit_options){0}, &unit, NULL), HD_OK);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(backend->queues->create(unit, i, &queues[i]), HD_OK);
        assert_int_equal(backend->lists->record(unit, &recipe, &memory, &lists[i]), HD_OK);
    }
    for (uint32_t turn = 0; turn < 40; turn++) {
        uint32_t first = turn % 2, second = 1 - first;
        uint64_t points[2];
        hd_launch launch = {.list = lists[first]};
        assert_int_equal(backend->queues->submit(queues[first], &launch, &points[first]), HD_OK);
        hd_queue_wait wait = {queues[first], points[first]};
        hd_launch behind = {.list = lists[second], .waits = &wait, .wait_count = 1};
        assert_int_equal(backend->queues->submit(queues[second], &behind, &points[second]), HD_OK);
        assert_int_equal(backend->queues->wait(queues[second], points[second], HD_FOREVER), HD_OK);
        assert_true(backend->queues->reached(queues[first]) >= points[first]);
    }
    for (uint32_t i = 0; i < 2; i++) {
        backend->queues->destroy(unit, &queues[i]);
        backend->lists->destroy(unit, &lists[i]);
    }
    backend->close(&unit);
    hd_sim_configure(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_is_the_devices_own_with_the_cpus_bits),
        cmocka_unit_test(what_it_does_not_support_the_host_computes),
        cmocka_unit_test(what_passes_make_and_it_does_not_support_stays_apart),
        cmocka_unit_test(a_large_table_lies_on_the_device_alone),
        cmocka_unit_test(its_memory_faults_when_the_host_touches_it),
        cmocka_unit_test(a_lost_device_is_a_status_and_takes_no_other_with_it),
        cmocka_unit_test(each_allocation_may_fail),
        cmocka_unit_test(threads_share_its_queues),
        cmocka_unit_test(overlaps_are_counted),
        cmocka_unit_test(a_launch_waits_for_another_queues),
    };
    return cmocka_run_group_tests(tests, fill_numbers, NULL);
}

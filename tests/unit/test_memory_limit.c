/* Memory limit: what a device holds is counted before it is allocated, so that the process stays below the limit
 * and 64 MB; and whatever is cached goes before anyone is refused (FLAT). */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "graph/model.h"
#include "hal/cpu/command_list.h"
#include "onnx_bytes.h"
#include "support/block_graph.h"
#include "support/operation_runner.h"
#include "support/test_device.h"

#define MB ((uint64_t)1 << 20)
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MEASURES 0 /* sanitizers have memory of their own */
#else
#define MEASURES 1
#endif

static hd_device *open_device(uint64_t limit)
{
    hd_device *device = NULL;
    hd_device_options options = {
        .struct_size = sizeof options, .thread_count = 1, .memory_limit = limit};
    return hd_device_open(test_device_name(), &options, &device, NULL) == HD_OK ? device : NULL;
}

static hd_model *create_model(hd_device *device, hd_graph *graph, hd_status wanted)
{
    hd_model *model = NULL;
    hd_error error = {0};
    hd_model_options options = {
        .struct_size = sizeof options, .work_limit = UINT64_MAX, .run_memory_limit = UINT64_MAX};
    hd_status status = hd_model_create(device, graph, &options, &model, &error);
    hd_graph_destroy(&graph);
    if (status != wanted) {
        print_error("%s\n", error.message);
    }
    assert_int_equal(status, wanted);
    return model;
}

static hd_graph *new_graph(void)
{
    hd_graph *graph;
    assert_int_equal(hd_graph_create(20, &graph, NULL), HD_OK);
    return graph;
}

/* y = x · 2, of any length. */
static hd_model *make_doubler(hd_device *device)
{
    hd_graph *graph = new_graph();
    hd_value x = block_input(graph, graph->root, "x", HD_FLOAT32);
    hd_value squared = NODE(graph, graph->root, "Softmax", x); /* kept in the arena */
    hd_attribute keep = operation_int("keepdims", 0);
    hd_value sum = block_node(graph, graph->root, "ReduceSum", &keep, 1, squared, BLOCK_END);
    block_output(graph, graph->root, "y",
                 NODE(graph, graph->root, "Mul", sum, block_floats(graph, 1, (float[]){2})));
    return create_model(device, graph, HD_OK);
}

static hd_status run_length(hd_model *model, int64_t length, const float *zeros)
{
    float y = 0;
    hd_tensor output = {.data = &y, .size = sizeof y};
    hd_tensor input = {.dtype = HD_FLOAT32,
                       .rank = 1,
                       .dims = {length},
                       .data = (void *)(uintptr_t)zeros,
                       .size = (size_t)length * sizeof(float)};
    return hd_model_run(model, &input, 1, &output, 1, NULL);
}

static void sum_of_kinds_is_the_total(const hd_device *device)
{
    uint64_t sum = 0, total = hd_load_relaxed(&device->memory.total);
    for (int i = 0; i < HD_MEMORY_KINDS; i++) {
        sum += hd_load_relaxed(&device->memory.kinds[i]);
    }
    assert_int_equal(sum, total);
    assert_true(device->memory.limit == 0 || total <= device->memory.limit);
}

/* ---- What is cached goes first. */

static void plans_of_small_shapes_make_room_for_a_large_one(void **state)
{
    (void)state;
    hd_device *device = open_device(4 * MB);
    assert_non_null(device);
    float *zeros = calloc(1 << 20, sizeof *zeros);
    hd_model *model = make_doubler(device), *other = make_doubler(device);
    int refused = 0;
    for (int64_t turn = 0; turn < 100; turn++) {
        for (int64_t length = 1; length < 40; length++) {
            assert_int_equal(
                run_length(turn % 2 == 0 ? model : other, 16000 + 100 * length + turn, zeros),
                HD_OK);
        }
        refused += run_length(model, (3 << 20) / 4, zeros) != HD_OK;
        sum_of_kinds_is_the_total(device);
    }
    assert_int_equal(refused, 0);
    hd_model_destroy(&model);
    hd_model_destroy(&other);
    sum_of_kinds_is_the_total(device);
    assert_int_equal(hd_load_relaxed(&device->memory.kinds[HD_MEMORY_PLANS]), 0);
    assert_int_equal(hd_load_relaxed(&device->memory.kinds[HD_MEMORY_WEIGHTS]), 0);
    hd_device_destroy(&device);
    free(zeros);
}

static void free_blocks_make_room_for_a_run(void **state)
{
    (void)state;
    hd_device *device = open_device(16 * MB);
    assert_non_null(device);
    float *zeros = calloc(3 << 20, sizeof *zeros);
    void *blocks[7];
    hd_model *model = make_doubler(device);
    for (int i = 0; i < 7; i++) {
        assert_int_equal(hd_memory_allocate(device, (hd_stream){0}, 2 * MB, 0, &blocks[i], NULL),
                         HD_OK);
    }
    for (int i = 0; i < 7; i++) {
        assert_int_equal(hd_memory_free(device, blocks[i], NULL), HD_OK);
    }
    assert_int_equal(run_length(model, 3 << 20, zeros), HD_OK);
    /* and the other way round: an arena of 12 MB lies idle */
    assert_int_equal(hd_memory_allocate(device, (hd_stream){0}, 12 * MB, 0, &blocks[0], NULL),
                     HD_OK);
    assert_int_equal(hd_memory_free(device, blocks[0], NULL), HD_OK);
    sum_of_kinds_is_the_total(device);
    hd_model_destroy(&model);
    hd_device_destroy(&device);
    free(zeros);
}

typedef struct user {
    pthread_t thread;
    hd_model *model;
    const float *zeros;
    pthread_barrier_t *together;
    int64_t length;
    hd_status status;
} user;

static void *run_user(void *argument)
{
    user *self = argument;
    pthread_barrier_wait(self->together);
    for (int i = 0; i < 20; i++) {
        hd_status status = run_length(self->model, self->length + i, self->zeros);
        self->status = status == HD_OK ? self->status : status;
    }
    return NULL;
}

/* Runs of eight threads leave their lanes' arenas behind; together they take more than one run of all. */
static void arenas_of_idle_lanes_make_room(void **state)
{
    (void)state;
    enum { USERS = 8 };
    hd_device *device = open_device(16 * MB);
    assert_non_null(device);
    float *zeros = calloc(4 << 20, sizeof *zeros);
    hd_model *model = make_doubler(device);
    pthread_barrier_t together;
    pthread_barrier_init(&together, NULL, USERS);
    user users[USERS];
    for (int i = 0; i < USERS; i++) {
        users[i] = (user){
            .model = model, .zeros = zeros, .together = &together, .length = 100000 + 100 * i};
        assert_int_equal(pthread_create(&users[i].thread, NULL, run_user, &users[i]), 0);
    }
    for (int i = 0; i < USERS; i++) {
        pthread_join(users[i].thread, NULL);
        assert_int_equal(users[i].status, HD_OK);
    }
    assert_int_equal(run_length(model, 7 << 19, zeros), HD_OK);
    hd_model *second = make_doubler(device);
    assert_int_equal(run_length(second, 7 << 19, zeros), HD_OK);
    sum_of_kinds_is_the_total(device);
    pthread_barrier_destroy(&together);
    hd_model_destroy(&model);
    hd_model_destroy(&second);
    hd_device_destroy(&device);
    free(zeros);
}

static void a_model_is_loaded_where_arenas_lie_idle(void **state)
{
    (void)state;
    hd_device *device = open_device(16 * MB);
    assert_non_null(device);
    float *zeros = calloc(3 << 20, sizeof *zeros);
    hd_model *model = make_doubler(device);
    assert_int_equal(run_length(model, 3 << 20, zeros), HD_OK);
    hd_graph *graph = new_graph();
    hd_value x = block_input(graph, graph->root, "x", HD_FLOAT32);
    hd_value weight = block_floats(graph, 2 << 20, zeros);
    block_output(graph, graph->root, "y", NODE(graph, graph->root, "Add", x, weight));
    hd_model *second = create_model(device, graph, HD_OK);
    sum_of_kinds_is_the_total(device);
    hd_model_destroy(&model);
    hd_model_destroy(&second);
    assert_int_equal(hd_load_relaxed(&device->memory.total), 0);
    hd_device_destroy(&device);
    free(zeros);
}

/* Keys, lists and the cache's entries count: the plans of a long list of inputs were mostly uncounted. */
static void what_a_run_keeps_is_counted(void **state)
{
    (void)state;
    hd_device *device = open_device(0);
    assert_non_null(device);
    float *zeros = calloc(1 << 16, sizeof *zeros);
    hd_model *model = make_doubler(device);
    hd_memory_info before = {.struct_size = sizeof before}, after = {.struct_size = sizeof after};
    assert_int_equal(run_length(model, 1 << 16, zeros), HD_OK);
    assert_int_equal(hd_device_get_memory(device, &before), HD_OK);
    for (int64_t length = 1; length < 64; length++) {
        assert_int_equal(run_length(model, length, zeros), HD_OK);
    }
    assert_int_equal(hd_device_get_memory(device, &after), HD_OK);
    assert_true(after.plan_bytes - before.plan_bytes > 63 * sizeof(hd_plan));
    assert_true(after.arena_bytes - before.arena_bytes > 63 * sizeof(hd_cpu_command_list));
    sum_of_kinds_is_the_total(device);
    hd_model_destroy(&model);
    assert_int_equal(hd_device_get_memory(device, &after), HD_OK);
    assert_int_equal(after.plan_bytes + after.weight_bytes, 0);
    hd_device_destroy(&device);
    free(zeros);
}

/* ---- Resident memory. */

static uint64_t peak_of_process(void)
{
    char line[256];
    unsigned long long kilobytes = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "VmHWM: %llu", &kilobytes) == 1) {
            break;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return kilobytes << 10;
}

/* Runs `use` in a process of its own, which must stay below limit + 64 MB. */
static void stays_below(uint64_t limit, void (*use)(hd_device *device))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        hd_device *device = open_device(limit);
        if (device == NULL) {
            _exit(3);
        }
        uint64_t before = peak_of_process();
        use(device);
        uint64_t peak = peak_of_process();
        hd_device_destroy(&device);
        if (MEASURES && (before > 60 * MB || peak > limit + 64 * MB)) {
            print_error("limit %llu MB, peak %llu MB\n", (unsigned long long)(limit / MB),
                        (unsigned long long)(peak / MB));
            _exit(2);
        }
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

typedef struct planner_thread {
    pthread_t thread;
    hd_model *model;
    int64_t size;
    int done;
} planner_thread;

static void *plan_and_run(void *argument)
{
    planner_thread *self = argument;
    for (int64_t i = 0; i < 3; i++) {
        int64_t size = self->size + i;
        hd_tensor output = {0},
                  input = {.dtype = HD_INT64, .rank = 0, .data = &size, .size = sizeof size};
        hd_status status = hd_model_run(self->model, &input, 1, &output, 1, NULL);
        self->done += status == HD_OK;
        if (status != HD_OK && status != HD_OUT_OF_MEMORY) {
            _exit(4);
        }
        hd_tensor_release(&output);
    }
    return NULL;
}

/* Six plans at once hold tables, and their runs outputs, of about the limit together; then one of a good part of
 * it runs alone. */
static void plan_with_many_threads(hd_device *device)
{
    enum { THREADS = 6 };
    hd_graph *graph = NULL;
    hd_model *model = NULL;
    hd_value size, window;
    hd_error error = {0};
    hd_model_options options = {
        .struct_size = sizeof options, .work_limit = UINT64_MAX, .run_memory_limit = UINT64_MAX};
    if (hd_graph_create(20, &graph, NULL) != HD_OK ||
        hd_graph_add_input(graph, "size", HD_INT64, 0, NULL, &size, NULL) != HD_OK ||
        hd_graph_add_node(graph, "HannWindow", &size, 1, NULL, 0, &window, 1, NULL) != HD_OK ||
        hd_graph_add_output(graph, "y", window, NULL) != HD_OK ||
        hd_model_create(device, graph, &options, &model, &error) != HD_OK) {
        _exit(5);
    }
    hd_graph_destroy(&graph);
    planner_thread threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        threads[i] = (planner_thread){.model = model, .size = 1000000 + 100 * i};
        if (pthread_create(&threads[i].thread, NULL, plan_and_run, &threads[i]) != 0) {
            _exit(6);
        }
    }
    int done = 0;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i].thread, NULL);
        done += threads[i].done;
    }
    int64_t alone = 4100000;
    hd_tensor output = {0},
              input = {.dtype = HD_INT64, .rank = 0, .data = &alone, .size = sizeof alone};
    if (hd_model_run(model, &input, 1, &output, 1, &error) != HD_OK || done == 0) {
        print_error("%d runs done; %s\n", done, error.message);
        _exit(7); /* nothing is left that could be in its way */
    }
    hd_tensor_release(&output);
    hd_model_destroy(&model);
}

static void threads_that_plan_at_once_stay_below_the_limit(void **state)
{
    (void)state;
    stays_below(100 * MB, plan_with_many_threads);
}

/* Writes a file of `count` products with weights of 4 MB, which are holes in it. */
static int write_products(FILE *file, int count)
{
    enum { SIZE = 1 << 10 };
    const size_t hole = sizeof(float) * SIZE * SIZE;
    bytes head = {0}, parts[64];
    size_t total = 0;
    char before[16] = "x", after[16], weight[16];
    for (int i = 0; i < count; i++) {
        snprintf(after, sizeof after, "y%d", i);
        snprintf(weight, sizeof weight, "w%d", i);
        char inputs[40];
        snprintf(inputs, sizeof inputs, "%s,%s", before, weight);
        add_node(&head, make_node("MatMul", "", inputs, after));
        memcpy(before, after, sizeof before);
        bytes tensor = make_tensor(weight, 1, 2, (const int64_t[]){SIZE, SIZE});
        put_varint(&tensor, 9 << 3 | 2);
        put_varint(&tensor, hole);
        parts[i] = (bytes){0};
        put_varint(&parts[i], 5 << 3 | 2);
        put_varint(&parts[i], tensor.size + hole);
        put(&parts[i], tensor.data, tensor.size);
        free(tensor.data);
        total += parts[i].size + hole;
    }
    put_message(&head, 11, make_value("x", 1, 2, (const int64_t[]){1, SIZE}));
    put_message(&head, 12, make_value(before, 1, 2, (const int64_t[]){1, SIZE}));
    bytes model = {0};
    put_int(&model, 1, 8);
    put_message(&model, 8, make_operator_set("", 17));
    put_varint(&model, 7 << 3 | 2);
    put_varint(&model, head.size + total);
    put(&model, head.data, head.size);
    int failed = fwrite(model.data, 1, model.size, file) != model.size;
    for (int i = 0; i < count; i++) {
        failed += fwrite(parts[i].data, 1, parts[i].size, file) != parts[i].size;
        failed += fseek(file, (long)hole, SEEK_CUR) != 0;
        free(parts[i].data);
    }
    failed += fflush(file) != 0 || ftruncate(fileno(file), (off_t)(model.size + total)) != 0;
    free(head.data);
    free(model.data);
    return failed;
}

/* A file whose weights are three quarters of the limit, each of which is packed; and one of twice the limit. */
static void load_file(hd_device *device)
{
    const char *folder = getenv("TMPDIR") == NULL ? "/tmp" : getenv("TMPDIR");
    char path[300];
    snprintf(path, sizeof path, "%s/heddle-limit-%d.onnx", folder, (int)getpid());
    for (int weights = 12; weights <= 40; weights += 28) {
        FILE *file = fopen(path, "wb");
        if (file == NULL || write_products(file, weights) != 0 || fclose(file) != 0) {
            _exit(5);
        }
        hd_model *model = NULL;
        hd_error error = {0};
        hd_status status = hd_model_load(device, path, NULL, &model, &error);
        unlink(path);
        if (status != (weights == 12 ? HD_OK : HD_OUT_OF_MEMORY)) {
            print_error("%d weights: %s\n", weights, error.message);
            _exit(6);
        }
        hd_model_destroy(&model);
    }
}

static void a_file_that_is_loaded_stays_below_the_limit(void **state)
{
    (void)state;
    stays_below(64 * MB, load_file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* before this process has a device */
        cmocka_unit_test(threads_that_plan_at_once_stay_below_the_limit),
        cmocka_unit_test(a_file_that_is_loaded_stays_below_the_limit),
        cmocka_unit_test(plans_of_small_shapes_make_room_for_a_large_one),
        cmocka_unit_test(free_blocks_make_room_for_a_run),
        cmocka_unit_test(arenas_of_idle_lanes_make_room),
        cmocka_unit_test(a_model_is_loaded_where_arenas_lie_idle),
        cmocka_unit_test(what_a_run_keeps_is_counted),
    };
    return cmocka_run_group_tests_name("memory_limit", tests, NULL, NULL);
}

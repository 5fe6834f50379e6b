/* A child that was forked while anything was open: each public function answers HD_FORKED there or does something
 * harmless, also when the process was forked while other threads were in the middle of the library. The parent
 * goes on. One that was forked before or after may do all that the parent may. One that a callback forks ends
 * with it. And a crash in a callback reaches the program's handler. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/handover.h"
#include "heddle/heddle.h"

#define SIZE    64
#define FOREVER HD_WAIT_FOREVER

/* All that the parent had. */
static hd_error error;
static hd_device *device;
static hd_model *model, *last_model;
static hd_graph *graph;
static hd_stream stream;
static hd_event *event, *never_recorded;
static hd_future *final_future, *future;
static hd_batch *batch;
static void *block;
static float x[SIZE], y[SIZE], z[SIZE];
static char path[64];

#define assert_ok(call)                                                                            \
    do {                                                                                           \
        if ((call) != HD_OK) {                                                                     \
            fail_msg("%s: %s", #call, error.message);                                              \
        }                                                                                          \
    } while (0)

static hd_tensor tensor_of(float *data)
{
    return (hd_tensor){
        .dtype = HD_FLOAT32, .rank = 1, .dims = {SIZE}, .data = data, .size = SIZE * sizeof *data};
}

static hd_status build_graph(hd_graph **out_graph)
{
    static const int64_t dims[] = {-1};
    hd_value operands[2] = {HD_VALUE_NONE, HD_VALUE_NONE}, output = HD_VALUE_NONE;
    float one = 1;
    hd_tensor constant = {.dtype = HD_FLOAT32, .data = &one, .size = sizeof one};
    hd_status status = hd_graph_create(0, out_graph, &error);
    if (status == HD_OK) {
        status = hd_graph_add_input(*out_graph, "x", HD_FLOAT32, 1, dims, &operands[0], &error);
    }
    if (status == HD_OK) {
        status = hd_graph_add_constant(*out_graph, &constant, &operands[1], &error);
    }
    if (status == HD_OK) {
        status = hd_graph_add_node(*out_graph, "Add", operands, 2, NULL, 0, &output, 1, &error);
    }
    if (status == HD_OK) {
        status = hd_graph_add_output(*out_graph, "y", output, &error);
    }
    return status;
}

/* --- one function each, called in the child */

static hd_status open_device(void)
{
    hd_device *other;
    return hd_device_open("cpu", NULL, &other, &error);
}

static hd_status list_devices(void)
{
    hd_device_info info = {.struct_size = sizeof info};
    size_t count;
    return hd_device_list(&info, 1, &count, &error);
}

static hd_status get_info(void)
{
    hd_device_info info = {.struct_size = sizeof info};
    return hd_device_get_info(device, &info);
}

static hd_status get_memory(void)
{
    hd_memory_info info = {.struct_size = sizeof info};
    return hd_device_get_memory(device, &info);
}

static hd_status shutdown_device(void)
{
    return hd_device_shutdown(device, FOREVER, &error);
}

static hd_status destroy_device(void)
{
    hd_device_destroy(&device);
    return HD_OK;
}

static hd_status make_graph(void)
{
    hd_graph *other = NULL;
    hd_status status = build_graph(&other);
    hd_graph_destroy(&other);
    return status;
}

static hd_status destroy_graph(void)
{
    hd_graph_destroy(&graph);
    return HD_OK;
}

static hd_status create_model(void)
{
    hd_model *other;
    return hd_model_create(device, graph, NULL, &other, &error);
}

static hd_status load_model(void)
{
    hd_model *other;
    return hd_model_load(device, path, NULL, &other, &error);
}

static hd_status load_model_memory(void)
{
    hd_model *other;
    return hd_model_load_memory(device, "model", 5, NULL, &other, &error);
}

static hd_status describe_model(void)
{
    hd_value_info info = {.struct_size = sizeof info};
    bool good = hd_model_input_count(model) == 1 && hd_model_output_count(model) == 1;
    good = good && hd_model_input_info(model, 0, &info) == HD_OK;
    return good && hd_model_output_info(model, 0, &info) == HD_OK ? HD_OK : HD_INTERNAL;
}

static hd_status run_model(void)
{
    hd_tensor input = tensor_of(x), output = tensor_of(y);
    return hd_model_run(model, &input, 1, &output, 1, &error);
}

static hd_status run_model_with_a_token(void)
{
    hd_tensor input = tensor_of(x), output = tensor_of(y);
    hd_cancel *cancel;
    hd_status status = hd_cancel_create(&cancel, &error);
    if (status == HD_OK) {
        hd_run_options options = {.struct_size = sizeof options, .cancel = cancel};
        status = hd_model_run_with(model, &input, 1, &output, 1, &options, &error);
        hd_cancel_set(cancel);
        status = hd_cancel_is_set(cancel) ? status : HD_INTERNAL;
        hd_cancel_destroy(&cancel);
    }
    return status;
}

static void call_back(void *context, hd_status outcome, const hd_error *problem)
{
    (void)context, (void)outcome, (void)problem;
}

static hd_status run_model_later(void)
{
    hd_tensor input = tensor_of(x), output = tensor_of(y);
    hd_future *other;
    hd_submit_options options = {.struct_size = sizeof options, .callback = call_back};
    hd_status status = hd_model_run_async(model, &input, 1, &output, 1, &options, &other, &error);
    options.callback = NULL;
    hd_status again = hd_model_run_async(model, &input, 1, &output, 1, &options, &other, &error);
    return status == again ? status : HD_INTERNAL;
}

static hd_status destroy_models(void)
{
    hd_model_destroy(&last_model);
    hd_model_destroy(&model);
    return HD_OK;
}

static hd_status wait_future(void)
{
    hd_status status = hd_future_wait(final_future, 0, &error);
    return hd_future_wait(future, FOREVER, &error) == status ? status : HD_INTERNAL;
}

static hd_status cancel_future(void)
{
    hd_status status = hd_future_cancel(future);
    return hd_future_cancel(final_future) == status ? status : HD_INTERNAL;
}

static hd_status destroy_futures(void)
{
    hd_future_destroy(&final_future);
    hd_future_destroy(&future);
    return HD_OK;
}

static hd_status acquire_stream(void)
{
    hd_stream other;
    return hd_stream_acquire(device, FOREVER, &other, &error);
}

static hd_status synchronize_stream(void)
{
    hd_status status = hd_stream_synchronize(device, (hd_stream){0}, FOREVER, &error);
    return hd_stream_synchronize(device, stream, FOREVER, &error) == status ? status : HD_INTERNAL;
}

static hd_status release_stream(void)
{
    return hd_stream_release(device, stream, &error);
}

static hd_status create_event(void)
{
    hd_event *other;
    return hd_event_create(device, &other, &error);
}

static hd_status record_event(void)
{
    return hd_event_record(event, stream, FOREVER, &error);
}

static hd_status let_stream_wait(void)
{
    hd_status status = hd_event_wait_on_stream(never_recorded, stream, FOREVER, &error);
    return hd_event_wait_on_stream(event, stream, FOREVER, &error) == status ? status : HD_INTERNAL;
}

static hd_status wait_event(void)
{
    hd_status status = hd_event_wait(never_recorded, FOREVER, &error);
    return hd_event_wait(event, FOREVER, &error) == status ? status : HD_INTERNAL;
}

static hd_status measure_event(void)
{
    double milliseconds;
    return hd_event_elapsed(event, event, &milliseconds, &error);
}

static hd_status destroy_events(void)
{
    hd_event_destroy(&event);
    hd_event_destroy(&never_recorded);
    return HD_OK;
}

static hd_status allocate_memory(void)
{
    void *memory;
    return hd_memory_allocate(device, stream, 1000, FOREVER, &memory, &error);
}

static hd_status record_memory(void)
{
    return hd_memory_record_stream(device, block, (hd_stream){0}, &error);
}

static hd_status free_memory(void)
{
    return hd_memory_free(device, block, &error);
}

static hd_status trim_memory(void)
{
    return hd_memory_trim(device, &error);
}

static hd_status count_memory(void)
{
    hd_memory_statistics statistics = {.struct_size = sizeof statistics};
    return hd_memory_get_statistics(device, &statistics);
}

static hd_status create_batch(void)
{
    hd_batch *other;
    return hd_batch_create(model, NULL, &other, &error);
}

static hd_status submit_to_batch(void)
{
    hd_tensor input = tensor_of(x), output = tensor_of(y);
    hd_future *other;
    return hd_batch_submit(batch, &input, 1, &output, 1, NULL, &other, &error);
}

static hd_status shut_batch_down(void)
{
    return hd_batch_shutdown(batch, HD_BATCH_CANCEL, FOREVER, &error);
}

static hd_status count_batch(void)
{
    hd_batch_statistics statistics = {.struct_size = sizeof statistics};
    return hd_batch_get_statistics(batch, &statistics);
}

static hd_status destroy_batch(void)
{
    hd_batch_destroy(&batch);
    return HD_OK;
}

static hd_status use_tensors(void)
{
    hd_tensor tensor = tensor_of(x);
    hd_status status = hd_tensor_save_npy(path, &tensor, &error);
    if (status == HD_OK) {
        status = hd_tensor_load(path, &tensor, &error);
        hd_tensor_release(&tensor);
    }
    if (status == HD_OK) {
        status = hd_tensor_load_memory("no tensor", 9, &tensor, &error) == HD_BAD_MODEL
                     ? HD_OK
                     : HD_INTERNAL;
    }
    return status;
}

static hd_status use_names(void)
{
    bool good =
        hd_dtype_size(HD_FLOAT32) == 4 && strcmp(hd_dtype_name(HD_FLOAT32), "float32") == 0 &&
        hd_status_name(HD_OK) != NULL && hd_status_text(HD_OK) != NULL && hd_version() != NULL;
    return good ? HD_OK : HD_INTERNAL;
}

/* HD_OK: harmless. Destroying comes last. */
static const struct {
    const char *functions; /* with spaces around each */
    hd_status (*call)(void);
    hd_status expected;
} parts[] = {
    {" hd_device_open ", open_device, HD_FORKED},
    {" hd_device_list ", list_devices, HD_FORKED},
    {" hd_device_get_info ", get_info, HD_FORKED},
    {" hd_device_get_memory ", get_memory, HD_FORKED},
    {" hd_device_shutdown ", shutdown_device, HD_FORKED},
    {" hd_graph_create hd_graph_add_input hd_graph_add_constant hd_graph_add_node "
     "hd_graph_add_output ",
     make_graph, HD_OK},
    {" hd_model_create ", create_model, HD_FORKED},
    {" hd_model_load ", load_model, HD_FORKED},
    {" hd_model_load_memory ", load_model_memory, HD_FORKED},
    {" hd_model_input_count hd_model_output_count hd_model_input_info hd_model_output_info ",
     describe_model, HD_OK},
    {" hd_model_run ", run_model, HD_FORKED},
    {" hd_cancel_create hd_cancel_set hd_cancel_is_set hd_cancel_destroy hd_model_run_with ",
     run_model_with_a_token, HD_FORKED},
    {" hd_model_run_async ", run_model_later, HD_FORKED},
    {" hd_future_wait ", wait_future, HD_FORKED},
    {" hd_future_cancel ", cancel_future, HD_FORKED},
    {" hd_stream_acquire ", acquire_stream, HD_FORKED},
    {" hd_stream_synchronize ", synchronize_stream, HD_FORKED},
    {" hd_event_create ", create_event, HD_FORKED},
    {" hd_event_record ", record_event, HD_FORKED},
    {" hd_event_wait_on_stream ", let_stream_wait, HD_FORKED},
    {" hd_event_wait ", wait_event, HD_FORKED},
    {" hd_event_elapsed ", measure_event, HD_FORKED},
    {" hd_memory_allocate ", allocate_memory, HD_FORKED},
    {" hd_memory_record_stream ", record_memory, HD_FORKED},
    {" hd_memory_free ", free_memory, HD_FORKED},
    {" hd_memory_trim ", trim_memory, HD_FORKED},
    {" hd_memory_get_statistics ", count_memory, HD_FORKED},
    {" hd_batch_create ", create_batch, HD_FORKED},
    {" hd_batch_submit ", submit_to_batch, HD_FORKED},
    {" hd_batch_shutdown ", shut_batch_down, HD_FORKED},
    {" hd_batch_get_statistics ", count_batch, HD_FORKED},
    {" hd_batch_destroy ", destroy_batch, HD_OK},
    {" hd_stream_release ", release_stream, HD_FORKED},
    {" hd_tensor_save_npy hd_tensor_load hd_tensor_load_memory hd_tensor_release ", use_tensors,
     HD_OK},
    {" hd_dtype_size hd_dtype_name hd_status_name hd_status_text hd_version ", use_names, HD_OK},
    {" hd_future_destroy ", destroy_futures, HD_OK},
    {" hd_event_destroy ", destroy_events, HD_OK},
    {" hd_graph_destroy ", destroy_graph, HD_OK},
    {" hd_model_destroy ", destroy_models, HD_OK},
    {" hd_device_destroy ", destroy_device, HD_OK},
};

#define PART_COUNT (sizeof parts / sizeof parts[0])

/* --- the parent */

static atomic_bool stops;

static void *run_meanwhile(void *argument)
{
    hd_model *mine = argument;
    float from[SIZE] = {0}, to[SIZE];
    hd_tensor input = tensor_of(from);
    while (!atomic_load(&stops)) {
        hd_tensor output = tensor_of(to);
        hd_future *other;
        hd_submit_options options = {.struct_size = sizeof options, .callback = call_back};
        if (hd_model_run(mine, &input, 1, &output, 1, NULL) != HD_OK ||
            hd_model_run_async(mine, &input, 1, &output, 1, &options, &other, NULL) != HD_OK) {
            return argument;
        }
        void *memory = NULL;
        if (hd_memory_allocate(device, (hd_stream){0}, 5000, 0, &memory, NULL) != HD_OK ||
            hd_memory_free(device, memory, NULL) != HD_OK) {
            return argument;
        }
        if (hd_future_wait(other, FOREVER, NULL) != HD_OK) {
            return argument;
        }
        hd_future_destroy(&other);
        if (hd_batch_submit(batch, &input, 1, &output, 1, NULL, &other, NULL) != HD_OK ||
            hd_future_wait(other, FOREVER, NULL) != HD_OK) {
            return argument;
        }
        hd_future_destroy(&other);
    }
    return NULL;
}

static void open_everything(void)
{
    hd_tensor input = tensor_of(x);
    static hd_tensor output, last_output; /* a request may still need them when the test ends */
    assert_ok(hd_device_open("cpu", NULL, &device, &error));
    assert_ok(build_graph(&graph));
    assert_ok(hd_model_create(device, graph, NULL, &model, &error));
    assert_ok(hd_model_create(device, graph, NULL, &last_model, &error));
    assert_ok(hd_batch_create(model, NULL, &batch, &error));
    assert_ok(hd_stream_acquire(device, 0, &stream, &error));
    assert_ok(hd_memory_allocate(device, stream, 1000, 0, &block, &error));
    assert_ok(hd_event_create(device, &event, &error));
    assert_ok(hd_event_create(device, &never_recorded, &error));
    assert_ok(run_model());
    output = tensor_of(y);
    last_output = tensor_of(z);
    assert_ok(hd_model_run_async(last_model, &input, 1, &output, 1, NULL, &final_future, &error));
    assert_ok(hd_future_wait(final_future, FOREVER, &error));
    hd_submit_options options = {.struct_size = sizeof options, .stream = stream};
    assert_ok(hd_model_run_async(model, &input, 1, &last_output, 1, &options, &future, &error));
    assert_ok(hd_event_record(event, stream, FOREVER, &error));
}

static void close_everything(void)
{
    assert_ok(run_model());
    assert_ok(hd_event_wait(event, FOREVER, &error));
    assert_ok(hd_future_wait(future, FOREVER, &error));
    assert_ok(hd_memory_free(device, block, &error));
    destroy_batch();
    destroy_futures();
    destroy_events();
    destroy_graph();
    destroy_models();
    destroy_device();
}

/* In the child: the number of the first part that did not answer as it should, from 1; 0: none. */
static int call_everything(void)
{
    for (size_t i = 0; i < PART_COUNT; i++) {
        alarm(20);
        if (parts[i].call() != parts[i].expected) {
            return (int)i + 1;
        }
    }
    return 0;
}

static void fork_once(void)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        _exit(call_everything());
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status)) {
        fail_msg("the child ended with signal %d", WTERMSIG(status));
    }
    if (WEXITSTATUS(status) != 0) {
        fail_msg("in the child%s", parts[WEXITSTATUS(status) - 1].functions);
    }
}

static void a_child_of_an_idle_process_is_refused(void **state)
{
    (void)state;
    open_everything();
    fork_once();
    close_everything();
}

static void a_child_of_a_busy_process_is_refused(void **state)
{
    (void)state;
    pthread_t threads[3];
    for (size_t round = 0; round < 20; round++) {
        open_everything();
        atomic_store(&stops, false);
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(pthread_create(&threads[i], NULL, run_meanwhile, model), 0);
        }
        usleep((useconds_t)(round * 157));
        fork_once();
        atomic_store(&stops, true);
        for (size_t i = 0; i < 3; i++) {
            void *failure;
            pthread_join(threads[i], &failure);
            assert_null(failure);
        }
        close_everything();
    }
}

/* --- nothing is open */

static atomic_uint calls;

static void count_call(void *context, hd_status outcome, const hd_error *problem)
{
    (void)context, (void)outcome, (void)problem;
    atomic_fetch_add(&calls, 1);
}

/* From opening to the end, with every thread that the library has, the last one by a run or a callback. */
static hd_status live(void)
{
    hd_tensor input = tensor_of(x), later = tensor_of(z);
    hd_submit_options options = {.struct_size = sizeof options, .callback = count_call};
    unsigned before = atomic_load(&calls);
    hd_status status = hd_device_open("cpu", NULL, &device, &error);
    status = status == HD_OK ? build_graph(&graph) : status;
    status = status == HD_OK ? hd_model_create(device, graph, NULL, &model, &error) : status;
    status = status == HD_OK ? hd_batch_create(model, NULL, &batch, &error) : status;
    status = status == HD_OK ? run_model() : status;
    if (status == HD_OK) {
        status = hd_model_run_async(model, &input, 1, &later, 1, &options, &future, &error);
    }
    if (status == HD_OK) {
        status = hd_future_wait(future, FOREVER, &error);
    }
    while (status == HD_OK && atomic_load(&calls) == before) {
        usleep(100);
    }
    hd_future_destroy(&future);
    hd_graph_destroy(&graph);
    hd_batch_destroy(&batch);
    hd_model_destroy(&model);
    hd_device_destroy(&device);
    return status;
}

static int wait_child(pid_t child)
{
    int status = 0;
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status)) {
        fail_msg("the child ended with signal %d", WTERMSIG(status));
    }
    return WEXITSTATUS(status);
}

static pid_t fork_living(void)
{
    pid_t child = fork();
    if (child == 0) {
        alarm(60);
        _exit((int)live());
    }
    return child;
}

/* Who has ended everything knows it, even though a thread of the library may still be on its way out. */
static void a_child_may_live_when_everything_has_ended(void **state)
{
    (void)state;
    for (int round = 0; round < 100; round++) {
        assert_ok(live());
        assert_int_equal(wait_child(fork_living()), HD_OK);
    }
}

/* A thread that has used a device and ends at the moment of the fork takes the registry's lock. */
static void *use_and_end(void *argument)
{
    assert_ok(run_model());
    atomic_store((atomic_bool *)argument, true);
    return NULL;
}

static void a_child_may_live_while_a_thread_ends(void **state)
{
    (void)state;
#if defined(HD_HANDOVER_IS_SEEN)
    skip(); /* ThreadSanitizer lets no such child have threads */
#endif
    for (int round = 0; round < 20; round++) {
        pthread_t thread;
        static atomic_bool has_used;
        atomic_store(&has_used, false);
        open_everything();
        assert_int_equal(pthread_create(&thread, NULL, use_and_end, &has_used), 0);
        pthread_detach(thread);
        while (!atomic_load(&has_used)) {
            usleep(10);
        }
        close_everything();
        assert_int_equal(wait_child(fork_living()), HD_OK);
    }
}

/* As a server forks its workers. */
static void many_children_may_live_and_have_children(void **state)
{
    (void)state;
    pid_t children[4];
    assert_ok(live());
    for (size_t i = 0; i < 4; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            alarm(60);
            hd_status status = live();
            if (status == HD_OK) {
                status = (hd_status)wait_child(fork_living());
            }
            _exit((int)status);
        }
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(wait_child(children[i]), HD_OK);
    }
}

static void a_child_with_a_device_of_its_own_refuses_its_children(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        alarm(60);
        open_everything();
        pid_t grandchild = fork();
        if (grandchild == 0) {
            _exit(open_device() == HD_FORKED && run_model() == HD_FORKED ? 0 : 1);
        }
        int failed = wait_child(grandchild);
        close_everything();
        _exit(failed);
    }
    assert_int_equal(wait_child(child), 0);
}

/* --- in a callback */

static int ends[2]; /* of a pipe: what the child writes there */
static pid_t forked;

static void write_at_exit(void)
{
    (void)!write(ends[1], "x", 1); /* atexit's functions are not the library's to call */
}

static void fork_in_callback(void *context, hd_status outcome, const hd_error *problem)
{
    (void)context, (void)problem;
    pid_t child = fork();
    if (child == 0) {
        alarm(20);
        atexit(write_at_exit);
        (void)!write(ends[1], outcome == HD_OK && run_model() == HD_FORKED ? "c" : "?", 1);
        return;
    }
    forked = child;
    atomic_fetch_add(&calls, 1);
}

static void a_child_that_a_callback_forks_ends_when_it_returns(void **state)
{
    (void)state;
    char text[4] = "";
    hd_tensor input = tensor_of(x), output = tensor_of(y);
    hd_submit_options options = {.struct_size = sizeof options, .callback = fork_in_callback};
    open_everything();
    assert_int_equal(pipe(ends), 0);
    atomic_store(&calls, 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_ok(hd_model_run_async(model, &input, 1, &output, 1, &options, NULL, &error));
        while (atomic_load(&calls) == i) {
            usleep(100);
        }
        assert_int_equal(wait_child(forked), 0);
        assert_int_equal(read(ends[0], text, sizeof text), 1);
        assert_int_equal(text[0], 'c');
    }
    close(ends[0]);
    close(ends[1]);
    close_everything();
}

static void end_well(int number)
{
    _exit(100 + number);
}

static void crash(void *context, hd_status outcome, const hd_error *problem)
{
    (void)outcome, (void)problem;
    if (*(int *)context == SIGSEGV) {
        *(volatile int *)mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) = 1;
    }
    raise(*(int *)context);
}

static void a_crash_in_a_callback_reaches_the_programs_handler(void **state)
{
    (void)state;
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        pid_t child = fork();
        if (child == 0) {
            int number = signals[i];
            hd_tensor input = tensor_of(x), output = tensor_of(y);
            hd_submit_options options = {
                .struct_size = sizeof options, .callback = crash, .context = &number};
            alarm(20);
            signal(number, end_well);
            open_everything();
            assert_ok(hd_model_run_async(model, &input, 1, &output, 1, &options, NULL, &error));
            sleep(10);
            _exit(1);
        }
        assert_int_equal(wait_child(child), 100 + signals[i]);
    }
}

/* So that a new function is not forgotten above. */
static void every_function_of_the_headers_was_called(void **state)
{
    (void)state;
    char line[512];
    size_t count = 0;
    FILE *declarations = popen("cat " HD_TEST_SOURCE_DIR "/include/heddle/*.h | tr '\\n' ' ' |"
                               " grep -o 'HD_API [^(;]*(' | grep -o 'hd_[a-z0-9_]*(' | tr -d '('",
                               "r");
    assert_non_null(declarations);
    while (fgets(line, sizeof line, declarations) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        char name[sizeof line + 2];
        snprintf(name, sizeof name, " %s ", line);
        size_t i = 0;
        while (i < PART_COUNT && strstr(parts[i].functions, name) == NULL) {
            i++;
        }
        if (i == PART_COUNT) {
            fail_msg("no part calls%s", name);
        }
        count++;
    }
    pclose(declarations);
    assert_true(count > 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_of_an_idle_process_is_refused),
        cmocka_unit_test(a_child_of_a_busy_process_is_refused),
        cmocka_unit_test(a_child_may_live_when_everything_has_ended),
        cmocka_unit_test(a_child_may_live_while_a_thread_ends),
        cmocka_unit_test(many_children_may_live_and_have_children),
        cmocka_unit_test(a_child_with_a_device_of_its_own_refuses_its_children),
        cmocka_unit_test(a_child_that_a_callback_forks_ends_when_it_returns),
        cmocka_unit_test(a_crash_in_a_callback_reaches_the_programs_handler),
        cmocka_unit_test(every_function_of_the_headers_was_called),
    };
    snprintf(path, sizeof path, "/tmp/heddle-fork-%ld.npy", (long)getpid());
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return failed;
}

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
#include "fork_calls.h"
#include "support/test_device.h"

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
    assert_ok(hd_device_open(test_device_name(), NULL, &device, &error));
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
    for (size_t i = 0; i < fork_call_count; i++) {
        alarm(20);
        if (fork_calls[i].call() != fork_calls[i].expected) {
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
        fail_msg("in the child%s", fork_calls[WEXITSTATUS(status) - 1].functions);
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
    hd_status status = hd_device_open(test_device_name(), NULL, &device, &error);
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

static void await_release(void *context, hd_status outcome, const hd_error *problem)
{
    (void)outcome, (void)problem;
    while (!atomic_load((atomic_bool *)context)) {
        usleep(10);
    }
}

/* Nothing but the library itself orders what the last run's thread did before what the child does. */
static void a_child_may_live_when_a_run_was_the_last_to_end(void **state)
{
    (void)state;
    enum { ROUNDS = 20 };
    /* of each round: nobody waits for its run */
    static hd_tensor outputs[ROUNDS];
    static float results[ROUNDS][SIZE];
    static atomic_bool released;
    hd_tensor input = tensor_of(x);
    hd_submit_options options = {
        .struct_size = sizeof options, .callback = await_release, .context = &released};
    for (int round = 0; round < ROUNDS; round++) {
        atomic_store(&released, false);
        outputs[round] = tensor_of(results[round]);
        open_everything();
        assert_ok(hd_model_run_async(model, &input, 1, &outputs[round], 1, &options, NULL, &error));
        close_everything();
        atomic_store(&released, true);
#if defined(HD_HANDOVER_IS_SEEN)
        /* ThreadSanitizer lets no such child have threads; it sees what the library does in every child. */
        pid_t child = fork();
        if (child == 0) {
            _exit(HD_OK);
        }
#else
        pid_t child = fork_living();
#endif
        /* A run that is busy for longer than a fork waits still uses the device. */
        int outcome = wait_child(child);
        assert_true(outcome == HD_OK || outcome == HD_FORKED);
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
        while (i < fork_call_count && strstr(fork_calls[i].functions, name) == NULL) {
            i++;
        }
        if (i == fork_call_count) {
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
        cmocka_unit_test(a_child_may_live_when_a_run_was_the_last_to_end),
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

/* Base: memory, regions, ranks, threads, the float environment, fork. */
#include <fenv.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "base/float_environment.h"
#include "base/memory.h"
#include "base/mutex.h"
#include "base/region.h"
#include "base/thread.h"
#include "heddle/heddle.h"

static void region_gives_zeroed_aligned_memory_and_is_empty_when_cleared(void **state)
{
    (void)state;
    hd_region region = {0};
    unsigned char *pieces[200];
    for (size_t i = 0; i < 200; i++) {
        size_t size = i * 37;
        pieces[i] = hd_region_alloc(&region, size);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % 16, 0);
        for (size_t j = 0; j < size; j++) {
            assert_int_equal(pieces[i][j], 0);
        }
        memset(pieces[i], (int)i, size);
    }
    for (size_t i = 0; i < 200; i++) {
        for (size_t j = 0; j < i * 37; j++) {
            assert_int_equal(pieces[i][j], (unsigned char)i);
        }
    }
    char *text = hd_region_copy_text(&region, "heddle");
    assert_string_equal(text, "heddle");
    hd_region_clear(&region);
    assert_null(region.blocks);
    assert_int_equal(region.total, 0);
}

static void region_refuses_sizes_that_overflow(void **state)
{
    (void)state;
    hd_region region = {0};
    assert_null(hd_region_alloc(&region, SIZE_MAX));
    assert_null(hd_region_alloc(&region, SIZE_MAX - 20));
    assert_null(hd_region_array(&region, SIZE_MAX / 4, 8));
    assert_non_null(hd_region_array(&region, 0, 8));
    hd_region_clear(&region);
}

static void array_growth_that_overflows_changes_nothing(void **state)
{
    (void)state;
    uint64_t *array = NULL;
    size_t capacity = 0;
    assert_true(hd_array_reserve((void **)&array, &capacity, 3, sizeof *array));
    assert_true(capacity >= 3);
    array[2] = 7;
    uint64_t *before = array;
    size_t capacity_before = capacity;
    assert_false(hd_array_reserve((void **)&array, &capacity, SIZE_MAX, sizeof *array));
    assert_false(hd_array_reserve((void **)&array, &capacity, SIZE_MAX / 8 + 1, sizeof *array));
    assert_ptr_equal(array, before);
    assert_int_equal(capacity, capacity_before);
    assert_true(hd_array_reserve((void **)&array, &capacity, 1000, sizeof *array));
    assert_true(array[2] == 7);
    hd_free(array);
}

static void pages_are_zero_writable_and_refused_when_too_large(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 4096, 5000, (2 << 20) - 1, 2 << 20, 5 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        unsigned char *pages = hd_pages_alloc(sizes[i]);
        assert_non_null(pages);
        assert_int_equal((uintptr_t)pages % (sizes[i] >= (2 << 20) ? 2 << 20 : 4096), 0);
        for (size_t j = 0; j < sizes[i]; j += 511) {
            assert_int_equal(pages[j], 0);
            pages[j] = 1;
        }
        hd_pages_free(pages, sizes[i]);
    }
    assert_null(hd_pages_alloc(SIZE_MAX));
    assert_null(hd_pages_alloc(SIZE_MAX - (3 << 20)));
    assert_null(hd_alloc_aligned(SIZE_MAX));
}

/* Whether the function stops the process with SIGABRT, which a child tries. */
static bool stops_the_process(void (*function)(void))
{
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        freopen("/dev/null", "w", stderr);
        function();
        _exit(0);
    }
    int result;
    assert_int_equal(waitpid(child, &result, 0), child);
    return WIFSIGNALED(result) && WTERMSIG(result) == SIGABRT;
}

static hd_mutex outer, inner;
static hd_condition condition;

static void make_locks(void)
{
    if (hd_mutex_init(&outer, HD_RANK_device) != HD_OK ||
        hd_mutex_init(&inner, HD_RANK_leaf) != HD_OK || hd_condition_init(&condition) != HD_OK) {
        _exit(1);
    }
}

static void lock_in_order(void) HD_NO_THREAD_SAFETY_ANALYSIS
{
    make_locks();
    hd_mutex_lock(&outer);
    hd_mutex_lock(&inner);
    hd_mutex_unlock(&inner);
    hd_mutex_unlock(&outer);
    hd_check_no_lock_held();
}

static void lock_against_the_order(void) HD_NO_THREAD_SAFETY_ANALYSIS
{
    make_locks();
    hd_mutex_lock(&inner);
    hd_mutex_lock(&outer);
}

static void lock_one_rank_twice(void) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex other;
    make_locks();
    if (hd_mutex_init(&other, HD_RANK_leaf) == HD_OK) {
        hd_mutex_lock(&inner);
        hd_mutex_lock(&other);
    }
}

static void unlock_what_is_not_held(void) HD_NO_THREAD_SAFETY_ANALYSIS
{
    make_locks();
    hd_mutex_unlock(&inner);
}

static void wait_under_another_lock(void) HD_NO_THREAD_SAFETY_ANALYSIS
{
    make_locks();
    hd_mutex_lock(&outer);
    hd_mutex_lock(&inner);
    hd_condition_wait_until(&condition, &inner, hd_clock_after_ms(1));
}

static void join_under_a_lock(void) HD_NO_THREAD_SAFETY_ANALYSIS
{
    make_locks();
    hd_mutex_lock(&inner);
    hd_check_no_lock_held();
}

static void locks_are_checked_against_their_ranks(void **state)
{
    (void)state;
    assert_false(stops_the_process(lock_in_order));
#if defined(HD_DEBUG_CHECKS)
    assert_true(stops_the_process(lock_against_the_order));
    assert_true(stops_the_process(lock_one_rank_twice));
    assert_true(stops_the_process(unlock_what_is_not_held));
    assert_true(stops_the_process(wait_under_another_lock));
    assert_true(stops_the_process(join_under_a_lock));
#else
    (void)lock_against_the_order;
    (void)lock_one_rank_twice;
    (void)unlock_what_is_not_held;
    (void)wait_under_another_lock;
    (void)join_under_a_lock;
#endif
}

static void a_wait_ends_at_its_deadline(void **state)
{
    (void)state;
    make_locks();
    uint64_t begin = hd_clock_now();
    hd_mutex_lock(&inner);
    while (hd_condition_wait_until(&condition, &inner, begin + UINT64_C(20000000))) {
    }
    assert_false(hd_condition_wait_until(&condition, &inner, 0));
    hd_mutex_unlock(&inner);
    assert_true(hd_clock_now() - begin >= UINT64_C(20000000));
    assert_true(hd_clock_after_ms(UINT32_MAX) == HD_FOREVER);
    hd_condition_destroy(&condition);
    hd_mutex_destroy(&inner);
    hd_mutex_destroy(&outer);
}

static sigset_t blocked_in_thread;

static void read_mask(void *argument)
{
    (void)argument;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked_in_thread);
}

static void threads_of_the_library_block_signals_and_leave_the_callers_mask(void **state)
{
    (void)state;
    static const int crashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    sigset_t before, after, own;
    sigemptyset(&own);
    sigaddset(&own, SIGUSR2);
    sigaddset(&own, SIGBUS); /* of the caller's: not the new thread's */
    pthread_sigmask(SIG_BLOCK, &own, NULL);
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    hd_thread thread;
    assert_int_equal(hd_thread_start(&thread, "test", read_mask, NULL), HD_OK);
    hd_thread_join(&thread);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    static const int signals[] = {SIGINT,  SIGTERM, SIGHUP,  SIGUSR1,
                                  SIGUSR2, SIGCHLD, SIGPIPE, SIGALRM};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        assert_int_equal(sigismember(&blocked_in_thread, signals[i]), 1);
        assert_int_equal(sigismember(&before, signals[i]), sigismember(&after, signals[i]));
    }
    for (size_t i = 0; i < sizeof crashes / sizeof crashes[0]; i++) {
        assert_int_equal(sigismember(&blocked_in_thread, crashes[i]), 0);
        assert_int_equal(sigismember(&before, crashes[i]), sigismember(&after, crashes[i]));
    }
    pthread_sigmask(SIG_UNBLOCK, &own, NULL);
}

static void core_count_follows_the_affinity_mask(void **state)
{
    (void)state;
    cpu_set_t before, one;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    uint32_t all = hd_thread_core_count();
    assert_in_range(all, 1, (uintmax_t)CPU_COUNT(&before));
    size_t first = 0;
    while (!CPU_ISSET(first, &before)) {
        first++;
    }
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(hd_thread_core_count(), 1);
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
    assert_int_equal(hd_thread_core_count(), all);
}

static void float_environment_is_set_and_restored(void **state)
{
    (void)state;
    assert_int_equal(fesetround(FE_UPWARD), 0);
    feraiseexcept(FE_INEXACT);
    hd_float_environment saved;
    hd_float_environment_enter(&saved);
    volatile float one = 1, tiny = 1e-10f, smallest = 1.17549435e-38f, half = 0.5f;
    assert_true(one + tiny == 1);      /* to nearest */
    assert_true(smallest * half != 0); /* subnormal numbers are kept */
    feraiseexcept(FE_OVERFLOW);
    hd_float_environment_leave(&saved);
    assert_int_equal(fegetround(), FE_UPWARD);
    assert_true(one + tiny > 1);
#if defined(__x86_64__)
    /* the run's overflow is not the caller's */
    assert_int_equal(__builtin_ia32_stmxcsr() & 0x08, 0);
    assert_int_not_equal(__builtin_ia32_stmxcsr() & 0x20, 0);
    unsigned flushing = __builtin_ia32_stmxcsr() | 0x8040; /* flush to zero, denormals are zero */
    __builtin_ia32_ldmxcsr(flushing);
    hd_float_environment_enter(&saved);
    assert_true(smallest * half != 0);
    hd_float_environment_leave(&saved);
    assert_int_equal(__builtin_ia32_stmxcsr() & 0x8040, 0x8040);
    assert_true(smallest * half == 0);
    __builtin_ia32_ldmxcsr(0x1F80);
#endif
    fesetround(FE_TONEAREST);
}

/* In the child: 0, or the number of the call that answered something else. */
static int call_all_in_child(hd_device *device, hd_graph *graph, hd_model *model)
{
    hd_device *other;
    hd_model *made;
    float x[4] = {0}, y[4];
    hd_tensor input = {.dtype = HD_FLOAT32, .rank = 1, .dims = {4}, .data = x, .size = sizeof x};
    hd_tensor output = {.data = y, .size = sizeof y};
    if (hd_device_open("cpu", NULL, &other, NULL) != HD_FORKED) {
        return 1;
    }
    if (hd_model_run(model, &input, 1, &output, 1, NULL) != HD_FORKED) {
        return 2;
    }
    if (hd_device_shutdown(device, 0, NULL) != HD_FORKED) {
        return 3;
    }
    if (hd_model_create(device, graph, NULL, &made, NULL) != HD_FORKED) {
        return 4;
    }
    if (hd_model_load(device, "/nowhere", NULL, &made, NULL) != HD_FORKED) {
        return 5;
    }
    hd_model_destroy(&model); /* harmless */
    hd_device_destroy(&device);
    return 0;
}

static void a_forked_child_is_told_so(void **state)
{
    (void)state;
    hd_device_options options = {.struct_size = sizeof options, .thread_count = 2};
    hd_device *device;
    assert_int_equal(hd_device_open("cpu", &options, &device, NULL), HD_OK);
    hd_graph *graph;
    hd_value x, y;
    hd_model *model;
    int64_t dims[] = {4};
    assert_int_equal(hd_graph_create(0, &graph, NULL), HD_OK);
    assert_int_equal(hd_graph_add_input(graph, "x", HD_FLOAT32, 1, dims, &x, NULL), HD_OK);
    assert_int_equal(hd_graph_add_node(graph, "Neg", &x, 1, NULL, 0, &y, 1, NULL), HD_OK);
    assert_int_equal(hd_graph_add_output(graph, "y", y, NULL), HD_OK);
    assert_int_equal(hd_model_create(device, graph, NULL, &model, NULL), HD_OK);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(call_all_in_child(device, graph, model));
    }
    int result;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFEXITED(result));
    assert_int_equal(WEXITSTATUS(result), 0);
    float in[4] = {1, 2, 3, 4}, out[4];
    hd_tensor input = {.dtype = HD_FLOAT32, .rank = 1, .dims = {4}, .data = in, .size = sizeof in};
    hd_tensor output = {.data = out, .size = sizeof out};
    /* the parent goes on */
    assert_int_equal(hd_model_run(model, &input, 1, &output, 1, NULL), HD_OK);
    assert_true(out[3] == -4);
    hd_graph_destroy(&graph);
    hd_model_destroy(&model);
    hd_device_destroy(&device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(region_gives_zeroed_aligned_memory_and_is_empty_when_cleared),
        cmocka_unit_test(region_refuses_sizes_that_overflow),
        cmocka_unit_test(array_growth_that_overflows_changes_nothing),
        cmocka_unit_test(pages_are_zero_writable_and_refused_when_too_large),
        cmocka_unit_test(locks_are_checked_against_their_ranks),
        cmocka_unit_test(a_wait_ends_at_its_deadline),
        cmocka_unit_test(threads_of_the_library_block_signals_and_leave_the_callers_mask),
        cmocka_unit_test(core_count_follows_the_affinity_mask),
        cmocka_unit_test(float_environment_is_set_and_restored),
        cmocka_unit_test(a_forked_child_is_told_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Memory, the public functions: handles, wrong arguments, limits, what a shut down device allows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "heddle/heddle.h"
#include "support/test_device.h"

#define MB ((size_t)1 << 20)

static hd_device *device;
static const hd_stream first = {0};

static int open_device(void **state)
{
    (void)state;
    hd_device_options options = {
        .struct_size = sizeof options, .thread_count = 2, .memory_limit = 16 * MB};
    return hd_device_open(test_device_name(), &options, &device, NULL) == HD_OK ? 0 : -1;
}

static int close_device(void **state)
{
    (void)state;
    hd_device_destroy(&device);
    return 0;
}

static void blocks_are_allocated_for_a_stream_and_reported(void **state)
{
    (void)state;
    hd_stream stream;
    void *memory, *other;
    hd_memory_statistics counts = {.struct_size = sizeof counts};
    hd_memory_info info = {.struct_size = sizeof info};
    assert_int_equal(hd_stream_acquire(device, 0, &stream, NULL), HD_OK);
    assert_int_equal(hd_memory_allocate(device, stream, 5000, 0, &memory, NULL), HD_OK);
    assert_int_equal(hd_memory_allocate(device, first, 5000, 10, &other, NULL), HD_OK);
    char bytes[5000], seen[5000];
    memset(bytes, 1, sizeof bytes);
    assert_int_equal(hd_memory_copy(device, memory, bytes, sizeof bytes, NULL), HD_OK);
    assert_int_equal(hd_memory_copy(device, other, memory, sizeof bytes, NULL), HD_OK);
    assert_int_equal(hd_memory_copy(device, seen, other, sizeof seen, NULL), HD_OK);
    assert_memory_equal(seen, bytes, sizeof seen);
    assert_int_equal(hd_memory_get_statistics(device, &counts), HD_OK);
    assert_int_equal(counts.allocations, 2);
    assert_true(counts.in_use_bytes >= 10000);
    assert_int_equal(hd_device_get_memory(device, &info), HD_OK);
    assert_int_equal(info.block_bytes, counts.reserved_bytes);
    assert_int_equal(hd_memory_record_stream(device, memory, first, NULL), HD_OK);
    assert_int_equal(hd_memory_free(device, memory, NULL), HD_OK);
    assert_int_equal(hd_memory_free(device, other, NULL), HD_OK);
    assert_int_equal(hd_memory_trim(device, NULL), HD_OK);
    assert_int_equal(hd_device_get_memory(device, &info), HD_OK);
    assert_int_equal(info.block_bytes, 0);
    assert_int_equal(hd_stream_release(device, stream, NULL), HD_OK);
}

static void wrong_arguments_are_refused(void **state)
{
    (void)state;
    hd_stream released;
    void *memory = &memory;
    int foreign;
    hd_error error = {0};
    assert_int_equal(hd_stream_acquire(device, 0, &released, NULL), HD_OK);
    assert_int_equal(hd_stream_release(device, released, NULL), HD_OK);
    assert_int_equal(hd_memory_allocate(NULL, first, 1, 0, &memory, NULL), HD_INVALID_ARGUMENT);
    assert_int_equal(hd_memory_allocate(device, first, 1, 0, NULL, NULL), HD_INVALID_ARGUMENT);
    assert_int_equal(hd_memory_allocate(device, released, 1, 0, &memory, &error),
                     HD_INVALID_ARGUMENT);
    assert_null(memory);
    assert_int_equal(hd_memory_free(NULL, NULL, NULL), HD_INVALID_ARGUMENT);
    assert_int_equal(hd_memory_free(device, NULL, NULL), HD_OK);
    assert_int_equal(hd_memory_free(device, &foreign, &error), HD_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "no block in use begins at"));
    assert_int_equal(hd_memory_record_stream(device, &foreign, first, NULL), HD_INVALID_ARGUMENT);
    assert_int_equal(hd_memory_trim(NULL, NULL), HD_INVALID_ARGUMENT);
    assert_int_equal(hd_memory_get_statistics(device, NULL), HD_INVALID_ARGUMENT);
    assert_int_equal(hd_memory_allocate(device, first, 1, 0, &memory, NULL), HD_OK);
    assert_int_equal(hd_memory_record_stream(device, memory, released, NULL), HD_INVALID_ARGUMENT);
    assert_int_equal(hd_memory_free(device, memory, NULL), HD_OK);
    assert_int_equal(hd_memory_free(device, memory, NULL), HD_INVALID_ARGUMENT);
}

static void the_limit_of_the_device_holds(void **state)
{
    (void)state;
    void *memory;
    hd_error error = {0};
    assert_int_equal(hd_memory_allocate(device, first, 20 * MB, 5, &memory, &error),
                     HD_OUT_OF_MEMORY);
    assert_non_null(strstr(error.message, "no block of 20971520 bytes"));
    assert_int_equal(hd_memory_allocate(device, first, 12 * MB, 0, &memory, NULL), HD_OK);
    assert_int_equal(hd_memory_free(device, memory, NULL), HD_OK);
}

static void a_shut_down_device_frees_but_does_not_allocate(void **state)
{
    (void)state;
    void *memory, *more;
    assert_int_equal(hd_memory_allocate(device, first, 100, 0, &memory, NULL), HD_OK);
    assert_int_equal(hd_device_shutdown(device, 1000, NULL), HD_OK);
    assert_int_equal(hd_memory_allocate(device, first, 100, 0, &more, NULL), HD_CLOSED);
    assert_int_equal(hd_memory_record_stream(device, memory, first, NULL), HD_OK);
    assert_int_equal(hd_memory_free(device, memory, NULL), HD_OK);
    assert_int_equal(hd_memory_trim(device, NULL), HD_OK);
}

static void a_forked_child_is_refused(void **state)
{
    (void)state;
    void *memory, *more;
    hd_memory_statistics counts = {.struct_size = sizeof counts};
    assert_int_equal(hd_memory_allocate(device, first, 100, 0, &memory, NULL), HD_OK);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        bool refused = hd_memory_allocate(device, first, 100, 0, &more, NULL) == HD_FORKED &&
                       hd_memory_free(device, memory, NULL) == HD_FORKED &&
                       hd_memory_record_stream(device, memory, first, NULL) == HD_FORKED &&
                       hd_memory_trim(device, NULL) == HD_FORKED &&
                       hd_memory_get_statistics(device, &counts) == HD_FORKED;
        _exit(refused ? 0 : 1);
    }
    int result;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFEXITED(result) && WEXITSTATUS(result) == 0);
    assert_int_equal(hd_memory_free(device, memory, NULL), HD_OK);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, open_device, close_device)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(blocks_are_allocated_for_a_stream_and_reported),
        TEST(wrong_arguments_are_refused),
        TEST(the_limit_of_the_device_holds),
        TEST(a_shut_down_device_frees_but_does_not_allocate),
        TEST(a_forked_child_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

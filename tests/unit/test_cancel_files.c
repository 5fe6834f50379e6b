/* A thread that has been cancelled already (pthread_cancel) calls what opens, reads and writes files, or joins threads:
 * the call returns as ever and no file stays open. */
#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "gate_device.h"
#include "support/test_device.h"

static char path[64];
static atomic_bool has_returned;
static hd_status answer;

static hd_status use_files(void)
{
    hd_device_info info = {.struct_size = sizeof info};
    hd_tensor tensor = gate_tensor(gate.x), loaded;
    hd_device *own = NULL;
    hd_model *other;
    size_t count;
    hd_model_options options = {.struct_size = sizeof options, .base_directory = "/tmp"};
    hd_status status = hd_tensor_save_npy(path, &tensor, NULL);
    status = status == HD_OK ? hd_tensor_load(path, &loaded, NULL) : status;
    if (status == HD_OK) {
        hd_tensor_release(&loaded);
    }
    status = status == HD_OK ? hd_device_list(&info, 1, &count, NULL) : status;
    status = status == HD_OK ? hd_device_open(test_device_name(), NULL, &own, NULL) : status;
    if (status == HD_OK &&
        (hd_model_load(own, path, NULL, &other, NULL) != HD_BAD_MODEL ||
         hd_model_load(own, "/no/such/file", NULL, &other, NULL) != HD_NOT_FOUND ||
         hd_model_load_memory(own, "no model", 8, &options, &other, NULL) != HD_BAD_MODEL)) {
        status = HD_INTERNAL;
    }
    hd_device_destroy(&own);
    return status;
}

static void *use_files_cancelled(void *argument)
{
    pthread_cancel(pthread_self());
    answer = use_files();
    atomic_store(&has_returned, true);
    pthread_testcancel();
    return argument;
}

static size_t count_files(void)
{
    size_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    assert_non_null(folder);
    while (readdir(folder) != NULL) {
        count++;
    }
    closedir(folder);
    return count;
}

static void reading_and_writing_files(void **state)
{
    (void)state;
    pthread_t thread;
    void *result;
    size_t before = count_files();
    snprintf(path, sizeof path, "/tmp/heddle-cancel-%ld.npy", (long)getpid());
    atomic_store(&has_returned, false);
    assert_int_equal(pthread_create(&thread, NULL, use_files_cancelled, NULL), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    unlink(path);
    assert_true(atomic_load(&has_returned));
    assert_int_equal(answer, HD_OK);
    assert_ptr_equal(result, PTHREAD_CANCELED);
    assert_int_equal(count_files(), before);
}

#define test_with_gate(function)                                                                   \
    cmocka_unit_test_setup_teardown(function, gate_open_all, gate_close_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_with_gate(reading_and_writing_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Devices by name, options of every size, and what statuses and versions are called. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "heddle/heddle.h"
#include "support/test_device.h"

#define assert_ok(call)                                                                            \
    do {                                                                                           \
        if ((call) != HD_OK) {                                                                     \
            fail_msg("%s: %s", #call, error.message);                                              \
        }                                                                                          \
    } while (0)

static void devices_open_by_name(void **state)
{
    (void)state;
    static const char *const wrong[] = {"", "gpu", "cpu:1", "CPU"};
    hd_error error = {0};
    hd_device *device = NULL;
    hd_device_info info = {.struct_size = sizeof info};
    size_t count = 0;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        device = (hd_device *)&info;
        assert_int_equal(hd_device_open(wrong[i], NULL, &device, &error), HD_NOT_FOUND);
        assert_null(device);
        assert_non_null(strstr(error.message, wrong[i]));
    }
    assert_ok(hd_device_open(test_device_name(), NULL, &device, &error));
    assert_ok(hd_device_get_info(device, &info));
    assert_string_equal(info.name, "cpu");
    assert_int_equal(info.kind, HD_DEVICE_CPU);
    assert_true(info.core_count >= 1 && info.queue_count >= 1 && info.memory_bytes > 0);
    hd_device_destroy(&device);
    assert_null(device);
    assert_ok(hd_device_list(NULL, 0, &count, &error));
    assert_true(count >= 1);
}

static void options_of_another_size_are_understood_or_refused(void **state)
{
    (void)state;
    hd_error error = {0};
    hd_device *device = NULL;
    hd_device_options options = {.struct_size = sizeof options + 8};
    assert_int_equal(hd_device_open(test_device_name(), &options, &device, &error),
                     HD_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "struct_size"));
    options.struct_size = 0;
    assert_int_equal(hd_device_open(test_device_name(), &options, &device, &error),
                     HD_INVALID_ARGUMENT);
    options.struct_size = sizeof options;
    options.sync_strategy = (hd_sync_strategy)2;
    assert_int_equal(hd_device_open(test_device_name(), &options, &device, &error),
                     HD_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "sync_strategy"));
    /* As an older program would have it, from before the later fields. */
    options.struct_size = offsetof(hd_device_options, queue_count);
    options.thread_count = 1;
    options.lease_wait_ms = 1;
    assert_ok(hd_device_open(test_device_name(), &options, &device, &error));
    hd_device_destroy(&device);
}

static void statuses_have_names_and_meanings(void **state)
{
    (void)state;
    assert_string_equal(hd_status_name(HD_BAD_MODEL), "HD_BAD_MODEL");
    assert_string_equal(hd_status_name((hd_status)999), "HD_?");
    for (int i = HD_OK; i <= HD_INTERNAL; i++) {
        assert_memory_equal(hd_status_name((hd_status)i), "HD_", 3);
        assert_true(strlen(hd_status_text((hd_status)i)) > 0);
    }
    assert_non_null(hd_status_text((hd_status)999));
    char version[32];
    snprintf(version, sizeof version, "%d.%d.%d", HD_VERSION_MAJOR, HD_VERSION_MINOR,
             HD_VERSION_PATCH);
    assert_string_equal(hd_version(), version);
    assert_int_equal(HD_VERSION_NUMBER,
                     HD_VERSION_MAJOR * 10000 + HD_VERSION_MINOR * 100 + HD_VERSION_PATCH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices_open_by_name),
        cmocka_unit_test(options_of_another_size_are_understood_or_refused),
        cmocka_unit_test(statuses_have_names_and_meanings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What is said where NVIDIA's driver cannot be used; tests.cmake has this program find one that is none, or that is too old. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "heddle/heddle.h"

static void tells_why(void **state)
{
    (void)state;
    const char *reason = getenv("HEDDLE_TEST_REASON");
    assert_non_null(reason);
    hd_device *device;
    hd_error error = {0};
    assert_int_equal(hd_device_open("cuda", NULL, &device, &error), HD_UNAVAILABLE);
    if (strstr(error.message, reason) == NULL) {
        fail_msg("'%s' does not say '%s'", error.message, reason);
    }
}

static void others_go_on(void **state)
{
    (void)state;
    hd_device *device;
    assert_int_equal(hd_device_open(NULL, NULL, &device, NULL), HD_OK);
    hd_device_info info = {.struct_size = sizeof info};
    assert_int_equal(hd_device_get_info(device, &info), HD_OK);
    assert_int_equal(info.kind, HD_DEVICE_CPU);
    hd_device_destroy(&device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(tells_why), cmocka_unit_test(others_go_on)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

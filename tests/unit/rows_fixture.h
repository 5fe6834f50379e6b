/* What the tests of rows share: a device, and numbers to run on. */
#ifndef HD_TEST_ROWS_FIXTURE_H
#define HD_TEST_ROWS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "graph/model.h"
#include "support/test_device.h"

static hd_device *device;
static hd_error error;

#define assert_ok(call)                                                                            \
    do {                                                                                           \
        if ((call) != HD_OK) {                                                                     \
            fail_msg("%s: %s", #call, error.message);                                              \
        }                                                                                          \
    } while (0)

static inline void fill(float *values, size_t count)
{
    uint32_t state = 12345;
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525 + 1013904223;
        values[i] = (float)(state >> 8) / (1 << 23) - 1;
    }
}

static inline int open_device(void **state)
{
    (void)state;
    return hd_device_open(test_device_name(), NULL, &device, NULL) == HD_OK ? 0 : -1;
}

static inline int close_device(void **state)
{
    (void)state;
    hd_device_destroy(&device);
    return 0;
}

#endif

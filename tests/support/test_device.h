/* The device that a test of the public interface runs on: each such test is written once, and ctest runs it once a
 * device, by HEDDLE_TEST_DEVICE ("cpu" where that is not set). */
#ifndef SUPPORT_TEST_DEVICE_H
#define SUPPORT_TEST_DEVICE_H

#include <stdlib.h>

static inline const char *test_device_name(void)
{
    const char *name = getenv("HEDDLE_TEST_DEVICE");
    return name == NULL || *name == '\0' ? "cpu" : name;
}

#endif

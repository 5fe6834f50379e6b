/* A test that says that it starts no threads (HEDDLE_TESTS_WITHOUT_THREADS in tests/CMakeLists.txt) is left out under
 * ThreadSanitizer in ordinary test runs. Here it is held to that: the linker puts this in pthread_create's place. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "no_threads.h"
#include "support/test_device.h"

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*function)(void *), void *argument)
{
    if (strcmp(test_device_name(), "cpu") != 0) { /* other devices have threads of their own */
        return __real_pthread_create(thread, attributes, function, argument);
    }
    fputs("this test starts a thread: take it out of HEDDLE_TESTS_WITHOUT_THREADS\n", stderr);
    abort();
}

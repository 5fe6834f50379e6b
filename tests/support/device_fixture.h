/* One device for all tests of a program, and graphs to be run on it. A program includes this once and gives its groups
 * open_device and close_device.
 *
 * Thread-safety: set up and torn down by one thread. */
#ifndef HD_TEST_DEVICE_FIXTURE_H
#define HD_TEST_DEVICE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "heddle/heddle.h"
#include "test_device.h"

#if !defined(DEVICE_THREADS)
#define DEVICE_THREADS 2
#endif

static hd_device *device;

static inline int open_device(void **state)
{
    (void)state;
    hd_device_options options = {.struct_size = sizeof options, .thread_count = DEVICE_THREADS};
    return hd_device_open(test_device_name(), &options, &device, NULL) == HD_OK ? 0 : -1;
}

static inline int close_device(void **state)
{
    (void)state;
    hd_device_destroy(&device);
    return 0;
}

static inline hd_graph *new_graph(void)
{
    hd_graph *graph;
    assert_int_equal(hd_graph_create(0, &graph, NULL), HD_OK);
    return graph;
}

#endif

/* Seeds: programs that run random graphs, each from a seed of its own, on one thread and on several. With arguments
 * SEED [COUNT] they run those again.
 *
 * Thread-safety: one thread at a time. */
#ifndef HD_TEST_RANDOM_SEEDS_H
#define HD_TEST_RANDOM_SEEDS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "graph_oracle.h"
#include "slowness.h"
#include "test_device.h"

static hd_device *devices[2];
static uint64_t first_seed = 1;
static unsigned long seed_count;

static inline int open_devices(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        hd_device_options options = {.struct_size = sizeof options, .thread_count = i == 0 ? 1 : 3};
        if (hd_device_open(test_device_name(), &options, &devices[i], NULL) != HD_OK) {
            return -1;
        }
    }
    return 0;
}

static inline int close_devices(void **state)
{
    (void)state;
    hd_device_destroy(&devices[0]);
    hd_device_destroy(&devices[1]);
    return 0;
}

static inline void take_seeds(int argc, char **argv, unsigned long count)
{
    seed_count = SLOWNESS > 1 ? count / 4 : count;
    if (argc > 1 && argv[1][0] >= '0' && argv[1][0] <= '9') { /* a name is for support/one_test.c */
        first_seed = strtoull(argv[1], NULL, 10);
        seed_count = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
    }
}

static inline void name_seed(graph_oracle *oracle, uint64_t seed)
{
    oracle->trace_size = (size_t)snprintf(oracle->trace, sizeof oracle->trace, "seed %llu:\n",
                                          (unsigned long long)seed);
}

#endif

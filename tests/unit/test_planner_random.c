/* Random graphs: what a plan computes (fused, in chosen layouts, in shared memory, on one thread or
 * several) is what its nodes compute one by one. Each graph is made from a seed of its own, named when
 * it fails: run this program with a seed and a number of graphs to run those again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "random_graph.h"

static hd_device *devices[2];
static uint64_t first_seed = 1;
static unsigned long graph_count = 400;

static int open_devices(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        hd_device_options options = {.struct_size = sizeof options, .thread_count = i == 0 ? 1 : 3};
        if (hd_device_open("cpu", &options, &devices[i], NULL) != HD_OK) {
            return -1;
        }
    }
    return 0;
}

static int close_devices(void **state)
{
    (void)state;
    hd_device_destroy(&devices[0]);
    hd_device_destroy(&devices[1]);
    return 0;
}

/* Twice: with what nobody reads as outputs, sometimes a value twice, and with every value an output. */
static void check_graph(uint64_t seed, random_graph_kind kind)
{
    static graph_oracle oracle;
    oracle_create(&oracle);
    oracle.trace_size = (size_t)snprintf(oracle.trace, sizeof oracle.trace, "seed %llu:\n",
                                         (unsigned long long)seed);
    random_graph_make(&oracle, seed, kind);
    static size_t outputs[ORACLE_VALUE_LIMIT];
    size_t count = 0;
    for (size_t i = 0; i < oracle.value_count; i++) {
        if (oracle.values[i].readers == 0) {
            outputs[count++] = i;
        }
    }
    if (count == 0 || seed % 3 == 0) {
        outputs[count++] = seed % oracle.value_count; /* an input, a constant, or one that is read */
        outputs[count++] = seed % oracle.value_count;
    }
    oracle_check(&oracle, devices, 2, outputs, count);
    count = 0;
    for (size_t i = 0; i < oracle.value_count; i++) {
        outputs[count++] = i;
    }
    oracle_check(&oracle, devices, 2, outputs, count);
    oracle_destroy(&oracle);
}

static void check_graphs(random_graph_kind kind)
{
    for (unsigned long i = 0; i < graph_count; i++) {
        check_graph(first_seed + i, kind);
    }
}

static void random_graphs_of_images_compute_what_their_nodes_do(void **state)
{
    (void)state;
    check_graphs(RANDOM_GRAPH_IMAGES);
}

static void random_graphs_of_sequences_compute_what_their_nodes_do(void **state)
{
    (void)state;
    check_graphs(RANDOM_GRAPH_SEQUENCES);
}

static void random_graphs_of_signals_compute_what_their_nodes_do(void **state)
{
    (void)state;
    check_graphs(RANDOM_GRAPH_SIGNALS);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        first_seed = strtoull(argv[1], NULL, 10);
        graph_count = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_graphs_of_images_compute_what_their_nodes_do),
        cmocka_unit_test(random_graphs_of_sequences_compute_what_their_nodes_do),
        cmocka_unit_test(random_graphs_of_signals_compute_what_their_nodes_do),
    };
    return cmocka_run_group_tests(tests, open_devices, close_devices);
}

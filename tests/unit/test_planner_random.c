/* Random graphs: what a plan computes (fused, in chosen layouts, in shared memory, on one thread or
 * several) is what its nodes compute one by one. Each graph is made from a seed of its own, named when
 * it fails: run this program with a seed and a number of graphs to run those again. */
#include "random_graph.h"
#include "random_seeds.h"

/* Twice: with what nobody reads as outputs, sometimes a value twice, and with every value an output. */
static void check_graph(uint64_t seed, random_graph_kind kind)
{
    static graph_oracle oracle;
    oracle_create(&oracle);
    name_seed(&oracle, seed);
    random_graph_make(&oracle, seed, kind);
    static size_t outputs[ORACLE_VALUE_LIMIT];
    size_t count = 0;
    for (size_t i = 0; i < oracle.value_count; i++) {
        if (oracle.values[i].readers == 0) {
            outputs[count++] = i;
        }
    }
    if (count == 0 || seed % 3 == 0) {
        /* an input, a constant, or one that is read */
        outputs[count++] = seed % oracle.value_count;
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
    for (unsigned long i = 0; i < seed_count; i++) {
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
    take_seeds(argc, argv, 400);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_graphs_of_images_compute_what_their_nodes_do),
        cmocka_unit_test(random_graphs_of_sequences_compute_what_their_nodes_do),
        cmocka_unit_test(random_graphs_of_signals_compute_what_their_nodes_do),
    };
    return cmocka_run_group_tests(tests, open_devices, close_devices);
}

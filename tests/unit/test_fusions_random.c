/* Random patterns: what passes make of a pattern whose operands broadcast in any way is what its nodes compute one
 * by one. Each pattern is made from a seed of its own, named when it fails: run this program with a seed
 * and a number of patterns to run those again. */
#include "random_pattern.h"
#include "random_seeds.h"

/* Outputs are what nobody reads and, with every other seed, one value that is read besides. */
static void check_pattern(uint64_t seed, random_pattern_kind kind)
{
    static graph_oracle oracle;
    oracle_create(&oracle);
    name_seed(&oracle, seed);
    random_pattern_make(&oracle, seed, kind);
    static size_t outputs[ORACLE_VALUE_LIMIT];
    size_t count = 0;
    for (size_t i = 0; i < oracle.value_count; i++) {
        if (oracle.values[i].readers == 0 && !oracle.values[i].constant) {
            outputs[count++] = i;
        }
    }
    if (count == 0 || seed % 2 == 0) {
        outputs[count++] = seed / 2 % oracle.value_count;
    }
    oracle_check(&oracle, devices, 2, outputs, count);
    oracle_destroy(&oracle);
}

static void check_patterns(random_pattern_kind kind)
{
    for (unsigned long i = 0; i < seed_count; i++) {
        check_pattern(first_seed + i, kind);
    }
}

static void attention_of_any_shapes_is_what_its_nodes_compute(void **state)
{
    (void)state;
    check_patterns(RANDOM_PATTERN_ATTENTION);
}

static void gates_of_any_shapes_are_what_their_nodes_compute(void **state)
{
    (void)state;
    check_patterns(RANDOM_PATTERN_GATE);
}

static void norms_of_any_shapes_are_what_their_nodes_compute(void **state)
{
    (void)state;
    check_patterns(RANDOM_PATTERN_NORM);
}

static void products_of_any_shapes_are_what_their_nodes_compute(void **state)
{
    (void)state;
    check_patterns(RANDOM_PATTERN_LINEAR);
}

static void convolutions_of_any_shapes_are_what_their_nodes_compute(void **state)
{
    (void)state;
    check_patterns(RANDOM_PATTERN_CONVOLUTION);
}

static void repeats_of_any_shapes_are_what_their_nodes_compute(void **state)
{
    (void)state;
    check_patterns(RANDOM_PATTERN_REPEATS);
}

static void chains_of_any_shapes_are_what_their_nodes_compute(void **state)
{
    (void)state;
    check_patterns(RANDOM_PATTERN_CHAIN);
}

int main(int argc, char **argv)
{
    take_seeds(argc, argv, 1000);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention_of_any_shapes_is_what_its_nodes_compute),
        cmocka_unit_test(gates_of_any_shapes_are_what_their_nodes_compute),
        cmocka_unit_test(norms_of_any_shapes_are_what_their_nodes_compute),
        cmocka_unit_test(products_of_any_shapes_are_what_their_nodes_compute),
        cmocka_unit_test(convolutions_of_any_shapes_are_what_their_nodes_compute),
        cmocka_unit_test(repeats_of_any_shapes_are_what_their_nodes_compute),
        cmocka_unit_test(chains_of_any_shapes_are_what_their_nodes_compute),
    };
    return cmocka_run_group_tests(tests, open_devices, close_devices);
}

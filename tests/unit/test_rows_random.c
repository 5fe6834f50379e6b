/* Rows of whole graphs: what is proven of random ones is true, and MiniLM's rows are proven.
 * Run with a seed and a number of graphs to check those random graphs again. */
#include <stdlib.h>
#include <string.h>

#include "graph/rows.h"
#include "random_graph.h"
#include "rows_fixture.h"

static uint64_t first_seed = 1;
static unsigned long graph_count = 300;

/* A random graph's output, for three rows made from the graph's own inputs. */
typedef struct random_case {
    const graph_oracle *oracle;
    hd_model *model;
    hd_tensor inputs[ORACLE_INPUT_LIMIT];
    size_t row_sizes[ORACLE_INPUT_LIMIT];
} random_case;

enum { CASE_ROWS = 3 };

/* False: the inputs have no common dimension of rows. */
static bool stack_inputs(random_case *random)
{
    const graph_oracle *oracle = random->oracle;
    for (size_t i = 0; i < oracle->input_count; i++) {
        const oracle_value *value = &oracle->values[oracle->inputs[i]];
        if (value->shape.rank == 0 || value->shape.dims[0] == 0) {
            return false;
        }
        size_t count = (size_t)hd_shape_count_range(&value->shape, 1, value->shape.rank);
        size_t size = count * hd_dtype_size(value->dtype);
        char *data = malloc(size * CASE_ROWS + 1);
        for (size_t row = 0; row < CASE_ROWS; row++) {
            size_t from = row % (size_t)value->shape.dims[0];
            memcpy(data + row * size, (const char *)value->data + from * size, size);
            for (size_t e = 0; value->dtype == HD_FLOAT32 && e < count; e++) {
                float *element = (float *)(data + row * size) + e;
                *element = *element * (1.0f + 0.125f * (float)row);
            }
        }
        random->row_sizes[i] = size;
        random->inputs[i] =
            (hd_tensor){.dtype = value->dtype, .rank = value->shape.rank, .data = data};
        memcpy(random->inputs[i].dims, value->shape.dims, sizeof value->shape.dims);
    }
    return true;
}

static bool compare_case(random_case *random, uint64_t seed)
{
    size_t inputs = random->oracle->input_count;
    hd_tensor given[ORACLE_INPUT_LIMIT], stacked = {.data = NULL}, alone = {.data = NULL};
    for (size_t i = 0; i < inputs; i++) {
        given[i] = random->inputs[i];
        given[i].dims[0] = CASE_ROWS;
        given[i].size = random->row_sizes[i] * CASE_ROWS;
    }
    if (hd_model_run(random->model, given, inputs, &stacked, 1, &error) != HD_OK) {
        return false; /* an index that is out of range for these rows, for instance */
    }
    for (size_t row = 0; row < CASE_ROWS; row++) {
        for (size_t i = 0; i < inputs; i++) {
            given[i].dims[0] = 1;
            given[i].size = random->row_sizes[i];
            given[i].data = (char *)random->inputs[i].data + row * random->row_sizes[i];
        }
        assert_ok(hd_model_run(random->model, given, inputs, &alone, 1, &error));
        if (alone.size * CASE_ROWS != stacked.size ||
            memcmp(alone.data, (char *)stacked.data + row * alone.size, alone.size) != 0) {
            fail_msg("seed %llu: row %zu differs\n%s", (unsigned long long)seed, row,
                     random->oracle->trace);
        }
        hd_tensor_release(&alone);
        alone = (hd_tensor){.data = NULL};
    }
    hd_tensor_release(&stacked);
    return true;
}

/* How many outputs of the graph were proven and compared. */
static size_t check_graph(uint64_t seed, random_graph_kind kind)
{
    static graph_oracle oracle;
    size_t proven = 0;
    oracle_create(&oracle);
    random_graph_make(&oracle, seed, kind);
    random_case random = {.oracle = &oracle};
    bool stacks = stack_inputs(&random);
    for (size_t v = 0; v < oracle.value_count && stacks; v++) {
        hd_shape rows[ORACLE_INPUT_LIMIT];
        bool wanted = true;
        if (oracle.values[v].constant || oracle.values[v].readers != 0) {
            continue;
        }
        for (size_t i = 0; i < oracle.input_count; i++) {
            rows[i] = oracle.values[oracle.inputs[i]].shape;
            rows[i].dims[0] = 1;
        }
        assert_ok(hd_graph_add_output(oracle.graph, "y", oracle.values[v].value, &error));
        assert_ok(hd_model_create(device, oracle.graph, NULL, &random.model, &error));
        if (hd_model_prove_rows(random.model, rows, &wanted, CASE_ROWS, &error) == HD_OK) {
            proven += compare_case(&random, seed);
        }
        hd_model_destroy(&random.model);
        break; /* a graph's outputs cannot be taken back: one a graph */
    }
    for (size_t i = 0; i < oracle.input_count; i++) {
        free(random.inputs[i].data);
    }
    oracle_destroy(&oracle);
    return proven;
}

static void what_is_proven_of_random_graphs_is_true(void **state)
{
    (void)state;
    size_t proven = 0;
    for (unsigned long i = 0; i < graph_count; i++) {
        proven += check_graph(first_seed + i, RANDOM_GRAPH_SEQUENCES);
        proven += check_graph(first_seed + i, RANDOM_GRAPH_IMAGES);
    }
    print_message("%zu of %lu graphs were proven\n", proven, 2 * graph_count);
    assert_true(graph_count < 100 || proven >= graph_count / 10);
}

static void minilm_keeps_rows(void **state)
{
    (void)state;
    const char *path = getenv("HEDDLE_MINILM");
    if (path == NULL) {
        print_message("SKIPPED: HEDDLE_MINILM=$(tools/fetch-model) names the model\n");
        return;
    }
    hd_model *model;
    assert_ok(hd_model_load(device, path, NULL, &model, &error));
    size_t inputs = hd_model_input_count(model), outputs = hd_model_output_count(model);
    hd_shape rows[8];
    bool wanted[8] = {false};
    assert_true(inputs <= 8 && outputs <= 8);
    for (size_t o = 0; o < outputs; o++) {
        wanted[o] = true;
    }
    for (int64_t tokens = 1; tokens <= 64; tokens *= 4) {
        for (size_t i = 0; i < inputs; i++) {
            rows[i] = (hd_shape){.rank = 2, .dims = {1, tokens}};
        }
        assert_ok(hd_model_prove_rows(model, rows, wanted, 2, &error));
        assert_ok(hd_model_prove_rows(model, rows, wanted, 8, &error));
    }
    hd_model_destroy(&model);
}

int main(int argc, char **argv)
{
    if (argc > 1 && argv[1][0] >= '0' && argv[1][0] <= '9') { /* a name is for support/one_test.c */
        first_seed = strtoull(argv[1], NULL, 10);
        graph_count = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_proven_of_random_graphs_is_true),
        cmocka_unit_test(minilm_keeps_rows),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}

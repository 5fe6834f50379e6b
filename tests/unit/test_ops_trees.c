/* Decision trees: random forests of every mode, type and aggregate against walks by the tables themselves, the same bits in
 * every batch and partition, and tables that are no trees. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "heddle/heddle.h"
#include "support/test_device.h"

#define NODES   1024
#define COLUMNS 7
#define TARGETS 3
#define ROWS    83

static hd_device *device;

static int setup(void **state)
{
    (void)state;
    return hd_device_open(test_device_name(), NULL, &device, NULL) == HD_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    hd_device_destroy(&device);
    return 0;
}

static uint32_t seed;

static uint32_t next_random(void)
{
    seed = seed * 1664525u + 1013904223u;
    return seed >> 8;
}

/* The tables of a file. */
typedef struct tables {
    int64_t trees[NODES], numbers[NODES], features[NODES], yes[NODES], no[NODES], missing[NODES];
    int modes[NODES];
    float values[NODES];
    double doubles[NODES];
    size_t count;
    int64_t weight_trees[NODES], weight_nodes[NODES], weight_ids[NODES];
    float weights[NODES];
    size_t weight_count;
    int64_t targets;
    float base[TARGETS];
    const char *aggregate;
    char mode_text[NODES * 12];
} tables;

static const char *const mode_names[] = {"BRANCH_LEQ", "BRANCH_LT",  "BRANCH_GTE", "BRANCH_GT",
                                         "BRANCH_EQ",  "BRANCH_NEQ", "LEAF"};
enum { LEAF = 6 };

/* A node and what is below it; numbers within a tree have gaps. mode: of all branches, or below 0. */
static int64_t grow(tables *t, int64_t tree, int depth, int mode)
{
    size_t at = t->count++;
    t->trees[at] = tree;
    t->numbers[at] = (int64_t)at * 3 + 5;
    t->missing[at] = next_random() % 2;
    t->features[at] = next_random() % COLUMNS;
    t->values[at] = (float)((int)(next_random() % 9) - 4) / 2;
    t->modes[at] = LEAF;
    if (depth == 0 || next_random() % 5 == 0) {
        for (int64_t i = 0; i < t->targets; i++) {
            if (next_random() % 4 != 0 || t->targets == 1) {
                size_t w = t->weight_count++;
                t->weight_trees[w] = tree;
                t->weight_nodes[w] = t->numbers[at];
                t->weight_ids[w] = i;
                t->weights[w] = (float)((int)(next_random() % 2001) - 1000) / 512;
            }
        }
        return t->numbers[at];
    }
    t->modes[at] = mode < 0 ? (int)(next_random() % LEAF) : mode;
    t->yes[at] = grow(t, tree, depth - 1, mode);
    t->no[at] = grow(t, tree, depth - 1, mode);
    return t->numbers[at];
}

static void make_tables(tables *t, int tree_count, int depth, int mode, int64_t targets)
{
    *t = (tables){.targets = targets, .aggregate = "SUM"};
    for (int64_t tree = 0; tree < tree_count; tree++) {
        grow(t, tree * 7 - 3, depth, mode);
    }
    for (int64_t i = 0; i < targets; i++) {
        t->base[i] = (float)i + 0.25f;
    }
}

static hd_attribute ints(const char *name, const int64_t *values, size_t count)
{
    return (hd_attribute){.name = name, .kind = HD_ATTRIBUTE_INTS, .ints = values, .count = count};
}

static hd_attribute floats(const char *name, const float *values, size_t count)
{
    return (hd_attribute){
        .name = name, .kind = HD_ATTRIBUTE_FLOATS, .floats = values, .count = count};
}

/* A model of one regressor over rows of a type. */
static hd_status make_model(tables *t, hd_dtype dtype, hd_model **out_model, hd_error *error)
{
    t->mode_text[0] = '\0';
    char *text = t->mode_text;
    for (size_t i = 0; i < t->count; i++) {
        text += sprintf(text, "%s%s", i == 0 ? "" : ",", mode_names[t->modes[i]]);
        t->doubles[i] = (double)t->values[i];
    }
    const hd_tensor doubles = {.dtype = HD_FLOAT64,
                               .rank = 1,
                               .dims = {(int64_t)t->count},
                               .data = t->doubles,
                               .size = t->count * sizeof(double)};
    const hd_attribute attributes[] = {
        ints("nodes_treeids", t->trees, t->count),
        ints("nodes_nodeids", t->numbers, t->count),
        ints("nodes_featureids", t->features, t->count),
        ints("nodes_truenodeids", t->yes, t->count),
        ints("nodes_falsenodeids", t->no, t->count),
        ints("nodes_missing_value_tracks_true", t->missing, t->count),
        {.name = "nodes_modes", .kind = HD_ATTRIBUTE_STRING, .s = t->mode_text},
        ints("target_treeids", t->weight_trees, t->weight_count),
        ints("target_nodeids", t->weight_nodes, t->weight_count),
        ints("target_ids", t->weight_ids, t->weight_count),
        floats("target_weights", t->weights, t->weight_count),
        floats("base_values", t->base, (size_t)t->targets),
        {.name = "n_targets", .kind = HD_ATTRIBUTE_INT, .i = t->targets},
        {.name = "aggregate_function", .kind = HD_ATTRIBUTE_STRING, .s = t->aggregate},
        dtype == HD_FLOAT64 ? (hd_attribute){.name = "nodes_values_as_tensor",
                                             .kind = HD_ATTRIBUTE_TENSOR,
                                             .tensor = &doubles}
                            : floats("nodes_values", t->values, t->count)};
    hd_graph *graph = NULL;
    hd_value x, y;
    *out_model = NULL;
    hd_status status = hd_graph_create(0, &graph, error);
    if (status == HD_OK) {
        status =
            hd_graph_add_input(graph, "x", dtype, 2, (const int64_t[]){-1, COLUMNS}, &x, error);
    }
    if (status == HD_OK) {
        status = hd_graph_add_node(graph, "ai.onnx.ml.TreeEnsembleRegressor", &x, 1, attributes,
                                   sizeof attributes / sizeof attributes[0], &y, 1, error);
    }
    if (status == HD_OK) {
        status = hd_graph_add_output(graph, "y", y, error);
    }
    if (status == HD_OK) {
        status = hd_model_create(device, graph, NULL, out_model, error);
    }
    hd_graph_destroy(&graph);
    return status;
}

static size_t find(const tables *t, int64_t tree, int64_t number)
{
    for (size_t i = 0; i < t->count; i++) {
        if (t->trees[i] == tree && t->numbers[i] == number) {
            return i;
        }
    }
    fail();
    return 0;
}

static bool goes_yes(int mode, double x, double value)
{
    switch (mode) {
    case 0:
        return x <= value;
    case 1:
        return x < value;
    case 2:
        return x >= value;
    case 3:
        return x > value;
    case 4:
        return x == value;
    default:
        return x != value;
    }
}

/* One row by the tables, in the trees' order, in the sums' type. */
static void expect_row(const tables *t, const double *row, bool is_double, float *out)
{
    double sums[TARGETS] = {0};
    bool seen[TARGETS] = {false};
    int64_t tree_count = 0;
    for (size_t root = 0; root < t->count; root++) {
        if (root > 0 && t->trees[root] == t->trees[root - 1]) {
            continue;
        }
        tree_count++;
        size_t at = root;
        while (t->modes[at] != LEAF) {
            double x = row[t->features[at]];
            bool yes = goes_yes(t->modes[at], x, (double)t->values[at]) ||
                       (isnan(x) && t->missing[at] != 0);
            at = find(t, t->trees[at], yes ? t->yes[at] : t->no[at]);
        }
        for (size_t w = 0; w < t->weight_count; w++) {
            if (t->weight_trees[w] != t->trees[at] || t->weight_nodes[w] != t->numbers[at]) {
                continue;
            }
            double value = (double)t->weights[w], *sum = &sums[t->weight_ids[w]];
            bool is_first = !seen[t->weight_ids[w]];
            seen[t->weight_ids[w]] = true;
            if (strcmp(t->aggregate, "MIN") == 0) {
                *sum = is_first || value < *sum ? value : *sum;
            } else if (strcmp(t->aggregate, "MAX") == 0) {
                *sum = is_first || value > *sum ? value : *sum;
            } else {
                *sum = is_double ? *sum + value : (double)((float)*sum + (float)value);
            }
        }
    }
    for (int64_t i = 0; i < t->targets; i++) {
        double sum = sums[i];
        if (strcmp(t->aggregate, "AVERAGE") == 0) {
            sum = is_double ? sum / (double)tree_count : (double)((float)sum / (float)tree_count);
        }
        out[i] = (float)(is_double ? sum + (double)t->base[i] : (double)((float)sum + t->base[i]));
    }
}

typedef union elements {
    float f[ROWS * COLUMNS];
    double d[ROWS * COLUMNS];
    int64_t l[ROWS * COLUMNS];
    int32_t i[ROWS * COLUMNS];
} elements;

static void set_element(elements *to, hd_dtype dtype, size_t at, double value)
{
    switch (dtype) {
    case HD_FLOAT32:
        to->f[at] = (float)value;
        break;
    case HD_FLOAT64:
        to->d[at] = value;
        break;
    case HD_INT64:
        to->l[at] = (int64_t)value;
        break;
    default:
        to->i[at] = (int32_t)value;
        break;
    }
}

static void run(hd_model *model, hd_dtype dtype, const elements *x, size_t first, size_t rows,
                float *out, int64_t targets)
{
    size_t size = hd_dtype_size(dtype);
    hd_tensor input = {.dtype = dtype,
                       .rank = 2,
                       .dims = {(int64_t)rows, COLUMNS},
                       .data = (unsigned char *)(uintptr_t)x + first * COLUMNS * size,
                       .size = rows * COLUMNS * size};
    hd_tensor output = {.data = out, .size = rows * (size_t)targets * sizeof(float)};
    hd_error error = {0};
    if (hd_model_run(model, &input, 1, &output, 1, &error) != HD_OK) {
        fail_msg("%s", error.message);
    }
    assert_int_equal(output.dtype, HD_FLOAT32);
    assert_int_equal(output.dims[0], rows);
    assert_int_equal(output.dims[1], targets);
}

static void check(int tree_count, int depth, int mode, int64_t targets, hd_dtype dtype,
                  const char *aggregate, bool has_nan)
{
    static tables t;
    static elements x;
    static float expected[ROWS * TARGETS], found[ROWS * TARGETS], part[ROWS * TARGETS];
    hd_model *model;
    hd_error error = {0};
    make_tables(&t, tree_count, depth, mode, targets);
    t.aggregate = aggregate;
    if (make_model(&t, dtype, &model, &error) != HD_OK) {
        fail_msg("%s", error.message);
    }
    const bool is_float = dtype == HD_FLOAT32 || dtype == HD_FLOAT64;
    for (size_t r = 0; r < ROWS; r++) {
        double row[COLUMNS];
        for (size_t c = 0; c < COLUMNS; c++) {
            row[c] = (double)((int)(next_random() % 13) - 6) / (is_float ? 2 : 1);
            if (has_nan && is_float && next_random() % 6 == 0) {
                row[c] = next_random() % 3 == 0 ? (double)INFINITY : (double)NAN;
            }
            set_element(&x, dtype, r * COLUMNS + c, row[c]);
        }
        expect_row(&t, row, dtype == HD_FLOAT64, expected + r * (size_t)targets);
    }
    const size_t row_size = (size_t)targets * sizeof(float);
    run(model, dtype, &x, 0, ROWS, found, targets);
    assert_memory_equal(found, expected, ROWS * row_size);
    /* BITS: whatever the batch */
    static const size_t sizes[] = {1, 2, 16, 17, 33};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (size_t first = 0; first + sizes[i] <= ROWS; first += 25) {
            run(model, dtype, &x, first, sizes[i], part, targets);
            assert_memory_equal(part, expected + first * (size_t)targets, sizes[i] * row_size);
        }
    }
    hd_model_destroy(&model);
}

static void test_random_forests_are_walked_as_their_tables_say(void **state)
{
    (void)state;
    static const hd_dtype dtypes[] = {HD_FLOAT32, HD_FLOAT64, HD_INT64, HD_INT32};
    static const char *const aggregates[] = {"SUM", "AVERAGE", "MIN", "MAX"};
    seed = 4;
    for (int mode = -1; mode < LEAF; mode++) {
        for (size_t i = 0; i < 16; i++) {
            check((int)(1 + next_random() % 40), (int)(next_random() % 5), mode,
                  i % 3 == 0 ? TARGETS : 1, dtypes[i % 4], aggregates[i / 4], i % 2 == 0);
        }
    }
}

typedef void spoil(tables *t);

static void child_of_no_node(tables *t)
{
    t->yes[0] = 1 << 20;
}

static void child_above(tables *t)
{
    for (size_t i = 1; i < t->count; i++) {
        if (t->modes[i] != LEAF) {
            t->no[i] = t->numbers[0];
        }
    }
}

static void child_is_itself(tables *t)
{
    t->yes[0] = t->numbers[0];
}

static void child_twice(tables *t)
{
    t->yes[0] = t->no[0];
}

static void circle_beside_the_tree(tables *t)
{
    size_t a = t->count, b = t->count + 1;
    for (size_t i = a; i <= b; i++) {
        t->trees[i] = 100;
        t->numbers[i] = (int64_t)i;
        t->modes[i] = 0;
        t->yes[i] = t->no[i] = (int64_t)(a + b - i);
    }
    t->count += 2;
}

static void node_twice(tables *t)
{
    t->numbers[1] = t->numbers[0];
}

static void column_below_zero(tables *t)
{
    t->features[0] = -1;
}

static void column_beyond_all(tables *t)
{
    t->features[0] = INT64_MAX;
}

static void column_beyond_the_rows(tables *t)
{
    t->features[0] = COLUMNS;
}

static void weight_of_no_node(tables *t)
{
    t->weight_nodes[0] = -9;
}

static void weight_of_no_target(tables *t)
{
    t->weight_ids[0] = t->targets;
}

static void weight_of_a_target_below_zero(tables *t)
{
    t->weight_ids[0] = -1;
}

static void no_targets(tables *t)
{
    t->targets = 0;
}

static void targets_beyond_all(tables *t)
{
    t->targets = INT64_MAX;
}

static void no_nodes(tables *t)
{
    t->count = 0;
}

static void unknown_aggregate(tables *t)
{
    t->aggregate = "PRODUCT";
}

static void test_tables_that_are_no_trees_are_refused(void **state)
{
    (void)state;
    static spoil *const spoils[] = {child_of_no_node,
                                    child_above,
                                    child_is_itself,
                                    child_twice,
                                    circle_beside_the_tree,
                                    node_twice,
                                    column_below_zero,
                                    column_beyond_all,
                                    column_beyond_the_rows,
                                    weight_of_no_node,
                                    weight_of_no_target,
                                    weight_of_a_target_below_zero,
                                    no_targets,
                                    targets_beyond_all,
                                    no_nodes,
                                    unknown_aggregate};
    static tables t;
    for (size_t i = 0; i < sizeof spoils / sizeof spoils[0]; i++) {
        hd_model *model = NULL;
        hd_error error = {0};
        seed = 9;
        do {
            make_tables(&t, 3, 4, 0, 1);
        } while (t.modes[0] == LEAF);
        spoils[i](&t);
        if (t.targets != 1) {
            t.base[0] = 0;
        }
        hd_status status = make_model(&t, HD_FLOAT32, &model, &error);
        if (spoils[i] == column_beyond_the_rows &&
            status == HD_OK) { /* the rows come with the run */
            static elements x;
            hd_tensor input = {.dtype = HD_FLOAT32,
                               .rank = 2,
                               .dims = {1, COLUMNS},
                               .data = &x,
                               .size = sizeof(float) * COLUMNS};
            hd_tensor output = {0};
            status = hd_model_run(model, &input, 1, &output, 1, &error);
        }
        if (status != HD_BAD_MODEL && status != HD_INVALID_ARGUMENT) {
            fail_msg("table %zu: %s", i, hd_status_name(status));
        }
        hd_model_destroy(&model);
    }
}

/* Whatever the numbers are, a forest is refused, or runs to its end; sanitizers look on. */
static void test_random_tables_are_refused_or_run(void **state)
{
    (void)state;
    static tables t;
    static elements x;
    static float out[ROWS * TARGETS];
    size_t accepted = 0;
    for (uint32_t turn = 0; turn < 3000; turn++) {
        seed = turn * 977 + 1;
        make_tables(&t, 1 + (int)(next_random() % 3), 3, -1, 1 + next_random() % 2);
        int64_t *const lists[] = {t.trees,   t.numbers,      t.features,     t.yes,       t.no,
                                  t.missing, t.weight_trees, t.weight_nodes, t.weight_ids};
        for (uint32_t change = next_random() % 3; change > 0; change--) {
            size_t least = t.count < t.weight_count ? t.count : t.weight_count;
            size_t at = least == 0 ? 0 : next_random() % least;
            int64_t *list = lists[next_random() % 9];
            list[at] = next_random() % 3 == 0 ? list[next_random() % t.count]
                                              : (int64_t)(next_random() % 40) - 4;
        }
        hd_model *model = NULL;
        if (make_model(&t, HD_FLOAT32, &model, NULL) == HD_OK) {
            hd_tensor input = {.dtype = HD_FLOAT32,
                               .rank = 2,
                               .dims = {ROWS, COLUMNS},
                               .data = &x,
                               .size = sizeof(float) * ROWS * COLUMNS};
            hd_tensor output = {.data = out, .size = sizeof out};
            accepted += hd_model_run(model, &input, 1, &output, 1, NULL) == HD_OK;
        }
        hd_model_destroy(&model);
    }
    assert_in_range(accepted, 1000, 2900);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_forests_are_walked_as_their_tables_say),
        cmocka_unit_test(test_tables_that_are_no_trees_are_refused),
        cmocka_unit_test(test_random_tables_are_refused_or_run),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

/* Graph oracle: builds a graph through the public interface and computes each of its values at once,
 * node by node, with hd_evaluate: no plan, no fusion, no layout, no shared memory. What a model of the
 * graph answers is compared with that.
 *
 * Each float value is computed a second time from inputs that differ by a few units in the last place,
 * so that a graph which blows rounding up is seen, and left out, instead of being compared.
 *
 * Thread-safety: one thread at a time. */
#ifndef HD_TEST_GRAPH_ORACLE_H
#define HD_TEST_GRAPH_ORACLE_H

#include <stdbool.h>

#include "heddle/heddle.h"
#include "operation/operation.h"

#define ORACLE_VALUE_LIMIT 512
#define ORACLE_INPUT_LIMIT 16
#define ORACLE_NONE        SIZE_MAX

typedef struct oracle_value {
    hd_value value;
    hd_dtype dtype;
    hd_shape shape;
    void *data;
    void *disturbed; /* floats only, else NULL */
    bool constant;
    uint32_t readers;
} oracle_value;

typedef struct graph_oracle {
    hd_graph *graph;
    oracle_value values[ORACLE_VALUE_LIMIT];
    size_t value_count;
    size_t inputs[ORACLE_INPUT_LIMIT]; /* places in `values` */
    size_t input_count;
    char trace[64 * 1024]; /* the graph in words, to say what failed */
    size_t trace_size;
} graph_oracle;

void oracle_create(graph_oracle *oracle);
void oracle_destroy(graph_oracle *oracle);

/* Adds an input or a constant with these elements (copied) and returns its place in `values`.
 * unknown: the input's dimensions are declared -1. */
size_t oracle_input(graph_oracle *oracle, hd_dtype dtype, const hd_shape *shape, const void *data,
                    bool unknown);
size_t oracle_constant(graph_oracle *oracle, hd_dtype dtype, const hd_shape *shape,
                       const void *data);

/* Adds a node over values (ORACLE_NONE: left out); out_values gets output_count places. False, and the
 * graph is as it was, when the operands do not fit, or when the result is not finite, larger than 1000
 * or depends on rounding too much to be compared. */
bool oracle_node(graph_oracle *oracle, const char *type, const size_t *inputs, size_t input_count,
                 const hd_attribute *attributes, size_t attribute_count, size_t *out_values,
                 size_t output_count);

/* Makes a model with these outputs (places in `values`), runs it twice on each of the devices, and fails
 * the cmocka test, printing the graph, unless all runs have equal bits and are near the oracle's. */
void oracle_check(const graph_oracle *oracle, hd_device *const *devices, size_t device_count,
                  const size_t *outputs, size_t output_count);

#endif

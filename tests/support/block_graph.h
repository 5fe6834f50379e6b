/* Block graph: graphs with inner blocks (If, Loop) made by hand in few words, and runs of them.
 *
 * Thread-safety: one thread at a time, block_run apart: any thread. */
#ifndef HD_TEST_BLOCK_GRAPH_H
#define HD_TEST_BLOCK_GRAPH_H

#include "graph/graph.h"
#include "heddle/heddle.h"

/* A node of one output in a block; fails the cmocka test where that is refused. Inputs end with
 * BLOCK_END. */
#define BLOCK_END UINT32_MAX
hd_value block_node(hd_graph *graph, hd_block *block, const char *type,
                    const hd_attribute *attributes, size_t attribute_count, ...);
#define NODE(graph, block, type, ...)                                                              \
    block_node((graph), (block), (type), NULL, 0, __VA_ARGS__, BLOCK_END)

/* The same with inner blocks and several outputs, which it writes to out_values. */
void block_control(hd_graph *graph, hd_block *block, const char *type, const hd_value *inputs,
                   size_t input_count, hd_block *first, hd_block *second, hd_value *out_values,
                   size_t output_count);

hd_value block_input(hd_graph *graph, hd_block *block, const char *name, hd_dtype dtype);
void block_output(hd_graph *graph, hd_block *block, const char *name, hd_value value);
/* count 0: *values, a scalar */
hd_value block_floats(hd_graph *graph, size_t count, const float *values);
hd_value block_ints(hd_graph *graph, size_t count, const int64_t *values); /* likewise */
hd_value block_bool(hd_graph *graph, bool value);

/* The model of a graph, which it destroys. capacity: of the plan cache. */
hd_model *block_model(hd_device *device, hd_graph *graph, uint32_t capacity);

hd_tensor block_tensor(hd_dtype dtype, size_t count, const void *data);
hd_tensor block_scalar(hd_dtype dtype, const void *data);

/* Steps of this type in the plans that lanes found last. */
size_t block_count_steps(const hd_model *model, const char *type);

/* Runs the model; outputs are allocated by the library. Fails the test unless that succeeds. */
void block_run(hd_model *model, const hd_tensor *inputs, size_t input_count, hd_tensor *outputs,
               size_t output_count);

/* Fails the test unless the output is of rank 1 (or of this count, as a whole) with these elements. */
void block_expect_floats(const hd_tensor *output, size_t count, const float *values);
void block_expect_ints(const hd_tensor *output, size_t count, const int64_t *values);

#endif

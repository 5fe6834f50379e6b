/* Graph: a network under construction, operator by operator. The operators, their attributes and
 * their meaning are ONNX's (onnx.ai, "Operators", opset 21 unless another is set), so that a loaded
 * file and a hand-made graph take the same way.
 *
 * Thread-safety: one thread at a time. A model made from it is independent of it. */
#ifndef HEDDLE_GRAPH_H
#define HEDDLE_GRAPH_H

#include "heddle/model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hd_graph hd_graph;

/* A tensor in a graph. Given out by the graph; HD_VALUE_NONE stands for an optional input left out. */
typedef uint32_t hd_value;
#define HD_VALUE_NONE ((hd_value)0)

typedef enum hd_attribute_kind {
    HD_ATTRIBUTE_INT = 1,
    HD_ATTRIBUTE_FLOAT = 2,
    HD_ATTRIBUTE_STRING = 3,
    HD_ATTRIBUTE_INTS = 4,
    HD_ATTRIBUTE_FLOATS = 5,
    HD_ATTRIBUTE_TENSOR = 6
} hd_attribute_kind;

/* One attribute of a node; the member that `kind` names is set. Copied by the graph. */
typedef struct hd_attribute {
    const char *name;
    hd_attribute_kind kind;
    int64_t i;
    float f;
    const char *s;       /* terminated */
    const int64_t *ints; /* count of them */
    const float *floats; /* count of them */
    size_t count;
    const hd_tensor *tensor;
} hd_attribute;

/* opset: the version of ONNX's operator set, 6 to 28; 0: 21. HD_INVALID_ARGUMENT, HD_UNSUPPORTED (another
 * opset), HD_OUT_OF_MEMORY; *out_graph is NULL then. */
HD_API HD_MUST_CHECK hd_status hd_graph_create(uint32_t opset, hd_graph **out_graph,
                                               hd_error *error);

/* Frees the graph and sets *graph to NULL (NULL is allowed). */
HD_API void hd_graph_destroy(hd_graph **graph);

/* Adds an input. dims: rank numbers, -1 for one that differs from run to run. name is copied.
 * HD_INVALID_ARGUMENT, HD_OUT_OF_MEMORY. */
HD_API HD_MUST_CHECK hd_status hd_graph_add_input(hd_graph *graph, const char *name, hd_dtype dtype,
                                                  uint32_t rank, const int64_t *dims,
                                                  hd_value *out_value, hd_error *error);

/* Adds a constant, a weight for instance; its data is copied. HD_INVALID_ARGUMENT (also a size that is
 * too small for the shape), HD_OUT_OF_MEMORY. */
HD_API HD_MUST_CHECK hd_status hd_graph_add_constant(hd_graph *graph, const hd_tensor *tensor,
                                                     hd_value *out_value, hd_error *error);

/* Adds a node: operator `op_type` over input_count values (HD_VALUE_NONE for one left out), writing
 * output_count new values to out_values. Attributes must be ONNX's, of ONNX's kinds, at the graph's opset.
 * HD_INVALID_ARGUMENT (an argument is NULL, or a value none of the graph's), HD_UNSUPPORTED (no such
 * operator, or one with inner graphs), HD_BAD_MODEL (a wrong number of operands, wrong or missing
 * attributes, an operator that is newer than the opset), HD_OUT_OF_MEMORY. */
HD_API HD_MUST_CHECK hd_status hd_graph_add_node(hd_graph *graph, const char *op_type,
                                                 const hd_value *inputs, size_t input_count,
                                                 const hd_attribute *attributes,
                                                 size_t attribute_count, hd_value *out_values,
                                                 size_t output_count, hd_error *error);

/* Declares a value to be the graph's next output, under this name (copied). HD_INVALID_ARGUMENT,
 * HD_OUT_OF_MEMORY. */
HD_API HD_MUST_CHECK hd_status hd_graph_add_output(hd_graph *graph, const char *name,
                                                   hd_value value, hd_error *error);

/* Makes a model of the graph, as hd_model_load does of a file. The graph stays the caller's; its
 * constants are copied. HD_INVALID_ARGUMENT, HD_BAD_MODEL, HD_UNSUPPORTED, HD_OUT_OF_MEMORY, HD_CLOSED,
 * HD_FORKED; *out_model is NULL then. */
HD_API HD_MUST_CHECK hd_status hd_model_create(hd_device *device, const hd_graph *graph,
                                               const hd_model_options *options,
                                               hd_model **out_model, hd_error *error);

#ifdef __cplusplus
}
#endif
#endif

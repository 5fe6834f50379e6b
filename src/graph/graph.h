/* Graph, inside: the nodes of a network as a model or a file describes them, before shapes are known.
 * All blocks of a graph (its root and the branches of If, the bodies of Loop) share one table of
 * values, so that an inner block reads an outer value by its number.
 *
 * Thread-safety: one thread at a time while it is built; immutable once a model holds it. */
#ifndef HD_GRAPH_GRAPH_H
#define HD_GRAPH_GRAPH_H

#include "base/region.h"
#include "graph/operator.h"

/* What a value that is a sequence has, in the graph's region (expansions/sequence.c). */
typedef struct hd_graph_sequence {
    hd_value *values;
    size_t count;
} hd_graph_sequence;

/* A value: an input, a constant or a node's output. */
typedef struct hd_graph_value {
    const char *name; /* "" for one without */
    hd_dtype dtype;   /* HD_DTYPE_NONE: not declared */
    bool has_rank;    /* the shape is declared, -1 where a dimension is unknown */
    hd_shape shape;
    const char *dim_names[HD_MAX_RANK]; /* NULL where a dimension has no symbol */
    void *data; /* a constant's elements, from hd_alloc_aligned, the graph's; NULL for others */
    /* what an input is where a run does not give it, in the graph's region, its data as a
     * constant's; NULL: a run must give it */
    hd_tensor *initial;
    const hd_graph_sequence
        *sequence; /* NULL: it is a tensor; nodes of a graph read tensors only */
} hd_graph_value;

typedef struct hd_block hd_block;

typedef struct hd_node {
    const hd_operator *operator;
    uint32_t opset;   /* version of ONNX's operator set that gives it its meaning */
    const char *name; /* "" for one without */
    hd_value *inputs; /* HD_VALUE_NONE: left out */
    size_t input_count;
    hd_value *outputs; /* HD_VALUE_NONE: nobody wants it */
    size_t output_count;
    hd_attribute *attributes;
    size_t attribute_count;
    hd_block *blocks[2]; /* If: then, else; Loop and Scan: the body; NULL for others */
} hd_node;

/* Nodes in an order in which each reads only what stands before it. */
struct hd_block {
    hd_node *nodes;
    size_t node_count;
    size_t node_capacity;
    hd_value *inputs;
    size_t input_count;
    size_t input_capacity;
    hd_value *outputs;
    const char **output_names; /* of the root block */
    size_t output_count;
    size_t output_capacity;
};

struct hd_graph {
    hd_region region; /* names, nodes' arrays, blocks; not the constants' elements */
    /* of nodes that are appended; a file's functions may have others than its graph */
    uint32_t opset;
    bool from_float16; /* promoted from it: constants are rounded to it (graph_half.c) */
    bool from_bfloat16;
    hd_graph_value *values; /* [0] stands for HD_VALUE_NONE */
    size_t value_count;
    size_t value_capacity;
    hd_block *root;
    hd_block **blocks; /* all of them, the root first, to free their arrays */
    size_t block_count;
    size_t block_capacity;
};

/* The operator may have these operands and attributes at the graph's opset; HD_BAD_MODEL says what it may not. */
HD_MUST_CHECK hd_status hd_graph_check_node(const hd_graph *graph, const hd_operator *operator,
                                            const char * name, const hd_value *inputs,
                                            size_t input_count, size_t output_count,
                                            const hd_attribute *attributes, size_t attribute_count,
                                            hd_error *error);

/* A new block of the graph; NULL when out of memory. */
hd_block *hd_graph_new_block(hd_graph *graph);

/* A new value (name is copied); HD_VALUE_NONE when out of memory. */
hd_value hd_graph_new_value(hd_graph *graph, const char *name);

/* A new constant. Takes `data` (from hd_alloc_aligned) over on success only; HD_VALUE_NONE when out of
 * memory. */
hd_value hd_graph_new_constant(hd_graph *graph, const char *name, hd_dtype dtype,
                               const hd_shape *shape, void *data);

/* A constant's elements, copied, texts with their bytes: hd_alloc_aligned; NULL when out of memory. */
void *hd_graph_copy_elements(hd_dtype dtype, const hd_shape *shape, const void *data);

/* Lets an input be `tensor` where a run does not give it. Takes the tensor's data over on success only;
 * false when out of memory. */
bool hd_graph_set_initial(hd_graph *graph, hd_value value, const hd_tensor *tensor);

/* Appends a node of operator `id`, one that is computed, to a block. Arrays and texts are copied, tensors in
 * attributes too; the outputs are values that hd_graph_new_value gave. *out_node (may be NULL) is valid until the
 * next append. HD_BAD_MODEL: a wrong number of operands, wrong attributes, or an operator that is newer than the
 * graph's opset. expansion.h takes names. */
HD_MUST_CHECK hd_status hd_graph_append_id(hd_graph *graph, hd_block *block, hd_operator_id id,
                                           const char *name, const hd_value *inputs,
                                           size_t input_count, const hd_value *outputs,
                                           size_t output_count, const hd_attribute *attributes,
                                           size_t attribute_count, hd_node **out_node,
                                           hd_error *error);

/* Append to a block's inputs or outputs; false when out of memory. name: for the root block's outputs. */
bool hd_block_add_input(hd_block *block, hd_value value);
bool hd_block_add_output(hd_graph *graph, hd_block *block, const char *name, hd_value value);

/* A deep copy; NULL when out of memory. */
hd_graph *hd_graph_clone(const hd_graph *graph);

/* readers: of each value, the nodes of all blocks and the blocks' outputs that read it; zeros before. */
void hd_graph_count_readers(const hd_graph *graph, uint32_t *readers);

/* Bytes of a graph's constants. */
uint64_t hd_graph_count_constants(const hd_graph *graph);

/* Writes each Scan as a Loop; see graph_scan.c. After a failure the graph is good for nothing but to be destroyed.
 * HD_BAD_MODEL, HD_UNSUPPORTED, HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_graph_lower_scans(hd_graph *graph, hd_error *error);

/* Promotes a graph that computes with half precision to float32:
 * - constants become float32, one by one, so that weights are packed as any others;
 * - inputs and outputs keep their declared types, with a Cast behind and before them;
 * - attributes that name a half type, or hold a tensor of one, name or hold float32;
 * - a Cast or CastLike to a half type still rounds, and is followed by a Cast to float32.
 * What follows a Cast from half to half of the same kind is rounded no more: float32 is more exact.
 * A graph that merely stores or moves halves is left as it is; see graph_half.c.
 * HD_OUT_OF_MEMORY, HD_UNSUPPORTED. */
HD_MUST_CHECK hd_status hd_graph_promote_halves(hd_graph *graph, hd_error *error);

/* Joins per-channel scaling and shifting to the convolutions before it; see graph_join.c.
 * HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_graph_join_affine(hd_graph *graph);

#endif

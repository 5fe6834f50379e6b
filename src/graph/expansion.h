/* Expansion: an operator that is a composition of others is written out in those as soon as a graph gets it, so that
 * passes find what they fuse, every device computes it, and no kernel is written for it. Its row of the table
 * (operation/operators.inc) has a function `expand` (expansions/) in place of an inference:
 *
 *     void hd_expand_bias_gelu(hd_expansion *e)
 *     {
 *         hd_expand_give(e, 0, hd_expand_1(e, HD_OP_GELU, hd_expand_2(e, HD_OP_ADD, e->inputs[0], e->inputs[1])));
 *     }
 *
 * Operands and attributes are checked by the row before it is called; shapes and types are not known yet, so what
 * depends on them is left to the operators that it makes, which are of opset HD_EXPANSION_OPSET. After a first failure nothing
 * is made any more, and values are HD_VALUE_NONE. Each new node may move graph->values: no pointer into it is kept.
 *
 * Thread-safety: one thread at a time. */
#ifndef HD_GRAPH_EXPANSION_H
#define HD_GRAPH_EXPANSION_H

#include "graph/graph.h"

#define HD_EXPANSION_OPSET        24
#define HD_EXPANSION_INPUT_LIMIT  24u
#define HD_EXPANSION_OUTPUT_LIMIT 8u

typedef struct hd_expansion {
    hd_graph *graph;
    hd_block *block;
    hd_operation operation; /* the operator, its attributes, and opset; no operands */
    /* HD_VALUE_NONE where one is left out, also behind the last one */
    hd_value inputs[HD_EXPANSION_INPUT_LIMIT];
    const hd_value *all_inputs; /* of an operator that has any number of them */
    size_t input_count;
    hd_value outputs[HD_EXPANSION_OUTPUT_LIMIT];
    hd_value given[HD_EXPANSION_OUTPUT_LIMIT]; /* what an output was before it was given */
    size_t first;                              /* node of the block */
    hd_status status;
    hd_error *error;
} hd_expansion;

/* Appends a node of the operator named `op_type`, or what that is written out in, to a block, as hd_graph_append_id.
 * *out_node is NULL where it was written out. HD_UNSUPPORTED: no such operator, or a form of it that is not supported. */
HD_MUST_CHECK hd_status hd_graph_append(hd_graph *graph, hd_block *block, const char *op_type,
                                        const char *name, const hd_value *inputs,
                                        size_t input_count, const hd_value *outputs,
                                        size_t output_count, const hd_attribute *attributes,
                                        size_t attribute_count, hd_node **out_node,
                                        hd_error *error);

/* Fails with a sentence about the operator, unless something failed before. */
void hd_expand_fail(hd_expansion *e, hd_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Fails unless the inputs whose bits are set are there: those that a row cannot ask for, behind one that may be left out. */
void hd_expand_need(hd_expansion *e, uint32_t inputs);
/* An attribute that must be positive; 1 where it fails. */
int64_t hd_expand_positive(hd_expansion *e, const char *name);

static inline bool hd_expand_has(const hd_expansion *e, size_t input)
{
    return e->inputs[input] != HD_VALUE_NONE;
}

static inline bool hd_expand_wants(const hd_expansion *e, size_t output)
{
    return e->outputs[output] != HD_VALUE_NONE;
}

static inline hd_attribute hd_expand_int(const char *name, int64_t value)
{
    return (hd_attribute){.name = name, .kind = HD_ATTRIBUTE_INT, .i = value};
}

static inline hd_attribute hd_expand_float(const char *name, float value)
{
    return (hd_attribute){.name = name, .kind = HD_ATTRIBUTE_FLOAT, .f = value};
}

/* A node; its outputs are new values, in out_values. */
void hd_expand_node(hd_expansion *e, hd_operator_id id, const hd_value *inputs, size_t input_count,
                    const hd_attribute *attributes, size_t attribute_count, hd_value *out_values,
                    size_t output_count);
/* A node of one output without attributes; with one attribute. */
hd_value hd_expand_1(hd_expansion *e, hd_operator_id id, hd_value a);
hd_value hd_expand_2(hd_expansion *e, hd_operator_id id, hd_value a, hd_value b);
hd_value hd_expand_3(hd_expansion *e, hd_operator_id id, hd_value a, hd_value b, hd_value c);
hd_value hd_expand_1_with(hd_expansion *e, hd_operator_id id, hd_value a, hd_attribute attribute);
hd_value hd_expand_2_with(hd_expansion *e, hd_operator_id id, hd_value a, hd_value b,
                          hd_attribute attribute);

/* A constant. Takes no memory over: `data` is copied. */
hd_value hd_expand_constant(hd_expansion *e, hd_dtype dtype, const hd_shape *shape,
                            const void *data);
hd_value hd_expand_number(hd_expansion *e, float value);                       /* float32 scalar */
hd_value hd_expand_list(hd_expansion *e, const int64_t *values, size_t count); /* int64 [count] */

/* Dimension `dim` of a value, as int64 [1]; -1 is the last. */
hd_value hd_expand_dim(hd_expansion *e, hd_value value, int64_t dim);
/* Reshaped to dims: 0 keeps a dimension, -1 is what is left. */
hd_value hd_expand_reshape(hd_expansion *e, hd_value value, const int64_t *dims, size_t rank);
hd_value hd_expand_transpose(hd_expansion *e, hd_value value, const int64_t *order, size_t rank);
/* Elements [begin, end) along an axis; begin and end int64 [1]. */
hd_value hd_expand_slice(hd_expansion *e, hd_value value, int64_t axis, hd_value begin,
                         hd_value end);
hd_value hd_expand_cast(hd_expansion *e, hd_value value, hd_dtype dtype);
/* matrix: the last two dimensions exchanged, whatever the rank; batch: before that, the first moved behind all but the
 * last. */
hd_value hd_expand_transpose_matrix(hd_expansion *e, hd_value value, bool matrix, bool batch);
/* [begin, begin + 1, …, end): all int64 [1]. */
hd_value hd_expand_range(hd_expansion *e, hd_value begin, hd_value end);
/* value · factor, which is the value itself where factor is 1. */
hd_value hd_expand_scale(hd_expansion *e, hd_value value, float factor);

/* The node that gives a value, where it is one of the block's last, until the next one is made; else NULL. */
const hd_node *hd_expand_producer(const hd_expansion *e, hd_value value);
/* The rank that a constant or an input is declared with; -1: not known yet. */
int hd_expand_rank(const hd_expansion *e, hd_value value);
/* Whether a value has this rank, as a bool scalar that planning knows. */
hd_value hd_expand_has_rank(hd_expansion *e, hd_value value, int64_t rank);

/* What follows hd_expand_if is made where the condition holds, what follows hd_expand_else where it does not; each gives
 * one value, which is another name for the one that hd_expand_end returns. A condition that planning knows costs nothing. */
typedef struct hd_expand_branches {
    hd_value condition;
    hd_block *outer;
    hd_block *blocks[2];
} hd_expand_branches;
void hd_expand_if(hd_expansion *e, hd_expand_branches *branches, hd_value condition);
void hd_expand_else(hd_expansion *e, hd_expand_branches *branches, hd_value then_value);
hd_value hd_expand_end(hd_expansion *e, hd_expand_branches *branches, hd_value else_value);

/* `value` is output `index` of the operator. The last that is done with a value: nothing may read it afterwards. */
void hd_expand_give(hd_expansion *e, size_t index, hd_value value);

#endif

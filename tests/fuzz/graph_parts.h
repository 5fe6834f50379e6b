/* Parts of a model that mutants are made of: bodies (graphs and functions), names, constants, nodes.
 *
 * Thread-safety: one thread at a time. */
#ifndef HD_FUZZ_GRAPH_PARTS_H
#define HD_FUZZ_GRAPH_PARTS_H

#include "graph_message.h"
#include "onnx.pb-c.h"
#include "support/operator_rows.h"

typedef struct mutation {
    message_tree tree;
    Onnx__ModelProto *model;
} mutation;

/* What has nodes; one of the two. */
typedef struct body {
    Onnx__GraphProto *graph;
    Onnx__FunctionProto *function;
} body;

#define MAKE(m, kind) ((void *)message_make(&(m)->tree, &onnx__##kind##__descriptor))
#define APPEND(m, array, count, item) MESSAGE_APPEND(&(m)->tree, (array), (count), (item))

static inline size_t below(mutation *m, size_t limit)
{
    return fuzz_below(&m->tree.random, limit);
}

static inline bool once_in(mutation *m, size_t n)
{
    return fuzz_once_in(&m->tree.random, n);
}

body body_root(mutation *m);
/* The root as often as all others. */
body body_pick(mutation *m);
Onnx__NodeProto **body_nodes(const body *b, size_t *count);
void body_add_node(mutation *m, const body *b, Onnx__NodeProto *node);
/* A node of the body; NULL: it has none. */
Onnx__NodeProto *body_pick_node(mutation *m, const body *b);
/* The name of something in the body or, where it sees it, in the root graph; NULL: there is nothing. */
char *body_pick_name(mutation *m, const body *b);
/* The same, but of nothing that depends on the node. */
char *body_pick_name_for(mutation *m, const body *b, const Onnx__NodeProto *node);
/* Whether an input, a constant or a node of the body, of its first `nodes` ones, has the name. */
bool body_defines(const body *b, const char *name, size_t nodes);

char *text_copy(mutation *m, const char *text);
/* A name that nothing has, most likely. */
char *text_fresh(mutation *m, const char *prefix);
bool text_is(const char *text, const char *other);

Onnx__NodeProto *node_make(mutation *m, const char *type);
void node_add_input(mutation *m, Onnx__NodeProto *node, char *name);
char *node_add_output(mutation *m, Onnx__NodeProto *node);
Onnx__AttributeProto *node_add_attribute(mutation *m, Onnx__NodeProto *node, const char *name,
                                         int type);
void node_add_int(mutation *m, Onnx__NodeProto *node, const char *name, int64_t value);
void node_add_graph(mutation *m, Onnx__NodeProto *node, const char *name, Onnx__GraphProto *graph);
/* A node of one input and one output in the body; the output's name. */
char *node_over(mutation *m, const body *b, const char *type, char *input);

Onnx__ValueInfoProto *value_make(mutation *m, char *name, int32_t dtype, const hd_shape *shape);
void graph_add_input(mutation *m, Onnx__GraphProto *graph, char *name, int32_t dtype,
                     const hd_shape *shape);
void graph_add_output(mutation *m, Onnx__GraphProto *graph, char *name);

/* Element i has number elements[i], or one that is made up where elements is NULL. */
Onnx__TensorProto *tensor_make(mutation *m, hd_dtype dtype, const hd_shape *shape,
                               const double *elements);
/* Elements of the tensor's dims; -1: they are absurd. */
int64_t tensor_count(const Onnx__TensorProto *tensor);
/* Makes the data as long as the shape says; what is new is made up. */
void tensor_fit(mutation *m, Onnx__TensorProto *tensor);

/* Adds a constant to what the body sees; its name. */
char *constant_add(mutation *m, const body *b, Onnx__TensorProto *tensor);
char *constant_int(mutation *m, const body *b, int64_t value);
char *constant_bool(mutation *m, const body *b, bool value);

/* Gives a value of the root graph another name wherever it stands. */
void value_rename(mutation *m, const char *from, char *to);

#endif

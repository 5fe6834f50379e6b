/* Scope: which definition a name means, in a graph of a file and in the graphs inside its nodes.
 *
 * A scope is the root graph, the graph of an attribute (a branch of If, the body of Loop), or a
 * model's function at one place where it is called. A name means the nearest definition: the own
 * scope's, else that of the scope around it. A function's scope has none around it, so it sees
 * its arguments only. A node that holds graphs depends on what these read from outside.
 *
 * Thread-safety: one thread at a time. */
#ifndef HD_ONNX_SCOPE_H
#define HD_ONNX_SCOPE_H

#include <stdbool.h>

#include "base/region.h"
#include "graph/operator.h"
#include "heddle/graph.h"
#include "onnx.pb-c.h"
#include "onnx/names.h"

/* Of opsets before HD_ONNX_OPSET_MIN, only operators that mean there what they mean in that one. */
#define HD_ONNX_OPSET_OLDEST 1
#define HD_ONNX_OPSET_MIN    HD_OPSET_MIN
#define HD_ONNX_OPSET_MAX    HD_OPSET_MAX
/* What calls of functions may add to a graph, in bytes as measured in function.c: each call copies the
 * function's nodes, operands, names and attributes, and a few lines of functions that call functions
 * may ask for any number of them (BOUND). */
#define HD_ONNX_EXPANSION_LIMIT ((size_t)128 << 20)
/* Graphs in nodes and functions in calls, in one another: each is a level of recursion. */
#define HD_ONNX_DEPTH_LIMIT 100u

typedef struct hd_onnx_scope hd_onnx_scope;

typedef enum hd_onnx_definition_kind {
    HD_ONNX_BY_INPUT,    /* of the root graph or of Loop's body */
    HD_ONNX_BY_TENSOR,   /* an initializer */
    HD_ONNX_BY_NODE,     /* an output of a node */
    HD_ONNX_BY_ARGUMENT, /* an input of a function: `argument` is what the caller passed, or NULL */
} hd_onnx_definition_kind;

typedef struct hd_onnx_definition {
    const char *name;
    hd_onnx_definition_kind kind;
    hd_onnx_scope *scope;
    size_t index;                    /* of the node or the input in its scope */
    const Onnx__TensorProto *tensor; /* of an initializer, also of one that is an input */
    const Onnx__ValueInfoProto *declaration;
    struct hd_onnx_definition *argument;
    hd_value value; /* HD_VALUE_NONE until the importer has made it */
} hd_onnx_definition;

/* A node reads an output of node `producer` of the same scope, itself or through its inner
 * graphs. */
typedef struct hd_onnx_edge {
    struct hd_onnx_edge *next;
    size_t producer;
} hd_onnx_edge;

/* A function of the model, by its domain, name and overload. */
typedef struct hd_onnx_function {
    const Onnx__FunctionProto *proto;
    int64_t opset;          /* of ONNX's operators in it; 0: the model's */
    int64_t ml_version;     /* of domain ai.onnx.ml in it; 0: the model's */
    size_t size;            /* of what a call copies */
    hd_onnx_names defaults; /* Onnx__AttributeProto of attributes that a call may leave out */
} hd_onnx_function;

typedef struct hd_onnx_scope_node {
    const Onnx__NodeProto *node;
    hd_onnx_definition **inputs;  /* as many as the node has; NULL: left out */
    hd_onnx_definition **outputs; /* likewise */
    hd_onnx_edge *edges;
    hd_onnx_scope *inner[2]; /* If: then, else; other operators: their graph */
    hd_onnx_scope *call;     /* of a node that calls a function */
    bool is_needed;          /* by an output of the scope */
} hd_onnx_scope_node;

struct hd_onnx_scope {
    hd_onnx_scope *outer;                /* NULL: root or function */
    size_t outer_node;                   /* the node of `outer` that holds this graph */
    const Onnx__GraphProto *graph;       /* NULL: a function */
    const Onnx__FunctionProto *function; /* NULL: a graph */
    struct hd_onnx_call *part_of; /* the call that made this scope and those in it, or NULL */
    int64_t opset;                /* of ONNX's operators in it */
    int64_t ml_version; /* of domain ai.onnx.ml in it; other domains have one version for us */
    hd_onnx_scope_node *nodes;
    size_t node_count;
    size_t *order; /* indices of the nodes that are needed, each after what it reads */
    size_t order_count;
    hd_onnx_definition **inputs; /* those that are no constants; with an initializer last */
    size_t input_count;
    hd_onnx_definition **outputs;
    size_t output_count;
    hd_onnx_names names; /* hd_onnx_definition */
};

/* A function where it is called. */
typedef struct hd_onnx_call {
    const hd_onnx_function *function;
    const hd_onnx_scope *scope; /* in which the caller stands */
    hd_onnx_names attributes;   /* Onnx__AttributeProto of the caller */
} hd_onnx_call;

typedef struct hd_onnx_resolver {
    hd_region *region; /* of the scopes */
    const Onnx__ModelProto *model;
    int64_t opset;
    int64_t ml_version;
    hd_onnx_names overrides; /* initializers that are inputs where the file lists them as such */
    hd_onnx_names functions; /* hd_onnx_function; a text of domain, name and overload */
    char *key;               /* room for the longest such text */
    size_t key_size;
    size_t expanded;    /* by calls so far */
    unsigned int depth; /* of the scope that is resolved */
    unsigned int call_depth;
    hd_error *error;
} hd_onnx_resolver;

/* The node's name or, of one without, that of its first output; for messages. */
const char *hd_onnx_node_name(const Onnx__NodeProto *node);
/* The node's operator; "" when the file does not say. */
const char *hd_onnx_node_type(const Onnx__NodeProto *node);
/* Its name in the table of operators: with "DOMAIN." before it, unless it is one of ONNX's own. Longer ones are cut, and
 * no operator's; returns name. */
#define HD_ONNX_OPERATOR_SIZE 128
const char *hd_onnx_node_operator(const Onnx__NodeProto *node, char name[HD_ONNX_OPERATOR_SIZE]);
/* The version of domain ai.onnx.ml among those that a model or function asks for; otherwise: where it does not. */
int64_t hd_onnx_find_ml_version(Onnx__OperatorSetIdProto *const *sets, size_t count,
                                int64_t otherwise);
/* Whether the node's operator is one of ONNX's own. */
bool hd_onnx_is_default_domain(const char *domain);

#endif

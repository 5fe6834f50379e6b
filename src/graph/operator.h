/* Operator: what the graph knows of an operator before any backend sees it: its row of the table
 * (operation/operators.inc), and what is asked of a row.
 *
 * Thread-safety: immutable tables; inference works on its arguments only. */
#ifndef HD_GRAPH_OPERATOR_H
#define HD_GRAPH_OPERATOR_H

#include "operation/operation.h"

/* The versions of ONNX's operator set that graphs may have; `hd_operator` knows each operator in all of them. */
#define HD_OPSET_MIN 6
#define HD_OPSET_MAX 28

struct hd_expansion;
struct hd_row_node;

typedef enum hd_infer_result {
    HD_INFER_DONE, /* every output's dtype and shape is set */
    /* outputs' shapes depend on the elements of input *needed_input, which are not known yet:
     * the plan is cut into segments here */
    HD_INFER_NEEDS_VALUE,
    HD_INFER_FAILED /* error is filled */
} hd_infer_result;

/* Sets dtype and shape of each output of `operation` from its inputs. An input's `data` may be NULL
 * even if small: answer HD_INFER_NEEDS_VALUE then, if the shape depends on it. Never touches outputs'
 * data. Must reject (HD_INFER_FAILED with HD_BAD_MODEL or HD_INVALID_ARGUMENT through
 * hd_operation_fail) operands that do not fit: kernels trust what was inferred and check no more. */
typedef hd_infer_result hd_infer(hd_operation *operation, size_t *needed_input, hd_error *error);

/* Writes the operator out in others; see expansion.h. */
typedef void hd_expand(struct hd_expansion *expansion);

/* NULL where row r of output `index` is computed from row r of the inputs alone, else the reason; see row_rules.h. */
typedef const char *hd_row_rule(const struct hd_row_node *node, size_t index, uint32_t axis);

/* The steps that an operation whose outputs are inferred takes; see work.h. */
typedef double hd_price(const hd_operation *operation);

enum {
    /* output 0 is input 0's bytes in another shape (Reshape, Identity) */
    HD_OPERATOR_VIEW = 1,
    HD_OPERATOR_SHAPE_ONLY = 2, /* reads its inputs' shapes, not their elements (Shape, Size) */
    HD_OPERATOR_ANY_DTYPE = 4,  /* moves elements without computing: float16 needs no conversion */
    /* outputs' true shapes are known after the run; inference gives the largest possible ones */
    HD_OPERATOR_DYNAMIC = 8,
    HD_OPERATOR_CONTROL = 16, /* If, Loop and the parts made of them: the planner's own */
    HD_OPERATOR_SETTLED = 32, /* expansions make it, and planning another of it (settle.h) */
    HD_OPERATOR_SEQUENCE =
        64, /* takes or gives sequences, which no graph does (expansions/sequence.c) */
    HD_OPERATOR_TEXTS = 128,     /* takes texts (HD_STRING), and may give them; no other does */
    HD_OPERATOR_ANY_NUMBER = 255 /* of operands */
};

/* What input 1 is, where it is indices into input 0 that must be within bounds (index_checks.h). */
typedef enum hd_index_rule {
    HD_INDICES_NONE,
    HD_INDICES_ALONG_AXIS, /* each goes by the dimension that the attribute `axis` names */
    /* the last dimension lists a point's, by the dimensions behind `batch_dims` */
    HD_INDICES_OF_POINTS,
    /* input 2 says where in the dimension that `axis` names input 1 begins, unless its mode goes around */
    HD_INDICES_OF_STARTS
} hd_index_rule;

/* Which outputs are float16 or bfloat16 where the file does not say (graph_half.c): those of input 0's type, unless
 * more is said here. */
typedef struct hd_half_rule {
    uint8_t input;         /* the input that gives the type */
    bool never;            /* no input gives it */
    bool first_only;       /* only to output 0 */
    const char *attribute; /* names the type, where it is there */
} hd_half_rule;

/* A row of the table. */
typedef struct hd_operator {
    hd_operator_id id;
    const char *name;
    struct {
        uint8_t min, max;
    } inputs;
    uint8_t outputs; /* at most */
    uint8_t flags;
    uint32_t since; /* opset of its domain; 0: 6 or before */
    /* Words LEAST-MOST@N, ascending: the numbers that opsets from N on allow, where they differ from one opset to the
     * next; NULL: `inputs` and `outputs` hold for all. */
    const char *input_counts, *output_counts;
    /* One letter an input, the last one for all that follow: T the type of all other T · I int32 or int64 ·
     * L int64 · B bool · F float32 · * any. NULL: inference looks at all of them. */
    const char *types;
    /* Words NAME:KIND, then ! where the operator must have it, @N and -N where only opsets from N on and up to N know
     * it. KIND: i integer, f number, s text or texts, I integers, F numbers, t tensor. NULL: it has none. Both as
     * onnx.ai, "Operator Schemas", and version 1.23 of the Python package onnx have them (onnx.defs.get_schema). */
    const char *attributes;
    hd_infer *infer; /* NULL: HD_OPERATOR_CONTROL, or it is written out */
    hd_expand *
        expand; /* no graph keeps it: it is written out in others; then what follows is not asked */
    hd_index_rule indices;
    hd_row_rule *rows; /* NULL: its rows are not known to be independent */
    hd_half_rule half;
    hd_price *work; /* NULL: it takes each of its operands' elements once */
    bool is_costly; /* an element takes a function such as exp, not a sum */
} hd_operator;

extern const hd_operator hd_operators[HD_OP_COUNT];

static inline const hd_operator *hd_operator_of(hd_operator_id id)
{
    return &hd_operators[id];
}

/* An operator that a graph may have; NULL: there is none of this name. */
const hd_operator *hd_operator_find(const char *name);

/* No element of an output is computed: there is nothing to run, however large the other dimensions. Not for
 * operators whose outputs' true shapes the run gives. */
bool hd_operation_gives_nothing(const hd_operation *operation);

/* The inputs' types fit together; HD_BAD_MODEL names the one that does not. Asked before inference. */
HD_MUST_CHECK hd_status hd_operator_check_types(const hd_operation *operation, hd_error *error);

/* Any operand is texts: what points elsewhere is not folded. */
bool hd_operation_has_texts(const hd_operation *operation);

/* The operator may give what inference says; HD_UNSUPPORTED: texts. Asked behind inference. */
HD_MUST_CHECK hd_status hd_operator_check_outputs(const hd_operation *operation, hd_error *error);

/* The numbers of inputs and outputs are those of the operation's opset, as far as they differ from one opset to the
 * next; HD_BAD_MODEL names the one that is not. */
HD_MUST_CHECK hd_status hd_operator_check_counts(const hd_operation *operation, hd_error *error);

/* The operator exists at the operation's opset, and its attributes are ONNX's, of ONNX's kinds, and none
 * that it needs is missing; HD_BAD_MODEL or HD_UNSUPPORTED names the one that is not. Looks at neither
 * inputs nor outputs. */
HD_MUST_CHECK hd_status hd_operator_check_attributes(const hd_operation *operation,
                                                     hd_error *error);

#endif

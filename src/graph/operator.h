/* Operator: what the graph knows of an operator before any backend sees it: how many operands it has
 * and how the types and shapes of its outputs follow from its inputs.
 *
 * Thread-safety: immutable tables; inference works on its arguments only. */
#ifndef HD_GRAPH_OPERATOR_H
#define HD_GRAPH_OPERATOR_H

#include "operation/operation.h"

typedef enum hd_infer_result {
    HD_INFER_DONE,        /* every output's dtype and shape is set */
    HD_INFER_NEEDS_VALUE, /* outputs' shapes depend on the elements of input *needed_input, which are
                             not known yet: the plan is cut into segments here */
    HD_INFER_FAILED       /* error is filled */
} hd_infer_result;

/* Sets dtype and shape of each output of `operation` from its inputs. An input's `data` may be NULL
 * even if small: answer HD_INFER_NEEDS_VALUE then, if the shape depends on it. Never touches outputs'
 * data. Must reject (HD_INFER_FAILED with HD_BAD_MODEL or HD_INVALID_ARGUMENT through
 * hd_operation_fail) operands that do not fit: kernels trust what was inferred and check no more. */
typedef hd_infer_result hd_infer(hd_operation *operation, size_t *needed_input, hd_error *error);

enum {
    HD_OPERATOR_VIEW = 1,       /* output 0 is input 0's bytes in another shape (Reshape, Identity) */
    HD_OPERATOR_SHAPE_ONLY = 2, /* reads its inputs' shapes, not their elements (Shape, Size) */
    HD_OPERATOR_ANY_DTYPE = 4,  /* moves elements without computing: float16 needs no conversion */
    HD_OPERATOR_DYNAMIC = 8,    /* outputs' true shapes are known after the run; inference gives the
                                   largest possible ones */
    HD_OPERATOR_CONTROL = 16    /* If, Loop, Scan: the planner's own */
};

typedef struct hd_operator {
    const char *type;
    uint8_t min_inputs;
    uint8_t max_inputs; /* 255: any number */
    uint8_t max_outputs;
    uint8_t flags;
    hd_infer *infer;
} hd_operator;

#define HD_OPERATOR_FAMILY_LIST(X)                                                                 \
    X(elementwise)                                                                                 \
    X(movement)                                                                                    \
    X(indexing)                                                                                    \
    X(signal)                                                                                      \
    X(reduction)                                                                                   \
    X(normalization)                                                                               \
    X(spatial)                                                                                     \
    X(convolution)                                                                                 \
    X(matrix)                                                                                      \
    X(recurrent)                                                                                   \
    X(control)

/* The table of one family, ended by a row of NULLs, in graph/ops/FAMILY.c. */
#define HD_OPERATOR_FAMILY_DECLARE_(family) extern const hd_operator hd_operators_##family[];
HD_OPERATOR_FAMILY_LIST(HD_OPERATOR_FAMILY_DECLARE_)
#undef HD_OPERATOR_FAMILY_DECLARE_

/* NULL: there is no such operator. */
const hd_operator *hd_operator_find(const char *type);

/* No element of an output is computed: there is nothing to run, however large the other dimensions. Not for
 * operators whose outputs' true shapes the run gives. */
bool hd_operation_gives_nothing(const hd_operation *operation);

/* The inputs' types fit together; HD_BAD_MODEL names the one that does not. Asked before inference. */
HD_MUST_CHECK hd_status hd_operator_check_types(const hd_operation *operation, hd_error *error);

/* The operator exists at the operation's opset, and its attributes are ONNX's, of ONNX's kinds, and none
 * that it needs is missing; HD_BAD_MODEL or HD_UNSUPPORTED names the one that is not. Looks at neither
 * inputs nor outputs. */
HD_MUST_CHECK hd_status hd_operator_check_attributes(const hd_operation *operation, hd_error *error);

/* Inference that several operators share. */
hd_infer hd_infer_same;      /* one output like input 0 */
hd_infer hd_infer_broadcast; /* one output: input 0's dtype, all inputs' shapes broadcast */

#endif

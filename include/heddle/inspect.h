/* Inspection: what an ONNX file holds, and what of it Heddle lacks: all of it, not the first alone. A file that cannot be
 * loaded is inspected as far as it goes.
 *
 * Thread-safety: immutable once made, so any thread; hd_inspection_destroy is for the last user of the handle. */
#ifndef HEDDLE_INSPECT_H
#define HEDDLE_INSPECT_H

#include <stdbool.h>

#include "heddle/model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hd_inspection hd_inspection;

/* Zero means the default; NULL means all defaults. */
typedef struct hd_inspect_options {
    size_t struct_size; /* sizeof(hd_inspect_options) */
    /* Shapes that a run's inputs would have: of each tensor name, rank and dims count. Dimensions of other inputs that
     * the file leaves open count as 1. */
    const hd_tensor *shapes;
    size_t shape_count;
} hd_inspect_options;

/* Inspects a file for a device; nothing is run. The whole file is read, external data, too; where all of it is supported a
 * model is loaded and planned on the way. On success, also where something is not supported, *out_inspection is the caller's,
 * to be given to hd_inspection_destroy; it keeps the device. On failure it is NULL. May block on the file.
 * HD_INVALID_ARGUMENT, HD_NOT_FOUND, HD_IO, HD_BAD_MODEL (no ONNX file), HD_OUT_OF_MEMORY, HD_CLOSED, HD_FORKED. */
HD_API HD_MUST_CHECK hd_status hd_inspection_create(hd_device *device, const char *path,
                                                    const hd_inspect_options *options,
                                                    hd_inspection **out_inspection,
                                                    hd_error *error);

/* Gives the handle back and sets *inspection to NULL (NULL is allowed). */
HD_API void hd_inspection_destroy(hd_inspection **inspection);

/* Each struct below is filled by its function; struct_size, its sizeof, is set by the caller. Pointers live as long as the
 * inspection. The functions return HD_INVALID_ARGUMENT, and the struct stays as it was, where an argument is NULL,
 * struct_size is not set, or the index is not below the count. */
typedef struct hd_inspection_summary {
    size_t struct_size;
    int64_t ir_version;
    const char *producer; /* "" where the file does not say; likewise the next three */
    const char *producer_version;
    const char *graph_name;
    const char *domain;
    int64_t model_version;
    uint64_t parameter_tensors; /* initializers, of inner graphs, too */
    uint64_t parameter_count;   /* elements of them */
    uint64_t parameter_bytes;   /* as the file has them */
    /* Where all is supported, else 0: what the model keeps, and what a run of the given shapes takes beside it. A run
     * whose shapes depend on what it computes is counted up to there (is_partial); elements of inputs that they depend on
     * count as 1. */
    uint64_t weight_bytes;
    uint64_t run_bytes;
    bool is_partial;
    /* Some dimension of an input is open and was not given: where a size of 1 does not fit, nodes are "unknown", not found
     * fault with. */
    bool is_guessed;
    bool is_supported; /* there is no finding */
    size_t opset_count, input_count, output_count, operator_count, node_count, finding_count;
} hd_inspection_summary;
HD_API HD_MUST_CHECK hd_status hd_inspection_get_summary(const hd_inspection *inspection,
                                                         hd_inspection_summary *out_summary);

/* A set of operators that the file asks for. */
typedef struct hd_inspection_opset {
    size_t struct_size;
    const char *domain; /* "ai.onnx" for ONNX's own */
    int64_t version;
} hd_inspection_opset;
HD_API HD_MUST_CHECK hd_status hd_inspection_get_opset(const hd_inspection *inspection,
                                                       size_t index,
                                                       hd_inspection_opset *out_opset);

/* An input (those with an initializer left out) or an output of the file's graph. */
typedef struct hd_inspection_value {
    size_t struct_size;
    const char *name;
    const char *
        type; /* of the elements, or "sequence", "map", "optional", "sparse tensor", "undeclared" */
    uint32_t rank; /* HD_RANK_UNKNOWN where the file does not say, or of more than HD_MAX_RANK */
    int64_t dims[HD_MAX_RANK];          /* -1: open */
    const char *dim_names[HD_MAX_RANK]; /* of a symbolic dimension, else NULL */
} hd_inspection_value;
HD_API HD_MUST_CHECK hd_status hd_inspection_get_input(const hd_inspection *inspection,
                                                       size_t index,
                                                       hd_inspection_value *out_input);
HD_API HD_MUST_CHECK hd_status hd_inspection_get_output(const hd_inspection *inspection,
                                                        size_t index,
                                                        hd_inspection_value *out_output);

/* An operator of the nodes that outputs need, those of inner graphs and of the file's functions, too. */
typedef struct hd_inspection_operator {
    size_t struct_size;
    const char *domain;
    const char *name;
    uint64_t count;    /* of nodes */
    bool is_supported; /* there is such an operator; a form of it may be missing all the same */
} hd_inspection_operator;
HD_API HD_MUST_CHECK hd_status hd_inspection_get_operator(const hd_inspection *inspection,
                                                          size_t index,
                                                          hd_inspection_operator *out_operator);

/* A node that outputs need, and where it runs: the device's name; "cpu" for what the device has no kernel for; "merged":
 * it is folded, moves nothing, or is a part of another node's step; "none": it is not supported; "unknown": its
 * operands' types or shapes are not known. */
typedef struct hd_inspection_node {
    size_t struct_size;
    const char *name; /* or, of one without, its first output's */
    const char *domain;
    const char *type;
    const char *device;
} hd_inspection_node;
HD_API HD_MUST_CHECK hd_status hd_inspection_get_node(const hd_inspection *inspection, size_t index,
                                                      hd_inspection_node *out_node);

/* Something that is not supported, or wrong. */
typedef struct hd_inspection_finding {
    size_t struct_size;
    hd_status status; /* HD_UNSUPPORTED, HD_BAD_MODEL, or what else loading it fails with */
    const char *node; /* the first node that it is true of; "": of no node */
    const char
        *type; /* its operator, with the domain where that is none of ONNX's: "com.example.Fly" */
    uint64_t count;     /* of nodes */
    const char *reason; /* one clause */
} hd_inspection_finding;
HD_API HD_MUST_CHECK hd_status hd_inspection_get_finding(const hd_inspection *inspection,
                                                         size_t index,
                                                         hd_inspection_finding *out_finding);

#ifdef __cplusplus
}
#endif
#endif

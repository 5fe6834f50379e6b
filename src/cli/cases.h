/* Cases: the ten operators and blocks that correctness and speed are shown with, as graphs of one
 * public call a node, and their inputs and weights from fixed seeds.
 *
 * Thread-safety: definitions are immutable; the others are one thread's at a time, and once made
 * may be read by any number of threads. */
#ifndef HEDDLE_CLI_CASES_H
#define HEDDLE_CLI_CASES_H

#include <stdbool.h>

#include "cli/case_reference.h"
#include "heddle/graph.h"

#define CASE_COUNT       10
#define CASE_INPUTS_MAX  2
#define CASE_WEIGHTS_MAX 16
#define CASE_RANK_MAX    4

/* |a - b| <= CASE_TOLERANCE * max(1, |b|) against the double-precision reference b. */
#define CASE_TOLERANCE 1e-4

typedef struct hd_case_shape {
    uint32_t rank;
    int64_t dims[CASE_RANK_MAX];
} hd_case_shape;

/* A constant of the graph, drawn from a normal distribution. */
typedef struct hd_case_weight {
    hd_case_shape shape;
    double mean;
    double variance;
} hd_case_weight;

/* Adds the nodes; weights in the definition's order. *out_value: what the case computes. */
typedef hd_status hd_case_build(hd_graph *graph, const hd_value *inputs, const hd_value *weights,
                                hd_value *out_value, hd_error *error);

typedef struct hd_case_definition {
    const char *name;
    uint32_t input_count;
    uint32_t weight_count;
    hd_case_shape inputs[CASE_INPUTS_MAX];
    hd_case_shape output;
    hd_case_weight weights[CASE_WEIGHTS_MAX];
    hd_case_build *build;
    hd_case_reference *reference;
} hd_case_definition;

/* All ten, in the order of the table in docs. */
extern const hd_case_definition hd_case_definitions[CASE_COUNT];

/* NULL: there is none of this name. */
const hd_case_definition *hd_case_find(const char *name);

int64_t hd_case_element_count(const hd_case_shape *shape);

/* The case's weights; hd_case_weights_free takes them back. False: no memory. */
typedef struct hd_case_weights {
    float *values[CASE_WEIGHTS_MAX];
} hd_case_weights;
bool hd_case_weights_create(const hd_case_definition *definition, hd_case_weights *out_weights);
void hd_case_weights_free(hd_case_weights *weights);

/* Makes the model. open_dims: all dimensions of the inputs but the last may differ from run to run;
 * otherwise they are fixed. Statuses as hd_model_create. */
hd_status hd_case_model_create(hd_device *device, const hd_case_definition *definition,
                               const hd_case_weights *weights, bool open_dims, hd_model **out_model,
                               hd_error *error);

/* The same for a batch queue: only dimension 0 is open, and matrices that are both a caller's own have a
 * dimension more in front of theirs, so that they can be stacked (hd_case_stack). */
hd_status hd_case_model_create_stacked(hd_device *device, const hd_case_definition *definition,
                                       const hd_case_weights *weights, hd_model **out_model,
                                       hd_error *error);

/* Puts a 1 in front of a tensor's dimensions where hd_case_model_create_stacked wants it; and takes that
 * of an output away. */
void hd_case_stack(const hd_case_definition *definition, hd_tensor *tensor);
void hd_case_unstack(const hd_case_definition *definition, hd_tensor *tensor);

/* The rows that each caller's inputs have then. */
uint32_t hd_case_rows(const hd_case_definition *definition);

/* Inputs of a number of threads, each with values of its own: views into one row of random numbers,
 * each `step` numbers further on than the one before, so that large cases fit into memory. A step
 * that is no multiple of 16 also gives each thread another alignment. */
typedef struct hd_case_inputs {
    const hd_case_definition *definition;
    float *values[CASE_INPUTS_MAX];
    size_t step;
} hd_case_inputs;
#define CASE_STEP_ALIGNED   4112
#define CASE_STEP_UNALIGNED 4099
bool hd_case_inputs_create(const hd_case_definition *definition, size_t threads, size_t step,
                           hd_case_inputs *out_inputs);
/* Writes definition->input_count tensors, by position. */
void hd_case_inputs_get(const hd_case_inputs *inputs, size_t thread, hd_tensor *out_tensors);
void hd_case_inputs_free(hd_case_inputs *inputs);

/* The reference's values for one thread's input; to be freed. NULL: no memory. */
double *hd_case_reference_compute(const hd_case_inputs *inputs, size_t thread,
                                  const hd_case_weights *weights);

/* The largest |a - b| / max(1, |b|); infinite where one of them is not finite. */
double hd_case_max_error(const float *values, const double *reference, size_t count);

#endif

/* Learned: what the expansions of classical models (domain ai.onnx.ml) share: lists of numbers, labels, and how sums become
 * labels and scores.
 *
 * Thread-safety: works on its arguments only. */
#ifndef HD_GRAPH_EXPANSIONS_LEARNED_H
#define HD_GRAPH_EXPANSIONS_LEARNED_H

#include "graph/expansion.h"
#include "operation/scores.h"

#define HD_LEARNED_COLUMN_LIMIT ((int64_t)1 << 24)

/* A list of numbers that a file gives as float32, or as a tensor of float64. */
typedef struct hd_learned_numbers {
    const float *floats;
    const double *doubles; /* NULL: floats are */
    size_t count;
} hd_learned_numbers;

static inline double hd_learned_number(const hd_learned_numbers *numbers, size_t index)
{
    return numbers->doubles != NULL ? numbers->doubles[index] : (double)numbers->floats[index];
}

/* The attribute `plain`, or where there is one the tensor `tensor` (NULL: it has none), in the expansion's attributes. */
hd_learned_numbers hd_learned_numbers_of(hd_expansion *e, const char *plain, const char *tensor);

/* The floats of an attribute, NULL and 0 where there is none. */
const float *hd_learned_floats(const hd_expansion *e, const char *name, size_t *out_count);

/* post_transform. */
hd_scores_transform hd_learned_transform(hd_expansion *e);
/* A regressor's sums [N, targets], transformed. */
hd_value hd_learned_transformed(hd_expansion *e, hd_value sums, hd_scores_transform transform,
                                int64_t targets);

/* A classifier's labels: integers, or texts. */
typedef struct hd_learned_labels {
    const int64_t *integers;
    const hd_tensor *texts; /* NULL: integers */
    int64_t count;
} hd_learned_labels;

/* Fails where there are none. */
hd_learned_labels hd_learned_labels_of(hd_expansion *e, const char *integers, const char *texts);

typedef struct hd_learned_scores {
    hd_scores_transform transform;
    hd_scores_form form;
    hd_scores_choice choice;
    int64_t column_count;
    int64_t column;
    double threshold;
    const bool *counts; /* one a column; NULL: all count */
} hd_learned_scores;

/* Gives the expansion's outputs, label and scores, from sums [N, column_count]. */
void hd_learned_give(hd_expansion *e, hd_value sums, const hd_learned_scores *scores,
                     const hd_learned_labels *labels);

#endif

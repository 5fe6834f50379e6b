/* Scores: how sums of a classifier become a label and probabilities, in one block of memory, which "heddle.Scores" has as a
 * constant. Made by graph/expansions.
 *
 * Thread-safety: immutable. */
#ifndef HD_OPERATION_SCORES_H
#define HD_OPERATION_SCORES_H

#include <stdint.h>

/* onnx.ai, ai.onnx.ml: "post_transform". */
typedef enum hd_scores_transform {
    HD_SCORES_NONE,
    HD_SCORES_SOFTMAX,
    HD_SCORES_LOGISTIC,
    HD_SCORES_SOFTMAX_ZERO, /* of those that are not 0; 0 stays 0 */
    HD_SCORES_PROBIT
} hd_scores_transform;

/* What becomes of the columns before they are transformed. */
typedef enum hd_scores_form {
    HD_SCORES_AS_THEY_ARE,
    HD_SCORES_COMPLEMENT, /* 1 - s, s; with LOGISTIC the next, others leave it as it is */
    HD_SCORES_OPPOSITE    /* -s, s, transformed by LOGISTIC; others leave it as it is */
} hd_scores_form;

typedef enum hd_scores_choice {
    HD_SCORES_LARGEST,  /* the first largest column of those that count */
    HD_SCORES_THRESHOLD /* labels[1] where column `column` is above `threshold`, else labels[0] */
} hd_scores_choice;

/* The block begins with this; label_count labels follow, then a 1 or 0 a column: whether it counts. */
typedef struct hd_scores {
    int64_t column_count; /* of the sums */
    int64_t transform;
    int64_t form; /* with another than AS_THEY_ARE, s is column `column` */
    int64_t choice;
    int64_t column;
    double threshold;
    int64_t label_count; /* LARGEST: column_count; THRESHOLD: 2 */
    int64_t labels[];
} hd_scores;

#endif

/* Votes: how a support vector classifier's sums, one a pair of classes, become a class and probabilities, in one block of
 * memory, which "heddle.Votes" has as a constant. Made by graph/expansions.
 *
 * Thread-safety: immutable. */
#ifndef HD_OPERATION_VOTES_H
#define HD_OPERATION_VOTES_H

#include <stdint.h>

#define HD_VOTES_CLASS_LIMIT 1024

/* The block begins with this. A pair's sum is positive where its first class wins; pairs are (0, 1), (0, 2), …, (1, 2), …
 * With probabilities, a and then b follow, one a pair each: the first class wins with 1 / (1 + exp(a * sum + b)). */
typedef struct hd_votes {
    int64_t class_count;
    int64_t
        has_probabilities; /* else the scores are the sums, and of two classes the sum's opposite and the sum */
    float numbers[];
} hd_votes;

static inline int64_t hd_votes_pairs(int64_t class_count)
{
    return class_count * (class_count - 1) / 2;
}

#endif

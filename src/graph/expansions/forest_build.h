/* Forest build: from tables of nodes to a forest (operation/forest.h), refusing what is none: children that are missing,
 * shared, or lead back to their parents, and nodes that no root leads to.
 *
 * Thread-safety: works on its arguments only. */
#ifndef HD_GRAPH_EXPANSIONS_FOREST_BUILD_H
#define HD_GRAPH_EXPANSIONS_FOREST_BUILD_H

#include "graph/expansion.h"
#include "operation/forest.h"

#define HD_FOREST_NONE UINT32_MAX

/* A node as a file has it. */
typedef struct hd_forest_draft_node {
    double threshold;
    uint32_t yes, no; /* numbers of nodes */
    uint32_t feature;
    uint32_t number;  /* of a leaf, or of a list of members */
    uint8_t mode;     /* hd_forest_mode */
    bool is_opposite; /* `yes` where the mode does not hold */
    bool nan_is_yes;
} hd_forest_draft_node;

typedef struct hd_forest_draft {
    hd_forest_draft_node *nodes;
    size_t node_count;
    const uint32_t *roots; /* a node each */
    size_t tree_count;
    const uint32_t *begins; /* leaf_count + 1 numbers of weights */
    size_t leaf_count;
    const hd_forest_weight *weights;
    const double *base; /* one a target; NULL: zeros */
    const uint32_t *lists;
    size_t list_count;
    const double *members;
    uint32_t target_count;
    uint8_t aggregate;
    bool is_double;
    bool keeps_type;
} hd_forest_draft;

/* The forest as a constant uint8 [size]; on failure the expansion has failed. Targets of weights are below target_count,
 * numbers of leaves and lists below theirs. */
hd_value hd_forest_build(hd_expansion *e, const hd_forest_draft *draft);

#endif

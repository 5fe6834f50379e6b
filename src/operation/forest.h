/* Forest: decision trees in one block of memory, which "heddle.Trees" has as a constant. Made from a file's tables by
 * graph/expansions, which have refused what is no tree, so whoever walks one checks nothing.
 *
 * A node's two children lie side by side, each tree in breadth order, so that a step of a walk is
 * `at = child + (first ? 0 : 1)`. A leaf is its own child, so a walk may go on in place: rows walk side by side for as
 * many steps as the deepest tree has.
 *
 * Thread-safety: immutable. */
#ifndef HD_OPERATION_FOREST_H
#define HD_OPERATION_FOREST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* When a walk takes the first child; other modes of a file become these with their children turned round. */
typedef enum hd_forest_mode {
    HD_FOREST_AT_MOST, /* x <= threshold */
    HD_FOREST_BELOW,   /* x < threshold */
    HD_FOREST_EQUAL,   /* x == threshold */
    HD_FOREST_MEMBER,  /* x is in list `number` */
    HD_FOREST_LEAF,    /* `number` is the leaf's; a forest of this mode has nodes of several */
    HD_FOREST_MIXED = HD_FOREST_LEAF
} hd_forest_mode;

typedef enum hd_forest_aggregate {
    HD_FOREST_AVERAGE,
    HD_FOREST_SUM,
    HD_FOREST_MIN,
    HD_FOREST_MAX
} hd_forest_aggregate;

/* A node's kind: its mode, whether NaN takes the first child, its number. */
#define HD_FOREST_NAN_FIRST     8u
#define HD_FOREST_NUMBER_SHIFT  4
#define HD_FOREST_NUMBER_LIMIT  (UINT32_C(1) << 28)
#define HD_FOREST_MODE_OF(kind) ((kind) & 7u)

typedef struct hd_forest_node_float {
    float threshold;
    uint32_t child; /* the first */
    uint32_t feature;
    uint32_t kind;
} hd_forest_node_float;

typedef struct hd_forest_node_double {
    double threshold;
    uint32_t child;
    uint32_t feature;
    uint32_t kind;
    uint32_t unused;
} hd_forest_node_double;

typedef struct hd_forest_tree {
    uint32_t root;
    uint32_t least_depth; /* steps to the nearest leaf */
    uint32_t most_depth;  /* and to the farthest */
} hd_forest_tree;

/* What a leaf adds to a target. */
typedef struct hd_forest_weight {
    double value;
    uint32_t target;
    uint32_t unused;
} hd_forest_weight;

/* The block begins with this; sections lie at so many bytes from there. */
typedef struct hd_forest {
    uint32_t tree_count;
    uint32_t node_count;
    uint32_t leaf_count;
    uint32_t target_count;
    uint32_t feature_count; /* a row has at least as many */
    uint8_t is_double;      /* thresholds and sums, else float32 */
    uint8_t mode;           /* of all nodes that are no leaves, or MIXED */
    uint8_t aggregate;
    uint8_t is_single;  /* one target, and each leaf has a weight for it, in `values` */
    uint8_t keeps_type; /* the output has the input's type, else float32 */
    uint64_t trees;
    uint64_t nodes;
    uint64_t values;  /* float or double, one a leaf; is_single */
    uint64_t begins;  /* uint32_t, one a leaf and one more: its weights */
    uint64_t weights; /* else */
    uint64_t base;    /* double, one a target */
    uint64_t lists;   /* uint32_t, one a list and one more: its members */
    uint64_t members; /* double */
    uint64_t size;    /* bytes of all */
} hd_forest;

static inline const void *hd_forest_section(const hd_forest *forest, uint64_t offset)
{
    return (const unsigned char *)forest + offset;
}

#endif

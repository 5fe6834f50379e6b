/* Row rules: which operators map rows to rows, a rule a family, for the table of operators. A rule sees a node with a
 * stacked or different input, and an output whose shape is stacked along `axis`; it answers NULL only where row r of
 * the output is computed from row r of the stacked inputs and from uniform ones, as it is for that row alone; else the
 * reason why that is not known.
 *
 * Thread-safety: any thread. */
#ifndef HD_GRAPH_ROW_RULES_H
#define HD_GRAPH_ROW_RULES_H

#include "graph/operator.h"

/* How a tensor of the walk over `count` rows relates to that over one. */
typedef enum hd_row_kind {
    HD_ROWS_UNIFORM,
    HD_ROWS_STACKED,
    HD_ROWS_DIFFERENT /* known, and neither: a target shape, for instance */
} hd_row_kind;

typedef struct hd_row_state {
    hd_row_kind kind;
    uint32_t axis; /* STACKED: the dimension that holds the rows */
} hd_row_state;

/* One node in both walks (rows.h). Left out operands are uniform. */
typedef struct hd_row_node {
    const hd_operation *one;
    const hd_operation *many;
    int64_t count;
    const hd_row_state *inputs;
} hd_row_node;

/* The dimension in which `many` is `count` times `one`, all others being equal; HD_MAX_RANK when they
 * are equal, HD_MAX_RANK + 1 when it is neither. */
uint32_t hd_rows_axis(const hd_shape *one, const hd_shape *many, int64_t count);

hd_row_rule hd_rows_argument, hd_rows_batch_norm, hd_rows_concat, hd_rows_cumulate;
hd_row_rule hd_rows_elementwise, hd_rows_expand, hd_rows_first, hd_rows_gather,
    hd_rows_gather_elements;
hd_row_rule hd_rows_gemm, hd_rows_grid_sample, hd_rows_images, hd_rows_layer_norm, hd_rows_lp_norm;
hd_row_rule hd_rows_lookup;
hd_row_rule hd_rows_one_hot, hd_rows_pad, hd_rows_product, hd_rows_recurrent, hd_rows_reduction;
hd_row_rule hd_rows_resize, hd_rows_slice, hd_rows_softmax, hd_rows_split, hd_rows_tile;
hd_row_rule hd_rows_top_k, hd_rows_transpose, hd_rows_triangle, hd_rows_view;

#endif

/* Work: what an operation costs, in steps of about a nanosecond of one core, from its type and its operands'
 * shapes alone. It is an estimate by which what a small file asks for is refused before it is begun (BOUND):
 * right within a factor of a few, and never far too low.
 *
 * Thread-safety: works on its arguments only. */
#ifndef HD_GRAPH_WORK_H
#define HD_GRAPH_WORK_H

#include "graph/operator.h"

/* The steps of an operation whose outputs are inferred. A double, as products of sizes overflow integers. */
double hd_work_of(const hd_operation *operation);

/* Of operators that do more than to take each of their operands' elements once, for the table. */
hd_price hd_work_of_attention, hd_work_of_chain, hd_work_of_convolution, hd_work_of_det;
hd_price hd_work_of_einsum, hd_work_of_grid_sample, hd_work_of_lrn, hd_work_of_product;
hd_price hd_work_of_quantized_product, hd_work_of_recurrent, hd_work_of_roi_align,
    hd_work_of_roi_pool, hd_work_of_scaling;
hd_price hd_work_of_deformable, hd_work_of_linear_attention, hd_work_of_multinomial,
    hd_work_of_scaled_attention, hd_work_of_sorting, hd_work_of_suppression, hd_work_of_table,
    hd_work_of_transform;
hd_price hd_work_of_trees, hd_work_of_votes;
hd_price hd_work_of_variadic, hd_work_of_window;

#endif

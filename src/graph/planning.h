/* Planning: from a graph and the shapes of its inputs to a plan: the planner walks, passes fuse what it has collected
 * (passes.h), and its end compiles and places it (plan_finish.h).
 *
 * Thread-safety: any thread; each plan has a planner of its own. */
#ifndef HD_GRAPH_PLANNING_H
#define HD_GRAPH_PLANNING_H

#include "graph/plan.h"

struct hd_planner;

/* What a plan is made for. */
typedef struct hd_plan_request {
    const struct hd_model *model;
    const hd_shape *input_shapes;    /* one a model input */
    const void *const *input_values; /* the elements of steering inputs, NULL for the others */
    const bool *wanted;              /* one a model output */
    /* one a model input or output: it lies in the memory of a device that is not the host; NULL: none does */
    const bool *inputs_on_device;
    const bool *outputs_on_device;
    uint64_t input_bytes;               /* of the whole run */
    hd_plan *before;                    /* the segment before, or NULL */
    const void *const *boundary_values; /* one per boundary of `before` */
} hd_plan_request;

/* Makes a plan; *out_plan holds one reference. When planning finds that the values of further inputs
 * steer it, *out_plan stays NULL with HD_OK and their bits are added to *steering: the caller asks
 * again with those values. */
HD_MUST_CHECK hd_status hd_plan_create(const hd_plan_request *request, uint64_t *steering,
                                       hd_plan **out_plan, hd_error *error);

/* Gives constants and inputs their tensors, before the first node; false when out of memory. */
bool hd_planner_start(struct hd_planner *planner, const hd_plan_request *request);

/* Runs all passes over what a planner has collected. HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_planner_optimize(struct hd_planner *planner, hd_plan *plan);

#endif

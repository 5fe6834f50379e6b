/* Survey: goes through a graph, node by node, and says of each whether a device computes it, so that all that is missing is
 * told, not what a plan stumbles over first. Nothing is fused; small values that depend on constants and shapes are computed
 * on the way, since further shapes depend on them.
 *
 * Thread-safety: one thread at a time. */
#ifndef HD_GRAPH_SURVEY_H
#define HD_GRAPH_SURVEY_H

#include "graph/graph.h"
#include "runtime/device.h"

typedef enum hd_survey_place {
    HD_SURVEY_DEVICE,
    HD_SURVEY_HOST,    /* a device that is not the host has no kernel */
    HD_SURVEY_NONE,    /* not supported; `error` says why */
    HD_SURVEY_UNKNOWN, /* an input's type or shape is not known */
    HD_SURVEY_MOVES_NOTHING
} hd_survey_place;

/* Who is told. False: no more of it, there is no memory. */
typedef struct hd_survey_listener {
    bool (*tell)(void *context, const hd_node *node, hd_survey_place place, const hd_error *error);
    void *context;
} hd_survey_listener;

/* Values that are neither inputs, constants nor outputs of nodes may be there: of the declared type, where there is one.
 * Dimensions that are not declared count as 1; input_shapes: of the root's inputs, as a run would bring them, each NULL where it
 * is not given. is_guessed: what the sizes of 1 do not fit is unknown, and only HD_UNSUPPORTED is told. HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_graph_survey(hd_device *device, const hd_graph *graph,
                                        const hd_shape *const *input_shapes, bool is_guessed,
                                        const hd_survey_listener *listener, hd_error *error);

#endif

/* Convolutions of units that can read and write channels first: the turns around them go. */
#include "graph/model.h"
#include "graph/passes.h"
#include "operation/fused.h"

/* With more channels the turn costs less than what reading them one by one does. */
#define FEW_CHANNELS 8

/* What a convolution reads in place of a turned tensor of few channels; HD_TENSOR_NONE: nothing. */
static hd_tensor_id before_turn(const hd_planner *planner, hd_tensor_id tensor)
{
    hd_plan_node *turn = hd_planner_producer_of(planner, tensor, HD_OP_HEDDLE_TO_CHANNELS_LAST);
    const hd_shape *shape = &planner->tensors[tensor].shape;
    return turn != NULL && shape->dims[shape->rank - 1] <= FEW_CHANNELS ? turn->inputs[0]
                                                                        : HD_TENSOR_NONE;
}

/* A convolution whose turn behind it has gone comes again, in the turn's place: a further turn is not its own. */
static bool fuse_one(hd_planner *planner, hd_plan_node *node)
{
    const hd_fused_convolution *known = &node->operation.fused->convolution;
    if (known->planar_input || known->planar_output) {
        return true;
    }
    hd_tensor_id before = before_turn(planner, node->inputs[0]);
    hd_plan_node *after = hd_planner_only_user(planner, node->outputs[0]);
    bool turns_back = hd_plan_node_is(after, HD_OP_HEDDLE_FROM_CHANNELS_LAST) &&
                      node->inputs[3] == HD_TENSOR_NONE;
    if (before == HD_TENSOR_NONE && !turns_back) {
        return true;
    }
    hd_fused *fused = hd_region_copy(planner->region, node->operation.fused, sizeof *fused);
    if (fused == NULL) {
        return false;
    }
    fused->convolution.planar_input = before != HD_TENSOR_NONE;
    fused->convolution.planar_output = turns_back;
    hd_tensor_id inputs[4] = {before != HD_TENSOR_NONE ? before : node->inputs[0], node->inputs[1],
                              node->inputs[2], node->inputs[3]};
    hd_plan_node *last = turns_back ? after : node;
    hd_replacement made = {
        .id = HD_OP_HEDDLE_CONV, .inputs = inputs, .input_count = 4, .fused = fused};
    return !hd_planner_allows(planner, last, &made) || hd_planner_replace(planner, last, &made);
}

bool hd_fuse_turns(hd_planner *planner)
{
    if (!planner->model->device->unit->backend->compile->planar || planner->is_for_host) {
        return true;
    }
    for (size_t n = 0; n < planner->node_count; n++) {
        hd_plan_node *node = &planner->nodes[n];
        if (!node->dead && hd_plan_node_is(node, HD_OP_HEDDLE_CONV) && !fuse_one(planner, node)) {
            return false;
        }
    }
    return true;
}

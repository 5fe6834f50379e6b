/* Repeats: where a Concat joins what a Resize has only repeated (nearest, by whole factors), it reads the
 * small tensor itself, each element several times: as pyramids of features do. HD_OP_HEDDLE_CONCAT_REPEATED is a
 * Concat with the attribute `repeats`, a factor for each input and each of its axes. */
#include "graph/passes.h"
#include "operation/axes.h"
#include "operation/scaling.h"

/* Whether each output position p of an axis shows input position p / factor. */
static bool repeats_axis(const hd_scaling *scaling, uint32_t axis, int64_t factor)
{
    for (int64_t p = 0; p < scaling->output.dims[axis]; p++) {
        int32_t place;
        float weight;
        if (!hd_scaling_tap(scaling, axis, p, &place, &weight) || place != p / factor) {
            return false;
        }
    }
    return true;
}

/* Whether a node only repeats its input along axes in front of `axis`, how often along each. */
static bool find_repeats(const hd_plan_node *node, uint32_t axis, int64_t *repeats)
{
    hd_scaling scaling;
    if (!(hd_plan_node_is(node, HD_OP_RESIZE) || hd_plan_node_is(node, HD_OP_HEDDLE_RESIZE) ||
          hd_plan_node_is(node, HD_OP_UPSAMPLE)) ||
        hd_scaling_needs(&node->operation) != 0 ||
        hd_scaling_resolve(&node->operation, &scaling, NULL) != HD_OK ||
        scaling.mode != HD_SCALING_NEAREST) {
        return false;
    }
    for (uint32_t i = 0; i < scaling.input.rank; i++) {
        int64_t in = scaling.input.dims[i], out = scaling.output.dims[i];
        if (in == 0 || out % in != 0 || (i >= axis && in != out) ||
            !repeats_axis(&scaling, i, out / in)) {
            return false;
        }
        repeats[i] = out / in;
    }
    return true;
}

static bool fuse_concat(hd_planner *planner, hd_plan_node *node)
{
    const uint32_t rank = planner->tensors[node->outputs[0]].shape.rank;
    size_t count = node->operation.input_count;
    int64_t axis = hd_operation_int(&node->operation, "axis", 1);
    if (!hd_axis_normalize(&axis, rank)) {
        return true;
    }
    hd_tensor_id *inputs = hd_region_copy(planner->region, node->inputs, count * sizeof *inputs);
    int64_t *repeats = hd_region_array(planner->region, count * rank, sizeof *repeats);
    hd_attribute *attributes = hd_region_array(planner->region, 2, sizeof *attributes);
    if (inputs == NULL || repeats == NULL || attributes == NULL) {
        return false;
    }
    bool found = false;
    for (size_t i = 0; i < count; i++) {
        int64_t *own = repeats + i * rank;
        hd_plan_node *resize = hd_planner_producer(planner, inputs[i]);
        if (resize != NULL && hd_planner_only_user(planner, inputs[i]) == node &&
            find_repeats(resize, (uint32_t)axis, own)) {
            inputs[i] = resize->inputs[0];
            found = true;
        } else {
            for (uint32_t j = 0; j < rank; j++) {
                own[j] = 1;
            }
        }
    }
    if (!found) {
        return true;
    }
    attributes[0] = (hd_attribute){.name = "axis", .kind = HD_ATTRIBUTE_INT, .i = axis};
    attributes[1] = (hd_attribute){
        .name = "repeats", .kind = HD_ATTRIBUTE_INTS, .ints = repeats, .count = count * rank};
    hd_replacement made = {.id = HD_OP_HEDDLE_CONCAT_REPEATED,
                           .inputs = inputs,
                           .input_count = count,
                           .attributes = attributes,
                           .attribute_count = 2};
    return !hd_planner_allows(planner, node, &made) || hd_planner_replace(planner, node, &made);
}

bool hd_fuse_repeats(hd_planner *planner)
{
    for (size_t n = 0; n < planner->node_count; n++) {
        hd_plan_node *node = &planner->nodes[n];
        if (!node->dead && hd_plan_node_is(node, HD_OP_CONCAT) && !fuse_concat(planner, node)) {
            return false;
        }
    }
    return true;
}

/* Precision: where a device computes with halves, float32 tensors between its steps become halves.
 *
 * A tensor does where every step that writes or reads it, in any of its views, may have it so (hd_compile_table.half_use), and
 * nobody else sees it: no input, output, constant, copy for the host or later segment. A step that must have halves and finds
 * float32 gets them from a conversion, and gives its result to one. */
#include "graph/precision.h"

#include <string.h>

#include "base/memory.h"
#include "graph/model.h"

typedef struct precision_pass {
    hd_planner *planner;
    hd_dtype half;
    bool *may;            /* of each tensor that has memory of its own */
    hd_tensor_id *halves; /* of each tensor: a conversion's result, HD_TENSOR_NONE: none yet */
    size_t tensor_limit;  /* entries of both */
    hd_plan_node *nodes;  /* the nodes as they were */
    size_t node_count;
    const hd_attribute *to; /* Cast's attribute: the half, float32 */
} precision_pass;

static hd_half_use use_of(const precision_pass *pass, const hd_plan_node *node)
{
    const hd_unit *unit = pass->planner->model->device->unit;
    if (node->dead || node->place != HD_PLACE_DEVICE || node->control != NULL ||
        unit->backend->compile->half_use == NULL) {
        return (hd_half_use){0, 0, false};
    }
    return unit->backend->compile->half_use(unit, &node->operation);
}

static size_t operand_count(const hd_plan_node *node)
{
    return node->operation.input_count + node->operation.output_count;
}

static hd_tensor_id operand_of(const hd_plan_node *node, size_t index)
{
    size_t count = node->operation.input_count;
    return index < count ? node->inputs[index] : node->outputs[index - count];
}

static bool has(uint64_t bits, size_t index)
{
    return index < 64 && (bits >> index & 1) != 0;
}

/* Whether the tensor that an operand's memory is of may be halves, as far as is known. */
static bool may_be(const precision_pass *pass, hd_tensor_id id)
{
    return pass->may[hd_planner_root(pass->planner, id)];
}

static void start(precision_pass *pass)
{
    const hd_planner *planner = pass->planner;
    for (size_t t = 0; t < pass->tensor_limit; t++) {
        const hd_plan_tensor *tensor = &planner->tensors[t];
        pass->halves[t] = HD_TENSOR_NONE;
        pass->may[t] = tensor->dtype == HD_FLOAT32 && tensor->place == HD_PLACE_DEVICE &&
                       tensor->data == NULL && tensor->packed == NULL && !tensor->placed &&
                       tensor->input_index < 0 && tensor->producer != UINT32_MAX &&
                       tensor->extent == HD_TENSOR_NONE;
    }
    for (size_t t = 0; t < pass->tensor_limit; t++) {
        const hd_plan_tensor *tensor = &planner->tensors[t];
        if (tensor->kept || tensor->dtype != HD_FLOAT32 || tensor->extent != HD_TENSOR_NONE) {
            pass->may[hd_planner_root(planner, (hd_tensor_id)t)] = false;
        }
    }
    for (size_t i = 0; i < planner->results->output_count; i++) {
        hd_tensor_id id = planner->wanted[i]
                              ? hd_planner_find(pass->planner, planner->results->outputs[i])
                              : HD_TENSOR_NONE;
        if (id != HD_TENSOR_NONE) {
            pass->may[hd_planner_root(planner, id)] = false;
        }
    }
}

/* Takes back what a step does not allow; returns whether that changed anything. */
static bool restrict_to(precision_pass *pass, const hd_plan_node *node)
{
    hd_half_use use = use_of(pass, node);
    bool all = true, changed = false;
    for (size_t i = 0; i < operand_count(node); i++) {
        hd_tensor_id id = operand_of(node, i);
        all = all && (id == HD_TENSOR_NONE || !has(use.may, i) || may_be(pass, id));
    }
    for (size_t i = 0; i < operand_count(node); i++) {
        hd_tensor_id id = operand_of(node, i);
        if (id != HD_TENSOR_NONE && may_be(pass, id) && (!has(use.may, i) || (use.alike && !all))) {
            pass->may[hd_planner_root(pass->planner, id)] = false;
            changed = true;
        }
    }
    return changed;
}

/* Appends a node, which copies what it is given. */
static bool append(precision_pass *pass, const hd_plan_node *node)
{
    hd_planner *planner = pass->planner;
    if (!hd_array_reserve((void **)&planner->nodes, &planner->node_capacity,
                          planner->node_count + 1, sizeof *planner->nodes)) {
        return false;
    }
    planner->nodes[planner->node_count++] = *node;
    return true;
}

static bool append_cast(precision_pass *pass, hd_tensor_id from, hd_tensor_id to)
{
    hd_plan_node *made = hd_planner_new_node(pass->planner, HD_OP_CAST, "", &from, 1, &to, 1);
    if (made == NULL) {
        return false;
    }
    made->place = HD_PLACE_DEVICE;
    made->operation.attributes = &pass->to[pass->planner->tensors[to].dtype == HD_FLOAT32 ? 1 : 0];
    made->operation.attribute_count = 1;
    made->operation.opset = 13;
    return true;
}

/* A new tensor of halves beside a float32 one. */
static hd_tensor_id beside(precision_pass *pass, hd_tensor_id id)
{
    hd_shape shape = pass->planner->tensors[id].shape;
    hd_tensor_id made = hd_planner_new_tensor(pass->planner, pass->half, &shape);
    if (made != HD_TENSOR_NONE) {
        pass->planner->tensors[made].place = HD_PLACE_DEVICE;
    }
    return made;
}

/* Its operands as the tensors are now, and as it must have them; conversions stand before and behind it. */
static bool settle(precision_pass *pass, const hd_plan_node *old)
{
    hd_planner *planner = pass->planner;
    hd_half_use use = use_of(pass, old);
    hd_plan_node node = *old;
    size_t count = node.operation.input_count;
    hd_tensor_id given[64] = {0};
    bool fits = true;
    for (size_t i = 0; i < count && fits; i++) {
        hd_tensor_id id = node.inputs[i];
        if (id == HD_TENSOR_NONE) {
            continue;
        }
        if (has(use.must, i) && planner->tensors[id].dtype == HD_FLOAT32) {
            hd_tensor_id known = id < pass->tensor_limit ? pass->halves[id] : HD_TENSOR_NONE;
            if (known == HD_TENSOR_NONE) {
                known = beside(pass, id);
                fits = known != HD_TENSOR_NONE && append_cast(pass, id, known);
                if (id < pass->tensor_limit) {
                    pass->halves[id] = known;
                }
            }
            node.inputs[i] = known;
        }
        if (fits) { /* the shape is the operation's own: it may take the tensor's bytes in another one */
            node.operation.inputs[i].dtype = planner->tensors[node.inputs[i]].dtype;
        }
    }
    for (size_t i = 0; i < node.operation.output_count && fits; i++) {
        hd_tensor_id id = node.outputs[i];
        given[i < 64 ? i : 63] = id;
        if (id == HD_TENSOR_NONE) {
            continue;
        }
        if (has(use.must, count + i) && planner->tensors[id].dtype == HD_FLOAT32) {
            node.outputs[i] = beside(pass, id);
            fits = node.outputs[i] != HD_TENSOR_NONE;
        }
        if (fits) {
            node.operation.outputs[i].dtype = planner->tensors[node.outputs[i]].dtype;
        }
    }
    fits = fits && append(pass, &node);
    for (size_t i = 0; i < node.operation.output_count && i < 64 && fits; i++) {
        if (node.outputs[i] != given[i]) {
            fits = append_cast(pass, node.outputs[i], given[i]);
        }
    }
    return fits;
}

static bool rewrite(precision_pass *pass)
{
    hd_planner *planner = pass->planner;
    for (size_t t = 0; t < pass->tensor_limit; t++) {
        if (may_be(pass, (hd_tensor_id)t)) {
            planner->tensors[t].dtype = pass->half;
        }
    }
    planner->nodes = NULL;
    planner->node_count = 0;
    planner->node_capacity = 0;
    bool fits = true;
    for (size_t n = 0; n < pass->node_count && fits; n++) {
        fits = pass->nodes[n].dead || settle(pass, &pass->nodes[n]);
    }
    if (fits) {
        hd_planner_count_uses(planner);
    }
    return fits;
}

bool hd_choose_precision(hd_planner *planner)
{
    const hd_unit *unit = planner->model->device->unit;
    if (unit->half == HD_DTYPE_NONE || planner->is_for_host || planner->outer != NULL) {
        return true;
    }
    precision_pass pass = {.planner = planner,
                           .half = unit->half,
                           .tensor_limit = planner->tensor_count,
                           .nodes = planner->nodes,
                           .node_count = planner->node_count};
    hd_attribute *to = hd_region_array(planner->region, 2, sizeof *to);
    pass.may = hd_alloc(pass.tensor_limit * sizeof *pass.may);
    pass.halves = hd_alloc(pass.tensor_limit * sizeof *pass.halves);
    if (to == NULL || pass.may == NULL || pass.halves == NULL) {
        hd_free(pass.may);
        hd_free(pass.halves);
        return false;
    }
    to[0] = (hd_attribute){.name = "to", .kind = HD_ATTRIBUTE_INT, .i = unit->half};
    to[1] = (hd_attribute){.name = "to", .kind = HD_ATTRIBUTE_INT, .i = HD_FLOAT32};
    pass.to = to;
    start(&pass);
    bool changed = true;
    while (changed) {
        changed = false;
        for (size_t n = 0; n < pass.node_count; n++) {
            if (!pass.nodes[n].dead) {
                changed = restrict_to(&pass, &pass.nodes[n]) || changed;
            }
        }
    }
    bool fits = rewrite(&pass);
    hd_free(pass.nodes);
    hd_free(pass.may);
    hd_free(pass.halves);
    return fits;
}

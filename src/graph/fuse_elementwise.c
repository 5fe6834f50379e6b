/* Chains of elementwise operators become one pass over memory each. A node is taken into a chain when all who read it are
 * of that chain, and it has the shape of the chain's end. */
#include "base/memory.h"
#include "graph/model.h"
#include "graph/passes.h"
#include "operation/fused.h"

#define STEP_REFERENCE 0x8000

#define NO_CHAIN UINT32_MAX
#define USERS    8 /* of a value inside of a chain, at most */

/* What is known of each node while chains are found. */
typedef struct chain_node {
    uint32_t end;  /* the node with which its chain ends; NO_CHAIN: it cannot be a step */
    uint8_t steps; /* of the chain that ends here */
    uint8_t step;  /* its number in the chain, from 1; 0: none yet */
    uint8_t input_count;
    hd_tensor_id inputs[HD_ELEMENTWISE_MAX_INPUTS]; /* of the chain that ends here */
} chain_node;

typedef struct chain {
    hd_elementwise_step steps[HD_ELEMENTWISE_MAX_STEPS];
    size_t step_count;
    hd_tensor_id inputs[HD_ELEMENTWISE_MAX_INPUTS];
    size_t input_count;
} chain;

static bool may_fuse(const hd_planner *planner, const hd_plan_node *node)
{
    const hd_operation *operation = &node->operation;
    if (node->dead || operation->fused != NULL || operation->output_count != 1 ||
        operation->input_count == 0 || operation->input_count > 3 ||
        node->outputs[0] == HD_TENSOR_NONE) {
        return false;
    }
    for (size_t i = 0; i < operation->input_count; i++) {
        /* An input left out before another would shift the operands of the step. */
        if (node->inputs[i] == HD_TENSOR_NONE || planner->tensors[node->inputs[i]].packed != NULL) {
            return false;
        }
    }
    const hd_unit *unit = planner->model->device->unit;
    return unit->backend->compile->supports_in_chain(unit, operation);
}

/* The end of the chain that all readers of a node's output belong to; NO_CHAIN: there is none such. */
static uint32_t common_end(const hd_planner *planner, const chain_node *nodes, size_t n)
{
    hd_plan_node *users[USERS];
    size_t count = hd_planner_users(planner, planner->nodes[n].outputs[0], users, USERS);
    uint32_t end = NO_CHAIN;
    for (size_t i = 0; count <= USERS && i < count; i++) {
        uint32_t other = nodes[users[i] - planner->nodes].end;
        if (other == NO_CHAIN || (i > 0 && other != end)) {
            return NO_CHAIN;
        }
        end = other;
    }
    return end;
}

/* Adds a tensor to those that a chain reads; false: it has as many as it may. */
static bool add_input(chain_node *chain, hd_tensor_id id)
{
    for (size_t i = 0; i < chain->input_count; i++) {
        if (chain->inputs[i] == id) {
            return true;
        }
    }
    if (chain->input_count == HD_ELEMENTWISE_MAX_INPUTS) {
        return false;
    }
    chain->inputs[chain->input_count++] = id;
    return true;
}

/* The chain with one node more, whose output it reads; false: it has no room for it. */
static bool grow(const hd_plan_node *node, const chain_node *chain, chain_node *grown)
{
    *grown = *chain;
    grown->input_count = 0;
    for (size_t i = 0; i < chain->input_count; i++) {
        if (chain->inputs[i] != node->outputs[0]) {
            grown->inputs[grown->input_count++] = chain->inputs[i];
        }
    }
    bool fits = chain->steps < HD_ELEMENTWISE_MAX_STEPS;
    for (size_t i = 0; i < node->operation.input_count && fits; i++) {
        fits = add_input(grown, node->inputs[i]);
    }
    grown->steps++;
    return fits;
}

/* Takes a node into the chain of its readers, which stand behind it, where it fits, or has one end with it. */
static void find_chain(const hd_planner *planner, chain_node *nodes, size_t n)
{
    const hd_plan_node *node = &planner->nodes[n];
    const hd_plan_tensor *tensors = planner->tensors;
    uint32_t end = common_end(planner, nodes, n);
    chain_node grown;
    if (end != NO_CHAIN &&
        hd_shape_equal(&tensors[node->outputs[0]].shape,
                       &tensors[planner->nodes[end].outputs[0]].shape) &&
        grow(node, &nodes[end], &grown)) {
        nodes[end] = grown;
        nodes[n].end = end;
        return;
    }
    nodes[n] = (chain_node){.end = (uint32_t)n, .steps = 1};
    for (size_t i = 0; i < node->operation.input_count; i++) {
        (void)add_input(&nodes[n], node->inputs[i]); /* three at most */
    }
}

static uint16_t chain_input(chain *made, hd_tensor_id id)
{
    for (size_t i = 0; i < made->input_count; i++) {
        if (made->inputs[i] == id) {
            return (uint16_t)i;
        }
    }
    made->inputs[made->input_count] = id;
    return (uint16_t)made->input_count++;
}

/* Appends node n's step behind those that it reads; the chain is at most HD_ELEMENTWISE_MAX_STEPS deep. */
static bool add_steps(hd_planner *planner, chain_node *nodes, size_t n, chain *made)
{
    const hd_plan_node *node = &planner->nodes[n];
    hd_elementwise_step step = {.operand_count = (uint16_t)node->operation.input_count};
    for (size_t i = 0; i < step.operand_count; i++) {
        uint32_t p = planner->tensors[node->inputs[i]].producer;
        if (p == UINT32_MAX || nodes[p].end != nodes[n].end) {
            step.operands[i] = chain_input(made, node->inputs[i]);
            continue;
        }
        if (nodes[p].step == 0 && !add_steps(planner, nodes, p, made)) {
            return false;
        }
        step.operands[i] = (uint16_t)(STEP_REFERENCE | (nodes[p].step - 1));
    }
    step.operation = hd_region_copy(planner->region, &node->operation, sizeof node->operation);
    made->steps[made->step_count++] = step;
    nodes[n].step = (uint8_t)made->step_count;
    return step.operation != NULL;
}

static bool replace_chain(hd_planner *planner, chain_node *nodes, size_t n)
{
    chain made = {.step_count = 0};
    hd_fused *fused = hd_planner_new_fused(planner, HD_OP_HEDDLE_ELEMENTWISE);
    if (fused == NULL || !add_steps(planner, nodes, n, &made)) {
        return false;
    }
    for (size_t s = 0; s < made.step_count; s++) {
        for (size_t i = 0; i < made.steps[s].operand_count; i++) {
            uint16_t *operand = &made.steps[s].operands[i];
            if ((*operand & STEP_REFERENCE) != 0) {
                *operand = (uint16_t)(made.input_count + (*operand & ~STEP_REFERENCE));
            }
        }
    }
    hd_fused_elementwise *chain = &fused->elementwise;
    chain->step_count = made.step_count;
    chain->steps =
        hd_region_copy(planner->region, made.steps, made.step_count * sizeof made.steps[0]);
    hd_plan_node *node = &planner->nodes[n];
    hd_replacement replacement = {.id = HD_OP_HEDDLE_ELEMENTWISE,
                                  .inputs = made.inputs,
                                  .input_count = made.input_count,
                                  .fused = fused};
    return chain->steps != NULL && (!hd_planner_allows(planner, node, &replacement) ||
                                    hd_planner_replace(planner, node, &replacement));
}

bool hd_fuse_elementwise(hd_planner *planner)
{
    size_t count = planner->node_count;
    chain_node *nodes = hd_alloc_zero(count, sizeof *nodes);
    if (nodes == NULL) {
        return false;
    }
    for (size_t n = count; n-- > 0;) {
        nodes[n].end = NO_CHAIN;
        if (may_fuse(planner, &planner->nodes[n])) {
            find_chain(planner, nodes, n);
        }
    }
    bool fits = true;
    for (size_t n = 0; n < count && fits; n++) {
        if (nodes[n].end == n && nodes[n].steps > 1) {
            fits = replace_chain(planner, nodes, n);
        }
    }
    hd_free(nodes);
    return fits;
}

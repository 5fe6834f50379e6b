/* Chains of elementwise operators become one pass over memory each. A node is taken into its reader when
 * nobody else reads it and both have the same shape. */
#include "base/memory.h"
#include "graph/model.h"
#include "graph/passes.h"
#include "operation/fused.h"

#define STEP_REFERENCE 0x8000

/* What is known of each node while chains are found. */
typedef struct chain_state {
    bool *fuses;     /* may be a step */
    bool *merged;    /* is a step of its reader's chain */
    uint8_t *steps;  /* of the chain that ends here */
    uint8_t *inputs; /* of that chain, at most */
} chain_state;

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

/* Takes the producers of a node's inputs into its chain where they fit. */
static void merge_inputs(const hd_planner *planner, chain_state *state, size_t n)
{
    const hd_plan_node *node = &planner->nodes[n];
    size_t steps = 1, inputs = 0;
    for (size_t i = 0; i < node->operation.input_count; i++) {
        inputs += node->inputs[i] != HD_TENSOR_NONE;
    }
    for (size_t i = 0; i < node->operation.input_count; i++) {
        if (node->inputs[i] == HD_TENSOR_NONE) {
            continue;
        }
        const hd_plan_tensor *input = &planner->tensors[node->inputs[i]];
        hd_plan_node *user;
        uint32_t p = input->producer;
        if (p == UINT32_MAX || !state->fuses[p] || state->merged[p] ||
            !hd_shape_equal(&input->shape, &planner->tensors[node->outputs[0]].shape) ||
            hd_planner_users(planner, node->inputs[i], &user, 1) != 1 ||
            steps + state->steps[p] > HD_ELEMENTWISE_MAX_STEPS ||
            inputs + state->inputs[p] - 1 > HD_ELEMENTWISE_MAX_INPUTS) {
            continue;
        }
        state->merged[p] = true;
        steps += state->steps[p];
        inputs += state->inputs[p] - 1u; /* the tensor between them is none any more */
    }
    state->steps[n] = (uint8_t)steps;
    state->inputs[n] = (uint8_t)inputs;
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

/* Appends the steps of the chain that ends at node n, which is at most HD_ELEMENTWISE_MAX_STEPS deep. */
static bool add_steps(hd_planner *planner, const chain_state *state, size_t n, chain *made)
{
    const hd_plan_node *node = &planner->nodes[n];
    hd_elementwise_step step = {.operand_count = 0};
    for (size_t i = 0; i < node->operation.input_count; i++) {
        hd_tensor_id id = node->inputs[i];
        if (id == HD_TENSOR_NONE) {
            continue;
        }
        uint32_t p = planner->tensors[id].producer;
        uint16_t operand;
        if (p != UINT32_MAX && state->merged[p]) {
            /* An operand that is read twice, as in x·x, was computed already. */
            size_t known = 0;
            while (known < i && node->inputs[known] != id) {
                known++;
            }
            if (known < i) {
                operand = step.operands[known];
            } else {
                if (!add_steps(planner, state, p, made)) {
                    return false;
                }
                operand = (uint16_t)(STEP_REFERENCE | (made->step_count - 1));
            }
        } else {
            operand = chain_input(made, id);
        }
        step.operands[step.operand_count++] = operand;
    }
    step.operation = hd_region_copy(planner->region, &node->operation, sizeof node->operation);
    made->steps[made->step_count++] = step;
    return step.operation != NULL;
}

static bool replace_chain(hd_planner *planner, const chain_state *state, size_t n)
{
    chain made = {.step_count = 0};
    hd_fused *fused = hd_planner_new_fused(planner, HD_OP_HEDDLE_ELEMENTWISE);
    if (fused == NULL || !add_steps(planner, state, n, &made)) {
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
    unsigned char *memory = hd_alloc_zero(count, 4);
    if (memory == NULL) {
        return false;
    }
    chain_state state = {.fuses = (bool *)memory,
                         .merged = (bool *)memory + count,
                         .steps = memory + 2 * count,
                         .inputs = memory + 3 * count};
    for (size_t n = 0; n < count; n++) {
        state.fuses[n] = may_fuse(planner, &planner->nodes[n]);
        if (state.fuses[n]) {
            merge_inputs(planner, &state, n);
        }
    }
    bool fits = true;
    for (size_t n = 0; n < count && fits; n++) {
        if (state.fuses[n] && !state.merged[n] && state.steps[n] > 1) {
            fits = replace_chain(planner, &state, n);
        }
    }
    hd_free(memory);
    return fits;
}

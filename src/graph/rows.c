#include "graph/rows.h"

#include <string.h>

#include "base/float_environment.h"
#include "base/memory.h"
#include "graph/model.h"
#include "graph/planner.h"
#include "graph/planning.h"
#include "graph/row_rules.h"
#include "operation/narrow.h"

#define SAME_SHAPE  HD_MAX_RANK
#define OTHER_SHAPE (HD_MAX_RANK + 1)

/* A walk of the graph for a number of rows. */
typedef struct row_walk {
    hd_planner planner;
    hd_region region;
    hd_error own_error;
} row_walk;

typedef struct row_proof {
    row_walk one, many;
    int64_t count;
    hd_row_state *states; /* of the tensors of `many` */
    hd_tensor_id *pairs;  /* tensor of `many` -> its counterpart in `one` */
    bool *needed;         /* tensors of `many` on which a wanted output depends */
    hd_error *error;
} row_proof;

static hd_status fail_proof(const row_proof *proof, const hd_operation *operation,
                            const char *reason)
{
    return hd_operation_fail(operation, proof->error, HD_UNSUPPORTED,
                             "its rows are not proven independent: %s", reason);
}

static hd_status fail_memory(hd_error *error)
{
    return hd_fail(error, HD_OUT_OF_MEMORY, "no memory to prove that rows are independent");
}

static hd_status walk(row_walk *walk, const hd_model *model, const hd_shape *row_shapes,
                      const bool *wanted, int64_t count, hd_error *error)
{
    const hd_block *root = model->graph->root;
    hd_shape *shapes = hd_region_array(&walk->region, root->input_count, sizeof *shapes);
    const void **values = hd_region_array(&walk->region, root->input_count, sizeof *values);
    if (shapes == NULL || values == NULL) {
        return fail_memory(error);
    }
    for (size_t i = 0; i < root->input_count; i++) {
        const hd_graph_value *value = &model->graph->values[root->inputs[i]];
        bool is_fixed = value->has_rank && value->shape.rank > 0 && value->shape.dims[0] >= 0;
        shapes[i] = row_shapes[i];
        if (shapes[i].rank == 0 || shapes[i].dims[0] != 1 || is_fixed) {
            return hd_fail(error, HD_UNSUPPORTED,
                           "input '%s' has no dimension 0 in which rows could be stacked",
                           value->name);
        }
        shapes[i].dims[0] = count;
    }
    walk->planner = (hd_planner){.model = model,
                                 .graph = model->graph,
                                 .results = root,
                                 .region = &walk->region,
                                 .error = error != NULL ? error : &walk->own_error,
                                 .wanted = wanted,
                                 .budget = hd_budget_of(&model->options, model->brought),
                                 .keeps_moves = true};
    hd_plan_request request = {
        .model = model, .input_shapes = shapes, .input_values = values, .wanted = wanted};
    if (!hd_planner_start(&walk->planner, &request)) {
        return fail_memory(error);
    }
    hd_status status = hd_planner_walk(&walk->planner);
    if (status == HD_OK && (walk->planner.steering != 0 || walk->planner.cut_count > 0)) {
        status = hd_fail(error, HD_UNSUPPORTED,
                         "rows are not independent: shapes depend on the inputs' elements");
    }
    return status;
}

static void end_walk(row_walk *walk)
{
    hd_planner_clear(&walk->planner);
    hd_region_clear(&walk->region);
}

/* Each row of `many` along `axis` has the elements of `one`. */
static bool repeats_rows(const hd_plan_tensor *one, const hd_plan_tensor *many, uint32_t axis,
                         int64_t count)
{
    size_t outer = (size_t)hd_shape_count_range(&one->shape, 0, axis);
    size_t block = (size_t)hd_shape_count_range(&one->shape, axis, one->shape.rank) *
                   hd_dtype_size(one->dtype);
    for (size_t i = 0; block > 0 && i < outer * (size_t)count; i++) {
        if (memcmp((const char *)many->data + i * block,
                   (const char *)one->data + i / (size_t)count * block, block) != 0) {
            return false;
        }
    }
    return true;
}

/* The state of a tensor whose elements are known in both walks. */
static hd_row_state compare_known(const hd_plan_tensor *one, const hd_plan_tensor *many,
                                  int64_t count)
{
    hd_row_state state = {.kind = HD_ROWS_DIFFERENT};
    if (one->dtype != many->dtype || one->packed != many->packed) {
        return state;
    }
    if (one->packed != NULL) {
        state.kind = HD_ROWS_UNIFORM; /* a weight of the model */
        return state;
    }
    uint32_t axis = hd_rows_axis(&one->shape, &many->shape, count);
    if (axis == SAME_SHAPE) {
        size_t size = (size_t)hd_shape_count(&one->shape) * hd_dtype_size(one->dtype);
        if (one->data == many->data || size == 0 || memcmp(one->data, many->data, size) == 0) {
            state.kind = HD_ROWS_UNIFORM;
        }
    } else if (axis != OTHER_SHAPE && repeats_rows(one, many, axis, count)) {
        state = (hd_row_state){HD_ROWS_STACKED, axis};
    }
    return state;
}

static bool is_known(const hd_plan_tensor *tensor)
{
    return tensor->data != NULL || tensor->packed != NULL || hd_shape_count(&tensor->shape) == 0;
}

/* Sets the state of one operand of `many`; false: the two walks are not over the same operands. */
static bool pair_operand(row_proof *proof, hd_tensor_id one, hd_tensor_id many, hd_row_state *state)
{
    *state = (hd_row_state){.kind = HD_ROWS_UNIFORM};
    if (one == HD_TENSOR_NONE || many == HD_TENSOR_NONE) {
        return one == many;
    }
    const hd_plan_tensor *first = &proof->one.planner.tensors[one];
    const hd_plan_tensor *second = &proof->many.planner.tensors[many];
    if (is_known(first) && is_known(second)) {
        *state = compare_known(first, second, proof->count);
        return true;
    }
    *state = proof->states[many];
    return proof->pairs[many] == one;
}

static hd_status check_output(row_proof *proof, const hd_row_node *node, size_t index,
                              bool all_uniform, hd_tensor_id one, hd_tensor_id many)
{
    const hd_shape *before = &proof->one.planner.tensors[one].shape;
    const hd_shape *after = &proof->many.planner.tensors[many].shape;
    uint32_t axis = hd_rows_axis(before, after, proof->count);
    proof->pairs[many] = one;
    if (all_uniform && axis == SAME_SHAPE) {
        proof->states[many] = (hd_row_state){.kind = HD_ROWS_UNIFORM};
        return HD_OK;
    }
    if (axis >= HD_MAX_RANK) {
        return fail_proof(proof, node->many, "the shape of its output does not grow with the rows");
    }
    hd_row_rule *rule = hd_operator_of(node->many->id)->rows;
    const char *reason =
        rule == NULL ? "no rule is known for this operator" : rule(node, index, axis);
    proof->states[many] = (hd_row_state){HD_ROWS_STACKED, axis};
    return reason == NULL ? HD_OK : fail_proof(proof, node->many, reason);
}

static hd_status check_node(row_proof *proof, const hd_plan_node *one, const hd_plan_node *many)
{
    const hd_operation *operation = &many->operation;
    if (one->operation.id != operation->id || one->operation.attributes != operation->attributes ||
        one->operation.input_count != operation->input_count ||
        one->operation.output_count != operation->output_count) {
        return fail_proof(proof, operation, "another number of rows takes another way");
    }
    hd_row_state *inputs =
        hd_region_array(&proof->many.region, operation->input_count, sizeof *inputs);
    if (inputs == NULL) {
        return fail_memory(proof->error);
    }
    bool all_uniform = true;
    for (size_t i = 0; i < operation->input_count; i++) {
        if (!pair_operand(proof, one->inputs[i], many->inputs[i], &inputs[i])) {
            return fail_proof(proof, operation, "another number of rows takes another way");
        }
        all_uniform = all_uniform && inputs[i].kind == HD_ROWS_UNIFORM;
    }
    hd_row_node node = {&one->operation, operation, proof->count, inputs};
    hd_status status = HD_OK;
    for (size_t i = 0; i < operation->output_count && status == HD_OK; i++) {
        hd_tensor_id id = many->outputs[i];
        if (id != HD_TENSOR_NONE && proof->needed[id]) {
            status = check_output(proof, &node, i, all_uniform, one->outputs[i], id);
        }
    }
    return status;
}

/* Marks what the wanted outputs depend on. */
static void mark_needed(row_proof *proof)
{
    const hd_planner *planner = &proof->many.planner;
    const hd_block *root = planner->graph->root;
    for (size_t i = 0; i < root->output_count; i++) {
        if (planner->wanted[i]) {
            proof->needed[planner->map[root->outputs[i]]] = true;
        }
    }
    for (size_t n = planner->node_count; n-- > 0;) {
        const hd_plan_node *node = &planner->nodes[n];
        bool is_needed = false;
        for (size_t i = 0; i < node->operation.output_count; i++) {
            is_needed = is_needed ||
                        (node->outputs[i] != HD_TENSOR_NONE && proof->needed[node->outputs[i]]);
        }
        for (size_t i = 0; is_needed && i < node->operation.input_count; i++) {
            if (node->inputs[i] != HD_TENSOR_NONE) {
                proof->needed[node->inputs[i]] = true;
            }
        }
    }
}

static bool is_needed(const row_proof *proof, const hd_plan_node *node)
{
    for (size_t i = 0; i < node->operation.output_count; i++) {
        if (node->outputs[i] != HD_TENSOR_NONE && proof->needed[node->outputs[i]]) {
            return true;
        }
    }
    return false;
}

static hd_status check_nodes(row_proof *proof)
{
    const hd_planner *one = &proof->one.planner, *many = &proof->many.planner;
    const hd_block *root = many->graph->root;
    for (size_t i = 0; i < root->input_count; i++) {
        hd_tensor_id id = many->map[root->inputs[i]];
        proof->pairs[id] = one->map[root->inputs[i]];
        proof->states[id] = (hd_row_state){HD_ROWS_STACKED, 0};
    }
    if (one->node_count != many->node_count) {
        return hd_fail(proof->error, HD_UNSUPPORTED,
                       "rows are not proven independent: %zu nodes for one row, %zu for %lld",
                       one->node_count, many->node_count, (long long)proof->count);
    }
    hd_status status = HD_OK;
    for (size_t n = 0; n < many->node_count && status == HD_OK; n++) {
        if (is_needed(proof, &many->nodes[n])) {
            status = check_node(proof, &one->nodes[n], &many->nodes[n]);
        }
    }
    return status;
}

static bool is_packed(const hd_planner *planner, hd_value value)
{
    const hd_tensor_id id = planner->map[value];
    return id != HD_TENSOR_NONE && hd_narrow_is_packed(planner->tensors[id].dtype);
}

static hd_status check_results(row_proof *proof)
{
    const hd_planner *one = &proof->one.planner, *many = &proof->many.planner;
    const hd_block *root = many->graph->root;
    for (size_t i = 0; i < root->output_count; i++) {
        if (!many->wanted[i]) {
            continue;
        }
        hd_value value = root->outputs[i];
        hd_row_state state;
        bool paired = pair_operand(proof, one->map[value], many->map[value], &state);
        if (is_packed(many, value)) { /* a row may begin within a byte */
            return hd_fail(proof->error, HD_UNSUPPORTED, "rows of output '%s' are packed",
                           root->output_names[i]);
        }
        if (!paired || state.kind != HD_ROWS_STACKED || state.axis != 0) {
            return hd_fail(
                proof->error, HD_UNSUPPORTED,
                "rows are not independent: output '%s' does not have them in dimension 0",
                root->output_names[i]);
        }
    }
    return HD_OK;
}

static hd_status prove(const hd_model *model, const hd_shape *row_shapes, const bool *wanted,
                       int64_t count, hd_error *error)
{
    row_proof proof = {.count = count, .error = error};
    hd_float_environment saved;
    hd_float_environment_enter(&saved); /* what is folded is computed as in a run */
    hd_status status = walk(&proof.one, model, row_shapes, wanted, 1, error);
    if (status == HD_OK) {
        status = walk(&proof.many, model, row_shapes, wanted, count, error);
    }
    hd_float_environment_leave(&saved);
    if (status == HD_OK) {
        size_t tensors = proof.many.planner.tensor_count;
        proof.states = hd_region_array(&proof.many.region, tensors, sizeof *proof.states);
        proof.pairs = hd_region_array(&proof.many.region, tensors, sizeof *proof.pairs);
        proof.needed = hd_region_array(&proof.many.region, tensors, sizeof *proof.needed);
        if (proof.states == NULL || proof.pairs == NULL || proof.needed == NULL) {
            status = fail_memory(error);
        }
    }
    if (status == HD_OK) {
        mark_needed(&proof);
        status = check_nodes(&proof);
    }
    if (status == HD_OK) {
        status = check_results(&proof);
    }
    end_walk(&proof.one);
    end_walk(&proof.many);
    return status;
}

/* Texts of a batch are one block, which is no rows one behind the other. */
static bool has_texts(const hd_model *model)
{
    bool found = false;
    for (size_t v = 1; v < model->graph->value_count; v++) {
        found = found || model->graph->values[v].dtype == HD_STRING;
    }
    return found;
}

hd_status hd_model_prove_rows(const hd_model *model, const hd_shape *row_shapes, const bool *wanted,
                              int64_t count, hd_error *error)
{
    if (has_texts(model)) {
        return hd_fail(error, HD_UNSUPPORTED, "rows with texts are not stacked");
    }
    hd_memory_scope scope;
    hd_memory_scope_enter(&scope, hd_memory_account_owner(&model->device->memory, HD_MEMORY_PLANS),
                          hd_budget_of(&model->options, model->brought).plans);
    hd_status status = prove(model, row_shapes, wanted, count, error);
    hd_memory_scope_leave(&scope);
    return status;
}

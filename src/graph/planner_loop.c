/* Loops that become parts of a plan; see planner_blocks.h. */
#include <string.h>

#include "base/memory.h"
#include "graph/planner_blocks.h"

/* Room for the scan outputs of a Loop that ends by its condition: as many turns as fit in so many bytes; when
 * they are over, the next part has room for four times as many. */
#define CHUNK_BYTES       ((size_t)4 << 20)
#define CHUNK_TURNS_LEAST 64
#define CHUNK_TURNS_MOST  ((int64_t)1 << 16)

static hd_status out_of_memory(hd_planner *planner)
{
    return hd_fail(planner->error, HD_OUT_OF_MEMORY, "no memory for a plan");
}

/* A Loop on its way to become a part. */
typedef struct loop_draft {
    hd_planner *planner; /* of what the Loop stands in */
    hd_planner inner;
    const hd_node *node;
    const hd_block *body;
    hd_error error; /* why the body cannot become a part */
    size_t scan_total;
    size_t *varying; /* carried values that do not stay as they are */
    size_t varying_count;
    size_t *scans; /* scan outputs that somebody reads */
    size_t scan_count;
    int64_t limit; /* turns */
    bool ends_early;
} loop_draft;

/* Finds the carried values that the body gives back just as it got them. They are known where they were
 * known outside; nothing is copied for them. */
static bool find_varying(loop_draft *draft, size_t carried)
{
    const hd_block *body = draft->body;
    hd_value *same = hd_alloc_zero(draft->planner->graph->value_count, sizeof *same);
    draft->varying = hd_region_array(draft->planner->region, carried, sizeof *draft->varying);
    if (same == NULL || draft->varying == NULL) {
        hd_free(same);
        return false;
    }
    for (size_t n = 0; n < body->node_count; n++) {
        const hd_node *node = &body->nodes[n];
        if (node->operator->id == HD_OP_IDENTITY) {
            same[node->outputs[0]] =
                same[node->inputs[0]] != 0 ? same[node->inputs[0]] : node->inputs[0];
        }
    }
    for (size_t i = 0; i < carried; i++) {
        hd_value output = body->outputs[1 + i];
        if (output != body->inputs[2 + i] && same[output] != body->inputs[2 + i]) {
            draft->varying[draft->varying_count++] = i;
        }
    }
    hd_free(same);
    return true;
}

/* The body's inputs; false when out of memory. */
static bool bind_inputs(loop_draft *draft, size_t carried)
{
    hd_planner *planner = draft->planner, *inner = &draft->inner;
    const hd_block *body = draft->body;
    int64_t number = 0;
    uint8_t yes = 1;
    if (!hd_planner_bind_known(inner, body->inputs[0], HD_INT64, &number) ||
        !hd_planner_bind_known(inner, body->inputs[1], HD_BOOL, &yes)) {
        return false;
    }
    hd_plan_tensor *first = &inner->tensors[inner->map[body->inputs[0]]];
    first->data = NULL;
    first->origin = UINT64_MAX;
    first->input_index = 0;
    inner->first_captured = 1 + (int32_t)draft->varying_count;
    for (size_t i = 0, v = 0; i < carried; i++) {
        hd_value value = body->inputs[2 + i];
        hd_tensor_id outer = planner->map[value];
        if (v == draft->varying_count || draft->varying[v] != i) {
            continue; /* read where it is, as any outer value */
        }
        const hd_plan_tensor from = planner->tensors[outer];
        hd_tensor_id id = from.packed != NULL && from.data == NULL
                              ? HD_TENSOR_NONE
                              : hd_planner_new_tensor(inner, from.dtype, &from.shape);
        if (id == HD_TENSOR_NONE) {
            return false;
        }
        inner->tensors[id].origin = UINT64_MAX;
        inner->tensors[id].input_index = 1 + (int32_t)v++;
        inner->map[value] = id;
    }
    return true;
}

/* Whether what the body gives is what it got, and its condition is one. */
static bool fits_itself(loop_draft *draft)
{
    hd_planner *planner = draft->planner, *inner = &draft->inner;
    const hd_block *body = draft->body;
    hd_tensor_id condition = hd_planner_find(inner, body->outputs[0]);
    if (condition == HD_TENSOR_NONE || inner->tensors[condition].dtype != HD_BOOL ||
        hd_shape_count(&inner->tensors[condition].shape) != 1) {
        return false;
    }
    const uint8_t *known = inner->tensors[condition].data;
    draft->ends_early = known == NULL;
    if (known != NULL && *known == 0) {
        return false;
    }
    for (size_t v = 0; v < draft->varying_count; v++) {
        hd_tensor_id before = planner->map[body->inputs[2 + draft->varying[v]]];
        hd_tensor_id after = hd_planner_find(inner, body->outputs[1 + draft->varying[v]]);
        if (after == HD_TENSOR_NONE ||
            !hd_plan_tensor_equal(&planner->tensors[before], &inner->tensors[after])) {
            return false;
        }
    }
    return true;
}

/* Finds the scan outputs that are wanted, and how many turns there is room for; false: it cannot be. */
static bool find_scans(loop_draft *draft, const hd_frame *frame, size_t carried)
{
    hd_planner *inner = &draft->inner;
    size_t bytes = 0;
    draft->scans = hd_region_array(inner->region, draft->scan_total, sizeof *draft->scans);
    if (draft->scans == NULL) {
        return false;
    }
    for (size_t i = 0; i < draft->scan_total; i++) {
        size_t output = carried + i;
        if (output >= draft->node->output_count || draft->node->outputs[output] == HD_VALUE_NONE) {
            continue;
        }
        hd_tensor_id id = hd_planner_find(inner, draft->body->outputs[1 + output]);
        if (id == HD_TENSOR_NONE || inner->tensors[id].shape.rank == HD_MAX_RANK ||
            !hd_add_size(bytes, hd_plan_tensor_size(&inner->tensors[id]), &bytes)) {
            return false;
        }
        draft->scans[draft->scan_count++] = i;
    }
    int64_t left = (frame->trip_count < 0 ? INT64_MAX : frame->trip_count) - frame->iteration;
    draft->limit = left;
    if (!draft->ends_early) {
        return frame->trip_count >= 0;
    }
    if (draft->scan_count > 0) {
        size_t chunks = frame->scan_count / draft->scan_total - frame->rows_apart;
        int64_t turns = bytes == 0 ? CHUNK_TURNS_MOST : (int64_t)(CHUNK_BYTES / bytes);
        turns = turns < CHUNK_TURNS_LEAST ? CHUNK_TURNS_LEAST : turns;
        turns = (turns > CHUNK_TURNS_MOST ? CHUNK_TURNS_MOST : turns)
                << 2 * (chunks < 20 ? chunks : 20);
        draft->limit = left < turns ? left : turns;
        /* within a block there are no segments that could follow */
        return draft->planner->outer == NULL;
    }
    return true;
}

/* The shape of scan output `index` of all turns; false where its size overflows. */
static bool stacked_shape(const loop_draft *draft, hd_tensor_id part, hd_shape *out)
{
    const hd_plan_tensor *tensor = &draft->inner.tensors[part];
    out->rank = tensor->shape.rank + 1;
    out->dims[0] = draft->limit;
    memcpy(&out->dims[1], tensor->shape.dims, tensor->shape.rank * sizeof *out->dims);
    return hd_shape_is_valid(out, tensor->dtype);
}

/* Fills the part and makes its tensors: `outputs`, as hd_plan_control says. */
static bool make_results(loop_draft *draft, hd_plan_control *control, size_t carried,
                         hd_tensor_id *outputs)
{
    hd_planner *planner = draft->planner, *inner = &draft->inner;
    size_t *sizes =
        hd_region_array(planner->region, draft->varying_count + draft->scan_count, sizeof *sizes);
    hd_shape *shapes = hd_region_array(planner->region, draft->scan_count, sizeof *shapes);
    if (sizes == NULL || shapes == NULL) {
        return false;
    }
    size_t count = 0, second = draft->varying_count + draft->scan_count;
    for (size_t v = 0; v < draft->varying_count; v++) {
        const hd_plan_tensor from =
            planner->tensors[planner->map[draft->body->inputs[2 + draft->varying[v]]]];
        sizes[v] = (size_t)hd_shape_count(&from.shape) * hd_dtype_size(from.dtype);
        outputs[count++] = hd_planner_new_result(planner, from.dtype, &from.shape);
        outputs[second + v] = hd_planner_new_result(planner, from.dtype, &from.shape);
    }
    for (size_t s = 0; s < draft->scan_count; s++) {
        hd_tensor_id part =
            hd_planner_find(inner, draft->body->outputs[1 + carried + draft->scans[s]]);
        hd_shape shape;
        if (!stacked_shape(draft, part, &shape)) {
            return false;
        }
        sizes[draft->varying_count + s] = hd_plan_tensor_size(&inner->tensors[part]);
        shapes[s] = inner->tensors[part].shape;
        outputs[count++] = hd_planner_new_result(planner, inner->tensors[part].dtype, &shape);
    }
    count += draft->varying_count;
    outputs[count++] = hd_planner_new_memory(planner, control);
    if (control->notes_turns) {
        hd_shape shape = {.rank = 1, .dims = {2}};
        outputs[count++] = hd_planner_new_result(planner, HD_INT64, &shape);
    }
    control->carried_sizes = sizes;
    control->result_sizes = sizes + draft->varying_count;
    control->result_shapes = shapes;
    return true;
}

/* Puts the part in the plan, and the frame behind its turns. */
static bool place_loop(loop_draft *draft, hd_plan *plan, size_t carried)
{
    hd_planner *planner = draft->planner;
    size_t kept = draft->varying_count, scans = draft->scan_count,
           captured = draft->inner.captured_count;
    hd_plan_control *control = hd_region_alloc(planner->region, sizeof *control);
    hd_tensor_id *inputs = hd_region_array(planner->region, kept + captured, sizeof *inputs);
    hd_tensor_id *outputs = hd_region_array(planner->region, 2 * kept + scans + 2, sizeof *outputs);
    hd_frame *frame = &planner->frames[planner->frame_count - 1];
    if (control == NULL || inputs == NULL || outputs == NULL ||
        !hd_planner_reserve_scans(planner, frame, draft->scan_total)) {
        return false;
    }
    *control = (hd_plan_control){.name = draft->node->name,
                                 .is_loop = true,
                                 .blocks = {plan, NULL},
                                 .captured = {captured, 0},
                                 .carried = kept,
                                 .results = scans,
                                 .first = frame->iteration,
                                 .limit = draft->limit,
                                 .ends_early = draft->ends_early,
                                 .notes_turns = draft->ends_early && scans > 0,
                                 .plan_work = draft->inner.work,
                                 .turn_work = draft->inner.run_work};
    for (size_t v = 0; v < kept; v++) {
        inputs[v] = planner->map[draft->body->inputs[2 + draft->varying[v]]];
    }
    if (captured > 0) {
        memcpy(inputs + kept, draft->inner.captured, captured * sizeof *inputs);
    }
    size_t output_count = 2 * kept + scans + 1 + control->notes_turns;
    if (!make_results(draft, control, carried, outputs) ||
        hd_planner_new_part(planner, control, inputs, kept + captured, outputs, output_count) ==
            NULL) {
        return false;
    }
    for (size_t v = 0; v < kept; v++) {
        planner->map[draft->body->inputs[2 + draft->varying[v]]] = outputs[v];
    }
    for (size_t i = 0, s = 0; i < draft->scan_total; i++) {
        bool is_wanted = s < scans && draft->scans[s] == i;
        frame->scans[frame->scan_count++] = is_wanted ? outputs[kept + s++] : HD_TENSOR_NONE;
    }
    if (!control->notes_turns) {
        frame->iteration += draft->limit;
        return true;
    }
    frame->is_pending = true;
    frame->state = outputs[output_count - 1];
    frame->turn_work = control->turn_work;
    frame->next = frame->block->node_count;
    for (size_t s = 0; s < scans; s++) {
        if (!hd_planner_add_extent(planner, outputs[kept + s])) {
            return false;
        }
    }
    return hd_planner_add_cut(planner, frame->state);
}

/* Values that the body's plan gives: what varies, the scans that are wanted, the condition. */
static hd_plan *plan_body(loop_draft *draft, size_t carried)
{
    size_t count = draft->varying_count + draft->scan_count + draft->ends_early, used = 0;
    hd_value *values = hd_region_array(draft->planner->region, count, sizeof *values);
    if (values == NULL) {
        return NULL;
    }
    for (size_t v = 0; v < draft->varying_count; v++) {
        values[used++] = draft->body->outputs[1 + draft->varying[v]];
    }
    for (size_t s = 0; s < draft->scan_count; s++) {
        values[used++] = draft->body->outputs[1 + carried + draft->scans[s]];
    }
    if (draft->ends_early) {
        values[used++] = draft->body->outputs[0];
    }
    return hd_block_plan(&draft->inner, values, count);
}

/* A draft for the Loop on top; NULL when out of memory. */
static loop_draft *new_draft(hd_planner *planner)
{
    const hd_frame *frame = &planner->frames[planner->frame_count - 1];
    loop_draft *draft = hd_alloc_zero(1, sizeof *draft); /* not on the stack, where blocks nest */
    if (draft != NULL) {
        draft->planner = planner;
        draft->node = frame->node;
        draft->body = frame->block;
        draft->scan_total = frame->block->output_count + 1 - frame->block->input_count;
    }
    return draft;
}

static void end_draft(loop_draft *draft)
{
    if (draft->inner.outer != NULL) {
        hd_block_end(draft->planner, &draft->inner);
    }
    hd_free(draft);
}

static bool walk_body(loop_draft *draft, size_t carried)
{
    return find_varying(draft, carried) &&
           hd_block_start(draft->planner, &draft->inner, draft->body, &draft->error) &&
           bind_inputs(draft, carried) && hd_block_walk(&draft->inner);
}

hd_status hd_planner_make_loop(hd_planner *planner, bool *made)
{
    const hd_frame frame = planner->frames[planner->frame_count - 1];
    size_t carried = frame.block->input_count - 2;
    *made = false;
    if (planner->depth == HD_BLOCK_DEPTH_LIMIT) {
        return HD_OK;
    }
    loop_draft *draft = new_draft(planner);
    if (draft == NULL) {
        return out_of_memory(planner);
    }
    hd_status status = HD_OK;
    if (walk_body(draft, carried) && fits_itself(draft) && find_scans(draft, &frame, carried)) {
        hd_plan *plan = plan_body(draft, carried);
        if (plan != NULL) {
            *made = true;
            status = place_loop(draft, plan, carried) ? HD_OK : out_of_memory(planner);
        }
    }
    end_draft(draft);
    return status;
}

void hd_planner_infer_scans(hd_planner *planner, hd_plan_tensor *scans)
{
    const hd_block *body = planner->frames[planner->frame_count - 1].block;
    uint64_t steering = planner->steering;
    loop_draft *draft = planner->depth == HD_BLOCK_DEPTH_LIMIT ? NULL : new_draft(planner);
    if (draft == NULL) {
        return;
    }
    size_t carried = body->input_count - 2;
    if (walk_body(draft, carried)) {
        for (size_t i = 0; i < draft->scan_total; i++) {
            hd_tensor_id id = hd_planner_find(&draft->inner, body->outputs[1 + carried + i]);
            if (id != HD_TENSOR_NONE) {
                scans[i] = draft->inner.tensors[id];
            }
        }
    }
    end_draft(draft);
    planner->steering = steering; /* nothing is computed, so nothing steers */
}

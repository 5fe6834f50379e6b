/* hd_inspection_create: the file's own words first, then its nodes, then the graph that can be made of it, and at last the
 * model and its plan. */
#include <stdio.h>
#include <string.h>

#include "base/float_environment.h"
#include "base/memory.h"
#include "base/thread.h"
#include "graph/budget.h"
#include "graph/model.h"
#include "graph/planning.h"
#include "graph/survey.h"
#include "onnx/import.h"
#include "onnx/inspection.h"
#include "onnx/missing.h"
#include "onnx/resolve.h"
#include "onnx/visit.h"
#include "operation/operation.h"

#define STEERING_LIMIT 64 /* inputs, whose bits a plan asks for in turn */

typedef struct inspector {
    hd_inspection *result;
    const hd_inspect_options *options;
    hd_region region;   /* of the scopes */
    const char *device; /* the device's name, in the result's region */
} inspector;

static hd_status out_of_memory(hd_error *error)
{
    return hd_fail(error, HD_OUT_OF_MEMORY, "no memory to inspect the file");
}

/* --- the file's own words */

static uint64_t add_bounded(uint64_t a, uint64_t b)
{
    return a + b < a ? UINT64_MAX : a + b;
}

static void count_parameters(hd_inspection_summary *summary, const Onnx__GraphProto *graph,
                             unsigned int depth)
{
    for (size_t i = 0; i < graph->n_initializer; i++) {
        const Onnx__TensorProto *tensor = graph->initializer[i];
        uint64_t count = 1, size = hd_dtype_size(hd_onnx_dtype(tensor->data_type));
        for (size_t d = 0; d < tensor->n_dims; d++) {
            uint64_t dim = tensor->dims[d] < 0 ? 0 : (uint64_t)tensor->dims[d];
            count = __builtin_mul_overflow(count, dim, &count) ? UINT64_MAX : count;
        }
        uint64_t bytes = __builtin_mul_overflow(count, size, &bytes) ? UINT64_MAX : bytes;
        summary->parameter_tensors++;
        summary->parameter_count = add_bounded(summary->parameter_count, count);
        summary->parameter_bytes = add_bounded(summary->parameter_bytes, bytes);
    }
    for (size_t n = 0; n < graph->n_node && depth < HD_ONNX_DEPTH_LIMIT; n++) {
        for (size_t a = 0; a < graph->node[n]->n_attribute; a++) {
            if (graph->node[n]->attribute[a]->g != NULL) {
                count_parameters(summary, graph->node[n]->attribute[a]->g, depth + 1);
            }
        }
    }
}

static bool describe_values(inspector *self, const Onnx__GraphProto *graph)
{
    hd_onnx_names initializers = {NULL};
    bool fits = true;
    for (size_t i = 0; i < graph->n_initializer && fits; i++) {
        const char *name = graph->initializer[i]->name;
        fits = name == NULL || hd_onnx_names_put(&initializers, &self->region, name) != NULL;
    }
    for (size_t i = 0; i < graph->n_input && fits; i++) {
        const char *name = graph->input[i]->name;
        if (name == NULL || hd_onnx_names_find(&initializers, name) == NULL) {
            fits = hd_inspection_add_value(self->result, &self->result->inputs, graph->input[i]);
        }
    }
    for (size_t i = 0; i < graph->n_output && fits; i++) {
        fits = hd_inspection_add_value(self->result, &self->result->outputs, graph->output[i]);
    }
    return fits;
}

static bool describe_file(inspector *self, const Onnx__ModelProto *model)
{
    hd_inspection *result = self->result;
    hd_inspection_summary *summary = &result->summary;
    const struct {
        const char **to;
        const char *from;
    } texts[] = {{&summary->producer, model->producer_name},
                 {&summary->producer_version, model->producer_version},
                 {&summary->graph_name, model->graph->name},
                 {&summary->domain, model->domain}};
    bool fits = true;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0] && fits; i++) {
        *texts[i].to =
            hd_region_copy_text(&result->region, texts[i].from == NULL ? "" : texts[i].from);
        fits = *texts[i].to != NULL;
    }
    for (size_t i = 0; i < model->n_opset_import && fits; i++) {
        const Onnx__OperatorSetIdProto *set = model->opset_import[i];
        fits = hd_inspection_add_opset(result, set->domain, set->has_version ? set->version : 1);
    }
    summary->ir_version = model->has_ir_version ? model->ir_version : 0;
    summary->model_version = model->has_model_version ? model->model_version : 0;
    count_parameters(summary, model->graph, 0);
    return fits && describe_values(self, model->graph);
}

/* --- its nodes */

static bool walk_scope(inspector *self, const hd_onnx_scope *scope)
{
    bool fits = true;
    for (size_t i = 0; i < scope->order_count && fits; i++) {
        const hd_onnx_scope_node *entry = &scope->nodes[scope->order[i]];
        if (entry->call != NULL) {
            fits = walk_scope(self, entry->call);
            continue;
        }
        fits = hd_inspection_add_node(self->result, entry->node);
        for (size_t b = 0; b < 2 && entry->inner[b] != NULL && fits; b++) {
            fits = walk_scope(self, entry->inner[b]);
        }
    }
    return fits;
}

/* The type as findings name it, in the scopes' region; NULL when out of memory. */
static const char *full_type(inspector *self, const Onnx__NodeProto *node)
{
    const char *type = hd_onnx_node_type(node);
    if (hd_onnx_is_default_domain(node->domain)) {
        return type;
    }
    size_t size = strlen(node->domain) + strlen(type) + 2;
    char *text = hd_region_alloc(&self->region, size);
    if (text != NULL) {
        snprintf(text, size, "%s.%s", node->domain, type);
    }
    return text;
}

static bool tell_node(void *context, const Onnx__NodeProto *node, const hd_error *error)
{
    inspector *self = context;
    if (node == NULL) {
        return hd_inspection_add_finding(self->result, NULL, NULL, error);
    }
    const char *name = hd_onnx_node_name(node), *type = full_type(self, node);
    hd_inspection_node *entry = hd_inspection_find_node(self->result, name);
    if (entry != NULL) {
        entry->device = "none";
    }
    return type != NULL && hd_inspection_add_finding(self->result, name, type, error);
}

/* Where the names do not resolve there is no order of nodes: all of them are listed as they stand in the file. */
static bool walk_graph(inspector *self, const Onnx__GraphProto *graph, unsigned int depth)
{
    const hd_error missing = {.status = HD_UNSUPPORTED, .message = HD_ONNX_NO_OPERATOR};
    bool fits = true;
    for (size_t n = 0; n < graph->n_node && fits; n++) {
        const Onnx__NodeProto *node = graph->node[n];
        fits = hd_inspection_add_node(self->result, node) &&
               (hd_onnx_has_operator(node) || tell_node(self, node, &missing));
        for (size_t a = 0; a < node->n_attribute && fits && depth < HD_ONNX_DEPTH_LIMIT; a++) {
            const Onnx__GraphProto *inner = node->attribute[a]->g;
            fits = inner == NULL || walk_graph(self, inner, depth + 1);
        }
    }
    return fits;
}

/* --- the graph */

static bool tell_survey(void *context, const hd_node *node, hd_survey_place place,
                        const hd_error *error)
{
    inspector *self = context;
    hd_inspection_node *entry = hd_inspection_find_node(self->result, node->name);
    const char *const devices[] = {[HD_SURVEY_DEVICE] = self->device,
                                   [HD_SURVEY_HOST] = "cpu",
                                   [HD_SURVEY_NONE] = "none",
                                   [HD_SURVEY_UNKNOWN] = "unknown",
                                   [HD_SURVEY_MOVES_NOTHING] = "merged"};
    if (entry != NULL) {
        entry->device = devices[place];
    }
    return place != HD_SURVEY_NONE ||
           hd_inspection_add_finding(self->result, node->name, hd_operator_name(node->operator->id),
                                     error);
}

/* The caller's shape of an input; false: there is none that fits. */
static bool find_shape(const inspector *self, const char *name, hd_shape *out)
{
    for (size_t i = 0; self->options != NULL && i < self->options->shape_count; i++) {
        const hd_tensor *tensor = &self->options->shapes[i];
        if (tensor->name != NULL && strcmp(tensor->name, name) == 0 &&
            tensor->rank <= HD_MAX_RANK) {
            *out = (hd_shape){.rank = tensor->rank};
            memcpy(out->dims, tensor->dims, tensor->rank * sizeof *tensor->dims);
            return true;
        }
    }
    return false;
}

static hd_status survey_graph(inspector *self, hd_graph *graph, hd_error *error)
{
    size_t count = graph->root->input_count;
    hd_shape *shapes = hd_region_array(&self->region, count, sizeof *shapes);
    const hd_shape **given = hd_region_array(&self->region, count, sizeof *given);
    if (shapes == NULL || given == NULL) {
        return out_of_memory(error);
    }
    for (size_t i = 0; i < count; i++) {
        if (find_shape(self, graph->values[graph->root->inputs[i]].name, &shapes[i])) {
            given[i] = &shapes[i];
        }
    }
    hd_error refused = {.status = HD_OK};
    hd_status status = hd_graph_promote_halves(graph, &refused);
    if (status == HD_OUT_OF_MEMORY ||
        (status != HD_OK && !hd_inspection_add_finding(self->result, NULL, NULL, &refused))) {
        return out_of_memory(error);
    }
    for (size_t i = 0; i < count; i++) {
        const hd_graph_value *value = &graph->values[graph->root->inputs[i]];
        for (uint32_t d = 0; given[i] == NULL && value->has_rank && d < value->shape.rank; d++) {
            self->result->summary.is_guessed |= value->shape.dims[d] < 0;
        }
    }
    hd_survey_listener listener = {tell_survey, self};
    return hd_graph_survey(self->result->device, graph, given, self->result->summary.is_guessed,
                           &listener, error);
}

/* What failed is a finding, unless memory did. */
static hd_status note_failure(inspector *self, hd_status status, const hd_error *found,
                              hd_error *error)
{
    if (status == HD_OK) {
        return HD_OK;
    }
    return status != HD_OUT_OF_MEMORY && hd_inspection_add_finding(self->result, NULL, NULL, found)
               ? HD_OK
               : out_of_memory(error);
}

static hd_status inspect_model(void *context, const hd_onnx_origin *origin,
                               const Onnx__ModelProto *model, hd_error *error)
{
    inspector *self = context;
    hd_error found = {.status = HD_OK};
    hd_onnx_resolver resolver = {.region = &self->region, .model = model, .error = &found};
    hd_onnx_scope *root = NULL;
    if (!describe_file(self, model)) {
        return out_of_memory(error);
    }
    hd_status status = hd_onnx_find_opset(model, &resolver.opset, &found);
    status = note_failure(self, status, &found, error);
    if (status != HD_OK) {
        return status;
    }
    /* As of the nearest opset that is known, so that the rest can be looked at. */
    int64_t last = HD_ONNX_OPSET_MAX;
    resolver.opset = resolver.opset > last ? last : resolver.opset < 1 ? 1 : resolver.opset;
    status = hd_onnx_resolve(&resolver, &root);
    if (status != HD_OK) {
        status = note_failure(self, status, &found, error);
        return status == HD_OK && !walk_graph(self, model->graph, 0) ? out_of_memory(error)
                                                                     : status;
    }
    if (!walk_scope(self, root)) {
        return out_of_memory(error);
    }
    hd_graph *graph = NULL;
    hd_onnx_listener listener = {tell_node, self};
    int64_t opset = resolver.opset < HD_ONNX_OPSET_MIN ? HD_ONNX_OPSET_MIN : resolver.opset;
    status = hd_graph_create((uint32_t)opset, &graph, error);
    if (status == HD_OK) {
        status = hd_onnx_import(origin, root, graph, &listener, error);
    }
    if (status == HD_OK) {
        status = survey_graph(self, graph, error);
    }
    hd_graph_destroy(&graph);
    return status;
}

/* --- the model and its plan */

/* Elements of an input that steers a plan: 1 each. NULL: out of memory. */
static const void *make_ones(hd_region *region, hd_dtype dtype, const hd_shape *shape)
{
    const int64_t count = hd_shape_count(shape);
    const size_t size = hd_dtype_size(dtype);
    unsigned char one[sizeof(hd_string)] = {dtype != HD_STRING};
    const float single = 1;
    const double twice = 1;
    const uint16_t half = dtype == HD_FLOAT16 ? 0x3C00 : 0x3F80;
    if (dtype == HD_FLOAT32) {
        memcpy(one, &single, sizeof single);
    } else if (dtype == HD_FLOAT64) {
        memcpy(one, &twice, sizeof twice);
    } else if (dtype == HD_FLOAT16 || dtype == HD_BFLOAT16) {
        memcpy(one, &half, sizeof half);
    }
    unsigned char *made = hd_region_array(region, (size_t)count + 1, size);
    for (int64_t i = 0; made != NULL && i < count; i++) {
        memcpy(made + (size_t)i * size, one, size);
    }
    return made;
}

static const char *place_name(const inspector *self, const hd_plan_part *part)
{
    return part->control != NULL || part->place == HD_PLACE_HOST ? "cpu" : self->device;
}

/* Steps bear the name of a node, one of those that they were made of; the others are merged. */
static void place_nodes(inspector *self, const hd_plan *plan)
{
    hd_inspection *result = self->result;
    hd_inspection_node *nodes = result->nodes.items;
    if (!plan->is_last) {
        return; /* further segments are not known: the survey's word stands */
    }
    for (size_t i = 0; i < result->nodes.count; i++) {
        bool is_control = strcmp(nodes[i].type, "If") == 0 || strcmp(nodes[i].type, "Loop") == 0 ||
                          strcmp(nodes[i].type, "Scan") == 0;
        nodes[i].device = is_control ? "cpu" : "merged";
    }
    for (size_t p = 0; p < plan->part_count; p++) {
        const hd_plan_part *part = &plan->parts[p];
        for (size_t s = 0; part->control == NULL && s < part->recipe.step_count; s++) {
            hd_inspection_node *entry = hd_inspection_find_node(result, part->recipe.steps[s].name);
            if (entry != NULL) {
                entry->device = place_name(self, part);
            }
        }
    }
    for (size_t s = 0; plan->part_count == 0 && s < plan->recipe.step_count; s++) {
        hd_inspection_node *entry = hd_inspection_find_node(result, plan->recipe.steps[s].name);
        if (entry != NULL) {
            entry->device = self->device;
        }
    }
}

/* *steered: values of inputs were made up. */
static hd_status make_plan(inspector *self, hd_model *model, bool *steered, hd_plan **out_plan,
                           hd_error *error)
{
    const hd_block *root = model->graph->root;
    hd_region *region = &self->region;
    hd_shape *shapes = hd_region_array(region, root->input_count, sizeof *shapes);
    const void **values = hd_region_array(region, root->input_count, sizeof *values);
    bool *wanted = hd_region_array(region, root->output_count, sizeof *wanted);
    if (shapes == NULL || values == NULL || wanted == NULL) {
        return out_of_memory(error);
    }
    hd_plan_request request = {
        .model = model, .input_shapes = shapes, .input_values = values, .wanted = wanted};
    for (size_t i = 0; i < root->input_count; i++) {
        const hd_graph_value *value = &model->graph->values[root->inputs[i]];
        if (!find_shape(self, value->name, &shapes[i])) {
            shapes[i] = value->shape;
        }
        for (uint32_t d = 0; d < shapes[i].rank; d++) {
            shapes[i].dims[d] = shapes[i].dims[d] < 0 ? 1 : shapes[i].dims[d];
        }
        size_t size = 0;
        if (!hd_shape_size(&shapes[i], value->dtype, &size)) {
            return hd_fail(error, HD_INVALID_ARGUMENT,
                           "input '%s': the size of its shape overflows", value->name);
        }
        request.input_bytes += size;
    }
    for (size_t i = 0; i < root->output_count; i++) {
        wanted[i] = true;
    }
    hd_status status = HD_OK;
    for (int turn = 0; turn <= STEERING_LIMIT && status == HD_OK && *out_plan == NULL; turn++) {
        uint64_t steering = 0;
        status = hd_plan_create(&request, &steering, out_plan, error);
        for (size_t i = 0; status == HD_OK && i < root->input_count && i < 63; i++) {
            if ((steering >> i & 1) != 0) {
                *steered = true;
                values[i] =
                    make_ones(region, model->graph->values[root->inputs[i]].dtype, &shapes[i]);
                status = values[i] == NULL ? out_of_memory(error) : HD_OK;
            }
        }
    }
    return status;
}

/* Nothing is missing, it seems: the model says what it takes, or what was overlooked. */
static hd_status inspect_plan(inspector *self, const char *path, hd_error *error)
{
    hd_inspection *result = self->result;
    hd_model *model = NULL;
    hd_plan *plan = NULL;
    bool steered = false;
    hd_error found = {.status = HD_OK};
    hd_status status = hd_model_load(result->device, path, NULL, &model, &found);
    if (status == HD_OK) {
        hd_float_environment saved;
        hd_float_environment_enter(&saved);
        status = make_plan(self, model, &steered, &plan, &found);
        hd_float_environment_leave(&saved);
        result->summary.weight_bytes = model->weight_size;
    }
    if (status == HD_OK && plan != NULL) {
        for (size_t place = 0; place < HD_PLACE_COUNT; place++) {
            result->summary.run_bytes += plan->arena_sizes[place] + plan->scratch_sizes[place];
        }
        for (size_t i = 0; i < plan->output_count; i++) {
            result->summary.run_bytes += plan->outputs[i].size;
        }
        result->summary.is_partial = !plan->is_last;
        if (!result->device->unit->is_host) {
            place_nodes(self, plan);
        }
    }
    hd_plan_release(plan);
    bool is_loaded = model != NULL;
    hd_model_destroy(&model);
    bool is_guess = result->summary.is_guessed && status != HD_UNSUPPORTED;
    if (is_loaded && status != HD_OK && status != HD_OUT_OF_MEMORY && (is_guess || steered)) {
        result->summary.is_partial = true; /* sizes and values of 1 may fit nothing */
        return HD_OK;
    }
    return note_failure(self, status, &found, error);
}

/* --- all of it */

static hd_status inspect(inspector *self, const char *path, hd_error *error)
{
    hd_inspection *result = self->result;
    self->device = hd_region_copy_text(&result->region, result->device->info.name);
    hd_status status = self->device == NULL ? out_of_memory(error)
                                            : hd_onnx_visit_file(path, HD_ONNX_MODEL_TO_INSPECT,
                                                                 inspect_model, self, error);
    if (status == HD_OK && result->findings.count == 0) {
        status = inspect_plan(self, path, error);
    }
    hd_inspection_summary *summary = &result->summary;
    summary->is_supported = result->findings.count == 0;
    summary->opset_count = result->opsets.count;
    summary->input_count = result->inputs.count;
    summary->output_count = result->outputs.count;
    summary->operator_count = result->operators.count;
    summary->node_count = result->nodes.count;
    summary->finding_count = result->findings.count;
    return status;
}

static hd_status read_options(const hd_inspect_options *options, hd_error *error)
{
    if (options != NULL && options->struct_size != sizeof *options) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "hd_inspect_options.struct_size is %zu, not %zu",
                       options->struct_size, sizeof *options);
    }
    if (options != NULL && options->shapes == NULL && options->shape_count > 0) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "hd_inspect_options.shapes is NULL");
    }
    return HD_OK;
}

hd_status hd_inspection_create(hd_device *device, const char *path,
                               const hd_inspect_options *options, hd_inspection **out_inspection,
                               hd_error *error)
{
    if (out_inspection != NULL) {
        *out_inspection = NULL;
    }
    if (device == NULL || path == NULL || out_inspection == NULL) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "device, path or out_inspection is NULL");
    }
    hd_status status = read_options(options, error);
    if (status == HD_OK) {
        status = hd_device_check_open(device, error);
    }
    if (status != HD_OK) {
        return status;
    }
    int cancelling = hd_thread_hold_cancelling(); /* files are cancellation points */
    hd_memory_scope scope;
    const hd_model_options defaults = {0};
    hd_memory_scope_enter(&scope, hd_memory_account_owner(&device->memory, HD_MEMORY_WEIGHTS),
                          hd_budget_of_load(&defaults));
    hd_inspection *made = hd_alloc_zero(1, sizeof *made);
    if (made == NULL) {
        status = out_of_memory(error);
    } else {
        hd_device_retain(device);
        made->device = device;
        inspector self = {.result = made, .options = options};
        status = inspect(&self, path, error);
        hd_region_clear(&self.region);
    }
    hd_memory_scope_leave(&scope);
    hd_thread_restore_cancelling(cancelling);
    if (status != HD_OK) {
        hd_inspection_destroy(&made);
        return status;
    }
    *out_inspection = made;
    return HD_OK;
}

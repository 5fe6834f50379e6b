#include "graph/model.h"

#include <stddef.h>
#include <string.h>

#include "base/float_environment.h"
#include "base/memory.h"
#include "base/sized.h"

#define PLAN_CACHE_CAPACITY 64

static void retain_plan(void *plan)
{
    hd_plan_retain(plan);
}

static void release_plan(void *plan)
{
    hd_plan_release(plan);
}

/* relaxed: who gave a reference back before did so by an operation that the release pairs with. */
static bool is_idle_plan(void *plan)
{
    return hd_load_relaxed(&((hd_plan *)plan)->reference_count) == 1;
}

static void clear_memo(hd_model *model, uint32_t lane)
{
    hd_memo *memo = &model->memos[lane];
    for (size_t j = 0; j < HD_MEMO_COUNT; j++) {
        hd_plan_release(memo->plans[j]);
        hd_free(memo->keys[j]);
        hd_memory_account_give(&model->device->memory, HD_MEMORY_ARENAS, memo->key_capacities[j]);
    }
    *memo = (hd_memo){0};
}

static void drop_lane_of(void *plan, void *lane)
{
    hd_plan_drop_lane(plan, *(const uint32_t *)lane);
}

static hd_model *model_of(hd_reclaim_source *source)
{
    return (hd_model *)((char *)source - offsetof(hd_model, source));
}

static void drop_lane(hd_reclaim_source *source, uint32_t lane)
{
    hd_model *model = model_of(source);
    clear_memo(model, lane);
    hd_plan_cache_visit(model->plans, drop_lane_of, &lane);
}

static void drop_plans(hd_reclaim_source *source)
{
    hd_plan_cache_evict(model_of(source)->plans);
}

void hd_model_destroy(hd_model **model)
{
    if (model == NULL || *model == NULL) {
        return;
    }
    hd_model *dead = *model;
    *model = NULL;
    /* acq_rel: the last one sees all that the others did. */
    if (hd_sub_acq_rel(&dead->reference_count, 1) != 1) {
        return;
    }
    if (dead->source.is_listed) {
        hd_reclaim_remove(&dead->device->reclaim, &dead->source);
    }
    for (uint32_t lane = 0; lane < HD_LANE_COUNT; lane++) {
        clear_memo(dead, lane);
    }
    hd_plan_cache_destroy(&dead->plans);
    hd_device_constants_drop(&dead->constants, dead->device);
    for (size_t v = 0; dead->packed != NULL && v < dead->graph->value_count; v++) {
        hd_device_constants_unpack(dead->device, (hd_packed *)(uintptr_t)dead->packed[v]);
    }
    hd_free(dead->packed);
    hd_graph_destroy(&dead->graph);
    hd_device *device = dead->device;
    hd_free(dead); /* what is charged to the device goes before it */
    hd_device_destroy(&device);
}

hd_status hd_model_options_read(const hd_model_options *options, hd_model_options *out,
                                hd_error *error)
{
    *out = (hd_model_options){0};
    if (options != NULL) {
        if (options->struct_size == 0 || options->struct_size > sizeof *out) {
            return hd_fail(error, HD_INVALID_ARGUMENT,
                           "hd_model_options.struct_size is %zu, not %zu", options->struct_size,
                           sizeof *out);
        }
        memcpy(out, options, options->struct_size);
    }
    for (size_t i = 0; i < out->override_count; i++) {
        if (out->override_names == NULL || out->override_names[i] == NULL) {
            return hd_fail(error, HD_INVALID_ARGUMENT,
                           "hd_model_options.override_names: %zu is NULL", i);
        }
    }
    if (out->plan_cache_capacity == 0) {
        out->plan_cache_capacity = PLAN_CACHE_CAPACITY;
    }
    return HD_OK;
}

/* Takes the graph over in any case. */
static hd_status adopt_graph(hd_device *device, hd_graph *graph, const hd_model_options *options,
                             hd_model **out_model, hd_error *error)
{
    hd_status status;
    hd_model *model = hd_alloc_zero(1, sizeof *model);
    if (model == NULL) {
        status = hd_fail(error, HD_OUT_OF_MEMORY, "no memory for a model");
        goto fail;
    }
    atomic_init(&model->reference_count, 1);
    hd_device_retain(device);
    model->device = device;
    model->options = *options;
    model->graph = graph;
    graph = NULL;
    hd_plan_cache_functions functions = {retain_plan, release_plan, is_idle_plan};
    if (hd_plan_cache_create(options->plan_cache_capacity, functions, &model->plans) != HD_OK) {
        status = hd_fail(error, HD_OUT_OF_MEMORY, "no memory for a model");
        goto fail;
    }
    hd_float_environment saved;
    hd_float_environment_enter(&saved);
    status = hd_model_prepare(model, error);
    hd_float_environment_leave(&saved);
    if (status != HD_OK) {
        goto fail;
    }
    model->source = (hd_reclaim_source){.drop_lane = drop_lane, .drop_plans = drop_plans};
    hd_reclaim_add(&device->reclaim, &model->source);
    *out_model = model;
    return HD_OK;
fail:
    hd_graph_destroy(&graph);
    hd_model_destroy(&model);
    return status;
}

static hd_status make_once(hd_device *device, const hd_graph_source *source,
                           const hd_model_options *options, hd_model **out_model, hd_error *error)
{
    hd_memory_scope scope;
    hd_graph *graph = NULL;
    uint64_t limit = hd_budget_of_load(options);
    hd_graph_source given = *source;
    given.options = options;
    hd_memory_scope_enter(&scope, hd_memory_account_owner(&device->memory, HD_MEMORY_WEIGHTS),
                          limit);
    hd_status status = given.make(&given, &graph, error);
    if (status == HD_OK) {
        status = adopt_graph(device, graph, options, out_model, error);
    }
    hd_memory_scope_leave(&scope);
    return status == HD_OUT_OF_MEMORY && scope.is_refused
               ? hd_fail(error, HD_UNSUPPORTED,
                         "loading it takes over %llu bytes and %d times what is read; "
                         "run_memory_limit allows no more",
                         (unsigned long long)limit, HD_BUDGET_LOAD_A_BYTE)
               : status;
}

hd_status hd_model_make(hd_device *device, const hd_graph_source *source,
                        const hd_model_options *options, hd_model **out_model, hd_error *error)
{
    *out_model = NULL;
    hd_model_options given;
    hd_status status = hd_model_options_read(options, &given, error);
    if (status == HD_OK) {
        status = hd_device_check_open(device, error);
    }
    if (status == HD_OK) {
        status = make_once(device, source, &given, out_model, error);
    }
    if (status == HD_OUT_OF_MEMORY) {
        hd_reclaim_run(&device->reclaim, HD_LANE_COUNT);
        status = make_once(device, source, &given, out_model, error);
    }
    if (status == HD_OUT_OF_MEMORY && device->memory.limit != 0) {
        hd_fail_suffix(error, status,
                       "; the device's memory limit is %llu bytes, of which %llu are taken",
                       (unsigned long long)device->memory.limit,
                       (unsigned long long)hd_load_relaxed(&device->memory.total));
    }
    return status;
}

static hd_status copy_graph(const hd_graph_source *source, hd_graph **out_graph, hd_error *error)
{
    const hd_graph *graph = source->data;
    hd_budget_bring(hd_graph_count_constants(graph));
    *out_graph = hd_graph_clone(graph);
    return *out_graph != NULL
               ? HD_OK
               : hd_fail(error, HD_OUT_OF_MEMORY, "no memory for a copy of the graph");
}

hd_status hd_model_create(hd_device *device, const hd_graph *graph, const hd_model_options *options,
                          hd_model **out_model, hd_error *error)
{
    if (out_model != NULL) {
        *out_model = NULL;
    }
    if (device == NULL || graph == NULL || out_model == NULL) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "device, graph or out_model is NULL");
    }
    hd_graph_source source = {.make = copy_graph, .data = graph};
    return hd_model_make(device, &source, options, out_model, error);
}

size_t hd_model_input_count(const hd_model *model)
{
    return model == NULL ? 0 : model->graph->root->input_count;
}

size_t hd_model_output_count(const hd_model *model)
{
    return model == NULL ? 0 : model->graph->root->output_count;
}

static void describe_value(const hd_graph_value *value, const char *name, hd_value_info *out_info)
{
    hd_value_info info = {.name = name,
                          .dtype = value->dtype,
                          .rank = value->has_rank ? value->shape.rank : HD_RANK_UNKNOWN};
    for (uint32_t i = 0; value->has_rank && i < value->shape.rank; i++) {
        info.dims[i] = value->shape.dims[i];
        info.dim_names[i] = value->dim_names[i];
    }
    hd_sized_write(out_info, &info, sizeof info);
}

hd_status hd_model_input_info(const hd_model *model, size_t index, hd_value_info *out_info)
{
    if (model == NULL || out_info == NULL || index >= model->graph->root->input_count ||
        !hd_sized_is_set(out_info)) {
        return HD_INVALID_ARGUMENT;
    }
    const hd_graph_value *value = &model->graph->values[model->graph->root->inputs[index]];
    describe_value(value, value->name, out_info);
    return HD_OK;
}

hd_status hd_model_output_info(const hd_model *model, size_t index, hd_value_info *out_info)
{
    if (model == NULL || out_info == NULL || index >= model->graph->root->output_count ||
        !hd_sized_is_set(out_info)) {
        return HD_INVALID_ARGUMENT;
    }
    const hd_block *root = model->graph->root;
    describe_value(&model->graph->values[root->outputs[index]], root->output_names[index],
                   out_info);
    return HD_OK;
}

#include "graph/model.h"

#include <string.h>

#include "base/float_environment.h"
#include "base/memory.h"

#define PLAN_CACHE_CAPACITY 64

static void retain_plan(void *plan)
{
    hd_plan_retain(plan);
}

static void release_plan(void *plan)
{
    hd_plan_release(plan);
}

static void clear_memos(hd_model *model)
{
    for (size_t i = 0; i < HD_LANE_COUNT; i++) {
        for (size_t j = 0; j < HD_MEMO_COUNT; j++) {
            hd_plan_release(model->memos[i].plans[j]);
            hd_free(model->memos[i].keys[j]);
        }
    }
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
    clear_memos(dead);
    hd_plan_cache_destroy(&dead->plans);
    for (size_t v = 0; dead->packed != NULL && v < dead->graph->value_count; v++) {
        hd_packed *packed = (hd_packed *)(uintptr_t)dead->packed[v];
        dead->device->backend->packed_destroy(&packed);
    }
    hd_free(dead->packed);
    hd_memory_account_give(&dead->device->memory, HD_MEMORY_WEIGHTS, dead->weight_size);
    hd_graph_destroy(&dead->graph);
    hd_device_destroy(&dead->device);
    hd_free(dead);
}

hd_status hd_model_options_read(const hd_model_options *options, hd_model_options *out, hd_error *error)
{
    *out = (hd_model_options){0};
    if (options != NULL) {
        if (options->struct_size == 0 || options->struct_size > sizeof *out) {
            return hd_fail(error, HD_INVALID_ARGUMENT, "hd_model_options.struct_size is %zu, not %zu",
                           options->struct_size, sizeof *out);
        }
        memcpy(out, options, options->struct_size);
    }
    for (size_t i = 0; i < out->override_count; i++) {
        if (out->override_names == NULL || out->override_names[i] == NULL) {
            return hd_fail(error, HD_INVALID_ARGUMENT, "hd_model_options.override_names: %zu is NULL", i);
        }
    }
    if (out->plan_cache_capacity == 0) {
        out->plan_cache_capacity = PLAN_CACHE_CAPACITY;
    }
    return HD_OK;
}

hd_status hd_model_adopt(hd_device *device, hd_graph *graph, const hd_model_options *options,
                         hd_model **out_model, hd_error *error)
{
    *out_model = NULL;
    hd_model_options given;
    hd_model *model = NULL;
    hd_status status = hd_model_options_read(options, &given, error);
    if (status != HD_OK) {
        goto fail;
    }
    model = hd_alloc_zero(1, sizeof *model);
    if (model == NULL) {
        status = hd_fail(error, HD_OUT_OF_MEMORY, "no memory for a model");
        goto fail;
    }
    atomic_init(&model->reference_count, 1);
    hd_device_retain(device);
    model->device = device;
    model->options = given;
    model->graph = graph;
    graph = NULL;
    hd_plan_cache_functions functions = {retain_plan, release_plan};
    if (hd_plan_cache_create(given.plan_cache_capacity, functions, &model->plans) != HD_OK) {
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
    *out_model = model;
    return HD_OK;
fail:
    hd_graph_destroy(&graph);
    hd_model_destroy(&model);
    return status;
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
    hd_status status = hd_device_check_open(device, error);
    if (status != HD_OK) {
        return status;
    }
    hd_graph *copy = hd_graph_clone(graph);
    if (copy == NULL) {
        return hd_fail(error, HD_OUT_OF_MEMORY, "no memory for a copy of the graph");
    }
    return hd_model_adopt(device, copy, options, out_model, error);
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
    *out_info = (hd_value_info){.name = name,
                                .dtype = value->dtype,
                                .rank = value->has_rank ? value->shape.rank : HD_RANK_UNKNOWN};
    for (uint32_t i = 0; value->has_rank && i < value->shape.rank; i++) {
        out_info->dims[i] = value->shape.dims[i];
        out_info->dim_names[i] = value->dim_names[i];
    }
}

hd_status hd_model_input_info(const hd_model *model, size_t index, hd_value_info *out_info)
{
    if (model == NULL || out_info == NULL || index >= model->graph->root->input_count) {
        return HD_INVALID_ARGUMENT;
    }
    const hd_graph_value *value = &model->graph->values[model->graph->root->inputs[index]];
    describe_value(value, value->name, out_info);
    return HD_OK;
}

hd_status hd_model_output_info(const hd_model *model, size_t index, hd_value_info *out_info)
{
    if (model == NULL || out_info == NULL || index >= model->graph->root->output_count) {
        return HD_INVALID_ARGUMENT;
    }
    const hd_block *root = model->graph->root;
    describe_value(&model->graph->values[root->outputs[index]], root->output_names[index], out_info);
    return HD_OK;
}

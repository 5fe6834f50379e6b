/* ONNX files: whatever the bytes, loading ends in a graph or a status with a sentence; what loads
 * becomes a model or a status, and what is small enough is run. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "graph/graph.h"
#include "onnx/onnx.h"

/* Of the device that models run on, so that none computes for minutes: that is no finding. Loading has no
 * limit, and must not need one. */
#define MEMORY_LIMIT  ((uint64_t)64 << 20)
#define INPUT_LIMIT   ((size_t)64 << 10)
#define OUTPUT_LIMIT  ((size_t)64 << 10)
#define OPERAND_LIMIT 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition)
{
    if (!condition) {
        abort();
    }
}

/* A tensor as the model declares it, unknown dimensions 2, its bytes 1; NULL data when it is
 * large. */
static hd_tensor make_input(const hd_value_info *info)
{
    hd_tensor tensor = {.dtype = info->dtype,
                        .rank = info->rank == HD_RANK_UNKNOWN ? 1 : info->rank};
    size_t bytes = hd_dtype_size(info->dtype);
    for (uint32_t i = 0; i < tensor.rank; i++) {
        tensor.dims[i] = info->rank == HD_RANK_UNKNOWN || info->dims[i] < 0 ? 2 : info->dims[i];
        if (bytes > 0 && tensor.dims[i] > (int64_t)(INPUT_LIMIT / bytes)) {
            return (hd_tensor){0};
        }
        bytes *= (size_t)tensor.dims[i];
    }
    tensor.size = bytes;
    tensor.data = malloc(bytes + 1);
    if (tensor.data != NULL) {
        memset(tensor.data, info->dtype != HD_STRING, bytes);
    }
    return tensor;
}

static void run(hd_model *model)
{
    hd_tensor inputs[OPERAND_LIMIT] = {0};
    hd_tensor outputs[OPERAND_LIMIT] = {0};
    size_t input_count = hd_model_input_count(model);
    size_t output_count = hd_model_output_count(model);
    int is_small = input_count <= OPERAND_LIMIT && output_count <= OPERAND_LIMIT;
    /* The outputs' memory is ours: one that the model makes of 100 GB is no finding. */
    for (size_t i = 0; i < output_count && is_small; i++) {
        outputs[i] = (hd_tensor){.data = malloc(OUTPUT_LIMIT), .size = OUTPUT_LIMIT};
        require(outputs[i].data != NULL);
    }
    for (size_t i = 0; i < input_count && is_small; i++) {
        hd_value_info info = {.struct_size = sizeof info};
        require(hd_model_input_info(model, i, &info) == HD_OK);
        inputs[i] = make_input(&info);
        is_small = inputs[i].data != NULL;
    }
    if (is_small) {
        hd_error error = {0};
        hd_status status = hd_model_run(model, inputs, input_count, outputs, output_count, &error);
        require(status == HD_OK || (error.status == status && error.message[0] != '\0'));
    }
    for (size_t i = 0; i < OPERAND_LIMIT; i++) {
        free(inputs[i].data);
        free(outputs[i].data);
    }
}

static hd_device *open_device(uint64_t limit)
{
    hd_device *device;
    hd_device_options options = {
        .struct_size = sizeof options, .thread_count = 1, .memory_limit = limit};
    require(hd_device_open("cpu", &options, &device, NULL) == HD_OK);
    return device;
}

/* A model of the graph, or NULL and a sentence. */
static hd_model *make_model(hd_device *device, const hd_graph *graph)
{
    hd_model *model = NULL;
    hd_error error = {0};
    hd_status status = hd_model_create(device, graph, NULL, &model, &error);
    require(status == HD_OK ? model != NULL : model == NULL && error.message[0] != '\0');
    return model;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static hd_device *device, *limited;
    if (device == NULL) {
        device = open_device(0);
        limited = open_device(MEMORY_LIMIT);
    }
    hd_graph *graph = NULL;
    hd_error error = {0};
    hd_status status = hd_onnx_load_memory(data, size, NULL, &graph, &error);
    require(status == HD_OK ? graph != NULL : graph == NULL && error.message[0] != '\0');
    if (status != HD_OK) {
        return 0;
    }
    hd_model *model = make_model(device, graph);
    hd_model_destroy(&model);
    model = make_model(limited, graph);
    if (model != NULL) {
        run(model);
    }
    hd_model_destroy(&model);
    hd_graph_destroy(&graph);
    return 0;
}

/* hd_model_load: from an ONNX file to a model on a device. */
#include "base/thread.h"
#include "graph/model.h"
#include "onnx/onnx.h"

static hd_status load_file(const hd_graph_source *source, hd_graph **out_graph, hd_error *error)
{
    int cancelling = hd_thread_hold_cancelling(); /* files are cancellation points */
    hd_onnx_overrides overrides = {source->options->override_names,
                                   source->options->override_count};
    hd_status status = hd_onnx_load_file_with(source->data, &overrides, out_graph, error);
    hd_thread_restore_cancelling(cancelling);
    return status;
}

static hd_status load_bytes(const hd_graph_source *source, hd_graph **out_graph, hd_error *error)
{
    int cancelling = hd_thread_hold_cancelling();
    hd_onnx_overrides overrides = {source->options->override_names,
                                   source->options->override_count};
    hd_status status = hd_onnx_load_memory_with(
        source->data, source->size, source->options->base_directory, &overrides, out_graph, error);
    hd_thread_restore_cancelling(cancelling);
    return status;
}

hd_status hd_model_load(hd_device *device, const char *path, const hd_model_options *options,
                        hd_model **out_model, hd_error *error)
{
    if (out_model != NULL) {
        *out_model = NULL;
    }
    if (device == NULL || path == NULL || out_model == NULL) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "device, path or out_model is NULL");
    }
    hd_graph_source source = {.make = load_file, .data = path};
    return hd_model_make(device, &source, options, out_model, error);
}

hd_status hd_model_load_memory(hd_device *device, const void *data, size_t size,
                               const hd_model_options *options, hd_model **out_model,
                               hd_error *error)
{
    if (out_model != NULL) {
        *out_model = NULL;
    }
    if (device == NULL || data == NULL || out_model == NULL) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "device, data or out_model is NULL");
    }
    hd_graph_source source = {.make = load_bytes, .data = data, .size = size};
    return hd_model_make(device, &source, options, out_model, error);
}

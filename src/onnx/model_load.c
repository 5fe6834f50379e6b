/* hd_model_load: from an ONNX file to a model on a device. */
#include "base/thread.h"
#include "graph/model.h"
#include "onnx/onnx.h"

hd_status hd_model_load(hd_device *device, const char *path, const hd_model_options *options,
                        hd_model **out_model, hd_error *error)
{
    if (out_model != NULL) {
        *out_model = NULL;
    }
    if (device == NULL || path == NULL || out_model == NULL) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "device, path or out_model is NULL");
    }
    hd_graph *graph = NULL;
    hd_model_options given;
    hd_status status = hd_model_options_read(options, &given, error);
    if (status == HD_OK) {
        status = hd_device_check_open(device, error);
    }
    hd_onnx_overrides overrides = {given.override_names, given.override_count};
    if (status == HD_OK) {
        int cancelling = hd_thread_hold_cancelling(); /* files are cancellation points */
        status = hd_onnx_load_file_with(path, &overrides, &graph, error);
        hd_thread_restore_cancelling(cancelling);
    }
    return status != HD_OK ? status : hd_model_adopt(device, graph, options, out_model, error);
}

hd_status hd_model_load_memory(hd_device *device, const void *data, size_t size,
                               const hd_model_options *options, hd_model **out_model, hd_error *error)
{
    if (out_model != NULL) {
        *out_model = NULL;
    }
    if (device == NULL || data == NULL || out_model == NULL) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "device, data or out_model is NULL");
    }
    hd_graph *graph = NULL;
    hd_model_options given;
    hd_status status = hd_model_options_read(options, &given, error);
    if (status == HD_OK) {
        status = hd_device_check_open(device, error);
    }
    hd_onnx_overrides overrides = {given.override_names, given.override_count};
    if (status == HD_OK) {
        int cancelling = hd_thread_hold_cancelling();
        status = hd_onnx_load_memory_with(data, size, given.base_directory, &overrides, &graph,
                                           error);
        hd_thread_restore_cancelling(cancelling);
    }
    return status != HD_OK ? status : hd_model_adopt(device, graph, options, out_model, error);
}

#include "graph/binding.h"

#include <string.h>

#include "operation/narrow.h"

/* Devices with memory of their own read rows in such pieces. */
#define DEVICE_ALIGNMENT 16

static size_t alignment_of(hd_dtype dtype)
{
    return dtype == HD_STRING ? _Alignof(hd_string) : hd_dtype_size(dtype);
}

static const hd_graph_value *input_value(const hd_model *model, size_t index)
{
    return &model->graph->values[model->graph->root->inputs[index]];
}

/* The model input that a caller's tensor means; SIZE_MAX: none. */
static size_t find_input(const hd_model *model, const hd_tensor *tensor, size_t position)
{
    if (tensor->name == NULL) {
        return position;
    }
    for (size_t i = 0; i < model->graph->root->input_count; i++) {
        if (strcmp(input_value(model, i)->name, tensor->name) == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

static size_t find_output(const hd_model *model, const hd_tensor *tensor, size_t position)
{
    if (tensor->name == NULL) {
        return position;
    }
    for (size_t i = 0; i < model->graph->root->output_count; i++) {
        if (strcmp(model->graph->root->output_names[i], tensor->name) == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

static const char *tensor_name(const hd_tensor *tensor)
{
    return tensor->name == NULL ? "(by position)" : tensor->name;
}

static hd_status check_shape(const hd_tensor *tensor, const hd_graph_value *value, hd_error *error)
{
    if (tensor->rank > HD_MAX_RANK) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "input '%s': rank %u is over %d", value->name,
                       tensor->rank, HD_MAX_RANK);
    }
    hd_shape shape = {.rank = tensor->rank};
    memcpy(shape.dims, tensor->dims, sizeof shape.dims);
    char given[96], wanted[96];
    size_t size;
    bool fits = hd_shape_size(&shape, tensor->dtype, &size);
    if (fits && hd_narrow_is_packed(tensor->dtype)) {
        size = hd_narrow_packed_size(tensor->dtype, (size_t)hd_shape_count(&shape));
    }
    if (fits && value->has_rank) {
        fits = value->shape.rank == shape.rank;
        for (uint32_t d = 0; fits && d < shape.rank; d++) {
            fits = value->shape.dims[d] < 0 || value->shape.dims[d] == shape.dims[d];
        }
    }
    if (!fits) {
        return hd_fail(error, HD_INVALID_ARGUMENT,
                       "input '%s': its shape is %s, the model wants %s", value->name,
                       hd_shape_text(&shape, given, sizeof given),
                       value->has_rank ? hd_shape_text(&value->shape, wanted, sizeof wanted)
                                       : "a shape whose size does not overflow");
    }
    if (tensor->size < size || (tensor->data == NULL && size > 0)) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "input '%s': %zu bytes are given, %s needs %zu",
                       value->name, tensor->data == NULL ? 0 : tensor->size,
                       hd_shape_text(&shape, given, sizeof given), size);
    }
    return HD_OK;
}

/* Whether the memory of a tensor that is not the host's is where it says. */
static hd_status check_place(const hd_model *model, const hd_tensor *tensor, hd_dtype dtype,
                             const char *kind, const char *name, hd_error *error)
{
    hd_unit *unit = model->device->unit;
    if (!unit->is_host && hd_narrow_is_packed(dtype)) {
        return hd_fail(error, HD_UNSUPPORTED, "%s '%s': %s is in the host's memory only", kind,
                       name, hd_dtype_name(dtype));
    }
    if (tensor->place != HD_TENSOR_DEVICE) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "%s '%s': hd_tensor.place: there is no %d", kind,
                       name, (int)tensor->place);
    }
    if (tensor->size > 0 &&
        (tensor->data == NULL || !hd_unit_holds(unit, tensor->data, tensor->size))) {
        return hd_fail(error, HD_INVALID_ARGUMENT,
                       "%s '%s': its %zu bytes at %p are none of the device's memory", kind, name,
                       tensor->size, tensor->data);
    }
    if (tensor->size > 0 && !unit->is_host && (uintptr_t)tensor->data % DEVICE_ALIGNMENT != 0) {
        return hd_fail(error, HD_INVALID_ARGUMENT,
                       "%s '%s': its data in the device's memory begins at no multiple of %d bytes",
                       kind, name, DEVICE_ALIGNMENT);
    }
    return HD_OK;
}

/* Texts are the host's, and each is there. */
static hd_status check_texts(const hd_tensor *tensor, const hd_graph_value *value, hd_error *error)
{
    if (tensor->place != HD_TENSOR_HOST) {
        return hd_fail(error, HD_INVALID_ARGUMENT,
                       "input '%s': texts are in the host's memory only", value->name);
    }
    const hd_string *texts = tensor->data;
    size_t count = 1;
    for (uint32_t d = 0; d < tensor->rank; d++) {
        count *= (size_t)tensor->dims[d];
    }
    for (size_t i = 0; i < count; i++) {
        if (texts[i].data == NULL && texts[i].size > 0) {
            return hd_fail(error, HD_INVALID_ARGUMENT, "input '%s': text %zu is NULL", value->name,
                           i);
        }
    }
    return HD_OK;
}

static hd_status check_input(const hd_tensor *tensor, const hd_graph_value *value, hd_error *error)
{
    if (tensor->dtype != value->dtype) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "input '%s': it is %s, the model wants %s",
                       value->name, hd_dtype_name(tensor->dtype), hd_dtype_name(value->dtype));
    }
    size_t element = alignment_of(tensor->dtype);
    if ((uintptr_t)tensor->data % element != 0) {
        return hd_fail(error, HD_INVALID_ARGUMENT,
                       "input '%s': its data is not aligned to %zu bytes", value->name, element);
    }
    hd_status status = check_shape(tensor, value, error);
    return status == HD_OK && tensor->dtype == HD_STRING ? check_texts(tensor, value, error)
                                                         : status;
}

hd_status hd_bind_inputs(const hd_model *model, const hd_tensor *inputs, size_t count,
                         const hd_tensor **found, hd_error *error)
{
    size_t wanted = model->graph->root->input_count;
    for (size_t i = 0; i < count; i++) {
        const hd_tensor *tensor = &inputs[i];
        size_t index = find_input(model, tensor, i);
        if (index >= wanted) {
            return hd_fail(error, HD_NOT_FOUND, "the model has no input '%s'", tensor_name(tensor));
        }
        const hd_graph_value *value = input_value(model, index);
        if (found[index] != NULL) {
            return hd_fail(error, HD_INVALID_ARGUMENT, "input '%s' is given twice", value->name);
        }
        hd_status status = check_input(tensor, value, error);
        if (status == HD_OK && tensor->place != HD_TENSOR_HOST) {
            status = check_place(model, tensor, value->dtype, "input", value->name, error);
        }
        if (status != HD_OK) {
            return status;
        }
        found[index] = tensor;
    }
    for (size_t i = 0; i < wanted; i++) {
        if (found[i] == NULL) {
            found[i] = input_value(model, i)->initial;
        }
        if (found[i] == NULL) {
            return hd_fail(error, HD_INVALID_ARGUMENT, "input '%s' is missing",
                           input_value(model, i)->name);
        }
    }
    return HD_OK;
}

hd_status hd_bind_outputs(const hd_model *model, hd_tensor *outputs, size_t count,
                          hd_tensor **found, hd_error *error)
{
    const hd_block *root = model->graph->root;
    for (size_t i = 0; i < count; i++) {
        size_t index = find_output(model, &outputs[i], i);
        if (index >= root->output_count) {
            return hd_fail(error, HD_NOT_FOUND, "the model has no output '%s'",
                           tensor_name(&outputs[i]));
        }
        if (found[index] != NULL) {
            return hd_fail(error, HD_INVALID_ARGUMENT, "output '%s' is given twice",
                           root->output_names[index]);
        }
        found[index] = &outputs[i];
        if (outputs[i].place == HD_TENSOR_HOST) {
            continue;
        }
        if (outputs[i].place == HD_TENSOR_DEVICE && outputs[i].data == NULL) {
            return hd_fail(error, HD_INVALID_ARGUMENT,
                           "output '%s': the library allocates none of the device's memory",
                           root->output_names[index]);
        }
        hd_status status =
            check_place(model, &outputs[i], model->graph->values[root->outputs[index]].dtype,
                        "output", root->output_names[index], error);
        if (status != HD_OK) {
            return status;
        }
    }
    return HD_OK;
}

hd_status hd_bind_check_room(const hd_model *model, size_t index, const hd_tensor *tensor,
                             hd_dtype dtype, const hd_shape *shape, size_t size, hd_error *error)
{
    const char *name = model->graph->root->output_names[index];
    if (tensor->data == NULL) {
        return HD_OK;
    }
    if (tensor->size < size) {
        char text[96];
        return hd_fail(error, HD_INVALID_ARGUMENT,
                       "output '%s': %zu bytes are given, %s of %s needs %zu", name, tensor->size,
                       hd_shape_text(shape, text, sizeof text), hd_dtype_name(dtype), size);
    }
    if ((uintptr_t)tensor->data % alignment_of(dtype) != 0) {
        return hd_fail(error, HD_INVALID_ARGUMENT,
                       "output '%s': its data is not aligned to %zu bytes", name,
                       alignment_of(dtype));
    }
    return HD_OK;
}

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fault.h"
#include "base/memory.h"
#include "base/thread.h"
#include "heddle/file.h"
#include "onnx/elements.h"
#include "onnx/external.h"
#include "onnx/npy.h"
#include "onnx/npy_texts.h"
#include "onnx/unpack.h"
#include "operation/narrow.h"
#include "operation/operation.h"

/* Bytes by which the two formats are told apart. A TensorProto cannot begin so: the first byte
 * would be part of the tag of a group, which it has not. */
#define START_SIZE ((size_t)6)

/* Reads a TensorProto. */
static hd_status read_message(const hd_onnx_source *source, hd_tensor *out, hd_error *error)
{
    hd_onnx_origin origin = {.source = source, .folder = -1, .model = -1};
    ProtobufCMessage *message = NULL;
    hd_tensor tensor;
    hd_status status = hd_onnx_unpack(source, HD_ONNX_TENSOR, &message, error);
    if (status == HD_OK) {
        status = hd_onnx_elements_read(&origin, (const Onnx__TensorProto *)message, &tensor, error);
        if (status == HD_OK) {
            hd_onnx_elements_pack(&tensor);
        }
    }
    hd_onnx_unpack_free(message);
    if (status == HD_OK) {
        *out = tensor;
    }
    return status;
}

static hd_status load(const hd_onnx_source *source, hd_tensor *out, hd_error *error)
{
    unsigned char start[START_SIZE] = {0};
    size_t size = source->size < START_SIZE ? (size_t)source->size : START_SIZE;
    hd_status status = hd_onnx_source_read(source, 0, start, size, error);
    if (status != HD_OK) {
        return status;
    }
    return hd_npy_matches(start, size) ? hd_npy_read(source, out, error)
                                       : read_message(source, out, error);
}

hd_status hd_tensor_load(const char *path, hd_tensor *out_tensor, hd_error *error)
{
    if (path == NULL || out_tensor == NULL) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "path or out_tensor is NULL");
    }
    hd_onnx_source source;
    int cancelling = hd_thread_hold_cancelling(); /* files are cancellation points */
    hd_status status = hd_onnx_file_open(path, &source, error);
    if (status != HD_OK) {
        hd_thread_restore_cancelling(cancelling);
        return status;
    }
    status = load(&source, out_tensor, error);
    hd_onnx_external_close(&source);
    hd_thread_restore_cancelling(cancelling);
    return status == HD_OK ? status : hd_fail_prefix(error, status, "'%.200s'", path);
}

hd_status hd_tensor_load_memory(const void *data, size_t size, hd_tensor *out_tensor,
                                hd_error *error)
{
    if (data == NULL || out_tensor == NULL) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "data or out_tensor is NULL");
    }
    hd_onnx_source source = {.memory = data, .size = size};
    return load(&source, out_tensor, error);
}

static hd_status check(const hd_tensor *tensor, size_t *out_size, hd_error *error)
{
    hd_shape shape = {.rank = tensor->rank};
    if (hd_dtype_size(tensor->dtype) == 0 || tensor->rank > HD_MAX_RANK) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "the tensor's dtype or rank is none");
    }
    if (hd_narrow_is(tensor->dtype)) {
        return hd_fail(error, HD_UNSUPPORTED, "files of NumPy have no type %s",
                       hd_dtype_name(tensor->dtype));
    }
    memcpy(shape.dims, tensor->dims, sizeof shape.dims);
    if (!hd_shape_is_valid(&shape, tensor->dtype)) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "the tensor's shape is negative or overflows");
    }
    *out_size = (size_t)hd_shape_count(&shape) * hd_dtype_size(tensor->dtype);
    return tensor->size >= *out_size && (tensor->data != NULL || *out_size == 0)
               ? HD_OK
               : hd_fail(error, HD_INVALID_ARGUMENT, "the tensor has %zu bytes, but its shape %zu",
                         tensor->size, *out_size);
}

static hd_status write_npy(const char *path, const hd_tensor *tensor, size_t size, hd_error *error)
{
    char header[HD_NPY_HEADER_SIZE];
    const bool has_texts = tensor->dtype == HD_STRING;
    const size_t count = has_texts ? size / sizeof(hd_string) : 0;
    const size_t width = has_texts ? hd_npy_texts_width(tensor->data, count) : 0;
    size_t header_size = hd_npy_write_header(tensor, width, header);
    FILE *file = hd_fault_hits("open") ? (errno = EMFILE, NULL) : fopen(path, "wbe");
    if (file == NULL) {
        return hd_fail(error, HD_IO, "'%.300s' cannot be written: %s", path,
                       strerrordesc_np(errno));
    }
    bool is_written = fwrite(header, 1, header_size, file) == header_size &&
                      (has_texts   ? hd_npy_texts_write(file, tensor->data, count, width)
                       : size == 0 ? true
                                   : fwrite(tensor->data, 1, size, file) == size);
    int number = errno;
    if (fclose(file) != 0 && is_written) {
        is_written = false;
        number = errno;
    }
    return is_written ? HD_OK
                      : hd_fail(error, HD_IO, "writing '%.300s' failed: %s", path,
                                strerrordesc_np(number));
}

hd_status hd_tensor_save_npy(const char *path, const hd_tensor *tensor, hd_error *error)
{
    if (path == NULL || tensor == NULL) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "path or tensor is NULL");
    }
    size_t size = 0;
    hd_status status = check(tensor, &size, error);
    if (status != HD_OK) {
        return status;
    }
    int cancelling = hd_thread_hold_cancelling();
    status = write_npy(path, tensor, size, error);
    hd_thread_restore_cancelling(cancelling);
    return status;
}

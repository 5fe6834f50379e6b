#include "onnx/elements.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "graph/budget.h"
#include "onnx/external.h"
#include "onnx/guess.h"
#include "onnx/skeleton.h"
#include "operation/narrow.h"
#include "operation/operation.h"

#define RAW_DATA 9u
#define TEXTS    6u
enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

hd_dtype hd_onnx_dtype(int32_t data_type)
{
    return data_type > 0 && hd_dtype_size((hd_dtype)data_type) > 0 ? (hd_dtype)data_type
                                                                   : HD_DTYPE_NONE;
}

const char *hd_onnx_type_name(int32_t data_type, char *text, size_t size)
{
    switch (data_type) {
    case 0:
        return "undefined";
    case 8:
        return "string";
    case 14:
        return "complex64";
    case 15:
        return "complex128";
    default:
        if (hd_onnx_dtype(data_type) != HD_DTYPE_NONE) {
            return hd_dtype_name((hd_dtype)data_type);
        }
        snprintf(text, size, "number %d", (int)data_type);
        return text;
    }
}

/* The field of TensorProto in which elements of a type stand when they are not in raw_data, and how
 * one of them is written there (onnx.proto, comments at these fields). */
static void typed_field(hd_dtype dtype, uint32_t *out_field, uint32_t *out_wire)
{
    *out_wire = WIRE_VARINT;
    switch (dtype) {
    case HD_FLOAT32:
        *out_field = 4;
        *out_wire = WIRE_FIXED32;
        break;
    case HD_FLOAT64:
        *out_field = 10;
        *out_wire = WIRE_FIXED64;
        break;
    case HD_INT64:
        *out_field = 7;
        break;
    case HD_UINT32:
    case HD_UINT64:
        *out_field = 11;
        break;
    default:
        *out_field = 5;
        break;
    }
}

/* The extents in a skeleton's raw_data. */
static size_t extent_count(const Onnx__TensorProto *tensor)
{
    return tensor->has_raw_data ? tensor->raw_data.len / sizeof(hd_onnx_extent) : 0;
}

static hd_onnx_extent extent_at(const Onnx__TensorProto *tensor, size_t index)
{
    hd_onnx_extent extent;
    memcpy(&extent, tensor->raw_data.data + index * sizeof extent, sizeof extent);
    return extent;
}

static const char *name_of(const Onnx__TensorProto *tensor)
{
    return tensor->name == NULL ? "" : tensor->name;
}

static hd_status read_shape(const Onnx__TensorProto *tensor, hd_tensor *out, size_t *out_count,
                            hd_error *error)
{
    char text[32];
    const char *name = name_of(tensor);
    hd_dtype dtype = hd_onnx_dtype(tensor->data_type);
    if (tensor->data_type == 0) {
        return hd_fail(error, HD_BAD_MODEL, "tensor '%s' has no type", name);
    }
    if (dtype == HD_DTYPE_NONE) {
        return hd_fail(error, HD_UNSUPPORTED, "tensor '%s' has type %s, which is not supported",
                       name, hd_onnx_type_name(tensor->data_type, text, sizeof text));
    }
    if (tensor->segment != NULL) {
        return hd_fail(error, HD_UNSUPPORTED, "tensor '%s' is a segment of another", name);
    }
    if (tensor->n_dims > HD_MAX_RANK) {
        return hd_fail(error, HD_UNSUPPORTED, "tensor '%s' has rank %zu; %d is the limit", name,
                       tensor->n_dims, HD_MAX_RANK);
    }
    hd_shape shape = {.rank = (uint32_t)tensor->n_dims};
    for (uint32_t i = 0; i < shape.rank; i++) {
        shape.dims[i] = tensor->dims[i];
        if (shape.dims[i] < 0) {
            return hd_fail(error, HD_BAD_MODEL, "tensor '%s': dimension %u is %lld", name, i,
                           (long long)shape.dims[i]);
        }
    }
    if (!hd_shape_is_valid(&shape, dtype)) {
        return hd_fail(error, HD_BAD_MODEL, "tensor '%s': the size of shape %s overflows", name,
                       hd_shape_text(&shape, (char[128]){0}, 128));
    }
    out->dtype = dtype;
    out->rank = shape.rank;
    memcpy(out->dims, shape.dims, sizeof out->dims);
    *out_count = (size_t)hd_shape_count(&shape);
    out->size = *out_count * hd_dtype_size(dtype);
    return HD_OK;
}

static hd_status fail_size(const char *name, const hd_tensor *out, uint64_t there, hd_error *error)
{
    hd_shape shape = {.rank = out->rank};
    memcpy(shape.dims, out->dims, sizeof shape.dims);
    return hd_fail(error, HD_BAD_MODEL,
                   "tensor '%s': %s of shape %s takes %zu bytes, but %llu are there", name,
                   hd_dtype_name(out->dtype), hd_shape_text(&shape, (char[128]){0}, 128), out->size,
                   (unsigned long long)there);
}

static hd_status allocate(const char *name, hd_tensor *out, hd_error *error)
{
    out->data = hd_alloc_aligned(out->size);
    return out->data != NULL ? HD_OK
                             : hd_fail(error, HD_OUT_OF_MEMORY,
                                       "tensor '%s': no memory for %zu bytes", name, out->size);
}

/* A bool's byte is 0 or 1, so that kernels may rely on it. */
static void normalize_bools(hd_tensor *out)
{
    unsigned char *bytes = out->data;
    for (size_t i = 0; out->dtype == HD_BOOL && i < out->size; i++) {
        bytes[i] = bytes[i] != 0;
    }
}

/* A number in an external_data entry; false when it is none. */
static bool parse_number(const char *text, uint64_t *out)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    *out = value;
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0;
}

static hd_status read_external(const hd_onnx_origin *origin, const Onnx__TensorProto *tensor,
                               hd_tensor *out, hd_error *error)
{
    const char *name = name_of(tensor);
    const char *location = NULL;
    uint64_t offset = 0;
    uint64_t length = out->size;
    for (size_t i = 0; i < tensor->n_external_data; i++) {
        const Onnx__StringStringEntryProto *entry = tensor->external_data[i];
        const char *key = entry->key == NULL ? "" : entry->key;
        const char *value = entry->value == NULL ? "" : entry->value;
        if (strcmp(key, "location") == 0) {
            location = value;
        } else if ((strcmp(key, "offset") == 0 && !parse_number(value, &offset)) ||
                   (strcmp(key, "length") == 0 && !parse_number(value, &length))) {
            return hd_fail(error, HD_BAD_MODEL,
                           "tensor '%s': %s '%s' of its external data is no number", name, key,
                           value);
        }
    }
    if (location == NULL) {
        return hd_fail(error, HD_BAD_MODEL, "tensor '%s': its external data has no location", name);
    }
    if (origin->folder < 0) {
        return hd_fail(error, HD_UNSUPPORTED,
                       "tensor '%s' is in the file '%s', but no folder for external data was given",
                       name, location);
    }
    if (length != out->size) {
        return fail_size(name, out, length, error);
    }
    hd_onnx_source file;
    hd_status status = hd_onnx_external_open(origin->folder, origin->model, location, &file, error);
    if (status != HD_OK) {
        return hd_fail_prefix(error, status, "tensor '%s': external data", name);
    }
    if (offset > file.size || length > file.size - offset) {
        status = hd_fail(error, HD_BAD_MODEL,
                         "tensor '%s': bytes %llu to %llu of '%s' are past its end at %llu", name,
                         (unsigned long long)offset, (unsigned long long)(offset + length),
                         location, (unsigned long long)file.size);
        const char *guess = hd_onnx_guess(&file);
        if (guess != NULL && strstr(guess, "Git LFS") != NULL) {
            hd_fail_suffix(error, status, "; it %s", guess);
        }
    } else {
        hd_budget_bring(length);
        status = allocate(name, out, error);
    }
    if (status == HD_OK) {
        status = hd_onnx_source_read(&file, offset, out->data, out->size, error);
        if (status != HD_OK) {
            status =
                hd_fail_prefix(error, status, "tensor '%s': external data '%s'", name, location);
        }
    }
    hd_onnx_external_close(&file);
    return status;
}

/* Stores a varint as the element at `to`: its low bits, as protobuf's writers made it. */
static void store_integer(unsigned char *to, size_t element_size, uint64_t value)
{
    memcpy(to, &value, element_size); /* little-endian (heddle/api.h) */
}

/* Decodes the elements of one extent from *index on. */
static hd_status read_extent(const hd_onnx_origin *origin, const hd_onnx_extent *extent,
                             uint32_t wire, hd_tensor *out, size_t count, size_t *index,
                             hd_error *error)
{
    size_t element_size = hd_dtype_size(out->dtype);
    uint64_t end = extent->offset + extent->size;
    unsigned char *to = out->data;
    hd_onnx_reader reader;
    hd_status status = hd_onnx_reader_init(&reader, origin->source, error);
    reader.offset = extent->offset;
    while (status == HD_OK && reader.offset < end) {
        uint64_t value = 0;
        if (extent->wire != WIRE_BYTES) {
            status = hd_onnx_reader_varint(&reader, end, &value, error); /* the tag */
        }
        if (status == HD_OK && *index == count) {
            status = hd_fail(error, HD_BAD_MODEL, "there are more elements than its shape has");
        }
        if (status == HD_OK && wire == WIRE_VARINT) {
            status = hd_onnx_reader_varint(&reader, end, &value, error);
            store_integer(to + *index * element_size, element_size, value);
        } else if (status == HD_OK && element_size <= end - reader.offset) {
            status = hd_onnx_reader_copy(&reader, to + *index * element_size, element_size, error);
        } else if (status == HD_OK) {
            status = hd_fail(error, HD_BAD_MODEL, "the last element is cut short");
        }
        ++*index;
    }
    hd_onnx_reader_clear(&reader);
    return status;
}

/* Elements in float_data, int32_data and so on. */
static hd_status read_typed(const hd_onnx_origin *origin, const Onnx__TensorProto *tensor,
                            hd_tensor *out, size_t count, hd_error *error)
{
    const char *name = name_of(tensor);
    uint32_t field;
    uint32_t wire;
    typed_field(out->dtype, &field, &wire);
    uint64_t bytes = 0;
    for (size_t i = 0; i < extent_count(tensor); i++) {
        hd_onnx_extent extent = extent_at(tensor, i);
        if (extent.field == field && extent.wire != wire && extent.wire != WIRE_BYTES) {
            return hd_fail(error, HD_BAD_MODEL, "tensor '%s': its elements have the wrong type",
                           name);
        }
        bytes += extent.field == field ? extent.size : 0;
    }
    /* An element takes at least a byte: without the bytes there is no memory for them. */
    if (bytes < count) {
        return bytes == 0 ? hd_fail(error, HD_BAD_MODEL, "tensor '%s' has no elements of type %s",
                                    name, hd_dtype_name(out->dtype))
                          : fail_size(name, out, bytes, error);
    }
    hd_status status = allocate(name, out, error);
    size_t index = 0;
    for (size_t i = 0; i < extent_count(tensor) && status == HD_OK; i++) {
        hd_onnx_extent extent = extent_at(tensor, i);
        if (extent.field != field) {
            continue;
        }
        if (extent.wire == WIRE_BYTES && wire != WIRE_VARINT && index == 0 &&
            extent.size == out->size) {
            status =
                hd_onnx_source_read(origin->source, extent.offset, out->data, out->size, error);
            index = count;
        } else {
            status = read_extent(origin, &extent, wire, out, count, &index, error);
        }
    }
    if (status != HD_OK) {
        return hd_fail_prefix(error, status, "tensor '%s'", name);
    }
    return index == count
               ? HD_OK
               : hd_fail(error, HD_BAD_MODEL, "tensor '%s' has %zu elements, but its shape has %zu",
                         name, index, count);
}

static hd_status read_raw(const hd_onnx_origin *origin, const Onnx__TensorProto *tensor,
                          const hd_onnx_extent *extent, hd_tensor *out, hd_error *error)
{
    const char *name = name_of(tensor);
    if (extent->wire != WIRE_BYTES) {
        return hd_fail(error, HD_BAD_MODEL, "tensor '%s': its raw data has the wrong type", name);
    }
    if (extent->size != out->size) {
        return fail_size(name, out, extent->size, error);
    }
    hd_status status = allocate(name, out, error);
    if (status == HD_OK) {
        status = hd_onnx_source_read(origin->source, extent->offset, out->data, out->size, error);
        status = status == HD_OK ? HD_OK : hd_fail_prefix(error, status, "tensor '%s'", name);
    }
    return status;
}

/* Elements that a file packs become one a byte. */
static hd_status unpack(const Onnx__TensorProto *tensor, hd_dtype dtype, size_t count,
                        hd_tensor *out, hd_error *error)
{
    uint8_t *packed = out->data;
    out->dtype = dtype;
    out->size = count;
    out->data = NULL;
    hd_status status = allocate(name_of(tensor), out, error);
    if (status == HD_OK) {
        hd_narrow_unpack(dtype, packed, count, out->data);
    }
    hd_free(packed);
    return status;
}

/* Texts, each a field of its own, become one block. */
static hd_status read_texts(const hd_onnx_origin *origin, const Onnx__TensorProto *tensor,
                            hd_tensor *out, size_t count, hd_error *error)
{
    const char *name = name_of(tensor);
    size_t found = 0, bytes = 0;
    for (size_t i = 0; i < extent_count(tensor); i++) {
        const hd_onnx_extent extent = extent_at(tensor, i);
        const bool is_text = extent.field == TEXTS && extent.wire == WIRE_BYTES;
        found += is_text;
        bytes += is_text ? (size_t)extent.size : 0; /* no more than the file has */
    }
    if (found != count) {
        return hd_fail(error, HD_BAD_MODEL, "tensor '%s' has %zu texts, but its shape has %zu",
                       name, found, count);
    }
    out->size += bytes;
    hd_status status = allocate(name, out, error);
    hd_string *texts = out->data;
    char *at = (char *)(texts + count);
    for (size_t i = 0, text = 0; i < extent_count(tensor) && status == HD_OK; i++) {
        const hd_onnx_extent extent = extent_at(tensor, i);
        if (extent.field == TEXTS && extent.wire == WIRE_BYTES) {
            status =
                hd_onnx_source_read(origin->source, extent.offset, at, (size_t)extent.size, error);
            texts[text++] = (hd_string){.data = at, .size = (size_t)extent.size};
            at += extent.size;
        }
    }
    return status == HD_OK ? HD_OK : hd_fail_prefix(error, status, "tensor '%s'", name);
}

hd_status hd_onnx_elements_read(const hd_onnx_origin *origin, const Onnx__TensorProto *tensor,
                                hd_tensor *out, hd_error *error)
{
    size_t count = 0;
    *out = (hd_tensor){0};
    hd_status status = read_shape(tensor, out, &count, error);
    if (status != HD_OK) {
        return status;
    }
    const hd_dtype dtype = out->dtype;
    const size_t elements = count;
    const bool is_packed = hd_narrow_packed_size(dtype, 8) < 8;
    if (is_packed) { /* read as the bytes that it lies in */
        out->dtype = HD_UINT8;
        count = out->size = hd_narrow_packed_size(dtype, elements);
    }
    size_t extents = extent_count(tensor);
    hd_onnx_extent raw = {0};
    for (size_t i = 0; i < extents; i++) {
        hd_onnx_extent extent = extent_at(tensor, i);
        raw = extent.field == RAW_DATA ? extent : raw;
    }
    if (tensor->has_data_location &&
        tensor->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL) {
        status = dtype == HD_STRING
                     ? hd_fail(error, HD_BAD_MODEL, "tensor '%s': texts are in no other file",
                               name_of(tensor))
                     : read_external(origin, tensor, out, error);
    } else if (dtype == HD_STRING) {
        status = read_texts(origin, tensor, out, count, error);
    } else if (raw.field == RAW_DATA && (raw.size > 0 || extents == 1)) {
        status = read_raw(origin, tensor, &raw, out, error);
    } else {
        status = read_typed(origin, tensor, out, count, error);
    }
    if (status == HD_OK && is_packed) {
        status = unpack(tensor, dtype, elements, out, error);
    }
    if (status != HD_OK) {
        hd_free(out->data);
        *out = (hd_tensor){0};
        return status;
    }
    normalize_bools(out);
    return HD_OK;
}

void hd_onnx_elements_pack(hd_tensor *tensor)
{
    if (hd_narrow_is_packed(tensor->dtype)) {
        const size_t count = tensor->size;
        hd_narrow_pack(tensor->dtype, tensor->data, count, tensor->data);
        tensor->size = hd_narrow_packed_size(tensor->dtype, count);
    }
}

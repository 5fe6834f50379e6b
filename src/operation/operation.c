#include "operation/operation.h"

#include <stdio.h>
#include <string.h>

int64_t hd_shape_count_range(const hd_shape *shape, uint32_t begin, uint32_t end)
{
    int64_t count = 1;
    for (uint32_t i = begin; i < end; i++) {
        count *= shape->dims[i];
    }
    return count;
}

int64_t hd_shape_count(const hd_shape *shape)
{
    return hd_shape_count_range(shape, 0, shape->rank);
}

bool hd_shape_equal(const hd_shape *a, const hd_shape *b)
{
    if (a->rank != b->rank) {
        return false;
    }
    for (uint32_t i = 0; i < a->rank; i++) {
        if (a->dims[i] != b->dims[i]) {
            return false;
        }
    }
    return true;
}

bool hd_shape_size(const hd_shape *shape, hd_dtype dtype, size_t *out_size)
{
    *out_size = 0;
    if (shape->rank > HD_MAX_RANK) {
        return false;
    }
    /* Zero dimensions count as 1 here, so that every partial product of the others fits as well. */
    int64_t bytes = (int64_t)hd_dtype_size(dtype);
    bool is_empty = false;
    for (uint32_t i = 0; i < shape->rank; i++) {
        int64_t dim = shape->dims[i];
        is_empty = is_empty || dim == 0;
        if (dim < 0 || __builtin_mul_overflow(bytes, dim == 0 ? 1 : dim, &bytes)) {
            return false;
        }
    }
    *out_size = is_empty ? 0 : (size_t)bytes;
    return true;
}

bool hd_shape_is_valid(const hd_shape *shape, hd_dtype dtype)
{
    size_t size;
    return hd_shape_size(shape, dtype, &size);
}

void hd_shape_strides(const hd_shape *shape, int64_t strides[HD_MAX_RANK])
{
    int64_t stride = 1;
    for (uint32_t i = shape->rank; i-- > 0;) {
        strides[i] = stride;
        stride *= shape->dims[i];
    }
}

bool hd_shape_broadcast(const hd_shape *a, const hd_shape *b, hd_shape *out)
{
    hd_shape result = {.rank = a->rank > b->rank ? a->rank : b->rank};
    for (uint32_t i = 0; i < result.rank; i++) {
        uint32_t missing_a = result.rank - a->rank;
        uint32_t missing_b = result.rank - b->rank;
        int64_t dim_a = i < missing_a ? 1 : a->dims[i - missing_a];
        int64_t dim_b = i < missing_b ? 1 : b->dims[i - missing_b];
        if (dim_a != dim_b && dim_a != 1 && dim_b != 1) {
            return false;
        }
        result.dims[i] = dim_a == 1 ? dim_b : dim_a;
    }
    *out = result;
    return true;
}

const char *hd_shape_text(const hd_shape *shape, char *text, size_t size)
{
    if (shape->rank == 0) {
        snprintf(text, size, "scalar");
        return text;
    }
    size_t used = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < shape->rank && used < size; i++) {
        int length = snprintf(text + used, size - used, i == 0 ? "%lld" : "x%lld",
                              (long long)shape->dims[i]);
        used += length > 0 ? (size_t)length : 0;
    }
    return text;
}

const hd_attribute *hd_operation_attribute(const hd_operation *operation, const char *name)
{
    for (size_t i = 0; i < operation->attribute_count; i++) {
        if (strcmp(operation->attributes[i].name, name) == 0) {
            return &operation->attributes[i];
        }
    }
    return NULL;
}

int64_t hd_operation_int(const hd_operation *operation, const char *name, int64_t otherwise)
{
    const hd_attribute *attribute = hd_operation_attribute(operation, name);
    return attribute != NULL && attribute->kind == HD_ATTRIBUTE_INT ? attribute->i : otherwise;
}

float hd_operation_float(const hd_operation *operation, const char *name, float otherwise)
{
    const hd_attribute *attribute = hd_operation_attribute(operation, name);
    return attribute != NULL && attribute->kind == HD_ATTRIBUTE_FLOAT ? attribute->f : otherwise;
}

const char *hd_operation_string(const hd_operation *operation, const char *name,
                                const char *otherwise)
{
    const hd_attribute *attribute = hd_operation_attribute(operation, name);
    return attribute != NULL && attribute->kind == HD_ATTRIBUTE_STRING ? attribute->s : otherwise;
}

const int64_t *hd_operation_ints(const hd_operation *operation, const char *name, size_t *out_count)
{
    const hd_attribute *attribute = hd_operation_attribute(operation, name);
    if (attribute == NULL || attribute->kind != HD_ATTRIBUTE_INTS) {
        *out_count = 0;
        return NULL;
    }
    *out_count = attribute->count;
    return attribute->ints;
}

int64_t hd_operand_int(const hd_operand *operand, int64_t index)
{
    switch (operand->dtype) {
    case HD_INT64:
        return ((const int64_t *)operand->data)[index];
    case HD_INT32:
        return ((const int32_t *)operand->data)[index];
    case HD_BOOL:
        return ((const uint8_t *)operand->data)[index];
    default:
        return 0;
    }
}

bool hd_axis_normalize(int64_t *axis, uint32_t rank)
{
    if (*axis < 0) {
        *axis += rank;
    }
    return *axis >= 0 && *axis < (int64_t)rank;
}

hd_status hd_operation_fail(const hd_operation *operation, hd_error *error, hd_status status,
                            const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    hd_fail_list(error, status, format, arguments);
    va_end(arguments);
    return hd_fail_prefix(error, status, "node '%s' (%s)", operation->name,
                          hd_operator_name(operation->id));
}

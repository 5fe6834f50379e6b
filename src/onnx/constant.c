#include "onnx/constant.h"

#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "onnx/attribute.h"
#include "onnx/texts.h"

#define KIND(name) ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__##name

static hd_status fail_node(const Onnx__NodeProto *node, hd_error *error, hd_status status,
                           const char *reason)
{
    return hd_fail(error, status, "node '%s' (%s): %s", hd_onnx_node_name(node),
                   hd_onnx_node_type(node), reason);
}

static hd_status read_texts(const Onnx__NodeProto *node, const ProtobufCBinaryData *texts,
                            size_t count, uint32_t rank, hd_tensor *out, hd_error *error)
{
    *out = (hd_tensor){.dtype = HD_STRING, .rank = rank, .data = hd_onnx_texts_copy(texts, count)};
    out->dims[0] = rank == 1 ? (int64_t)count : 0;
    out->size = count * sizeof(hd_string);
    return out->data != NULL
               ? HD_OK
               : hd_fail(error, HD_OUT_OF_MEMORY, "no memory for '%s'", hd_onnx_node_name(node));
}

hd_status hd_onnx_constant_read(const hd_onnx_origin *origin, const Onnx__NodeProto *node,
                                const Onnx__AttributeProto *value, hd_tensor *out, hd_error *error)
{
    const void *elements = &value->f;
    size_t count = 1;
    *out = (hd_tensor){.dtype = HD_FLOAT32};
    switch (hd_onnx_attribute_kind(value)) {
    case KIND(TENSOR): {
        hd_status status = hd_onnx_elements_read(origin, value->t, out, error);
        return status == HD_OK
                   ? HD_OK
                   : hd_fail_prefix(error, status, "node '%s' (Constant)", hd_onnx_node_name(node));
    }
    case KIND(INT):
        out->dtype = HD_INT64;
        elements = &value->i;
        break;
    case KIND(FLOATS):
        out->rank = 1;
        count = value->n_floats;
        elements = value->floats;
        break;
    case KIND(INTS):
        *out = (hd_tensor){.dtype = HD_INT64, .rank = 1};
        count = value->n_ints;
        elements = value->ints;
        break;
    case KIND(STRING):
        return read_texts(node, &value->s, 1, 0, out, error);
    case KIND(STRINGS):
        return read_texts(node, value->strings, value->n_strings, 1, out, error);
    default:
        break;
    }
    out->dims[0] = out->rank == 1 ? (int64_t)count : 0;
    out->size = count * hd_dtype_size(out->dtype);
    out->data = hd_alloc_aligned(out->size);
    if (out->data == NULL) {
        return hd_fail(error, HD_OUT_OF_MEMORY, "no memory for '%s'", hd_onnx_node_name(node));
    }
    if (count > 0) {
        memcpy(out->data, elements, out->size);
    }
    return HD_OK;
}

hd_status hd_onnx_constant_find(const hd_onnx_scope *scope, const Onnx__NodeProto *node,
                                const Onnx__AttributeProto **out, hd_error *error)
{
    static const struct {
        const char *name;
        Onnx__AttributeProto__AttributeType kind;
    } forms[] = {{"value", KIND(TENSOR)},         {"value_float", KIND(FLOAT)},
                 {"value_int", KIND(INT)},        {"value_floats", KIND(FLOATS)},
                 {"value_ints", KIND(INTS)},      {"value_string", KIND(STRING)},
                 {"value_strings", KIND(STRINGS)}};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        *out = hd_onnx_attribute_find(scope, node, forms[i].name);
        if (*out != NULL) {
            bool fits = hd_onnx_attribute_kind(*out) == forms[i].kind &&
                        (forms[i].kind != KIND(TENSOR) || (*out)->t != NULL);
            return fits ? HD_OK
                        : fail_node(node, error, HD_BAD_MODEL, "its value is not of its kind");
        }
    }
    return fail_node(node, error, HD_UNSUPPORTED, "its value is sparse or missing");
}

#include "onnx/attribute.h"

#include <string.h>

#include "base/memory.h"
#include "onnx/skeleton.h"
#include "onnx/texts.h"

#define KIND(name) ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__##name

/* Follows a function's reference to an attribute of the call, which may be a reference itself, or
 * to the function's own value for it; NULL: there is neither. A call's scope lies less deep than
 * the function's, so this ends. */
static const Onnx__AttributeProto *follow(const hd_onnx_scope *scope,
                                          const Onnx__AttributeProto *attribute)
{
    while (attribute != NULL && attribute->ref_attr_name != NULL &&
           attribute->ref_attr_name[0] != '\0') {
        const hd_onnx_call *call = scope->part_of;
        if (call == NULL) {
            return NULL;
        }
        const char *wanted = attribute->ref_attr_name;
        const hd_onnx_name *found = hd_onnx_names_find(&call->attributes, wanted);
        if (found == NULL) {
            found = hd_onnx_names_find(&call->function->defaults, wanted);
        }
        attribute = found == NULL ? NULL : found->item;
        scope = call->scope;
    }
    return attribute;
}

const Onnx__AttributeProto *hd_onnx_attribute_find(const hd_onnx_scope *scope,
                                                   const Onnx__NodeProto *node, const char *name)
{
    for (size_t i = 0; i < node->n_attribute; i++) {
        const Onnx__AttributeProto *attribute = node->attribute[i];
        if (attribute->name != NULL && strcmp(attribute->name, name) == 0) {
            return follow(scope, attribute);
        }
    }
    return NULL;
}

Onnx__AttributeProto__AttributeType hd_onnx_attribute_kind(const Onnx__AttributeProto *attribute)
{
    if (attribute->has_type && attribute->type != KIND(UNDEFINED)) {
        return attribute->type;
    }
    return attribute->has_f           ? KIND(FLOAT)
           : attribute->has_i         ? KIND(INT)
           : attribute->has_s         ? KIND(STRING)
           : attribute->t != NULL     ? KIND(TENSOR)
           : attribute->g != NULL     ? KIND(GRAPH)
           : attribute->n_floats > 0  ? KIND(FLOATS)
           : attribute->n_ints > 0    ? KIND(INTS)
           : attribute->n_strings > 0 ? KIND(STRINGS)
                                      : KIND(UNDEFINED);
}

/* Joins texts with commas into one that ends with 0; NULL when out of memory. */
static const char *join_texts(hd_region *region, const ProtobufCBinaryData *texts, size_t count)
{
    size_t size = 1;
    for (size_t i = 0; i < count; i++) {
        size += texts[i].len + 1;
    }
    char *joined = hd_region_alloc(region, size);
    char *at = joined;
    for (size_t i = 0; i < count && joined != NULL; i++) {
        if (i > 0) {
            *at++ = ',';
        }
        if (texts[i].len > 0) {
            memcpy(at, texts[i].data, texts[i].len);
            at += texts[i].len;
        }
    }
    return joined;
}

static hd_status convert_tensor(const hd_onnx_origin *origin, hd_region *region,
                                const Onnx__TensorProto *from, hd_attribute *to, hd_error *error)
{
    if (from == NULL) {
        return hd_fail(error, HD_BAD_MODEL, "it has no tensor");
    }
    hd_tensor *tensor = hd_region_alloc(region, sizeof *tensor);
    if (tensor == NULL) {
        return hd_fail(error, HD_OUT_OF_MEMORY, "no memory");
    }
    hd_status status = hd_onnx_elements_read(origin, from, tensor, error);
    if (status == HD_OK) {
        hd_onnx_elements_pack(tensor); /* as in attributes of hd_graph_add_node */
        to->tensor = tensor;
        to->kind = HD_ATTRIBUTE_TENSOR;
    }
    return status;
}

/* Of domain ai.onnx.ml: labels, categories, keys; they may have commas. */
static bool is_list_of_texts(const char *name)
{
    const size_t length = strlen(name);
    return length > 8 && strcmp(name + length - 8, "_strings") == 0;
}

/* Several texts as a tensor, whose data is hd_alloc'd. */
static hd_status convert_texts(hd_region *region, const Onnx__AttributeProto *from,
                               hd_attribute *to, hd_error *error)
{
    hd_tensor *tensor = hd_region_alloc(region, sizeof *tensor);
    void *block = tensor == NULL ? NULL : hd_onnx_texts_copy(from->strings, from->n_strings);
    if (block == NULL) {
        return hd_fail(error, HD_OUT_OF_MEMORY, "no memory");
    }
    *tensor = (hd_tensor){.dtype = HD_STRING,
                          .rank = 1,
                          .dims = {(int64_t)from->n_strings},
                          .data = block,
                          .size = from->n_strings * sizeof(hd_string)};
    to->tensor = tensor;
    to->kind = HD_ATTRIBUTE_TENSOR;
    return HD_OK;
}

static hd_status convert(const hd_onnx_origin *origin, hd_region *region,
                         const Onnx__AttributeProto *from, hd_attribute *to, hd_error *error)
{
    switch (hd_onnx_attribute_kind(from)) {
    case KIND(INT):
        to->kind = HD_ATTRIBUTE_INT;
        to->i = from->i;
        return HD_OK;
    case KIND(FLOAT):
        to->kind = HD_ATTRIBUTE_FLOAT;
        to->f = from->f;
        return HD_OK;
    case KIND(STRING):
        to->kind = HD_ATTRIBUTE_STRING;
        to->s = join_texts(region, &from->s, from->has_s ? 1 : 0);
        return to->s != NULL ? HD_OK : hd_fail(error, HD_OUT_OF_MEMORY, "no memory");
    case KIND(STRINGS):
        if (is_list_of_texts(to->name)) {
            return convert_texts(region, from, to, error);
        }
        to->kind = HD_ATTRIBUTE_STRING;
        to->s = join_texts(region, from->strings, from->n_strings);
        return to->s != NULL ? HD_OK : hd_fail(error, HD_OUT_OF_MEMORY, "no memory");
    case KIND(INTS):
        to->kind = HD_ATTRIBUTE_INTS;
        to->ints = from->ints;
        to->count = from->n_ints;
        return HD_OK;
    case KIND(FLOATS):
        to->kind = HD_ATTRIBUTE_FLOATS;
        to->floats = from->floats;
        to->count = from->n_floats;
        return HD_OK;
    case KIND(TENSOR):
        return convert_tensor(origin, region, from->t, to, error);
    case KIND(UNDEFINED):
        return hd_fail(error, HD_BAD_MODEL, "it has neither type nor value");
    default:
        return hd_fail(error, HD_UNSUPPORTED, "its type (number %d) is not supported",
                       (int)from->type);
    }
}

hd_status hd_onnx_attributes_read(const hd_onnx_origin *origin, hd_region *region,
                                  const hd_onnx_scope *scope, const Onnx__NodeProto *node,
                                  hd_onnx_attributes *out, hd_error *error)
{
    *out = (hd_onnx_attributes){.items =
                                    hd_region_array(region, node->n_attribute, sizeof *out->items)};
    if (out->items == NULL) {
        return hd_fail(error, HD_OUT_OF_MEMORY, "node '%s': no memory for its attributes",
                       hd_onnx_node_name(node));
    }
    for (size_t i = 0; i < node->n_attribute; i++) {
        const char *name = node->attribute[i]->name;
        const Onnx__AttributeProto *attribute = follow(scope, node->attribute[i]);
        if (attribute == NULL || (attribute->g != NULL && attribute == node->attribute[i])) {
            continue;
        }
        hd_attribute *item = &out->items[out->count];
        *item = (hd_attribute){.name = name == NULL ? "" : name};
        hd_status status = convert(origin, region, attribute, item, error);
        if (status != HD_OK) {
            return hd_fail_prefix(error, status, "node '%s' (%s): attribute '%s'",
                                  hd_onnx_node_name(node), hd_onnx_node_type(node), item->name);
        }
        out->count++;
    }
    return HD_OK;
}

void hd_onnx_attributes_clear(hd_onnx_attributes *attributes)
{
    for (size_t i = 0; i < attributes->count; i++) {
        const hd_attribute *item = &attributes->items[i];
        if (item->kind == HD_ATTRIBUTE_TENSOR) {
            hd_free(item->tensor->data);
        }
    }
    attributes->count = 0;
}

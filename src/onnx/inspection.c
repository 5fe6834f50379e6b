#include "onnx/inspection.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/sized.h"
#include "onnx/elements.h"
#include "onnx/missing.h"

const char *hd_inspection_domain(const char *domain)
{
    return hd_onnx_is_default_domain(domain) ? "ai.onnx" : domain;
}

/* Appends a copy; NULL when out of memory. */
static void *append(hd_inspection_list *list, const void *item, size_t size)
{
    if (!hd_array_reserve(&list->items, &list->capacity, list->count + 1, size)) {
        return NULL;
    }
    void *place = (unsigned char *)list->items + list->count++ * size;
    memcpy(place, item, size);
    return place;
}

/* The number behind `key`, 0 for a new one; NULL when out of memory. */
static size_t *number_of(hd_inspection *inspection, hd_onnx_names *map, const char *key)
{
    hd_onnx_name *entry = hd_onnx_names_find(map, key);
    if (entry == NULL) {
        const char *text = hd_region_copy_text(&inspection->region, key);
        entry = text == NULL ? NULL : hd_onnx_names_put(map, &inspection->region, text);
    }
    if (entry != NULL && entry->item == NULL) {
        entry->item = hd_region_alloc(&inspection->region, sizeof(size_t));
    }
    return entry == NULL ? NULL : entry->item;
}

static const char *keep(hd_inspection *inspection, const char *text)
{
    return hd_region_copy_text(&inspection->region, text == NULL ? "" : text);
}

bool hd_inspection_add_opset(hd_inspection *inspection, const char *domain, int64_t version)
{
    hd_inspection_opset made = {.domain = keep(inspection, hd_inspection_domain(domain)),
                                .version = version};
    return made.domain != NULL && append(&inspection->opsets, &made, sizeof made) != NULL;
}

static bool describe_shape(hd_inspection *inspection, const Onnx__TensorShapeProto *shape,
                           hd_inspection_value *made)
{
    if (shape == NULL || shape->n_dim > HD_MAX_RANK) {
        return true;
    }
    made->rank = (uint32_t)shape->n_dim;
    for (uint32_t i = 0; i < made->rank; i++) {
        const Onnx__TensorShapeProto__Dimension *dim = shape->dim[i];
        made->dims[i] = -1;
        if (dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE &&
            dim->dim_value > 0) {
            made->dims[i] = dim->dim_value;
        } else if (dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM &&
                   dim->dim_param != NULL && dim->dim_param[0] != '\0') {
            made->dim_names[i] = keep(inspection, dim->dim_param);
            if (made->dim_names[i] == NULL) {
                return false;
            }
        }
    }
    return true;
}

bool hd_inspection_add_value(hd_inspection *inspection, hd_inspection_list *list,
                             const Onnx__ValueInfoProto *value)
{
    const Onnx__TypeProto *type = value->type;
    char text[32];
    const char *name = "undeclared";
    hd_inspection_value made = {.name = keep(inspection, value->name), .rank = HD_RANK_UNKNOWN};
    bool fits = made.name != NULL;
    switch (type == NULL ? ONNX__TYPE_PROTO__VALUE__NOT_SET : type->value_case) {
    case ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE:
        if (type->tensor_type->elem_type != 0) {
            name = hd_onnx_type_name(type->tensor_type->elem_type, text, sizeof text);
        }
        fits = fits && describe_shape(inspection, type->tensor_type->shape, &made);
        break;
    case ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE:
        name = "sequence";
        break;
    case ONNX__TYPE_PROTO__VALUE_MAP_TYPE:
        name = "map";
        break;
    case ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE:
        name = "optional";
        break;
    case ONNX__TYPE_PROTO__VALUE_SPARSE_TENSOR_TYPE:
        name = "sparse tensor";
        break;
    default:
        break;
    }
    made.type = keep(inspection, name);
    return fits && made.type != NULL && append(list, &made, sizeof made) != NULL;
}

static bool count_operator(hd_inspection *inspection, const Onnx__NodeProto *node)
{
    const char *domain = hd_inspection_domain(node->domain), *type = hd_onnx_node_type(node);
    size_t size = strlen(domain) + strlen(type) + 32;
    char *key = hd_alloc(size);
    if (key == NULL) {
        return false;
    }
    snprintf(key, size, "%zu %s%s", strlen(domain), domain, type);
    size_t *number = number_of(inspection, &inspection->operator_map, key);
    hd_free(key);
    if (number != NULL && *number == 0) {
        hd_inspection_operator made = {.domain = keep(inspection, domain),
                                       .name = keep(inspection, type),
                                       .is_supported = hd_onnx_has_operator(node)};
        if (made.domain == NULL || made.name == NULL ||
            append(&inspection->operators, &made, sizeof made) == NULL) {
            return false;
        }
        *number = inspection->operators.count;
    }
    if (number != NULL) {
        ((hd_inspection_operator *)inspection->operators.items)[*number - 1].count++;
    }
    return number != NULL;
}

bool hd_inspection_add_node(hd_inspection *inspection, const Onnx__NodeProto *node)
{
    const char *name = hd_onnx_node_name(node);
    size_t *number = number_of(inspection, &inspection->node_map, name);
    hd_inspection_node made = {.name = keep(inspection, name),
                               .domain = keep(inspection, hd_inspection_domain(node->domain)),
                               .type = keep(inspection, hd_onnx_node_type(node)),
                               .device = "unknown"};
    if (number == NULL || made.name == NULL || made.domain == NULL || made.type == NULL ||
        append(&inspection->nodes, &made, sizeof made) == NULL) {
        return false;
    }
    *number = inspection->nodes.count;
    if (hd_onnx_is_default_domain(node->domain) && strcmp(made.type, "Constant") == 0) {
        ((hd_inspection_node *)inspection->nodes.items)[*number - 1].device = "merged";
    }
    return count_operator(inspection, node);
}

hd_inspection_node *hd_inspection_find_node(hd_inspection *inspection, const char *name)
{
    const hd_onnx_name *entry = hd_onnx_names_find(&inspection->node_map, name);
    return entry == NULL || entry->item == NULL
               ? NULL
               : (hd_inspection_node *)inspection->nodes.items + *(const size_t *)entry->item - 1;
}

/* What stands behind "node 'NAME' (TYPE): ", where the sentence begins so. */
static const char *without_node(const char *message, const char *node, const char *type)
{
    char prefix[480];
    const char *dot = strrchr(type, '.');
    int length =
        snprintf(prefix, sizeof prefix, "node '%s' (%s): ", node, dot == NULL ? type : dot + 1);
    return length > 0 && (size_t)length < sizeof prefix &&
                   strncmp(message, prefix, (size_t)length) == 0
               ? message + length
               : message;
}

bool hd_inspection_add_finding(hd_inspection *inspection, const char *node, const char *type,
                               const hd_error *error)
{
    char key[1024];
    const char *name = node == NULL ? "" : node;
    const char *reason = without_node(error->message, name, type == NULL ? "" : type);
    snprintf(key, sizeof key, "%.500s %s", type == NULL ? "" : type, reason);
    size_t *number = number_of(inspection, &inspection->finding_map, key);
    if (number != NULL && *number == 0) {
        hd_inspection_finding made = {.status = error->status,
                                      .node = keep(inspection, name),
                                      .type = keep(inspection, type),
                                      .reason = keep(inspection, reason)};
        if (made.node == NULL || made.type == NULL || made.reason == NULL ||
            append(&inspection->findings, &made, sizeof made) == NULL) {
            return false;
        }
        *number = inspection->findings.count;
    }
    if (number != NULL) {
        ((hd_inspection_finding *)inspection->findings.items)[*number - 1].count++;
    }
    return number != NULL;
}

void hd_inspection_destroy(hd_inspection **inspection)
{
    if (inspection == NULL || *inspection == NULL) {
        return;
    }
    hd_inspection *dead = *inspection;
    *inspection = NULL;
    hd_inspection_list *const lists[] = {&dead->opsets,    &dead->inputs, &dead->outputs,
                                         &dead->operators, &dead->nodes,  &dead->findings};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        hd_free(lists[i]->items);
    }
    hd_region_clear(&dead->region);
    hd_device *device = dead->device;
    hd_free(dead); /* what is charged to the device goes before it */
    hd_device_destroy(&device);
}

hd_status hd_inspection_get_summary(const hd_inspection *inspection,
                                    hd_inspection_summary *out_summary)
{
    if (inspection == NULL || out_summary == NULL || !hd_sized_is_set(out_summary)) {
        return HD_INVALID_ARGUMENT;
    }
    hd_sized_write(out_summary, &inspection->summary, sizeof inspection->summary);
    return HD_OK;
}

static hd_status get(const hd_inspection_list *list, size_t index, void *out, size_t size)
{
    if (list == NULL || out == NULL || index >= list->count || !hd_sized_is_set(out)) {
        return HD_INVALID_ARGUMENT;
    }
    hd_sized_write(out, (const unsigned char *)list->items + index * size, size);
    return HD_OK;
}

hd_status hd_inspection_get_opset(const hd_inspection *inspection, size_t index,
                                  hd_inspection_opset *out_opset)
{
    return get(inspection == NULL ? NULL : &inspection->opsets, index, out_opset,
               sizeof *out_opset);
}

hd_status hd_inspection_get_input(const hd_inspection *inspection, size_t index,
                                  hd_inspection_value *out_input)
{
    return get(inspection == NULL ? NULL : &inspection->inputs, index, out_input,
               sizeof *out_input);
}

hd_status hd_inspection_get_output(const hd_inspection *inspection, size_t index,
                                   hd_inspection_value *out_output)
{
    return get(inspection == NULL ? NULL : &inspection->outputs, index, out_output,
               sizeof *out_output);
}

hd_status hd_inspection_get_operator(const hd_inspection *inspection, size_t index,
                                     hd_inspection_operator *out_operator)
{
    return get(inspection == NULL ? NULL : &inspection->operators, index, out_operator,
               sizeof *out_operator);
}

hd_status hd_inspection_get_node(const hd_inspection *inspection, size_t index,
                                 hd_inspection_node *out_node)
{
    return get(inspection == NULL ? NULL : &inspection->nodes, index, out_node, sizeof *out_node);
}

hd_status hd_inspection_get_finding(const hd_inspection *inspection, size_t index,
                                    hd_inspection_finding *out_finding)
{
    return get(inspection == NULL ? NULL : &inspection->findings, index, out_finding,
               sizeof *out_finding);
}

#include "onnx/declaration.h"

#include <string.h>

#include "onnx/elements.h"

static const char *kind_name(Onnx__TypeProto__ValueCase kind)
{
    switch (kind) {
    case ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE:
        return "sequence";
    case ONNX__TYPE_PROTO__VALUE_MAP_TYPE:
        return "map";
    case ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE:
        return "optional";
    default:
        return "sparse tensor";
    }
}

/* A symbol of its own, and not one of the ways to say that a dimension is unknown. */
static bool is_symbol(const char *name)
{
    return name != NULL && name[0] != '\0' && strcmp(name, "?") != 0 && strcmp(name, "-1") != 0;
}

static hd_status declare_shape(hd_graph *graph, hd_graph_value *entry,
                               const Onnx__TensorShapeProto *shape, hd_error *error)
{
    if (shape->n_dim > HD_MAX_RANK) {
        return hd_fail(error, HD_UNSUPPORTED, "its rank is %zu; %d is the limit", shape->n_dim,
                       HD_MAX_RANK);
    }
    hd_shape smallest = {.rank = (uint32_t)shape->n_dim};
    entry->has_rank = true;
    entry->shape.rank = smallest.rank;
    for (uint32_t i = 0; i < smallest.rank; i++) {
        const Onnx__TensorShapeProto__Dimension *dim = shape->dim[i];
        entry->shape.dims[i] = -1;
        smallest.dims[i] = 1;
        if (dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE &&
            dim->dim_value > 0) {
            entry->shape.dims[i] = dim->dim_value;
            smallest.dims[i] = dim->dim_value;
        } else if (dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM &&
                   is_symbol(dim->dim_param)) {
            entry->dim_names[i] = hd_region_copy_text(&graph->region, dim->dim_param);
            if (entry->dim_names[i] == NULL) {
                return hd_fail(error, HD_OUT_OF_MEMORY, "no memory for its shape");
            }
        }
    }
    if (!hd_shape_is_valid(&smallest, entry->dtype)) {
        return hd_fail(error, HD_BAD_MODEL, "the size of its shape %s overflows",
                       hd_shape_text(&entry->shape, (char[128]){0}, 128));
    }
    return HD_OK;
}

hd_status hd_onnx_declare(hd_graph *graph, hd_value value, const Onnx__ValueInfoProto *declaration,
                          hd_onnx_type_need need, hd_error *error)
{
    const Onnx__TypeProto *type = declaration == NULL ? NULL : declaration->type;
    bool is_given = type != NULL && type->value_case != ONNX__TYPE_PROTO__VALUE__NOT_SET;
    if (is_given && type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE) {
        return hd_fail(error, HD_UNSUPPORTED, "it is of kind %s, which is not supported",
                       kind_name(type->value_case));
    }
    int32_t elements = is_given ? type->tensor_type->elem_type : 0;
    if (elements == 0) {
        return need == HD_ONNX_TYPE_NEEDED
                   ? hd_fail(error, HD_BAD_MODEL, "its type is not declared")
                   : HD_OK;
    }
    hd_dtype dtype = hd_onnx_dtype(elements);
    if (dtype == HD_DTYPE_NONE) {
        return hd_fail(error, HD_UNSUPPORTED, "its type %s is not supported",
                       hd_onnx_type_name(elements, (char[32]){0}, 32));
    }
    hd_graph_value *entry = &graph->values[value];
    entry->dtype = dtype;
    return type->tensor_type->shape == NULL
               ? HD_OK
               : declare_shape(graph, entry, type->tensor_type->shape, error);
}

/* Operators of domain ai.onnx.ml that look elements up: LabelEncoder, OneHotEncoder, CategoryMapper. The keys, sorted, are a constant, of
 * which "heddle.Lookup" finds the place. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "graph/expansions/expansions.h"
#include "graph/expansions/learned.h"
#include "operation/lookup.h"

/* A list of one type. */
typedef struct elements {
    hd_dtype dtype;
    const void *data;
    int64_t count;
} elements;

/* The first of these attributes that is there, each a list: integers, numbers, or a tensor. `prefix`: "keys" or "values". */
static elements find_list(hd_expansion *e, const char *prefix)
{
    static const char *const suffixes[] = {"_int64s", "_floats", "_strings", "_tensor"};
    elements found = {HD_DTYPE_NONE, NULL, 0};
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s%s", prefix, suffixes[i]);
        const hd_attribute *attribute = hd_operation_attribute(&e->operation, name);
        if (attribute == NULL) {
            continue;
        }
        if (found.dtype != HD_DTYPE_NONE) {
            hd_expand_fail(e, HD_BAD_MODEL, "it has two lists of %s", prefix);
        }
        if (attribute->kind == HD_ATTRIBUTE_TENSOR) {
            const hd_tensor *tensor = attribute->tensor;
            hd_shape shape = {.rank = tensor->rank};
            memcpy(shape.dims, tensor->dims, sizeof shape.dims);
            found = (elements){tensor->dtype, tensor->data, hd_shape_count(&shape)};
        } else if (attribute->kind == HD_ATTRIBUTE_INTS) {
            found = (elements){HD_INT64, attribute->ints, (int64_t)attribute->count};
        } else {
            found = (elements){HD_FLOAT32, attribute->floats, (int64_t)attribute->count};
        }
    }
    return found;
}

/* Sorted keys as a constant. places[i]: where key i of the list is in it. Of equal keys the first counts; the others
 * have its place. *out_count: different ones. */
static hd_value sort_keys(hd_expansion *e, const elements *keys, int64_t *places,
                          int64_t *out_count)
{
    const size_t size = hd_dtype_size(keys->dtype);
    hd_lookup_key *sorted = hd_alloc_zero((size_t)keys->count + 1, sizeof *sorted);
    unsigned char *unique = hd_alloc_zero((size_t)keys->count + 1, size + 1);
    hd_value made = HD_VALUE_NONE;
    *out_count = 0;
    if (sorted == NULL || unique == NULL || !hd_lookup_takes(keys->dtype)) {
        hd_expand_fail(e, sorted == NULL || unique == NULL ? HD_OUT_OF_MEMORY : HD_UNSUPPORTED,
                       "its keys are %s", hd_dtype_name(keys->dtype));
    } else {
        for (int64_t i = 0; i < keys->count; i++) {
            sorted[i] = hd_lookup_key_at(keys->dtype, keys->data, i);
            sorted[i].index = i;
        }
        qsort(sorted, (size_t)keys->count, sizeof *sorted, hd_lookup_compare_keys);
        for (int64_t i = 0; i < keys->count; i++) {
            if (i == 0 || hd_lookup_compare(&sorted[i - 1], &sorted[i]) != 0) {
                memcpy(unique + (size_t)*out_count * size,
                       (const unsigned char *)keys->data + (size_t)sorted[i].index * size, size);
                ++*out_count;
            }
            places[sorted[i].index] = *out_count - 1;
        }
        const hd_shape shape = {.rank = 1, .dims = {*out_count}};
        made = hd_expand_constant(e, keys->dtype, &shape, unique);
    }
    hd_free(sorted);
    hd_free(unique);
    return made;
}

/* Values in the order of the sorted keys, and one more for what is no key. */
static hd_value sort_values(hd_expansion *e, const elements *keys, const elements *values,
                            const int64_t *places, int64_t count, const void *otherwise)
{
    const size_t size = hd_dtype_size(values->dtype);
    unsigned char *sorted = hd_alloc_zero((size_t)count + 1, size);
    if (sorted == NULL) {
        hd_expand_fail(e, HD_OUT_OF_MEMORY, "no memory for its values");
        return HD_VALUE_NONE;
    }
    for (int64_t i = keys->count - 1; i >= 0; i--) { /* the first of equal keys counts */
        memcpy(sorted + (size_t)places[i] * size,
               (const unsigned char *)values->data + (size_t)i * size, size);
    }
    memcpy(sorted + (size_t)count * size, otherwise, size);
    const hd_shape shape = {.rank = 1, .dims = {count + 1}};
    const hd_value made = hd_expand_constant(e, values->dtype, &shape, sorted);
    hd_free(sorted);
    return made;
}

/* What an element that is no key becomes; *to has room for any element. */
static void read_default(hd_expansion *e, hd_dtype dtype, hd_lookup_element *to)
{
    const hd_operation *operation = &e->operation;
    const hd_attribute *tensor = hd_operation_attribute(operation, "default_tensor");
    memset(to, 0, sizeof *to);
    if (tensor != NULL) {
        if (tensor->tensor->dtype != dtype || tensor->tensor->size < hd_dtype_size(dtype)) {
            hd_expand_fail(e, HD_BAD_MODEL, "default_tensor is none of its values");
            return;
        }
        memcpy(to, tensor->tensor->data, hd_dtype_size(dtype));
    } else if (dtype == HD_STRING) {
        const char *text = hd_operation_string(operation, "default_string", "_Unused");
        to->text = (hd_string){.data = text, .size = strlen(text)};
    } else if (dtype == HD_FLOAT32) {
        to->single = hd_operation_float(operation, "default_float", -0.0f);
    } else if (dtype == HD_FLOAT64) {
        to->twice = (double)hd_operation_float(operation, "default_float", -0.0f);
    } else {
        to->integer = hd_operation_int(operation, "default_int64", -1); /* little-endian */
    }
}

/* Elements by their keys' values. */
static void encode(hd_expansion *e, const elements *keys, const elements *values)
{
    hd_lookup_element otherwise;
    int64_t count = 0;
    if (keys->count < 1 || keys->count != values->count || keys->count > HD_LEARNED_COLUMN_LIMIT) {
        hd_expand_fail(e, HD_BAD_MODEL, "%lld keys, but %lld values", (long long)keys->count,
                       (long long)values->count);
        return;
    }
    read_default(e, values->dtype, &otherwise);
    int64_t *places = hd_alloc_zero((size_t)keys->count, sizeof *places);
    if (places == NULL) {
        hd_expand_fail(e, HD_OUT_OF_MEMORY, "no memory for its keys");
    }
    const hd_value sorted = e->status == HD_OK ? sort_keys(e, keys, places, &count) : HD_VALUE_NONE;
    if (e->status == HD_OK) {
        const hd_value found = hd_expand_2(e, HD_OP_HEDDLE_LOOKUP, e->inputs[0], sorted);
        const hd_value table = sort_values(e, keys, values, places, count, &otherwise);
        hd_expand_give(e, 0, hd_expand_2(e, HD_OP_GATHER, table, found));
    }
    hd_free(places);
}

/* From texts to integers or back, as the type of the input says, which must be declared. */
static void encode_either(hd_expansion *e, const elements *texts, const elements *integers)
{
    const hd_dtype dtype = e->graph->values[e->inputs[0]].dtype;
    if (dtype == HD_STRING) {
        encode(e, texts, integers);
    } else if (dtype == HD_INT64) {
        encode(e, integers, texts);
    } else {
        hd_expand_fail(e, HD_UNSUPPORTED, "the type of its input is not known: it is %s",
                       hd_dtype_name(dtype));
    }
}

void hd_expand_category_mapper(hd_expansion *e)
{
    const hd_attribute *texts = hd_operation_attribute(&e->operation, "cats_strings");
    size_t count;
    const int64_t *integers = hd_operation_ints(&e->operation, "cats_int64s", &count);
    if (texts == NULL || texts->tensor->dtype != HD_STRING || count < 1) {
        hd_expand_fail(e, HD_BAD_MODEL, "it has no categories");
        return;
    }
    encode_either(e, &(elements){HD_STRING, texts->tensor->data, texts->tensor->dims[0]},
                  &(elements){HD_INT64, integers, (int64_t)count});
}

void hd_expand_label_encoder(hd_expansion *e)
{
    const elements keys = find_list(e, "keys"), values = find_list(e, "values");
    const hd_attribute *classes = hd_operation_attribute(&e->operation, "classes_strings");
    if (classes != NULL) { /* opset 1: texts and their numbers */
        const elements texts = {HD_STRING, classes->tensor->data, classes->tensor->dims[0]};
        int64_t *numbers = hd_alloc_zero((size_t)texts.count + 1, sizeof *numbers);
        if (numbers == NULL) {
            hd_expand_fail(e, HD_OUT_OF_MEMORY, "no memory for its classes");
            return;
        }
        for (int64_t i = 0; i < texts.count; i++) {
            numbers[i] = i;
        }
        encode_either(e, &texts, &(elements){HD_INT64, numbers, texts.count});
        hd_free(numbers);
        return;
    }
    if (e->status == HD_OK) {
        encode(e, &keys, &values);
    }
}

/* A dimension more: 1 where the element is that category. What is none of them is 0 everywhere, also where `zeros` is 0. */
void hd_expand_one_hot_encoder(hd_expansion *e)
{
    const elements categories = find_list(e, "cats");
    int64_t count;
    if (categories.count < 1 || categories.count > HD_LEARNED_COLUMN_LIMIT || e->status != HD_OK) {
        hd_expand_fail(e, HD_BAD_MODEL, "it has %lld categories", (long long)categories.count);
        return;
    }
    int64_t *places = hd_alloc_zero((size_t)categories.count, sizeof *places);
    if (places == NULL) {
        hd_expand_fail(e, HD_OUT_OF_MEMORY, "no memory for its categories");
        return;
    }
    const hd_value keys = sort_keys(e, &categories, places, &count);
    const hd_value x =
        categories.dtype == HD_INT64 ? hd_expand_cast(e, e->inputs[0], HD_INT64) : e->inputs[0];
    const hd_value found = hd_expand_2(e, HD_OP_HEDDLE_LOOKUP, x, keys);
    const int64_t last = -1;
    const hd_value column = hd_expand_2(e, HD_OP_UNSQUEEZE, found, hd_expand_list(e, &last, 1));
    const hd_value is_it =
        hd_expand_2(e, HD_OP_EQUAL, column, hd_expand_list(e, places, (size_t)categories.count));
    hd_expand_give(e, 0, hd_expand_cast(e, is_it, HD_FLOAT32));
    hd_free(places);
}

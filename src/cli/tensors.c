#include "cli/tensors.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/random.h"
#include "heddle/file.h"

#define ALIGNMENT 64
#define FILL_SEED UINT64_C(0x4865646c) /* and up by one an input */

size_t hd_tensor_element_count(const hd_tensor *tensor)
{
    size_t count = 1;
    for (uint32_t i = 0; i < tensor->rank; i++) {
        count *= (size_t)tensor->dims[i];
    }
    return count;
}

static bool texts_equal(const hd_tensor *a, const hd_tensor *b, size_t *out_element)
{
    const hd_string *left = a->data, *right = b->data;
    const size_t count = hd_tensor_element_count(a);
    for (size_t i = 0; i < count; i++) {
        if (left[i].size != right[i].size ||
            (left[i].size > 0 && memcmp(left[i].data, right[i].data, left[i].size) != 0)) {
            *out_element = i;
            return false;
        }
    }
    return true;
}

bool hd_tensor_equals(const hd_tensor *a, const hd_tensor *b, size_t *out_element)
{
    *out_element = SIZE_MAX;
    if (a->dtype != b->dtype || a->rank != b->rank || a->size != b->size ||
        memcmp(a->dims, b->dims, a->rank * sizeof a->dims[0]) != 0) {
        return false;
    }
    if (a->dtype == HD_STRING) {
        return texts_equal(a, b, out_element);
    }
    if (a->size == 0 || memcmp(a->data, b->data, a->size) == 0) {
        return true;
    }
    const unsigned char *left = a->data, *right = b->data;
    size_t byte = 0;
    while (byte + 1 < a->size && left[byte] == right[byte]) {
        byte++;
    }
    *out_element = byte * 8 / hd_dtype_bits(a->dtype);
    return false;
}

void hd_tensor_describe(const hd_tensor *tensor, char *text, size_t size)
{
    int length = snprintf(text, size, "%s", hd_dtype_name(tensor->dtype));
    for (uint32_t i = 0; i < tensor->rank && length >= 0 && (size_t)length < size; i++) {
        length += snprintf(text + length, size - (size_t)length, "%c%lld", i == 0 ? ' ' : 'x',
                           (long long)tensor->dims[i]);
    }
}

/* Rounds to nearest, ties to even. Not for values that float16 cannot hold: those here are
 * small. */
static uint16_t float16_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
    if (magnitude < 0x38800000u) {
        return (uint16_t)sign; /* below the smallest normal one: 0 will do to fill an input */
    }
    uint32_t rounded = magnitude + 0x0fffu + (magnitude >> 13 & 1u);
    return (uint16_t)(sign | (rounded - 0x38000000u) >> 13);
}

static uint16_t bfloat16_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

/* Turns the floats at the front of `data` into another floating type of the same memory. */
static void convert_floats(hd_dtype dtype, void *data, const float *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (dtype == HD_FLOAT64) {
            ((double *)data)[i] = (double)values[i];
        } else {
            ((uint16_t *)data)[i] =
                dtype == HD_FLOAT16 ? float16_of(values[i]) : bfloat16_of(values[i]);
        }
    }
}

static void fill_ones(hd_tensor *tensor, size_t count)
{
    size_t width = hd_dtype_size(tensor->dtype), bits = hd_dtype_bits(tensor->dtype);
    unsigned char *bytes = tensor->data;
    memset(bytes, 0, tensor->size);
    if (bits < 8) {
        for (size_t i = 0; i < count; i++) {
            bytes[i * bits / 8] |= (unsigned char)(1u << i * bits % 8);
        }
        return;
    }
    for (size_t i = 0; i < count && tensor->dtype != HD_STRING; i++) { /* texts are empty ones */
        bytes[i * width] = 1; /* little-endian, see heddle/api.h */
    }
}

bool hd_tensor_fill(hd_tensor *tensor, uint64_t seed)
{
    size_t count = hd_tensor_element_count(tensor);
    tensor->size = (count * hd_dtype_bits(tensor->dtype) + 7) / 8;
    tensor->data = aligned_alloc(ALIGNMENT, (tensor->size + ALIGNMENT) / ALIGNMENT * ALIGNMENT);
    if (tensor->data == NULL) {
        return false;
    }
    bool narrow = tensor->dtype == HD_FLOAT16 || tensor->dtype == HD_BFLOAT16;
    if (tensor->dtype == HD_FLOAT32) {
        hd_random_fill_normal(tensor->data, count, 0, 1, seed);
    } else if (narrow || tensor->dtype == HD_FLOAT64) {
        float *values = malloc(count * sizeof *values + 1);
        if (values == NULL) {
            return false;
        }
        hd_random_fill_normal(values, count, 0, 1, seed);
        convert_floats(tensor->dtype, tensor->data, values, count);
        free(values);
    } else {
        fill_ones(tensor, count);
    }
    return true;
}

hd_exit_code hd_tensor_parse_shape(hd_named_value shape, hd_tensor *tensor)
{
    const char *text = shape.value;
    size_t count = hd_dtype_size(tensor->dtype);
    tensor->rank = 0;
    for (;;) {
        char *end = NULL;
        errno = 0;
        long long number = isdigit((unsigned char)*text) ? strtoll(text, &end, 10) : -1;
        if (number < 0 || errno != 0 || tensor->rank == HD_MAX_RANK ||
            (*end != 'x' && *end != '\0')) {
            return hd_failure_print(EXIT_CODE_USAGE,
                                    "--shape wants up to %d numbers such as 1x128, not '%s'",
                                    HD_MAX_RANK, shape.value);
        }
        tensor->dims[tensor->rank++] = number;
        if (__builtin_mul_overflow(count, (size_t)number, &count) || count > PTRDIFF_MAX / 2) {
            return hd_failure_print(EXIT_CODE_INPUT, "--shape %s=%s is larger than memory can be",
                                    shape.name, shape.value);
        }
        if (*end == '\0') {
            return EXIT_CODE_OK;
        }
        text = end + 1;
    }
}

/* A loaded tensor of no elements may have no data. */
static bool is_given(const hd_tensor_list *list, size_t index)
{
    return list->of_library[index] || list->tensors[index].data != NULL;
}

static size_t find_input(const hd_model *model, const char *name)
{
    for (size_t i = 0; i < hd_model_input_count(model); i++) {
        hd_value_info info = {.struct_size = sizeof info};
        if (hd_model_input_info(model, i, &info) == HD_OK && strcmp(info.name, name) == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

static hd_exit_code refuse_name(const hd_model *model, const char *option, const char *name)
{
    char known[400] = "";
    size_t length = 0;
    for (size_t i = 0; i < hd_model_input_count(model) && length < sizeof known; i++) {
        hd_value_info info = {.struct_size = sizeof info};
        if (hd_model_input_info(model, i, &info) == HD_OK) {
            length += (size_t)snprintf(known + length, sizeof known - length, "%s%s",
                                       i == 0 ? "" : ", ", info.name);
        }
    }
    return hd_failure_print(EXIT_CODE_USAGE, "%s: the model has no input '%s'; it has %s", option,
                            name, known[0] != '\0' ? known : "none");
}

static hd_exit_code load_files(const hd_arguments *given, const hd_model *model,
                               hd_tensor_list *list)
{
    for (size_t i = 0; i < hd_arguments_count(given, "--input"); i++) {
        hd_named_value file = hd_arguments_named(given, "--input", i);
        size_t index = find_input(model, file.name);
        if (index == SIZE_MAX) {
            return refuse_name(model, "--input", file.name);
        }
        if (list->of_library[index]) {
            return hd_failure_print(EXIT_CODE_USAGE, "input '%s' is given twice", file.name);
        }
        hd_error error = {0};
        if (hd_tensor_load(file.value, &list->tensors[index], &error) != HD_OK) {
            return hd_failure_print_error(&error);
        }
        list->of_library[index] = true;
    }
    return EXIT_CODE_OK;
}

/* A dimension's size where another input with the same symbolic name has one, else -1. */
static int64_t find_symbol(const hd_model *model, const hd_tensor_list *list, const char *symbol)
{
    for (size_t i = 0; symbol != NULL && i < list->count; i++) {
        hd_value_info info = {.struct_size = sizeof info};
        if (!is_given(list, i) || hd_model_input_info(model, i, &info) != HD_OK ||
            info.rank != list->tensors[i].rank) {
            continue;
        }
        for (uint32_t d = 0; d < info.rank; d++) {
            if (info.dim_names[d] != NULL && strcmp(info.dim_names[d], symbol) == 0) {
                return list->tensors[i].dims[d];
            }
        }
    }
    return -1;
}

static hd_exit_code take_declared_shape(const hd_model *model, const hd_tensor_list *list,
                                        const hd_value_info *info, hd_tensor *tensor)
{
    if (info->rank == HD_RANK_UNKNOWN) {
        return hd_failure_print(EXIT_CODE_USAGE,
                                "the model leaves the shape of '%s' open; give --shape %s=…",
                                info->name, info->name);
    }
    tensor->rank = info->rank;
    for (uint32_t d = 0; d < info->rank; d++) {
        tensor->dims[d] =
            info->dims[d] >= 0 ? info->dims[d] : find_symbol(model, list, info->dim_names[d]);
        if (tensor->dims[d] < 0) {
            const char *symbol = info->dim_names[d];
            return hd_failure_print(
                EXIT_CODE_USAGE,
                "dimension %u%s%s%s of '%s' differs from run to run; give --shape %s=…", d,
                symbol != NULL ? " (" : "", symbol != NULL ? symbol : "", symbol != NULL ? ")" : "",
                info->name, info->name);
        }
    }
    return EXIT_CODE_OK;
}

/* Gives --shape's shapes to the inputs that no file was given for, and fills them. */
static hd_exit_code fill_others(const hd_arguments *given, const hd_model *model,
                                hd_tensor_list *list)
{
    for (size_t i = 0; i < hd_arguments_count(given, "--shape"); i++) {
        hd_named_value shape = hd_arguments_named(given, "--shape", i);
        size_t index = find_input(model, shape.name);
        hd_value_info info = {.struct_size = sizeof info};
        if (index == SIZE_MAX || hd_model_input_info(model, index, &info) != HD_OK) {
            return refuse_name(model, "--shape", shape.name);
        }
        if (is_given(list, index)) {
            return hd_failure_print(EXIT_CODE_USAGE, "input '%s' is given twice", shape.name);
        }
        list->tensors[index].dtype = info.dtype;
        hd_exit_code code = hd_tensor_parse_shape(shape, &list->tensors[index]);
        if (code != EXIT_CODE_OK) {
            return code;
        }
        if (!hd_tensor_fill(&list->tensors[index], FILL_SEED + index)) {
            return hd_failure_print_memory();
        }
    }
    for (size_t i = 0; i < list->count; i++) {
        hd_value_info info = {.struct_size = sizeof info};
        if (is_given(list, i) || hd_model_input_info(model, i, &info) != HD_OK) {
            continue;
        }
        list->tensors[i].dtype = info.dtype;
        hd_exit_code code = take_declared_shape(model, list, &info, &list->tensors[i]);
        if (code != EXIT_CODE_OK) {
            return code;
        }
        if (!hd_tensor_fill(&list->tensors[i], FILL_SEED + i)) {
            return hd_failure_print_memory();
        }
    }
    return EXIT_CODE_OK;
}

hd_exit_code hd_tensor_list_load(const hd_arguments *given, const hd_model *model, bool fill,
                                 hd_tensor_list *out_list)
{
    hd_tensor_list *list = out_list;
    *list = (hd_tensor_list){.count = hd_model_input_count(model)};
    list->tensors = calloc(list->count + 1, sizeof *list->tensors);
    list->of_library = calloc(list->count + 1, sizeof *list->of_library);
    if (list->tensors == NULL || list->of_library == NULL) {
        list->count = 0;
        return hd_failure_print_memory();
    }
    hd_exit_code code = load_files(given, model, list);
    if (code == EXIT_CODE_OK && fill) {
        return fill_others(given, model, list);
    }
    for (size_t i = 0; i < list->count && code == EXIT_CODE_OK; i++) {
        hd_value_info info = {.struct_size = sizeof info};
        if (!list->of_library[i] && hd_model_input_info(model, i, &info) == HD_OK) {
            code = hd_failure_print(EXIT_CODE_USAGE, "input '%s' is missing; give --input %s=FILE",
                                    info.name, info.name);
        }
    }
    return code;
}

void hd_tensor_list_free(hd_tensor_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->of_library[i]) {
            hd_tensor_release(&list->tensors[i]);
        } else {
            free(list->tensors[i].data);
        }
    }
    free(list->tensors);
    free(list->of_library);
    *list = (hd_tensor_list){0};
}

hd_tensor *hd_tensors_allocate(size_t count)
{
    return calloc(count + 1, sizeof(hd_tensor));
}

void hd_tensors_release(hd_tensor **tensors, size_t count)
{
    for (size_t i = 0; *tensors != NULL && i < count; i++) {
        hd_tensor_release(&(*tensors)[i]);
    }
    free(*tensors);
    *tensors = NULL;
}

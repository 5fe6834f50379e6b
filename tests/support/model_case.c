#include "model_case.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

void model_case_say(char reason[MODEL_CASE_TEXT_SIZE], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, MODEL_CASE_TEXT_SIZE, format, arguments);
    va_end(arguments);
}

static double half_to_double(uint16_t bits)
{
    int exponent = bits >> 10 & 31;
    double fraction = bits & 1023;
    double value = exponent == 31  ? (fraction == 0 ? INFINITY : NAN)
                   : exponent == 0 ? ldexp(fraction, -24)
                                   : ldexp(fraction + 1024, exponent - 25);
    return (bits & 0x8000) != 0 ? -value : value;
}

static double bfloat_to_double(uint16_t bits)
{
    uint32_t whole = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &whole, sizeof value);
    return value;
}

static double element_as_double(const hd_tensor *tensor, size_t index)
{
    switch (tensor->dtype) {
    case HD_FLOAT32:
        return ((const float *)tensor->data)[index];
    case HD_FLOAT64:
        return ((const double *)tensor->data)[index];
    case HD_BFLOAT16:
        return bfloat_to_double(((const uint16_t *)tensor->data)[index]);
    default:
        return half_to_double(((const uint16_t *)tensor->data)[index]);
    }
}

static bool is_floating(hd_dtype dtype)
{
    return dtype == HD_FLOAT32 || dtype == HD_FLOAT64 || dtype == HD_FLOAT16 ||
           dtype == HD_BFLOAT16;
}

static bool is_close(double got, double expected, double relative, double absolute)
{
    if (isnan(got) || isnan(expected)) {
        return isnan(got) && isnan(expected);
    }
    return got == expected || fabs(got - expected) <= absolute + relative * fabs(expected);
}

static double peak_of(const hd_tensor *tensor, size_t count)
{
    double peak = 0;
    for (size_t i = 0; i < count; i++) {
        double magnitude = fabs(element_as_double(tensor, i));
        peak = isfinite(magnitude) && magnitude > peak ? magnitude : peak;
    }
    return peak;
}

static void shape_text(const hd_tensor *tensor, char text[128])
{
    size_t used = (size_t)snprintf(text, 128, "%s[", hd_dtype_name(tensor->dtype));
    for (uint32_t i = 0; i < tensor->rank && used < 100; i++) {
        used += (size_t)snprintf(text + used, 128 - used, "%s%" PRId64, i == 0 ? "" : "x",
                                 tensor->dims[i]);
    }
    snprintf(text + used, 128 - used, "]");
}

static bool compare_shapes(const hd_tensor *got, const hd_tensor *expected, size_t output,
                           char reason[MODEL_CASE_TEXT_SIZE])
{
    bool same_shape = got->dtype == expected->dtype && got->rank == expected->rank;
    for (uint32_t i = 0; i < expected->rank && same_shape; i++) {
        same_shape = got->dims[i] == expected->dims[i];
    }
    if (!same_shape || (got->dtype != HD_STRING && got->size != expected->size)) {
        char first[128], second[128];
        shape_text(got, first);
        shape_text(expected, second);
        model_case_say(reason, "output %zu is %s, expected %s", output, first, second);
        return false;
    }
    return true;
}

static bool compare_texts(const hd_tensor *got, const hd_tensor *expected, size_t output,
                          char reason[MODEL_CASE_TEXT_SIZE])
{
    const hd_string *a = got->data, *b = expected->data;
    size_t count = 1;
    for (uint32_t i = 0; i < expected->rank; i++) {
        count *= (size_t)expected->dims[i];
    }
    for (size_t i = 0; i < count; i++) {
        if (a[i].size != b[i].size ||
            (a[i].size > 0 && memcmp(a[i].data, b[i].data, a[i].size) != 0)) {
            model_case_say(reason, "output %zu, text %zu is '%.*s', expected '%.*s'", output, i,
                           (int)a[i].size, a[i].data, (int)b[i].size, b[i].data);
            return false;
        }
    }
    return true;
}

bool model_case_compare(const hd_tensor *got, const hd_tensor *expected,
                        const model_tolerance *tolerance, size_t output,
                        char reason[MODEL_CASE_TEXT_SIZE])
{
    if (!compare_shapes(got, expected, output, reason)) {
        return false;
    }
    if (expected->dtype == HD_STRING) {
        return compare_texts(got, expected, output, reason);
    }
    size_t element_size = hd_dtype_size(expected->dtype);
    size_t count = expected->size / element_size;
    bool floats = is_floating(expected->dtype);
    double absolute = tolerance->absolute, relative = tolerance->relative;
    if (expected->dtype == HD_BFLOAT16 && relative < 0x1p-6) {
        relative = 0x1p-6; /* two in its last place: ONNX's reference rounds at every step */
    }
    absolute += floats ? tolerance->of_peak * peak_of(expected, count) : 0;
    size_t wrong = 0;
    size_t first_wrong = 0;
    for (size_t i = 0; i < count; i++) {
        const char *a = (const char *)got->data + i * element_size;
        const char *b = (const char *)expected->data + i * element_size;
        bool equal = floats ? is_close(element_as_double(got, i), element_as_double(expected, i),
                                       relative, absolute)
                            : memcmp(a, b, element_size) == 0;
        first_wrong = !equal && wrong == 0 ? i : first_wrong;
        wrong += !equal;
    }
    if (wrong > 0 && floats) {
        model_case_say(reason,
                       "output %zu: %zu of %zu elements differ, the first at %zu: %.9g, "
                       "expected %.9g",
                       output, wrong, count, first_wrong, element_as_double(got, first_wrong),
                       element_as_double(expected, first_wrong));
    } else if (wrong > 0) {
        int64_t a = 0, b = 0;
        memcpy(&a, (const char *)got->data + first_wrong * element_size, element_size);
        memcpy(&b, (const char *)expected->data + first_wrong * element_size, element_size);
        model_case_say(reason,
                       "output %zu: %zu of %zu elements differ, the first at %zu: bits %" PRIx64
                       ", expected %" PRIx64,
                       output, wrong, count, first_wrong, (uint64_t)a, (uint64_t)b);
    }
    return wrong == 0;
}

/* Loads KIND_0.pb and so on; false when one is missing or cannot be read. */
static bool load_tensors(const char *folder, const char *kind, hd_tensor *tensors, size_t count,
                         char reason[MODEL_CASE_TEXT_SIZE])
{
    for (size_t i = 0; i < count; i++) {
        char path[1024];
        hd_error error = {0};
        snprintf(path, sizeof path, "%s/%s_%zu.pb", folder, kind, i);
        if (hd_tensor_load(path, &tensors[i], &error) != HD_OK) {
            model_case_say(reason, "test data: %s", error.message);
            return false;
        }
    }
    return true;
}

bool model_case_check(hd_model *model, const hd_tensor *inputs, const hd_tensor *expected,
                      const model_tolerance *tolerance, char reason[MODEL_CASE_TEXT_SIZE])
{
    hd_tensor outputs[MODEL_CASE_OPERAND_LIMIT] = {0};
    size_t output_count = hd_model_output_count(model);
    hd_error error = {0};
    if (output_count > MODEL_CASE_OPERAND_LIMIT) {
        model_case_say(reason, "more than %d outputs", MODEL_CASE_OPERAND_LIMIT);
        return false;
    }
    if (hd_model_run(model, inputs, hd_model_input_count(model), outputs, output_count, &error) !=
        HD_OK) {
        model_case_say(reason, "run: %s: %s", hd_status_name(error.status), error.message);
        return false;
    }
    bool passed = true;
    for (size_t i = 0; i < output_count; i++) {
        passed = passed && model_case_compare(&outputs[i], &expected[i], tolerance, i, reason);
        hd_tensor_release(&outputs[i]);
    }
    return passed;
}

bool model_case_run(hd_model *model, const char *folder, const model_tolerance *tolerance,
                    char reason[MODEL_CASE_TEXT_SIZE])
{
    hd_tensor inputs[MODEL_CASE_OPERAND_LIMIT] = {0};
    hd_tensor expected[MODEL_CASE_OPERAND_LIMIT] = {0};
    size_t input_count = hd_model_input_count(model);
    size_t output_count = hd_model_output_count(model);
    if (input_count > MODEL_CASE_OPERAND_LIMIT || output_count > MODEL_CASE_OPERAND_LIMIT) {
        model_case_say(reason, "more than %d inputs or outputs", MODEL_CASE_OPERAND_LIMIT);
        return false;
    }
    bool passed = load_tensors(folder, "input", inputs, input_count, reason) &&
                  load_tensors(folder, "output", expected, output_count, reason) &&
                  model_case_check(model, inputs, expected, tolerance, reason);
    for (size_t i = 0; i < MODEL_CASE_OPERAND_LIMIT; i++) {
        hd_tensor_release(&inputs[i]);
        hd_tensor_release(&expected[i]);
    }
    return passed;
}

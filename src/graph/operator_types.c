/* Which types an operator's inputs may have beside one another. Inference and kernels look at the first
 * input's type and trust the others to fit, so what does not fit is refused here, before both. */
#include "graph/operator.h"

/* *shared: the type of the T inputs so far, HD_DTYPE_NONE before the first. */
static bool fits(char letter, hd_dtype dtype, hd_dtype *shared)
{
    switch (letter) {
    case 'T':
        if (*shared == HD_DTYPE_NONE) {
            *shared = dtype;
        }
        return dtype == *shared;
    case 'I':
        return dtype == HD_INT32 || dtype == HD_INT64;
    case 'L':
        return dtype == HD_INT64;
    case 'B':
        return dtype == HD_BOOL;
    case 'F':
        return dtype == HD_FLOAT32;
    default:
        return true;
    }
}

static bool takes_texts(const hd_operation *operation)
{
    return (hd_operator_of(operation->id)->flags & HD_OPERATOR_TEXTS) != 0;
}

bool hd_operation_has_texts(const hd_operation *operation)
{
    bool found = false;
    for (size_t i = 0; i < operation->input_count; i++) {
        found = found || operation->inputs[i].dtype == HD_STRING;
    }
    for (size_t i = 0; i < operation->output_count; i++) {
        found = found || operation->outputs[i].dtype == HD_STRING;
    }
    return found;
}

hd_status hd_operator_check_outputs(const hd_operation *operation, hd_error *error)
{
    for (size_t i = 0; i < operation->output_count; i++) {
        if (operation->outputs[i].dtype == HD_STRING && !takes_texts(operation)) {
            return hd_operation_fail(operation, error, HD_UNSUPPORTED,
                                     "output %zu would be string, which is not supported", i);
        }
    }
    return HD_OK;
}

hd_status hd_operator_check_types(const hd_operation *operation, hd_error *error)
{
    const char *rule = hd_operator_of(operation->id)->types;
    hd_dtype shared = HD_DTYPE_NONE;
    for (size_t i = 0; i < operation->input_count; i++) {
        if (operation->inputs[i].dtype == HD_STRING && !takes_texts(operation)) {
            return hd_operation_fail(operation, error, HD_UNSUPPORTED,
                                     "input %zu is string, which it is not supported for", i);
        }
    }
    for (size_t i = 0; rule != NULL && i < operation->input_count; i++) {
        hd_dtype dtype = operation->inputs[i].dtype;
        if (dtype != HD_DTYPE_NONE && !fits(*rule, dtype, &shared)) {
            return hd_operation_fail(operation, error, HD_BAD_MODEL,
                                     "input %zu is %s, which does not go with the others", i,
                                     hd_dtype_name(dtype));
        }
        rule += rule[1] != '\0';
    }
    return HD_OK;
}

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

hd_status hd_operator_check_types(const hd_operation *operation, hd_error *error)
{
    const char *rule = hd_operator_of(operation->id)->types;
    hd_dtype shared = HD_DTYPE_NONE;
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

#include "graph/operator.h"

#include <string.h>

static const hd_operator *const families[] = {
#define FAMILY_ROW(family) hd_operators_##family,
    HD_OPERATOR_FAMILY_LIST(FAMILY_ROW)
#undef FAMILY_ROW
};

const hd_operator *hd_operator_find(const char *type)
{
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        for (const hd_operator *row = families[i]; row->type != NULL; row++) {
            if (strcmp(row->type, type) == 0) {
                return row;
            }
        }
    }
    return NULL;
}

bool hd_operation_gives_nothing(const hd_operation *operation)
{
    for (size_t i = 0; i < operation->output_count; i++) {
        const hd_operand *output = &operation->outputs[i];
        if (output->dtype != HD_DTYPE_NONE && hd_shape_count(&output->shape) > 0) {
            return false;
        }
    }
    const hd_operator *entry = hd_operator_find(operation->type);
    return entry == NULL || (entry->flags & HD_OPERATOR_DYNAMIC) == 0;
}

hd_infer_result hd_infer_same(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    (void)needed_input;
    (void)error;
    operation->outputs[0].dtype = operation->inputs[0].dtype;
    operation->outputs[0].shape = operation->inputs[0].shape;
    return HD_INFER_DONE;
}

hd_infer_result hd_infer_broadcast(hd_operation *operation, size_t *needed_input, hd_error *error)
{
    (void)needed_input;
    hd_shape shape = operation->inputs[0].shape;
    for (size_t i = 1; i < operation->input_count; i++) {
        if (!hd_shape_broadcast(&shape, &operation->inputs[i].shape, &shape)) {
            char first[96], second[96];
            hd_operation_fail(operation, error, HD_INVALID_ARGUMENT,
                              "shapes %s and %s (input %zu) do not broadcast",
                              hd_shape_text(&shape, first, sizeof first),
                              hd_shape_text(&operation->inputs[i].shape, second, sizeof second), i);
            return HD_INFER_FAILED;
        }
    }
    operation->outputs[0].dtype = operation->inputs[0].dtype;
    operation->outputs[0].shape = shape;
    return HD_INFER_DONE;
}

#include "graph/operator.h"

const hd_operator *hd_operator_find(const char *name)
{
    hd_operator_id id = hd_operator_lookup(name);
    return id == HD_OP_NONE || hd_operator_is_internal(id) ? NULL : hd_operator_of(id);
}

bool hd_operation_gives_nothing(const hd_operation *operation)
{
    for (size_t i = 0; i < operation->output_count; i++) {
        const hd_operand *output = &operation->outputs[i];
        if (output->dtype != HD_DTYPE_NONE && hd_shape_count(&output->shape) > 0) {
            return false;
        }
    }
    return (hd_operator_of(operation->id)->flags & HD_OPERATOR_DYNAMIC) == 0;
}

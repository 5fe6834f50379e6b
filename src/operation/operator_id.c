#include "operation/operator_id.h"

#include <string.h>

static const char *const names[HD_OP_COUNT] = {
    [HD_OP_NONE] = "",
#define HD_OPERATOR(id, name, ...) [HD_OP_##id] = name,
#include "operation/operators.inc"
};

const char *hd_operator_name(hd_operator_id id)
{
    return names[id];
}

hd_operator_id hd_operator_lookup(const char *name)
{
    int low = HD_OP_NONE + 1, high = HD_OP_COUNT;
    while (low < high) {
        int middle = low + (high - low) / 2;
        int order = strcmp(name, names[middle]);
        if (order == 0) {
            return (hd_operator_id)middle;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return HD_OP_NONE;
}

#include "hal/recipe.h"

#include <string.h>

void *hd_reference_resolve(const hd_reference *reference, const hd_list_memory *memory,
                           void *const *inputs, void *const *outputs)
{
    switch (reference->space) {
    case HD_SPACE_NONE:
        return NULL;
    case HD_SPACE_CONSTANT: {
        void *constant; /* kernels only read constants */
        memcpy(&constant, &reference->constant, sizeof constant);
        return constant;
    }
    case HD_SPACE_ARENA:
        return memory->arena + reference->offset;
    case HD_SPACE_HOST:
        return memory->host + reference->offset;
    case HD_SPACE_INPUT:
        return inputs[reference->index];
    case HD_SPACE_OUTPUT:
        return outputs[reference->index];
    }
    return NULL;
}

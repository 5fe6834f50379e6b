#include "hal/recipe.h"

#include <string.h>

void *hd_reference_resolve(const hd_reference *reference, unsigned char *arena, void *const *inputs,
                           void *const *outputs)
{
    switch (reference->space) {
    case HD_SPACE_NONE:
        return NULL;
    case HD_SPACE_CONSTANT: {
        void *memory; /* kernels only read constants */
        memcpy(&memory, &reference->constant, sizeof memory);
        return memory;
    }
    case HD_SPACE_ARENA:
        return arena + reference->offset;
    case HD_SPACE_INPUT:
        return inputs[reference->index];
    case HD_SPACE_OUTPUT:
        return outputs[reference->index];
    }
    return NULL;
}

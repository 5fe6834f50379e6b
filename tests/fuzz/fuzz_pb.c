/* Tensor files, TensorProto (.pb). */
#include "tensor_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (is_npy(data, size)) {
        return -1; /* the other target's; not to be kept in the corpus */
    }
    check_tensor_file(data, size);
    return 0;
}

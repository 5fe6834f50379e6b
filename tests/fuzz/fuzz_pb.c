/* Tensor files, TensorProto (.pb): whatever the bytes, a tensor whose size fits its shape, or a
 * status with a sentence. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "heddle/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t magic[] = {0x93, 'N', 'U', 'M', 'P', 'Y'};
    int is_npy = size >= sizeof magic && memcmp(data, magic, sizeof magic) == 0;
    if (is_npy != 0) {
        return -1; /* the other target's; not to be kept in the corpus */
    }
    hd_tensor tensor = {0};
    hd_error error = {0};
    hd_status status = hd_tensor_load_memory(data, size, &tensor, &error);
    if (status != HD_OK) {
        if (tensor.data != NULL || error.status != status || error.message[0] == '\0') {
            abort();
        }
        return 0;
    }
    size_t bytes = hd_dtype_size(tensor.dtype);
    for (uint32_t i = 0; i < tensor.rank; i++) {
        bytes *= (size_t)tensor.dims[i];
    }
    unsigned char sum = 0;
    for (size_t i = 0; i < tensor.size; i++) { /* every byte is there to be read */
        sum = (unsigned char)(sum + ((const unsigned char *)tensor.data)[i]);
    }
    if (tensor.size != bytes || (sum == 0 && tensor.data == NULL)) {
        abort();
    }
    hd_tensor_release(&tensor);
    return 0;
}

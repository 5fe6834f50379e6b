/* What both readers of tensor files promise: a tensor whose size fits its shape, or a status with a
 * sentence. */
#ifndef HD_FUZZ_TENSOR_FILE_H
#define HD_FUZZ_TENSOR_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "heddle/file.h"

static inline bool is_npy(const uint8_t *data, size_t size)
{
    static const uint8_t magic[] = {0x93, 'N', 'U', 'M', 'P', 'Y'};
    return size >= sizeof magic && memcmp(data, magic, sizeof magic) == 0;
}

static inline void check_tensor_file(const uint8_t *data, size_t size)
{
    hd_tensor tensor = {0};
    hd_error error = {0};
    hd_status status = hd_tensor_load_memory(data, size, &tensor, &error);
    if (status != HD_OK) {
        if (tensor.data != NULL || error.status != status || error.message[0] == '\0') {
            abort();
        }
        return;
    }
    size_t count = 1;
    for (uint32_t i = 0; i < tensor.rank; i++) {
        count *= (size_t)tensor.dims[i];
    }
    size_t bytes = hd_dtype_bits(tensor.dtype) < 8 ? (count * hd_dtype_bits(tensor.dtype) + 7) / 8
                                                   : count * hd_dtype_size(tensor.dtype);
    unsigned char sum = 0;
    for (size_t i = 0; i < tensor.size; i++) { /* every byte is there to be read */
        sum = (unsigned char)(sum + ((const unsigned char *)tensor.data)[i]);
    }
    if (tensor.dtype == HD_STRING &&
        bytes <= tensor.size) { /* the texts stand in the same block, behind the array */
        const hd_string *texts = tensor.data;
        size_t before = bytes;
        for (size_t i = 0; i < count; i++) {
            const char *begin = (const char *)tensor.data + before;
            if (texts[i].size > tensor.size - before ||
                (texts[i].size > 0 && texts[i].data != begin)) {
                abort();
            }
            before += texts[i].size;
        }
        bytes = tensor.size;
    }
    if (tensor.size != bytes || (sum == 0 && tensor.data == NULL)) {
        abort();
    }
    hd_tensor_release(&tensor);
}

#endif

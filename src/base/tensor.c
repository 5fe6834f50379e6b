#include "heddle/tensor.h"

#include "base/memory.h"

size_t hd_dtype_size(hd_dtype dtype)
{
    switch (dtype) {
    case HD_UINT8:
    case HD_INT8:
    case HD_BOOL:
        return 1;
    case HD_UINT16:
    case HD_INT16:
    case HD_FLOAT16:
    case HD_BFLOAT16:
        return 2;
    case HD_FLOAT32:
    case HD_INT32:
    case HD_UINT32:
        return 4;
    case HD_INT64:
    case HD_UINT64:
    case HD_FLOAT64:
        return 8;
    case HD_DTYPE_NONE:
        break;
    }
    return 0;
}

const char *hd_dtype_name(hd_dtype dtype)
{
    switch (dtype) {
    case HD_FLOAT32:
        return "float32";
    case HD_UINT8:
        return "uint8";
    case HD_INT8:
        return "int8";
    case HD_UINT16:
        return "uint16";
    case HD_INT16:
        return "int16";
    case HD_INT32:
        return "int32";
    case HD_INT64:
        return "int64";
    case HD_BOOL:
        return "bool";
    case HD_FLOAT16:
        return "float16";
    case HD_FLOAT64:
        return "float64";
    case HD_UINT32:
        return "uint32";
    case HD_UINT64:
        return "uint64";
    case HD_BFLOAT16:
        return "bfloat16";
    case HD_DTYPE_NONE:
        break;
    }
    return "none";
}

void hd_tensor_release(hd_tensor *tensor)
{
    if (tensor != NULL) {
        hd_free(tensor->data);
        tensor->data = NULL;
        tensor->size = 0;
    }
}

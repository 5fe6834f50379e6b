#include "heddle/tensor.h"

#include "base/memory.h"

size_t hd_dtype_size(hd_dtype dtype)
{
    switch (dtype) {
    case HD_UINT8:
    case HD_INT8:
    case HD_BOOL:
    case HD_FLOAT8E4M3FN:
    case HD_FLOAT8E4M3FNUZ:
    case HD_FLOAT8E5M2:
    case HD_FLOAT8E5M2FNUZ:
    case HD_UINT4:
    case HD_INT4:
    case HD_FLOAT4E2M1:
    case HD_FLOAT8E8M0:
    case HD_UINT2:
    case HD_INT2:
    case HD_FLOAT6E2M3:
    case HD_FLOAT6E3M2:
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
    case HD_STRING:
        return sizeof(hd_string);
    case HD_DTYPE_NONE:
        break;
    }
    return 0;
}

size_t hd_dtype_bits(hd_dtype dtype)
{
    switch (dtype) {
    case HD_UINT4:
    case HD_INT4:
    case HD_FLOAT4E2M1:
        return 4;
    case HD_UINT2:
    case HD_INT2:
        return 2;
    case HD_FLOAT6E2M3:
    case HD_FLOAT6E3M2:
        return 6;
    default:
        return 8 * hd_dtype_size(dtype);
    }
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
    case HD_STRING:
        return "string";
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
    case HD_FLOAT8E4M3FN:
        return "float8e4m3fn";
    case HD_FLOAT8E4M3FNUZ:
        return "float8e4m3fnuz";
    case HD_FLOAT8E5M2:
        return "float8e5m2";
    case HD_FLOAT8E5M2FNUZ:
        return "float8e5m2fnuz";
    case HD_UINT4:
        return "uint4";
    case HD_INT4:
        return "int4";
    case HD_FLOAT4E2M1:
        return "float4e2m1";
    case HD_FLOAT8E8M0:
        return "float8e8m0";
    case HD_UINT2:
        return "uint2";
    case HD_INT2:
        return "int2";
    case HD_FLOAT6E2M3:
        return "float6e2m3";
    case HD_FLOAT6E3M2:
        return "float6e3m2";
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

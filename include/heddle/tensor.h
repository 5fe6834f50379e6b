/* Tensor: element type, shape and memory of one dense, row-major array, as callers pass it.
 *
 * Thread-safety: a plain value of the caller's; one thread at a time. */
#ifndef HEDDLE_TENSOR_H
#define HEDDLE_TENSOR_H

#include "heddle/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define HD_MAX_RANK 8

/* Element types. The values are those of ONNX's TensorProto.DataType (onnx.proto). */
typedef enum hd_dtype {
    HD_DTYPE_NONE = 0,
    HD_FLOAT32 = 1,
    HD_UINT8 = 2,
    HD_INT8 = 3,
    HD_UINT16 = 4,
    HD_INT16 = 5,
    HD_INT32 = 6,
    HD_INT64 = 7,
    HD_STRING = 8, /* an hd_string */
    HD_BOOL = 9,   /* one byte: 0 or 1 */
    HD_FLOAT16 = 10,
    HD_FLOAT64 = 11,
    HD_UINT32 = 12,
    HD_UINT64 = 13,
    HD_BFLOAT16 = 16,
    /* For storage and conversion alone: a float is its code. What has less than 8 bits is packed, as ONNX packs it: one element
     * behind the other from the low bits of the first byte up, so that two of 4 bits are a byte, the first in its low half, and four of
     * 6 bits are three. Bits of the last byte that no element has are 0 in outputs and are not read in inputs. */
    HD_FLOAT8E4M3FN = 17,
    HD_FLOAT8E4M3FNUZ = 18,
    HD_FLOAT8E5M2 = 19,
    HD_FLOAT8E5M2FNUZ = 20,
    HD_UINT4 = 21,
    HD_INT4 = 22,
    HD_FLOAT4E2M1 = 23,
    HD_FLOAT8E8M0 = 24, /* a power of two */
    HD_UINT2 = 25,
    HD_INT2 = 26,
    HD_FLOAT6E2M3 = 27,
    HD_FLOAT6E3M2 = 28
} hd_dtype;

/* An element of a tensor of texts: `size` bytes, UTF-8 by ONNX's word, not terminated. `data` may be NULL where size is 0. */
typedef struct hd_string {
    const char *data;
    size_t size;
} hd_string;

/* Bytes of one element, 1 where it has less than 8 bits; 0 for a value that is no dtype. */
HD_API size_t hd_dtype_size(hd_dtype dtype);

/* Bits of one element; 0 for a value that is no dtype. `count` elements take (count * bits + 7) / 8 bytes. */
HD_API size_t hd_dtype_bits(hd_dtype dtype);

/* For example "float32"; "none" for a value that is no dtype. Static storage. */
HD_API const char *hd_dtype_name(hd_dtype dtype);

/* Where a tensor's data lies. On the CPU both are the same. */
typedef enum hd_tensor_place {
    HD_TENSOR_HOST = 0,  /* ordinary memory of the process */
    HD_TENSOR_DEVICE = 1 /* memory of the model's device, as hd_memory_allocate gives it */
} hd_tensor_place;

/* One input or output of a run.
 * As an input: `data` holds `size` bytes, at least the product of `dims` times the element's bits, in whole bytes;
 *   the library reads it during the call and keeps no reference afterwards.
 * As an output, before the run: either `data` with its capacity in `size`, or `data` NULL, and the
 *   library allocates. After a successful run `dtype`, `rank`, `dims` and `size` (bytes written) are
 *   set. After a run that failed, was cancelled or late nothing of the struct has changed; what `data`
 *   points to may have.
 * `place` HD_TENSOR_DEVICE: the device reads or writes `data` where it is, in the order of the run's stream; a run that
 *   waits for its caller has no stream, and what the memory is used for before must be done then. An output has `data`
 *   then. Data that is known to be none of the device's is refused (HD_INVALID_ARGUMENT); that memory of others was freed
 *   since an earlier run with it is not noticed. Runs of a model take such tensors; batch queues (HD_UNSUPPORTED), graphs and files
 *   do not, nor do types of less than 8 bits (HD_UNSUPPORTED).
 * HD_STRING: `data` is an array of hd_string. What an input's texts point to is read during the call; `size` counts the array
 *   alone. An output is one block, the array and then the bytes that it points to, and `size` counts both; memory of the
 *   caller's that is too small for them is refused when they are computed (HD_INVALID_ARGUMENT). Texts are in the host's memory only.
 * `name` NULL means by position: the n-th tensor is the model's n-th input or output.
 * Alignment: at least that of the element type; 64 bytes is fastest. In the memory of a device that has its own: 16 bytes
 *   (HD_INVALID_ARGUMENT). */
typedef struct hd_tensor {
    const char *name;
    hd_dtype dtype;
    uint32_t rank;
    int64_t dims[HD_MAX_RANK];
    void *data;
    size_t size;
    hd_tensor_place place; /* of `data` */
} hd_tensor;

/* Frees `data` of an output that the library allocated, and sets `data` and `size` to zero.
 * A tensor whose `data` is NULL is left as it is. Must not be given memory of the caller's own. */
HD_API void hd_tensor_release(hd_tensor *tensor);

#ifdef __cplusplus
}
#endif
#endif

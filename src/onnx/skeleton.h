/* Skeleton: an ONNX message without its bulk, small enough to be unpacked whole.
 *
 * A walk over the wire format (protobuf.dev, "Encoding") copies the fields that the importer
 * reads. The elements of tensors stay where they are: in place of them a tensor's raw_data holds
 * a list of hd_onnx_extent, so that weights go from the file straight to where they stay, and
 * loading needs them in memory once. The walk is also what makes unpacking safe: it bounds
 * nesting, which protobuf-c follows by recursion, and the number and the size of the fields,
 * hence the memory (STATUS).
 *
 * Thread-safety: one thread at a time. */
#ifndef HD_ONNX_SKELETON_H
#define HD_ONNX_SKELETON_H

#include "onnx/source.h"

#define HD_ONNX_NESTING_LIMIT 256u /* messages in one another; an If in an If takes three */
/* each costs protobuf-c 300 bytes at most; the numbers of a list are one */
#define HD_ONNX_FIELD_LIMIT ((size_t)4 << 20)
#define HD_ONNX_SIZE_LIMIT  ((size_t)256 << 20)

/* Where elements of a tensor lie in the source. */
typedef struct hd_onnx_extent {
    uint64_t offset;
    uint64_t size;
    uint32_t field; /* of TensorProto: raw_data, float_data and so on */
    uint32_t wire;  /* 2: the elements one after the other; else each with its tag before it */
} hd_onnx_extent;

typedef enum hd_onnx_message {
    HD_ONNX_MODEL, /* what a graph is made of */
    HD_ONNX_TENSOR,
    HD_ONNX_MODEL_TO_INSPECT /* with who made it, and types of values inside */
} hd_onnx_message;

typedef struct hd_onnx_skeleton {
    unsigned char *bytes; /* hd_free by hd_onnx_skeleton_clear */
    size_t size;
    size_t capacity;
} hd_onnx_skeleton;

/* HD_BAD_MODEL: the bytes are no such message, or nest too deep. HD_UNSUPPORTED: over a limit
 * above.
 * HD_OUT_OF_MEMORY, HD_IO. On failure nothing is left to clear. */
HD_MUST_CHECK hd_status hd_onnx_skeleton_make(const hd_onnx_source *source, hd_onnx_message message,
                                              hd_onnx_skeleton *out_skeleton, hd_error *error);
void hd_onnx_skeleton_clear(hd_onnx_skeleton *skeleton);

#endif

/* Elements: what a TensorProto holds, as a dense array of ours. The message comes from a
 * skeleton, so its raw_data is a list of extents in the source (onnx/skeleton.h).
 *
 * Thread-safety: one thread at a time. */
#ifndef HD_ONNX_ELEMENTS_H
#define HD_ONNX_ELEMENTS_H

#include "heddle/tensor.h"
#include "onnx.pb-c.h"
#include "onnx/source.h"

/* Where a model's tensors come from. */
typedef struct hd_onnx_origin {
    const hd_onnx_source *source;
    int folder; /* descriptor of the folder of external data; -1: there is none */
    int model;  /* of the file itself; -1: it is no file */
} hd_onnx_origin;

/* Reads dtype, shape and elements; `out->data` is from hd_alloc_aligned, the caller's on
 * success. The bytes are known to be there before memory for them is taken. Messages name the
 * tensor.
 * HD_BAD_MODEL, HD_UNSUPPORTED, HD_OUT_OF_MEMORY, HD_NOT_FOUND, HD_IO. */
HD_MUST_CHECK hd_status hd_onnx_elements_read(const hd_onnx_origin *origin,
                                              const Onnx__TensorProto *tensor, hd_tensor *out,
                                              hd_error *error);

/* What has less than 8 bits an element, one a byte as hd_onnx_elements_read has it, becomes what an hd_tensor has, in its place. */
void hd_onnx_elements_pack(hd_tensor *tensor);

/* HD_DTYPE_NONE for a type of ONNX that is none of ours. */
hd_dtype hd_onnx_dtype(int32_t data_type);
/* "string", "complex64" and so on; "number N" for one that onnx.proto does not know. Static or
 * `text`. */
const char *hd_onnx_type_name(int32_t data_type, char *text, size_t size);

#endif

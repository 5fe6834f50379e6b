/* File: tensors in files, NumPy's .npy and ONNX's TensorProto (.pb), for programs that have no
 * reader of their own. Which of the two a file is stands in its first bytes, whatever its name.
 *
 * Thread-safety: any thread. May block on the file. */
#ifndef HEDDLE_FILE_H
#define HEDDLE_FILE_H

#include "heddle/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Reads one tensor. .npy: versions 1 to 3, little-endian, row-major ('fortran_order': False), of
 * every hd_dtype ("<V2" is bfloat16, "<U12" and "|S12" are texts). .pb: every hd_dtype, no external data.
 * On success the fields of *out_tensor are set, `name` to NULL, and `data` is the library's, to
 * be given back with hd_tensor_release; on failure *out_tensor is as it was.
 * HD_NOT_FOUND, HD_IO, HD_BAD_MODEL (no such file format, or cut short), HD_UNSUPPORTED (names
 * type or order), HD_OUT_OF_MEMORY. */
HD_API HD_MUST_CHECK hd_status hd_tensor_load(const char *path, hd_tensor *out_tensor,
                                              hd_error *error);

/* The same from `size` bytes of memory, which are copied. */
HD_API HD_MUST_CHECK hd_status hd_tensor_load_memory(const void *data, size_t size,
                                                     hd_tensor *out_tensor, hd_error *error);

/* Writes a tensor as .npy version 1.0, over a file that is there already. HD_IO,
 * HD_INVALID_ARGUMENT; after HD_IO the file may be there in part. */
HD_API HD_MUST_CHECK hd_status hd_tensor_save_npy(const char *path, const hd_tensor *tensor,
                                                  hd_error *error);

#ifdef __cplusplus
}
#endif
#endif

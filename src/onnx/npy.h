/* Npy: NumPy's file format (numpy.org, "numpy.lib.format"): a magic number, a version, a header
 * that is the text of a Python dictionary, and the elements.
 *
 * Thread-safety: any thread. */
#ifndef HD_ONNX_NPY_H
#define HD_ONNX_NPY_H

#include "heddle/tensor.h"
#include "onnx/source.h"

/* Whether bytes begin as such a file does. */
bool hd_npy_matches(const void *data, size_t size);

/* Reads a file that matches. `out->data` is from hd_alloc_aligned, the caller's on success; on
 * failure *out is as it was. HD_BAD_MODEL, HD_UNSUPPORTED, HD_OUT_OF_MEMORY, HD_IO. */
HD_MUST_CHECK hd_status hd_npy_read(const hd_onnx_source *source, hd_tensor *out, hd_error *error);

#define HD_NPY_HEADER_SIZE 384 /* a header that hd_npy_write_header writes is never longer */

/* Writes magic number, version and header; gives their length, a multiple of 64. The tensor is
 * valid. text_width: of '<U', where it is of texts (npy_texts.h). */
size_t hd_npy_write_header(const hd_tensor *tensor, size_t text_width,
                           char header[HD_NPY_HEADER_SIZE]);

#endif

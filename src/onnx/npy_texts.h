/* Npy texts: NumPy's arrays of texts in a .npy file: '<U12', 12 code points of 4 bytes, and '|S12', 12 bytes; both are filled
 * with zeros.
 *
 * Thread-safety: works on its arguments only. */
#ifndef HD_ONNX_NPY_TEXTS_H
#define HD_ONNX_NPY_TEXTS_H

#include <stdio.h>

#include "heddle/tensor.h"
#include "onnx/source.h"

typedef struct hd_npy_texts {
    bool is_unicode; /* else bytes */
    size_t width;    /* code points, or bytes, of each */
} hd_npy_texts;

/* Whether a type is one of these. */
bool hd_npy_texts_parse(const char *descr, hd_npy_texts *out);

/* Reads the elements that begin at `begin` and go on to the file's end; the tensor's dtype, rank and dims are set, and its
 * data and size become those of a block (base/strings.h), hd_alloc_aligned. HD_BAD_MODEL, HD_OUT_OF_MEMORY, HD_IO. */
HD_MUST_CHECK hd_status hd_npy_texts_read(const hd_onnx_source *source, uint64_t begin,
                                          const hd_npy_texts *texts, size_t count,
                                          hd_tensor *tensor, hd_error *error);

/* The width of '<U' that holds these texts; bytes that are no UTF-8 count as U+FFFD. */
size_t hd_npy_texts_width(const hd_string *texts, size_t count);

/* Writes them so; false where the file cannot be written. */
bool hd_npy_texts_write(FILE *file, const hd_string *texts, size_t count, size_t width);

#endif

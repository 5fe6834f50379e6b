/* Source: the bytes of an ONNX file, in the caller's memory or on disk, and a reader that walks
 * over them. A file is read with pread through a small window and never mapped, so that a file
 * cut short by someone else while it is read is a status and not a signal (STATUS).
 *
 * Thread-safety: one thread at a time. */
#ifndef HD_ONNX_SOURCE_H
#define HD_ONNX_SOURCE_H

#include <stdbool.h>

#include "base/status.h"

typedef struct hd_onnx_source {
    const unsigned char *memory; /* the caller's; NULL: `file` is read */
    int file;
    uint64_t size;
} hd_onnx_source;

/* Fills `out` with exactly `size` bytes from `offset` on. HD_IO; HD_BAD_MODEL: the bytes are not
 * there. */
HD_MUST_CHECK hd_status hd_onnx_source_read(const hd_onnx_source *source, uint64_t offset,
                                            void *out, size_t size, hd_error *error);

/* Reads from one position forward. */
typedef struct hd_onnx_reader {
    const hd_onnx_source *source;
    uint64_t offset; /* of the next byte */
    const unsigned char
        *window; /* the bytes at window_begin and after; the source's memory or `buffer` */
    uint64_t window_begin;
    size_t window_size;
    unsigned char *buffer; /* the reader's, for files */
} hd_onnx_reader;

/* HD_OUT_OF_MEMORY. The source must outlive the reader. */
HD_MUST_CHECK hd_status hd_onnx_reader_init(hd_onnx_reader *reader, const hd_onnx_source *source,
                                            hd_error *error);
void hd_onnx_reader_clear(hd_onnx_reader *reader);

/* Reads a number of protobuf's variable length that ends before `end`. HD_BAD_MODEL: it does
 * not. */
HD_MUST_CHECK hd_status hd_onnx_reader_varint(hd_onnx_reader *reader, uint64_t end, uint64_t *out,
                                              hd_error *error);

/* Copies the next `size` bytes; the caller has checked that they end before the source does. */
HD_MUST_CHECK hd_status hd_onnx_reader_copy(hd_onnx_reader *reader, void *out, size_t size,
                                            hd_error *error);

#endif

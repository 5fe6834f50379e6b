/* Texts of a file's message, as one block.
 *
 * Thread-safety: works on its arguments only. */
#ifndef HD_ONNX_TEXTS_H
#define HD_ONNX_TEXTS_H

#include <protobuf-c/protobuf-c.h>

/* A block of texts (base/strings.h), hd_alloc_aligned; NULL when out of memory. */
void *hd_onnx_texts_copy(const ProtobufCBinaryData *texts, size_t count);

#endif

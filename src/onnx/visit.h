/* Visit: a file's model message, while its file is open.
 *
 * Thread-safety: one thread at a time. */
#ifndef HD_ONNX_VISIT_H
#define HD_ONNX_VISIT_H

#include "onnx.pb-c.h"
#include "onnx/elements.h"
#include "onnx/skeleton.h"

/* The model has a graph with outputs. Both are gone when the visitor returns. */
typedef hd_status hd_onnx_visitor(void *context, const hd_onnx_origin *origin,
                                  const Onnx__ModelProto *model, hd_error *error);

/* Opens a file, of which `kind` is unpacked, and returns what the visitor does. HD_NOT_FOUND, HD_IO, HD_BAD_MODEL, HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_onnx_visit_file(const char *path, hd_onnx_message kind,
                                           hd_onnx_visitor *visitor, void *context,
                                           hd_error *error);

/* The version of ONNX's own operators that the model asks for. HD_BAD_MODEL: it does not say, or says two. HD_UNSUPPORTED, with
 * *out set: it is none of ours. */
HD_MUST_CHECK hd_status hd_onnx_find_opset(const Onnx__ModelProto *model, int64_t *out,
                                           hd_error *error);

#endif

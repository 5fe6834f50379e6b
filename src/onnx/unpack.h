/* Unpack: a message of ONNX as protobuf-c's structures, from its skeleton and through our
 * allocator, so that it is bounded and faults reach it (STATUS).
 *
 * Thread-safety: any thread. */
#ifndef HD_ONNX_UNPACK_H
#define HD_ONNX_UNPACK_H

#include <protobuf-c/protobuf-c.h>

#include "onnx/skeleton.h"

/* *out is an Onnx__ModelProto or Onnx__TensorProto, freed with hd_onnx_unpack_free; in it, a
 * tensor's raw_data is a list of hd_onnx_extent. HD_BAD_MODEL, HD_UNSUPPORTED, HD_OUT_OF_MEMORY,
 * HD_IO. */
HD_MUST_CHECK hd_status hd_onnx_unpack(const hd_onnx_source *source, hd_onnx_message message,
                                       ProtobufCMessage **out, hd_error *error);

/* NULL is allowed. */
void hd_onnx_unpack_free(ProtobufCMessage *message);

#endif

/* Attribute: a node's attributes as the graph takes them.
 *
 * Thread-safety: one thread at a time. */
#ifndef HD_ONNX_ATTRIBUTE_H
#define HD_ONNX_ATTRIBUTE_H

#include "base/region.h"
#include "onnx/elements.h"
#include "onnx/scope.h"

/* What `items` points to is in the region or the message; tensors' elements are its own. */
typedef struct hd_onnx_attributes {
    hd_attribute *items;
    size_t count;
} hd_onnx_attributes;

/* Converts the attributes of a node of `scope`, graphs left out (they are inner scopes). In a
 * function a reference to an attribute of the call gives its value. Several texts become one,
 * with commas between them ("Sigmoid,Tanh"). Messages name node and attribute. HD_BAD_MODEL,
 * HD_UNSUPPORTED, HD_OUT_OF_MEMORY, HD_IO. Clear it on failure too. */
HD_MUST_CHECK hd_status hd_onnx_attributes_read(const hd_onnx_origin *origin, hd_region *region,
                                                const hd_onnx_scope *scope,
                                                const Onnx__NodeProto *node,
                                                hd_onnx_attributes *out, hd_error *error);
void hd_onnx_attributes_clear(hd_onnx_attributes *attributes);

/* What an attribute holds. The first files (IR version 1) do not say, so it is what is there. */
Onnx__AttributeProto__AttributeType hd_onnx_attribute_kind(const Onnx__AttributeProto *attribute);

/* The attribute of that name as the file has it, references to a call's followed; NULL: none. */
const Onnx__AttributeProto *hd_onnx_attribute_find(const hd_onnx_scope *scope,
                                                   const Onnx__NodeProto *node, const char *name);

#endif

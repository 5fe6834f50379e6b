#include "onnx/unpack.h"

#include "base/memory.h"
#include "onnx.pb-c.h"

static void *unpack_alloc(void *failed, size_t size)
{
    void *memory = hd_alloc(size);
    if (memory == NULL) {
        *(bool *)failed = true;
    }
    return memory;
}

static void unpack_free(void *failed, void *memory)
{
    (void)failed;
    hd_free(memory);
}

hd_status hd_onnx_unpack(const hd_onnx_source *source, hd_onnx_message message,
                         ProtobufCMessage **out, hd_error *error)
{
    hd_onnx_skeleton skeleton;
    hd_status status = hd_onnx_skeleton_make(source, message, &skeleton, error);
    if (status != HD_OK) {
        return status;
    }
    bool out_of_memory = false;
    ProtobufCAllocator allocator = {unpack_alloc, unpack_free, &out_of_memory};
    *out = protobuf_c_message_unpack(message == HD_ONNX_TENSOR ? &onnx__tensor_proto__descriptor
                                                               : &onnx__model_proto__descriptor,
                                     &allocator, skeleton.size, skeleton.bytes);
    hd_onnx_skeleton_clear(&skeleton);
    if (*out != NULL) {
        return HD_OK;
    }
    return out_of_memory ? hd_fail(error, HD_OUT_OF_MEMORY, "no memory for the model's graph")
                         : hd_fail(error, HD_BAD_MODEL,
                                   "the bytes are not of the ONNX format: "
                                   "a field has the wrong type");
}

void hd_onnx_unpack_free(ProtobufCMessage *message)
{
    bool out_of_memory = false;
    ProtobufCAllocator allocator = {unpack_alloc, unpack_free, &out_of_memory};
    if (message != NULL) {
        protobuf_c_message_free_unpacked(message, &allocator);
    }
}

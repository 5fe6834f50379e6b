/* Bytes of ONNX messages, written field by field, so that tests can also write what no library
 * would. */
#ifndef TEST_ONNX_BYTES_H
#define TEST_ONNX_BYTES_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Nanoseconds of processor time of this thread, which does not run while others do. */
static inline uint64_t thread_time(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

typedef struct bytes {
    unsigned char *data;
    size_t size;
    size_t capacity;
} bytes;

static inline void put(bytes *to, const void *data, size_t size)
{
    if (to->data == NULL || to->size + size > to->capacity) {
        to->capacity = 2 * (to->size + size) + 16;
        unsigned char *grown = realloc(to->data, to->capacity);
        if (grown == NULL) {
            abort();
        }
        to->data = grown;
    }
    if (size > 0) {
        memcpy(to->data + to->size, data, size);
    }
    to->size += size;
}

static inline void put_varint(bytes *to, uint64_t value)
{
    do {
        unsigned char byte = (unsigned char)((value & 0x7F) | (value > 0x7F ? 0x80 : 0));
        put(to, &byte, 1);
        value >>= 7;
    } while (value > 0);
}

static inline void put_int(bytes *to, uint32_t field, int64_t value)
{
    put_varint(to, (uint64_t)field << 3);
    put_varint(to, (uint64_t)value);
}

static inline void put_bytes(bytes *to, uint32_t field, const void *data, size_t size)
{
    put_varint(to, (uint64_t)field << 3 | 2);
    put_varint(to, size);
    put(to, data, size);
}

static inline void put_text(bytes *to, uint32_t field, const char *text)
{
    put_bytes(to, field, text, strlen(text));
}

/* Puts a message into another and frees it. */
static inline void put_message(bytes *to, uint32_t field, bytes message)
{
    put_bytes(to, field, message.data, message.size);
    free(message.data);
}

/* Each word of "a,b,,c" as a field; "" gives none. */
static inline void put_list(bytes *to, uint32_t field, const char *list)
{
    while (*list != '\0') {
        size_t length = strcspn(list, ",");
        put_bytes(to, field, list, length);
        list += length;
        list += *list == ',';
    }
}

/* --- messages of onnx.proto */
static inline bytes make_node(const char *type, const char *name, const char *inputs,
                              const char *outputs)
{
    bytes node = {0};
    put_list(&node, 1, inputs);
    put_list(&node, 2, outputs);
    put_text(&node, 3, name);
    put_text(&node, 4, type);
    return node;
}

static inline bytes make_attribute(const char *name, int type)
{
    bytes attribute = {0};
    put_text(&attribute, 1, name);
    put_int(&attribute, 20, type);
    return attribute;
}

/* A tensor without elements. */
static inline bytes make_tensor(const char *name, int dtype, size_t rank, const int64_t *dims)
{
    bytes tensor = {0};
    for (size_t i = 0; i < rank; i++) {
        put_int(&tensor, 1, dims[i]);
    }
    put_int(&tensor, 2, dtype);
    put_text(&tensor, 8, name);
    return tensor;
}

static inline bytes make_floats(const char *name, int64_t count, const float *values)
{
    bytes tensor = make_tensor(name, 1, 1, &count);
    put_bytes(&tensor, 9, values, (size_t)count * sizeof *values);
    return tensor;
}

static inline bytes make_value(const char *name, int dtype, size_t rank, const int64_t *dims)
{
    bytes shape = {0};
    for (size_t i = 0; i < rank; i++) {
        bytes dim = {0};
        put_int(&dim, 1, dims[i]);
        put_message(&shape, 1, dim);
    }
    bytes tensor_type = {0};
    put_int(&tensor_type, 1, dtype);
    put_message(&tensor_type, 2, shape);
    bytes type = {0};
    put_message(&type, 1, tensor_type);
    bytes value = {0};
    put_text(&value, 1, name);
    put_message(&value, 2, type);
    return value;
}

static inline void add_node(bytes *graph, bytes node)
{
    put_message(graph, 1, node);
}

static inline void add_tensor(bytes *graph, bytes tensor)
{
    put_message(graph, 5, tensor);
}

/* A float vector of two elements. */
static inline void add_input(bytes *graph, const char *name)
{
    put_message(graph, 11, make_value(name, 1, 1, (const int64_t[]){2}));
}

static inline void add_output(bytes *graph, const char *name)
{
    put_message(graph, 12, make_value(name, 1, 1, (const int64_t[]){2}));
}

static inline bytes make_operator_set(const char *domain, int64_t version)
{
    bytes set = {0};
    put_text(&set, 1, domain);
    put_int(&set, 2, version);
    return set;
}

static inline bytes make_model(bytes graph, int64_t opset)
{
    bytes model = {0};
    put_int(&model, 1, 8);
    put_message(&model, 8, make_operator_set("", opset));
    put_message(&model, 7, graph);
    return model;
}

#endif

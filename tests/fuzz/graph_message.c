#include "graph_message.h"

#include <math.h>

#include "onnx/skeleton.h"

#define ELEMENT_LIMIT ((size_t)1 << 16)

void *message_alloc(message_tree *tree, size_t size)
{
    void *memory = hd_region_alloc(&tree->region, size);
    if (memory == NULL) {
        abort();
    }
    return memory;
}

void *message_bytes(message_tree *tree, const void *bytes, size_t size)
{
    void *copy = message_alloc(tree, size);
    if (size > 0) {
        memcpy(copy, bytes, size);
    }
    return copy;
}

static void *allocate(void *tree, size_t size)
{
    return message_alloc(tree, size);
}

static void release(void *tree, void *memory)
{
    (void)tree;
    (void)memory;
}

/* protobuf-c follows nesting by recursion, so it is bounded first, as the importer does. */
static bool is_sound(const void *data, size_t size)
{
    hd_onnx_source source = {.memory = data, .size = size};
    hd_onnx_skeleton skeleton;
    hd_error error;
    if (hd_onnx_skeleton_make(&source, HD_ONNX_MODEL, &skeleton, &error) != HD_OK) {
        return false;
    }
    hd_onnx_skeleton_clear(&skeleton);
    return true;
}

static ProtobufCMessage *unpack(message_tree *tree, const ProtobufCMessageDescriptor *kind,
                                const void *data, size_t size)
{
    ProtobufCAllocator allocator = {allocate, release, tree};
    return protobuf_c_message_unpack(kind, &allocator, size, data);
}

ProtobufCMessage *message_read(message_tree *tree, const ProtobufCMessageDescriptor *kind,
                               const void *data, size_t size)
{
    return is_sound(data, size) ? unpack(tree, kind, data, size) : NULL;
}

ProtobufCMessage *message_copy(message_tree *tree, const ProtobufCMessage *message)
{
    uint8_t *bytes = message_alloc(tree, protobuf_c_message_get_packed_size(message));
    size_t size = protobuf_c_message_pack(message, bytes);
    return unpack(tree, message->descriptor, bytes, size);
}

ProtobufCMessage *message_make(message_tree *tree, const ProtobufCMessageDescriptor *kind)
{
    ProtobufCMessage *message = message_alloc(tree, kind->sizeof_message);
    protobuf_c_message_init(kind, message);
    return message;
}

void *message_grown(message_tree *tree, const void *array, size_t count)
{
    void **grown = message_alloc(tree, (count + 1) * sizeof *grown);
    if (count > 0) {
        memcpy(grown, array, count * sizeof *grown);
    }
    return grown;
}

/* --- fields */

typedef struct field {
    const ProtobufCFieldDescriptor *about;
    char *value; /* or the pointer to the array of a list's elements */
    char *quantifier;
} field;

static field field_at(ProtobufCMessage *message, unsigned index)
{
    const ProtobufCFieldDescriptor *about = &message->descriptor->fields[index];
    return (field){about, (char *)message + about->offset,
                   (char *)message + about->quantifier_offset};
}

static size_t element_size(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return sizeof(int64_t);
    default: /* those that onnx.proto has */
        return sizeof(int32_t);
    }
}

static bool is_list(const field *f)
{
    return f->about->label == PROTOBUF_C_LABEL_REPEATED;
}

static bool is_oneof(const field *f)
{
    return (f->about->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
}

static bool is_pointer(const field *f)
{
    return f->about->type == PROTOBUF_C_TYPE_STRING || f->about->type == PROTOBUF_C_TYPE_MESSAGE;
}

static size_t count_of(const field *f)
{
    size_t count;
    int which;
    const void *pointer;
    if (is_list(f)) {
        memcpy(&count, f->quantifier, sizeof count);
        return count;
    }
    if (is_oneof(f)) {
        memcpy(&which, f->quantifier, sizeof which);
        if (which != (int)f->about->id) {
            return 0;
        }
    }
    if (is_pointer(f)) {
        memcpy(&pointer, f->value, sizeof pointer);
        return pointer != NULL;
    }
    return is_oneof(f) || *(protobuf_c_boolean *)(void *)f->quantifier;
}

static void set_count(const field *f, size_t count)
{
    const void *none = NULL;
    int which = count == 0 ? 0 : (int)f->about->id;
    if (is_list(f)) {
        memcpy(f->quantifier, &count, sizeof count);
    } else if (is_oneof(f)) {
        memcpy(f->quantifier, &which, sizeof which);
    } else if (is_pointer(f)) {
        if (count == 0) {
            memcpy(f->value, &none, sizeof none);
        }
    } else {
        *(protobuf_c_boolean *)(void *)f->quantifier = count != 0;
    }
}

/* Where the elements lie. */
static char *elements_of(const field *f)
{
    char *array = f->value;
    if (is_list(f)) {
        memcpy(&array, f->value, sizeof array);
    }
    return array;
}

static void *pointer_at(const field *f, size_t index)
{
    void *pointer;
    memcpy(&pointer, elements_of(f) + index * sizeof pointer, sizeof pointer);
    return pointer;
}

static void collect(message_tree *tree, ProtobufCMessage *message,
                    const ProtobufCMessageDescriptor *kind, message_list *list)
{
    if (kind == NULL || message->descriptor == kind) {
        MESSAGE_APPEND(tree, list->items, list->count, message);
    }
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        field f = field_at(message, i);
        for (size_t e = 0; f.about->type == PROTOBUF_C_TYPE_MESSAGE && e < count_of(&f); e++) {
            collect(tree, pointer_at(&f, e), kind, list);
        }
    }
}

message_list message_find(message_tree *tree, ProtobufCMessage *message,
                          const ProtobufCMessageDescriptor *kind)
{
    message_list list = {0};
    collect(tree, message, kind, &list);
    return list;
}

ProtobufCMessage *message_pick(message_tree *tree, ProtobufCMessage *message,
                               const ProtobufCMessageDescriptor *kind)
{
    message_list list = message_find(tree, message, kind);
    return list.count == 0 ? NULL : list.items[fuzz_below(&tree->random, list.count)];
}

/* --- new values */

int64_t message_extreme(message_tree *tree)
{
    static const int64_t numbers[] = {0,
                                      1,
                                      -1,
                                      2,
                                      3,
                                      -2,
                                      4,
                                      7,
                                      8,
                                      13,
                                      16,
                                      17,
                                      64,
                                      127,
                                      128,
                                      255,
                                      1000,
                                      65536,
                                      -65536,
                                      INT32_MAX,
                                      INT32_MIN,
                                      (int64_t)UINT32_MAX + 1,
                                      INT64_C(1) << 40,
                                      INT64_C(1) << 58,
                                      INT64_MAX,
                                      INT64_MIN};
    size_t most = sizeof numbers / sizeof numbers[0];
    return numbers[fuzz_below(&tree->random, fuzz_once_in(&tree->random, 3) ? most : most / 2)];
}

static double extreme_real(message_tree *tree)
{
    static const double numbers[] = {0,
                                     -0.0,
                                     1,
                                     -1,
                                     0.5,
                                     2,
                                     1e-5,
                                     1e-45,
                                     1e38,
                                     -1e38,
                                     (double)INFINITY,
                                     (double)-INFINITY,
                                     (double)NAN};
    return numbers[fuzz_below(&tree->random, sizeof numbers / sizeof numbers[0])];
}

/* A text of the same field of another message, such as the name of another tensor. */
static char *other_text(message_tree *tree, const ProtobufCFieldDescriptor *about)
{
    message_list all = message_find(tree, tree->root, NULL);
    char *chosen = (char *)(uintptr_t)"x";
    size_t seen = 0;
    for (size_t m = 0; m < all.count; m++) {
        for (unsigned i = 0; i < all.items[m]->descriptor->n_fields; i++) {
            field f = field_at(all.items[m], i);
            bool is_alike =
                f.about->type == PROTOBUF_C_TYPE_STRING &&
                (strcmp(f.about->name, about->name) == 0 || fuzz_once_in(&tree->random, 16));
            for (size_t e = 0; is_alike && e < count_of(&f); e++) {
                if (fuzz_once_in(&tree->random, ++seen)) {
                    chosen = pointer_at(&f, e);
                }
            }
        }
    }
    return chosen;
}

static void change_bytes(message_tree *tree, ProtobufCBinaryData *bytes)
{
    size_t size = bytes->len;
    switch (fuzz_below(&tree->random, 4)) {
    case 0:
        size = size > 0 ? size - 1 - fuzz_below(&tree->random, size) : 0;
        break;
    case 1:
        size += 1 + fuzz_below(&tree->random, 16);
        break;
    default:
        break;
    }
    uint8_t *changed = message_alloc(tree, size);
    for (size_t i = 0; i < size && i < bytes->len; i++) {
        changed[i] = bytes->data[i];
    }
    if (size > 0) {
        changed[fuzz_below(&tree->random, size)] = (uint8_t)fuzz_draw(&tree->random);
    }
    *bytes = (ProtobufCBinaryData){size, changed};
}

static int64_t other_number(message_tree *tree, const ProtobufCFieldDescriptor *about, int64_t now)
{
    if (about->type == PROTOBUF_C_TYPE_ENUM && !fuzz_once_in(&tree->random, 8)) {
        const ProtobufCEnumDescriptor *values = about->descriptor;
        return values->values[fuzz_below(&tree->random, values->n_values)].value;
    }
    return fuzz_once_in(&tree->random, 2)
               ? message_extreme(tree)
               : (int64_t)((uint64_t)now + fuzz_below(&tree->random, 5) - 2);
}

/* Writes a new value over the element at `to`, which holds one, or zeros. */
static void change_element(message_tree *tree, const ProtobufCFieldDescriptor *about, char *to)
{
    ProtobufCMessage *other = NULL;
    int64_t integer = 0;
    switch (about->type) {
    case PROTOBUF_C_TYPE_MESSAGE:
        if (!fuzz_once_in(&tree->random, 8)) {
            other = message_pick(tree, tree->root, about->descriptor);
        }
        other = other == NULL ? message_make(tree, about->descriptor) : message_copy(tree, other);
        memcpy(to, &other, sizeof other);
        return;
    case PROTOBUF_C_TYPE_STRING: {
        char *text = other_text(tree, about);
        memcpy(to, &text, sizeof text);
        return;
    }
    case PROTOBUF_C_TYPE_BYTES:
        change_bytes(tree, (ProtobufCBinaryData *)(void *)to);
        return;
    case PROTOBUF_C_TYPE_FLOAT:
        fuzz_store(HD_FLOAT32, to, 0, extreme_real(tree));
        return;
    case PROTOBUF_C_TYPE_DOUBLE:
        fuzz_store(HD_FLOAT64, to, 0, extreme_real(tree));
        return;
    default:
        memcpy(&integer, to, element_size(about->type)); /* little endian */
        integer = other_number(tree, about, integer);
        memcpy(to, &integer, element_size(about->type));
        return;
    }
}

static void change_list(message_tree *tree, const field *f)
{
    size_t size = element_size(f->about->type), count = count_of(f);
    size_t at = count == 0 ? 0 : fuzz_below(&tree->random, count);
    size_t other = count == 0 ? 0 : fuzz_below(&tree->random, count);
    unsigned way = (unsigned)fuzz_below(&tree->random, 8);
    if (count > ELEMENT_LIMIT) {
        return;
    }
    char *changed = message_alloc(tree, (count + 1) * size);
    if (count > 0) {
        memcpy(changed, elements_of(f), count * size);
    }
    if (count == 0 || way == 0) { /* one more, at the end or before another */
        memmove(changed + (at + 1) * size, changed + at * size, (count - at) * size);
        memset(changed + at * size, 0, size);
        change_element(tree, f->about, changed + at * size);
        count++;
    } else if (way == 1) {
        memcpy(changed + count++ * size, changed + at * size, size);
    } else if (way <= 3) {
        memmove(changed + at * size, changed + (at + 1) * size, (count - at - 1) * size);
        count--;
    } else if (way == 4) {
        memcpy(changed + at * size, elements_of(f) + other * size, size);
        memcpy(changed + other * size, elements_of(f) + at * size, size);
    } else {
        change_element(tree, f->about, changed + at * size);
    }
    memcpy(f->value, &changed, sizeof changed);
    set_count(f, count);
}

void message_change(message_tree *tree, ProtobufCMessage *message)
{
    unsigned fields = message->descriptor->n_fields;
    field f = field_at(message, (unsigned)fuzz_below(&tree->random, fields));
    for (unsigned tries = 0; tries < 3 && count_of(&f) == 0; tries++) { /* what is there, mostly */
        f = field_at(message, (unsigned)fuzz_below(&tree->random, fields));
    }
    if (is_list(&f)) {
        change_list(tree, &f);
    } else if (count_of(&f) > 0 && fuzz_once_in(&tree->random, 4)) {
        set_count(&f, 0);
    } else {
        if (count_of(&f) == 0) {
            memset(f.value, 0, element_size(f.about->type));
        }
        change_element(tree, f.about, f.value);
        set_count(&f, 1);
    }
}

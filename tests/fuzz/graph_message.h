/* Messages of ONNX seen through protobuf-c's descriptors: any field of any message is found, copied and changed by
 * the same few lines. All memory is a region's, so nothing is owned and nothing is freed.
 *
 * Thread-safety: one thread at a time. */
#ifndef HD_FUZZ_GRAPH_MESSAGE_H
#define HD_FUZZ_GRAPH_MESSAGE_H

#include <protobuf-c/protobuf-c.h>

#include "base/region.h"
#include "graph_elements.h"

typedef struct message_list {
    ProtobufCMessage **items;
    size_t count;
} message_list;

/* A message in which changes happen, and what they draw from. */
typedef struct message_tree {
    hd_region region;
    fuzz_random random;
    ProtobufCMessage *root;
} message_tree;

/* Zeroed; ends the process where there is no memory. */
void *message_alloc(message_tree *tree, size_t size);
void *message_bytes(message_tree *tree, const void *bytes,
                    size_t size); /* a copy; NULL with size 0 is allowed */

/* NULL: the bytes are no such message, or it nests too deep. */
ProtobufCMessage *message_read(message_tree *tree, const ProtobufCMessageDescriptor *kind,
                               const void *data, size_t size);
ProtobufCMessage *message_copy(message_tree *tree, const ProtobufCMessage *message);
ProtobufCMessage *message_make(message_tree *tree, const ProtobufCMessageDescriptor *kind);

/* All messages of a kind below `message`, itself included; NULL: of all kinds. */
message_list message_find(message_tree *tree, ProtobufCMessage *message,
                          const ProtobufCMessageDescriptor *kind);
/* One of them; NULL: there is none. */
ProtobufCMessage *message_pick(message_tree *tree, ProtobufCMessage *message,
                               const ProtobufCMessageDescriptor *kind);

/* Changes one field of a message: sets, unsets or replaces it; an element of a list is changed, removed, added, copied
 * or moved. New values are extremes, or those of such a field elsewhere in the tree. */
void message_change(message_tree *tree, ProtobufCMessage *message);

/* An array of `count` pointers with room for one more. */
void *message_grown(message_tree *tree, const void *array, size_t count);
#define MESSAGE_APPEND(tree, array, count, item)                                                   \
    ((array) = message_grown((tree), (array), (count)), (array)[(count)++] = (item))

/* A number that is somewhere an extreme. */
int64_t message_extreme(message_tree *tree);

#endif

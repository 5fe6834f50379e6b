/* Packed: a constant operand in the form that a unit's kernels read, made once a model (FLAT).
 *
 * Whether and how an operand is packed follows from the operation's type, its attributes and the
 * constant's own type and shape, so it is decided when the model is loaded, before any plan.
 *
 * Thread-safety: immutable once made. */
#ifndef HD_HAL_PACKED_H
#define HD_HAL_PACKED_H

#include "operation/operation.h"

/* One of a backend's own forms, with what that depends on. Two operations that want equal forms share the constant. */
typedef struct hd_constant_form {
    uint32_t kind; /* 0: kernels read the elements as they are; HD_CONSTANT_PLAIN */
    int64_t group; /* of a convolution; else 1 */
} hd_constant_form;

static inline bool hd_constant_form_equal(hd_constant_form a, hd_constant_form b)
{
    return a.kind == b.kind && a.group == b.group;
}

/* A form of any backend whose memory is its own: the elements as they are, in the unit's memory alone, so that the host keeps
 * no copy. For constants that are worth it (HD_CONSTANT_PLAIN_BYTES) and whose reader the unit computes in any case. */
#define HD_CONSTANT_PLAIN       UINT32_MAX
#define HD_CONSTANT_PLAIN_BYTES ((int64_t)1 << 20)

typedef struct hd_packed {
    hd_constant_form form;
    hd_shape shape;                /* of the constant as the model has it */
    size_t size;                   /* bytes of `memory` */
    void *memory;                  /* the unit's */
    struct hd_memory_owner *owner; /* who was charged for it */
} hd_packed;

#endif

/* Device constants: those of a model that are kept as they are, copied to the memory of its device. Where the device is
 * the host there are none: steps read them where they are.
 *
 * Thread-safety: what is made is immutable; one thread makes and drops it. */
#ifndef HD_GRAPH_DEVICE_CONSTANTS_H
#define HD_GRAPH_DEVICE_CONSTANTS_H

#include "graph/graph.h"
#include "runtime/device.h"

/* A constant and its copy. */
typedef struct hd_device_constant {
    const unsigned char *host;
    size_t size; /* bytes */
    unsigned char *copy;
} hd_device_constant;

typedef struct hd_device_constants {
    hd_device_constant *entries; /* by the address of `host` */
    size_t count;
} hd_device_constants;

/* Copies a graph's constants and adds their bytes to *size. HD_OUT_OF_MEMORY, HD_LOST; *self is to be dropped in any
 * case. */
HD_MUST_CHECK hd_status hd_device_constants_copy(hd_device_constants *self, hd_device *device,
                                                 const hd_graph *graph, size_t *size,
                                                 hd_error *error);
/* The constant in the form HD_CONSTANT_PLAIN, which is the caller's. HD_OUT_OF_MEMORY, HD_LOST. */
HD_MUST_CHECK hd_status hd_device_constants_pack(hd_device *device, const hd_operand *constant,
                                                 hd_packed **out_packed, hd_error *error);
/* Drops a constant in whatever form of the device's. packed: NULL is allowed. */
void hd_device_constants_unpack(hd_device *device, hd_packed *packed);
void hd_device_constants_drop(hd_device_constants *self, hd_device *device);

void hd_device_constants_sort(hd_device_constants *self);
/* The copy of what lies at `host`; NULL: there is none. */
unsigned char *hd_device_constants_find(const hd_device_constants *self, const unsigned char *host);

/* Memory of the device that is counted as `kind`; NULL: there is none. */
void *hd_device_constants_take(hd_device *device, hd_memory_kind kind, size_t size);

#endif

/* Segments: the pieces of a unit's memory that an allocator cuts blocks from, counted as blocks.
 *
 * Thread-safety: immutable; any thread, under no lock. */
#ifndef HD_RUNTIME_SEGMENTS_H
#define HD_RUNTIME_SEGMENTS_H

#include "hal/backend.h"
#include "runtime/memory_account.h"

/* Small blocks share a segment of this size; larger segments are multiples of it, or near the limit of the least grain. */
#define HD_SEGMENT_SIZE ((size_t)2 << 20)

typedef struct hd_segments {
    hd_unit *unit;              /* whose own memory they are */
    hd_memory_account *account; /* that counts them */
} hd_segments;

/* One for a block of this size; NULL where the limit or the device has none. */
void *hd_segments_take(const hd_segments *self, size_t size, size_t *out_size);
void hd_segments_give(const hd_segments *self, void *segment, size_t size);

#endif

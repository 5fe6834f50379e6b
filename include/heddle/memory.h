/* Memory: blocks of a device's memory for the operations of a stream. Allocating and freeing are
 * events in the stream's order: a freed block may serve later operations of the same stream at
 * once, and another stream only when the device has finished with it (REUSE).
 *
 * On the CPU a block is ordinary memory. The host may touch it once the operations that were
 * submitted to the stream before the allocation are done (hd_stream_synchronize). On a device with memory of its own the
 * host never touches it: hd_memory_copy brings data there and back, and a run reads and writes it in place where a
 * tensor says so (hd_tensor.place).
 *
 * Thread-safety: any thread, all functions at once. Only hd_memory_allocate and hd_memory_copy may block. In a
 * forked child all functions answer HD_FORKED. */
#ifndef HEDDLE_MEMORY_H
#define HEDDLE_MEMORY_H

#include "heddle/stream.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Takes a block of at least `size` bytes (0 counts as 1), aligned to 64 bytes, not cleared, for
 * operations of `stream`. When the device's limit or the system's memory is reached, unused cached
 * blocks are given back to the system, then the call waits, at most wait_ms milliseconds (0: not at
 * all; HD_WAIT_FOREVER: as long as something is in flight), for blocks that the device is about to
 * finish with.
 * On success *out_memory is the caller's until hd_memory_free; on failure NULL.
 * HD_OUT_OF_MEMORY: the message tells the state of the heap. HD_INVALID_ARGUMENT: device or
 * out_memory is NULL, or the stream is none of the device. HD_LOST, HD_CLOSED, HD_FORKED. */
HD_API HD_MUST_CHECK hd_status hd_memory_allocate(hd_device *device, hd_stream stream, size_t size,
                                                  uint32_t wait_ms, void **out_memory,
                                                  hd_error *error);

/* Frees a block, in the order of the stream that it was allocated for; NULL is allowed. The
 * memory is not the caller's any more. Does not block and does not fail for lack of memory.
 * HD_INVALID_ARGUMENT: device is NULL, or no block of this device begins there (freed before,
 * for example); nothing has changed then. HD_FORKED. Works after hd_device_shutdown, too. */
HD_API HD_MUST_CHECK hd_status hd_memory_free(hd_device *device, void *memory, hd_error *error);

/* Says that operations submitted to `stream` so far use the block, which belongs to another
 * stream: once freed, it is not reused before they are done. The block stays the caller's. Does
 * not block and does not fail for lack of memory. HD_INVALID_ARGUMENT: device is NULL, no block
 * begins there, or the stream is none of the device. HD_CLOSED, HD_FORKED. */
HD_API HD_MUST_CHECK hd_status hd_memory_record_stream(hd_device *device, void *memory,
                                                       hd_stream stream, hd_error *error);

/* Copies `size` bytes, each side being the process's memory or the device's, and returns when they are there. It is no
 * part of any stream's order: what was submitted before and uses either side must be done (hd_stream_synchronize).
 * HD_INVALID_ARGUMENT: device is NULL, or a side is NULL and size not 0. HD_LOST. HD_FORKED. Works after
 * hd_device_shutdown, too. */
HD_API HD_MUST_CHECK hd_status hd_memory_copy(hd_device *device, void *to, const void *from,
                                              size_t size, hd_error *error);

/* Gives the cached memory that the device has finished with back to the system: segments with no
 * block in use or in flight. Does not block. HD_INVALID_ARGUMENT: device is NULL. HD_FORKED. */
HD_API HD_MUST_CHECK hd_status hd_memory_trim(hd_device *device, hd_error *error);

/* Bytes and counts of a device's blocks: of each stream at one moment, added up. in_use + cached =
 * reserved. */
typedef struct hd_memory_statistics {
    size_t struct_size;      /* sizeof(hd_memory_statistics), set by the caller */
    uint64_t in_use_bytes;   /* allocated and not freed */
    uint64_t cached_bytes;   /* freed, kept for reuse (waiting for the device or not) */
    uint64_t reserved_bytes; /* taken from the system */
    /* the largest in_use_bytes so far, or more: the sum of each stream's own largest, and never
     * more than what was reserved at a time */
    uint64_t peak_bytes;
    uint64_t allocations; /* successful calls of hd_memory_allocate */
    uint64_t hits;        /* of them served from the cache */
    uint64_t splits;      /* of them that divided a larger block */
    uint64_t waits;       /* calls that had to wait for the device */
    uint64_t releases;    /* times that the cache was given back to the system */
} hd_memory_statistics;

/* Writes the numbers to *out_statistics, which stays as it was on failure. Does not block. Works
 * after hd_device_shutdown, too. HD_INVALID_ARGUMENT: an argument is NULL, or struct_size is not set. HD_FORKED. */
HD_API HD_MUST_CHECK hd_status hd_memory_get_statistics(hd_device *device,
                                                        hd_memory_statistics *out_statistics);

#ifdef __cplusplus
}
#endif
#endif

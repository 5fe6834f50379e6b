/* Caching allocator: blocks of a device's memory, in the order of streams (REUSE). Frees are events
 * on the stream that a block was allocated for: that stream may take it again at once, others when
 * the device has reached the free's point. Where other streams were recorded, everybody waits for
 * theirs first.
 *
 * Blocks up to 1 MB are cut from segments of 2 MB, larger ones are segments of their own. A freed
 * block keeps its size while it is cached for its stream, so that a hit neither cuts nor joins;
 * once its point is reached it joins its free neighbours and is anybody's. That is found out
 * lazily, when nothing that fits is cached. Segments that are wholly free go back to the system
 * when memory runs out, or on trim.
 *
 * Laws: in_use + cached = reserved, reserved = what the account counts as blocks (give or take what
 * is just on its way). A block is in one state (hd_block_state), no two neighbours are common.
 *
 * No pointer to a block's description outlives the lock that it was found under: a block that is
 * freed, reused or given back in between cannot be mistaken for another (ABA). Memory from the
 * system is taken and given back under no lock, and after that the cache is looked at anew.
 *
 * Thread-safety: any thread, all functions at once; create and destroy apart. One lock (rank
 * allocator). */
#ifndef HD_RUNTIME_ALLOCATOR_H
#define HD_RUNTIME_ALLOCATOR_H

#include "base/rank.h"
#include "heddle/memory.h"
#include "runtime/memory_account.h"
#include "runtime/timeline.h"

typedef struct hd_allocator hd_allocator;

/* timelines: one a stream, HD_STREAM_COUNT; they and the account must live longer.
 * HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_allocator_create(hd_timeline *const *timelines,
                                            hd_memory_account *account,
                                            hd_allocator **out_allocator);
/* All work is done and no timeline is being signalled. Blocks that were never freed go, too. */
void hd_allocator_destroy(hd_allocator **allocator);

/* At least `size` bytes at 64 for work of `stream`. Where none are to be had: waits until
 * `deadline` (hd_clock_now's scale; 0: does not wait) for blocks that were freed and that the
 * device has not finished with. HD_OUT_OF_MEMORY, with the state of the heap in words. */
HD_MUST_CHECK hd_status hd_allocator_allocate(hd_allocator *allocator, uint32_t stream, size_t size,
                                              uint64_t deadline, void **out_memory,
                                              hd_error *error) HD_WAITS;

/* False, and nothing has changed: no block in use begins there. */
bool hd_allocator_free(hd_allocator *allocator, void *memory);

/* What was submitted to `stream` so far uses the block. False: no block in use begins there. */
bool hd_allocator_record(hd_allocator *allocator, void *memory, uint32_t stream);

/* Gives every segment back that is wholly free and that the device has finished with. */
void hd_allocator_trim(hd_allocator *allocator);

void hd_allocator_get_statistics(hd_allocator *allocator, hd_memory_statistics *out_statistics);

#endif

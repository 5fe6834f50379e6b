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
 * A hit, and the free of a block that was recorded on no other stream, take the lock of the block's
 * stream only and write nothing that other streams' hits and frees touch (stream_cache.h). All that
 * moves blocks between streams and cuts and joins them happens under the allocator's lock, with the
 * streams' locks taken under it one at a time.
 *
 * Laws: in_use + cached = reserved, the sum over the streams and of what no stream has; reserved =
 * what the account counts as blocks (give or take what is just on its way). A block is in one state
 * (hd_block_state), no two neighbours are common.
 *
 * A block's description may be looked up under no lock, since descriptions live as long as the
 * allocator; what was found is acted upon only if, under its stream's lock, it is still that block
 * and in use. So a block that is freed, reused or given back in between cannot be mistaken for
 * another (ABA). Memory from the system is taken and given back under no lock, and after that the
 * cache is looked at anew.
 *
 * Who finds nothing says so (seekers) and looks again before it gets memory or waits; a free that
 * comes after that look tells it, through the allocator's lock (BOUND).
 *
 * Thread-safety: any thread, all functions at once; create and destroy apart. Locks: rank
 * allocator, under it rank stream_cache. */
#ifndef HD_RUNTIME_ALLOCATOR_H
#define HD_RUNTIME_ALLOCATOR_H

#include "base/rank.h"
#include "hal/backend.h"
#include "heddle/memory.h"
#include "runtime/memory_account.h"
#include "runtime/timeline.h"

typedef struct hd_allocator hd_allocator;

/* timelines: one a stream, HD_STREAM_COUNT; they, the unit and the account must live longer. Blocks are of the unit's own
 * memory.
 * HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_allocator_create(hd_timeline *const *timelines, hd_unit *unit,
                                            hd_memory_account *account,
                                            hd_allocator **out_allocator);
/* All work is done and no timeline is being signalled. Blocks that were never freed go, too. */
void hd_allocator_destroy(hd_allocator **allocator);

/* At least `size` bytes at 64 for work of `stream`. Where none are to be had: waits until
 * `deadline` (hd_clock_now's scale; 0: does not wait) for blocks that were freed and that the
 * device has not finished with (room for descriptions is made from the cache, but not waited for).
 * HD_OUT_OF_MEMORY, with the state of the heap in words. */
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

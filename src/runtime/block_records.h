/* Block records: streams other than its own that use a block, and the points that they had come to.
 * A stream that finds no place is owed one: it gets the place that comes free, with the point that
 * is its last by then, which is not before the one that it was recorded at (REUSE).
 *
 * Law: no record, no stream that is owed one.
 *
 * Thread-safety: one thread at a time (the lock of whoever has the block). */
#ifndef HD_RUNTIME_BLOCK_RECORDS_H
#define HD_RUNTIME_BLOCK_RECORDS_H

#include "runtime/block_table.h"
#include "runtime/timeline.h"

/* What was submitted to the stream so far uses the block. */
void hd_block_records_add(hd_block *block, hd_timeline *const *timelines, uint32_t stream);

/* Forgets the records whose points are reached; true when none is left. */
bool hd_block_records_settle(hd_block *block, hd_timeline *const *timelines);

#endif

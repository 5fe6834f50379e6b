/* Arena places: where tensors lie in an arena when there are too many of them to compare each with each. They
 * are given out and taken back in the order of the steps, as a heap would: a place of good fit from lists by
 * size, free neighbours joined, so that the time grows with the number of tensors only.
 *
 * Source of the lists: Masmano et al., "TLSF: a new dynamic memory allocator for real-time systems" (2004).
 *
 * Thread-safety: one thread at a time. */
#ifndef HD_GRAPH_ARENA_PLACES_H
#define HD_GRAPH_ARENA_PLACES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A piece of memory that is needed from one step to another, both included. */
typedef struct hd_arena_span {
    uint32_t first;
    uint32_t last; /* UINT32_MAX: for good */
    size_t size;   /* a multiple of HD_CACHE_LINE, not 0 */
    size_t offset; /* where it lies; given for those that are fixed */
    bool is_fixed; /* lies there already, from before the first step */
} hd_arena_span;

/* Sets the offset of each span that is not fixed; the others come first in the array, and then spans in the
 * order of `first`, all below step_count. Spans that are needed at the same time do not overlap. false when
 * out of memory. */
bool hd_arena_place(hd_arena_span *spans, size_t count, uint32_t step_count);

#endif

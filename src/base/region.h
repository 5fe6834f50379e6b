/* Region: memory that is taken piece by piece and freed all at once; a graph or a plan owns one.
 * Thread-safety: one thread at a time. */
#ifndef HD_BASE_REGION_H
#define HD_BASE_REGION_H

#include <stddef.h>

typedef struct hd_region {
    struct hd_region_block *blocks;
    size_t used;  /* of the newest block */
    size_t total; /* bytes taken from the heap */
} hd_region;

/* Lets a region that is to be short-lived and small begin in memory of the caller's (at 16 bytes; 256 of them and more), which
 * counts for nothing in `total` and stays until the region is cleared. */
void hd_region_start(hd_region *region, void *memory, size_t size);

/* Zeroed memory at 16 bytes, for values and arrays; NULL when out of memory. A region that is all
 * zero is an empty one. */
void *hd_region_alloc(hd_region *region, size_t size);

/* The same for count elements; NULL too when the product does not fit. */
void *hd_region_array(hd_region *region, size_t count, size_t element_size);

void *hd_region_copy(hd_region *region, const void *memory, size_t size);
char *hd_region_copy_text(hd_region *region, const char *text);

/* Gives pages back that nothing lies in yet, for a region that is not to grow any more. */
void hd_region_trim(hd_region *region);

/* Frees everything; the region is empty again. */
void hd_region_clear(hd_region *region);

#endif

/* Memory: the library's only way to the heap and to pages, so that faults and counts reach it all.
 * Thread-safety: any thread. */
#ifndef HD_BASE_MEMORY_H
#define HD_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HD_CACHE_LINE 64

/* In builds with AddressSanitizer: bytes behind what shares a block with other things, which nobody may touch. */
#if defined(__SANITIZE_ADDRESS__)
#define HD_CHECKS_ADDRESSES 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HD_CHECKS_ADDRESSES 1
#endif
#endif
#if !HD_CHECKS_ADDRESSES
#define HD_MEMORY_GAP ((size_t)0)
static inline void hd_memory_forbid(const void *memory, size_t size)
{
    (void)memory, (void)size;
}
static inline void hd_memory_allow(const void *memory, size_t size)
{
    (void)memory, (void)size;
}
#else
#define HD_MEMORY_GAP ((size_t)128)
/* An access to memory that is forbidden is reported. `memory` lies at 8 bytes. */
void hd_memory_forbid(const void *memory, size_t size);
void hd_memory_allow(const void *memory, size_t size);
#endif

/* As malloc, calloc, realloc and free; NULL on failure; a size of 0 counts as 1. */
void *hd_alloc(size_t size);
void *hd_alloc_zero(size_t count, size_t size);
void *hd_realloc(void *memory, size_t size);
void hd_free(void *memory);

/* At HD_CACHE_LINE; freed with hd_free. */
void *hd_alloc_aligned(size_t size);

/* A copy of a terminated text; NULL on failure. */
char *hd_copy_text(const char *text);

/* Makes room for at least `needed` elements in a growing array: *memory and *capacity are updated on
 * success; on failure (false) both stay as they are. */
bool hd_array_reserve(void **memory, size_t *capacity, size_t needed, size_t element_size);

/* Zeroed pages for weights and arenas, on 2 MB pages where the system gives them; NULL on failure.
 * hd_pages_free takes the same size. */
void *hd_pages_alloc(size_t size);
void hd_pages_free(void *memory, size_t size);

/* *out = a * b; false when it does not fit. */
static inline bool hd_multiply_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

static inline bool hd_add_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

static inline size_t hd_align_up(size_t value, size_t alignment)
{
    return (value + alignment - 1) & ~(alignment - 1);
}

#endif

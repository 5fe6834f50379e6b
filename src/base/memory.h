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

/* Who is charged for memory, and is asked before it is taken. Outlives what it was charged for. */
typedef struct hd_memory_owner hd_memory_owner;
struct hd_memory_owner {
    bool (*take)(hd_memory_owner *owner, size_t size); /* false: it may not have them */
    void (*give)(hd_memory_owner *owner, size_t size);
};

/* What the calling thread allocates from here on is charged to `owner`, and together takes no more than `limit`
 * bytes at a time. What is freed, whenever and wherever that is, is given back. Scopes nest:
 * the innermost counts. */
typedef struct hd_memory_scope {
    hd_memory_owner *owner;
    uint64_t left;   /* of the limit */
    bool is_refused; /* by the limit */
    struct hd_memory_scope *outer;
} hd_memory_scope;

void hd_memory_scope_enter(hd_memory_scope *scope, hd_memory_owner *owner, uint64_t limit);
void hd_memory_scope_leave(hd_memory_scope *scope);
/* Raises the innermost scope's limit. */
void hd_memory_scope_allow(uint64_t bytes);

/* Charges the scope's owner, which *out_owner then tells (NULL: there is none), for memory that comes from elsewhere; false:
 * it may not have it. */
bool hd_memory_charge(size_t size, hd_memory_owner **out_owner);
void hd_memory_discharge(size_t size, hd_memory_owner *owner);

/* As malloc, calloc, realloc and free; NULL on failure; a size of 0 counts as 1. */
void *hd_alloc(size_t size);
void *hd_alloc_zero(size_t count, size_t size);
void *hd_realloc(void *memory, size_t size);
void hd_free(void *memory);
/* Gives the system back what lies behind the first `size` bytes, where that is pages of the block's own; how many bytes. */
size_t hd_shrink(void *memory, size_t size);

/* At HD_CACHE_LINE; freed with hd_free. */
void *hd_alloc_aligned(size_t size);

/* A copy of a terminated text; NULL on failure. */
char *hd_copy_text(const char *text);

/* Makes room for at least `needed` elements in a growing array: *memory and *capacity are updated on
 * success; on failure (false) both stay as they are. */
bool hd_array_reserve(void **memory, size_t *capacity, size_t needed, size_t element_size);

/* Zeroed pages for weights and arenas, on 2 MB pages where the system gives them; NULL on failure.
 * hd_pages_free takes the same size. They are charged to nobody: who takes them counts hd_pages_size. */
void *hd_pages_alloc(size_t size);
void hd_pages_free(void *memory, size_t size);
/* What they come to, in whole pages; 0 where that is beyond all memory. */
size_t hd_pages_size(size_t size);

/* The same, charged to the scope's owner, which *out_owner then tells. */
void *hd_pages_alloc_charged(size_t size, hd_memory_owner **out_owner);
void hd_pages_free_charged(void *memory, size_t size, hd_memory_owner *owner);

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

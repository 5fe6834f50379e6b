#include "cli/malloc_count.h"

#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif

#if defined(__GLIBC__) && !defined(SANITIZED)

#define EXPORT __attribute__((visibility("default")))

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *memory);

/* A counter a thread, as far as they go, each on a cache line of its own: one for all would make
 * callers on different cores wait for one another, and so distort what is measured. */
#define COUNTER_COUNT 128
static struct {
    _Alignas(64) _Atomic int64_t calls;
} counters[COUNTER_COUNT];
static _Atomic uint32_t next_counter;
/* Initial-exec: found without a call, since that call might allocate. */
static _Thread_local uint32_t own_counter __attribute__((tls_model("initial-exec")));

static void count_call(void)
{
    if (own_counter == 0) {
        own_counter =
            1 + atomic_fetch_add_explicit(&next_counter, 1, memory_order_relaxed) % COUNTER_COUNT;
    }
    atomic_fetch_add_explicit(&counters[own_counter - 1].calls, 1, memory_order_relaxed);
}

int64_t hd_malloc_count_read(void)
{
    int64_t sum = 0;
    for (size_t i = 0; i < COUNTER_COUNT; i++) {
        sum += atomic_load_explicit(&counters[i].calls, memory_order_relaxed);
    }
    return sum;
}

EXPORT void *malloc(size_t size)
{
    count_call();
    return __libc_malloc(size);
}

EXPORT void *calloc(size_t count, size_t size)
{
    count_call();
    return __libc_calloc(count, size);
}

EXPORT void *realloc(void *memory, size_t size)
{
    count_call();
    return __libc_realloc(memory, size);
}

EXPORT void free(void *memory)
{
    if (memory != NULL) {
        count_call();
        __libc_free(memory);
    }
}

EXPORT void *memalign(size_t alignment, size_t size)
{
    count_call();
    return __libc_memalign(alignment, size);
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

EXPORT int posix_memalign(void **out_memory, size_t alignment, size_t size)
{
    if (alignment % sizeof(void *) != 0 || (alignment & (alignment - 1)) != 0 || alignment == 0) {
        return EINVAL;
    }
    void *memory = memalign(alignment, size);
    if (memory == NULL) {
        return ENOMEM;
    }
    *out_memory = memory;
    return 0;
}

EXPORT void *valloc(size_t size)
{
    return memalign(4096, size);
}

EXPORT void *pvalloc(size_t size)
{
    return memalign(4096, (size + 4095) & ~(size_t)4095);
}

#else

int64_t hd_malloc_count_read(void)
{
    return -1;
}

#endif

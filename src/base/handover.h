/* Handover: tells ThreadSanitizer, where the program that uses the library was built with it and the library was
 * not, in which order threads hand memory to one another. It sees the library's locks, and what memcpy, malloc and
 * their like touch, but none of its atomics and kernels, and would report each hand-over as a race of the
 * program's. Nothing is to be set by the user: the functions are called where the program has them.
 *
 * base/atomic.h does it for whatever acquires or releases; what else does says so itself. In builds that are
 * instrumented themselves there is nothing to tell.
 *
 * Thread-safety: any thread. Source: LLVM's tsan_interface.h. */
#ifndef HD_BASE_HANDOVER_H
#define HD_BASE_HANDOVER_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HD_HANDOVER_IS_SEEN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define HD_HANDOVER_IS_SEEN 1
#endif

#if defined(HD_HANDOVER_IS_SEEN)
static inline bool hd_handover_is_watched(void)
{
    return false;
}

static inline void hd_handover_give(const volatile void *place)
{
    (void)place;
}

static inline void hd_handover_take(const volatile void *place)
{
    (void)place;
}

static inline void hd_handover_read(const void *memory, size_t size)
{
    (void)memory;
    (void)size;
}

static inline void hd_handover_write(const void *memory, size_t size)
{
    (void)memory;
    (void)size;
}
#else
/* Set before main, where the program has what is called. Not looked up in each call, which costs more. */
extern bool hd_handover_watched __attribute__((visibility("hidden")));

void hd_handover_tell_give(const volatile void *place);
void hd_handover_tell_take(const volatile void *place);
void hd_handover_tell_read(const void *memory, size_t size);
void hd_handover_tell_write(const void *memory, size_t size);

/* Whether anybody is told. */
static inline bool hd_handover_is_watched(void)
{
    return __builtin_expect(hd_handover_watched, 0);
}

/* What this thread has done is seen by whoever takes from the same place afterwards. The place is a name only. */
static inline void hd_handover_give(const volatile void *place)
{
    if (hd_handover_is_watched()) {
        hd_handover_tell_give(place);
    }
}

static inline void hd_handover_take(const volatile void *place)
{
    if (hd_handover_is_watched()) {
        hd_handover_tell_take(place);
    }
}

/* A kernel reads, or writes, memory of the caller's: a race with what the program does to it is the program's. */
static inline void hd_handover_read(const void *memory, size_t size)
{
    if (hd_handover_is_watched()) {
        hd_handover_tell_read(memory, size);
    }
}

static inline void hd_handover_write(const void *memory, size_t size)
{
    if (hd_handover_is_watched()) {
        hd_handover_tell_write(memory, size);
    }
}
#endif

#endif

#include "base/handover.h"

#if defined(HD_HANDOVER_IS_SEEN)
typedef int hd_handover_is_seen;
#else
extern void __tsan_release(void *place) __attribute__((weak));
extern void __tsan_acquire(void *place) __attribute__((weak));
extern void __tsan_read_range(void *memory, unsigned long size) __attribute__((weak));
extern void __tsan_write_range(void *memory, unsigned long size) __attribute__((weak));

bool hd_handover_watched;

__attribute__((constructor)) static void look_for_watcher(void)
{
    hd_handover_watched = __tsan_release != NULL && __tsan_acquire != NULL &&
                          __tsan_read_range != NULL && __tsan_write_range != NULL;
}

void hd_handover_tell_give(const volatile void *place)
{
    __tsan_release((void *)(size_t)place);
}

void hd_handover_tell_take(const volatile void *place)
{
    __tsan_acquire((void *)(size_t)place);
}

void hd_handover_tell_read(const void *memory, size_t size)
{
    if (memory != NULL && size > 0) {
        __tsan_read_range((void *)(size_t)memory, size);
    }
}

void hd_handover_tell_write(const void *memory, size_t size)
{
    if (memory != NULL && size > 0) {
        __tsan_write_range((void *)(size_t)memory, size);
    }
}
#endif

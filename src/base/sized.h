/* Sized: public structs that the library fills begin with their size, which the caller sets, so that they can grow
 * (docs/compatibility.md).
 *
 * Thread-safety: the struct is the caller's, and one thread's at a time. */
#ifndef HD_BASE_SIZED_H
#define HD_BASE_SIZED_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* No struct is larger. What is larger, or smaller than its own first member, was never set. */
#define HD_SIZED_MAX 4096

/* What the caller's struct has as its struct_size. */
static inline size_t hd_sized_size(const void *out)
{
    size_t size;
    memcpy(&size, out, sizeof size);
    return size;
}

static inline bool hd_sized_is_set(const void *out)
{
    size_t size = hd_sized_size(out);
    return size >= sizeof size && size <= HD_SIZED_MAX;
}

/* Copies a struct of this library's to the caller's, which may be of an older header, and then has fewer members,
 * or of a newer one, whose further members become zero. Its struct_size stays. It must be set. */
static inline void hd_sized_write(void *out, const void *known, size_t known_size)
{
    size_t size = hd_sized_size(out);
    size_t shared = size < known_size ? size : known_size;
    unsigned char *bytes = out;
    memcpy(bytes + sizeof size, (const unsigned char *)known + sizeof size, shared - sizeof size);
    memset(bytes + shared, 0, size - shared);
}

#endif

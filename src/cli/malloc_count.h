/* Malloc count: how often this process called malloc and its family. The program defines these
 * functions itself and hands each call on to the C library, so that libraries' calls are counted
 * too.
 *
 * Not in builds with a sanitizer, whose own malloc must stay, nor with another C library than
 * glibc: there the count is -1.
 *
 * Thread-safety: any thread. */
#ifndef HEDDLE_CLI_MALLOC_COUNT_H
#define HEDDLE_CLI_MALLOC_COUNT_H

#include <stdint.h>

/* Calls so far of malloc, calloc, realloc, aligned_alloc, posix_memalign, memalign, valloc, pvalloc
 * and of free with a pointer, by all threads; -1 where they are not counted. */
int64_t hd_malloc_count_read(void);

#endif

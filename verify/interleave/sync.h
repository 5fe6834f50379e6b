/* Sync: replaces src/base/mutex.c, thread.c, clock.c and check.c behind their own headers.
 * Mutexes make C11's happens-before; condition variables do not, beyond their mutex. */
#ifndef INTERLEAVE_SYNC_H
#define INTERLEAVE_SYNC_H

#include <stdbool.h>
#include <stdint.h>

void sync_restart(void);
bool sync_is_free(uintptr_t mutex);

/* What hd_spin_pause compiles to (takeover.h). */
void interleave_pause(void);

#endif

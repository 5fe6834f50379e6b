/* Race: finds conflicting accesses that happens-before leaves unordered, and accesses to memory that is
 * not there. For each piece of memory it keeps every thread's last access of each kind. */
#ifndef INTERLEAVE_RACE_H
#define INTERLEAVE_RACE_H

#include <stdint.h>

typedef enum race_kind {
    RACE_READ,
    RACE_WRITE,
    RACE_ATOMIC_READ,
    RACE_ATOMIC_WRITE,
    RACE_KINDS
} race_kind;

void race_restart(void);
/* Memory that is not the explorer's (constants, the C library's) is left out. */
void race_access(uint32_t thread, uintptr_t address, uint64_t size, race_kind kind,
                 uintptr_t place);
/* The memory is freed: a write to all of it. What comes later is told as a use of freed memory. */
void race_free(uint32_t thread, uintptr_t address, uint64_t size, uintptr_t place);

#endif

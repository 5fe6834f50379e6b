/* Heap: the memory of the threads under test, at the same addresses in each execution: a stack and a
 * piece of heap a thread. Freed memory is never given out again within an execution, so each use after
 * free is seen. Replaces src/base/memory.c. */
#ifndef INTERLEAVE_HEAP_H
#define INTERLEAVE_HEAP_H

#include "operation.h"

#define STACK_SIZE ((uintptr_t)64 << 10)
#define HEAP_SIZE  ((uintptr_t)256 << 10) /* a thread's */
#define ARENA_BASE ((uintptr_t)0x100000000000)
#define ARENA_SIZE (THREAD_LIMIT * (STACK_SIZE + HEAP_SIZE))

/* Maps the arena; false when it cannot. */
bool heap_open(void);
/* Also sets the static storage of the files under test back to what it holds at first. */
void heap_restart(void);
/* Fails unless these bytes are allocated and, on a stack, in use. */
void heap_check(uint32_t thread, uintptr_t address, uint64_t size, uintptr_t place);
/* Fails if something is still allocated. */
void heap_check_leaks(void);

/* The lower end of a thread's stack. */
uintptr_t heap_stack(uint32_t thread);

/* The block that holds an address: its number in the order of allocation and the distance from its
 * start; false when there is none. */
bool heap_describe(uintptr_t address, uint32_t *out_thread, uint32_t *out_block,
                   uintptr_t *out_offset);

#endif

/* Arena: memory of a report, freed at once. Memory that runs out ends the program with its sentence and exit
 * code 4: nothing of a report stands anywhere before it is whole.
 *
 * Thread-safety: one thread at a time. */
#ifndef HEDDLE_CLI_VERIFY_ARENA_H
#define HEDDLE_CLI_VERIFY_ARENA_H

#include <stddef.h>

typedef struct hd_arena_block hd_arena_block;

/* All zeros: empty. */
typedef struct hd_arena {
    hd_arena_block *blocks;
    size_t left; /* bytes of the first block that nobody has */
} hd_arena;

/* Zeroed, aligned for anything; never NULL. */
void *hd_arena_take(hd_arena *arena, size_t size);
/* A copy of `length` bytes with a 0 behind them. */
char *hd_arena_copy(hd_arena *arena, const char *text, size_t length);
char *hd_arena_format(hd_arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void hd_arena_free(hd_arena *arena);

#endif

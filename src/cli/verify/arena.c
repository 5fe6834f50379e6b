#include "cli/verify/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/failure.h"

#define BLOCK_BYTES ((size_t)64 << 10)

struct hd_arena_block {
    hd_arena_block *next;
    size_t size;
    _Alignas(max_align_t) unsigned char bytes[];
};

void *hd_arena_take(hd_arena *arena, size_t size)
{
    size_t wanted = (size + _Alignof(max_align_t) - 1) & ~(_Alignof(max_align_t) - 1);
    if (wanted < size || wanted > SIZE_MAX / 2) {
        exit(hd_failure_print_memory());
    }
    if (wanted > arena->left) {
        size_t block_size = wanted > BLOCK_BYTES ? wanted : BLOCK_BYTES;
        hd_arena_block *block = calloc(1, sizeof *block + block_size);
        if (block == NULL) {
            exit(hd_failure_print_memory());
        }
        block->next = arena->blocks;
        block->size = block_size;
        arena->blocks = block;
        arena->left = block_size;
    }
    void *taken = arena->blocks->bytes + arena->blocks->size - arena->left;
    arena->left -= wanted;
    return taken;
}

char *hd_arena_copy(hd_arena *arena, const char *text, size_t length)
{
    char *copy = hd_arena_take(arena, length + 1);
    memcpy(copy, text, length);
    return copy;
}

char *hd_arena_format(hd_arena *arena, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    int length = vsnprintf(NULL, 0, format, values);
    va_end(values);
    size_t size = length < 0 ? 1 : (size_t)length + 1;
    char *text = hd_arena_take(arena, size);
    va_start(values, format);
    vsnprintf(text, size, format, values);
    va_end(values);
    return text;
}

void hd_arena_free(hd_arena *arena)
{
    while (arena->blocks != NULL) {
        hd_arena_block *next = arena->blocks->next;
        free(arena->blocks);
        arena->blocks = next;
    }
    arena->left = 0;
}

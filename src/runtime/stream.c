#include "runtime/stream.h"

#include <string.h>

#include "base/memory.h"
#include "runtime/memory_account.h"

/* Arenas grow in steps, so that plans of slightly different shapes do not move them each time. */
#define ARENA_STEP ((size_t)64 << 10)

hd_status hd_stream_reserve_arena(hd_stream *stream, hd_memory_account *account, size_t size, size_t keep)
{
    if (size <= stream->arena_size) {
        return HD_OK;
    }
    size_t rounded = hd_align_up(size, ARENA_STEP);
    if (rounded < size || !hd_memory_account_take(account, HD_MEMORY_ARENAS, rounded)) {
        return HD_OUT_OF_MEMORY;
    }
    unsigned char *arena = hd_pages_alloc(rounded);
    if (arena == NULL) {
        hd_memory_account_give(account, HD_MEMORY_ARENAS, rounded);
        return HD_OUT_OF_MEMORY;
    }
    if (keep > 0) {
        memcpy(arena, stream->arena, keep);
    }
    hd_pages_free(stream->arena, stream->arena_size);
    hd_memory_account_give(account, HD_MEMORY_ARENAS, stream->arena_size);
    stream->arena = arena;
    stream->arena_size = rounded;
    stream->arena_generation++;
    return HD_OK;
}

hd_status hd_stream_reserve_scratch(hd_stream *stream, hd_memory_account *account, size_t size)
{
    if (size <= stream->scratch_size) {
        return HD_OK;
    }
    size_t rounded = hd_align_up(size, ARENA_STEP);
    if (rounded < size || !hd_memory_account_take(account, HD_MEMORY_ARENAS, rounded)) {
        return HD_OUT_OF_MEMORY;
    }
    unsigned char *scratch = hd_pages_alloc(rounded);
    if (scratch == NULL) {
        hd_memory_account_give(account, HD_MEMORY_ARENAS, rounded);
        return HD_OUT_OF_MEMORY;
    }
    hd_pages_free(stream->scratch, stream->scratch_size);
    hd_memory_account_give(account, HD_MEMORY_ARENAS, stream->scratch_size);
    stream->scratch = scratch;
    stream->scratch_size = rounded;
    return HD_OK;
}

bool hd_stream_reserve_pointers(hd_stream *stream, size_t count)
{
    return hd_array_reserve((void **)&stream->pointers, &stream->pointer_capacity, count,
                            sizeof *stream->pointers);
}

bool hd_stream_reserve_key(hd_stream *stream, size_t size)
{
    return hd_array_reserve((void **)&stream->key, &stream->key_capacity, size, 1);
}

void hd_stream_clear(hd_stream *stream, hd_memory_account *account)
{
    hd_pages_free(stream->arena, stream->arena_size);
    hd_pages_free(stream->scratch, stream->scratch_size);
    hd_memory_account_give(account, HD_MEMORY_ARENAS, stream->arena_size + stream->scratch_size);
    hd_free(stream->pointers);
    hd_free(stream->key);
    *stream = (hd_stream){0};
}

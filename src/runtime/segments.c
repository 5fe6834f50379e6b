#include "runtime/segments.h"

/* Near the limit a segment is no larger than its block needs, but a multiple of this. */
#define LEAST_GRAIN ((size_t)4096)

static void *take(const hd_segments *self, size_t size)
{
    if (!hd_memory_account_take(self->account, HD_MEMORY_BLOCKS, size)) {
        return NULL;
    }
    void *segment = hd_unit_memory_create(self->unit, HD_PLACE_DEVICE, size);
    if (segment == NULL) {
        hd_memory_account_give(self->account, HD_MEMORY_BLOCKS, size);
    }
    return segment;
}

void *hd_segments_take(const hd_segments *self, size_t size, size_t *out_size)
{
    size_t wanted = hd_align_up(size, HD_SEGMENT_SIZE), least = hd_align_up(size, LEAST_GRAIN);
    void *segment = take(self, wanted);
    *out_size = wanted;
    if (segment == NULL && least < wanted && size < HD_SEGMENT_SIZE) {
        segment = take(self, least);
        *out_size = least;
    }
    return segment;
}

void hd_segments_give(const hd_segments *self, void *segment, size_t size)
{
    hd_unit_memory_destroy(self->unit, HD_PLACE_DEVICE, segment, size);
    hd_memory_account_give(self->account, HD_MEMORY_BLOCKS, size);
}

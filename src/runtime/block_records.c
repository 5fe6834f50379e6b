#include "runtime/block_records.h"

static void add(hd_block *block, uint32_t stream, uint64_t point)
{
    uint32_t index = 0;
    while (index < block->record_count && block->record_streams[index] != stream) {
        index++;
    }
    if (index == HD_BLOCK_RECORDS) {
        block->owed |= UINT32_C(1) << stream;
        return;
    }
    block->record_streams[index] = (uint8_t)stream;
    block->record_points[index] = point;
    block->record_count += index == block->record_count;
}

void hd_block_records_add(hd_block *block, hd_timeline *const *timelines, uint32_t stream)
{
    uint64_t point = hd_timeline_submitted(timelines[stream]);
    if (!hd_timeline_reached(timelines[stream], point)) {
        add(block, stream, point);
    }
}

bool hd_block_records_settle(hd_block *block, hd_timeline *const *timelines)
{
    for (uint32_t i = block->record_count; i-- > 0;) {
        if (hd_timeline_reached(timelines[block->record_streams[i]], block->record_points[i])) {
            uint32_t last = --block->record_count;
            block->record_streams[i] = block->record_streams[last];
            block->record_points[i] = block->record_points[last];
        }
    }
    while (block->owed != 0 && block->record_count < HD_BLOCK_RECORDS) {
        uint32_t stream = (uint32_t)__builtin_ctz(block->owed);
        block->owed &= block->owed - 1;
        hd_block_records_add(block, timelines, stream);
    }
    return block->record_count == 0;
}

#include "runtime/reclaim.h"

#include "runtime/allocator.h"
#include "runtime/slot_pool.h"
#include "runtime/workspace.h"

#define CLEARING (UINT64_C(1) << 63)

static void reclaim_lock(hd_reclaim *reclaim)
    HD_ACQUIRE(&reclaim->mutex, hd_rank_reclaim) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_lock(&reclaim->mutex);
}

static void reclaim_unlock(hd_reclaim *reclaim)
    HD_RELEASE(&reclaim->mutex, hd_rank_reclaim) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_unlock(&reclaim->mutex);
}

hd_status hd_reclaim_init(hd_reclaim *reclaim) HD_NO_THREAD_SAFETY_ANALYSIS
{
    atomic_init(&reclaim->runners, 0);
    reclaim->sources = NULL;
    return hd_mutex_init(&reclaim->mutex, HD_RANK_reclaim);
}

void hd_reclaim_destroy(hd_reclaim *reclaim)
{
    hd_mutex_destroy(&reclaim->mutex);
}

void hd_reclaim_add(hd_reclaim *reclaim, hd_reclaim_source *source)
{
    reclaim_lock(reclaim);
    source->next = reclaim->sources;
    source->is_listed = true;
    reclaim->sources = source;
    reclaim_unlock(reclaim);
}

void hd_reclaim_remove(hd_reclaim *reclaim, hd_reclaim_source *source)
{
    reclaim_lock(reclaim);
    hd_reclaim_source **link = &reclaim->sources;
    while (*link != source) {
        link = &(*link)->next;
    }
    *link = source->next;
    source->is_listed = false;
    reclaim_unlock(reclaim);
}

static uint64_t bit_of(uint32_t lane)
{
    return UINT64_C(1) << (lane - HD_STREAM_COUNT);
}

void hd_reclaim_enter(hd_reclaim *reclaim, uint32_t lane)
{
    /* acq_rel: sees what was done to the lane by who cleared it (pairs with the end of clear_runners), and is
     * seen by who clears next. */
    if ((hd_or_acq_rel(&reclaim->runners, bit_of(lane)) & CLEARING) != 0) {
        /* That one may have seen the bit clear. It ends under this lock, and the next one sees it set. */
        reclaim_lock(reclaim);
        reclaim_unlock(reclaim);
    }
}

void hd_reclaim_leave(hd_reclaim *reclaim, uint32_t lane)
{
    /* releases the lane; pairs with clear_runners */
    hd_and_acq_rel(&reclaim->runners, ~bit_of(lane));
}

static void clear_lane(hd_reclaim *reclaim, uint32_t lane)
    HD_REQUIRES(&reclaim->mutex, hd_rank_reclaim)
{
    for (hd_reclaim_source *source = reclaim->sources; source != NULL; source = source->next) {
        source->drop_lane(source, lane);
    }
    hd_workspace_clear(&reclaim->workspaces[lane], reclaim->unit, reclaim->account);
}

static void clear_runners(hd_reclaim *reclaim, uint32_t own_lane)
    HD_REQUIRES(&reclaim->mutex, hd_rank_reclaim)
{
    /* acq_rel: acquires the lanes of those who left; pairs with hd_reclaim_leave. */
    uint64_t busy = hd_or_acq_rel(&reclaim->runners, CLEARING);
    for (uint32_t runner = 0; runner < HD_RUNNER_LIMIT; runner++) {
        uint32_t lane = hd_lane_of_runner(runner);
        if (lane == own_lane || (busy & bit_of(lane)) == 0) {
            clear_lane(reclaim, lane);
        }
    }
    /* releases the lanes; pairs with hd_reclaim_enter */
    hd_and_acq_rel(&reclaim->runners, ~CLEARING);
}

static void clear_streams(hd_reclaim *reclaim, uint32_t own_lane)
    HD_REQUIRES(&reclaim->mutex, hd_rank_reclaim)
{
    for (uint32_t slot = 1; slot < HD_STREAM_COUNT; slot++) {
        if (slot == own_lane) {
            clear_lane(reclaim, slot);
        } else if (hd_slot_pool_take_idle(reclaim->slots, slot)) {
            clear_lane(reclaim, slot);
            hd_slot_pool_return(reclaim->slots, slot);
        }
    }
}

void hd_reclaim_run(hd_reclaim *reclaim, uint32_t own_lane)
{
    reclaim_lock(reclaim);
    clear_runners(reclaim, own_lane);
    clear_streams(reclaim, own_lane);
    for (hd_reclaim_source *source = reclaim->sources; source != NULL; source = source->next) {
        source->drop_plans(source);
    }
    reclaim_unlock(reclaim);
    hd_allocator_trim(reclaim->allocator);
}

/* Lanes: what a run has to itself while it computes: a workspace, command lists, the plans that it found last,
 * a job of the team. A run that its caller computes uses the lane of the stream that the caller has leased;
 * one that a runner computes uses the runner's. That of the default stream is the spare (runtime/slot_pool.h). So work
 * that waits for its turn holds no arena. Where the device is not the host, each stream has the lane of the runner of its
 * number for its asynchronous runs: they follow one another on the device in the same arena
 * (runtime/device_watcher.h). */
#ifndef HD_HAL_LANE_H
#define HD_HAL_LANE_H

#include <stdint.h>

#define HD_STREAM_COUNT 32
#define HD_RUNNER_LIMIT 32 /* runners of a device at most */
#define HD_LANE_COUNT   (HD_STREAM_COUNT + HD_RUNNER_LIMIT)

/* The lane of runner `runner`; that of stream i is i. */
static inline uint32_t hd_lane_of_runner(uint32_t runner)
{
    return HD_STREAM_COUNT + runner;
}

#endif

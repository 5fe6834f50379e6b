/* Rank: the order in which locks may be taken. A thread that holds a lock may take only locks whose
 * rank stands further down this list; it is checked at compile time through one phantom capability a
 * rank, acquired together with the lock, and at run time in builds with HD_DEBUG_CHECKS (SAFE). */
#ifndef HD_BASE_RANK_H
#define HD_BASE_RANK_H

#include "base/annotations.h"

/* X(name): from the outermost lock to the innermost. */
#define HD_RANK_LIST(X)                                                                            \
    X(device)         /* device registry: which devices are open */                                \
    X(batch)          /* batch queue: requests that wait, workers that collect them */             \
    X(reclaim)        /* reclaim: who keeps plans, lanes that are being cleared */                 \
    X(plan_cache)     /* plan cache: which plans are there, which are being made */                \
    X(event)          /* event: the point that it marks */                                         \
    X(submission)     /* submission: one recorder at a time, where the strategy is global */       \
    X(stream)         /* stream: its owner, and the order of what is submitted */                  \
    X(slot_pool)      /* slot pool: threads that wait for a stream */                              \
    X(queue)          /* queue: work that waits for a runner */                                    \
    X(timeline)       /* timeline: threads that wait for a point */                                \
    X(future)         /* future: threads that wait for its end */                                  \
    X(callbacks)      /* callbacks: those that wait for their thread */                            \
    X(allocator)      /* caching allocator: blocks that no stream has */                           \
    X(stream_cache)   /* stream cache: blocks that one stream has */                               \
    X(runners)        /* queues that have work, runners that sleep */                              \
    X(workers)        /* worker team: idle workers that sleep */                                   \
    X(device_watcher) /* device watcher: what is in flight of each stream */                       \
    X(device_queue)   /* device queue: one thread at a time submits to a hardware queue */         \
    X(leaf)           /* nothing is taken under it */

typedef enum hd_rank {
    HD_RANK_NONE_,
#define HD_RANK_ENUM_(name) HD_RANK_##name,
    HD_RANK_LIST(HD_RANK_ENUM_)
#undef HD_RANK_ENUM_
        HD_RANK_COUNT
} hd_rank;

/* The phantom capabilities. They are never defined: only the analysis sees them. */
struct HD_CAPABILITY("rank") hd_rank_capability {
    char unused;
};

extern struct hd_rank_capability hd_rank_device;
extern struct hd_rank_capability hd_rank_batch HD_ACQUIRED_AFTER(hd_rank_device);
extern struct hd_rank_capability hd_rank_reclaim HD_ACQUIRED_AFTER(hd_rank_batch);
extern struct hd_rank_capability hd_rank_plan_cache HD_ACQUIRED_AFTER(hd_rank_reclaim);
extern struct hd_rank_capability hd_rank_event HD_ACQUIRED_AFTER(hd_rank_plan_cache);
extern struct hd_rank_capability hd_rank_submission HD_ACQUIRED_AFTER(hd_rank_event);
extern struct hd_rank_capability hd_rank_stream HD_ACQUIRED_AFTER(hd_rank_submission);
extern struct hd_rank_capability hd_rank_slot_pool HD_ACQUIRED_AFTER(hd_rank_stream);
extern struct hd_rank_capability hd_rank_queue HD_ACQUIRED_AFTER(hd_rank_slot_pool);
extern struct hd_rank_capability hd_rank_timeline HD_ACQUIRED_AFTER(hd_rank_queue);
extern struct hd_rank_capability hd_rank_future HD_ACQUIRED_AFTER(hd_rank_timeline);
extern struct hd_rank_capability hd_rank_callbacks HD_ACQUIRED_AFTER(hd_rank_future);
extern struct hd_rank_capability hd_rank_allocator HD_ACQUIRED_AFTER(hd_rank_callbacks);
extern struct hd_rank_capability hd_rank_stream_cache HD_ACQUIRED_AFTER(hd_rank_allocator);
extern struct hd_rank_capability hd_rank_runners HD_ACQUIRED_AFTER(hd_rank_stream_cache);
extern struct hd_rank_capability hd_rank_workers HD_ACQUIRED_AFTER(hd_rank_runners);
extern struct hd_rank_capability hd_rank_device_watcher HD_ACQUIRED_AFTER(hd_rank_workers);
extern struct hd_rank_capability hd_rank_device_queue HD_ACQUIRED_AFTER(hd_rank_device_watcher);
extern struct hd_rank_capability hd_rank_leaf HD_ACQUIRED_AFTER(hd_rank_device_queue);

/* A function that may wait: no lock may be held when it is called (BOUND). */
#define HD_WAITS                                                                                   \
    HD_EXCLUDES(hd_rank_device, hd_rank_batch, hd_rank_reclaim, hd_rank_plan_cache, hd_rank_event, \
                hd_rank_submission, hd_rank_stream, hd_rank_slot_pool, hd_rank_queue,              \
                hd_rank_timeline, hd_rank_future, hd_rank_callbacks, hd_rank_allocator,            \
                hd_rank_stream_cache, hd_rank_runners, hd_rank_workers, hd_rank_device_watcher,    \
                hd_rank_device_queue, hd_rank_leaf)

#endif

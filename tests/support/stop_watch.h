/* Stop watch: what a run on one thread may look at, to be stopped, and how long it goes on without a look.
 *
 * Thread-safety: one thread at a time. */
#ifndef HD_TEST_STOP_WATCH_H
#define HD_TEST_STOP_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/stop.h"

#define MILLISECOND UINT64_C(1000000)

typedef struct watch {
    hd_stop stop; /* first */
    uint64_t begin, last, worst;
    uint64_t limit;
    bool stopped;
} watch;

/* The thread's own, which other programs do not lengthen. */
static inline uint64_t watch_now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000 * MILLISECOND + (uint64_t)time.tv_nsec;
}

static inline void watch_note(watch *w)
{
    uint64_t time = watch_now();
    w->worst = time - w->last > w->worst ? time - w->last : w->worst;
    w->last = time;
}

/* One thread computes, so the look may write. */
static inline hd_status watch_look(const hd_stop *stop)
{
    watch *w = (watch *)(uintptr_t)stop;
    watch_note(w);
    w->stopped = w->stopped || w->last - w->begin > w->limit;
    return w->stopped ? HD_CANCELLED : HD_OK;
}

/* Begins now; the run is stopped when it has taken `limit`. */
static inline watch watch_begin(uint64_t limit)
{
    uint64_t begin = watch_now();
    return (watch){.stop = {watch_look, watch_look}, .begin = begin, .last = begin, .limit = limit};
}

#endif

/* Stop: what work in progress looks at, to end before it is done: it was cancelled, or its deadline has passed.
 * Law: once a look has said so, every later one does, on every thread that sees what the first one saw; so a look
 * when all is done covers the whole work.
 *
 * Thread-safety: any thread, at any moment of the work; it lives as long as the work. */
#ifndef HD_BASE_STOP_H
#define HD_BASE_STOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* Turns of a kernel's innermost loop, of a nanosecond or a few, from one look to the next: a multiple of every
 * vector's length. */
#define HD_STOP_TURNS 16384

typedef struct hd_stop {
    /* HD_OK: go on. HD_CANCELLED, HD_DEADLINE: end. Takes no lock, and changes nothing. */
    hd_status (*look)(const struct hd_stop *stop);
    /* The work is done. HD_OK: whoever asked is to have its results, and nothing stops it any more. */
    hd_status (*commit)(const struct hd_stop *stop);
} hd_stop;

/* stop: NULL where nothing can stop the work. */
static inline hd_status hd_stop_look(const hd_stop *stop)
{
    return stop == NULL ? HD_OK : stop->look(stop);
}

static inline hd_status hd_stop_commit(const hd_stop *stop)
{
    return stop == NULL ? HD_OK : stop->commit(stop);
}

/* Until when who waits sleeps before his next look: `deadline`, or some milliseconds from now. A stop may come from
 * a signal handler, which can wake nobody. */
uint64_t hd_stop_next_look(const hd_stop *stop, uint64_t deadline);

/* What the calling thread's work looks at from here on, where it is not at hand: in a kernel, or while a plan is
 * made. NULL, as at first: nothing. */
void hd_stop_enter(const hd_stop *stop);
/* Whether that says to end: HD_OK, HD_CANCELLED, HD_DEADLINE. A kernel that finds so may leave its outputs as they
 * are, since whoever runs it looks again behind it. */
hd_status hd_stop_asked(void);

/* The same for a kernel's loop: asks at every 4,096th turn. */
static inline bool hd_stop_ends(int64_t turn)
{
    return (turn & 4095) == 4095 && hd_stop_asked() != HD_OK;
}

/* The same for longer turns: at every `every`th, a power of two. */
static inline bool hd_stop_ends_every(int64_t turn, int64_t every)
{
    return (turn & (every - 1)) == every - 1 && hd_stop_asked() != HD_OK;
}

/* The same for shorter ones: where a loop over [0, count) that has come to `at` asks next, some tens of microseconds
 * from there; count where less is left; `at` itself when it is to end. */
static inline int64_t hd_stop_reach(int64_t at, int64_t count)
{
    return count - at <= HD_STOP_TURNS ? count : hd_stop_asked() == HD_OK ? at + HD_STOP_TURNS : at;
}

/* Where turns are longer: how many of `work` short ones each are as many as that, at least 1; and the same with it. */
static inline int64_t hd_stop_turns(int64_t work)
{
    return work < HD_STOP_TURNS ? HD_STOP_TURNS / (work < 1 ? 1 : work) : 1;
}

static inline int64_t hd_stop_reach_by(int64_t at, int64_t count, int64_t turns)
{
    return count - at <= turns ? count : hd_stop_asked() == HD_OK ? at + turns : at;
}

/* Copies and clears what may be long, as far as they may go. */
void hd_stop_copy(void *target, const void *source, size_t size);
void hd_stop_clear(void *target, size_t size);
/* Touches new memory, a huge page after the other, where something may stop the work: the system clears each when it
 * is first written, and one tile may write to all of them. */
void hd_stop_touch(void *memory, size_t size);

/* Tells a caller that his work was stopped; returns why: HD_CANCELLED or HD_DEADLINE. */
hd_status hd_stop_tell(hd_status why, hd_error *error);

#endif

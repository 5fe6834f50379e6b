/* Stop: what work in progress looks at, to end before it is done: it was cancelled, or its deadline has passed.
 * Law: once a look has said so, every later one does, on every thread that sees what the first one saw; so a look
 * when all is done covers the whole work.
 *
 * Thread-safety: any thread, at any moment of the work; it lives as long as the work. */
#ifndef HD_BASE_STOP_H
#define HD_BASE_STOP_H

#include "base/status.h"

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

/* Tells a caller that his work was stopped; returns why: HD_CANCELLED or HD_DEADLINE. */
hd_status hd_stop_tell(hd_status why, hd_error *error);

#endif

/* Strategies: the five ways in which threads could share one hardware queue, over a simulated encoder and queue
 * that count overlaps. verify/tla/Submission.tla specifies the same five. The library has the first
 * two (runtime/submission.h); the others are here to be found insufficient.
 *
 * Thread-safety: one thread a stream; a strategy is made before the threads start. */
#ifndef INTERLEAVE_STRATEGIES_H
#define INTERLEAVE_STRATEGIES_H

#include "base/atomic.h"
#include "base/mutex.h"

#define STRATEGY_STREAMS 2

typedef enum strategy_kind {
    STRATEGY_GLOBAL,      /* one lock around record and submit */
    STRATEGY_PER_ENCODER, /* an encoder is owned; a lock around submit */
    STRATEGY_PER_STREAM,  /* a lock a stream around record and submit */
    STRATEGY_PER_OP,      /* a lock a kind of operation around record and submit */
    STRATEGY_RW           /* recorders share a lock, submitters have it alone */
} strategy_kind;

/* An encoder or a queue: who is inside, and whether two ever were. */
typedef struct strategy_resource {
    _Atomic uint32_t inside;
    _Atomic bool overlapped;
} strategy_resource;

typedef struct strategy {
    strategy_kind kind;
    hd_mutex locks[STRATEGY_STREAMS]; /* rank leaf; which is taken when depends on the kind */
    hd_condition changed;
    uint32_t readers;               /* rw: recorders inside, under the first lock */
    _Atomic uint32_t idle_encoders; /* per-encoder: bit i: encoder i is nobody's */
    strategy_resource encoders[STRATEGY_STREAMS];
    strategy_resource queue;
} strategy;

void strategy_init(strategy *strategy, strategy_kind kind);
void strategy_destroy(strategy *strategy);

/* Records one operation of kind `operation` on a stream and submits it. */
void strategy_submit(strategy *strategy, uint32_t stream, uint32_t operation);

/* Whether two threads were ever inside one encoder, or in the queue, at once. */
bool strategy_overlapped(strategy *strategy);

#endif

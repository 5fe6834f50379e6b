/* Search: which schedules are run, one after the other.
 *
 * A schedule is a sequence of (thread, choice): who makes the next operation, and which of its
 * outcomes (the store that a load returns, the waiter that a signal wakes, ...). Executions start from
 * nothing each time and repeat a prefix of the last one (stateless depth-first search).
 *
 * Two modes:
 * - reduced (the default): dynamic partial-order reduction (Flanagan, Godefroid: Dynamic Partial-Order
 *   Reduction for Model Checking Software, POPL 2005) with sleep sets (Godefroid). All outcomes of a
 *   thread's operation are explored wherever the thread is. Independence is operations_conflict's
 *   negation, which errs on the side of conflict. No bound on preemptions, so both are sound.
 * - bounded: at most so many preemptions an execution (a thread is left although it could go on), no
 *   reduction at all.
 *
 * Not thread-safe; one search a process. */
#ifndef INTERLEAVE_SEARCH_H
#define INTERLEAVE_SEARCH_H

#include "operation.h"

#define SEARCH_REDUNDANT UINT32_MAX
#define DEPTH_LIMIT      4000

typedef struct search_options {
    bool bounded;
    uint32_t preemptions; /* bounded: how many */
    bool spurious;        /* operations_conflict's */
} search_options;

void search_begin(search_options options);
/* Schedules by chance, one after the other without end: whoever had the turn keeps it every second time. */
void search_begin_random(uint64_t seed);
/* Runs one given schedule only; false when the text is none. */
bool search_begin_replay(const char *schedule);
/* Goes to the next schedule; false when all have been run. The first execution needs no call. */
bool search_next(void);

/* Starts an execution. */
void search_restart(void);
/* Whose turn it is, SEARCH_REDUNDANT when all that could follow has been seen. enabled: a bit a thread;
 * pending: what each thread does next; last: whose turn it was. */
uint32_t search_pick(uint32_t enabled, const operation *pending, uint32_t last);
/* Which of `count` outcomes the operation has whose turn it is; at most one call a turn. */
uint32_t search_choose(uint32_t count);
/* What the operation turned out to be; exactly one call a turn. */
void search_record(const operation *executed);
/* `child` was started by `parent`. */
void search_note_start(uint32_t child, uint32_t parent);

uint32_t search_depth(void);
/* The schedule so far. */
void search_print(char *text, uint32_t size);

#endif

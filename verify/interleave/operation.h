/* Operation: one visible step of a thread, as the scheduler and the search see it. Whatever a thread
 * does between two operations is local: it touches memory that no other thread touches unordered, or
 * the race detector says so. */
#ifndef INTERLEAVE_OPERATION_H
#define INTERLEAVE_OPERATION_H

#include <stdbool.h>
#include <stdint.h>

#define THREAD_LIMIT   6 /* the scenario's own thread and those that it starts */
#define LOCATION_LIMIT 192

typedef enum operation_kind {
    OPERATION_NONE,
    OPERATION_LOAD, /* also a compare-and-swap that failed */
    OPERATION_STORE,
    OPERATION_UPDATE, /* exchange, fetch_*, compare-and-swap */
    OPERATION_FENCE,  /* seq_cst; weaker fences are local */
    OPERATION_LOCK,   /* object: mutex; second: condition that woke the thread, or 0 */
    OPERATION_UNLOCK,
    OPERATION_WAIT, /* object: condition; second: mutex, which it unlocks */
    OPERATION_WAKE, /* object: condition: time has run out, or the wake-up has no reason */
    OPERATION_NOTIFY,
    OPERATION_JOIN,  /* object: thread number + 1 */
    OPERATION_EXIT,  /* object: thread number + 1 */
    OPERATION_PAUSE, /* one round of a spinning wait; watch: what it looked at */
    OPERATION_CLOCK,
    OPERATION_CHOOSE /* the scenario's own choice; it concerns nobody else */
} operation_kind;

typedef struct operation {
    operation_kind kind;
    bool seq_cst;
    bool timed; /* WAKE: the wait has a limit */
    bool one;   /* NOTIFY: signal, not broadcast */
    uintptr_t object;
    uintptr_t second;
    uint64_t watch[LOCATION_LIMIT / 64];
    uintptr_t place; /* return address in the code under test */
} operation;

/* Whether the order of two operations of different threads can matter. `spurious`: wake-ups without
 * reason share a budget. Symmetric. */
bool operations_conflict(const operation *a, const operation *b, bool spurious);

/* Whether it is worth trying `later` before `earlier`, given that they conflict: false where `later`
 * cannot happen before `earlier` at any time, or where that order shows nothing new. */
bool operations_reversible(const operation *earlier, const operation *later);

const char *operation_name(const operation *operation);

#endif

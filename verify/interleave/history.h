/* History: the stores of each atomic object, and which of them a load may return.
 *
 * What is modelled: C11 and C17 with C++20's repairs (release sequences are read-modify-writes only;
 * seq_cst operations and fences have one order that agrees with coherence), less what needs an
 * operation to see the future. Exactly:
 * - Each object's modification order is the order of execution. So neither load buffering (a load that
 *   returns a store that comes later in the execution) nor stores of two threads to two objects in
 *   orders that contradict each other (2+2W) are explored.
 * - A load returns any of the last HISTORY_DEPTH stores that is not older than one that happened before
 *   it, than one that a load that happened before it returned, or than what seq_cst order forbids.
 * - Read-modify-writes and compare-and-swaps that succeed use the newest store; a compare-and-swap may
 *   fail on any store that a load could return and that differs from the expected value.
 * - A weak compare-and-swap may fail for no reason: it finds again what its thread has seen before. Of each thread
 *   not twice in succession, since a loop that fails twice is where it was; in scenarios that ask for it (`weak`).
 *   Where loads of older stores are bounded it counts as one of them.
 * Plain accesses are sequentially consistent; where that would matter there is a data race, which the
 * detector in race.h reports.
 *
 * A paused spinning thread (hd_spin_pause, hd_thread_yield) sees, when it goes on, at least what was
 * newest then: stores become visible in finite time. */
#ifndef INTERLEAVE_HISTORY_H
#define INTERLEAVE_HISTORY_H

#include "view.h"

#define HISTORY_DEPTH 16

enum { ORDER_RELAXED, ORDER_CONSUME, ORDER_ACQUIRE, ORDER_RELEASE, ORDER_ACQ_REL, ORDER_SEQ_CST };

void history_restart(void);

/* Number of the atomic object at an address. */
uint32_t history_find(uintptr_t address, uint32_t size);
/* A plain write hit these bytes: atomic objects there begin anew. */
void history_overwrite(uintptr_t address, uint64_t size);
uintptr_t history_address(uint32_t location);

uint64_t history_load(uint32_t thread, uint32_t location, int order, uintptr_t place);
void history_store(uint32_t thread, uint32_t location, uint64_t value, int order, uintptr_t place);

typedef uint64_t history_function(uint64_t before, uint64_t operand);
/* Returns the value before. */
uint64_t history_update(uint32_t thread, uint32_t location, history_function *function,
                        uint64_t operand, int order, uintptr_t place);
/* Returns the value found; it was exchanged when that is `expected`. */
uint64_t history_compare(uint32_t thread, uint32_t location, uint64_t expected, uint64_t desired,
                         int order, int failing_order, uintptr_t place);
void history_fence(uint32_t thread, int order, uintptr_t place);

/* Whether something that a thread has looked at has a newer store than the one it saw. */
bool history_is_news(uint32_t thread, const uint64_t *watch);
/* What it looked at is seen at its newest from now on. */
void history_catch_up(uint32_t thread, const uint64_t *watch);

/* A thread's view; its epoch is happened[thread]. */
view *history_view(uint32_t thread);
/* Ends an epoch. */
void history_advance(uint32_t thread);
void history_start_thread(uint32_t child, uint32_t parent);

#endif

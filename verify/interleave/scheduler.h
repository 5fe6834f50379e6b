/* Scheduler: the threads under test as fibers of which one runs at a time; before each operation the
 * search says whose turn it is.
 *
 * While no other thread lives, operations have one outcome and make no step of the schedule. */
#ifndef INTERLEAVE_SCHEDULER_H
#define INTERLEAVE_SCHEDULER_H

#include "operation.h"

typedef enum execution_end {
    EXECUTION_COMPLETE,
    EXECUTION_REDUNDANT,
    EXECUTION_FAILED
} execution_end;

/* Runs `run` as thread 0. weak: weak compare-and-swaps may fail for no reason. spurious: wake-ups without reason in this execution; old_loads: loads that
 * may return older stores (an execution's budget is no object of conflicts: bounded search only). */
execution_end scheduler_execute(void (*run)(void), uint32_t spurious, uint32_t old_loads,
                                bool weak);
/* Ends the execution from within. */
_Noreturn void scheduler_leave(execution_end end);

uint32_t scheduler_current(void);
/* Whether no other thread lives. */
bool scheduler_is_alone(void);
/* Stack pointer of a thread whose turn it is not. */
uintptr_t scheduler_stack_pointer(uint32_t thread);

/* An operation is scheduler_turn, at most one scheduler_choose, its effect, scheduler_done. */
void scheduler_turn(const operation *next);
uint32_t scheduler_choose(uint32_t count);
/* The same for what a load returns: 0 is the newest store. */
uint32_t scheduler_choose_store(uint32_t count);
/* A step of its own before a weak compare-and-swap: whether that fails for no reason. */
bool scheduler_choose_weak(uintptr_t place);
void scheduler_done(const operation *executed);

/* Thread number; THREAD_LIMIT when there are too many. */
uint32_t scheduler_start(void (*run)(void *), void *argument);
void scheduler_join(uint32_t thread, uintptr_t place);
/* Nobody joins the thread, but the scenario ends only when it has ended. */
void scheduler_detach(uint32_t thread, uintptr_t place);
/* One round of a spinning wait. The first time at a place the thread goes on at once. The second time
 * it has been all round the loop; if meanwhile it changed nothing (outside locks) and was not notified,
 * another round would do the same, until something that it has looked at on the way is written by
 * another thread: so long it pauses. Then it sees what is newest. */
void scheduler_pause(uintptr_t place);

/* Waiting for a condition. scheduler_await returns whether the thread was notified; if so its turn is
 * the one in which it locks the mutex; if not, time has run out (*out_expired) or nothing happened. */
bool scheduler_await(uintptr_t condition, uintptr_t mutex, bool timed, uintptr_t place,
                     bool *out_expired);
/* Wakes all (or one of) those who wait; returns how many. */
uint32_t scheduler_notify(uintptr_t condition, bool one);

/* Where the current thread's operation stands in the code. */
uintptr_t scheduler_place(void);

/* The set of ranks of locks that the current thread holds. */
uint32_t *scheduler_held_ranks(void);

/* Calls in progress of the current thread, outermost first, as return addresses. */
void scheduler_enter_function(uintptr_t caller);
void scheduler_leave_function(void);
uint32_t scheduler_callers(const uintptr_t **out_callers);

#endif

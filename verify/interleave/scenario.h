/* Scenario: a small program over the code under test, run under every schedule. It keeps its state on
 * the stack or the heap (each execution begins anew, statics would not), does the same in every
 * execution but for the schedule, and ends with every thread joined and every block freed. */
#ifndef INTERLEAVE_SCENARIO_H
#define INTERLEAVE_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/mutex.h"
#include "base/thread.h"

#define SCENARIO_LATER UINT64_C(2000000000) /* a deadline that may pass at any moment */

typedef struct scenario {
    const char *name;
    void (*run)(void);
    uint32_t preemptions; /* 0: reduced search without bound; else bounded by this number, */
    uint32_t old_loads;   /* and by this number of loads that return older stores */
    uint32_t spurious;    /* wake-ups without reason in an execution */
    bool weak;            /* weak compare-and-swaps fail for no reason, too */
    uint64_t
        outcomes; /* not 0: exactly these bits are set by scenario_outcome, over all schedules */
    /* Litmus tests whose outcomes are not those that C11 allows: the latter, and why. */
    uint64_t allowed;
    const char *why;
} scenario;

/* One table a file of scenarios, ended by a row without a name. */
extern const scenario scenarios_allocator[];
extern const scenario scenarios_batch[];
extern const scenario scenarios_batch_kind[];
extern const scenario scenarios_batch_queue[];
extern const scenario scenarios_callbacks[];
extern const scenario scenarios_cancel[];
extern const scenario scenarios_device[];
extern const scenario scenarios_device_queue[];
extern const scenario scenarios_device_watcher[];
extern const scenario scenarios_event[];
extern const scenario scenarios_future[];
extern const scenario scenarios_litmus[];
extern const scenario scenarios_elementwise_kernels[];
extern const scenario scenarios_memory_account[];
extern const scenario scenarios_model_async[];
extern const scenario scenarios_model_run[];
extern const scenario scenarios_plan_cache[];
extern const scenario scenarios_runners[];
extern const scenario scenarios_reclaim[];
extern const scenario scenarios_registry[];
extern const scenario scenarios_slot_pool[];
extern const scenario scenarios_strategies[];
extern const scenario scenarios_stream[];
extern const scenario scenarios_team[];
extern const scenario scenarios_timeline[];

/* Fails with `law` unless `holds`. */
#define scenario_require(law, holds)                                                               \
    ((holds) ? (void)0 : hd_check_failed((law), #holds, __FILE__, __LINE__))
void hd_check_failed(const char *law, const char *expression, const char *file, int line);

/* The explorer's clock, which is not a look of the code under test: it moves with those, and to the end of a wait
 * that ended by time. */
uint64_t scenario_now(void);
/* Until the next such call no wait of this thread may go on beyond `limit` (HD_FOREVER: all may). */
void scenario_limit(uint64_t limit);

/* Calls what waits until `deadline` at most: it does, and says that the time is over (`late`) no sooner. */
#define SCENARIO_LIMITED(deadline, late, call)                                                     \
    ({                                                                                             \
        scenario_limit(deadline);                                                                  \
        hd_status scenario_status_ = (call);                                                       \
        scenario_limit(HD_FOREVER);                                                                \
        scenario_require("BOUND.not-before-its-time",                                              \
                         scenario_status_ != (late) || scenario_now() >= (deadline));              \
        scenario_status_;                                                                          \
    })

/* A choice of the scenario's: each number below `count` is explored. Not by a thread that is alone. */
uint32_t scenario_choose(uint32_t count);
/* Of this thread's allocations from now on the nth (1: the next; 0: none) fails, and so do those behind it, `count`
 * in all. */
void scenario_refuse_memory(uint32_t nth, uint32_t count);

/* Notes that an outcome (0 to 63) is possible. */
void scenario_outcome(uint32_t number);

/* A line of the scenario's own in traces. */
void scenario_event(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Names memory in traces. */
void trace_name(const void *memory, size_t size, const char *name);

/* Starts a thread; there are always enough. */
static inline void scenario_start(hd_thread *thread, const char *name, void (*run)(void *),
                                  void *argument)
{
    scenario_require("explorer", hd_thread_start(thread, name, run, argument) == HD_OK);
}

#endif

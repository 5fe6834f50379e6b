#include "sync.h"

#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/thread.h"
#include "failure.h"
#include "heddle/wait.h"
#include "history.h"
#include "race.h"
#include "scenario.h"
#include "scheduler.h"
#include "trace.h"

#define MUTEX_LIMIT 192
#define PLACE       ((uintptr_t)__builtin_return_address(0))

typedef struct mutex_state {
    uintptr_t address;
    uint32_t owner; /* thread number + 1; 0: free */
    view released;
} mutex_state;

static mutex_state mutexes[MUTEX_LIMIT];
static uint32_t mutex_count;
static uint64_t now;
static uint64_t limits[THREAD_LIMIT]; /* see scenario_limit */

void sync_restart(void)
{
    mutex_count = 0;
    now = UINT64_C(1000000000);
    for (uint32_t i = 0; i < THREAD_LIMIT; i++) {
        limits[i] = HD_FOREVER;
    }
}

void scenario_limit(uint64_t limit)
{
    limits[scheduler_current()] = limit;
}

uint32_t scenario_choose(uint32_t count)
{
    operation choice = {.kind = OPERATION_CHOOSE, .place = PLACE};
    scheduler_turn(&choice);
    uint32_t chosen = scheduler_choose(count);
    trace("choose %u", chosen);
    scheduler_done(&choice);
    return chosen;
}

uint64_t scenario_now(void)
{
    return now;
}

static const char *const rank_names[] = {"none",
#define RANK_NAME(name) #name,
                                         HD_RANK_LIST(RANK_NAME)
#undef RANK_NAME
};

/* Whether an object lies in the program's static storage, where mutexes need no making. */
static bool is_static(uintptr_t object)
{
    extern char __data_start, _end;
    return object >= (uintptr_t)&__data_start && object < (uintptr_t)&_end;
}

static mutex_state *state_of(uintptr_t mutex, uintptr_t place)
{
    for (uint32_t i = 0; i < mutex_count; i++) {
        if (mutexes[i].address == mutex) {
            return &mutexes[i];
        }
    }
    if (is_static(mutex) && mutex_count < MUTEX_LIMIT) {
        mutexes[mutex_count] = (mutex_state){.address = mutex};
        return &mutexes[mutex_count++];
    }
    failure("mutex", "a mutex that does not exist is used at %s", trace_place(place));
}

bool sync_is_free(uintptr_t mutex)
{
    return state_of(mutex, 0)->owner == 0;
}

/* Locks and notifications use the object as atomic operations would: unordered before its making or
 * behind its destruction, they race. */
static void touch(uintptr_t object, uintptr_t place)
{
    race_access(scheduler_current(), object, 1, RACE_ATOMIC_READ, place);
}

hd_status hd_mutex_init(hd_mutex *mutex, hd_rank rank)
{
    if (mutex_count == MUTEX_LIMIT) {
        failure("explorer", "more than %d mutexes", MUTEX_LIMIT);
    }
    mutex->rank = rank;
    race_access(scheduler_current(), (uintptr_t)mutex, sizeof *mutex, RACE_WRITE, PLACE);
    mutexes[mutex_count++] = (mutex_state){.address = (uintptr_t)mutex};
    return HD_OK;
}

void hd_mutex_destroy(hd_mutex *mutex)
{
    mutex_state *state = state_of((uintptr_t)mutex, PLACE);
    race_access(scheduler_current(), (uintptr_t)mutex, sizeof *mutex, RACE_WRITE, PLACE);
    if (state->owner != 0) {
        failure("mutex", "a mutex is destroyed while it is held, at %s", trace_place(PLACE));
    }
    *state = mutexes[--mutex_count];
}

static void acquire(hd_mutex *mutex, uintptr_t place)
{
    mutex_state *state = state_of((uintptr_t)mutex, place);
    state->owner = scheduler_current() + 1;
    view_join(history_view(scheduler_current()), &state->released);
    *scheduler_held_ranks() |= 1u << mutex->rank;
    trace("lock %s of rank %s", trace_object((uintptr_t)mutex), rank_names[mutex->rank]);
}

static void give(hd_mutex *mutex, uintptr_t place)
{
    mutex_state *state = state_of((uintptr_t)mutex, place);
    if (state->owner != scheduler_current() + 1) {
        failure("mutex", "a mutex is unlocked by who does not hold it, at %s", trace_place(place));
    }
    state->owner = 0;
    state->released = *history_view(scheduler_current());
    *scheduler_held_ranks() &= ~(1u << mutex->rank);
}

void hd_mutex_lock(hd_mutex *mutex) HD_NO_THREAD_SAFETY_ANALYSIS
{
    if (*scheduler_held_ranks() >> mutex->rank != 0) {
        failure("rank", "a lock is taken under one of the same or a later rank, at %s",
                trace_place(PLACE));
    }
    touch((uintptr_t)mutex, PLACE);
    operation lock = {.kind = OPERATION_LOCK, .object = (uintptr_t)mutex, .place = PLACE};
    scheduler_turn(&lock);
    acquire(mutex, PLACE);
    scheduler_done(&lock);
}

void hd_mutex_unlock(hd_mutex *mutex) HD_NO_THREAD_SAFETY_ANALYSIS
{
    touch((uintptr_t)mutex, PLACE);
    operation unlock = {.kind = OPERATION_UNLOCK, .object = (uintptr_t)mutex, .place = PLACE};
    scheduler_turn(&unlock);
    give(mutex, PLACE);
    trace("unlock %s of rank %s", trace_object((uintptr_t)mutex), rank_names[mutex->rank]);
    scheduler_done(&unlock);
}

hd_status hd_condition_init(hd_condition *condition)
{
    race_access(scheduler_current(), (uintptr_t)condition, sizeof *condition, RACE_WRITE, PLACE);
    return HD_OK;
}

void hd_condition_destroy(hd_condition *condition)
{
    race_access(scheduler_current(), (uintptr_t)condition, sizeof *condition, RACE_WRITE, PLACE);
}

static void notify(hd_condition *condition, bool one, uintptr_t place)
{
    touch((uintptr_t)condition, place);
    operation self = {
        .kind = OPERATION_NOTIFY, .object = (uintptr_t)condition, .one = one, .place = place};
    scheduler_turn(&self);
    uint32_t woken = scheduler_notify((uintptr_t)condition, one);
    trace("%s %s wakes %u", one ? "signal" : "broadcast", trace_object((uintptr_t)condition),
          woken);
    (void)woken;
    scheduler_done(&self);
}

void hd_condition_signal(hd_condition *condition)
{
    notify(condition, true, PLACE);
}

void hd_condition_broadcast(hd_condition *condition)
{
    notify(condition, false, PLACE);
}

bool hd_condition_wait_until(hd_condition *condition, hd_mutex *mutex,
                             uint64_t deadline) HD_NO_THREAD_SAFETY_ANALYSIS
{
    if (*scheduler_held_ranks() != 1u << mutex->rank) {
        failure("rank", "a wait under another lock, at %s", trace_place(PLACE));
    }
    if (deadline == 0) {
        return false;
    }
    if (deadline > limits[scheduler_current()]) {
        failure("time", "a wait until %llu, though its caller waits until %llu only, at %s",
                (unsigned long long)deadline, (unsigned long long)limits[scheduler_current()],
                trace_place(PLACE));
    }
    touch((uintptr_t)condition, PLACE);
    touch((uintptr_t)mutex, PLACE);
    operation wait = {.kind = OPERATION_WAIT,
                      .object = (uintptr_t)condition,
                      .second = (uintptr_t)mutex,
                      .place = PLACE};
    scheduler_turn(&wait);
    give(mutex, PLACE);
    trace("wait %s", trace_object((uintptr_t)condition));
    scheduler_done(&wait);
    bool expired;
    operation lock = {.kind = OPERATION_LOCK, .object = (uintptr_t)mutex, .place = PLACE};
    if (scheduler_await((uintptr_t)condition, (uintptr_t)mutex, deadline != HD_FOREVER, PLACE,
                        &expired)) {
        lock.second = (uintptr_t)condition;
    } else {
        if (expired && deadline > now) {
            now = deadline;
        }
        scheduler_turn(&lock);
    }
    touch((uintptr_t)condition, PLACE);
    touch((uintptr_t)mutex, PLACE);
    acquire(mutex, PLACE);
    scheduler_done(&lock);
    return !expired;
}

void hd_check_no_lock_held(void)
{
    if (*scheduler_held_ranks() != 0) {
        failure("rank", "a wait under a lock, at %s", trace_place(PLACE));
    }
}

void hd_check_failed(const char *law, const char *expression, const char *file, int line)
{
    failure("law", "law %s broken: %s (%s:%d)", law, expression, file, line);
}

hd_status hd_thread_start(hd_thread *thread, const char *name, void (*run)(void *), void *argument)
{
    uint32_t number = scheduler_start(run, argument);
    if (number == THREAD_LIMIT) {
        return HD_OUT_OF_MEMORY;
    }
    race_access(scheduler_current(), (uintptr_t)&thread->handle, sizeof thread->handle, RACE_WRITE,
                PLACE);
    thread->handle = number;
    trace_thread(number, name);
    return HD_OK;
}

void hd_thread_join(hd_thread *thread)
{
    race_access(scheduler_current(), (uintptr_t)&thread->handle, sizeof thread->handle, RACE_READ,
                PLACE);
    scheduler_join((uint32_t)thread->handle, PLACE);
}

void hd_thread_detach(hd_thread *thread)
{
    scheduler_detach((uint32_t)thread->handle, PLACE);
}

bool hd_thread_is_current(const hd_thread *thread)
{
    race_access(scheduler_current(), (uintptr_t)&thread->handle, sizeof thread->handle, RACE_READ,
                PLACE);
    return (uint32_t)thread->handle == scheduler_current();
}

void hd_thread_yield(void)
{
    scheduler_pause(PLACE);
}

void interleave_pause(void)
{
    scheduler_pause(PLACE);
}

void hd_thread_read_cores(hd_thread_cores *out_cores)
{
    out_cores->known = false;
}

void hd_thread_use_cores(const hd_thread_cores *cores)
{
    (void)cores;
}

uint32_t hd_thread_core_count(void)
{
    return 2;
}

/* Nothing is forked here. */
bool hd_process_is_forked(void)
{
    return false;
}

void hd_process_begin_use(void (*restart)(void))
{
    (void)restart;
}

void hd_process_begin_end(void)
{
}

void hd_process_end_use(void)
{
}

void hd_process_begin_work(void)
{
}

void hd_process_end_work(void)
{
}

void hd_process_end_child(void)
{
}

/* Time goes on with each look at it, and to the end of a wait that times out. */
uint64_t hd_clock_now(void)
{
    operation look = {.kind = OPERATION_CLOCK, .place = PLACE};
    scheduler_turn(&look);
    now += 1000;
    uint64_t seen = now;
    scheduler_done(&look);
    return seen;
}

uint32_t hd_wait_of_argument(uint32_t milliseconds)
{
    return milliseconds == HD_NO_WAIT ? 0 : milliseconds;
}

uint32_t hd_wait_of_option(uint32_t milliseconds, uint32_t standard)
{
    return milliseconds == 0 ? standard : hd_wait_of_argument(milliseconds);
}

uint64_t hd_clock_after_ms(uint32_t milliseconds)
{
    if (milliseconds == 0 || milliseconds == HD_WAIT_FOREVER) {
        return milliseconds == 0 ? 0 : HD_FOREVER;
    }
    return hd_clock_now() + (uint64_t)milliseconds * UINT64_C(1000000);
}

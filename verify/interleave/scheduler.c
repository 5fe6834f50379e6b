#include "scheduler.h"

#include <stdio.h>
#include <string.h>

#include "failure.h"
#include "heap.h"
#include "history.h"
#include "race.h"
#include "search.h"
#include "sync.h"
#include "trace.h"

#if !defined(__x86_64__)
#error "the explorer switches stacks on x86-64 only"
#endif

#define CALL_LIMIT  64
#define PAUSE_LIMIT 8 /* places at which a thread spins */

typedef struct thread_state {
    bool started;
    bool fresh; /* on the way to its first operation */
    bool ended;
    bool joined;
    bool detached;    /* joined by the end of the scenario: it must end, too */
    bool weak_failed; /* its last weak compare-and-swap failed for no reason */
    bool notified;
    uint32_t parent;
    uintptr_t stack_pointer;
    void (*run)(void *);
    void *argument;
    operation pending;
    struct {
        uintptr_t place;
        bool armed;                          /* it has been here, and changed nothing since */
        uint64_t watch[LOCATION_LIMIT / 64]; /* atomic objects looked at since it was here */
    } pauses[PAUSE_LIMIT];
    uint32_t pause_count;
    uint32_t held_ranks;
    uint32_t call_count;
    uintptr_t calls[CALL_LIMIT];
} thread_state;

static bool weak_fails; /* see scheduler_execute */
static thread_state threads[THREAD_LIMIT];
static operation pendings[THREAD_LIMIT];
static uint32_t thread_count;
static uint32_t alive; /* started, not joined; without thread 0 */
static uint32_t current;
static bool solo_turn;
static uint32_t spurious_left;
static uint32_t old_loads_left;
static uintptr_t explorer_stack_pointer;
static execution_end ending;
static void (*scenario_run)(void);

/* Saves the callee-saved registers and the stack pointer, and goes on with another stack. */
void stack_switch(uintptr_t *save, uintptr_t next);
__asm__(".text\n"
        ".globl stack_switch\n"
        ".type stack_switch,@function\n"
        "stack_switch:\n"
        "  pushq %rbp\n  pushq %rbx\n  pushq %r12\n  pushq %r13\n  pushq %r14\n  pushq %r15\n"
        "  movq %rsp, (%rdi)\n"
        "  movq %rsi, %rsp\n"
        "  popq %r15\n  popq %r14\n  popq %r13\n  popq %r12\n  popq %rbx\n  popq %rbp\n"
        "  ret\n"
        ".size stack_switch, .-stack_switch\n");

static void thread_main(void);

static void prepare_stack(uint32_t thread)
{
    uintptr_t *top = (uintptr_t *)(heap_stack(thread) + STACK_SIZE);
    *--top = 0; /* the return address of thread_main, which never returns */
    *--top = (uintptr_t)thread_main;
    for (int i = 0; i < 6; i++) {
        *--top = 0;
    }
    threads[thread].stack_pointer = (uintptr_t)top;
}

execution_end scheduler_execute(void (*run)(void), uint32_t spurious, uint32_t old_loads, bool weak)
{
    memset(threads, 0, sizeof threads);
    thread_count = 1;
    alive = 0;
    current = 0;
    spurious_left = spurious;
    old_loads_left = old_loads;
    scenario_run = run;
    heap_restart();
    race_restart();
    history_restart();
    weak_fails = weak;
    sync_restart();
    trace_restart();
    search_restart();
    threads[0].started = true;
    prepare_stack(0);
    stack_switch(&explorer_stack_pointer, threads[0].stack_pointer);
    return ending;
}

void scheduler_leave(execution_end end)
{
    ending = end;
    uintptr_t unused;
    stack_switch(&unused, explorer_stack_pointer);
    __builtin_unreachable();
}

uint32_t scheduler_current(void)
{
    return current;
}

bool scheduler_is_alone(void)
{
    return alive == 0;
}

uintptr_t scheduler_stack_pointer(uint32_t thread)
{
    return threads[thread].stack_pointer;
}

static bool can_go_on(const thread_state *thread)
{
    if (!thread->started || thread->ended) {
        return false;
    }
    const operation *next = &thread->pending;
    switch (next->kind) {
    case OPERATION_LOCK:
        return sync_is_free(next->object);
    case OPERATION_WAKE:
        return next->timed || spurious_left > 0;
    case OPERATION_JOIN:
        return threads[next->object - 1].ended;
    case OPERATION_PAUSE:
        return history_is_news((uint32_t)(thread - threads), next->watch);
    default:
        return true;
    }
}

static void report_deadlock(void)
{
    char text[600];
    uint32_t used = 0;
    for (uint32_t i = 0; i < thread_count && used < sizeof text - 160; i++) {
        if (threads[i].started && !threads[i].ended) {
            const operation *next = &threads[i].pending;
            used += (uint32_t)snprintf(text + used, sizeof text - used, "%sthread %u: %s at %s",
                                       used == 0 ? "" : "; ", i, operation_name(next),
                                       trace_place(next->place));
            used = used > sizeof text ? (uint32_t)sizeof text : used;
        }
    }
    failure("deadlock", "nobody can go on: %s", text);
}

static void switch_to(uint32_t thread)
{
    uint32_t before = current;
    current = thread;
    stack_switch(&threads[before].stack_pointer, threads[thread].stack_pointer);
    solo_turn = false;
}

/* Gives the turn to whom the search picks. */
static void pass_turn(void)
{
    uint32_t enabled = 0;
    for (uint32_t i = 0; i < THREAD_LIMIT; i++) {
        if (threads[i].started && !threads[i].ended) {
            pendings[i] = threads[i].pending;
            enabled |= can_go_on(&threads[i]) ? 1u << i : 0;
        } else {
            pendings[i] = (operation){.kind = OPERATION_NONE};
        }
    }
    if (enabled == 0) {
        report_deadlock();
    }
    uint32_t next = search_pick(enabled, pendings, current);
    if (next == SEARCH_REDUNDANT) {
        scheduler_leave(EXECUTION_REDUNDANT);
    }
    if (next != current) {
        switch_to(next);
    }
}

void scheduler_turn(const operation *next)
{
    thread_state *self = &threads[current];
    self->pending = *next;
    if (self->fresh) {
        self->fresh = false;
        switch_to(self->parent);
        return;
    }
    solo_turn = alive == 0;
    if (!solo_turn) {
        pass_turn();
    } else if (!can_go_on(self)) {
        report_deadlock();
    }
}

uint32_t scheduler_choose(uint32_t count)
{
    return solo_turn ? 0 : search_choose(count);
}

uint32_t scheduler_choose_store(uint32_t count)
{
    uint32_t choice = scheduler_choose(old_loads_left == 0 ? 1 : count);
    old_loads_left -= choice != 0 && old_loads_left != UINT32_MAX;
    return choice;
}

bool scheduler_choose_weak(uintptr_t place)
{
    thread_state *self = &threads[current];
    if (!weak_fails || self->weak_failed || alive == 0) {
        self->weak_failed = false;
        return false;
    }
    operation choice = {.kind = OPERATION_CHOOSE, .place = place};
    scheduler_turn(&choice);
    self->weak_failed = scheduler_choose_store(2) == 1;
    if (self->weak_failed) {
        trace("a weak compare-and-swap fails");
    }
    scheduler_done(&choice);
    return self->weak_failed;
}

void scheduler_done(const operation *executed)
{
    thread_state *self = &threads[current];
    for (uint32_t i = 0; i < self->pause_count; i++) {
        if (executed->kind == OPERATION_LOAD || executed->kind == OPERATION_UPDATE) {
            self->pauses[i].watch[executed->object / 64] |= UINT64_C(1) << executed->object % 64;
        }
        if ((executed->kind == OPERATION_STORE || executed->kind == OPERATION_UPDATE) &&
            self->held_ranks == 0) {
            self->pauses[i].armed = false;
        }
    }
    if (!solo_turn) {
        search_record(executed);
    }
    history_advance(current);
}

/* Waits for threads that nobody has joined: some are detached only after the scenario's own end. */
static void await_detached(void)
{
    for (uint32_t i = 1; i < thread_count; i++) {
        if (!threads[i].joined) {
            operation join = {.kind = OPERATION_JOIN, .object = i + 1};
            scheduler_turn(&join);
            view_join(history_view(current), history_view(i));
            scheduler_done(&join);
        }
    }
    for (uint32_t i = 1; i < thread_count; i++) {
        alive -= threads[i].detached;
    }
}

static void thread_main(void)
{
    if (current == 0) {
        scenario_run();
        await_detached();
        if (alive > 0) {
            failure("threads", "the scenario ended with threads that nobody joined");
        }
        heap_check_leaks();
        scheduler_leave(EXECUTION_COMPLETE);
    }
    thread_state *self = &threads[current];
    self->run(self->argument);
    operation end = {.kind = OPERATION_EXIT, .object = current + 1};
    scheduler_turn(&end);
    trace("end");
    if (self->held_ranks != 0) {
        failure("locks", "a thread ended and still held a lock");
    }
    scheduler_done(&end);
    self->ended = true;
    pass_turn();
    __builtin_unreachable();
}

uint32_t scheduler_start(void (*run)(void *), void *argument)
{
    if (thread_count == THREAD_LIMIT) {
        return THREAD_LIMIT;
    }
    uint32_t child = thread_count++;
    threads[child] = (thread_state){.started = true, .run = run, .argument = argument};
    prepare_stack(child);
    history_start_thread(child, current);
    search_note_start(child, current);
    alive++;
    /* It runs at once up to its first operation: what comes before is local. */
    threads[child].fresh = true;
    threads[child].parent = current;
    switch_to(child);
    return child;
}

void scheduler_join(uint32_t thread, uintptr_t place)
{
    if (thread == 0 || thread >= thread_count || threads[thread].joined ||
        threads[thread].detached) {
        failure("join", "a thread is joined twice or never was, at %s", trace_place(place));
    }
    operation join = {.kind = OPERATION_JOIN, .object = thread + 1, .place = place};
    scheduler_turn(&join);
    view_join(history_view(current), history_view(thread));
    threads[thread].joined = true;
    trace("join thread %u", thread);
    scheduler_done(&join);
    alive--;
}

void scheduler_detach(uint32_t thread, uintptr_t place)
{
    if (thread == 0 || thread >= thread_count || threads[thread].joined ||
        threads[thread].detached) {
        failure("join", "a thread that is joined or detached is detached, at %s",
                trace_place(place));
    }
    threads[thread].detached = true;
}

void scheduler_pause(uintptr_t place)
{
    thread_state *self = &threads[current];
    uint32_t i = 0;
    while (i < self->pause_count && self->pauses[i].place != place) {
        i++;
    }
    if (i == self->pause_count) {
        if (i == PAUSE_LIMIT) {
            failure("explorer", "a thread spins at more than %d places", PAUSE_LIMIT);
        }
        self->pause_count++;
        self->pauses[i].place = place;
        self->pauses[i].armed = false;
    }
    operation pause = {.kind = OPERATION_PAUSE, .place = place};
    memcpy(pause.watch, self->pauses[i].watch, sizeof pause.watch);
    memset(self->pauses[i].watch, 0, sizeof self->pauses[i].watch);
    if (!self->pauses[i].armed) {
        self->pauses[i].armed = true;
        return;
    }
    scheduler_turn(&pause);
    history_catch_up(current, pause.watch);
    trace("pause");
    scheduler_done(&pause);
}

bool scheduler_await(uintptr_t condition, uintptr_t mutex, bool timed, uintptr_t place,
                     bool *out_expired)
{
    thread_state *self = &threads[current];
    operation wake = {.kind = OPERATION_WAKE,
                      .object = condition,
                      .second = mutex,
                      .timed = timed,
                      .place = place};
    self->notified = false;
    *out_expired = false;
    scheduler_turn(&wake);
    for (uint32_t i = 0; i < self->pause_count; i++) {
        self->pauses[i].armed = false;
    }
    if (self->notified) {
        return true;
    }
    uint32_t count = (timed ? 1u : 0u) + (spurious_left > 0 ? 1u : 0u);
    uint32_t choice = scheduler_choose(count);
    if (timed && choice == 0) {
        *out_expired = true;
        trace("time runs out");
    } else {
        spurious_left--;
        trace("wakes without a reason");
    }
    scheduler_done(&wake);
    return false;
}

uint32_t scheduler_notify(uintptr_t condition, bool one)
{
    uint32_t waiting[THREAD_LIMIT], count = 0;
    for (uint32_t i = 0; i < thread_count; i++) {
        const thread_state *at = &threads[i];
        if (at->started && !at->ended && at->pending.kind == OPERATION_WAKE &&
            at->pending.object == condition) {
            waiting[count++] = i;
        }
    }
    if (one && count > 1) {
        waiting[0] = waiting[scheduler_choose(count)];
        count = 1;
    }
    for (uint32_t i = 0; i < count; i++) {
        thread_state *woken = &threads[waiting[i]];
        woken->notified = true;
        woken->pending = (operation){.kind = OPERATION_LOCK,
                                     .object = woken->pending.second,
                                     .second = condition,
                                     .place = woken->pending.place};
    }
    return count;
}

uintptr_t scheduler_place(void)
{
    return threads[current].pending.place;
}

uint32_t *scheduler_held_ranks(void)
{
    return &threads[current].held_ranks;
}

void scheduler_enter_function(uintptr_t caller)
{
    thread_state *self = &threads[current];
    if (self->call_count < CALL_LIMIT) {
        self->calls[self->call_count] = caller;
    }
    self->call_count++;
}

void scheduler_leave_function(void)
{
    threads[current].call_count--;
}

uint32_t scheduler_callers(const uintptr_t **out_callers)
{
    *out_callers = threads[current].calls;
    return threads[current].call_count < CALL_LIMIT ? threads[current].call_count : CALL_LIMIT;
}

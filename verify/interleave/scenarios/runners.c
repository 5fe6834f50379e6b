/* Scenarios of the queues. `runs` and `order` are written by work without a lock or atomics: two runners that
 * have one queue at once, or a runner that does not see what the one before it did, are a data race. */
#include "runtime/runners.h"

#include "../scenario.h"

#define WORKS 4

typedef struct queues_state queues_state;

typedef struct test_work {
    hd_work work; /* first */
    queues_state *state;
    uint32_t queue;
    uint32_t number; /* on its queue, from 1 */
    uint32_t parks;  /* until `go` has come to this */
    uint32_t runs;
    bool done;
    bool is_long;
} test_work;

struct queues_state {
    hd_runners *queues;
    test_work works[WORKS];
    uint32_t turn;          /* pieces of work in one turn */
    uint32_t order[2];      /* of each queue: the number of the work that ran last */
    _Atomic uint32_t go;    /* what parked work waits for */
    _Atomic uint32_t ended; /* works */
};

static hd_work_result run_work(hd_work *work, uint32_t runner)
{
    (void)runner;
    test_work *self = (test_work *)work;
    queues_state *state = self->state;
    scenario_require("ONCE.not-after-its-end", !self->done);
    self->runs++;
    scenario_require("SAFE.in-order", state->order[self->queue] == self->number - 1);
    if (hd_load_acquire(&state->go) < self->parks) {
        return HD_WORK_PARKED;
    }
    state->order[self->queue] = self->number;
    self->done = true;
    hd_add_acq_rel(&state->ended, 1);
    return self->is_long ? HD_WORK_DONE_LONG : HD_WORK_DONE;
}

static queues_state *queues_open(uint32_t runners, uint32_t queues)
{
    queues_state *state = hd_alloc_zero(1, sizeof *state);
    scenario_require("explorer", state != NULL);
    scenario_require("explorer", hd_runners_create(runners, queues, &state->queues) == HD_OK);
    scenario_require("explorer", hd_runners_start(state->queues) == HD_OK);
    return state;
}

static void submit(queues_state *state, uint32_t index, uint32_t queue, uint32_t number)
{
    test_work *work = &state->works[index];
    work->work.run = run_work;
    work->state = state;
    work->queue = queue;
    work->number = number;
    hd_runners_submit(state->queues, queue, &work->work);
}

static void await(_Atomic uint32_t *number, uint32_t value)
{
    while (hd_load_acquire(number) != value) {
        hd_thread_yield();
    }
}

/* When the first `count` works have ended, ends the runners, which may be on their way out of the last. */
static void queues_end(queues_state *state, uint32_t count)
{
    await(&state->ended, count);
    hd_runners_destroy(&state->queues);
    for (uint32_t i = 0; i < count; i++) {
        test_work *work = &state->works[i];
        scenario_require("ONCE.work-done", work->done && work->runs <= work->parks + 1);
    }
    hd_free(state);
}

/* The second work comes while the runner goes idle, or not yet. */
static void submit_against_idle(void)
{
    queues_state *state = queues_open(1, 1);
    submit(state, 0, 0, 1);
    submit(state, 1, 0, 2);
    queues_end(state, 2);
}

static void resume(void *argument)
{
    queues_state *state = argument;
    hd_store_release(&state->go, 1);
    hd_runners_resume(state->queues, 0);
}

/* Resumed before it begins, while it runs, before it is parked, or after: one more try each time. */
static void park_against_resume(void)
{
    queues_state *state = queues_open(1, 1);
    state->works[0].parks = 1;
    submit(state, 0, 0, 1);
    resume(state);
    queues_end(state, 1);
}

static void park_and_more_work(void)
{
    queues_state *state = queues_open(1, 1);
    hd_thread thread;
    state->works[0].parks = 1;
    scenario_start(&thread, "resumer", resume, state);
    submit(state, 0, 0, 1);
    submit(state, 1, 0, 2);
    hd_thread_join(&thread);
    queues_end(state, 2);
}

static void resume_both(void *argument)
{
    queues_state *state = argument;
    resume(state);
    await(&state->ended, 1);
    hd_store_release(&state->go, 2);
    hd_runners_resume(state->queues, 0);
}

/* Each of two works parks, and is run again when it is resumed, and not before. A resumption for which the
 * first did not wait any more may find the second. */
static void two_parkings(void)
{
    queues_state *state = queues_open(1, 1);
    hd_thread thread;
    for (uint32_t i = 0; i < 2; i++) {
        state->works[i].parks = i + 1;
    }
    scenario_start(&thread, "resumer", resume_both, state);
    submit(state, 0, 0, 1);
    submit(state, 1, 0, 2);
    hd_thread_join(&thread);
    queues_end(state, 2);
}

/* Work of a parked queue must not keep the runner. */
static hd_work_result run_and_resume(hd_work *work, uint32_t runner)
{
    test_work *self = (test_work *)work;
    resume(self->state);
    return run_work(work, runner);
}

static void one_runner_two_queues(void)
{
    queues_state *state = queues_open(1, 2);
    state->works[0].parks = 1;
    submit(state, 0, 0, 1);
    test_work *second = &state->works[1];
    *second = (test_work){.work = {.run = run_and_resume}, .state = state, .queue = 1, .number = 1};
    hd_runners_submit(state->queues, 1, &second->work);
    queues_end(state, 2);
}

/* The only runner gives up its turn on a queue that has more work: behind `turn` pieces another queue's is done
 * before the next. */
static hd_work_result run_in_turn(hd_work *work, uint32_t runner)
{
    test_work *self = (test_work *)work;
    queues_state *state = self->state;
    scenario_require("BOUND.turn", self->number <= state->turn || state->order[1] == 1);
    return run_work(work, runner);
}

static void turns(uint32_t turn, bool is_long)
{
    queues_state *state = hd_alloc_zero(1, sizeof *state);
    scenario_require("explorer", hd_runners_create(1, 2, &state->queues) == HD_OK);
    state->turn = turn;
    for (uint32_t i = 0; i < 4; i++) {
        test_work *work = &state->works[i];
        bool is_other = i == 3;
        *work = (test_work){.work = {.run = is_other ? run_work : run_in_turn},
                            .state = state,
                            .queue = is_other ? 1 : 0,
                            .number = is_other ? 1 : i + 1,
                            .is_long = is_long};
        hd_runners_submit(state->queues, work->queue, &work->work);
    }
    scenario_require("explorer", hd_runners_start(state->queues) == HD_OK);
    queues_end(state, 4);
}

static void turn_ends(void)
{
    turns(2, false); /* TURN_LENGTH in `bounds` */
}

static void turn_ends_behind_long_work(void)
{
    turns(1, true);
}

static void two_runners_one_queue(void)
{
    queues_state *state = queues_open(2, 1);
    submit(state, 0, 0, 1);
    submit(state, 1, 0, 2);
    queues_end(state, 2);
}

/* Hands work over, and does it where the queue had nothing to do. */
static void offer(queues_state *state, uint32_t index, uint32_t queue, uint32_t number)
{
    test_work *work = &state->works[index];
    bool drives = false;
    *work = (test_work){.work = {.run = run_work, .drives = &drives},
                        .state = state,
                        .queue = queue,
                        .number = number,
                        .parks = work->parks};
    hd_runners_submit(state->queues, queue, &work->work);
    if (drives) {
        hd_runners_drive(state->queues, queue);
    }
}

/* The second is offered while the runner that does the first is on its way out, or not. */
static void offer_against_runner(void)
{
    queues_state *state = queues_open(1, 1);
    submit(state, 0, 0, 1);
    offer(state, 1, 0, 2);
    queues_end(state, 2);
}

static void submit_when_driven(void *argument)
{
    queues_state *state = argument;
    while (!hd_load_acquire(&state->go)) {
        hd_thread_yield();
    }
    submit(state, 1, 0, 2);
}

static hd_work_result run_and_let_go(hd_work *work, uint32_t runner)
{
    test_work *self = (test_work *)work;
    hd_store_release(&self->state->go, 1);
    return run_work(work, runner);
}

/* More work comes while the submitter of the first drives: a runner does it, behind that. */
static void submit_against_driver(void)
{
    queues_state *state = queues_open(1, 1);
    hd_thread thread;
    bool drives = false;
    test_work *first = &state->works[0];
    *first = (test_work){
        .work = {.run = run_and_let_go, .drives = &drives}, .state = state, .number = 1};
    scenario_start(&thread, "submitter", submit_when_driven, state);
    hd_runners_submit(state->queues, 0, &first->work);
    scenario_require("ONCE.driven", drives);
    hd_runners_drive(state->queues, 0);
    hd_thread_join(&thread);
    queues_end(state, 2);
}

/* Work that its submitter drives parks, and is resumed: a runner goes on with it. */
static void driven_work_parks(void)
{
    queues_state *state = queues_open(1, 1);
    hd_thread thread;
    state->works[0].parks = 1;
    scenario_start(&thread, "resumer", resume, state);
    offer(state, 0, 0, 1);
    hd_thread_join(&thread);
    queues_end(state, 1);
}

static void drain_idle(void *argument)
{
    queues_state *state = argument;
    scenario_require("BOUND.drained", hd_runners_drain(state->queues, HD_FOREVER) == HD_OK);
}

/* Whoever waits for an idle queue is told by the one who drives it. */
static void drain_against_driver(void)
{
    queues_state *state = queues_open(1, 1);
    hd_thread thread;
    scenario_start(&thread, "drainer", drain_idle, state);
    offer(state, 0, 0, 1);
    hd_thread_join(&thread);
    queues_end(state, 1);
}

static void two_runners_park(void)
{
    queues_state *state = queues_open(2, 1);
    state->works[0].parks = 1;
    submit(state, 0, 0, 1);
    resume(state);
    queues_end(state, 1);
}

static void two_runners_two_queues(void)
{
    queues_state *state = queues_open(2, 2);
    submit(state, 0, 0, 1);
    submit(state, 1, 1, 1);
    queues_end(state, 2);
}

typedef struct last_work {
    test_work work; /* first */
    _Atomic uint32_t *gone;
} last_work;

static hd_work_result run_and_destroy(hd_work *work, uint32_t runner)
{
    (void)runner;
    last_work *self = (last_work *)work;
    _Atomic uint32_t *gone = self->gone;
    hd_runners_destroy(&self->work.state->queues);
    hd_free(self->work.state);
    hd_free(self);
    hd_store_release(gone, 1);
    return HD_WORK_DONE;
}

static void destroy_by_runner(uint32_t runners)
{
    queues_state *state = queues_open(runners, 1);
    last_work *last = hd_alloc(sizeof *last);
    _Atomic uint32_t gone;
    atomic_init(&gone, 0);
    scenario_require("explorer", last != NULL);
    *last = (last_work){.work = {.work = {.run = run_and_destroy}, .state = state}, .gone = &gone};
    hd_runners_submit(state->queues, 0, &last->work.work);
    await(&gone, 1);
}

static void destroy_by_only_runner(void)
{
    destroy_by_runner(1);
}

static void destroy_by_one_of_two(void)
{
    destroy_by_runner(2);
}

/* All that was submitted has returned, and its last writes are seen: without `ended`, by the drain alone. */
static void require_drained(queues_state *state, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        scenario_require("ONCE.drained", state->works[i].done);
    }
}

static void drain(void *argument)
{
    queues_state *state = argument;
    scenario_require("BOUND.drained", hd_runners_drain(state->queues, HD_FOREVER) == HD_OK);
    require_drained(state, 1);
}

static void drain_against_work(void)
{
    queues_state *state = queues_open(1, 1);
    submit(state, 0, 0, 1);
    drain(state);
    queues_end(state, 1);
}

static void drain_two_queues(void)
{
    queues_state *state = queues_open(1, 2);
    submit(state, 0, 0, 1);
    submit(state, 1, 1, 1);
    drain(state);
    require_drained(state, 2);
    queues_end(state, 2);
}

static void two_drain(void)
{
    queues_state *state = queues_open(1, 1);
    hd_thread thread;
    submit(state, 0, 0, 1);
    scenario_start(&thread, "drainer", drain, state);
    drain(state);
    hd_thread_join(&thread);
    queues_end(state, 1);
}

/* Parked work is not done: the drain waits for its resumption, too. */
static void drain_against_resume(void)
{
    queues_state *state = queues_open(1, 1);
    hd_thread thread;
    state->works[0].parks = 1;
    submit(state, 0, 0, 1);
    scenario_start(&thread, "resumer", resume, state);
    drain(state);
    hd_thread_join(&thread);
    queues_end(state, 1);
}

static void drain_with_limit(void)
{
    queues_state *state = queues_open(1, 1);
    submit(state, 0, 0, 1);
    hd_status status = SCENARIO_LIMITED(SCENARIO_LATER, HD_NOT_YET,
                                        hd_runners_drain(state->queues, SCENARIO_LATER));
    scenario_require("BOUND.limited", status == HD_OK || status == HD_NOT_YET);
    scenario_outcome(status == HD_OK ? 0 : 1);
    if (status == HD_OK) {
        require_drained(state, 1);
    }
    queues_end(state, 1);
}

/* The caller's stack holds the work, which is over when the call returns. */
static void run_and_wait(queues_state *state, uint32_t queue, uint32_t number)
{
    test_work own = {.work = {.run = run_work}, .state = state, .queue = queue, .number = number};
    (void)!hd_runners_run(state->queues, queue, &own.work, NULL);
    scenario_require("ONCE.waited-for", own.done && own.runs == 1);
    own.runs = 0;
}

static void run_twice(void)
{
    queues_state *state = queues_open(1, 1);
    run_and_wait(state, 0, 1);
    run_and_wait(state, 0, 2);
    hd_runners_destroy(&state->queues);
    hd_free(state);
}

static void run_second(void *argument)
{
    run_and_wait(argument, 1, 1);
}

static void two_run(void)
{
    queues_state *state = queues_open(1, 2);
    hd_thread thread;
    scenario_start(&thread, "caller", run_second, state);
    run_and_wait(state, 0, 1);
    hd_thread_join(&thread);
    hd_runners_destroy(&state->queues);
    hd_free(state);
}

/* The runner may still be on its way out of what an earlier owner of the queue submitted. */
static void run_behind_ended_work(void)
{
    queues_state *state = queues_open(1, 1);
    submit(state, 0, 0, 1);
    await(&state->ended, 1);
    run_and_wait(state, 0, 2);
    scenario_require("ONCE.work-done", state->works[0].done);
    hd_runners_destroy(&state->queues);
    hd_free(state);
}

static void destroy_unused(void)
{
    queues_state *state = queues_open(2, 1);
    queues_end(state, 0);
}

static hd_status has_come(const hd_stop *stop)
{
    (void)stop;
    return HD_CANCELLED;
}

/* Work that no runner has begun is taken back, and never done; else it is waited for. The queue serves the next. */
static void run_stopped(void)
{
    queues_state *state = queues_open(1, 1);
    hd_stop stop = {.look = has_come, .commit = has_come};
    test_work *own = hd_alloc_zero(1, sizeof *own);
    *own = (test_work){.work = {.run = run_work}, .state = state, .queue = 0, .number = 1};
    bool done = hd_runners_run(state->queues, 0, &own->work, &stop);
    scenario_require("ONCE.done-or-taken-back", done ? own->runs == 1 : own->runs == 0);
    scenario_outcome(done ? 0 : 1);
    uint32_t next = done ? 2 : 1;
    hd_free(own);
    run_and_wait(state, 0, next);
    hd_runners_destroy(&state->queues);
    hd_free(state);
}

const scenario scenarios_runners[] = {
    {.name = "runners.submit-against-idle", .run = submit_against_idle},
    {.name = "runners.wake-without-reason", .run = submit_against_idle, .spurious = 1},
    {.name = "runners.park-against-resume", .run = park_against_resume},
    {.name = "runners.park-and-more-work", .run = park_and_more_work},
    {.name = "runners.two-parkings", .run = two_parkings},
    {.name = "runners.one-runner-two-queues", .run = one_runner_two_queues},
    {.name = "runners.turn-ends", .run = turn_ends},
    {.name = "runners.turn-ends-behind-long-work", .run = turn_ends_behind_long_work},
    {.name = "runners.two-runners-one-queue", .run = two_runners_one_queue},
    {.name = "runners.two-runners-park", .run = two_runners_park},
    {.name = "runners.offer-against-runner", .run = offer_against_runner},
    {.name = "runners.submit-against-driver", .run = submit_against_driver},
    {.name = "runners.driven-work-parks", .run = driven_work_parks},
    {.name = "runners.drain-against-driver", .run = drain_against_driver},
    {.name = "runners.two-runners-two-queues", .run = two_runners_two_queues},
    {.name = "runners.destroy-by-only-runner", .run = destroy_by_only_runner},
    {.name = "runners.destroy-by-one-of-two", .run = destroy_by_one_of_two},
    {.name = "runners.drain-against-work", .run = drain_against_work},
    {.name = "runners.drain-without-reason", .run = drain_against_work, .spurious = 1},
    {.name = "runners.drain-two-queues", .run = drain_two_queues},
    {.name = "runners.two-drain", .run = two_drain},
    {.name = "runners.drain-against-resume", .run = drain_against_resume},
    {.name = "runners.drain-with-limit", .run = drain_with_limit, .outcomes = 3},
    {.name = "runners.run-twice", .run = run_twice},
    {.name = "runners.run-without-reason", .run = run_twice, .spurious = 1},
    {.name = "runners.two-run", .run = two_run},
    {.name = "runners.run-behind-ended-work", .run = run_behind_ended_work},
    {.name = "runners.destroy-unused", .run = destroy_unused},
    {.name = "runners.run-stopped",
     .run = run_stopped,
     .preemptions = 2,
     .old_loads = 1,
     .outcomes = 3},
    {.name = NULL},
};

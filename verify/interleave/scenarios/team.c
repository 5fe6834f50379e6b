/* Scenarios of the worker team. A list's tiles write plain memory that later steps and the caller read,
 * and each list is freed as soon as its run has returned: a tile that is run twice, a worker that stays
 * too long or a result that is not passed on is a race or a use after free. */
#include "hal/cpu/team.h"

#include "../scenario.h"

#define STEP_MOST 2
#define TILE_MOST 2

typedef struct work {
    hd_cpu_command_list list;
    hd_recipe recipe;
    hd_step steps[STEP_MOST];
    uint32_t results[STEP_MOST][TILE_MOST];
    void *buffers[STEP_MOST];
    _Atomic uint32_t begun; /* for tiles that wait for each other */
    unsigned char scratch[3 * HD_CACHE_LINE];
} work;

/* Adds what the step before has left, so that all of it must be seen. */
static void run_tile(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                     void *scratch)
{
    const uint32_t *before = parameters;
    uint32_t *results = buffers[0];
    unsigned char *own = scratch;
    for (int64_t tile = begin; tile < end; tile++) {
        own[0]++; /* scratch is one thread's */
        results[tile] += before == NULL ? 1 : before[0] + before[1];
    }
}

/* Each tile waits until the other has begun: the worker must come. */
static void run_meeting_tile(const void *parameters, void *const *buffers, int64_t begin,
                             int64_t end, void *scratch)
{
    run_tile(NULL, buffers, begin, end, scratch);
    _Atomic uint32_t *begun = *(_Atomic uint32_t *const *)parameters;
    hd_add_relaxed(begun, 1);
    while (hd_load_relaxed(begun) < 2) {
        hd_spin_pause();
    }
}

static work *work_create(size_t step_count)
{
    work *self = hd_alloc_zero(1, sizeof *self);
    trace_name(self->results, sizeof self->results, "results");
    for (size_t i = 0; i < step_count; i++) {
        self->buffers[i] = self->results[i];
        self->steps[i].kernel.run = run_tile;
        self->steps[i].kernel.parameters = i == 0 ? NULL : self->results[i - 1];
        self->steps[i].kernel.tile_count = TILE_MOST;
        self->steps[i].first_reference = (uint32_t)i;
    }
    self->recipe.steps = self->steps;
    self->recipe.step_count = step_count;
    self->recipe.parallel = true;
    self->list.recipe = &self->recipe;
    self->list.buffers = self->buffers;
    return self;
}

static void work_end(work *self)
{
    for (size_t i = 0; i < self->recipe.step_count; i++) {
        uint32_t expected = i == 0 ? 1 : 2;
        for (int64_t tile = 0; tile < self->steps[i].kernel.tile_count; tile++) {
            scenario_require("ONCE.tiles", self->results[i][tile] == expected);
        }
    }
    hd_free(self);
}

/* A stop that another thread brings about. */
typedef struct test_stop {
    hd_stop stop; /* first */
    _Atomic uint32_t has_come;
} test_stop;

static hd_status look_at_test(const hd_stop *stop)
{
    return hd_load_relaxed(&((const test_stop *)stop)->has_come) == 1 ? HD_CANCELLED : HD_OK;
}

static void stop_it(void *argument)
{
    hd_store_relaxed(&((test_stop *)argument)->has_come, 1);
}

static void run_work(hd_cpu_team *team, uint32_t job, size_t step_count)
{
    work *self = work_create(step_count);
    (void)!hd_cpu_team_run(team, job, &self->list, self->scratch, HD_CACHE_LINE, NULL);
    work_end(self);
}

static hd_cpu_team *team_open(uint32_t core_count)
{
    hd_cpu_team *team;
    scenario_require("explorer", hd_cpu_team_create(core_count, &team) == HD_OK);
    scenario_require("SAFE.size", hd_cpu_team_size(team) == core_count);
    return team;
}

static void idle_team(void)
{
    hd_cpu_team *team = team_open(2);
    hd_cpu_team_destroy(&team);
}

static void two_idle_workers(void)
{
    hd_cpu_team *team = team_open(3);
    hd_cpu_team_destroy(&team);
}

static void one_step(void)
{
    hd_cpu_team *team = team_open(2);
    run_work(team, 0, 1);
    hd_cpu_team_destroy(&team);
}

static void two_steps(void)
{
    hd_cpu_team *team = team_open(2);
    run_work(team, 0, 2);
    hd_cpu_team_destroy(&team);
}

/* Two workers and the caller want two tiles: somebody comes too late. */
static void two_workers(void)
{
    hd_cpu_team *team = team_open(3);
    run_work(team, 0, 1);
    hd_cpu_team_destroy(&team);
}

/* The second step has one tile, which the caller computes without publishing anything. */
static void shared_then_alone(void)
{
    hd_cpu_team *team = team_open(2);
    work *self = work_create(2);
    self->steps[1].kernel.tile_count = 1;
    (void)!hd_cpu_team_run(team, 0, &self->list, self->scratch, HD_CACHE_LINE, NULL);
    work_end(self);
    hd_cpu_team_destroy(&team);
}

static void two_runs(void)
{
    hd_cpu_team *team = team_open(2);
    run_work(team, 0, 1);
    run_work(team, 0, 1);
    hd_cpu_team_destroy(&team);
}

static void sleeper_is_woken(void)
{
    hd_cpu_team *team = team_open(2);
    work *self = work_create(1);
    _Atomic uint32_t *begun = &self->begun;
    self->steps[0].kernel.run = run_meeting_tile;
    self->steps[0].kernel.parameters = &begun;
    (void)!hd_cpu_team_run(team, 0, &self->list, self->scratch, HD_CACHE_LINE, NULL);
    work_end(self);
    hd_cpu_team_destroy(&team);
}

typedef struct second_caller {
    hd_cpu_team *team;
    uint32_t job;
} second_caller;

static void call_once(void *argument)
{
    const second_caller *self = argument;
    run_work(self->team, self->job, 1);
}

static void two_callers(void)
{
    hd_cpu_team *team = team_open(2);
    second_caller second = {team, 1};
    hd_thread thread;
    scenario_start(&thread, "caller", call_once, &second);
    run_work(team, 0, 1);
    hd_thread_join(&thread);
    hd_cpu_team_destroy(&team);
}

/* A run that is stopped leaves nobody inside its list; one that was not has all of its tiles; and the team computes
 * the next one. */
static void stopped(void)
{
    hd_cpu_team *team = team_open(2);
    work *self = work_create(2);
    test_stop stop = {.stop = {.look = look_at_test, .commit = look_at_test}};
    hd_thread thread;
    scenario_start(&thread, "stopper", stop_it, &stop);
    hd_status status =
        hd_cpu_team_run(team, 0, &self->list, self->scratch, HD_CACHE_LINE, &stop.stop);
    scenario_outcome(status == HD_OK ? 0 : self->results[0][0] + self->results[0][1] == 2 ? 1 : 2);
    if (status == HD_OK) {
        work_end(self);
    } else {
        scenario_require("ONCE.stopped", status == HD_CANCELLED);
        hd_free(self);
    }
    hd_thread_join(&thread);
    run_work(team, 0, 1);
    hd_cpu_team_destroy(&team);
}

const scenario scenarios_team[] = {
    {.name = "team.idle", .run = idle_team},
    {.name = "team.two-idle-workers", .run = two_idle_workers},
    {.name = "team.weak-one-step", .run = one_step, .preemptions = 2, .old_loads = 1, .weak = true},
    {.name = "team.one-step", .run = one_step, .preemptions = 3, .old_loads = 2},
    {.name = "team.sleeper-is-woken", .run = sleeper_is_woken, .preemptions = 3, .old_loads = 2},
    {.name = "team.two-steps", .run = two_steps, .preemptions = 3, .old_loads = 1},
    {.name = "team.shared-then-alone", .run = shared_then_alone, .preemptions = 2, .old_loads = 2},
    {.name = "team.two-runs", .run = two_runs, .preemptions = 3, .old_loads = 1},
    {.name = "team.weak-two-workers",
     .run = two_workers,
     .preemptions = 1,
     .old_loads = 1,
     .weak = true},
    {.name = "team.two-workers", .run = two_workers, .preemptions = 1, .old_loads = 1},
    {.name = "team.two-callers", .run = two_callers, .preemptions = 2, .old_loads = 1},
    {.name = "team.weak-stopped",
     .run = stopped,
     .preemptions = 2,
     .old_loads = 1,
     .weak = true,
     .outcomes = 7},
    {.name = "team.stopped", .run = stopped, .preemptions = 2, .old_loads = 1, .outcomes = 7},
    {.name = "team.one-step-unbounded", .run = one_step},
    {.name = "team.two-runs-unbounded", .run = two_runs},
    {.name = NULL},
};

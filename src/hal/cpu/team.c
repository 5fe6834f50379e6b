#include "hal/cpu/team.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/float_environment.h"

/* hd_cpu_job.state and hd_cpu_job.done: flags above a number. */
#define JOB_OPEN   (UINT32_C(1) << 31)
#define JOB_WAITED (UINT32_C(1) << 30)
#define JOB_NUMBER (JOB_WAITED - 1)
#define TILE_BITS  24
#define TILE_MASK  ((UINT64_C(1) << TILE_BITS) - 1)
#define STEP_LIMIT ((size_t)1 << 16)

/* An idle worker looks for work this long before it sleeps: longer than the gap between two runs of a
 * busy caller, short enough not to burn a core that nobody needs. */
#define SPIN_NANOSECONDS UINT64_C(200000)
#define SPINS_PER_CLOCK  64
/* A sleeping worker is woken when so many steps in a row found a core to spare: a caller between two
 * of its runs is no reason to put a third thread on two cores. */
#define SPARE_STEPS_TO_WAKE 3
/* Spins of a caller that waits for the last tile of another before it gives its time slice away, and how
 * often it does that before it sleeps: together about a millisecond. */
#define SPINS_PER_YIELD     4096
#define YIELDS_BEFORE_SLEEP 8

typedef struct team_worker {
    hd_cpu_team *team;
    uint32_t number; /* 1 to worker_count; scratch piece 0 is the caller's */
    hd_thread thread;
} team_worker;

struct hd_cpu_team {
    uint32_t core_count;                           /* constant */
    uint32_t worker_count;                         /* constant; no worker reads it */
    team_worker *workers;                          /* constant */
    hd_cpu_job jobs[HD_JOB_COUNT];                 /* synchronized by itself */
    _Alignas(HD_CACHE_LINE) _Atomic uint32_t busy; /* callers computing + workers inside */
    _Alignas(HD_CACHE_LINE) _Atomic uint32_t sleepers;
    _Atomic bool stopping;
    hd_mutex mutex;    /* for sleeping only */
    hd_condition work; /* for workers */
    hd_condition left; /* for callers that wait for workers */
};

static void team_lock(hd_cpu_team *team)
    HD_ACQUIRE(&team->mutex, hd_rank_workers) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_lock(&team->mutex);
}

static void team_unlock(hd_cpu_team *team)
    HD_RELEASE(&team->mutex, hd_rank_workers) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_unlock(&team->mutex);
}

static uint64_t make_ticket(size_t step, int64_t tile_count)
{
    return (uint64_t)step << (2 * TILE_BITS) | (uint64_t)tile_count;
}

static uint64_t ticket_front(uint64_t ticket)
{
    return ticket >> TILE_BITS & TILE_MASK;
}

static uint64_t ticket_back(uint64_t ticket)
{
    return ticket & TILE_MASK;
}

static bool ticket_has_tile(uint64_t ticket)
{
    return ticket_front(ticket) < ticket_back(ticket);
}

/* Takes a tile from one end; false when none is left. *out_ticket tells its step. */
static bool take_tile(hd_cpu_job *job, bool from_back, uint64_t *out_ticket, int64_t *out_tile)
{
    uint64_t ticket = hd_load_relaxed(&job->ticket);
    while (ticket_has_tile(ticket)) {
        uint64_t taken = from_back ? ticket - 1 : ticket + (UINT64_C(1) << TILE_BITS);
        /* acquire: pairs with the caller's publishing store, behind which all earlier steps lie. */
        if (hd_cas_weak_acquire(&job->ticket, &ticket, taken)) {
            *out_ticket = ticket;
            *out_tile = (int64_t)(from_back ? ticket_back(ticket) - 1 : ticket_front(ticket));
            return true;
        }
    }
    return false;
}

/* Takes all tiles that are left; returns their number. */
static uint32_t take_rest(hd_cpu_job *job)
{
    uint64_t ticket = hd_load_relaxed(&job->ticket);
    /* acquire: as in take_tile. */
    while (ticket_has_tile(ticket) &&
           !hd_cas_weak_acquire(&job->ticket, &ticket,
                                ticket - ticket_back(ticket) + ticket_front(ticket))) {
    }
    return ticket_has_tile(ticket) ? (uint32_t)(ticket_back(ticket) - ticket_front(ticket)) : 0;
}

static void run_tiles(const hd_cpu_command_list *list, size_t step_index, int64_t begin,
                      int64_t end, void *scratch)
{
    const hd_step *step = &list->recipe->steps[step_index];
    step->kernel.run(step->kernel.parameters, list->buffers + step->first_reference, begin, end,
                     scratch);
}

/* A worker has changed a word that its caller may wait for; `before`: what the word was. */
static void tell_caller(hd_cpu_team *team, uint32_t before)
{
    if ((before & JOB_WAITED) != 0) {
        team_lock(team);
        hd_condition_broadcast(&team->left);
        team_unlock(team);
    }
}

/* A worker inside a job: takes tiles until the job closes or its core is wanted elsewhere. Returns
 * whether it did anything. */
static bool help(hd_cpu_team *team, hd_cpu_job *job, uint32_t number)
{
    bool worked = false;
    unsigned char *scratch = job->scratch + (size_t)number * job->scratch_stride;
    uint32_t idle = 0;
    hd_stop_enter(job->stop);
    /* acquire: pairs with nothing that the tiles need (the ticket orders those); it only keeps the
     * look at OPEN from moving above the work before it. */
    while ((hd_load_acquire(&job->state) & JOB_OPEN) != 0 &&
           hd_load_relaxed(&team->busy) <= team->core_count && idle < SPINS_PER_YIELD) {
        uint64_t ticket;
        int64_t tile;
        if (!take_tile(job, number % 2 != 0, &ticket, &tile)) {
            hd_spin_pause();
            idle++;
            continue;
        }
        run_tiles(job->list, (size_t)(ticket >> (2 * TILE_BITS)), tile, tile + 1, scratch);
        /* release: pairs with the caller's acquire in await_number. */
        tell_caller(team, hd_add_release(&job->done, 1));
        worked = true;
        idle = 0;
    }
    hd_stop_enter(NULL);
    return worked;
}

/* Takes a core for a worker if one is to spare. */
static bool take_core(hd_cpu_team *team)
{
    uint32_t busy = hd_load_relaxed(&team->busy);
    while (busy < team->core_count) {
        /* relaxed: the number only limits, it orders no data. */
        if (hd_cas_weak_relaxed(&team->busy, &busy, busy + 1)) {
            return true;
        }
    }
    return false;
}

/* Looks once at every job, beginning behind this worker's number, and helps where it can. */
static bool look_for_work(hd_cpu_team *team, uint32_t number)
{
    bool worked = false;
    for (uint32_t i = 0; i < HD_JOB_COUNT; i++) {
        hd_cpu_job *job = &team->jobs[(number + i) % HD_JOB_COUNT];
        if ((hd_load_relaxed(&job->state) & JOB_OPEN) == 0 || !take_core(team)) {
            continue;
        }
        /* acquire: pairs with the caller's opening release, behind which list and scratch are set. */
        if ((hd_add_acquire(&job->state, 1) & JOB_OPEN) != 0) {
            worked = help(team, job, number) || worked;
        }
        /* release: all reads of the list come before; pairs with the caller's acquire in await_number. */
        tell_caller(team, hd_sub_release(&job->state, 1));
        hd_sub_relaxed(&team->busy, 1);
    }
    return worked;
}

static bool any_tile_waits(hd_cpu_team *team)
{
    for (uint32_t i = 0; i < HD_JOB_COUNT; i++) {
        hd_cpu_job *job = &team->jobs[i];
        if ((hd_load_relaxed(&job->state) & JOB_OPEN) != 0 &&
            ticket_has_tile(hd_load_relaxed(&job->ticket))) {
            return true;
        }
    }
    return false;
}

static bool has_spare_core(hd_cpu_team *team)
{
    return hd_load_relaxed(&team->busy) < team->core_count;
}

/* Sleeps until a caller that has tiles to spare finds a sleeper. */
static void sleep_until_work(hd_cpu_team *team)
{
    team_lock(team);
    hd_add_relaxed(&team->sleepers, 1);
    /* The fence pairs with wake_sleepers': either this thread sees the ticket or the caller sees the
     * sleeper. */
    hd_fence_seq_cst();
    if (!(has_spare_core(team) && any_tile_waits(team)) && !hd_load_relaxed(&team->stopping)) {
        hd_condition_wait_until(&team->work, &team->mutex, HD_FOREVER);
    }
    hd_sub_relaxed(&team->sleepers, 1);
    team_unlock(team);
}

static void worker_main(void *argument)
{
    team_worker *worker = argument;
    hd_cpu_team *team = worker->team;
    hd_float_environment saved;
    hd_float_environment_enter(&saved);
    uint64_t idle_since = hd_clock_now();
    uint32_t spins = 0;
    while (!hd_load_relaxed(&team->stopping)) {
        if (look_for_work(team, worker->number)) {
            spins = 0;
            idle_since = hd_clock_now();
            continue;
        }
        hd_spin_pause();
        /* With as many callers as cores a worker that spins would take a core from one of them. */
        if (!has_spare_core(team) ||
            (++spins % SPINS_PER_CLOCK == 0 && hd_clock_now() - idle_since > SPIN_NANOSECONDS)) {
            sleep_until_work(team);
            idle_since = hd_clock_now();
        }
    }
    hd_float_environment_leave(&saved);
}

static void wake_sleepers(hd_cpu_team *team, hd_cpu_job *job)
{
    hd_fence_seq_cst(); /* pairs with sleep_until_work's */
    if (hd_load_relaxed(&team->sleepers) == 0) {
        return;
    }
    job->spare_steps = has_spare_core(team) ? job->spare_steps + 1 : 0;
    if (job->spare_steps < SPARE_STEPS_TO_WAKE) {
        return;
    }
    job->spare_steps = 0;
    team_lock(team);
    hd_condition_broadcast(&team->work);
    team_unlock(team);
}

static void sleep_until_number(hd_cpu_team *team, _Atomic uint32_t *word, uint32_t number)
{
    team_lock(team);
    /* Under the lock and in the same word: either this thread finds the worker's change, or the worker finds
     * the bit, and takes the lock to wake it only when this thread sleeps. acquire: as in await_number. */
    hd_or_acq_rel(word, JOB_WAITED);
    while ((hd_load_acquire(word) & JOB_NUMBER) != number) {
        hd_condition_wait_until(&team->left, &team->mutex, HD_FOREVER);
    }
    hd_and_acq_rel(word, ~JOB_WAITED);
    team_unlock(team);
}

/* A caller waits until workers have brought the number in one of its job's words to `number`. */
static void await_number(hd_cpu_team *team, _Atomic uint32_t *word, uint32_t number)
{
    uint32_t spins = 0;
    /* acquire: pairs with the workers' releases; what they did is seen, and was read, from here on. */
    while ((hd_load_acquire(word) & JOB_NUMBER) != number) {
        if (++spins % SPINS_PER_YIELD != 0) {
            hd_spin_pause();
        } else if (spins / SPINS_PER_YIELD <= YIELDS_BEFORE_SLEEP) {
            hd_thread_yield();
        } else {
            sleep_until_number(team, word, number);
            return;
        }
    }
}

/* Computes one step: its tiles go to whoever takes a ticket; returns when all are done, or taken and left. */
__attribute__((noinline)) static void run_shared_step(hd_cpu_team *team, hd_cpu_job *job,
                                                      const hd_cpu_command_list *list,
                                                      size_t step_index, unsigned char *scratch)
{
    int64_t tile_count = list->recipe->steps[step_index].kernel.tile_count;
    hd_store_relaxed(&job->done, 0);
    /* release: everything computed so far is seen by whoever takes a ticket. */
    hd_store_release(&job->ticket, make_ticket(step_index, tile_count));
    wake_sleepers(team, job);
    uint32_t own = 0;
    uint64_t ticket;
    int64_t tile;
    while (take_tile(job, false, &ticket, &tile)) {
        own++;
        if (hd_stop_look(job->stop) != HD_OK) {
            own += take_rest(job);
            break;
        }
        run_tiles(list, step_index, tile, tile + 1, scratch);
    }
    await_number(team, &job->done, (uint32_t)tile_count - own);
    HD_CHECK("ONCE.tiles", hd_load_relaxed(&job->done) + own == (uint32_t)tile_count);
}

static void close_job(hd_cpu_team *team, hd_cpu_job *job)
{
    hd_and_acq_rel(&job->state, ~JOB_OPEN);
    await_number(team, &job->state, 0);
}

/* Computes one step on the calling thread. */
static void run_own_step(const hd_cpu_command_list *list, size_t step_index, unsigned char *scratch,
                         const hd_stop *stop)
{
    int64_t tile_count = list->recipe->steps[step_index].kernel.tile_count;
    if (stop == NULL) {
        run_tiles(list, step_index, 0, tile_count, scratch);
        return;
    }
    for (int64_t tile = 0; tile < tile_count && stop->look(stop) == HD_OK; tile++) {
        run_tiles(list, step_index, tile, tile + 1, scratch);
    }
}

/* Computes the whole list, as far as `stop` lets it; returns what that says in the end. */
static hd_status run_list(hd_cpu_team *team, hd_cpu_job *job, const hd_cpu_command_list *list,
                          unsigned char *scratch, size_t scratch_stride, const hd_stop *stop)
{
    const hd_recipe *recipe = list->recipe;
    bool shared = recipe->parallel && team->worker_count > 0 && recipe->step_count < STEP_LIMIT;
    if (shared) {
        HD_CHECK("SAFE.job-is-closed", (hd_load_relaxed(&job->state) & JOB_OPEN) == 0);
        job->list = list;
        job->scratch = scratch;
        job->scratch_stride = scratch_stride;
        job->stop = stop;
        hd_store_relaxed(&job->ticket, 0);
        /* release: pairs with the acquire by which a worker enters. A worker that looked in between
         * two runs may be counted at this moment, hence no plain store. */
        hd_add_release(&job->state, JOB_OPEN);
    }
    size_t change = 0;
    for (size_t i = 0; i < recipe->step_count && hd_stop_look(stop) == HD_OK; i++) {
        int64_t tile_count = recipe->steps[i].kernel.tile_count;
        hd_cpu_command_list_enter(list, i, &change, scratch, scratch_stride,
                                  team->worker_count + 1);
        if (shared && tile_count > 1 && tile_count < (int64_t)TILE_MASK) {
            run_shared_step(team, job, list, i, scratch);
        } else {
            run_own_step(list, i, scratch, stop);
        }
    }
    hd_cpu_command_list_enter(list, recipe->step_count, &change, scratch, scratch_stride,
                              team->worker_count + 1);
    if (shared) {
        close_job(team, job);
    }
    return hd_stop_look(stop); /* whoever looked before, and left a tile, found no less */
}

hd_status hd_cpu_team_run(hd_cpu_team *team, uint32_t job_number, const hd_cpu_command_list *list,
                          unsigned char *scratch, size_t scratch_stride, const hd_stop *stop)
{
    hd_check_no_lock_held();
    hd_add_relaxed(&team->busy, 1);
    hd_status status = run_list(team, &team->jobs[job_number], list, scratch, scratch_stride, stop);
    hd_sub_relaxed(&team->busy, 1);
    return status;
}

uint32_t hd_cpu_team_size(const hd_cpu_team *team)
{
    return team->worker_count + 1;
}

hd_status hd_cpu_team_create(uint32_t core_count, hd_cpu_team **out_team)
{
    *out_team = NULL;
    hd_cpu_team *team = hd_alloc_aligned(sizeof *team);
    if (team == NULL) {
        return HD_OUT_OF_MEMORY;
    }
    memset(team, 0, sizeof *team);
    team->core_count = core_count;
    team->workers = hd_alloc_zero(core_count, sizeof *team->workers);
    if (team->workers == NULL) {
        goto fail_memory;
    }
    if (hd_mutex_init(&team->mutex, HD_RANK_workers) != HD_OK) {
        goto fail_memory;
    }
    if (hd_condition_init(&team->work) != HD_OK) {
        goto fail_mutex;
    }
    if (hd_condition_init(&team->left) != HD_OK) {
        goto fail_work;
    }
    for (uint32_t i = 0; i + 1 < core_count; i++) {
        team_worker *worker = &team->workers[i];
        char name[16];
        snprintf(name, sizeof name, "heddle-cpu-%u", i % 1000);
        *worker = (team_worker){.team = team, .number = i + 1};
        if (hd_thread_start(&worker->thread, name, worker_main, worker) != HD_OK) {
            break; /* fewer workers are a correct team */
        }
        team->worker_count++;
    }
    *out_team = team;
    return HD_OK;
fail_work:
    hd_condition_destroy(&team->work);
fail_mutex:
    hd_mutex_destroy(&team->mutex);
fail_memory:
    hd_free(team->workers);
    hd_free(team);
    return HD_OUT_OF_MEMORY;
}

void hd_cpu_team_destroy(hd_cpu_team **team)
{
    hd_cpu_team *dead = *team;
    *team = NULL;
    if (dead == NULL) {
        return;
    }
    team_lock(dead);
    hd_store_relaxed(&dead->stopping, true);
    hd_condition_broadcast(&dead->work);
    team_unlock(dead);
    for (uint32_t i = 0; i < dead->worker_count; i++) {
        hd_thread_join(&dead->workers[i].thread);
    }
    hd_condition_destroy(&dead->left);
    hd_condition_destroy(&dead->work);
    hd_mutex_destroy(&dead->mutex);
    hd_free(dead->workers);
    hd_free(dead);
}

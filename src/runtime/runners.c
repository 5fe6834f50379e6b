#include "runtime/runners.h"

#include <stdio.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/mutex.h"
#include "base/once.h"
#include "base/thread.h"

/* Pieces of work that a runner does before it looks after other queues, if none of them is long. */
#define TURN_LENGTH 16

typedef enum queue_state { QUEUE_IDLE, QUEUE_READY, QUEUE_RUNNING, QUEUE_PARKED } queue_state;

typedef struct cpu_queue {
    _Alignas(HD_CACHE_LINE) hd_mutex mutex;
    hd_condition idle;                       /* the state has become QUEUE_IDLE */
    uint32_t drainers HD_GUARDED_BY(&mutex); /* threads that wait for it */
    queue_state state HD_GUARDED_BY(&mutex);
    bool resumed HD_GUARDED_BY(&mutex); /* since its first work was begun */
    hd_work *first HD_GUARDED_BY(&mutex);
    hd_work *last HD_GUARDED_BY(&mutex);
    struct cpu_queue *next_ready HD_GUARDED_BY(hd_rank_runners); /* of the list */
} cpu_queue;

typedef struct cpu_runner {
    hd_runners *queues;
    uint32_t number;
    hd_thread thread;
    bool *gone; /* on the runner's own stack, used by itself only: its work destroyed the queues */
} cpu_runner;

struct hd_runners {
    uint32_t queue_count;  /* constant */
    uint32_t runner_limit; /* constant */
    uint32_t runner_count; /* constant once `started` is, as what it counts */
    cpu_queue *queues;     /* constant */
    cpu_runner *runners;   /* constant */
    hd_thread_cores cores; /* constant; where the runners run */
    hd_once started;
    hd_mutex mutex;
    hd_condition ready;
    cpu_queue *first HD_GUARDED_BY(&mutex);
    cpu_queue *last HD_GUARDED_BY(&mutex);
    uint32_t sleeping HD_GUARDED_BY(&mutex);
    bool stopping HD_GUARDED_BY(&mutex);
};

static void queue_lock(cpu_queue *queue)
    HD_ACQUIRE(&queue->mutex, hd_rank_queue) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_lock(&queue->mutex);
}

static void queue_unlock(cpu_queue *queue)
    HD_RELEASE(&queue->mutex, hd_rank_queue) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_unlock(&queue->mutex);
}

static void runners_lock(hd_runners *queues)
    HD_ACQUIRE(&queues->mutex, hd_rank_runners) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_lock(&queues->mutex);
}

static void runners_unlock(hd_runners *queues)
    HD_RELEASE(&queues->mutex, hd_rank_runners) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_unlock(&queues->mutex);
}

/* Puts a queue that has just become ready behind the others. */
static void add_ready(hd_runners *queues, cpu_queue *queue)
{
    runners_lock(queues);
    queue->next_ready = NULL;
    if (queues->last == NULL) {
        queues->first = queue;
    } else {
        queues->last->next_ready = queue;
    }
    queues->last = queue;
    if (queues->sleeping > 0) {
        hd_condition_signal(&queues->ready);
    }
    runners_unlock(queues);
}

/* The queue that has been ready for longest, when there is one; NULL when the runner is to end. */
static cpu_queue *take_ready(hd_runners *queues)
{
    runners_lock(queues);
    while (queues->first == NULL && !queues->stopping) {
        queues->sleeping++;
        hd_condition_wait_until(&queues->ready, &queues->mutex, HD_FOREVER);
        queues->sleeping--;
    }
    cpu_queue *queue = queues->first;
    if (queue != NULL) {
        queues->first = queue->next_ready;
        queues->last = queues->first == NULL ? NULL : queues->last;
    }
    runners_unlock(queues);
    return queue;
}

/* Takes the first work of a running queue off; NULL and the queue is idle when there is none. */
static hd_work *take_work(cpu_queue *queue) HD_REQUIRES(&queue->mutex)
{
    hd_work *work = queue->first;
    if (work == NULL) {
        queue->state = QUEUE_IDLE;
        if (queue->drainers > 0) {
            hd_condition_broadcast(&queue->idle);
        }
        return NULL;
    }
    queue->first = work->next;
    queue->last = queue->first == NULL ? NULL : queue->last;
    queue->resumed = false;
    return work;
}

/* Puts work that could not go on back in front. True: the queue rests. */
static bool park(cpu_queue *queue, hd_work *work) HD_REQUIRES(&queue->mutex)
{
    work->next = queue->first;
    queue->first = work;
    queue->last = queue->last == NULL ? work : queue->last;
    if (queue->resumed) {
        return false; /* what it waits for came before it could be parked */
    }
    queue->state = QUEUE_PARKED;
    return true;
}

/* Does a queue's work for one turn. */
static void run_queue(cpu_runner *runner, cpu_queue *queue, const bool *gone)
{
    hd_runners *queues = runner->queues;
    uint32_t number = runner->number;
    bool again = false;
    queue_lock(queue);
    HD_CHECK("SAFE.one-runner-a-queue", queue->state == QUEUE_READY);
    queue->state = QUEUE_RUNNING;
    for (uint32_t turn = 0; !again; turn++) {
        hd_work *work = take_work(queue);
        if (work == NULL) {
            break;
        }
        queue_unlock(queue);
        hd_process_begin_work();
        hd_work_result result = work->run(work, number);
        hd_process_end_work();
        if (*gone) {
            return;
        }
        queue_lock(queue);
        if (result == HD_WORK_PARKED && park(queue, work)) {
            break;
        }
        again = (result == HD_WORK_DONE_LONG || turn + 1 >= TURN_LENGTH) && queue->first != NULL;
    }
    if (again) {
        queue->state = QUEUE_READY;
    }
    queue_unlock(queue);
    if (again) {
        add_ready(queues, queue);
    }
}

/* Not inlined, since gcc cannot see that a runner whose flag is set has been freed. */
__attribute__((noinline)) static void run_queues(cpu_runner *runner, bool *gone)
{
    hd_runners *queues = runner->queues;
    runner->gone = gone;
    while (!*gone) {
        cpu_queue *queue = take_ready(queues);
        if (queue == NULL) {
            return;
        }
        run_queue(runner, queue, gone);
    }
}

static void runner_main(void *argument)
{
    cpu_runner *runner = argument;
    bool gone = false;
    hd_thread_use_cores(&runner->queues->cores);
    run_queues(runner, &gone);
}

static hd_status start_runners(void *argument)
{
    hd_runners *queues = argument;
    for (uint32_t i = 0; i < queues->runner_limit; i++) {
        cpu_runner *runner = &queues->runners[i];
        char name[16];
        snprintf(name, sizeof name, "heddle-run-%u", i % 1000);
        runner->queues = queues;
        runner->number = i;
        if (hd_thread_start(&runner->thread, name, runner_main, runner) != HD_OK) {
            break; /* fewer runners do all the work, too */
        }
        queues->runner_count++;
    }
    return queues->runner_count > 0 ? HD_OK : HD_OUT_OF_MEMORY;
}

hd_status hd_runners_start(hd_runners *queues)
{
    return hd_once_start(&queues->started, start_runners, queues);
}

bool hd_runners_start_all(hd_runners *queues)
{
    return hd_runners_start(queues) == HD_OK && queues->runner_count == queues->runner_limit;
}

void hd_runners_submit(hd_runners *queues, uint32_t number, hd_work *work)
{
    cpu_queue *queue = &queues->queues[number];
    work->next = NULL;
    queue_lock(queue);
    if (queue->last == NULL) {
        queue->first = work;
    } else {
        queue->last->next = work;
    }
    queue->last = work;
    bool is_driven = work->drives != NULL && queue->state == QUEUE_IDLE;
    bool becomes_ready = !is_driven && queue->state == QUEUE_IDLE;
    if (is_driven) {
        *work->drives = true; /* before the unlock: the work may be gone after it */
        queue->state = QUEUE_RUNNING;
    } else if (becomes_ready) {
        queue->state = QUEUE_READY;
    }
    queue_unlock(queue);
    if (becomes_ready) {
        add_ready(queues, queue);
    }
}

void hd_runners_drive(hd_runners *queues, uint32_t number)
{
    cpu_queue *queue = &queues->queues[number];
    hd_check_no_lock_held();
    queue_lock(queue);
    HD_CHECK("SAFE.one-runner-a-queue", queue->state == QUEUE_RUNNING);
    hd_work *work = take_work(queue);
    queue_unlock(queue);
    hd_work_result result = work->run(work, 0);
    queue_lock(queue);
    bool parks = result == HD_WORK_PARKED && park(queue, work);
    bool again = !parks && queue->first != NULL;
    if (again) {
        queue->state = QUEUE_READY;
    } else if (!parks) {
        (void)take_work(queue); /* there is none: idle */
    }
    queue_unlock(queue);
    if (again) {
        add_ready(queues, queue);
    }
}

void hd_runners_resume(hd_runners *queues, uint32_t number)
{
    cpu_queue *queue = &queues->queues[number];
    queue_lock(queue);
    queue->resumed = true;
    bool becomes_ready = queue->state == QUEUE_PARKED;
    if (becomes_ready) {
        queue->state = QUEUE_READY;
    }
    queue_unlock(queue);
    if (becomes_ready) {
        add_ready(queues, queue);
    }
}

/* False: the queue is not idle before `deadline`. */
static bool await_idle(cpu_queue *queue, uint64_t deadline)
{
    queue_lock(queue);
    queue->drainers++;
    while (queue->state != QUEUE_IDLE) {
        if (!hd_condition_wait_until(&queue->idle, &queue->mutex, deadline)) {
            break;
        }
    }
    queue->drainers--;
    bool idle = queue->state == QUEUE_IDLE;
    queue_unlock(queue);
    return idle;
}

/* Takes the one work of a queue back; false: a runner has it, or had it. */
static bool take_back(cpu_queue *queue, const hd_work *work)
{
    queue_lock(queue);
    bool is_here = queue->first == work;
    if (is_here) {
        queue->first = queue->last = NULL;
    }
    queue_unlock(queue);
    return is_here;
}

bool hd_runners_run(hd_runners *queues, uint32_t number, hd_work *work, const hd_stop *stop)
{
    cpu_queue *queue = &queues->queues[number];
    hd_check_no_lock_held();
    hd_runners_submit(queues, number, work);
    while (!await_idle(queue, hd_stop_next_look(stop, HD_FOREVER))) {
        if (hd_stop_look(stop) == HD_OK) {
            continue;
        }
        if (take_back(queue, work)) {
            return false;
        }
        stop = NULL; /* a runner has it, and looks itself */
    }
    return true;
}

hd_status hd_runners_drain(hd_runners *queues, uint64_t deadline)
{
    hd_check_no_lock_held();
    for (uint32_t i = 0; i < queues->queue_count; i++) {
        if (!await_idle(&queues->queues[i], deadline)) {
            return HD_NOT_YET;
        }
    }
    return HD_OK;
}

static hd_status init_queue(cpu_queue *queue) HD_NO_THREAD_SAFETY_ANALYSIS
{
    *queue = (cpu_queue){.state = QUEUE_IDLE};
    if (hd_mutex_init(&queue->mutex, HD_RANK_queue) != HD_OK) {
        return HD_OUT_OF_MEMORY;
    }
    if (hd_condition_init(&queue->idle) != HD_OK) {
        hd_mutex_destroy(&queue->mutex);
        return HD_OUT_OF_MEMORY;
    }
    return HD_OK;
}

static void free_queues(hd_runners *queues, uint32_t initialized)
{
    for (uint32_t i = 0; i < initialized; i++) {
        hd_condition_destroy(&queues->queues[i].idle);
        hd_mutex_destroy(&queues->queues[i].mutex);
    }
    hd_free(queues->queues);
    hd_free(queues->runners);
    hd_free(queues);
}

hd_status hd_runners_create(uint32_t runner_count, uint32_t queue_count,
                            hd_runners **out_queues) HD_NO_THREAD_SAFETY_ANALYSIS
{
    *out_queues = NULL;
    hd_runners *queues = hd_alloc_zero(1, sizeof *queues);
    if (queues == NULL) {
        return HD_OUT_OF_MEMORY;
    }
    uint32_t initialized = 0;
    queues->queue_count = queue_count;
    hd_thread_read_cores(&queues->cores);
    queues->runner_limit = runner_count < HD_RUNNER_LIMIT ? runner_count : HD_RUNNER_LIMIT;
    queues->runners = hd_alloc_zero(runner_count, sizeof *queues->runners);
    queues->queues = hd_alloc_aligned(queue_count * sizeof *queues->queues);
    if (queues->runners == NULL || queues->queues == NULL) {
        goto fail;
    }
    for (; initialized < queue_count; initialized++) {
        if (init_queue(&queues->queues[initialized]) != HD_OK) {
            goto fail;
        }
    }
    if (hd_mutex_init(&queues->mutex, HD_RANK_runners) != HD_OK) {
        goto fail;
    }
    if (hd_condition_init(&queues->ready) != HD_OK) {
        hd_mutex_destroy(&queues->mutex);
        goto fail;
    }
    *out_queues = queues;
    return HD_OK;
fail:
    free_queues(queues, initialized);
    return HD_OUT_OF_MEMORY;
}

static void end_runners(hd_runners *queues)
{
    runners_lock(queues);
    queues->stopping = true;
    hd_condition_broadcast(&queues->ready);
    runners_unlock(queues);
    for (uint32_t i = 0; i < queues->runner_count; i++) {
        cpu_runner *runner = &queues->runners[i];
        if (hd_thread_is_current(&runner->thread)) {
            *runner->gone = true;
            hd_thread_detach(&runner->thread);
        } else {
            hd_thread_join(&runner->thread);
        }
    }
}

void hd_runners_destroy(hd_runners **queues) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_runners *dead = *queues;
    *queues = NULL;
    if (dead == NULL) {
        return;
    }
    hd_check_no_lock_held();
    if (hd_once_is_started(&dead->started)) {
        end_runners(dead);
    }
    for (uint32_t i = 0; i < dead->queue_count; i++) {
        HD_CHECK("ONCE.queue-empty", dead->queues[i].first == NULL);
    }
    hd_condition_destroy(&dead->ready);
    hd_mutex_destroy(&dead->mutex);
    free_queues(dead, dead->queue_count);
}

#include "runtime/batch_queue.h"

#include <stddef.h>

#include "base/check.h"
#include "base/clock.h"

/* How often a worker that waits for more asks whether it still may. */
#define LOOK_NANOSECONDS UINT64_C(10000000)

static void queue_lock(hd_batch_queue *queue)
    HD_ACQUIRE(&queue->mutex, hd_rank_batch) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_lock(&queue->mutex);
}

static void check_law(hd_batch_queue *queue) HD_REQUIRES(&queue->mutex, hd_rank_batch)
{
    HD_CHECK("ONCE.batch-requests",
             queue->submitted == queue->ended + queue->waiting.count + queue->taken);
    HD_CHECK("BOUND.batch-capacity", queue->waiting.count <= queue->capacity);
    HD_CHECK("BOUND.batch-line", queue->first_in_line == NULL ||
                                     queue->waiting.count == queue->capacity || queue->is_closed);
}

static void queue_unlock(hd_batch_queue *queue)
    HD_RELEASE(&queue->mutex, hd_rank_batch) HD_NO_THREAD_SAFETY_ANALYSIS
{
    check_law(queue);
    hd_mutex_unlock(&queue->mutex);
}

hd_status hd_batch_queue_init(hd_batch_queue *queue) HD_NO_THREAD_SAFETY_ANALYSIS
{
    *queue = (hd_batch_queue){.max_rows = queue->max_rows,
                              .capacity = queue->capacity,
                              .max_delay = queue->max_delay,
                              .hurries = queue->hurries,
                              .context = queue->context};
    if (hd_mutex_init(&queue->mutex, HD_RANK_batch) != HD_OK) {
        return HD_OUT_OF_MEMORY;
    }
    if (hd_condition_init(&queue->changed) != HD_OK) {
        hd_mutex_destroy(&queue->mutex);
        return HD_OUT_OF_MEMORY;
    }
    return HD_OK;
}

void hd_batch_queue_destroy(hd_batch_queue *queue)
{
    hd_check_no_lock_held();
    queue_lock(queue);
    queue->is_ending = true;
    while (queue->standing + queue->watching > 0) {
        hd_condition_wait_until(&queue->changed, &queue->mutex, HD_FOREVER);
    }
    HD_CHECK("ONCE.batch-ended", queue->submitted == queue->ended && queue->first_in_line == NULL);
    queue_unlock(queue);
    hd_condition_destroy(&queue->changed);
    hd_mutex_destroy(&queue->mutex);
}

hd_status hd_batch_worker_init(hd_batch_worker *worker)
{
    *worker = (hd_batch_worker){.taken = 0};
    return hd_condition_init(&worker->called);
}

void hd_batch_worker_destroy(hd_batch_worker *worker) HD_NO_THREAD_SAFETY_ANALYSIS
{
    HD_CHECK("ONCE.batch-worker", worker->batch.count == 0 && worker->taken == 0);
    hd_condition_destroy(&worker->called);
}

static void append(hd_batch_list *list, hd_batch_request *request)
{
    request->next = NULL;
    if (list->last == NULL) {
        list->first = request;
    } else {
        list->last->next = request;
    }
    list->last = request;
    list->count++;
    list->rows += request->rows;
}

/* Behind all of its own priority and above. */
static void insert(hd_batch_list *list, hd_batch_request *request)
{
    if (list->last == NULL || list->last->priority >= request->priority) {
        append(list, request);
        return;
    }
    hd_batch_request **link = &list->first;
    while ((*link)->priority >= request->priority) {
        link = &(*link)->next;
    }
    request->next = *link;
    *link = request;
    list->count++;
    list->rows += request->rows;
}

static bool fits(const hd_batch_queue *queue, const hd_batch_list *batch,
                 const hd_batch_request *request)
{
    return batch->first == NULL ||
           (batch->first->kind == request->kind && batch->rows + request->rows <= queue->max_rows);
}

static void call(hd_batch_worker **link) HD_REQUIRES(hd_rank_batch)
{
    hd_batch_worker *worker = *link;
    *link = worker->next;
    worker->is_called = true;
    hd_condition_signal(&worker->called);
}

/* Gives a request to a worker that waits for more of its kind, or lets it wait; the latter only
 * where there is room. */
static void take_in(hd_batch_queue *queue, hd_batch_request *request)
    HD_REQUIRES(&queue->mutex, hd_rank_batch)
{
    HD_CHECK("ONCE.batch-open", !queue->is_closed);
    queue->submitted++;
    for (hd_batch_worker **link = &queue->collecting; *link != NULL; link = &(*link)->next) {
        hd_batch_worker *worker = *link;
        if (fits(queue, &worker->batch, request)) {
            append(&worker->batch, request);
            queue->taken++;
            if (worker->batch.rows >= queue->max_rows) {
                call(link);
            }
            return;
        }
    }
    insert(&queue->waiting, request);
    if (queue->idle != NULL) {
        call(&queue->idle);
    } else if (queue->collecting != NULL) {
        call(&queue->collecting);
    }
}

static bool has_room(const hd_batch_queue *queue, const hd_batch_request *request)
    HD_REQUIRES(&queue->mutex, hd_rank_batch)
{
    if (queue->waiting.count < queue->capacity) {
        return true;
    }
    for (const hd_batch_worker *worker = queue->collecting; worker != NULL; worker = worker->next) {
        if (fits(queue, &worker->batch, request)) {
            return true;
        }
    }
    return false;
}

/* Moves in who stands in line, as long as there is room; false: nobody was. */
static bool serve_line(hd_batch_queue *queue) HD_REQUIRES(&queue->mutex, hd_rank_batch)
{
    bool served = false;
    while (queue->first_in_line != NULL && queue->waiting.count < queue->capacity &&
           !queue->is_closed) {
        hd_batch_submitter *submitter = queue->first_in_line;
        queue->first_in_line = submitter->next;
        if (queue->first_in_line == NULL) {
            queue->last_in_line = NULL;
        }
        take_in(queue, submitter->request);
        submitter->is_in = true;
        served = true;
    }
    if (served) {
        hd_condition_broadcast(&queue->changed);
    }
    return served;
}

static void leave_line(hd_batch_queue *queue, hd_batch_submitter *submitter)
    HD_REQUIRES(&queue->mutex, hd_rank_batch)
{
    hd_batch_submitter **link = &queue->first_in_line, *before = NULL;
    while (*link != submitter) {
        before = *link;
        link = &before->next;
    }
    *link = submitter->next;
    if (queue->last_in_line == submitter) {
        queue->last_in_line = before;
    }
}

/* A thread that has waited is about to leave: tells who destroys the queue. */
static void note_gone(hd_batch_queue *queue) HD_REQUIRES(&queue->mutex, hd_rank_batch)
{
    if (queue->is_ending) {
        hd_condition_broadcast(&queue->changed);
    }
}

static hd_status stand_in_line(hd_batch_queue *queue, hd_batch_request *request, uint64_t deadline)
    HD_REQUIRES(&queue->mutex, hd_rank_batch)
{
    hd_batch_submitter self = {.request = request};
    hd_status status = HD_OK;
    queue->standing++;
    if (queue->last_in_line == NULL) {
        queue->first_in_line = &self;
    } else {
        queue->last_in_line->next = &self;
    }
    queue->last_in_line = &self;
    while (!self.is_in) {
        bool in_time = hd_condition_wait_until(&queue->changed, &queue->mutex, deadline);
        if (!self.is_in && (!in_time || queue->is_closed)) {
            leave_line(queue, &self);
            status = queue->is_closed ? HD_CLOSED : HD_EXHAUSTED;
            break;
        }
    }
    queue->standing--;
    note_gone(queue);
    return status;
}

hd_status hd_batch_queue_submit(hd_batch_queue *queue, hd_batch_request *request, uint64_t deadline)
{
    hd_check_no_lock_held();
    hd_status status = HD_OK;
    queue_lock(queue);
    if (queue->is_closed) {
        status = HD_CLOSED;
    } else if (has_room(queue, request)) {
        take_in(queue, request);
    } else if (deadline == 0) {
        status = HD_EXHAUSTED;
    } else {
        status = stand_in_line(queue, request, deadline);
    }
    queue_unlock(queue);
    return status;
}

/* Moves what fits from the queue into the worker's batch. */
static void take_fitting(hd_batch_queue *queue, hd_batch_worker *worker)
    HD_REQUIRES(&queue->mutex, hd_rank_batch)
{
    hd_batch_list *waiting = &queue->waiting;
    hd_batch_request **link = &waiting->first, *before = NULL;
    while (*link != NULL && worker->batch.rows < queue->max_rows) {
        hd_batch_request *request = *link;
        if (!fits(queue, &worker->batch, request)) {
            if (worker->batch.first->kind == request->kind) {
                return;
            }
            before = request;
            link = &request->next;
            continue;
        }
        *link = request->next;
        if (waiting->last == request) {
            waiting->last = before;
        }
        waiting->count--;
        waiting->rows -= request->rows;
        append(&worker->batch, request);
        queue->taken++;
    }
}

static void fill_batch(hd_batch_queue *queue, hd_batch_worker *worker)
    HD_REQUIRES(&queue->mutex, hd_rank_batch)
{
    do {
        take_fitting(queue, worker);
    } while (serve_line(queue));
}

static void note_ended(hd_batch_queue *queue, uint32_t count)
    HD_REQUIRES(&queue->mutex, hd_rank_batch)
{
    queue->taken -= count;
    queue->ended += count;
    if (queue->watching > 0 && queue->ended == queue->submitted) {
        hd_condition_broadcast(&queue->changed);
    }
}

/* Waits in *list until called, or until `deadline`. */
static void wait_in(hd_batch_queue *queue, hd_batch_worker **list, hd_batch_worker *worker,
                    uint64_t deadline) HD_REQUIRES(&queue->mutex, hd_rank_batch)
{
    worker->is_called = false;
    worker->next = *list;
    *list = worker;
    while (!worker->is_called) {
        if (!hd_condition_wait_until(&worker->called, &queue->mutex, deadline) &&
            !worker->is_called) {
            while (*list != worker) {
                list = &(*list)->next;
            }
            *list = worker->next;
            return;
        }
    }
}

/* Waits for more than the batch has, but not for longer than anybody will send it (BOUND). */
static void wait_for_more(hd_batch_queue *queue, hd_batch_worker *worker)
    HD_REQUIRES(&queue->mutex, hd_rank_batch)
{
    uint64_t now = hd_clock_now();
    uint64_t end = queue->max_delay > HD_FOREVER - now ? HD_FOREVER : now + queue->max_delay;
    while (!worker->is_called && now < end &&
           (queue->hurries == NULL || !queue->hurries(queue->context))) {
        uint64_t next =
            queue->hurries == NULL || end - now < LOOK_NANOSECONDS ? end : now + LOOK_NANOSECONDS;
        wait_in(queue, &queue->collecting, worker, next);
        now = next; /* if it was not called */
    }
}

bool hd_batch_queue_collect(hd_batch_queue *queue, hd_batch_worker *worker,
                            hd_batch_list *out_batch)
{
    hd_check_no_lock_held();
    queue_lock(queue);
    note_ended(queue, worker->taken);
    worker->taken = 0;
    for (;;) {
        fill_batch(queue, worker);
        if (worker->batch.count == 0) {
            if (queue->is_closed) {
                break;
            }
            wait_in(queue, &queue->idle, worker, HD_FOREVER);
            continue;
        }
        if (worker->batch.rows < queue->max_rows && queue->waiting.count == 0 &&
            queue->max_delay > 0 && !queue->is_closed) {
            /* When it returns the batch may be empty: all was cancelled, and the queue is
             * closed. */
            worker->is_called = false;
            wait_for_more(queue, worker);
        }
        break;
    }
    *out_batch = worker->batch;
    worker->taken = worker->batch.count;
    worker->batch = (hd_batch_list){.count = 0};
    queue_unlock(queue);
    return out_batch->count > 0;
}

/* Puts all of *list behind *out. */
static void move_all(hd_batch_list *list, hd_batch_list *out)
{
    while (list->first != NULL) {
        hd_batch_request *request = list->first;
        list->first = request->next;
        append(out, request);
    }
    *list = (hd_batch_list){.count = 0};
}

void hd_batch_queue_close(hd_batch_queue *queue, hd_batch_list *out_cancelled)
{
    queue_lock(queue);
    queue->is_closed = true;
    if (out_cancelled != NULL) {
        *out_cancelled = (hd_batch_list){.count = 0};
        queue->taken += queue->waiting.count;
        move_all(&queue->waiting, out_cancelled);
        for (hd_batch_worker *worker = queue->collecting; worker != NULL; worker = worker->next) {
            move_all(&worker->batch, out_cancelled); /* counted as taken already */
        }
    }
    while (queue->idle != NULL) {
        call(&queue->idle);
    }
    while (queue->collecting != NULL) {
        call(&queue->collecting);
    }
    hd_condition_broadcast(&queue->changed);
    queue_unlock(queue);
}

void hd_batch_queue_end(hd_batch_queue *queue, uint32_t count)
{
    queue_lock(queue);
    note_ended(queue, count);
    queue_unlock(queue);
}

hd_status hd_batch_queue_await(hd_batch_queue *queue, uint64_t deadline)
{
    hd_check_no_lock_held();
    hd_status status = HD_OK;
    queue_lock(queue);
    queue->watching++;
    while (queue->ended != queue->submitted) {
        if (!hd_condition_wait_until(&queue->changed, &queue->mutex, deadline) &&
            queue->ended != queue->submitted) {
            status = HD_NOT_YET;
            break;
        }
    }
    queue->watching--;
    note_gone(queue);
    queue_unlock(queue);
    return status;
}

hd_batch_counts hd_batch_queue_count(hd_batch_queue *queue)
{
    queue_lock(queue);
    hd_batch_counts counts = {.submitted = queue->submitted,
                              .ended = queue->ended,
                              .waiting = queue->waiting.count,
                              .taken = queue->taken};
    queue_unlock(queue);
    return counts;
}

/* Scenarios of the device queue, over a backend of their own. Its submit touches what it keeps without a lock or
 * atomics: two threads inside are a data race. The device writes a launch's result likewise before it tells the point:
 * who takes the point for reached too early is one, too. */
#include "runtime/device_queue.h"

#include "../scenario.h"

#define LAUNCH_COUNT 2

typedef struct queue_state queue_state;

struct hd_queue {
    queue_state *state;
    /* where the device writes a launch's point; plain, as is the next */
    uint64_t *kept[LAUNCH_COUNT];
    uint64_t submitted;
    _Atomic uint64_t published; /* release: what was submitted is there for the device */
    _Atomic uint64_t reached;   /* release: what the launch wrote is there */
    hd_mutex mutex;             /* rank leaf; to wait */
    hd_condition changed;
};

struct queue_state {
    hd_unit unit;      /* first */
    _Atomic bool lost; /* set under the queue's mutex; release: nothing is written any more */
    bool refuses;      /* has no memory for queues */
    hd_device_queue queue;
    hd_queue *backend_queue;
    uint64_t results[LAUNCH_COUNT]; /* of a thread each */
};

/* ---- the backend */

static hd_status create_queue(hd_unit *unit, uint32_t number, hd_queue **out_queue)
{
    queue_state *state = (queue_state *)unit;
    (void)number;
    *out_queue = NULL;
    if (state->refuses) {
        return HD_OUT_OF_MEMORY;
    }
    hd_queue *queue = hd_alloc_zero(1, sizeof *queue);
    scenario_require("explorer", queue != NULL &&
                                     hd_mutex_init(&queue->mutex, HD_RANK_leaf) == HD_OK &&
                                     hd_condition_init(&queue->changed) == HD_OK);
    trace_name(queue, sizeof *queue, "hardware queue");
    queue->state = state;
    state->backend_queue = queue;
    *out_queue = queue;
    return HD_OK;
}

static uint64_t reached(const hd_queue *queue)
{
    return hd_load_acquire(&queue->reached);
}

static hd_status wait_for(hd_queue *queue, uint64_t point, uint64_t deadline)
{
    hd_mutex_lock(&queue->mutex);
    while (reached(queue) < point && !hd_load_acquire(&queue->state->lost)) {
        (void)hd_condition_wait_until(&queue->changed, &queue->mutex, deadline);
    }
    hd_mutex_unlock(&queue->mutex);
    return reached(queue) >= point ? HD_OK : HD_LOST;
}

static void destroy_queue(hd_unit *unit, hd_queue **queue)
{
    (void)unit;
    hd_queue *dead = *queue;
    *queue = NULL;
    if (dead != NULL) {
        (void)wait_for(dead, dead->submitted, HD_FOREVER);
        hd_condition_destroy(&dead->changed);
        hd_mutex_destroy(&dead->mutex);
        hd_free(dead);
    }
}

static hd_status submit(hd_queue *queue, const hd_launch *launch, uint64_t *out_point)
{
    if (hd_load_acquire(&queue->state->lost)) {
        return HD_LOST;
    }
    queue->kept[queue->submitted] = launch->outputs[0];
    *out_point = ++queue->submitted;
    hd_store_release(&queue->published, *out_point);
    return HD_OK;
}

static const hd_backend backend = {.queues = &(const hd_queue_table){.create = create_queue,
                                                                     .destroy = destroy_queue,
                                                                     .submit = submit,
                                                                     .reached = reached,
                                                                     .wait = wait_for}};

/* ---- the device */

static void await_submissions(const hd_queue *queue, uint64_t count)
{
    while (hd_load_acquire(&queue->published) < count) {
        hd_thread_yield();
    }
}

static void complete(hd_queue *queue, uint64_t point)
{
    await_submissions(queue, point);
    *queue->kept[point - 1] = point;
    hd_mutex_lock(&queue->mutex);
    hd_store_release(&queue->reached, point);
    hd_condition_broadcast(&queue->changed);
    hd_mutex_unlock(&queue->mutex);
}

static void complete_first(void *argument)
{
    complete(((queue_state *)argument)->backend_queue, 1);
}

static void complete_both(void *argument)
{
    complete_first(argument);
    complete(((queue_state *)argument)->backend_queue, 2);
}

/* It begins only when it has all: who waits for its point keeps nobody from submitting. */
static void complete_late(void *argument)
{
    await_submissions(((queue_state *)argument)->backend_queue, 2);
    complete_both(argument);
}

/* Computes what it has, at most the first, and is lost. */
static void lose(void *argument)
{
    queue_state *state = argument;
    hd_queue *queue = state->backend_queue;
    if (hd_load_acquire(&queue->published) > 0) {
        complete(queue, 1);
    }
    hd_mutex_lock(&queue->mutex);
    hd_store_release(&state->lost, true);
    hd_condition_broadcast(&queue->changed);
    hd_mutex_unlock(&queue->mutex);
}

/* ---- threads that use the queue */

static queue_state *queue_open(void)
{
    queue_state *state = hd_alloc_zero(1, sizeof *state);
    scenario_require("explorer", state != NULL);
    state->unit.backend = &backend;
    scenario_require("explorer", hd_device_queue_init(&state->queue, &state->unit, 0) == HD_OK);
    trace_name(&state->queue, sizeof state->queue, "device queue");
    trace_name(&state->lost, sizeof state->lost, "lost");
    return state;
}

static void queue_end(queue_state *state)
{
    hd_device_queue_destroy(&state->queue);
    scenario_require("SAFE.destroyed", state->queue.unit == NULL && state->queue.queue == NULL);
    hd_free(state);
}

static hd_status submit_one(queue_state *state, uint32_t thread, uint64_t *out_point)
{
    void *outputs[] = {&state->results[thread]};
    hd_launch launch = {.outputs = outputs}; /* read before submit returns */
    scenario_event("calls submit %u", thread);
    hd_status status = hd_device_queue_submit(&state->queue, &launch, out_point);
    scenario_event("answers %d %u", (int)status, status == HD_OK ? (unsigned)*out_point : 0);
    return status;
}

static hd_status wait_for_one(queue_state *state, uint64_t point)
{
    scenario_event("calls wait %u", (unsigned)point);
    hd_status status = hd_device_queue_wait(&state->queue, point);
    scenario_event("answers %d", (int)status);
    return status;
}

static void submit_and_wait(queue_state *state, uint32_t thread)
{
    uint64_t point;
    scenario_require("SAFE.submit", submit_one(state, thread, &point) == HD_OK);
    scenario_outcome((uint32_t)point);
    scenario_require("BOUND.reached", wait_for_one(state, point) == HD_OK);
    scenario_require("SAFE.own-point", state->results[thread] == point);
    state->results[thread] = 0; /* its memory is the caller's again (REUSE) */
}

static void first_waits(void *argument)
{
    submit_and_wait(argument, 0);
}

static void first_submits(void *argument)
{
    uint64_t point;
    scenario_require("SAFE.submit", submit_one(argument, 0, &point) == HD_OK);
}

/* A launch's memory is the caller's again after each of the answers. */
static void submit_to_losing(queue_state *state, uint32_t thread)
{
    uint64_t point;
    hd_status status = submit_one(state, thread, &point);
    if (status == HD_OK) {
        status = wait_for_one(state, point);
        scenario_require("STATUS.lost", status == HD_OK || status == HD_LOST);
        scenario_require("SAFE.own-point", state->results[thread] == (status == HD_OK ? point : 0));
        scenario_outcome(status == HD_OK ? 0 : 1);
    } else {
        scenario_require("STATUS.lost", status == HD_LOST);
        scenario_outcome(2);
    }
    state->results[thread] = 0;
}

static void first_may_lose(void *argument)
{
    submit_to_losing(argument, 0);
}

/* A device, a thread, and this one. */
static void use(void (*device)(void *), void (*first)(void *),
                void (*second)(queue_state *state, uint32_t thread))
{
    queue_state *state = queue_open();
    hd_thread threads[2];
    scenario_start(&threads[0], "device", device, state);
    scenario_start(&threads[1], "first", first, state);
    second(state, 1);
    hd_thread_join(&threads[1]);
    if (device == lose) {
        hd_thread_join(&threads[0]); /* it touches the queue until it is lost */
    }
    hd_device_queue_destroy(&state->queue);
    scenario_require("SAFE.waited", first != first_submits || state->results[0] != 0);
    if (device != lose) {
        hd_thread_join(&threads[0]);
    }
    queue_end(state);
}

static void two_submit(void)
{
    use(complete_both, first_waits, submit_and_wait);
}

static void two_submit_before_any_is_done(void)
{
    use(complete_late, first_waits, submit_and_wait);
}

static void submit_against_destroy(void)
{
    use(complete_both, first_submits, submit_and_wait);
}

static void lost_against_two(void)
{
    use(lose, first_may_lose, submit_to_losing);
}

static void lost_against_one(void)
{
    queue_state *state = queue_open();
    hd_thread device;
    scenario_start(&device, "device", lose, state);
    submit_to_losing(state, 0);
    hd_thread_join(&device);
    /* It stays lost, and the queue usable. */
    for (int i = 0; i < 2; i++) {
        uint64_t point;
        scenario_require("STATUS.lost", submit_one(state, 0, &point) == HD_LOST);
    }
    queue_end(state);
}

/* One that could not be made, and one that never was, is none. */
static void refused(void)
{
    queue_state *state = hd_alloc_zero(1, sizeof *state);
    scenario_require("explorer", state != NULL);
    hd_device_queue_destroy(&state->queue);
    state->unit.backend = &backend;
    state->refuses = true;
    scenario_require("STATUS.refused",
                     hd_device_queue_init(&state->queue, &state->unit, 0) == HD_OUT_OF_MEMORY);
    queue_end(state);
}

const scenario scenarios_device_queue[] = {
    {.name = "device-queue.two-submit", .run = two_submit, .outcomes = 6},
    {.name = "device-queue.two-submit-before-any-is-done",
     .run = two_submit_before_any_is_done,
     .outcomes = 6},
    {.name = "device-queue.wake-without-reason", .run = two_submit, .spurious = 1, .outcomes = 6},
    {.name = "device-queue.submit-against-destroy", .run = submit_against_destroy, .outcomes = 6},
    {.name = "device-queue.lost-against-one",
     .run = lost_against_one,
     .spurious = 1,
     .outcomes = 7},
    {.name = "device-queue.lost-against-two", .run = lost_against_two, .outcomes = 7},
    {.name = "device-queue.refused", .run = refused},
    {.name = NULL},
};

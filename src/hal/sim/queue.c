/* The simulated device's queues: a thread each, which takes launches in order, begins them late, and tells late that they
 * are done. What a launch reads of its caller's is copied when it is submitted.
 *
 * Law: reached <= submitted; a launch that has begun when the unit is lost ends before anyone is told HD_LOST. */
#include <string.h>

#include "base/clock.h"
#include "base/float_environment.h"
#include "base/memory.h"
#include "base/thread.h"
#include "hal/sim/unit.h"

#define POLL_NANOSECONDS UINT64_C(200000)

typedef struct launch {
    struct launch *next;
    const hd_recipe *recipe;
    unsigned char *scratch;
    hd_queue_wait *waits;
    size_t wait_count;
    void *buffers[]; /* as the recipe's references are bound for this one */
} launch;

struct hd_queue {
    hd_sim_unit *unit;                      /* constant */
    hd_mutex mutex;                         /* rank leaf */
    hd_thread thread HD_GUARDED_BY(&mutex); /* from the first submission on */
    bool started HD_GUARDED_BY(&mutex);
    hd_condition changed;
    launch *first HD_GUARDED_BY(&mutex);
    launch *last HD_GUARDED_BY(&mutex);
    uint64_t submitted HD_GUARDED_BY(&mutex);
    bool busy HD_GUARDED_BY(&mutex); /* a launch is computed */
    bool ending HD_GUARDED_BY(&mutex);
    _Atomic uint64_t reached; /* release: what the launch wrote is there */
    _Atomic bool used;        /* somebody submits */
};

static void queue_lock(hd_queue *queue)
    HD_ACQUIRE(&queue->mutex, hd_rank_leaf) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_lock(&queue->mutex);
}

static void queue_unlock(hd_queue *queue)
    HD_RELEASE(&queue->mutex, hd_rank_leaf) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_unlock(&queue->mutex);
}

static uint64_t reached(const hd_queue *queue)
{
    return hd_load_acquire(&queue->reached);
}

static void rest(uint64_t nanoseconds)
{
    uint64_t end = hd_clock_now() + nanoseconds;
    while (hd_clock_now() < end) {
        hd_thread_yield();
    }
}

/* Waits until the launch may begin; false: the unit was lost first. */
static bool await_turn(const hd_queue *queue, const launch *next)
{
    for (size_t i = 0; i < next->wait_count; i++) {
        while (reached(next->waits[i].queue) < next->waits[i].point &&
               !hd_sim_is_lost(&queue->unit->unit)) {
            rest(POLL_NANOSECONDS / 10);
        }
    }
    while (hd_load_relaxed(&hd_sim.stalled) && !hd_sim_is_lost(&queue->unit->unit)) {
        rest(POLL_NANOSECONDS);
    }
    return !hd_sim_is_lost(&queue->unit->unit);
}

static void compute(const launch *next)
{
    const hd_recipe *recipe = next->recipe;
    for (size_t i = 0; i < recipe->step_count; i++) {
        const hd_step *step = &recipe->steps[i];
        step->kernel.run(step->kernel.parameters,
                         (void *const *)next->buffers + step->first_reference, 0,
                         step->kernel.tile_count, next->scratch);
    }
}

static launch *take(hd_queue *queue)
{
    queue_lock(queue);
    while (queue->first == NULL && !queue->ending) {
        hd_condition_wait_until(&queue->changed, &queue->mutex, HD_FOREVER);
    }
    launch *next = queue->first;
    if (next != NULL) {
        queue->first = next->next;
        queue->busy = true;
    }
    queue_unlock(queue);
    return next;
}

static void serve(void *argument)
{
    hd_queue *queue = argument;
    hd_float_environment saved;
    hd_float_environment_enter(&saved);
    for (launch *next = take(queue); next != NULL; next = take(queue)) {
        uint32_t delay = hd_sim.options.delay_microseconds;
        rest(UINT64_C(1000) * hd_sim_random(delay));
        bool done = await_turn(queue, next);
        if (done) {
            compute(next);
            rest(UINT64_C(1000) * hd_sim_random(delay));
        }
        hd_free(next);
        queue_lock(queue);
        queue->busy = false;
        if (done && !hd_sim_is_lost(&queue->unit->unit)) {
            hd_store_release(&queue->reached, hd_load_relaxed(&queue->reached) + 1);
        }
        hd_condition_broadcast(&queue->changed);
        queue_unlock(queue);
    }
    hd_float_environment_leave(&saved);
}

static hd_status create(hd_unit *unit, uint32_t number,
                        hd_queue **out_queue) HD_NO_THREAD_SAFETY_ANALYSIS
{
    (void)number;
    hd_queue *queue = hd_alloc_zero(1, sizeof *queue);
    *out_queue = NULL;
    if (queue == NULL) {
        return HD_OUT_OF_MEMORY;
    }
    queue->unit = (hd_sim_unit *)unit;
    if (hd_mutex_init(&queue->mutex, HD_RANK_leaf) != HD_OK) {
        goto fail_queue;
    }
    if (hd_condition_init(&queue->changed) != HD_OK) {
        goto fail_mutex;
    }
    *out_queue = queue;
    return HD_OK;
fail_mutex:
    hd_mutex_destroy(&queue->mutex);
fail_queue:
    hd_free(queue);
    return HD_OUT_OF_MEMORY;
}

static void destroy(hd_unit *unit, hd_queue **queue)
{
    (void)unit;
    hd_queue *dead = *queue;
    if (dead == NULL) {
        return;
    }
    queue_lock(dead);
    dead->ending = true;
    bool started = dead->started;
    hd_thread thread = dead->thread;
    hd_condition_broadcast(&dead->changed);
    queue_unlock(dead);
    if (started) {
        hd_thread_join(&thread);
    }
    hd_condition_destroy(&dead->changed);
    hd_mutex_destroy(&dead->mutex);
    hd_free(dead);
    *queue = NULL;
}

/* A copy of all that the launch reads of its caller's. */
static launch *copy_launch(const hd_launch *given)
{
    hd_sim_list *list = (hd_sim_list *)given->list;
    const hd_recipe *recipe = list->list->recipe;
    size_t buffers = recipe->reference_total * sizeof(void *),
           waits = given->wait_count * sizeof *given->waits;
    launch *made = hd_alloc(sizeof *made + buffers + waits);
    if (made == NULL) {
        return NULL;
    }
    *made = (launch){
        .recipe = recipe, .scratch = hd_sim_host(given->scratch), .wait_count = given->wait_count};
    hd_cpu_command_list_bind(list->list, given->inputs, given->outputs);
    for (size_t i = 0; i < recipe->reference_total; i++) {
        const hd_reference *reference = &recipe->references[i];
        made->buffers[i] = reference->space == HD_SPACE_HOST ? given->host + reference->offset
                                                             : hd_sim_host(list->list->buffers[i]);
    }
    made->waits = (hd_queue_wait *)(made->buffers + recipe->reference_total);
    if (waits > 0) {
        memcpy(made->waits, given->waits, waits);
    }
    return made;
}

/* Starts the queue's thread with the first submission, under no lock. */
static hd_status start(hd_queue *queue)
{
    queue_lock(queue);
    bool is_first = !queue->started;
    queue->started = true;
    queue_unlock(queue);
    if (!is_first) {
        return HD_OK;
    }
    hd_thread thread = {0};
    hd_status status = hd_thread_start(&thread, "heddle-sim", serve, queue);
    queue_lock(queue);
    queue->started = status == HD_OK;
    queue->thread = thread;
    queue_unlock(queue);
    return status;
}

static hd_status append(hd_queue *queue, const hd_launch *given, uint64_t *out_point)
{
    uint64_t number = hd_add_relaxed(&hd_sim.submissions, 1) + 1;
    if (number == hd_sim.options.losing_submission) {
        hd_store_relaxed(&queue->unit->lost, true);
    }
    if (hd_sim_is_lost(&queue->unit->unit)) {
        return HD_LOST;
    }
    launch *made = start(queue) == HD_OK ? copy_launch(given) : NULL;
    if (made == NULL) {
        return HD_OUT_OF_MEMORY;
    }
    queue_lock(queue);
    if (queue->first == NULL) {
        queue->first = made;
    } else {
        queue->last->next = made;
    }
    queue->last = made;
    *out_point = ++queue->submitted;
    hd_condition_broadcast(&queue->changed);
    queue_unlock(queue);
    return HD_OK;
}

static hd_status submit(hd_queue *queue, const hd_launch *given, uint64_t *out_point)
{
    hd_sim_list *list = (hd_sim_list *)given->list;
    if (hd_exchange_acq_rel(&queue->used, true)) {
        hd_add_relaxed(&hd_sim.queue_overlaps, 1);
    }
    if (hd_exchange_acq_rel(&list->used, true)) {
        hd_add_relaxed(&hd_sim.list_overlaps, 1);
    }
    /* for others to come in */
    rest(UINT64_C(1000) * hd_sim_random(hd_sim.options.delay_microseconds / 10));
    hd_status status = append(queue, given, out_point);
    hd_store_release(&list->used, false);
    hd_store_release(&queue->used, false);
    return status;
}

static hd_status wait_for(hd_queue *queue, uint64_t point, uint64_t deadline)
{
    hd_status status = HD_NOT_YET;
    queue_lock(queue);
    while (status == HD_NOT_YET) {
        if (reached(queue) >= point) {
            status = HD_OK;
        } else if (hd_sim_is_lost(&queue->unit->unit) && !queue->busy) {
            status = HD_LOST;
        } else if (hd_clock_now() >= deadline) {
            break;
        } else {
            /* to look whether the unit was lost */
            uint64_t next = hd_clock_now() + POLL_NANOSECONDS;
            hd_condition_wait_until(&queue->changed, &queue->mutex,
                                    next < deadline ? next : deadline);
        }
    }
    queue_unlock(queue);
    return status;
}

const hd_queue_table hd_sim_queues = {create, destroy, submit, reached, wait_for};

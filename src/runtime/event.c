/* Event: a handle on the last mark that was recorded through it. A mark is a piece of work that does
 * nothing but note the time; once submitted it never changes its point.
 *
 * Synchronized: the lock (rank event) protects which mark is the last one. A mark's own fields are written
 * before it is submitted, but for the time, which is written once, before its point is reached.
 * References: a mark belongs to its event, its stream until it is done, and those who wait for it. Each
 * keeps the device (REUSE: timelines outlive all who look at them). */
#include "heddle/event.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/thread.h"
#include "runtime/device.h"

typedef struct event_mark {
    hd_flight flight; /* first: the queue's pointer to it is the mark's */
    _Atomic uint32_t reference_count;
    hd_device *device;   /* with a reference */
    uint64_t reached_at; /* nanoseconds; read by those who have found the point reached */
} event_mark;

struct hd_event {
    hd_device *device; /* constant; with a reference */
    hd_mutex mutex;
    event_mark *last HD_GUARDED_BY(&mutex); /* with a reference; NULL: never recorded */
};

/* Makes a stream wait for a mark. */
typedef struct event_barrier {
    hd_flight flight; /* first, likewise */
    hd_timeline_watch watch;
    event_mark *mark;  /* with a reference */
    hd_device *device; /* with a reference: the mark may be of a stream that is done before */
} event_barrier;

static void event_lock(hd_event *event)
    HD_ACQUIRE(&event->mutex, hd_rank_event) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_lock(&event->mutex);
}

static void event_unlock(hd_event *event)
    HD_RELEASE(&event->mutex, hd_rank_event) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_unlock(&event->mutex);
}

static void release_mark(event_mark *mark)
{
    if (mark == NULL) {
        return;
    }
    hd_device *device = mark->device;
    /* acq_rel: the last one sees all that the others did. */
    if (hd_sub_acq_rel(&mark->reference_count, 1) == 1) {
        hd_free(mark);
        hd_device_destroy(&device);
    }
}

/* The last mark with a reference; NULL: never recorded. */
static event_mark *take_last(hd_event *event)
{
    event_lock(event);
    event_mark *mark = event->last;
    if (mark != NULL) {
        hd_add_relaxed(&mark->reference_count, 1); /* relaxed: the event's reference keeps it */
    }
    event_unlock(event);
    return mark;
}

static hd_timeline *mark_timeline(const event_mark *mark)
{
    return &mark->flight.work.stream->timeline;
}

static void land_mark(hd_flight *flight, hd_status status)
{
    (void)status;
    ((event_mark *)flight)->reached_at = hd_clock_now();
}

static void finish_mark(hd_flight *flight)
{
    release_mark((event_mark *)flight);
}

static hd_work_result run_mark(hd_work *work, uint32_t runner)
{
    (void)runner;
    event_mark *mark = (event_mark *)work;
    hd_device_watcher *watcher = &mark->device->watcher;
    hd_device_watcher_begin(watcher, &mark->flight);
    return hd_device_watcher_end(watcher, &mark->flight);
}

static void resume_barrier(hd_timeline_watch *watch)
{
    const event_barrier *barrier =
        (const event_barrier *)((const char *)watch - offsetof(event_barrier, watch));
    const hd_stream_state *stream = barrier->flight.work.stream;
    /* Behind this call the barrier may be freed. */
    hd_runners_resume(stream->runners, stream->queue_number);
}

static void land_barrier(hd_flight *flight, hd_status status)
{
    (void)flight, (void)status;
}

static void finish_barrier(hd_flight *flight)
{
    event_barrier *barrier = (event_barrier *)flight;
    hd_device *device = barrier->device;
    release_mark(barrier->mark);
    hd_free(barrier);
    hd_device_destroy(&device);
}

static hd_work_result run_barrier(hd_work *work, uint32_t runner)
{
    (void)runner;
    event_barrier *barrier = (event_barrier *)work;
    hd_timeline *timeline = mark_timeline(barrier->mark);
    uint64_t point = barrier->mark->flight.work.point;
    if (!hd_timeline_reached(timeline, point) &&
        hd_timeline_set_watch(timeline, &barrier->watch, point)) {
        return HD_WORK_PARKED;
    }
    hd_device_watcher *watcher = &barrier->device->watcher;
    hd_device_watcher_begin(watcher, &barrier->flight);
    return hd_device_watcher_end(watcher, &barrier->flight);
}

hd_status hd_event_create(hd_device *device, hd_event **out_event, hd_error *error)
{
    if (device == NULL || out_event == NULL) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "device or out_event is NULL");
    }
    *out_event = NULL;
    hd_status status = hd_device_check_open(device, error);
    if (status != HD_OK) {
        return status;
    }
    hd_event *event = hd_alloc_zero(1, sizeof *event);
    if (event == NULL || hd_mutex_init(&event->mutex, HD_RANK_event) != HD_OK) {
        hd_free(event);
        return hd_fail(error, HD_OUT_OF_MEMORY, "no memory for an event");
    }
    hd_device_retain(device);
    event->device = device;
    *out_event = event;
    return HD_OK;
}

void hd_event_destroy(hd_event **event) HD_NO_THREAD_SAFETY_ANALYSIS
{
    if (event == NULL || *event == NULL) {
        return;
    }
    hd_event *dead = *event;
    *event = NULL;
    if (hd_thread_is_forked()) {
        return; /* its memory goes with the process */
    }
    hd_device *device = dead->device;
    release_mark(dead->last);
    hd_mutex_destroy(&dead->mutex);
    hd_free(dead);
    hd_device_destroy(&device);
}

hd_status hd_event_record(hd_event *event, hd_stream stream, uint32_t wait_ms, hd_error *error)
{
    if (event == NULL) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "event is NULL");
    }
    hd_stream_ref ref;
    hd_status status = hd_device_find_stream(event->device, stream, &ref, error);
    if (status != HD_OK) {
        return status;
    }
    event_mark *mark = hd_alloc_zero(1, sizeof *mark);
    if (mark == NULL) {
        return hd_fail(error, HD_OUT_OF_MEMORY, "no memory to record an event");
    }
    mark->flight =
        (hd_flight){.work = {.work = {.run = run_mark}}, .land = land_mark, .finish = finish_mark};
    mark->device = event->device;
    hd_device_retain(event->device);
    atomic_init(&mark->reference_count, 2); /* the event's and the stream's */
    uint64_t deadline = hd_clock_after_ms(hd_wait_of_argument(wait_ms));
    status = hd_device_submit(event->device, &ref, &mark->flight.work, NULL, deadline, error);
    if (status != HD_OK) {
        hd_device *device = mark->device;
        hd_free(mark);
        hd_device_destroy(&device);
        return status;
    }
    event_lock(event);
    event_mark *before = event->last;
    event->last = mark;
    event_unlock(event);
    release_mark(before);
    return HD_OK;
}

hd_status hd_event_wait_on_stream(hd_event *event, hd_stream stream, uint32_t wait_ms,
                                  hd_error *error)
{
    if (event == NULL) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "event is NULL");
    }
    hd_stream_ref ref;
    hd_status status = hd_device_find_stream(event->device, stream, &ref, error);
    if (status == HD_OK) {
        status = hd_device_fail_stream(hd_stream_check(&ref), error);
    }
    if (status != HD_OK) {
        return status;
    }
    event_mark *mark = take_last(event);
    if (mark == NULL) {
        return HD_OK;
    }
    event_barrier *barrier = hd_alloc_zero(1, sizeof *barrier);
    if (barrier == NULL) {
        release_mark(mark);
        return hd_fail(error, HD_OUT_OF_MEMORY, "no memory to wait for an event");
    }
    barrier->flight = (hd_flight){
        .work = {.work = {.run = run_barrier}}, .land = land_barrier, .finish = finish_barrier};
    barrier->watch.reached = resume_barrier;
    barrier->mark = mark;
    barrier->device = event->device;
    hd_device_retain(event->device);
    uint64_t deadline = hd_clock_after_ms(hd_wait_of_argument(wait_ms));
    status = hd_device_submit(event->device, &ref, &barrier->flight.work, NULL, deadline, error);
    if (status != HD_OK) {
        hd_device *device = barrier->device;
        release_mark(mark);
        hd_free(barrier);
        hd_device_destroy(&device);
    }
    return status;
}

hd_status hd_event_wait(hd_event *event, uint32_t timeout_ms, hd_error *error)
{
    if (event == NULL) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "event is NULL");
    }
    if (hd_thread_is_forked()) {
        return hd_fail(error, HD_FORKED, "the process was forked after the device was opened");
    }
    event_mark *mark = take_last(event);
    if (mark == NULL) {
        return HD_OK;
    }
    timeout_ms = hd_wait_of_argument(timeout_ms);
    hd_status status = hd_timeline_wait(mark_timeline(mark), mark->flight.work.point,
                                        hd_clock_after_ms(timeout_ms));
    release_mark(mark);
    if (status != HD_OK) {
        return hd_fail(error, HD_NOT_YET, "the event has not happened after %u ms", timeout_ms);
    }
    return HD_OK;
}

hd_status hd_event_elapsed(hd_event *start, hd_event *end, double *out_ms, hd_error *error)
{
    if (start == NULL || end == NULL || out_ms == NULL) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "start, end or out_ms is NULL");
    }
    if (hd_thread_is_forked()) {
        return hd_fail(error, HD_FORKED, "the process was forked after the device was opened");
    }
    event_mark *first = take_last(start), *second = take_last(end);
    hd_status status = HD_OK;
    if (first == NULL || second == NULL) {
        status = hd_fail(error, HD_INVALID_ARGUMENT, "an event was never recorded");
    } else if (!hd_timeline_reached(mark_timeline(first), first->flight.work.point) ||
               !hd_timeline_reached(mark_timeline(second), second->flight.work.point)) {
        status = hd_fail(error, HD_NOT_YET, "an event has not happened");
    } else {
        *out_ms = ((double)second->reached_at - (double)first->reached_at) * 1e-6;
    }
    release_mark(first);
    release_mark(second);
    return status;
}

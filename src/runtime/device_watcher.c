#include "runtime/device_watcher.h"

#include "base/check.h"
#include "base/clock.h"

/* A run shorter than this is noticed at once: the thread does not sleep sooner after something has moved. Then it sleeps
 * for an eighth of the time since, within these bounds, so a run is noticed an eighth late at most. */
#define SPIN_NANOSECONDS  UINT64_C(50000)
#define SLEEP_NANOSECONDS UINT64_C(20000)
#define MOST_NANOSECONDS  UINT64_C(1000000)
#define SPINS_PER_LOOK    32
/* A device that is lost reaches nothing, so it is asked after this time. */
#define LOSS_NANOSECONDS UINT64_C(1000000)
/* What a stream's flights have of host memory together, at most; one alone may have more. */
#define HOST_LIMIT ((size_t)64 << 20)

static void watcher_lock(hd_device_watcher *self)
    HD_ACQUIRE(&self->mutex, hd_rank_device_watcher) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_lock(&self->mutex);
}

static void watcher_unlock(hd_device_watcher *self)
    HD_RELEASE(&self->mutex, hd_rank_device_watcher) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_unlock(&self->mutex);
}

static hd_device_queue *queue_of(const hd_device_watcher *self, uint32_t stream)
{
    return &self->queues[hd_lane_of_flights(stream) % self->queue_count];
}

static uint32_t stream_of(const hd_flight *flight)
{
    return flight->work.stream->number;
}

hd_status hd_device_watcher_init(hd_device_watcher *self) HD_NO_THREAD_SAFETY_ANALYSIS
{
    if (hd_mutex_init(&self->mutex, HD_RANK_device_watcher) != HD_OK) {
        return HD_OUT_OF_MEMORY;
    }
    if (hd_condition_init(&self->posted) != HD_OK) {
        goto fail_mutex;
    }
    if (hd_condition_init(&self->landed) != HD_OK) {
        goto fail_posted;
    }
    return HD_OK;
fail_posted:
    hd_condition_destroy(&self->posted);
fail_mutex:
    hd_mutex_destroy(&self->mutex);
    return HD_OUT_OF_MEMORY;
}

static void tell_landed(hd_device_watcher *self) HD_REQUIRES(&self->mutex)
{
    if (self->waiting > 0) {
        hd_condition_broadcast(&self->landed);
    }
}

/* ---- host memory */

static hd_workspace *workspace_of(const hd_device_watcher *self, uint32_t stream)
{
    return &self->workspaces[hd_lane_of_flights(stream)];
}

static void keep_host(hd_device_watcher *self, hd_flight *flight) HD_REQUIRES(&self->mutex)
{
    uint32_t stream = stream_of(flight);
    self->lines[stream].host_size -= flight->host.size;
    hd_workspace_push_host(workspace_of(self, stream), &flight->host);
}

hd_status hd_device_watcher_reserve(hd_device_watcher *self, hd_flight *flight, size_t size)
{
    if (size <= flight->host.size) {
        return HD_OK;
    }
    uint32_t stream = stream_of(flight);
    hd_check_no_lock_held();
    watcher_lock(self);
    hd_flight_line *line = &self->lines[stream];
    keep_host(self, flight);
    self->waiting++;
    while (line->host_size > 0 && (size > HOST_LIMIT || line->host_size > HOST_LIMIT - size)) {
        hd_condition_wait_until(&self->landed, &self->mutex, HD_FOREVER);
    }
    self->waiting--;
    hd_workspace_block block = hd_workspace_pop_host(workspace_of(self, stream), size);
    watcher_unlock(self);
    hd_status status = HD_OK;
    if (block.size < size) {
        hd_workspace_block_give(self->unit, self->account, HD_PLACE_HOST, &block);
        status = hd_workspace_block_take(self->unit, self->account, HD_PLACE_HOST, size, &block);
    }
    watcher_lock(self);
    flight->host = block;
    self->lines[stream].host_size += block.size;
    watcher_unlock(self);
    return status;
}

/* ---- a runner's side */

void hd_device_watcher_begin(hd_device_watcher *self, const hd_flight *flight)
{
    if (self->queues == NULL) {
        return;
    }
    uint32_t stream = stream_of(flight);
    watcher_lock(self);
    bool is_first = self->lines[stream].begun++ == 0;
    watcher_unlock(self);
    if (is_first) {
        hd_reclaim_enter(self->reclaim, hd_lane_of_flights(stream));
    }
}

void hd_device_watcher_await(hd_device_watcher *self, const hd_flight *flight)
{
    uint32_t stream = stream_of(flight);
    hd_check_no_lock_held();
    watcher_lock(self);
    self->waiting++;
    while (self->lines[stream].begun > 1) {
        hd_condition_wait_until(&self->landed, &self->mutex, HD_FOREVER);
    }
    self->waiting--;
    watcher_unlock(self);
}

static bool writes_to(const hd_flight *flight, uintptr_t memory, size_t size)
{
    for (size_t i = 0; i < flight->write_count; i++) {
        uintptr_t written = (uintptr_t)flight->writes[i].memory;
        if (memory < written + flight->writes[i].size && written < memory + size) {
            return true;
        }
    }
    return false;
}

bool hd_device_watcher_is_written(hd_device_watcher *self, const hd_flight *flight,
                                  const void *memory, size_t size)
{
    watcher_lock(self);
    const hd_flight_line *line = &self->lines[stream_of(flight)];
    const hd_flight *other = line->landing;
    bool is_written = other != NULL && writes_to(other, (uintptr_t)memory, size);
    for (other = line->first; other != NULL && !is_written; other = other->next) {
        is_written = writes_to(other, (uintptr_t)memory, size);
    }
    watcher_unlock(self);
    return is_written;
}

/* All of a flight's end. */
static void end_flight(hd_device_watcher *self, hd_flight *flight, hd_status status)
{
    uint32_t stream = stream_of(flight);
    flight->land(flight, status);
    hd_stream_complete(&flight->work);
    watcher_lock(self);
    self->lines[stream].landing = NULL;
    keep_host(self, flight);
    if (--self->lines[stream].begun == 0) {
        hd_reclaim_leave(self->reclaim, hd_lane_of_flights(stream));
    }
    tell_landed(self);
    watcher_unlock(self);
    flight->finish(flight);
}

/* True: it is not the last that was begun, or the device has not done with it, and the thread is to end it. */
static bool hand_over(hd_device_watcher *self, hd_flight *flight)
{
    uint32_t stream = stream_of(flight);
    watcher_lock(self);
    hd_flight_line *line = &self->lines[stream];
    bool waits = flight->point != 0 || line->begun > 1;
    if (waits) {
        flight->next = NULL;
        if (line->first == NULL) {
            line->first = flight;
        } else {
            line->last->next = flight;
        }
        line->last = flight;
        self->listed |= UINT32_C(1) << stream;
        self->open++;
        if (self->sleeping) {
            hd_condition_signal(&self->posted);
        }
    }
    watcher_unlock(self);
    return waits;
}

hd_work_result hd_device_watcher_end(hd_device_watcher *self, hd_flight *flight)
{
    if (self->queues == NULL) {
        flight->land(flight, HD_OK);
        hd_stream_complete(&flight->work);
        flight->finish(flight);
        return HD_WORK_DONE;
    }
    if (hand_over(self, flight)) {
        return HD_WORK_SUBMITTED;
    }
    end_flight(self, flight, HD_OK);
    return HD_WORK_DONE;
}

hd_status hd_device_watcher_drain(hd_device_watcher *self, uint64_t deadline)
{
    if (self->queues == NULL) {
        return HD_OK;
    }
    hd_check_no_lock_held();
    watcher_lock(self);
    self->waiting++;
    while (self->open > 0 && hd_condition_wait_until(&self->landed, &self->mutex, deadline)) {
    }
    self->waiting--;
    hd_status status = self->open > 0 ? HD_NOT_YET : HD_OK;
    watcher_unlock(self);
    return status;
}

/* ---- the thread */

/* Takes a flight off with which the device has done; NULL: there is none. */
static hd_flight *take_landing(hd_device_watcher *self, hd_status *out_status)
    HD_REQUIRES(&self->mutex, hd_rank_device_watcher)
{
    for (uint32_t left = self->listed; left != 0; left &= left - 1) {
        uint32_t stream = (uint32_t)__builtin_ctz(left);
        hd_flight_line *line = &self->lines[stream];
        hd_flight *flight = line->first;
        bool is_reached = hd_device_queue_reached(queue_of(self, stream)) >= flight->point;
        if (is_reached || line->is_lost) {
            line->first = flight->next;
            if (line->first == NULL) {
                self->listed &= ~(UINT32_C(1) << stream);
            }
            line->landing = flight;
            *out_status = is_reached ? HD_OK : HD_LOST;
            return flight;
        }
    }
    return NULL;
}

/* Asks the device about each point that is waited for; true: some need not be waited for any longer. */
static bool ask_device(hd_device_watcher *self) HD_REQUIRES(&self->mutex, hd_rank_device_watcher)
{
    bool found = false;
    for (uint32_t left = self->listed; left != 0; left &= left - 1) {
        uint32_t stream = (uint32_t)__builtin_ctz(left);
        uint64_t point = self->lines[stream].first->point; /* this thread alone takes it off */
        watcher_unlock(self);
        hd_status status = hd_device_queue_ask(queue_of(self, stream), point);
        watcher_lock(self);
        self->lines[stream].is_lost |= status == HD_LOST;
        found = found || status != HD_NOT_YET;
    }
    return found;
}

/* Nothing has landed since `moved`: waits for a moment, less than what it has waited already. */
static void rest(hd_device_watcher *self, uint64_t *moved)
    HD_REQUIRES(&self->mutex, hd_rank_device_watcher)
{
    uint64_t now = hd_clock_now(), since = now - *moved;
    if (since >= LOSS_NANOSECONDS && ask_device(self)) {
        return;
    }
    if (since < SPIN_NANOSECONDS) {
        watcher_unlock(self);
        for (int i = 0; i < SPINS_PER_LOOK; i++) {
            hd_spin_pause();
        }
        watcher_lock(self);
        return;
    }
    uint64_t pause = since / 8;
    pause = pause < SLEEP_NANOSECONDS  ? SLEEP_NANOSECONDS
            : pause > MOST_NANOSECONDS ? MOST_NANOSECONDS
                                       : pause;
    self->sleeping = true;
    if (hd_condition_wait_until(&self->posted, &self->mutex, now + pause)) {
        *moved = hd_clock_now(); /* something new is in flight, and may be short */
    }
    self->sleeping = false;
}

/* *gone: set when a flight's finish has destroyed the watcher. Not inlined, since gcc cannot see that nothing is left
 * then that points to it. */
__attribute__((noinline)) static void watch(hd_device_watcher *self, bool *gone)
{
    uint64_t moved = hd_clock_now();
    watcher_lock(self);
    self->gone = gone;
    while (self->listed != 0 || !self->stopping) {
        hd_status status;
        hd_flight *flight = take_landing(self, &status);
        if (flight != NULL) {
            watcher_unlock(self);
            hd_process_begin_work();
            end_flight(self, flight, status);
            hd_process_end_work();
            if (*gone) {
                return;
            }
            moved = hd_clock_now();
            watcher_lock(self);
            self->open--;
            tell_landed(self);
        } else if (self->listed != 0) {
            rest(self, &moved);
        } else {
            self->sleeping = true;
            hd_condition_wait_until(&self->posted, &self->mutex, HD_FOREVER);
            self->sleeping = false;
            moved = hd_clock_now();
        }
    }
    watcher_unlock(self);
}

static void watcher_main(void *argument)
{
    bool gone = false;
    watch(argument, &gone);
}

static hd_status start_thread(void *argument)
{
    hd_device_watcher *self = argument;
    return hd_thread_start(&self->thread, "heddle-watch", watcher_main, self);
}

hd_status hd_device_watcher_start(hd_device_watcher *self)
{
    return self->queues == NULL ? HD_OK : hd_once_start(&self->started, start_thread, self);
}

void hd_device_watcher_destroy(hd_device_watcher *self) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_check_no_lock_held();
    if (hd_once_is_started(&self->started)) {
        if (hd_thread_is_current(&self->thread)) {
            *self->gone = true;
            hd_thread_detach(&self->thread);
        } else {
            watcher_lock(self);
            self->stopping = true;
            hd_condition_signal(&self->posted);
            watcher_unlock(self);
            hd_thread_join(&self->thread);
        }
    }
    HD_CHECK("ONCE.watcher-empty", self->listed == 0);
    hd_condition_destroy(&self->landed);
    hd_condition_destroy(&self->posted);
    hd_mutex_destroy(&self->mutex);
}

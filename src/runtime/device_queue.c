#include "runtime/device_queue.h"

#include "base/check.h"
#include "base/clock.h"

static void queue_lock(hd_device_queue *self)
    HD_ACQUIRE(&self->mutex, hd_rank_device_queue) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_lock(&self->mutex);
}

static void queue_unlock(hd_device_queue *self)
    HD_RELEASE(&self->mutex, hd_rank_device_queue) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_unlock(&self->mutex);
}

hd_status hd_device_queue_init(hd_device_queue *self, hd_unit *unit,
                               uint32_t number) HD_NO_THREAD_SAFETY_ANALYSIS
{
    *self = (hd_device_queue){.unit = unit};
    hd_status status = hd_mutex_init(&self->mutex, HD_RANK_device_queue);
    if (status == HD_OK) {
        status = unit->backend->queues->create(unit, number, &self->queue);
        if (status != HD_OK) {
            hd_mutex_destroy(&self->mutex);
        }
    }
    self->unit = status == HD_OK ? unit : NULL;
    return status;
}

void hd_device_queue_destroy(hd_device_queue *self)
{
    if (self->unit != NULL) {
        hd_queue_destroy(self->unit, &self->queue);
        hd_mutex_destroy(&self->mutex);
        self->unit = NULL;
    }
}

hd_status hd_device_queue_submit(hd_device_queue *self, const hd_launch *launch,
                                 uint64_t *out_point)
{
    queue_lock(self);
    hd_status status = hd_queue_enqueue(self->unit, self->queue, launch, out_point);
    if (status == HD_OK) {
        HD_CHECK("SAFE.device-queue", *out_point == self->submitted + 1);
        self->submitted = *out_point;
    }
    queue_unlock(self);
    return status;
}

uint64_t hd_device_queue_reached(const hd_device_queue *self)
{
    return self->unit->backend->queues->reached(self->queue);
}

hd_status hd_device_queue_ask(hd_device_queue *self, uint64_t point)
{
    return hd_queue_wait_until(self->unit, self->queue, point, 0);
}

hd_status hd_device_queue_wait(hd_device_queue *self, uint64_t point)
{
    return hd_device_queue_reached(self) >= point
               ? HD_OK
               : hd_queue_wait_until(self->unit, self->queue, point, HD_FOREVER);
}

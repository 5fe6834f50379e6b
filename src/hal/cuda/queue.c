/* Queues of a CUDA device. A queue is a stream with a timeline: a word in the host's memory that the device
 * writes behind each launch, so that reading it is a load, and what was done before a loss stays known. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/thread.h"
#include "hal/cuda/list.h"

/* A lost device never moves the word, so the driver is asked so often. */
#define QUERY_NANOSECONDS UINT64_C(1000000)
/* The word is polled without a pause for so long. */
#define SPIN_NANOSECONDS UINT64_C(50000)

struct hd_queue {
    hd_cuda_unit *unit; /* constant */
    CUstream stream;    /* constant; used by one thread at a time */
    uint64_t submitted; /* its submitter's */
    /* acquire: pinned; the device writes it when the launch's writes are there */
    _Atomic uint64_t *reached;
};

static hd_status create(hd_unit *unit, uint32_t number, hd_queue **out_queue)
{
    (void)number;
    hd_cuda_unit *self = (hd_cuda_unit *)unit;
    hd_queue *queue = hd_alloc_zero(1, sizeof *queue);
    *out_queue = NULL;
    if (queue == NULL) {
        return HD_OUT_OF_MEMORY;
    }
    queue->unit = self;
    hd_status status = hd_cuda_enter(self);
    queue->reached = hd_cuda_memory.create(unit, HD_PLACE_HOST, HD_CACHE_LINE);
    if (status == HD_OK && queue->reached == NULL) {
        status = hd_unit_memory_refusal(unit);
    }
    if (status == HD_OK) {
        atomic_init(queue->reached, 0);
        status =
            hd_cuda_status(self->driver->cuStreamCreate(&queue->stream, CU_STREAM_NON_BLOCKING));
    }
    if (status != HD_OK) {
        hd_cuda_memory.destroy(unit, HD_PLACE_HOST, (void *)queue->reached, HD_CACHE_LINE);
        hd_free(queue);
        return status;
    }
    *out_queue = queue;
    return HD_OK;
}

static void destroy(hd_unit *unit, hd_queue **queue)
{
    hd_queue *dead = *queue;
    if (dead == NULL) {
        return;
    }
    const hd_cuda_driver *driver = dead->unit->driver;
    if (hd_cuda_enter(dead->unit) == HD_OK &&
        hd_cuda_status(driver->cuStreamSynchronize(dead->stream)) == HD_OK) {
        (void)hd_cuda_status(driver->cuStreamDestroy(dead->stream));
    }
    hd_cuda_memory.destroy(unit, HD_PLACE_HOST, (void *)dead->reached, HD_CACHE_LINE);
    hd_free(dead);
    *queue = NULL;
}

static CUdeviceptr address_of(const void *pointer)
{
    return (CUdeviceptr)(uintptr_t)pointer;
}

static hd_status submit(hd_queue *queue, const hd_launch *launch, uint64_t *out_point)
{
    const hd_cuda_driver *driver = queue->unit->driver;
    hd_status status = hd_cuda_enter(queue->unit);
    for (size_t i = 0; i < launch->wait_count && status == HD_OK; i++) {
        const hd_queue_wait *wait = &launch->waits[i];
        status = hd_cuda_status(
            driver->cuStreamWaitValue64(queue->stream, address_of((void *)wait->queue->reached),
                                        wait->point, CU_STREAM_WAIT_VALUE_GEQ));
    }
    if (status == HD_OK) {
        status = hd_cuda_list_submit(queue->unit, queue->stream, launch);
    }
    if (status == HD_OK) {
        status = hd_cuda_status(
            driver->cuStreamWriteValue64(queue->stream, address_of((void *)queue->reached),
                                         queue->submitted + 1, CU_STREAM_WRITE_VALUE_DEFAULT));
    }
    if (status == HD_OK) {
        *out_point = ++queue->submitted;
    }
    return status;
}

static uint64_t reached(const hd_queue *queue)
{
    return hd_load_acquire(queue->reached);
}

static hd_status wait_for(hd_queue *queue, uint64_t point, uint64_t deadline)
{
    uint64_t begin = hd_clock_now(), asked = begin;
    while (reached(queue) < point) {
        uint64_t now = hd_clock_now();
        if (hd_cuda_is_lost()) {
            return HD_LOST;
        }
        bool is_late = now >= deadline;
        if (is_late || now - asked >= QUERY_NANOSECONDS) {
            asked = now;
            CUresult result = hd_cuda_enter(queue->unit) == HD_OK
                                  ? queue->unit->driver->cuStreamQuery(queue->stream)
                                  : CUDA_ERROR_UNKNOWN;
            if (result != CUDA_ERROR_NOT_READY && hd_cuda_status(result) != HD_OK) {
                return HD_LOST;
            }
        }
        if (is_late) {
            return HD_NOT_YET;
        }
        if (now - begin >= SPIN_NANOSECONDS) {
            hd_thread_yield();
        } else {
            hd_spin_pause();
        }
    }
    return HD_OK;
}

const hd_queue_table hd_cuda_queues = {create, destroy, submit, reached, wait_for};

/* lease [THREADS]: what it costs a thread to take a stream for a run and to give it back, in nanoseconds, with
 * 1 to THREADS (default: 2) threads at it at once; the median of 5 repeats and the lowest.
 *   slot    a remembered slot of the pool
 *   run     what a run does: the slot that the thread remembers, looked up, leased, remembered, returned
 *   stream  hd_stream_acquire and hd_stream_release */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "runtime/device.h"

#define REPEATS      5
#define OPERATIONS   (1 << 21)
#define MOST_THREADS 31

typedef struct caller {
    hd_device *device;
    pthread_t thread;
    pthread_barrier_t *begin;
    const char *what;
    uint64_t nanoseconds;
    bool failed;
} caller;

static bool do_slot(hd_device *device, uint32_t *hint)
{
    bool ok = hd_slot_pool_lease(&device->slots, *hint, 0, hint) == HD_OK;
    if (ok) {
        hd_slot_pool_return(&device->slots, *hint);
    }
    return ok;
}

static bool do_run(hd_device *device)
{
    hd_lease lease;
    bool ok = hd_device_lease(device, false, &lease, NULL) == HD_OK;
    if (ok) {
        hd_device_return(device, &lease);
    }
    return ok;
}

static bool do_stream(hd_device *device)
{
    hd_stream stream;
    return hd_stream_acquire(device, 0, &stream, NULL) == HD_OK &&
           hd_stream_release(device, stream, NULL) == HD_OK;
}

static void *call(void *argument)
{
    caller *self = argument;
    uint32_t hint = HD_SLOT_NONE;
    bool ok = true;
    (void)pthread_barrier_wait(self->begin);
    uint64_t begin = hd_clock_now();
    for (uint32_t i = 0; i < OPERATIONS && ok; i++) {
        ok = strcmp(self->what, "slot") == 0  ? do_slot(self->device, &hint)
             : strcmp(self->what, "run") == 0 ? do_run(self->device)
                                              : do_stream(self->device);
    }
    self->nanoseconds = hd_clock_now() - begin;
    self->failed = !ok;
    return NULL;
}

/* Nanoseconds of one operation of a thread; 0: it failed. */
static double measure(hd_device *device, const char *what, uint32_t threads)
{
    caller callers[MOST_THREADS];
    pthread_barrier_t begin;
    double sum = 0;
    bool failed = pthread_barrier_init(&begin, NULL, threads) != 0;
    for (uint32_t i = 0; i < threads && !failed; i++) {
        callers[i] = (caller){.device = device, .begin = &begin, .what = what};
        if (pthread_create(&callers[i].thread, NULL, call, &callers[i]) != 0) {
            exit(1); /* those that were started wait for the others */
        }
    }
    for (uint32_t i = 0; i < threads && !failed; i++) {
        pthread_join(callers[i].thread, NULL);
        sum += (double)callers[i].nanoseconds;
    }
    for (uint32_t i = 0; i < threads && !failed; i++) {
        sum = callers[i].failed ? 0 : sum;
    }
    pthread_barrier_destroy(&begin);
    return sum / threads / OPERATIONS;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int count, char **arguments)
{
    static const char *const whats[] = {"slot", "run", "stream"};
    unsigned long most = count > 1 ? strtoul(arguments[1], NULL, 10) : 2;
    hd_device *device;
    if (most == 0 || most > MOST_THREADS || hd_device_open("cpu", NULL, &device, NULL) != HD_OK) {
        fprintf(stderr, "usage: lease [THREADS]   (1 to %d)\n", MOST_THREADS);
        return 2;
    }
    printf("%-8s %8s %8s %8s\n", "what", "threads", "ns", "lowest");
    for (size_t i = 0; i < sizeof whats / sizeof whats[0]; i++) {
        for (uint32_t threads = 1; threads <= most; threads++) {
            double ns[REPEATS];
            for (size_t repeat = 0; repeat < REPEATS; repeat++) {
                ns[repeat] = measure(device, whats[i], threads);
            }
            qsort(ns, REPEATS, sizeof *ns, compare);
            printf("%-8s %8u %8.1f %8.1f\n", whats[i], threads, ns[REPEATS / 2], ns[0]);
        }
    }
    hd_device_destroy(&device);
    return 0;
}

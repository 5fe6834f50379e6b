#define _GNU_SOURCE
#include "base/thread.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/fault.h"
#include "base/memory.h"

typedef struct thread_start {
    void (*run)(void *);
    void *argument;
} thread_start;

static _Thread_local bool is_detached;

/* Here, not in the thread that starts this one: what is pending there stays so. */
static void let_crashes_through(void)
{
    sigset_t crashes;
    sigemptyset(&crashes);
    sigaddset(&crashes, SIGSEGV);
    sigaddset(&crashes, SIGBUS);
    sigaddset(&crashes, SIGFPE);
    sigaddset(&crashes, SIGILL);
    pthread_sigmask(SIG_UNBLOCK, &crashes, NULL);
}

static void *thread_main(void *argument)
{
    thread_start start = *(thread_start *)argument;
    hd_free(argument);
    let_crashes_through();
    /* a callback of the program's may have told it this thread's name */
    (void)hd_thread_hold_cancelling();
    start.run(start.argument);
    if (is_detached) {
        hd_process_end_use();
    }
    return NULL;
}

hd_status hd_thread_start(hd_thread *thread, const char *name, void (*run)(void *), void *argument)
{
    thread_start *start = hd_alloc(sizeof *start);
    if (start == NULL) {
        return HD_OUT_OF_MEMORY;
    }
    *start = (thread_start){run, argument};
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed =
        hd_fault_hits("thread") ? 1 : pthread_create(&thread->handle, NULL, thread_main, start);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed != 0) {
        hd_free(start);
        return HD_OUT_OF_MEMORY;
    }
    pthread_setname_np(thread->handle, name);
    return HD_OK;
}

int hd_thread_hold_cancelling(void)
{
    int before;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    return before;
}

void hd_thread_restore_cancelling(int before)
{
    pthread_setcancelstate(before, NULL);
}

void hd_thread_join(hd_thread *thread)
{
    int cancelling = hd_thread_hold_cancelling();
    pthread_join(thread->handle, NULL);
    hd_thread_restore_cancelling(cancelling);
}

void hd_thread_detach(hd_thread *thread)
{
    hd_process_begin_use(NULL);
    hd_process_begin_end();
    is_detached = true;
    pthread_detach(thread->handle);
}

bool hd_thread_is_current(const hd_thread *thread)
{
    return pthread_equal(thread->handle, pthread_self()) != 0;
}

void hd_thread_yield(void)
{
    sched_yield();
}

_Static_assert(sizeof(cpu_set_t) == sizeof((hd_thread_cores){0}.mask), "a mask of 1024 cores");

void hd_thread_read_cores(hd_thread_cores *out_cores)
{
    out_cores->known = pthread_getaffinity_np(pthread_self(), sizeof out_cores->mask,
                                              (cpu_set_t *)out_cores->mask) == 0;
}

void hd_thread_use_cores(const hd_thread_cores *cores)
{
    if (cores->known) {
        pthread_setaffinity_np(pthread_self(), sizeof cores->mask, (const cpu_set_t *)cores->mask);
    }
}

/* One key a process; its value is the function to call. */
static pthread_key_t exit_key;
static bool exit_key_exists;
static pthread_once_t exit_once = PTHREAD_ONCE_INIT;

static void call_exit_function(void *value)
{
    ((void (*)(void))(uintptr_t)value)();
}

static void create_exit_key(void)
{
    exit_key_exists = pthread_key_create(&exit_key, call_exit_function) == 0;
}

void hd_thread_call_at_exit(void (*function)(void))
{
    pthread_once(&exit_once, create_exit_key);
    if (exit_key_exists) {
        (void)pthread_setspecific(exit_key, (void *)(uintptr_t)function);
    }
}

/* The number of whole cores that a cgroup quota allows, or 0 where none is set. */
static uint32_t quota_cores(void)
{
    long long quota = -1, period = 0;
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (file != NULL) {
        if (fscanf(file, "%lld %lld", &quota, &period) != 2) {
            quota = -1;
        }
        fclose(file);
    } else if ((file = fopen("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "re")) != NULL) {
        if (fscanf(file, "%lld", &quota) != 1) {
            quota = -1;
        }
        fclose(file);
        file = fopen("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "re");
        if (file != NULL) {
            if (fscanf(file, "%lld", &period) != 1) {
                period = 0;
            }
            fclose(file);
        }
    }
    if (quota <= 0 || period <= 0) {
        return 0;
    }
    long long cores = (quota + period - 1) / period;
    return cores > UINT16_MAX ? UINT16_MAX : (uint32_t)cores;
}

uint32_t hd_thread_core_count(void)
{
    cpu_set_t set;
    uint32_t count = 0;
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        count = (uint32_t)CPU_COUNT(&set);
    } else {
        long online = sysconf(_SC_NPROCESSORS_ONLN);
        count = online > 0 ? (uint32_t)online : 1;
    }
    uint32_t quota = quota_cores();
    if (quota != 0 && quota < count) {
        count = quota;
    }
    return count == 0 ? 1 : count;
}

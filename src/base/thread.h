/* Thread: the library's own threads, and what it needs to know about the caller's.
 * Thread-safety: any thread; an hd_thread is joined by one. */
#ifndef HD_BASE_THREAD_H
#define HD_BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/process.h"
#include "base/rank.h"
#include "base/status.h"

typedef struct hd_thread {
    pthread_t handle;
} hd_thread;

/* Starts a thread with every signal blocked, so that the program's handlers run on its own threads; but for
 * SIGSEGV, SIGBUS, SIGFPE and SIGILL, which tell of a crash where it happens, in a callback of the program's too.
 * name: at most 15 characters. HD_OUT_OF_MEMORY when the system has no thread left. */
HD_MUST_CHECK hd_status hd_thread_start(hd_thread *thread, const char *name, void (*run)(void *),
                                        void *argument);

/* Keeps the calling thread from being cancelled (pthread_cancel) until what was there before is restored: a
 * cancellation that comes meanwhile acts at the thread's next cancellation point after that. Held around
 * whatever the library calls that is such a point: sleeping, joining, files. Pairs may nest. */
int hd_thread_hold_cancelling(void);
void hd_thread_restore_cancelling(int before);

/* Waits for the thread's end. */
void hd_thread_join(hd_thread *thread) HD_WAITS;

/* Lets the calling thread end by itself: it is not joined. For one that ends what it belongs to. */
void hd_thread_detach(hd_thread *thread);

/* True when the calling thread is this one. */
bool hd_thread_is_current(const hd_thread *thread);

/* Gives the rest of the time slice away. */
void hd_thread_yield(void);

/* Lets `function` be called when the calling thread ends, once for each time that it was asked for since
 * the last call. Best effort: without memory for it nothing is called. */
void hd_thread_call_at_exit(void (*function)(void));

/* The cores that a thread may run on. For threads that are started late, by whichever caller is the first to
 * need them: they are to run where the device's opener did. */
typedef struct hd_thread_cores {
    bool known;
    unsigned long mask[1024 / (8 * sizeof(unsigned long))];
} hd_thread_cores;

/* The calling thread's. */
void hd_thread_read_cores(hd_thread_cores *out_cores);
/* Lets the calling thread run on these; best effort. */
void hd_thread_use_cores(const hd_thread_cores *cores);

/* Cores that this process may use: affinity mask and cgroup quota (v1 and v2), at least 1. */
uint32_t hd_thread_core_count(void);

/* True in a child that was forked while anything of the library's was in use. */
static inline bool hd_thread_is_forked(void)
{
    return hd_process_is_forked();
}

#endif

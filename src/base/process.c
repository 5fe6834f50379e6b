#include "base/process.h"

#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/clock.h"

#define END_NANOSECONDS  UINT64_C(1000000000) /* for a device that is being taken down */
#define WORK_NANOSECONDS UINT64_C(10000000)   /* for threads at work */

/* relaxed where nothing else is said: the numbers order no data. */
static _Atomic uint32_t uses, ending, working;
static _Atomic bool is_forked; /* children inherit it */
static void (*_Atomic restart_child)(void);
static _Thread_local bool is_working;
static pthread_once_t hooks_once = PTHREAD_ONCE_INIT;

/* Before a fork. A thread at work would wait for itself. */
static void await_ends(void)
{
    uint64_t begin = hd_clock_now();
    /* acquire: pairs with hd_process_end_use; what the last use did, maybe on another thread, is in the child's memory. */
    while (hd_load_acquire(&uses) != 0 && !is_working) {
        bool is_ending = hd_load_relaxed(&uses) <= hd_load_relaxed(&ending);
        uint64_t limit = is_ending                       ? END_NANOSECONDS
                         : hd_load_relaxed(&working) > 0 ? WORK_NANOSECONDS
                                                         : 0;
        if (hd_clock_now() - begin >= limit) {
            return;
        }
        int cancelling; /* sleeping is a cancellation point */
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancelling);
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
        pthread_setcancelstate(cancelling, NULL);
    }
}

static void note_child(void)
{
    /* acquire: pairs with hd_process_end_use, which may have come behind await_ends' last look. */
    if (hd_load_acquire(&uses) != 0) {
        hd_store_relaxed(&is_forked, true);
    } else if (!hd_load_relaxed(&is_forked)) {
        hd_load_relaxed (&restart_child)();
    }
}

static void install_hooks(void)
{
    pthread_atfork(await_ends, NULL, note_child);
}

void hd_process_begin_use(void (*restart)(void))
{
    if (restart != NULL) {
        hd_store_relaxed(&restart_child, restart);
    }
    pthread_once(&hooks_once, install_hooks);
    hd_add_relaxed(&uses, 1);
}

void hd_process_begin_end(void)
{
    hd_add_relaxed(&ending, 1);
}

void hd_process_end_use(void)
{
    /* release: pairs with await_ends. First, so that who looks in between finds all of them ending. */
    hd_sub_release(&uses, 1);
    hd_sub_relaxed(&ending, 1);
}

void hd_process_begin_work(void)
{
    hd_add_relaxed(&working, 1);
    is_working = true;
}

void hd_process_end_work(void)
{
    is_working = false;
    hd_sub_relaxed(&working, 1);
}

bool hd_process_is_forked(void)
{
    return hd_load_relaxed(&is_forked);
}

void hd_process_end_child(void)
{
    _exit(0);
}

#include "cli/verify/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/process.h"

#define TICK_S  0.5
#define GRACE_S 3.0 /* between being asked to end and being made to */

static const int ending_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
#define ENDING_COUNT (sizeof ending_signals / sizeof *ending_signals)

static sigset_t watched; /* those, and SIGCHLD */
static sigset_t mask_before;
static int interrupted_by;

#define CHILDREN_MAX 256
static pid_t inherited[CHILDREN_MAX]; /* children that were there before */
static size_t inherited_count;

/* This process's children, which whoever called exec may have left to it, too. */
static size_t list_children(pid_t *children)
{
    char path[64];
    size_t count = 0;
    long child;
    snprintf(path, sizeof path, "/proc/self/task/%ld/children", (long)getpid());
    FILE *file = fopen(path, "re");
    while (file != NULL && count < CHILDREN_MAX && fscanf(file, "%ld", &child) == 1) {
        children[count++] = (pid_t)child;
    }
    if (file != NULL) {
        fclose(file);
    }
    return count;
}

void hd_child_begin(void)
{
    sigemptyset(&watched);
    sigaddset(&watched, SIGCHLD);
    for (size_t i = 0; i < ENDING_COUNT; i++) {
        struct sigaction action;
        /* nohup's children leave SIGHUP alone, as a shell's background jobs do SIGINT. */
        if (sigaction(ending_signals[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN) {
            sigaddset(&watched, ending_signals[i]);
        }
    }
    sigprocmask(SIG_BLOCK, &watched, &mask_before);
    signal(SIGCHLD, SIG_DFL); /* where it is ignored, children cannot be waited for */
    inherited_count = list_children(inherited);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

/* Waits for a watched signal; remembers one that ends this process. */
static void wait_for_signal(double seconds)
{
    struct timespec span = {.tv_sec = (time_t)seconds,
                            .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
    int signal = sigtimedwait(&watched, NULL, &span);
    if (signal > 0 && signal != SIGCHLD && interrupted_by == 0) {
        interrupted_by = signal;
    }
}

int hd_child_interrupted(void)
{
    sigset_t pending;
    while (interrupted_by == 0 && sigpending(&pending) == 0) {
        bool some = false;
        for (size_t i = 0; i < ENDING_COUNT; i++) {
            some = some || (sigismember(&watched, ending_signals[i]) == 1 &&
                            sigismember(&pending, ending_signals[i]) == 1);
        }
        if (!some) {
            break;
        }
        wait_for_signal(0);
    }
    return interrupted_by;
}

void hd_child_end_by(int number)
{
    signal(number, SIG_DFL);
    raise(number);
    sigprocmask(SIG_SETMASK, &mask_before, NULL);
    _exit(128 + number); /* where it was blocked before */
}

/* Starts it in a process group of its own, with the signals as they were. The reason why not, or 0. */
static int start(const hd_child *child, pid_t *out_process)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t defaults;
    extern char **environ;
    int problem = posix_spawn_file_actions_init(&files);
    if (problem != 0) {
        return problem;
    }
    problem = posix_spawnattr_init(&attributes);
    if (problem != 0) {
        posix_spawn_file_actions_destroy(&files);
        return problem;
    }
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGCHLD);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                              POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &mask_before);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    problem = posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    if (problem == 0) {
        problem = posix_spawn_file_actions_addopen(&files, 1, child->log,
                                                   O_WRONLY | O_CREAT | O_TRUNC, 0666);
    }
    if (problem == 0) {
        problem = posix_spawn_file_actions_adddup2(&files, 1, 2);
    }
    if (problem == 0 && child->folder != NULL) {
        problem = posix_spawn_file_actions_addchdir_np(&files, child->folder);
    }
    if (problem == 0) {
        problem = posix_spawnp(out_process, child->words[0], &files, &attributes,
                               (char *const *)child->words, environ);
    }
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return problem;
}

static bool has_ended(pid_t process)
{
    siginfo_t info = {.si_pid = 0};
    int result = waitid(P_PID, (id_t)process, &info, WEXITED | WNOHANG | WNOWAIT);
    return result != 0 || info.si_pid == process;
}

static bool was_there(pid_t process)
{
    size_t i = 0;
    while (i < inherited_count && inherited[i] != process) {
        i++;
    }
    return i < inherited_count;
}

/* What was left behind in other groups has become this process's own; there may be several generations. */
static void end_orphans(void)
{
    pid_t children[CHILDREN_MAX];
    bool some = true;
    for (int turn = 0; turn < 100 && some; turn++) {
        size_t count = list_children(children);
        some = false;
        for (size_t i = 0; i < count; i++) {
            if (!was_there(children[i])) {
                some = true;
                kill(children[i], SIGKILL);
                waitpid(children[i], NULL, 0);
            }
        }
    }
}

int hd_child_run(const hd_child *child, hd_child_result *out_result)
{
    double began = hd_process_clock(), asked = 0, now = began;
    pid_t process;
    *out_result = (hd_child_result){.end = CHILD_NOT_STARTED};
    if (hd_child_interrupted() != 0) {
        return interrupted_by;
    }
    out_result->status = start(child, &process);
    if (out_result->status != 0) {
        return 0;
    }
    bool late = false;
    while (!has_ended(process)) {
        wait_for_signal(TICK_S);
        now = hd_process_clock();
        late = late || (now - began > child->limit && interrupted_by == 0);
        if ((late || interrupted_by != 0) && asked == 0) {
            asked = now;
            kill(-process, SIGTERM);
        } else if (asked != 0 && now - asked > GRACE_S) {
            kill(-process, SIGKILL);
        }
        if (child->tick != NULL) {
            child->tick(child->context, now - began);
        }
    }
    kill(-process, SIGKILL); /* the ended one still holds the group's number */
    int status = 0;
    waitpid(process, &status, 0);
    end_orphans();
    out_result->seconds = hd_process_clock() - began;
    out_result->end = late ? CHILD_LATE : WIFSIGNALED(status) ? CHILD_SIGNALLED : CHILD_ENDED;
    out_result->status = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
    return hd_child_interrupted();
}

#define _GNU_SOURCE
#include "failure.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>

#include "scheduler.h"
#include "search.h"

static char text[2000];
static char schedule[16000];

static void note(const char *kind, const char *format, va_list arguments)
{
    int used = snprintf(text, sizeof text, "%s: ", kind);
    vsnprintf(text + used, sizeof text - (size_t)used, format, arguments);
}

void failure(const char *kind, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    note(kind, format, arguments);
    va_end(arguments);
    search_print(schedule, sizeof schedule);
    scheduler_leave(EXECUTION_FAILED);
}

void failure_between(const char *kind, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    note(kind, format, arguments);
    va_end(arguments);
    schedule[0] = '\0';
}

const char *failure_text(void)
{
    return text;
}

const char *failure_schedule(void)
{
    return schedule;
}

/* The code under test crashed: the last word of a broken execution. */
static void note_crash(int signal_number, siginfo_t *information, void *context)
{
    (void)context;
    failure("crash", "signal %d, address %p", signal_number, information->si_addr);
}

void failure_catch_crashes(void)
{
    static char stack[1 << 16];
    sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, NULL);
    struct sigaction action = {.sa_sigaction = note_crash,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
}

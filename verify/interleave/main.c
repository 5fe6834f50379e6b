/* explore: runs scenarios of the synchronized objects under every schedule.
 *
 *   explore --list
 *   explore --litmus        the litmus tests as a table: outcomes that C11 allows, that are reached, why
 *   explore [--unreduced] [--limit SCHEDULES] [--seconds SECONDS] [SCENARIO...]
 *   explore SCENARIO --replay SCHEDULE
 *   explore SCENARIO --events COUNT     what happened in so many random executions, for verify/tla/traces
 *
 * One line a scenario, tab-separated: name, ok or FAIL, schedules, executions that were cut off because
 * they would have repeated one, complete or what bounded it, seconds. A failure is followed by what
 * went wrong and the schedule. Exit status: 0 all held, 1 something failed, 2 usage. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "failure.h"
#include "heap.h"
#include "scenario.h"
#include "scheduler.h"
#include "search.h"
#include "trace.h"

static const scenario *const tables[] = {
    scenarios_allocator,
    scenarios_batch,
    scenarios_batch_kind,
    scenarios_batch_queue,
    scenarios_callbacks,
    scenarios_cancel,
    scenarios_device,
    scenarios_device_queue,
    scenarios_device_watcher,
    scenarios_event,
    scenarios_future,
    scenarios_litmus,
    scenarios_elementwise_kernels,
    scenarios_memory_account,
    scenarios_model_async,
    scenarios_model_run,
    scenarios_plan_cache,
    scenarios_runners,
    scenarios_reclaim,
    scenarios_registry,
    scenarios_slot_pool,
    scenarios_strategies,
    scenarios_stream,
    scenarios_team,
    scenarios_timeline,
};

static uint64_t outcomes_seen;

void scenario_outcome(uint32_t number)
{
    outcomes_seen |= UINT64_C(1) << number;
}

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Without any reduction: to check the reduction itself on small scenarios. */
static bool every_schedule;

static const scenario *find_scenario(const char *name)
{
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        for (const scenario *at = tables[i]; at->name != NULL; at++) {
            if (strcmp(at->name, name) == 0) {
                return at;
            }
        }
    }
    return NULL;
}

static uint32_t old_loads_of(const scenario *what)
{
    return what->preemptions == 0 ? UINT32_MAX : what->old_loads;
}

/* Explores one scenario; whether nothing failed. */
static bool explore(const scenario *what, uint64_t limit, double seconds)
{
    uint32_t preemptions = every_schedule ? UINT32_MAX : what->preemptions;
    search_begin((search_options){
        .bounded = preemptions != 0, .preemptions = preemptions, .spurious = what->spurious != 0});
    uint64_t complete = 0, redundant = 0;
    outcomes_seen = 0;
    double start = seconds_now();
    bool failed = false, cut = false;
    do {
        execution_end end =
            scheduler_execute(what->run, what->spurious, old_loads_of(what), what->weak);
        complete += end != EXECUTION_REDUNDANT;
        redundant += end == EXECUTION_REDUNDANT;
        failed = end == EXECUTION_FAILED;
        cut =
            (limit != 0 && complete >= limit) ||
            (seconds > 0 && ((complete + redundant) & 255) == 0 && seconds_now() - start > seconds);
    } while (!failed && !cut && search_next());
    if (!failed && !cut && what->outcomes != 0 && outcomes_seen != what->outcomes) {
        failed = true;
        failure_between("outcomes", "%#llx are possible, not %#llx",
                        (unsigned long long)outcomes_seen, (unsigned long long)what->outcomes);
    }
    char bound[64] = "complete";
    if (failed) {
        snprintf(bound, sizeof bound, "until it failed");
    } else if (cut) {
        snprintf(bound, sizeof bound, "cut off");
    } else if (preemptions != 0 && !every_schedule) {
        snprintf(bound, sizeof bound, "%u preemptions, %u old", preemptions, what->old_loads);
    }
    printf("%s\t%s\t%llu\t%llu\t%s\t%.1f\n", what->name, failed ? "FAIL" : "ok",
           (unsigned long long)complete, (unsigned long long)redundant, bound,
           seconds_now() - start);
    if (failed) {
        printf("  %s\n", failure_text());
        if (failure_schedule()[0] != '\0') {
            printf("  explore %s --replay %s\n", what->name, failure_schedule());
        }
    }
    fflush(stdout);
    return !failed;
}

static int replay(const scenario *what, const char *schedule)
{
    if (!search_begin_replay(schedule)) {
        fprintf(stderr, "explore: this is no schedule: %s\n", schedule);
        return 2;
    }
    trace_is_on = true;
    execution_end end =
        scheduler_execute(what->run, what->spurious, old_loads_of(what), what->weak);
    printf("%s\n", end == EXECUTION_FAILED ? failure_text() : "nothing failed");
    return end == EXECUTION_FAILED ? 1 : 0;
}

/* Prints the events of executions by chance, where loads return the newest store. One that fails ends there. */
static int print_events(const scenario *what, uint64_t count)
{
    search_begin_random(1);
    trace_is_on = trace_is_short = true;
    bool ok = true;
    do {
        printf("execution\n");
        bool complete =
            scheduler_execute(what->run, what->spurious, 0, false) == EXECUTION_COMPLETE;
        printf("%s\n", complete ? "complete" : "failed");
        ok = ok && complete;
    } while (--count > 0 && search_next());
    return ok ? 0 : 1;
}

/* The numbers of a set, with ranges. */
static void print_set(uint64_t set)
{
    const char *comma = "";
    for (int i = 0; i < 64; i++) {
        if ((set >> i & 1) == 0) {
            continue;
        }
        int last = i;
        while (last < 63 && (set >> (last + 1) & 1) != 0) {
            last++;
        }
        printf(last == i ? "%s%d" : last == i + 1 ? "%s%d, %d" : "%s%d to %d", comma, i, last);
        comma = ", ";
        i = last;
    }
}

/* A row for each litmus test; false where one differs from C11 and does not say why, or reaches more. */
static bool print_litmus(void)
{
    bool ok = true;
    for (const scenario *at = scenarios_litmus; at->name != NULL; at++) {
        uint64_t allowed = at->allowed == 0 ? at->outcomes : at->allowed;
        printf("| %s | ", strchr(at->name, '.') + 1);
        print_set(allowed);
        printf(" | ");
        print_set(at->outcomes);
        printf(" | %s |\n", at->why == NULL ? "" : at->why);
        ok = ok && (at->outcomes & ~allowed) == 0 && (at->outcomes == allowed) == (at->why == NULL);
    }
    return ok;
}

static int usage(void)
{
    fprintf(stderr, "usage: explore --list | explore [--unreduced] [--limit SCHEDULES] "
                    "[--seconds SECONDS] [SCENARIO...] | explore SCENARIO --replay SCHEDULE\n");
    return 2;
}

static bool explore_all(uint64_t limit, double seconds, bool only_list)
{
    bool ok = true;
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        for (const scenario *at = tables[i]; at->name != NULL; at++) {
            if (only_list) {
                printf("%s\n", at->name);
            } else {
                ok = explore(at, limit, seconds) && ok;
            }
        }
    }
    return ok;
}

int main(int count, char **arguments)
{
    uint64_t limit = 0;
    double seconds = 0;
    const char *schedule = NULL;
    bool ok = true, any = false;
    if (!heap_open()) {
        fprintf(stderr, "explore: cannot map memory at a fixed address\n");
        return 2;
    }
    failure_catch_crashes();
    for (int i = 1; i < count; i++) {
        bool more = i + 1 < count;
        if (strcmp(arguments[i], "--list") == 0) {
            explore_all(0, 0, true);
            return 0;
        } else if (strcmp(arguments[i], "--litmus") == 0) {
            return print_litmus() ? 0 : 1;
        } else if (strcmp(arguments[i], "--limit") == 0 && more) {
            limit = strtoull(arguments[++i], NULL, 10);
        } else if (strcmp(arguments[i], "--seconds") == 0 && more) {
            seconds = strtod(arguments[++i], NULL);
        } else if (strcmp(arguments[i], "--unreduced") == 0) {
            every_schedule = true;
        } else if (find_scenario(arguments[i]) == NULL) {
            return usage();
        } else if (i + 2 < count && strcmp(arguments[i + 1], "--replay") == 0) {
            schedule = arguments[i + 2];
            return replay(find_scenario(arguments[i]), schedule);
        } else if (i + 2 < count && strcmp(arguments[i + 1], "--events") == 0) {
            return print_events(find_scenario(arguments[i]), strtoull(arguments[i + 2], NULL, 10));
        } else {
            any = true;
            ok = explore(find_scenario(arguments[i]), limit, seconds) && ok;
        }
    }
    if (!any) {
        ok = explore_all(limit, seconds, false);
    }
    return ok ? 0 : 1;
}

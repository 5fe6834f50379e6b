/* Scenarios of the cancel token: its handle is given back while runs look at it. */
#include "runtime/cancel.h"

#include "../scenario.h"

/* A run of hd_model_run_with, which has the caller's handle at its beginning. */
static void run(void *argument)
{
    hd_cancel *cancel = argument;
    bool first = hd_cancel_is_set(cancel), second = hd_cancel_is_set(cancel);
    scenario_require("ONCE.stays-set", !first || second);
    hd_cancel_destroy(&cancel);
    scenario_require("SAFE.no-handle", cancel == NULL);
}

static void set_and_destroy(void *argument)
{
    hd_cancel *cancel = argument;
    hd_cancel_set(cancel);
    hd_cancel_destroy(&cancel);
}

static void set(void *argument)
{
    hd_cancel_set(argument);
}

static hd_cancel *token_for(uint32_t runs)
{
    hd_cancel *cancel;
    scenario_require("explorer", hd_cancel_create(&cancel, NULL) == HD_OK);
    trace_name(cancel, sizeof *cancel, "token");
    for (uint32_t i = 0; i < runs; i++) {
        hd_cancel_retain(cancel);
    }
    return cancel;
}

static void destroyed_under_a_run(void)
{
    hd_cancel *cancel = token_for(1);
    hd_thread threads[2];
    scenario_start(&threads[0], "run", run, cancel);
    scenario_start(&threads[1], "setter", set_and_destroy, cancel);
    hd_thread_join(&threads[0]);
    hd_thread_join(&threads[1]);
}

static void destroyed_under_two_runs(void)
{
    hd_cancel *cancel = token_for(2);
    hd_thread threads[3];
    scenario_start(&threads[0], "run", run, cancel);
    scenario_start(&threads[1], "run", run, cancel);
    scenario_start(&threads[2], "setter", set_and_destroy, cancel);
    for (uint32_t i = 0; i < 3; i++) {
        hd_thread_join(&threads[i]);
    }
}

/* Whoever sees that a setter has ended sees the token set. */
static void set_is_seen(void)
{
    hd_cancel *cancel = token_for(0);
    hd_thread threads[2];
    hd_cancel_retain(cancel);
    scenario_start(&threads[0], "run", run, cancel);
    scenario_start(&threads[1], "setter", set, cancel);
    hd_thread_join(&threads[1]);
    scenario_require("ONCE.set", hd_cancel_is_set(cancel));
    hd_thread_join(&threads[0]);
    hd_cancel_destroy(&cancel);
}

const scenario scenarios_cancel[] = {
    {.name = "cancel.destroyed-under-a-run", .run = destroyed_under_a_run},
    {.name = "cancel.destroyed-under-two-runs", .run = destroyed_under_two_runs},
    {.name = "cancel.set-is-seen", .run = set_is_seen},
    {.name = NULL},
};

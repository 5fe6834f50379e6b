#include "cli/measure.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "cli/latency.h"
#include "cli/malloc_count.h"
#include "cli/process.h"

const double hd_measure_percentiles[MEASURE_PERCENTILES] = {0.01, 0.05, 0.1, 0.25, 0.4, 0.5,
                                                            0.6,  0.75, 0.9, 0.95, 0.99};

/* The span of time that counts, shared by all callers. */
typedef struct hd_window {
    double seconds;
    double warm_up;
    _Atomic uint32_t cold;   /* callers that are not warm yet */
    _Atomic uint32_t inside; /* callers that have not passed the end yet */
    _Atomic double start;    /* 0 until the window opens */
    _Atomic bool failed;     /* one caller's run failed: nobody waits for it */
    int64_t mallocs_before;  /* written by the caller who opens, read by the one who closes */
    int64_t mallocs;
    uint64_t resident_bytes;
} hd_window;

typedef struct hd_caller_state {
    hd_window *window;
    const hd_measure_caller *caller;
    hd_latency_histogram *latencies;
    double runs;
    hd_error error;
} hd_caller_state;

static void note_warm(hd_window *window)
{
    /* acq_rel: the last one comes after every other's warm-up, mallocs included. */
    if (atomic_fetch_sub_explicit(&window->cold, 1, memory_order_acq_rel) == 1) {
        window->mallocs_before = hd_malloc_count_read();
        /* release: pairs with the acquire in record_run and with the chain through `inside`. */
        atomic_store_explicit(&window->start, hd_process_clock(), memory_order_release);
    }
}

static void note_passed(hd_window *window)
{
    if (atomic_fetch_sub_explicit(&window->inside, 1, memory_order_acq_rel) == 1) {
        window->mallocs = hd_malloc_count_read() - window->mallocs_before;
        window->resident_bytes = hd_process_resident_bytes();
    }
}

/* True once `now` is past the window's end. */
static bool record_run(hd_caller_state *state, double began, double now)
{
    double start = atomic_load_explicit(&state->window->start, memory_order_acquire);
    if (start == 0) {
        return false;
    }
    double end = start + state->window->seconds;
    double inside = (now < end ? now : end) - (began > start ? began : start);
    if (inside > 0) {
        state->runs += inside / (now - began);
        hd_latency_record(state->latencies, now - began);
    }
    return now >= end;
}

hd_status hd_measure_run_once(const hd_measure_caller *caller, hd_error *error)
{
    if (caller->batch == NULL) {
        return hd_model_run(caller->model, caller->inputs, caller->input_count, caller->outputs,
                            caller->output_count, error);
    }
    hd_future *future = NULL;
    hd_status status = hd_batch_submit(caller->batch, caller->inputs, caller->input_count,
                                       caller->outputs, caller->output_count, NULL, &future, error);
    if (status == HD_OK) {
        status = hd_future_wait(future, HD_WAIT_FOREVER, error);
        hd_future_destroy(&future);
    }
    return status;
}

static void run_caller(void *context)
{
    hd_caller_state *state = context;
    hd_window *window = state->window;
    const hd_measure_caller *caller = state->caller;
    bool warm = false, passed = false;
    uint32_t warm_runs = 0;
    double first = hd_process_clock(), began = first;
    while (atomic_load_explicit(&window->inside, memory_order_relaxed) > 0 &&
           !atomic_load_explicit(&window->failed, memory_order_relaxed)) {
        if (hd_measure_run_once(caller, &state->error) != HD_OK) {
            atomic_store_explicit(&window->failed, true, memory_order_relaxed);
            return;
        }
        double now = hd_process_clock();
        if (!warm && ++warm_runs >= 2 && now - first >= window->warm_up) {
            warm = true;
            note_warm(window);
        }
        if (record_run(state, began, now) && !passed) {
            passed = true;
            note_passed(window);
        }
        began = now;
    }
}

static void summarize(hd_caller_state *states, size_t count, const hd_window *window,
                      hd_measure_result *out_result)
{
    double runs = 0;
    for (size_t i = 0; i < count; i++) {
        runs += states[i].runs;
        if (i > 0) {
            hd_latency_add(states[0].latencies, states[i].latencies);
        }
    }
    *out_result = (hd_measure_result){.runs_per_s = runs / window->seconds,
                                      .p50_s = hd_latency_percentile(states[0].latencies, 0.50),
                                      .p95_s = hd_latency_percentile(states[0].latencies, 0.95),
                                      .p99_s = hd_latency_percentile(states[0].latencies, 0.99),
                                      .mallocs = hd_malloc_count_read() < 0 ? -1 : window->mallocs,
                                      .resident_bytes = window->resident_bytes};
    for (size_t i = 0; i < MEASURE_PERCENTILES; i++) {
        out_result->percentiles_s[i] =
            hd_latency_percentile(states[0].latencies, hd_measure_percentiles[i]);
    }
}

hd_exit_code hd_measure_runs(const hd_measure_caller *callers, size_t count, double warm_up,
                             double seconds, hd_measure_result *out_result)
{
    hd_window window = {.seconds = seconds, .warm_up = warm_up};
    atomic_init(&window.cold, (uint32_t)count);
    atomic_init(&window.inside, (uint32_t)count);
    hd_caller_state *states = calloc(count, sizeof *states);
    hd_latency_histogram *latencies = calloc(count, sizeof *latencies);
    if (states == NULL || latencies == NULL) {
        free(states);
        free(latencies);
        return hd_failure_print_memory();
    }
    for (size_t i = 0; i < count; i++) {
        states[i] =
            (hd_caller_state){.window = &window, .caller = &callers[i], .latencies = &latencies[i]};
    }
    hd_exit_code code = hd_process_run_threads(count, run_caller, states, sizeof *states);
    for (size_t i = 0; i < count && code == EXIT_CODE_OK; i++) {
        if (states[i].error.status != HD_OK) {
            code = hd_failure_print_error(&states[i].error);
        }
    }
    if (code == EXIT_CODE_OK) {
        summarize(states, count, &window, out_result);
    }
    free(latencies);
    free(states);
    return code;
}

/* Measure: how many runs a second a number of callers get from one model, each on a thread of its
 * own.
 *
 * The window opens when every caller is warm, and the callers go on until each has passed its end,
 * so that the load is the same from before it until after it. A run across one of its edges counts
 * by its part inside. The loop allocates nothing.
 *
 * Thread-safety: one measurement at a time a process, since it counts the process's mallocs. */
#ifndef HEDDLE_CLI_MEASURE_H
#define HEDDLE_CLI_MEASURE_H

#include "cli/failure.h"
#include "heddle/batch.h"

/* What one thread calls with. `outputs` belong to it alone. */
typedef struct hd_measure_caller {
    hd_model *model;
    hd_batch *batch; /* of the model, to go through; NULL: the model is run directly */
    const hd_tensor *inputs;
    size_t input_count;
    hd_tensor
        *outputs; /* without data: allocated by the caller's first run, and reused from then on */
    size_t output_count;
} hd_measure_caller;

#define MEASURE_PERCENTILES 11
extern const double hd_measure_percentiles[MEASURE_PERCENTILES]; /* 0.01 to 0.99 */

typedef struct hd_measure_result {
    double runs_per_s;
    double p50_s;
    double p95_s;
    double p99_s;
    double percentiles_s[MEASURE_PERCENTILES]; /* those of hd_measure_percentiles */
    int64_t mallocs;         /* of the process, in the window; -1 where they are not counted */
    uint64_t resident_bytes; /* at the window's end */
} hd_measure_result;

/* One run as a caller does it. */
hd_status hd_measure_run_once(const hd_measure_caller *caller, hd_error *error);

/* Each caller is warm after warm_up seconds and two runs at least: the first one makes plan and
 * outputs. A code with a sentence where a run failed or memory or threads ran out. */
hd_exit_code hd_measure_runs(const hd_measure_caller *callers, size_t count, double warm_up,
                             double seconds, hd_measure_result *out_result);

#endif

/* heddle bench memory: what is resident, and what is allocated, while warm runs go on. */
#include <stdlib.h>
#include <string.h>

#include "cli/cases.h"
#include "cli/measure.h"
#include "cli/process.h"
#include "cli/report.h"
#include "cli/session.h"
#include "cli/tensors.h"

#define WINDOWS   10 /* at least */
#define QUIET     5  /* windows in a row, at the end */
#define WARM_UP_S 0.3
#define CASE_NAME "transformer_b4s128d256h4"
#define SLACK     ((int64_t)1 << 20) /* the system counts pages in portions */

typedef struct hd_memory_bench {
    hd_model *model;
    hd_case_weights weights;
    hd_case_inputs inputs;
    hd_tensor *given; /* CASE_INPUTS_MAX a thread */
    hd_tensor *outputs;
    hd_measure_caller *callers;
} hd_memory_bench;

/* A lane of the device takes memory with the first run that comes to it, and which lane a run comes to follows from how busy the machine
 * is. So windows go on until some in a row are quiet; where each run takes memory, none is. */
typedef struct hd_memory_verdict {
    int quiet;            /* windows in a row, up to the last, in which nothing was taken */
    uint64_t first_bytes; /* resident behind the first of these, or the one before */
    uint64_t last_bytes;
    int64_t mallocs; /* of the last window that was not quiet; -1 where they are not counted */
} hd_memory_verdict;

static hd_exit_code open_bench(const hd_session *session, uint32_t threads, hd_memory_bench *bench)
{
    const hd_case_definition *definition = hd_case_find(CASE_NAME);
    hd_error error = {0};
    *bench = (hd_memory_bench){.given = calloc(threads, CASE_INPUTS_MAX * sizeof *bench->given),
                               .outputs = hd_tensors_allocate(threads),
                               .callers = calloc(threads, sizeof *bench->callers)};
    if (bench->given == NULL || bench->outputs == NULL || bench->callers == NULL ||
        !hd_case_weights_create(definition, &bench->weights) ||
        !hd_case_inputs_create(definition, threads, CASE_STEP_ALIGNED, &bench->inputs)) {
        return hd_failure_print_memory();
    }
    if (hd_case_model_create(session->device, definition, &bench->weights, false, &bench->model,
                             &error) != HD_OK) {
        return hd_failure_print_error(&error);
    }
    for (uint32_t i = 0; i < threads; i++) {
        hd_tensor *given = &bench->given[(size_t)i * CASE_INPUTS_MAX];
        hd_case_inputs_get(&bench->inputs, i, given);
        bench->callers[i] = (hd_measure_caller){.model = bench->model,
                                                .inputs = given,
                                                .input_count = definition->input_count,
                                                .outputs = &bench->outputs[i],
                                                .output_count = 1};
    }
    return EXIT_CODE_OK;
}

static void close_bench(hd_memory_bench *bench, uint32_t threads)
{
    hd_model_destroy(&bench->model);
    hd_tensors_release(&bench->outputs, threads);
    hd_case_inputs_free(&bench->inputs);
    hd_case_weights_free(&bench->weights);
    free(bench->given);
    free(bench->callers);
}

static void write_point(hd_report *report, double runs, const hd_measure_result *result)
{
    hd_json_writer *json = &report->json;
    hd_json_begin_object(json, NULL);
    hd_json_number(json, "runs", runs);
    hd_json_integer(json, "rss_bytes", (int64_t)result->resident_bytes);
    hd_json_integer(json, "mallocs", result->mallocs);
    hd_json_end_object(json);
    if (report->tables) {
        hd_report_progress(NULL);
        printf("%12.0f %12.2f %10lld\n", runs, (double)result->resident_bytes / (1 << 20),
               (long long)result->mallocs);
        fflush(stdout);
    }
}

static void add_window(hd_memory_verdict *verdict, const hd_measure_result *result,
                       bool counts_mallocs)
{
    int64_t grown = (int64_t)(result->resident_bytes - verdict->first_bytes);
    verdict->last_bytes = result->resident_bytes;
    verdict->quiet++;
    if (result->mallocs < 0) {
        verdict->mallocs = -1; /* a sanitizer, which keeps memory of its own */
        return;
    }
    if (verdict->first_bytes == 0 || grown > SLACK || (counts_mallocs && result->mallocs > 0)) {
        verdict->quiet = 0;
        verdict->first_bytes = result->resident_bytes;
        verdict->mallocs = result->mallocs;
    }
}

static hd_exit_code measure(hd_memory_bench *bench, uint32_t threads, double seconds,
                            bool counts_mallocs, hd_report *report, hd_memory_verdict *verdict)
{
    double runs = 0;
    *verdict = (hd_memory_verdict){0};
    for (int i = 0; i < WINDOWS || (verdict->quiet < QUIET && i < 3 * WINDOWS); i++) {
        hd_measure_result result;
        hd_report_progress("window %d …", i + 1);
        hd_exit_code code =
            hd_measure_runs(bench->callers, threads, WARM_UP_S, seconds / WINDOWS, &result);
        if (code != EXIT_CODE_OK) {
            return code;
        }
        runs += result.runs_per_s * seconds / WINDOWS;
        write_point(report, runs, &result);
        add_window(verdict, &result, counts_mallocs);
    }
    return EXIT_CODE_OK;
}

/* EXIT_CODE_CHECK with a sentence: memory was taken in too many windows. */
static hd_exit_code judge(const hd_memory_verdict *verdict)
{
    if (verdict->mallocs < 0 || verdict->quiet >= QUIET) {
        return EXIT_CODE_OK;
    }
    return hd_failure_print(
        EXIT_CODE_CHECK,
        "warm runs go on taking memory: only %d windows in a row were quiet; %lld MiB are "
        "resident, and a window allocated %lld times",
        verdict->quiet, (long long)(verdict->last_bytes >> 20), (long long)verdict->mallocs);
}

static hd_exit_code run(const hd_arguments *given)
{
    hd_report report;
    hd_session session = {0};
    hd_memory_bench bench = {0};
    hd_memory_verdict verdict = {0};
    uint64_t threads = 0;
    double seconds;
    hd_exit_code code =
        hd_arguments_number(given, "--threads", 1, ARGUMENTS_THREADS_MAX, 4, &threads);
    if (code == EXIT_CODE_OK) {
        code = hd_arguments_seconds(given, "--seconds", 10, &seconds);
    }
    if (code == EXIT_CODE_OK) {
        code = hd_report_open(given, &report);
    }
    if (code != EXIT_CODE_OK) {
        return code;
    }
    code = hd_session_open(given, NULL, &session);
    if (code == EXIT_CODE_OK) {
        code = open_bench(&session, (uint32_t)threads, &bench);
    }
    if (code == EXIT_CODE_OK) {
        hd_report_begin(&report, "bench memory", session.info.name, "points");
        if (report.tables) {
            printf("%12s %12s %10s\n", "runs", "RSS MiB", "mallocs");
        }
        code = measure(&bench, (uint32_t)threads, seconds, session.info.kind == HD_DEVICE_CPU,
                       &report, &verdict);
        hd_report_progress(NULL);
    }
    if (code == EXIT_CODE_OK) {
        hd_report_end_points(&report);
        hd_json_integer(&report.json, "peak_rss_bytes", (int64_t)hd_process_peak_resident_bytes());
        code = hd_report_end(&report);
    }
    if (code == EXIT_CODE_OK) {
        code = judge(&verdict);
    }
    close_bench(&bench, (uint32_t)threads);
    hd_session_close(&session);
    hd_report_close(&report);
    return code;
}

const hd_command hd_command_bench_memory = {
    .name = "bench memory",
    .summary = "Checks that memory does not grow with the number of runs.",
    .details =
        "T threads run a transformer block in 10 windows of time, with threads of their own each.\n"
        "Behind each it is noted what is resident (RSS), and how often the process allocated in "
        "the\n"
        "window. A window in which more than 1 MiB was added, or, on the cpu, anything allocated, "
        "is\n"
        "not quiet: that is a lane that was used for the first time, if it is rare. The last 5 "
        "must\n"
        "be quiet, for which up to 20 more are measured; in builds with a sanitizer all are.",
    .options = {{"--threads", "T", false, "threads that call (default: 4)"},
                {"--seconds", "S", false, "length of all windows (default: 10)"},
                {NULL, NULL, false, NULL}},
    .examples = {"heddle bench memory --json memory.json", NULL},
    .run = run,
};

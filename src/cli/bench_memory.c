/* heddle bench memory: what is resident, and what is allocated, while warm runs go on. */
#include <stdlib.h>
#include <string.h>

#include "cli/cases.h"
#include "cli/measure.h"
#include "cli/process.h"
#include "cli/report.h"
#include "cli/session.h"
#include "cli/tensors.h"

#define WINDOWS   10
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

typedef struct hd_memory_verdict {
    uint64_t first_bytes; /* resident behind the first window */
    uint64_t last_bytes;
    int64_t mallocs; /* of all windows; -1 where they are not counted */
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

static hd_exit_code measure(hd_memory_bench *bench, uint32_t threads, double seconds,
                            hd_report *report, hd_memory_verdict *out_verdict)
{
    double runs = 0;
    *out_verdict = (hd_memory_verdict){0};
    for (int i = 0; i < WINDOWS; i++) {
        hd_measure_result result;
        hd_report_progress("window %d of %d …", i + 1, WINDOWS);
        hd_exit_code code =
            hd_measure_runs(bench->callers, threads, WARM_UP_S, seconds / WINDOWS, &result);
        if (code != EXIT_CODE_OK) {
            return code;
        }
        runs += result.runs_per_s * seconds / WINDOWS;
        write_point(report, runs, &result);
        out_verdict->first_bytes = i == 0 ? result.resident_bytes : out_verdict->first_bytes;
        out_verdict->last_bytes = result.resident_bytes;
        out_verdict->mallocs = result.mallocs < 0 ? -1 : out_verdict->mallocs + result.mallocs;
    }
    return EXIT_CODE_OK;
}

/* EXIT_CODE_CHECK with a sentence: memory grew, or warm runs allocated where they must not. */
static hd_exit_code judge(const hd_memory_verdict *verdict, const hd_device_info *info)
{
    int64_t grown = (int64_t)(verdict->last_bytes - verdict->first_bytes);
    if (verdict->mallocs < 0) {
        return EXIT_CODE_OK; /* a sanitizer, which keeps memory of its own */
    }
    if (grown > SLACK) {
        return hd_failure_print(EXIT_CODE_CHECK, "%lld KiB more are resident than in the beginning",
                                (long long)(grown >> 10));
    }
    if (verdict->mallocs > 0 && info->kind == HD_DEVICE_CPU) {
        return hd_failure_print(EXIT_CODE_CHECK, "warm runs allocated memory %lld times",
                                (long long)verdict->mallocs);
    }
    return EXIT_CODE_OK;
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
        code = measure(&bench, (uint32_t)threads, seconds, &report, &verdict);
        hd_report_progress(NULL);
    }
    if (code == EXIT_CODE_OK) {
        hd_report_end_points(&report);
        hd_json_integer(&report.json, "peak_rss_bytes", (int64_t)hd_process_peak_resident_bytes());
        code = hd_report_end(&report);
    }
    if (code == EXIT_CODE_OK) {
        code = judge(&verdict, &session.info);
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
        "window. More than 1 MiB more at the end than behind the first window fails, as does an\n"
        "allocation on the cpu; in builds with a sanitizer, which cannot tell, nothing does.",
    .options = {{"--threads", "T", false, "threads that call (default: 4)"},
                {"--seconds", "S", false, "length of all windows (default: 10)"},
                {NULL, NULL, false, NULL}},
    .examples = {"heddle bench memory --json memory.json", NULL},
    .run = run,
};

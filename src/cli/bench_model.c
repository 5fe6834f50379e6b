/* heddle bench model: runs a second and latencies of one model under a number of threads. */
#include <stdlib.h>

#include "cli/measure.h"
#include "cli/process.h"
#include "cli/report.h"
#include "cli/session.h"
#include "cli/tensors.h"

#define WARM_UP_S 0.3

static void write_point(hd_report *report, uint32_t threads, int64_t batch,
                        const hd_measure_result *result)
{
    hd_json_writer *json = &report->json;
    hd_json_begin_object(json, NULL);
    hd_json_integer(json, "threads", threads);
    hd_json_integer(json, "batch", batch);
    hd_json_number(json, "runs_per_s", result->runs_per_s);
    hd_json_number(json, "p50_ms", result->p50_s * 1e3);
    hd_json_number(json, "p95_ms", result->p95_s * 1e3);
    hd_json_number(json, "p99_ms", result->p99_s * 1e3);
    hd_json_integer(json, "steady_state_mallocs", result->mallocs);
    hd_json_integer(json, "rss_bytes", (int64_t)result->resident_bytes);
    hd_json_end_object(json);
    if (report->tables) {
        hd_report_progress(NULL);
        printf("%8u %10.1f %9.3f %9.3f %9.3f %8lld %9.1f\n", threads, result->runs_per_s,
               result->p50_s * 1e3, result->p95_s * 1e3, result->p99_s * 1e3,
               (long long)result->mallocs, (double)result->resident_bytes / (1 << 20));
        fflush(stdout);
    }
}

static hd_exit_code measure_threads(const hd_session *session, const hd_tensor_list *inputs,
                                    uint32_t threads, double seconds, hd_measure_result *out_result)
{
    size_t output_count = hd_model_output_count(session->model);
    hd_measure_caller *callers = calloc(threads, sizeof *callers);
    hd_exit_code code = callers == NULL ? hd_failure_print_memory() : EXIT_CODE_OK;
    for (uint32_t i = 0; i < threads && code == EXIT_CODE_OK; i++) {
        callers[i] = (hd_measure_caller){.model = session->model,
                                         .inputs = inputs->tensors,
                                         .input_count = inputs->count,
                                         .outputs = hd_tensors_allocate(output_count),
                                         .output_count = output_count};
        code = callers[i].outputs == NULL ? hd_failure_print_memory() : EXIT_CODE_OK;
    }
    if (code == EXIT_CODE_OK) {
        code = hd_measure_runs(callers, threads, WARM_UP_S, seconds, out_result);
    }
    for (uint32_t i = 0; callers != NULL && i < threads; i++) {
        hd_tensors_release(&callers[i].outputs, output_count);
    }
    free(callers);
    return code;
}

/* The first dimension of the first input that has one. */
static int64_t batch_of(const hd_tensor_list *inputs)
{
    for (size_t i = 0; i < inputs->count; i++) {
        if (inputs->tensors[i].rank > 0) {
            return inputs->tensors[i].dims[0];
        }
    }
    return 1;
}

static hd_exit_code bench(const hd_session *session, const hd_tensor_list *inputs,
                          const hd_thread_list *threads, double seconds, hd_report *report)
{
    hd_exit_code code = EXIT_CODE_OK;
    hd_report_begin(report, "bench model", session->info.name, "points");
    if (report->tables) {
        for (size_t i = 0; i < inputs->count; i++) {
            hd_value_info info = {.struct_size = sizeof info};
            char text[128];
            if (hd_model_input_info(session->model, i, &info) == HD_OK) {
                hd_tensor_describe(&inputs->tensors[i], text, sizeof text);
                printf("%s: %s\n", info.name, text);
            }
        }
        printf("%8s %10s %9s %9s %9s %8s %9s\n", "threads", "runs/s", "p50 ms", "p95 ms", "p99 ms",
               "mallocs", "RSS MiB");
    }
    for (size_t i = 0; i < threads->count && code == EXIT_CODE_OK; i++) {
        hd_measure_result result;
        hd_report_progress("%u threads, %.1f s …", threads->counts[i], seconds);
        code = measure_threads(session, inputs, threads->counts[i], seconds, &result);
        if (code == EXIT_CODE_OK) {
            write_point(report, threads->counts[i], batch_of(inputs), &result);
        }
    }
    hd_report_progress(NULL);
    hd_report_end_points(report);
    hd_json_integer(&report->json, "peak_rss_bytes", (int64_t)hd_process_peak_resident_bytes());
    return code == EXIT_CODE_OK ? hd_report_end(report) : code;
}

static hd_exit_code run(const hd_arguments *given)
{
    hd_report report;
    hd_session session = {0};
    hd_tensor_list inputs = {0};
    hd_thread_list threads;
    double seconds = 0;
    hd_exit_code code = hd_arguments_threads(given, "1,2,4,8", &threads);
    if (code == EXIT_CODE_OK) {
        code = hd_arguments_seconds(given, "--seconds", 2, &seconds);
    }
    if (code == EXIT_CODE_OK) {
        code = hd_report_open(given, &report);
    }
    if (code != EXIT_CODE_OK) {
        return code;
    }
    code = hd_session_open(given, hd_arguments_positional(given), &session);
    if (code == EXIT_CODE_OK) {
        code = hd_tensor_list_load(given, session.model, true, &inputs);
    }
    if (code == EXIT_CODE_OK) {
        code = bench(&session, &inputs, &threads, seconds, &report);
    }
    hd_tensor_list_free(&inputs);
    hd_session_close(&session);
    hd_report_close(&report);
    return code;
}

const hd_command hd_command_bench_model = {
    .name = "bench model",
    .positional = "MODEL",
    .summary = "Measures runs a second and latencies of a model under a number of threads.",
    .details =
        "Inputs that are not given are made up: floats from a normal distribution of fixed seed,\n"
        "all others 1. All threads share model and inputs; each owns its outputs. The window\n"
        "opens when every thread is warm; a run across its edge counts by the part inside.\n"
        "'mallocs' are calls of malloc and its family by the whole process in the window (-1 in\n"
        "builds with a sanitizer, which cannot count them).",
    .options = {{"--input", "NAME=FILE", true, "an input, .npy or .pb"},
                {"--shape", "NAME=1x128", true, "the shape of an input to make up"},
                {"--threads", "LIST", false, "numbers of threads (default: 1,2,4,8)"},
                {"--seconds", "S", false, "length of a measurement (default: 2)"},
                {"--work-limit", "STEPS", false, "steps of a run at most, see heddle/model.h"},
                {"--run-memory-limit", "BYTES", false, "memory of a run at most, likewise"},
                {"--precision", "NAME", false, HD_SESSION_PRECISIONS},
                {"--memory-limit", "BYTES", false, "memory of the device at most (default: none)"},
                {NULL, NULL, false, NULL}},
    .examples = {"heddle bench model model.onnx --shape x=1x3x224x224",
                 "heddle bench model model.onnx --input x=x.npy --threads 1,8 --json bench.json",
                 NULL},
    .run = run,
};

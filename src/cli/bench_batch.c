/* heddle bench batch: requests a second through batch queues, and beside it those of direct calls. */
#include <stdlib.h>

#include "cli/batch_load.h"
#include "cli/process.h"
#include "cli/report.h"
#include "cli/session.h"
#include "cli/tensors.h"

#define ROUNDS          4 /* parts of a measurement; those of all settings alternate */
#define WARM_UP_S       0.2
#define EMPTY_IN_FLIGHT 64
#define EMPTY_ROWS      64
#define MODEL_ROWS      8

/* What the options say. */
typedef struct hd_batch_settings {
    hd_thread_list threads;
    hd_thread_list workers;
    uint64_t in_flight;
    uint64_t max_rows;
    uint64_t delay_us;
    double seconds;
} hd_batch_settings;

/* One number of threads with one of workers; without a batch the threads call the model themselves. */
typedef struct hd_batch_point {
    uint32_t threads;
    uint32_t workers;
    hd_batch *batch;
    double requests_per_s;    /* a sum over the rounds */
    hd_batch_statistics warm; /* when the warm-up had ended */
} hd_batch_point;

static void write_point(hd_report *report, const hd_batch_point *point, uint64_t in_flight)
{
    hd_batch_statistics statistics = {.struct_size = sizeof statistics};
    hd_json_writer *json = &report->json;
    double rate = point->requests_per_s / ROUNDS, mean = 1;
    if (point->batch != NULL && hd_batch_get_statistics(point->batch, &statistics) == HD_OK) {
        mean = (double)(statistics.rows - point->warm.rows) /
               (double)(statistics.batches - point->warm.batches);
    }
    hd_json_begin_object(json, NULL);
    hd_json_integer(json, "threads", point->threads);
    hd_json_integer(json, "workers", point->workers);
    hd_json_integer(json, "in_flight", point->batch == NULL ? 1 : (int64_t)in_flight);
    hd_json_number(json, "requests_per_s", rate);
    hd_json_number(json, "mean_batch", mean);
    hd_json_end_object(json);
    if (report->tables) {
        hd_report_progress(NULL);
        printf("%8u %8u %9u %14.1f %10.2f\n", point->threads, point->workers,
               point->batch == NULL ? 1 : (uint32_t)in_flight, rate, mean);
        fflush(stdout);
    }
}

static hd_exit_code run_part(const hd_session *session, const hd_tensor_list *inputs,
                             const hd_batch_settings *settings, hd_batch_point *point,
                             double seconds, double *out_rate)
{
    hd_batch_load load = {.model = session->model,
                          .batch = point->batch,
                          .inputs = inputs->tensors,
                          .input_count = inputs->count,
                          .threads = point->threads,
                          .in_flight = (uint32_t)settings->in_flight,
                          .seconds = seconds};
    return hd_batch_load_run(&load, out_rate);
}

static hd_exit_code open_point(const hd_session *session, const hd_tensor_list *inputs,
                               const hd_batch_settings *settings, hd_batch_point *point)
{
    hd_error error = {0};
    double unused;
    hd_batch_options options = {.struct_size = sizeof options,
                                .worker_count = point->workers,
                                .max_rows = (uint32_t)settings->max_rows,
                                .max_delay_us = (uint32_t)settings->delay_us};
    if (point->workers > 0 &&
        hd_batch_create(session->model, &options, &point->batch, &error) != HD_OK) {
        return hd_failure_print_error(&error);
    }
    hd_exit_code code = run_part(session, inputs, settings, point, WARM_UP_S, &unused);
    point->warm.struct_size = sizeof point->warm;
    if (code == EXIT_CODE_OK && point->batch != NULL &&
        hd_batch_get_statistics(point->batch, &point->warm) != HD_OK) {
        code = hd_failure_print(EXIT_CODE_DEFECT, "a batch queue has no statistics");
    }
    return code;
}

/* All settings of one number of threads: direct calls first, then each number of workers. */
static hd_exit_code bench_threads(const hd_session *session, const hd_tensor_list *inputs,
                                  const hd_batch_settings *settings, uint32_t threads,
                                  hd_report *report)
{
    hd_batch_point points[ARGUMENTS_LIST_MAX + 1] = {{.threads = threads}};
    size_t count = settings->workers.count + 1;
    hd_exit_code code = EXIT_CODE_OK;
    for (size_t i = 0; i < count && code == EXIT_CODE_OK; i++) {
        points[i].threads = threads;
        points[i].workers = i == 0 ? 0 : settings->workers.counts[i - 1];
        code = open_point(session, inputs, settings, &points[i]);
    }
    for (size_t round = 0; round < ROUNDS * count && code == EXIT_CODE_OK; round++) {
        hd_batch_point *point = &points[round % count];
        double rate = 0;
        hd_report_progress("%u threads, %u workers …", threads, point->workers);
        code = run_part(session, inputs, settings, point, settings->seconds / ROUNDS, &rate);
        point->requests_per_s += rate;
    }
    hd_report_progress(NULL);
    for (size_t i = 0; i < count; i++) {
        if (code == EXIT_CODE_OK) {
            write_point(report, &points[i], settings->in_flight);
        }
        hd_batch_destroy(&points[i].batch);
    }
    return code;
}

static hd_exit_code parse_settings(const hd_arguments *given, hd_batch_settings *out_settings)
{
    bool is_empty = hd_arguments_positional(given) == NULL;
    hd_exit_code code = hd_arguments_threads(given, "8", &out_settings->threads);
    if (code == EXIT_CODE_OK) {
        code = hd_arguments_list(given, "--workers", "1,2", &out_settings->workers);
    }
    if (code == EXIT_CODE_OK) {
        code = hd_arguments_number(given, "--in-flight", 1, 1024, is_empty ? EMPTY_IN_FLIGHT : 1,
                                   &out_settings->in_flight);
    }
    if (code == EXIT_CODE_OK) {
        code = hd_arguments_number(given, "--max-rows", 1, 4096, is_empty ? EMPTY_ROWS : MODEL_ROWS,
                                   &out_settings->max_rows);
    }
    if (code == EXIT_CODE_OK) {
        code = hd_arguments_number(given, "--delay-us", 0, 1000000, 0, &out_settings->delay_us);
    }
    if (code == EXIT_CODE_OK) {
        code = hd_arguments_seconds(given, "--seconds", 2, &out_settings->seconds);
    }
    if (code == EXIT_CODE_OK && is_empty &&
        (hd_arguments_has(given, "--input") || hd_arguments_has(given, "--shape"))) {
        code = hd_failure_print(EXIT_CODE_USAGE, "--input and --shape are for a MODEL");
    }
    return code;
}

/* The input of the empty model: one row of one float. */
static hd_exit_code make_empty_input(hd_tensor_list *out_inputs)
{
    *out_inputs = (hd_tensor_list){.tensors = calloc(1, sizeof *out_inputs->tensors),
                                   .of_library = calloc(1, sizeof *out_inputs->of_library),
                                   .count = 1};
    if (out_inputs->tensors == NULL || out_inputs->of_library == NULL) {
        return hd_failure_print_memory();
    }
    out_inputs->tensors[0] = (hd_tensor){.dtype = HD_FLOAT32, .rank = 2, .dims = {1, 1}};
    return hd_tensor_fill(&out_inputs->tensors[0], 1) ? EXIT_CODE_OK : hd_failure_print_memory();
}

static hd_exit_code bench(const hd_arguments *given, const hd_batch_settings *settings,
                          hd_session *session, hd_tensor_list *inputs, hd_report *report)
{
    hd_exit_code code = hd_session_open(given, hd_arguments_positional(given), session);
    if (code == EXIT_CODE_OK && session->model == NULL) {
        code = hd_batch_load_model(session->device, &session->model);
        code = code == EXIT_CODE_OK ? make_empty_input(inputs) : code;
    } else if (code == EXIT_CODE_OK) {
        code = hd_tensor_list_load(given, session->model, true, inputs);
    }
    if (code != EXIT_CODE_OK) {
        return code;
    }
    hd_report_begin(report, "bench batch", session->info.name, "points");
    if (report->tables) {
        printf("%8s %8s %9s %14s %10s\n", "threads", "workers", "in flight", "requests/s",
               "mean batch");
    }
    for (size_t i = 0; i < settings->threads.count && code == EXIT_CODE_OK; i++) {
        code = bench_threads(session, inputs, settings, settings->threads.counts[i], report);
    }
    hd_report_end_points(report);
    hd_json_integer(&report->json, "peak_rss_bytes", (int64_t)hd_process_peak_resident_bytes());
    return code == EXIT_CODE_OK ? hd_report_end(report) : code;
}

static hd_exit_code run(const hd_arguments *given)
{
    hd_report report;
    hd_session session = {0};
    hd_tensor_list inputs = {0};
    hd_batch_settings settings;
    hd_exit_code code = parse_settings(given, &settings);
    if (code == EXIT_CODE_OK) {
        code = hd_report_open(given, &report);
    }
    if (code != EXIT_CODE_OK) {
        return code;
    }
    code = bench(given, &settings, &session, &inputs, &report);
    hd_tensor_list_free(&inputs);
    hd_session_close(&session);
    hd_report_close(&report);
    return code;
}

const hd_command hd_command_bench_batch = {
    .name = "bench batch",
    .positional = "[MODEL]",
    .summary = "Measures requests a second through batch queues, beside direct calls.",
    .details =
        "Each thread keeps requests in flight in one queue, whose workers run them together; the\n"
        "line with 0 workers is that of threads which call the model themselves. Settings\n"
        "alternate four times. Without a MODEL: an Identity on one float, 64 requests in flight a\n"
        "thread and at most 64 rows a batch. With one: one request in flight, at most 8 rows; its\n"
        "inputs are made up where they are not given.",
    .options = {{"--input", "NAME=FILE", true, "an input of MODEL, .npy or .pb"},
                {"--shape", "NAME=1x128", true, "the shape of an input of MODEL to make up"},
                {"--threads", "LIST", false, "numbers of threads (default: 8)"},
                {"--workers", "LIST", false, "numbers of batch workers (default: 1,2)"},
                {"--in-flight", "N", false, "requests in flight of each thread (default: 64, 1)"},
                {"--max-rows", "N", false, "rows of a batch at most (default: 64, 8)"},
                {"--delay-us", "N", false, "how long a worker waits for more (default: 0)"},
                {"--seconds", "S", false, "length of a measurement (default: 2)"},
                {"--work-limit", "STEPS", false, "steps of a run at most, see heddle/model.h"},
                {"--run-memory-limit", "BYTES", false, "memory of a run at most, likewise"},
                {"--precision", "NAME", false, HD_SESSION_PRECISIONS},
                {"--memory-limit", "BYTES", false, "memory of the device at most (default: none)"},
                {NULL, NULL, false, NULL}},
    .examples = {"heddle bench batch --workers 1,2,4",
                 "heddle bench batch model.onnx --shape input_ids=1x16 --json batch.json", NULL},
    .run = run,
};

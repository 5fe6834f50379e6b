/* heddle bench pipeline: what it brings to have several operations of one thread in flight. */
#include "cli/process.h"
#include "cli/queue_load.h"
#include "cli/report.h"
#include "cli/session.h"

#define OPERATIONS 500 /* of a thread, at least */

/* Operations in flight; the deeper ones for one thread only, since many threads are deep together. */
static const uint32_t depths[] = {1, 2, 4, 8, 16, 32};
#define DEPTHS_OF_MANY 4

static const char *const operation_names[] = {"kernel", "empty"};

static void write_point(hd_report *report, const hd_queue_load *load, double ops_per_s)
{
    hd_json_writer *json = &report->json;
    hd_json_begin_object(json, NULL);
    hd_json_string(json, "operation", operation_names[load->operation]);
    hd_json_integer(json, "threads", load->threads);
    hd_json_integer(json, "depth", load->in_flight);
    hd_json_number(json, "ops_per_s", ops_per_s);
    hd_json_end_object(json);
    if (report->tables) {
        hd_report_progress(NULL);
        printf("%-10s %8u %6u %12.0f\n", operation_names[load->operation], load->threads,
               load->in_flight, ops_per_s);
        fflush(stdout);
    }
}

static hd_exit_code bench_operation(const hd_session *session, hd_load_operation operation,
                                    const hd_thread_list *threads, double seconds,
                                    hd_report *report)
{
    hd_model *model = NULL;
    hd_exit_code code = hd_queue_load_model(session->device, operation, &model);
    for (size_t i = 0; i < threads->count && code == EXIT_CODE_OK; i++) {
        size_t count = threads->counts[i] == 1 ? sizeof depths / sizeof depths[0] : DEPTHS_OF_MANY;
        for (size_t j = 0; j < count && code == EXIT_CODE_OK; j++) {
            hd_queue_load load = {.device = session->device,
                                  .model = model,
                                  .operation = operation,
                                  .threads = threads->counts[i],
                                  .in_flight = depths[j],
                                  .operations = OPERATIONS,
                                  .seconds = seconds};
            double ops_per_s;
            hd_report_progress("%u threads, depth %u …", load.threads, load.in_flight);
            code = hd_queue_load_run(&load, &ops_per_s);
            if (code == EXIT_CODE_OK) {
                write_point(report, &load, ops_per_s);
            }
        }
    }
    hd_report_progress(NULL);
    hd_model_destroy(&model);
    return code;
}

static hd_exit_code run(const hd_arguments *given)
{
    hd_report report;
    hd_session session = {0};
    hd_thread_list threads;
    double seconds;
    hd_exit_code code = hd_arguments_threads(given, "1,8", &threads);
    if (code == EXIT_CODE_OK) {
        code = hd_queue_load_check_threads(&threads);
    }
    if (code == EXIT_CODE_OK) {
        code = hd_arguments_seconds(given, "--seconds", 0.5, &seconds);
    }
    if (code == EXIT_CODE_OK) {
        code = hd_report_open(given, &report);
    }
    if (code != EXIT_CODE_OK) {
        return code;
    }
    code = hd_session_open(given, NULL, &session);
    if (code == EXIT_CODE_OK) {
        hd_report_begin(&report, "bench pipeline", session.info.name, "points");
        if (report.tables) {
            printf("%-10s %8s %6s %12s\n", "operation", "threads", "depth", "ops/s");
        }
        code = bench_operation(&session, LOAD_OPERATION_KERNEL, &threads, seconds, &report);
    }
    if (code == EXIT_CODE_OK) {
        /* In an array of their own: a point is known by its threads and depth. */
        hd_report_end_points(&report);
        hd_json_begin_array(&report.json, "empty_points");
        code = bench_operation(&session, LOAD_OPERATION_EMPTY, &threads, seconds, &report);
    }
    if (code == EXIT_CODE_OK) {
        hd_report_end_points(&report);
        hd_json_integer(&report.json, "peak_rss_bytes", (int64_t)hd_process_peak_resident_bytes());
        code = hd_report_end(&report);
    }
    hd_session_close(&session);
    hd_report_close(&report);
    return code;
}

const hd_command hd_command_bench_pipeline = {
    .name = "bench pipeline",
    .summary = "Measures what several operations in flight bring over one at a time.",
    .details =
        "Each thread submits to a stream of its own, 500 times at least and for S seconds: "
        "'kernel'\n"
        "is v = sin(v)·cos(v) + v on 65,536 floats, ten times over, 'empty' passes one float on.\n"
        "One thread has 1 to 32 in flight, more threads 1 to 8 each.",
    .options = {{"--threads", "LIST", false, "numbers of threads, at most 31 (default: 1,8)"},
                {"--seconds", "S", false, "length of a measurement (default: 0.5)"},
                {NULL, NULL, false, NULL}},
    .examples = {"heddle bench pipeline --seconds 1 --json pipeline.json", NULL},
    .run = run,
};

/* heddle bench pipeline: what it brings to have several operations of one thread in flight. */
#include "cli/process.h"
#include "cli/queue_load.h"
#include "cli/report.h"
#include "cli/session.h"

#define OPERATIONS 500 /* of a thread, at least */

typedef struct hd_pipeline_part {
    uint32_t threads;
    uint32_t depth;
} hd_pipeline_part;

static const hd_pipeline_part parts[] = {{1, 1}, {1, 2}, {1, 4}, {1, 8}, {1, 16},
                                         {1, 32}, {8, 1}, {8, 2}, {8, 4}, {8, 8}};

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

static bool is_chosen(const hd_thread_list *threads, uint32_t count)
{
    for (size_t i = 0; i < threads->count; i++) {
        if (threads->counts[i] == count) {
            return true;
        }
    }
    return false;
}

static hd_exit_code bench_operation(const hd_session *session, hd_load_operation operation,
                                    const hd_thread_list *threads, double seconds,
                                    hd_report *report)
{
    hd_model *model = NULL;
    hd_exit_code code = hd_queue_load_model(session->device, operation, &model);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && code == EXIT_CODE_OK; i++) {
        hd_queue_load load = {.device = session->device,
                              .model = model,
                              .operation = operation,
                              .threads = parts[i].threads,
                              .in_flight = parts[i].depth,
                              .operations = OPERATIONS,
                              .seconds = seconds};
        double ops_per_s;
        if (!is_chosen(threads, load.threads)) {
            continue;
        }
        hd_report_progress("%u threads, depth %u …", load.threads, load.in_flight);
        code = hd_queue_load_run(&load, &ops_per_s);
        if (code == EXIT_CODE_OK) {
            write_point(report, &load, ops_per_s);
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
        "Each thread submits to a stream of its own, 500 times at least and for S seconds: 'kernel'\n"
        "is v = sin(v)·cos(v) + v on 65,536 floats, ten times over, 'empty' passes one float on.\n"
        "One thread with 1 to 32 in flight, and eight threads with 1 to 8.",
    .options = {{"--threads", "LIST", false, "which of 1 and 8 threads (default: 1,8)"},
                {"--seconds", "S", false, "length of a measurement (default: 0.5)"},
                {NULL, NULL, false, NULL}},
    .examples = {"heddle bench pipeline --seconds 1 --json pipeline.json", NULL},
    .run = run,
};

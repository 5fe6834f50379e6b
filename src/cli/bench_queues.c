/* heddle bench queues: one hardware queue that all threads share against a queue a thread, under each
 * strategy of synchronization, synchronous and with eight operations in flight. */
#include "cli/process.h"
#include "cli/queue_load.h"
#include "cli/report.h"

#define IN_FLIGHT  8
#define OPERATIONS 50 /* of a thread, at least */

typedef struct hd_runners_mode {
    const char *strategy;
    hd_sync_strategy sync_strategy;
    const char *queues;
    uint32_t queue_count;
} hd_runners_mode;

static const hd_runners_mode modes[] = {
    {"per-encoder", HD_SYNC_PER_ENCODER, "shared", 1},
    {"per-encoder", HD_SYNC_PER_ENCODER, "per-thread", 0},
    {"global", HD_SYNC_GLOBAL, "shared", 1},
    {"global", HD_SYNC_GLOBAL, "per-thread", 0},
};

static void write_point(hd_report *report, const hd_runners_mode *mode, const hd_queue_load *load,
                        double ops_per_s)
{
    hd_json_writer *json = &report->json;
    hd_json_begin_object(json, NULL);
    hd_json_string(json, "strategy", mode->strategy);
    hd_json_string(json, "queues", mode->queues);
    hd_json_integer(json, "in_flight", load->in_flight);
    hd_json_integer(json, "threads", load->threads);
    hd_json_number(json, "ops_per_s", ops_per_s);
    hd_json_end_object(json);
    if (report->tables) {
        hd_report_progress(NULL);
        printf("%-12s %-11s %9u %8u %12.0f\n", mode->strategy, mode->queues, load->in_flight,
               load->threads, ops_per_s);
        fflush(stdout);
    }
}

static hd_exit_code bench_mode(const hd_runners_mode *mode, hd_device *device,
                               const hd_thread_list *threads, double seconds, hd_report *report)
{
    hd_model *model = NULL;
    hd_exit_code code = hd_queue_load_model(device, LOAD_OPERATION_KERNEL, &model);
    for (uint32_t depth = 0; depth <= IN_FLIGHT && code == EXIT_CODE_OK; depth += IN_FLIGHT) {
        for (size_t i = 0; i < threads->count && code == EXIT_CODE_OK; i++) {
            hd_queue_load load = {.device = device,
                                  .model = model,
                                  .operation = LOAD_OPERATION_KERNEL,
                                  .threads = threads->counts[i],
                                  .in_flight = depth,
                                  .operations = OPERATIONS,
                                  .seconds = seconds};
            double ops_per_s;
            hd_report_progress("%s, %s, %u threads …", mode->strategy, mode->queues, load.threads);
            code = hd_queue_load_run(&load, &ops_per_s);
            if (code == EXIT_CODE_OK) {
                write_point(report, mode, &load, ops_per_s);
            }
        }
    }
    hd_report_progress(NULL);
    hd_model_destroy(&model);
    return code;
}

/* Each mode has a device of its own, opened that way. */
static hd_exit_code open_device(const hd_arguments *given, const hd_runners_mode *mode,
                                hd_device **out_device, hd_device_info *out_info)
{
    hd_error error = {0};
    hd_device_options options = {.struct_size = sizeof options,
                                 .queue_count = mode->queue_count,
                                 .sync_strategy = mode->sync_strategy};
    if (hd_device_open(hd_arguments_device(given), &options, out_device, &error) != HD_OK) {
        hd_failure_print_error(&error);
        return error.status == HD_NOT_FOUND ? EXIT_CODE_DEVICE : hd_failure_code(error.status);
    }
    if (hd_device_get_info(*out_device, out_info) != HD_OK) {
        return hd_failure_print(EXIT_CODE_DEFECT, "the device does not say what it is");
    }
    return EXIT_CODE_OK;
}

static hd_exit_code run(const hd_arguments *given)
{
    hd_report report;
    hd_thread_list threads;
    double seconds;
    hd_exit_code code = hd_arguments_threads(given, "1,2,4,8,16", &threads);
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
    for (size_t i = 0; i < sizeof modes / sizeof modes[0] && code == EXIT_CODE_OK; i++) {
        hd_device *device = NULL;
        hd_device_info info = {.struct_size = sizeof info};
        code = open_device(given, &modes[i], &device, &info);
        if (code == EXIT_CODE_OK && i == 0) {
            hd_report_begin(&report, "bench queues", info.name, "points");
            if (report.tables) {
                printf("%-12s %-11s %9s %8s %12s\n", "strategy", "queues", "in flight", "threads",
                       "ops/s");
            }
        }
        if (code == EXIT_CODE_OK) {
            code = bench_mode(&modes[i], device, &threads, seconds, &report);
        }
        hd_device_destroy(&device);
    }
    if (code == EXIT_CODE_OK) {
        hd_report_end_points(&report);
        hd_json_integer(&report.json, "peak_rss_bytes", (int64_t)hd_process_peak_resident_bytes());
        code = hd_report_end(&report);
    }
    hd_report_close(&report);
    return code;
}

const hd_command hd_command_bench_queues = {
    .name = "bench queues",
    .summary = "Measures one shared hardware queue against a queue a thread.",
    .details =
        "Each thread has a stream of its own and submits v = sin(v)·cos(v) + v on 65,536 floats, "
        "ten\n"
        "times over, for S seconds and 50 times at least: waiting for each (in flight: 0), or "
        "with\n"
        "eight in flight. The last result of each is compared with a blocking run's, bit by bit.",
    .options = {{"--threads", "LIST", false,
                 "numbers of threads, at most 31 (default: 1,2,4,8,16)"},
                {"--seconds", "S", false, "length of a measurement (default: 0.5)"},
                {NULL, NULL, false, NULL}},
    .examples = {"heddle bench queues --threads 1,8 --json queues.json", NULL},
    .run = run,
};

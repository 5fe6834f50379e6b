/* heddle bench cases: the ten cases from a number of threads, each thread with an input of its own:
 * do all get the bits of a sequential run, how far is that from a double-precision reference, how
 * fast. */
#include <stdlib.h>
#include <string.h>

#include "cli/cases.h"
#include "cli/measure.h"
#include "cli/process.h"
#include "cli/report.h"
#include "cli/session.h"
#include "cli/tensors.h"
#include "heddle/memory.h"
#include "heddle/wait.h"

#define WARM_UP_S      0.2
#define VIA_MAX        4
#define BATCH_REQUESTS 4 /* of so many requests a batch has the rows at most */

/* Sequential results that are kept at once, at most, and never more than a quarter of what is free.
 * Where that is less than one a thread, threads share inputs in turn. */
#define EXPECTED_BYTES ((uint64_t)1280 << 20)

/* What the options say. */
typedef struct hd_case_options {
    hd_thread_list threads;
    uint32_t most_threads;
    double seconds;
    uint64_t repeats;
    uint32_t vias[VIA_MAX]; /* batch workers; 0: direct */
    size_t via_count;
    bool on_device; /* inputs and outputs lie in the device's memory */
} hd_case_options;

/* One case, and what belongs to its threads. */
typedef struct hd_case_bench {
    const hd_case_definition *definition;
    uint64_t repeats;
    hd_model *model;
    hd_model *stacked; /* for batches; made when first wanted */
    hd_batch *batch;   /* of this point; NULL: direct */
    hd_case_weights weights;
    hd_case_inputs inputs;
    size_t input_sets; /* thread i has input i % input_sets */
    hd_tensor *given;  /* CASE_INPUTS_MAX a thread */
    hd_tensor *expected;
    hd_tensor *outputs;
    hd_device *device; /* in whose memory `given` and `placed` lie; NULL: in the host's */
    hd_tensor *placed; /* what the runs write there, copied to `outputs` to be compared */
    double *reference; /* of thread 0's input */
} hd_case_bench;

typedef struct hd_case_caller {
    hd_case_bench *bench;
    size_t thread;
    hd_error error;
    bool differs;
    size_t element;
} hd_case_caller;

/* What a thread's last run wrote is in `outputs`. */
static hd_status fetch_output(const hd_case_bench *bench, size_t thread, hd_error *error)
{
    return bench->device == NULL
               ? HD_OK
               : hd_memory_copy(bench->device, bench->outputs[thread].data,
                                bench->placed[thread].data, bench->outputs[thread].size, error);
}

static void compare_output(hd_case_caller *caller)
{
    hd_case_bench *bench = caller->bench;
    size_t element = 0;
    hd_tensor output = bench->outputs[caller->thread];
    if (fetch_output(bench, caller->thread, &caller->error) != HD_OK) {
        return;
    }
    if (bench->batch != NULL) {
        hd_case_unstack(bench->definition, &output);
    }
    if (!caller->differs &&
        !hd_tensor_equals(&output, &bench->expected[caller->thread % bench->input_sets],
                          &element)) {
        caller->differs = true;
        caller->element = element;
    }
}

static hd_measure_caller caller_of(hd_case_bench *bench, size_t thread, hd_tensor *output)
{
    return (hd_measure_caller){.model = bench->model,
                               .batch = bench->batch,
                               .inputs = &bench->given[thread * CASE_INPUTS_MAX],
                               .input_count = bench->definition->input_count,
                               .outputs = output,
                               .output_count = 1};
}

static hd_status run_once(hd_case_bench *bench, size_t thread, hd_tensor *output, hd_error *error)
{
    hd_measure_caller caller = caller_of(bench, thread, output);
    return hd_measure_run_once(&caller, error);
}

/* Where a thread's runs write. */
static hd_tensor *output_of(const hd_case_bench *bench, size_t thread)
{
    return bench->device == NULL ? &bench->outputs[thread] : &bench->placed[thread];
}

/* Every output of every repeat is compared. */
static void run_compared(void *context)
{
    hd_case_caller *caller = context;
    hd_case_bench *bench = caller->bench;
    for (uint64_t i = 0; i < bench->repeats && !caller->differs && caller->error.status == HD_OK;
         i++) {
        if (run_once(bench, caller->thread, output_of(bench, caller->thread), &caller->error) !=
            HD_OK) {
            return;
        }
        compare_output(caller);
    }
}

static size_t count_input_sets(const hd_case_definition *definition, size_t threads)
{
    uint64_t size = (uint64_t)hd_case_element_count(&definition->output) * sizeof(float);
    uint64_t free_quarter = hd_process_available_bytes() / 4;
    uint64_t budget =
        free_quarter != 0 && free_quarter < EXPECTED_BYTES ? free_quarter : EXPECTED_BYTES;
    uint64_t fitting = budget / size > 0 ? budget / size : 1;
    return fitting < threads ? (size_t)fitting : threads;
}

static void free_on_device(hd_case_bench *bench, hd_tensor *tensor)
{
    hd_error error;
    if (tensor->place == HD_TENSOR_DEVICE && tensor->data != NULL) {
        (void)!hd_memory_free(bench->device, tensor->data, &error);
    }
    *tensor = (hd_tensor){.data = NULL};
}

/* Has a tensor's data lie in the device's memory. */
static hd_status place(hd_case_bench *bench, hd_tensor *tensor, hd_error *error)
{
    void *memory;
    hd_status status =
        hd_memory_allocate(bench->device, (hd_stream){0}, tensor->size, HD_NO_WAIT, &memory, error);
    if (status != HD_OK) {
        return status;
    }
    status = hd_memory_copy(bench->device, memory, tensor->data, tensor->size, error);
    tensor->data = memory;
    tensor->place = HD_TENSOR_DEVICE;
    return status;
}

/* Moves what the threads give and get to the device, when the host's results are known. */
static hd_exit_code move_to_device(const hd_session *session, hd_case_bench *bench, size_t threads)
{
    hd_error error = {0};
    bench->placed = calloc(threads, sizeof *bench->placed);
    if (bench->placed == NULL) {
        return hd_failure_print_memory();
    }
    hd_status status = HD_OK;
    for (size_t i = 0; i < threads && status == HD_OK; i++) {
        status = run_once(bench, i, &bench->outputs[i], &error);
    }
    bench->device = status == HD_OK ? session->device : NULL;
    for (size_t i = 0; i < threads && status == HD_OK; i++) {
        bench->placed[i] = bench->outputs[i];
        status = place(bench, &bench->placed[i], &error);
        for (size_t k = 0; k < bench->definition->input_count && status == HD_OK; k++) {
            status = place(bench, &bench->given[i * CASE_INPUTS_MAX + k], &error);
        }
    }
    return status == HD_OK ? EXIT_CODE_OK : hd_failure_print_error(&error);
}

static void close_bench(hd_case_bench *bench, size_t threads)
{
    for (size_t i = 0; bench->device != NULL && i < threads; i++) {
        free_on_device(bench, &bench->placed[i]);
        for (size_t k = 0; k < bench->definition->input_count; k++) {
            free_on_device(bench, &bench->given[i * CASE_INPUTS_MAX + k]);
        }
    }
    free(bench->placed);
    hd_model_destroy(&bench->model);
    hd_model_destroy(&bench->stacked);
    hd_tensors_release(&bench->expected, bench->input_sets);
    hd_tensors_release(&bench->outputs, threads);
    hd_case_inputs_free(&bench->inputs);
    hd_case_weights_free(&bench->weights);
    free(bench->given);
    free(bench->reference);
}

/* Makes the model, the inputs, and the results that a single thread gets. */
static hd_exit_code open_bench(const hd_session *session, const hd_case_definition *definition,
                               const hd_case_options *options, hd_case_bench *bench)
{
    size_t threads = options->most_threads;
    hd_error error = {0};
    *bench = (hd_case_bench){.definition = definition,
                             .repeats = options->repeats,
                             .input_sets = count_input_sets(definition, threads)};
    bench->given = calloc(threads * CASE_INPUTS_MAX, sizeof *bench->given);
    bench->expected = hd_tensors_allocate(bench->input_sets);
    bench->outputs = hd_tensors_allocate(threads);
    if (bench->given == NULL || bench->expected == NULL || bench->outputs == NULL ||
        !hd_case_weights_create(definition, &bench->weights) ||
        !hd_case_inputs_create(definition, bench->input_sets, CASE_STEP_ALIGNED, &bench->inputs)) {
        return hd_failure_print_memory();
    }
    if (hd_case_model_create(session->device, definition, &bench->weights, false, &bench->model,
                             &error) != HD_OK) {
        return hd_failure_print_error(&error);
    }
    for (size_t i = 0; i < threads; i++) {
        hd_case_inputs_get(&bench->inputs, i % bench->input_sets,
                           &bench->given[i * CASE_INPUTS_MAX]);
    }
    for (size_t i = 0; i < bench->input_sets; i++) {
        if (run_once(bench, i, &bench->expected[i], &error) != HD_OK) {
            return hd_failure_print_error(&error);
        }
    }
    bench->reference = hd_case_reference_compute(&bench->inputs, 0, &bench->weights);
    if (bench->reference == NULL) {
        return hd_failure_print_memory();
    }
    return options->on_device ? move_to_device(session, bench, threads) : EXIT_CODE_OK;
}

/* Runs a second: the same callers and outputs, without the comparisons, which would cost as much as
 * the smaller cases do. What the last run of each wrote is compared all the same. */
static hd_exit_code measure_case(hd_case_bench *bench, hd_case_caller *callers, size_t threads,
                                 double seconds, hd_measure_result *out_result)
{
    hd_measure_caller *measured = calloc(threads, sizeof *measured);
    if (measured == NULL) {
        return hd_failure_print_memory();
    }
    for (size_t i = 0; i < threads; i++) {
        measured[i] = caller_of(bench, i, output_of(bench, i));
    }
    hd_exit_code code = hd_measure_runs(measured, threads, WARM_UP_S, seconds, out_result);
    for (size_t i = 0; i < threads && code == EXIT_CODE_OK; i++) {
        compare_output(&callers[i]);
    }
    free(measured);
    return code;
}

/* What one number of threads gave. */
typedef struct hd_case_point {
    hd_measure_result measured;
    double max_error;
    bool equal_bits;
    size_t thread; /* the first one that differs */
    size_t element;
} hd_case_point;

/* EXIT_CODE_CHECK: one thread got other bits and another an error; the first is told (exit code 1 wins). */
static hd_exit_code run_point(hd_case_bench *bench, size_t threads, double seconds,
                              hd_case_point *out_point)
{
    hd_case_caller *callers = calloc(threads, sizeof *callers);
    if (callers == NULL) {
        return hd_failure_print_memory();
    }
    for (size_t i = 0; i < threads; i++) {
        callers[i] = (hd_case_caller){.bench = bench, .thread = i};
    }
    *out_point = (hd_case_point){.equal_bits = true};
    hd_exit_code code = hd_process_run_threads(threads, run_compared, callers, sizeof *callers);
    for (size_t i = threads; i-- > 0 && code == EXIT_CODE_OK;) {
        if (callers[i].differs) {
            out_point->equal_bits = false;
            out_point->thread = i;
            out_point->element = callers[i].element;
        }
    }
    for (size_t i = 0; i < threads && code == EXIT_CODE_OK; i++) {
        if (callers[i].error.status != HD_OK) {
            code =
                out_point->equal_bits ? hd_failure_print_error(&callers[i].error) : EXIT_CODE_CHECK;
        }
    }
    if (code == EXIT_CODE_OK) {
        code = measure_case(bench, callers, threads, seconds, &out_point->measured);
    }
    if (code == EXIT_CODE_OK) {
        out_point->max_error =
            hd_case_max_error(bench->outputs[0].data, bench->reference,
                              (size_t)hd_case_element_count(&bench->definition->output));
    }
    free(callers);
    return code;
}

/* Lets the threads' runs go through a batch queue of `workers` workers (0: directly) until close_via. */
static hd_exit_code open_via(const hd_session *session, hd_case_bench *bench, uint32_t workers,
                             size_t threads)
{
    hd_error error = {0};
    hd_batch_options options = {.struct_size = sizeof options,
                                .worker_count = workers,
                                .max_rows = BATCH_REQUESTS * hd_case_rows(bench->definition)};
    if (workers == 0) {
        return EXIT_CODE_OK;
    }
    if (bench->stacked == NULL &&
        hd_case_model_create_stacked(session->device, bench->definition, &bench->weights,
                                     &bench->stacked, &error) != HD_OK) {
        return hd_failure_print_error(&error);
    }
    if (hd_batch_create(bench->stacked, &options, &bench->batch, &error) != HD_OK) {
        return hd_failure_print_error(&error);
    }
    for (size_t i = 0; i < threads * CASE_INPUTS_MAX; i++) {
        hd_case_stack(bench->definition, &bench->given[i]);
    }
    return EXIT_CODE_OK;
}

static void close_via(hd_case_bench *bench, size_t threads)
{
    for (size_t i = 0; bench->batch != NULL && i < threads * CASE_INPUTS_MAX; i++) {
        hd_case_unstack(bench->definition, &bench->given[i]);
    }
    hd_batch_destroy(&bench->batch);
}

static void write_point(hd_report *report, const char *name, uint32_t threads, uint32_t workers,
                        const hd_case_point *point)
{
    char via[24] = "direct";
    if (workers > 0) {
        snprintf(via, sizeof via, "batch-%u", workers);
    }
    hd_json_writer *json = &report->json;
    hd_json_begin_object(json, NULL);
    hd_json_string(json, "case", name);
    hd_json_integer(json, "threads", threads);
    hd_json_string(json, "via", via);
    hd_json_number(json, "ops_per_s", point->measured.runs_per_s);
    hd_json_boolean(json, "equal_bits", point->equal_bits);
    hd_json_number(json, "max_error", point->max_error);
    hd_json_number(json, "p50_ms", point->measured.p50_s * 1e3);
    hd_json_number(json, "p95_ms", point->measured.p95_s * 1e3);
    hd_json_number(json, "p99_ms", point->measured.p99_s * 1e3);
    hd_json_begin_array(json,
                        "latencies"); /* pairs: part of all runs, and ms that it did not pass */
    for (size_t i = 0; i < MEASURE_PERCENTILES && point->measured.runs_per_s > 0; i++) {
        hd_json_begin_array(json, NULL);
        hd_json_number(json, NULL, hd_measure_percentiles[i]);
        hd_json_number(json, NULL, point->measured.percentiles_s[i] * 1e3);
        hd_json_end_array(json);
    }
    hd_json_end_array(json);
    hd_json_end_object(json);
    if (report->tables) {
        hd_report_progress(NULL);
        printf("%-26s %8u %-8s %12.1f %6s %12.2e\n", name, threads, via, point->measured.runs_per_s,
               point->equal_bits ? "equal" : "DIFFER", point->max_error);
        fflush(stdout);
    }
}

/* The sentence of the first point that is wrong; the others are in the table and in the JSON. */
static hd_exit_code judge(const char *name, uint32_t threads, const hd_case_point *point)
{
    if (!point->equal_bits) {
        return hd_failure_print(
            EXIT_CODE_CHECK,
            "%s: thread %zu of %u got other bits than the sequential run, first in element %zu",
            name, point->thread, threads, point->element);
    }
    if (!(point->max_error <= CASE_TOLERANCE)) {
        return hd_failure_print(EXIT_CODE_CHECK,
                                "%s: an element is %.3g off the double-precision reference, "
                                "where %.0e is allowed",
                                name, point->max_error, CASE_TOLERANCE);
    }
    return EXIT_CODE_OK;
}

/* *verdict keeps EXIT_CODE_CHECK once a check failed; the result is a failure that ends the
 * command. */
static hd_exit_code bench_case(const hd_session *session, const hd_case_definition *definition,
                               const hd_case_options *options, hd_report *report,
                               hd_exit_code *verdict)
{
    hd_case_bench bench;
    hd_report_progress("%s …", definition->name);
    hd_exit_code code = open_bench(session, definition, options, &bench);
    for (size_t i = 0; i < options->threads.count * options->via_count && code == EXIT_CODE_OK;
         i++) {
        hd_case_point point = {0};
        uint32_t threads = options->threads.counts[i % options->threads.count];
        uint32_t workers = options->vias[i / options->threads.count];
        hd_report_progress("%s, %u threads …", definition->name, threads);
        code = open_via(session, &bench, workers, options->most_threads);
        if (code == EXIT_CODE_OK) {
            code = run_point(&bench, threads, options->seconds, &point);
        }
        close_via(&bench, options->most_threads);
        if (code == EXIT_CODE_OK || code == EXIT_CODE_CHECK) {
            write_point(report, definition->name, threads, workers, &point);
            if (*verdict == EXIT_CODE_OK) {
                *verdict = judge(definition->name, threads, &point);
            }
        }
    }
    hd_report_progress(NULL);
    close_bench(&bench, options->most_threads);
    return code;
}

static bool is_chosen(const hd_arguments *given, const char *name)
{
    size_t count = hd_arguments_count(given, "--case");
    for (size_t i = 0; i < count; i++) {
        if (strcmp(hd_arguments_nth(given, "--case", i), name) == 0) {
            return true;
        }
    }
    return count == 0;
}

/* Reads --via, such as "direct,batch-2", and --memory. */
static hd_exit_code parse_via(const hd_arguments *given, hd_case_options *out_options)
{
    static const char *const names[VIA_MAX] = {"direct", "batch-1", "batch-2", "batch-4"};
    static const uint32_t workers[VIA_MAX] = {0, 1, 2, 4};
    const char *value = hd_arguments_value(given, "--via"), *text = value;
    const char *memory = hd_arguments_value(given, "--memory");
    if (memory != NULL && strcmp(memory, "host") != 0 && strcmp(memory, "device") != 0) {
        return hd_failure_print(EXIT_CODE_USAGE, "--memory wants host or device, not '%s'", memory);
    }
    out_options->on_device = memory != NULL && strcmp(memory, "device") == 0;
    if (out_options->on_device) { /* batches take the host's memory */
        if (value != NULL && strcmp(value, "direct") != 0) {
            return hd_failure_print(EXIT_CODE_USAGE, "--memory device goes with --via direct");
        }
        out_options->via_count = 1;
        return EXIT_CODE_OK;
    }
    for (size_t i = 0; i < VIA_MAX && value == NULL; i++) {
        out_options->vias[out_options->via_count++] = workers[i];
    }
    while (text != NULL) {
        size_t length = strcspn(text, ","), i = 0;
        while (i < VIA_MAX &&
               (strlen(names[i]) != length || strncmp(text, names[i], length) != 0)) {
            i++;
        }
        if (i == VIA_MAX || out_options->via_count == VIA_MAX) {
            return hd_failure_print(EXIT_CODE_USAGE,
                                    "--via wants some of direct,batch-1,batch-2,batch-4, not '%s'",
                                    value);
        }
        out_options->vias[out_options->via_count++] = workers[i];
        text = text[length] == ',' ? text + length + 1 : NULL;
    }
    return EXIT_CODE_OK;
}

static hd_exit_code parse_options(const hd_arguments *given, hd_case_options *out_options)
{
    hd_exit_code code = hd_arguments_threads(given, "1,2,4,8,16", &out_options->threads);
    if (code == EXIT_CODE_OK) {
        code = hd_arguments_seconds(given, "--seconds", 1, &out_options->seconds);
    }
    if (code == EXIT_CODE_OK) {
        code = hd_arguments_number(given, "--repeat", 1, 1000000, 5, &out_options->repeats);
    }
    if (code == EXIT_CODE_OK) {
        code = parse_via(given, out_options);
    }
    for (size_t i = 0; i < hd_arguments_count(given, "--case") && code == EXIT_CODE_OK; i++) {
        const char *name = hd_arguments_nth(given, "--case", i);
        if (hd_case_find(name) == NULL) {
            code = hd_failure_print(EXIT_CODE_USAGE,
                                    "there is no case '%s'; heddle bench cases --help lists them",
                                    name);
        }
    }
    out_options->most_threads = 1;
    for (size_t i = 0; i < out_options->threads.count; i++) {
        if (out_options->threads.counts[i] > out_options->most_threads) {
            out_options->most_threads = out_options->threads.counts[i];
        }
    }
    return code;
}

static hd_exit_code run(const hd_arguments *given)
{
    hd_report report;
    hd_session session = {0};
    hd_case_options options = {0};
    hd_exit_code verdict = EXIT_CODE_OK, code = parse_options(given, &options);
    if (code == EXIT_CODE_OK) {
        code = hd_report_open(given, &report);
    }
    if (code != EXIT_CODE_OK) {
        return code;
    }
    code = hd_session_open(given, NULL, &session);
    if (code != EXIT_CODE_OK) {
        goto fail;
    }
    hd_report_begin(&report, "bench cases", session.info.name, "points");
    if (report.tables) {
        printf("%-26s %8s %-8s %12s %6s %12s\n", "case", "threads", "via", "ops/s", "bits",
               "max error");
    }
    for (size_t i = 0; i < CASE_COUNT && code == EXIT_CODE_OK; i++) {
        if (is_chosen(given, hd_case_definitions[i].name)) {
            code = bench_case(&session, &hd_case_definitions[i], &options, &report, &verdict);
        }
    }
    hd_report_end_points(&report);
    hd_json_integer(&report.json, "peak_rss_bytes", (int64_t)hd_process_peak_resident_bytes());
    if (code == EXIT_CODE_OK) {
        code = hd_report_end(&report);
    }
fail:
    hd_session_close(&session);
    hd_report_close(&report);
    return verdict == EXIT_CODE_CHECK ? verdict : code;
}

const hd_command hd_command_bench_cases = {
    .name = "bench cases",
    .summary = "Checks and measures the ten cases, from operators to a transformer block.",
    .details =
        "Each thread has an input of its own and compares every output with that of a sequential\n"
        "run, bit by bit; then its runs are counted for S seconds. 'max error' is the largest\n"
        "|a - b| / max(1, |b|) against a double-precision reference b; more than 1e-4 fails.\n"
        "Via batch-N the runs go through a batch queue of N workers, which stack up to four of "
        "them.\n"
        "Threads share inputs in turn where one each would not fit into a quarter of free memory.\n"
        "Cases: linear_16x512x256 linear_64x2048x2048 matmul_256x512x256 matmul_1024\n"
        "bmm_8x64x64x64 layernorm_16x512x768 softmax_4x128x32000 conv2d_4x3x224x224_64k3\n"
        "gelu_16x512x768 transformer_b4s128d256h4",
    .options = {{"--case", "NAME", true, "only this case"},
                {"--threads", "LIST", false, "numbers of threads (default: 1,2,4,8,16)"},
                {"--via", "LIST", false, "direct,batch-1,batch-2,batch-4 (default: all of them)"},
                {"--seconds", "S", false, "length of a measurement (default: 1)"},
                {"--memory", "PLACE", false,
                 "host, or device: inputs and outputs lie there; direct runs (default: host)"},
                {"--repeat", "K", false, "compared runs a thread (default: 5)"},
                {NULL, NULL, false, NULL}},
    .examples = {"heddle bench cases --threads 1,8 --seconds 2",
                 "heddle bench cases --case matmul_1024 --json cases.json", NULL},
    .run = run,
};

/* heddle run: a model on inputs from files, from any number of threads, with outputs to files. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "cli/output_files.h"
#include "cli/process.h"
#include "cli/report.h"
#include "cli/session.h"
#include "cli/tensors.h"

/* What all threads share. */
typedef struct hd_plan_of_runs {
    hd_model *model;
    const hd_tensor_list *inputs;
    const hd_tensor *expected; /* of a single-threaded run; NULL: nothing is compared */
    size_t output_count;
    uint64_t repeats;
    _Atomic bool stop; /* a run failed or differed: the other threads need not go on */
} hd_plan_of_runs;

typedef struct hd_runner {
    hd_plan_of_runs *plan;
    hd_tensor *outputs; /* allocated by the first run, the caller's own memory for the others */
    hd_error error;
    bool differs;
    uint64_t repeat; /* counted from 1; the one that failed or differed */
    size_t output;
    size_t element;
} hd_runner;

static void compare(hd_runner *runner)
{
    for (size_t i = 0; i < runner->plan->output_count && !runner->differs; i++) {
        runner->differs =
            !hd_tensor_equals(&runner->outputs[i], &runner->plan->expected[i], &runner->element);
        runner->output = i;
    }
}

static void run_repeats(void *context)
{
    hd_runner *runner = context;
    hd_plan_of_runs *plan = runner->plan;
    for (uint64_t i = 0; i < plan->repeats; i++) {
        /* One repeat in any case: the files and the report show thread 0's outputs. */
        if (i > 0 && atomic_load_explicit(&plan->stop, memory_order_relaxed)) {
            return;
        }
        runner->repeat = i + 1;
        if (hd_model_run(plan->model, plan->inputs->tensors, plan->inputs->count, runner->outputs,
                         plan->output_count, &runner->error) == HD_OK &&
            plan->expected != NULL) {
            compare(runner);
        }
        if (runner->error.status != HD_OK || runner->differs) {
            atomic_store_explicit(&plan->stop, true, memory_order_relaxed);
            return;
        }
    }
}

static void describe_bits(const hd_tensor *tensor, size_t element, char *text, size_t size)
{
    size_t width = hd_dtype_size(tensor->dtype);
    const unsigned char *bytes =
        (const unsigned char *)tensor->data + element * hd_dtype_bits(tensor->dtype) / 8;
    snprintf(text, size, "0x");
    for (size_t i = 0; i < width; i++) {
        snprintf(text + 2 + 2 * i, size - 2 - 2 * i, "%02x", bytes[width - 1 - i]);
    }
}

static hd_exit_code print_difference(const hd_runner *runner, size_t thread)
{
    const hd_tensor *got = &runner->outputs[runner->output];
    const hd_tensor *wanted = &runner->plan->expected[runner->output];
    hd_value_info info = {.struct_size = sizeof info, .name = "?"};
    hd_status status = hd_model_output_info(runner->plan->model, runner->output, &info);
    (void)status; /* the index is that of an output */
    char left[128], right[128];
    if (runner->element == SIZE_MAX) {
        hd_tensor_describe(got, left, sizeof left);
        hd_tensor_describe(wanted, right, sizeof right);
        return hd_failure_print(EXIT_CODE_CHECK,
                                "output '%s' of thread %zu, repeat %llu is %s in place of %s",
                                info.name, thread, (unsigned long long)runner->repeat, left, right);
    }
    describe_bits(got, runner->element, left, sizeof left);
    describe_bits(wanted, runner->element, right, sizeof right);
    return hd_failure_print(
        EXIT_CODE_CHECK,
        "output '%s' of thread %zu, repeat %llu differs from the single-threaded run, "
        "first in element %zu: %s in place of %s",
        info.name, thread, (unsigned long long)runner->repeat, runner->element, left, right);
}

/* One sentence for what the runners met: a difference before any error (exit code 1 wins). */
static hd_exit_code judge(const hd_runner *runners, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (runners[i].differs) {
            return print_difference(&runners[i], i);
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (runners[i].error.status != HD_OK) {
            return hd_failure_print_error(&runners[i].error);
        }
    }
    return EXIT_CODE_OK;
}

static void write_output(hd_report *report, const char *name, const hd_tensor *output,
                         const char *file)
{
    hd_json_begin_object(&report->json, NULL);
    hd_json_string(&report->json, "name", name);
    hd_json_string(&report->json, "dtype", hd_dtype_name(output->dtype));
    hd_json_begin_array(&report->json, "shape");
    for (uint32_t i = 0; i < output->rank; i++) {
        hd_json_integer(&report->json, NULL, output->dims[i]);
    }
    hd_json_end_array(&report->json);
    if (file != NULL) {
        hd_json_string(&report->json, "file", file);
    }
    hd_json_end_object(&report->json);
    if (report->tables) {
        char text[128];
        hd_tensor_describe(output, text, sizeof text);
        printf("%s: %s%s%s\n", name, text, file != NULL ? " > " : "", file != NULL ? file : "");
    }
}

static hd_exit_code write_report(hd_report *report, const hd_session *session,
                                 const hd_plan_of_runs *plan, const hd_runner *runners,
                                 size_t threads, const hd_output_files *files, hd_exit_code verdict)
{
    hd_report_begin(report, "run", session->info.name, "points");
    hd_json_begin_object(&report->json, NULL);
    hd_json_integer(&report->json, "threads", (int64_t)threads);
    hd_json_integer(&report->json, "repeats", (int64_t)plan->repeats);
    if (plan->expected != NULL) {
        hd_json_boolean(&report->json, "equal_bits", verdict == EXIT_CODE_OK);
    }
    hd_json_begin_array(&report->json, "outputs");
    for (size_t i = 0; i < plan->output_count; i++) {
        hd_value_info info = {.struct_size = sizeof info};
        if (hd_model_output_info(session->model, i, &info) == HD_OK) {
            write_output(report, info.name, &runners[0].outputs[i],
                         files->count > 0 ? files->names[i] : NULL);
        }
    }
    hd_json_end_array(&report->json);
    hd_json_end_object(&report->json);
    hd_report_end_points(report);
    if (report->tables && plan->expected != NULL && verdict == EXIT_CODE_OK) {
        printf("equal bits: %zu threads, %llu repeats each\n", threads,
               (unsigned long long)plan->repeats);
    }
    return hd_report_end(report);
}

/* Runs them all; runners[0].outputs hold the last repeat of thread 0 if the verdict is ok or 1. */
static hd_exit_code run_all(hd_plan_of_runs *plan, hd_runner *runners, size_t threads, bool check,
                            hd_tensor *expected)
{
    hd_error error = {0};
    if (check) {
        if (hd_model_run(plan->model, plan->inputs->tensors, plan->inputs->count, expected,
                         plan->output_count, &error) != HD_OK) {
            return hd_failure_print_error(&error);
        }
        plan->expected = expected;
    }
    for (size_t i = 0; i < threads; i++) {
        runners[i] = (hd_runner){.plan = plan, .outputs = hd_tensors_allocate(plan->output_count)};
        if (runners[i].outputs == NULL) {
            return hd_failure_print_memory();
        }
    }
    hd_exit_code code = hd_process_run_threads(threads, run_repeats, runners, sizeof *runners);
    return code == EXIT_CODE_OK ? judge(runners, threads) : code;
}

static hd_exit_code run_session(const hd_arguments *given, uint64_t threads, uint64_t repeats,
                                hd_session *session, hd_report *report)
{
    const char *folder = hd_arguments_value(given, "--output-dir");
    hd_tensor_list inputs = {0};
    hd_output_files files = {0};
    hd_runner *runners = NULL;
    hd_tensor *expected = NULL;
    hd_plan_of_runs plan = {.model = session->model,
                            .inputs = &inputs,
                            .repeats = repeats,
                            .output_count = hd_model_output_count(session->model)};
    hd_exit_code code = hd_tensor_list_load(given, session->model, false, &inputs);
    if (code == EXIT_CODE_OK && folder != NULL) {
        code = hd_output_files_name(session->model, &files);
    }
    if (code != EXIT_CODE_OK) {
        goto fail;
    }
    runners = calloc(threads, sizeof *runners);
    expected = hd_tensors_allocate(plan.output_count);
    if (runners == NULL || expected == NULL) {
        code = hd_failure_print_memory();
        goto fail;
    }
    code = run_all(&plan, runners, threads, hd_arguments_has(given, "--check"), expected);
    /* The outputs help to find out why they differ, so they are written in that case too. */
    if (code != EXIT_CODE_OK && code != EXIT_CODE_CHECK) {
        goto fail;
    }
    hd_exit_code verdict = code;
    bool complete = runners[0].repeat > 0 && runners[0].error.status == HD_OK;
    if (folder != NULL && complete) {
        code = hd_output_files_write(&files, folder, runners[0].outputs);
    }
    if (complete && (code == EXIT_CODE_OK || code == EXIT_CODE_CHECK)) {
        code = write_report(report, session, &plan, runners, threads, &files, verdict);
    }
    code = verdict == EXIT_CODE_CHECK ? verdict : code;
fail:
    for (size_t i = 0; runners != NULL && i < threads; i++) {
        hd_tensors_release(&runners[i].outputs, plan.output_count);
    }
    free(runners);
    hd_tensors_release(&expected, plan.output_count);
    hd_output_files_free(&files);
    hd_tensor_list_free(&inputs);
    return code;
}

static hd_exit_code run(const hd_arguments *given)
{
    hd_report report;
    hd_session session = {0};
    uint64_t threads = 1, repeats = 1;
    hd_exit_code code =
        hd_arguments_number(given, "--threads", 1, ARGUMENTS_THREADS_MAX, 1, &threads);
    if (code == EXIT_CODE_OK) {
        code = hd_arguments_number(given, "--repeat", 1, 1000000000, 1, &repeats);
    }
    if (code == EXIT_CODE_OK) {
        code = hd_report_open(given, &report);
    }
    if (code != EXIT_CODE_OK) {
        return code;
    }
    code = hd_session_open(given, hd_arguments_positional(given), &session);
    if (code == EXIT_CODE_OK) {
        code = run_session(given, threads, repeats, &session, &report);
    }
    hd_session_close(&session);
    hd_report_close(&report);
    return code;
}

const hd_command hd_command_run = {
    .name = "run",
    .positional = "MODEL",
    .summary = "Runs an ONNX model on inputs from files, from one thread or many.",
    .details =
        "FILE is a .npy file or an ONNX TensorProto (.pb). NAME=FILE is split at the last '='.\n"
        "Outputs become DIR/NAME.npy, as thread 0's last repeat computed them; characters other\n"
        "than letters, digits, '.', '_' and '-' become '_', and a second file of the same name\n"
        "gets -2; names longer than a file's may be are cut. All threads share the model and run\n"
        "on the same inputs.",
    .options = {{"--input", "NAME=FILE", true, "an input, or an initializer among the inputs"},
                {"--output-dir", "DIR", false, "write the outputs there"},
                {"--threads", "N", false, "threads that run at once (default: 1)"},
                {"--repeat", "K", false, "runs a thread (default: 1)"},
                {"--check", NULL, false, "compare each result's bits with a single-threaded one"},
                {"--work-limit", "STEPS", false, "steps of a run at most, see heddle/model.h"},
                {"--run-memory-limit", "BYTES", false, "memory of a run at most, likewise"},
                {"--precision", "NAME", false, HD_SESSION_PRECISIONS},
                {"--memory-limit", "BYTES", false, "memory of the device at most (default: none)"},
                {NULL, NULL, false, NULL}},
    .examples = {"heddle run model.onnx --input x=x.npy --output-dir out",
                 "heddle run model.onnx --input x=x.npy --threads 8 --repeat 100 --check", NULL},
    .run = run,
};

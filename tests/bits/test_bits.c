/* BITS: one input gives one output, bit for bit, whatever runs beside it: the ten cases and MiniLM.
 *
 * The model is $HEDDLE_MINILM, the repeats are $HEDDLE_BITS_REPEATS or 20. */
#include <errno.h>
#include <fenv.h>
#include <pthread.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xmmintrin.h>

#include <cmocka.h>

#include "cli/process.h"
#include "subject.h"
#include "support/test_device.h"

#define LARGE_ELEMENTS     (1 << 23) /* of an output */
#define FLUSH_TO_ZERO      0x8000u
#define DENORMALS_ARE_ZERO 0x0040u

static uint64_t repeats = 20;

static hd_device *open_device(uint32_t thread_count)
{
    hd_device *device = NULL;
    hd_error error = {0};
    hd_device_options options = {.struct_size = sizeof options, .thread_count = thread_count};
    if (hd_device_open(test_device_name(), &options, &device, &error) != HD_OK) {
        fail_msg("%s", error.message);
    }
    return device;
}

static void run_or_fail(const subject *subject, hd_model *model, const subject_tensors *inputs,
                        subject_tensors *outputs)
{
    hd_error error = {0};
    if (subject_run(subject, model, inputs, outputs, &error) != HD_OK) {
        fail_msg("%s: %s", subject->name, error.message);
    }
}

/* Opens the subject that the test was registered for; skips the test where MiniLM is not there. */
static void open_or_skip(void **state, subject *out_subject)
{
    if (!subject_open((size_t)(uintptr_t)*state, out_subject)) {
        print_message(
            "SKIPPED: MiniLM's file is not there; HEDDLE_MINILM=$(tools/fetch-model) names it\n");
        skip();
    }
}

/* Most subjects, where a sanitizer would take half a minute for the largest ones; many threads run all of them on the CPU. */
static void open_or_skip_large(void **state, subject *out_subject)
{
    open_or_skip(state, out_subject);
    if (SUBJECT_SANITIZED && out_subject->definition != NULL &&
        hd_case_element_count(&out_subject->definition->output) > LARGE_ELEMENTS) {
        subject_close(out_subject);
        print_message("SKIPPED: too large for a sanitizer\n");
        skip();
    }
}

/* --- many threads */

/* What the threads of one test share. */
typedef struct bench {
    subject *subject;
    hd_device *device;
    hd_model *model;
    subject_tensors expected[SUBJECT_THREADS];
    _Atomic bool stop; /* for those who disturb */
} bench;

typedef struct caller {
    bench *bench;
    size_t thread;
    uint64_t differences;
    hd_error error;
} caller;

static void run_repeats(void *context)
{
    caller *caller = context;
    bench *bench = caller->bench;
    subject_tensors inputs = subject_inputs(bench->subject, caller->thread), outputs = {0};
    for (uint64_t i = 0; i < repeats && caller->differences == 0; i++) {
        if (subject_run(bench->subject, bench->model, &inputs, &outputs, &caller->error) != HD_OK) {
            break;
        }
        caller->differences += !subject_equal(
            bench->subject, &outputs, &bench->expected[caller->thread % bench->subject->input_sets],
            "from many threads");
    }
    subject_release(bench->subject, &outputs);
}

/* Makes plans of the same model: its inputs' shapes change from run to run. */
static void *disturb_with_plans(void *context)
{
    bench *bench = context;
    hd_error *error = calloc(1, sizeof *error);
    for (size_t turn = 0; error != NULL && error->status == HD_OK && !bench->stop; turn++) {
        subject_tensors inputs = subject_reshaped(bench->subject, turn), outputs = {0};
        if (subject_run(bench->subject, bench->model, &inputs, &outputs, error) == HD_OK) {
            subject_release(bench->subject, &outputs);
        }
    }
    return error;
}

/* Loads models on the same device, runs each once and destroys it. */
static void *disturb_with_models(void *context)
{
    bench *bench = context;
    hd_error *error = calloc(1, sizeof *error);
    subject other;
    subject_open(0, &other);
    subject_tensors inputs = subject_inputs(&other, 0);
    while (error != NULL && error->status == HD_OK && !bench->stop) {
        hd_model *model = NULL;
        subject_tensors outputs = {0};
        if (hd_case_model_create(bench->device, other.definition, &other.weights, true, &model,
                                 error) == HD_OK &&
            subject_run(&other, model, &inputs, &outputs, error) == HD_OK) {
            subject_release(&other, &outputs);
        }
        hd_model_destroy(&model);
        if (error->status == HD_OK && bench->subject->definition == NULL &&
            hd_model_load(bench->device, subject_minilm_path, NULL, &model, error) == HD_OK) {
            hd_model_destroy(&model);
        }
    }
    subject_close(&other);
    return error;
}

static void check_threads(bench *bench, size_t threads)
{
    caller callers[SUBJECT_THREADS];
    for (size_t i = 0; i < threads; i++) {
        callers[i] = (caller){.bench = bench, .thread = i};
    }
    assert_int_equal(hd_process_run_threads(threads, run_repeats, callers, sizeof callers[0]),
                     EXIT_CODE_OK);
    for (size_t i = 0; i < threads; i++) {
        if (callers[i].error.status != HD_OK) {
            fail_msg("%s: %s", bench->subject->name, callers[i].error.message);
        }
        if (callers[i].differences > 0) {
            fail_msg("%s: thread %zu of %zu got other bits than the sequential run",
                     bench->subject->name, i, threads);
        }
    }
}

static void check_reference(const subject *subject, const subject_tensors *outputs)
{
    if (subject->definition == NULL || SUBJECT_SANITIZED) {
        return; /* the same arithmetic as without a sanitizer, where it takes minutes */
    }
    double *reference = hd_case_reference_compute(&subject->inputs, 0, &subject->weights);
    assert_non_null(reference);
    double error = hd_case_max_error(outputs->tensors[0].data, reference,
                                     (size_t)hd_case_element_count(&subject->definition->output));
    free(reference);
    if (!(error <= CASE_TOLERANCE)) {
        fail_msg("%s: %g off the double-precision reference", subject->name, error);
    }
}

static void end_disturber(pthread_t thread)
{
    void *result = NULL;
    pthread_join(thread, &result);
    assert_non_null(result);
    hd_error error = *(hd_error *)result;
    free(result);
    if (error.status != HD_OK) {
        fail_msg("%s", error.message);
    }
}

static void many_threads_get_the_bits_of_one(void **state)
{
    static const size_t all_counts[] = {1, 2, 4, 8, 16}, few_counts[] = {2, 8};
    const size_t *counts = SUBJECT_SANITIZED ? few_counts : all_counts;
    size_t count = SUBJECT_SANITIZED ? 2 : 5;
    subject subject;
    (strcmp(test_device_name(), "cpu") == 0 ? open_or_skip : open_or_skip_large)(state, &subject);
    bench bench = {.subject = &subject, .device = open_device(0)};
    bench.model = subject_load(&subject, bench.device);
    for (size_t i = 0; i < subject.input_sets; i++) {
        subject_tensors inputs = subject_inputs(&subject, i);
        run_or_fail(&subject, bench.model, &inputs, &bench.expected[i]);
    }
    if (subject.input_sets < SUBJECT_THREADS) {
        print_message("%s: %zu inputs, which 16 threads share, for want of memory\n", subject.name,
                      subject.input_sets);
    }
    check_reference(&subject, &bench.expected[0]);
    pthread_t planner, loader;
    assert_int_equal(pthread_create(&planner, NULL, disturb_with_plans, &bench), 0);
    assert_int_equal(pthread_create(&loader, NULL, disturb_with_models, &bench), 0);
    for (size_t i = 0; i < count; i++) {
        check_threads(&bench, counts[i]);
    }
    bench.stop = true;
    end_disturber(planner);
    end_disturber(loader);
    for (size_t i = 0; i < subject.input_sets; i++) {
        subject_release(&subject, &bench.expected[i]);
    }
    hd_model_destroy(&bench.model);
    hd_device_destroy(&bench.device);
    subject_close(&subject);
}

/* --- rows, workers */

/* The `index`-th of `count` equal parts of a batch has the bits that it has alone. */
static void check_part(const subject *subject, hd_model *model, const subject_tensors *together,
                       const subject_tensors *inputs, size_t index, size_t count)
{
    subject_tensors alone = {0}, part = *together;
    run_or_fail(subject, model, inputs, &alone);
    for (size_t i = 0; i < subject->output_count; i++) {
        hd_tensor *tensor = &part.tensors[i];
        assert_int_equal(tensor->dims[0], alone.tensors[i].dims[0] * (int64_t)count);
        tensor->dims[0] /= (int64_t)count;
        tensor->size /= count;
        tensor->data = (char *)tensor->data + index * tensor->size;
    }
    if (!subject_equal(subject, &part, &alone, "within a batch")) {
        fail_msg("%s: part %zu of a batch of %zu", subject->name, index, count);
    }
    subject_release(subject, &alone);
}

static void check_batch(const subject *subject, hd_model *model, int64_t first, int64_t count)
{
    subject_tensors inputs = subject_rows(subject, first, count), together = {0};
    run_or_fail(subject, model, &inputs, &together);
    for (int64_t row = 0; row < count; row++) {
        subject_tensors one = subject_rows(subject, first + row, 1);
        check_part(subject, model, &together, &one, (size_t)row, (size_t)count);
    }
    subject_release(subject, &together);
}

static void check_stack(const subject *subject, hd_model *model, size_t first, size_t count)
{
    subject_tensors inputs = subject_stacked(subject, first, count), together = {0};
    run_or_fail(subject, model, &inputs, &together);
    for (size_t i = 0; i < count; i++) {
        subject_tensors one = subject_stacked(subject, first + i, 1);
        check_part(subject, model, &together, &one, i, count);
        subject_free_stacked(subject, &one);
    }
    subject_release(subject, &together);
    subject_free_stacked(subject, &inputs);
}

static void rows_of_a_batch_have_the_bits_they_have_alone(void **state)
{
    subject subject;
    open_or_skip(state, &subject);
    hd_device *device = open_device(0);
    hd_model *model = subject_load(&subject, device);
    int64_t rows = subject_row_count(&subject);
    assert_in_range(rows, 4, 8);
    check_batch(&subject, model, 0, rows);
    check_batch(&subject, model, 1, 3);
    check_batch(&subject, model, rows / 2 - 1, rows / 2 + 1);
    hd_model_destroy(&model);
    hd_device_destroy(&device);
    subject_close(&subject);
}

static void stacked_callers_have_the_bits_they_have_alone(void **state)
{
    subject subject;
    open_or_skip_large(state, &subject);
    hd_device *device = open_device(0);
    hd_model *model = subject_load_stacked(&subject, device);
    check_stack(&subject, model, 0, SUBJECT_SANITIZED ? 2 : 4);
    check_stack(&subject, model, 1, 3);
    hd_model_destroy(&model);
    hd_device_destroy(&device);
    subject_close(&subject);
}

static void workers_do_not_change_bits(void **state)
{
    static const uint32_t counts[] = {1, 2, 3, 7};
    subject subject;
    open_or_skip_large(state, &subject);
    subject_tensors inputs = subject_inputs(&subject, 0), expected = {0};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        hd_device *device = open_device(counts[i]);
        hd_model *model = subject_load(&subject, device);
        subject_tensors outputs = {0};
        inputs = subject_inputs(&subject, 0);
        for (int k = 0; k < 3; k++) {
            run_or_fail(&subject, model, &inputs, i == 0 && k == 0 ? &expected : &outputs);
            if (i + (size_t)k > 0 &&
                !subject_equal(&subject, &outputs, &expected, "by several workers")) {
                fail_msg("%s: with %u threads", subject.name, counts[i]);
            }
        }
        subject_release(&subject, &outputs);
        hd_model_destroy(&model);
        hd_device_destroy(&device);
    }
    subject_release(&subject, &expected);
    subject_close(&subject);
}

/* --- another process */

/* What the other process does: writes the outputs of one subject to standard output. */
static int print_outputs(size_t index)
{
    subject subject;
    if (!subject_open(index, &subject)) {
        return 1;
    }
    hd_device *device = open_device(0);
    hd_model *model = subject_load(&subject, device);
    subject_tensors inputs = subject_inputs(&subject, 0), outputs = {0};
    run_or_fail(&subject, model, &inputs, &outputs);
    for (size_t i = 0; i < subject.output_count; i++) {
        fwrite(outputs.tensors[i].data, 1, outputs.tensors[i].size, stdout);
    }
    subject_release(&subject, &outputs);
    hd_model_destroy(&model);
    hd_device_destroy(&device);
    subject_close(&subject);
    return fflush(stdout) == 0 ? 0 : 1;
}

/* Reads exactly `size` bytes. */
static bool read_all(int file, char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t count = read(file, bytes, size);
        if (count == 0 || (count < 0 && errno != EINTR)) {
            return false;
        }
        bytes += count > 0 ? count : 0;
        size -= count > 0 ? (size_t)count : 0;
    }
    return true;
}

static pid_t start_other(size_t index, int *out_file)
{
    extern char **environ;
    char number[24];
    int ends[2];
    pid_t process = 0;
    posix_spawn_file_actions_t actions;
    snprintf(number, sizeof number, "%zu", index);
    char *words[] = {"bits", "--print-outputs", number,
                     (char *)(subject_minilm_path != NULL ? subject_minilm_path : ""), NULL};
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
    assert_int_equal(posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO), 0);
    assert_int_equal(posix_spawn_file_actions_addclose(&actions, ends[0]), 0);
    assert_int_equal(posix_spawn(&process, "/proc/self/exe", &actions, NULL, words, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    *out_file = ends[0];
    return process;
}

static void another_process_gets_the_same_bits(void **state)
{
    subject subject;
    open_or_skip(state, &subject);
    hd_device *device = open_device(0);
    hd_model *model = subject_load(&subject, device);
    subject_tensors inputs = subject_inputs(&subject, 0), expected = {0}, outputs;
    run_or_fail(&subject, model, &inputs, &expected);
    int file = -1, status = 0;
    pid_t process = start_other((size_t)(uintptr_t)*state, &file);
    outputs = expected;
    for (size_t i = 0; i < subject.output_count; i++) {
        outputs.tensors[i].data = malloc(expected.tensors[i].size);
        assert_non_null(outputs.tensors[i].data);
        assert_true(read_all(file, outputs.tensors[i].data, expected.tensors[i].size));
    }
    char extra;
    assert_int_equal(read(file, &extra, 1), 0);
    close(file);
    assert_int_equal(waitpid(process, &status, 0), process);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_true(subject_equal(&subject, &outputs, &expected, "in another process"));
    for (size_t i = 0; i < subject.output_count; i++) {
        free(outputs.tensors[i].data);
    }
    subject_release(&subject, &expected);
    hd_model_destroy(&model);
    hd_device_destroy(&device);
    subject_close(&subject);
}

/* --- the caller's floating-point environment */

typedef struct float_setting {
    const char *what;
    unsigned control; /* bits to set in MXCSR */
    int rounding;
    int trapped; /* exceptions that raise a signal in the caller's code */
} float_setting;

static const float_setting float_settings[] = {
    {"flush to zero, denormals are zero", FLUSH_TO_ZERO | DENORMALS_ARE_ZERO, FE_TONEAREST, 0},
    {"rounding upward", 0, FE_UPWARD, 0},
    {"rounding downward, flush to zero", FLUSH_TO_ZERO, FE_DOWNWARD, 0},
    {"rounding toward zero", 0, FE_TOWARDZERO, 0},
    {"trapping exceptions", 0, FE_TONEAREST,
     FE_INVALID | FE_DIVBYZERO | FE_OVERFLOW | FE_UNDERFLOW},
};

/* Runs with the setting; the setting must be as it was afterwards, flags included. */
static void run_with_setting(const subject *subject, hd_model *model, const subject_tensors *inputs,
                             subject_tensors *outputs, const float_setting *setting)
{
    fenv_t saved;
    hd_error error = {0};
    fegetenv(&saved);
    feclearexcept(FE_ALL_EXCEPT);
    fesetround(setting->rounding);
    feenableexcept(setting->trapped);
    _mm_setcsr(_mm_getcsr() | setting->control);
    unsigned before = _mm_getcsr();
    hd_status status = subject_run(subject, model, inputs, outputs, &error);
    unsigned after = _mm_getcsr();
    int rounding = fegetround(), trapped = fegetexcept();
    fesetenv(&saved);
    if (status != HD_OK) {
        fail_msg("%s: %s", subject->name, error.message);
    }
    assert_int_equal(after, before);
    assert_int_equal(rounding, setting->rounding);
    assert_int_equal(trapped, setting->trapped);
}

static bool has_subnormal(const hd_tensor *tensor)
{
    const float *values = tensor->data;
    for (size_t i = 0; i < tensor->size / sizeof *values; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        if ((bits & 0x7fffffffu) != 0 && (bits & 0x7f800000u) == 0) {
            return true;
        }
    }
    return false;
}

static void check_settings(const subject *subject, hd_model *model, const subject_tensors *inputs,
                           bool subnormal)
{
    subject_tensors expected = {0}, outputs = {0};
    run_or_fail(subject, model, inputs, &expected);
    assert_true(!subnormal || has_subnormal(&expected.tensors[0]));
    for (size_t i = 0; i < sizeof float_settings / sizeof float_settings[0]; i++) {
        run_with_setting(subject, model, inputs, &outputs, &float_settings[i]);
        if (!subject_equal(subject, &outputs, &expected, float_settings[i].what)) {
            fail_msg("%s: %s", subject->name, float_settings[i].what);
        }
    }
    subject_release(subject, &outputs);
    subject_release(subject, &expected);
}

static void callers_float_environment_changes_nothing_and_is_kept(void **state)
{
    subject subject;
    open_or_skip_large(state, &subject);
    hd_device *device = open_device(2);
    hd_model *model = subject_load(&subject, device);
    subject_tensors inputs = subject_inputs(&subject, 0);
    check_settings(&subject, model, &inputs, false);
    if (subject.definition != NULL && subject.input_count == 2) {
        /* Products of such numbers are subnormal, which flush to zero would lose. */
        for (size_t i = 0; i < 2; i++) {
            float *values = inputs.tensors[i].data;
            for (size_t k = 0; k < inputs.tensors[i].size / sizeof *values; k++) {
                values[k] *= 1e-20f;
            }
        }
        check_settings(&subject, model, &inputs, true);
    }
    hd_model_destroy(&model);
    hd_device_destroy(&device);
    subject_close(&subject);
}

/* --- */

typedef struct behaviour {
    const char *name;
    CMUnitTestFunction run;
    bool of_cases; /* and not for MiniLM, where it is the same as another one */
} behaviour;

#define BEHAVIOUR(function, of_cases) {#function, function, of_cases}
static const behaviour behaviours[] = {
    BEHAVIOUR(many_threads_get_the_bits_of_one, false),
    BEHAVIOUR(rows_of_a_batch_have_the_bits_they_have_alone, false),
    BEHAVIOUR(stacked_callers_have_the_bits_they_have_alone, true),
    BEHAVIOUR(workers_do_not_change_bits, false),
    BEHAVIOUR(another_process_gets_the_same_bits, false),
    BEHAVIOUR(callers_float_environment_changes_nothing_and_is_kept, false),
};
#define BEHAVIOUR_COUNT (sizeof behaviours / sizeof behaviours[0])

/* One test a behaviour and subject, named BEHAVIOUR.SUBJECT. */
static size_t list_tests(struct CMUnitTest *tests, char (*names)[128])
{
    size_t count = 0;
    for (size_t i = 0; i < BEHAVIOUR_COUNT; i++) {
        for (size_t k = 0; k < SUBJECT_COUNT; k++) {
            const hd_case_definition *definition = k < CASE_COUNT ? &hd_case_definitions[k] : NULL;
            if (behaviours[i].of_cases && definition == NULL) {
                continue;
            }
            snprintf(names[count], sizeof names[count], "%s.%s", behaviours[i].name,
                     definition != NULL ? definition->name : "minilm");
            tests[count] = (struct CMUnitTest){.name = names[count],
                                               .test_func = behaviours[i].run,
                                               .initial_state = (void *)(uintptr_t)k};
            count++;
        }
    }
    return count;
}

int main(int argc, char **argv)
{
    static struct CMUnitTest tests[BEHAVIOUR_COUNT * SUBJECT_COUNT];
    static char names[BEHAVIOUR_COUNT * SUBJECT_COUNT][128];
    if (argc == 4 && strcmp(argv[1], "--print-outputs") == 0) {
        subject_minilm_path = argv[3][0] != '\0' ? argv[3] : NULL;
        return print_outputs((size_t)strtoull(argv[2], NULL, 10));
    }
    const char *path = getenv("HEDDLE_MINILM");
    const char *number = getenv("HEDDLE_BITS_REPEATS");
    if (number != NULL) {
        repeats = strtoull(number, NULL, 10);
    }
    subject_minilm_path = path != NULL && access(path, R_OK) == 0 ? path : NULL;
    size_t count = list_tests(tests, names);
    return repeats == 0 ? 2 : _cmocka_run_group_tests("bits", tests, count, NULL, NULL);
}

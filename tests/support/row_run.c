#include "row_run.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "graph/operator.h"
#include "test_device.h"

/* Absurd sizes are a status, not gigabytes. */
#define MOST_MEMORY ((rlim_t)2 << 30)
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "max_allocation_size_mb=512:allocator_may_return_null=1";
}
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "max_allocation_size_mb=512:allocator_may_return_null=1";
}

static char current[1024]; /* what the alarm says */

/* Of this process: other programs' load does not count. */
static double processor_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void set_alarm(double seconds)
{
    struct itimerval timer = {.it_value = {.tv_sec = (time_t)seconds}};
    setitimer(ITIMER_PROF, &timer, NULL);
}

static void on_alarm(int signal_number)
{
    (void)signal_number;
    ssize_t written = write(STDERR_FILENO, current, strlen(current));
    written = write(STDERR_FILENO, ": no end\n", 9);
    (void)written;
    abort();
}

hd_device *row_device(void)
{
    hd_device_options options = {
        .struct_size = sizeof options, .thread_count = 1, .memory_limit = 64u << 20};
    hd_device *device = NULL;
    assert_int_equal(hd_device_open(test_device_name(), &options, &device, NULL), HD_OK);
    signal(SIGPROF, on_alarm);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(__clang__)
    struct rlimit limit = {.rlim_cur = MOST_MEMORY, .rlim_max = RLIM_INFINITY};
    getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = MOST_MEMORY;
    setrlimit(RLIMIT_AS, &limit);
#endif
    return device;
}

static hd_tensor tensor_of(const row_operand *operand, void *data)
{
    hd_tensor tensor = {.dtype = operand->dtype, .rank = operand->shape.rank, .data = data};
    memcpy(tensor.dims, operand->shape.dims, operand->shape.rank * sizeof *tensor.dims);
    tensor.size =
        data == NULL ? 0 : (size_t)hd_shape_count(&operand->shape) * hd_dtype_size(operand->dtype);
    return tensor;
}

/* Makes the graph; inputs[] gets the tensors of its inputs. */
static hd_status make_graph(const row_case *c, row_mode mode, void *const *data, hd_tensor *inputs,
                            size_t *input_count, hd_graph **out_graph, hd_error *error)
{
    hd_value values[ROW_OPERAND_LIMIT], results[ROW_OUTPUT_LIMIT];
    hd_graph *graph = NULL;
    hd_status status = hd_graph_create(c->opset, &graph, error);
    *out_graph = graph;
    *input_count = 0;
    for (size_t i = 0; i < c->input_count && status == HD_OK; i++) {
        const row_operand *operand = &c->inputs[i];
        hd_tensor tensor = tensor_of(operand, data[i]);
        values[i] = HD_VALUE_NONE;
        if (operand->dtype == HD_DTYPE_NONE) {
            continue;
        }
        if (mode == ROW_FOLDED || (mode == ROW_PLANNED && operand->has_elements)) {
            status = hd_graph_add_constant(graph, &tensor, &values[i], error);
            continue;
        }
        char name[8];
        snprintf(name, sizeof name, "x%zu", i);
        inputs[(*input_count)++] = tensor;
        status = hd_graph_add_input(graph, name, operand->dtype, operand->shape.rank,
                                    operand->shape.dims, &values[i], error);
    }
    if (status == HD_OK) {
        status = hd_graph_add_node(graph, c->type, values, c->input_count, c->attributes,
                                   c->attribute_count, results, c->output_count, error);
    }
    for (size_t i = 0; i < c->output_count && status == HD_OK; i++) {
        char name[8];
        snprintf(name, sizeof name, "y%zu", i);
        status = hd_graph_add_output(graph, name, results[i], error);
    }
    return status;
}

bool row_run(hd_device *device, const row_case *c, row_mode mode, hd_tensor *outputs,
             hd_status *out_status, hd_error *error)
{
    void *data[ROW_OPERAND_LIMIT] = {NULL};
    bool possible = true;
    memset(outputs, 0, ROW_OUTPUT_LIMIT * sizeof *outputs);
    for (size_t i = 0; i < c->input_count; i++) {
        const row_operand *operand = &c->inputs[i];
        data[i] = row_operand_data(operand);
        possible = possible && (data[i] != NULL || operand->dtype == HD_DTYPE_NONE ||
                                (hd_shape_is_valid(&operand->shape, operand->dtype) &&
                                 hd_shape_count(&operand->shape) == 0));
    }
    if (possible) {
        hd_tensor inputs[ROW_OPERAND_LIMIT];
        size_t input_count;
        hd_graph *graph = NULL;
        hd_model *model = NULL;
        *out_status = make_graph(c, mode, data, inputs, &input_count, &graph, error);
        if (*out_status == HD_OK) {
            *out_status = hd_model_create(device, graph, NULL, &model, error);
        }
        if (*out_status == HD_OK) {
            *out_status = hd_model_run(model, inputs, input_count, outputs, c->output_count, error);
        }
        hd_model_destroy(&model);
        hd_graph_destroy(&graph);
    }
    for (size_t i = 0; i < c->input_count; i++) {
        hd_free(data[i]);
    }
    return possible;
}

void row_outputs_clear(hd_tensor *outputs)
{
    for (size_t i = 0; i < ROW_OUTPUT_LIMIT; i++) {
        hd_tensor_release(&outputs[i]);
    }
}

static bool is_blame(hd_status status)
{
    return status == HD_INVALID_ARGUMENT || status == HD_BAD_MODEL || status == HD_UNSUPPORTED ||
           status == HD_OUT_OF_MEMORY;
}

/* float32 elements that differ by no more than their largest times 1e-4, or are not finite in both. */
static bool elements_close(const hd_tensor *a, const hd_tensor *b)
{
    const float *x = a->data, *y = b->data;
    const size_t count = a->size / sizeof *x;
    float largest = 0;
    for (size_t i = 0; i < count; i++) {
        largest = isfinite(x[i]) && fabsf(x[i]) > largest ? fabsf(x[i]) : largest;
    }
    for (size_t i = 0; i < count; i++) {
        if (isfinite(x[i]) != isfinite(y[i]) ||
            (isfinite(x[i]) && !(fabsf(x[i] - y[i]) <= 1e-4f * largest))) {
            return false;
        }
    }
    return true;
}

static bool texts_equal(const hd_tensor *a, const hd_tensor *b)
{
    const hd_string *left = a->data, *right = b->data;
    size_t count = 1;
    for (uint32_t d = 0; d < a->rank; d++) {
        count *= (size_t)a->dims[d];
    }
    for (size_t i = 0; i < count; i++) {
        if (left[i].size != right[i].size ||
            (left[i].size > 0 && memcmp(left[i].data, right[i].data, left[i].size) != 0)) {
            return false;
        }
    }
    return true;
}

/* An operator that is written out is fused where it runs, which may round otherwise than what is folded step by step:
 * attention, norms and activations are (docs/architecture.md). */
static bool are_equal(const row_case *c, const hd_tensor *a, const hd_tensor *b)
{
    if (a->dtype == HD_STRING) {
        return texts_equal(a, b);
    }
    return a->size == 0 || memcmp(a->data, b->data, a->size) == 0 ||
           (a->dtype == HD_FLOAT32 && hd_operator_find(c->type)->expand != NULL &&
            elements_close(a, b));
}

static bool outputs_equal(const row_case *c, const hd_tensor *a, const hd_tensor *b)
{
    for (size_t i = 0; i < c->output_count; i++) {
        if (a[i].dtype != b[i].dtype || a[i].rank != b[i].rank || a[i].size != b[i].size ||
            memcmp(a[i].dims, b[i].dims, a[i].rank * sizeof *a[i].dims) != 0 ||
            !are_equal(c, &a[i], &b[i])) {
            return false;
        }
    }
    return true;
}

bool row_check(hd_device *device, const row_case *c, unsigned modes, double seconds)
{
    hd_tensor first[ROW_OUTPUT_LIMIT] = {0}, outputs[ROW_OUTPUT_LIMIT];
    bool ran = false;
    row_case_text(c, current, sizeof current);
    for (row_mode mode = ROW_FOLDED; mode < ROW_MODE_COUNT; mode++) {
        hd_error error = {.status = HD_OK};
        hd_status status = HD_OK;
        if ((modes >> mode & 1) == 0) {
            continue;
        }
        double begin = processor_seconds();
        set_alarm(2 * seconds + 1);
        bool possible = row_run(device, c, mode, outputs, &status, &error);
        set_alarm(0);
        double taken = processor_seconds() - begin;
        if (taken > seconds) {
            fail_msg("%s (mode %d): %g s, %s", current, mode, taken, error.message);
        }
        if (possible && status != HD_OK && !is_blame(status)) {
            fail_msg("%s (mode %d): %s", current, mode, error.message);
        }
        if (possible && status == HD_OK) {
            if (ran && !outputs_equal(c, first, outputs)) {
                fail_msg("%s (mode %d): another result than in the mode before", current, mode);
            }
            row_outputs_clear(first);
            memcpy(first, outputs, sizeof first);
            ran = true;
        } else {
            row_outputs_clear(outputs);
        }
    }
    row_outputs_clear(first);
    return ran;
}

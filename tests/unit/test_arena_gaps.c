/* What a kernel must not touch is reported in builds with AddressSanitizer: memory behind a tensor of the arena, a tensor
 * that has died, memory behind its scratch and behind packed weights. Each fault is planted in a child. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "graph/model.h"
#include "graph/plan.h"
#include "support/operation_runner.h"

enum { ROWS = 3, COLUMNS = 5, COUNT = ROWS * COLUMNS };

typedef enum fault {
    NO_FAULT,
    WRITES_BEHIND, /* the output of step 0, by one element */
    READS_BEHIND,
    READS_THE_DEAD, /* step 2 reads what step 1 was the last to read */
    USES_MORE_SCRATCH,
    READS_BEHIND_WEIGHTS
} fault;

static fault planted;
static hd_kernel original;
static float *first_output; /* of step 0 */
static size_t weights_size; /* bytes */
static volatile float sink;

static void run_planted(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                        void *scratch)
{
    original.run(parameters, buffers, begin, end, scratch);
    switch (planted) {
    case NO_FAULT:
        break;
    case WRITES_BEHIND:
        ((volatile float *)buffers[1])[COUNT] = 0.0f;
        break;
    case READS_BEHIND:
        sink = ((volatile float *)buffers[1])[COUNT];
        break;
    case READS_THE_DEAD:
        sink = *(volatile float *)first_output;
        break;
    case USES_MORE_SCRATCH:
        ((volatile unsigned char *)scratch)[original.scratch_size] = 0;
        break;
    case READS_BEHIND_WEIGHTS:
        sink = *(volatile float *)((char *)buffers[1] + weights_size);
        break;
    }
}

static void note_output(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                        void *scratch)
{
    first_output = buffers[1];
    original.run(parameters, buffers, begin, end, scratch);
}

static hd_value add(hd_graph *graph, const char *type, hd_value a, hd_value b)
{
    hd_value result, operands[] = {a, b};
    assert_int_equal(hd_graph_add_node(graph, type, operands, b == HD_VALUE_NONE ? 1 : 2, NULL, 0,
                                       &result, 1, NULL),
                     HD_OK);
    return result;
}

/* Softmax, Transpose, Softmax, and a product with a constant; none of them are fused. */
static hd_model *make_model(hd_device *device)
{
    static const float weights[ROWS * ROWS] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    hd_tensor constant = OPERATION_TENSOR(HD_FLOAT32, weights, ROWS, ROWS);
    hd_graph *graph = NULL;
    hd_model *model = NULL;
    hd_value x, w;
    assert_int_equal(hd_graph_create(0, &graph, NULL), HD_OK);
    assert_int_equal(
        hd_graph_add_input(graph, "x", HD_FLOAT32, 2, (int64_t[]){ROWS, COLUMNS}, &x, NULL), HD_OK);
    assert_int_equal(hd_graph_add_constant(graph, &constant, &w, NULL), HD_OK);
    hd_value a = add(graph, "Softmax", x, HD_VALUE_NONE);
    hd_value b = add(graph, "Transpose", a, HD_VALUE_NONE);
    hd_value c = add(graph, "Softmax", b, HD_VALUE_NONE);
    assert_int_equal(hd_graph_add_output(graph, "y", add(graph, "MatMul", c, w), NULL), HD_OK);
    assert_int_equal(hd_model_create(device, graph, NULL, &model, NULL), HD_OK);
    hd_graph_destroy(&graph);
    return model;
}

static hd_plan *plan_of(const hd_model *model)
{
    for (size_t lane = 0; lane < HD_LANE_COUNT; lane++) {
        if (model->memos[lane].plans[0] != NULL) {
            return model->memos[lane].plans[0];
        }
    }
    return NULL;
}

static void plant(hd_kernel *kernel, hd_kernel_run *run)
{
    original = *kernel;
    kernel->run = run;
}

/* Runs the model twice, the second time with the fault in the kernel of `step`. */
static void run_with(fault what, size_t step)
{
    hd_device_options options = {.struct_size = sizeof options, .thread_count = 1};
    hd_device *device = NULL;
    float data[COUNT] = {0};
    hd_tensor input = OPERATION_TENSOR(HD_FLOAT32, data, ROWS, COLUMNS), output = {0};
    assert_int_equal(hd_device_open("cpu", &options, &device, NULL), HD_OK);
    hd_model *model = make_model(device);
    assert_int_equal(hd_model_run(model, &input, 1, &output, 1, NULL), HD_OK);
    hd_recipe *recipe = &plan_of(model)->recipe;
    assert_int_equal(recipe->step_count, 4);
    for (size_t v = 0; v < model->graph->value_count; v++) {
        weights_size = model->packed[v] != NULL ? model->packed[v]->size : weights_size;
    }
    planted = what;
    if (what == READS_THE_DEAD) {
        plant(&recipe->steps[0].kernel, note_output);
        assert_int_equal(hd_model_run(model, &input, 1, &output, 1, NULL), HD_OK);
        recipe->steps[0].kernel = original;
    }
    plant(&recipe->steps[step].kernel, run_planted);
    assert_int_equal(hd_model_run(model, &input, 1, &output, 1, NULL), HD_OK);
    hd_tensor_release(&output);
    hd_model_destroy(&model);
    hd_device_destroy(&device);
}

/* What a child says that runs with the fault; true when it ended well. */
static bool child_ends_well(fault what, size_t step, char *said, size_t size)
{
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        run_with(what, step);
        _exit(0);
    }
    close(ends[1]);
    size_t used = 0;
    for (ssize_t got; used + 1 < size && (got = read(ends[0], said + used, size - 1 - used)) > 0;) {
        used += (size_t)got;
    }
    said[used] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void expect_report(fault what, size_t step)
{
    char said[4096];
    if (HD_MEMORY_GAP == 0) {
        skip();
    }
    assert_false(child_ends_well(what, step, said, sizeof said));
    if (strstr(said, "use-after-poison") == NULL) {
        fail_msg("%s", said);
    }
}

static void test_right_kernels_are_not_reported(void **state)
{
    (void)state;
    char said[4096];
    if (!child_ends_well(NO_FAULT, 0, said, sizeof said)) {
        fail_msg("%s", said);
    }
}

static void test_a_write_behind_a_tensor_is_reported(void **state)
{
    (void)state;
    expect_report(WRITES_BEHIND, 0);
}

static void test_a_read_behind_a_tensor_is_reported(void **state)
{
    (void)state;
    expect_report(READS_BEHIND, 1);
}

static void test_a_read_of_a_dead_tensor_is_reported(void **state)
{
    (void)state;
    expect_report(READS_THE_DEAD, 2);
}

static void test_more_scratch_than_asked_for_is_reported(void **state)
{
    (void)state;
    expect_report(USES_MORE_SCRATCH, 3);
}

static void test_a_read_behind_packed_weights_is_reported(void **state)
{
    (void)state;
    expect_report(READS_BEHIND_WEIGHTS, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right_kernels_are_not_reported),
        cmocka_unit_test(test_a_write_behind_a_tensor_is_reported),
        cmocka_unit_test(test_a_read_behind_a_tensor_is_reported),
        cmocka_unit_test(test_a_read_of_a_dead_tensor_is_reported),
        cmocka_unit_test(test_more_scratch_than_asked_for_is_reported),
        cmocka_unit_test(test_a_read_behind_packed_weights_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

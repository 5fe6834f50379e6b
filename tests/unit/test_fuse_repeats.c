/* Fusing of Resize into Concat: where it repeats whole elements, and nowhere else; with equal bits. */
#include <stdlib.h>
#include <string.h>

#include "rows_fixture.h"
#include "support/operation_runner.h"

enum { SMALL = 6, CHANNELS = 3, FIRST = 24, SECOND = 5 };

typedef struct resize_case {
    const char *mode, *transformation, *nearest;
    int64_t factor;
    bool fuses;
} resize_case;

static hd_value add_constant(hd_graph *graph, uint32_t rank, const int64_t *dims, size_t count)
{
    float *values = malloc(count * sizeof *values);
    fill(values, count);
    hd_tensor tensor = operation_tensor(HD_FLOAT32, values, rank, dims);
    hd_value value;
    assert_ok(hd_graph_add_constant(graph, &tensor, &value, &error));
    free(values);
    return value;
}

static hd_value add_conv(hd_graph *graph, const char *name, int64_t outputs)
{
    static const int64_t dims[] = {-1, CHANNELS, -1, -1};
    hd_value inputs[2], y;
    assert_ok(hd_graph_add_input(graph, name, HD_FLOAT32, 4, dims, &inputs[0], &error));
    inputs[1] =
        add_constant(graph, 4, (int64_t[]){outputs, CHANNELS, 1, 1}, (size_t)outputs * CHANNELS);
    assert_ok(hd_graph_add_node(graph, "Conv", inputs, 2, NULL, 0, &y, 1, &error));
    return y;
}

/* concat(resize(conv(x)), conv(z)); the resized tensor is an output, too, where it is `kept`. */
static hd_model *make_model(const resize_case *test, bool kept)
{
    hd_graph *graph;
    hd_model *model;
    float scales[] = {1, 1, (float)test->factor, (float)test->factor};
    int64_t four = 4;
    hd_tensor scale_tensor = operation_tensor(HD_FLOAT32, scales, 1, &four);
    hd_attribute attributes[] = {
        operation_string("mode", test->mode),
        operation_string("coordinate_transformation_mode", test->transformation),
        operation_string("nearest_mode", test->nearest)};
    hd_attribute axis = operation_int("axis", 1);
    hd_value inputs[3] = {HD_VALUE_NONE, HD_VALUE_NONE, HD_VALUE_NONE}, parts[2], y;
    assert_ok(hd_graph_create(0, &graph, &error));
    inputs[0] = add_conv(graph, "x", FIRST);
    parts[1] = add_conv(graph, "z", SECOND);
    assert_ok(hd_graph_add_constant(graph, &scale_tensor, &inputs[2], &error));
    assert_ok(hd_graph_add_node(graph, "Resize", inputs, 3, attributes, 3, &parts[0], 1, &error));
    assert_ok(hd_graph_add_node(graph, "Concat", parts, 2, &axis, 1, &y, 1, &error));
    assert_ok(hd_graph_add_output(graph, "y", y, &error));
    if (kept) {
        assert_ok(hd_graph_add_output(graph, "resized", parts[0], &error));
    }
    assert_ok(hd_model_create(device, graph, NULL, &model, &error));
    hd_graph_destroy(&graph);
    return model;
}

static bool has_step(const hd_model *model, const char *type)
{
    for (uint32_t lane = 0; lane < HD_LANE_COUNT; lane++) {
        const hd_plan *plan = model->memos[lane].plans[0];
        for (size_t i = 0; plan != NULL && i < plan->recipe.step_count; i++) {
            if (strcmp(plan->recipe.steps[i].type, type) == 0) {
                return true;
            }
        }
    }
    return false;
}

static void check_fusing(const resize_case *test)
{
    int64_t large = SMALL * test->factor;
    size_t x_count = 2 * CHANNELS * SMALL * SMALL, z_count = (size_t)(2 * CHANNELS * large * large);
    float *x = malloc(x_count * sizeof *x), *z = malloc(z_count * sizeof *z);
    fill(x, x_count);
    fill(z, z_count);
    hd_tensor inputs[] = {OPERATION_TENSOR(HD_FLOAT32, x, 2, CHANNELS, SMALL, SMALL),
                          OPERATION_TENSOR(HD_FLOAT32, z, 2, CHANNELS, large, large)};
    hd_tensor outputs[2][2] = {{{.data = NULL}}};
    for (int kept = 0; kept < 2; kept++) {
        hd_model *model = make_model(test, kept != 0);
        assert_ok(hd_model_run(model, inputs, 2, outputs[kept], 1 + (size_t)kept, &error));
        assert_int_equal(has_step(model, "heddle.ConcatRepeated"), test->fuses && kept == 0);
        hd_model_destroy(&model);
    }
    assert_int_equal(outputs[0][0].dims[1], FIRST + SECOND);
    operation_check_output(&outputs[0][0], &outputs[1][0]);
    hd_tensor_release(&outputs[0][0]);
    hd_tensor_release(&outputs[1][0]);
    hd_tensor_release(&outputs[1][1]);
    free(x);
    free(z);
}

static void resizes_that_repeat_are_read_where_they_are_joined(void **state)
{
    (void)state;
    static const resize_case cases[] = {
        {"nearest", "asymmetric", "floor", 2, true},
        {"nearest", "asymmetric", "floor", 8, true},
        {"nearest", "asymmetric", "round_prefer_floor", 2, true},
        {"nearest", "asymmetric", "ceil", 2, false},
        {"nearest", "half_pixel", "round_prefer_floor", 2, true},
        {"nearest", "half_pixel", "round_prefer_floor", 3, true},
        {"nearest", "half_pixel", "floor", 2, false},
        {"nearest", "align_corners", "floor", 2, false},
        {"linear", "half_pixel", "floor", 2, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_fusing(&cases[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resizes_that_repeat_are_read_where_they_are_joined),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}

/* Activations spelled out with constants: the exact ones, rounded to the model's precision, make an operator;
 * their neighbours, and what lies 1e-5 or 1e-4 beside them, are computed as they are written. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rows_fixture.h"
#include "support/operation_runner.h"

enum { COUNT = 64, CONSTANTS = 3 };

typedef struct spelling {
    const char *fused; /* the step that it becomes */
    double constants[CONSTANTS];
    hd_value (*add)(hd_graph *graph, hd_value x, const hd_value *constants);
    double (*reference)(double x, const double *constants);
} spelling;

static hd_value add_two(hd_graph *graph, const char *type, hd_value a, hd_value b)
{
    hd_value inputs[] = {a, b}, y;
    assert_ok(hd_graph_add_node(graph, type, inputs, 2, NULL, 0, &y, 1, &error));
    return y;
}

static hd_value add_one(hd_graph *graph, const char *type, hd_value x)
{
    hd_value y;
    assert_ok(hd_graph_add_node(graph, type, &x, 1, NULL, 0, &y, 1, &error));
    return y;
}

static hd_value add_gelu_by_division(hd_graph *graph, hd_value x, const hd_value *c)
{
    hd_value gate =
        add_two(graph, "Add", c[1], add_one(graph, "Erf", add_two(graph, "Div", x, c[0])));
    return add_two(graph, "Mul", add_two(graph, "Mul", x, gate), c[2]);
}

static double gelu_by_division(double x, const double *c)
{
    return x * (c[1] + erf(x / c[0])) * c[2];
}

static hd_value add_gelu_by_product(hd_graph *graph, hd_value x, const hd_value *c)
{
    hd_value gate =
        add_two(graph, "Add", add_one(graph, "Erf", add_two(graph, "Mul", c[0], x)), c[1]);
    return add_two(graph, "Mul", add_two(graph, "Div", x, c[2]), gate);
}

static double gelu_by_product(double x, const double *c)
{
    return x / c[2] * (c[1] + erf(x * c[0]));
}

static hd_value add_hard_swish(hd_graph *graph, hd_value x, const hd_value *c)
{
    float low = 0;
    hd_tensor zero = OPERATION_SCALAR(HD_FLOAT32, &low);
    hd_value inputs[3] = {add_two(graph, "Add", x, c[0]), HD_VALUE_NONE, c[1]}, clipped;
    assert_ok(hd_graph_add_constant(graph, &zero, &inputs[1], &error));
    assert_ok(hd_graph_add_node(graph, "Clip", inputs, 3, NULL, 0, &clipped, 1, &error));
    return add_two(graph, "Mul", add_two(graph, "Mul", clipped, c[2]), x);
}

static double hard_swish(double x, const double *c)
{
    return x * fmin(fmax(x + c[0], 0), c[1]) * c[2];
}

static hd_value add_scaled_swish(hd_graph *graph, hd_value x, const hd_value *c)
{
    return add_two(graph, "Mul", x, add_one(graph, "Sigmoid", add_two(graph, "Mul", c[0], x)));
}

static double scaled_swish(double x, const double *c)
{
    return x / (1 + exp(-c[0] * x));
}

static const spelling spellings[] = {
    {"Gelu", {1.4142135623730951, 1, 0.5}, add_gelu_by_division, gelu_by_division},
    {"Gelu", {0.70710678118654752, 1, 2}, add_gelu_by_product, gelu_by_product},
    {"HardSwish", {3, 6, 1.0 / 6}, add_hard_swish, hard_swish},
    {"Swish", {1}, add_scaled_swish, scaled_swish},
};

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

/* Runs y = activation(x); with halves between two Softmaxes, so that the Casts stay apart from it. */
static bool run(const spelling *test, const hd_tensor *constants, const hd_tensor *x, hd_tensor *y)
{
    hd_graph *graph;
    hd_model *model;
    hd_value value, made[CONSTANTS];
    assert_ok(hd_graph_create(0, &graph, &error));
    assert_ok(hd_graph_add_input(graph, "x", x->dtype, 1, x->dims, &value, &error));
    for (size_t i = 0; i < CONSTANTS; i++) {
        assert_ok(hd_graph_add_constant(graph, &constants[i], &made[i], &error));
    }
    const bool half = x->dtype != HD_FLOAT32;
    value = test->add(graph, half ? add_one(graph, "Softmax", value) : value, made);
    value = half ? add_one(graph, "Softmax", value) : value;
    assert_ok(hd_graph_add_output(graph, "y", value, &error));
    assert_ok(hd_model_create(device, graph, NULL, &model, &error));
    hd_graph_destroy(&graph);
    *y = (hd_tensor){0};
    assert_ok(hd_model_run(model, x, 1, y, 1, &error));
    bool fused = has_step(model, test->fused);
    hd_model_destroy(&model);
    return fused;
}

static void check_float32(const spelling *test, const float *constants, bool fuses)
{
    float data[COUNT];
    double doubles[CONSTANTS];
    hd_tensor tensors[CONSTANTS], y;
    for (size_t i = 0; i < CONSTANTS; i++) {
        tensors[i] = OPERATION_SCALAR(HD_FLOAT32, &constants[i]);
        doubles[i] = (double)constants[i];
    }
    for (int i = 0; i < COUNT; i++) {
        data[i] = 0.15f * (float)(i - 20);
    }
    hd_tensor x = OPERATION_TENSOR(HD_FLOAT32, data, COUNT);
    assert_int_equal(run(test, tensors, &x, &y), fuses);
    for (int i = 0; i < COUNT; i++) {
        double expected = test->reference((double)data[i], doubles);
        assert_true(fabs((double)((float *)y.data)[i] - expected) < 1e-6 * (1 + fabs(expected)));
    }
    hd_tensor_release(&y);
}

static void only_exact_constants_make_an_activation(void **state)
{
    (void)state;
    for (size_t t = 0; t < sizeof spellings / sizeof spellings[0]; t++) {
        float exact[CONSTANTS];
        for (size_t i = 0; i < CONSTANTS; i++) {
            exact[i] = (float)spellings[t].constants[i];
        }
        check_float32(&spellings[t], exact, true);
        for (size_t i = 0; i < CONSTANTS && exact[i] != 0; i++) {
            const float c = exact[i];
            const float near[] = {nextafterf(c, 9),
                                  nextafterf(c, 0),
                                  c * (1 + 1e-5f),
                                  c * (1 - 1e-5f),
                                  c * (1 + 1e-4f),
                                  c * (1 - 1e-4f),
                                  -c};
            for (size_t k = 0; k < sizeof near / sizeof near[0]; k++) {
                exact[i] = near[k];
                check_float32(&spellings[t], exact, false);
            }
            exact[i] = c;
        }
    }
}

static void roundings_to_half_make_an_activation_in_models_of_halves_only(void **state)
{
    (void)state;
    /* 1/√2 as float16 and as bfloat16 is the same number, 181/256. */
    static const uint16_t constants[2][CONSTANTS] = {{0x39A8, 0x3C00, 0x4000},
                                                     {0x3F35, 0x3F80, 0x4000}};
    static const hd_dtype dtypes[] = {HD_FLOAT16, HD_BFLOAT16};
    const float as_float32[] = {0.70703125f, 1, 2};
    check_float32(&spellings[1], as_float32, false);
    for (size_t h = 0; h < 2; h++) {
        uint16_t data[COUNT] = {0}, near[CONSTANTS];
        hd_tensor x = OPERATION_TENSOR(dtypes[h], data, COUNT), tensors[CONSTANTS], y;
        memcpy(near, constants[h], sizeof near);
        for (uint16_t off = 0; off < 2; off++) {
            near[0] = (uint16_t)(constants[h][0] + off);
            for (size_t i = 0; i < CONSTANTS; i++) {
                tensors[i] = OPERATION_SCALAR(dtypes[h], &near[i]);
            }
            assert_int_equal(run(&spellings[1], tensors, &x, &y), off == 0);
            hd_tensor_release(&y);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_exact_constants_make_an_activation),
        cmocka_unit_test(roundings_to_half_make_an_activation_in_models_of_halves_only),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}

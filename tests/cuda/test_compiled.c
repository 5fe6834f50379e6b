/* Elementwise kernels that the driver has compiled for a program against the interpreter, bit for bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hal/cuda/elementwise_kernels.h"
#include "heddle/heddle.h"
#include "runtime/device.h"

enum { MANY = 1 << 20, ODD = 1000003, LARGEST = 3 << 20 };

static float x[LARGEST], y[LARGEST];

/* Every fifth is a number of everyday size, the others any bits: NaN, infinities, subnormal and huge numbers. */
static void fill(float *data, size_t count, uint64_t seed)
{
    static const float special[] = {0.0f,  -0.0f,  1.0f,   -1.0f,  2.0f,           3.0f,
                                    0.5f,  -0.5f,  20.0f,  88.8f,  -87.4f,         1e-40f,
                                    1e38f, 127.0f, 128.0f, 255.5f, -9.2233720e18f, 1.8446744e19f};
    uint64_t state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (size_t i = 0; i < count; i++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        uint32_t bits = (uint32_t)(state >> 32);
        memcpy(&data[i], &bits, sizeof bits);
        if (i % 5 == 0) {
            data[i] = (float)(int32_t)bits / 1e8f;
        } else if (i % 101 < sizeof special / sizeof special[0]) {
            data[i] = special[i % 101];
        }
    }
}

static uint64_t hash_of(const void *data, size_t size)
{
    const unsigned char *bytes = data;
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
    }
    return hash;
}

/* A graph in the making: of two inputs, x and y. */
typedef struct made {
    hd_graph *graph;
    hd_value x, y, result;
} made;

static hd_value add(const made *m, const char *type, const hd_value *operands, size_t count,
                    const hd_attribute *attributes, size_t attribute_count)
{
    hd_value result;
    hd_error error;
    if (hd_graph_add_node(m->graph, type, operands, count, attributes, attribute_count, &result, 1,
                          &error) != HD_OK) {
        fail_msg("%s: %s", type, error.message);
    }
    return result;
}

static hd_value cast(const made *m, hd_value v, int64_t onnx_type)
{
    const hd_attribute to = {.name = "to", .kind = HD_ATTRIBUTE_INT, .i = onnx_type};
    return add(m, "Cast", &v, 1, &to, 1);
}

static const char *const of_one[] = {"Abs",
                                     "Acos",
                                     "Acosh",
                                     "Asin",
                                     "Asinh",
                                     "Atan",
                                     "Atanh",
                                     "Ceil",
                                     "Celu",
                                     "Cos",
                                     "Cosh",
                                     "Elu",
                                     "Erf",
                                     "Exp",
                                     "Floor",
                                     "Gelu",
                                     "LeakyRelu",
                                     "Log",
                                     "Mish",
                                     "HardSigmoid",
                                     "HardSwish",
                                     "Neg",
                                     "Reciprocal",
                                     "Relu",
                                     "Round",
                                     "Selu",
                                     "Shrink",
                                     "Sigmoid",
                                     "Sign",
                                     "Sin",
                                     "Sinh",
                                     "Softplus",
                                     "Softsign",
                                     "Sqrt",
                                     "Tan",
                                     "Tanh",
                                     "ThresholdedRelu"};
static const char *const of_two[] = {"Add", "Sub", "Mul", "Div", "Max", "Min", "Pow", "PRelu"};
static const char *const tests_of_two[] = {"Equal", "Less", "LessOrEqual", "Greater"};
static const int64_t types[] = {
    2, 3, 4, 5, 9, 10, 16}; /* uint8, int8, uint16, int16, bool, float16, bfloat16 */

enum {
    ONES = sizeof of_one / sizeof of_one[0],
    TWOS = sizeof of_two / sizeof of_two[0],
    TESTS = sizeof tests_of_two / sizeof tests_of_two[0],
    TYPES = sizeof types / sizeof types[0],
    CHAINS = 4,
    GRAPHS = ONES + TWOS + TESTS + TYPES + CHAINS
};

/* Chains: of all that take one, of halves and bytes, of a value that is read again, of a long program. */
static hd_value add_chain(const made *m, int which)
{
    hd_value v = m->x;
    for (int i = 0; i < 12; i++) {
        hd_value w = add(m, of_one[(which * 12 + 7 * i) % ONES], &v, 1, NULL, 0);
        v = add(m, of_two[i % 4], (const hd_value[]){w, i % 3 == 0 ? m->y : v}, 2, NULL, 0);
    }
    if (which % 2 == 1) {
        v = cast(m, add(m, "Clip", &v, 1, NULL, 0), 10);
    }
    return v;
}

static hd_value add_result(const made *m, int number)
{
    const hd_value both[] = {m->x, m->y};
    if (number < ONES) {
        return add(m, of_one[number], &m->x, 1, NULL, 0);
    }
    number -= ONES;
    if (number < TWOS) {
        return add(m, of_two[number], both, 2, NULL, 0);
    }
    number -= TWOS;
    if (number < TESTS) {
        hd_value chosen[] = {add(m, tests_of_two[number], both, 2, NULL, 0), m->x, m->y};
        return add(m, "Where", chosen, 3, NULL, 0);
    }
    number -= TESTS;
    if (number < TYPES) {
        return cast(m, m->x, types[number]);
    }
    return add_chain(m, number - TYPES);
}

/* Shapes of x and y: flat, y a scalar, y repeated along the last axis and the first, four neighbours at once or not. */
static const struct {
    uint32_t rank, y_rank;
    int64_t dims[3], y_dims[3];
} shapes[] = {{1, 1, {MANY}, {MANY}},           {1, 1, {ODD}, {1}},
              {1, 1, {4099}, {4099}},           {3, 3, {12, 512, 512}, {12, 1, 512}},
              {3, 2, {12, 512, 512}, {512, 1}}, {3, 3, {7, 33, 1001}, {1, 33, 1}}};

enum { SHAPES = sizeof shapes / sizeof shapes[0] };

static uint64_t run_one(hd_device *device, int number, size_t shape)
{
    made m;
    hd_model *model;
    hd_error error;
    hd_tensor inputs[2] = {
        {.dtype = HD_FLOAT32, .rank = shapes[shape].rank, .data = x, .size = 4},
        {.dtype = HD_FLOAT32, .rank = shapes[shape].y_rank, .data = y, .size = 4}};
    for (uint32_t d = 0; d < inputs[0].rank; d++) {
        inputs[0].dims[d] = shapes[shape].dims[d];
        inputs[0].size *= (size_t)shapes[shape].dims[d];
    }
    for (uint32_t d = 0; d < inputs[1].rank; d++) {
        inputs[1].dims[d] = shapes[shape].y_dims[d];
        inputs[1].size *= (size_t)shapes[shape].y_dims[d];
    }
    assert_int_equal(hd_graph_create(20, &m.graph, NULL), HD_OK);
    assert_int_equal(
        hd_graph_add_input(m.graph, "x", HD_FLOAT32, inputs[0].rank, inputs[0].dims, &m.x, NULL),
        HD_OK);
    assert_int_equal(
        hd_graph_add_input(m.graph, "y", HD_FLOAT32, inputs[1].rank, inputs[1].dims, &m.y, NULL),
        HD_OK);
    m.result = add_result(&m, number);
    assert_int_equal(hd_graph_add_output(m.graph, "r", m.result, NULL), HD_OK);
    if (hd_model_create(device, m.graph, NULL, &model, &error) != HD_OK) {
        fail_msg("%d: %s", number, error.message);
    }
    hd_tensor output = {0};
    if (hd_model_run(model, inputs, 2, &output, 1, &error) != HD_OK) {
        fail_msg("%d: %s", number, error.message);
    }
    uint64_t hash = hash_of(output.data, output.size);
    hd_tensor_release(&output);
    hd_model_destroy(&model);
    hd_graph_destroy(&m.graph);
    return hash;
}

/* The hash of each result, in the order of numbers and shapes. */
static void run_all(bool compiles, uint64_t hashes[GRAPHS][SHAPES])
{
    hd_device *device;
    assert_int_equal(hd_device_open("cuda", NULL, &device, NULL), HD_OK);
    if (!compiles) {
        const hd_cuda_unit *unit = (const hd_cuda_unit *)device->unit;
        hd_cuda_elementwise_kernels_limit(unit->elementwise, 0);
    }
    for (int number = 0; number < GRAPHS; number++) {
        for (size_t shape = 0; shape < SHAPES; shape++) {
            hashes[number][shape] = run_one(device, number, shape);
        }
    }
    hd_device_destroy(&device);
}

static void compiled_kernels_have_the_interpreters_bits(void **state)
{
    (void)state;
    static uint64_t compiled[GRAPHS][SHAPES], interpreted[GRAPHS][SHAPES];
    fill(x, LARGEST, 1);
    fill(y, LARGEST, 2);
    run_all(true, compiled);
    run_all(false, interpreted);
    for (int number = 0; number < GRAPHS; number++) {
        for (size_t shape = 0; shape < SHAPES; shape++) {
            if (compiled[number][shape] != interpreted[number][shape]) {
                fail_msg("graph %d, shape %zu", number, shape);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compiled_kernels_have_the_interpreters_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

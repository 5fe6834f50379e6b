/* Kernels for elementwise programs (hal/cuda/elementwise_kernels.h), over a driver that stands in: the assembler takes each text,
 * equal programs share one, and without a compiler programs are interpreted. */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/thread.h"
#include "hal/cuda/elementwise_text.h"
#include "heddle/heddle.h"
#include "stand_in.h"
#include "support/block_graph.h"

static const stand_in_table *driver(void)
{
    static const stand_in_table *table;
    if (table == NULL) {
        void *library = dlopen("libcuda.so.1", RTLD_NOW);
        assert_non_null(library);
        stand_in_function *function;
        void *found = dlsym(library, "stand_in");
        assert_non_null(found);
        memcpy(&function, &found, sizeof function);
        table = function();
    }
    return table;
}

/* --- texts */

/* Ten instructions from `code` on, over inputs of all accesses and types; values that stay in slots. */
static hd_cuda_pattern make_pattern(int elements, int code, int variant)
{
    enum { INPUTS = 6, INSTRUCTIONS = 10 };
    static const unsigned char types[] = {HD_CUDA_BITS_U8, HD_CUDA_BITS_U16, HD_CUDA_BITS_U32,
                                          HD_CUDA_BITS_S8, HD_CUDA_BITS_S16, HD_CUDA_BITS_S32};
    hd_cuda_pattern p = {.elements = (unsigned char)elements,
                         .rank = (unsigned char)(variant % 4 + 1),
                         .y_bits = types[variant % 6],
                         .input_count = INPUTS,
                         .constant_count = 2,
                         .constants = {0x3f800000, 7}};
    int given = 0;
    for (int i = 0; i < INPUTS; i++) {
        p.access[i] = (unsigned char)((i + variant) % (HD_CUDA_SCALAR + 1));
        p.bits[i] = types[(5 * i + variant) % 6];
        given = p.access[i] == HD_CUDA_ABSENT ? given : i;
    }
    while (p.instruction_count < INSTRUCTIONS && code < HD_CUDA_CODE_COUNT) {
        int k = p.instruction_count, input = k % INPUTS;
        p.instructions[p.instruction_count++] = (hd_cuda_instruction){
            .code = (unsigned char)code++,
            .bits = types[(k + variant) % 6],
            .x = (unsigned char)(p.access[input] == HD_CUDA_ABSENT ? given : input),
            .y = k > 0 && k % 2 == 1 ? HD_CUDA_FROM_LAST : HD_CUDA_FROM_CONSTANT,
            .z = k > 2 ? HD_CUDA_FROM_SLOT : HD_CUDA_FROM_CONSTANT + 1,
            .keep = k == 1 ? 0 : HD_CUDA_FROM_NOWHERE};
    }
    return p;
}

static bool assembles(const char *text, int capability)
{
    char name[] = "/tmp/heddle-text-XXXXXX", command[512];
    int file = mkstemp(name);
    assert_true(file >= 0);
    FILE *stream = fdopen(file, "w");
    assert_non_null(stream);
    fputs(text, stream);
    assert_int_equal(fclose(stream), 0);
    snprintf(command, sizeof command, "%s -arch=sm_%d -o /dev/null %s", HD_TEST_PTXAS, capability,
             name);
    int result =
        system(command); /* NOLINT(cert-env33-c): of the toolkit that compiled the kernels */
    remove(name);
    return result == 0;
}

static void the_assembler_takes_each_text(void **state)
{
    (void)state;
    int variant = 0;
    for (int elements = 1; elements <= HD_CUDA_FOURS; elements += HD_CUDA_FOURS - 1) {
        for (int code = 0; code < HD_CUDA_CODE_COUNT; code += 10, variant++) {
            hd_cuda_pattern pattern = make_pattern(elements, code, variant);
            int capability = variant % 2 == 0 ? 80 : 90;
            char *text = hd_cuda_elementwise_text(&pattern, capability);
            assert_non_null(text);
            assert_true(assembles(text, capability));
            hd_free(text);
        }
    }
}

/* --- kernels */

/* y = a chain of `length` times v = sin(v) + v. */
static hd_model *make_model(hd_device *device, int length)
{
    const int64_t dims[] = {-1};
    hd_graph *graph;
    hd_value v;
    assert_int_equal(hd_graph_create(17, &graph, NULL), HD_OK);
    assert_int_equal(hd_graph_add_input(graph, "x", HD_FLOAT32, 1, dims, &v, NULL), HD_OK);
    for (int i = 0; i < length; i++) {
        hd_value sine = block_node(graph, graph->root, "Sin", NULL, 0, v, BLOCK_END);
        v = block_node(graph, graph->root, "Add", NULL, 0, sine, v, BLOCK_END);
    }
    assert_int_equal(hd_graph_add_output(graph, "y", v, NULL), HD_OK);
    return block_model(device, graph, 0);
}

static hd_status run(hd_model *model, int64_t count)
{
    static float x[4096];
    hd_tensor input = {.dtype = HD_FLOAT32,
                       .rank = 1,
                       .dims = {count},
                       .data = x,
                       .size = (size_t)count * sizeof x[0]};
    hd_tensor output = {0};
    hd_status status = hd_model_run(model, &input, 1, &output, 1, NULL);
    hd_tensor_release(&output);
    return status;
}

static void equal_programs_share_a_kernel(void **state)
{
    (void)state;
    hd_device *device;
    assert_int_equal(hd_device_open("cuda", NULL, &device, NULL), HD_OK);
    uint64_t before = driver()->texts();
    hd_model *models[] = {make_model(device, 3), make_model(device, 3), make_model(device, 4)};
    for (int64_t count = 1000; count < 1010; count++) {
        assert_int_equal(run(models[0], count), HD_OK);
        assert_int_equal(run(models[1], count), HD_OK);
    }
    assert_int_equal(driver()->texts() - before, 1);
    assert_int_equal(run(models[2], 1000), HD_OK);
    assert_int_equal(driver()->texts() - before, 2);
    for (size_t i = 0; i < 3; i++) {
        hd_model_destroy(&models[i]);
    }
    hd_device_destroy(&device);
    assert_int_equal(driver()->living(), 0);
}

enum { THREADS = 8 };

typedef struct user {
    hd_device *device;
    hd_status status;
    hd_thread thread;
} user;

static void use(void *argument)
{
    user *self = argument;
    for (int length = 1; length < 6; length++) {
        hd_model *model = make_model(self->device, length);
        hd_status status = run(model, 64);
        self->status = self->status == HD_OK ? status : self->status;
        hd_model_destroy(&model);
    }
}

/* Kernels that several threads have compiled at once: one of each stays. */
static void threads_find_kernels_or_make_them(void **state)
{
    (void)state;
    user users[THREADS] = {0};
    hd_device *device;
    assert_int_equal(hd_device_open("cuda", NULL, &device, NULL), HD_OK);
    int64_t before = driver()->living();
    for (int i = 0; i < THREADS; i++) {
        users[i].device = device;
        assert_int_equal(hd_thread_start(&users[i].thread, "user", use, &users[i]), HD_OK);
    }
    for (int i = 0; i < THREADS; i++) {
        hd_thread_join(&users[i].thread);
        assert_int_equal(users[i].status, HD_OK);
    }
    uint64_t texts = driver()->texts();
    int64_t now = driver()->living();
    use(&users[0]); /* all are there */
    assert_int_equal(driver()->texts(), texts);
    assert_int_equal(driver()->living(), now);
    assert_true(now >= before + 5);
    hd_device_destroy(&device);
    assert_int_equal(driver()->living(), 0);
}

static void without_a_compiler_programs_are_interpreted(void **state)
{
    (void)state;
    hd_device *device;
    assert_int_equal(hd_device_open("cuda", NULL, &device, NULL), HD_OK);
    driver()->set_fault(STAND_IN_NO_COMPILER, 0);
    uint64_t texts = driver()->texts(), kernels = driver()->kernels();
    hd_model *model = make_model(device, 3);
    assert_int_equal(run(model, 64), HD_OK);
    assert_int_equal(run(model, 65), HD_OK);
    assert_int_equal(driver()->texts(), texts);
    assert_int_equal(driver()->kernels(), kernels + 2);
    hd_model_destroy(&model);
    hd_device_destroy(&device);
    driver()->set_fault(STAND_IN_NONE, 0);
    assert_int_equal(driver()->living(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_assembler_takes_each_text),
        cmocka_unit_test(equal_programs_share_a_kernel),
        cmocka_unit_test(threads_find_kernels_or_make_them),
        cmocka_unit_test(without_a_compiler_programs_are_interpreted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

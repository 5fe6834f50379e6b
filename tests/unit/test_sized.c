/* Structs that the library fills have the size that the caller's header gave them, older or newer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "heddle/heddle.h"
#include "support/test_device.h"

#define SPACE     8192 /* of a struct and what lies behind it */
#define UNTOUCHED 0xA5

static hd_device *device;
static hd_model *model;
static hd_batch *batch;

static hd_status fill_device(void *out)
{
    return hd_device_get_info(device, out);
}

static hd_status fill_list(void *out)
{
    size_t count = 0;
    return hd_device_list(out, 1, &count, NULL);
}

static hd_status fill_memory(void *out)
{
    return hd_device_get_memory(device, out);
}

static hd_status fill_blocks(void *out)
{
    return hd_memory_get_statistics(device, out);
}

static hd_status fill_batch(void *out)
{
    return hd_batch_get_statistics(batch, out);
}

static hd_status fill_input(void *out)
{
    return hd_model_input_info(model, 0, out);
}

static hd_status fill_output(void *out)
{
    return hd_model_output_info(model, 0, out);
}

/* Every public struct that the library fills. hd_error and hd_tensor have no size: they are frozen. */
static const struct {
    const char *name;
    hd_status (*fill)(void *out);
    size_t size;
} structs[] = {
    {"hd_device_info", fill_device, sizeof(hd_device_info)},
    {"hd_device_info of a list", fill_list, sizeof(hd_device_info)},
    {"hd_memory_info", fill_memory, sizeof(hd_memory_info)},
    {"hd_memory_statistics", fill_blocks, sizeof(hd_memory_statistics)},
    {"hd_batch_statistics", fill_batch, sizeof(hd_batch_statistics)},
    {"hd_value_info of an input", fill_input, sizeof(hd_value_info)},
    {"hd_value_info of an output", fill_output, sizeof(hd_value_info)},
};
#define STRUCT_COUNT (sizeof structs / sizeof structs[0])

/* Fills struct i, whose size the caller says is `size`, in memory that shows what was written. */
static hd_status fill(size_t i, size_t size, unsigned char *space)
{
    memset(space, UNTOUCHED, SPACE);
    memcpy(space, &size, sizeof size);
    return structs[i].fill(space);
}

static bool is_filled_with(const unsigned char *bytes, unsigned char value, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] != value) {
            return false;
        }
    }
    return true;
}

static void a_size_that_was_not_set_is_refused(void **state)
{
    (void)state;
    static const size_t wrong[] = {0, 1, sizeof(size_t) - 1, 4097, SIZE_MAX};
    unsigned char space[SPACE];
    for (size_t i = 0; i < STRUCT_COUNT; i++) {
        for (size_t w = 0; w < sizeof wrong / sizeof wrong[0]; w++) {
            print_message("%s, %zu\n", structs[i].name, wrong[w]);
            assert_int_equal(fill(i, wrong[w], space), HD_INVALID_ARGUMENT);
            assert_memory_equal(space, &wrong[w], sizeof(size_t));
            assert_true(is_filled_with(space + sizeof(size_t), UNTOUCHED, SPACE - sizeof(size_t)));
        }
    }
}

static void an_older_struct_gets_the_members_that_it_has(void **state)
{
    (void)state;
    unsigned char whole[SPACE], space[SPACE];
    for (size_t i = 0; i < STRUCT_COUNT; i++) {
        assert_int_equal(fill(i, structs[i].size, whole), HD_OK);
        for (size_t size = sizeof(size_t); size < structs[i].size; size += 4) {
            print_message("%s, %zu\n", structs[i].name, size);
            assert_int_equal(fill(i, size, space), HD_OK);
            assert_memory_equal(space, &size, sizeof size);
            assert_memory_equal(space + sizeof size, whole + sizeof size, size - sizeof size);
            assert_true(is_filled_with(space + size, UNTOUCHED, SPACE - size));
        }
    }
}

static void a_newer_struct_has_zeros_where_this_library_knows_nothing(void **state)
{
    (void)state;
    unsigned char whole[SPACE], space[SPACE];
    for (size_t i = 0; i < STRUCT_COUNT; i++) {
        size_t size = structs[i].size + 40;
        print_message("%s\n", structs[i].name);
        assert_int_equal(fill(i, structs[i].size, whole), HD_OK);
        assert_int_equal(fill(i, size, space), HD_OK);
        assert_memory_equal(space, &size, sizeof size);
        assert_memory_equal(space + sizeof size, whole + sizeof size,
                            structs[i].size - sizeof size);
        assert_true(is_filled_with(space + structs[i].size, 0, 40));
        assert_true(is_filled_with(space + size, UNTOUCHED, SPACE - size));
    }
}

static void a_list_without_room_needs_no_size(void **state)
{
    (void)state;
    size_t count = 0;
    hd_error error = {0};
    hd_device_info info = {0};
    assert_int_equal(hd_device_list(NULL, 0, &count, &error), HD_OK);
    assert_true(count > 0);
    count = 0;
    assert_int_equal(hd_device_list(&info, 1, &count, &error), HD_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "struct_size"));
    assert_int_equal(count, 0);
}

/* What is written is read back through the members, so that the test of bytes cannot be right for nothing. */
static void the_members_say_what_is(void **state)
{
    (void)state;
    hd_device_info info = {.struct_size = sizeof info};
    hd_value_info value = {.struct_size = sizeof value};
    hd_memory_info memory = {.struct_size = sizeof memory};
    assert_int_equal(fill_device(&info), HD_OK);
    assert_string_equal(info.name, "cpu");
    assert_int_equal(info.struct_size, sizeof info);
    assert_int_equal(fill_input(&value), HD_OK);
    assert_string_equal(value.name, "x");
    assert_int_equal(value.dims[1], 3);
    assert_int_equal(fill_memory(&memory), HD_OK);
    assert_true(memory.weight_bytes > 0);
}

static int open_model(void **state)
{
    (void)state;
    static const int64_t dims[] = {-1, 3};
    hd_graph *graph = NULL;
    hd_value x, y;
    bool made = hd_device_open(test_device_name(), NULL, &device, NULL) == HD_OK &&
                hd_graph_create(0, &graph, NULL) == HD_OK &&
                hd_graph_add_input(graph, "x", HD_FLOAT32, 2, dims, &x, NULL) == HD_OK &&
                hd_graph_add_node(graph, "Relu", &x, 1, NULL, 0, &y, 1, NULL) == HD_OK &&
                hd_graph_add_output(graph, "y", y, NULL) == HD_OK &&
                hd_model_create(device, graph, NULL, &model, NULL) == HD_OK &&
                hd_batch_create(model, NULL, &batch, NULL) == HD_OK;
    hd_graph_destroy(&graph);
    return made ? 0 : 1;
}

static int close_model(void **state)
{
    (void)state;
    hd_batch_destroy(&batch);
    hd_model_destroy(&model);
    hd_device_destroy(&device);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_size_that_was_not_set_is_refused),
        cmocka_unit_test(an_older_struct_gets_the_members_that_it_has),
        cmocka_unit_test(a_newer_struct_has_zeros_where_this_library_knows_nothing),
        cmocka_unit_test(a_list_without_room_needs_no_size),
        cmocka_unit_test(the_members_say_what_is),
    };
    return cmocka_run_group_tests(tests, open_model, close_model);
}

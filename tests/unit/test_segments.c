/* Segments: shapes that depend on computed data cut a plan in pieces, each found under the values that
 * were read at the end of the one before. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/block_graph.h"
#include "support/device_fixture.h"
#include "support/operation_runner.h"

#define COUNT 100 /* elements of x: too many to steer a plan as an input */

/* Indices of x's elements that are not zero, as a list. */
static hd_value add_places(hd_graph *graph, hd_value x)
{
    hd_value places = NODE(graph, graph->root, "NonZero", x);
    return NODE(graph, graph->root, "Reshape", places, block_ints(graph, 1, (int64_t[]){-1}));
}

/* x: 1, 2, ... at every `step`-th place, else 0; *out_count of them. */
static void fill(float *x, size_t step, size_t *out_count, float *out_kept)
{
    *out_count = 0;
    for (size_t i = 0; i < COUNT; i++) {
        x[i] = step != 0 && i % step == 0 ? (float)(*out_count + 1) : 0;
        if (x[i] != 0) {
            out_kept[(*out_count)++] = x[i];
        }
    }
}

/* doubled: x's elements that are not zero, doubled, with a row for each. first: known in segment one. */
static hd_model *make_gather_model(void)
{
    hd_graph *graph = new_graph();
    hd_value x = block_input(graph, graph->root, "x", HD_FLOAT32);
    hd_attribute axis = operation_int("axis", 0);
    hd_value two = block_floats(graph, 0, (float[]){2});
    hd_value doubled = NODE(graph, graph->root, "Mul", x, two);
    hd_value places = add_places(graph, x);
    hd_value kept = block_node(graph, graph->root, "Gather", &axis, 1, doubled, places, BLOCK_END);
    hd_value column =
        NODE(graph, graph->root, "Reshape", kept, block_ints(graph, 2, (int64_t[]){-1, 1}));
    block_output(graph, graph->root, "first", doubled);
    block_output(graph, graph->root, "kept", column);
    block_output(graph, graph->root, "count", NODE(graph, graph->root, "Shape", column));
    return block_model(device, graph, 0);
}

static void check_gather(hd_model *model, size_t step)
{
    float x[COUNT], kept[COUNT], doubled[COUNT];
    size_t count;
    fill(x, step, &count, kept);
    for (size_t i = 0; i < COUNT; i++) {
        doubled[i] = 2 * x[i];
        kept[i] *= 2;
    }
    hd_tensor results[3], input = block_tensor(HD_FLOAT32, COUNT, x);
    block_run(model, &input, 1, results, 3);
    block_expect_floats(&results[0], COUNT, doubled);
    block_expect_floats(&results[1], count, kept);
    block_expect_ints(&results[2], 2, (int64_t[]){(int64_t)count, 1});
    for (size_t i = 0; i < 3; i++) {
        hd_tensor_release(&results[i]);
    }
}

static void shapes_follow_from_data_anew_in_every_run(void **state)
{
    (void)state;
    hd_model *model = make_gather_model();
    for (size_t repeat = 0; repeat < 3; repeat++) {
        for (size_t step = 0; step < 12; step++) {
            check_gather(model, step);
        }
    }
    hd_model_destroy(&model);
}

static void *gather_often(void *argument)
{
    for (size_t i = 0; i < 60; i++) {
        check_gather(argument, i * 7 % 12);
    }
    return NULL;
}

static void shapes_follow_from_data_on_several_threads(void **state)
{
    (void)state;
    hd_model *model = make_gather_model();
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, gather_often, model), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    hd_model_destroy(&model);
}

static void resize_takes_sizes_that_were_computed(void **state)
{
    (void)state;
    hd_graph *graph = new_graph();
    hd_value x = block_input(graph, graph->root, "x", HD_FLOAT32);
    hd_attribute axis = operation_int("axis", 0);
    hd_value places = add_places(graph, x);
    hd_value size = NODE(graph, graph->root, "Shape", places);
    hd_value one = block_ints(graph, 1, (int64_t[]){1});
    hd_value sizes =
        block_node(graph, graph->root, "Concat", &axis, 1, one, one, size, size, BLOCK_END);
    hd_value image =
        NODE(graph, graph->root, "Reshape", x, block_ints(graph, 4, (int64_t[]){1, 1, 10, 10}));
    hd_attribute mode = operation_string("coordinate_transformation_mode", "asymmetric");
    block_output(graph, graph->root, "y",
                 block_node(graph, graph->root, "Resize", &mode, 1, image, HD_VALUE_NONE,
                            HD_VALUE_NONE, sizes, BLOCK_END));
    hd_model *model = block_model(device, graph, 0);
    for (size_t i = 0; i < 8; i++) {
        float data[COUNT], kept[COUNT];
        size_t count, step = i % 4 * 9 + 5;
        fill(data, step, &count, kept);
        hd_tensor y, input = block_tensor(HD_FLOAT32, COUNT, data);
        block_run(model, &input, 1, &y, 1);
        assert_int_equal(y.rank, 4);
        assert_int_equal(y.dims[2], count);
        assert_int_equal(y.dims[3], count);
        assert_true(((const float *)y.data)[0] == data[0]);
        hd_tensor_release(&y);
    }
    hd_model_destroy(&model);
}

/* A chain of `length` segments: each finds the elements above a threshold and goes on with them. How many
 * the first one left is known when the second segment is planned, and read by the last one's kernel. */
static void add_chain(hd_graph *graph, size_t length)
{
    hd_value x = block_input(graph, graph->root, "x", HD_FLOAT32);
    hd_attribute axis = operation_int("axis", 0);
    hd_value first = HD_VALUE_NONE, sum = HD_VALUE_NONE;
    for (size_t i = 0; i < length; i++) {
        float threshold = (float)i;
        hd_value above = NODE(graph, graph->root, "Greater", x, block_floats(graph, 0, &threshold));
        hd_value places = add_places(graph, above);
        x = block_node(graph, graph->root, "Gather", &axis, 1, x, places, BLOCK_END);
        /* Known when this segment is planned, out of its shapes alone. */
        hd_attribute type = operation_int("to", HD_FLOAT32);
        hd_value size = NODE(graph, graph->root, "Shape", x);
        hd_value number = block_node(graph, graph->root, "Cast", &type, 1, size, BLOCK_END);
        first = i == 0 ? number : first;
        sum = sum == HD_VALUE_NONE ? number : NODE(graph, graph->root, "Add", sum, number);
    }
    hd_value y = NODE(graph, graph->root, "Add", x, sum);
    block_output(graph, graph->root, "y", NODE(graph, graph->root, "Add", y, first));
}

static void a_chain_of_segments_outlives_the_plans_it_began_with(void **state)
{
    (void)state;
    enum { LENGTH = 8 };
    hd_graph *graph = new_graph();
    add_chain(graph, LENGTH);
    /* Room for one plan: the first segment's is dropped while the later ones run. */
    hd_model *model = block_model(device, graph, 1);
    for (size_t repeat = 0; repeat < 20; repeat++) {
        float x[COUNT], wanted[COUNT], sum = 0;
        for (size_t i = 0; i < COUNT; i++) {
            x[i] = (float)(i % (9 + repeat % 3));
        }
        size_t count = 0;
        for (size_t t = 0; t < LENGTH; t++) {
            count = 0;
            for (size_t i = 0; i < COUNT; i++) {
                count += x[i] > (float)t;
            }
            sum += (float)(t == 0 ? 2 * count : count);
        }
        count = 0;
        for (size_t i = 0; i < COUNT; i++) {
            if (x[i] > LENGTH - 1) {
                wanted[count++] = x[i] + sum;
            }
        }
        hd_tensor y, input = block_tensor(HD_FLOAT32, COUNT, x);
        block_run(model, &input, 1, &y, 1);
        block_expect_floats(&y, count, wanted);
        hd_tensor_release(&y);
    }
    hd_model_destroy(&model);
}

/* Loop as often as x has elements that are not zero; the body finds the elements above the carried
 * number, so that segments end within iterations. */
static void a_loop_may_be_cut_within_its_iterations(void **state)
{
    (void)state;
    hd_graph *graph = new_graph();
    hd_value x = block_input(graph, graph->root, "x", HD_FLOAT32);
    hd_attribute axis = operation_int("axis", 0), keep = operation_int("keepdims", 0);
    hd_value trips = NODE(graph, graph->root, "Shape", add_places(graph, x));
    hd_block *body = hd_graph_new_block(graph);
    block_input(graph, body, "", HD_INT64);
    hd_value go = block_input(graph, body, "", HD_BOOL),
             carried = block_input(graph, body, "", HD_FLOAT32);
    hd_value above = NODE(graph, body, "Greater", x, carried);
    hd_value places = NODE(graph, body, "NonZero", above);
    hd_value list = NODE(graph, body, "Reshape", places, block_ints(graph, 1, (int64_t[]){-1}));
    hd_value kept = block_node(graph, body, "Gather", &axis, 1, x, list, BLOCK_END);
    hd_value least = block_node(graph, body, "ReduceMin", &keep, 1, kept, BLOCK_END);
    block_output(graph, body, "", go);
    block_output(graph, body, "", least);
    block_output(graph, body, "", least);
    hd_value start = block_floats(graph, 0, (float[]){0}), outputs[2];
    hd_value operands[] = {trips, HD_VALUE_NONE, start};
    block_control(graph, graph->root, "Loop", operands, 3, body, NULL, outputs, 2);
    block_output(graph, graph->root, "last", outputs[0]);
    block_output(graph, graph->root, "sorted", outputs[1]);
    hd_model *model = block_model(device, graph, 0);
    for (size_t i = 0; i < 6; i++) {
        float data[COUNT], ascending[COUNT];
        size_t count, step = 15 + i % 3 * 10;
        fill(data, step, &count, ascending);
        for (size_t j = 0; j < count; j++) {
            data[j * step] = (float)(count - j); /* descending: 7, 6, 5, ... */
        }
        hd_tensor results[2], input = block_tensor(HD_FLOAT32, COUNT, data);
        block_run(model, &input, 1, results, 2);
        float last = (float)count;
        block_expect_floats(&results[0], 1, &last);
        block_expect_floats(&results[1], count, ascending);
        hd_tensor_release(&results[0]);
        hd_tensor_release(&results[1]);
    }
    hd_model_destroy(&model);
}

static void data_dependent_operators_fold_when_their_inputs_are_constant(void **state)
{
    (void)state;
    hd_graph *graph = new_graph();
    hd_value x = block_input(graph, graph->root, "x", HD_FLOAT32);
    hd_value mask = block_floats(graph, 5, (float[]){0, 1, 0, 1, 1});
    hd_attribute axis = operation_int("axis", 0);
    hd_value places = add_places(graph, mask);
    block_output(graph, graph->root, "y",
                 block_node(graph, graph->root, "Gather", &axis, 1, x, places, BLOCK_END));
    hd_model *model = block_model(device, graph, 0);
    hd_tensor y, input = block_tensor(HD_FLOAT32, 5, (float[]){10, 11, 12, 13, 14});
    block_run(model, &input, 1, &y, 1);
    block_expect_floats(&y, 3, (float[]){11, 13, 14});
    hd_tensor_release(&y);
    hd_model_destroy(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_follow_from_data_anew_in_every_run),
        cmocka_unit_test(shapes_follow_from_data_on_several_threads),
        cmocka_unit_test(resize_takes_sizes_that_were_computed),
        cmocka_unit_test(a_chain_of_segments_outlives_the_plans_it_began_with),
        cmocka_unit_test(a_loop_may_be_cut_within_its_iterations),
        cmocka_unit_test(data_dependent_operators_fold_when_their_inputs_are_constant),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}

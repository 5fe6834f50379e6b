/* Loops whose body has one shape for all turns run as loops: what they give is what the same nodes give when they
 * are written out turn after turn, bit for bit; the plan does not grow with the turns. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "graph/model.h"
#include "support/block_graph.h"
#include "support/device_fixture.h"
#include "support/operation_runner.h"

enum { UNITS = 100 }; /* too many to steer a plan */

static float start_state[UNITS];

static int open_device_with_start(void **state)
{
    for (size_t i = 0; i < UNITS; i++) {
        start_state[i] = 0.01f * (float)i - 0.4f;
    }
    return open_device(state);
}

/* The body that both ways have: from the number and two carried values the next two, a scan, and how far it is
 * (for a condition). */
typedef struct turn {
    hd_value carried[2], scan, amount;
} turn;

typedef turn add_turn(hd_graph *graph, hd_block *block, hd_value x, hd_value number,
                      const hd_value carried[2]);

static turn add_cell(hd_graph *graph, hd_block *block, hd_value x, hd_value number,
                     const hd_value carried[2])
{
    hd_attribute to = operation_int("to", HD_FLOAT32), keep = operation_int("keepdims", 0);
    hd_value row = block_node(graph, block, "Cast", &to, 1, number, BLOCK_END);
    hd_value place = NODE(graph, block, "Mod", number, block_ints(graph, 1, (int64_t[]){UNITS}));
    hd_value one = NODE(graph, block, "Gather", x, place);
    hd_value sum = NODE(graph, block, "Add", NODE(graph, block, "Mul", carried[0], one),
                        NODE(graph, block, "Sin", row));
    hd_value next = NODE(graph, block, "Tanh", NODE(graph, block, "Add", sum, carried[1]));
    /* swapped: the first becomes the second as it is */
    return (turn){{next, carried[0]},
                  next,
                  block_node(graph, block, "ReduceMean", &keep, 1,
                             NODE(graph, block, "Abs", carried[1]), BLOCK_END)};
}

/* With an If whose condition is computed, one of whose branches gives an outer value. */
static turn add_choosing(hd_graph *graph, hd_block *block, hd_value x, hd_value number,
                         const hd_value carried[2])
{
    turn made = add_cell(graph, block, x, number, carried);
    hd_block *first = hd_graph_new_block(graph), *second = hd_graph_new_block(graph);
    hd_value large =
                 NODE(graph, block, "Less", block_floats(graph, 0, (float[]){0.35f}), made.amount),
             outputs[2];
    block_output(graph, first, "", NODE(graph, first, "Mul", made.carried[0], x));
    block_output(graph, first, "", x);
    block_output(graph, second, "", NODE(graph, second, "Cos", made.carried[0]));
    block_output(graph, second, "", NODE(graph, second, "Neg", carried[1]));
    block_control(graph, block, "If", &large, 1, first, second, outputs, 2);
    made.carried[0] = outputs[0];
    made.scan = outputs[1];
    return made;
}

/* With a Loop in it, which ends when what it carries is large. */
static turn add_nested(hd_graph *graph, hd_block *block, hd_value x, hd_value number,
                       const hd_value carried[2])
{
    turn made = add_cell(graph, block, x, number, carried);
    hd_attribute keep = operation_int("keepdims", 0);
    hd_block *body = hd_graph_new_block(graph);
    block_input(graph, body, "", HD_INT64);
    block_input(graph, body, "", HD_BOOL);
    hd_value inner = block_input(graph, body, "", HD_FLOAT32), result;
    hd_value grown = NODE(graph, body, "Add", NODE(graph, body, "Abs", inner),
                          NODE(graph, body, "Abs", made.carried[0]));
    hd_value mean = block_node(graph, body, "ReduceMean", &keep, 1, grown, BLOCK_END);
    block_output(graph, body, "",
                 NODE(graph, body, "Less", mean, block_floats(graph, 0, (float[]){3})));
    block_output(graph, body, "", grown);
    hd_value inputs[] = {block_ints(graph, 0, (int64_t[]){40}), HD_VALUE_NONE, carried[1]};
    block_control(graph, block, "Loop", inputs, 3, body, NULL, &result, 1);
    made.carried[0] = NODE(graph, block, "Sin", result);
    return made;
}

/* carried_0, carried_1, scans of `count` turns, as a Loop or written out. limit: the Loop also ends when the
 * amount is that or more. */
static hd_model *make_model(add_turn *add, int64_t count, bool as_loop, const float *limit)
{
    hd_graph *graph = new_graph();
    hd_value x = block_input(graph, graph->root, "x", HD_FLOAT32);
    hd_value carried[2] = {x, NODE(graph, graph->root, "Neg", x)}, outputs[3];
    hd_attribute axis = operation_int("axis", 0);
    if (as_loop) {
        hd_block *body = hd_graph_new_block(graph);
        hd_value number = block_input(graph, body, "", HD_INT64),
                 go = block_input(graph, body, "", HD_BOOL);
        hd_value inner[] = {block_input(graph, body, "", HD_FLOAT32),
                            block_input(graph, body, "", HD_FLOAT32)};
        turn made = add(graph, body, x, number, inner);
        block_output(graph, body, "",
                     limit == NULL
                         ? go
                         : NODE(graph, body, "Less", made.amount, block_floats(graph, 0, limit)));
        block_output(graph, body, "", made.carried[0]);
        block_output(graph, body, "", made.carried[1]);
        block_output(graph, body, "", made.scan);
        hd_value inputs[] = {block_ints(graph, 0, &count), HD_VALUE_NONE, carried[0], carried[1]};
        block_control(graph, graph->root, "Loop", inputs, 4, body, NULL, outputs, 3);
    } else {
        hd_value scans = HD_VALUE_NONE;
        for (int64_t i = 0; i < count; i++) {
            turn made = add(graph, graph->root, x, block_ints(graph, 0, &i), carried);
            hd_value row = NODE(graph, graph->root, "Unsqueeze", made.scan,
                                block_ints(graph, 1, (int64_t[]){0}));
            scans = scans == HD_VALUE_NONE
                        ? row
                        : block_node(graph, graph->root, "Concat", &axis, 1, scans, row, BLOCK_END);
            carried[0] = made.carried[0];
            carried[1] = made.carried[1];
        }
        outputs[0] = carried[0];
        outputs[1] = carried[1];
        outputs[2] = scans;
    }
    block_output(graph, graph->root, "a", outputs[0]);
    block_output(graph, graph->root, "b", outputs[1]);
    block_output(graph, graph->root, "scans", outputs[2]);
    return block_model(device, graph, 0);
}

static void release(hd_tensor *results, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        hd_tensor_release(&results[i]);
    }
}

static void expect_same(const hd_tensor *first, const hd_tensor *second, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(first[i].rank, second[i].rank);
        assert_memory_equal(first[i].dims, second[i].dims, first[i].rank * sizeof first[i].dims[0]);
        assert_memory_equal(first[i].data, second[i].data, first[i].size);
    }
}

static void a_loop_gives_the_bits_of_its_turns_written_out(void **state)
{
    (void)state;
    static add_turn *const kinds[] = {add_cell, add_choosing, add_nested};
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        for (int64_t count = 8; count < 60; count = 2 * count + 1) { /* even and odd */
            hd_model *loop = make_model(kinds[k], count, true, NULL);
            hd_model *written = make_model(kinds[k], count, false, NULL);
            hd_tensor results[3], wanted[3], input = block_tensor(HD_FLOAT32, UNITS, start_state);
            block_run(written, &input, 1, wanted, 3);
            for (int again = 0; again < 3; again++) {
                block_run(loop, &input, 1, results, 3);
                expect_same(results, wanted, 3);
                release(results, 3);
            }
            release(wanted, 3);
            hd_model_destroy(&loop);
            hd_model_destroy(&written);
        }
    }
}

/* Turns until the amount reaches the limit, found by loops of a fixed number of turns. */
static void a_loop_ends_with_the_turn_whose_condition_is_false(void **state)
{
    (void)state;
    static const float limits[] = {0.1f, 0.36f, 0.5f, 2.0f};
    for (size_t c = 0; c < sizeof limits / sizeof limits[0]; c++) {
        hd_model *loop = make_model(add_choosing, 300, true, &limits[c]);
        hd_tensor results[3], wanted[3], input = block_tensor(HD_FLOAT32, UNITS, start_state);
        block_run(loop, &input, 1, results, 3);
        int64_t turns = results[2].dims[0];
        assert_in_range(turns, 1, 300);
        hd_model *written = make_model(add_choosing, turns, false, NULL);
        block_run(written, &input, 1, wanted, 3);
        expect_same(results, wanted, 3);
        release(results, 3);
        release(wanted, 3);
        hd_model_destroy(&written);
        hd_model_destroy(&loop);
    }
}

/* number, count = count + 1 until count is `limit`; without one at all it is bounded by `trips`. */
static hd_model *make_counter(int64_t trips, int64_t rows)
{
    hd_graph *graph = new_graph();
    hd_value x = block_input(graph, graph->root, "x", HD_FLOAT32), outputs[2];
    hd_attribute keep = operation_int("keepdims", 0);
    hd_value limit = block_node(graph, graph->root, "ReduceMax", &keep, 1, x, BLOCK_END);
    hd_value zero = NODE(graph, graph->root, "Mul", limit, block_floats(graph, 0, (float[]){0}));
    hd_block *body = hd_graph_new_block(graph);
    hd_value number = block_input(graph, body, "", HD_INT64);
    block_input(graph, body, "", HD_BOOL);
    hd_value count = block_input(graph, body, "", HD_FLOAT32);
    hd_value next = NODE(graph, body, "Add", count, block_floats(graph, 0, (float[]){1}));
    block_output(graph, body, "", NODE(graph, body, "Less", next, limit));
    block_output(graph, body, "", next);
    block_output(graph, body, "", NODE(graph, body, "Expand", number, block_ints(graph, 1, &rows)));
    hd_value inputs[] = {trips < 0 ? HD_VALUE_NONE : block_ints(graph, 0, &trips), HD_VALUE_NONE,
                         zero};
    block_control(graph, graph->root, "Loop", inputs, 3, body, NULL, outputs, 2);
    block_output(graph, graph->root, "count", outputs[0]);
    block_output(graph, graph->root, "numbers", outputs[1]);
    return block_model(device, graph, 0);
}

static void check_count(hd_model *model, float limit, int64_t wanted, int64_t rows)
{
    static float x[UNITS];
    x[3] = limit;
    hd_tensor results[2], input = block_tensor(HD_FLOAT32, UNITS, x);
    block_run(model, &input, 1, results, 2);
    float count = (float)wanted;
    block_expect_floats(&results[0], 1, &count);
    assert_int_equal(results[1].rank, 2);
    assert_int_equal(results[1].dims[0], wanted);
    assert_int_equal(results[1].dims[1], rows);
    const int64_t *numbers = results[1].data;
    for (int64_t i = 0; i < wanted * rows; i++) {
        assert_int_equal(numbers[i], i / rows);
    }
    release(results, 2);
}

/* More turns than there is room for their scans at once. */
static void scans_of_a_loop_without_a_limit_grow(void **state)
{
    (void)state;
    hd_model *model = make_counter(-1, 500);
    static const int64_t turns[] = {1, 1047, 1048, 1049, 1050, 3000, 1048, 2, 3000};
    for (size_t i = 0; i < sizeof turns / sizeof turns[0]; i++) {
        check_count(model, (float)turns[i], turns[i], 500);
    }
    hd_model_destroy(&model);
    model = make_counter(2000, 500);
    check_count(model, 1999, 1999, 500);
    check_count(model, 1e9f, 2000, 500);
    hd_model_destroy(&model);
}

static uint64_t plan_memory(void)
{
    hd_memory_info info = {.struct_size = sizeof info};
    assert_int_equal(hd_device_get_memory(device, &info), HD_OK);
    return info.plan_bytes;
}

static uint64_t plan_bytes(int64_t trips)
{
    hd_model *model = make_model(add_cell, trips, true, NULL);
    uint64_t before = plan_memory();
    hd_tensor results[3], input = block_tensor(HD_FLOAT32, UNITS, start_state);
    block_run(model, &input, 1, results, 3);
    assert_int_equal(results[2].dims[0], trips);
    release(results, 3);
    uint64_t bytes = plan_memory() - before;
    hd_model_destroy(&model);
    return bytes;
}

static void a_plan_does_not_grow_with_the_turns(void **state)
{
    (void)state;
    assert_int_equal(plan_bytes(100), plan_bytes(20000));
}

/* The first state is one zero, and broadcasts. */
static void the_first_turn_may_have_shapes_of_its_own(void **state)
{
    (void)state;
    enum { TRIPS = 200 };
    hd_graph *graph = new_graph();
    hd_value x = block_input(graph, graph->root, "x", HD_FLOAT32), outputs[2];
    hd_block *body = hd_graph_new_block(graph);
    block_input(graph, body, "", HD_INT64);
    hd_value go = block_input(graph, body, "", HD_BOOL),
             carried = block_input(graph, body, "", HD_FLOAT32);
    hd_value next = NODE(graph, body, "Add", carried, x);
    block_output(graph, body, "", go);
    block_output(graph, body, "", next);
    block_output(graph, body, "", next);
    hd_value inputs[] = {block_ints(graph, 0, (int64_t[]){TRIPS}), HD_VALUE_NONE,
                         block_floats(graph, 1, (float[]){0})};
    block_control(graph, graph->root, "Loop", inputs, 3, body, NULL, outputs, 2);
    block_output(graph, graph->root, "last", outputs[0]);
    block_output(graph, graph->root, "all", outputs[1]);
    hd_model *model = block_model(device, graph, 0);
    float ones[UNITS], wanted[UNITS], all[TRIPS * UNITS];
    for (size_t i = 0; i < TRIPS * UNITS; i++) {
        ones[i % UNITS] = 1;
        wanted[i % UNITS] = TRIPS;
        all[i] = (float)(i / UNITS + 1);
    }
    hd_tensor results[2], input = block_tensor(HD_FLOAT32, UNITS, ones);
    block_run(model, &input, 1, results, 2);
    block_expect_floats(&results[0], UNITS, wanted);
    block_expect_floats(&results[1], TRIPS * UNITS, all);
    release(results, 2);
    hd_model_destroy(&model);
}

static void an_index_outside_is_found_in_any_turn(void **state)
{
    (void)state;
    hd_graph *graph = new_graph();
    hd_value x = block_input(graph, graph->root, "x", HD_FLOAT32), output;
    hd_block *body = hd_graph_new_block(graph);
    hd_value number = block_input(graph, body, "", HD_INT64);
    block_output(graph, body, "", block_input(graph, body, "", HD_BOOL));
    block_output(graph, body, "", NODE(graph, body, "Gather", x, number));
    hd_value trips = block_input(graph, graph->root, "trips", HD_INT64);
    block_control(graph, graph->root, "Loop", &trips, 1, body, NULL, &output, 1);
    block_output(graph, graph->root, "y", output);
    hd_model *model = block_model(device, graph, 0);
    for (int64_t count = UNITS - 1; count < UNITS + 30; count += 2) {
        hd_tensor y = {0}, inputs[] = {block_tensor(HD_FLOAT32, UNITS, start_state),
                                       block_scalar(HD_INT64, &count)};
        hd_error error;
        hd_status status = hd_model_run(model, inputs, 2, &y, 1, &error);
        assert_int_equal(status, count > UNITS ? HD_INVALID_ARGUMENT : HD_OK);
        if (status == HD_OK) {
            block_expect_floats(&y, (size_t)count, start_state);
            hd_tensor_release(&y);
        } else {
            assert_non_null(strstr(error.message, "index 100 is not in"));
        }
    }
    hd_model_destroy(&model);
}

/* Branches of different shapes cannot be blocks of a part: the Loop is taken apart. */
static void branches_of_two_shapes_are_planned_turn_by_turn(void **state)
{
    (void)state;
    enum { TRIPS = 10 };
    hd_graph *graph = new_graph();
    hd_value x = block_input(graph, graph->root, "x", HD_FLOAT32), y, output;
    hd_attribute keep = operation_int("keepdims", 0);
    hd_block *body = hd_graph_new_block(graph), *first = hd_graph_new_block(graph),
             *second = hd_graph_new_block(graph);
    block_input(graph, body, "", HD_INT64);
    hd_value go = block_input(graph, body, "", HD_BOOL),
             carried = block_input(graph, body, "", HD_FLOAT32);
    hd_value sum = block_node(graph, body, "ReduceSum", &keep, 1, carried, BLOCK_END);
    hd_value positive = NODE(graph, body, "Less", block_floats(graph, 0, (float[]){0}), sum);
    block_output(graph, first, "", NODE(graph, first, "Neg", carried));
    block_output(graph, second, "",
                 block_node(graph, second, "ReduceMin", NULL, 0, carried, BLOCK_END));
    block_control(graph, body, "If", &positive, 1, first, second, &y, 1);
    block_output(graph, body, "", go);
    block_output(graph, body, "", NODE(graph, body, "Sub", carried, y));
    hd_value inputs[] = {block_ints(graph, 0, (int64_t[]){TRIPS}), HD_VALUE_NONE, x};
    block_control(graph, graph->root, "Loop", inputs, 3, body, NULL, &output, 1);
    block_output(graph, graph->root, "y", output);
    hd_model *model = block_model(device, graph, 0);
    float data[UNITS], wanted[UNITS];
    for (size_t i = 0; i < UNITS; i++) {
        data[i] = wanted[i] = (float)i - 60;
    }
    for (int t = 0; t < TRIPS; t++) {
        float total = 0, least = wanted[0];
        for (size_t i = 0; i < UNITS; i++) {
            total += wanted[i];
            least = wanted[i] < least ? wanted[i] : least;
        }
        for (size_t i = 0; i < UNITS; i++) {
            wanted[i] -= total > 0 ? -wanted[i] : least;
        }
    }
    hd_tensor result, input = block_tensor(HD_FLOAT32, UNITS, data);
    block_run(model, &input, 1, &result, 1);
    block_expect_floats(&result, UNITS, wanted);
    hd_tensor_release(&result);
    hd_model_destroy(&model);
}

/* Loops in Loops to a depth of which not all can be parts. */
static void loops_nest_deeper_than_parts_do(void **state)
{
    (void)state;
    enum { DEPTH = 20 };
    hd_graph *graph = new_graph();
    hd_value x = block_input(graph, graph->root, "x", HD_FLOAT32), y = HD_VALUE_NONE;
    hd_value one = block_floats(graph, 0, (float[]){1});
    hd_block *body = NULL;
    for (int depth = 0; depth < DEPTH; depth++) {
        hd_block *outer = hd_graph_new_block(graph);
        block_input(graph, outer, "", HD_INT64);
        block_output(graph, outer, "", block_input(graph, outer, "", HD_BOOL));
        hd_value carried = block_input(graph, outer, "", HD_FLOAT32);
        y = NODE(graph, outer, "Add", carried, one);
        if (body != NULL) { /* the innermost runs 9 times, those around it once */
            hd_value inputs[] = {block_ints(graph, 0, (int64_t[]){depth == 1 ? 9 : 1}),
                                 block_bool(graph, true), y};
            block_control(graph, outer, "Loop", inputs, 3, body, NULL, &y, 1);
        }
        block_output(graph, outer, "", y);
        body = outer;
    }
    hd_value inputs[] = {block_ints(graph, 0, (int64_t[]){12}), HD_VALUE_NONE, x};
    block_control(graph, graph->root, "Loop", inputs, 3, body, NULL, &y, 1);
    block_output(graph, graph->root, "y", y);
    hd_model *model = block_model(device, graph, 0);
    float zeros[UNITS] = {0}, wanted[UNITS];
    for (size_t i = 0; i < UNITS; i++) {
        wanted[i] = 12 * (DEPTH - 1 + 9);
    }
    hd_tensor result, input = block_tensor(HD_FLOAT32, UNITS, zeros);
    block_run(model, &input, 1, &result, 1);
    block_expect_floats(&result, UNITS, wanted);
    hd_tensor_release(&result);
    hd_model_destroy(&model);
}

typedef struct caller {
    hd_model *model;
    const hd_tensor *wanted;
    bool failed;
} caller;

static void *run_often(void *argument)
{
    caller *self = argument;
    for (int i = 0; i < 30 && !self->failed; i++) {
        hd_tensor results[3] = {{0}}, input = block_tensor(HD_FLOAT32, UNITS, start_state);
        self->failed = hd_model_run(self->model, &input, 1, results, 3, NULL) != HD_OK;
        for (size_t r = 0; r < 3 && !self->failed; r++) {
            self->failed = memcmp(results[r].data, self->wanted[r].data, self->wanted[r].size) != 0;
        }
        release(results, 3);
    }
    return NULL;
}

/* A Loop whose carried value grows is taken apart; the one in it is a part each time. */
static void a_loop_that_is_taken_apart_may_hold_parts(void **state)
{
    (void)state;
    enum { TRIPS = 12, TURNS = 1000 };
    hd_graph *graph = new_graph();
    hd_value x = block_input(graph, graph->root, "x", HD_FLOAT32), y, last;
    hd_attribute axis = operation_int("axis", 0);
    hd_block *body = hd_graph_new_block(graph), *inner = hd_graph_new_block(graph);
    block_input(graph, inner, "", HD_INT64);
    block_output(graph, inner, "", block_input(graph, inner, "", HD_BOOL));
    hd_value sum = block_input(graph, inner, "", HD_FLOAT32);
    block_output(graph, inner, "",
                 NODE(graph, inner, "Add", sum, block_floats(graph, 0, (float[]){1})));
    block_input(graph, body, "", HD_INT64);
    block_output(graph, body, "", block_input(graph, body, "", HD_BOOL));
    hd_value grown = block_input(graph, body, "", HD_FLOAT32);
    hd_value inputs[] = {block_ints(graph, 0, (int64_t[]){TURNS}), HD_VALUE_NONE, x};
    block_control(graph, body, "Loop", inputs, 3, inner, NULL, &last, 1);
    block_output(graph, body, "",
                 block_node(graph, body, "Concat", &axis, 1, grown, last, BLOCK_END));
    hd_value outer[] = {block_ints(graph, 0, (int64_t[]){TRIPS}), HD_VALUE_NONE, x};
    block_control(graph, graph->root, "Loop", outer, 3, body, NULL, &y, 1);
    block_output(graph, graph->root, "y", y);
    hd_model *model = block_model(device, graph, 0);
    float zeros[UNITS] = {0}, wanted[(TRIPS + 1) * UNITS];
    for (size_t i = 0; i < (TRIPS + 1) * UNITS; i++) {
        wanted[i] = i < UNITS ? 0 : TURNS;
    }
    uint64_t plans = plan_memory();
    hd_tensor result, input = block_tensor(HD_FLOAT32, UNITS, zeros);
    block_run(model, &input, 1, &result, 1);
    block_expect_floats(&result, (TRIPS + 1) * UNITS, wanted);
    /* the turns written out take some megabytes */
    assert_in_range(plan_memory() - plans, 1, 1 << 20);
    hd_tensor_release(&result);
    hd_model_destroy(&model);
}

static void threads_run_one_loop_at_once(void **state)
{
    (void)state;
    enum { CALLERS = 4 };
    static const float limit = 0.5f;
    hd_model *model = make_model(add_nested, 100, true, &limit);
    hd_tensor wanted[3], input = block_tensor(HD_FLOAT32, UNITS, start_state);
    block_run(model, &input, 1, wanted, 3);
    pthread_t threads[CALLERS];
    caller callers[CALLERS];
    for (size_t i = 0; i < CALLERS; i++) {
        callers[i] = (caller){model, wanted, false};
        assert_int_equal(pthread_create(&threads[i], NULL, run_often, &callers[i]), 0);
    }
    for (size_t i = 0; i < CALLERS; i++) {
        pthread_join(threads[i], NULL);
        assert_false(callers[i].failed);
    }
    release(wanted, 3);
    hd_model_destroy(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_loop_gives_the_bits_of_its_turns_written_out),
        cmocka_unit_test(a_loop_ends_with_the_turn_whose_condition_is_false),
        cmocka_unit_test(scans_of_a_loop_without_a_limit_grow),
        cmocka_unit_test(a_plan_does_not_grow_with_the_turns),
        cmocka_unit_test(the_first_turn_may_have_shapes_of_its_own),
        cmocka_unit_test(an_index_outside_is_found_in_any_turn),
        cmocka_unit_test(branches_of_two_shapes_are_planned_turn_by_turn),
        cmocka_unit_test(loops_nest_deeper_than_parts_do),
        cmocka_unit_test(a_loop_that_is_taken_apart_may_hold_parts),
        cmocka_unit_test(threads_run_one_loop_at_once),
    };
    return cmocka_run_group_tests(tests, open_device_with_start, close_device);
}

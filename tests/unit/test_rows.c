/* Rows: which graphs are proven to keep the entries of a batch apart, which are not, and that what
 * is proven is true: a stacked run has the bits of the runs of its rows. */
#include "rows_builder.h"

static void elementwise_operators_keep_rows(void **state)
{
    (void)state;
    builder b = begin();
    hd_value y = node(&b, "Add", b.x, FLOATS(&b, 6), NULL, 0);
    y = node(&b, "Mul", y, FLOATS(&b, 1, 4, 1), NULL, 0);
    check(&b, node(&b, "Sub", node(&b, "Tanh", y, HD_VALUE_NONE, NULL, 0), b.x, NULL, 0), true);
    b = begin(); /* rows meet columns */
    hd_attribute turn = INTS_ATTRIBUTE("perm", 1, 0, 2);
    hd_value sums = node(&b, "ReduceSum", b.x, INTS(&b, 1, 2), NULL, 0); /* [B, 1, 1] */
    hd_value turned = node(&b, "Transpose", sums, HD_VALUE_NONE, &turn, 1);
    check(&b, node(&b, "Add", turned, sums, NULL, 0), false); /* [1, B, 1] + [B, 1, 1] */
    b = begin(); /* just as many columns as rows, so that the shape tells nothing */
    hd_value three = NODE(&b, "Slice", NULL, 0, 0, b.x, INTS(&b, 0), INTS(&b, 3), INTS(&b, 2));
    sums = NODE(&b, "ReduceSum", NULL, 0, 0, b.x, INTS(&b, 1, 2)); /* [B, 1, 1] */
    check_from(&b, node(&b, "Mul", three, RESHAPED(&b, sums, -1), NULL, 0), false, 3);
}

/* Before opset 7, `axis` tells where a smaller operand lies. */
static void an_operand_may_lie_along_the_rows_or_across(void **state)
{
    (void)state;
    static const char *const types[] = {"Add", "Sub", "Mul", "Div", "Pow", "Less"};
    hd_attribute along[] = {int_attribute("broadcast", 1), int_attribute("axis", 1)};
    hd_attribute first[] = {int_attribute("broadcast", 1), int_attribute("axis", 0)};
    hd_attribute sum[] = {INTS_ATTRIBUTE("axes", 1, 2), int_attribute("keepdims", 0)};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        builder b = begin_with(6);
        check(&b, node(&b, types[i], b.x, FLOATS(&b, 4), along, 2), true);
        b = begin_with(6);
        check(&b, node(&b, types[i], b.x, FLOATS(&b, 1, 4), first, 2), true);
        b = begin_with(6); /* at the right, without an axis */
        check(&b, node(&b, types[i], b.x, FLOATS(&b, 6), along, 1), true);
        b = begin_with(6); /* [B, 4, 6] and [B] at the left */
        check(&b,
              node(&b, types[i], b.x, node(&b, "ReduceSum", b.x, HD_VALUE_NONE, sum, 2), first, 2),
              true);
        b = begin_with(6); /* [4, B, 6] and [B] in the middle */
        hd_value sums = node(&b, "ReduceSum", b.x, HD_VALUE_NONE, sum, 2);
        check(&b, transposed(&b, node(&b, types[i], transposed(&b, b.x), sums, along, 2)), true);
        b = begin_with(6); /* [B, 3, 6] and [B], three rows: each takes a number of every row */
        hd_attribute cut[] = {INTS_ATTRIBUTE("axes", 1), INTS_ATTRIBUTE("starts", 0),
                              INTS_ATTRIBUTE("ends", 3)};
        hd_value three = node(&b, "Slice", b.x, HD_VALUE_NONE, cut, 3);
        sums = node(&b, "ReduceSum", b.x, HD_VALUE_NONE, sum, 2);
        check_from(&b, node(&b, types[i], three, sums, along, 2), false, 3);
    }
    builder b = begin_with(6); /* a slope a channel */
    check(&b, node(&b, "PRelu", b.x, FLOATS(&b, 4), NULL, 0), true);
}

static void products_keep_rows_that_are_not_summed_over(void **state)
{
    (void)state;
    builder b = begin();
    check(&b, node(&b, "MatMul", b.x, FLOATS(&b, 6, 5), NULL, 0), true);
    b = begin();
    hd_attribute turn = INTS_ATTRIBUTE("perm", 0, 2, 1);
    check(&b, node(&b, "MatMul", b.x, node(&b, "Transpose", b.x, HD_VALUE_NONE, &turn, 1), NULL, 0),
          true);
    b = begin();
    turn = INTS_ATTRIBUTE("perm", 1, 2, 0); /* [4, 6, B] times [4, B, 6] */
    hd_attribute back = INTS_ATTRIBUTE("perm", 1, 0, 2);
    hd_value left = node(&b, "Transpose", b.x, HD_VALUE_NONE, &turn, 1);
    hd_value right = node(&b, "Transpose", b.x, HD_VALUE_NONE, &back, 1);
    hd_value product = node(&b, "MatMul", left, right, NULL, 0);
    check(&b,
          node(&b, "Add", b.x, node(&b, "ReduceSum", product, INTS(&b, 0, 1), NULL, 0), NULL, 0),
          false);
}

static void views_keep_rows_where_as_much_lies_before(void **state)
{
    (void)state;
    builder b = begin();
    hd_value flat = node(&b, "Reshape", b.x, INTS(&b, -1, 6), NULL, 0); /* [B * 4, 6] */
    flat = node(&b, "MatMul", flat, FLOATS(&b, 6, 2), NULL, 0);
    check(&b, node(&b, "Reshape", flat, INTS(&b, -1, 8), NULL, 0), true);
    b = begin();
    hd_attribute turn = INTS_ATTRIBUTE("perm", 1, 0, 2);
    hd_value turned = node(&b, "Transpose", b.x, HD_VALUE_NONE, &turn, 1); /* [4, B, 6] */
    check(&b, node(&b, "Reshape", turned, INTS(&b, -1, 4, 6), NULL, 0), false);
    b = begin();
    turned = node(&b, "Transpose", b.x, HD_VALUE_NONE, &turn, 1);
    turned = node(&b, "Relu", turned, HD_VALUE_NONE, NULL, 0);
    check(&b, node(&b, "Transpose", turned, HD_VALUE_NONE, &turn, 1), true);
    b = begin(); /* rows end in dimension 1 */
    check(&b, node(&b, "Transpose", b.x, HD_VALUE_NONE, &turn, 1), false);
}

static void reductions_keep_rows_on_other_axes(void **state)
{
    (void)state;
    hd_attribute kept = int_attribute("keepdims", 0), first = int_attribute("axis", 0);
    builder b = begin();
    check(&b, node(&b, "ReduceMean", b.x, INTS(&b, 1, -1), &kept, 1), true);
    b = begin();
    hd_value mean = node(&b, "ReduceMean", b.x, INTS(&b, 0), NULL, 0);
    check(&b, node(&b, "Sub", b.x, mean, NULL, 0), false);
    b = begin();
    check(&b, node(&b, "Softmax", b.x, HD_VALUE_NONE, NULL, 0), true);
    b = begin();
    check(&b, node(&b, "Softmax", b.x, HD_VALUE_NONE, &first, 1), false);
    b = begin();
    check(&b, node(&b, "LayerNormalization", b.x, FLOATS(&b, 6), NULL, 0), true);
    b = begin();
    check(&b, node(&b, "CumSum", b.x, INTS(&b, 1), NULL, 0), true);
    b = begin();
    check(&b, node(&b, "CumSum", b.x, INTS(&b, 0), NULL, 0), false);
}

static void values_that_tell_the_number_of_rows_are_found(void **state)
{
    (void)state;
    hd_attribute to_float = int_attribute("to", HD_FLOAT32);
    builder b = begin(); /* x / B */
    hd_value shape = node(&b, "Shape", b.x, HD_VALUE_NONE, NULL, 0);
    hd_value rows = node(&b, "Gather", shape, INTS(&b, 0), NULL, 0);
    check(&b, node(&b, "Div", b.x, node(&b, "Cast", rows, HD_VALUE_NONE, &to_float, 1), NULL, 0),
          false);
    b = begin(); /* x + its row's number */
    shape = node(&b, "Shape", b.x, HD_VALUE_NONE, NULL, 0);
    rows = node(&b, "Reshape", node(&b, "Gather", shape, INTS(&b, 0), NULL, 0),
                ints(&b, (const int64_t[]){0}, 0), NULL, 0);
    int64_t bounds[] = {0, 1};
    hd_value limits[3], numbers;
    hd_tensor scalar = {.dtype = HD_INT64, .data = &bounds[0], .size = 8};
    assert_ok(hd_graph_add_constant(b.graph, &scalar, &limits[0], &error));
    scalar.data = &bounds[1];
    assert_ok(hd_graph_add_constant(b.graph, &scalar, &limits[2], &error));
    limits[1] = rows;
    assert_ok(hd_graph_add_node(b.graph, "Range", limits, 3, NULL, 0, &numbers, 1, &error));
    numbers = node(&b, "Cast", numbers, HD_VALUE_NONE, &to_float, 1);
    check(&b,
          node(&b, "Add", b.x, node(&b, "Reshape", numbers, INTS(&b, -1, 1, 1), NULL, 0), NULL, 0),
          false);
    b = begin(); /* a target shape that names the rows says nothing of the elements */
    shape = node(&b, "Shape", b.x, HD_VALUE_NONE, NULL, 0);
    rows = node(&b, "Gather", shape, INTS(&b, 0), NULL, 0);
    hd_attribute along = int_attribute("axis", 0);
    hd_value target = node(&b, "Concat", rows, INTS(&b, 24), &along, 1);
    check(&b, node(&b, "Reshape", b.x, target, NULL, 0), true);
}

static void slices_and_joins_leave_rows_in_place(void **state)
{
    (void)state;
    hd_attribute one = int_attribute("axis", 1), zero = int_attribute("axis", 0);
    builder b = begin();
    check(&b, node(&b, "Concat", b.x, b.x, &one, 1), true);
    b = begin();
    check(&b, node(&b, "Concat", b.x, b.x, &zero, 1), false);
    for (int reversed = 0; reversed < 2; reversed++) {
        b = begin();
        hd_value inputs[] = {b.x, INTS(&b, reversed ? -1 : 0),
                             INTS(&b, reversed ? INT64_MIN : INT64_MAX), INTS(&b, 0),
                             INTS(&b, reversed ? -1 : 1)};
        hd_value y;
        assert_ok(hd_graph_add_node(b.graph, "Slice", inputs, 5, NULL, 0, &y, 1, &error));
        check(&b, node(&b, "Relu", y, HD_VALUE_NONE, NULL, 0), !reversed);
    }
    b = begin();
    check(&b, node(&b, "Gather", b.x, INTS(&b, 2, 0), &one, 1), true);
    b = begin();
    check(&b, node(&b, "Gather", b.x, INTS(&b, 0, 0), &zero, 1), false);
    b = begin();
    check(&b, node(&b, "Tile", b.x, INTS(&b, 1, 2, 1), NULL, 0), true);
    b = begin();
    check(&b, node(&b, "Tile", b.x, INTS(&b, 2, 1, 1), NULL, 0), false);
}

static void matrices_take_rows_at_the_left(void **state)
{
    (void)state;
    hd_attribute other = int_attribute("transB", 1);
    builder b = begin();
    hd_value flat = RESHAPED(&b, b.x, -1, 24);
    check(&b, NODE(&b, "Gemm", NULL, 0, 0, flat, FLOATS(&b, 24, 5), FLOATS(&b, 5)), true);
    b = begin();
    flat = RESHAPED(&b, b.x, -1, 24);
    hd_value sums = node(&b, "ReduceSum", flat, INTS(&b, 1), NULL, 0);
    check(&b, NODE(&b, "Gemm", NULL, 0, 0, flat, FLOATS(&b, 24, 5), sums), true);
    b = begin(); /* every row times every row */
    flat = RESHAPED(&b, b.x, -1, 24);
    check(&b, NODE(&b, "Gemm", &other, 1, 0, flat, flat), false);
    b = begin();
    flat = RESHAPED(&b, b.x, -1, 24);
    check(&b, NODE(&b, "Gemm", &other, 1, 0, FLOATS(&b, 3, 24), flat), false);
    b = begin(); /* weights times the number of rows */
    flat = RESHAPED(&b, b.x, -1, 24);
    hd_attribute to_float = int_attribute("to", HD_FLOAT32);
    hd_value shape = node(&b, "Shape", b.x, HD_VALUE_NONE, NULL, 0);
    hd_value rows = node(&b, "Gather", shape, INTS(&b, 0), NULL, 0);
    rows = node(&b, "Cast", rows, HD_VALUE_NONE, &to_float, 1);
    hd_value weights = node(&b, "Mul", FLOATS(&b, 24, 5), rows, NULL, 0);
    check(&b, NODE(&b, "Gemm", NULL, 0, 0, flat, weights), false);
}

static void views_end_with_rows_in_dimension_0(void **state)
{
    (void)state;
    for (int64_t axis = 0; axis < 3; axis++) {
        hd_attribute from = int_attribute("axis", axis);
        builder b = begin();
        hd_value flat = node(&b, "Flatten", b.x, HD_VALUE_NONE, &from, 1);
        check(&b, node(&b, "Relu", flat, HD_VALUE_NONE, NULL, 0), axis != 0);
        b = begin();
        hd_value more = node(&b, "Unsqueeze", b.x, INTS(&b, axis), NULL, 0);
        more = node(&b, "Relu", more, HD_VALUE_NONE, NULL, 0);
        check(&b, axis == 1 ? node(&b, "Squeeze", more, INTS(&b, 1), NULL, 0) : more, axis != 0);
    }
}

static void norms_and_searches_keep_rows_on_other_axes(void **state)
{
    (void)state;
    for (int64_t axis = 0; axis < 3; axis++) {
        static const char *const types[] = {"LogSoftmax", "Hardmax", "LpNormalization"};
        hd_attribute along = int_attribute("axis", axis);
        for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
            builder b = begin();
            check(&b, node(&b, types[i], b.x, HD_VALUE_NONE, &along, 1), axis != 0);
        }
        builder b = begin_with(11); /* all axes from this one on are one */
        check(&b, node(&b, "Softmax", b.x, HD_VALUE_NONE, &along, 1), axis != 0);
        b = begin();
        hd_value first = node(&b, "ArgMin", b.x, HD_VALUE_NONE, &along, 1);
        check(&b, first, axis != 0);
        b = begin();
        check(&b, NODE(&b, "TopK", &along, 1, 1, b.x, INTS(&b, 1)), axis != 0);
    }
    builder b = begin_with(11); /* rows in dimension 1 are among those from 0 on */
    hd_attribute from = int_attribute("axis", 0);
    check(&b, transposed(&b, node(&b, "Softmax", transposed(&b, b.x), HD_VALUE_NONE, &from, 1)),
          false);
    b = begin(); /* sorts the rows */
    hd_attribute zero = int_attribute("axis", 0);
    hd_value shape = node(&b, "Shape", b.x, HD_VALUE_NONE, NULL, 0);
    hd_value rows = node(&b, "Gather", shape, INTS(&b, 0), NULL, 0);
    check(&b, NODE(&b, "TopK", &zero, 1, 0, b.x, rows), false);
    b = begin();
    check(&b, node(&b, "Trilu", b.x, HD_VALUE_NONE, NULL, 0), true);
    b = begin();
    check(&b, node(&b, "Trilu", RESHAPED(&b, b.x, -1, 24), HD_VALUE_NONE, NULL, 0), false);
}

static void gathering_stays_in_the_row(void **state)
{
    (void)state;
    hd_attribute last = int_attribute("axis", 2), one = int_attribute("axis", 1);
    builder b = begin();
    check(&b, node(&b, "Gather", FLOATS(&b, 6, 3), places(&b, 0), NULL, 0), true);
    b = begin();
    check(&b, node(&b, "GatherElements", b.x, places(&b, 1), &last, 1), true);
    b = begin();
    hd_value indices = RESHAPED(&b, places(&b, 1), -1, 1);
    check(&b, node(&b, "GatherElements", RESHAPED(&b, b.x, -1, 6), indices, &one, 1), true);
    b = begin(); /* two indices a row beside the four lines of its data */
    indices = node(&b, "Gather", places(&b, 0), INTS(&b, 1, 3), &one, 1); /* [B, 2] */
    check(
        &b,
        node(&b, "GatherElements", RESHAPED(&b, b.x, -1, 6), RESHAPED(&b, indices, -1, 1), &one, 1),
        false);
    b = begin();
    hd_value values = FLOATS(&b, 2);
    check(&b, NODE(&b, "OneHot", NULL, 0, 0, places(&b, 0), INTS(&b, 6), values), true);
}

static void moves_leave_rows_in_place(void **state)
{
    (void)state;
    hd_attribute parts[] = {int_attribute("axis", 2), int_attribute("num_outputs", 2)};
    builder b = begin();
    check(&b, NODE(&b, "Split", parts, 2, 1, b.x), true);
    b = begin();
    check(&b, NODE(&b, "Pad", NULL, 0, 0, b.x, INTS(&b, 0, 0, 1, 0, 0, 2)), true);
    b = begin(); /* each row takes the place of the next */
    check(&b, NODE(&b, "Pad", NULL, 0, 0, b.x, INTS(&b, 1, 0, 0, -1, 0, 0)), false);
    b = begin_with(10);
    hd_attribute pads = INTS_ATTRIBUTE("pads", 1, 0, 0, -1, 0, 0);
    check(&b, NODE(&b, "Pad", &pads, 1, 0, b.x), false);
    b = begin();
    hd_attribute back = INTS_ATTRIBUTE("perm", 1, 0, 2, 3);
    hd_value wide = NODE(&b, "Expand", NULL, 0, 0, b.x, INTS(&b, 2, 1, 4, 6));
    check(&b, node(&b, "Transpose", wide, HD_VALUE_NONE, &back, 1), true);
    b = begin();
    wide = NODE(&b, "Expand", NULL, 0, 0, b.x, INTS(&b, 2, 1, 4, 6)); /* all rows, and all again */
    check(&b, RESHAPED(&b, wide, -1, 2, 4, 6), false);
    b = begin();
    hd_value chosen = node(&b, "Greater", b.x, FLOATS(&b, 6), NULL, 0);
    check(&b, NODE(&b, "Where", NULL, 0, 0, chosen, b.x, FLOATS(&b, 4, 1)), true);
    b = begin(); /* no rule */
    hd_attribute product = {.name = "equation", .kind = HD_ATTRIBUTE_STRING, .s = "bij->bji"};
    check(&b, NODE(&b, "Einsum", &product, 1, 0, b.x), false);
}

static void recurrent_layers_keep_the_batch_apart_and_not_time(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        int64_t gates;
    } cells[] = {{"LSTM", 4}, {"GRU", 3}, {"RNN", 1}};
    hd_attribute size = int_attribute("hidden_size", 2);
    for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++) {
        for (size_t last = 0; last < 2; last++) {
            builder b = begin();
            hd_value y =
                NODE(&b, cells[i].type, &size, 1, last, transposed(&b, b.x),
                     FLOATS(&b, 1, 2 * cells[i].gates, 6), FLOATS(&b, 1, 2 * cells[i].gates, 2));
            hd_attribute back = INTS_ATTRIBUTE("perm", 2, 0, 1, 3);
            check(&b, last ? transposed(&b, y) : node(&b, "Transpose", y, HD_VALUE_NONE, &back, 1),
                  true);
        }
        builder b = begin(); /* a row after the other in time */
        check(&b,
              NODE(&b, cells[i].type, &size, 1, 0, b.x, FLOATS(&b, 1, 2 * cells[i].gates, 6),
                   FLOATS(&b, 1, 2 * cells[i].gates, 2)),
              false);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elementwise_operators_keep_rows),
        cmocka_unit_test(an_operand_may_lie_along_the_rows_or_across),
        cmocka_unit_test(products_keep_rows_that_are_not_summed_over),
        cmocka_unit_test(views_keep_rows_where_as_much_lies_before),
        cmocka_unit_test(reductions_keep_rows_on_other_axes),
        cmocka_unit_test(values_that_tell_the_number_of_rows_are_found),
        cmocka_unit_test(slices_and_joins_leave_rows_in_place),
        cmocka_unit_test(matrices_take_rows_at_the_left),
        cmocka_unit_test(views_end_with_rows_in_dimension_0),
        cmocka_unit_test(norms_and_searches_keep_rows_on_other_axes),
        cmocka_unit_test(gathering_stays_in_the_row),
        cmocka_unit_test(moves_leave_rows_in_place),
        cmocka_unit_test(recurrent_layers_keep_the_batch_apart_and_not_time),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}

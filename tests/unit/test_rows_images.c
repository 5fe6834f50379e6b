/* Rows of images: what convolutions, pools, norms of groups and resizing do to the entries of a batch. */
#include "rows_builder.h"

static void images_keep_rows_in_dimension_0(void **state)
{
    (void)state;
    hd_attribute kernel = INTS_ATTRIBUTE("kernel_shape", 3),
                 group = int_attribute("training_mode", 1);
    hd_attribute pads = INTS_ATTRIBUTE("pads", 1, 1), block = int_attribute("blocksize", 2);
    hd_attribute size = int_attribute("size", 3);
    builder b = begin();
    check(&b, NODE(&b, "Conv", &pads, 1, 0, b.x, FLOATS(&b, 5, 4, 3), FLOATS(&b, 5)), true);
    b = begin(); /* rows lie along the image */
    hd_value line = NODE(&b, "Conv", &pads, 1, 0, RESHAPED(&b, b.x, 1, 1, -1), FLOATS(&b, 1, 1, 3));
    check(&b, RESHAPED(&b, line, -1, 24), false);
    b = begin();
    check(&b, NODE(&b, "ConvTranspose", NULL, 0, 0, b.x, FLOATS(&b, 4, 5, 2)), true);
    b = begin();
    check(&b, NODE(&b, "MaxPool", &kernel, 1, 0, b.x), true);
    b = begin(); /* its indices count through the batch */
    check(&b, NODE(&b, "MaxPool", &kernel, 1, 1, b.x), false);
    b = begin();
    check(&b, NODE(&b, "AveragePool", &kernel, 1, 0, b.x), true);
    b = begin();
    check(&b, NODE(&b, "GlobalAveragePool", NULL, 0, 0, b.x), true);
    b = begin();
    check(&b, NODE(&b, "InstanceNormalization", NULL, 0, 0, b.x, FLOATS(&b, 4), FLOATS(&b, 4)),
          true);
    for (size_t training = 0; training < 2; training++) {
        b = begin();
        hd_value variance = node(&b, "Abs", FLOATS(&b, 4), HD_VALUE_NONE, NULL, 0);
        hd_value inputs[] = {b.x, FLOATS(&b, 4), FLOATS(&b, 4), FLOATS(&b, 4), variance};
        check(&b, node_output(&b, "BatchNormalization", inputs, 5, &group, training, 0),
              training == 0);
    }
    static const char *const modes[] = {"DCR", "CRD"};
    for (size_t i = 0; i < 2; i++) {
        hd_attribute attributes[] = {block,
                                     {.name = "mode", .kind = HD_ATTRIBUTE_STRING, .s = modes[i]}};
        b = begin();
        check(&b, NODE(&b, "DepthToSpace", attributes, 2, 0, RESHAPED(&b, b.x, -1, 4, 2, 3)), true);
    }
    b = begin();
    check(&b, NODE(&b, "SpaceToDepth", &block, 1, 0, RESHAPED(&b, b.x, -1, 2, 2, 6)), true);
    for (int64_t p = 1; p <= 3; p++) {
        hd_attribute norm[] = {kernel, int_attribute("p", p)};
        b = begin();
        check(&b, NODE(&b, "LpPool", norm, 2, 0, b.x), true);
        b = begin();
        check(&b, NODE(&b, "GlobalLpPool", &norm[1], 1, 0, b.x), true);
    }
    b = begin();
    check(&b, NODE(&b, "GlobalMaxPool", NULL, 0, 0, b.x), true);
    b = begin(); /* blocks that overlap */
    check(&b, NODE(&b, "Col2Im", NULL, 0, 0, b.x, INTS(&b, 3, 4), INTS(&b, 2, 2)), true);
    b = begin();
    check(&b, NODE(&b, "LRN", &size, 1, 0, RESHAPED(&b, b.x, -1, 4, 2, 3)), true);
    b = begin();
    hd_attribute first = int_attribute("axis", 1);
    hd_value flat = RESHAPED(&b, b.x, -1, 24);
    hd_value grid = NODE(&b, "Gather", &first, 1, 0, flat, INTS(&b, 0, 5, 9, 3, 4, 1, 2, 8));
    check(&b,
          NODE(&b, "GridSample", NULL, 0, 0, RESHAPED(&b, b.x, -1, 4, 2, 3),
               RESHAPED(&b, grid, -1, 2, 2, 2)),
          true);
}

/* What has rows as channels, or along the image, works across them. */
static void images_made_of_several_rows_are_no_rows(void **state)
{
    (void)state;
    hd_attribute pool[] = {INTS_ATTRIBUTE("kernel_shape", 2), INTS_ATTRIBUTE("strides", 2)};
    hd_attribute block = int_attribute("blocksize", 2), groups = int_attribute("num_groups", 1);
    hd_attribute tiles = INTS_ATTRIBUTE("strides", 1, 2);
    builder b = begin();
    hd_value y = NODE(&b, "LpPool", pool, 2, 0, RESHAPED(&b, b.x, 1, 1, -1));
    check(&b, RESHAPED(&b, y, -1, 12), false);
    b = begin();
    check(&b, NODE(&b, "GlobalMaxPool", NULL, 0, 0, RESHAPED(&b, b.x, 1, 4, -1)), false);
    b = begin();
    y = NODE(&b, "DepthToSpace", &block, 1, 0, RESHAPED(&b, b.x, 1, -1, 2, 3));
    check(&b, RESHAPED(&b, y, -1, 4, 6), false);
    for (int channels = 0; channels < 2; channels++) {
        b = begin();
        y = channels ? RESHAPED(&b, b.x, 1, -1, 2, 6) : RESHAPED(&b, b.x, 1, 1, -1, 6);
        y = NODE(&b, "SpaceToDepth", &block, 1, 0, y);
        check(&b, RESHAPED(&b, y, -1, 24), false);
    }
    b = begin_with(18); /* one group */
    y = NODE(&b, "GroupNormalization", &groups, 1, 0, RESHAPED(&b, b.x, 1, -1, 6), FLOATS(&b, 1),
             FLOATS(&b, 1));
    check(&b, RESHAPED(&b, y, -1, 4, 6), false);
    b = begin(); /* [1, 4, 6 * B] to [1, 2, 1, 12 * B] */
    hd_attribute zero = int_attribute("axis", 0);
    hd_value columns = RESHAPED(&b, b.x, 1, 4, -1);
    hd_value width = node(&b, "Gather", node(&b, "Shape", columns, HD_VALUE_NONE, NULL, 0),
                          INTS(&b, 2), NULL, 0);
    hd_value image =
        node(&b, "Concat", INTS(&b, 1), node(&b, "Mul", width, INTS(&b, 2), NULL, 0), &zero, 1);
    y = NODE(&b, "Col2Im", &tiles, 1, 0, columns, image, INTS(&b, 1, 2));
    check(&b, RESHAPED(&b, y, -1, 24), false);
}

static void norms_of_groups_and_of_the_last_axes_keep_rows(void **state)
{
    (void)state;
    hd_attribute kept = int_attribute("keepdims", 0);
    for (int64_t axis = 0; axis < 3; axis++) {
        hd_attribute from = int_attribute("axis", axis);
        builder b = begin_with(23);
        hd_value scale = axis == 0 ? b.x : axis == 1 ? FLOATS(&b, 4, 6) : FLOATS(&b, 6);
        check(&b, node(&b, "RMSNormalization", b.x, scale, &from, 1), axis != 0);
        b = begin_with(23); /* rows in dimension 1 */
        hd_value turned = transposed(&b, b.x);
        scale = axis == 0   ? turned
                : axis == 1 ? NODE(&b, "ReduceSum", &kept, 1, 0, b.x, INTS(&b, 1))
                            : FLOATS(&b, 6);
        hd_value y = node(&b, "RMSNormalization", turned, scale, &from, 1);
        check(&b, transposed(&b, y), axis == 2);
    }
    for (int64_t count = 1; count <= 4; count *= 2) {
        hd_attribute groups = int_attribute("num_groups", count);
        builder b = begin_with(18); /* factors a group */
        check(&b,
              NODE(&b, "GroupNormalization", &groups, 1, 0, b.x, FLOATS(&b, count),
                   FLOATS(&b, count)),
              true);
        b = begin_with(21); /* factors a channel */
        check(&b, NODE(&b, "GroupNormalization", &groups, 1, 0, b.x, FLOATS(&b, 4), FLOATS(&b, 4)),
              true);
    }
}

static void resizing_leaves_rows_alone_or_mixes_them(void **state)
{
    (void)state;
    hd_attribute linear = {.name = "mode", .kind = HD_ATTRIBUTE_STRING, .s = "linear"};
    for (int blends = 0; blends < 2; blends++) { /* 1.2 leaves two and three rows as many */
        float scales[] = {blends ? 1.2f : 1, 1, 2};
        hd_tensor tensor = {
            .dtype = HD_FLOAT32, .rank = 1, .dims = {3}, .data = scales, .size = sizeof scales};
        hd_value constant;
        builder b = begin();
        assert_ok(hd_graph_add_constant(b.graph, &tensor, &constant, &error));
        check(&b, NODE(&b, "Resize", &linear, 1, 0, b.x, HD_VALUE_NONE, constant), !blends);
    }
    builder b = begin(); /* sizes that name the number of rows */
    hd_attribute zero = int_attribute("axis", 0);
    hd_value shape = node(&b, "Shape", b.x, HD_VALUE_NONE, NULL, 0);
    hd_value rows = node(&b, "Gather", shape, INTS(&b, 0), NULL, 0);
    hd_value sizes = node(&b, "Concat", rows, INTS(&b, 4, 9), &zero, 1);
    check(&b, NODE(&b, "Resize", &linear, 1, 0, b.x, HD_VALUE_NONE, HD_VALUE_NONE, sizes), true);
}

static void upsampling_leaves_rows_alone_or_mixes_them(void **state)
{
    (void)state;
    static const float factors[][3] = {{1, 1, 2}, {1, 1.5f, 1.7f}, {1.2f, 1, 2}, {2, 1, 1}};
    static const char *const modes[] = {"nearest", "linear"};
    for (size_t i = 0; i < 8; i++) {
        const float *scales = factors[i / 2];
        hd_attribute attributes[] = {
            {.name = "mode", .kind = HD_ATTRIBUTE_STRING, .s = modes[i % 2]},
            {.name = "scales", .kind = HD_ATTRIBUTE_FLOATS, .floats = scales, .count = 3}};
        hd_tensor tensor = {
            .dtype = HD_FLOAT32, .rank = 1, .dims = {3}, .data = (void *)scales, .size = 12};
        builder b = begin_with(7);
        check(&b, NODE(&b, "Upsample", attributes, 2, 0, b.x), scales[0] == 1);
        b = begin_with(9);
        hd_value constant;
        assert_ok(hd_graph_add_constant(b.graph, &tensor, &constant, &error));
        check(&b, NODE(&b, "Upsample", attributes, 1, 0, b.x, constant), scales[0] == 1);
    }
    float twice[] = {1, 1, 2};
    hd_attribute scales = {
        .name = "scales", .kind = HD_ATTRIBUTE_FLOATS, .floats = twice, .count = 3};
    builder b = begin_with(7); /* rows lie along the image */
    hd_value line = NODE(&b, "Upsample", &scales, 1, 0, RESHAPED(&b, b.x, 1, 1, -1));
    check(&b, RESHAPED(&b, line, -1, 12), false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(images_keep_rows_in_dimension_0),
        cmocka_unit_test(images_made_of_several_rows_are_no_rows),
        cmocka_unit_test(norms_of_groups_and_of_the_last_axes_keep_rows),
        cmocka_unit_test(resizing_leaves_rows_alone_or_mixes_them),
        cmocka_unit_test(upsampling_leaves_rows_alone_or_mixes_them),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}

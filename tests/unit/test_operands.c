/* Every operator with empty, huge, scalar and missing operands, and with extreme attributes: it ends soon, with a
 * status or with the same bits folded and run, and a sanitizer sees nothing. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "graph/operator.h"
#include "support/row_run.h"

#define ALL_MODES ((1u << ROW_MODE_COUNT) - 1)
#define RUN_MODES (1u << ROW_FOLDED | 1u << ROW_PLANNED)
#define HUGE_SIZE ((int64_t)1 << 58)
#define SECONDS   2.0 /* many times what a busy machine with a sanitizer needs */

static hd_device *device;

static int setup(void **state)
{
    (void)state;
    device = row_device();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    hd_device_destroy(&device);
    return 0;
}

typedef void vary(const row_case *base);

static void for_each_case(vary *function)
{
    for (size_t r = 0; r < operator_row_count; r++) {
        row_case base;
        for (const char *types = operator_rows[r].types;
             row_case_next(&operator_rows[r], &types, &base);) {
            function(&base);
        }
    }
}

static void is_in_rows(const hd_operator *operator)
{
    if (hd_operator_is_internal(operator->id) ||
        (operator->flags & (HD_OPERATOR_CONTROL | HD_OPERATOR_SEQUENCE)) != 0) {
        return;
    }
    for (size_t r = 0; r < operator_row_count; r++) {
        row_case c;
        for (const char *types = operator_rows[r].types;
             row_case_next(&operator_rows[r], &types, &c);) {
            if (strcmp(c.type, operator->name) == 0) {
                return;
            }
        }
    }
    fail_msg("%s has no row", operator->name);
}

static void runs(const row_case *base)
{
    if (!row_check(device, base, ALL_MODES, SECONDS)) {
        char text[512];
        fail_msg("%s does not run", row_case_text(base, text, sizeof text));
    }
}

static void test_rows_name_every_operator_and_run(void **state)
{
    (void)state;
    for (int id = HD_OP_NONE + 1; id < HD_OP_COUNT; id++) {
        is_in_rows(hd_operator_of((hd_operator_id)id));
    }
    for_each_case(runs);
}

/* Every dimension of this size, and every element of a list of integers, becomes another. */
static void replace_size(row_case *c, int64_t from, int64_t to)
{
    for (size_t i = 0; i < c->input_count; i++) {
        row_operand *operand = &c->inputs[i];
        for (uint32_t d = 0; !operand->has_elements && d < operand->shape.rank; d++) {
            if (operand->shape.dims[d] == from) {
                operand->shape.dims[d] = to;
            }
        }
        for (size_t e = 0; operand->has_elements && e < ROW_ELEMENT_LIMIT; e++) {
            if (operand->integers[e] == from && from > 2) {
                operand->integers[e] = to;
            }
        }
    }
}

/* A size of the case that stands at this place: counts through all dimensions of all operands; 0: no more. */
static int64_t size_at(const row_case *c, size_t place)
{
    for (size_t i = 0; i < c->input_count; i++) {
        const hd_shape *shape = &c->inputs[i].shape;
        if (c->inputs[i].has_elements) {
            continue;
        }
        if (place < shape->rank) {
            return shape->dims[place];
        }
        place -= shape->rank;
    }
    return 0;
}

static void empty_together(const row_case *base)
{
    for (size_t a = 0; size_at(base, a) != 0; a++) {
        row_case c;
        row_case_copy(&c, base);
        replace_size(&c, size_at(base, a), 0);
        row_check(device, &c, ALL_MODES, SECONDS);
        for (size_t b = 0; size_at(base, b) != 0; b++) {
            row_case_copy(&c, base);
            replace_size(&c, size_at(base, a), 0);
            replace_size(&c, size_at(base, b), HUGE_SIZE);
            row_check(device, &c, RUN_MODES, SECONDS);
        }
    }
}

static void empty_one(const row_case *base)
{
    row_case c;
    for (size_t i = 0; i < base->input_count; i++) {
        for (uint32_t d = 0; d < base->inputs[i].shape.rank; d++) {
            row_case_copy(&c, base);
            c.inputs[i].shape.dims[d] = 0;
            row_check(device, &c, ALL_MODES, SECONDS);
            for (uint32_t other = 0; other < base->inputs[i].shape.rank; other++) {
                c.inputs[i].shape.dims[other] = other == d ? 0 : HUGE_SIZE;
                row_check(device, &c, RUN_MODES, SECONDS);
            }
        }
        row_case_copy(&c, base);
        memset(c.inputs[i].shape.dims, 0, sizeof c.inputs[i].shape.dims);
        row_check(device, &c, ALL_MODES, SECONDS);
    }
    for (size_t i = 0; i < base->input_count; i++) {
        memset(c.inputs[i].shape.dims, 0, sizeof c.inputs[i].shape.dims);
    }
    row_check(device, &c, ALL_MODES, SECONDS);
}

static void scalars_and_gaps(const row_case *base)
{
    row_case c, all;
    row_case_copy(&all, base);
    for (size_t i = 0; i < base->input_count; i++) {
        row_case_copy(&c, base);
        c.inputs[i].shape = all.inputs[i].shape = (hd_shape){.rank = 0};
        row_check(device, &c, ALL_MODES, SECONDS);
        for (int64_t size = 0; size < 2; size++) {
            c.inputs[i].shape = (hd_shape){.rank = 1, .dims = {size}};
            row_check(device, &c, ALL_MODES, SECONDS);
        }
        c.inputs[i].dtype = HD_DTYPE_NONE;
        row_check(device, &c, ALL_MODES, SECONDS);
        row_case_copy(&c, base);
        c.input_count = i + 1;
        row_check(device, &c, ALL_MODES, SECONDS);
    }
    row_check(device, &all, ALL_MODES, SECONDS);
}

static void test_sizes_of_zero_in_every_operand_at_once(void **state)
{
    (void)state;
    for_each_case(empty_together);
}

static void test_sizes_of_zero_in_one_operand(void **state)
{
    (void)state;
    for_each_case(empty_one);
}

static void test_scalars_and_operands_left_out(void **state)
{
    (void)state;
    for_each_case(scalars_and_gaps);
}

static const int64_t extremes[] = {INT64_MIN,
                                   INT64_MIN + 1,
                                   -((int64_t)1 << 31) - 1,
                                   -2,
                                   -1,
                                   0,
                                   1,
                                   2,
                                   65,
                                   ((int64_t)1 << 31) - 1,
                                   (int64_t)1 << 31,
                                   (int64_t)1 << 62,
                                   INT64_MAX};
#define EXTREME_COUNT (sizeof extremes / sizeof extremes[0])
static const float odd_floats[] = {NAN,   INFINITY, -INFINITY, 0.0f,   -0.0f,
                                   -1.0f, 1e30f,    -1e30f,    1e-30f, 3e9f};
#define ODD_COUNT (sizeof odd_floats / sizeof odd_floats[0])

/* Each element of attribute `index`, and all of them, become each extreme. */
static void vary_attribute(const row_case *base, size_t index)
{
    hd_attribute_kind kind = base->attributes[index].kind;
    bool is_int = kind == HD_ATTRIBUTE_INT || kind == HD_ATTRIBUTE_INTS;
    size_t count = base->attributes[index].count;
    for (size_t x = 0; x < (is_int ? EXTREME_COUNT : ODD_COUNT) && kind != HD_ATTRIBUTE_STRING;
         x++) {
        for (size_t e = 0; e <= count; e++) { /* e == count: all */
            row_case c;
            row_case_copy(&c, base);
            for (size_t k = e == count ? 0 : e; k < count && (e == count || k == e); k++) {
                c.ints[index][k] = is_int ? extremes[x] : 0;
                c.floats[index][k] = is_int ? 0 : odd_floats[x];
            }
            c.attributes[index].i = is_int ? extremes[x] : 0;
            c.attributes[index].f = is_int ? 0 : odd_floats[x];
            row_check(device, &c, RUN_MODES, SECONDS);
        }
    }
}

static bool has_attribute(const row_case *c, const char *name)
{
    for (size_t i = 0; i < c->attribute_count; i++) {
        if (strcmp(c->names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* The operator knows the last attribute. */
static bool is_known(const row_case *c)
{
    hd_operation operation = {.id = hd_operator_lookup(c->type),
                              .name = "",
                              .opset = c->opset,
                              .attributes = c->attributes,
                              .attribute_count = c->attribute_count};
    return hd_operator_check_attributes(&operation, NULL) == HD_OK;
}

/* Attributes that the operator has and the row does not give. */
static void vary_further_attributes(const row_case *base)
{
    static const char *const names[] = {"align_corners",
                                        "allowzero",
                                        "antialias",
                                        "axes",
                                        "axis",
                                        "batch_axis",
                                        "batch_dims",
                                        "blocksize",
                                        "broadcast",
                                        "ceil_mode",
                                        "center_point_box",
                                        "count_include_pad",
                                        "detect_negative",
                                        "detect_positive",
                                        "dilations",
                                        "dtype",
                                        "end",
                                        "ends",
                                        "exclude_outside",
                                        "exclusive",
                                        "fmod",
                                        "group",
                                        "hidden_size",
                                        "ignore_index",
                                        "input_forget",
                                        "inverse",
                                        "is_test",
                                        "k",
                                        "keepdims",
                                        "kernel_shape",
                                        "largest",
                                        "layout",
                                        "linear_before_reset",
                                        "noop_with_empty_axes",
                                        "num_groups",
                                        "num_outputs",
                                        "onesided",
                                        "output_datatype",
                                        "output_height",
                                        "output_padding",
                                        "output_sequence",
                                        "output_shape",
                                        "output_width",
                                        "p",
                                        "pads",
                                        "periodic",
                                        "perm",
                                        "pooled_shape",
                                        "reverse",
                                        "sampling_ratio",
                                        "saturate",
                                        "seed",
                                        "select_last_index",
                                        "size",
                                        "sorted",
                                        "spatial",
                                        "split",
                                        "start",
                                        "starts",
                                        "stash_type",
                                        "storage_order",
                                        "strides",
                                        "time_axis",
                                        "to",
                                        "training_mode",
                                        "transA",
                                        "transB",
                                        "upper"};
    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
        for (size_t count = 0; count <= 6 && !has_attribute(base, names[n]) &&
                               base->attribute_count < ROW_ATTRIBUTE_LIMIT;
             count++) {
            row_case c;
            row_case_copy(&c, base);
            size_t index = c.attribute_count++;
            strcpy(c.names[index], names[n]);
            c.attributes[index] =
                (hd_attribute){.name = c.names[index],
                               .kind = count == 0 ? HD_ATTRIBUTE_INT : HD_ATTRIBUTE_INTS,
                               .ints = c.ints[index],
                               .floats = c.floats[index],
                               .count = count};
            if (is_known(&c)) {
                vary_attribute(&c, index);
            }
        }
    }
}

static void extreme_attributes(const row_case *base)
{
    for (size_t i = 0; i < base->attribute_count; i++) {
        vary_attribute(base, i);
    }
    vary_further_attributes(base);
}

/* Several at once, in a sequence that is the same every time. */
static void extreme_mixtures(const row_case *base)
{
    uint64_t random = 88172645463325252u;
    for (int round = 0; round < 40; round++) {
        row_case c;
        row_case_copy(&c, base);
        for (size_t i = 0; i < c.attribute_count; i++) {
            for (size_t e = 0; e <= c.attributes[i].count; e++) {
                random ^= random << 13, random ^= random >> 7, random ^= random << 17;
                if (random % 3 != 0 && e < c.attributes[i].count) {
                    c.ints[i][e] = extremes[random / 3 % EXTREME_COUNT];
                    c.floats[i][e] = odd_floats[random / 3 % ODD_COUNT];
                } else if (random % 3 == 1) {
                    c.attributes[i].i = extremes[random / 3 % EXTREME_COUNT];
                }
            }
        }
        row_check(device, &c, RUN_MODES, SECONDS);
    }
}

static void set_element(row_operand *operand, size_t element, size_t extreme)
{
    if (operand->dtype == HD_FLOAT32) {
        operand->elements[element] = (double)odd_floats[extreme % ODD_COUNT];
    } else {
        operand->integers[element] = extremes[extreme];
    }
}

static void extreme_elements(const row_case *base)
{
    for (size_t i = 0; i < base->input_count; i++) {
        size_t count =
            base->inputs[i].has_elements ? (size_t)hd_shape_count(&base->inputs[i].shape) : 0;
        for (size_t x = 0; x < EXTREME_COUNT && count > 0; x++) {
            row_case c, all;
            row_case_copy(&all, base);
            for (size_t e = 0; e < count; e++) {
                row_case_copy(&c, base);
                set_element(&c.inputs[i], e, x);
                set_element(&all.inputs[i], e, x);
                row_check(device, &c, ALL_MODES, SECONDS);
            }
            row_check(device, &all, ALL_MODES, SECONDS);
        }
    }
}

/* Operands that are no lists hold the extremes, too: indices, lengths, regions, what is cast. */
static void extreme_data(const row_case *base)
{
    for (size_t i = 0; i < base->input_count; i++) {
        bool fits = !base->inputs[i].has_elements && base->inputs[i].dtype != HD_DTYPE_NONE;
        for (size_t x = 0; x < EXTREME_COUNT && fits; x++) {
            row_case c;
            row_case_copy(&c, base);
            c.inputs[i].has_elements = true; /* the first ROW_ELEMENT_LIMIT */
            for (size_t e = 0; e < ROW_ELEMENT_LIMIT; e++) {
                set_element(&c.inputs[i], e, (x + e % 2) % EXTREME_COUNT);
            }
            for (row_mode mode = ROW_FOLDED; mode < ROW_MODE_COUNT; mode++) {
                /* infinite weights give NaN at other places in 2x2 tiles */
                row_check(device, &c, 1u << mode, SECONDS);
            }
        }
    }
}

static void test_extreme_attributes(void **state)
{
    (void)state;
    for_each_case(extreme_attributes);
}

static void test_mixtures_of_extreme_attributes(void **state)
{
    (void)state;
    for_each_case(extreme_mixtures);
}

static void test_extreme_elements_of_lists(void **state)
{
    (void)state;
    for_each_case(extreme_elements);
}

static void test_extreme_elements_of_data(void **state)
{
    (void)state;
    for_each_case(extreme_data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_name_every_operator_and_run),
        cmocka_unit_test(test_sizes_of_zero_in_every_operand_at_once),
        cmocka_unit_test(test_sizes_of_zero_in_one_operand),
        cmocka_unit_test(test_scalars_and_operands_left_out),
        cmocka_unit_test(test_extreme_attributes),
        cmocka_unit_test(test_mixtures_of_extreme_attributes),
        cmocka_unit_test(test_extreme_elements_of_lists),
        cmocka_unit_test(test_extreme_elements_of_data),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

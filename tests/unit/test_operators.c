/* The table of operators: each row is whole and is found by its name, and the CPU has a kernel for exactly those that
 * are computed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "graph/expansion.h"
#include "support/operation_runner.h"

static void for_each_row(void (*check)(const hd_operator *row))
{
    for (int id = HD_OP_NONE + 1; id < HD_OP_COUNT; id++) {
        check(hd_operator_of((hd_operator_id)id));
    }
}

static void check_name(const hd_operator *row)
{
    assert_string_equal(row->name, hd_operator_name(row->id));
    assert_int_equal(hd_operator_lookup(row->name), row->id);
    assert_int_equal(hd_operator_is_internal(row->id), strncmp(row->name, "heddle.", 7) == 0);
    assert_ptr_equal(hd_operator_find(row->name), hd_operator_is_internal(row->id) ? NULL : row);
    if (row->id > HD_OP_NONE + 1 && strcmp(hd_operator_name(row->id - 1), row->name) >= 0) {
        fail_msg("%s stands before %s, which a search by halving does not find",
                 hd_operator_name(row->id - 1), row->name);
    }
}

static void test_ids_and_names_are_each_others(void **state)
{
    (void)state;
    for (int id = HD_OP_NONE; id < HD_OP_COUNT; id++) {
        assert_int_equal(hd_operators[id].id, id);
    }
    for_each_row(check_name);
    static const char *const strange[] = {"",     "A",       "add",       "Ad", "Addd",
                                          "Xorr", "heddle.", "heddle.Zz", "~"};
    for (size_t i = 0; i < sizeof strange / sizeof strange[0]; i++) {
        assert_int_equal(hd_operator_lookup(strange[i]), HD_OP_NONE);
        assert_null(hd_operator_find(strange[i]));
    }
}

/* What the opsets allow ascends, stays within what the row allows, and reaches both of its ends. */
static void check_counts(const hd_operator *row, const char *side, const char *text, size_t least,
                         size_t most)
{
    size_t lowest = SIZE_MAX, highest = 0;
    unsigned int last = 0;
    for (const char *at = text; at != NULL && *at != '\0';) {
        size_t from, to;
        unsigned int since;
        int length = 0;
        if (sscanf(at, "%zu-%zu@%u%n", &from, &to, &since, &length) != 3 || from > to ||
            since <= last || since > HD_OPSET_MAX || (at[length] != ' ' && at[length] != '\0')) {
            fail_msg("%s: '%s' is no list of numbers of %s", row->name, text, side);
        }
        lowest = from < lowest ? from : lowest;
        highest = to > highest ? to : highest;
        last = since;
        at += (size_t)length + (at[length] == ' ');
    }
    if (text != NULL && (lowest != least || highest != most)) {
        fail_msg("%s: '%s' and the row's numbers of %s differ", row->name, text, side);
    }
}

static void check_whole(const hd_operator *row)
{
    bool is_control = (row->flags & HD_OPERATOR_CONTROL) != 0;
    size_t type_count = row->types == NULL ? 0 : strlen(row->types);
    if (row->inputs.min > row->inputs.max || row->outputs == 0) {
        fail_msg("%s: its numbers of operands do not fit", row->name);
    }
    if ((is_control || row->expand != NULL) != (row->infer == NULL)) {
        fail_msg("%s: all but control flow and what is written out have an inference", row->name);
    }
    if (row->expand != NULL && ((row->inputs.max > HD_EXPANSION_INPUT_LIMIT &&
                                 row->inputs.max != HD_OPERATOR_ANY_NUMBER) ||
                                row->outputs > HD_EXPANSION_OUTPUT_LIMIT || row->rows != NULL)) {
        fail_msg("%s: it has too many operands to be written out, or a rule that nobody asks",
                 row->name);
    }
    if (type_count > row->inputs.max ||
        (type_count > 0 && strspn(row->types, "TILBF*") != type_count)) {
        fail_msg("%s: its types are no letters for its inputs", row->name);
    }
    if ((row->half.input >= row->inputs.max && !row->half.never && row->expand == NULL) ||
        (row->half.first_only && row->outputs == 1)) {
        fail_msg("%s: its half rule names operands that it has not", row->name);
    }
    const size_t indices = row->indices == HD_INDICES_OF_STARTS ? 2 : 1;
    if (row->indices != HD_INDICES_NONE && (row->inputs.min < 2 || type_count <= indices ||
                                            strchr("IL", row->types[indices]) == NULL)) {
        fail_msg("%s: its indices are no integers", row->name);
    }
    const bool is_settled = (row->flags & HD_OPERATOR_SETTLED) != 0;
    if (hd_operator_is_internal(row->id) && !is_settled &&
        (row->attributes != NULL || row->since != 0)) {
        fail_msg("%s: no graph has it", row->name);
    }
    if (row->since > HD_OPSET_MAX) {
        fail_msg("%s: opset %u cannot be asked for", row->name, row->since);
    }
    check_counts(row, "inputs", row->input_counts, row->inputs.min, row->inputs.max);
    check_counts(row, "outputs", row->output_counts, row->outputs > 0, row->outputs);
}

static void test_each_row_is_whole(void **state)
{
    (void)state;
    for_each_row(check_whole);
}

/* A word that is no attribute would be passed over in silence, and the attribute refused. */
static void check_attributes(const hd_operator *row)
{
    const char *at = row->attributes;
    while (at != NULL && *at != '\0') {
        size_t name = strcspn(at, ": ");
        if (name == 0 || at[name] != ':' || strchr("ifsIFt", at[name + 1]) == NULL) {
            fail_msg("%s: no attribute: '%s'", row->name, at);
        }
        at += name + 2;
        at += *at == '!';
        while (*at == '@' || *at == '-') {
            at++;
            assert_true(*at >= '1' && *at <= '9');
            at += strspn(at, "0123456789");
        }
        if (*at == ' ') {
            at++;
            assert_true(*at != '\0' && *at != ' ');
        } else if (*at != '\0') {
            fail_msg("%s: no attribute behind '%s'", row->name, at);
        }
    }
    if (row->half.attribute != NULL && strstr(row->attributes, row->half.attribute) == NULL) {
        fail_msg("%s: it has no attribute '%s'", row->name, row->half.attribute);
    }
}

static void test_attributes_are_words_of_the_rows_language(void **state)
{
    (void)state;
    for_each_row(check_attributes);
}

static void check_kernel(const hd_operator *row)
{
    bool is_copy = row->id == HD_OP_HEDDLE_TO_DEVICE || row->id == HD_OP_HEDDLE_TO_HOST;
    bool is_computed =
        (row->flags & (HD_OPERATOR_CONTROL | HD_OPERATOR_VIEW | HD_OPERATOR_SETTLED)) == 0 &&
        !is_copy && row->expand == NULL;
    if (is_computed != (hd_cpu_operator_find(row->id) != NULL)) {
        fail_msg("%s: the cpu %s a kernel for it", row->name,
                 is_computed ? "lacks" : "must not have");
    }
}

static void test_cpu_has_a_kernel_for_exactly_what_is_computed(void **state)
{
    (void)state;
    for_each_row(check_kernel);
    assert_null(hd_cpu_operator_find(HD_OP_NONE));
}

static void test_no_operator_has_two_kernels(void **state)
{
    (void)state;
    static const hd_cpu_operator *const families[] = {
#define FAMILY(family) hd_cpu_operators_##family,
        HD_CPU_FAMILY_LIST(FAMILY)
#undef FAMILY
    };
    bool seen[HD_OP_COUNT] = {false};
    for (size_t f = 0; f < sizeof families / sizeof families[0]; f++) {
        for (const hd_cpu_operator *row = families[f]; row->id != HD_OP_NONE; row++) {
            if (seen[row->id]) {
                fail_msg("%s stands in two tables of the cpu, or twice in one",
                         hd_operator_name(row->id));
            }
            seen[row->id] = true;
        }
    }
}

/* Operands that would do, so that it is the parameters that are refused. */
static void check_parameters(hd_operator_id id, const hd_fused *fused)
{
    static const float x[8] = {0};
    static const int64_t index = 0;
    hd_tensor image = OPERATION_TENSOR(HD_FLOAT32, x, 1, 2, 2, 1),
              weight = OPERATION_TENSOR(HD_FLOAT32, x, 1, 1, 1, 1);
    hd_tensor matrix = OPERATION_TENSOR(HD_FLOAT32, x, 2, 2),
              vector = OPERATION_TENSOR(HD_FLOAT32, x, 2);
    hd_tensor rows = OPERATION_TENSOR(HD_FLOAT32, x, 1, 2, 2);
    operation_case test = {
        .type = hd_operator_name(id), .fused = fused, .input_count = 2, .inputs = {matrix, matrix}};
    if (id == HD_OP_HEDDLE_CONV || id == HD_OP_HEDDLE_CONV_TRANSPOSE) {
        test.inputs[0] = image;
        test.inputs[1] = weight;
    } else if (id == HD_OP_HEDDLE_LAYER_NORM) {
        test.inputs[1] = vector;
    } else if (id == HD_OP_HEDDLE_ATTENTION) {
        test.inputs[0] = test.inputs[1] = test.inputs[2] = rows;
        test.input_count = 3;
    } else if (id == HD_OP_HEDDLE_INDEX_CHECK) {
        test.inputs[0] = OPERATION_TENSOR(HD_INT64, &index, 1);
        test.input_count = 1;
    }
    operation_result result;
    if (operation_run(&test, &result) == HD_OK) {
        fail_msg("%s runs with %s parameters", test.type, fused == NULL ? "no" : "another's");
    }
    operation_result_clear(&result);
}

static void test_an_operation_takes_no_parameters_but_its_own(void **state)
{
    (void)state;
    static const hd_operator_id ids[] = {HD_OP_HEDDLE_ATTENTION,      HD_OP_HEDDLE_CONV,
                                         HD_OP_HEDDLE_CONV_TRANSPOSE, HD_OP_HEDDLE_ELEMENTWISE,
                                         HD_OP_HEDDLE_INDEX_CHECK,    HD_OP_HEDDLE_LAYER_NORM,
                                         HD_OP_HEDDLE_LINEAR};
    hd_fused zero = {.id = HD_OP_NONE}, other = {.id = HD_OP_HEDDLE_MAX_POOL};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        check_parameters(ids[i], NULL);
        check_parameters(ids[i], &zero);
        check_parameters(ids[i], &other);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids_and_names_are_each_others),
        cmocka_unit_test(test_each_row_is_whole),
        cmocka_unit_test(test_attributes_are_words_of_the_rows_language),
        cmocka_unit_test(test_cpu_has_a_kernel_for_exactly_what_is_computed),
        cmocka_unit_test(test_no_operator_has_two_kernels),
        cmocka_unit_test(test_an_operation_takes_no_parameters_but_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Einsum and Det against evaluations by the definition. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "operation_runner.h"

/* Sizes of the letters in the equations below. */
static int64_t size_of(char letter)
{
    static const int64_t sizes[] = {2, 3, 5, 7, 4, 6, 1, 9};
    return letter == 'K'   ? 150
           : letter == 'Q' ? 40
           : letter == 'D' ? 70
                           : sizes[(letter - 'a') % 8];
}

typedef struct problem {
    const char *equation;
    size_t input_count;
    char terms[4][12]; /* the output's is last */
    char letters[16];  /* all, the output's first */
    float *inputs[3];
    float *expected;
} problem;

static int64_t term_shape(const char *term, int64_t *dims)
{
    int64_t count = 1;
    for (size_t i = 0; term[i] != '\0'; i++) {
        dims[i] = size_of(term[i]);
        count *= dims[i];
    }
    return count;
}

static int64_t term_offset(const char *term, const int64_t position[128])
{
    int64_t offset = 0;
    for (size_t i = 0; term[i] != '\0'; i++) {
        offset = offset * size_of(term[i]) + position[(unsigned char)term[i]];
    }
    return offset;
}

/* Sums over every value of every letter, in double precision. */
static void evaluate(problem *p)
{
    int64_t dims[8], total = 1, count = term_shape(p->terms[p->input_count], dims);
    double *sums = hd_alloc_zero((size_t)count, sizeof *sums);
    assert_non_null(sums);
    for (size_t i = 0; p->letters[i] != '\0'; i++) {
        total *= size_of(p->letters[i]);
    }
    for (int64_t i = 0; i < total; i++) {
        int64_t position[128] = {0}, rest = i;
        for (size_t letter = strlen(p->letters); letter-- > 0;) {
            position[(unsigned char)p->letters[letter]] = rest % size_of(p->letters[letter]);
            rest /= size_of(p->letters[letter]);
        }
        double term = 1.0;
        for (size_t input = 0; input < p->input_count; input++) {
            term *= p->inputs[input][term_offset(p->terms[input], position)];
        }
        sums[term_offset(p->terms[p->input_count], position)] += term;
    }
    p->expected = hd_alloc_aligned((size_t)count * sizeof(float));
    assert_non_null(p->expected);
    for (int64_t i = 0; i < count; i++) {
        p->expected[i] = (float)sums[i];
    }
    hd_free(sums);
}

/* equation: with an arrow and without "...". */
static void check(const char *equation)
{
    problem p = {.equation = equation};
    size_t length = 0;
    const char *arrow = strstr(equation, "->");
    for (const char *c = arrow + 2; *c != '\0'; c++) {
        p.letters[length++] = *c;
    }
    strcpy(p.terms[3], arrow + 2);
    size_t at = 0;
    for (const char *c = equation; c <= arrow; c++) {
        if (*c == ',' || c == arrow) {
            p.input_count++;
            at = 0;
        } else {
            p.terms[p.input_count][at++] = *c;
            if (strchr(p.letters, *c) == NULL) {
                p.letters[length++] = *c;
            }
        }
    }
    if (p.input_count < 3) {
        strcpy(p.terms[p.input_count], arrow + 2);
    }
    hd_attribute attributes[] = {operation_string("equation", equation)};
    operation_case test = {.type = "Einsum",
                           .attributes = attributes,
                           .attribute_count = 1,
                           .input_count = p.input_count};
    int64_t dims[8];
    for (size_t i = 0; i < p.input_count; i++) {
        int64_t count = term_shape(p.terms[i], dims);
        p.inputs[i] = hd_alloc_aligned((size_t)count * sizeof(float));
        assert_non_null(p.inputs[i]);
        operation_fill_floats(p.inputs[i], count, (uint32_t)i + 1);
        test.inputs[i] =
            operation_tensor(HD_FLOAT32, p.inputs[i], (uint32_t)strlen(p.terms[i]), dims);
    }
    evaluate(&p);
    term_shape(arrow + 2, dims);
    hd_tensor expected =
        operation_tensor(HD_FLOAT32, p.expected, (uint32_t)strlen(arrow + 2), dims);
    operation_result result;
    if (operation_run(&test, &result) != HD_OK) {
        fail_msg("%s: %s", equation, result.error.message);
    }
    operation_check_close(&result.outputs[0], &expected, 1e-4, 1e-5);
    operation_result_clear(&result);
    operation_check_partitions(&test);
    for (size_t i = 0; i < p.input_count; i++) {
        hd_free(p.inputs[i]);
    }
    hd_free(p.expected);
}

static void equations_mean_what_they_say(void **state)
{
    (void)state;
    static const char *const equations[] = {
        "ab,bc->ac",    "abc,acd->abd", "bhQD,bhKD->bhQK", "bQhD,bKhD->bhQK", "bhQK,bKhD->bQhD",
        "Qa,a->Q",      "a,b->ab",      "a,a->",           "abcd,cd->ab",     "cd,abcd->ab",
        "ab,abc->c",    "ab->ba",       "aa->a",           "aab->b",          "abc->",
        "ab,bc,cd->ad", "ab,cb->ca",    "DK,K->D",         "abD,aQb->QD",     "gab,gbc->gac",
        "ab,ab->ab",    "abc,bd->acd",  "ag,gb->ab",       "abc,abd->cd",
    };
    for (size_t i = 0; i < sizeof equations / sizeof equations[0]; i++) {
        check(equations[i]);
    }
}

static void run_equation(const char *equation, const hd_tensor *a, const hd_tensor *b,
                         const hd_tensor *expected)
{
    hd_attribute attributes[] = {operation_string("equation", equation)};
    operation_case test = {.type = "Einsum",
                           .attributes = attributes,
                           .attribute_count = 1,
                           .input_count = b != NULL ? 2 : 1,
                           .inputs = {*a}};
    if (b != NULL) {
        test.inputs[1] = *b;
    }
    operation_result result;
    if (operation_run(&test, &result) != HD_OK) {
        fail_msg("%s: %s", equation, result.error.message);
    }
    operation_check_output(&result.outputs[0], expected);
    operation_result_clear(&result);
}

static void ellipses_broadcast_and_outputs_may_be_implicit(void **state)
{
    (void)state;
    float a[] = {1, 2, 3, 4}, b[] = {5, 6, 7, 8}, y[] = {19, 22, 43, 50}, t[] = {1, 3, 2, 4};
    hd_tensor a2 = OPERATION_TENSOR(HD_FLOAT32, a, 2, 2),
              b2 = OPERATION_TENSOR(HD_FLOAT32, b, 2, 2);
    hd_tensor y2 = OPERATION_TENSOR(HD_FLOAT32, y, 2, 2),
              t2 = OPERATION_TENSOR(HD_FLOAT32, t, 2, 2);
    run_equation("ij,jk", &a2, &b2, &y2);
    run_equation(" i j , j k -> i k ", &a2, &b2, &y2);
    run_equation("ba", &a2, NULL, &t2);
    run_equation("...ij,...jk", &a2, &b2, &y2);
    run_equation("...ij->...ji", &a2, NULL, &t2);
    float sums[] = {3, 7}, outer[] = {1 * 5 + 2 * 6, 3 * 7 + 4 * 8};
    hd_tensor s1 = OPERATION_TENSOR(HD_FLOAT32, sums, 2),
              o1 = OPERATION_TENSOR(HD_FLOAT32, outer, 2);
    run_equation("...j->...", &a2, NULL, &s1);
    run_equation("...j,...j->...", &a2, &b2, &o1);
    float row[] = {5, 6}, column[] = {5, 12, 15, 24};
    hd_tensor r = OPERATION_TENSOR(HD_FLOAT32, row, 1, 2);
    hd_tensor c = OPERATION_TENSOR(HD_FLOAT32, column, 2, 2);
    run_equation("...,...", &a2, &r, &c);
    int64_t whole[] = {1, 2, 3, 4}, trace[] = {5};
    hd_tensor w = OPERATION_TENSOR(HD_INT64, whole, 2, 2);
    hd_tensor tr = operation_tensor(HD_INT64, trace, 0, NULL);
    run_equation("ii", &w, NULL, &tr);
}

static void broken_equations_are_refused(void **state)
{
    (void)state;
    static const char *const equations[] = {
        "",       "ij",     "ij,jk,kl",    "i1,jk",      "ij,jk->iz", "ij,jk->ii",
        "ijk,jk", "ij,jk-", "ij,jk->i->k", "...i...,jk", "ij,ij->,",  "...ijk,jk"};
    float a[6] = {0};
    for (size_t i = 0; i < sizeof equations / sizeof equations[0]; i++) {
        hd_attribute attributes[] = {operation_string("equation", equations[i])};
        operation_case test = {.type = "Einsum",
                               .attributes = attributes,
                               .attribute_count = 1,
                               .input_count = 2,
                               .inputs = {OPERATION_TENSOR(HD_FLOAT32, a, 2, 3),
                                          OPERATION_TENSOR(HD_FLOAT32, a, 3, 2)}};
        operation_result result;
        hd_status status = operation_run(&test, &result);
        if (status != HD_BAD_MODEL && status != HD_INVALID_ARGUMENT) {
            fail_msg("'%s' was taken", equations[i]);
        }
        operation_result_clear(&result);
    }
}

static void determinants_of_a_batch(void **state)
{
    (void)state;
    float a[] = {0, 2, 1, 3, 1, 2, 2, 4, 2, 0, 0, 5}, y[] = {-2, 0, 10};
    operation_case test = {
        .type = "Det", .input_count = 1, .inputs = {OPERATION_TENSOR(HD_FLOAT32, a, 3, 2, 2)}};
    operation_result result;
    assert_int_equal(operation_run(&test, &result), HD_OK);
    hd_tensor expected = OPERATION_TENSOR(HD_FLOAT32, y, 3);
    operation_check_close(&result.outputs[0], &expected, 1e-6, 1e-6);
    operation_result_clear(&result);
    operation_check_partitions(&test);
    test.inputs[0] = OPERATION_TENSOR(HD_FLOAT32, a, 3, 4);
    assert_int_equal(operation_run(&test, &result), HD_INVALID_ARGUMENT);
    operation_result_clear(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equations_mean_what_they_say),
        cmocka_unit_test(ellipses_broadcast_and_outputs_may_be_implicit),
        cmocka_unit_test(broken_equations_are_refused),
        cmocka_unit_test(determinants_of_a_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

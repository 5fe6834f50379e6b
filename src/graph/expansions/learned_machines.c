/* Support vector machines of domain ai.onnx.ml. Kernels of rows and support vectors are a product of matrices and what is
 * done with it; a classifier's sums of pairs are another. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "graph/expansions/expansions.h"
#include "graph/expansions/learned.h"
#include "operation/votes.h"

static hd_value matrix(hd_expansion *e, const float *values, int64_t rows, int64_t columns)
{
    const hd_shape shape = {.rank = 2, .dims = {rows, columns}};
    return hd_expand_constant(e, HD_FLOAT32, &shape, values);
}

static hd_value add(hd_expansion *e, hd_value a, float b)
{
    return hd_expand_2(e, HD_OP_ADD, a, hd_expand_number(e, b));
}

/* x · mᵀ */
static hd_value product(hd_expansion *e, hd_value x, hd_value m)
{
    return hd_expand_2_with(e, HD_OP_GEMM, x, m, hd_expand_int("transB", 1));
}

static hd_value sum_of_squares(hd_expansion *e, hd_value x)
{
    const int64_t last = -1;
    return hd_expand_2(e, HD_OP_REDUCE_SUM_SQUARE, x, hd_expand_list(e, &last, 1));
}

/* exp(-gamma · |x - v|²) of rows x and vectors v, whose product is `dots`. */
static hd_value radial(hd_expansion *e, hd_value x, hd_value dots, const float *vectors,
                       int64_t count, int64_t features, float gamma)
{
    float *squares = hd_alloc_zero((size_t)count, sizeof *squares);
    if (squares == NULL) {
        hd_expand_fail(e, HD_OUT_OF_MEMORY, "no memory for its vectors");
        return HD_VALUE_NONE;
    }
    for (int64_t v = 0; v < count; v++) {
        double square = 0;
        for (int64_t f = 0; f < features; f++) {
            const double number = (double)vectors[v * features + f];
            square += number * number;
        }
        squares[v] = (float)square;
    }
    const hd_value both =
        hd_expand_2(e, HD_OP_ADD, sum_of_squares(e, x), matrix(e, squares, 1, count));
    hd_free(squares);
    const hd_value distance = hd_expand_2(e, HD_OP_SUB, both, hd_expand_scale(e, dots, 2));
    const hd_value least = hd_expand_2(e, HD_OP_MAX, distance, hd_expand_number(e, 0));
    return hd_expand_1(e, HD_OP_EXP, hd_expand_scale(e, least, -gamma));
}

/* The kernel of each row with each vector, [N, count]. */
static hd_value kernels(hd_expansion *e, const float *vectors, int64_t count, int64_t features)
{
    const char *type = hd_operation_string(&e->operation, "kernel_type", "LINEAR");
    size_t number;
    const float *given = hd_learned_floats(e, "kernel_params", &number);
    const float gamma = number > 0 ? given[0] : 0, shift = number > 1 ? given[1] : 0,
                degree = number > 2 ? given[2] : 0;
    const hd_value rows = hd_expand_reshape(e, hd_expand_cast(e, e->inputs[0], HD_FLOAT32),
                                            (const int64_t[]){-1, features}, 2);
    const hd_value dots = product(e, rows, matrix(e, vectors, count, features));
    if (!isfinite(gamma) || !isfinite(shift) || !isfinite(degree)) {
        hd_expand_fail(e, HD_BAD_MODEL, "its kernel's parameters are no numbers");
    }
    if (strcmp(type, "LINEAR") == 0) {
        return dots;
    }
    if (strcmp(type, "RBF") == 0) {
        return radial(e, rows, dots, vectors, count, features, gamma);
    }
    const hd_value line = add(e, hd_expand_scale(e, dots, gamma), shift);
    if (strcmp(type, "POLY") == 0) {
        return hd_expand_2(e, HD_OP_POW, line, hd_expand_number(e, degree));
    }
    if (strcmp(type, "SIGMOID") == 0) {
        return hd_expand_1(e, HD_OP_TANH, line);
    }
    hd_expand_fail(e, HD_BAD_MODEL, "kernel_type '%.40s' is unknown", type);
    return HD_VALUE_NONE;
}

static bool has_transform(hd_expansion *e)
{
    if (hd_learned_transform(e) == HD_SCORES_NONE) {
        return false;
    }
    hd_expand_fail(e, HD_UNSUPPORTED, "post_transform of a support vector machine");
    return true;
}

void hd_expand_svm_regressor(hd_expansion *e)
{
    size_t coefficient_count, vector_numbers, rho_count;
    const float *coefficients = hd_learned_floats(e, "coefficients", &coefficient_count);
    const float *vectors = hd_learned_floats(e, "support_vectors", &vector_numbers);
    const float *rho = hd_learned_floats(e, "rho", &rho_count);
    const int64_t count = hd_operation_int(&e->operation, "n_supports", 0);
    const bool is_linear = count == 0;
    const int64_t features = is_linear   ? (int64_t)coefficient_count
                             : count > 0 ? (int64_t)vector_numbers / count
                                         : 0;
    if (count < 0 || features < 1 || rho_count < 1 || has_transform(e) ||
        (!is_linear &&
         ((int64_t)coefficient_count != count || features * count != (int64_t)vector_numbers))) {
        hd_expand_fail(e, HD_BAD_MODEL, "%zu coefficients, %zu numbers of %lld vectors",
                       coefficient_count, vector_numbers, (long long)count);
        return;
    }
    hd_value sums;
    if (is_linear) {
        const hd_value rows = hd_expand_reshape(e, hd_expand_cast(e, e->inputs[0], HD_FLOAT32),
                                                (const int64_t[]){-1, features}, 2);
        sums = product(e, rows, matrix(e, coefficients, 1, features));
    } else {
        sums = product(e, kernels(e, vectors, count, features), matrix(e, coefficients, 1, count));
    }
    sums = add(e, sums, rho[0]);
    if (hd_operation_int(&e->operation, "one_class", 0) != 0) { /* inside or outside */
        const hd_value inside = hd_expand_2(e, HD_OP_GREATER, sums, hd_expand_number(e, 0));
        sums = hd_expand_3(e, HD_OP_WHERE, inside, hd_expand_number(e, 1), hd_expand_number(e, -1));
    }
    hd_expand_give(e, 0, sums);
}

/* A classifier's tables. */
typedef struct machine {
    int64_t classes, vectors, features, pairs;
    const int64_t *per_class;
    const float *coefficients, *rho, *a, *b; /* a, b: NULL where there are no probabilities */
    const float *numbers;                    /* of the vectors */
} machine;

static bool read_machine(hd_expansion *e, int64_t classes, machine *m)
{
    size_t per_class, coefficients, rho, a, b, numbers;
    *m = (machine){.classes = classes, .pairs = hd_votes_pairs(classes)};
    m->per_class = hd_operation_ints(&e->operation, "vectors_per_class", &per_class);
    m->coefficients = hd_learned_floats(e, "coefficients", &coefficients);
    m->rho = hd_learned_floats(e, "rho", &rho);
    m->a = hd_learned_floats(e, "prob_a", &a);
    m->b = hd_learned_floats(e, "prob_b", &b);
    m->numbers = hd_learned_floats(e, "support_vectors", &numbers);
    if (per_class == 0) {
        hd_expand_fail(e, HD_UNSUPPORTED, "a classifier without support vectors");
        return false;
    }
    bool fits = (int64_t)per_class == classes && classes >= 2 && classes <= HD_VOTES_CLASS_LIMIT;
    for (size_t i = 0; fits && i < per_class; i++) {
        fits = m->per_class[i] >= 0 && m->per_class[i] <= HD_LEARNED_COLUMN_LIMIT;
        m->vectors += fits ? m->per_class[i] : 0;
    }
    m->features = fits && m->vectors > 0 ? (int64_t)numbers / m->vectors : 0;
    fits = fits && m->features > 0 && m->features * m->vectors == (int64_t)numbers &&
           (int64_t)coefficients == (classes - 1) * m->vectors && (int64_t)rho == m->pairs &&
           a == b && (a == 0 || (int64_t)a == m->pairs);
    m->a = a == 0 ? NULL : m->a;
    if (!fits) {
        hd_expand_fail(e, HD_BAD_MODEL,
                       "%zu coefficients, %zu rho and %zu numbers of vectors for %lld classes",
                       coefficients, rho, numbers, (long long)classes);
    }
    return fits;
}

/* The sums of pairs [N, pairs]: those of a pair (i, j) are of the vectors of i with row j - 1 of the coefficients, and of
 * those of j with row i (C.-C. Chang, C.-J. Lin, "LIBSVM", section 4 on its tables of coefficients). */
static hd_value sum_pairs(hd_expansion *e, const machine *m, hd_value kernel)
{
    float *table = hd_alloc_zero((size_t)(m->pairs * m->vectors), sizeof *table);
    int64_t *begins = hd_alloc_zero((size_t)m->classes + 1, sizeof *begins);
    hd_value made = HD_VALUE_NONE;
    if (table == NULL || begins == NULL) {
        hd_expand_fail(e, HD_OUT_OF_MEMORY, "no memory for its coefficients");
    } else {
        int64_t pair = 0;
        for (int64_t i = 0; i < m->classes; i++) {
            begins[i + 1] = begins[i] + m->per_class[i];
        }
        for (int64_t i = 0; i < m->classes; i++) {
            for (int64_t j = i + 1; j < m->classes; j++, pair++) {
                float *row = table + pair * m->vectors;
                memcpy(row + begins[i], m->coefficients + (j - 1) * m->vectors + begins[i],
                       (size_t)m->per_class[i] * sizeof *row);
                memcpy(row + begins[j], m->coefficients + i * m->vectors + begins[j],
                       (size_t)m->per_class[j] * sizeof *row);
            }
        }
        made = hd_expand_2(e, HD_OP_ADD, product(e, kernel, matrix(e, table, m->pairs, m->vectors)),
                           matrix(e, m->rho, 1, m->pairs));
    }
    hd_free(table);
    hd_free(begins);
    return made;
}

static hd_value make_votes(hd_expansion *e, const machine *m)
{
    const size_t size = sizeof(hd_votes) + (size_t)(2 * m->pairs) * sizeof(float);
    hd_votes *rule = hd_alloc_zero(1, size);
    if (rule == NULL) {
        hd_expand_fail(e, HD_OUT_OF_MEMORY, "no memory for its probabilities");
        return HD_VALUE_NONE;
    }
    rule->class_count = m->classes;
    rule->has_probabilities = m->a != NULL;
    if (m->a != NULL) {
        memcpy(rule->numbers, m->a, (size_t)m->pairs * sizeof(float));
        memcpy(rule->numbers + m->pairs, m->b, (size_t)m->pairs * sizeof(float));
    }
    const hd_shape shape = {.rank = 1, .dims = {(int64_t)size}};
    const hd_value made = hd_expand_constant(e, HD_UINT8, &shape, rule);
    hd_free(rule);
    return made;
}

void hd_expand_svm_classifier(hd_expansion *e)
{
    const hd_learned_labels labels =
        hd_learned_labels_of(e, "classlabels_ints", "classlabels_strings");
    machine m;
    if (e->status != HD_OK || has_transform(e) || !read_machine(e, labels.count, &m)) {
        return;
    }
    const hd_value sums = sum_pairs(e, &m, kernels(e, m.numbers, m.vectors, m.features));
    const hd_value inputs[2] = {sums, make_votes(e, &m)};
    hd_value made[2];
    hd_expand_node(e, HD_OP_HEDDLE_VOTES, inputs, 2, NULL, 0, made, 2);
    const hd_shape shape = {.rank = 1, .dims = {labels.count}};
    if (hd_expand_wants(e, 0)) {
        const hd_value names = labels.texts != NULL
                                   ? hd_expand_constant(e, HD_STRING, &shape, labels.texts->data)
                                   : hd_expand_constant(e, HD_INT64, &shape, labels.integers);
        made[0] = hd_expand_2(e, HD_OP_GATHER, names, made[0]);
    }
    hd_expand_give(e, 0, made[0]);
    hd_expand_give(e, 1, made[1]);
}

/* Operators of domain ai.onnx.ml that are arithmetic on the features of rows (onnx.ai, "ai.onnx.ml"). */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "graph/expansions/expansions.h"
#include "graph/expansions/learned.h"

static hd_value floats_constant(hd_expansion *e, const float *values, size_t count)
{
    const hd_shape shape = {.rank = 1, .dims = {(int64_t)count}};
    return hd_expand_constant(e, HD_FLOAT32, &shape, values);
}

static hd_value as_float(hd_expansion *e, hd_value value)
{
    return hd_expand_cast(e, value, HD_FLOAT32);
}

/* y = (x - offset) * scale, one of each for all features or one a feature. */
void hd_expand_scaler(hd_expansion *e)
{
    size_t offset_count, scale_count;
    const float *offset = hd_learned_floats(e, "offset", &offset_count);
    const float *scale = hd_learned_floats(e, "scale", &scale_count);
    for (size_t i = 0; i < scale_count; i++) {
        if (!isfinite(scale[i]) || scale[i] == 0) {
            hd_expand_fail(e, HD_BAD_MODEL, "scale %zu is %g", i, (double)scale[i]);
        }
    }
    if (offset_count != scale_count && offset_count > 1 && scale_count > 1) {
        hd_expand_fail(e, HD_BAD_MODEL, "%zu offsets, but %zu scales", offset_count, scale_count);
    }
    hd_value x = as_float(e, e->inputs[0]);
    if (offset_count > 0) {
        x = hd_expand_2(e, HD_OP_SUB, x, floats_constant(e, offset, offset_count));
    }
    if (scale_count > 0) {
        x = hd_expand_2(e, HD_OP_MUL, x, floats_constant(e, scale, scale_count));
    }
    hd_expand_give(e, 0, x);
}

/* Each row by its largest element, or its norm; rows of which that is 0 stay. */
void hd_expand_normalizer(hd_expansion *e)
{
    const char *norm = hd_operation_string(&e->operation, "norm", "MAX");
    const hd_operator_id id = strcmp(norm, "MAX") == 0  ? HD_OP_REDUCE_MAX
                              : strcmp(norm, "L1") == 0 ? HD_OP_REDUCE_L1
                              : strcmp(norm, "L2") == 0 ? HD_OP_REDUCE_L2
                                                        : HD_OP_NONE;
    if (id == HD_OP_NONE) {
        hd_expand_fail(e, HD_BAD_MODEL, "norm '%.40s' is unknown", norm);
        return;
    }
    const int64_t last = -1;
    const hd_value x = as_float(e, e->inputs[0]);
    const hd_value axis = hd_expand_list(e, &last, 1);
    const hd_value norms = hd_expand_2(e, id, x, axis);
    const hd_value is_zero = hd_expand_2(e, HD_OP_EQUAL, norms, hd_expand_number(e, 0));
    const hd_value divisor = hd_expand_3(e, HD_OP_WHERE, is_zero, hd_expand_number(e, 1), norms);
    hd_expand_give(e, 0, hd_expand_2(e, HD_OP_DIV, x, divisor));
}

/* y = x > threshold, in the type of x. */
void hd_expand_binarizer(hd_expansion *e)
{
    const float threshold = hd_operation_float(&e->operation, "threshold", 0);
    const hd_value above =
        hd_expand_2(e, HD_OP_GREATER, as_float(e, e->inputs[0]), hd_expand_number(e, threshold));
    hd_expand_give(e, 0, hd_expand_2(e, HD_OP_CAST_LIKE, above, e->inputs[0]));
}

/* y = x where it is not the replaced value, which may be NaN. */
void hd_expand_imputer(hd_expansion *e)
{
    size_t float_count, integer_count;
    const float *floats = hd_learned_floats(e, "imputed_value_floats", &float_count);
    const int64_t *integers =
        hd_operation_ints(&e->operation, "imputed_value_int64s", &integer_count);
    const hd_value x = e->inputs[0];
    const float replaced = hd_operation_float(&e->operation, "replaced_value_float", 0);
    if ((float_count == 0) == (integer_count == 0)) {
        hd_expand_fail(e, HD_BAD_MODEL, "it has %zu numbers and %zu integers to put in",
                       float_count, integer_count);
        return;
    }
    hd_value imputed, old;
    if (float_count > 0) {
        imputed = floats_constant(e, floats, float_count);
        old = hd_expand_number(e, replaced);
    } else {
        const int64_t value = hd_operation_int(&e->operation, "replaced_value_int64", 0);
        imputed = hd_expand_list(e, integers, integer_count);
        old = hd_expand_list(e, &value, 1);
    }
    const hd_value is_old =
        float_count > 0 && isnan(replaced)
            ? hd_expand_1(e, HD_OP_IS_NAN, x)
            : hd_expand_2(e, HD_OP_EQUAL, x, hd_expand_2(e, HD_OP_CAST_LIKE, old, x));
    hd_expand_give(
        e, 0, hd_expand_3(e, HD_OP_WHERE, is_old, hd_expand_2(e, HD_OP_CAST_LIKE, imputed, x), x));
}

/* Features of several inputs side by side. */
void hd_expand_feature_vectorizer(hd_expansion *e)
{
    size_t count;
    const int64_t *sizes = hd_operation_ints(&e->operation, "inputdimensions", &count);
    hd_value parts[HD_EXPANSION_INPUT_LIMIT], made;
    size_t used = 0;
    while (used < HD_EXPANSION_INPUT_LIMIT && e->inputs[used] != HD_VALUE_NONE) {
        used++;
    }
    if (count != used) {
        hd_expand_fail(e, HD_BAD_MODEL, "%zu inputs, but %zu sizes of them", used, count);
    }
    for (size_t i = 0; i < used && e->status == HD_OK; i++) {
        if (sizes[i] < 1) {
            hd_expand_fail(e, HD_BAD_MODEL, "input %zu has %lld features", i, (long long)sizes[i]);
        }
        parts[i] =
            hd_expand_reshape(e, as_float(e, e->inputs[i]), (const int64_t[]){-1, sizes[i]}, 2);
    }
    const hd_attribute axis = hd_expand_int("axis", 1);
    hd_expand_node(e, HD_OP_CONCAT, parts, used, &axis, 1, &made, 1);
    hd_expand_give(e, 0, made);
}

/* Columns by their numbers: of [N, C] and of [C], which counts as one row. */
void hd_expand_array_feature_extractor(hd_expansion *e)
{
    const int64_t all = -1;
    const hd_value indices = hd_expand_reshape(e, e->inputs[1], &all, 1);
    const hd_value found =
        hd_expand_2_with(e, HD_OP_GATHER, e->inputs[0], indices, hd_expand_int("axis", -1));
    const hd_value dims[2] = {hd_expand_list(e, &all, 1), hd_expand_dim(e, indices, 0)};
    const hd_attribute axis = hd_expand_int("axis", 0);
    hd_value shape;
    hd_expand_node(e, HD_OP_CONCAT, dims, 2, &axis, 1, &shape, 1);
    hd_expand_give(e, 0, hd_expand_2(e, HD_OP_RESHAPE, found, shape));
}

/* A list of maps from labels to scores: the scores' columns, in the order of the labels. */
void hd_expand_zip_map(hd_expansion *e)
{
    (void)hd_learned_labels_of(e, "classlabels_int64s", "classlabels_strings");
    hd_expand_give(e, 0, e->inputs[0]);
}

/* x · coefficientsᵀ + intercepts, with coefficients [count, features]. */
static hd_value linear(hd_expansion *e, int64_t count)
{
    size_t coefficient_count, intercept_count;
    const float *coefficients = hd_learned_floats(e, "coefficients", &coefficient_count);
    const float *intercepts = hd_learned_floats(e, "intercepts", &intercept_count);
    const int64_t features = count < 1 ? 0 : (int64_t)coefficient_count / count;
    if (count < 1 || count > HD_LEARNED_COLUMN_LIMIT || features < 1 ||
        features * count != (int64_t)coefficient_count ||
        (intercept_count != 0 && (int64_t)intercept_count != count)) {
        hd_expand_fail(e, HD_BAD_MODEL, "%zu coefficients and %zu intercepts for %lld sums",
                       coefficient_count, intercept_count, (long long)count);
        return HD_VALUE_NONE;
    }
    float *none = hd_alloc_zero((size_t)count, sizeof *none);
    if (none == NULL) {
        hd_expand_fail(e, HD_OUT_OF_MEMORY, "no memory for its intercepts");
        return HD_VALUE_NONE;
    }
    const hd_shape shape = {.rank = 2, .dims = {count, features}};
    const hd_value inputs[3] = {
        hd_expand_reshape(e, as_float(e, e->inputs[0]), (const int64_t[]){-1, features}, 2),
        hd_expand_constant(e, HD_FLOAT32, &shape, coefficients),
        floats_constant(e, intercept_count > 0 ? intercepts : none, (size_t)count)};
    hd_free(none);
    const hd_attribute turned = hd_expand_int("transB", 1);
    hd_value made;
    hd_expand_node(e, HD_OP_GEMM, inputs, 3, &turned, 1, &made, 1);
    return made;
}

void hd_expand_linear_regressor(hd_expansion *e)
{
    const int64_t targets = hd_operation_int(&e->operation, "targets", 1);
    const hd_scores_transform transform = hd_learned_transform(e);
    const hd_value sums = linear(e, targets);
    if (e->status == HD_OK) {
        hd_expand_give(e, 0, hd_learned_transformed(e, sums, transform, targets));
    }
}

void hd_expand_linear_classifier(hd_expansion *e)
{
    size_t intercept_count;
    (void)hd_learned_floats(e, "intercepts", &intercept_count);
    const hd_learned_labels labels =
        hd_learned_labels_of(e, "classlabels_ints", "classlabels_strings");
    const int64_t sums = intercept_count > 0 ? (int64_t)intercept_count : labels.count;
    hd_learned_scores scores = {
        .transform = hd_learned_transform(e), .column_count = sums, .choice = HD_SCORES_LARGEST};
    if (sums == 1 && labels.count == 2) { /* the sum is the second label's */
        scores.choice = HD_SCORES_THRESHOLD;
        scores.form = HD_SCORES_COMPLEMENT;
    } else if (sums != labels.count) {
        hd_expand_fail(e, HD_BAD_MODEL, "%lld labels for %lld sums", (long long)labels.count,
                       (long long)sums);
    }
    const hd_value made = e->status == HD_OK ? linear(e, sums) : HD_VALUE_NONE;
    if (e->status == HD_OK) {
        hd_learned_give(e, made, &scores, &labels);
    }
}

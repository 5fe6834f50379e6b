#include "graph/expansions/learned.h"

#include <string.h>

#include "base/memory.h"

const float *hd_learned_floats(const hd_expansion *e, const char *name, size_t *out_count)
{
    const hd_attribute *attribute = hd_operation_attribute(&e->operation, name);
    *out_count = attribute == NULL ? 0 : attribute->count;
    return attribute == NULL ? NULL : attribute->floats;
}

hd_learned_numbers hd_learned_numbers_of(hd_expansion *e, const char *plain, const char *tensor)
{
    hd_learned_numbers found = {0};
    const hd_attribute *attribute =
        tensor == NULL ? NULL : hd_operation_attribute(&e->operation, tensor);
    if (attribute == NULL) {
        found.floats = hd_learned_floats(e, plain, &found.count);
        return found;
    }
    const hd_tensor *values = attribute->tensor;
    hd_shape shape = {.rank = values->rank};
    memcpy(shape.dims, values->dims, sizeof shape.dims);
    found.count = (size_t)hd_shape_count(&shape);
    if (values->dtype == HD_FLOAT32) {
        found.floats = values->data;
    } else if (values->dtype == HD_FLOAT64) {
        found.doubles = values->data;
    } else {
        hd_expand_fail(e, HD_UNSUPPORTED, "%s is %s", tensor, hd_dtype_name(values->dtype));
        found.count = 0;
    }
    return found;
}

hd_scores_transform hd_learned_transform(hd_expansion *e)
{
    static const char *const names[] = {[HD_SCORES_NONE] = "NONE",
                                        [HD_SCORES_SOFTMAX] = "SOFTMAX",
                                        [HD_SCORES_LOGISTIC] = "LOGISTIC",
                                        [HD_SCORES_SOFTMAX_ZERO] = "SOFTMAX_ZERO",
                                        [HD_SCORES_PROBIT] = "PROBIT"};
    const char *name = hd_operation_string(&e->operation, "post_transform", "NONE");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            return (hd_scores_transform)i;
        }
    }
    hd_expand_fail(e, HD_BAD_MODEL, "post_transform '%.40s' is unknown", name);
    return HD_SCORES_NONE;
}

hd_learned_labels hd_learned_labels_of(hd_expansion *e, const char *integers, const char *texts)
{
    hd_learned_labels labels = {0};
    size_t count;
    labels.integers = hd_operation_ints(&e->operation, integers, &count);
    labels.count = (int64_t)count;
    const hd_attribute *text = hd_operation_attribute(&e->operation, texts);
    if (text != NULL && text->tensor->dtype == HD_STRING && text->tensor->rank == 1 &&
        text->tensor->dims[0] > 0) {
        labels = (hd_learned_labels){.texts = text->tensor, .count = text->tensor->dims[0]};
    }
    if (labels.count < 1 || labels.count > HD_LEARNED_COLUMN_LIMIT) {
        hd_expand_fail(e, HD_BAD_MODEL, "it has %lld labels", (long long)labels.count);
    }
    return labels;
}

/* The block of operation/scores.h. Texts are chosen by their number. */
static hd_value make_rule(hd_expansion *e, const hd_learned_scores *scores,
                          const hd_learned_labels *labels)
{
    const size_t numbers = (size_t)labels->count + (size_t)scores->column_count;
    const size_t size = sizeof(hd_scores) + numbers * sizeof(int64_t);
    hd_scores *rule = e->status == HD_OK ? hd_alloc_zero(1, size) : NULL;
    if (rule == NULL) {
        hd_expand_fail(e, HD_OUT_OF_MEMORY, "no memory for its labels");
        return HD_VALUE_NONE;
    }
    *rule = (hd_scores){.column_count = scores->column_count,
                        .transform = scores->transform,
                        .form = scores->form,
                        .choice = scores->choice,
                        .column = scores->column,
                        .threshold = scores->threshold,
                        .label_count = labels->count};
    for (int64_t i = 0; i < labels->count; i++) {
        rule->labels[i] = labels->texts != NULL ? i : labels->integers[i];
    }
    for (int64_t i = 0; i < scores->column_count; i++) {
        rule->labels[labels->count + i] = scores->counts == NULL || scores->counts[i];
    }
    hd_shape shape = {.rank = 1, .dims = {(int64_t)size}};
    hd_value made = hd_expand_constant(e, HD_UINT8, &shape, rule);
    hd_free(rule);
    return made;
}

void hd_learned_give(hd_expansion *e, hd_value sums, const hd_learned_scores *scores,
                     const hd_learned_labels *labels)
{
    if (scores->form != HD_SCORES_AS_THEY_ARE && scores->transform == HD_SCORES_PROBIT) {
        hd_expand_fail(e, HD_UNSUPPORTED, "post_transform PROBIT of one score for two classes");
    }
    const hd_value inputs[2] = {sums, make_rule(e, scores, labels)};
    hd_value made[2];
    hd_expand_node(e, HD_OP_HEDDLE_SCORES, inputs, 2, NULL, 0, made, 2);
    if (labels->texts != NULL && hd_expand_wants(e, 0)) {
        const hd_shape shape = {.rank = 1, .dims = {labels->count}};
        const hd_value texts = hd_expand_constant(e, HD_STRING, &shape, labels->texts->data);
        made[0] = hd_expand_2(e, HD_OP_GATHER, texts, made[0]);
    }
    hd_expand_give(e, 0, made[0]);
    hd_expand_give(e, 1, made[1]);
}

hd_value hd_learned_transformed(hd_expansion *e, hd_value sums, hd_scores_transform transform,
                                int64_t targets)
{
    if (transform == HD_SCORES_NONE || (targets == 1 && transform != HD_SCORES_PROBIT)) {
        return sums;
    }
    const int64_t zero = 0;
    hd_learned_labels labels = {.integers = &zero, .count = 1};
    hd_learned_scores scores = {
        .transform = transform, .choice = HD_SCORES_LARGEST, .column_count = targets};
    int64_t *same = hd_alloc_zero((size_t)targets, sizeof *same);
    if (same == NULL) {
        hd_expand_fail(e, HD_OUT_OF_MEMORY, "no memory for its labels");
        return HD_VALUE_NONE;
    }
    labels.integers = same;
    labels.count = targets;
    const hd_value inputs[2] = {sums, make_rule(e, &scores, &labels)};
    hd_free(same);
    hd_value made[2];
    hd_expand_node(e, HD_OP_HEDDLE_SCORES, inputs, 2, NULL, 0, made, 2);
    return made[1];
}

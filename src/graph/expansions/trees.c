/* TreeEnsembleClassifier and TreeEnsembleRegressor of domain ai.onnx.ml (onnx.ai, "ai.onnx.ml"). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "graph/expansions/expansions.h"
#include "graph/expansions/forest_build.h"
#include "graph/expansions/learned.h"

#define MODE_NAMES_MAX 16

/* A node by its tree and its number there; sorted, so that a child is found by halving. */
typedef struct node_key {
    int64_t tree;
    int64_t node;
    uint32_t index;
} node_key;

typedef struct tables {
    hd_expansion *e;
    hd_region region;
    const char *kind; /* "class" or "target": how attributes of weights begin */
    hd_forest_draft draft;
    node_key *keys;
    size_t node_count;
    hd_learned_numbers values;
} tables;

static bool fail_memory(tables *self)
{
    hd_expand_fail(self->e, HD_OUT_OF_MEMORY, "no memory for its trees");
    return false;
}

static int compare_keys(const void *a, const void *b)
{
    const node_key *x = a, *y = b;
    return x->tree != y->tree   ? (x->tree < y->tree ? -1 : 1)
           : x->node != y->node ? (x->node < y->node ? -1 : 1)
                                : 0;
}

static uint32_t find_node(const tables *self, int64_t tree, int64_t node)
{
    const node_key wanted = {.tree = tree, .node = node};
    const node_key *found =
        bsearch(&wanted, self->keys, self->node_count, sizeof *self->keys, compare_keys);
    return found == NULL ? HD_FOREST_NONE : found->index;
}

/* A list of integers that has `count` of them; fails where it has not. */
static const int64_t *integers(tables *self, const char *name, size_t count)
{
    size_t found;
    const int64_t *values = hd_operation_ints(&self->e->operation, name, &found);
    if (found != count || (count > 0 && values == NULL)) {
        hd_expand_fail(self->e, HD_BAD_MODEL, "%s has %zu numbers, but there are %zu of its table",
                       name, found, count);
        return NULL;
    }
    return values;
}

/* One mode of the text at *text, which moves behind it. */
static bool read_mode(tables *self, const char **text, hd_forest_draft_node *node)
{
    static const struct {
        const char *name;
        uint8_t mode;
        bool is_opposite;
    } modes[] = {{"BRANCH_LEQ", HD_FOREST_AT_MOST, false}, {"BRANCH_LT", HD_FOREST_BELOW, false},
                 {"BRANCH_GT", HD_FOREST_AT_MOST, true},   {"BRANCH_GTE", HD_FOREST_BELOW, true},
                 {"BRANCH_EQ", HD_FOREST_EQUAL, false},    {"BRANCH_NEQ", HD_FOREST_EQUAL, true},
                 {"LEAF", HD_FOREST_LEAF, false}};
    const size_t length = strcspn(*text, ",");
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        if (strlen(modes[i].name) == length && memcmp(*text, modes[i].name, length) == 0) {
            node->mode = modes[i].mode;
            node->is_opposite = modes[i].is_opposite;
            /* NaN is equal to nothing, so it is other than anything. */
            node->nan_is_yes = (node->mode == HD_FOREST_EQUAL && node->is_opposite) ||
                               node->mode == HD_FOREST_LEAF;
            *text += length + ((*text)[length] == ',');
            return true;
        }
    }
    hd_expand_fail(self->e, HD_UNSUPPORTED, "there is no mode '%.*s' of nodes",
                   (int)(length < 40 ? length : 40), *text);
    return false;
}

/* Modes, features, thresholds, and how NaN goes; children are found later. */
static bool read_nodes(tables *self)
{
    const hd_operation *operation = &self->e->operation;
    const size_t count = self->node_count;
    const int64_t *features = integers(self, "nodes_featureids", count);
    const int64_t *trees = integers(self, "nodes_treeids", count);
    const int64_t *numbers = integers(self, "nodes_nodeids", count);
    const char *modes = hd_operation_string(operation, "nodes_modes", "");
    size_t missing_count;
    const int64_t *missing =
        hd_operation_ints(operation, "nodes_missing_value_tracks_true", &missing_count);
    self->values = hd_learned_numbers_of(self->e, "nodes_values", "nodes_values_as_tensor");
    if (features == NULL || trees == NULL || numbers == NULL || self->e->status != HD_OK) {
        return false;
    }
    if (self->values.count != count || (missing_count != 0 && missing_count != count)) {
        hd_expand_fail(self->e, HD_BAD_MODEL,
                       "nodes_values or nodes_missing_value_tracks_true has another number than "
                       "the %zu nodes",
                       count);
        return false;
    }
    uint32_t leaves = 0;
    for (size_t i = 0; i < count; i++) {
        hd_forest_draft_node *node = &self->draft.nodes[i];
        if (!read_mode(self, &modes, node)) {
            return false;
        }
        node->threshold = hd_learned_number(&self->values, i);
        if (node->mode == HD_FOREST_LEAF) {
            node->number = leaves++;
        } else if (features[i] < 0 || features[i] > HD_LEARNED_COLUMN_LIMIT) {
            hd_expand_fail(self->e, HD_BAD_MODEL, "node %zu reads column %lld", i,
                           (long long)features[i]);
            return false;
        } else {
            node->feature = (uint32_t)features[i];
        }
        if (missing_count > 0 && missing[i] != 0 && !node->nan_is_yes) {
            node->nan_is_yes = true;
        }
        self->keys[i] = (node_key){.tree = trees[i], .node = numbers[i], .index = (uint32_t)i};
    }
    self->draft.leaf_count = leaves;
    if (*modes != '\0') {
        hd_expand_fail(self->e, HD_BAD_MODEL, "nodes_modes has more than the %zu nodes", count);
    }
    return self->e->status == HD_OK;
}

/* Finds children; then the roots, which are nobody's. */
static bool link_nodes(tables *self)
{
    const size_t count = self->node_count;
    const int64_t *yes = integers(self, "nodes_truenodeids", count);
    const int64_t *no = integers(self, "nodes_falsenodeids", count);
    const int64_t *trees = integers(self, "nodes_treeids", count);
    bool *is_child = hd_region_array(&self->region, count + 1, sizeof *is_child);
    uint32_t *roots = hd_region_array(&self->region, count + 1, sizeof *roots);
    if (is_child == NULL || roots == NULL) {
        return fail_memory(self);
    }
    if (yes == NULL || no == NULL || trees == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        hd_forest_draft_node *node = &self->draft.nodes[i];
        if (node->mode == HD_FOREST_LEAF) {
            continue;
        }
        node->yes = find_node(self, trees[i], yes[i]);
        node->no = find_node(self, trees[i], no[i]);
        if (node->yes == HD_FOREST_NONE || node->no == HD_FOREST_NONE) {
            hd_expand_fail(self->e, HD_BAD_MODEL,
                           "node %zu of tree %lld has a child that is no node", i,
                           (long long)trees[i]);
            return false;
        }
        is_child[node->yes] = is_child[node->no] = true;
    }
    /* Trees in the order in which the file first names them, which is that of the sums. */
    size_t root_count = 0, tree_count = 0;
    for (size_t i = 0; i < count; i++) {
        tree_count += i == 0 || self->keys[i].tree != self->keys[i - 1].tree;
        if (!is_child[i]) {
            roots[root_count++] = (uint32_t)i;
        }
    }
    for (size_t i = 1; i < root_count; i++) {
        if (trees[roots[i]] == trees[roots[i - 1]]) {
            tree_count = 0; /* two roots */
        }
    }
    if (root_count != tree_count) {
        hd_expand_fail(self->e, HD_BAD_MODEL, "some tree has no root, or two");
        return false;
    }
    self->draft.roots = roots;
    self->draft.tree_count = root_count;
    return true;
}

static const int64_t *weight_integers(tables *self, const char *what, size_t count)
{
    char name[32];
    snprintf(name, sizeof name, "%s_%s", self->kind, what);
    return integers(self, name, count);
}

/* Weights, sorted by their leaf, each leaf's in the file's order. */
static bool read_weights(tables *self, int64_t target_count)
{
    char plain[32], tensor[40], ids_name[32];
    size_t count;
    snprintf(plain, sizeof plain, "%s_weights", self->kind);
    snprintf(tensor, sizeof tensor, "%s_weights_as_tensor", self->kind);
    snprintf(ids_name, sizeof ids_name, "%s_ids", self->kind);
    const hd_learned_numbers numbers = hd_learned_numbers_of(self->e, plain, tensor);
    const int64_t *ids = hd_operation_ints(&self->e->operation, ids_name, &count);
    const int64_t *trees = weight_integers(self, "treeids", count);
    const int64_t *nodes = weight_integers(self, "nodeids", count);
    const size_t leaves = self->draft.leaf_count;
    uint32_t *begins = hd_region_array(&self->region, leaves + 2, sizeof *begins);
    uint32_t *leaf_of = hd_region_array(&self->region, count + 1, sizeof *leaf_of);
    hd_forest_weight *weights = hd_region_array(&self->region, count + 1, sizeof *weights);
    if (begins == NULL || leaf_of == NULL || weights == NULL) {
        return fail_memory(self);
    }
    if (self->e->status != HD_OK || numbers.count != count || count >= HD_FOREST_NUMBER_LIMIT) {
        hd_expand_fail(self->e, HD_BAD_MODEL, "%zu weights for %zu numbers of targets",
                       numbers.count, count);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const uint32_t node = find_node(self, trees[i], nodes[i]);
        if (node == HD_FOREST_NONE || ids[i] < 0 || ids[i] >= target_count) {
            hd_expand_fail(self->e, HD_BAD_MODEL, "weight %zu is of no node, or of no target", i);
            return false;
        }
        const bool is_leaf = self->draft.nodes[node].mode == HD_FOREST_LEAF;
        leaf_of[i] = is_leaf ? self->draft.nodes[node].number : HD_FOREST_NONE;
        begins[is_leaf ? leaf_of[i] + 1 : leaves + 1]++; /* of other nodes no walk ends there */
    }
    for (size_t i = 0; i < leaves; i++) {
        begins[i + 1] += begins[i];
    }
    for (size_t i = 0; i < count; i++) {
        if (leaf_of[i] != HD_FOREST_NONE) { /* begins[leaf] moves to the leaf's end */
            weights[begins[leaf_of[i]]++] = (hd_forest_weight){
                .value = hd_learned_number(&numbers, i), .target = (uint32_t)ids[i]};
        }
    }
    memmove(begins + 1, begins, leaves * sizeof *begins);
    begins[0] = 0;
    self->draft.begins = begins;
    self->draft.weights = weights;
    self->draft.is_double = self->values.doubles != NULL || numbers.doubles != NULL;
    return true;
}

/* Reads all tables but base values. */
static bool read_tables(tables *self, int64_t target_count)
{
    size_t count;
    (void)hd_operation_ints(&self->e->operation, "nodes_treeids", &count);
    if (count == 0 || count >= HD_FOREST_NUMBER_LIMIT || target_count < 1 ||
        target_count > HD_LEARNED_COLUMN_LIMIT) {
        hd_expand_fail(self->e, HD_BAD_MODEL, "%zu nodes, %lld targets", count,
                       (long long)target_count);
        return false;
    }
    self->node_count = count;
    self->draft.node_count = count;
    self->draft.target_count = (uint32_t)target_count;
    self->draft.nodes = hd_region_array(&self->region, count, sizeof *self->draft.nodes);
    self->keys = hd_region_array(&self->region, count, sizeof *self->keys);
    if (self->draft.nodes == NULL || self->keys == NULL) {
        return fail_memory(self);
    }
    if (!read_nodes(self)) {
        return false;
    }
    qsort(self->keys, count, sizeof *self->keys, compare_keys);
    for (size_t i = 1; i < count; i++) {
        if (compare_keys(&self->keys[i - 1], &self->keys[i]) == 0) {
            hd_expand_fail(self->e, HD_BAD_MODEL, "node %lld of tree %lld is there twice",
                           (long long)self->keys[i].node, (long long)self->keys[i].tree);
            return false;
        }
    }
    return link_nodes(self) && read_weights(self, target_count);
}

static uint8_t aggregate_of(hd_expansion *e)
{
    static const char *const names[] = {"AVERAGE", "SUM", "MIN", "MAX"};
    const char *name = hd_operation_string(&e->operation, "aggregate_function", "SUM");
    for (uint8_t i = 0; i < 4; i++) {
        if (strcmp(name, names[i]) == 0) {
            return i;
        }
    }
    hd_expand_fail(e, HD_BAD_MODEL, "aggregate_function '%.40s' is unknown", name);
    return HD_FOREST_SUM;
}

static hd_value trees(hd_expansion *e, const hd_forest_draft *draft)
{
    const hd_value forest = hd_forest_build(e, draft);
    return hd_expand_2(e, HD_OP_HEDDLE_TREES, e->inputs[0], forest);
}

/* Base values: *count numbers, in room for as many as there are targets. NULL when out of memory. */
static double *read_base(tables *self, size_t *count)
{
    const hd_learned_numbers base =
        hd_learned_numbers_of(self->e, "base_values", "base_values_as_tensor");
    double *values =
        hd_region_array(&self->region, base.count + self->draft.target_count, sizeof *values);
    *count = base.count;
    if (values == NULL) {
        fail_memory(self);
        return NULL;
    }
    for (size_t i = 0; i < base.count; i++) {
        values[i] = hd_learned_number(&base, i);
    }
    return values;
}

void hd_expand_tree_ensemble_regressor(hd_expansion *e)
{
    tables self = {.e = e, .kind = "target"};
    const int64_t targets = hd_operation_int(&e->operation, "n_targets", 1);
    const hd_scores_transform transform = hd_learned_transform(e);
    self.draft.aggregate = aggregate_of(e);
    if (e->status == HD_OK && read_tables(&self, targets)) {
        size_t base_count;
        self.draft.base = read_base(&self, &base_count);
        if (base_count != 0 && base_count != (size_t)targets) {
            hd_expand_fail(e, HD_BAD_MODEL, "%zu base values for %lld targets", base_count,
                           (long long)targets);
        }
        hd_expand_give(e, 0, hd_learned_transformed(e, trees(e, &self.draft), transform, targets));
    }
    hd_region_clear(&self.region);
}

/* Which classes weights are for, and whether none is negative. */
static void look_at_weights(const tables *self, bool *present, bool *all_positive)
{
    const size_t count = self->draft.begins[self->draft.leaf_count];
    *all_positive = true;
    for (size_t i = 0; i < count; i++) {
        present[self->draft.weights[i].target] = true;
        *all_positive = *all_positive && self->draft.weights[i].value >= 0;
    }
}

/* Of two classes: where weights are for one of them alone, their sum decides, and where that is the first, the second's
 * score follows from it, as onnxruntime has it. base: two numbers, of which `count` are given. */
static void describe_binary(double *base, size_t count, const bool *present, bool all_positive,
                            hd_learned_scores *scores)
{
    if (present[0] && present[1]) {
        return;
    }
    scores->choice = HD_SCORES_THRESHOLD;
    scores->column = present[1] ? 1 : 0;
    scores->threshold = all_positive ? 0.5 : 0;
    if (!present[1] && count < 2) {
        scores->form = all_positive ? HD_SCORES_COMPLEMENT : HD_SCORES_OPPOSITE;
    } else if (count == 1 || !present[1]) { /* a base value of no class with weights is none */
        base[present[1] ? 0 : 1] = 0;
    }
}

void hd_expand_tree_ensemble_classifier(hd_expansion *e)
{
    tables self = {.e = e, .kind = "class"};
    hd_learned_labels labels = hd_learned_labels_of(e, "classlabels_int64s", "classlabels_strings");
    hd_learned_scores scores = {.transform = hd_learned_transform(e),
                                .column_count = labels.count,
                                .choice = HD_SCORES_LARGEST};
    self.draft.aggregate = HD_FOREST_SUM;
    if (e->status != HD_OK || !read_tables(&self, labels.count)) {
        hd_region_clear(&self.region);
        return;
    }
    size_t base_count;
    bool all_positive;
    bool *present = hd_region_array(&self.region, (size_t)labels.count + 1, sizeof *present);
    double *base = read_base(&self, &base_count);
    if (present == NULL) {
        fail_memory(&self);
    } else if (base_count != 0 && base_count != (size_t)labels.count &&
               !(base_count == 1 && labels.count == 2)) {
        hd_expand_fail(e, HD_BAD_MODEL, "%zu base values for %lld classes", base_count,
                       (long long)labels.count);
    } else if (e->status == HD_OK) {
        self.draft.base = base;
        look_at_weights(&self, present, &all_positive);
        if (labels.count == 2) {
            describe_binary(base, base_count, present, all_positive, &scores);
        }
        for (size_t i = 0; i < base_count; i++) {
            present[i] = true;
        }
        scores.counts = present;
        hd_learned_give(e, trees(e, &self.draft), &scores, &labels);
    }
    hd_region_clear(&self.region);
}

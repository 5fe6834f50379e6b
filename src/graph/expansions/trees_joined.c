/* TreeEnsemble of domain ai.onnx.ml, opset 5: one operator for what were two, whose leaves have a table of their own. */
#include <math.h>
#include <string.h>

#include "graph/expansions/expansions.h"
#include "graph/expansions/forest_build.h"
#include "graph/expansions/learned.h"

typedef struct joined {
    hd_expansion *e;
    hd_region region;
    hd_forest_draft draft;
    size_t node_count; /* of the file; a leaf is a node more for each child that is it */
    size_t leaf_count;
    const uint8_t *modes;
    hd_learned_numbers splits, weights, members;
    const int64_t *features, *yes, *no, *yes_leaves, *no_leaves, *targets;
    const int64_t *missing; /* NULL: NaN is nothing special */
} joined;

static const int64_t *integers(joined *self, const char *name, size_t count)
{
    size_t found;
    const int64_t *values = hd_operation_ints(&self->e->operation, name, &found);
    if (found != count || values == NULL) {
        hd_expand_fail(self->e, HD_BAD_MODEL, "%s has %zu numbers, not %zu", name, found, count);
    }
    return values;
}

/* Finds the tables, which have the same number of rows. */
static bool find_tables(joined *self)
{
    hd_expansion *e = self->e;
    const hd_tensor *modes = hd_operation_attribute(&e->operation, "nodes_modes")->tensor;
    size_t count, missing_count;
    (void)hd_operation_ints(&e->operation, "nodes_featureids", &count);
    self->node_count = count;
    self->splits = hd_learned_numbers_of(e, "", "nodes_splits");
    self->weights = hd_learned_numbers_of(e, "", "leaf_weights");
    if (hd_operation_attribute(&e->operation, "membership_values") != NULL) {
        self->members = hd_learned_numbers_of(e, "", "membership_values");
    }
    self->leaf_count = self->weights.count;
    self->features = integers(self, "nodes_featureids", count);
    self->yes = integers(self, "nodes_truenodeids", count);
    self->no = integers(self, "nodes_falsenodeids", count);
    self->yes_leaves = integers(self, "nodes_trueleafs", count);
    self->no_leaves = integers(self, "nodes_falseleafs", count);
    self->targets = integers(self, "leaf_targetids", self->leaf_count);
    self->missing =
        hd_operation_ints(&e->operation, "nodes_missing_value_tracks_true", &missing_count);
    const bool fits = modes->dtype == HD_UINT8 && modes->rank == 1 &&
                      modes->dims[0] == (int64_t)count && self->splits.count == count &&
                      (missing_count == 0 || missing_count == count) && count > 0 &&
                      count < HD_FOREST_NUMBER_LIMIT / 4 && self->leaf_count > 0 &&
                      self->leaf_count < HD_FOREST_NUMBER_LIMIT;
    if (!fits) {
        hd_expand_fail(e, HD_BAD_MODEL, "its tables have different numbers of rows, or none");
    }
    self->modes = modes->data;
    return e->status == HD_OK;
}

/* The draft's number of a child: a node, or a new node for a leaf. */
static uint32_t child_of(joined *self, int64_t id, int64_t is_leaf)
{
    const size_t limit = is_leaf != 0 ? self->leaf_count : self->node_count;
    if (id < 0 || id >= (int64_t)limit || (is_leaf != 0 && is_leaf != 1)) {
        hd_expand_fail(self->e, HD_BAD_MODEL, "a child is %s %lld of %zu",
                       is_leaf != 0 ? "leaf" : "node", (long long)id, limit);
        return 0;
    }
    if (is_leaf == 0) {
        return (uint32_t)id;
    }
    self->draft.nodes[self->draft.node_count] =
        (hd_forest_draft_node){.mode = HD_FOREST_LEAF, .number = (uint32_t)id, .nan_is_yes = true};
    return (uint32_t)self->draft.node_count++;
}

static bool read_nodes(joined *self, const uint32_t *list_of)
{
    static const struct {
        uint8_t mode;
        bool is_opposite;
    } modes[] = {{HD_FOREST_AT_MOST, false}, {HD_FOREST_BELOW, false}, {HD_FOREST_BELOW, true},
                 {HD_FOREST_AT_MOST, true},  {HD_FOREST_EQUAL, false}, {HD_FOREST_EQUAL, true},
                 {HD_FOREST_MEMBER, false}};
    self->draft.node_count = self->node_count;
    for (size_t i = 0; i < self->node_count && self->e->status == HD_OK; i++) {
        const uint8_t mode = self->modes[i];
        if (mode >= sizeof modes / sizeof modes[0] || self->features[i] < 0 ||
            self->features[i] > HD_LEARNED_COLUMN_LIMIT) {
            hd_expand_fail(self->e, HD_BAD_MODEL, "node %zu: mode %u, column %lld", i, mode,
                           (long long)self->features[i]);
            break;
        }
        hd_forest_draft_node *node = &self->draft.nodes[i];
        node->mode = modes[mode].mode;
        node->is_opposite = modes[mode].is_opposite;
        node->nan_is_yes = (self->missing != NULL && self->missing[i] != 0) ||
                           (node->mode == HD_FOREST_EQUAL && node->is_opposite);
        node->threshold = hd_learned_number(&self->splits, i);
        node->feature = (uint32_t)self->features[i];
        node->number = node->mode == HD_FOREST_MEMBER ? list_of[i] : 0;
        node->yes = child_of(self, self->yes[i], self->yes_leaves[i]);
        node->no = child_of(self, self->no[i], self->no_leaves[i]);
    }
    return self->e->status == HD_OK;
}

/* Lists of members, one after the other with NaN behind each, are those of the MEMBER nodes in their order. */
static bool read_lists(joined *self, uint32_t *list_of)
{
    const size_t count = self->members.count;
    double *members = hd_region_array(&self->region, count + 1, sizeof *members);
    uint32_t *lists = hd_region_array(&self->region, count + 2, sizeof *lists);
    if (members == NULL || lists == NULL) {
        hd_expand_fail(self->e, HD_OUT_OF_MEMORY, "no memory for its trees");
        return false;
    }
    size_t list_count = 0, used = 0, wanted = 0;
    bool is_open = false;
    for (size_t i = 0; i < count; i++) {
        const double member = hd_learned_number(&self->members, i);
        if (isnan(member)) {
            lists[++list_count] = (uint32_t)used;
            is_open = false;
        } else {
            members[used++] = member;
            is_open = true;
        }
    }
    if (is_open) {
        lists[++list_count] = (uint32_t)used;
    }
    for (size_t i = 0; i < self->node_count; i++) {
        list_of[i] = self->modes[i] == 6 ? (uint32_t)wanted++ : 0;
    }
    if (wanted != list_count) {
        hd_expand_fail(self->e, HD_BAD_MODEL, "%zu nodes look for members, in %zu lists", wanted,
                       list_count);
        return false;
    }
    self->draft.members = members;
    self->draft.lists = lists;
    self->draft.list_count = list_count;
    return true;
}

static bool read_leaves(joined *self)
{
    uint32_t *begins = hd_region_array(&self->region, self->leaf_count + 1, sizeof *begins);
    hd_forest_weight *weights = hd_region_array(&self->region, self->leaf_count, sizeof *weights);
    if (begins == NULL || weights == NULL) {
        hd_expand_fail(self->e, HD_OUT_OF_MEMORY, "no memory for its trees");
        return false;
    }
    for (size_t i = 0; i < self->leaf_count; i++) {
        if (self->targets[i] < 0 || self->targets[i] >= (int64_t)self->draft.target_count) {
            hd_expand_fail(self->e, HD_BAD_MODEL, "leaf %zu is of target %lld of %u", i,
                           (long long)self->targets[i], self->draft.target_count);
            return false;
        }
        begins[i + 1] = (uint32_t)i + 1;
        weights[i] = (hd_forest_weight){.value = hd_learned_number(&self->weights, i),
                                        .target = (uint32_t)self->targets[i]};
    }
    self->draft.begins = begins;
    self->draft.leaf_count = self->leaf_count;
    self->draft.weights = weights;
    return true;
}

static bool read_roots(joined *self)
{
    size_t count;
    const int64_t *roots = hd_operation_ints(&self->e->operation, "tree_roots", &count);
    uint32_t *made = hd_region_array(&self->region, count + 1, sizeof *made);
    bool fits = made != NULL && count > 0 && count <= self->node_count;
    for (size_t i = 0; fits && i < count; i++) {
        fits = roots[i] >= 0 && roots[i] < (int64_t)self->node_count;
        made[i] = fits ? (uint32_t)roots[i] : 0;
    }
    if (!fits) {
        hd_expand_fail(self->e, made == NULL ? HD_OUT_OF_MEMORY : HD_BAD_MODEL,
                       "its %zu roots are no nodes", count);
    }
    self->draft.roots = made;
    self->draft.tree_count = count;
    return fits;
}

void hd_expand_tree_ensemble(hd_expansion *e)
{
    joined self = {.e = e};
    const int64_t targets = hd_operation_int(&e->operation, "n_targets", 1);
    const int64_t aggregate = hd_operation_int(&e->operation, "aggregate_function", 1);
    const int64_t transform = hd_operation_int(&e->operation, "post_transform", 0);
    if (targets < 1 || targets > HD_LEARNED_COLUMN_LIMIT || aggregate < 0 || aggregate > 3 ||
        transform < 0 || transform > 4) {
        hd_expand_fail(e, HD_BAD_MODEL,
                       "n_targets %lld, aggregate_function %lld, post_transform %lld",
                       (long long)targets, (long long)aggregate, (long long)transform);
    }
    bool fits = e->status == HD_OK && find_tables(&self);
    uint32_t *list_of = hd_region_array(&self.region, self.node_count + 1, sizeof *list_of);
    self.draft.nodes =
        hd_region_array(&self.region, 3 * self.node_count + 1, sizeof *self.draft.nodes);
    if (fits && (list_of == NULL || self.draft.nodes == NULL)) {
        hd_expand_fail(e, HD_OUT_OF_MEMORY, "no memory for its trees");
        fits = false;
    }
    self.draft.target_count = (uint32_t)targets;
    self.draft.aggregate = (uint8_t)aggregate;
    self.draft.keeps_type = true;
    self.draft.is_double = self.splits.doubles != NULL || self.weights.doubles != NULL;
    if (fits && read_lists(&self, list_of) && read_nodes(&self, list_of) && read_leaves(&self) &&
        read_roots(&self)) {
        const hd_value forest = hd_forest_build(e, &self.draft);
        const hd_value sums = hd_expand_2(e, HD_OP_HEDDLE_TREES, e->inputs[0], forest);
        hd_expand_give(e, 0,
                       hd_learned_transformed(e, sums, (hd_scores_transform)transform, targets));
    }
    hd_region_clear(&self.region);
}

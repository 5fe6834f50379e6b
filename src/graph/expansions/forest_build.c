#include "graph/expansions/forest_build.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

typedef struct builder {
    hd_expansion *e;
    const hd_forest_draft *draft;
    uint32_t *order;  /* nodes in the order of the forest */
    uint32_t *places; /* of each node in that order; HD_FOREST_NONE: not reached yet */
    uint32_t *depths; /* by place */
    hd_forest_tree *trees;
    uint32_t count; /* of nodes placed */
} builder;

static bool is_leaf(const hd_forest_draft_node *node)
{
    return node->mode == HD_FOREST_LEAF;
}

/* Puts a node at the end; false, and the expansion has failed, where it has been reached before. */
static bool place(builder *self, size_t tree, uint32_t node, uint32_t depth)
{
    if (node >= self->draft->node_count || self->places[node] != HD_FOREST_NONE) {
        hd_expand_fail(self->e, HD_BAD_MODEL, "tree %zu has a child that is %s", tree,
                       node >= self->draft->node_count ? "no node" : "reached twice");
        return false;
    }
    self->places[node] = self->count;
    self->order[self->count] = node;
    self->depths[self->count] = depth;
    self->count++;
    return true;
}

/* Places a tree level by level. */
static bool place_tree(builder *self, size_t tree)
{
    uint32_t at = self->count;
    self->trees[tree] = (hd_forest_tree){.root = at, .least_depth = UINT32_MAX};
    if (!place(self, tree, self->draft->roots[tree], 0)) {
        return false;
    }
    for (; at < self->count; at++) {
        const hd_forest_draft_node *node = &self->draft->nodes[self->order[at]];
        const uint32_t depth = self->depths[at];
        if (is_leaf(node)) {
            hd_forest_tree *made = &self->trees[tree];
            made->least_depth = depth < made->least_depth ? depth : made->least_depth;
            made->most_depth = depth > made->most_depth ? depth : made->most_depth;
            continue;
        }
        const uint32_t first = node->is_opposite ? node->no : node->yes;
        const uint32_t second = node->is_opposite ? node->yes : node->no;
        if (!place(self, tree, first, depth + 1) || !place(self, tree, second, depth + 1)) {
            return false;
        }
    }
    return true;
}

static uint32_t kind_of(const hd_forest_draft_node *node)
{
    bool nan_first = node->nan_is_yes != node->is_opposite;
    return (uint32_t)node->mode | (nan_first ? HD_FOREST_NAN_FIRST : 0) |
           node->number << HD_FOREST_NUMBER_SHIFT;
}

static void write_nodes(const builder *self, const hd_forest *forest, unsigned char *block)
{
    for (uint32_t at = 0; at < self->count; at++) {
        const hd_forest_draft_node *node = &self->draft->nodes[self->order[at]];
        const uint32_t first = node->is_opposite ? node->no : node->yes;
        const uint32_t child = is_leaf(node) ? at : self->places[first];
        const uint32_t feature = is_leaf(node) ? 0 : node->feature;
        const double threshold = is_leaf(node) ? INFINITY : node->threshold;
        if (forest->is_double) {
            ((hd_forest_node_double *)(block + forest->nodes))[at] = (hd_forest_node_double){
                .threshold = threshold, .child = child, .feature = feature, .kind = kind_of(node)};
        } else {
            ((hd_forest_node_float *)(block + forest->nodes))[at] =
                (hd_forest_node_float){.threshold = (float)threshold,
                                       .child = child,
                                       .feature = feature,
                                       .kind = kind_of(node)};
        }
    }
}

static void write_tables(const builder *self, const hd_forest *forest, unsigned char *block)
{
    const hd_forest_draft *draft = self->draft;
    const size_t weights = draft->begins[draft->leaf_count];
    for (size_t i = 0; i < draft->leaf_count && forest->is_single; i++) {
        double value = draft->weights[draft->begins[i]].value;
        if (forest->is_double) {
            ((double *)(block + forest->values))[i] = value;
        } else {
            ((float *)(block + forest->values))[i] = (float)value;
        }
    }
    memcpy(block + forest->begins, draft->begins, (draft->leaf_count + 1) * sizeof(uint32_t));
    if (weights > 0) {
        memcpy(block + forest->weights, draft->weights, weights * sizeof *draft->weights);
    }
    if (draft->base != NULL) {
        memcpy(block + forest->base, draft->base, draft->target_count * sizeof(double));
    }
    if (draft->list_count > 0) {
        memcpy(block + forest->lists, draft->lists, (draft->list_count + 1) * sizeof(uint32_t));
        memcpy(block + forest->members, draft->members,
               draft->lists[draft->list_count] * sizeof(double));
    }
}

/* What all nodes have in common, and the columns that they read. */
static void describe_nodes(const builder *self, hd_forest *forest)
{
    int mode = -1;
    for (uint32_t at = 0; at < self->count; at++) {
        const hd_forest_draft_node *node = &self->draft->nodes[self->order[at]];
        if (is_leaf(node)) {
            continue;
        }
        mode = mode == -1 || mode == node->mode ? node->mode : HD_FOREST_MIXED;
        if (node->feature >= forest->feature_count) {
            forest->feature_count = node->feature + 1;
        }
    }
    forest->mode = mode == -1 ? HD_FOREST_AT_MOST : (uint8_t)mode;
    const hd_forest_draft *draft = self->draft;
    forest->is_single = draft->target_count == 1;
    for (size_t i = 0; i < draft->leaf_count; i++) {
        forest->is_single = forest->is_single && draft->begins[i + 1] - draft->begins[i] == 1;
    }
}

/* Takes `size` bytes at *end, at a multiple of 64. Sizes are of arrays that are in memory, so their sum fits. */
static uint64_t take(uint64_t *end, uint64_t size)
{
    uint64_t offset = hd_align_up(*end, HD_CACHE_LINE);
    *end = offset + size;
    return offset;
}

static hd_value write(builder *self)
{
    const hd_forest_draft *draft = self->draft;
    hd_forest forest = {.tree_count = (uint32_t)draft->tree_count,
                        .node_count = self->count,
                        .leaf_count = (uint32_t)draft->leaf_count,
                        .target_count = draft->target_count,
                        .is_double = draft->is_double,
                        .aggregate = draft->aggregate,
                        .keeps_type = draft->keeps_type};
    describe_nodes(self, &forest);
    const size_t number = draft->is_double ? sizeof(double) : sizeof(float);
    const size_t node =
        draft->is_double ? sizeof(hd_forest_node_double) : sizeof(hd_forest_node_float);
    const size_t members = draft->list_count > 0 ? draft->lists[draft->list_count] : 0;
    uint64_t end = sizeof forest;
    forest.trees = take(&end, draft->tree_count * sizeof(hd_forest_tree));
    forest.nodes = take(&end, self->count * node);
    forest.values = take(&end, forest.is_single ? draft->leaf_count * number : 0);
    forest.begins = take(&end, (draft->leaf_count + 1) * sizeof(uint32_t));
    forest.weights = take(&end, draft->begins[draft->leaf_count] * sizeof(hd_forest_weight));
    forest.base = take(&end, draft->target_count * sizeof(double));
    forest.lists = take(&end, (draft->list_count + 1) * sizeof(uint32_t));
    forest.members = take(&end, members * sizeof(double));
    forest.size = end;
    unsigned char *block = hd_alloc_aligned(end);
    if (block == NULL) {
        hd_expand_fail(self->e, HD_OUT_OF_MEMORY, "no memory for its trees");
        return HD_VALUE_NONE;
    }
    memset(block, 0, end);
    memcpy(block, &forest, sizeof forest);
    memcpy(block + forest.trees, self->trees, draft->tree_count * sizeof(hd_forest_tree));
    write_nodes(self, &forest, block);
    write_tables(self, &forest, block);
    hd_shape shape = {.rank = 1, .dims = {(int64_t)end}};
    hd_value made = hd_graph_new_constant(self->e->graph, "", HD_UINT8, &shape, block);
    if (made == HD_VALUE_NONE) {
        hd_free(block);
        hd_expand_fail(self->e, HD_OUT_OF_MEMORY, "no memory for its trees");
    }
    return made;
}

hd_value hd_forest_build(hd_expansion *e, const hd_forest_draft *draft)
{
    builder self = {.e = e, .draft = draft};
    hd_region region = {0};
    hd_value made = HD_VALUE_NONE;
    self.order = hd_region_array(&region, draft->node_count + 1, sizeof *self.order);
    self.places = hd_region_array(&region, draft->node_count + 1, sizeof *self.places);
    self.depths = hd_region_array(&region, draft->node_count + 1, sizeof *self.depths);
    self.trees = hd_region_array(&region, draft->tree_count + 1, sizeof *self.trees);
    if (self.order == NULL || self.places == NULL || self.depths == NULL || self.trees == NULL) {
        hd_expand_fail(e, HD_OUT_OF_MEMORY, "no memory for its trees");
    } else {
        memset(self.places, 0xFF, draft->node_count * sizeof *self.places);
        bool fits = true;
        for (size_t t = 0; t < draft->tree_count && fits; t++) {
            fits = place_tree(&self, t);
        }
        if (fits && self.count != draft->node_count) {
            hd_expand_fail(e, HD_BAD_MODEL, "%zu of its %zu nodes are in no tree",
                           draft->node_count - self.count, draft->node_count);
            fits = false;
        }
        made = fits ? write(&self) : HD_VALUE_NONE;
    }
    hd_region_clear(&region);
    return made;
}

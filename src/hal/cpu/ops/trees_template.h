/* Trees of one type: included once for each pair of HD_X (a row's elements) and HD_T (thresholds and sums) with HD_TREES
 * naming the functions. Comparisons are made in the wider of the two types, so none rounds. */

#define HD_PASTE_(a, b) a##_##b
#define HD_PASTE(a, b)  HD_PASTE_(a, b)
#define HD_NAME(name)   HD_PASTE(name, HD_TREES)

/* One step of every walk that stands at a node; `below`: x < threshold goes to the first child, else x <= threshold.
 * Walks of leaves stay where they are: their threshold is infinity; `careful`: rows may have NaN and infinity, too. */
static inline __attribute__((always_inline)) uint32_t HD_NAME(step)(const HD_NODE *nodes,
                                                                    uint32_t at, const HD_X *row,
                                                                    const bool below,
                                                                    const bool careful)
{
    const HD_NODE *node = &nodes[at];
    const HD_WIDE x = (HD_WIDE)row[node->feature], threshold = (HD_WIDE)node->threshold;
    uint32_t first = below ? x < threshold : x <= threshold;
    if (careful) {
        const uint32_t kind = node->kind;
        first |= (uint32_t)(x != x) & (kind / HD_FOREST_NAN_FIRST);
        first |= HD_FOREST_MODE_OF(kind) == HD_FOREST_LEAF;
    }
    return node->child + (1 - (first & 1));
}

/* Rows through one tree, side by side: each waits for memory while the others go on. */
static inline __attribute__((always_inline)) void
HD_NAME(walk_rows)(const HD_NODE *nodes, const hd_forest_tree *tree, const HD_X *rows,
                   int64_t stride, const int count, uint32_t *at, const bool below,
                   const bool careful)
{
    for (int r = 0; r < count; r++) {
        at[r] = tree->root;
    }
    for (uint32_t depth = 0; depth < tree->most_depth;) {
        const uint32_t end = depth < tree->least_depth                 ? tree->least_depth
                             : depth + SETTLE_STEPS < tree->most_depth ? depth + SETTLE_STEPS
                                                                       : tree->most_depth;
        uint32_t moved = 0;
        for (; depth < end; depth++) {
            moved = 0;
#pragma GCC unroll 16
            for (int r = 0; r < count; r++) {
                const uint32_t next =
                    HD_NAME(step)(nodes, at[r], rows + r * stride, below, careful);
                moved |= next ^ at[r];
                at[r] = next;
            }
        }
        if (moved == 0) {
            break;
        }
    }
}

/* One row through some trees, side by side. */
static inline __attribute__((always_inline)) void
HD_NAME(walk_trees)(const HD_NODE *nodes, const hd_forest_tree *trees, const HD_X *row,
                    const int count, uint32_t *at, const bool below, const bool careful)
{
    uint32_t steps = 0;
    for (int t = 0; t < count; t++) {
        at[t] = trees[t].root;
        steps = trees[t].most_depth > steps ? trees[t].most_depth : steps;
    }
    for (uint32_t depth = 0; depth < steps; depth++) {
        uint32_t moved = 0;
#pragma GCC unroll 16
        for (int t = 0; t < count; t++) {
            const uint32_t next = HD_NAME(step)(nodes, at[t], row, below, careful);
            moved |= next ^ at[t];
            at[t] = next;
        }
        if (moved == 0) {
            break;
        }
    }
}

/* One row through one tree, of any modes, with NaN. */
static uint32_t HD_NAME(walk)(const hd_forest *forest, uint32_t at, const HD_X *row)
{
    const HD_NODE *nodes = hd_forest_section(forest, forest->nodes);
    for (uint32_t kind; HD_FOREST_MODE_OF(kind = nodes[at].kind) != HD_FOREST_LEAF;) {
        const HD_NODE *node = &nodes[at];
        const HD_WIDE x = (HD_WIDE)row[node->feature], threshold = (HD_WIDE)node->threshold;
        bool first = false;
        switch (HD_FOREST_MODE_OF(kind)) {
        case HD_FOREST_AT_MOST:
            first = x <= threshold;
            break;
        case HD_FOREST_BELOW:
            first = x < threshold;
            break;
        case HD_FOREST_EQUAL:
            first = x == threshold;
            break;
        default:
            first = is_member(forest, kind >> HD_FOREST_NUMBER_SHIFT, (double)x);
            break;
        }
        first = x != x ? (kind & HD_FOREST_NAN_FIRST) != 0 : first;
        at = node->child + (first ? 0 : 1);
    }
    return at;
}

/* Adds what a leaf gives to a row's sums. */
static inline void HD_NAME(add)(const hd_forest *forest, uint32_t node, HD_T *sums, uint8_t *seen)
{
    const HD_NODE *nodes = hd_forest_section(forest, forest->nodes);
    const uint32_t leaf = nodes[node].kind >> HD_FOREST_NUMBER_SHIFT;
    const uint32_t *begins = hd_forest_section(forest, forest->begins);
    const hd_forest_weight *weights = hd_forest_section(forest, forest->weights);
    if (forest->is_single && forest->aggregate <= HD_FOREST_SUM) {
        sums[0] += ((const HD_T *)hd_forest_section(forest, forest->values))[leaf];
        return;
    }
    for (uint32_t w = begins[leaf]; w < begins[leaf + 1]; w++) {
        const HD_T value = (HD_T)weights[w].value;
        HD_T *sum = &sums[weights[w].target];
        if (forest->aggregate <= HD_FOREST_SUM) {
            *sum += value;
        } else if (!seen[weights[w].target] ||
                   (forest->aggregate == HD_FOREST_MIN ? value < *sum : value > *sum)) {
            *sum = value;
            seen[weights[w].target] = 1;
        }
    }
}

/* Rows through all trees of a forest of one mode; the sums of each row in the trees' order (BITS). */
static inline __attribute__((always_inline)) void
HD_NAME(run_plain)(const hd_forest *forest, const HD_X *rows, int64_t count, int64_t stride,
                   HD_T *sums, uint8_t *seen, const bool below, const bool careful)
{
    const HD_NODE *nodes = hd_forest_section(forest, forest->nodes);
    const hd_forest_tree *trees = hd_forest_section(forest, forest->trees);
    const uint32_t targets = forest->target_count;
    uint32_t at[SIDE_BY_SIDE];
    int64_t r = 0;
    for (; r + SIDE_BY_SIDE <= count; r += SIDE_BY_SIDE) {
        for (uint32_t t = 0; t < forest->tree_count && !hd_stop_ends_every(t, 64); t++) {
            HD_NAME(walk_rows)(nodes, &trees[t], rows + r * stride, stride, SIDE_BY_SIDE, at, below,
                               careful);
            for (int i = 0; i < SIDE_BY_SIDE; i++) {
                HD_NAME(add)(forest, at[i], sums + (r + i) * targets, seen + (r + i) * targets);
            }
        }
    }
    for (; r < count; r++) {
        uint32_t t = 0;
        for (; t + SIDE_BY_SIDE <= forest->tree_count && !hd_stop_ends_every(t / SIDE_BY_SIDE, 64);
             t += SIDE_BY_SIDE) {
            HD_NAME(walk_trees)(nodes, trees + t, rows + r * stride, SIDE_BY_SIDE, at, below,
                                careful);
            for (int i = 0; i < SIDE_BY_SIDE; i++) {
                HD_NAME(add)(forest, at[i], sums + r * targets, seen + r * targets);
            }
        }
        for (; t < forest->tree_count; t++) {
            HD_NAME(walk_trees)(nodes, trees + t, rows + r * stride, 1, at, below, careful);
            HD_NAME(add)(forest, at[0], sums + r * targets, seen + r * targets);
        }
    }
}

static bool HD_NAME(is_finite)(const HD_X *values, int64_t count)
{
    uint32_t others = 0;
    for (int64_t i = 0; i < count; i++) {
        others |= (uint32_t)!(values[i] - values[i] == 0);
    }
    return others == 0;
}

static void HD_NAME(finish)(const hd_forest *forest, int64_t count, const HD_T *sums, void *output,
                            const bool is_double)
{
    const double *base = hd_forest_section(forest, forest->base);
    const uint32_t targets = forest->target_count;
    for (int64_t r = 0; r < count; r++) {
        for (uint32_t t = 0; t < targets; t++) {
            HD_T sum = sums[r * targets + t];
            if (forest->aggregate == HD_FOREST_AVERAGE) {
                sum /= (HD_T)forest->tree_count;
            }
            sum += (HD_T)base[t];
            if (is_double) {
                ((double *)output)[r * targets + t] = (double)sum;
            } else {
                ((float *)output)[r * targets + t] = (float)sum;
            }
        }
    }
}

/* Rows [begin, end) in pieces that the scratch memory holds. */
static void HD_NAME(run)(const trees_parameters *p, const void *input, const hd_forest *forest,
                         void *output, int64_t begin, int64_t end, void *scratch)
{
    const int64_t targets = forest->target_count;
    HD_T *sums = scratch;
    uint8_t *seen = (uint8_t *)(sums + p->piece * targets);
    const size_t element = p->is_double ? sizeof(double) : sizeof(float);
    for (int64_t r = begin; r < end; r += p->piece) {
        const int64_t count = end - r < p->piece ? end - r : p->piece;
        const HD_X *rows = (const HD_X *)input + r * p->columns;
        memset(sums, 0, (size_t)(count * targets) * sizeof *sums);
        memset(seen, 0, (size_t)(count * targets));
        const bool careful = !HD_NAME(is_finite)(rows, count * p->columns);
        if (forest->mode == HD_FOREST_BELOW && careful) {
            HD_NAME(run_plain)(forest, rows, count, p->columns, sums, seen, true, true);
        } else if (forest->mode == HD_FOREST_BELOW) {
            HD_NAME(run_plain)(forest, rows, count, p->columns, sums, seen, true, false);
        } else if (forest->mode == HD_FOREST_AT_MOST && careful) {
            HD_NAME(run_plain)(forest, rows, count, p->columns, sums, seen, false, true);
        } else if (forest->mode == HD_FOREST_AT_MOST) {
            HD_NAME(run_plain)(forest, rows, count, p->columns, sums, seen, false, false);
        } else {
            const hd_forest_tree *trees = hd_forest_section(forest, forest->trees);
            for (int64_t i = 0; i < count; i++) {
                for (uint32_t t = 0; t < forest->tree_count && !hd_stop_ends_every(t, 1024); t++) {
                    const uint32_t at = HD_NAME(walk)(forest, trees[t].root, rows + i * p->columns);
                    HD_NAME(add)(forest, at, sums + i * targets, seen + i * targets);
                }
            }
        }
        HD_NAME(finish)(forest, count, sums,
                        (unsigned char *)output + (size_t)(r * targets) * element, p->is_double);
        if (hd_stop_asked() != HD_OK) {
            return;
        }
    }
}

#undef HD_NAME
#undef HD_PASTE
#undef HD_PASTE_
#undef HD_X
#undef HD_T
#undef HD_WIDE
#undef HD_NODE
#undef HD_TREES

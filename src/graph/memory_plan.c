#include "graph/memory_plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "graph/arena_places.h"
#include "graph/model.h"

#define STEP_END UINT32_MAX /* lives past the segment */
/* More tensors than this are placed in the order of the steps; up to it, the largest first, each compared with those that
 * may be alive with it, which takes a smaller arena. */
#define COMPARED_LIMIT 2048
#define STRETCH_STEPS  32 /* see placed_lives */

/* When a tensor with memory of its own is alive: from the step that writes it to its last reader. */
typedef struct lifetime {
    hd_tensor_id tensor;
    uint32_t first;
    uint32_t last;
    size_t size;
    hd_tensor_id shares; /* lies in place of this tensor; HD_TENSOR_NONE */
} lifetime;

bool hd_plan_tensor_is_in_arena(const hd_plan_tensor *tensor)
{
    return tensor->view_of == HD_TENSOR_NONE && tensor->data == NULL && tensor->packed == NULL &&
           tensor->input_index < 0 && tensor->output_index < 0;
}

static void note_use(lifetime *lives, const uint32_t *index_of, hd_tensor_id root, uint32_t step)
{
    if (index_of[root] != UINT32_MAX && lives[index_of[root]].last != STEP_END) {
        lives[index_of[root]].last = step;
    }
}

static void add_life(hd_planner *planner, hd_memory_place place, lifetime *lives, size_t *count,
                     uint32_t *index_of, hd_tensor_id id, uint32_t step)
{
    const hd_plan_tensor *tensor = &planner->tensors[id];
    if (!hd_plan_tensor_is_in_arena(tensor) || tensor->place != place ||
        index_of[id] != UINT32_MAX) {
        return;
    }
    index_of[id] = (uint32_t)*count;
    lives[(*count)++] = (lifetime){
        .tensor = id,
        .first = step,
        .last = tensor->kept ? STEP_END : step,
        .size = hd_align_up(hd_plan_tensor_size(tensor) + 1, HD_CACHE_LINE) + HD_MEMORY_GAP,
        .shares = HD_TENSOR_NONE};
}

/* Whether output 0 of a node may take over the memory of an input that dies there (kernel.h). */
static hd_tensor_id in_place_of(hd_planner *planner, const hd_plan_node *node,
                                const hd_kernel *kernel, const lifetime *lives,
                                const uint32_t *index_of, uint32_t step)
{
    hd_tensor_id output = node->outputs[0];
    if (output == HD_TENSOR_NONE || !hd_plan_tensor_is_in_arena(&planner->tensors[output]) ||
        index_of[output] == UINT32_MAX || planner->tensors[output].extent != HD_TENSOR_NONE) {
        return HD_TENSOR_NONE;
    }
    for (size_t i = 0; i < node->operation.input_count && i < 64; i++) {
        if ((kernel->inplace_inputs >> i & 1) == 0 || node->inputs[i] == HD_TENSOR_NONE) {
            continue;
        }
        hd_tensor_id root = hd_planner_root(planner, node->inputs[i]);
        if (!hd_plan_tensor_is_in_arena(&planner->tensors[root]) || index_of[root] == UINT32_MAX ||
            lives[index_of[root]].last != step || lives[index_of[root]].first == step ||
            hd_plan_tensor_size(&planner->tensors[root]) !=
                hd_plan_tensor_size(&planner->tensors[output])) {
            continue;
        }
        return root;
    }
    return HD_TENSOR_NONE;
}

static void find_lifetimes(hd_planner *planner, hd_memory_place place, lifetime *lives,
                           size_t *count, uint32_t *index_of)
{
    for (size_t t = 0; t < planner->tensor_count; t++) {
        index_of[t] = UINT32_MAX;
        if (planner->tensors[t].placed) {
            add_life(planner, place, lives, count, index_of, (hd_tensor_id)t, 0);
        }
    }
    uint32_t step = 1; /* 0 stands for what was there before */
    for (size_t n = 0; n < planner->node_count; n++) {
        const hd_plan_node *node = &planner->nodes[n];
        if (node->dead) {
            continue;
        }
        for (size_t i = 0; i < node->operation.output_count; i++) {
            if (node->outputs[i] == HD_TENSOR_NONE) {
                continue;
            }
            add_life(planner, place, lives, count, index_of, node->outputs[i], step);
            hd_tensor_id extent = planner->tensors[node->outputs[i]].extent;
            if (extent != HD_TENSOR_NONE) {
                add_life(planner, place, lives, count, index_of, extent, step);
                if (index_of[extent] != UINT32_MAX) {
                    lives[index_of[extent]].last = STEP_END;
                }
            }
        }
        for (size_t i = 0; i < node->operation.input_count; i++) {
            if (node->inputs[i] != HD_TENSOR_NONE) {
                note_use(lives, index_of, hd_planner_root(planner, node->inputs[i]), step);
            }
        }
        step++;
    }
}

static void share_in_place(hd_planner *planner, const hd_plan *plan, lifetime *lives,
                           uint32_t *index_of)
{
    uint32_t step = 1;
    for (size_t n = 0; n < planner->node_count; n++) {
        const hd_plan_node *node = &planner->nodes[n];
        if (node->dead) {
            continue;
        }
        const hd_kernel *kernel = &plan->recipe.steps[step - 1].kernel;
        hd_tensor_id root = kernel->inplace_inputs == 0
                                ? HD_TENSOR_NONE
                                : in_place_of(planner, node, kernel, lives, index_of, step);
        if (root != HD_TENSOR_NONE) {
            lifetime *output = &lives[index_of[node->outputs[0]]];
            lifetime *input = &lives[index_of[root]];
            while (input->shares != HD_TENSOR_NONE) {
                input = &lives[index_of[input->shares]];
            }
            output->shares = input->tensor;
            /* The one that is placed lives as long as all that lie in its place. The input's own
             * end stays what it was for later in_place_of calls: it has passed. */
            input->last = output->last;
        }
        step++;
    }
}

/* Lives that have their place, in the order of their offsets. */
typedef struct placed_list {
    uint32_t *indices;
    size_t count;
} placed_list;

/* All that have their place; beside it, those that begin and end within one stretch of the steps, a list for each stretch, and
 * those that do not. So one of the former, as most are where there are many, is compared with few. */
typedef struct placed_lives {
    const hd_planner *planner;
    const lifetime *lives;
    placed_list all;
    placed_list crossing;
    placed_list *within;
    uint32_t stretch_steps;
} placed_lives;

static size_t offset_of(const placed_lives *placed, uint32_t index)
{
    return placed->planner->tensors[placed->lives[index].tensor].offset;
}

static uint32_t stretch_of(const placed_lives *placed, const lifetime *life)
{
    uint32_t first = life->first / placed->stretch_steps;
    return first == life->last / placed->stretch_steps ? first : UINT32_MAX;
}

static void insert_placed(const placed_lives *placed, placed_list *list, uint32_t index)
{
    size_t offset = offset_of(placed, index), low = 0, high = list->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (offset_of(placed, list->indices[middle]) > offset) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    memmove(&list->indices[low + 1], &list->indices[low],
            (list->count - low) * sizeof *list->indices);
    list->indices[low] = index;
    list->count++;
}

static void note_placed(placed_lives *placed, uint32_t index)
{
    uint32_t stretch = stretch_of(placed, &placed->lives[index]);
    insert_placed(placed, &placed->all, index);
    insert_placed(placed, stretch == UINT32_MAX ? &placed->crossing : &placed->within[stretch],
                  index);
}

/* Moves *offset behind a life that stands in the way of `life` there; true: the gap before it is large enough. */
static bool pass_one(const placed_lives *placed, uint32_t index, const lifetime *life,
                     size_t *offset)
{
    const lifetime *other = &placed->lives[index];
    size_t other_offset = offset_of(placed, index);
    if (other->last < life->first || life->last < other->first) {
        return false;
    }
    if (other_offset >= *offset + life->size) {
        return true;
    }
    if (other_offset + other->size > *offset) {
        *offset = other_offset + other->size;
    }
    return false;
}

/* The lowest gap among those that are placed and alive at the same time: as the lists are in the order of offsets, one walk
 * finds the first that is large enough. */
static size_t find_gap(const placed_lives *placed, const lifetime *life)
{
    static const placed_list none = {NULL, 0};
    uint32_t stretch = stretch_of(placed, life);
    const placed_list *one = stretch == UINT32_MAX ? &placed->all : &placed->within[stretch];
    const placed_list *two = stretch == UINT32_MAX ? &none : &placed->crossing;
    size_t offset = 0, i = 0, k = 0;
    while (i < one->count || k < two->count) {
        bool from_one = k == two->count ||
                        (i < one->count &&
                         offset_of(placed, one->indices[i]) <= offset_of(placed, two->indices[k]));
        if (pass_one(placed, from_one ? one->indices[i++] : two->indices[k++], life, &offset)) {
            break;
        }
    }
    return offset;
}

static void sort_by_size(const lifetime *lives, uint32_t *order, size_t count)
{
    /* Largest first; of equal size the earlier first, so that the plan is the same every time. */
    for (size_t gap = count / 2; gap > 0; gap /= 2) {
        for (size_t i = gap; i < count; i++) {
            uint32_t moved = order[i];
            size_t j = i;
            while (j >= gap &&
                   (lives[order[j - gap]].size < lives[moved].size ||
                    (lives[order[j - gap]].size == lives[moved].size && order[j - gap] > moved))) {
                order[j] = order[j - gap];
                j -= gap;
            }
            order[j] = moved;
        }
    }
}

/* Room for the lists of placed_lives, in one block; false when out of memory. */
static bool start_placed(placed_lives *placed, size_t count, uint32_t step_count)
{
    const size_t stretches = step_count / placed->stretch_steps + 1;
    placed->within = hd_alloc_zero(stretches, sizeof *placed->within);
    placed->all.indices = hd_alloc_zero(3 * count, sizeof *placed->all.indices);
    if (placed->within == NULL || placed->all.indices == NULL) {
        return false;
    }
    placed->crossing.indices = placed->all.indices + count;
    for (size_t i = 0; i < count; i++) { /* how many each may have */
        uint32_t stretch = stretch_of(placed, &placed->lives[i]);
        if (stretch != UINT32_MAX) {
            placed->within[stretch].count++;
        }
    }
    uint32_t *next = placed->crossing.indices + count;
    for (size_t s = 0; s < stretches; s++) {
        placed->within[s].indices = next;
        next += placed->within[s].count;
        placed->within[s].count = 0;
    }
    return true;
}

/* Puts the largest first, each at the lowest gap. */
static bool place_by_size(hd_planner *planner, const lifetime *lives, size_t count, uint32_t *order)
{
    placed_lives placed = {.planner = planner, .lives = lives, .stretch_steps = STRETCH_STEPS};
    size_t order_count = 0;
    bool fits = start_placed(&placed, count, (uint32_t)planner->node_count + 1);
    for (uint32_t i = 0; i < count && fits; i++) {
        if (planner->tensors[lives[i].tensor].placed) {
            note_placed(&placed, i);
        } else if (lives[i].shares == HD_TENSOR_NONE) {
            order[order_count++] = i;
        }
    }
    if (fits) {
        sort_by_size(lives, order, order_count);
    }
    for (size_t i = 0; i < order_count && fits; i++) {
        planner->tensors[lives[order[i]].tensor].offset = find_gap(&placed, &lives[order[i]]);
        note_placed(&placed, order[i]);
    }
    hd_free(placed.within);
    hd_free(placed.all.indices);
    return fits;
}

/* Places in the order of the steps, in which `lives` are. */
static bool place_by_step(hd_planner *planner, const lifetime *lives, size_t count)
{
    hd_arena_span *spans = hd_alloc_zero(count, sizeof *spans);
    if (spans == NULL) {
        return false;
    }
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        const hd_plan_tensor *tensor = &planner->tensors[lives[i].tensor];
        if (lives[i].shares == HD_TENSOR_NONE) {
            spans[used++] = (hd_arena_span){.first = lives[i].first,
                                            .last = lives[i].last,
                                            .size = lives[i].size,
                                            .offset = tensor->offset,
                                            .is_fixed = tensor->placed};
        }
    }
    bool fits = hd_arena_place(spans, used, (uint32_t)planner->node_count + 1);
    used = 0;
    for (size_t i = 0; i < count && fits; i++) {
        if (lives[i].shares == HD_TENSOR_NONE) {
            planner->tensors[lives[i].tensor].offset = spans[used++].offset;
        }
    }
    hd_free(spans);
    return fits;
}

static int compare_changes(const void *a, const void *b)
{
    const hd_arena_change *first = a, *second = b;
    return first->step != second->step ? (first->step < second->step ? -1 : 1)
                                       : first->allows - second->allows;
}

/* What AddressSanitizer is told while the steps run. A tensor that lies in place of others leaves it to the first. */
static bool list_changes(hd_planner *planner, hd_plan *plan, const lifetime *lives, size_t count)
{
    hd_recipe *recipe = &plan->recipe;
    recipe->changes = hd_region_array(planner->region, 2 * count, sizeof *recipe->changes);
    for (size_t i = 0; i < count && recipe->changes != NULL; i++) {
        const hd_plan_tensor *tensor = &planner->tensors[lives[i].tensor];
        hd_arena_change change = {lives[i].first == 0 ? 0 : lives[i].first - 1, true,
                                  tensor->offset, hd_plan_tensor_size(tensor)};
        if (lives[i].shares != HD_TENSOR_NONE || lives[i].last == 0) {
            continue;
        }
        recipe->changes[recipe->change_count++] = change;
        if (lives[i].last != STEP_END) {
            change.step = lives[i].last; /* the one behind, as steps count from 1 here */
            change.allows = false;
            recipe->changes[recipe->change_count++] = change;
        }
    }
    if (recipe->change_count > 0) {
        qsort(recipe->changes, recipe->change_count, sizeof *recipe->changes, compare_changes);
    }
    return recipe->changes != NULL;
}

hd_status hd_planner_plan_memory(hd_planner *planner, hd_plan *plan, hd_memory_place place)
{
    size_t total = planner->tensor_count, count = 0;
    lifetime *lives = hd_alloc_zero(total, sizeof *lives);
    uint32_t *index_of = hd_alloc_zero(2 * total, sizeof *index_of);
    hd_status status = HD_OK;
    if (lives == NULL || index_of == NULL) {
        status = HD_OUT_OF_MEMORY;
        goto done;
    }
    find_lifetimes(planner, place, lives, &count, index_of);
    share_in_place(planner, plan, lives, index_of);
    if (!(count <= COMPARED_LIMIT ? place_by_size(planner, lives, count, index_of + total)
                                  : place_by_step(planner, lives, count))) {
        status = HD_OUT_OF_MEMORY;
        goto done;
    }
    for (size_t i = 0; i < count; i++) {
        hd_plan_tensor *tensor = &planner->tensors[lives[i].tensor];
        if (lives[i].shares != HD_TENSOR_NONE) {
            tensor->offset = planner->tensors[lives[i].shares].offset;
        }
        tensor->placed = true;
        size_t end = tensor->offset + lives[i].size;
        planner->arena_sizes[place] =
            end > planner->arena_sizes[place] ? end : planner->arena_sizes[place];
    }
    /* With parts the steps are several lists over one arena; their blocks have lists and changes of their own. */
    if (HD_MEMORY_GAP > 0 && plan->part_count == 0 && planner->model->device->unit->is_host &&
        !list_changes(planner, plan, lives, count)) {
        status = HD_OUT_OF_MEMORY;
    }
done:
    hd_free(lives);
    hd_free(index_of);
    return status == HD_OK ? HD_OK : hd_fail(planner->error, status, "no memory for a plan");
}

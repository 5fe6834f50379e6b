/* Scenarios of the list of batch kinds: requests of one kind find one kind, and a complete one; a kind that the
 * list had no room for is its request's own. What is read of a kind is written without atomics, so a kind
 * that is seen before it is complete is a data race. */
#include "graph/batch_kind.h"

#include "../scenario.h"
#include "graph/rows.h"

static uint32_t refusals; /* proofs that find no memory */

hd_status hd_model_prove_rows(const hd_model *model, const hd_shape *row_shapes, const bool *wanted,
                              int64_t count, hd_error *error)
{
    (void)model, (void)row_shapes, (void)wanted, (void)error;
    if (refusals > 0) {
        refusals--;
        return HD_OUT_OF_MEMORY;
    }
    return count == 2 ? HD_OK : HD_UNSUPPORTED;
}

typedef struct kind_state {
    hd_batch_kinds kinds;
    hd_block root;
    hd_graph graph;
    hd_model model;
    hd_batch_kind *found[3];
} kind_state;

typedef struct kind_caller {
    kind_state *state;
    uint32_t number;
    int64_t width; /* of its request */
} kind_caller;

static kind_state *kinds_open(void)
{
    kind_state *state = hd_alloc_zero(1, sizeof *state);
    state->root.input_count = 1;
    state->root.output_count = 1;
    state->graph.root = &state->root;
    state->model.graph = &state->graph;
    state->kinds.max_rows = 2;
    trace_name(&state->kinds, sizeof state->kinds, "kinds");
    return state;
}

static void kinds_end(kind_state *state)
{
    uint32_t listed = hd_load_relaxed(&state->kinds.count);
    scenario_require("FLAT.kinds", listed <= HD_BATCH_KIND_LIMIT + 1);
    hd_batch_kinds_clear(&state->kinds);
    hd_free(state);
}

static void find_kind(void *argument)
{
    kind_caller *caller = argument;
    kind_state *state = caller->state;
    hd_tensor input = {.dtype = HD_FLOAT32, .rank = 2, .dims = {3, caller->width}},
              output = {.rank = 0};
    const hd_tensor *inputs[] = {&input};
    hd_tensor *outputs[] = {&output};
    hd_batch_kind *kind = hd_batch_kinds_get(&state->kinds, &state->model, inputs, outputs);
    scenario_require("SAFE.kind", kind != NULL && kind->row_shapes[0].dims[0] == 1 &&
                                      kind->row_shapes[0].dims[1] == caller->width &&
                                      kind->wanted[0]);
    scenario_require("SAFE.proof", hd_batch_kind_prove(kind, &state->model, 2, NULL) == HD_OK);
    state->found[caller->number] = kind->is_listed ? kind : NULL;
    if (!kind->is_listed) {
        hd_batch_kind_drop(kind);
    }
}

static void run_callers(kind_state *state, uint32_t count, const int64_t *widths)
{
    kind_caller callers[3];
    hd_thread threads[3];
    for (uint32_t i = 0; i < count; i++) {
        callers[i] = (kind_caller){state, i, widths[i]};
        scenario_start(&threads[i], "caller", find_kind, &callers[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        hd_thread_join(&threads[i]);
    }
}

static void two_of_a_kind(void)
{
    kind_state *state = kinds_open();
    run_callers(state, 2, (const int64_t[]){5, 5});
    scenario_require("ONCE.one-kind",
                     state->found[0] != NULL && state->found[0] == state->found[1]);
    scenario_require("ONCE.counted-once", hd_load_relaxed(&state->kinds.count) == 1);
    kinds_end(state);
}

static void two_kinds(void)
{
    kind_state *state = kinds_open();
    run_callers(state, 2, (const int64_t[]){5, 6});
    scenario_require("SAFE.two-kinds", state->found[0] != state->found[1]);
    kinds_end(state);
}

/* The list has room for two. */
static void three_kinds(void)
{
    kind_state *state = kinds_open();
    run_callers(state, 3, (const int64_t[]){5, 6, 7});
    kinds_end(state);
}

/* What says nothing of the rows is asked again; what is known of them stays. */
static void proof_without_memory(void)
{
    kind_state *state = kinds_open();
    run_callers(state, 1, (const int64_t[]){5});
    hd_batch_kind *kind = state->found[0];
    hd_store_relaxed(&kind->proofs[2], 0);
    refusals = 1;
    scenario_require("STATUS.proof",
                     hd_batch_kind_prove(kind, &state->model, 2, NULL) == HD_OUT_OF_MEMORY);
    for (int i = 0; i < 2; i++) {
        scenario_require("STATUS.proof",
                         hd_batch_kind_prove(kind, &state->model, 2, NULL) == HD_OK);
        scenario_require("STATUS.proof",
                         hd_batch_kind_prove(kind, &state->model, 3, NULL) == HD_UNSUPPORTED);
        refusals = 1; /* of which nobody is told: both are known */
    }
    scenario_require("STATUS.proof", refusals == 1);
    refusals = 0;
    kinds_end(state);
}

const scenario scenarios_batch_kind[] = {
    {.name = "kind.proof-without-memory", .run = proof_without_memory},
    {.name = "kind.two-of-a-kind", .run = two_of_a_kind},
    {.name = "kind.two-kinds", .run = two_kinds},
    {.name = "kind.three-kinds", .run = three_kinds, .preemptions = 2, .old_loads = 1},
    {.name = NULL},
};

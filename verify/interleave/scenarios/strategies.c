/* Scenarios of the five strategies: over all schedules the first two never overlap, and the others do in some
 * schedule. Both are checked: the outcomes of a scenario are exactly those that its row names. */
#include "../strategies/strategies.h"

#include "../scenario.h"

enum { OUTCOME_APART, OUTCOME_OVERLAP };
#define ONLY_APART         (UINT64_C(1) << OUTCOME_APART)
#define SOMETIMES_OVERLAPS (ONLY_APART | UINT64_C(1) << OUTCOME_OVERLAP)

typedef struct strategy_caller {
    strategy *strategy;
    uint32_t number; /* of its stream, and of the kind of its operations */
} strategy_caller;

static void submit_operation(void *argument)
{
    strategy_caller *caller = argument;
    strategy_submit(caller->strategy, caller->number, caller->number);
}

static void run_strategy(strategy_kind kind)
{
    strategy *shared = hd_alloc_zero(1, sizeof *shared);
    strategy_init(shared, kind);
    trace_name(shared, sizeof *shared, "strategy");
    strategy_caller callers[STRATEGY_STREAMS];
    hd_thread threads[STRATEGY_STREAMS];
    for (uint32_t i = 0; i < STRATEGY_STREAMS; i++) {
        callers[i] = (strategy_caller){shared, i};
        scenario_start(&threads[i], "caller", submit_operation, &callers[i]);
    }
    for (uint32_t i = 0; i < STRATEGY_STREAMS; i++) {
        hd_thread_join(&threads[i]);
    }
    scenario_outcome(strategy_overlapped(shared) ? OUTCOME_OVERLAP : OUTCOME_APART);
    strategy_destroy(shared);
    hd_free(shared);
}

static void global(void)
{
    run_strategy(STRATEGY_GLOBAL);
}

static void per_encoder(void)
{
    run_strategy(STRATEGY_PER_ENCODER);
}

static void per_stream(void)
{
    run_strategy(STRATEGY_PER_STREAM);
}

static void per_op(void)
{
    run_strategy(STRATEGY_PER_OP);
}

static void rw(void)
{
    run_strategy(STRATEGY_RW);
}

const scenario scenarios_strategies[] = {
    {.name = "strategy.global", .run = global, .outcomes = ONLY_APART},
    {.name = "strategy.weak-per-encoder", .run = per_encoder, .outcomes = ONLY_APART, .weak = true},
    {.name = "strategy.per-encoder", .run = per_encoder, .outcomes = ONLY_APART},
    {.name = "strategy.per-stream", .run = per_stream, .outcomes = SOMETIMES_OVERLAPS},
    {.name = "strategy.per-op", .run = per_op, .outcomes = SOMETIMES_OVERLAPS},
    {.name = "strategy.rw", .run = rw, .outcomes = SOMETIMES_OVERLAPS},
    {.name = NULL},
};

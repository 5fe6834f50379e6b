#include "graph/budget.h"

#include <math.h>

#include "base/memory.h"

/* What model.h documents at work_limit and run_memory_limit. */
#define WORK          536870912.0 /* half a second of one core */
#define WORK_A_BYTE   4096.0
#define WORK_SQUARE   64.0 /* bytes squared a step */
#define MEMORY        ((uint64_t)96 << 20)
#define MEMORY_A_BYTE 256

hd_budget hd_budget_of(const hd_model_options *options, uint64_t brought)
{
    double bytes = (double)brought;
    hd_budget budget = {.work = options->work_limit == UINT64_MAX ? INFINITY
                                                                  : (double)options->work_limit,
                        .memory = options->run_memory_limit};
    if (options->work_limit == 0) {
        budget.work = WORK + WORK_A_BYTE * bytes + bytes * bytes / WORK_SQUARE;
    }
    if (options->run_memory_limit == 0) {
        budget.memory = brought > (UINT64_MAX - MEMORY) / MEMORY_A_BYTE
                            ? UINT64_MAX
                            : MEMORY + MEMORY_A_BYTE * brought;
    }
    budget.plans = budget.memory > UINT64_MAX / 2 ? UINT64_MAX : 2 * budget.memory;
    return budget;
}

uint64_t hd_budget_of_load(const hd_model_options *options)
{
    uint64_t given =
        options->run_memory_limit > UINT64_MAX / 2 ? UINT64_MAX : 2 * options->run_memory_limit;
    return given > 2 * MEMORY ? given : 2 * MEMORY;
}

void hd_budget_bring(uint64_t bytes)
{
    hd_memory_scope_allow(
        bytes > UINT64_MAX / HD_BUDGET_LOAD_A_BYTE ? UINT64_MAX : HD_BUDGET_LOAD_A_BYTE * bytes);
}

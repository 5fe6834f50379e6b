/* Scenarios of the memory account: what is counted never passes the limit and adds up. */
#include "runtime/memory_account.h"

#include "../scenario.h"

typedef struct account_state {
    hd_memory_account account;
    _Atomic uint32_t taken; /* how many takes succeeded */
} account_state;

static void check_limit(account_state *state)
{
    scenario_require("FLAT.limit", hd_load_relaxed(&state->account.total) <= state->account.limit);
}

static void take_once(void *argument)
{
    account_state *state = argument;
    if (hd_memory_account_take(&state->account, HD_MEMORY_ARENAS, 60)) {
        hd_add_relaxed(&state->taken, 1);
    }
    check_limit(state);
}

static void take_and_give(void *argument)
{
    account_state *state = argument;
    if (hd_memory_account_take(&state->account, HD_MEMORY_PLANS, 50)) {
        check_limit(state);
        hd_memory_account_give(&state->account, HD_MEMORY_PLANS, 50);
    }
}

static void run_account(uint32_t count, void (*const *runs)(void *), uint32_t fewest, uint32_t most)
{
    account_state *state = hd_alloc_zero(1, sizeof *state);
    trace_name(state, sizeof *state, "account");
    state->account.limit = 100;
    hd_thread threads[3];
    for (uint32_t i = 0; i < count; i++) {
        scenario_start(&threads[i], "taker", runs[i], state);
    }
    for (uint32_t i = 0; i < count; i++) {
        hd_thread_join(&threads[i]);
    }
    uint32_t taken = hd_load_relaxed(&state->taken);
    scenario_require("FLAT.taken", taken >= fewest && taken <= most);
    scenario_require("FLAT.total", hd_load_relaxed(&state->account.total) == UINT64_C(60) * taken);
    scenario_require("FLAT.kinds",
                     hd_load_relaxed(&state->account.kinds[HD_MEMORY_ARENAS]) ==
                             UINT64_C(60) * taken &&
                         hd_load_relaxed(&state->account.kinds[HD_MEMORY_PLANS]) == 0);
    hd_free(state);
}

static void two_takes(void)
{
    run_account(2, (void (*const[])(void *)){take_once, take_once}, 1, 1);
}

static void take_against_give(void)
{
    run_account(2, (void (*const[])(void *)){take_once, take_and_give}, 0, 1);
}

static void three_takes(void)
{
    run_account(3, (void (*const[])(void *)){take_once, take_and_give, take_once}, 0, 1);
}

/* There is room for what one takes beside the other: nobody is refused. */
static void take_little(void *argument)
{
    account_state *state = argument;
    scenario_require("FLAT.room", hd_memory_account_take(&state->account, HD_MEMORY_PLANS, 20));
    hd_memory_account_give(&state->account, HD_MEMORY_PLANS, 20);
}

static void room_for_both(void)
{
    run_account(2, (void (*const[])(void *)){take_once, take_little}, 1, 1);
}

const scenario scenarios_memory_account[] = {
    {.name = "account.weak-room-for-both", .run = room_for_both, .weak = true},
    {.name = "account.two-takes", .run = two_takes},
    {.name = "account.weak-take-against-give", .run = take_against_give, .weak = true},
    {.name = "account.take-against-give", .run = take_against_give},
    {.name = "account.three-takes", .run = three_takes},
    {.name = NULL},
};

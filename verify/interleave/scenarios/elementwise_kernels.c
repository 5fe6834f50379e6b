/* Scenarios of the kernels that a CUDA driver has compiled for elementwise programs: whoever asks for a program gets the one
 * kernel that stays, and none is left over. The driver is made up here. */
#include "hal/cuda/elementwise_kernels.h"

#include <string.h>

#include "../scenario.h"

static _Atomic uint32_t living; /* modules */

static CUresult load(CUmodule *module, const void *text)
{
    (void)text;
    *module = hd_alloc_zero(1, 1);
    hd_add_relaxed(&living, 1);
    return CUDA_SUCCESS;
}

static CUresult get_function(CUfunction *function, CUmodule module, const char *name)
{
    (void)name;
    *function = (CUfunction)(void *)module;
    return CUDA_SUCCESS;
}

static CUresult unload(CUmodule module)
{
    hd_sub_relaxed(&living, 1);
    hd_free(module);
    return CUDA_SUCCESS;
}

bool hd_cuda_is_lost(void)
{
    return false;
}

hd_status hd_cuda_enter(const hd_cuda_unit *unit)
{
    (void)unit;
    return HD_OK;
}

hd_status hd_cuda_status(CUresult result)
{
    return result == CUDA_SUCCESS ? HD_OK : HD_LOST;
}

char *hd_cuda_elementwise_text(const hd_cuda_pattern *pattern, int capability)
{
    (void)pattern, (void)capability;
    return hd_alloc_zero(1, 1);
}

typedef struct kernels_state {
    hd_cuda_driver driver;
    hd_cuda_unit unit;
} kernels_state;

typedef struct asker {
    kernels_state *state;
    unsigned char program; /* what it asks for */
    CUfunction found;
} asker;

static void ask(void *argument)
{
    asker *self = argument;
    hd_cuda_pattern pattern = {.elements = self->program};
    scenario_require("STATUS.kernel", hd_cuda_elementwise_kernel(&self->state->unit, &pattern,
                                                                 &self->found) == HD_OK);
    scenario_require("STATUS.kernel", self->found != NULL);
}

static void run_kernels(uint32_t count, const unsigned char *programs, uint32_t different)
{
    kernels_state *state = hd_alloc_zero(1, sizeof *state);
    trace_name(state, sizeof *state, "kernels");
    state->driver.cuModuleLoadData = load;
    state->driver.cuModuleGetFunction = get_function;
    state->driver.cuModuleUnload = unload;
    state->unit.driver = &state->driver;
    hd_store_relaxed(&living, 0);
    scenario_require("STATUS.kernels",
                     hd_cuda_elementwise_kernels_create(&state->unit.elementwise) == HD_OK);
    hd_thread threads[3];
    asker askers[3];
    for (uint32_t i = 0; i < count; i++) {
        askers[i] = (asker){state, programs[i], NULL};
        scenario_start(&threads[i], "asker", ask, &askers[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        hd_thread_join(&threads[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            scenario_require("ONCE.kernel",
                             (askers[i].found == askers[j].found) == (programs[i] == programs[j]));
        }
        asker again = {state, programs[i], NULL};
        ask(&again);
        scenario_require("ONCE.kernel", again.found == askers[i].found);
    }
    scenario_require("FLAT.kernels", hd_load_relaxed(&living) == different);
    hd_cuda_elementwise_kernels_destroy(&state->unit, &state->unit.elementwise);
    scenario_require("FLAT.kernels", hd_load_relaxed(&living) == 0);
    hd_free(state);
}

static void two_of_a_program(void)
{
    run_kernels(2, (const unsigned char[]){1, 1}, 1);
}

static void two_programs(void)
{
    run_kernels(2, (const unsigned char[]){1, 2}, 2);
}

static void three_of_two_programs(void)
{
    run_kernels(3, (const unsigned char[]){1, 2, 1}, 2);
}

const scenario scenarios_elementwise_kernels[] = {
    {.name = "kernels.two-of-a-program", .run = two_of_a_program},
    {.name = "kernels.two-programs", .run = two_programs},
    {.name = "kernels.three-of-two-programs", .run = three_of_two_programs},
    {.name = NULL},
};

/* The simulated device's lists. */
#include "base/memory.h"
#include "hal/sim/unit.h"

static hd_status record(hd_unit *unit, const hd_recipe *recipe, const hd_list_memory *memory,
                        hd_command_list **out_list)
{
    *out_list = NULL;
    if (hd_sim_is_lost(unit)) {
        return HD_LOST;
    }
    hd_sim_list *self = hd_alloc_zero(1, sizeof *self);
    if (self == NULL || hd_cpu_command_list_create(recipe, memory, &self->list) != HD_OK) {
        hd_free(self);
        return HD_OUT_OF_MEMORY;
    }
    for (size_t i = 0; i < recipe->reference_total; i++) {
        self->list->buffers[i] = hd_sim_host(self->list->buffers[i]);
    }
    *out_list = (hd_command_list *)self;
    return HD_OK;
}

static void destroy(hd_unit *unit, hd_command_list **list)
{
    (void)unit;
    hd_sim_list *self = (hd_sim_list *)*list;
    if (self != NULL) {
        if (hd_exchange_acq_rel(&self->used, true)) {
            hd_add_relaxed(&hd_sim.list_overlaps, 1);
        }
        hd_cpu_command_list_destroy(&self->list);
        hd_free(self);
        *list = NULL;
    }
}

const hd_list_table hd_sim_lists = {record, destroy};

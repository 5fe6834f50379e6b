/* The simulated device's memory. */
#include <string.h>

#include "base/memory.h"
#include "hal/sim/unit.h"

#define FRESH 0xFF /* as floats not a number, as integers -1 */
#define FREED 0xD5

static void *create(hd_unit *unit, hd_memory_place place, size_t size)
{
    uint64_t number = hd_add_relaxed(&hd_sim.allocations, 1) + 1;
    uint64_t first = hd_sim.options.failing_allocation, count = hd_sim.options.failing_count;
    if (hd_sim_is_lost(unit) ||
        (first != 0 && number >= first && number - first < (count == 0 ? 1 : count))) {
        return NULL;
    }
    unsigned char *memory = hd_pages_alloc(size);
    if (memory == NULL) {
        return NULL;
    }
    hd_add_relaxed(&hd_sim.live_allocations, 1);
    memset(memory, FRESH, size);
    return place == HD_PLACE_HOST ? memory : (void *)((uintptr_t)memory | (uintptr_t)1 << 63);
}

static void destroy(hd_unit *unit, hd_memory_place place, void *memory, size_t size)
{
    (void)unit, (void)place;
    if (memory != NULL) {
        memset(hd_sim_host(memory), FREED, size);
        hd_pages_free(hd_sim_host(memory), size);
        hd_sub_relaxed(&hd_sim.live_allocations, 1);
    }
}

static hd_status copy(hd_unit *unit, void *to, const void *from, size_t size)
{
    if (hd_sim_is_lost(unit)) {
        return HD_LOST;
    }
    if (size > 0) {
        memcpy(hd_sim_host(to), hd_sim_host(from), size);
    }
    return HD_OK;
}

const hd_memory_table hd_sim_memory = {create, destroy, copy};

/* The row of the simulated device, and what tests set. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "hal/sim/unit.h"

static const hd_sim_options defaults = {.seed = 1, .delay_microseconds = 20};

hd_sim_state hd_sim = {.options = {.seed = 1, .delay_microseconds = 20}};

void hd_sim_configure(const hd_sim_options *options)
{
    hd_sim.options = options == NULL ? defaults : *options;
    hd_store_relaxed(&hd_sim.submissions, 0);
    hd_store_relaxed(&hd_sim.allocations, 0);
    hd_store_relaxed(&hd_sim.queue_overlaps, 0);
    hd_store_relaxed(&hd_sim.list_overlaps, 0);
    hd_store_relaxed(&hd_sim.stalled, false);
}

hd_sim_counts hd_sim_count(void)
{
    return (hd_sim_counts){.submissions = hd_load_relaxed(&hd_sim.submissions),
                           .allocations = hd_load_relaxed(&hd_sim.allocations),
                           .live_allocations = hd_load_relaxed(&hd_sim.live_allocations),
                           .queue_overlaps = hd_load_relaxed(&hd_sim.queue_overlaps),
                           .list_overlaps = hd_load_relaxed(&hd_sim.list_overlaps)};
}

void hd_sim_stall(bool stalled)
{
    hd_store_relaxed(&hd_sim.stalled, stalled);
}

void hd_sim_lose(void)
{
    hd_add_relaxed(&hd_sim.losses, 1);
}

bool hd_sim_is_lost(const hd_unit *unit)
{
    const hd_sim_unit *self = (const hd_sim_unit *)unit;
    return hd_load_relaxed(&self->lost) || hd_load_relaxed(&hd_sim.losses) != self->losses_at_open;
}

/* A hash of seed and number: SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014). */
static uint64_t mix(uint64_t number)
{
    uint64_t z = number + UINT64_C(0x9e3779b97f4a7c15) * (hd_sim.options.seed + UINT64_C(1));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint32_t hd_sim_random(uint32_t limit)
{
    static _Atomic uint64_t calls;
    return limit == 0 ? 0 : (uint32_t)(mix(hd_add_relaxed(&calls, 1)) % limit);
}

bool hd_sim_refuses(const hd_unit *unit, hd_operator_id id)
{
    uint32_t permille = hd_sim.options.refused_permille;
    if (((const hd_sim_unit *)unit)->ordinal == 1 && permille < 300) {
        permille = 300;
    }
    for (size_t i = 0; i < HD_SIM_REFUSED_MAX; i++) {
        if (hd_sim.options.refused[i] != HD_OP_NONE && hd_sim.options.refused[i] == id) {
            return true;
        }
    }
    return !hd_operator_is_internal(id) && mix(id + UINT64_C(1000)) % 1000 < permille;
}

static uint32_t count(void)
{
    return HD_SIM_COUNT;
}

static void describe(uint32_t ordinal, hd_device_info *info)
{
    *info = (hd_device_info){.kind = HD_DEVICE_SIM,
                             .core_count = 1,
                             .queue_count = HD_SIM_QUEUES,
                             .memory_bytes = UINT64_C(8) << 30};
    snprintf(info->name, sizeof info->name, "sim:%u", ordinal);
    snprintf(info->description, sizeof info->description, "simulated device");
    snprintf(info->driver, sizeof info->driver, "sim");
}

static hd_status open_unit(uint32_t ordinal, const hd_unit_options *options, hd_unit **out_unit,
                           hd_error *error)
{
    hd_sim_unit *self = hd_alloc_zero(1, sizeof *self);
    if (self == NULL) {
        return hd_fail(error, HD_OUT_OF_MEMORY, "no memory for a device");
    }
    self->unit = (hd_unit){.backend = &hd_backend_sim,
                           .queue_count = HD_SIM_QUEUES,
                           .scratch_count = 1,
                           .half = options->half};
    self->ordinal = ordinal;
    self->losses_at_open = hd_load_relaxed(&hd_sim.losses);
    *out_unit = &self->unit;
    return HD_OK;
}

static void close_unit(hd_unit **unit)
{
    hd_free(*unit);
    *unit = NULL;
}

const hd_backend hd_backend_sim = {.name = "sim",
                                   .kind = HD_DEVICE_SIM,
                                   .count = count,
                                   .describe = describe,
                                   .open = open_unit,
                                   .close = close_unit,
                                   .lost = hd_sim_is_lost,
                                   .memory = &hd_sim_memory,
                                   .compile = &hd_sim_compile,
                                   .lists = &hd_sim_lists,
                                   .queues = &hd_sim_queues};

/* The simulated device, inside. */
#ifndef HD_HAL_SIM_UNIT_H
#define HD_HAL_SIM_UNIT_H

#include "base/atomic.h"
#include "base/mutex.h"
#include "hal/cpu/command_list.h"
#include "hal/sim/sim.h"

#define HD_SIM_QUEUES HD_STREAM_COUNT

/* What tests have set, and what is counted; the process's. */
typedef struct hd_sim_state {
    hd_sim_options options; /* constant while units are open */
    _Atomic uint64_t submissions;
    _Atomic uint64_t allocations;
    _Atomic uint64_t live_allocations;
    _Atomic uint64_t queue_overlaps;
    _Atomic uint64_t list_overlaps;
    _Atomic bool stalled;
    _Atomic uint32_t losses; /* a unit that was opened at another number is lost */
} hd_sim_state;

extern hd_sim_state hd_sim;

typedef struct hd_sim_unit {
    hd_unit unit;            /* first */
    uint32_t ordinal;        /* constant */
    uint32_t losses_at_open; /* constant */
    _Atomic bool lost;
} hd_sim_unit;

/* A list: the CPU's, over memory without tags. */
typedef struct hd_sim_list {
    hd_cpu_command_list *list;
    _Atomic bool used; /* somebody submits or drops it */
} hd_sim_list;

/* The address that the host would see. */
static inline void *hd_sim_host(const void *address)
{
    return (void *)((uintptr_t)address & ~((uintptr_t)1 << 63));
}

bool hd_sim_is_lost(const hd_unit *unit);
/* Whether the unit refuses an operator. */
bool hd_sim_refuses(const hd_unit *unit, hd_operator_id id);
/* A number from 0 up to `limit` - 1, another one each call. */
uint32_t hd_sim_random(uint32_t limit);

/* Halves (half.c). The operation has some that stand for float32; has them be that. */
bool hd_sim_has_halves(const hd_unit *unit, const hd_operation *operation);
void hd_sim_widen(hd_operation *operation);
/* HD_INTERNAL: the operation's halves are not those that hd_sim_half_use says of the widened one. */
HD_MUST_CHECK hd_status hd_sim_check_halves(const hd_unit *unit, const hd_operation *operation,
                                            const hd_operation *widened, hd_error *error);
/* Has a kernel of the widened operation take the operation's halves; `extents`: buffers behind its operands'.
 * HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_sim_wrap_halves(const hd_operation *operation, size_t extents,
                                           hd_region *region, hd_kernel *kernel, hd_error *error);
hd_half_use hd_sim_half_use(const hd_unit *unit, const hd_operation *operation);

extern const hd_memory_table hd_sim_memory;
extern const hd_compile_table hd_sim_compile;
extern const hd_list_table hd_sim_lists;
extern const hd_queue_table hd_sim_queues;

#endif

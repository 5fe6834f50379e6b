/* Command list: the kernels of a plan with every pointer in place, for one lane. It is recorded once
 * and replayed: a run only changes the pointers to the caller's inputs and outputs (its binding slots).
 *
 * Thread-safety: a command list belongs to the owner of its lane. */
#ifndef HD_HAL_CPU_COMMAND_LIST_H
#define HD_HAL_CPU_COMMAND_LIST_H

#include <stdbool.h>

#include "base/memory.h"
#include "base/status.h"
#include "hal/backend.h"

typedef struct hd_cpu_binding_slot {
    uint32_t position; /* in buffers */
    uint32_t index;    /* of the caller's inputs or outputs */
} hd_cpu_binding_slot;

typedef struct hd_cpu_command_list {
    const hd_recipe *recipe;
    unsigned char *arena;
    size_t input_slot_count;
    size_t output_slot_count;
    hd_cpu_binding_slot *input_slots;
    hd_cpu_binding_slot *output_slots;
    void **buffers; /* one a reference of the recipe */
} hd_cpu_command_list;

/* Records a recipe over memory. The recipe and the memory outlive the list's use. HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_cpu_command_list_create(const hd_recipe *recipe,
                                                   const hd_list_memory *memory,
                                                   hd_cpu_command_list **out_list);
void hd_cpu_command_list_destroy(hd_cpu_command_list **list);

/* Points the list's slots at the caller's memory for the next replay. */
void hd_cpu_command_list_bind(hd_cpu_command_list *list, void *const *inputs, void *const *outputs);

/* In builds with AddressSanitizer, nothing in others: who replays the list says that step `step` is next (step_count:
 * that the last is done), and from then on only what lives may be touched of the arena, and only the step's scratch of
 * `pieces` of `stride` bytes. *change is 0 in front of the first step, and the list's own from there on. */
void hd_cpu_command_list_guard(const hd_cpu_command_list *list, size_t step, size_t *change,
                               unsigned char *scratch, size_t stride, uint32_t pieces);
static inline void hd_cpu_command_list_enter(const hd_cpu_command_list *list, size_t step,
                                             size_t *change, unsigned char *scratch, size_t stride,
                                             uint32_t pieces)
{
    if (HD_MEMORY_GAP > 0) {
        hd_cpu_command_list_guard(list, step, change, scratch, stride, pieces);
    }
}

#endif

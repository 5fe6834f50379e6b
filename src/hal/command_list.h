/* Command list: the kernels of a plan with every pointer in place, for one lane. It is recorded once
 * and replayed: a run only changes the pointers to the caller's inputs and outputs (its binding slots).
 *
 * Thread-safety: a recipe is immutable; a command list belongs to the owner of its lane. */
#ifndef HD_HAL_COMMAND_LIST_H
#define HD_HAL_COMMAND_LIST_H

#include <stdbool.h>

#include "base/memory.h"
#include "base/status.h"
#include "hal/kernel.h"

/* Where an operand's memory comes from. */
typedef enum hd_space {
    HD_SPACE_NONE,     /* left out: a NULL pointer */
    HD_SPACE_CONSTANT, /* memory of the model or of the plan */
    HD_SPACE_ARENA,    /* the lane's arena */
    HD_SPACE_INPUT,    /* the caller's input `index` */
    HD_SPACE_OUTPUT    /* the caller's output `index` */
} hd_space;

typedef struct hd_reference {
    hd_space space;
    uint32_t index;       /* INPUT, OUTPUT */
    size_t offset;        /* ARENA: bytes from its start */
    const void *constant; /* CONSTANT */
} hd_reference;

typedef struct hd_step {
    hd_kernel kernel;
    uint32_t first_reference; /* inputs, outputs, extents, as hd_kernel_run takes them */
    uint32_t reference_count;
    const char *type; /* of the operation, for profiles */
    const char *name;
} hd_step;

/* From step `step` on memory of the arena must not be touched, or may be again: what lies there died, or begins to
 * live. */
typedef struct hd_arena_change {
    uint32_t step;
    bool allows;
    size_t offset; /* bytes */
    size_t size;
} hd_arena_change;

/* What to record. */
typedef struct hd_recipe {
    hd_step *steps;
    size_t step_count;
    hd_reference *references;
    size_t reference_total;
    size_t arena_size;   /* bytes */
    size_t scratch_size; /* bytes per thread, a multiple of a cache line */
    bool parallel;       /* some step has more than one tile */
    hd_arena_change *changes; /* by step, what dies first; NULL: nobody watches the arena */
    size_t change_count;
} hd_recipe;

typedef struct hd_binding_slot {
    uint32_t position; /* in buffers */
    uint32_t index;    /* of the caller's inputs or outputs */
} hd_binding_slot;

typedef struct hd_command_list {
    const hd_recipe *recipe;
    uint64_t arena_generation; /* the arena whose pointers it holds */
    unsigned char *arena;
    size_t input_slot_count;
    size_t output_slot_count;
    hd_binding_slot *input_slots;
    hd_binding_slot *output_slots;
    void **buffers; /* one a reference of the recipe */
} hd_command_list;

/* Records a recipe over an arena. The recipe and the arena outlive the list's use. HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_command_list_create(const hd_recipe *recipe, unsigned char *arena,
                                               uint64_t arena_generation, hd_command_list **out_list);
void hd_command_list_destroy(hd_command_list **list);

/* Points the list's slots at the caller's memory for the next replay. */
void hd_command_list_bind(hd_command_list *list, void *const *inputs, void *const *outputs);

/* In builds with AddressSanitizer, nothing in others: who replays the list says that step `step` is next (step_count:
 * that the last is done), and from then on only what lives may be touched of the arena, and only the step's scratch of
 * `pieces` of `stride` bytes. *change is 0 in front of the first step, and the list's own from there on. */
void hd_command_list_guard(const hd_command_list *list, size_t step, size_t *change, unsigned char *scratch, size_t stride,
                           uint32_t pieces);
static inline void hd_command_list_enter(const hd_command_list *list, size_t step, size_t *change, unsigned char *scratch,
                                         size_t stride, uint32_t pieces)
{
    if (HD_MEMORY_GAP > 0) {
        hd_command_list_guard(list, step, change, scratch, stride, pieces);
    }
}

/* The memory that a reference means; inputs and outputs as hd_command_list_bind takes them. */
void *hd_reference_resolve(const hd_reference *reference, unsigned char *arena, void *const *inputs,
                           void *const *outputs);

#endif

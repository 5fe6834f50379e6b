/* Recipe: what a command list is recorded from: the kernels of a stretch of a plan in their order, and where each
 * operand lies.
 *
 * Thread-safety: immutable once made. */
#ifndef HD_HAL_RECIPE_H
#define HD_HAL_RECIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hal/kernel.h"

/* Where an operand's memory comes from. */
typedef enum hd_space {
    HD_SPACE_NONE,     /* left out: a NULL pointer */
    HD_SPACE_CONSTANT, /* memory of the model or of the plan */
    HD_SPACE_ARENA,    /* the lane's arena, of place DEVICE */
    HD_SPACE_HOST,     /* its arena of place HOST */
    HD_SPACE_INPUT,    /* the caller's input `index` */
    HD_SPACE_OUTPUT    /* the caller's output `index` */
} hd_space;

/* What references point into. */
typedef struct hd_list_memory {
    unsigned char *arena; /* of place DEVICE */
    unsigned char *host;  /* of place HOST */
} hd_list_memory;

typedef struct hd_reference {
    hd_space space;
    uint32_t index;       /* INPUT, OUTPUT */
    size_t offset;        /* ARENA, HOST: bytes from its start */
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
    size_t arena_size;        /* bytes */
    size_t scratch_size;      /* bytes per thread, a multiple of a cache line */
    bool parallel;            /* some step has more than one tile */
    hd_arena_change *changes; /* by step, what dies first; NULL: nobody watches the arena */
    size_t change_count;
} hd_recipe;

/* The memory that a reference means; inputs and outputs: what the caller has bound. */
void *hd_reference_resolve(const hd_reference *reference, const hd_list_memory *memory,
                           void *const *inputs, void *const *outputs);

#endif

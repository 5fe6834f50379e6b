/* Plan: a graph compiled for one set of input shapes (and of the values of those inputs that shapes or
 * branches depend on): kernels in their order, where each operand lies, how large the arena is.
 *
 * A graph whose shapes depend on computed data is planned in segments: a plan ends where a value must
 * be read, and the plan that follows it is found under that value.
 *
 * Thread-safety: immutable once made, except for the reference count, `rows`, and `lists`, whose entry i belongs
 * to whoever has lane i. */
#ifndef HD_GRAPH_PLAN_H
#define HD_GRAPH_PLAN_H

#include "base/atomic.h"
#include "base/region.h"
#include "graph/graph.h"
#include "hal/backend.h"
#include "runtime/slot_pool.h"

typedef uint32_t hd_tensor_id;
#define HD_TENSOR_NONE UINT32_MAX

/* A wanted output of the model. */
typedef struct hd_plan_output {
    uint32_t index; /* of the model's outputs */
    hd_dtype dtype;
    hd_shape shape;
    size_t size;   /* bytes */
    bool known;    /* dtype and shape are known in this segment */
    bool direct;   /* a step of this segment writes it in place */
    bool is_texts; /* of the model: the run makes its block (run_outputs.c); not of a block's */
    bool
        is_packed; /* of the model, of less than 8 bits an element: the run packs it; not of a block's */
    bool on_device;      /* it is wanted in the memory of a device that is not the host */
    hd_reference source; /* last segment, not direct: copied from there when the steps are done */
} hd_plan_output;

/* Bytes to read when the steps are done, to find the plan that follows. */
typedef struct hd_plan_boundary {
    hd_reference source;
    size_t size;
} hd_plan_boundary;

/* A step that looks at indices: what it found lies at `source`. */
typedef struct hd_plan_check {
    const char *name; /* of the node that goes by the indices */
    const char *type;
    hd_tensor_id tensor;
    hd_reference source; /* in the arena */
} hd_plan_check;

/* A large constant that planning folded for a device with memory of its own, apart from the plan's region: once the device has
 * its copy, the host's is dropped where nothing on the host reads it. */
typedef struct hd_plan_fold {
    void *memory; /* NULL: dropped */
    size_t size;
    struct hd_plan_fold *next;
} hd_plan_fold;

struct hd_plan;

/* A part of a plan that runs other plans, its blocks: a Loop's body turn after turn, or one branch of an If. It
 * names no kernels, so it is the same on every device: who runs it binds pointers, reads a condition, copies.
 *
 * A block is a plan whose callers are not a model's: its inputs and outputs are these.
 *   Loop: inputs: the iteration's number, the carried values, what it reads of the outside (captured);
 *         outputs: the carried values, the scan outputs, the condition (where it is computed).
 *   If:   inputs: captured; outputs: the If's.
 * operands: where the enclosing plan has the part's inputs and outputs, in this order:
 *   Loop: the carried values at first, captured; the carried values at the end, the scan outputs, a second
 *         place for each carried value (turns write in turns here and there), memory; where the turns are
 *         noted, int64[2] for them and for the last condition, and the extents of all outputs.
 *   If:   the condition, captured of both blocks; outputs, memory.
 * memory: a block's arena, behind HD_CONTROL_HEADER bytes for what the part notes for itself. */
typedef struct hd_plan_control {
    const char *name; /* of the node */
    bool is_loop;
    struct hd_plan *blocks[2];   /* If: then, else; Loop: the body, NULL */
    size_t captured[2];          /* of each block */
    size_t carried;              /* Loop; If: 0 */
    size_t results;              /* Loop: scan outputs; If: outputs */
    const size_t *carried_sizes; /* bytes */
    const size_t *result_sizes;  /* bytes, of one turn */
    int64_t first;               /* Loop: number of the first iteration */
    int64_t limit;               /* Loop: at most so many turns */
    bool ends_early;             /* Loop: it also ends when its condition turns false */
    bool notes_turns; /* Loop: how far it came is known afterwards only, and read there */
    const hd_shape *result_shapes;  /* Loop: of one turn */
    double plan_work;               /* steps of planning the blocks (work.h) */
    double turn_work;               /* steps of a turn, or of a branch */
    const hd_reference *operands;   /* of the enclosing plan */
    void **pointers[HD_LANE_COUNT]; /* inputs and outputs of a block, of whoever has the lane */
} hd_plan_control;

#define HD_CONTROL_HEADER 128 /* the iteration's number; at HD_CACHE_LINE, the condition */

/* A command list, and the memory that it points into. */
typedef struct hd_recorded {
    hd_command_list *list;
    uint64_t generation; /* of the lane's arenas */
} hd_recorded;

/* A stretch of a plan's steps, or a part that runs blocks. */
typedef struct hd_plan_part {
    hd_recipe recipe;      /* where control is NULL */
    hd_memory_place place; /* HOST: the host computes it, for a device that does not */
    hd_plan_control *control;
    hd_recorded lists[HD_LANE_COUNT];
} hd_plan_part;

/* What is known of a plan's rows (the entries along dimension 0 of its inputs). */
enum { HD_PLAN_ROWS_UNKNOWN, HD_PLAN_ROWS_APART, HD_PLAN_ROWS_MIXED };

typedef struct hd_plan {
    _Atomic uint32_t reference_count;
    _Atomic uint32_t rows;    /* HD_PLAN_ROWS_...; found out when it is first of use */
    uint64_t serial;          /* unique in the process: part of the keys of what follows */
    struct hd_device *device; /* that it is for; whoever has the plan keeps it */
    /* what the plan folded and the device reads, in the device's memory; NULL: nothing */
    void *constants;
    size_t constants_size;
    hd_plan_fold *folds;                  /* entries in the region */
    hd_region region;                     /* everything below lies here */
    hd_recipe recipe;                     /* all steps; with parts, the steps are theirs */
    size_t arena_sizes[HD_PLACE_COUNT];   /* bytes */
    size_t scratch_sizes[HD_PLACE_COUNT]; /* bytes for each piece */
    /* steps that Loops which end by a condition may take in a run, beyond what was counted */
    double work_left;
    /* where some part runs blocks, or the host has a part of a device's plan; NULL: the recipe
     * is all */
    hd_plan_part *parts;
    size_t part_count;
    hd_plan_output *outputs; /* the wanted ones, in the model's order */
    size_t output_count;
    bool is_last;
    hd_plan_boundary *boundaries;
    size_t boundary_count;
    hd_plan_check *checks;
    size_t check_count;
    struct hd_planner *continuation; /* how planning goes on after the boundary */
    /* the segment before, with a reference: values that were known there are read here, and lie
     * in its region (REUSE) */
    struct hd_plan *before;
    size_t memory_size; /* bytes of the region, and of `folds` */
    size_t chain_size;  /* the same of this plan and those before it */
    double chain_work;  /* steps of planning and running them (work.h) */
    hd_recorded lists[HD_LANE_COUNT];
} hd_plan;

/* Drops what a lane, which is the caller's, has recorded of a plan and of its blocks. */
void hd_plan_drop_lane(hd_plan *plan, uint32_t lane);

void hd_plan_retain(hd_plan *plan);
/* Gives a reference back; the last one frees the plan, its lists and its blocks'. */
void hd_plan_release(hd_plan *plan);

#endif

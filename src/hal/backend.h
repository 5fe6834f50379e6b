/* Backend: the seam under which devices differ. A backend is a constant row of small tables over an opened device, a
 * unit; src/hal alone names the backends, and what stands above asks the tables.
 *
 * Memory of a unit is named by addresses, of which parts may be named by adding bytes; only that of kind HOST, and all
 * of a unit whose memory is the host's (hd_unit.is_host), may be touched by the host.
 *
 * Thread-safety: tables are immutable; their functions may be called by any thread at once, except where they say
 * less. */
#ifndef HD_HAL_BACKEND_H
#define HD_HAL_BACKEND_H

#include <string.h>

#include "base/rank.h"
#include "base/region.h"
#include "base/stop.h"
#include "hal/lane.h"
#include "hal/packed.h"
#include "hal/recipe.h"
#include "heddle/device.h"

typedef struct hd_backend hd_backend;

/* An opened device; each backend's own structure begins with it. */
typedef struct hd_unit {
    const hd_backend *backend;
    bool is_host; /* its memory is the host's; work is done when submit returns */
    /* queues that queues->create knows: one a lane where is_host, else hardware queues, at most
     * HD_STREAM_COUNT */
    uint32_t queue_count;
    uint32_t scratch_count; /* pieces of scratch memory that a launch needs */
    hd_dtype
        half; /* HD_FLOAT16 or HD_BFLOAT16: float32 may be that between steps (half_use); HD_DTYPE_NONE */
} hd_unit;

typedef struct hd_unit_options {
    uint32_t thread_count; /* cpu: threads that compute for one launch, the caller included */
    hd_dtype half;         /* as hd_unit has it */
} hd_unit_options;

/* Which operands of an operation in float32 a unit takes as its halves; bit i: input i, or output i - input_count. */
typedef struct hd_half_use {
    uint64_t may;  /* each by itself, unless `alike` */
    uint64_t must; /* these are halves */
    bool alike;    /* all of `may`, or none */
} hd_half_use;

typedef enum hd_memory_place {
    HD_PLACE_DEVICE, /* the unit's own */
    HD_PLACE_HOST,   /* the host's, and the unit's kernels and copies may touch it, too */
    HD_PLACE_COUNT
} hd_memory_place;

typedef struct hd_memory_table {
    /* Undefined contents, at HD_CACHE_LINE at least. This and destroy may take as long as the unit works; they wait for
     * nothing else, so they may be called under locks. NULL: no memory. */
    void *(*create)(hd_unit *unit, hd_memory_place place, size_t size);
    /* Nothing that was submitted touches it any more. memory may be NULL. */
    void (*destroy)(hd_unit *unit, hd_memory_place place, void *memory, size_t size);
    /* Copies, and returns when it is done; either side may be the host's own memory, or the unit's. HD_LOST. */
    hd_status (*copy)(hd_unit *unit, void *to, const void *from, size_t size);
    /* False: it is known that these bytes are not all of one piece of the unit's own memory. */
    bool (*holds)(hd_unit *unit, const void *memory, size_t size);
} hd_memory_table;

typedef struct hd_compile_table {
    bool planar; /* heddle.Conv may read and write channels first (hd_fused_convolution) */
    /* The operation, all of whose types and shapes are known, may be a step of its own. Asked of what passes would make,
     * too, before they do. */
    bool (*supports)(const hd_unit *unit, const hd_operation *operation);
    /* It may be a step within a "heddle.Elementwise" chain. */
    bool (*supports_in_chain)(const hd_unit *unit, const hd_operation *operation);
    /* Of an operation that it supports; NULL where hd_unit.half is none. */
    hd_half_use (*half_use)(const hd_unit *unit, const hd_operation *operation);
    /* Products of bytes are faster than those of float32, so that float32 operators between DequantizeLinear and QuantizeLinear
     * become quantized ones where the unit has a form for their weights. NULL: they are not. */
    bool (*quantized_is_faster)(const hd_unit *unit);
    /* In which form input `index` of an operation is kept when it is a constant: its dtype, shape and data are set, as those
     * of other constant operands; the others are empty (HD_DTYPE_NONE). A unit that gives one supports the operation, whatever these are. */
    hd_constant_form (*constant_form)(const hd_unit *unit, const hd_operation *operation,
                                      size_t index);
    /* Brings a constant into a form; the caller owns *out_packed on success. HD_OUT_OF_MEMORY, HD_LOST. */
    hd_status (*constant_create)(hd_unit *unit, hd_constant_form form, const hd_operand *constant,
                                 hd_packed **out_packed, hd_error *error);
    /* *packed may be NULL, and is afterwards. */
    void (*constant_destroy)(hd_unit *unit, hd_packed **packed);
    /* The kernel of an operation; its parameters lie in `region`. HD_UNSUPPORTED names node and reason;
     * HD_OUT_OF_MEMORY. */
    hd_status (*kernel)(hd_unit *unit, const hd_operation *operation, hd_region *region,
                        hd_kernel *kernel, hd_error *error);
} hd_compile_table;

/* What a unit replays: a recipe over fixed memory, with slots for what the caller binds. Each backend's own structure
 * stands behind the name. A list has one owner at a time, and its launches do not overlap: later ones to its queue
 * follow in order, each with bindings of its own. */
typedef struct hd_command_list hd_command_list;

typedef struct hd_list_table {
    /* Records a recipe. Recipe and memory outlive the list's use. HD_OUT_OF_MEMORY, HD_LOST. */
    hd_status (*record)(hd_unit *unit, const hd_recipe *recipe, const hd_list_memory *memory,
                        hd_command_list **out_list);
    /* No launch of it is in flight. *list may be NULL, and is afterwards. */
    void (*destroy)(hd_unit *unit, hd_command_list **list);
} hd_list_table;

/* An in-order queue of a unit, with a timeline of its own: points are 1, 2, 3, ... in the order of submissions. */
typedef struct hd_queue hd_queue;

/* A point of another queue that a launch waits for. */
typedef struct hd_queue_wait {
    hd_queue *queue;
    uint64_t point;
} hd_queue_wait;

/* What is handed to a queue; all of it is read before submit returns. */
typedef struct hd_launch {
    hd_command_list *list;
    void *const *inputs; /* of the slots, by index */
    void *const *outputs;
    unsigned char *scratch; /* scratch_count pieces of the recipe's scratch_size */
    /* the arena of place HOST, which may be another one each time; where is_host, it is as it was recorded */
    unsigned char *host;
    const hd_queue_wait *waits;
    size_t wait_count;
    const hd_stop *stop; /* NULL: nothing ends it; looked at where is_host */
} hd_launch;

typedef struct hd_queue_table {
    /* Queue `number` below queue_count. HD_OUT_OF_MEMORY, HD_LOST. */
    hd_status (*create)(hd_unit *unit, uint32_t number, hd_queue **out_queue);
    /* Waits for what was submitted. *queue may be NULL, and is afterwards. */
    void (*destroy)(hd_unit *unit, hd_queue **queue);
    /* By one thread at a time. *out_point is the launch's; 0 where it is done already. Where is_host it computes on the
     * calling thread, which has entered the run's float environment, and gives what `stop` says if that ended it.
     * HD_LOST, HD_OUT_OF_MEMORY. */
    hd_status (*submit)(hd_queue *queue, const hd_launch *launch, uint64_t *out_point);
    /* The last point that is reached. A load. */
    uint64_t (*reached)(const hd_queue *queue);
    /* Waits until a point is reached; any number of threads. HD_NOT_YET: not before `deadline` (hd_clock_now's scale).
     * HD_LOST: never, and what was submitted touches no memory any more. */
    hd_status (*wait)(hd_queue *queue, uint64_t point, uint64_t deadline);
} hd_queue_table;

struct hd_backend {
    const char *name; /* of its devices: NAME or NAME:ORDINAL */
    hd_device_kind kind;
    bool is_preferred; /* "auto" takes it before the host, where it is there */
    /* Devices that this process could open. */
    uint32_t (*count)(void);
    /* Why there are none, in a few words; NULL: there always are some. */
    const char *(*absence)(void);
    /* Fills *info with what device `ordinal` below count is. */
    void (*describe)(uint32_t ordinal, hd_device_info *info);
    /* Opens it; the caller owns *out_unit. HD_OUT_OF_MEMORY, HD_UNAVAILABLE, HD_LOST; HD_UNSUPPORTED: it has no halves. */
    hd_status (*open)(uint32_t ordinal, const hd_unit_options *options, hd_unit **out_unit,
                      hd_error *error);
    /* All its queues, lists, constants and memory are gone. *unit may be NULL, and is afterwards. */
    void (*close)(hd_unit **unit);
    /* It was lost; for good. */
    bool (*lost)(const hd_unit *unit);
    const hd_memory_table *memory;
    const hd_compile_table *compile;
    const hd_list_table *lists;
    const hd_queue_table *queues;
};

/* Functions of the tables that may wait are called through these: the analysis does not see what is said of a pointer
 * to a function. */
static inline void hd_unit_close(hd_unit **unit) HD_WAITS
{
    if (*unit != NULL) {
        (*unit)->backend->close(unit);
    }
}

static inline void *hd_unit_memory_create(hd_unit *unit, hd_memory_place place, size_t size)
{
    return unit->backend->memory->create(unit, place, size);
}

/* Whether a caller's memory may be of the unit's own. */
static inline bool hd_unit_holds(hd_unit *unit, const void *memory, size_t size)
{
    return unit->backend->memory->holds(unit, memory, size);
}

/* What it means that there was none. */
static inline hd_status hd_unit_memory_refusal(const hd_unit *unit)
{
    return unit->backend->lost(unit) ? HD_LOST : HD_OUT_OF_MEMORY;
}

static inline void hd_unit_memory_destroy(hd_unit *unit, hd_memory_place place, void *memory,
                                          size_t size)
{
    unit->backend->memory->destroy(unit, place, memory, size);
}

static inline HD_MUST_CHECK hd_status hd_unit_copy(hd_unit *unit, void *to, const void *from,
                                                   size_t size)
{
    return unit->backend->memory->copy(unit, to, from, size);
}

static inline void hd_queue_destroy(hd_unit *unit, hd_queue **queue) HD_WAITS
{
    unit->backend->queues->destroy(unit, queue);
}

static inline HD_MUST_CHECK hd_status hd_queue_submit(const hd_unit *unit, hd_queue *queue,
                                                      const hd_launch *launch,
                                                      uint64_t *out_point) HD_WAITS
{
    return unit->backend->queues->submit(queue, launch, out_point);
}

/* The same where the unit is not the host, and submit waits for nothing. */
static inline HD_MUST_CHECK hd_status hd_queue_enqueue(const hd_unit *unit, hd_queue *queue,
                                                       const hd_launch *launch, uint64_t *out_point)
{
    return unit->backend->queues->submit(queue, launch, out_point);
}

static inline HD_MUST_CHECK hd_status hd_queue_wait_until(const hd_unit *unit, hd_queue *queue,
                                                          uint64_t point,
                                                          uint64_t deadline) HD_WAITS
{
    return unit->backend->queues->wait(queue, point, deadline);
}

/* The processor: always there, also for what is computed while a model is loaded or planned. */
const hd_backend *hd_backend_host(void);

/* Backend `index` of this build, the host's first; NULL: there are no more. */
const hd_backend *hd_backend_at(size_t index);

/* Whether a name leaves it to the library which device it is. */
static inline bool hd_backend_is_auto(const char *name)
{
    return name == NULL || strcmp(name, "auto") == 0;
}

/* The device that a name means ("cpu", "auto", "cuda", "cuda:1"); "auto", or NULL, is the one to be tried first, before the
 * host. HD_NOT_FOUND: no such name. HD_UNAVAILABLE: not in
 * this build or not on this machine, or HEDDLE_ISA asks for what there is not. */
HD_MUST_CHECK hd_status hd_backend_find(const char *name, const hd_backend **out_backend,
                                        uint32_t *out_ordinal, hd_error *error);

/* Computes an operation on the calling thread, with the processor's kernel: inputs' data is known; outputs[i] has room
 * for output i, extents[i] for its dimensions where they depend on data. HD_UNSUPPORTED: there is no kernel, or it would
 * take more than scratch_limit bytes. HD_OUT_OF_MEMORY; HD_CANCELLED, HD_DEADLINE: what the thread has entered said to
 * end. */
HD_MUST_CHECK hd_status hd_host_evaluate(const hd_operation *operation, void *const *outputs,
                                         int64_t (*extents)[HD_MAX_RANK], size_t scratch_limit,
                                         hd_error *error);

#endif

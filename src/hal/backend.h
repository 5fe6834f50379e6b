/* Backend: the seam under which devices differ. A small constant table of functions each; src/hal alone
 * names the backends, and what stands above asks the table.
 *
 * Thread-safety: immutable; every function may be called by any thread, except where it says less. */
#ifndef HD_HAL_BACKEND_H
#define HD_HAL_BACKEND_H

#include "base/rank.h"
#include "base/region.h"
#include "base/stop.h"
#include "hal/command_list.h"
#include "hal/lane.h"
#include "hal/packed.h"
#include "heddle/device.h"

/* What replays command lists on a device: for the CPU its worker team. */
typedef struct hd_executor hd_executor;

typedef struct hd_backend {
    hd_device_kind kind;

    /* Fills *info with what the device is. */
    void (*describe)(hd_device_info *info);

    /* An executor of `thread_count` threads, the caller included, for HD_LANE_COUNT lanes.
     * HD_OUT_OF_MEMORY. No run may be in flight when it is destroyed; *executor may be NULL. */
    hd_status (*executor_create)(uint32_t thread_count, hd_executor **out_executor);
    void (*executor_destroy)(hd_executor **executor);
    /* Pieces of scratch memory that one run needs. */
    uint32_t (*executor_size)(const hd_executor *executor);
    /* Replays a bound list and returns when it is done, or when `stop` (NULL: nothing) says to end: then with
     * what that says, and nobody works on the list any more. The `lane` is the caller's; scratch has
     * executor_size pieces of scratch_stride bytes. */
    hd_status (*executor_run)(hd_executor *executor, uint32_t lane, const hd_command_list *list,
                              unsigned char *scratch, size_t scratch_stride, const hd_stop *stop);

    /* How input `index` of an operation is packed when it is a constant: its dtype, shape and data are
     * set, other operands' shapes may be unknown. */
    hd_packing (*packing)(const hd_operation *operation, size_t index);
    /* Packs a constant; the caller owns *out_packed on success. HD_OUT_OF_MEMORY. */
    hd_status (*pack)(hd_packing packing, const hd_operand *constant, int64_t group,
                      hd_packed **out_packed, hd_error *error);
    void (*packed_destroy)(hd_packed **packed);

    /* The kernel of an operation; its parameters lie in `region`. HD_UNSUPPORTED names node and reason;
     * HD_OUT_OF_MEMORY. */
    hd_status (*compile)(const hd_operation *operation, hd_region *region, hd_kernel *kernel,
                         hd_error *error);
    /* The operation may be a step of a "heddle.Elementwise" chain. */
    bool (*fuses_elementwise)(const hd_operation *operation);
} hd_backend;

/* Functions of the table that may wait are called through these: the analysis does not see what is said of
 * a pointer to a function. */
static inline void hd_backend_destroy_executor(const hd_backend *backend, hd_executor **executor) HD_WAITS
{
    backend->executor_destroy(executor);
}

static inline HD_MUST_CHECK hd_status hd_backend_run(const hd_backend *backend, hd_executor *executor,
                                                     uint32_t lane, const hd_command_list *list,
                                                     unsigned char *scratch, size_t scratch_stride,
                                                     const hd_stop *stop) HD_WAITS
{
    return backend->executor_run(executor, lane, list, scratch, scratch_stride, stop);
}

/* The processor: always there, also for what is computed while a model is loaded or planned. */
extern const hd_backend hd_backend_cpu;

/* The backend of a device name ("cpu", "auto", "cuda", "cuda:1"). HD_NOT_FOUND: no such name.
 * HD_UNAVAILABLE: not in this build or not on this machine. */
HD_MUST_CHECK hd_status hd_backend_find(const char *name, const hd_backend **out_backend, hd_error *error);

#endif

/* Device: where models run. Immutable once opened; counts references, so models keep it alive.
 *
 * Thread-safety: any thread, all functions at once; hd_device_destroy is for the last user of
 * the handle.
 *
 * fork: in a child that was forked while anything of the library's was open (a device, or what keeps one: models,
 * events, batches, runs), all functions of all headers that touch a device answer HD_FORKED, and destroy
 * functions do nothing. A child that was forked before the first device was opened, or after all had been
 * destroyed and the outcome of every run was there, may do all that its parent may. The call of fork waits some
 * milliseconds for a run or a callback of the library's own threads that is about to end. */
#ifndef HEDDLE_DEVICE_H
#define HEDDLE_DEVICE_H

#include "heddle/status.h"
#include "heddle/wait.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hd_device hd_device;

/* How threads share what records and submits work to hardware queues. Both are safe. */
typedef enum hd_sync_strategy {
    /* recording needs no lock, only the place in the order is serialized */
    HD_SYNC_PER_ENCODER = 0,
    HD_SYNC_GLOBAL = 1 /* one lock a device around recording and submitting */
} hd_sync_strategy;

/* What models that compute in float32 are computed in. With halves, products and attention multiply halves and add in
 * float32, and tensors between steps are kept as halves; inputs, outputs and all that has no such kernel stay float32. Equal
 * bits hold in each of them. */
typedef enum hd_precision {
    HD_PRECISION_FLOAT32 = 0,
    HD_PRECISION_TF32 = 1,    /* no device yet */
    HD_PRECISION_FLOAT16 = 2, /* cuda, compute capability 9.0 */
    HD_PRECISION_BFLOAT16 = 3 /* likewise */
} hd_precision;

/* Zero means the default, field by field; pass NULL for all defaults. */
typedef struct hd_device_options {
    size_t struct_size; /* sizeof(hd_device_options), so that later fields can be added */
    /* cpu: threads that compute for one run at most, the caller included; 0: one per core of the
     * affinity mask and the cgroup's quota */
    uint32_t thread_count;
    /* hardware queues that streams share; 0: one per stream. With fewer, callers whose long runs
     * outnumber the cores all compute at once */
    uint32_t queue_count;
    /* bytes for weights, arenas, plans, blocks, what loading and planning take on the way, and
     * outputs until they are the caller's; 0: no limit. Counted before it is allocated, so that
     * the process stays below it and 64 MB; what is cached (plans and arenas of no run in
     * flight, free blocks) goes before anyone is refused */
    uint64_t memory_limit;
    /* how long a run waits for a free stream slot; 0: 60,000; HD_NO_WAIT, HD_WAIT_FOREVER
     * (heddle/wait.h) */
    uint32_t lease_wait_ms;
    uint32_t queue_depth; /* operations in flight on one stream at most; 0: 64 */
    hd_sync_strategy sync_strategy;
    hd_precision precision; /* HD_UNSUPPORTED where the device has no such kernels */
} hd_device_options;

typedef enum hd_device_kind {
    HD_DEVICE_CPU = 1,
    HD_DEVICE_CUDA = 2,
    HD_DEVICE_VULKAN = 3
} hd_device_kind;

/* struct_size is set by the caller, as in every struct that the library fills: sizeof(hd_device_info). */
typedef struct hd_device_info {
    size_t struct_size;
    char name[32]; /* as hd_device_open takes it: "cpu", "cuda:0" */
    hd_device_kind kind;
    char description[96]; /* the processor's own name */
    char driver[64];      /* driver and version; for cpu the instruction set that is used */
    uint32_t core_count;  /* cores or multiprocessors usable by this process */
    uint32_t queue_count; /* independent hardware queues */
    uint64_t memory_bytes;
} hd_device_info;

/* Opens a device. name: "cpu", "cuda", "cuda:1" or "auto" (a GPU where this build and machine have one that can be used, else
 * the CPU); NULL: "auto".
 * On success *out_device holds a reference that hd_device_destroy gives back; on failure NULL. Each
 * call opens a device of its own, with its own threads, streams and memory.
 * HD_NOT_FOUND: no such name. HD_UNAVAILABLE: no such hardware or driver, or the environment variable
 * HEDDLE_ISA holds the CPU to an instruction set that it does not have (README). HD_INVALID_ARGUMENT:
 * out_device is NULL, struct_size is not known, or there is no such strategy. HD_OUT_OF_MEMORY,
 * HD_FORKED. */
HD_API HD_MUST_CHECK hd_status hd_device_open(const char *name, const hd_device_options *options,
                                              hd_device **out_device, hd_error *error);

/* Gives the caller's reference back and sets *device to NULL (NULL is allowed). The device
 * itself ends when the last model, event, batch and run on it have ended: that call, here or
 * there, waits until the device's threads have ended. May be called from a callback. A call that already waits
 * on the device (hd_stream_acquire, hd_stream_synchronize, hd_device_shutdown, a run) keeps it: giving the
 * handle back meanwhile is legal, and neither ends the wait nor is ended by it. */
HD_API void hd_device_destroy(hd_device **device);

/* Refuses all new work on the device with HD_CLOSED and waits at most timeout_ms milliseconds
 * (HD_WAIT_FOREVER: until done; 0: not at all) for the work in flight, until its futures are final
 * (callbacks may still be to come; batch queues have a shutdown of their own). The handle stays the
 * caller's, and what was allocated stays valid. May race with anything; calling it again is
 * harmless.
 * HD_NOT_YET: work was still in flight when the time was over; it goes on to its end.
 * HD_BUSY: called from one of the device's own callbacks. HD_INVALID_ARGUMENT: device is NULL.
 * HD_FORKED. */
HD_API HD_MUST_CHECK hd_status hd_device_shutdown(hd_device *device, uint32_t timeout_ms,
                                                  hd_error *error);

/* Writes what this device is to *out_info, whose struct_size the caller has set, and which stays as it was
 * on failure. Does not block; works after a shutdown, too. HD_INVALID_ARGUMENT: an argument is NULL, or
 * struct_size is not set. HD_FORKED. */
HD_API HD_MUST_CHECK hd_status hd_device_get_info(const hd_device *device,
                                                  hd_device_info *out_info);

/* Writes at most `capacity` descriptions of the devices that this process could open, and their
 * number to *out_count, which may be larger (infos may be NULL where capacity is 0). The caller sets
 * infos[0].struct_size to sizeof(hd_device_info), at which distance the entries follow one another; the
 * library sets it in all others that it writes. Does not open devices, does not block.
 * HD_INVALID_ARGUMENT: out_count or infos is NULL, or infos[0].struct_size is not set. HD_UNAVAILABLE:
 * HEDDLE_ISA, as for hd_device_open. HD_FORKED. */
HD_API HD_MUST_CHECK hd_status hd_device_list(hd_device_info *infos, size_t capacity,
                                              size_t *out_count, hd_error *error);

/* What a device holds at this moment, in bytes. */
typedef struct hd_memory_info {
    size_t struct_size;    /* sizeof(hd_memory_info), set by the caller */
    uint64_t limit_bytes;  /* 0: none */
    uint64_t weight_bytes; /* models, packed weights and graphs, and what is being loaded */
    /* what runs have and keep for the next, and outputs on their way to callers */
    uint64_t arena_bytes;
    uint64_t plan_bytes;  /* plans, and what making them takes */
    uint64_t block_bytes; /* what hd_memory_allocate has taken from the system, in use or cached */
    uint64_t table_bytes; /* what is kept about those blocks; stays until the device is destroyed */
} hd_memory_info;

/* Writes what the device holds to *out_info, which stays as it was on failure; the numbers are
 * read one after another while other threads go on. Does not block. HD_INVALID_ARGUMENT: an
 * argument is NULL, or struct_size is not set. HD_FORKED. */
HD_API HD_MUST_CHECK hd_status hd_device_get_memory(const hd_device *device,
                                                    hd_memory_info *out_info);

#ifdef __cplusplus
}
#endif
#endif

/* Model: a graph and its packed weights on one device, and the runs of it. Immutable once loaded.
 *
 * Thread-safety: any thread, all functions at once, with no set-up per thread and no lock of the
 * caller's (SAFE). hd_model_destroy is for the last user of the handle; runs in flight end first. */
#ifndef HEDDLE_MODEL_H
#define HEDDLE_MODEL_H

#include "heddle/cancel.h"
#include "heddle/device.h"
#include "heddle/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hd_model hd_model;

/* Zero means the default; NULL means all defaults. */
typedef struct hd_model_options {
    size_t struct_size;           /* sizeof(hd_model_options) */
    uint32_t plan_cache_capacity; /* plans kept, the least recently used goes first; 0: 64 */
    /* hd_model_load_memory: the folder of external data; NULL: none */
    const char *base_directory;
    /* Initializers for which runs may give other values: those of these names that the file lists among
     * the inputs of its graph, too (from IR version 4 on; before it every initializer had to be there).
     * They become inputs of the model, behind the others, and a run that leaves one out takes the
     * initializer. They are constants no more: nothing is folded or packed that depends on them. Other
     * names change nothing. NULL: all initializers are constants. */
    const char *const *override_names;
    size_t override_count;
    /* What one run may take at most, so that a small file from a stranger cannot take hours or all memory.
     * The defaults grow with b, the bytes of the model's constants and of the run's inputs. A run that asks
     * for more is refused when it is planned (HD_UNSUPPORTED), and the message says which limit it was. */
    /* steps, estimated, of about a nanosecond of one core; 0: 2^29 + 4,096 b + b^2 / 64;
     * UINT64_MAX: no limit */
    uint64_t work_limit;
    /* bytes of a run's arena and outputs, and half the bytes of its plans; 0: 96 MB + 256 b;
     * UINT64_MAX: no limit */
    uint64_t run_memory_limit;
} hd_model_options;

#define HD_RANK_UNKNOWN UINT32_MAX

/* Type and shape of an input or output as the model declares it. Pointers live as long as the model.
 * An input's are what a run holds its tensors to. An output's type holds, too: where the graph gives
 * another, no run succeeds (HD_BAD_MODEL). An output's shape is the file's word, which exporters get
 * wrong: it is not checked, and what a run writes into hd_tensor's dims counts. */
typedef struct hd_value_info {
    size_t struct_size; /* sizeof(hd_value_info), set by the caller */
    const char *name;
    hd_dtype dtype;
    uint32_t rank;                      /* HD_RANK_UNKNOWN if the model does not say */
    int64_t dims[HD_MAX_RANK];          /* -1: unknown until a run */
    const char *dim_names[HD_MAX_RANK]; /* of a symbolic dimension, else NULL */
} hd_value_info;

/* Loads an ONNX file. External weights are read from the file's own folder only, and where the path
 * is a symbolic link, from the folder that it leads to; links among them must not lead elsewhere. The file may change
 * or go once the call has returned. May block on the file; packs weights on the calling thread.
 * On success *out_model holds a reference that hd_model_destroy gives back; on failure NULL.
 * While it loads, memory peaks at no more than twice the bytes that hd_memory_info then counts as
 * weights, and 64 MB. Weights are packed tensor by tensor, so that a model loads where the device's limit holds
 * it as it is kept, and the largest of its tensors once more. float16 and bfloat16 weights that are computed with are kept as float32.
 * HD_INVALID_ARGUMENT, HD_NOT_FOUND and HD_IO (the file, its folder or external data), HD_BAD_MODEL and
 * HD_UNSUPPORTED (name node and tensor), HD_OUT_OF_MEMORY (also the device's limit), HD_CLOSED, HD_FORKED. */
HD_API HD_MUST_CHECK hd_status hd_model_load(hd_device *device, const char *path,
                                             const hd_model_options *options, hd_model **out_model,
                                             hd_error *error);

/* The same from `size` bytes of memory, which are the caller's again when the call returns. The same
 * statuses; HD_NOT_FOUND and HD_IO concern the base directory and external data. */
HD_API HD_MUST_CHECK hd_status hd_model_load_memory(hd_device *device, const void *data,
                                                    size_t size, const hd_model_options *options,
                                                    hd_model **out_model, hd_error *error);

/* Gives the caller's reference back and sets *model to NULL (NULL is allowed). */
HD_API void hd_model_destroy(hd_model **model);

HD_API size_t hd_model_input_count(const hd_model *model);
HD_API size_t hd_model_output_count(const hd_model *model);

/* HD_INVALID_ARGUMENT: an argument is NULL, index is not below the count, or struct_size is not set;
 * *out_info stays as it was. */
HD_API HD_MUST_CHECK hd_status hd_model_input_info(const hd_model *model, size_t index,
                                                   hd_value_info *out_info);
HD_API HD_MUST_CHECK hd_status hd_model_output_info(const hd_model *model, size_t index,
                                                    hd_value_info *out_info);

/* Runs the model once and returns when the outputs are written. Any thread; blocks for the time of
 * the run, and before it at most hd_device_options.lease_wait_ms for a stream slot. The calling thread computes,
 * and idle workers help; with more long runs (some milliseconds) under way than the device has cores, the
 * device's own threads compute them, first come first served, and their callers sleep; that wait is bounded by
 * what is under way, not by lease_wait_ms.
 * inputs: every input of the model, by name or by position; of hd_model_options.override_names, those
 * that differ. outputs: those that are wanted, likewise;
 * see hd_tensor for who owns what. Outputs must not overlap inputs or one another.
 * The first run of new input shapes makes a plan; later ones allocate nothing when the outputs'
 * memory is the caller's (FLAT). Equal inputs give equal bits, whatever runs beside it (BITS).
 * Where shapes depend on what is computed (NonZero, a computed Reshape or Loop), there is a plan for each
 * value that they have, so that data which differs from run to run makes each run plan anew.
 * HD_INVALID_ARGUMENT (names the tensor; also an index of Gather and its like that is out of bounds, and
 * shapes that do not fit together), HD_NOT_FOUND (no input or output of that name), HD_BAD_MODEL,
 * HD_UNSUPPORTED (name the node; found when a plan is made), HD_OUT_OF_MEMORY (also the device's limit),
 * HD_EXHAUSTED (no stream came free), HD_NOT_YET (another thread has not finished the plan in ten minutes),
 * HD_CLOSED, HD_FORKED, HD_LOST. On failure no output struct has changed and nothing is left to free;
 * memory that the caller gave for outputs may be written to. */
HD_API HD_MUST_CHECK hd_status hd_model_run(hd_model *model, const hd_tensor *inputs,
                                            size_t input_count, hd_tensor *outputs,
                                            size_t output_count, hd_error *error);

/* Zero means the default; NULL means all defaults. */
typedef struct hd_run_options {
    size_t struct_size; /* sizeof(hd_run_options) */
    /* from the call on; 0: none; HD_NO_WAIT: it has passed already (heddle/wait.h) */
    uint32_t deadline_ms;
    /* stops the run when it is set; the run keeps it until it returns; NULL: nothing does */
    hd_cancel *cancel;
} hd_run_options;

/* hd_model_run that a deadline or a token ends: also while it waits (for a stream, for another thread's plan, for
 * the threads that compute long runs), while it makes a plan, and while it computes, where it looks between
 * operators and every few milliseconds inside them. It returns when nobody works for it any more.
 * The statuses of hd_model_run, and HD_CANCELLED: the token was set; HD_DEADLINE: the deadline had passed before
 * the outputs were complete. As after any failure no output struct has changed and nothing is left to free.
 * A run that ends HD_OK has the bits of hd_model_run. */
HD_API HD_MUST_CHECK hd_status hd_model_run_with(hd_model *model, const hd_tensor *inputs,
                                                 size_t input_count, hd_tensor *outputs,
                                                 size_t output_count, const hd_run_options *options,
                                                 hd_error *error);

#ifdef __cplusplus
}
#endif
#endif

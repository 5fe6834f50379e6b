/* Model, inside: an immutable graph with packed weights, and the cache of its plans. */
#ifndef HD_GRAPH_MODEL_H
#define HD_GRAPH_MODEL_H

#include "base/stop.h"
#include "graph/budget.h"
#include "graph/device_constants.h"
#include "graph/graph.h"
#include "graph/plan.h"
#include "hal/packed.h"
#include "runtime/device.h"
#include "runtime/plan_cache.h"

/* Plans that a lane found last, so that a warm run asks nobody. Entry i of hd_model.memos belongs to
 * whoever has lane i. */
#define HD_MEMO_COUNT 4
typedef struct hd_memo {
    hd_plan *plans[HD_MEMO_COUNT]; /* with a reference each */
    void *keys[HD_MEMO_COUNT];     /* in memory that later keys use again (FLAT) */
    size_t key_sizes[HD_MEMO_COUNT];
    size_t key_capacities[HD_MEMO_COUNT];
    uint32_t next; /* the entry that is replaced next */
} hd_memo;

#define HD_DURATION_COUNT 64 /* as many as 6 bits of a hash tell apart */

struct hd_model {
    _Atomic uint32_t reference_count;
    hd_device *device; /* with a reference */
    hd_graph *graph;
    const hd_packed **packed;      /* one a graph value, NULL for most */
    hd_device_constants constants; /* of those that are not packed */
    size_t weight_size;            /* bytes, packed or not */
    hd_model_options options;      /* as given */
    uint64_t brought;              /* bytes of the constants that the file or the graph had */
    hd_plan_cache *plans;
    hd_reclaim_source source; /* of what may be dropped */
    /* Inputs whose values steer plans: bits are only ever added, by whoever makes a plan and finds
     * one; relaxed, because a key made with too few bits finds no plan and is made again. */
    _Atomic uint64_t steering;
    /* What a run takes when nothing disturbs it: the shortest of the last ones whose inputs' shapes
     * have the same hash. relaxed: it only decides who computes the next run. */
    _Atomic uint64_t run_nanoseconds[HD_DURATION_COUNT];
    /* likewise: what a runner took to hand runs that are one launch over to a device */
    _Atomic uint64_t launch_nanoseconds[HD_DURATION_COUNT];
    hd_memo memos[HD_LANE_COUNT];
};

/* Reads options, NULL meaning defaults, each as far as the caller's struct goes. HD_INVALID_ARGUMENT. */
HD_MUST_CHECK hd_status hd_model_options_read(const hd_model_options *options,
                                              hd_model_options *out, hd_error *error);

/* Where a model's graph comes from: make gives one that is the caller's. */
typedef struct hd_graph_source {
    hd_status (*make)(const struct hd_graph_source *source, hd_graph **out_graph, hd_error *error);
    const void *data;                       /* a graph, or a file's bytes, or its path */
    size_t size;                            /* of the bytes */
    const struct hd_model_options *options; /* as read; set by hd_model_make */
} hd_graph_source;

/* Makes a model of a graph; constants are folded and packed. All that this takes is charged to the device
 * before it is allocated; where there is too little memory, what the device does not need goes first. */
HD_MUST_CHECK hd_status hd_model_make(hd_device *device, const hd_graph_source *source,
                                      const hd_model_options *options, hd_model **out_model,
                                      hd_error *error);

/* Whether the arguments of a run are there at all; HD_INVALID_ARGUMENT. */
HD_MUST_CHECK hd_status hd_model_check_run(const hd_model *model, const hd_tensor *inputs,
                                           size_t input_count, const hd_tensor *outputs,
                                           size_t output_count, hd_error *error);

/* Where durations of runs with inputs of these shapes are kept, below HD_DURATION_COUNT. */
size_t hd_model_duration_index(const hd_tensor *inputs, size_t input_count);
/* Keeps a duration that was measured. */
void hd_model_note_duration(_Atomic uint64_t *duration, uint64_t nanoseconds);
/* Whether runs with inputs of these shapes take some milliseconds, by what the last ones took. */
bool hd_model_run_is_long(hd_model *model, const hd_tensor *inputs, size_t input_count);

/* One run, as hd_model_run says, on the calling thread and on a lane that it has to itself; the
 * caller keeps the model. may_split: independent rows may run one after the other; that is faster where
 * every core has a caller of its own. stop (NULL: nothing stops it): looked at while it computes, and committed
 * before the output structs are written. */
HD_MUST_CHECK hd_status hd_model_run_on(hd_model *model, uint32_t lane, bool may_split,
                                        const hd_stop *stop, const hd_tensor *inputs,
                                        size_t input_count, hd_tensor *outputs, size_t output_count,
                                        hd_error *error);

/* The same for a stream's work, which may end before the device has done with it: then `left` has a plan, and all that
 * was given lives on until the run has landed (graph/run.h). left NULL: it may not. */
struct hd_left_run;
HD_MUST_CHECK hd_status hd_model_begin_on(hd_model *model, uint32_t lane, struct hd_left_run *left,
                                          const hd_stop *stop, const hd_tensor *inputs,
                                          size_t input_count, hd_tensor *outputs,
                                          size_t output_count, hd_error *error);

/* hd_model_run that `stop` ends, also while it waits. */
HD_MUST_CHECK hd_status hd_model_run_until(hd_model *model, const hd_stop *stop,
                                           const hd_tensor *inputs, size_t input_count,
                                           hd_tensor *outputs, size_t output_count,
                                           hd_error *error) HD_WAITS;

/* Public, and may wait: for a stream, a plan, a place in a queue; to end a device, its threads. */
HD_MUST_CHECK hd_status hd_model_run(hd_model *model, const hd_tensor *inputs, size_t input_count,
                                     hd_tensor *outputs, size_t output_count,
                                     hd_error *error) HD_WAITS;
HD_MUST_CHECK hd_status hd_model_run_with(hd_model *model, const hd_tensor *inputs,
                                          size_t input_count, hd_tensor *outputs,
                                          size_t output_count, const hd_run_options *options,
                                          hd_error *error) HD_WAITS;
HD_MUST_CHECK hd_status hd_model_run_async(hd_model *model, const hd_tensor *inputs,
                                           size_t input_count, hd_tensor *outputs,
                                           size_t output_count, const hd_submit_options *options,
                                           hd_future **out_future, hd_error *error) HD_WAITS;
void hd_model_destroy(hd_model **model) HD_WAITS;

/* Reads options, NULL meaning defaults. HD_INVALID_ARGUMENT. */
HD_MUST_CHECK hd_status hd_submit_options_read(const hd_submit_options *options,
                                               hd_submit_options *out, hd_error *error);
/* Until when a submission waits for a place (hd_clock_now's scale; 0: not at all). */
uint64_t hd_submit_options_limit(const hd_submit_options *options);

/* Promotes half precision, folds what depends on constants only, joins batch normalization to
 * convolutions, packs weights and drops what nobody reads any more; see model_prepare.c. */
HD_MUST_CHECK hd_status hd_model_prepare(hd_model *model, hd_error *error);

#endif

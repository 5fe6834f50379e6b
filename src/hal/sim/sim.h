/* Sim: a simulated device, in test builds only, that is as nasty as a GPU may be. Opened as "sim" or "sim:1".
 *
 * Memory: addresses of its own that fault when the host touches them (bit 63 is set, which no x86-64 pointer has); fresh
 * and freed memory holds a pattern. Queues: threads of their own, one a hardware queue, which begin and end late. A
 * queue, and a list, may be used by one thread at a time; it counts who does not keep to that. Kernels are the CPU's.
 *
 * This header is for tests: what goes wrong is set for units that are opened afterwards.
 *
 * Thread-safety: hd_sim_configure and hd_sim_reset by one thread while no unit is open; all else any thread. */
#ifndef HD_HAL_SIM_SIM_H
#define HD_HAL_SIM_SIM_H

#include "hal/backend.h"

#define HD_DEVICE_SIM ((hd_device_kind)100)
/* devices: "sim" supports all, "sim:1" refuses some operators even without options */
#define HD_SIM_COUNT       2
#define HD_SIM_REFUSED_MAX 8

typedef struct hd_sim_options {
    uint32_t seed; /* of delays and refusals */
    /* operators of ONNX that it does not support, of a thousand; "sim:1": at least 300 */
    uint32_t refused_permille;
    /* and these, which may be what only passes make */
    hd_operator_id refused[HD_SIM_REFUSED_MAX];
    uint32_t delay_microseconds; /* before and behind a launch, at most */
    uint64_t failing_allocation; /* the n-th from now on finds no memory; 0: none */
    uint64_t failing_count;      /* nor do those that follow, so many in all; 0: that one alone */
    uint64_t losing_submission;  /* the unit is lost at the n-th from now on; 0: none */
} hd_sim_options;

typedef struct hd_sim_counts {
    uint64_t submissions;
    uint64_t allocations;
    uint64_t live_allocations;
    uint64_t queue_overlaps; /* two threads were in one queue's submit */
    /* a list was submitted or dropped by two threads at once, or to two queues without a wait */
    uint64_t list_overlaps;
} hd_sim_counts;

/* Sets what units do that are opened from now on, and begins to count anew. NULL: what they do by default. */
void hd_sim_configure(const hd_sim_options *options);
hd_sim_counts hd_sim_count(void);
/* All queues rest, or go on. */
void hd_sim_stall(bool stalled);
/* All units that are open are lost now. */
void hd_sim_lose(void);

extern const hd_backend hd_backend_sim;

#endif

/* Graph: launches of kernels, one behind the other, that the driver takes in one call.
 *
 * Thread-safety: one thread at a time a graph. */
#ifndef HD_HAL_CUDA_GRAPH_H
#define HD_HAL_CUDA_GRAPH_H

#include "hal/cuda/unit.h"

/* What is put on a stream. */
typedef struct hd_cuda_command {
    CUfunction function; /* NULL: a copy */
    CUlaunchConfig config;
    CUlaunchAttribute attribute; /* the cluster's, where there is one */
    unsigned char *parameters;   /* of a copy: source and target */
    size_t size;                 /* bytes to copy */
    bool is_early;               /* it may be started while the one before works */
    bool is_changed;             /* the parameters, since they were last put on a stream */
} hd_cuda_command;

typedef struct hd_cuda_graph hd_cuda_graph;

/* Of kernels alone; `commands` outlive the graph, which the caller owns on success. HD_OUT_OF_MEMORY, HD_LOST. */
HD_MUST_CHECK hd_status hd_cuda_graph_create(const hd_cuda_unit *unit, hd_cuda_command *commands,
                                             size_t count, hd_cuda_graph **out_graph);
/* Puts it on a stream, with the commands' parameters as they are now. */
CUresult hd_cuda_graph_launch(hd_cuda_graph *graph, CUstream stream);
/* None of its launches is in flight. *graph may be NULL, and is afterwards. */
void hd_cuda_graph_destroy(hd_cuda_graph **graph);

#endif

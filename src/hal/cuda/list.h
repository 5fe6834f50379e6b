/* List: the launches of a recipe, with all addresses that are known when it is recorded.
 *
 * Thread-safety: one thread at a time a list. */
#ifndef HD_HAL_CUDA_LIST_H
#define HD_HAL_CUDA_LIST_H

#include "hal/cuda/unit.h"

/* Puts a launch's list on a stream. HD_LOST, HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_cuda_list_submit(hd_cuda_unit *unit, CUstream stream,
                                            const hd_launch *launch);

#endif

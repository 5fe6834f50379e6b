/* Stand-in: a libcuda.so.1 for machines without a GPU, so that the host's half of the CUDA backend is tested there: it keeps memory,
 * streams, graphs and modules as the driver would, copies, and writes timelines, but its kernels compute nothing. It counts what lives,
 * and lets any call fail.
 *
 * Thread-safety: any thread, as the driver's functions. */
#ifndef HD_TEST_CUDA_STAND_IN_H
#define HD_TEST_CUDA_STAND_IN_H

#include <stdint.h>

/* What call number `at` answers, counted over all calls that can fail from the moment that it is set. */
typedef enum stand_in_fault {
    STAND_IN_NONE,
    STAND_IN_OUT_OF_MEMORY, /* this call alone */
    STAND_IN_NO_BINARY,     /* loading a module, always: the driver cannot run its code */
    STAND_IN_NO_COMPILER,   /* loading a module that is PTX alone, always */
    STAND_IN_LOST           /* from this call on all, as behind a fault of a kernel */
} stand_in_fault;

typedef struct stand_in_table {
    void (*set_fault)(stand_in_fault fault, uint64_t at);
    uint64_t (*calls)(void); /* since set_fault */
    int64_t (*living)(void); /* allocations, streams, graphs, modules and held contexts */
    uint64_t (*kernels)(void);
    uint64_t (*texts)(void); /* modules of PTX that were loaded */
} stand_in_table;

/* What the library exports beside the driver's functions: stand_in, of this type. */
typedef const stand_in_table *stand_in_function(void);

#endif

/* Folding: how much may be computed, and kept, before the first run: while a model is prepared and while a
 * plan is made. What passes it is left to the runs, which a device's memory limit bounds and whose bits
 * are the same. So a file of a few bytes cannot fill the memory or take minutes to load (BOUND).
 *
 * Thread-safety: one thread at a time; each preparation and each plan has its own. */
#ifndef HD_GRAPH_FOLDING_H
#define HD_GRAPH_FOLDING_H

#include "operation/operation.h"
#include "runtime/memory_account.h"

typedef struct hd_folding {
    int64_t bytes; /* of outputs that may still be made */
    double work;   /* steps (work.h) that may still be done */
    double spent;  /* those that were done */
} hd_folding;

/* For a graph with `constant_bytes` of constants. What `account`, the device's, has left is for folding and for
 * runs, half each. */
void hd_folding_start(hd_folding *folding, size_t constant_bytes, hd_memory_account *account);

/* Takes what it costs to compute an operation whose outputs are inferred; false, and nothing is taken,
 * when it is too much: outputs of over `slack` bytes more than the inputs, or more bytes or steps than
 * are left. */
bool hd_folding_take(hd_folding *folding, const hd_operation *operation, int64_t slack);

/* Gives bytes back that are freed. */
void hd_folding_give(hd_folding *folding, size_t size);

#endif

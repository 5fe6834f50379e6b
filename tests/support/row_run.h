/* Row run: a case of operator_rows.h as a graph of one node, made and run through the public interface.
 *
 * Thread-safety: one thread at a time. */
#ifndef HD_TEST_ROW_RUN_H
#define HD_TEST_ROW_RUN_H

#include "operator_rows.h"

/* Which operands are constants. */
typedef enum row_mode {
    ROW_FOLDED,  /* all: the model folds the node */
    ROW_PLANNED, /* those whose elements the row gives */
    ROW_STEERED, /* none */
    ROW_MODE_COUNT
} row_mode;

/* Runs the case; outputs[ROW_OUTPUT_LIMIT] are the library's, to be cleared. False where the test cannot make its
 * operands (they are too large). */
#define ROW_OUTPUT_LIMIT 4
bool row_run(hd_device *device, const row_case *c, row_mode mode, hd_tensor *outputs,
             hd_status *out_status, hd_error *error);
void row_outputs_clear(hd_tensor *outputs);

/* Runs the case in every mode, `modes` of them, and fails the cmocka test, saying the case, unless all answer the same
 * bits or a status that blames the model or its size, each within `seconds` of the processor. Returns whether it ran somewhere. A case
 * that does not come back is named on standard error before the process is aborted. */
bool row_check(hd_device *device, const row_case *c, unsigned modes, double seconds);

/* A device with little memory, so that absurd sizes end as a status. */
hd_device *row_device(void);

#endif

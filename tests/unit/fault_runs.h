/* What the tests of faults run: a small model on a device that all of a program's tests share.
 *
 * Thread-safety: one thread at a time. */
#ifndef HD_TEST_FAULT_RUNS_H
#define HD_TEST_FAULT_RUNS_H

#include <stdbool.h>
#include <stdint.h>

#include "heddle/heddle.h"

extern hd_device *device; /* test_device_name()'s, of two threads */
extern hd_graph *shared_graph;
extern hd_model *shared_model;
extern uint32_t run_rows; /* of run_shared */
extern bool run_owned;    /* the output's memory is the caller's */

/* Setup and teardown of a group: open the device, and close it when no model and no plan is held. */
int fault_runs_open(void **state);
int fault_runs_close(void **state);
void fault_runs_check_nothing_is_held(void);

/* x: [-1, 8]; y = relu(x w + b) with a constant that is folded; every kind of attribute once. */
hd_status build_graph(hd_graph **out_graph, hd_error *error);

/* Runs shared_model on run_rows rows, and checks what a success gives. */
hd_status run_shared(hd_error *error);

#endif

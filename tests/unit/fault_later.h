/* The part of the tests of faults that is about work which goes on without its caller, and what it shares with the rest,
 * test_faults.c: one program, which at its end asks whether every kind of call has failed. */
#ifndef HD_TEST_FAULT_LATER_H
#define HD_TEST_FAULT_LATER_H

#include "heddle/heddle.h"

extern hd_device *device;
extern hd_graph *shared_graph;
extern hd_model *shared_model;

/* x: [-1, 8]; y = relu(x w + b) with a constant that is folded; every kind of attribute once. */
hd_status build_graph(hd_graph **out_graph, hd_error *error);

void blocks_of_memory(void **state);
void streams_events_and_later_runs(void **state);
void batches(void **state);
void sessions_with_many_faults(void **state);

#endif

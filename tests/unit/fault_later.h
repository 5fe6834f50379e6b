/* The part of the tests of faults that is about work which goes on without its caller. With test_faults.c it is one program,
 * which at its end asks whether every kind of call has failed. */
#ifndef HD_TEST_FAULT_LATER_H
#define HD_TEST_FAULT_LATER_H

#include "fault_runs.h"

void blocks_of_memory(void **state);
void streams_events_and_later_runs(void **state);
void batches(void **state);
void sessions_with_many_faults(void **state);

#endif

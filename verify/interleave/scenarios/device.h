/* A device for scenarios: the real device.c, opened over a table of functions that the scenario gives. */
#ifndef INTERLEAVE_SCENARIOS_DEVICE_H
#define INTERLEAVE_SCENARIOS_DEVICE_H

#include "runtime/device.h"

/* The CPU's queues with one runner. */
extern const hd_backend scenario_backend;

hd_device *scenario_device_open(const hd_backend *backend, uint32_t queue_count);

/* An executor that is not there, for tables. */
hd_status scenario_executor_create(uint32_t thread_count, hd_executor **out_executor);
void scenario_executor_destroy(hd_executor **executor);

#endif

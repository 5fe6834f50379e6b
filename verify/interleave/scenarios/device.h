/* A device for scenarios: the real device.c, opened over a table of functions that the scenario gives. */
#ifndef INTERLEAVE_SCENARIOS_DEVICE_H
#define INTERLEAVE_SCENARIOS_DEVICE_H

#include "runtime/device.h"

/* A unit that computes nothing. */
extern const hd_backend scenario_backend;

hd_device *scenario_device_open(const hd_backend *backend, uint32_t queue_count);

#endif

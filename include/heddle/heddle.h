/* Heddle: neural-network inference from any number of threads at once, on one device, without a
 * user lock, with the bits that a single thread would get. See docs/architecture.md.
 *
 * Default: a function may be called from any thread at any time unless its comment says less. */
#ifndef HEDDLE_HEDDLE_H
#define HEDDLE_HEDDLE_H

#include "heddle/api.h"
#include "heddle/batch.h"
#include "heddle/cancel.h"
#include "heddle/device.h"
#include "heddle/event.h"
#include "heddle/file.h"
#include "heddle/future.h"
#include "heddle/graph.h"
#include "heddle/inspect.h"
#include "heddle/memory.h"
#include "heddle/model.h"
#include "heddle/status.h"
#include "heddle/stream.h"
#include "heddle/tensor.h"
#include "heddle/wait.h"

#endif

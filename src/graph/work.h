/* Work: what an operation costs, in steps of about a nanosecond of one core, from its type and its operands'
 * shapes alone. It is an estimate by which what a small file asks for is refused before it is begun (BOUND):
 * right within a factor of a few, and never far too low.
 *
 * Thread-safety: works on its arguments only. */
#ifndef HD_GRAPH_WORK_H
#define HD_GRAPH_WORK_H

#include "operation/operation.h"

/* The steps of an operation whose outputs are inferred. A double, as products of sizes overflow integers. */
double hd_work_of(const hd_operation *operation);

#endif

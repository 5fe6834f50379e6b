/* Settle: what an operation becomes when its operands' types and shapes are known, and nothing but these decides it:
 * CastLike becomes a Cast, and heddle.TransposeMatrix,
 * which expansions make before a rank is known, a Transpose.
 *
 * Thread-safety: works on its argument only. */
#ifndef HD_GRAPH_SETTLE_H
#define HD_GRAPH_SETTLE_H

#include "operation/operation.h"

/* The operation's outputs are inferred. Its new attributes are constants: the same in every plan, as rows.c asks. */
void hd_operation_settle(hd_operation *operation);

#endif

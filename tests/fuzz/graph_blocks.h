/* Nodes put into blocks of their own: branches, bodies of loops, functions of the model.
 *
 * Thread-safety: one thread at a time. */
#ifndef HD_FUZZ_GRAPH_BLOCKS_H
#define HD_FUZZ_GRAPH_BLOCKS_H

#include "graph_parts.h"

/* ONNX's opset in a body. */
int64_t block_opset(const mutation *m, const body *b);
void block_import_opset(mutation *m, Onnx__OperatorSetIdProto ***sets, size_t *count,
                        const char *domain, int64_t version);

/* Makes a node a call of a new function, which has it as its only node. */
void block_make_function(mutation *m, Onnx__NodeProto *node, int64_t opset);

void block_wrap_function(mutation *m);
void block_wrap_if(mutation *m);
void block_wrap_loop(mutation *m);
/* A second function of a name, and a call of it. */
void block_overload(mutation *m);
/* A call of a new function that is a whole other model's graph. */
void block_graft(mutation *m, const Onnx__ModelProto *other);

#endif

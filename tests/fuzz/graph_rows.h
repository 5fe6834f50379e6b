/* Nodes of the operators' table (support/operator_rows.h), their operands made so that they fit.
 *
 * Thread-safety: one thread at a time. */
#ifndef HD_FUZZ_GRAPH_ROWS_H
#define HD_FUZZ_GRAPH_ROWS_H

#include "graph_parts.h"

/* A node of any operator, whose first result becomes an output. */
void row_insert(mutation *m);
/* A node between a node and what it reads. */
void row_splice(mutation *m);

/* An operator's name from a row where `now` stands, too; `now` where there is none. */
char *row_operator_name(mutation *m, const char *now);

/* The name of a new input of the graph, which says what elements it is to get in a run: "i1=2,3"; NULL: any. */
char *row_input_name(mutation *m, const double *elements, size_t count);
/* Elements that a name says; how many. */
size_t row_input_elements(const char *name, double *elements, size_t capacity);
/* Type and shape of an input that declares both, with numbers only. */
bool row_input_shape(const Onnx__ValueInfoProto *input, hd_dtype *out_dtype, hd_shape *out_shape);

#endif

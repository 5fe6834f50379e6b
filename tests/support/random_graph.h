/* Random graph: 5 to 40 small operators over one or two inputs, the same for the same seed. Besides
 * single operators it strews in the patterns that fusion looks for: layer norm and GELU spelled out,
 * attention, convolutions with what follows them.
 *
 * Thread-safety: one thread at a time. */
#ifndef HD_TEST_RANDOM_GRAPH_H
#define HD_TEST_RANDOM_GRAPH_H

#include "graph_oracle.h"

typedef enum random_graph_kind {
    RANDOM_GRAPH_IMAGES,    /* [N, C, H, W] */
    RANDOM_GRAPH_SEQUENCES, /* [B, T, C] */
    RANDOM_GRAPH_SIGNALS    /* [N, C, W] */
} random_graph_kind;

void random_graph_make(graph_oracle *oracle, uint64_t seed, random_graph_kind kind);

#endif

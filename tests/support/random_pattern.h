/* Random pattern: one of the patterns that fusion, layouts and joining look for, with every operand's shape
 * bent at random to another that broadcasts: dimensions become 1, or grow from it, are left out or put in
 * front; attributes are seldom usual; operands may be constants or inputs, swapped, or read twice. The same for
 * the same seed. Whether it still is the pattern is for the passes to say.
 *
 * Thread-safety: one thread at a time. */
#ifndef HD_TEST_RANDOM_PATTERN_H
#define HD_TEST_RANDOM_PATTERN_H

#include "graph_oracle.h"

typedef enum random_pattern_kind {
    RANDOM_PATTERN_ATTENTION,
    RANDOM_PATTERN_GATE,   /* GELU, SiLU, HardSwish */
    RANDOM_PATTERN_NORM,   /* layer normalization */
    RANDOM_PATTERN_LINEAR, /* MatMul or Gemm, bias, residual, activation */
    /* Conv or ConvTranspose, with what is joined, turned and fused behind it */
    RANDOM_PATTERN_CONVOLUTION,
    RANDOM_PATTERN_REPEATS, /* Resize into Concat */
    RANDOM_PATTERN_CHAIN,   /* elementwise operators */
    RANDOM_PATTERN_KIND_COUNT
} random_pattern_kind;

void random_pattern_make(graph_oracle *oracle, uint64_t seed, random_pattern_kind kind);

#endif

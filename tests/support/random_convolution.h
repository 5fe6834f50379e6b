/* Random convolutions and pools, and what the makers of random graphs share with them.
 *
 * Thread-safety: one thread at a time. */
#ifndef HD_TEST_RANDOM_CONVOLUTION_H
#define HD_TEST_RANDOM_CONVOLUTION_H

#include <stdbool.h>

#include "graph_maker.h"

/* A value at random: a float, not too large, late ones and unread ones rather, constants seldom. */
size_t pick(maker *m);
/* A value of this rank if there is one soon, else ORACLE_NONE. */
size_t pick_of_rank(maker *m, uint32_t rank);
size_t transposed(maker *m, size_t x, bool last_two);

void make_convolution(maker *m);
void make_line_convolution(maker *m);
void make_pool(maker *m);

#endif

/* Graph maker: what makers of random graphs share: numbers that follow from a seed, constants of any shape, and
 * nodes over what was made before.
 *
 * Thread-safety: one thread at a time. */
#ifndef HD_TEST_GRAPH_MAKER_H
#define HD_TEST_GRAPH_MAKER_H

#include "graph_oracle.h"

typedef struct maker {
    graph_oracle *oracle;
    uint64_t state;
} maker;

uint64_t draw(maker *m);
size_t below(maker *m, size_t limit);                 /* [0, limit) */
int64_t between(maker *m, int64_t low, int64_t high); /* [low, high] */
float *make_floats(maker *m, int64_t count);          /* [-1, 1); the caller frees them */

/* Constants; the places of their values. */
size_t floats_around(maker *m, const hd_shape *shape, float center, float scale);
size_t floats(maker *m, uint32_t rank, const int64_t *dims, float center, float scale);
size_t scalar(maker *m, float value);
size_t ints(maker *m, size_t count, const int64_t *values);

#define FLOATS(m, center, scale, ...)                                                              \
    floats((m), sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), (int64_t[]){__VA_ARGS__},      \
           (center), (scale))
#define INTS(m, ...)                                                                               \
    ints((m), sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), (int64_t[]){__VA_ARGS__})

const hd_shape *shape_of(const maker *m, size_t place);

/* One node with one output; ORACLE_NONE when it was not made, or when its first operand was not. */
size_t node_with(maker *m, const char *type, const size_t *inputs, size_t input_count,
                 const hd_attribute *attributes, size_t attribute_count);
size_t node_int(maker *m, const char *type, size_t input, const char *name, int64_t value);

#define NODE(m, type, ...)                                                                         \
    node_with((m), (type), (size_t[]){__VA_ARGS__},                                                \
              sizeof((size_t[]){__VA_ARGS__}) / sizeof(size_t), NULL, 0)

/* A node over two operands, both of which were made. */
size_t both(maker *m, const char *type, size_t a, size_t b);

#endif

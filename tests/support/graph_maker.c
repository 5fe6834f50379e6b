#include "graph_maker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "operation_runner.h"

/* Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014 (SplitMix64). */
uint64_t draw(maker *m)
{
    uint64_t z = m->state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

size_t below(maker *m, size_t limit)
{
    return (size_t)(draw(m) % limit);
}

int64_t between(maker *m, int64_t low, int64_t high)
{
    return low + (int64_t)below(m, (size_t)(high - low + 1));
}

float *make_floats(maker *m, int64_t count)
{
    float *data = malloc((size_t)count * sizeof *data + 1);
    assert_non_null(data);
    for (int64_t i = 0; i < count; i++) {
        data[i] = (float)((double)draw(m) / 9.2233720368547758e18 - 1.0);
    }
    return data;
}

size_t floats_around(maker *m, const hd_shape *shape, float center, float scale)
{
    int64_t count = hd_shape_count(shape);
    float *data = make_floats(m, count);
    for (int64_t i = 0; i < count; i++) {
        data[i] = center + scale * data[i];
    }
    size_t place = oracle_constant(m->oracle, HD_FLOAT32, shape, data);
    free(data);
    return place;
}

size_t floats(maker *m, uint32_t rank, const int64_t *dims, float center, float scale)
{
    hd_shape shape = {.rank = rank};
    if (rank > 0) {
        memcpy(shape.dims, dims, rank * sizeof *dims);
    }
    return floats_around(m, &shape, center, scale);
}

size_t scalar(maker *m, float value)
{
    return floats(m, 0, NULL, value, 0);
}

size_t ints(maker *m, size_t count, const int64_t *values)
{
    hd_shape shape = {.rank = 1, .dims = {(int64_t)count}};
    return oracle_constant(m->oracle, HD_INT64, &shape, values);
}

const hd_shape *shape_of(const maker *m, size_t place)
{
    return &m->oracle->values[place].shape;
}

size_t node_with(maker *m, const char *type, const size_t *inputs, size_t input_count,
                 const hd_attribute *attributes, size_t attribute_count)
{
    size_t out;
    if (inputs[0] == ORACLE_NONE) {
        return ORACLE_NONE;
    }
    return oracle_node(m->oracle, type, inputs, input_count, attributes, attribute_count, &out, 1)
               ? out
               : ORACLE_NONE;
}

size_t node_int(maker *m, const char *type, size_t input, const char *name, int64_t value)
{
    hd_attribute attribute = operation_int(name, value);
    return node_with(m, type, &input, 1, &attribute, 1);
}

size_t both(maker *m, const char *type, size_t a, size_t b)
{
    return a == ORACLE_NONE || b == ORACLE_NONE ? ORACLE_NONE : NODE(m, type, a, b);
}

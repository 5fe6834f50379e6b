#include "cli/random.h"

#include <math.h>

uint64_t hd_random_next(hd_random_generator *generator)
{
    uint64_t z = generator->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* From 2^-53 to 1, so that its logarithm is finite. */
static double next_unit(hd_random_generator *generator)
{
    return (double)((hd_random_next(generator) >> 11) + 1) * 0x1p-53;
}

void hd_random_fill_normal(float *values, size_t count, double mean, double deviation,
                           uint64_t seed)
{
    const double turn = 6.283185307179586;
    hd_random_generator generator = {seed};
    for (size_t i = 0; i < count; i += 2) {
        double radius = sqrt(-2.0 * log(next_unit(&generator))) * deviation;
        double angle = turn * next_unit(&generator);
        values[i] = (float)(mean + radius * cos(angle));
        if (i + 1 < count) {
            values[i + 1] = (float)(mean + radius * sin(angle));
        }
    }
}

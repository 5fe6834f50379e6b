#include "cli/latency.h"

#include <math.h>
#include <stddef.h>

#define BUCKET_COUNT ((size_t)LATENCY_OCTAVES * LATENCY_STEPS)

void hd_latency_record(hd_latency_histogram *histogram, double seconds)
{
    int octave = 0;
    double nanoseconds = seconds * 1e9;
    size_t bucket = 0;
    if (nanoseconds >= 1) {
        double fraction = frexp(nanoseconds, &octave) * 2 - 1; /* 0 to 1 within the octave */
        bucket = (size_t)(octave - 1) * LATENCY_STEPS + (size_t)(fraction * LATENCY_STEPS);
    }
    histogram->counts[bucket < BUCKET_COUNT ? bucket : BUCKET_COUNT - 1]++;
}

void hd_latency_add(hd_latency_histogram *histogram, const hd_latency_histogram *other)
{
    for (size_t i = 0; i < BUCKET_COUNT; i++) {
        histogram->counts[i] += other->counts[i];
    }
}

double hd_latency_percentile(const hd_latency_histogram *histogram, double part)
{
    uint64_t total = 0, seen = 0;
    for (size_t i = 0; i < BUCKET_COUNT; i++) {
        total += histogram->counts[i];
    }
    uint64_t wanted = (uint64_t)ceil(part * (double)total);
    for (size_t i = 0; i < BUCKET_COUNT; i++) {
        seen += histogram->counts[i];
        if (seen >= wanted && seen > 0) {
            double step = (double)(i % LATENCY_STEPS) + 0.5;
            return ldexp(1 + step / LATENCY_STEPS, (int)(i / LATENCY_STEPS)) * 1e-9;
        }
    }
    return 0;
}

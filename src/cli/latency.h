/* Latency: a histogram of durations, made before a measurement so that recording allocates nothing.
 * Buckets are 1/512 of an octave's start wide: a percentile is right to 0.2 %.
 *
 * Thread-safety: one thread at a time. */
#ifndef HEDDLE_CLI_LATENCY_H
#define HEDDLE_CLI_LATENCY_H

#include <stdint.h>

#define LATENCY_OCTAVES 40 /* from 1 ns up to 18 minutes */
#define LATENCY_STEPS   512

typedef struct hd_latency_histogram {
    uint32_t counts[LATENCY_OCTAVES * LATENCY_STEPS];
} hd_latency_histogram;

void hd_latency_record(hd_latency_histogram *histogram, double seconds);
/* Adds what `other` counted. */
void hd_latency_add(hd_latency_histogram *histogram, const hd_latency_histogram *other);
/* The duration that this part of all (0.5: the median) does not exceed, in seconds; 0 if there is
 * none. */
double hd_latency_percentile(const hd_latency_histogram *histogram, double part);

#endif

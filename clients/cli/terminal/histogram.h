#pragma once

/*
 * Times, counted in buckets whose width grows with the value, as HdrHistogram's do: at most 1.6 %
 * off, from a nanosecond to centuries, in a fixed 30 KiB and without a sort.
 */

#include <stdint.h>

enum { HISTOGRAM_SUB = 64, HISTOGRAM_BUCKETS = 59 * HISTOGRAM_SUB };

typedef struct Histogram {
    uint64_t n, min, max;
    double sum;
    uint64_t buckets[HISTOGRAM_BUCKETS];
} Histogram;

void histogram_add(Histogram *histogram, uint64_t value);

/* The value that this share (0 to 1) of all is not above. 0: there are none. */
uint64_t histogram_at(const Histogram *histogram, double share);

double histogram_mean(const Histogram *histogram);

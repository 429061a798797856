/* SPDX-License-Identifier: Apache-2.0 */
/* Log-linear buckets: 64 to each power of two. See histogram.h. */

#include "clients/cli/terminal/histogram.h"

#include <math.h>

/* Values below 64 have a bucket each; for larger values the six bits after the leading one select
 * the bucket. */
static unsigned bucket_of(uint64_t value) {
    unsigned octave;

    if (value < HISTOGRAM_SUB)
        return (unsigned)value;
    octave = 63 - (unsigned)__builtin_clzll(value);
    return (octave - 5) * HISTOGRAM_SUB + (unsigned)(value >> (octave - 6) & (HISTOGRAM_SUB - 1));
}

static uint64_t highest_in(unsigned bucket) {
    unsigned octave = bucket / HISTOGRAM_SUB + 5;

    if (bucket < HISTOGRAM_SUB)
        return bucket;
    return (UINT64_C(1) << octave) + ((uint64_t)(bucket % HISTOGRAM_SUB + 1) << (octave - 6)) - 1;
}

void histogram_add(Histogram *histogram, uint64_t value) {
    histogram->buckets[bucket_of(value)]++;
    if (histogram->n == 0 || value < histogram->min)
        histogram->min = value;
    if (value > histogram->max)
        histogram->max = value;
    histogram->sum += (double)value;
    histogram->n++;
}

uint64_t histogram_at(const Histogram *histogram, double share) {
    uint64_t wanted = (uint64_t)ceil(share * (double)histogram->n), seen = 0;

    if (histogram->n == 0)
        return 0;
    wanted = wanted < 1 ? 1 : wanted;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen >= wanted)
            return highest_in(i) < histogram->max ? highest_in(i) : histogram->max;
    }
    return histogram->max;
}

double histogram_mean(const Histogram *histogram) {
    return histogram->n ? histogram->sum / (double)histogram->n : 0;
}

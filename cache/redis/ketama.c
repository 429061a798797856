/* SPDX-License-Identifier: Apache-2.0 */
/* Consistent hashing of keys over servers. See ketama.h. */

#include "cache/redis/ketama.h"

#include <stdio.h>
#include <stdlib.h>

#include "cache/redis/md5.h"

static uint32_t word(const uint8_t digest[16], size_t i) {
    return (uint32_t)digest[4 * i] | (uint32_t)digest[4 * i + 1] << 8 |
           (uint32_t)digest[4 * i + 2] << 16 | (uint32_t)digest[4 * i + 3] << 24;
}

/* If two servers have the same point, the order must not depend on qsort(). */
static int compare(const void *a, const void *b) {
    const KetamaPoint *x = a, *y = b;

    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return (x->server > y->server) - (x->server < y->server);
}

KetamaPoint *ketama_new(const char *const *servers, size_t n) {
    KetamaPoint *points = malloc(n * KETAMA_POINTS * sizeof(*points)), *to = points;

    if (!points)
        return NULL;
    for (size_t server = 0; server < n; server++)
        for (unsigned k = 0; k < KETAMA_POINTS / 4; k++) {
            char text[320];
            uint8_t digest[16];
            int len = snprintf(text, sizeof(text), "%s-%u", servers[server], k);

            md5(text, (size_t)len, digest);
            for (int i = 0; i < 4; i++)
                *to++ = (KetamaPoint){word(digest, i), (uint32_t)server};
        }
    qsort(points, n * KETAMA_POINTS, sizeof(*points), compare);
    return points;
}

uint32_t ketama_hash(Span key) {
    uint8_t digest[16];

    md5(key.data, key.len, digest);
    return word(digest, 0);
}

uint32_t ketama_find(const KetamaPoint *points, size_t n, uint32_t hash) {
    size_t low = 0, high = n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (points[middle].at < hash)
            low = middle + 1;
        else
            high = middle;
    }
    return points[low == n ? 0 : low].server;
}

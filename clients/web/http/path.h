/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The path and the query of a request, taken apart and percent-decoded. */

#include <stdbool.h>
#include <stddef.h>

enum {
    PATH_PARTS_MAX = 6,
    PATH_BYTES_MAX = 1024, /* of a whole path */
};

typedef struct Path {
    size_t n;
    const char *parts[PATH_PARTS_MAX]; /* in text */
    char text[PATH_BYTES_MAX];
} Path;

/* Splits "/api/queues/a%20b" at its slashes. A decoded part is UTF-8 without control characters;
 * "%2F" in a part is a character of the part. Returns NULL, or the problem, for people. */
const char *path_split(const char *path, Path *ret);

/* True if the path matches a pattern like "/api/queues/NAME/pause", in which a part in capitals
 * stands for any one part. */
bool path_matches(const Path *path, const char *pattern);

/* Decodes a part of a path, or a value of a query, in place: "%41" is 'A'. plus: '+' is a space.
 * Returns NULL or the problem. */
const char *path_decode(char *text, bool plus);

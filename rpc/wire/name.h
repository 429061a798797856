/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Names of services, methods, topics and queues, and the patterns that match topics.
 *
 * A name is 1 to 255 bytes of UTF-8 in tokens parted by dots; a token is not empty and holds no
 * control character, space, '*' or '>'. In a pattern a token may be '*' (one token, whatever it
 * is), and the last may be '>' (one or more tokens).
 */

#include <stdbool.h>
#include <stddef.h>

enum { NAME_MAX_LEN = 255 };

bool name_is_valid(const void *name, size_t len);
bool pattern_is_valid(const void *pattern, size_t len);

/* Both must be valid. */
bool pattern_matches(const void *pattern, size_t pattern_len, const void *name, size_t name_len);

/* Has it a '*' or '>' token? If not, it matches itself alone. */
bool pattern_is_wild(const void *pattern, size_t len);

/* The problem of an invalid name or pattern, for messages. A static text. */
const char *name_problem(const void *name, size_t len);

/* Does it begin with "ferry."? These names belong to the broker. */
bool name_is_reserved(const void *name, size_t len);

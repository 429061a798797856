/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Names of services, methods, topics and queues, and the patterns that match topics.
 *
 * A name has 1 to 255 bytes of UTF-8, in tokens separated by dots. A token has at least one byte,
 * and contains no control character, space, '*' or '>'. In a pattern a token may be '*' (any single
 * token), and the last token may be '>' (one or more tokens).
 */

#include <stdbool.h>
#include <stddef.h>

enum { NAME_MAX_LEN = 255 };

bool name_is_valid(const void *name, size_t len);
bool pattern_is_valid(const void *pattern, size_t len);

/* True: the name matches the pattern. Both must be valid. */
bool pattern_matches(const void *pattern, size_t pattern_len, const void *name, size_t name_len);

/* True: the pattern has a '*' or '>' token. Otherwise it matches only itself. */
bool pattern_is_wild(const void *pattern, size_t len);

/* The reason why a name or a pattern is not valid, for messages: a static text. NULL: it is valid.
 */
const char *name_problem(const void *name, size_t len);
const char *pattern_problem(const void *pattern, size_t len);

/* True: the name begins with "ferry.", so it is reserved for the broker. */
bool name_is_reserved(const void *name, size_t len);

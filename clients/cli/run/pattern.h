/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Patterns of names, as in subscriptions. */

#include <stdbool.h>

/* True if the name is the pattern, or if the pattern's '*' (any one token) and '>' at its end (one
 * or more tokens) cover it. */
bool pattern_covers(const char *pattern, const char *name);

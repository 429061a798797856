/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns of names. See pattern.h. */

#include "clients/cli/run/pattern.h"

#include <string.h>

bool pattern_covers(const char *pattern, const char *name) {
    for (;;) {
        size_t n = strcspn(pattern, "."), len = strcspn(name, ".");

        if (len == 0)
            return false;
        if (strcmp(pattern, ">") == 0)
            return true;
        if (!(n == 1 && *pattern == '*') && (n != len || memcmp(pattern, name, n) != 0))
            return false;
        pattern += n;
        name += len;
        if (!*pattern || !*name)
            return *pattern == *name;
        pattern++;
        name++;
    }
}

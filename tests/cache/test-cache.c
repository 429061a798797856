/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the suites of the cache's functions with one setup of servers, whose name is the argument.
 * Setups with Redis run them again with a near cache. */

#include <string.h>

#include "suites.h"
#include "support/suite.h"

static int (*const suites[])(CacheSetup *setup, bool near) = {api_suite, fetch_suite, lookup_suite};

int main(int argc, char **argv) {
    CacheSetup setup;
    int r = EXIT_SUCCESS;

    if (!cache_setup(&setup, argc > 1 ? argv[1] : "memory"))
        return EXIT_SKIPPED;
    for (int near = 0; near <= (setup.n > 0 && strcmp(argv[1], "redis") != 0); near++)
        for (size_t i = 0; i < sizeof(suites) / sizeof(*suites); i++) {
            if (suites[i](&setup, near) != EXIT_SUCCESS)
                r = EXIT_FAILURE;
            cache_setup_empty(&setup);
        }
    cache_setup_end(&setup);
    return r;
}

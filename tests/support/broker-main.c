/* SPDX-License-Identifier: Apache-2.0 */
/* The broker alone, for integration tests: test-broker ENDPOINT[,ENDPOINT] [LOG-LEVEL [CONFIG
 * [DATA]]], where an empty word means none. It may listen anywhere: tests have networks of their
 * own. */

#include "broker/main.h"

#include <string.h>

enum { BINDS_MAX = 4 };

static const char *word(int argc, char **argv, int i) {
    return argc > i && *argv[i] ? argv[i] : NULL;
}

int main(int argc, char **argv) {
    const char *level = word(argc, argv, 2), *binds[BINDS_MAX] = {"tcp://127.0.0.1:*"};
    BrokerOptions options = {.binds = binds,
                             .n_binds = 1,
                             .log_level = level ? level : "error",
                             .config = word(argc, argv, 3),
                             .data = word(argc, argv, 4),
                             .insecure = true};

    if (argc > 1) {
        options.n_binds = 0;
        for (char *at = strtok(argv[1], ","); at && options.n_binds < BINDS_MAX;
             at = strtok(NULL, ","))
            binds[options.n_binds++] = at;
    }
    return broker_main(&options);
}

/* The broker alone, for integration tests: test-broker ENDPOINT [LOG-LEVEL [CONFIG [DATA]]], where
 * an empty word means none. */

#include "broker/main.h"

static const char *word(int argc, char **argv, int i) {
    return argc > i && *argv[i] ? argv[i] : NULL;
}

int main(int argc, char **argv) {
    const char *endpoint = argc > 1 ? argv[1] : "tcp://127.0.0.1:*";
    const char *level = word(argc, argv, 2);
    BrokerOptions options = {.binds = &endpoint,
                             .n_binds = 1,
                             .log_level = level ? level : "error",
                             .config = word(argc, argv, 3),
                             .data = word(argc, argv, 4)};

    return broker_main(&options);
}

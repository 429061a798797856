/* The broker alone, for integration tests: usage: test-broker ENDPOINT [LOG-LEVEL]. */

#include "broker/main.h"

int main(int argc, char **argv) {
    const char *endpoint = argc > 1 ? argv[1] : "tcp://127.0.0.1:*";
    BrokerOptions options = {
        .binds = &endpoint, .n_binds = 1, .log_level = argc > 2 ? argv[2] : "error"};

    return broker_main(&options);
}

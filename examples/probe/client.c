/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells whether a host is listening on a port. Exit status: 0: it is; 1: the name is unknown; 2: no
 * server answers; 3: another error.
 *
 *     probe-client HOST [SERVICE [4|6]]   default: http, over each family that the host has
 */

#include "probe.h"

static int report(const ferry_error *error) {
    const probe_name_failure *name = probe_name_failure_in(error);
    const probe_connection_failure *connection = probe_connection_failure_in(error);

    if (name) {
        printf("Name service failure: %s\n", name->message);
        return 1;
    }
    if (connection) {
        printf("Connection failure: %s\n", connection->message);
        for (size_t i = 0; i < connection->attempts.n; i++)
            printf("    %s port %d: [Errno %d] %s\n", connection->attempts.v[i].address,
                   connection->port, connection->attempts.v[i].os_errno,
                   connection->attempts.v[i].reason);
        return 2;
    }
    ferry_error_print(error, stdout);
    return 3;
}

int main(int argc, char **argv) {
    FERRY_AUTO(ferry_close) ferry_client *client = NULL;
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    FERRY_AUTO(ferry_free) probe_reached *reached = NULL;
    probe_family family = argc < 4            ? PROBE_FAMILY_ANY
                          : argv[3][0] == '6' ? PROBE_FAMILY_INET6
                                              : PROBE_FAMILY_INET;

    if (argc < 2) {
        fprintf(stderr, "usage: probe-client HOST [SERVICE [4|6]]\n");
        return 3;
    }
    if (ferry_open(NULL, &(ferry_options){.name = "probe-client"}, &client, &error) < 0 ||
        probe_connect(client, argv[1], argc > 2 ? argv[2] : "http", family, &reached, &error) < 0)
        return report(&error);
    printf("Success: host %s is listening on port %d (%s)\n", reached->host, reached->port,
           reached->address);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Runs one server: START is its function, NAME its name. Any ferry server looks like this. */

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "server.h"

static ferry_client *running;

/* Requests in progress may finish within two seconds; a second stop ends them. */
static void stop(int signal) {
    (void)signal;
    ferry_stop(running);
    alarm(2);
}

static void stop_by_signals(void) {
    struct sigaction action = {.sa_handler = stop};

    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGALRM, &action, NULL);
}

int main(void) {
    FERRY_AUTO(ferry_close) ferry_client *client = NULL;
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;

    if (ferry_open(NULL, &(ferry_options){.name = NAME "-server"}, &client, &error) == 0) {
        running = client;
        stop_by_signals();
        if (START(client, &error) == 0)
            ferry_run(client, &error);
    }
    if (error.code != 0)
        ferry_error_print(&error, stderr);
    return error.code == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole textbook in one server: any of the examples, each on a thread and a client of its own.
 *
 *     ferry-examples [NAME...]   default: all of them
 *
 * Then `ferry services` lists them, `ferry describe caps.Caps` explains one, and
 * `ferry call arith.Arith.add 2 3` calls it.
 */

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "server.h"

#define ROW(row) {#row, row##_start},

static const struct {
    const char *name;
    start_fn *start;
} examples[] = {EXAMPLE_ROWS(ROW)};

enum { N_EXAMPLES = sizeof(examples) / sizeof(examples[0]), GRACE_S = 2 };

typedef struct Server {
    ferry_client *client;
    pthread_t thread;
    bool running;
} Server;

static void *run(void *client) {
    ferry_run(client, NULL);
    return NULL;
}

static int start(Server *server, size_t i, ferry_error *error) {
    int r = ferry_open(NULL, &(ferry_options){.name = examples[i].name}, &server->client, error);

    if (r == 0)
        r = examples[i].start(server->client, error);
    if (r == 0)
        r = -pthread_create(&server->thread, NULL, run, server->client);
    server->running = r == 0;
    if (r == 0)
        printf("%s is served\n", examples[i].name);
    return r;
}

/* Requests in progress may finish within GRACE_S seconds; a second stop ends them. */
static void stop(Server *servers) {
    for (size_t i = 0; i < N_EXAMPLES; i++)
        if (servers[i].running)
            ferry_stop(servers[i].client);
    for (size_t i = 0; i < N_EXAMPLES; i++) {
        struct timespec until;

        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += GRACE_S;
        if (servers[i].running && pthread_timedjoin_np(servers[i].thread, NULL, &until) != 0) {
            ferry_stop(servers[i].client);
            pthread_join(servers[i].thread, NULL);
        }
        ferry_close(servers[i].client);
    }
}

/* Returns the index of an example; -1: no example has this name. */
static int find(const char *name) {
    for (int i = 0; i < N_EXAMPLES; i++)
        if (strcmp(examples[i].name, name) == 0)
            return i;
    return -1;
}

int main(int argc, char **argv) {
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    Server servers[N_EXAMPLES] = {{NULL, 0, false}};
    sigset_t signals;
    int r = 0, signal;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    for (int i = 1; i < argc; i++)
        if (find(argv[i]) < 0) {
            fprintf(stderr, "ferry-examples: there is no example '%s'\n", argv[i]);
            return 2;
        }
    for (size_t i = 0; r == 0 && argc < 2 && i < N_EXAMPLES; i++)
        r = start(&servers[i], i, &error);
    for (int i = 1; r == 0 && i < argc; i++)
        if (!servers[find(argv[i])].running)
            r = start(&servers[find(argv[i])], (size_t)find(argv[i]), &error);
    fflush(stdout);
    if (r == 0)
        sigwait(&signals, &signal);
    else
        ferry_error_print(&error, stderr);
    stop(servers);
    return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

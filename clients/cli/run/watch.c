/* SPDX-License-Identifier: Apache-2.0 */

/* Lists that are printed again and again. See watch.h. */

#include "clients/cli/run/watch.h"

#include <signal.h>

#include "clients/cli/run/pause.h"

int watch(const Cli *cli, uint64_t every_ms, int (*print)(void *ctx), void *ctx) {
    for (;;) {
        int status;

        if (every_ms > 0 && cli->terminal_out)
            fputs("\x1b[H\x1b[2J", stdout);
        status = print(ctx);
        /* A name that is missing now may appear; a broker that is lost may come back. */
        if (every_ms == 0 || (status != EXIT_OK && status != 6 && status != EXIT_CONNECT))
            return status;
        if (fflush(stdout) != 0)
            return 128 + SIGPIPE;
        pause_for(every_ms);
        if (!cli->terminal_out && !cli->json)
            putchar('\n');
    }
}

/* ---- commands that only list ---- */

const Option list_options[] = {
    OPTION_WATCH(ListValues),
    OPTION_END,
};

typedef struct ListRun {
    Cli *cli;
    ferry_client *client;
    const char *name;
    ListFn fn;
} ListRun;

static int print_list(void *ctx) {
    const ListRun *run = ctx;

    return run->fn(run->cli, run->client, run->name);
}

int watch_list(Cli *cli, const void *values, const char *name, ListFn fn) {
    const ListValues *v = values;
    CLEANUP(ferry_close) ferry_client *client = NULL;
    int status = cli_open(cli, NULL, &client);

    if (status != EXIT_OK)
        return status;
    return watch(cli, v->watch_ms, print_list, &(ListRun){cli, client, name, fn});
}

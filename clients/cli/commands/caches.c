/* SPDX-License-Identifier: Apache-2.0 */
/* ferry caches: the caches that connected clients have reported, as a table. */

#include "clients/cli/bodies/show.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/run/brokers.h"
#include "clients/cli/run/watch.h"

static const Column columns[] = {
    {"CACHE", "cache", COLUMN_TEXT},         {"CLIENT", "client", COLUMN_TEXT},
    {"SESSION", "session", COLUMN_NUMBER},   {"HITS", "hits", COLUMN_NUMBER},
    {"NEAR", "near_hits", COLUMN_NUMBER},    {"STALE", "stale_hits", COLUMN_NUMBER},
    {"MISSES", "misses", COLUMN_NUMBER},     {"STORES", "stores", COLUMN_NUMBER},
    {"ERRORS", "errors", COLUMN_ERRORS},     {"DROPPED", "dropped_writes", COLUMN_ERRORS},
    {"ENTRIES", "entries", COLUMN_NUMBER},   {"BYTES", "bytes", COLUMN_BYTES},
    {"EVICTED", "evictions", COLUMN_NUMBER}, {NULL, NULL, COLUMN_TEXT},
};

static int show(Cli *cli, ferry_client *client, const char *name) {
    CLEANUP(json_decref) json_t *rows = NULL;
    int status = brokers_ask(cli, client, false, &rows, "caches", NULL);

    (void)name;
    if (status == EXIT_OK)
        show_rows(cli, rows, columns);
    return status;
}

static int run_caches(Cli *cli, const void *values, int argc, char **argv) {
    (void)argc, (void)argv;
    return watch_list(cli, values, NULL, show);
}

const Command command_caches = {
    .name = "caches",
    .usage = "[--watch T]",
    .summary = "list the caches of connected clients, with their hits and misses",
    .help =
        "A client that was opened with a cache reports its counters to the broker every two\n"
        "seconds while they change. NEAR and STALE are among HITS; ENTRIES and BYTES are those\n"
        "in the memory of the program. --json has more counters.\n"
        "\n"
        "Examples:\n  ferry caches\n  ferry caches --watch 2s\n"
        "  ferry caches --json | jq '.[].misses'\n",
    .options = list_options,
    .values_size = sizeof(ListValues),
    .run = run_caches,
};

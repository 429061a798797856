/* SPDX-License-Identifier: Apache-2.0 */
/* ferry shards: the shards of the queues that brokers share, as a table. */

#include "clients/cli/bodies/show.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/run/brokers.h"
#include "clients/cli/run/watch.h"

static const Column columns[] = {
    {"SHARD", "shard", COLUMN_NUMBER},     {"STATE", "state", COLUMN_TEXT},
    {"BROKER", "owner", COLUMN_TEXT},      {"JOBS", "jobs", COLUMN_NUMBER},
    {"DEGRADED", "degraded", COLUMN_TEXT}, {NULL, NULL, COLUMN_TEXT},
};

enum { ELSEWHERE = 3 };

/* A broker that has a shard knows most about it: its state has the lowest index in this list. */
static unsigned rank_of(const json_t *row) {
    static const char *const states[] = {"here", "restoring", "leaving", [ELSEWHERE] = "elsewhere"};
    const char *state = json_string_value(json_object_get(row, "state"));
    unsigned rank = 0;

    while (rank < sizeof(states) / sizeof(*states) && state && strcmp(state, states[rank]) != 0)
        rank++;
    return rank > ELSEWHERE && !json_object_get(row, "degraded") ? rank + 1 : rank;
}

/* The row names a broker that says itself that it does not have the shard: a broker that has no
 * news of the others keeps the last ones. */
static bool is_outdated(const json_t *rows, const json_t *row) {
    const json_t *shard = json_object_get(row, "shard"), *owner = json_object_get(row, "owner");
    const json_t *other;
    size_t i;

    json_array_foreach(rows, i, other) {
        if (json_equal(json_object_get(other, "shard"), shard) &&
            json_equal(json_object_get(other, "broker"), owner))
            return rank_of(other) >= ELSEWHERE;
    }
    return false;
}

static void correct(const json_t *rows) {
    json_t *row;
    size_t i;

    json_array_foreach(rows, i, row) {
        if (rank_of(row) == ELSEWHERE && is_outdated(rows, row)) {
            json_object_set_new(row, "state", json_string("none"));
            json_object_set_new(row, "owner", json_string(""));
        }
    }
}

/* One row for each shard, from the broker that knows best. */
static json_t *merged(const Cli *cli, const json_t *rows) {
    json_t *best = json_array(), *row, *other = NULL;
    size_t i, j;

    json_array_foreach(rows, i, row) {
        json_t *number = json_object_get(row, "shard"), *broker = json_object_get(row, "broker");

        if (rank_of(row) < ELSEWHERE) /* the broker that was asked has the shard */
            json_object_set_new(row, "owner",
                                broker ? json_incref(broker) : json_string(cli_url(cli)));
        json_object_del(row, "broker");
        json_array_foreach(best, j, other) {
            if (json_equal(json_object_get(other, "shard"), number))
                break;
        }
        if (j == json_array_size(best))
            json_array_append(best, row);
        else if (rank_of(row) < rank_of(other))
            json_array_set(best, j, row);
    }
    return best;
}

static int show(Cli *cli, ferry_client *client, const char *name) {
    CLEANUP(json_decref) json_t *all = NULL, *rows = NULL;
    int status = brokers_ask(cli, client, false, &all, "shards", NULL);

    (void)name;
    if (status != EXIT_OK)
        return status;
    correct(all);
    rows = merged(cli, all);
    if (json_array_size(rows) == 0)
        cli_note(cli, "the queues of this broker are in no store with shards");
    show_rows(cli, rows, columns);
    return EXIT_OK;
}

static int run_shards(Cli *cli, const void *values, int argc, char **argv) {
    (void)argc, (void)argv;
    return watch_list(cli, values, NULL, show);
}

const Command command_shards = {
    .name = "shards",
    .usage = "[--watch T]",
    .summary = "list the shards of shared queues, with their brokers",
    .help =
        "Brokers that share queues in Redis ('ferry broker --store redis://HOST?shards=N') have\n"
        "these queues in N shards; each shard is at one broker at a time. STATE is here, "
        "restoring\n"
        "(a broker is taking it), leaving (a broker gives it up), elsewhere (at a broker that was\n"
        "not asked) or none (at no broker). JOBS are those in the memory of that broker. With a "
        "URL\n"
        "that lists brokers, all of them are asked.\n"
        "\n"
        "Examples:\n  ferry shards\n  ferry shards --url tcp://a:5877,tcp://b:5877 --watch 1s\n"
        "  ferry shards --json | jq '.[] | select(.state == \"none\") | .shard'\n",
    .options = list_options,
    .values_size = sizeof(ListValues),
    .run = run_shards,
};

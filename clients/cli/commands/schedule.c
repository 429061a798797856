/* SPDX-License-Identifier: Apache-2.0 */
/* ferry schedule: recurring jobs. */

#include "base/text.h"
#include "clients/cli/bodies/show.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/run/brokers.h"

#define VERBS "add|list|remove"

typedef struct Values {
    const char *cron, *zone, *missed;
    uint64_t every_ms;
} Values;

static const Option options[] = {
    OPTION_PLAIN(OPTION_TEXT, 0, "cron", Values, cron, "LINE",
                 "five fields: minute, hour, day, month, day of the week; or @hourly, @daily, …"),
    OPTION_RANGE(OPTION_MS, 0, "every", Values, every_ms, "T", "an interval of one second or more",
                 1000, 0),
    OPTION_PLAIN(OPTION_TEXT, 0, "tz", Values, zone, "ZONE",
                 "the time zone of the cron line, for example Europe/Berlin (default: UTC)"),
    OPTION_ROW(OPTION_TEXT, 0, "missed", Values, missed, "RULE",
               "missed moments: once (default), skip or all", 0, 0, "once|skip|all"),
    OPTION_END,
};

static int add(Cli *cli, ferry_client *client, const Values *values, char **argv) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    ferry_schedule_options with = {.cron = values->cron,
                                   .tz = values->zone,
                                   .every_ms = values->every_ms,
                                   .missed = values->missed};

    if (ferry_schedule_add(client, argv[0], argv[1], ferry_str(argv[2] ? argv[2] : ""), &with,
                           &error) < 0)
        return cli_error(cli, &error);
    cli_note(cli, "'%s' pushes jobs to '%s'; 'ferry schedule' shows when", argv[0], argv[1]);
    return EXIT_OK;
}

static int list(Cli *cli, ferry_client *client) {
    static const Column columns[] = {
        {"NAME", "name", COLUMN_TEXT},       {"QUEUE", "queue", COLUMN_TEXT},
        {"CRON", "cron", COLUMN_TEXT},       {"EVERY", "every_ms", COLUMN_MS},
        {"ZONE", "tz", COLUMN_TEXT},         {"MISSED", "missed", COLUMN_TEXT},
        {"NEXT", "next", COLUMN_TEXT},       {"LAST", "last", COLUMN_TEXT},
        {"RUNS", "runs", COLUMN_NUMBER},     {"BYTES", "bytes", COLUMN_BYTES},
        {"PROBLEM", "problem", COLUMN_TEXT}, {NULL, NULL, COLUMN_TEXT},
    };
    CLEANUP(json_decref) json_t *rows = NULL;
    int status = brokers_ask(cli, client, false, &rows, "schedules", NULL);

    if (status == EXIT_OK)
        show_rows(cli, rows, columns);
    return status;
}

static int remove_one(Cli *cli, ferry_client *client, const char *name) {
    CLEANUP(json_decref) json_t *nothing = NULL;
    int status = cli_manage(cli, client, false, &nothing, "remove_schedule", "s", name);

    if (status == EXIT_OK)
        cli_note(cli, "the schedule '%s' was removed; jobs in the queue stay", name);
    return status;
}

static int check(Cli *cli, const Values *values, const char *verb, int argc) {
    static const char *const verbs[] = {"add", "list", "remove"};
    const char *near;

    if (strcmp(verb, "list") == 0)
        return argc > 1 ? cli_usage(cli, "too many arguments for list") : EXIT_OK;
    if (strcmp(verb, "remove") == 0)
        return argc == 2 ? EXIT_OK : cli_usage(cli, "remove needs the name of a schedule");
    if (strcmp(verb, "add") != 0) {
        near = text_nearest(verb, verbs, 3);
        return cli_usage(cli, "'%s' is not one of " VERBS "%s%s%s", verb,
                         near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
    }
    if (argc < 3)
        return cli_usage(cli, "add needs a name and a queue");
    if (!values->cron == !values->every_ms)
        return cli_usage(cli, "a schedule has either --cron or --every");
    if (values->zone && !values->cron)
        return cli_usage(cli, "--tz needs --cron");
    return EXIT_OK;
}

static int run_schedule(Cli *cli, const void *values, int argc, char **argv) {
    CLEANUP(ferry_close) ferry_client *client = NULL;
    const char *verb = argc > 0 ? argv[0] : "list";
    char *rest[] = {argc > 1 ? argv[1] : NULL, argc > 2 ? argv[2] : NULL,
                    argc > 3 ? argv[3] : NULL};
    int status = check(cli, values, verb, argc > 0 ? argc : 1);

    if (status == EXIT_OK && *verb == 'a')
        status = cli_check_queue(cli, rest[1]);
    if (status == EXIT_OK)
        status = cli_open(cli, NULL, &client);
    if (status != EXIT_OK)
        return status;
    return *verb == 'a'   ? add(cli, client, values, rest)
           : *verb == 'r' ? remove_one(cli, client, rest[0])
                          : list(cli, client);
}

const Command command_schedule = {
    .name = "schedule",
    .usage = "[list]\n"
             "add NAME QUEUE [BODY] (--cron LINE [--tz ZONE] | --every T) [--missed RULE]\n"
             "remove NAME",
    .summary = "push the same job again and again",
    .help =
        "At each moment of a schedule the broker pushes a job with BODY to QUEUE, with the "
        "headers\n"
        "ferry-schedule (the name) and ferry-moment (in UTC). Schedules, and the last moment of\n"
        "each, survive a restart of a broker with a data folder: each moment has one job.\n"
        "For moments that were missed, because no broker ran or the queue was full, it pushes one\n"
        "job (once), no job (skip), or one job each, in order (all). 'add' with the name of a\n"
        "schedule replaces it.\n"
        "\n"
        "Examples:\n"
        "  ferry schedule add nightly reports all --cron '30 2 * * *' --tz Europe/Berlin\n"
        "  ferry schedule add heartbeat probes --every 5m\n"
        "  ferry schedule remove nightly\n",
    .options = options,
    .values_size = sizeof(Values),
    .max_args = 4,
    .words = VERBS,
    .run = run_schedule,
};

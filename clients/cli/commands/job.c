/* SPDX-License-Identifier: Apache-2.0 */
/* ferry job: shows, cancels, runs early and moves one job. */

#include "base/text.h"
#include "clients/cli/bodies/show.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/run/pause.h"
#include "clients/cli/terminal/out.h"

#define VERBS "show|cancel|run-now|move"

typedef struct Run {
    Cli *cli;
    ferry_client *client;
    uint64_t job;
    const char *to; /* move: the queue */
} Run;

enum { READ_TRIES = 100, READ_PAUSE_MS = 20 };

/* While the broker reads the body from its disk, its answers have no body: ask again. */
static int find(Run *run, json_t **ret) {
    int status = EXIT_OK;

    for (int i = 0; i < READ_TRIES && status == EXIT_OK; i++) {
        if (i > 0)
            pause_for(READ_PAUSE_MS);
        json_decref(*ret);
        *ret = NULL;
        status = cli_manage(run->cli, run->client, false, ret, "job", "u", run->job);
        if (!json_is_true(json_object_get(*ret, "reading")))
            return status;
    }
    return status;
}

static int show(Run *run) {
    CLEANUP(json_decref) json_t *found = NULL;
    int status = find(run, &found);
    const char *base64;
    json_t *text;

    if (status != EXIT_OK)
        return status;
    base64 = json_string_value(json_object_get(json_object_get(found, "body"), "$bin"));
    text = base64 ? value_text_of_base64(base64) : NULL;
    if (text)
        json_object_set_new(found, "body", text);
    if (run->cli->json)
        show_json(run->cli, found);
    else
        show_fields(run->cli, found);
    return EXIT_OK;
}

static int change(Run *run, const char *method, const char *what) {
    CLEANUP(json_decref) json_t *nothing = NULL;
    int status = cli_manage(run->cli, run->client, false, &nothing, method, "u", run->job);

    if (status == EXIT_OK)
        cli_note(run->cli, "job %llu %s", (unsigned long long)run->job, what);
    return status;
}

static int move(Run *run) {
    CLEANUP(json_decref) json_t *number = NULL;
    int status =
        cli_manage(run->cli, run->client, false, &number, "move_job", "us", run->job, run->to);

    if (status != EXIT_OK)
        return status;
    if (run->cli->json)
        show_json(run->cli, number);
    else if (json_integer_value(number) > 0)
        out_format(stdout, "%lld\n", (long long)json_integer_value(number));
    if (json_integer_value(number) == 0)
        cli_note(run->cli, "job %llu is on its way to '%s', which is at another broker",
                 (unsigned long long)run->job, run->to);
    else
        cli_note(run->cli, "job %llu is in '%s' as job %lld", (unsigned long long)run->job, run->to,
                 (long long)json_integer_value(number));
    return EXIT_OK;
}

static int check(Cli *cli, int argc, char **argv) {
    static const char *const verbs[] = {"show", "cancel", "run-now", "move"};
    const size_t n = sizeof(verbs) / sizeof(*verbs);
    bool is_known = false, is_move = strcmp(argv[0], "move") == 0;
    uint64_t job;

    for (size_t i = 0; i < n; i++)
        is_known |= strcmp(verbs[i], argv[0]) == 0;
    if (!is_known) {
        const char *near = text_nearest(argv[0], verbs, n);

        return cli_usage(cli, "'%s' is not one of " VERBS "%s%s%s", argv[0],
                         near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
    }
    if (text_parse_count(argv[1], &job) < 0 || job > INT64_MAX)
        return cli_usage(cli,
                         "'%s' is not the number of a job: 'ferry push' prints it, and "
                         "'ferry queue peek' lists it",
                         argv[1]);
    if (is_move != (argc == 3))
        return cli_usage(
            cli, is_move ? "move needs the queue to move the job to" : "too many arguments for %s",
            argv[0]);
    return is_move ? cli_check_queue(cli, argv[2]) : EXIT_OK;
}

static int run_job(Cli *cli, const void *values, int argc, char **argv) {
    CLEANUP(ferry_close) ferry_client *client = NULL;
    int status = check(cli, argc, argv);
    Run run = {.cli = cli, .to = argc > 2 ? argv[2] : NULL};

    (void)values;
    if (status == EXIT_OK)
        status = cli_open(cli, NULL, &client);
    if (status != EXIT_OK)
        return status;
    run.client = client;
    text_parse_count(argv[1], &run.job); /* check() has read it, too */
    if (strcmp(argv[0], "show") == 0)
        return show(&run);
    if (strcmp(argv[0], "cancel") == 0)
        return change(&run, "cancel", "is cancelled");
    if (strcmp(argv[0], "run-now") == 0)
        return change(&run, "run_now", "is the next one of its queue");
    return move(&run);
}

const Command command_job = {
    .name = "job",
    .usage = "show|cancel|run-now NUMBER\n"
             "move NUMBER QUEUE",
    .summary = "show or change one job",
    .help = "show     print the state of a job, wherever it waits\n"
            "cancel   remove a job; if a worker has it, its handler or command is told to stop\n"
            "run-now  deliver a waiting or delayed job next\n"
            "move     move a job to another queue; prints its new number\n"
            "\n"
            "'ferry push' prints the number of a job, and 'ferry queue peek' lists it.\n"
            "\n"
            "Example:\n"
            "  job=$(ferry push reports monthly --at 2026-12-01T06:00Z)\n"
            "  ferry job run-now $job\n",
    .min_args = 2,
    .max_args = 3,
    .words = VERBS,
    .run = run_job,
};

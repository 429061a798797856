/* SPDX-License-Identifier: Apache-2.0 */
/* ferry gather: asks all subscribers of a topic and prints the answers. */

#include <inttypes.h>

#include "clients/cli/bodies/show.h"
#include "clients/cli/bodies/source.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/terminal/out.h"
#include "clients/cli/terminal/print.h"

typedef struct Values {
    uint64_t window_ms, count;
    const char *file;
    bool with_from;
} Values;

static const Option options[] = {
    OPTION_RANGE(OPTION_MS, 'w', "window", Values, window_ms, "T",
                 "how long to collect answers (default 1s)", 1, 60000),
    OPTION_RANGE(OPTION_COUNT, 'n', "count", Values, count, "N", "end after N answers", 1, 0),
    OPTION_PLAIN(OPTION_FLAG, 0, "from", Values, with_from, NULL,
                 "print the name of the client that answered and a tab before each answer"),
    OPTION_PLAIN(OPTION_TEXT, 'f', "file", Values, file, "FILE",
                 "read the question from this file"),
    OPTION_END,
};

typedef struct Run {
    Cli *cli;
    const Values *values;
    ferry_client *asker; /* the handle of the question; NULL: the answers of --count have arrived */
    uint64_t n;
} Run;

static void on_answer(const ferry_message *answer, void *ctx) {
    Run *run = ctx;

    if (!run->asker)
        return;
    run->n++;
    if (run->cli->json) {
        CLEANUP(json_decref) json_t *from = json_string(answer->from);

        fputs("{\"from\": ", stdout);
        print_json(from, (PrintStyle){false, false}, stdout);
        printf(", \"session\": %" PRIu64 ", \"body\": ", answer->from_session);
        show_json_body(answer->body);
        fputs("}\n", stdout);
    } else {
        if (run->values->with_from)
            out_format(stdout, "%s\t", answer->from);
        show_body(run->cli, answer->body);
    }
    fflush(stdout);
    if (run->n == run->values->count)
        run->asker = ferry_close(run->asker);
}

static int gather(Run *run, const char *topic, ferry_bytes question) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    uint64_t window_ms = run->values->window_ms ? run->values->window_ms : 1000;
    int r = ferry_gather(run->asker, topic, question, (uint32_t)window_ms, on_answer, run, &error);

    if (r < 0 && run->asker)
        return cli_error(run->cli, &error);
    if (run->n > 0)
        return EXIT_OK;
    return cli_fail(run->cli, 5, "no subscriber of '%s' answered", topic);
}

static int run_gather(Cli *cli, const void *values, int argc, char **argv) {
    const Values *v = values;
    CLEANUP(ferry_close) ferry_client *client = NULL;
    Run run = {.cli = cli, .values = v};
    BodySource source;
    ferry_bytes question;
    int status;

    if (argc > 1 && strcmp(argv[1], "-") == 0)
        return cli_usage(cli, "the question is given twice: as an argument and with --file");
    status = source_open(&source, cli, &(SourceOptions){argc > 1 ? argv[1] : NULL, v->file, 1});
    if (status == EXIT_OK)
        status = cli_open(cli, NULL, &client);
    if (status == EXIT_OK) {
        source_next(&source, NULL, &question);
        if (ferry_with(client, NULL, &run.asker, NULL) < 0)
            status = cli_fail(cli, EXIT_OTHER, "out of memory");
        else
            status = gather(&run, argv[0], question);
        ferry_close(run.asker);
    }
    source_deinit(&source, NULL);
    return status;
}

const Command command_gather = {
    .name = "gather",
    .usage = "TOPIC [BODY | --file FILE] [--window T] [--count N] [--from]",
    .summary = "ask all subscribers of a topic and print their answers",
    .help =
        "Publishes a question and prints each answer on a line as it arrives. Ends when all\n"
        "subscribers have answered, after --count answers, or at the end of the window. The exit\n"
        "status is 5 if no subscriber has answered. With --json, prints one object per line: "
        "from,\n"
        "session, body.\n"
        "\n"
        "Examples:\n"
        "  ferry gather fleet.rollcall 'who is there?' --window 500ms\n",
    .options = options,
    .values_size = sizeof(Values),
    .min_args = 1,
    .max_args = 2,
    .completes = NAMES_TOPICS,
    .run = run_gather,
};

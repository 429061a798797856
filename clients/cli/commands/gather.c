/* SPDX-License-Identifier: Apache-2.0 */
/* ferry gather: asks all subscribers of a topic and prints the answers. */

#include "clients/cli/bodies/show.h"
#include "clients/cli/bodies/source.h"
#include "clients/cli/commands/commands.h"

typedef struct Values {
    uint64_t window_ms, count;
    const char *file;
} Values;

static const Option options[] = {
    OPTION_RANGE(OPTION_MS, 'w', "window", Values, window_ms, "T",
                 "how long to collect answers (default 1s)", 1, 60000),
    OPTION_PLAIN(OPTION_TEXT, 'f', "file", Values, file, "FILE",
                 "read the question from this file"),
    OPTION_END,
};

typedef struct Run {
    const Cli *cli;
    uint64_t n;
} Run;

static void on_answer(const ferry_message *answer, void *ctx) {
    Run *run = ctx;

    run->n++;
    if (run->cli->json) {
        fputs("{\"body\": ", stdout);
        show_json_body(answer->body);
        fputs("}\n", stdout);
    } else {
        show_body(run->cli, answer->body);
    }
    fflush(stdout);
}

static int run_gather(Cli *cli, const void *values, int argc, char **argv) {
    const Values *v = values;
    CLEANUP(ferry_close) ferry_client *client = NULL;
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    Run run = {.cli = cli};
    BodySource source;
    ferry_bytes question;
    int status;

    if (argc > 1 && strcmp(argv[1], "-") == 0)
        return cli_usage(cli, "one question at a time: an argument or --file");
    status = source_open(&source, cli, &(SourceOptions){argc > 1 ? argv[1] : NULL, v->file, 1});
    if (status == EXIT_OK)
        status = cli_open(cli, NULL, &client);
    if (status == EXIT_OK) {
        source_next(&source, NULL, &question);
        if (ferry_gather(client, argv[0], question, v->window_ms ? (uint32_t)v->window_ms : 1000,
                         on_answer, &run, &error) < 0)
            status = cli_error(cli, &error);
        else if (run.n == 0)
            cli_note(cli, "no subscriber answered");
    }
    source_deinit(&source, NULL);
    return status;
}

const Command command_gather = {
    .name = "gather",
    .usage = "TOPIC [BODY | --file FILE] [--window T]",
    .summary = "ask all subscribers of a topic and print their answers",
    .help =
        "Publishes a question, collects answers for the whole window, and prints each answer on a\n"
        "line as it arrives.\n"
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

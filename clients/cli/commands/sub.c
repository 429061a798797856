/* SPDX-License-Identifier: Apache-2.0 */
/* ferry sub: subscribes and prints messages. */

#include <inttypes.h>
#include <stdlib.h>

#include "base/container.h"
#include "clients/cli/bodies/show.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/run/environment.h"
#include "clients/cli/run/exec.h"
#include "clients/cli/run/loop.h"

typedef struct Values {
    uint64_t count, last, timeout_ms;
    uint64_t backlog;
    const char *group, *answer, *exec, *unpack, *overflow;
    bool with_topic, with_time;
} Values;

static const Option options[] = {
    OPTION_RANGE(OPTION_COUNT, 'n', "count", Values, count, "N", "end after N messages", 1, 0),
    OPTION_RANGE(OPTION_COUNT, 'l', "last", Values, last, "N",
                 "first print the last N messages of each topic that the broker still has", 1,
                 UINT32_MAX),
    OPTION_PLAIN(OPTION_TEXT, 'g', "group", Values, group, "G",
                 "join group G: each message goes to one of its subscribers"),
    OPTION_ROW(OPTION_TEXT, 0, "overflow", Values, overflow, "POLICY",
               "if the backlog is full, drop the newest messages (default) or the oldest ones, "
               "or disconnect",
               0, 0, "drop-newest|drop-oldest|disconnect"),
    OPTION_RANGE(
        OPTION_BYTES, 0, "backlog", Values, backlog, "SIZE",
        "bytes that the broker holds while this command is slow (default, and at most, its "
        "max_subscriber_bytes)",
        1, 0),
    OPTION_PLAIN(OPTION_TEXT, 'a', "answer", Values, answer, "TEXT",
                 "answer questions of 'ferry gather' with TEXT"),
    OPTION_PLAIN(OPTION_TEXT, 'e', "exec", Values, exec, "CMD",
                 "run CMD for each message; its output is printed, or answers a question"),
    OPTION_RANGE(OPTION_MS, 't', "timeout", Values, timeout_ms, "T",
                 "end with status 5 after this time without a message", 1, 0),
    OPTION_PLAIN(OPTION_FLAG, 0, "topics", Values, with_topic, NULL,
                 "print the topic and a tab before each message (default on a terminal, for more "
                 "than one topic)"),
    OPTION_PLAIN(OPTION_TEXT, 0, "unpack", Values, unpack, BODY_TYPE_ARG,
                 "unpack bodies by TYPE and show them as JSON: " BODY_TYPE_HELP),
    OPTION_PLAIN(OPTION_FLAG, 'T', "time", Values, with_time, NULL,
                 "print the time of arrival before each message"),
    OPTION_END,
};

typedef struct Run {
    Cli *cli;
    const Values *values;
    Loop loop;
    Timer silence;
    uint64_t n, missed; /* received and missed messages */
    bool missed_unknown;
    ShowStyle style;
} Run;

static void on_silence(Timer *timer, void *ctx) {
    Run *run = container_of(timer, Run, silence);

    (void)ctx;
    loop_end(&run->loop,
             cli_fail(run->cli, 5, "no message for %" PRIu64 " ms", run->values->timeout_ms));
}

/* ---- commands ---- */

/* The running command; one at a time. */
typedef struct Running {
    Loop loop; /* a loop of its own: a question can be answered only in the callback that delivers
                  it */
    Exec *exec;
    bool is_over;
    int status;
    char reason[EXEC_REASON_MAX];
    Buffer output;
} Running;

static void on_end(Exec *exec, const ExecResult *result, void *ctx) {
    Running *running = ctx;

    (void)exec;
    running->exec = NULL; /* frees itself */
    running->is_over = true;
    running->status = result->status;
    snprintf(running->reason, sizeof(running->reason), "%s", result->reason);
    running->output = *result->output;
    *result->output = (Buffer){0};
    loop_end(&running->loop, EXIT_OK);
}

/* Uses the command's output as the answer, without one newline at the end. */
static void use_output(Run *run, const ferry_message *message, const Buffer *output) {
    bool has_newline = output->len > 0 && output->data[output->len - 1] == '\n';
    ferry_bytes body = ferry_bytes_of(output->data, output->len - has_newline);
    int r = ferry_message_answer(message, body);

    if (r == -EINVAL)
        show_body(run->cli, body); /* the message is not a question */
    else if (r < 0)
        cli_note(run->cli, "the answer to '%s' could not be sent: %s", message->topic,
                 strerror(-r));
}

static void run_command(Run *run, const ferry_message *message) {
    CLEANUP(environment_deinit) Environment environment = {0};
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    CLEANUP(buffer_deinit) Buffer text = {0};
    ferry_bytes input = message->body;
    Running running = {0};
    int r = cli_loop_init(&running.loop, run->cli) == EXIT_OK ? 0 : -EIO;

    environment_of_message(&environment, message);
    if (run->style.unpack.is_set && body_type_text(&run->style.unpack, input, &text, &error) == 0)
        input = ferry_bytes_of(text.data, text.len);
    if (error.type)
        cli_note(run->cli, "a body does not match the type of --unpack: %s", error.message);
    if (r == 0)
        r = exec_start(&running.loop,
                       &(ExecOptions){.command = run->values->exec,
                                      .input = input,
                                      .variables = environment.variables,
                                      .n_variables = environment.n,
                                      .show_errors = !run->cli->quiet,
                                      .fn = on_end,
                                      .ctx = &running},
                       &running.exec);
    if (r == 0)
        r = loop_run(&running.loop);
    if (r < 0)
        cli_note(run->cli, "cannot start '%s': %s", run->values->exec, strerror(-r));
    else if (!running.is_over)
        loop_end(&run->loop, r); /* ended by a signal */
    else if (running.status != 0)
        cli_note(run->cli, "'%s' failed: %s", run->values->exec, running.reason);
    else
        use_output(run, message, &running.output);
    exec_free(running.exec);
    buffer_deinit(&running.output);
    cli_loop_deinit(&running.loop);
}

/* ---- messages ---- */

static void on_message(const ferry_message *message, void *ctx) {
    Run *run = ctx;

    if (run->loop.ended)
        return;
    if (message->missed == FERRY_MISSED_UNKNOWN) {
        run->missed_unknown = true;
        cli_note(run->cli, "missed an unknown number of messages before this one");
    } else if (message->missed > 0) {
        run->missed += message->missed;
        cli_note(run->cli, "missed %" PRIu64 " messages before this one", message->missed);
    }
    if (run->values->exec)
        run_command(run, message);
    else
        show_message(run->cli, message, &run->style);
    if (run->loop.ended)
        return;
    /* A message that is not a question cannot be answered; that error is ignored. */
    if (run->values->answer)
        ferry_message_answer(message, ferry_str(run->values->answer));
    run->n++;
    if (run->values->count && run->n == run->values->count)
        loop_end(&run->loop, EXIT_OK);
    else if (run->values->timeout_ms)
        loop_arm(&run->loop, &run->silence, run->values->timeout_ms, on_silence);
}

static uint32_t overflow_of(const char *policy) {
    return !policy || strcmp(policy, "drop-newest") == 0 ? FERRY_DROP_NEWEST
           : strcmp(policy, "drop-oldest") == 0          ? FERRY_DROP_OLDEST
                                                         : FERRY_DISCONNECT;
}

static int subscribe(Run *run, ferry_client *client, int argc, char **argv) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    ferry_subscribe_options with = {.group = run->values->group,
                                    .last = (uint32_t)run->values->last,
                                    .overflow = overflow_of(run->values->overflow),
                                    .backlog = run->values->backlog};

    for (int i = 0; i < argc; i++)
        if (ferry_subscribe(client, argv[i], &with, on_message, run, NULL, &error) < 0)
            return cli_error(run->cli, &error);
    if (run->cli->terminal_err)
        cli_note(run->cli, "listening at %s", cli_url(run->cli));
    return EXIT_OK;
}

static int run_sub(Cli *cli, const void *values, int argc, char **argv) {
    CLEANUP(ferry_close) ferry_client *client = NULL;
    Run run = {.cli = cli, .values = values};
    int status;

    run.style.time = run.values->with_time;
    run.style.topic = run.values->with_topic ||
                      (cli->terminal_out && (argc > 1 || argv[0][strcspn(argv[0], "*>")]));
    if (run.values->answer && run.values->exec)
        return cli_usage(cli, "use either --answer or --exec: both set the answer");
    status = body_type_open(&run.style.unpack, cli, "unpack", run.values->unpack);
    if (status == EXIT_OK)
        status = cli_loop_init(&run.loop, cli);
    if (status == EXIT_OK)
        status = cli_open(cli, NULL, &client);
    if (status == EXIT_OK)
        status = subscribe(&run, client, argc, argv);
    if (status == EXIT_OK)
        status = loop_add_client(&run.loop, client);
    if (status == EXIT_OK) {
        if (run.values->timeout_ms)
            loop_arm(&run.loop, &run.silence, run.values->timeout_ms, on_silence);
        loop_watch_output(&run.loop);
        status = loop_run(&run.loop);
    }
    client = ferry_close(client);
    if (run.missed_unknown)
        cli_note(cli, "missed an unknown number of messages in all: the connection was lost");
    else if (run.missed > 0)
        cli_note(cli, "missed %" PRIu64 " messages in all: they came faster than they were read",
                 run.missed);
    cli_loop_deinit(&run.loop);
    body_type_close(&run.style.unpack);
    return status;
}

const Command command_sub = {
    .name = "sub",
    .usage = "PATTERN... [--count N] [--last N] [--group G] [--topics] [--time] [--unpack TYPE] "
             "[--overflow POLICY] [--backlog SIZE] "
             "[--answer TEXT | "
             "--exec CMD]",
    .summary = "print the messages of topics",
    .help =
        "In a pattern, * matches one token and > at the end one or more. Prints each body on a\n"
        "line; with --json, prints one object per line: topic, seq, missed, headers, body. "
        "Messages\n"
        "that are missed because this command is too slow are reported on standard error.\n"
        "\n"
        "Examples:\n"
        "  ferry sub 'orders.*' --last 10\n"
        "  ferry sub '>' --topics\n"
        "  ferry sub jobs.done --count 1 --timeout 1m\n"
        "  ferry sub fleet.rollcall --answer \"$(hostname)\"\n"
        "  ferry sub 'fleet.load' --exec 'cut -d\" \" -f1 /proc/loadavg'\n",
    .options = options,
    .values_size = sizeof(Values),
    .min_args = 1,
    .max_args = -1,
    .completes = NAMES_TOPICS,
    .runs_on = true,
    .waits = true,
    .run = run_sub,
};

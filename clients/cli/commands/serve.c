/* SPDX-License-Identifier: Apache-2.0 */

/* ferry serve: answers the calls of one method with an echo, the output of a command, or a
 * failure. */

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/container.h"
#include "clients/cli/bodies/serve-body.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/run/environment.h"
#include "clients/cli/run/exec.h"

typedef struct Values {
    uint64_t slots, delay_ms, count;
    const char *exec, *fail, *instance, *format, *listen;
    bool echo, redact_errors;
} Values;

static const Option options[] = {
    OPTION_PLAIN(OPTION_FLAG, 0, "echo", Values, echo, NULL,
                 "answer with the argument, or with the list of several arguments"),
    OPTION_PLAIN(OPTION_TEXT, 'e', "exec", Values, exec, "CMD",
                 "run CMD for each call, with the arguments on standard input"),
    OPTION_PLAIN(OPTION_TEXT, 0, "fail", Values, fail, "TYPE[:MESSAGE]",
                 "answer each call with this error"),
    OPTION_ROW(OPTION_TEXT, 0, "format", Values, format, "WORD",
               "format of CMD's input and output: text (default), json, msgpack", 0, 0,
               "text|json|msgpack"),
    OPTION_RANGE(OPTION_COUNT, 's', "slots", Values, slots, "N", "calls at once (default 1)", 1,
                 65536),
    OPTION_PLAIN(OPTION_MS, 0, "delay", Values, delay_ms, "T", "wait before each answer"),
    OPTION_PLAIN(OPTION_TEXT, 'i', "instance", Values, instance, "NAME",
                 "name of this instance of the service"),
    OPTION_PLAIN(OPTION_TEXT, 'l', "listen", Values, listen, "URL",
                 "take direct calls at tcp://HOST:PORT or ipc://PATH, too"),
    OPTION_PLAIN(OPTION_FLAG, 0, "redact-errors", Values, redact_errors, NULL,
                 "for callers outside: leave trace, causes and host out of errors"),
    OPTION_RANGE(OPTION_COUNT, 'n', "count", Values, count, "N", "end after N calls", 1, 0),
    OPTION_END,
};

typedef struct Run Run;

/* A call whose answer comes later. */
typedef struct Task {
    Run *run;
    ferry_request *request;
    Exec *exec;
    Buffer input;
    Timer timer;
    struct Task *prev, *next;
} Task;

struct Run {
    Cli *cli;
    const Values *values;
    BodyFormat format;
    Loop loop;
    Task *tasks;
    uint64_t taken, done;
    bool is_stopping;
    char fail_type[128];
    const char *fail_message;
};

/* Throws without a trace: the place of the failure is outside this program. */
#define throw_to(...) ferry_request_throw_at(NULL, 0, NULL, __VA_ARGS__)

static void one_done(Run *run) {
    run->done++;
    if (!run->tasks &&
        (run->is_stopping || (run->values->count && run->done >= run->values->count)))
        loop_end(&run->loop, EXIT_OK);
}

static void task_free(Task *task) {
    Run *run = task->run;

    exec_free(task->exec);
    if (timer_armed(&task->timer))
        loop_disarm(&run->loop, &task->timer);
    DL_DELETE(run->tasks, task);
    buffer_deinit(&task->input);
    free(task);
}

static int answer_now(Run *run, ferry_request *request) {
    if (run->values->fail)
        return throw_to(request, run->fail_type, NULL, "%s", run->fail_message);
    return ferry_request_return(request, body_of_echo(request->body));
}

/* ---- commands ---- */

static void on_end(Exec *exec, const ExecResult *result, void *ctx) {
    Task *task = ctx;
    Run *run = task->run;
    CLEANUP(buffer_deinit) Buffer packed = {0};
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;

    (void)exec;
    task->exec = NULL; /* frees itself */
    if (result->status == EXEC_RETRY)
        throw_to(task->request, "ferry.Overloaded", NULL, "%s", result->reason);
    else if (result->status != 0)
        throw_to(task->request, "ferry.Internal", NULL, "%s", result->reason);
    else if (body_from_output(run->format, result->output, &packed, &error) < 0)
        throw_to(task->request, "ferry.Internal", NULL, "the command's output: %s", error.message);
    else
        ferry_request_return(task->request, ferry_bytes_of(packed.data, packed.len));
    task_free(task);
    one_done(run);
}

/* The caller does not wait for the answer any more. */
static void on_cancel(ferry_request *request, void *ctx) {
    Task *task = ctx;

    if (task->exec && ferry_request_cancelled(request))
        exec_cancel(task->exec);
}

static int start_command(Task *task) {
    CLEANUP(environment_deinit) Environment environment = {0};
    Run *run = task->run;
    int r = body_to_input(run->format, task->request->body, &task->input);

    if (r < 0)
        return r;
    environment_of_request(&environment, task->request);
    r = exec_start(&run->loop,
                   &(ExecOptions){.command = run->values->exec,
                                  .input = ferry_bytes_of(task->input.data, task->input.len),
                                  .variables = environment.variables,
                                  .n_variables = environment.n,
                                  .show_errors = !run->cli->quiet,
                                  .fn = on_end,
                                  .ctx = task},
                   &task->exec);
    if (r == 0)
        ferry_request_watch(task->request, on_cancel, task);
    return r;
}

/* ---- calls ---- */

static void go_on(Task *task) {
    Run *run = task->run;
    int r;

    if (run->values->exec) {
        r = start_command(task);
        if (r == 0)
            return;
        cli_note(run->cli, "cannot start '%s': %s", run->values->exec, strerror(-r));
        throw_to(task->request, r == -EINVAL ? "ferry.InvalidArgument" : "ferry.Internal", NULL,
                 r == -EINVAL ? "the arguments are not MessagePack"
                              : "the command could not be started");
    } else {
        answer_now(run, task->request);
    }
    task_free(task);
    one_done(run);
}

static void on_delay(Timer *timer, void *ctx) {
    (void)ctx;
    go_on(container_of(timer, Task, timer));
}

static int on_call(ferry_request *request, void *ctx) {
    Run *run = ctx;
    Task *task;
    int r;

    if (run->is_stopping || run->loop.ended ||
        (run->values->count && run->taken >= run->values->count))
        return throw_to(request, "ferry.Draining", NULL, "this server is shutting down");
    run->taken++;
    if (!run->values->exec && run->values->delay_ms == 0) {
        r = answer_now(run, request);
        one_done(run);
        return r;
    }
    task = calloc(1, sizeof(*task));
    if (!task)
        return -ENOMEM;
    task->run = run;
    task->request = ferry_request_defer(request);
    if (!task->request) {
        free(task);
        return -ENOMEM;
    }
    DL_APPEND(run->tasks, task);
    if (run->values->delay_ms > 0)
        loop_arm(&run->loop, &task->timer, run->values->delay_ms, on_delay);
    else
        go_on(task);
    return 0;
}

/* SIGTERM: answer the running calls. SIGINT: end them with an error. */
static void on_signal(Loop *loop, int signal, void *ctx) {
    Run *run = ctx;

    if (signal == SIGINT)
        loop_end(loop, EXIT_INTERRUPTED);
    else if (!run->tasks)
        loop_end(loop, EXIT_OK);
    else
        run->is_stopping = true;
}

static int serve(Run *run, ferry_client *client, int argc, char **argv) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    ferry_serve_options with = {.slots = (uint32_t)run->values->slots,
                                .redact_errors = run->values->redact_errors,
                                .instance = run->values->instance,
                                .listen = run->values->listen};
    int status = loop_add_client(&run->loop, client);

    if (status != EXIT_OK)
        return status;
    run->loop.on_signal = on_signal;
    run->loop.ctx = run;
    for (int i = 0; i < argc; i++)
        if (ferry_serve_method(client, argv[i], &with, on_call, run, NULL, &error) < 0)
            return cli_error(run->cli, &error);
    if (run->cli->terminal_err)
        cli_note(run->cli, "serving %s%s at %s", argv[0], argc > 1 ? " and more" : "",
                 cli_url(run->cli));
    status = loop_run(&run->loop);
    while (run->tasks) {
        throw_to(run->tasks->request, "ferry.Draining", NULL, "this server is shutting down");
        task_free(run->tasks);
    }
    return status;
}

/* "TYPE:MESSAGE", or TYPE alone. */
static int split_failure(Run *run) {
    const char *text = run->values->fail;
    size_t n = strcspn(text, ":");

    if (n == 0 || n >= sizeof(run->fail_type))
        return cli_usage(run->cli, "--fail '%s': TYPE or TYPE:MESSAGE, as in calc.DivisionByZero",
                         text);
    memcpy(run->fail_type, text, n);
    run->fail_message = text[n] ? text + n + 1 : "thrown by 'ferry serve --fail'";
    return EXIT_OK;
}

static int run_serve(Cli *cli, const void *values, int argc, char **argv) {
    const Values *v = values;
    CLEANUP(ferry_close) ferry_client *client = NULL;
    Run run = {.cli = cli, .values = v, .format = body_format(v->format)};
    int status = EXIT_OK;

    for (int i = 0; i < argc; i++) {
        const char *dot = strrchr(argv[i], '.');

        if (!dot || dot == argv[i] || !dot[1] || strlen(argv[i]) > 255)
            return cli_usage(cli, "'%s' is not a method: write SERVICE.METHOD, as in calc.Calc.add",
                             argv[i]);
    }
    if (v->echo + !!v->exec + !!v->fail != 1)
        return cli_usage(cli, "choose one of --echo, --exec CMD and --fail TYPE as the answer");
    if (v->fail)
        status = split_failure(&run);
    if (status == EXIT_OK)
        status = cli_loop_init(&run.loop, cli);
    if (status != EXIT_OK)
        return status;
    status = cli_open(cli, NULL, &client);
    if (status == EXIT_OK)
        status = serve(&run, client, argc, argv);
    client = ferry_close(client);
    cli_loop_deinit(&run.loop);
    return status;
}

const Command command_serve = {
    .name = "serve",
    .usage =
        "SERVICE.METHOD... (--echo | --exec CMD | --fail TYPE[:MESSAGE]) [--slots N] [--delay T]",
    .summary = "answer the calls of methods",
    .help =
        "The shell runs CMD once per call, up to --slots at once. With --format text, a single\n"
        "text or bytes argument is passed to standard input unchanged, other arguments as a JSON\n"
        "list; the output is the result: a JSON value if it is one, else a text. With json, the\n"
        "input is the list of arguments and the output must be a JSON value; with msgpack, both\n"
        "are MessagePack bytes.\n"
        "\n"
        "Exit status of CMD: 0: its output is the result. 75: ferry.Overloaded, which callers may\n"
        "retry. Any other status: ferry.Internal, with standard error as the message. The "
        "environment\n"
        "has FERRY_METHOD, FERRY_CALLER, FERRY_USER, FERRY_LEFT_MS, and FERRY_HEADER_NAME for "
        "each\n"
        "header.\n"
        "\n"
        "Serve all methods of a service in one process, because the broker sends a call to any\n"
        "server of the service; CMD can tell the methods apart by FERRY_METHOD.\n"
        "\n"
        "Examples:\n"
        "  ferry serve demo.Echo.say --echo\n"
        "  ferry serve text.Text.upper text.Text.lower --exec './text.sh \"$FERRY_METHOD\"'\n"
        "  ferry serve text.Text.upper --exec 'tr a-z A-Z' --slots 4\n"
        "  ferry serve calc.Calc.div --fail calc.DivisionByZero:'cannot divide by zero'\n",
    .options = options,
    .values_size = sizeof(Values),
    .min_args = 1,
    .max_args = -1,
    .completes = NAMES_SERVICES,
    .runs_on = true,
    .waits = true,
    .run = run_serve,
};

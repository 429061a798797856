/* SPDX-License-Identifier: Apache-2.0 */

/* ferry work: takes jobs from a queue, and prints them or runs a command for each. */

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/container.h"
#include "base/text.h"
#include "clients/cli/bodies/serve-body.h"
#include "clients/cli/bodies/show.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/run/environment.h"
#include "clients/cli/run/exec.h"

enum {
    DRAIN_IDLE_MS = 50, /* pause from the last job to the first check whether the queue is empty */
    DRAIN_ASK_MS = 200, /* pause between two checks */
};

typedef struct Values {
    uint64_t slots, count, retries, delay_ms, timeout_ms;
    const char *exec, *call, *then, *pack, *unpack;
    bool drain;
} Values;

static const Option options[] = {
    OPTION_PLAIN(OPTION_TEXT, 'e', "exec", Values, exec, "CMD",
                 "run CMD for each job, with its body on standard input"),
    OPTION_PLAIN(OPTION_TEXT, 0, "call", Values, call, "SERVICE.METHOD",
                 "call a method for each job, with its body as the only argument"),
    OPTION_PLAIN(OPTION_TEXT, 0, "then", Values, then, "QUEUE",
                 "push the result (without --exec and --call: the body) to QUEUE"),
    OPTION_PLAIN(
        OPTION_TEXT, 0, "unpack", Values, unpack, BODY_TYPE_ARG,
        "unpack bodies by TYPE, and show them or pass them to CMD as JSON: " BODY_TYPE_HELP),
    OPTION_PLAIN(OPTION_TEXT, 0, "pack", Values, pack, BODY_TYPE_ARG,
                 "with --then: pack the output of CMD, which is JSON, by TYPE: " BODY_TYPE_HELP),
    OPTION_RANGE(OPTION_COUNT, 's', "slots", Values, slots, "N", "jobs at once (default 1)", 1,
                 65536),
    OPTION_RANGE(OPTION_COUNT, 'n', "count", Values, count, "N", "end after N jobs", 1, 0),
    OPTION_RANGE(OPTION_COUNT, 0, "retries", Values, retries, "N",
                 "retry a failed job N times before it is rejected (default 0)", 0, 1000000),
    OPTION_PLAIN(OPTION_MS, 0, "delay", Values, delay_ms, "T",
                 "time before a retry (default: the queue's back-off)"),
    OPTION_RANGE(OPTION_MS, 't', "timeout", Values, timeout_ms, "T",
                 "time limit of a command or call; then the job is retried", 1, 0),
    OPTION_PLAIN(OPTION_FLAG, 0, "drain", Values, drain, NULL, "end when the queue is empty"),
    OPTION_END,
};

typedef struct Run Run;

typedef struct Task {
    Run *run;
    ferry_job *job;
    Exec *exec;
    Timer timer;
    Buffer input; /* the body as JSON, with --unpack */
    bool is_late;
    const char *lost; /* the reason why the broker has taken the job back; NULL: it has not */
    struct Task *prev, *next;
} Task;

struct Run {
    Cli *cli;
    const Values *values;
    Loop loop;
    BodyType pack, unpack;
    const char *queue;
    ferry_client *intake; /* the handle that receives jobs; NULL: the command takes no more jobs */
    Task *tasks;
    unsigned n_running;
    uint64_t taken, done, failed;
    bool is_stopping; /* takes no more jobs; ends when no command runs */
    ferry_client *client;
    Timer idle;
    bool has_retried;  /* a job was retried since the queue was last seen without delayed jobs */
    bool is_asking;    /* the broker is being asked whether the queue is empty */
    uint64_t asked_at; /* jobs taken when it was asked */
};

/* Stops receiving jobs. Jobs in flight to this worker return to the queue without a counted
 * attempt. */
static void take_no_more(Run *run) {
    run->intake = ferry_close(run->intake);
}

static void end_when_idle(Run *run) {
    if (run->n_running == 0 &&
        (run->is_stopping || (run->values->count && run->done >= run->values->count)))
        loop_end(&run->loop, EXIT_OK);
}

/* ---- draining ---- */

static void on_idle(Timer *timer, void *ctx);

static uint64_t counter(const json_t *status, const char *key) {
    return (uint64_t)json_integer_value(json_object_get(status, key));
}

/* True: the broker has no job to deliver and no job in flight; a large job may still be in flight
 * to this worker. Delayed jobs count if this worker has retried a job. */
static bool is_empty(Run *run, const json_t *status) {
    if (counter(status, "delayed") == 0)
        run->has_retried = false;
    return counter(status, "ready") == 0 && counter(status, "held") == 0 && !run->has_retried;
}

static void on_status(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    CLEANUP(json_decref) json_t *status = NULL;
    Run *run = ctx;
    /* If the queue does not exist, or the user has no right to see it, end now: this worker is
     * idle. */
    bool is_gone = error && error->type &&
                   (strcmp(error->type, "ferry.NotFound") == 0 ||
                    strcmp(error->type, "ferry.PermissionDenied") == 0);

    run->is_asking = false;
    if (run->loop.ended || run->n_running > 0)
        return;
    if (is_gone || (reply && value_to_json(reply->body, &status, NULL) == 0 &&
                    run->taken == run->asked_at && is_empty(run, status)))
        loop_end(&run->loop, EXIT_OK);
    else
        loop_arm(&run->loop, &run->idle, DRAIN_ASK_MS, on_idle);
}

static void on_idle(Timer *timer, void *ctx) {
    Run *run = container_of(timer, Run, idle);
    CLEANUP(buffer_deinit) Buffer args = {0};
    CLEANUP(json_decref) json_t *list = json_pack("[s]", run->queue);

    (void)ctx;
    if (run->n_running > 0 || run->is_asking)
        return;
    run->asked_at = run->taken;
    run->is_asking =
        list && value_from_json(list, &args, NULL) == 0 &&
        ferry_call_async(run->client, "ferry.Broker.queue", ferry_bytes_of(args.data, args.len),
                         on_status, run, NULL) == 0;
    if (!run->is_asking)
        loop_arm(&run->loop, &run->idle, DRAIN_ASK_MS, on_idle);
}

static void expect_more(Run *run) {
    if (run->values->drain && run->n_running == 0)
        loop_arm(&run->loop, &run->idle, DRAIN_IDLE_MS, on_idle);
    end_when_idle(run);
}

/* ---- settling ---- */

static void note_failure(Run *run, const char *what, int r) {
    if (r < 0)
        cli_note(run->cli, "cannot %s: %s", what, strerror(-r));
}

static void succeed(Run *run, ferry_job *job, ferry_bytes result) {
    run->done++;
    if (run->values->then)
        note_failure(run, "forward a job", ferry_job_forward(job, run->values->then, result, NULL));
    else
        note_failure(run, "acknowledge a job", ferry_job_ack(job));
}

static void fail(Run *run, ferry_job *job, bool wants_retry, const char *reason) {
    char shown[TEXT_ESCAPED_MAX];
    bool again = wants_retry || job->attempt <= run->values->retries;

    run->done++;
    run->failed++;
    cli_note(run->cli, "job %s of '%s', attempt %" PRIu32 ": %s: %s", job->id, job->queue,
             job->attempt, again ? "to be retried" : "rejected",
             text_escape(shown, reason, strlen(reason)));
    run->has_retried |= again;
    if (again)
        note_failure(run, "retry a job", ferry_job_retry(job, run->values->delay_ms, reason));
    else
        note_failure(run, "reject a job", ferry_job_reject(job, reason));
}

/* ---- commands ---- */

/* NULL: out of memory. */
static Task *task_new(Run *run, ferry_job *job) {
    Task *task = calloc(1, sizeof(*task));

    if (!task)
        return NULL;
    task->run = run;
    task->job = job;
    DL_APPEND(run->tasks, task);
    run->n_running++;
    return task;
}

/* Leaves a job unsettled: it returns to the queue when the client is closed. */
static void leave(Run *run, ferry_job *job) {
    if (!task_new(run, job))
        ferry_job_retry(job, 0, "not begun");
}

static void task_free(Task *task) {
    Run *run = task->run;

    exec_free(task->exec);
    if (timer_armed(&task->timer))
        loop_disarm(&run->loop, &task->timer);
    DL_DELETE(run->tasks, task);
    buffer_deinit(&task->input);
    run->n_running--;
    free(task);
}

/* Output is written before the job is acknowledged. */
static bool flush_output(Run *run) {
    if (fflush(stdout) == 0)
        return true;
    loop_end(&run->loop, errno == EPIPE
                             ? 128 + SIGPIPE
                             : cli_fail(run->cli, EXIT_OTHER, "cannot write: %s", strerror(errno)));
    return false;
}

static bool print_output(Run *run, const Buffer *output) {
    if (run->values->then || output->len == 0)
        return true;
    show_bytes(run->cli, ferry_bytes_of(output->data, output->len));
    if (output->data[output->len - 1] != '\n')
        putchar('\n');
    return flush_output(run);
}

/* With --pack, the output is JSON. */
static void succeed_packed(Run *run, ferry_job *job, const Buffer *output) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    CLEANUP(buffer_deinit) Buffer packed = {0};

    if (body_type_pack(&run->pack,
                       ferry_bytes_of(output->data ? output->data : (const void *)"", output->len),
                       &packed, &error) < 0)
        fail(run, job, false, error.message);
    else
        succeed(run, job, ferry_bytes_of(packed.data, packed.len));
}

/* The broker has taken the job back, so settling it only frees it. */
static void drop(Task *task) {
    Run *run = task->run;

    cli_note(run->cli, "job %s of '%s' %s: its command was ended", task->job->id, task->job->queue,
             task->lost);
    run->done++;
    run->failed++;
    ferry_job_retry(task->job, 0, NULL);
}

static void on_end(Exec *exec, const ExecResult *result, void *ctx) {
    Task *task = ctx;
    Run *run = task->run;
    const Buffer *output = result->output;

    (void)exec;
    task->exec = NULL; /* frees itself */
    if (task->lost)
        drop(task);
    else if (result->status != 0)
        fail(run, task->job, result->status == EXEC_RETRY || task->is_late,
             task->is_late ? "the command took longer than --timeout" : result->reason);
    else if (!print_output(run, output))
        return; /* closing the client returns the job */
    else if (run->pack.is_set && run->values->then)
        succeed_packed(run, task->job, output);
    else
        succeed(run, task->job,
                output->len > 0 ? ferry_bytes_of(output->data, output->len) : ferry_str(""));
    task_free(task);
    expect_more(run);
}

static void on_late(Timer *timer, void *ctx) {
    Task *task = container_of(timer, Task, timer);

    (void)ctx;
    task->is_late = true;
    exec_cancel(task->exec);
}

static int start(Run *run, ferry_job *job) {
    CLEANUP(environment_deinit) Environment environment = {0};
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    Task *task = task_new(run, job);
    ferry_bytes input = job->body;
    int r = 0;

    if (!task)
        return -ENOMEM;
    if (run->unpack.is_set) {
        r = body_type_text(&run->unpack, job->body, &task->input, &error);
        input = ferry_bytes_of(task->input.data, task->input.len);
    }
    if (r < 0) {
        task_free(task);
        fail(run, job, false, error.message);
        return 0;
    }
    environment_of_job(&environment, job);
    r = exec_start(&run->loop,
                   &(ExecOptions){.command = run->values->exec,
                                  .input = input,
                                  .variables = environment.variables,
                                  .n_variables = environment.n,
                                  .show_errors = !run->cli->quiet,
                                  .fn = on_end,
                                  .ctx = task},
                   &task->exec);
    if (r < 0) {
        task_free(task);
        return r;
    }
    if (run->values->timeout_ms)
        loop_arm(&run->loop, &task->timer, run->values->timeout_ms, on_late);
    return 0;
}

/* ---- calls ---- */

/* Text is a string, as other clients send it; other bodies are bytes. */
static int pack_argument(ferry_bytes body, ferry_packer *packer) {
    ferry_pack_array(packer, 1);
    if (text_is_utf8(body.data, body.len) && !memchr(body.data ? body.data : "", '\0', body.len)) {
        char *text = strndup(body.data ? body.data : "", body.len);

        if (!text)
            return -ENOMEM;
        ferry_pack_str(packer, text);
        free(text);
    } else {
        ferry_pack_bin(packer, body.data, body.len);
    }
    return ferry_packer_error(packer);
}

/* A result that is text or bytes is used unchanged; another value is converted to JSON. */
static int take_result(ferry_bytes value, Buffer *to) {
    CLEANUP(buffer_deinit) Buffer list = {0};

    buffer_append(&list, "\x91", 1);
    buffer_append(&list, value.data, value.len);
    return list.failed ? -ENOMEM
                       : body_to_input(BODY_TEXT, ferry_bytes_of(list.data, list.len), to);
}

/* True: the same call may succeed later, so the job is retried. */
static bool is_passing(const ferry_error *error) {
    static const char *const types[] = {"ferry.NoSuchService",  "ferry.DeadlineExceeded",
                                        "ferry.ConnectionLost", "ferry.NotConnected",
                                        "ferry.Overloaded",     "ferry.ServerLost",
                                        "ferry.Draining"};

    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
        if (error->type && strcmp(error->type, types[i]) == 0)
            return true;
    return false;
}

static void on_reply(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    CLEANUP(buffer_deinit) Buffer output = {0};
    Task *task = ctx;
    Run *run = task->run;

    /* Closing the client returns the job. */
    if (run->loop.ended)
        return;
    if (!reply)
        fail(run, task->job, is_passing(error), error->message);
    else if (take_result(reply->body, &output) < 0)
        fail(run, task->job, false, "the result of the call is malformed");
    else if (!print_output(run, &output))
        return;
    else
        succeed(run, task->job,
                output.len > 0 ? ferry_bytes_of(output.data, output.len) : ferry_str(""));
    task_free(task);
    expect_more(run);
}

static int call(Run *run, ferry_job *job) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    ferry_packer *packer = ferry_packer_new();
    Task *task = task_new(run, job);
    int r = packer && task ? pack_argument(job->body, packer) : -ENOMEM;

    if (r == 0)
        r = ferry_call_async(run->client, run->values->call, ferry_packer_bytes(packer), on_reply,
                             task, &error);
    ferry_packer_close(packer);
    if (r < 0 && task)
        task_free(task);
    return r;
}

/* ---- jobs ---- */

static void print(Run *run, ferry_job *job) {
    if (!run->values->then)
        show_job(run->cli, job, &run->unpack);
    if (flush_output(run))
        succeed(run, job, job->body);
    else
        leave(run, job);
}

static int on_job(ferry_job *lent, void *ctx) {
    Run *run = ctx;
    ferry_job *job = ferry_job_defer(lent);
    int r;

    if (!job)
        return -ENOMEM;
    if (run->loop.ended) {
        leave(run, job);
        return 0;
    }
    if (++run->taken == run->values->count)
        take_no_more(run);
    if (timer_armed(&run->idle))
        loop_disarm(&run->loop, &run->idle);
    if (run->values->call) {
        r = call(run, job);
        if (r < 0) {
            cli_note(run->cli, "cannot call '%s': %s", run->values->call, strerror(-r));
            fail(run, job, true, "the call could not be sent");
        }
    } else if (run->values->exec) {
        r = start(run, job);
        if (r < 0) {
            cli_note(run->cli, "cannot start '%s': %s", run->values->exec, strerror(-r));
            fail(run, job, true, "the command could not be started");
        }
    } else {
        print(run, job);
    }
    expect_more(run);
    return 0;
}

/* Ends the command of a job that the broker has taken back. */
static void on_lost(ferry_job *job, ferry_lost_reason reason, void *ctx) {
    static const char *const reasons[] = {
        [FERRY_LOST_TIME_LIMIT] = "took longer than the queue's time limit",
        [FERRY_LOST_CANCELLED] = "was cancelled",
        [FERRY_LOST_MOVED] = "was moved to another queue",
        [FERRY_LOST_AWAY] = "was given to another worker",
        [FERRY_LOST_QUEUE_MOVED] = "went to another broker with its queue",
    };
    Run *run = ctx;
    Task *task;

    DL_FOREACH(run->tasks, task) {
        if (task->job != job || !task->exec)
            continue;
        task->lost = reasons[reason];
        exec_cancel(task->exec);
        return;
    }
}

/* SIGTERM: finish the running commands. SIGINT: end them and return their jobs. */
static void on_signal(Loop *loop, int signal, void *ctx) {
    Run *run = ctx;

    if (signal == SIGINT) {
        loop_end(loop, EXIT_INTERRUPTED);
        return;
    }
    run->is_stopping = true;
    take_no_more(run);
    if (run->n_running > 0)
        cli_note(run->cli, "finishing %u job%s", run->n_running, run->n_running == 1 ? "" : "s");
    end_when_idle(run);
}

static int work(Run *run, ferry_client *client, const char *queue) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    ferry_work_options with = {.slots = (uint32_t)run->values->slots, .lost = on_lost};
    int status = loop_add_client(&run->loop, client);

    if (status != EXIT_OK)
        return status;
    run->client = client;
    run->queue = queue;
    run->loop.on_signal = on_signal;
    run->loop.ctx = run;
    if (ferry_with(client, NULL, &run->intake, NULL) < 0)
        return cli_fail(run->cli, EXIT_OTHER, "out of memory");
    if (ferry_work(run->intake, queue, &with, on_job, run, NULL, &error) < 0)
        return cli_error(run->cli, &error);
    if (run->cli->terminal_err)
        cli_note(run->cli, "working on '%s' at %s", queue, cli_url(run->cli));
    if (!run->values->then)
        loop_watch_output(&run->loop);
    expect_more(run);
    return loop_run(&run->loop);
}

static int check_call(Cli *cli, const Values *values) {
    if (values->call && (values->exec || values->pack || values->unpack))
        return cli_usage(cli, "--call cannot be used with --exec, --pack or --unpack");
    if (values->call && (!strchr(values->call, '.') || ferry_name_problem(values->call)))
        return cli_usage(cli, "--call: a method is SERVICE.METHOD, not '%s'", values->call);
    return EXIT_OK;
}

static int run_work(Cli *cli, const void *values, int argc, char **argv) {
    CLEANUP(ferry_close) ferry_client *client = NULL;
    Run run = {.cli = cli, .values = values};
    ferry_options with = {.timeout_ms = run.values->call ? (uint32_t)run.values->timeout_ms : 0};
    int status = cli_loop_init(&run.loop, cli);

    (void)argc;
    if (status == EXIT_OK)
        status = check_call(cli, run.values);
    if (status == EXIT_OK)
        status = body_type_open(&run.unpack, cli, "unpack", run.values->unpack);
    if (status == EXIT_OK)
        status = body_type_open(&run.pack, cli, "pack", run.values->pack);
    /* Check the queue of --then now: otherwise a command would run whose result cannot be
     * forwarded. */
    if (status == EXIT_OK && run.values->then)
        status = cli_check_queue(cli, run.values->then);
    if (status == EXIT_OK)
        status = cli_open(cli, &with, &client);
    if (status == EXIT_OK)
        status = work(&run, client, argv[0]);
    take_no_more(&run);
    /* Closing returns unsettled jobs; afterwards only the handles remain to be freed. */
    client = ferry_close(client);
    while (run.tasks) {
        ferry_job *job = run.tasks->job;

        task_free(run.tasks);
        ferry_job_retry(job, 0, "interrupted");
    }
    cli_loop_deinit(&run.loop);
    body_type_close(&run.pack);
    body_type_close(&run.unpack);
    if (cli->terminal_err && run.done > 0)
        cli_note(cli, "%" PRIu64 " job%s, %" PRIu64 " of them failed", run.done,
                 run.done == 1 ? "" : "s", run.failed);
    return status;
}

const Command command_work = {
    .name = "work",
    .usage = "QUEUE [--exec CMD | --call SERVICE.METHOD] [--then QUEUE] [--slots N] [--count N] "
             "[--retries N] [--drain] "
             "[--unpack TYPE] [--pack TYPE]",
    .summary = "take jobs from a queue and run a command for each",
    .help =
        "Without --exec, prints each job's body on a line and acknowledges it. With --exec, the\n"
        "shell runs CMD, and its output is the result: --then pushes it to a queue in one step\n"
        "with the acknowledgement, otherwise it is printed.\n"
        "\n"
        "Exit status of CMD: 0 acknowledges the job, 75 retries it. Any other status rejects it\n"
        "to QUEUE.dead, with standard error as the reason; with --retries N, it is first retried\n"
        "N times. The environment has FERRY_QUEUE, FERRY_JOB, FERRY_ATTEMPT, and\n"
        "FERRY_HEADER_NAME for each header.\n"
        "\n"
        "--drain ends when the broker has no job to deliver and none is in flight; it waits for\n"
        "retries of this command, and for jobs that other workers hold.\n"
        "\n"
        "SIGTERM: takes no more jobs and finishes the running ones. Ctrl-C: ends the running\n"
        "commands and returns their jobs to the queue.\n"
        "\n"
        "Examples:\n"
        "  ferry work mail --exec 'sendmail -t' --retries 3\n"
        "  ferry work resize --exec 'convert - -resize 800 jpg:-' --then upload --slots 4\n",
    .options = options,
    .values_size = sizeof(Values),
    .min_args = 1,
    .max_args = 1,
    .completes = NAMES_QUEUES,
    .runs_on = true,
    .waits = true,
    .run = run_work,
};

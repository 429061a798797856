/* SPDX-License-Identifier: Apache-2.0 */
/* ferry queue: lists, inspects and changes queues. */

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/text.h"
#include "clients/cli/bodies/show.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/run/brokers.h"
#include "clients/cli/run/watch.h"
#include "clients/cli/terminal/out.h"
#include "clients/json/base64.h"

#define VERBS "list|show|peek|purge|pause|resume|move|retry|bind|unbind|set|unset"

typedef struct Values {
    uint64_t limit, watch_ms;
    const char *unpack;
    bool yes;
} Values;

static const Option options[] = {
    OPTION_RANGE(OPTION_COUNT, 'n', "limit", Values, limit, "N",
                 "peek, move, retry: at most N jobs (peek: default 10)", 1, UINT32_MAX),
    OPTION_PLAIN(OPTION_TEXT, 0, "unpack", Values, unpack, BODY_TYPE_ARG,
                 "peek: unpack bodies by TYPE and show them as JSON: " BODY_TYPE_HELP),
    OPTION_WATCH(Values),
    OPTION_PLAIN(OPTION_FLAG, 'y', "yes", Values, yes, NULL,
                 "purge: delete the jobs without asking"),
    OPTION_END,
};

static const Column queue_columns[] = {
    {"QUEUE", "name", COLUMN_TEXT},        {"READY", "ready", COLUMN_NUMBER},
    {"DELAYED", "delayed", COLUMN_NUMBER}, {"HELD", "held", COLUMN_NUMBER},
    {"DEAD", "dead", COLUMN_ERRORS},       {"BYTES", "bytes", COLUMN_BYTES},
    {"WORKERS", "workers", COLUMN_NUMBER}, {"PUSHED", "pushed", COLUMN_NUMBER},
    {"ACKED", "acked", COLUMN_NUMBER},     {"REDELIVERED", "redelivered", COLUMN_NUMBER},
    {"STORED", "durability", COLUMN_TEXT}, {"BOUND", "bound", COLUMN_TEXT},
    {"PAUSED", "paused", COLUMN_ALARM},    {NULL, NULL, COLUMN_TEXT},
};

static const Column job_columns[] = {
    {"JOB", "job", COLUMN_NUMBER},     {"STATE", "state", COLUMN_TEXT},
    {"TRY", "attempt", COLUMN_NUMBER}, {"PRIORITY", "priority", COLUMN_NUMBER},
    {"AGE", "age_ms", COLUMN_MS},      {"REASON", "reason", COLUMN_TEXT},
    {"BODY", "body", COLUMN_TEXT},     {NULL, NULL, COLUMN_TEXT},
};

typedef struct Run {
    Cli *cli;
    const Values *values;
    ferry_client *client;
    const char *verb;
    const char *queue; /* NULL: not given */
    const char *to;
    const char *value; /* set: of the setting */
} Run;

/* Calls a method that takes a queue's name. */
static int call(Run *run, json_t **ret, const char *method) {
    int status = cli_manage(run->cli, run->client, false, ret, method, "s", run->queue);

    if (status == 6)
        cli_did_you_mean(run->cli, run->client, NAMES_QUEUES, run->queue);
    return status;
}

/* The patterns of each queue as one text, for the table. */
static void join_patterns(const json_t *rows) {
    json_t *row;
    size_t i;

    json_array_foreach(rows, i, row) {
        CLEANUP(buffer_deinit) Buffer text = {0};
        const json_t *patterns = json_object_get(row, "bound"), *pattern;
        size_t j;

        json_array_foreach(patterns, j, pattern) {
            if (j > 0)
                buffer_append(&text, " ", 1);
            buffer_append(&text, json_string_value(pattern), json_string_length(pattern));
        }
        json_object_set_new(row, "bound",
                            json_stringn(text.data ? (const char *)text.data : "", text.len));
    }
}

/* In the table, the setting of a store stands behind the durability. */
static void join_settings(const json_t *rows) {
    json_t *row;
    size_t i;

    json_array_foreach(rows, i, row) {
        const char *setting = json_string_value(json_object_get(row, "store_setting"));

        if (setting)
            json_object_set_new(row, "durability",
                                json_sprintf("%s %s",
                                             json_string_value(json_object_get(row, "durability")),
                                             setting));
    }
}

static void note_degraded(const Cli *cli, const json_t *rows) {
    const char *reason;
    const json_t *row;
    size_t i;

    json_array_foreach(rows, i, row) {
        reason = json_string_value(json_object_get(row, "degraded"));
        if (reason)
            cli_note(cli, "queue '%s' is degraded, its store does not confirm pushes: %s",
                     json_string_value(json_object_get(row, "name")), reason);
    }
}

static int list(Run *run) {
    CLEANUP(json_decref) json_t *rows = NULL;
    int status = brokers_ask(run->cli, run->client, false, &rows, "queues", NULL);

    if (status == EXIT_OK) {
        if (!run->cli->json) {
            join_patterns(rows);
            join_settings(rows);
        }
        show_rows(run->cli, rows, queue_columns);
        note_degraded(run->cli, rows);
    }
    return status;
}

static int show(Run *run) {
    CLEANUP(json_decref) json_t *found = NULL;
    int status = call(run, &found, "queue");

    if (status != EXIT_OK)
        return status;
    if (run->cli->json)
        show_json(run->cli, found);
    else
        show_fields(run->cli, found);
    return EXIT_OK;
}

/* The body of a row by the type of --unpack, as text in a table. NULL: the body has another type.
 */
static json_t *unpacked(Run *run, const BodyType *unpack, const char *base64) {
    CLEANUP(buffer_deinit) Buffer text = {0};
    json_t *json = NULL;
    uint8_t *data;
    size_t len;
    int r;

    if (!unpack->is_set || base64_decode(base64, strlen(base64), &data, &len) < 0)
        return NULL;
    if (run->cli->json)
        r = body_type_unpack(unpack, ferry_bytes_of(data, len), &json, NULL);
    else
        r = body_type_text(unpack, ferry_bytes_of(data, len), &text, NULL);
    free(data);
    if (r < 0)
        cli_note(run->cli, "a body does not match the type of --unpack, or is longer than 64 KiB");
    else if (!json)
        json = json_stringn((const char *)text.data, text.len - 1);
    return json;
}

/* Turns bodies into values of --unpack, or into strings where they are UTF-8. */
static void make_readable(Run *run, const BodyType *unpack, json_t *rows) {
    json_t *row;
    size_t index;

    json_array_foreach(rows, index, row) {
        const char *base64 =
            json_string_value(json_object_get(json_object_get(row, "body"), "$bin"));
        json_t *text = base64 ? unpacked(run, unpack, base64) : NULL;

        if (base64 && !text)
            text = value_text_of_base64(base64);
        if (text)
            json_object_set_new(row, "body", text);
    }
}

static int peek(Run *run) {
    CLEANUP(body_type_close) BodyType unpack = {0};
    CLEANUP(json_decref) json_t *rows = NULL;
    uint64_t limit = run->values->limit ? run->values->limit : 10;
    int status = body_type_open(&unpack, run->cli, "unpack", run->values->unpack);

    if (status != EXIT_OK)
        return status;
    status = cli_manage(run->cli, run->client, false, &rows, "peek", "su", run->queue, limit);
    if (status == 6)
        cli_did_you_mean(run->cli, run->client, NAMES_QUEUES, run->queue);
    if (status != EXIT_OK)
        return status;
    make_readable(run, &unpack, rows);
    show_rows(run->cli, rows, job_columns);
    return EXIT_OK;
}

static int told_number(Run *run, const json_t *number, const char *what) {
    if (run->cli->json)
        show_json(run->cli, number);
    else
        printf("%" JSON_INTEGER_FORMAT "\n", json_integer_value(number));
    cli_note(run->cli, "%" JSON_INTEGER_FORMAT " job%s %s", json_integer_value(number),
             json_integer_value(number) == 1 ? "" : "s", what);
    return EXIT_OK;
}

/* Asks for confirmation: purged jobs cannot be restored. */
static bool is_agreed(const Run *run) {
    char answer[16] = "";

    out_format(stderr, "delete all jobs of '%s'? [y/N] ", run->queue);
    return fgets(answer, sizeof(answer), stdin) && (*answer == 'y' || *answer == 'Y');
}

static int purge(Run *run) {
    CLEANUP(json_decref) json_t *number = NULL;
    int status;

    if (!run->values->yes && !is_agreed(run))
        return cli_fail(run->cli, EXIT_OTHER, "nothing was deleted");
    status = call(run, &number, "purge");
    return status == EXIT_OK ? told_number(run, number, "deleted") : status;
}

static int set_paused(Run *run, const char *method) {
    CLEANUP(json_decref) json_t *nothing = NULL;
    int status = call(run, &nothing, method);

    if (status == EXIT_OK)
        cli_note(run->cli, "'%s' is %s", run->queue,
                 *method == 'p' ? "paused: jobs in flight continue, no other jobs are delivered"
                                : "resumed: its jobs are delivered");
    return status;
}

static int move(Run *run, const char *from, const char *to) {
    CLEANUP(json_decref) json_t *number = NULL;
    int status = cli_manage(run->cli, run->client, false, &number, "move", "ssu", from, to,
                            run->values->limit);

    if (status == 6)
        cli_did_you_mean(run->cli, run->client, NAMES_QUEUES, from);
    return status == EXIT_OK ? told_number(run, number, "moved") : status;
}

/* Returns dead letters to their queue; the name of either queue is accepted. */
static int retry(Run *run) {
    char dead[300], alive[300];
    size_t n = strlen(run->queue);
    bool is_dead = n > 5 && strcmp(run->queue + n - 5, ".dead") == 0;

    snprintf(alive, sizeof(alive), "%.*s", (int)(is_dead ? n - 5 : n), run->queue);
    snprintf(dead, sizeof(dead), "%.290s.dead", alive);
    return move(run, dead, alive);
}

/* Binds the queue to a topic pattern, or ends the bind. */
static int bind(Run *run, const char *method) {
    CLEANUP(json_decref) json_t *nothing = NULL;
    int status =
        cli_manage(run->cli, run->client, false, &nothing, method, "ss", run->queue, run->to);

    if (status == EXIT_OK)
        cli_note(run->cli,
                 *method == 'b'
                     ? "messages of '%s' become jobs of '%s'"
                     : "messages of '%s' no longer become jobs of '%s'; jobs in the queue stay",
                 run->to, run->queue);
    return status;
}

/* A queue with jobs keeps its durability until they are gone. */
static void note_durability(Run *run) {
    CLEANUP(json_decref) json_t *found = NULL;
    const char *next;

    if (call(run, &found, "queue") != EXIT_OK)
        return;
    next = json_string_value(json_object_get(found, "next_durability"));
    if (next)
        cli_note(run->cli, "'%s' has jobs: until they are gone, its durability is still %s",
                 run->queue, json_string_value(json_object_get(found, "durability")));
}

static int set(Run *run, const char *value) {
    CLEANUP(json_decref) json_t *nothing = NULL;
    int status = cli_manage(run->cli, run->client, false, &nothing, "configure", "sss", run->queue,
                            run->to, value);

    if (status == EXIT_OK)
        cli_note(run->cli,
                 *value ? "'%s': %s = %s" : "'%s': %s has the value of the configuration%s",
                 run->queue, run->to, value);
    if (status == EXIT_OK && strcmp(run->to, "durability") == 0)
        note_durability(run);
    return status;
}

static int run_verb(void *ctx) {
    Run *run = ctx;
    const char *verb = run->verb;

    if (strcmp(verb, "list") == 0)
        return list(run);
    if (strcmp(verb, "show") == 0)
        return show(run);
    if (strcmp(verb, "peek") == 0)
        return peek(run);
    if (strcmp(verb, "purge") == 0)
        return purge(run);
    if (strcmp(verb, "move") == 0)
        return move(run, run->queue, run->to);
    if (strcmp(verb, "retry") == 0)
        return retry(run);
    if (strcmp(verb, "bind") == 0 || strcmp(verb, "unbind") == 0)
        return bind(run, verb);
    if (strcmp(verb, "set") == 0)
        return set(run, run->value);
    if (strcmp(verb, "unset") == 0)
        return set(run, "");
    return set_paused(run, verb);
}

/* An option that its verb ignored could mislead: purge deletes all jobs, also with --limit 10. */
static int check_options(Cli *cli, const Values *values, const char *verb) {
    bool is_peek = strcmp(verb, "peek") == 0;

    if (values->watch_ms > 0 && !is_peek && strcmp(verb, "list") != 0 && strcmp(verb, "show") != 0)
        return cli_usage(cli, "--watch is for list, show and peek");
    if (values->limit > 0 && !is_peek && strcmp(verb, "move") != 0 && strcmp(verb, "retry") != 0)
        return cli_usage(cli, "--limit is for peek, move and retry");
    if (values->unpack && !is_peek)
        return cli_usage(cli, "--unpack is for peek");
    return EXIT_OK;
}

static int check(Cli *cli, const Values *values, const char *verb, int argc) {
    static const char *const verbs[] = {"list", "show",  "peek", "purge",  "pause", "resume",
                                        "move", "retry", "bind", "unbind", "set",   "unset"};
    bool is_bind = strcmp(verb, "bind") == 0 || strcmp(verb, "unbind") == 0;
    const size_t n = sizeof(verbs) / sizeof(*verbs);
    bool is_set = strcmp(verb, "set") == 0 || strcmp(verb, "unset") == 0;
    int wanted = strcmp(verb, "list") == 0                        ? 1
                 : strcmp(verb, "set") == 0                       ? 4
                 : is_bind || is_set || strcmp(verb, "move") == 0 ? 3
                                                                  : 2;
    bool is_known = false;

    for (size_t i = 0; i < n; i++)
        is_known |= strcmp(verbs[i], verb) == 0;
    if (!is_known) {
        const char *near = text_nearest(verb, verbs, n);

        return cli_usage(cli, "'%s' is not one of " VERBS "%s%s%s", verb,
                         near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
    }
    if (argc < wanted)
        return cli_usage(cli,
                         is_bind       ? "%s needs a queue and a topic pattern"
                         : is_set      ? "%s needs a queue and a setting"
                         : wanted == 3 ? "%s needs two queues: FROM and TO"
                                       : "%s needs a queue",
                         verb);
    if (argc > wanted)
        return cli_usage(cli, "too many arguments for %s", verb);
    if (strcmp(verb, "purge") == 0 && !values->yes && !(isatty(STDIN_FILENO) && cli->terminal_err))
        return cli_usage(cli, "purge deletes all jobs of a queue for good: confirm it with --yes");
    return check_options(cli, values, verb);
}

static int run_queue(Cli *cli, const void *values, int argc, char **argv) {
    CLEANUP(ferry_close) ferry_client *client = NULL;
    const char *verb = argc > 0 ? argv[0] : "list";
    const Values *v = values;
    Run run = {.cli = cli,
               .values = values,
               .verb = verb,
               .queue = argc > 1 ? argv[1] : NULL,
               .to = argc > 2 ? argv[2] : NULL,
               .value = argc > 3 ? argv[3] : NULL};
    int status = argc > 0 ? check(cli, values, verb, argc) : check_options(cli, values, verb);

    if (status == EXIT_OK)
        status = cli_open(cli, NULL, &client);
    run.client = client;
    return status == EXIT_OK ? watch(cli, v->watch_ms, run_verb, &run) : status;
}

const Command command_queue = {
    .name = "queue",
    .usage = "[list] [--watch T]\n"
             "show QUEUE [--watch T]\n"
             "peek QUEUE [--watch T] [--limit N] [--unpack TYPE]\n"
             "purge QUEUE [--yes]\n"
             "pause|resume QUEUE\n"
             "move FROM TO [--limit N]\n"
             "retry QUEUE [--limit N]\n"
             "bind|unbind QUEUE PATTERN\n"
             "set QUEUE SETTING VALUE\n"
             "unset QUEUE SETTING",
    .summary = "list, inspect and change queues",
    .help =
        "show    print the settings and counters of a queue\n"
        "peek    print the next jobs without taking them\n"
        "purge   delete all jobs that no worker holds\n"
        "pause   stop delivery until resume\n"
        "move    move jobs to another queue\n"
        "retry   return dead letters to their queue\n"
        "bind    make each message of a matching topic a job of the queue, so that a subscriber\n"
        "        that was away finds all messages; unbind ends this\n"
        "set     change a setting, see ferry.conf(5); it overrides the configuration until unset\n"
        "\n"
        "Examples:\n"
        "  ferry queue\n"
        "  ferry queue list --watch 2s\n"
        "  ferry queue peek mail.dead --limit 3\n"
        "  ferry queue retry mail\n",
    .options = options,
    .values_size = sizeof(Values),
    .max_args = 4,
    .words = VERBS,
    .run = run_queue,
};

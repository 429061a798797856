/* SPDX-License-Identifier: Apache-2.0 */
/* ferry store: checks, shows and compacts the data folder of a broker that is not running. */

#include <inttypes.h>
#include <stdlib.h>

#include "broker/stores/compact.h"
#include "clients/cli/bodies/show.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/terminal/out.h"
#include "clients/cli/terminal/print.h"
#include "clients/json/base64.h"
#include "clients/json/value.h"

#define VERBS "check|stats|dump|compact"

enum { EXIT_DAMAGED = 1 };

typedef struct Run {
    Cli *cli;
    Folder folder;
    Contents found;
} Run;

static void add_number(json_t *object, const char *key, uint64_t number) {
    json_object_set_new(object, key, json_integer((json_int_t)number));
}

/* ---- check ---- */

static int check(Run *run) {
    char text[200];

    for (size_t i = 0; i < run->found.n_holes; i++) {
        const FoundHole *hole = &run->found.holes[i];

        hole_text(hole, text, sizeof(text));
        out_format(
            stdout, "%s/%s: %s\n", run->folder.path, text,
            hole_is_damage(&run->found, hole)
                ? "damaged"
                : "not complete, and not confirmed: the broker was killed while it was writing");
    }
    out_format(stdout, "%zu jobs, %zu segments, %" PRIu64 " records: %s\n", run->found.jobs.n,
               run->found.n_segments, run->found.n_records,
               run->found.n_damaged > 0 ? "damaged" : "ok");
    return run->found.n_damaged > 0 ? EXIT_DAMAGED : EXIT_OK;
}

/* ---- stats ---- */

static int count_job(const DiskRecord *record, void *ctx) {
    json_t *queues = ctx, *count;
    char name[300];

    snprintf(name, sizeof(name), "%.*s", (int)record->queue.len, (const char *)record->queue.data);
    count = json_object_get(queues, name);
    json_object_set_new(queues, name, json_integer(json_integer_value(count) + 1));
    return 0;
}

static int stats(Run *run) {
    CLEANUP(json_decref) json_t *object = json_object(), *queues = json_object();
    uint64_t bytes = 0, live = 0;
    const FoundJob *job;
    size_t pos = 0;
    int r;

    for (size_t i = 0; i < run->found.n_segments; i++)
        bytes += run->found.segments[i].size;
    while ((job = id_map_next(&run->found.jobs, &pos)))
        live += job->len;
    r = store_each_job(&run->folder, &run->found, count_job, queues);
    if (r < 0)
        return cli_fail(run->cli, EXIT_FAILURE, "cannot read %s: %s", run->folder.path,
                        strerror(-r));
    add_number(object, "jobs", run->found.jobs.n);
    add_number(object, "bytes", bytes);
    add_number(object, "bytes_of_jobs", live);
    add_number(object, "segments", run->found.n_segments);
    add_number(object, "records", run->found.n_records);
    add_number(object, "last_job", run->found.last_job);
    add_number(object, "clients", HASH_COUNT(run->found.clients));
    add_number(object, "damaged", run->found.n_damaged);
    add_number(object, "quarantined", folder_n_quarantined(&run->folder));
    json_object_set(object, "queues", queues);
    if (run->cli->json)
        show_json(run->cli, object);
    else
        show_fields(run->cli, object);
    return EXIT_OK;
}

/* ---- dump ---- */

static json_t *text_of(Span span) {
    return json_stringn((const char *)span.data, span.len);
}

/* A string if the bytes are UTF-8, else {"$bin": "…"}. */
static json_t *body_of(Span body) {
    char *base64;
    json_t *text, *object;

    text = body.data ? text_of(body) : json_null();
    if (text)
        return text;
    base64 = base64_encode(body.data, body.len);
    object = json_object();
    json_object_set_new(object, "$bin", json_string(base64 ? base64 : ""));
    free(base64);
    return object;
}

/* Headers and body, if they are stored in their encoded form. */
static void unpack(const DiskRecord *record, Span *ret_headers, Span *ret_body) {
    Reader reader = reader_of(record->passed.data, record->passed.len);

    *ret_headers = record->headers;
    *ret_body = record->body;
    if (!record->passed.data)
        return;
    *ret_headers = reader_nil(&reader) ? (Span){NULL, 0} : reader_value(&reader);
    *ret_body = reader_nil(&reader) ? (Span){NULL, 0} : reader_bin(&reader);
}

static int dump_job(const DiskRecord *record, void *ctx) {
    CLEANUP(json_decref) json_t *object = json_object(), *headers = NULL;
    Span headers_span, body;

    (void)ctx;
    unpack(record, &headers_span, &body);
    json_object_set_new(object, "queue", text_of(record->queue));
    add_number(object, "job", record->id);
    add_number(object, "attempt", record->attempt);
    add_number(object, "priority", record->priority);
    add_number(object, "pushed_ms", record->pushed_ms);
    if (record->due_ms)
        add_number(object, "due_ms", record->due_ms);
    if (record->expires_ms)
        add_number(object, "expires_ms", record->expires_ms);
    if (record->order.len > 0)
        json_object_set_new(object, "order", body_of(record->order));
    if (record->unique.len > 0)
        json_object_set_new(object, "unique", body_of(record->unique));
    if (record->reason.len > 0)
        json_object_set_new(object, "reason", body_of(record->reason));
    if (headers_span.len > 0 &&
        value_to_json((ferry_bytes){headers_span.data, headers_span.len, NULL}, &headers, NULL) ==
            0)
        json_object_set(object, "headers", headers);
    json_object_set_new(object, "body", body_of(body));
    print_json(object, (PrintStyle){0}, stdout);
    putchar('\n');
    return ferror(stdout) ? -EPIPE : 0;
}

static int dump(Run *run) {
    int r = store_each_job(&run->folder, &run->found, dump_job, NULL);

    return r < 0 ? cli_fail(run->cli, EXIT_FAILURE, "cannot print the jobs of %s: %s",
                            run->folder.path, strerror(-r))
                 : EXIT_OK;
}

/* ---- compact ---- */

static int compact(Run *run, ferry_error *error) {
    uint64_t bytes = 0, live = 0;
    const FoundJob *job;
    size_t pos = 0;

    for (size_t i = 0; i < run->found.n_segments; i++)
        bytes += run->found.segments[i].size;
    while ((job = id_map_next(&run->found.jobs, &pos)))
        live += job->len;
    if (scan_repair(&run->folder, &run->found, error) < 0 ||
        store_compact(&run->folder, &run->found, error) < 0)
        return cli_fail(run->cli, EXIT_FAILURE, "%s", error->message);
    cli_note(run->cli, "%zu jobs of %" PRIu64 " bytes: the journal had %" PRIu64 " bytes",
             run->found.jobs.n, live, bytes);
    return EXIT_OK;
}

/* ---- the command ---- */

static int run_verb(Run *run, const char *verb, ferry_error *error) {
    if (strcmp(verb, "check") == 0)
        return check(run);
    if (strcmp(verb, "stats") == 0)
        return stats(run);
    return strcmp(verb, "dump") == 0 ? dump(run) : compact(run, error);
}

static bool is_verb(const char *word) {
    return strcmp(word, "check") == 0 || strcmp(word, "stats") == 0 || strcmp(word, "dump") == 0 ||
           strcmp(word, "compact") == 0;
}

static int run_store(Cli *cli, const void *values, int argc, char **argv) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    Run run = {.cli = cli};
    int status;

    (void)values;
    if (argc != 2 || !is_verb(argv[0]))
        return cli_usage(cli, "expected check, stats, dump or compact, and a folder");
    if (folder_open(&run.folder, argv[1], false, &error) < 0)
        return cli_fail(cli, EXIT_FAILURE, "%s", error.message);
    if (scan_folder(&run.folder, &run.found, &error) < 0)
        status = cli_fail(cli, EXIT_FAILURE, "%s", error.message);
    else
        status = run_verb(&run, argv[0], &error);
    contents_deinit(&run.found);
    folder_close(&run.folder);
    return status;
}

const Command command_store = {
    .name = "store",
    .usage = "check|stats|dump|compact DIR",
    .summary = "check, show and compact a data folder",
    .help = "The broker of the folder must not be running.\n"
            "\n"
            "check    read all records and report damage; status 1: there is damage\n"
            "stats    print the number of jobs of each queue, and sizes\n"
            "dump     print all jobs as JSON, one per line\n"
            "compact  write all jobs to new files and remove the old ones\n"
            "\n"
            "Examples:\n"
            "  ferry store check /var/lib/ferry\n"
            "  ferry store dump /var/lib/ferry | grep '\"queue\": \"mail\"'\n",
    .max_args = 2,
    .words = VERBS,
    .run = run_store,
};

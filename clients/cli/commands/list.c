/* SPDX-License-Identifier: Apache-2.0 */
/* ferry services, describe, topics, sessions, stats: the state of the broker, as tables. */

#include <stdlib.h>

#include <ferry/schema.h>

#include "clients/cli/bodies/show.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/run/brokers.h"
#include "clients/cli/run/pattern.h"
#include "clients/cli/run/watch.h"
#include "clients/cli/terminal/out.h"
#include "clients/json/instances.h"

static const Column service_columns[] = {
    {"SERVICE", "name", COLUMN_TEXT},
    {"INSTANCES", "instances", COLUMN_COUNT},
    {"SLOTS", "slots", COLUMN_NUMBER},
    {"BUSY", "busy", COLUMN_NUMBER},
    {"WAITING", "waiting", COLUMN_NUMBER},
    {"CALLS", "calls", COLUMN_NUMBER},
    {"ERRORS", "errors", COLUMN_ERRORS},
    {"EJECTED", "ejected", COLUMN_NUMBER},
    {"NOT READY", "not_ready", COLUMN_NUMBER},
    {"DESCRIBED", "described", COLUMN_FLAG},
    {NULL, NULL, COLUMN_TEXT},
};

static const Column instance_columns[] = {
    {"INSTANCE", "instance", COLUMN_TEXT}, {"SESSION", "session", COLUMN_NUMBER},
    {"CLIENT", "client", COLUMN_TEXT},     {"SLOTS", "slots", COLUMN_NUMBER},
    {"BUSY", "busy", COLUMN_NUMBER},       {"READY", "ready", COLUMN_FLAG},
    {"EJECTED", "ejected", COLUMN_ALARM},  {NULL, NULL, COLUMN_TEXT},
};

static const Column topic_columns[] = {
    {"TOPIC", "name", COLUMN_TEXT},  {"PUBLISHED", "published", COLUMN_NUMBER},
    {"KEPT", "kept", COLUMN_NUMBER}, {"RETAINED", "retained", COLUMN_FLAG},
    {NULL, NULL, COLUMN_TEXT},
};

static const Column pattern_columns[] = {
    {"PATTERN", "pattern", COLUMN_TEXT},
    {"SUBSCRIBERS", "subscribers", COLUMN_NUMBER},
    {NULL, NULL, COLUMN_TEXT},
};

static const Column session_columns[] = {
    {"SESSION", "session", COLUMN_NUMBER},
    {"NAME", "name", COLUMN_TEXT},
    {"USER", "user", COLUMN_TEXT},
    {"ADDRESS", "address", COLUMN_TEXT},
    {"PID", "pid", COLUMN_NUMBER},
    {"AGE", "age_ms", COLUMN_MS},
    {"SERVES", "serves", COLUMN_NUMBER},
    {"SUBSCRIBED", "subscriptions", COLUMN_NUMBER},
    {"PULLS", "pulls", COLUMN_NUMBER},
    {"CALLS", "calls", COLUMN_NUMBER},
    {"REQUESTS", "requests", COLUMN_NUMBER},
    {"WAITING", "waiting", COLUMN_BYTES},
    {"MEMORY", "memory", COLUMN_BYTES},
    {"IN", "in", COLUMN_NUMBER},
    {"OUT", "out", COLUMN_NUMBER},
    {"DROPPED", "dropped", COLUMN_ERRORS},
    {NULL, NULL, COLUMN_TEXT},
};

/* The rows whose value of this key matches the pattern `name`; NULL: all rows. */
static json_t *rows_named(const json_t *rows, const char *key, const char *name) {
    json_t *kept = json_array(), *row;
    size_t index;

    json_array_foreach(rows, index, row) {
        const char *text = json_string_value(json_object_get(row, key));

        if (text && (!name || strcmp(text, name) == 0 || pattern_covers(name, text)))
            json_array_append(kept, row);
    }
    return kept;
}

static int not_found(Cli *cli, ferry_client *client, const char *what, Names kind,
                     const char *name) {
    cli_fail(cli, 6, "there is no %s '%s'; without a name, 'ferry %ss' lists all", what, name,
             what);
    cli_did_you_mean(cli, client, kind, name);
    return 6;
}

/* ---- services ---- */

static int list_services(Cli *cli, ferry_client *client, const char *name) {
    CLEANUP(json_decref) json_t *all = NULL, *rows = NULL;
    int status = brokers_ask(cli, client, false, &all, "services", NULL);

    if (status != EXIT_OK)
        return status;
    rows = rows_named(all, "name", name);
    if (name && json_array_size(rows) == 0)
        return not_found(cli, client, "service", NAMES_SERVICES, name);
    show_rows(cli, rows, service_columns);
    return EXIT_OK;
}

static int run_services(Cli *cli, const void *values, int argc, char **argv) {
    return watch_list(cli, values, argc > 0 ? argv[0] : NULL, list_services);
}

const Command command_services = {
    .name = "services",
    .usage = "[NAME | PATTERN] [--watch T]",
    .summary = "list the services and their servers",
    .help = "In a pattern, * matches one token and > at the end one or more.\n"
            "\n"
            "Examples:\n"
            "  ferry services\n"
            "  ferry services 'shop.>' --watch 2s\n"
            "  ferry services --json | jq '.[].name'\n",
    .options = list_options,
    .values_size = sizeof(ListValues),
    .max_args = 1,
    .completes = NAMES_SERVICES,
    .run = run_services,
};

/* ---- describe ---- */

typedef struct DescribeValues {
    bool idl;
} DescribeValues;

static const Option describe_options[] = {
    OPTION_PLAIN(OPTION_FLAG, 0, "idl", DescribeValues, idl, NULL, "print an interface file"),
    OPTION_END,
};

/* The description as in docs/description.md; null: no description. */
static json_t *description_to_json(const ferry_description *d) {
    json_t *json = NULL;

    if (!d->service || value_to_json(d->bytes, &json, NULL) < 0)
        json = json_null();
    return json;
}

static void describe_as_json(const Cli *cli, const ferry_description *d) {
    CLEANUP(json_decref)
    json_t *json = json_pack("{s:s, s:o, s:o}", "name", d->name, "instances", instances_json(d),
                             "description", description_to_json(d));

    if (d->problem)
        json_object_set_new(json, "problem", json_string(d->problem));
    show_json(cli, json);
}

static int describe(Cli *cli, const ferry_description *d, bool idl) {
    CLEANUP(json_decref) json_t *instances = instances_json(d);
    char *text = NULL;

    if (d->service && ferry_service_print(d->service, &text) < 0)
        return cli_fail(cli, EXIT_OTHER, "out of memory");
    if (idl && !text)
        return cli_fail(cli, EXIT_OTHER, "'%s' sent no interface with its description%s%s", d->name,
                        d->problem ? ": " : "", d->problem ? d->problem : "");
    if (!idl)
        show_rows(cli, instances, instance_columns);
    if (text)
        out_format(stdout, "%s%s", idl ? "" : "\n", text);
    else
        cli_note(cli, "'%s' does not describe its methods%s%s", d->name, d->problem ? ": " : "",
                 d->problem ? d->problem : "");
    ferry_free(text);
    return EXIT_OK;
}

/* Removes all other methods from the description, so that only the types of this method are
 * printed. */
static void keep_method(ferry_description *d, ferry_service *service, const ferry_method *method) {
    *service = *d->service;
    service->methods = method;
    service->n_methods = 1;
    d->service = service;
}

/* Describes one method, "calc.Calc.add", when no service has that name. Returns an exit status. */
static int describe_method(Cli *cli, ferry_client *client, const char *name, bool idl) {
    CLEANUP(ferry_free) ferry_description *found = NULL;
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    const char *dot = strrchr(name, '.');
    const ferry_method *method = NULL;
    char service[256] = "";
    ferry_service only;
    int r = -ENOENT;

    if (dot && (size_t)(dot - name) < sizeof(service)) {
        memcpy(service, name, (size_t)(dot - name));
        service[dot - name] = '\0';
        r = ferry_describe(client, service, &found, &error);
    }
    if (r == -ENOENT)
        return not_found(cli, client, "service", NAMES_SERVICES, name);
    if (r < 0)
        return cli_error(cli, &error);
    if (found->service)
        method = ferry_method_find(found->service, dot + 1);
    if (!method)
        return cli_fail(cli, 6,
                        found->service
                            ? "'%s' has no method '%s': see 'ferry describe %s'"
                            : "'%s' does not describe its methods, so '%s' cannot be shown",
                        service, dot + 1, service);
    keep_method(found, &only, method);
    return describe(cli, found, idl);
}

static int run_describe(Cli *cli, const void *values, int argc, char **argv) {
    const DescribeValues *v = values;
    CLEANUP(ferry_close) ferry_client *client = NULL;
    CLEANUP(ferry_free) ferry_description *found = NULL;
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    int status = cli_open(cli, NULL, &client), r;

    (void)argc;
    if (status != EXIT_OK)
        return status;
    r = ferry_describe(client, argv[0], &found, &error);
    if (r == -ENOENT)
        return describe_method(cli, client, argv[0], v->idl);
    if (r < 0)
        return cli_error(cli, &error);
    if (cli->json && !v->idl) {
        describe_as_json(cli, found);
        return EXIT_OK;
    }
    return describe(cli, found, v->idl);
}

const Command command_describe = {
    .name = "describe",
    .usage = "SERVICE | SERVICE.METHOD [--json | --idl]",
    .summary = "show the instances and methods of a service, or one method",
    .help = "With a method, prints only its types.\n"
            "\n"
            "Examples:\n"
            "  ferry describe calc.Calc\n"
            "  ferry describe calc.Calc.add\n"
            "  ferry describe calc.Calc --idl > calc.thrift\n",
    .options = describe_options,
    .values_size = sizeof(DescribeValues),
    .min_args = 1,
    .max_args = 1,
    .completes = NAMES_SERVICES,
    .run = run_describe,
};

/* ---- topics ---- */

static int list_topics(Cli *cli, ferry_client *client, const char *name) {
    CLEANUP(json_decref) json_t *all = NULL, *topics = NULL, *patterns = NULL;
    int status = brokers_ask(cli, client, false, &all, "topics", NULL);

    if (status != EXIT_OK)
        return status;
    topics = rows_named(all, "name", name);
    patterns = rows_named(all, "pattern", name);
    if (name && json_array_size(topics) + json_array_size(patterns) == 0)
        return not_found(cli, client, "topic", NAMES_TOPICS, name);
    if (cli->json) {
        CLEANUP(json_decref) json_t *both = table_sorted(topics, topic_columns);
        CLEANUP(json_decref) json_t *second = table_sorted(patterns, pattern_columns);

        json_array_extend(both, second);
        show_json(cli, both);
        return EXIT_OK;
    }
    if (json_array_size(topics) > 0 || json_array_size(patterns) == 0)
        show_rows(cli, topics, topic_columns);
    if (json_array_size(patterns) > 0) {
        if (cli->terminal_out && json_array_size(topics) > 0)
            putchar('\n');
        show_rows(cli, patterns, pattern_columns);
    }
    return EXIT_OK;
}

static int run_topics(Cli *cli, const void *values, int argc, char **argv) {
    return watch_list(cli, values, argc > 0 ? argv[0] : NULL, list_topics);
}

const Command command_topics = {
    .name = "topics",
    .usage = "[NAME | PATTERN] [--watch T]",
    .summary = "list retained topics and subscribed patterns",
    .help = "In a pattern, * matches one token and > at the end one or more.\n"
            "\n"
            "Examples:\n  ferry topics\n  ferry topics 'orders.>'\n  ferry topics --json\n",
    .options = list_options,
    .values_size = sizeof(ListValues),
    .max_args = 1,
    .completes = NAMES_TOPICS,
    .run = run_topics,
};

/* ---- sessions ---- */

static bool is_session(const json_t *row, const char *name) {
    const char *text = json_string_value(json_object_get(row, "name"));
    char number[24];

    snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT,
             json_integer_value(json_object_get(row, "session")));
    return strcmp(number, name) == 0 || (text && strstr(text, name));
}

static int list_sessions(Cli *cli, ferry_client *client, const char *name) {
    CLEANUP(json_decref) json_t *all = NULL, *rows = json_array();
    int status = brokers_ask(cli, client, false, &all, "sessions", NULL);
    json_t *row;
    size_t index;

    if (status != EXIT_OK)
        return status;
    json_array_foreach(all, index, row) if (!name || is_session(row, name))
        json_array_append(rows, row);
    if (name && json_array_size(rows) == 0)
        return cli_fail(cli, 6, "no session has the number or name '%s'", name);
    show_rows(cli, rows, session_columns);
    return EXIT_OK;
}

static int run_sessions(Cli *cli, const void *values, int argc, char **argv) {
    return watch_list(cli, values, argc > 0 ? argv[0] : NULL, list_sessions);
}

const Command command_sessions = {
    .name = "sessions",
    .usage = "[NAME] [--watch T]",
    .summary = "list connected clients",
    .options = list_options,
    .values_size = sizeof(ListValues),
    .help = "NAME is a session's number, or a part of its name. ADDRESS is the client's address,\n"
            "and PID its process, if the client runs on this machine and uses ipc://.\n"
            "\n"
            "Examples:\n  ferry sessions\n  ferry sessions worker\n",
    .max_args = 1,
    .run = run_sessions,
};

/* ---- stats ---- */

static const Column method_columns[] = {
    {"METHOD", "method", COLUMN_TEXT},   {"CALLS", "calls", COLUMN_NUMBER},
    {"ERRORS", "errors", COLUMN_ERRORS}, {"P50 us", "p50_us", COLUMN_NUMBER},
    {"P99 us", "p99_us", COLUMN_NUMBER}, {"LAST ERROR", "last_error", COLUMN_TEXT},
    {NULL, NULL, COLUMN_TEXT},
};

/* Fetches the counters of the service with this name, or else of the queue. */
static int find_stats(Cli *cli, ferry_client *client, const char *name, json_t **ret) {
    if (brokers_ask(cli, client, true, ret, "methods", name) == EXIT_OK ||
        brokers_ask(cli, client, true, ret, "queue", name) == EXIT_OK)
        return EXIT_OK;
    return brokers_ask(cli, client, false, ret, "methods", name); /* prints the error */
}

static void show_counters(const Cli *cli, json_t *counters) {
    json_object_del(counters, "latencies"); /* two hundred numbers, for programs */
    show_fields(cli, counters);
}

/* The counters of each broker. */
static void show_each(const Cli *cli, json_t *list) {
    json_t *counters;
    size_t i;

    json_array_foreach(list, i, counters) {
        if (i > 0)
            putchar('\n');
        show_counters(cli, counters);
    }
}

static int show_stats(Cli *cli, ferry_client *client, const char *name) {
    CLEANUP(json_decref) json_t *found = NULL;
    int status = name ? find_stats(cli, client, name, &found)
                      : brokers_ask(cli, client, false, &found, "stats", NULL);
    bool is_list, has_methods;

    if (status == 6 && name)
        cli_did_you_mean(cli, client, NAMES_SERVICES, name);
    if (status != EXIT_OK)
        return status;
    is_list = json_is_array(found);
    has_methods = is_list && json_object_get(json_array_get(found, 0), "method");
    if (has_methods || (is_list && json_array_size(found) == 0 && !cli->json))
        show_rows(cli, found, method_columns);
    else if (cli->json)
        show_json(cli, found);
    else if (is_list)
        show_each(cli, found);
    else
        show_counters(cli, found);
    return EXIT_OK;
}

static int run_stats(Cli *cli, const void *values, int argc, char **argv) {
    return watch_list(cli, values, argc > 0 ? argv[0] : NULL, show_stats);
}

const Command command_stats = {
    .name = "stats",
    .usage = "[SERVICE | QUEUE] [--watch T]",
    .options = list_options,
    .values_size = sizeof(ListValues),
    .summary = "show the counters of the broker, a service or a queue",
    .help =
        "For a service, prints the counters of its methods; for a queue, also its durability and\n"
        "its other settings.\n"
        "\n"
        "Examples:\n  ferry stats\n  ferry stats calc.Calc\n  ferry stats mail\n"
        "  ferry stats --json | jq .dropped\n",
    .max_args = 1,
    .completes = NAMES_SERVICES,
    .run = run_stats,
};

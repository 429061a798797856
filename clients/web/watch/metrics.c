/* SPDX-License-Identifier: Apache-2.0 */
/* The broker's counters, in both formats of Prometheus. See metrics.h. */

#include "clients/web/watch/metrics.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* One family, from one member of the rows of a list. */
typedef struct Family {
    const char *name, *type, *help;
    const char *member;
} Family;

typedef struct MetricsText {
    Buffer *to;
    bool is_plain; /* in the format of Prometheus before OpenMetrics */
    uint64_t n_left_out;
} MetricsText;

/* ---- lines ---- */

static void put(Buffer *to, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(Buffer *to, const char *format, ...) {
    char line[512];
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    buffer_append(to, line, (size_t)len < sizeof(line) ? (size_t)len : sizeof(line) - 1);
}

/* In the plain format a family has the name of its samples, and an info is a gauge. */
static void put_family(const MetricsText *text, const char *name, const char *type,
                       const char *help) {
    const char *suffix = !text->is_plain ? ""
                         : *type == 'c'  ? "_total"
                         : *type == 'i'  ? "_info"
                                         : "";

    if (text->is_plain && *type == 'i')
        type = "gauge";
    put(text->to, "# TYPE %s%s %s\n# HELP %s%s %s\n", name, suffix, type, name, suffix, help);
}

/* name="value", escaped. */
static void put_label(Buffer *to, const char *name, const char *value, char before) {
    put(to, "%c%s=\"", before, name);
    for (; *value; value++) {
        if (*value == '\\' || *value == '"')
            buffer_append(to, "\\", 1);
        buffer_append(to, *value == '\n' ? "\\n" : value, *value == '\n' ? 2 : 1);
    }
    buffer_append(to, "\"", 1);
}

static double number_of(const json_t *row, const char *member) {
    const json_t *value = json_object_get(row, member);

    return json_is_true(value) ? 1 : json_is_string(value) ? 1 : json_number_value(value);
}

/* Writes an integer with all digits: a double would round it. */
static void put_value(Buffer *to, const json_t *row, const char *member) {
    const json_t *value = json_object_get(row, member);

    if (json_is_integer(value))
        put(to, " %" JSON_INTEGER_FORMAT "\n", json_integer_value(value));
    else
        put(to, " %.15g\n", number_of(row, member));
}

/* ---- without labels ---- */

static const Family totals[] = {
    {"ferry_calls", "counter", "Calls of services.", "calls"},
    {"ferry_call_errors", "counter", "Calls that ended with an error.", "errors"},
    {"ferry_late_answers", "counter", "Answers for which no caller waited any more.",
     "late_answers"},
    {"ferry_published_messages", "counter", "Messages that were published.", "published"},
    {"ferry_delivered_messages", "counter", "Messages that went to subscribers.", "delivered"},
    {"ferry_dropped_messages", "counter", "Messages that slow subscribers missed.", "dropped"},
    {"ferry_pushed_jobs", "counter", "Jobs that were pushed.", "pushed"},
    {"ferry_acknowledged_jobs", "counter", "Jobs that workers have finished.", "acked"},
    {"ferry_redelivered_jobs", "counter", "Deliveries after the first one.", "redelivered"},
    {"ferry_dead_lettered_jobs", "counter", "Jobs that became dead letters.", "dead"},
    {"ferry_faults", "counter", "Connections that ended because the peer broke the protocol.",
     "faults"},
    {"ferry_sessions", "gauge", "Connected clients.", "sessions"},
    {"ferry_connections", "gauge", "Connections.", "connections"},
    {"ferry_open_calls", "gauge", "Calls that wait for a server or its answer.", "calls_open"},
    {"ferry_stored_bytes", "gauge", "Bytes of jobs, retained and kept messages.", "stored_bytes"},
    {"ferry_memory_limit_bytes", "gauge", "Memory that clients may make the broker hold.",
     "memory_max"},
    {"ferry_store_degraded", "gauge", "1: a store of queues cannot write.", "degraded"},
    {"ferry_draining", "gauge", "1: the broker takes no new work.", "draining"},
};

static void write_totals(const MetricsText *text, const json_t *stats) {
    Buffer *to = text->to;

    for (size_t i = 0; i < sizeof(totals) / sizeof(*totals); i++) {
        put_family(text, totals[i].name, totals[i].type, totals[i].help);
        put(to, "%s%s", totals[i].name, *totals[i].type == 'c' ? "_total" : "");
        put_value(to, stats, totals[i].member);
    }
    put_family(text, "ferry_uptime_seconds", "gauge", "Time since the start of the broker.");
    put(to, "ferry_uptime_seconds %.3f\n", number_of(stats, "uptime_ms") / 1000);
}

static void write_memory(const MetricsText *text, const json_t *stats) {
    Buffer *to = text->to;
    const char *member;
    json_t *value;

    put_family(text, "ferry_memory_bytes", "gauge",
               "Memory that clients make the broker hold, by kind.");
    json_object_foreach((json_t *)stats, member, value) {
        if (strncmp(member, "memory_", 7) != 0 || strcmp(member, "memory_max") == 0 ||
            strcmp(member, "memory_used") == 0)
            continue;
        put(to, "ferry_memory_bytes");
        put_label(to, "kind", member + 7, '{');
        put(to, "}");
        put_value(to, stats, member);
    }
}

/* ---- rows with one label ---- */

static const Family service_families[] = {
    {"ferry_service_instances", "gauge", "Servers of the service.", "instances"},
    {"ferry_service_slots", "gauge", "Calls that all its servers together may work on at once.",
     "slots"},
    {"ferry_service_busy_slots", "gauge", "Calls that its servers work on.", "busy"},
    {"ferry_service_waiting_calls", "gauge", "Calls that wait for a server.", "waiting"},
    {"ferry_service_ejected_instances", "gauge", "Servers that get no calls, because they fail.",
     "ejected"},
    {"ferry_service_calls", "counter", "Calls of the service.", "calls"},
    {"ferry_service_errors", "counter", "Calls that ended with an error.", "errors"},
    {NULL, NULL, NULL, NULL},
};

static const Family queue_families[] = {
    {"ferry_queue_ready_jobs", "gauge", "Jobs that wait for a worker.", "ready"},
    {"ferry_queue_delayed_jobs", "gauge", "Jobs whose time has not come.", "delayed"},
    {"ferry_queue_working_jobs", "gauge", "Jobs in flight to workers.", "held"},
    {"ferry_queue_dead_jobs", "gauge", "Dead letters of the queue.", "dead"},
    {"ferry_queue_bytes", "gauge", "Bytes of its jobs.", "bytes"},
    {"ferry_queue_workers", "gauge", "Workers that pull from it.", "workers"},
    {"ferry_queue_paused", "gauge", "1: nothing is delivered.", "paused"},
    {"ferry_queue_degraded", "gauge", "1: its store cannot write.", "degraded"},
    {"ferry_queue_pushed_jobs", "counter", "Jobs that were pushed.", "pushed"},
    {"ferry_queue_acknowledged_jobs", "counter", "Jobs that workers have finished.", "acked"},
    {"ferry_queue_redelivered_jobs", "counter", "Deliveries after the first one.", "redelivered"},
    {"ferry_queue_expired_jobs", "counter", "Jobs whose time to live has passed.", "expired"},
    {"ferry_queue_dropped_jobs", "counter", "Jobs that gave way to newer ones.", "dropped"},
    {"ferry_queue_cancelled_jobs", "counter", "Jobs that were cancelled.", "cancelled"},
    {NULL, NULL, NULL, NULL},
};

static const Family topic_families[] = {
    {"ferry_topic_published_messages", "counter",
     "Messages of a topic that the broker keeps messages of.", "published"},
    {NULL, NULL, NULL, NULL},
};

static const Family pattern_families[] = {
    {"ferry_pattern_subscribers", "gauge", "Subscribers of the pattern.", "subscribers"},
    {NULL, NULL, NULL, NULL},
};

static const Family user_families[] = {
    {"ferry_user_sessions", "gauge", "Connected clients of the user.", "sessions"},
    {"ferry_user_subscriptions", "gauge", "Subscriptions of the user.", "subscriptions"},
    {"ferry_user_memory_bytes", "gauge", "Memory that the user makes the broker hold.", "memory"},
    {"ferry_user_waiting_bytes", "gauge", "Bytes that wait to be sent to the user.", "waiting"},
    {NULL, NULL, NULL, NULL},
};

/* From the broker's list of users, which is empty if the broker has no users. */
static const Family user_counters[] = {
    {"ferry_user_calls", "counter", "Calls of the user.", "calls"},
    {"ferry_user_published_messages", "counter", "Messages that the user has published.",
     "published"},
    {"ferry_user_pushed_jobs", "counter", "Jobs that the user has pushed.", "pushed"},
    {"ferry_user_received_bytes", "counter", "Bytes that have arrived from the user.", "bytes"},
    {"ferry_user_refused_messages", "counter",
     "Messages of the user that were refused, without a right or at a limit.", "refused"},
    {NULL, NULL, NULL, NULL},
};

/* Each family over all rows that have the name. */
static void write_rows(MetricsText *text, const Family *family, const json_t *rows,
                       const char *label, const char *name_member) {
    for (; family->name; family++) {
        size_t i, n = 0;
        json_t *row;

        put_family(text, family->name, family->type, family->help);
        json_array_foreach((json_t *)rows, i, row) {
            const char *name = json_string_value(json_object_get(row, name_member));

            if (!name)
                continue;
            if (n++ >= METRICS_ROWS_MAX) {
                text->n_left_out++;
                continue;
            }
            put(text->to, "%s%s", family->name, *family->type == 'c' ? "_total" : "");
            put_label(text->to, label, name, '{');
            put(text->to, "}");
            put_value(text->to, row, family->member);
        }
    }
}

/* The sessions of each user, as rows. */
static json_t *users_of(const json_t *sessions) {
    static const char *const summed[] = {"subscriptions", "memory", "waiting"};
    json_t *rows = json_array(), *by_name = json_object(), *session;
    size_t i;

    json_array_foreach((json_t *)sessions, i, session) {
        const char *user = json_string_value(json_object_get(session, "user"));
        const char *name = user && *user ? user : "anonymous";
        json_t *row = json_object_get(by_name, name);

        if (!row) {
            row = json_pack("{s:s, s:i}", "user", name, "sessions", 0);
            json_object_set_new(by_name, name, row);
            json_array_append(rows, row);
        }
        json_object_set_new(row, "sessions",
                            json_integer(json_integer_value(json_object_get(row, "sessions")) + 1));
        for (size_t j = 0; j < sizeof(summed) / sizeof(*summed); j++)
            json_object_set_new(
                row, summed[j],
                json_integer(json_integer_value(json_object_get(row, summed[j])) +
                             json_integer_value(json_object_get(session, summed[j]))));
    }
    json_decref(by_name);
    return rows;
}

/* ---- histograms ---- */

/* The bounds are powers of four, from 64 us to 67 s. Each of them is also a bound of the broker's
 * finer buckets. */
enum { BOUND_FIRST = 6, BOUND_LAST = 26, BOUND_STEP = 2 };

/* The number of calls that took less than 2^power us: eight counts for each power of two, and the
 * first eight are of single microseconds. */
static uint64_t calls_below(const json_t *latencies, unsigned power) {
    size_t end = (size_t)(power - 2) * 8, i;
    uint64_t n = 0;
    json_t *count;

    json_array_foreach((json_t *)latencies, i, count) if (i < end) n +=
        (uint64_t)json_integer_value(count);
    return n;
}

static void put_labels(Buffer *to, const char *service, const char *method) {
    if (service) {
        put_label(to, "service", service, '{');
        put_label(to, "method", method, ',');
    }
}

static void write_histogram(Buffer *to, const char *family, const char *service, const char *method,
                            const json_t *latencies, double total_us) {
    uint64_t all = calls_below(latencies, 60);

    for (unsigned power = BOUND_FIRST; power <= BOUND_LAST; power += BOUND_STEP) {
        put(to, "%s_bucket", family);
        put_labels(to, service, method);
        put(to, "%cle=\"%.9g\"} %" PRIu64 "\n", service ? ',' : '{',
            (double)(UINT64_C(1) << power) / 1e6, calls_below(latencies, power));
    }
    put(to, "%s_bucket", family);
    put_labels(to, service, method);
    put(to, "%cle=\"+Inf\"} %" PRIu64 "\n%s_count", service ? ',' : '{', all, family);
    put_labels(to, service, method);
    put(to, "%s %" PRIu64 "\n", service ? "}" : "", all);
    if (total_us < 0)
        return;
    put(to, "%s_sum", family);
    put_labels(to, service, method);
    put(to, "%s %.6f\n", service ? "}" : "", total_us / 1e6);
}

/* ---- methods ---- */

/* Calls fn for each method, up to the limit of series. */
static void each_method(MetricsText *text, const json_t *methods,
                        void (*fn)(Buffer *to, const char *service, const char *method,
                                   const json_t *row)) {
    const char *service;
    json_t *rows, *row;
    size_t i, n = 0;

    json_object_foreach((json_t *)methods, service, rows) {
        json_array_foreach(rows, i, row) {
            const char *method = json_string_value(json_object_get(row, "method"));

            if (n++ >= METRICS_ROWS_MAX)
                text->n_left_out++;
            else if (method)
                fn(text->to, service, method, row);
        }
    }
}

static void write_calls(Buffer *to, const char *service, const char *method, const json_t *row) {
    put(to, "ferry_method_calls_total");
    put_labels(to, service, method);
    put(to, "}");
    put_value(to, row, "calls");
}

static void write_errors(Buffer *to, const char *service, const char *method, const json_t *row) {
    put(to, "ferry_method_errors_total");
    put_labels(to, service, method);
    put(to, "}");
    put_value(to, row, "errors");
}

static void write_durations(Buffer *to, const char *service, const char *method,
                            const json_t *row) {
    write_histogram(to, "ferry_method_duration_seconds", service, method,
                    json_object_get(row, "latencies"), number_of(row, "total_us"));
}

static void write_methods(MetricsText *text, const json_t *methods) {
    put_family(text, "ferry_method_calls", "counter", "Calls of the method.");
    each_method(text, methods, write_calls);
    put_family(text, "ferry_method_errors", "counter", "Calls that ended with an error.");
    each_method(text, methods, write_errors);
    put_family(text, "ferry_method_duration_seconds", "histogram",
               "Time from the call to its end, as the broker sees it.");
    each_method(text, methods, write_durations);
}

/* ---- the whole text ---- */

void metrics_write(const MetricsInput *input, Buffer *to) {
    MetricsText text = {.to = to, .is_plain = input->is_plain};
    json_t *users;

    put_family(&text, "ferry_build", "info", "The version of ferry web.");
    put(to, "ferry_build_info{version=\"%s\"} 1\n", FERRY_VERSION);
    put_family(&text, "ferry_up", "gauge", "1: the broker answers.");
    put(to, "ferry_up %d\n", input->stats != NULL);
    if (input->stats) {
        write_totals(&text, input->stats);
        write_memory(&text, input->stats);
        put_family(&text, "ferry_call_duration_seconds", "histogram",
                   "Time from a call to its end, as the broker sees it.");
        write_histogram(to, "ferry_call_duration_seconds", NULL, NULL,
                        json_object_get(input->stats, "latencies"), -1);
    }
    write_rows(&text, service_families, input->services, "service", "name");
    write_methods(&text, input->methods);
    write_rows(&text, queue_families, input->queues, "queue", "name");
    write_rows(&text, topic_families, input->topics, "topic", "name");
    write_rows(&text, pattern_families, input->topics, "pattern", "pattern");
    users = users_of(input->sessions);
    write_rows(&text, user_families, users, "user", "user");
    write_rows(&text, user_counters, input->users, "user", "user");
    json_decref(users);
    put_family(&text, "ferry_metrics_left_out", "gauge", "Series beyond the limits of this page.");
    put(to, "ferry_metrics_left_out %" PRIu64 "\n%s", text.n_left_out,
        text.is_plain ? "" : "# EOF\n");
}

/* ---- the request: all lists, then the methods of each service ---- */

enum { N_LISTS = 6 };

typedef struct Scrape {
    HttpRequest *request;
    size_t n_left; /* answers that have not arrived yet, plus one for the function that asks */
    json_t *lists[N_LISTS], *methods;
    bool has_methods, is_cut; /* is_cut: there was no memory for a part */
} Scrape;

typedef struct ScrapePart {
    Scrape *scrape;
    json_t **list; /* NULL: the methods of a service */
    char service[256];
} ScrapePart;

static const char *const list_methods[N_LISTS] = {"stats",  "services", "queues",
                                                  "topics", "sessions", "users"};

static void ask_for_methods(Scrape *scrape);

/* Prometheus asks for OpenMetrics. Other readers get the plain format, which more tools read. */
static bool wants_plain(const HttpRequest *request) {
    const char *accept = http_header(request, "Accept");

    return !accept || !strstr(accept, "application/openmetrics-text");
}

static void finish_part(Scrape *scrape) {
    bool is_plain = wants_plain(scrape->request);
    Buffer text = {0};

    if (--scrape->n_left > 0)
        return;
    if (!scrape->has_methods) {
        scrape->has_methods = true;
        ask_for_methods(scrape);
        return;
    }
    if (!scrape->is_cut)
        metrics_write(&(MetricsInput){.is_plain = is_plain,
                                      .stats = scrape->lists[0],
                                      .services = scrape->lists[1],
                                      .queues = scrape->lists[2],
                                      .topics = scrape->lists[3],
                                      .sessions = scrape->lists[4],
                                      .users = scrape->lists[5],
                                      .methods = scrape->methods},
                      &text);
    if (scrape->is_cut)
        http_reply_problem(scrape->request, 503, "OutOfMemory", "out of memory");
    else
        http_reply(scrape->request, 200,
                   is_plain ? "text/plain; version=0.0.4; charset=utf-8"
                            : "application/openmetrics-text; version=1.0.0; charset=utf-8",
                   &text);
    for (size_t i = 0; i < N_LISTS; i++)
        json_decref(scrape->lists[i]);
    json_decref(scrape->methods);
    free(scrape);
}

static void on_part(json_t *answer, const ferry_error *error, void *ctx) {
    ScrapePart *part = ctx;
    Scrape *scrape = part->scrape;

    if (!error && part->list)
        *part->list = json_incref(answer);
    else if (!error)
        json_object_set(scrape->methods, part->service, answer);
    free(part);
    finish_part(scrape);
}

static ScrapePart *part_new(Scrape *scrape, json_t **list, const char *service) {
    ScrapePart *part = malloc(sizeof(*part));

    if (part) {
        *part = (ScrapePart){.scrape = scrape, .list = list};
        snprintf(part->service, sizeof(part->service), "%s", service);
        scrape->n_left++;
    } else {
        scrape->is_cut = true;
    }
    return part;
}

static void ask_for_methods(Scrape *scrape) {
    ScrapePart *part;
    json_t *row;
    size_t i;

    scrape->n_left = 1;
    json_array_foreach(scrape->lists[1], i, row) {
        const char *service = json_string_value(json_object_get(row, "name"));

        if (i >= METRICS_SERVICES_MAX || !service || !(part = part_new(scrape, NULL, service)))
            break;
        ask(http_ctx(scrape->request), on_part, part, "methods", "s", service);
    }
    finish_part(scrape);
}

void metrics_get(HttpRequest *request) {
    Scrape *scrape = calloc(1, sizeof(*scrape));
    ScrapePart *part;

    if (!scrape) {
        http_reply_problem(request, 503, "OutOfMemory", "out of memory");
        return;
    }
    *scrape = (Scrape){.request = request, .n_left = 1, .methods = json_object()};
    for (size_t i = 0; i < N_LISTS; i++)
        if ((part = part_new(scrape, &scrape->lists[i], "")))
            ask(http_ctx(request), on_part, part, list_methods[i], "");
    finish_part(scrape);
}

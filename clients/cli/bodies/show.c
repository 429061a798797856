/* SPDX-License-Identifier: Apache-2.0 */
/* Messages and jobs on standard output. See show.h. */

#include "clients/cli/bodies/show.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "clients/cli/terminal/out.h"
#include "clients/cli/terminal/print.h"
#include "clients/json/base64.h"
#include "clients/json/headers.h"

void show_bytes(const Cli *cli, ferry_bytes bytes) {
    if (cli->terminal_out)
        text_print_safe(stdout, bytes.data, bytes.len);
    else
        out_raw(stdout, bytes);
}

void show_body(const Cli *cli, ferry_bytes body) {
    show_bytes(cli, body);
    putchar('\n');
}

/* Converts a body to JSON by the type of --unpack. NULL: show the body unchanged, because the
 * option is not set, or because the body has another type (a note reports it). */
static json_t *unpacked(const Cli *cli, const BodyType *unpack, ferry_bytes body) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    json_t *json = NULL;

    if (unpack->is_set && body_type_unpack(unpack, body, &json, &error) < 0)
        cli_note(cli, "a body does not match the type of --unpack: %s", error.message);
    return json;
}

static void print_body(const Cli *cli, const BodyType *unpack, ferry_bytes body) {
    CLEANUP(json_decref) json_t *json = unpacked(cli, unpack, body);

    if (json)
        print_json(json, (PrintStyle){false, cli->colour_out && !cli->json}, stdout);
    else if (cli->json)
        show_json_body(body);
    else
        show_bytes(cli, body);
}

void show_json_body(ferry_bytes body) {
    char *text;

    if (text_is_utf8(body.data, body.len)) {
        print_json_text(body.data, body.len, stdout);
        return;
    }
    text = base64_encode(body.data, body.len);
    out_format(stdout, "{\"$bin\": \"%s\"}", text ? text : "");
    free(text);
}

static void print_headers(const ferry_header *headers, size_t n) {
    if (n == 0)
        return;
    fputs(", \"headers\": {", stdout);
    for (size_t i = 0; i < n; i++) {
        fputs(i > 0 ? ", " : "", stdout);
        print_json_text(headers[i].name, strlen(headers[i].name), stdout);
        fputs(": ", stdout);
        print_json_text(headers[i].value, strlen(headers[i].value), stdout);
    }
    putchar('}');
}

static void print_field(const char *name, const char *text) {
    out_format(stdout, "%s: ", name);
    print_json_text(text, strlen(text), stdout);
}

/* "2026-11-29T14:03:27.123+01:00" for programs; for people only the time of day. */
static const char *time_text(bool for_people, char to[64]) {
    struct timespec now;
    struct tm parts;
    char clock[40], zone[8] = "";

    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &parts);
    strftime(clock, sizeof(clock), for_people ? "%H:%M:%S" : "%Y-%m-%dT%H:%M:%S", &parts);
    if (!for_people)
        strftime(zone, sizeof(zone), "%z", &parts);
    snprintf(to, 64, "%s.%03ld%s", clock, now.tv_nsec / 1000000, zone);
    return to;
}

void show_message(const Cli *cli, const ferry_message *message, const ShowStyle *style) {
    ferry_header headers[HEADERS_MAX];
    char text[64];

    if (!cli->json) {
        if (style->time)
            out_format(stdout, "%s\t", time_text(cli->terminal_out, text));
        if (style->topic)
            out_format(stdout, "%s\t", message->topic);
        print_body(cli, &style->unpack, message->body);
        putchar('\n');
        return;
    }
    print_field("{\"topic\"", message->topic);
    if (style->time)
        print_field(", \"time\"", time_text(false, text));
    printf(", \"seq\": %" PRIu64, message->seq);
    /* An unknown number is null. */
    if (message->missed == FERRY_MISSED_UNKNOWN)
        printf(", \"missed\": null");
    else
        printf(", \"missed\": %" PRIu64, message->missed);
    print_headers(headers, headers_of_message(message, headers));
    fputs(", \"body\": ", stdout);
    print_body(cli, &style->unpack, message->body);
    fputs("}\n", stdout);
}

void show_job(const Cli *cli, const ferry_job *job, const BodyType *unpack) {
    ferry_header headers[HEADERS_MAX];

    if (!cli->json) {
        print_body(cli, unpack, job->body);
        putchar('\n');
        return;
    }
    print_field("{\"queue\"", job->queue);
    print_field(", \"job\"", job->id);
    printf(", \"attempt\": %" PRIu32, job->attempt);
    print_headers(headers, headers_of_job(job, headers));
    fputs(", \"body\": ", stdout);
    print_body(cli, unpack, job->body);
    fputs("}\n", stdout);
}

/* ---- answers of the broker ---- */

void show_json(const Cli *cli, const json_t *json) {
    print_json_rows(json, (PrintStyle){cli->terminal_out, cli->colour_out}, stdout);
}

/* The width of the terminal in columns; 0: unknown, or standard output is not a terminal. */
static size_t terminal_width(void) {
    struct winsize size = {0};

    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

void show_rows(const Cli *cli, const json_t *unsorted, const Column *columns) {
    CLEANUP(json_decref) json_t *sorted = table_sorted(unsorted, columns);
    const json_t *rows = sorted ? sorted : unsorted;
    size_t hidden;

    if (cli->json) {
        show_json(cli, rows);
        return;
    }
    hidden = table_print(
        rows, columns, (TableStyle){cli->terminal_out, cli->colour_out, terminal_width()}, stdout);
    if (hidden > 0)
        cli_note(cli, "%zu column%s left out, as the terminal is too narrow: --json shows all",
                 hidden, hidden == 1 ? "" : "s");
}

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);

    return n >= m && strcmp(text + n - m, end) == 0;
}

static bool is_time(const char *key) {
    /* The times among a queue's settings, named as in the configuration file. */
    static const char *const times[] = {"retry", "retry_max", "ttl", "time_limit", "dedup"};

    for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++)
        if (strcmp(key, times[i]) == 0)
            return true;
    return ends_with(key, "_ms");
}

static void print_field_value(const Cli *cli, const char *key, const json_t *value) {
    uint64_t number = json_is_integer(value) ? (uint64_t)json_integer_value(value) : 0;
    char text[24];

    if (json_is_string(value))
        text_print_safe(stdout, json_string_value(value), json_string_length(value));
    else if (cli->terminal_out && is_time(key))
        out_format(stdout, "%s", number ? text_format_ms(text, number) : "none");
    else if (cli->terminal_out && ends_with(key, "bytes"))
        out_format(stdout, "%s", text_format_bytes(text, number));
    else
        print_json(value, (PrintStyle){false, cli->colour_out}, stdout);
}

void show_fields(const Cli *cli, const json_t *object) {
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)object, key, value) {
        /* For people the value has the unit. */
        if (cli->terminal_out)
            out_format(stdout, "%-16.*s ", (int)(strlen(key) - (ends_with(key, "_ms") ? 3 : 0)),
                       key);
        else
            out_format(stdout, "%s\t", key);
        print_field_value(cli, key, value);
        putchar('\n');
    }
}

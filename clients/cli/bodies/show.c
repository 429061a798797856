/* SPDX-License-Identifier: Apache-2.0 */
/* Messages and jobs on standard output. See show.h. */

#include "clients/cli/bodies/show.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/text.h"
#include "clients/cli/json/base64.h"
#include "clients/cli/json/headers.h"
#include "clients/cli/terminal/print.h"

/* True for letters of any language, tabs and line ends; false for bytes that control a terminal. */
static bool is_harmless(ferry_bytes body) {
    const unsigned char *at = body.data;

    for (size_t i = 0; i < body.len; i++)
        if ((at[i] < 0x20 && at[i] != '\t' && at[i] != '\n') || at[i] == 0x7F ||
            (at[i] == 0xC2 && i + 1 < body.len && at[i + 1] < 0xA0))
            return false;
    return text_is_utf8(body.data, body.len);
}

static void print_escaped(ferry_bytes body) {
    const unsigned char *at = body.data;

    for (size_t i = 0; i < body.len; i++)
        if ((at[i] >= 0x20 && at[i] < 0x7F) || at[i] == '\t' || at[i] == '\n')
            putchar(at[i]);
        else
            printf("\\x%02x", at[i]);
}

void show_body(const Cli *cli, ferry_bytes body) {
    if (!cli->terminal_out || is_harmless(body))
        fwrite(body.data, 1, body.len, stdout);
    else
        print_escaped(body);
    putchar('\n');
}

void show_json_body(ferry_bytes body) {
    char *text;

    if (text_is_utf8(body.data, body.len)) {
        print_json_text(body.data, body.len, stdout);
        return;
    }
    text = base64_encode(body.data, body.len);
    printf("{\"$bin\": \"%s\"}", text ? text : "");
    free(text);
}

static void print_headers(const Header *headers, size_t n) {
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
    printf("%s: ", name);
    print_json_text(text, strlen(text), stdout);
}

void show_message(const Cli *cli, const ferry_message *message, bool with_topic) {
    Header headers[HEADERS_MAX];

    if (!cli->json) {
        if (with_topic)
            printf("%s\t", message->topic);
        show_body(cli, message->body);
        return;
    }
    print_field("{\"topic\"", message->topic);
    printf(", \"seq\": %" PRIu64, message->seq);
    /* An unknown number is null. */
    if (message->missed == FERRY_MISSED_UNKNOWN)
        printf(", \"missed\": null");
    else
        printf(", \"missed\": %" PRIu64, message->missed);
    print_headers(headers, headers_of_message(message, headers));
    fputs(", \"body\": ", stdout);
    show_json_body(message->body);
    fputs("}\n", stdout);
}

void show_job(const Cli *cli, const ferry_job *job) {
    Header headers[HEADERS_MAX];

    if (!cli->json) {
        show_body(cli, job->body);
        return;
    }
    print_field("{\"queue\"", job->queue);
    print_field(", \"job\"", job->id);
    printf(", \"attempt\": %" PRIu32, job->attempt);
    print_headers(headers, headers_of_job(job, headers));
    fputs(", \"body\": ", stdout);
    show_json_body(job->body);
    fputs("}\n", stdout);
}

/* ---- answers of the broker ---- */

void show_json(const Cli *cli, const json_t *json) {
    print_json_rows(json, (PrintStyle){cli->terminal_out, cli->colour_out}, stdout);
}

void show_rows(const Cli *cli, const json_t *unsorted, const Column *columns) {
    CLEANUP(json_decref) json_t *sorted = table_sorted(unsorted, columns);
    const json_t *rows = sorted ? sorted : unsorted;

    if (cli->json)
        show_json(cli, rows);
    else
        table_print(rows, columns, (TableStyle){cli->terminal_out, cli->colour_out}, stdout);
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
        fwrite(json_string_value(value), 1, json_string_length(value), stdout);
    else if (cli->terminal_out && is_time(key))
        fputs(number ? text_format_ms(text, number) : "none", stdout);
    else if (cli->terminal_out && ends_with(key, "bytes"))
        fputs(text_format_bytes(text, number), stdout);
    else
        print_json(value, (PrintStyle){false, cli->colour_out}, stdout);
}

void show_fields(const Cli *cli, const json_t *object) {
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)object, key, value) {
        printf(cli->terminal_out ? "%-16s " : "%s\t", key);
        print_field_value(cli, key, value);
        putchar('\n');
    }
}

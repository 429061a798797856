/* Messages and jobs on standard output. See show.h. */

#include "clients/cli/show.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/text.h"
#include "clients/cli/base64.h"
#include "clients/cli/headers.h"
#include "clients/cli/print.h"

void show_body(ferry_bytes body) {
    fwrite(body.data, 1, body.len, stdout);
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
        show_body(message->body);
        return;
    }
    print_field("{\"topic\"", message->topic);
    printf(", \"seq\": %" PRIu64, message->seq);
    /* Unknown: null. */
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
        show_body(job->body);
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

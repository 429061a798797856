/* SPDX-License-Identifier: Apache-2.0 */
/* The head of a response: status line, headers, and the length of the body that they declare. */

#include <stdarg.h>
#include <stdlib.h>

#include "fetch.h"

bool fetch_add(FetchText *text, const void *data, size_t len) {
    if (text->size - text->len <= len) { /* one more, for the zero at the end */
        size_t size =
            text->size * 2 > text->len + len + 1 ? text->size * 2 : text->len + len + 4096;
        char *more = realloc(text->data, size);

        if (!more)
            return false;
        text->data = more;
        text->size = size;
    }
    memcpy(text->data + text->len, data, len);
    text->len += len;
    text->data[text->len] = '\0';
    return true;
}

bool fetch_fail(Fetch *fetch, FetchFailure failure, const char *format, ...) {
    va_list args;

    fetch->failure = failure;
    va_start(args, format);
    vsnprintf(fetch->message, sizeof(fetch->message), format, args);
    va_end(args);
    return false;
}

static bool malformed(Fetch *fetch, const char *at, const char *why) {
    fetch->offset = at - fetch->head.data;
    return fetch_fail(fetch, FETCH_MALFORMED, "%s, at byte %lld", why, (long long)fetch->offset);
}

/* "HTTP/1.1 200 OK" */
static bool read_status(Fetch *fetch, char *line) {
    int after = 0;

    if (sscanf(line, "%15[HTP/0-9.] %3d%n", fetch->version, &fetch->status, &after) != 2 ||
        strncmp(fetch->version, "HTTP/1.", 7) != 0 || fetch->status < 100 ||
        (line[after] != ' ' && line[after] != '\0'))
        return malformed(fetch, line, "no status line of HTTP/1");
    snprintf(fetch->reason, sizeof(fetch->reason), "%s", line[after] ? line + after + 1 : "");
    return true;
}

static bool read_header(Fetch *fetch, char *line) {
    char *colon = strchr(line, ':'), *value = colon ? colon + 1 : NULL;
    size_t n;

    if (!colon || colon == line || strcspn(line, " \t") < (size_t)(colon - line))
        return malformed(fetch, line, "a header without a name and a colon");
    if (fetch->n_headers == FETCH_HEADERS_MAX)
        return malformed(fetch, line, "more than 100 headers");
    value += strspn(value, " \t");
    n = strlen(value);
    while (n > 0 && strchr(" \t", value[n - 1]))
        value[--n] = '\0';
    *colon = '\0';
    fetch->headers[fetch->n_headers++] = (webget_header){line, value};
    return true;
}

static const char *header(const Fetch *fetch, const char *name) {
    for (size_t i = 0; i < fetch->n_headers; i++)
        if (strcasecmp(fetch->headers[i].name, name) == 0)
            return fetch->headers[i].value;
    return NULL;
}

static bool read_framing(Fetch *fetch) {
    const char *length = header(fetch, "Content-Length"),
               *coding = header(fetch, "Transfer-Encoding"),
               *connection = header(fetch, "Connection");
    unsigned long long n;
    char *end;

    fetch->keep =
        strcmp(fetch->version, "HTTP/1.1") == 0 && !(connection && strcasestr(connection, "close"));
    if (fetch->status == 204 || fetch->status == 304) {
        fetch->framing = WEBGET_FRAMING_BODILESS;
    } else if (coding) { /* wins over a length: RFC 9112, section 6.3 */
        if (strcasecmp(coding, "chunked") != 0)
            return malformed(fetch, coding, "a transfer coding that is not chunked");
        fetch->framing = WEBGET_FRAMING_CHUNKED;
    } else if (length) {
        n = strtoull(length, &end, 10);
        if (*length < '0' || *length > '9' || *end || n > INT64_MAX)
            return malformed(fetch, length, "Content-Length is not a number");
        fetch->framing = WEBGET_FRAMING_LENGTH;
        fetch->length = (size_t)n;
    } else {
        fetch->framing = WEBGET_FRAMING_CLOSE;
        fetch->keep = false;
    }
    return true;
}

/* Strings of the interface are UTF-8. A byte above ASCII in a header has no character set. */
static void make_ascii(FetchText *head) {
    for (size_t i = 0; i < head->len; i++)
        if ((unsigned char)head->data[i] > 126 || head->data[i] == '\0')
            head->data[i] = '?';
}

bool fetch_read_head(Fetch *fetch) {
    char *line, *end;

    if (!fetch_add(&fetch->head, "", 0))
        return fetch_fail(fetch, FETCH_NO_MEMORY, "out of memory");
    line = fetch->head.data;
    make_ascii(&fetch->head);
    for (bool first = true; *line; first = false, line = end + 1) {
        end = strchr(line, '\n');
        if (!end)
            return malformed(fetch, line, "a line without an end");
        *end = '\0';
        if (end > line && end[-1] == '\r')
            end[-1] = '\0';
        if (*line == '\0')
            break;
        if (!(first ? read_status(fetch, line) : read_header(fetch, line)))
            return false;
    }
    return read_framing(fetch);
}

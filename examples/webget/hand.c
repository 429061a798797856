/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 by hand: a request, the head of the response, its body by one of three framings. */

#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dial.h"
#include "fetch.h"

enum { KEPT_MAX = 8, PIECE = 16384, CHUNK_LINE_MAX = 1024 };

/* A connection, and bytes that were read from it and not used yet. */
typedef struct Line {
    int fd; /* -1: not connected */
    SSL *ssl;
    char host[FETCH_HOST_MAX], port[8];
    char bytes[PIECE];
    size_t at, len;
} Line;

#define NO_LINE                                                                                    \
    { .fd = -1 }
static Line kept[KEPT_MAX] = {NO_LINE, NO_LINE, NO_LINE, NO_LINE,
                              NO_LINE, NO_LINE, NO_LINE, NO_LINE};
static size_t oldest;

/* ---- connections ---- */

static void hang_up(Line *line) {
    SSL_free(line->ssl);
    if (line->fd >= 0)
        close(line->fd);
    line->ssl = NULL;
    line->fd = -1;
}

static bool shake_hands(Fetch *fetch, Line *line) {
    const char *authority = getenv("WEBGET_AUTHORITY");
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    const char *reason;
    bool done = false;
    long verdict;

    ERR_clear_error();
    if (context && (authority ? SSL_CTX_load_verify_locations(context, authority, NULL)
                              : SSL_CTX_set_default_verify_paths(context)) == 1) {
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
        line->ssl = SSL_new(context);
    }
    SSL_CTX_free(context); /* the SSL keeps it */
    if (line->ssl && SSL_set_fd(line->ssl, line->fd) == 1 &&
        SSL_set_tlsext_host_name(line->ssl, fetch->host) == 1 &&
        (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(line->ssl), fetch->host) == 1 ||
         SSL_set1_host(line->ssl, fetch->host) == 1)) {
        ERR_clear_error();
        done = SSL_connect(line->ssl) == 1;
    }
    if (done)
        return true;
    verdict = line->ssl ? SSL_get_verify_result(line->ssl) : X509_V_OK;
    reason = verdict != X509_V_OK ? X509_verify_cert_error_string(verdict)
                                  : ERR_reason_error_string(ERR_peek_last_error());
    return fetch_fail(fetch, FETCH_TLS, "%s", reason ? reason : "the server hung up");
}

static bool connect_anew(Fetch *fetch, Line *line, webget_connections *count) {
    Dial dial;

    *line = (Line){.fd = -1};
    snprintf(line->host, sizeof(line->host), "%s", fetch->host);
    snprintf(line->port, sizeof(line->port), "%s", fetch->port);
    if (!dial_host(&dial, AF_UNSPEC, fetch->host, fetch->port, fetch->timeout_ms)) {
        fetch->gai = dial.gai;
        fetch->error = dial.n_attempts > 0 ? dial.attempts[dial.n_attempts - 1].error : 0;
        return fetch_fail(fetch, FETCH_UNREACHABLE, "%s",
                          dial.gai ? gai_strerror(dial.gai) : strerror(fetch->error));
    }
    line->fd = dial.fd;
    count->opened++;
    return !fetch->tls || shake_hands(fetch, line);
}

/* Takes the kept connection to this host, or opens a new one. */
static bool take(Fetch *fetch, Line *line, webget_connections *count, bool anew) {
    for (size_t i = 0; i < KEPT_MAX && !anew; i++)
        if (kept[i].fd >= 0 && (kept[i].ssl != NULL) == fetch->tls &&
            strcmp(kept[i].host, fetch->host) == 0 && strcmp(kept[i].port, fetch->port) == 0) {
            *line = kept[i];
            kept[i].fd = -1;
            kept[i].ssl = NULL;
            fetch->reused = true;
            return true;
        }
    fetch->reused = false;
    return connect_anew(fetch, line, count);
}

static void keep(Line *line) {
    Line *place = &kept[oldest++ % KEPT_MAX];

    hang_up(place);
    *place = *line;
}

void hand_hang_up(void) {
    for (size_t i = 0; i < KEPT_MAX; i++)
        hang_up(&kept[i]);
}

/* ---- bytes ---- */

static bool send_text(Line *line, const FetchText *text) {
    return line->ssl ? SSL_write(line->ssl, text->data, (int)text->len) == (int)text->len
                     : send_all(line->fd, text->data, text->len) == 0;
}

/* Reads bytes. 1: line->bytes has some. 0: end of the connection. -1: an error, which was recorded.
 */
static int fill(Fetch *fetch, Line *line) {
    ssize_t n;

    if (line->at < line->len)
        return 1;
    n = line->ssl ? SSL_read(line->ssl, line->bytes, PIECE) : recv(line->fd, line->bytes, PIECE, 0);
    line->at = 0;
    line->len = n > 0 ? (size_t)n : 0;
    if (n > 0)
        return 1;
    if (n == 0 || (line->ssl && errno != EAGAIN && errno != ECONNRESET))
        return 0; /* many TLS servers close without close_notify: the framing tells whether the body
                   * is complete
                   */
    fetch->error = errno == EAGAIN ? ETIMEDOUT : errno;
    fetch_fail(fetch, FETCH_UNREACHABLE, "%s", strerror(fetch->error));
    return -1;
}

static bool truncated(Fetch *fetch, int r) {
    if (r < 0)
        return false;
    return fetch_fail(fetch, FETCH_TRUNCATED, "the server hung up after %zu bytes of the body",
                      fetch->body.len);
}

static bool too_large(Fetch *fetch) {
    return fetch_fail(fetch, FETCH_TOO_LARGE, "the body is larger than %zu bytes", fetch->limit);
}

/* Reads a line, without its line end. False: an error, which was recorded. */
static bool read_line(Fetch *fetch, Line *line, FetchText *to, size_t max) {
    for (int r; (r = fill(fetch, line)) != 0;) {
        if (r < 0)
            return false;
        if (!fetch_add(to, &line->bytes[line->at], 1))
            return fetch_fail(fetch, FETCH_NO_MEMORY, "out of memory");
        if (line->bytes[line->at++] == '\n')
            return true;
        if (to->len >= max) {
            fetch->offset = (int64_t)to->len;
            return fetch_fail(fetch, FETCH_MALFORMED, "a line or a head of more than %zu bytes",
                              max);
        }
    }
    return truncated(fetch, 0);
}

/* ---- the response ---- */

static bool read_head(Fetch *fetch, Line *line) {
    size_t before;

    do {
        before = fetch->head.len;
        if (!read_line(fetch, line, &fetch->head, FETCH_HEAD_MAX))
            return false;
        if (before == 0 && strncmp(fetch->head.data, "HTTP/", 5) != 0)
            return fetch_fail(fetch, FETCH_MALFORMED, "no status line of HTTP/1, at byte 0");
    } while (strcmp(fetch->head.data + before, "\r\n") != 0 &&
             strcmp(fetch->head.data + before, "\n") != 0);
    return fetch_read_head(fetch);
}

/* Reads this many bytes; SIZE_MAX: reads to the end of the connection. */
static bool read_bytes(Fetch *fetch, Line *line, size_t wanted) {
    for (size_t got = 0, n; got < wanted; got += n, line->at += n) {
        int r = fill(fetch, line);

        if (r <= 0)
            return r == 0 && wanted == SIZE_MAX ? true : truncated(fetch, r);
        n = line->len - line->at < wanted - got ? line->len - line->at : wanted - got;
        if (fetch->body.len + n > fetch->limit)
            return too_large(fetch);
        if (!fetch_add(&fetch->body, line->bytes + line->at, n))
            return fetch_fail(fetch, FETCH_NO_MEMORY, "out of memory");
    }
    return true;
}

static bool read_chunks(Fetch *fetch, Line *line) {
    FetchText text = {NULL, 0, 0};
    unsigned long long n = 1;
    bool good = true;
    char *end = NULL;

    while (good && n > 0) {
        text.len = 0;
        good = read_line(fetch, line, &text, CHUNK_LINE_MAX);
        n = good ? strtoull(text.data, &end, 16) : 0;
        if (good && (end == text.data || !strchr(";\r\n ", *end) || n > SIZE_MAX / 2)) {
            fetch->offset = -1;
            good = fetch_fail(fetch, FETCH_MALFORMED, "a chunk without a length");
        }
        if (good && n > 0)
            good = n > fetch->limit ? too_large(fetch) : read_bytes(fetch, line, (size_t)n);
        do { /* the end of the chunk's line; after the last one: trailers, up to an empty line */
            text.len = 0;
            good = good && read_line(fetch, line, &text, CHUNK_LINE_MAX);
        } while (good && n == 0 && strspn(text.data, "\r\n") != text.len);
    }
    free(text.data);
    return good;
}

static bool read_body(Fetch *fetch, Line *line) {
    switch (fetch->framing) {
    case WEBGET_FRAMING_LENGTH:
        return fetch->length > fetch->limit ? too_large(fetch)
                                            : read_bytes(fetch, line, fetch->length);
    case WEBGET_FRAMING_CHUNKED:
        return read_chunks(fetch, line);
    case WEBGET_FRAMING_CLOSE:
        return read_bytes(fetch, line, SIZE_MAX);
    default:
        return true;
    }
}

static bool write_request(Fetch *fetch) {
    bool usual = strcmp(fetch->port, fetch->tls ? "443" : "80") == 0,
         six = strchr(fetch->host, ':') != NULL;
    char head[FETCH_HOST_MAX + 160];

    snprintf(head, sizeof(head),
             " HTTP/1.1\r\nHost: %s%s%s%s%s\r\nAccept: */*\r\nUser-Agent: ferry-webget\r\n\r\n",
             six ? "[" : "", fetch->host, six ? "]" : "", usual ? "" : ":",
             usual ? "" : fetch->port);
    return fetch_add(&fetch->request, "GET ", 4) &&
           fetch_add(&fetch->request, fetch->target, strlen(fetch->target)) &&
           fetch_add(&fetch->request, head, strlen(head));
}

bool fetch_by_hand(Fetch *fetch, webget_connections *count) {
    bool anew = false, good;
    Line *line = calloc(1, sizeof(*line));

    if (!line || !write_request(fetch)) {
        free(line);
        return fetch_fail(fetch, FETCH_NO_MEMORY, "out of memory");
    }
    count->requests++;
    do {
        good = take(fetch, line, count, anew) && send_text(line, &fetch->request) &&
               fill(fetch, line) > 0;
        if (!good &&
            fetch->reused) { /* the kept connection was closed while idle: open a new one */
            hang_up(line);
            fetch->failure = FETCH_FINE;
            anew = true;
            continue;
        }
        break;
    } while (true);
    count->reused += fetch->reused && good;
    if (!good && fetch->failure == FETCH_FINE)
        fetch_fail(fetch, FETCH_TRUNCATED, "the server hung up without an answer");
    good = good && read_head(fetch, line) && read_body(fetch, line);
    if (good && fetch->keep && line->at == line->len)
        keep(line);
    else
        hang_up(line);
    free(line);
    return good;
}

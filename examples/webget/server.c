/* SPDX-License-Identifier: Apache-2.0 */
/* Fetches URLs: library.c by libcurl, hand.c with its own HTTP code. */

#include <ctype.h>
#include <curl/curl.h>
#include <signal.h>
#include <stdlib.h>

#include "dial.h"
#include "fetch.h"
#include "server.h"

enum { SPARE_MS = 300, PARAMETERS_MAX = 100, URL_MAX = 16384 };

static webget_connections counts[WEBGET_LAYER_TLS + 1];

/* ---- requests ---- */

/* As quote_plus() of Python: a space is '+'. */
static bool quote(FetchText *to, const char *text) {
    bool good = true;

    for (; good && *text; text++) {
        char piece[4] = {*text};

        if (*text == ' ')
            piece[0] = '+';
        else if (!isalnum((unsigned char)*text) && !strchr("_.-~", *text))
            snprintf(piece, sizeof(piece), "%%%02X", (unsigned char)*text);
        good = fetch_add(to, piece, strlen(piece));
    }
    return good;
}

static bool add_parameters(FetchText *query, const webget_map_string_string *parameters) {
    bool good = true;

    for (size_t i = 0; good && i < parameters->n; i++)
        good = (query->len == 0 || fetch_add(query, "&", 1)) &&
               quote(query, parameters->v[i].key) && fetch_add(query, "=", 1) &&
               quote(query, parameters->v[i].value);
    return good;
}

/* A part of the URL, or "" if the URL does not have it. The caller frees it with curl_free(). */
static char *part(CURLU *url, CURLUPart which, unsigned flags) {
    char *text = NULL;

    curl_url_get(url, which, &text, flags);
    return text;
}

/* Fills in host, port, target, tls and url of the fetch. Returns NULL, or the problem. */
static const char *take_apart(Fetch *fetch, CURLU *url,
                              const webget_map_string_string *parameters) {
    char *scheme = part(url, CURLUPART_SCHEME, 0), *host = part(url, CURLUPART_HOST, 0),
         *port = part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT),
         *path = part(url, CURLUPART_PATH, 0), *own = part(url, CURLUPART_QUERY, 0);
    FetchText query = {NULL, 0, 0};
    const char *wrong = NULL;
    size_t len = host ? strlen(host) : 0;

    fetch->tls = scheme && strcmp(scheme, "https") == 0;
    if (!scheme || (!fetch->tls && strcmp(scheme, "http") != 0))
        wrong = "neither http nor https";
    else if (!port || !path || len == 0 || len >= FETCH_HOST_MAX)
        wrong = "no host";
    else if ((own && !fetch_add(&query, own, strlen(own))) || !add_parameters(&query, parameters) ||
             query.len > URL_MAX)
        wrong = "the query is too long";
    if (!wrong) {
        if (host[0] == '[') /* an IPv6 address: without its brackets */
            snprintf(fetch->host, sizeof(fetch->host), "%.*s", (int)(len - 2), host + 1);
        else
            snprintf(fetch->host, sizeof(fetch->host), "%s", host);
        snprintf(fetch->port, sizeof(fetch->port), "%s", port);
        if (asprintf(&fetch->target, "%s%s%s", path, query.len ? "?" : "",
                     query.len ? query.data : "") < 0)
            fetch->target = NULL;
        /* Joins the parts here, because libcurl would write %2F as %2f. */
        if (asprintf(&fetch->url, "%s://%s:%s%s", scheme, host, port,
                     fetch->target ? fetch->target : "") < 0)
            fetch->url = NULL;
        if (!fetch->url || !fetch->target)
            wrong = "out of memory";
    }
    free(query.data);
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_free(path);
    curl_free(own);
    return wrong;
}

static const char *parse(Fetch *fetch, const char *text,
                         const webget_map_string_string *parameters) {
    CURLU *url = curl_url();
    const char *wrong;
    CURLUcode code;

    if (!url)
        return "out of memory";
    code = curl_url_set(url, CURLUPART_URL, text, CURLU_DISALLOW_USER | CURLU_NON_SUPPORT_SCHEME);
    wrong = code != CURLUE_OK ? curl_url_strerror(code) : take_apart(fetch, url, parameters);
    curl_url_cleanup(url);
    return wrong;
}

static const char *check(const Fetch *fetch, webget_layer layer) {
    if (layer == WEBGET_LAYER_SOCKET && fetch->tls)
        return "a socket alone does not speak https";
    if (layer == WEBGET_LAYER_TLS && !fetch->tls)
        return "this layer speaks https alone";
    return NULL;
}

/* ---- responses ---- */

static int answer(ferry_request *request, const Fetch *fetch) {
    webget_response response = {
        .version = fetch->version,
        .status = fetch->status,
        .reason = fetch->reason,
        .headers = {fetch->n_headers, fetch->headers},
        .framing = fetch->framing,
        .body = ferry_bytes_of(fetch->body.data ? fetch->body.data : "", fetch->body.len),
        .request = fetch->request.data ? fetch->request.data : "",
        .reused = fetch->reused};

    return webget_get_return(request, &response);
}

static int throw_failure(ferry_request *request, Fetch *fetch) {
    const int64_t expected = (int64_t)fetch->length;
    webget_truncated cut = {fetch->framing ? fetch->framing : WEBGET_FRAMING_CLOSE,
                            fetch->framing == WEBGET_FRAMING_LENGTH ? &expected : NULL,
                            (int64_t)fetch->body.len, fetch->message};

    for (char *c = fetch->message; *c; c++)
        *c = isprint((unsigned char)*c) ? *c
                                        : '?'; /* the text may contain bytes that the server sent */
    switch (fetch->failure) {
    case FETCH_UNREACHABLE:
        return webget_throw_unreachable(
            request, &(webget_unreachable){fetch->host, fetch->gai, fetch->error, fetch->message});
    case FETCH_TLS:
        return webget_throw_tls_failure(request,
                                        &(webget_tls_failure){fetch->host, fetch->message});
    case FETCH_MALFORMED:
        return webget_throw_malformed(request, &(webget_malformed){fetch->offset, fetch->message});
    case FETCH_TRUNCATED:
        return webget_throw_truncated(request, &cut);
    case FETCH_TOO_LARGE:
        return webget_throw_too_large(request,
                                      &(webget_too_large){(int64_t)fetch->limit, fetch->message});
    default:
        return -ENOMEM;
    }
}

static int fetch_and_answer(ferry_request *request, Fetch *fetch, webget_layer layer,
                            const char *text, const webget_map_string_string *parameters) {
    const char *wrong = parse(fetch, text, parameters);
    bool good;

    if (!wrong)
        wrong = check(fetch, layer);
    if (wrong)
        return webget_throw_bad_url(request, &(webget_bad_url){text, wrong});
    if (!dial_allowed("WEBGET_ALLOW", fetch->host, fetch->port))
        return webget_throw_not_allowed(
            request, &(webget_not_allowed){fetch->host, atoi(fetch->port),
                                           "this server may not connect to that host"});
    good = layer == WEBGET_LAYER_LIBRARY ? fetch_by_library(fetch, &counts[layer])
                                         : fetch_by_hand(fetch, &counts[layer]);
    return good ? answer(request, fetch) : throw_failure(request, fetch);
}

/* ---- handlers ---- */

static int get(ferry_request *request, const char *url, webget_layer layer,
               const webget_map_string_string *parameters, int64_t limit, void *ctx) {
    uint32_t left_ms = ferry_request_left_ms(request);
    Fetch *fetch;
    int r;

    (void)ctx;
    if (layer < WEBGET_LAYER_LIBRARY || layer > WEBGET_LAYER_TLS || limit < 1 ||
        limit > FETCH_LIMIT_MAX || parameters->n > PARAMETERS_MAX || strlen(url) > URL_MAX)
        return ferry_request_fail(request, -EINVAL, NULL);
    fetch = calloc(1, sizeof(*fetch));
    if (!fetch)
        return -ENOMEM;
    fetch->limit = (size_t)limit;
    fetch->timeout_ms = left_ms > 2 * SPARE_MS ? left_ms - SPARE_MS : left_ms / 2 + 1;
    r = fetch_and_answer(request, fetch, layer, url, parameters);
    free(fetch->url);
    free(fetch->target);
    free(fetch->request.data);
    free(fetch->head.data);
    free(fetch->body.data);
    free(fetch);
    return r;
}

static int count(ferry_request *request, webget_layer layer, void *ctx) {
    (void)ctx;
    if (layer < WEBGET_LAYER_LIBRARY || layer > WEBGET_LAYER_TLS)
        return ferry_request_fail(request, -EINVAL, NULL);
    return webget_count_return(request, &counts[layer]);
}

static int hang_up(ferry_request *request, void *ctx) {
    (void)ctx;
    library_hang_up();
    hand_hang_up();
    return webget_hang_up_return(request);
}

int webget_start(ferry_client *client, ferry_error *reterr) {
    static const webget_handlers handlers = {.get = get, .count = count, .hang_up = hang_up};

    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes to connections that the peer has closed */
    curl_global_init(CURL_GLOBAL_DEFAULT);
    return webget_serve(client, &handlers, NULL, NULL, NULL, reterr);
}

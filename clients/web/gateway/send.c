/* SPDX-License-Identifier: Apache-2.0 */
/* POST /v1/publish/TOPIC and POST /v1/push/QUEUE. */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "clients/json/value.h"
#include "clients/web/core/core.h"
#include "clients/web/gateway/routes.h"

enum { HEADERS_SENT_MAX = 16 };

/* A publish or a push that waits for its confirmation. */
typedef struct HttpSend {
    HttpRequest *request;
    ferry_pushed pushed;
} HttpSend;

/* ---- the parameters ---- */

static bool is_set(HttpRequest *request, const char *name) {
    const char *value = http_query(request, name);

    return value && strcmp(value, "0") != 0;
}

/* Reads a numeric parameter; 0 if it is missing. False: it is malformed, and the request was
 * answered with an error. */
static bool read_number(HttpRequest *request, const char *name, uint64_t *ret) {
    const char *value = http_query(request, name);

    return !value || input_number(request, value, ret);
}

/* "Ferry-Header: color: red", once for each header of the message. */
typedef struct SentHeaders {
    size_t n;
    ferry_header v[HEADERS_SENT_MAX];
    char *texts[HEADERS_SENT_MAX];
} SentHeaders;

static void add_header(const char *value, void *ctx) {
    SentHeaders *headers = ctx;
    char *text = headers->n < HEADERS_SENT_MAX ? strdup(value) : NULL;
    char *colon = text ? strchr(text, ':') : NULL;

    if (!colon) {
        free(text);
        return;
    }
    *colon++ = '\0';
    while (*colon == ' ')
        colon++;
    headers->texts[headers->n] = text;
    headers->v[headers->n++] = (ferry_header){text, colon};
}

static void free_headers(SentHeaders *headers) {
    for (size_t i = 0; i < headers->n; i++)
        free(headers->texts[i]);
}

/* Returns the body to send. JSON is checked and sent unchanged; with ?pack=1 it is converted to
 * MessagePack. Other content types are bytes. */
static int body_of(HttpRequest *request, Buffer *packed, ferry_bytes *ret, ferry_error *reterr) {
    json_t *json = NULL;
    int r;

    *ret = http_body(request);
    if (!guard_type_is(http_header(request, "Content-Type"), "application/json"))
        return 0;
    r = value_parse(ret->data, ret->len, "the body", &json, reterr);
    if (r == 0 && is_set(request, "pack")) {
        r = value_from_json(json, packed, reterr);
        *ret = ferry_bytes_of(packed->data, packed->len);
    }
    json_decref(json);
    return r;
}

/* Begins a publish or a push. 0; otherwise the request was answered with an error. */
static int begin(HttpRequest *request, Buffer *packed, ferry_bytes *body, HttpSend **ret,
                 SentHeaders *headers) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    Web *web = http_ctx(request);
    int r = body_of(request, packed, body, &error);

    if (r == 0 && web->is_away)
        r = error_set(&error, "ferry.NotConnected", "%s", web->problem);
    *ret = r == 0 ? calloc(1, sizeof(**ret)) : NULL;
    if (r == 0 && !*ret)
        r = error_set_code(&error, -ENOMEM, NULL);
    if (!*ret) {
        problem_reply(request, &error);
        return r;
    }
    (*ret)->request = request;
    http_each_header(request, "Ferry-Header", add_header, headers);
    return 0;
}

static void refuse(HttpSend *sending, const ferry_error *error) {
    problem_reply(sending->request, error);
    free(sending);
}

/* ---- publish ---- */

static void on_published(const ferry_error *error, void *ctx) {
    HttpSend *sending = ctx;

    if (error) {
        refuse(sending, error);
        return;
    }
    http_reply_json(sending->request, 202, json_object());
    free(sending);
}

void gateway_publish(HttpRequest *request) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    CLEANUP(buffer_deinit) Buffer packed = {0};
    Web *web = http_ctx(request);
    SentHeaders headers = {0};
    HttpSend *sending;
    ferry_bytes body;

    if (begin(request, &packed, &body, &sending, &headers) < 0)
        return;
    if (ferry_publish(web->client, http_part(request, 2), body,
                      &(ferry_publish_options){.retain = is_set(request, "retain"),
                                               .n_headers = headers.n,
                                               .headers = headers.v,
                                               .fn = on_published,
                                               .ctx = sending},
                      &error) < 0)
        refuse(sending, &error);
    free_headers(&headers);
}

/* ---- push ---- */

static void on_pushed(const ferry_error *error, void *ctx) {
    static const char *const durabilities[] = {"unknown", "memory", "interval", "disk", "redis"};
    HttpSend *sending = ctx;
    char job[24];

    if (error) {
        refuse(sending, error);
        return;
    }
    snprintf(job, sizeof(job), "%" PRIu64, sending->pushed.job);
    http_reply_json(sending->request, 201,
                    json_pack("{s:s, s:b, s:s}", "job", job, "duplicate", sending->pushed.duplicate,
                              "durability",
                              durabilities[sending->pushed.durability <= FERRY_DURABILITY_REDIS
                                               ? sending->pushed.durability
                                               : FERRY_DURABILITY_UNKNOWN]));
    free(sending);
}

void gateway_push(HttpRequest *request) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    CLEANUP(buffer_deinit) Buffer packed = {0};
    Web *web = http_ctx(request);
    uint64_t delay_ms = 0, ttl_ms = 0, priority = 0;
    SentHeaders headers = {0};
    HttpSend *sending;
    ferry_bytes body;

    if (!read_number(request, "delay_ms", &delay_ms) || !read_number(request, "ttl_ms", &ttl_ms) ||
        !read_number(request, "priority", &priority) ||
        begin(request, &packed, &body, &sending, &headers) < 0)
        return;
    if (ferry_push_async(web->client, http_part(request, 2), body,
                         &(ferry_push_options){
                             .key = http_query(request, "key"),
                             .ordering_key = http_query(request, "order"),
                             .delay_ms = delay_ms,
                             .ttl_ms = ttl_ms,
                             .priority = priority > UINT32_MAX ? UINT32_MAX : (uint32_t)priority,
                             .pushed = &sending->pushed,
                             .n_headers = headers.n,
                             .headers = headers.v},
                         on_pushed, sending, &error) < 0)
        refuse(sending, &error);
    free_headers(&headers);
}

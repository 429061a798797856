/* SPDX-License-Identifier: Apache-2.0 */
/* Topics as event streams. See topic-streams.h. */

#include "clients/web/gateway/topic-streams.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/random.h"
#include "base/text.h"
#include "clients/json/headers.h"
#include "clients/web/gateway/routes.h"

/* At most this many bytes of the kept events are passed to the reader's connection. */
enum { AHEAD_MAX = 64 * 1024, SUBSCRIBE_MS = 2000 };

typedef struct KeptEvent {
    struct KeptEvent *next;
    uint64_t seq;
    size_t len;
    char text[];
} KeptEvent;

typedef struct WebSubscription {
    struct WebSubscription *prev, *next;
    TopicStreams *all;
    HttpStream *http; /* NULL: the reader has disconnected */
    uint64_t detached_ms;
    ferry_client *handle; /* closing it ends the subscription */
    KeptEvent *kept, *last_kept;
    size_t kept_bytes, max_body;
    uint64_t last_seq; /* of the events, from 1 */
    uint64_t sent_seq; /* of the last event that was passed to the reader's connection */
    bool is_ending;
    char token[20]; /* begins the ids of its events */
    char pattern[];
} WebSubscription;

struct TopicStreams {
    Web *web;
    WebSubscription *list; /* utlist */
    size_t n_detached;
};

TopicStreams *topic_streams_new(Web *web) {
    TopicStreams *all = calloc(1, sizeof(*all));

    if (all)
        all->web = web;
    return all;
}

static void free_subscription(void *ctx) {
    WebSubscription *sub = ctx;
    KeptEvent *event;

    DL_DELETE(sub->all->list, sub);
    sub->all->n_detached -= !sub->http;
    ferry_close(sub->handle);
    while ((event = sub->kept)) {
        sub->kept = event->next;
        free(event);
    }
    free(sub);
}

TopicStreams *topic_streams_free(TopicStreams *all) {
    WebSubscription *sub, *next;

    if (!all)
        return NULL;
    DL_FOREACH_SAFE(all->list, sub, next)
    free_subscription(sub);
    free(all);
    return NULL;
}

/* Ends a subscription in a turn of the client, because this function may run inside a callback of
 * libmicrohttpd. */
static void end(WebSubscription *sub) {
    if (sub->is_ending || !sub->all->web->client)
        return;
    sub->is_ending = true;
    ferry_post(sub->all->web->client, free_subscription, sub);
}

void topic_streams_tick(TopicStreams *all, uint64_t now_ms) {
    WebSubscription *sub;

    DL_FOREACH(all->list, sub) {
        if (!sub->http && now_ms - sub->detached_ms > DETACHED_MS)
            end(sub);
    }
}

/* ---- events ---- */

static void send_dropped(WebSubscription *sub, uint64_t n) {
    char text[48];

    snprintf(text, sizeof(text), n ? "{\"n\":%" PRIu64 "}" : "{\"n\":null}", n);
    http_stream_send(sub->http, "dropped", NULL, text, strlen(text));
}

/* Passes kept events to the reader, as far as it has room. */
static void pump(WebSubscription *sub) {
    const KeptEvent *event = sub->kept;
    char id[48];

    if (sub->http && event && event->seq > sub->sent_seq + 1) {
        send_dropped(sub, event->seq - sub->sent_seq - 1);
        sub->sent_seq = event->seq - 1;
    }
    for (; sub->http && event; event = event->next) {
        if (event->seq <= sub->sent_seq)
            continue;
        snprintf(id, sizeof(id), "%s-%" PRIu64, sub->token, event->seq);
        if (http_stream_backlog(sub->http) > AHEAD_MAX ||
            !http_stream_send(sub->http, "message", id, event->text, event->len))
            return;
        sub->sent_seq = event->seq;
    }
}

/* Keeps an event, and drops the oldest events beyond the limit. */
static void keep(WebSubscription *sub, const char *text, size_t len) {
    KeptEvent *event = malloc(sizeof(*event) + len), *old;

    sub->last_seq++;
    if (!event)
        return; /* the reader notices the gap in the sequence numbers */
    event->next = NULL;
    event->seq = sub->last_seq;
    event->len = len;
    memcpy(event->text, text, len);
    if (sub->kept)
        sub->last_kept->next = event;
    else
        sub->kept = event;
    sub->last_kept = event;
    sub->kept_bytes += len;
    while (sub->kept_bytes > KEPT_BYTES_MAX && sub->kept != event) {
        old = sub->kept;
        sub->kept = old->next;
        sub->kept_bytes -= old->len;
        free(old);
    }
}

static void add_headers(json_t *to, const ferry_message *message) {
    ferry_header headers[HEADERS_MAX];
    size_t n = headers_of_message(message, headers);
    json_t *object = n > 0 ? json_object() : NULL;

    for (size_t i = 0; i < n; i++)
        json_object_set_new(object, headers[i].name, json_string(headers[i].value));
    if (object)
        json_object_set_new(to, "headers", object);
}

static void on_message(const ferry_message *message, void *ctx) {
    WebSubscription *sub = ctx;
    size_t len = message->body.len;
    json_t *json = json_pack("{s:s, s:I, s:I}", "topic", message->topic, "seq",
                             (json_int_t)sub->last_seq + 1, "bytes", (json_int_t)len);
    char *text;

    if (len > sub->max_body)
        len = text_whole_len(message->body.data, sub->max_body);
    json_object_set_new(json, "missed",
                        message->missed == FERRY_MISSED_UNKNOWN
                            ? json_null()
                            : json_integer((json_int_t)message->missed));
    add_headers(json, message);
    present_body(json, ferry_bytes_of(message->body.data, len));
    text = json_dumps(json, JSON_COMPACT);
    if (text)
        keep(sub, text, strlen(text));
    free(text);
    json_decref(json);
    pump(sub);
}

/* ---- readers ---- */

static void on_room(HttpStream *http, void *ctx) {
    (void)http;
    pump(ctx);
}

static void on_reader_gone(HttpStream *http, void *ctx) {
    WebSubscription *sub = ctx, *one, *oldest = sub;

    if (sub->http != http)
        return; /* another reader has taken over the subscription */
    sub->http = NULL;
    sub->detached_ms = clock_ms();
    if (++sub->all->n_detached <= DETACHED_MAX)
        return;
    DL_FOREACH(sub->all->list, one)
    if (!one->http && !one->is_ending && one->detached_ms < oldest->detached_ms)
        oldest = one;
    end(oldest);
}

static void attach(WebSubscription *sub, HttpRequest *request) {
    HttpStream *before = sub->http;
    HttpStream *http = http_stream_open(request, on_reader_gone, sub);

    if (!http)
        return;
    sub->all->n_detached -= !before;
    sub->http = http;
    if (before)
        http_stream_close(before);
    http_stream_on_room(http, on_room);
    http_stream_send(http, "ready", NULL, "{}", 2);
}

/* Finds the subscription of the id "TOKEN-SEQ", if it still exists and has the same pattern. */
static WebSubscription *find(TopicStreams *all, const char *id, const char *pattern,
                             uint64_t *ret_seq) {
    const char *dash = id ? strrchr(id, '-') : NULL;
    WebSubscription *sub;

    DL_FOREACH(all->list, sub) {
        if (dash && !sub->is_ending && strlen(sub->token) == (size_t)(dash - id) &&
            memcmp(sub->token, id, (size_t)(dash - id)) == 0 &&
            strcmp(sub->pattern, pattern) == 0) {
            bool is_number = text_parse_count(dash + 1, ret_seq) == 0;

            return is_number && *ret_seq <= sub->last_seq ? sub : NULL;
        }
    }
    return NULL;
}

/* Subscribes, and waits one round trip for the broker's answer. */
static int subscribe(WebSubscription *sub, uint64_t last, ferry_error *reterr) {
    Web *web = sub->all->web;
    int r = 0;

    if (web->is_away)
        r = error_set(reterr, "ferry.NotConnected", "%s", web->problem);
    if (r == 0)
        r = ferry_with(web->client, &(ferry_options){.timeout_ms = SUBSCRIBE_MS}, &sub->handle,
                       reterr);
    if (r == 0)
        r = ferry_subscribe(sub->handle, sub->pattern,
                            &(ferry_subscribe_options){.last = (uint32_t)last}, on_message, sub,
                            NULL, reterr);
    return r;
}

void gateway_subscribe(HttpRequest *request) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    TopicStreams *all = ((Web *)http_ctx(request))->topic_streams;
    const char *pattern = http_part(request, 2), *id = http_header(request, "Last-Event-ID");
    const char *last_text = http_query(request, "last"),
               *max_text = http_query(request, "max_body");
    uint64_t last = 0, max_body = BODY_SHOWN, seq;
    WebSubscription *sub = find(all, id, pattern, &seq);

    if ((last_text && !input_number(request, last_text, &last)) ||
        (max_text && !input_number(request, max_text, &max_body)))
        return;
    if (sub) {
        sub->sent_seq = seq;
        attach(sub, request);
        pump(sub);
        return;
    }
    sub = calloc(1, sizeof(*sub) + strlen(pattern) + 1);
    if (!sub) {
        http_reply_problem(request, 503, "OutOfMemory", "out of memory");
        return;
    }
    sub->all = all;
    sub->max_body = max_body < BODY_SHOWN_MAX ? max_body : BODY_SHOWN_MAX;
    strcpy(sub->pattern, pattern);
    snprintf(sub->token, sizeof(sub->token), "%016" PRIx64, random_u64());
    DL_APPEND(all->list, sub);
    all->n_detached++;
    if (subscribe(sub, last > UINT32_MAX ? UINT32_MAX : last, &error) < 0) {
        free_subscription(sub);
        problem_reply(request, &error);
        return;
    }
    attach(sub, request);
    if (!sub->http) {
        end(sub);
        return;
    }
    if (id)
        send_dropped(sub,
                     0); /* the subscription has ended: the number of missed events is unknown */
    pump(sub);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Streams of the broker's state. See live.h. */

#include "clients/web/watch/live.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "clients/web/watch/sampler.h"

/* The parts of a state, and the methods of the broker that return them. */
static const struct {
    const char *name, *method;
} parts[] = {
    {"overview", "stats"}, {"services", "services"}, {"queues", "queues"},
    {"topics", "topics"},  {"sessions", "sessions"}, {"schedules", "schedules"},
    {"caches", "caches"},
};

enum { N_PARTS = sizeof(parts) / sizeof(*parts) };

typedef struct LiveStream {
    struct LiveStream *prev, *next;
    LiveStates *live;
    HttpStream *stream;
    unsigned wanted; /* a bit for each part */
} LiveStream;

struct LiveStates {
    Web *web;
    LiveStream *streams;
    unsigned n_asked; /* parts whose answers have not arrived yet */
    uint64_t n_states;
    json_t *values[N_PARTS]; /* of the state that is being made; NULL: not wanted, or failed */
    struct LivePart {
        LiveStates *live;
        size_t part;
    } asked[N_PARTS];
};

LiveStates *live_new(Web *web) {
    LiveStates *live = calloc(1, sizeof(*live));

    if (live)
        live->web = web;
    return live;
}

LiveStates *live_free(LiveStates *live) {
    free(live);
    return NULL;
}

bool live_is_watched(const LiveStates *live) {
    return live->streams;
}

/* ---- states ---- */

static void send_state(LiveStates *live, LiveStream *one) {
    json_t *state = json_object();
    char id[24], *text;

    for (size_t i = 0; i < N_PARTS; i++)
        if (one->wanted & 1u << i && live->values[i])
            json_object_set(state, parts[i].name, live->values[i]);
    text = json_dumps(state, JSON_COMPACT);
    json_decref(state);
    snprintf(id, sizeof(id), "%" PRIu64, live->n_states);
    /* A slow reader gets fewer states, but each one is current. */
    if (text && http_stream_is_idle(one->stream))
        http_stream_send(one->stream, "state", id, text, strlen(text));
    free(text);
}

static void send_states(LiveStates *live) {
    LiveStream *one;

    live->n_states++;
    if (!live->values[0])
        live->values[0] = sampler_overview(live->web, json_null(), NULL);
    DL_FOREACH(live->streams, one) send_state(live, one);
    for (size_t i = 0; i < N_PARTS; i++) {
        json_decref(live->values[i]);
        live->values[i] = NULL;
    }
}

static void on_part(json_t *answer, const ferry_error *error, void *ctx) {
    const struct LivePart *asked = ctx;
    LiveStates *live = asked->live;

    if (!error)
        present(answer);
    if (asked->part == 0)
        live->values[0] = sampler_overview(live->web, error ? json_null() : json_incref(answer),
                                           error ? error->message : NULL);
    else if (!error)
        live->values[asked->part] = json_incref(answer);
    if (--live->n_asked == 0)
        send_states(live);
}

void live_tick(LiveStates *live) {
    LiveStream *one;
    unsigned wanted = 1;

    if (!live->streams || live->n_asked > 0)
        return;
    if (!live->web->is_up) {
        send_states(live);
        return;
    }
    DL_FOREACH(live->streams, one) wanted |= one->wanted;
    live->n_asked = 1; /* answers that come at once do not end the state */
    for (size_t i = 0; i < N_PARTS; i++) {
        if (!(wanted & 1u << i))
            continue;
        live->n_asked++;
        live->asked[i] = (struct LivePart){live, i};
        ask(live->web, on_part, &live->asked[i], parts[i].method, "");
    }
    if (--live->n_asked == 0)
        send_states(live);
}

/* ---- streams ---- */

static void on_gone(HttpStream *stream, void *ctx) {
    LiveStream *one = ctx;

    (void)stream;
    DL_DELETE(one->live->streams, one);
    free(one);
}

/* Returns the bits of a list of names; 0: a name is unknown. */
static unsigned parse_parts(const char *text) {
    unsigned wanted = 0;

    while (*text) {
        size_t len = strcspn(text, ","), i = 0;

        while (i < N_PARTS &&
               !(strlen(parts[i].name) == len && memcmp(text, parts[i].name, len) == 0))
            i++;
        if (i == N_PARTS)
            return 0;
        wanted |= 1u << i;
        text += len + (text[len] == ',');
    }
    return wanted;
}

void live_open(HttpRequest *request) {
    LiveStates *live = ((Web *)http_ctx(request))->live;
    const char *names = http_query(request, "parts");
    unsigned wanted = parse_parts(names && *names ? names : "overview");
    LiveStream *one;

    if (!wanted) {
        http_reply_problem(request, 400, "ferry.InvalidArgument",
                           "parts must be one or more of overview, services, queues, topics, "
                           "sessions, schedules, caches");
        return;
    }
    one = calloc(1, sizeof(*one));
    if (!one) {
        http_reply_problem(request, 503, "OutOfMemory", "out of memory");
        return;
    }
    one->live = live;
    one->wanted = wanted;
    one->stream = http_stream_open(request, on_gone, one);
    if (!one->stream) {
        free(one);
        return;
    }
    DL_APPEND(live->streams, one);
    live_tick(live);
}

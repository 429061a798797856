/* SPDX-License-Identifier: Apache-2.0 */

/* Events: which kinds have subscribers, how many are published, and their bodies until the end of
 * the turn. See events.h. */

#include "broker/events/events.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/burst.h"
#include "base/clock.h"
#include "base/container.h"
#include "rpc/schema/codec/codec.h"
#include "rpc/wire/name.h"

struct Events {
    Broker *broker;
    uint32_t n_patterns[N_EVENTS]; /* number of subscribed patterns that match the topic of the
                                    * kind */
    Burst rates[N_EVENTS];
    uint64_t n_left_out[N_EVENTS];
    Timer tell;     /* publishes n_left_out */
    Buffer pending; /* the events of this turn: pairs of a kind and a body */
    Buffer body;    /* used again for each event */
};

#define KIND(topic, name)                                                                          \
    { "ferry.events." topic, &ferry_type_broker_events_##name }
#define TIME_IS_FIRST(name)                                                                        \
    _Static_assert(offsetof(broker_events_##name, time_us) == 0, "event_raise() sets it there")

static const struct {
    const char *topic;
    const ferry_type *type;
} kinds[N_EVENTS] = {
    [EVENT_SESSION_UP] = KIND("session.up", session_up),
    [EVENT_SESSION_DOWN] = KIND("session.down", session_down),
    [EVENT_SERVICE_ADDED] = KIND("service.added", service_added),
    [EVENT_SERVICE_LOST] = KIND("service.lost", service_lost),
    [EVENT_QUEUE_DEAD] = KIND("queue.dead", dead_letter),
    [EVENT_QUEUE_FULL] = KIND("queue.full", queue_full),
    [EVENT_SUBSCRIBER_SLOW] = KIND("subscriber.slow", subscriber_slow),
    [EVENT_STORE_DEGRADED] = KIND("store.degraded", store_degraded),
    [EVENT_LIMIT_REACHED] = KIND("limit.reached", limit_reached),
    [EVENT_RIGHT_REFUSED] = KIND("right.refused", right_refused),
    [EVENT_CONNECTION_REFUSED] = KIND("connection.refused", connection_refused),
    [EVENT_LEFT_OUT] = KIND("left_out", left_out),
};
TIME_IS_FIRST(session_up);
TIME_IS_FIRST(session_down);
TIME_IS_FIRST(service_added);
TIME_IS_FIRST(service_lost);
TIME_IS_FIRST(dead_letter);
TIME_IS_FIRST(queue_full);
TIME_IS_FIRST(subscriber_slow);
TIME_IS_FIRST(store_degraded);
TIME_IS_FIRST(limit_reached);
TIME_IS_FIRST(right_refused);
TIME_IS_FIRST(connection_refused);
TIME_IS_FIRST(left_out);

const char *event_topic(EventKind kind) {
    return kinds[kind].topic;
}

int events_new(Events **ret, Broker *broker) {
    Events *events = calloc(1, sizeof(*events));

    if (!events)
        return -ENOMEM;
    events->broker = broker;
    *ret = events;
    return 0;
}

Events *events_free(Events *events) {
    if (!events)
        return NULL;
    timer_disarm(&events->broker->timers, &events->tell);
    events->broker->events_watched = 0;
    buffer_deinit(&events->pending);
    buffer_deinit(&events->body);
    free(events);
    return NULL;
}

/* ---- subscribers ---- */

static void count_pattern(Broker *broker, Span pattern, int step) {
    Events *events = broker->events;

    if (!events || !name_is_reserved(pattern.data, pattern.len))
        return;
    for (EventKind kind = 0; kind < N_EVENTS; kind++) {
        Span topic = span_text(event_topic(kind));

        if (!pattern_matches(pattern.data, pattern.len, topic.data, topic.len))
            continue;
        events->n_patterns[kind] += (uint32_t)step;
        if (events->n_patterns[kind] > 0)
            broker->events_watched |= 1u << kind;
        else
            broker->events_watched &= ~(1u << kind);
    }
}

void events_pattern_added(Broker *broker, Span pattern) {
    count_pattern(broker, pattern, 1);
}

void events_pattern_gone(Broker *broker, Span pattern) {
    count_pattern(broker, pattern, -1);
}

/* ---- raising ---- */

/* False: there is no room for the event, or a text is not UTF-8. */
static bool add(Events *events, EventKind kind, void *value) {
    *(int64_t *)value = (int64_t)clock_wall_us();
    buffer_reset(&events->body);
    if (schema_pack(kinds[kind].type, value, "event", &events->body, NULL) < 0 ||
        events->pending.len + events->body.len > EVENTS_BYTES_MAX)
        return false;
    write_uint(&events->pending, kind);
    write_bin(&events->pending, events->body.data, events->body.len);
    return !events->pending.failed;
}

static void on_tell(Timer *timer, void *ctx) {
    Events *events = container_of(timer, Events, tell);
    broker_events_left_out_count counts[N_EVENTS];
    broker_events_left_out told = {.counts = {.v = counts}};

    (void)ctx;
    for (EventKind kind = 0; kind < N_EVENTS; kind++) {
        if (events->n_left_out[kind] > 0)
            counts[told.counts.n++] = (broker_events_left_out_count){
                event_topic(kind), (int64_t)events->n_left_out[kind]};
        events->n_left_out[kind] = 0;
    }
    if (event_is_watched(events->broker, EVENT_LEFT_OUT))
        add(events, EVENT_LEFT_OUT, &told);
}

void event_raise(Broker *broker, EventKind kind, void *value) {
    Events *events = broker->events;

    if (burst_take(&events->rates[kind], broker->now_ms, EVENTS_BURST, EVENTS_EACH_MS) &&
        add(events, kind, value))
        return;
    events->n_left_out[kind]++;
    if (!timer_armed(&events->tell))
        timer_arm(&broker->timers, &events->tell, broker->now_ms + EVENTS_TELL_MS, on_tell);
}

/* ---- publishing ---- */

bool events_wait(const Broker *broker) {
    return broker->events && broker->events->pending.len > 0;
}

void events_flush(Broker *broker, void (*publish)(void *ctx, Span topic, Span body), void *ctx) {
    CLEANUP(buffer_deinit) Buffer sending = broker->events->pending;
    Reader reader = reader_of(sending.data, sending.failed ? 0 : sending.len);

    broker->events->pending = (Buffer){0};
    while (reader.at != reader.end) {
        EventKind kind = (EventKind)reader_uint(&reader);

        publish(ctx, span_text(event_topic(kind)), reader_bin(&reader));
    }
}

/* SPDX-License-Identifier: Apache-2.0 */

/* Taps: filters, records, and the credit of their streams. See tap.h. */

#include "broker/taps/tap.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/container.h"
#include "rpc/wire/name.h"

enum { CREDIT_MAX = 64 << 20 };

typedef struct Tap {
    Session *session;
    uint64_t id; /* id of the CALL */
    int64_t credit;
    uint64_t missed; /* number of records that were lost after the last one that was sent */
    uint64_t only_session, max_body;
    struct {
        char **patterns;
        size_t n;
    } names[TAP_KINDS];
} Tap;

struct Taps {
    Room room;
    Broker *broker;
    Tap *taps[TAPS_MAX];
    size_t n;
    uint32_t generation; /* the number of changes of the list, without 0 when it overflows */
    Buffer record;       /* used again for each record */
};

/* ---- the list ---- */

/* Makes each TapMark out of date. Without taps the routers need not look at their marks. */
static void list_changed(Taps *taps) {
    taps->generation += taps->generation == UINT32_MAX ? 2 : 1;
    taps->broker->tap_generation = taps->n > 0 ? taps->generation : 0;
}

static Tap *tap_free(Tap *tap) {
    for (size_t kind = 0; tap && kind < TAP_KINDS; kind++) {
        for (size_t i = 0; i < tap->names[kind].n; i++)
            free(tap->names[kind].patterns[i]);
        free(tap->names[kind].patterns);
    }
    free(tap);
    return NULL;
}
DEFINE_CLEANUP(Tap *, tap_free);

static void remove_at(Taps *taps, size_t i) {
    tap_free(taps->taps[i]);
    taps->taps[i] = taps->taps[--taps->n];
    list_changed(taps);
}

static void on_session_gone(Room *room, Session *session) {
    Taps *taps = container_of(room, Taps, room);

    for (size_t i = taps->n; i-- > 0;)
        if (taps->taps[i]->session == session)
            remove_at(taps, i);
}

static const RoomOps ops = {.session_gone = on_session_gone};

int taps_new(Taps **ret, Broker *broker) {
    Taps *taps = calloc(1, sizeof(*taps));

    if (!taps)
        return -ENOMEM;
    taps->broker = broker;
    room_open(broker, &taps->room, &ops);
    *ret = taps;
    return 0;
}

Taps *taps_free(Taps *taps) {
    if (!taps)
        return NULL;
    room_close(taps->broker, &taps->room);
    while (taps->n > 0)
        remove_at(taps, taps->n - 1);
    buffer_deinit(&taps->record);
    free(taps);
    return NULL;
}

/* ---- opening and closing ---- */

static int copy_patterns(Tap *tap, TapKind kind, const TapFilter *filter, ferry_error *reterr) {
    size_t n = filter->names[kind].n;

    if (n == 0)
        return 0;
    tap->names[kind].patterns = calloc(n, sizeof(char *));
    if (!tap->names[kind].patterns)
        return -ENOMEM;
    for (; tap->names[kind].n < n; tap->names[kind].n++) {
        const char *pattern = filter->names[kind].patterns[tap->names[kind].n];

        if (!pattern_is_valid(pattern, strlen(pattern)))
            return error_set(reterr, "ferry.InvalidArgument", "invalid pattern '%s': %s",
                             shown(span_text(pattern)), pattern_problem(pattern, strlen(pattern)));
        tap->names[kind].patterns[tap->names[kind].n] = strdup(pattern);
        if (!tap->names[kind].patterns[tap->names[kind].n])
            return -ENOMEM;
    }
    return 0;
}

int taps_open(Taps *taps, Session *session, uint64_t id, const TapFilter *filter,
              ferry_error *reterr) {
    CLEANUP(tap_free) Tap *tap = NULL;
    size_t n_patterns = 0;

    for (size_t kind = 0; kind < TAP_KINDS; kind++)
        n_patterns += filter->names[kind].n;
    if (n_patterns > TAP_PATTERNS_MAX)
        return error_set(reterr, "ferry.Full", "the tap has more than %d patterns",
                         TAP_PATTERNS_MAX);
    if (taps->n == TAPS_MAX)
        return error_set(reterr, "ferry.Full", "the broker already has %d taps, the maximum",
                         TAPS_MAX);
    tap = calloc(1, sizeof(*tap));
    if (!tap)
        return -ENOMEM;
    tap->session = session;
    tap->id = id;
    tap->credit = WIRE_STREAM_CREDIT;
    tap->only_session = filter->session;
    tap->max_body = filter->max_body < TAP_BODY_MAX ? filter->max_body : TAP_BODY_MAX;
    for (TapKind kind = 0; kind < TAP_KINDS; kind++) {
        int r = copy_patterns(tap, kind, filter, reterr);

        if (r < 0)
            return r;
    }
    taps->taps[taps->n++] = steal(&tap);
    list_changed(taps);
    return 0;
}

static size_t find(const Taps *taps, const Session *session, uint64_t id) {
    size_t i = 0;

    while (i < taps->n && (taps->taps[i]->session != session || taps->taps[i]->id != id))
        i++;
    return i;
}

bool taps_more(Taps *taps, const Session *session, uint64_t id, uint64_t bytes) {
    size_t i = find(taps, session, id);

    if (i == taps->n)
        return false;
    if (bytes > CREDIT_MAX || taps->taps[i]->credit > CREDIT_MAX)
        bytes = 0;
    taps->taps[i]->credit += (int64_t)bytes;
    return true;
}

bool taps_cancel(Taps *taps, Session *session, uint64_t id) {
    size_t i = find(taps, session, id);

    if (i == taps->n)
        return false;
    remove_at(taps, i);
    session_error(session, id, "ferry.Cancelled", "the caller cancelled the call");
    return true;
}

/* ---- messages ---- */

/* True if the tap selects this name. A tap without patterns selects all names. */
static bool selects(const Tap *tap, TapKind kind, Span name) {
    size_t n_patterns = 0;

    for (size_t i = 0; i < TAP_KINDS; i++)
        n_patterns += tap->names[i].n;
    for (size_t i = 0; i < tap->names[kind].n; i++) {
        const char *pattern = tap->names[kind].patterns[i];

        if (pattern_matches(pattern, strlen(pattern), name.data, name.len))
            return true;
    }
    return n_patterns == 0;
}

bool taps_look(Taps *taps, TapKind kind, TapMark *mark, Span name) {
    mark->generation = taps->generation;
    mark->watched = false;
    for (size_t i = 0; i < taps->n && !mark->watched; i++)
        mark->watched = selects(taps->taps[i], kind, name);
    return mark->watched;
}

static void write_span(Buffer *to, const char *key, Span text) {
    write_text(to, key);
    write_str(to, text.data, text.len);
}

static void write_record(Buffer *to, const Tap *tap, const TapEvent *event) {
    static const char *const kinds[TAP_KINDS] = {"service", "topic", "queue"};

    buffer_reset(to);
    write_map(to, 11);
    write_pair(to, "time_us", clock_wall_us());
    write_text(to, "sent");
    write_bool(to, event->sent);
    write_pair(to, "session", event->session->number);
    write_text(to, "client");
    write_text(to, event->session->name);
    write_text(to, "message");
    write_text(to, op_name(event->op));
    write_span(to, kinds[event->kind], event->name);
    write_span(to, "method", event->method);
    write_pair(to, "id", event->id & INT64_MAX);
    write_pair(to, "bytes", event->body.len);
    write_text(to, "body");
    write_bin(to, event->body.data,
              event->body.len < tap->max_body ? event->body.len : tap->max_body);
    write_pair(to, "missed", tap->missed);
}

static void send_record(Taps *taps, Tap *tap, const TapEvent *event) {
    Buffer *record = &taps->record;

    if (tap->credit <= 0 || tap->session->ending) {
        tap->missed++;
        return;
    }
    write_record(record, tap, event);
    if (record->failed) {
        tap->missed++;
        return;
    }
    tap->credit -= (int64_t)(record->len + WIRE_ITEM_COST);
    tap->missed = 0;
    session_send(
        tap->session, LANE_BULK,
        &(Message){.op = OP_ITEM, .id = tap->id, .body = span_of(record->data, record->len)}, NULL);
}

void taps_record(Taps *taps, const TapEvent *event) {
    for (size_t i = 0; i < taps->n; i++) {
        Tap *tap = taps->taps[i];

        if ((tap->only_session == 0 || tap->only_session == event->session->number) &&
            selects(tap, event->kind, event->name))
            send_record(taps, tap, event);
    }
}

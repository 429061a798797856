/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Taps: sessions that watch the messages of others, as `ferry tap` does. A tap is a stream of
 * ferry.Broker.tap: an item for each message that the tap's filter selects. A tap that reads too
 * slowly misses records, and the next record says how many.
 *
 * Routers call tap_watches() for each message. Without taps that costs one comparison. Otherwise
 * the answer for a name is kept in a TapMark beside the name, until a tap comes or goes.
 */

#include "broker/sessions/session.h"

enum {
    TAPS_MAX = 16,
    TAP_PATTERNS_MAX = 64,    /* of one tap */
    TAP_BODY_MAX = 64 * 1024, /* the most bytes of a body in a record */
};

typedef enum TapKind {
    TAP_SERVICES,
    TAP_TOPICS,
    TAP_QUEUES,
    TAP_KINDS,
} TapKind;

typedef struct TapFilter {
    struct {
        const char *const *patterns;
        size_t n;
    } names[TAP_KINDS];
    uint64_t session;  /* only messages of this session; 0: of all sessions */
    uint64_t max_body; /* bytes of each body to report */
} TapFilter;

typedef struct TapEvent {
    TapKind kind;
    bool sent; /* true: sent by the broker to the session; false: received from the session */
    Op op;
    const Session *session;
    uint64_t id;
    Span name;
    Span method; /* empty: the message has no method */
    Span body;
} TapEvent;

int taps_new(Taps **ret, Broker *broker);
Taps *taps_free(Taps *taps);

/* Begins the stream of a CALL of ferry.Broker.tap with this id. A tap without patterns selects all
 * names. 0; -EINVAL: invalid pattern; -ENOBUFS: too many taps or patterns; -ENOMEM. */
int taps_open(Taps *taps, Session *session, uint64_t id, const TapFilter *filter,
              ferry_error *reterr);

/* MORE and CANCEL for the stream of a tap. False: the id does not belong to a tap. */
bool taps_more(Taps *taps, const Session *session, uint64_t id, uint64_t bytes);
bool taps_cancel(Taps *taps, Session *session, uint64_t id);

/* Decides whether a tap watches this name, and stores the answer in mark. */
bool taps_look(Taps *taps, TapKind kind, TapMark *mark, Span name);

/* Sends the record to each tap that selects it. */
void taps_record(Taps *taps, const TapEvent *event);

static inline bool tap_watches(const Broker *broker, TapKind kind, TapMark *mark, Span name) {
    if (__builtin_expect(broker->tap_generation == 0, 1))
        return false;
    if (mark->generation == broker->tap_generation)
        return mark->watched;
    return taps_look(broker->taps, kind, mark, name);
}

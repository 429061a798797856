/* Batches that wait. See deferred.h. */

#include "broker/loop/deferred.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

/* Small batches share one: a record for each would be more than what waits. */
enum { SHARED = 16 * 1024 };

struct Parked {
    Parked *next;
    size_t charged; /* credit that goes back when it is done */
    size_t len, cap, at;
    uint8_t data[];
};

static Parked *parked_new(Session *session, size_t len) {
    size_t cap = len < SHARED ? SHARED : len;
    Parked *parked = malloc(sizeof(*parked) + cap);

    if (!parked)
        return NULL;
    *parked = (Parked){.cap = cap};
    assert(!session->parked || session->last_parked);
    if (session->parked)
        session->last_parked->next = parked;
    else
        session->parked = parked;
    session->last_parked = parked;
    return parked;
}

int parked_add(Session *session, const Reader *rest) {
    Parked *parked = session->parked ? session->last_parked : NULL;
    size_t len = reader_left(rest);
    Peer *peer = session->peer;

    if (!parked || parked->len + len > parked->cap)
        parked = parked_new(session, len);
    if (!parked)
        return -ENOMEM;
    if (!peer->has_more)
        DL_APPEND2(session->broker->parked, session, parked_prev, parked_next);
    memcpy(parked->data + parked->len, rest->at, len);
    parked->len += len;
    parked->charged += peer->in.charged;
    peer->in.charged = 0;
    peer->has_more = true;
    return 0;
}

static void drop_first(Session *session) {
    Parked *parked = session->parked;

    session->parked = parked->next;
    free(parked);
    if (!session->parked) {
        DL_DELETE2(session->broker->parked, session, parked_prev, parked_next);
        session->peer->has_more = false;
    }
}

void parked_clear(Session *session) {
    while (session->parked)
        drop_first(session);
}

static void go_on(Session *session) {
    while (session->parked && session->broker->work < TURN_WORK) {
        Parked *parked = session->parked;
        Reader reader = reader_of(parked->data + parked->at, parked->len - parked->at);
        bool done = session_handle(session, &reader, false);

        if (session->ending)
            return;
        parked->at = parked->len - reader_left(&reader);
        if (!done)
            return;
        session->peer->in.charged = parked->charged;
        drop_first(session);
        peer_handled(session->peer);
    }
    if (!session->parked && session->said_bye)
        session_end(session, NULL);
}

void parked_go_on(Broker *broker) {
    const Session *last = broker->parked ? broker->parked->parked_prev : NULL;
    bool was_last = false;

    broker->work = 0;
    broker->costly_may = true;
    while (broker->parked && !was_last && broker->work < TURN_WORK) {
        Session *session = broker->parked;

        was_last = session == last;
        /* They take turns. */
        DL_DELETE2(broker->parked, session, parked_prev, parked_next);
        DL_APPEND2(broker->parked, session, parked_prev, parked_next);
        go_on(session);
        sessions_turn_end(broker);
    }
    broker->costly_may = false;
    broker->work = 0;
}

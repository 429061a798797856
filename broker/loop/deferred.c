/* SPDX-License-Identifier: Apache-2.0 */
/* Deferred batches. See deferred.h. */

#include "broker/loop/deferred.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/container.h"
#include "broker/core/rooms.h"

/* Small batches share one allocation: the record of a small batch is larger than its bytes. */
enum { SHARED = 16 * 1024 };

struct DeferredBatch {
    DeferredBatch *next;
    size_t charged; /* credit that the session gets back when the batch is done */
    size_t len, cap, at;
    uint8_t data[];
};

struct Deferred {
    Room room;
    Broker *broker;
    Session *sessions; /* utlist: sessions with deferred batches; the one that has waited longest
                        * stands first */
};

static DeferredBatch *batch_new(Session *session, size_t len) {
    size_t cap = len < SHARED ? SHARED : len;
    DeferredBatch *batch = malloc(sizeof(*batch) + cap);

    if (!batch)
        return NULL;
    *batch = (DeferredBatch){.cap = cap};
    account_charge(&session->peer->account, BUDGET_INPUT, sizeof(*batch) + cap);
    assert(!session->deferred || session->last_deferred);
    if (session->deferred)
        session->last_deferred->next = batch;
    else
        session->deferred = batch;
    session->last_deferred = batch;
    return batch;
}

int deferred_add(Session *session, const Reader *rest) {
    DeferredBatch *batch = session->deferred ? session->last_deferred : NULL;
    size_t len = reader_left(rest);
    Peer *peer = session->peer;

    if (!batch || batch->len + len > batch->cap)
        batch = batch_new(session, len);
    if (!batch)
        return -ENOMEM;
    if (!peer->has_more)
        DL_APPEND2(session->broker->deferred->sessions, session, deferred_prev, deferred_next);
    memcpy(batch->data + batch->len, rest->at, len);
    batch->len += len;
    batch->charged += peer->in.charged;
    peer->in.charged = 0;
    peer->has_more = true;
    return 0;
}

static void drop_first(Session *session) {
    DeferredBatch *batch = session->deferred;

    session->deferred = batch->next;
    account_refund(&session->peer->account, BUDGET_INPUT, sizeof(*batch) + batch->cap);
    free(batch);
    if (!session->deferred) {
        DL_DELETE2(session->broker->deferred->sessions, session, deferred_prev, deferred_next);
        session->peer->has_more = false;
    }
}

Session *deferred_turn(Deferred *deferred) {
    Session *session = deferred->sessions;

    if (!session)
        return NULL;
    DL_DELETE2(deferred->sessions, session, deferred_prev, deferred_next);
    DL_APPEND2(deferred->sessions, session, deferred_prev, deferred_next);
    return session;
}

const Session *deferred_last(const Deferred *deferred) {
    return deferred->sessions ? deferred->sessions->deferred_prev : NULL;
}

Reader deferred_reader(const Session *session) {
    const DeferredBatch *batch = session->deferred;

    return reader_of(batch->data + batch->at, batch->len - batch->at);
}

void deferred_read_to(Session *session, const Reader *reader) {
    DeferredBatch *batch = session->deferred;

    batch->at = batch->len - reader_left(reader);
}

void deferred_done(Session *session) {
    session->peer->in.charged = session->deferred->charged;
    drop_first(session);
    peer_handled(session->peer);
}

/* ---- the room ---- */

static uint64_t on_next_ms(const Room *room) {
    return container_of(room, Deferred, room)->sessions ? 0 : UINT64_MAX;
}

static void on_session_gone(Room *room, Session *session) {
    (void)room;
    while (session->deferred)
        drop_first(session);
}

static const RoomOps room_ops = {
    .next_ms = on_next_ms,
    .session_gone = on_session_gone,
};

int deferred_new(Deferred **ret, Broker *broker) {
    Deferred *deferred = calloc(1, sizeof(*deferred));

    if (!deferred)
        return -ENOMEM;
    deferred->broker = broker;
    room_open(broker, &deferred->room, &room_ops);
    *ret = deferred;
    return 0;
}

Deferred *deferred_free(Deferred *deferred) {
    if (!deferred)
        return NULL;
    room_close(deferred->broker, &deferred->room);
    free(deferred);
    return NULL;
}

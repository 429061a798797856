/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions without sockets. See fake-session.h. */

#include "unit/broker/fake-session.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/text.h"
#include "broker/sessions/hello.h"

typedef struct FakeSession {
    Session session;
    FakeSent *sent, *last, *taken;
    size_t n_sent;
    bool faulted, ended;
} FakeSession;

static const Limits fake_limits = {
    .max_body = WIRE_BODY_MAX,
    .max_names = 100000,
    .max_subscriptions = 10000,
    .max_serves = 1000,
    .max_pulls = 1000,
    .max_calls = 65536,
    .max_waiting_calls = 10000,
    .max_slots = 65536,
    .max_subscriber_bytes = 4u << 20,
    .max_session_bytes = 64u << 20,
    .max_total_bytes = UINT64_C(1) << 30,
    .max_replay = 1000,
    .max_queue_jobs = 1000000,
    .max_queue_bytes = UINT64_C(256) << 20,
    .max_queue_memory = UINT64_C(256) << 20,
    .max_attempts = 20,
    .retry_ms = 1000,
    .retry_max_ms = 60000,
    .dedup_ms = 120000,
    .lease_grace_ms = 500,
    .client_memory_ms = 60000,
    .max_unconfirmed = 65536,
    .max_idempotent_moves = 1,
};

static FakeSession *fake_of(const Session *session) {
    return (FakeSession *)(uintptr_t)session;
}

/* The fakes need memory even if a test makes one allocation fail (support/oom.h): the second
 * attempt succeeds. */
static void *must_calloc(size_t size) {
    void *memory = calloc(1, size);

    if (!memory)
        memory = calloc(1, size);
    if (!memory)
        abort();
    return memory;
}

void fake_broker_init(Broker *broker) {
    *broker = (Broker){.limits = fake_limits, .now_ms = 1000};
    timers_init(&broker->timers, broker->now_ms);
}

void fake_broker_deinit(Broker *broker) {
    Client *client, *next;

    while (broker->sessions.first)
        fake_disconnect(broker->sessions.first);
    HASH_ITER(hh, broker->clients.by_id, client, next)
    fake_forget(broker, client);
}

static Client *client_of(Broker *broker, uint8_t byte) {
    uint8_t id[WIRE_TOKEN];
    Client *client;

    memset(id, byte, sizeof(id));
    HASH_FIND(hh, broker->clients.by_id, id, sizeof(id), client);
    if (!client) {
        client = must_calloc(sizeof(*client));
        memcpy(client->id, id, sizeof(id));
        HASH_ADD(hh, broker->clients.by_id, id, sizeof(id), client);
    }
    return client;
}

/* The client whose id is 16 times '!' belongs to another user. */
int client_of_origin(Session *session, Span id, Client **ret) {
    if (id.data[0] == '!')
        return -EACCES;
    *ret = client_of(session->broker, id.data[0]);
    return 0;
}

Session *fake_connect(Broker *broker, uint8_t byte) {
    FakeSession *fake = must_calloc(sizeof(*fake));
    Session *session = &fake->session;

    session->broker = broker;
    session->peer = must_calloc(sizeof(Peer));
    session->peer->session = session;
    session->peer->account.budget = &broker->budget;
    session->client = client_of(broker, byte);
    session->client->session = session;
    session->number = ++broker->sessions.last_number;
    session->since_ms = broker->now_ms;
    snprintf(session->name, sizeof(session->name), "fake %c", byte);
    DL_APPEND(broker->sessions.first, session);
    broker->sessions.n++;
    return session;
}

void fake_disconnect(Session *session) {
    Broker *broker = session->broker;

    fake_drop(session);
    free(fake_of(session)->taken);
    if (session->client->session == session)
        session->client->session = NULL;
    DL_DELETE(broker->sessions.first, session);
    broker->sessions.n--;
    id_map_deinit(&session->calls);
    id_map_deinit(&session->requests);
    id_map_deinit(&session->pulls);
    id_map_deinit(&session->gathers);
    free(session->peer);
    free(session);
}

void fake_forget(Broker *broker, Client *client) {
    HASH_DEL(broker->clients.by_id, client);
    free(client);
}

/* ---- sent messages ---- */

static uint64_t n_recorded;

static FakeSent *record(Session *session, Lane lane, size_t size) {
    FakeSession *fake = fake_of(session);
    FakeSent *sent = must_calloc(sizeof(*sent) + size);

    sent->number = ++n_recorded;
    sent->lane = lane;
    if (fake->last)
        fake->last->next = sent;
    else
        fake->sent = sent;
    fake->last = sent;
    fake->n_sent++;
    return sent;
}

void session_send(Session *session, Lane lane, const Message *message, const void *block) {
    FakeSent *sent = record(session, lane, message_size(message));
    Message named = *message;
    uint8_t *end;
    Reader reader;

    /* The broker would send a large body in PARTs; the fake puts it into the message. */
    if (!message->passed.data && message->body.len > WIRE_INLINE_MAX) {
        named.body = (Span){NULL, 0};
        named.body_transfer = 1;
    }
    end = message_write(sent->bytes, &named);
    reader = reader_of(sent->bytes, (size_t)(end - sent->bytes));
    sent->block = block;
    if (message_read(&reader, &sent->message) != 1 || reader.at != reader.end)
        abort();
    if (named.body_transfer) {
        sent->message.body_transfer = 0;
        sent->message.passed = (Span){NULL, 0};
        memcpy(end, message->body.data, message->body.len);
        sent->message.body = span_of(end, message->body.len);
    }
}

void session_ok(Session *session, Lane lane, uint64_t id, uint64_t seq) {
    if (id)
        session_send(session, lane, &(Message){.op = OP_OK, .id = id, .ok.seq = seq}, NULL);
}

static void record_error(Session *session, uint64_t id, const char *type, uint32_t n, Span pairs,
                         const char *format, va_list args) {
    Reader reader = reader_of(pairs.data, pairs.len);
    FakeSent *sent;

    if (!id) {
        session->n_dropped++;
        return;
    }
    sent = record(session, LANE_CALLS, 0);
    sent->message.op = OP_ERROR;
    sent->message.id = id;
    snprintf(sent->type, sizeof(sent->type), "%s", type);
    vsnprintf(sent->text, sizeof(sent->text), format, args);
    for (; n > 0; n--) {
        Span key = reader_str(&reader);

        sent->is_kept |= span_is(key, "kept");
        sent->is_unknown |= span_is(key, "unknown");
        if (span_is(key, "url")) {
            pairs = reader_str(&reader);
            snprintf(sent->url, sizeof(sent->url), "%.*s", (int)pairs.len,
                     (const char *)pairs.data);
        } else if (span_is(key, "moved")) {
            sent->moved = reader_uint(&reader);
        } else if (span_is(key, "broker")) {
            memcpy(sent->owner, reader_bin(&reader).data, WIRE_TOKEN);
        } else {
            reader_value(&reader);
        }
    }
    assert(!reader.problem && reader_left(&reader) == 0);
}

void session_error(Session *session, uint64_t id, const char *type, const char *format, ...) {
    va_list args;

    va_start(args, format);
    record_error(session, id, type, 0, (Span){NULL, 0}, format, args);
    va_end(args);
}

void session_error_with(Session *session, uint64_t id, const char *type, uint32_t n, Span pairs,
                        const char *format, ...) {
    va_list args;

    va_start(args, format);
    record_error(session, id, type, n, pairs, format, args);
    va_end(args);
}

void session_fault(Session *session, const char *format, ...) {
    FakeSent *sent = record(session, LANE_CONTROL, 0);
    va_list args;

    sent->message.op = OP_FAULT;
    va_start(args, format);
    vsnprintf(sent->text, sizeof(sent->text), format, args);
    va_end(args);
    fake_of(session)->faulted = true;
}

void session_end(Session *session, const char *text) {
    FakeSession *fake = fake_of(session);

    if (!fake->ended && text)
        session_send(session, LANE_CONTROL, &(Message){.op = OP_BYE, .bye.text = span_text(text)},
                     NULL);
    fake->ended = true;
}

void session_out_of_memory(Session *session) {
    session_end(session, NULL);
}

const char *shown(Span name) {
    static char texts[4][TEXT_ESCAPED_MAX];
    static unsigned next;

    return text_escape(texts[next++ % 4], name.data, name.len);
}

const FakeSent *fake_take(Session *session) {
    FakeSession *fake = fake_of(session);

    free(fake->taken);
    fake->taken = fake->sent;
    if (fake->taken) {
        fake->sent = fake->taken->next;
        fake->n_sent--;
        if (!fake->sent)
            fake->last = NULL;
    }
    return fake->taken;
}

const FakeSent *fake_peek(const Session *session) {
    return fake_of(session)->sent;
}

size_t fake_n_sent(const Session *session) {
    return fake_of(session)->n_sent;
}

void fake_drop(Session *session) {
    while (fake_take(session))
        continue;
}

bool fake_is_faulted(const Session *session) {
    return fake_of(session)->faulted;
}

bool fake_is_ended(const Session *session) {
    return fake_of(session)->ended;
}

void fake_set_waiting(Session *session, size_t bytes) {
    session->peer->out.transfer_bytes = bytes;
}

void fake_advance(Broker *broker, uint64_t ms) {
    for (uint64_t end = broker->now_ms + ms; broker->now_ms < end;) {
        broker->now_ms++;
        timers_run(&broker->timers, broker->now_ms, broker);
    }
}

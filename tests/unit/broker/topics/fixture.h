/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A topic router with fake sessions, and short functions for the steps of its tests. */

#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "broker/topics/topics.h"
#include "rpc/wire/writer.h"
#include "support/suite.h"
#include "unit/broker/fake-session.h"

typedef struct TopicFixture {
    Broker broker;
    Topics *topics;
} TopicFixture;

static inline void fixture_init(TopicFixture *f) {
    fake_broker_init(&f->broker);
    CU_ASSERT_EQUAL(topics_new(&f->topics, &f->broker), 0);
    f->broker.topics = f->topics;
}

static inline Session *connect_as(TopicFixture *f, uint8_t client) {
    Session *session = fake_connect(&f->broker, client);

    session->peer->out.credit = WIRE_CREDIT;
    return session;
}

/* Ends the session: its connection is lost. */
static inline void lose(TopicFixture *f, Session *session) {
    session->client->session = NULL;
    topics_session_gone(f->topics, session);
    fake_disconnect(session);
}

static inline void fixture_deinit(TopicFixture *f) {
    Client *client;

    while (f->broker.sessions.first)
        lose(f, f->broker.sessions.first);
    for (client = f->broker.clients.by_id; client; client = client->hh.next)
        topics_client_gone(f->topics, client);
    f->topics = topics_free(f->topics);
    /* All counted bytes have been given back. */
    CU_ASSERT_EQUAL(broker_stored(&f->broker), 0);
    CU_ASSERT_EQUAL(f->broker.timers.n, 0);
    fake_broker_deinit(&f->broker);
}

/* Options are "key", value pairs; a value is a text or a number. The text option_nil is written as
 * nil. */
typedef struct Option {
    const char *key, *text;
    uint64_t number;
} Option;

static const char option_nil[] __attribute__((unused)) = "nil";

#define OPTIONS(...) ((Option[]){__VA_ARGS__, {0}})

static inline void subscribe_with(TopicFixture *f, Session *session, uint64_t id,
                                  const char *pattern, const Option *options) {
    CLEANUP(buffer_deinit) Buffer map = {0};
    Message message = {.op = OP_SUBSCRIBE, .id = id, .name = span_text(pattern)};
    uint32_t n = 0;

    while (options && options[n].key)
        n++;
    if (n > 0) {
        write_map(&map, n);
        for (uint32_t i = 0; i < n; i++) {
            write_text(&map, options[i].key);
            if (options[i].text == option_nil)
                write_nil(&map);
            else if (options[i].text)
                write_text(&map, options[i].text);
            else
                write_uint(&map, options[i].number);
        }
        message.subscribe.options = span_of(map.data, map.len);
    }
    topics_subscribe(f->topics, session, &message);
}

static inline void subscribe(TopicFixture *f, Session *session, uint64_t id, const char *pattern) {
    subscribe_with(f, session, id, pattern, NULL);
}

static inline void unsubscribe(TopicFixture *f, Session *session, uint64_t id, uint64_t sub) {
    topics_unsubscribe(f->topics, session,
                       &(Message){.op = OP_UNSUBSCRIBE, .id = id, .unsubscribe.sub = sub});
}

static inline void more(TopicFixture *f, Session *session, uint64_t sub, uint64_t bytes) {
    CU_ASSERT_TRUE(
        topics_more(f->topics, session, &(Message){.op = OP_MORE, .id = sub, .more.bytes = bytes}));
}

/* Writes and reads the message as if it came from a peer, so that message->passed is set. */
static inline void publish_message(TopicFixture *f, Session *session, const Message *message) {
    static uint8_t bytes[256 * 1024];
    uint8_t *end;
    Reader reader;
    Message in;

    if (message_size(message) > sizeof(bytes))
        abort();
    end = message_write(bytes, message);
    reader = reader_of(bytes, (size_t)(end - bytes));
    if (message_read(&reader, &in) != 1)
        abort();
    topics_publish(f->topics, session, &in, NULL);
    /* The borrowed bytes are not valid any more. */
    memset(bytes, 0xEE, (size_t)(end - bytes));
}

static inline void publish(TopicFixture *f, Session *session, const char *topic, const char *body) {
    publish_message(
        f, session,
        &(Message){.op = OP_PUBLISH, .name = span_text(topic), .body = span_text(body)});
}

static inline void publish_retained(TopicFixture *f, Session *session, const char *topic,
                                    const char *body) {
    publish_message(f, session,
                    &(Message){.op = OP_PUBLISH,
                               .publish.flags = PUBLISH_RETAIN,
                               .name = span_text(topic),
                               .body = span_text(body)});
}

static inline bool same(Span span, const char *text) {
    return span_is(span, text);
}

/* True: the next message to the session is this MESSAGE. */
static inline bool gets(Session *session, uint64_t sub, uint64_t seq, const char *topic,
                        const char *body) {
    const FakeSent *sent = fake_take(session);
    bool right = sent && sent->message.op == OP_MESSAGE && sent->lane == LANE_BULK &&
                 sent->message.message.sub == sub && sent->message.message.seq == seq &&
                 same(sent->message.name, topic) && same(sent->message.body, body);

    if (!right && !sent)
        printf("    nothing came, not %s #%llu\n", body, (unsigned long long)seq);
    else if (!right)
        printf("    got %s sub=%llu seq=%llu '%.*s' '%.*s'\n", op_name(sent->message.op),
               (unsigned long long)sent->message.message.sub,
               (unsigned long long)sent->message.message.seq, (int)sent->message.name.len,
               (const char *)sent->message.name.data, (int)sent->message.body.len,
               (const char *)sent->message.body.data);
    return right;
}

static inline bool gets_ok(Session *session, uint64_t id, uint64_t seq) {
    const FakeSent *sent = fake_take(session);

    return sent && sent->message.op == OP_OK && sent->message.id == id &&
           sent->message.ok.seq == seq;
}

static inline bool gets_gap(Session *session, uint64_t sub, uint64_t count) {
    const FakeSent *sent = fake_take(session);

    return sent && sent->message.op == OP_GAP && sent->message.gap.sub == sub &&
           sent->message.gap.count == count;
}

static inline bool gets_error(Session *session, uint64_t id, const char *type) {
    const FakeSent *sent = fake_take(session);

    return sent && sent->message.op == OP_ERROR && sent->message.id == id &&
           strcmp(sent->type, type) == 0;
}

static inline bool gets_nothing(const Session *session) {
    return fake_n_sent(session) == 0;
}

/* The peer reads nothing more; or it reads everything. */
static inline void block(Session *session) {
    session->peer->out.credit = 0;
}

static inline void unblock(Session *session) {
    session->peer->out.credit = WIRE_CREDIT;
}

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A broker with shards, and a relay without other brokers: it keeps what the binds announce and
 * send, and the test plays the other brokers.
 */

#include "broker/admin/binds.h"
#include "broker/admin/remote-binds.h"
#include "broker/admin/retained.h"
#include "broker/queues/inbox-entry.h"
#include "broker/topics/topics.h"
#include "unit/broker/queues/shard-store.h"

enum { SENT_MAX = 8 };

typedef struct FakeEntry {
    unsigned shard;
    void *sending;
    bool is_value;
    char topic[64]; /* of a value */
    size_t len;
    uint8_t data[6000];
} FakeEntry;

static Session *s;
static TopicRelay relay;
static uint64_t announced;          /* the number of the last announcement */
static uint64_t dirty;              /* the shards that were announced since the last look */
static int admitted[N_SHARDS];      /* the answer of admit() */
static FakeEntry entries[SENT_MAX]; /* the entries that were sent */
static size_t n_entries;
static uint64_t looks; /* the number of the last look */

static inline uint64_t fake_announce(TopicRelay *of, unsigned shard) {
    (void)of;
    dirty |= UINT64_C(1) << shard;
    return ++announced;
}

static inline int fake_admit(TopicRelay *of, unsigned shard) {
    (void)of;
    return admitted[shard];
}

static inline int fake_send(TopicRelay *of, unsigned shard, Span entry, void *sending) {
    FakeEntry *to = &entries[n_entries++];

    (void)of;
    CU_ASSERT_FATAL(n_entries <= SENT_MAX && entry.len <= sizeof(to->data));
    *to = (FakeEntry){.shard = shard, .sending = sending, .len = entry.len};
    if (entry.len > 0)
        memcpy(to->data, entry.data, entry.len);
    return 0;
}

static inline int fake_retain(TopicRelay *of, unsigned shard, const RelayValue *value,
                              void *sending) {
    FakeEntry *to = &entries[n_entries];

    fake_send(of, shard, value->value, sending);
    to->is_value = true;
    copy_span(to->topic, sizeof(to->topic), value->topic);
    return 0;
}

static inline uint64_t fake_look(TopicRelay *of) {
    (void)of;
    return ++looks;
}

static const RelayOps relay_ops = {.announce = fake_announce,
                                   .admit = fake_admit,
                                   .send = fake_send,
                                   .retain = fake_retain,
                                   .look = fake_look};

/* Shard 0 is here, the others are away. */
static inline void begin(void) {
    empty_shards();
    begin_broker();
    CU_ASSERT_EQUAL_FATAL(topics_new(&broker.topics, &broker), 0);
    CU_ASSERT_EQUAL_FATAL(binds_new(&broker.binds, &broker), 0);
    relay = (TopicRelay){.ops = &relay_ops};
    announced = dirty = n_entries = looks = 0;
    memset(admitted, 0, sizeof(admitted));
    CU_ASSERT_EQUAL_FATAL(retained_new(&broker.retained, &broker), 0);
    binds_set_relay(broker.binds, &relay);
    retained_set_relay(broker.retained, &relay);
    adopt(0);
    s = fake_connect(&broker, 's');
}

static inline void end(void) {
    broker.retained = retained_free(broker.retained);
    broker.binds = binds_free(broker.binds);
    broker.topics = topics_free(broker.topics);
    teardown();
}

/* The number of binds that this broker announces for the shard; -1: the shard is not here. */
static inline int n_announced(unsigned k) {
    CLEANUP(buffer_deinit) Buffer text = {0};
    Reader reader;

    if (!relay.user.write_binds(k, &text, relay.user.ctx))
        return -1;
    reader = reader_of(text.data, text.len);
    return (int)reader_array(&reader);
}

static inline void hear_of(unsigned k, const char *queue, const char *pattern, bool is_full) {
    CLEANUP(buffer_deinit) Buffer text = {0};

    write_array(&text, queue ? 1 : 0);
    if (queue)
        remote_binds_write(&text, span_text(queue), span_text(pattern), is_full);
    relay.user.on_binds(k, span_of(text.data, text.len), relay.user.ctx);
}

/* Another broker announces one bind of a shard; queue NULL: an empty list. */
static inline void hear(unsigned k, const char *queue, const char *pattern) {
    hear_of(k, queue, pattern, false);
}

/* Another broker announces one bind of a queue that is full. */
static inline void hear_full(unsigned k, const char *queue, const char *pattern) {
    hear_of(k, queue, pattern, true);
}

static inline void all_know(void) {
    relay.user.on_known(announced, relay.user.ctx);
}

static inline void answer_sent(size_t i, int result) {
    relay.user.on_sent(entries[i].sending, result, relay.user.ctx);
}

static inline int bind_queue(uint64_t id, const char *queue, const char *pattern) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;

    return binds_add(broker.binds, span_text(queue), span_text(pattern), s, id, &error);
}

static inline int unbind_queue(uint64_t id, const char *queue, const char *pattern) {
    return binds_remove(broker.binds, span_text(queue), span_text(pattern), s, id);
}

static inline void publish(uint64_t id, const char *topic, const char *body) {
    Message message = {
        .op = OP_PUBLISH, .id = id, .name = span_text(topic), .body = span_text(body)};

    binds_publish(broker.binds, s, &message, NULL);
}

/* Begins with a queue of shard 0 that is bound to the topic "t". Returns its name. */
static inline const char *begin_with_bind(void) {
    const char *queue;

    begin();
    queue = queue_in(0, 0);
    bind_queue(1, queue, "t");
    all_know();
    expect_ok(s, 1);
    return queue;
}

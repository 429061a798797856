/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "support/fake-hub.h"
#include "support/oom.h"
#include "support/suite.h"

static Broker broker;

static void begin(void) {
    log_level = LOG_LEVEL_ERROR;
    fake_hub_init(&broker);
}

static void expect_fault(Peer *peer, const char *type) {
    const Message *fault = fake_next_real(peer);

    CU_ASSERT_PTR_NOT_NULL_FATAL(fault);
    CU_ASSERT_EQUAL(fault->op, OP_FAULT);
    if (fault->op == OP_FAULT)
        CU_ASSERT_STRING_EQUAL(fake_error(fault, "type"), type);
    CU_ASSERT_TRUE(peer->closing);
    CU_ASSERT_PTR_NULL(peer->session);
    CU_ASSERT_PTR_NULL(fake_next(peer));
}

static void expect_faulted_by(const char *type, const char *bytes, size_t len) {
    Peer *peer = fake_peer_connected(&broker, 'a');

    fake_receive(&broker, peer, bytes, len);
    expect_fault(peer, type);
    fake_peer_gone(&broker, peer);
}

#define EXPECT_FAULT_BY(bytes) expect_faulted_by("ferry.Protocol", bytes, sizeof(bytes) - 1)

static Message hello_of(const uint8_t *client) {
    return (Message){.op = OP_HELLO,
                     .hello.version_min = 1,
                     .hello.version_max = 1,
                     .hello.client = span_of(client, WIRE_TOKEN),
                     .hello.bytes = 1000000};
}

static const uint8_t client_a[WIRE_TOKEN] = "aaaaaaaaaaaaaaa";

static void hello_is_answered_by_welcome_with_all_limits(void) {
    static const char *const told[] = {
        "max_body",       "max_connections",   "max_names",       "max_subscriptions",
        "max_serves",     "max_pulls",         "max_calls",       "max_waiting_calls",
        "max_slots",      "max_session_bytes", "max_total_bytes", "max_subscriber_bytes",
        "max_replay",     "max_queue_jobs",    "max_queue_bytes", "max_attempts",
        "max_unconfirmed"};
    Peer *peer;
    Message hello = hello_of(client_a);
    const Message *welcome;

    begin();
    peer = fake_peer_new(&broker);
    fake_say(&broker, peer, &hello);
    welcome = fake_next(peer);
    CU_ASSERT_PTR_NOT_NULL_FATAL(welcome);
    CU_ASSERT_EQUAL(welcome->op, OP_WELCOME);
    CU_ASSERT_EQUAL(welcome->welcome.version, 1);
    CU_ASSERT_EQUAL(welcome->welcome.broker.len, WIRE_TOKEN);
    CU_ASSERT_EQUAL(welcome->welcome.bytes, WIRE_CREDIT);
    for (size_t i = 0; i < sizeof(told) / sizeof(*told); i++) {
        uint32_t left;
        Reader pairs = pairs_of(welcome->welcome.limits, &left);
        Span key;
        bool found = false;

        while (pairs_next(&pairs, &left, &key)) {
            reader_uint(&pairs);
            found |= span_is(key, told[i]);
        }
        CU_ASSERT_TRUE(found);
    }
    fake_hub_deinit(&broker);
}

/* docs/PROTOCOL.md, section 13: "| `max_calls` | 65 536 unanswered a session | …" */
static uint64_t documented(const char *name) {
    FILE *file = fopen(PROTOCOL_MD, "r");
    char line[512], quoted[64];
    uint64_t value = UINT64_MAX;
    bool in_section = false;

    snprintf(quoted, sizeof(quoted), "`%s`", name);
    while (file && fgets(line, sizeof(line), file)) {
        char *at = in_section && line[0] == '|' ? strstr(line, quoted) : NULL;
        char *cell = at ? strchr(at, '|') : NULL;

        if (strncmp(line, "## ", 3) == 0)
            in_section = strncmp(line, "## 13.", 6) == 0;
        if (!cell)
            continue;
        value = 0;
        for (at = cell + 1; *at == ' ' || (*at >= '0' && *at <= '9'); at++)
            if (*at != ' ')
                value = value * 10 + (uint64_t)(*at - '0');
        value *= strncmp(at, "MiB", 3) == 0 ? 1 << 20 : strncmp(at, "GiB", 3) == 0 ? 1 << 30 : 1;
        break;
    }
    if (file)
        fclose(file);
    return value;
}

static void the_limits_agree_with_the_protocol_text(void) {
    const Limits *l = &limits_default;

    CU_ASSERT_EQUAL(documented("max_body"), l->max_body);
    CU_ASSERT_EQUAL(documented("max_names"), l->max_names);
    CU_ASSERT_EQUAL(documented("max_subscriptions"), l->max_subscriptions);
    CU_ASSERT_EQUAL(documented("max_serves"), l->max_serves);
    CU_ASSERT_EQUAL(documented("max_pulls"), l->max_pulls);
    CU_ASSERT_EQUAL(documented("max_calls"), l->max_calls);
    CU_ASSERT_EQUAL(documented("max_waiting_calls"), l->max_waiting_calls);
    CU_ASSERT_EQUAL(documented("max_slots"), l->max_slots);
    CU_ASSERT_EQUAL(documented("max_subscriber_bytes"), l->max_subscriber_bytes);
    CU_ASSERT_EQUAL(documented("max_session_bytes"), l->max_session_bytes);
    CU_ASSERT_EQUAL(documented("max_total_bytes"), l->max_total_bytes);
    CU_ASSERT_EQUAL(documented("max_queue_memory"), l->max_queue_memory);
    CU_ASSERT_EQUAL(documented("max_transfer_bytes"), l->max_transfer_bytes);
    CU_ASSERT_EQUAL(documented("max_replay"), l->max_replay);
    CU_ASSERT_EQUAL(documented("max_queue_jobs"), l->max_queue_jobs);
    CU_ASSERT_EQUAL(documented("max_queue_bytes"), l->max_queue_bytes);
    CU_ASSERT_EQUAL(documented("max_attempts"), l->max_attempts);
    CU_ASSERT_EQUAL(documented("max_unconfirmed"), l->max_unconfirmed);
}

static void a_peer_that_does_not_begin_with_hello_is_cut(void) {
    Peer *peer;

    begin();
    peer = fake_peer_new(&broker);
    fake_say(&broker, peer, &(Message){.op = OP_PING, .id = 1});
    expect_fault(peer, "ferry.NoSession");
    peer = fake_peer_new(&broker);
    fake_receive(&broker, peer, "GET / HTTP/1.1\r\n\r\n", 18);
    expect_fault(peer, "ferry.Protocol");
    peer = fake_peer_new(&broker);
    fake_receive(&broker, peer, "\xf7\x01", 2);
    expect_fault(peer, "ferry.Protocol");
    CU_ASSERT_EQUAL(broker.sessions.n, 0);
    CU_ASSERT_EQUAL(broker.stats.faults, 3);
    fake_hub_deinit(&broker);
}

static void a_wrong_hello_is_refused(void) {
    Message hello = hello_of(client_a);
    Peer *peer;

    begin();
    hello.hello.version_min = hello.hello.version_max = 2;
    peer = fake_peer_new(&broker);
    fake_say(&broker, peer, &hello);
    expect_fault(peer, "ferry.Unsupported");

    hello = hello_of(client_a);
    hello.hello.client.len = 15;
    peer = fake_peer_new(&broker);
    fake_say(&broker, peer, &hello);
    expect_fault(peer, "ferry.Protocol");

    peer = fake_peer_connected(&broker, 'a');
    hello = hello_of(client_a);
    fake_say(&broker, peer, &hello);
    expect_fault(peer, "ferry.Protocol");

    broker.draining = true;
    peer = fake_peer_new(&broker);
    fake_say(&broker, peer, &hello);
    expect_fault(peer, "ferry.Draining");
    fake_hub_deinit(&broker);
}

static void bad_batches_are_faults(void) {
    static uint8_t large_part[10 + WIRE_PART + 1] = {
        WIRE_MAGIC, WIRE_PROTOCOL, 0x93, OP_PART, 1, 0xC6, 0, 1, 0,
        1}; /* the body has 64 KiB and a
             * byte */

    begin();
    EXPECT_FAULT_BY("\xf6\x01\x91\x03");
    EXPECT_FAULT_BY("\xf7\x02\x91\x03");
    EXPECT_FAULT_BY("\xf7\x01\x92\x16");             /* cut short */
    EXPECT_FAULT_BY("\xf7\x01\x92\x63\x01");         /* unknown op 99 */
    EXPECT_FAULT_BY("\xf7\x01\x92\x16\xa1x");        /* CANCEL("x") */
    EXPECT_FAULT_BY("\xf7\x01\x91\x03\x92\x16\x01"); /* PING, CANCEL */
    EXPECT_FAULT_BY("\xf7\x01\x92\x16\x01\x91\x03"); /* CANCEL, PING */
    EXPECT_FAULT_BY("\xf7\x01\x92\x25\x01");         /* only the broker sends GAP */
    EXPECT_FAULT_BY("\xf7\x01\x92\x08\x80");         /* only the broker sends FAULT */
    EXPECT_FAULT_BY("\xf7\x01\x93\x06\x00\xc4\x00"); /* PART of transfer 0 */
    expect_faulted_by("ferry.Protocol", (const char *)large_part, sizeof(large_part));
    fake_hub_deinit(&broker);
}

static void expect_error(Peer *peer, uint64_t id, const char *type) {
    const Message *error = fake_next_real(peer);

    CU_ASSERT_PTR_NOT_NULL_FATAL(error);
    CU_ASSERT_EQUAL_FATAL(error->op, OP_ERROR);
    CU_ASSERT_EQUAL(error->id, id);
    CU_ASSERT_STRING_EQUAL(fake_error(error, "type"), type);
}

#define EXPECT_REFUSED(id, bytes)                                                                  \
    do {                                                                                           \
        fake_receive(&broker, peer, "\xf7\x01" bytes, sizeof(bytes) + 1);                          \
        expect_error(peer, id, "ferry.InvalidArgument");                                           \
    } while (0)

/* Only the message with the wrong field fails. */
static void a_wrong_field_is_an_error_and_the_session_goes_on(void) {
    static const uint64_t big = UINT64_C(1) << 63;
    Peer *peer;

    begin();
    peer = fake_peer_connected(&broker, 'a');
    EXPECT_REFUSED(1, "\x92\x12\x01");                               /* CALL(1) */
    EXPECT_REFUSED(2, "\x94\x20\x02\xa1t\x90");                      /* SUBSCRIBE, options a list */
    EXPECT_REFUSED(3, "\x97\x30\x03\x00\xa1q\xc0\x81\xa1k\x01\xc0"); /* PUSH, a header of 1 */
    EXPECT_REFUSED(4, "\x97\x22\x04\x00\x00\xa1t\xc0\x09");          /* PUBLISH, no transfer 9 */
    EXPECT_REFUSED(5, "\x95\x35\x05\x01\x01\xa1x");                  /* RETRY, delay_ms a text */
    fake_say(&broker, peer, &(Message){.op = OP_SUBSCRIBE, .id = big, .name = span_text("t")});
    expect_error(peer, big, "ferry.InvalidArgument");
    fake_say(&broker, peer, &(Message){.op = OP_PUSH, .id = big, .name = span_text("q")});
    expect_error(peer, big, "ferry.InvalidArgument");
    /* Without an id no answer is asked for: the message is dropped and counted. */
    fake_receive(&broker, peer, "\xf7\x01\x97\x22\x00\x00\x00\x07\xc0\xc0", 10);
    fake_receive(&broker, peer, "\xf7\x01\x93\x24\x03\xa1x", 7); /* ANSWER */
    CU_ASSERT_PTR_NULL(fake_next_real(peer));
    CU_ASSERT_EQUAL(((Session *)peer->session)->n_dropped, 2);
    CU_ASSERT_FALSE(peer->closing);
    fake_hub_deinit(&broker);
}

/* A later message that names the transfer must not get the refused message's body. */
static void a_refused_message_uses_up_its_transfer(void) {
    Peer *peer;

    begin();
    peer = fake_peer_connected(&broker, 'a');
    fake_say(&broker, peer,
             &(Message){.op = OP_PART, .part.transfer = 9, .body = span_text("body")});
    EXPECT_REFUSED(1, "\x97\x22\x01\x00\x00\x07\xc0\x09"); /* PUBLISH, its topic a number */
    CU_ASSERT_EQUAL(peer->in.n_transfers, 0);
    fake_hub_deinit(&broker);
}

static void answers_of_a_batch_come_before_its_fault(void) {
    Peer *peer;
    const Message *m;

    begin();
    peer = fake_peer_connected(&broker, 'a');
    /* PULL(1, "q"), then op 99 */
    fake_receive(&broker, peer, "\xf7\x01\x93\x31\x01\xa1q\x92\x63\x01", 10);
    m = fake_next_real(peer);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    CU_ASSERT_EQUAL(m->op, OP_OK);
    expect_fault(peer, "ferry.Protocol");
    fake_hub_deinit(&broker);
}

static void unknown_ids_and_ops_have_no_effect(void) {
    Peer *peer;
    const Message *pong;

    begin();
    peer = fake_peer_connected(&broker, 'a');
    fake_receive(&broker, peer, "\xf7\x01", 2);
    fake_receive(&broker, peer, "\xf7\x01\x92\xcc\xc8\x01", 6); /* op 200 */
    fake_receive(&broker, peer, "\xf7\x01\x93\x0a\x4d\xc0", 6); /* OK(77, nil): there is no request
                                                                 * 77 */
    fake_receive(&broker, peer, "\xf7\x01\x92\x16\x4d", 5);     /* CANCEL(77) */
    fake_receive(&broker, peer, "\xf7\x01\x92\x14\x4d", 5);     /* END(77) */
    fake_receive(&broker, peer, "\xf7\x01\x93\x13\x4d\xc0", 6); /* ITEM(77) */
    fake_receive(&broker, peer, "\xf7\x01\x93\x15\x4d\x01", 6); /* MORE(77) */
    fake_say(&broker, peer, &(Message){.op = OP_PING, .id = 5});
    pong = fake_next(peer);
    CU_ASSERT_PTR_NOT_NULL_FATAL(pong);
    CU_ASSERT_EQUAL(pong->op, OP_PONG);
    CU_ASSERT_EQUAL(pong->id, 5);
    fake_hub_deinit(&broker);
}

static void skipped_messages_cost_credit_like_any_other(void) {
    static uint8_t bytes[300] = {WIRE_MAGIC, WIRE_PROTOCOL, 0x92, 0xCC, 0xC8, 0xC5, 0x01, 0x00};
    Peer *peer;
    int64_t before;

    begin();
    peer = fake_peer_connected(&broker, 'a');
    before = peer->in.granted;
    fake_receive(&broker, peer, bytes, 8 + 256);
    CU_ASSERT_EQUAL(before - peer->in.granted, 8 + 256);
    fake_hub_deinit(&broker);
}

static void a_peer_that_sends_without_credit_is_cut(void) {
    Peer *peer;

    begin();
    peer = fake_peer_connected(&broker, 'a');
    peer->in.granted = 1;
    fake_say(&broker, peer, &(Message){.op = OP_CANCEL, .id = 1});
    CU_ASSERT_FALSE(peer->closing);
    fake_say(&broker, peer, &(Message){.op = OP_PING, .id = 1});
    CU_ASSERT_FALSE(peer->closing);
    while (fake_next(peer))
        continue;
    fake_say(&broker, peer, &(Message){.op = OP_CANCEL, .id = 1});
    expect_fault(peer, "ferry.Protocol");
    fake_hub_deinit(&broker);
}

static void credit_beyond_its_maximum_is_not_used(void) {
    Peer *peer;

    begin();
    peer = fake_peer_connected(&broker, 'a');
    for (int i = 0; i < 3; i++)
        fake_say(&broker, peer, &(Message){.op = OP_CREDIT, .credit.bytes = UINT64_MAX});
    CU_ASSERT_EQUAL(peer->out.credit, WIRE_CREDIT_MAX);
    CU_ASSERT_FALSE(peer->closing);
    fake_hub_deinit(&broker);
}

static void unread_pongs_cost_no_memory(void) {
    Peer *peer;

    begin();
    peer = fake_peer_connected(&broker, 'a');
    for (int i = 0; i < 100000; i++)
        fake_say(&broker, peer, &(Message){.op = OP_PING, .id = 5});
    CU_ASSERT(peer->out.lanes[LANE_CONTROL].bytes < 20 * 1024);
    fake_hub_deinit(&broker);
}

static void a_client_that_comes_back_replaces_its_old_session(void) {
    Peer *old, *fresh;
    const Message *m;

    begin();
    old = fake_peer_connected(&broker, 'a');
    fresh = fake_peer_connected(&broker, 'a');
    m = fake_next(old);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    CU_ASSERT_EQUAL(m->op, OP_BYE);
    CU_ASSERT_TRUE(span_is(m->bye.text, "replaced"));
    CU_ASSERT_TRUE(old->closing);
    CU_ASSERT_PTR_NULL(old->session);
    CU_ASSERT_PTR_NOT_NULL(fresh->session);
    CU_ASSERT_EQUAL(broker.sessions.n, 1);
    fake_hub_deinit(&broker);
}

static void a_lost_client_is_remembered_for_a_time(void) {
    Message hello = hello_of(client_a);

    begin();
    for (int round = 0; round < 3; round++) {
        Peer *peer = fake_peer_new(&broker);

        fake_say(&broker, peer, &hello);
        CU_ASSERT_EQUAL(fake_next(peer)->op, OP_WELCOME);
        fake_peer_gone(&broker, peer);
        CU_ASSERT_EQUAL(HASH_COUNT(broker.clients.by_id), 1);
        if (round == 1)
            fake_wait(&broker, broker.limits.client_memory_ms + 1);
    }
    fake_wait(&broker, broker.limits.client_memory_ms + 1);
    CU_ASSERT_EQUAL(HASH_COUNT(broker.clients.by_id), 0);
    fake_hub_deinit(&broker);
}

static void the_client_that_was_lost_first_is_forgotten_first(void) {
    uint8_t id[WIRE_TOKEN] = {0};
    Message hello = {.op = OP_HELLO,
                     .hello.version_min = 1,
                     .hello.version_max = 1,
                     .hello.client = span_of(id, sizeof(id))};
    Client *client;

    begin();
    for (uint32_t i = 0; i < CLIENTS_LOST_MAX + 10; i++) {
        Peer *peer = fake_peer_new(&broker);

        memcpy(id, &i, sizeof(i));
        fake_say(&broker, peer, &hello);
        fake_peer_gone(&broker, peer);
    }
    CU_ASSERT_EQUAL(broker.clients.n_lost, CLIENTS_LOST_MAX);
    CU_ASSERT_EQUAL(HASH_COUNT(broker.clients.by_id), CLIENTS_LOST_MAX);
    for (uint32_t i = 9; i <= 10; i++) {
        memcpy(id, &i, sizeof(i));
        HASH_FIND(hh, broker.clients.by_id, id, WIRE_TOKEN, client);
        CU_ASSERT_EQUAL(client != NULL, i == 10);
    }
    fake_wait(&broker, broker.limits.client_memory_ms + 1);
    CU_ASSERT_EQUAL(broker.clients.n_lost, 0);
    CU_ASSERT_EQUAL(HASH_COUNT(broker.clients.by_id), 0);
    fake_hub_deinit(&broker);
}

static void a_client_that_says_bye_is_forgotten_at_once(void) {
    Peer *peer;

    begin();
    peer = fake_peer_connected(&broker, 'a');
    fake_say(&broker, peer, &(Message){.op = OP_BYE});
    CU_ASSERT_EQUAL(HASH_COUNT(broker.clients.by_id), 0);
    CU_ASSERT_EQUAL(broker.sessions.n, 0);
    CU_ASSERT_TRUE(peer->closing);
    fake_hub_deinit(&broker);
}

static void a_name_is_escaped_and_cut_at_a_whole_character(void) {
    Message hello = hello_of(client_a);
    Peer *peer;

    begin();
    hello.hello.text = span_text("a\nb");
    peer = fake_peer_new(&broker);
    fake_say(&broker, peer, &hello);
    CU_ASSERT_STRING_EQUAL(((Session *)peer->session)->name, "a\\x0ab");
    /* 62 letters and a character of two bytes: byte 63 is within the character. */
    hello.hello.text =
        span_text("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\xc3\xbc");
    peer = fake_peer_new(&broker);
    fake_say(&broker, peer, &hello);
    CU_ASSERT_EQUAL(strlen(((Session *)peer->session)->name), 62);
    fake_hub_deinit(&broker);
}

static void a_body_over_the_limit_is_answered_not_cut(void) {
    static uint8_t part[WIRE_PART];
    Peer *peer;
    const Message *m;

    begin();
    broker.limits.max_body = 100000;
    peer = fake_peer_connected(&broker, 'a');
    for (int i = 0; i < 2; i++)
        fake_say(
            &broker, peer,
            &(Message){.op = OP_PART, .part.transfer = 1, .body = span_of(part, sizeof(part))});
    fake_say(&broker, peer,
             &(Message){.op = OP_PUSH, .id = 9, .name = span_text("mail"), .body_transfer = 1});
    m = fake_next_real(peer);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    CU_ASSERT_EQUAL(m->op, OP_ERROR);
    CU_ASSERT_EQUAL(m->id, 9);
    CU_ASSERT_STRING_EQUAL(fake_error(m, "type"), "ferry.TooBig");
    fake_hub_deinit(&broker);
}

/* A caller without an answer would wait for ever. */
static void an_error_that_memory_is_missing_for_ends_the_session(void) {
    unsigned n_cut = 0;

    OOM_EACH(n) {
        Peer *peer;
        Session *session;

        OOM_STOP;
        begin();
        peer = fake_peer_connected(&broker, 'a');
        session = peer->session;
        oom_plan(n);
        session_error(session, 9, "ferry.Full", "the queue '%s' is full", "mail");
        OOM_STOP;
        CU_ASSERT_EQUAL(session->ending, oom_happened());
        CU_ASSERT_EQUAL(peer->closing, oom_happened());
        if (session->ending)
            n_cut++;
        else
            expect_error(peer, 9, "ferry.Full");
        fake_hub_deinit(&broker);
    }
    CU_ASSERT_TRUE(n_cut > 0);
}

static void more_than_64_transfers_are_a_fault(void) {
    Peer *peer;

    begin();
    peer = fake_peer_connected(&broker, 'a');
    for (uint64_t id = 1; id <= 65; id++)
        fake_say(&broker, peer,
                 &(Message){.op = OP_PART, .part.transfer = id, .body = span_text("x")});
    expect_fault(peer, "ferry.Protocol");
    fake_hub_deinit(&broker);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(hello_is_answered_by_welcome_with_all_limits),
        TEST(the_limits_agree_with_the_protocol_text),
        TEST(a_peer_that_does_not_begin_with_hello_is_cut),
        TEST(a_wrong_hello_is_refused),
        TEST(bad_batches_are_faults),
        TEST(a_wrong_field_is_an_error_and_the_session_goes_on),
        TEST(a_refused_message_uses_up_its_transfer),
        TEST(answers_of_a_batch_come_before_its_fault),
        TEST(unknown_ids_and_ops_have_no_effect),
        TEST(skipped_messages_cost_credit_like_any_other),
        TEST(a_peer_that_sends_without_credit_is_cut),
        TEST(credit_beyond_its_maximum_is_not_used),
        TEST(unread_pongs_cost_no_memory),
        TEST(a_client_that_comes_back_replaces_its_old_session),
        TEST(a_lost_client_is_remembered_for_a_time),
        TEST(the_client_that_was_lost_first_is_forgotten_first),
        TEST(a_client_that_says_bye_is_forgotten_at_once),
        TEST(a_name_is_escaped_and_cut_at_a_whole_character),
        TEST(a_body_over_the_limit_is_answered_not_cut),
        TEST(an_error_that_memory_is_missing_for_ends_the_session),
        TEST(more_than_64_transfers_are_a_fault),
        TESTS_END,
    };

    return run_suite("broker sessions", tests);
}

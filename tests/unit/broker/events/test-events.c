/* SPDX-License-Identifier: Apache-2.0 */
/* Events of a whole broker without sockets: receivers, contents, rates. */

#include "broker/events/events.h"

#include "base/log.h"
#include "broker/queues/queues.h"
#include "broker/sessions/quota.h"
#include "rpc/schema/codec/codec.h"
#include "support/fake-hub.h"
#include "support/suite.h"

static Broker broker;
static uint64_t last_id;

static Peer *connect_as(uint8_t client) {
    Peer *peer = fake_peer_new(&broker);

    fake_hello(&broker, peer, client);
    while (fake_next(peer))
        continue;
    return peer;
}

static const Session *session_of(const Peer *peer) {
    return peer->session;
}

/* Connects as the process of this user over ipc://. */
static Peer *connect_user(uid_t uid, uint8_t client) {
    Peer *peer = fake_peer_of_user(&broker, uid, client);

    while (fake_next(peer))
        continue;
    return peer;
}

static Peer *watch(Peer *watcher, const char *pattern) {
    fake_say(&broker, watcher, &(Message){.op = OP_SUBSCRIBE, .id = 1, .name = span_text(pattern)});
    while (fake_next(watcher))
        continue;
    return watcher;
}

static Peer *begin(const char *pattern) {
    log_level = LOG_LEVEL_ERROR;
    fake_hub_init(&broker);
    last_id = 100;
    return watch(connect_as('w'), pattern);
}

static void end(void) {
    fake_hub_deinit(&broker);
}

/* The next event, unpacked by its type in the interface file; the caller frees it. NULL: the event
 * has another topic, or no event came. */
static void *next_event(Peer *watcher, EventKind kind, const ferry_type *type) {
    const Message *message = fake_next_real(watcher);
    void *value = NULL;

    if (!message || message->op != OP_MESSAGE || !span_is(message->name, event_topic(kind)))
        return NULL;
    CU_ASSERT_EQUAL(schema_unpack_block(type, message_body(message), "event", &value, NULL), 0);
    return value;
}

#define NEXT(watcher, kind, name)                                                                  \
    ((broker_events_##name *)next_event(watcher, kind, &ferry_type_broker_events_##name))

static void serve(Peer *peer, const char *name) {
    fake_say(
        &broker, peer,
        &(Message){.op = OP_SERVE, .id = ++last_id, .name = span_text(name), .serve.slots = 1});
}

static void sessions_and_services_come_and_go(void) {
    Peer *watcher = begin("ferry.events.>"), *peer;
    broker_events_session_up *up;
    broker_events_service_added *added;
    broker_events_service_lost *lost;
    broker_events_session_down *down;
    int64_t number;

    peer = connect_as('p');
    number = session_of(peer)->number;
    up = NEXT(watcher, EVENT_SESSION_UP, session_up);
    CU_ASSERT_PTR_NOT_NULL_FATAL(up);
    CU_ASSERT_EQUAL(up->session, number);
    CU_ASSERT_TRUE(up->time_us > INT64_C(1000000) * 1700000000);
    serve(peer, "calc.Calc");
    added = NEXT(watcher, EVENT_SERVICE_ADDED, service_added);
    CU_ASSERT_PTR_NOT_NULL_FATAL(added);
    CU_ASSERT_STRING_EQUAL(added->service, "calc.Calc");
    CU_ASSERT_EQUAL(added->session, number);
    CU_ASSERT_EQUAL(added->servers, 1);
    serve(peer, "calc.Calc"); /* SERVE again: no new server, no event */
    CU_ASSERT_PTR_NULL(fake_next_real(watcher));
    fake_peer_gone(&broker, peer);
    fake_wait(&broker, 1);
    down = NEXT(watcher, EVENT_SESSION_DOWN, session_down);
    lost = NEXT(watcher, EVENT_SERVICE_LOST, service_lost);
    CU_ASSERT_PTR_NOT_NULL_FATAL(lost);
    CU_ASSERT_EQUAL(lost->servers, 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(down);
    CU_ASSERT_EQUAL(down->session, number);
    CU_ASSERT_STRING_EQUAL(down->reason, "lost");
    ferry_free(up);
    ferry_free(added);
    ferry_free(lost);
    ferry_free(down);
    end();
}

static void an_ended_session_has_its_reason(void) {
    static const struct {
        Message said;
        const char *reason;
    } ends[] = {
        {{.op = OP_BYE}, "bye"},
        {{.op = OP_WELCOME, .welcome = {.broker = {(const uint8_t *)"0123456789abcdef", 16}}},
         "protocol"},
    };
    Peer *watcher = begin("ferry.events.session.down");

    for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
        broker_events_session_down *down;

        fake_say(&broker, connect_as('p'), &ends[i].said);
        fake_wait(&broker, 1);
        down = NEXT(watcher, EVENT_SESSION_DOWN, session_down);
        CU_ASSERT_PTR_NOT_NULL_FATAL(down);
        CU_ASSERT_STRING_EQUAL(down->reason, ends[i].reason);
        ferry_free(down);
    }
    end();
}

static void queues_report_dead_letters_and_their_limit(void) {
    Peer *watcher = begin("ferry.events.queue.*"), *peer;
    broker_events_dead_letter *dead;
    broker_events_queue_full *full;
    uint64_t job = 0;

    broker.limits.max_queue_jobs = 1;
    peer = connect_as('p');
    for (int i = 0; i < 3; i++)
        fake_say(&broker, peer,
                 &(Message){.op = OP_PUSH, .id = ++last_id, .name = span_text("mail")});
    full = NEXT(watcher, EVENT_QUEUE_FULL, queue_full);
    CU_ASSERT_PTR_NOT_NULL_FATAL(full);
    CU_ASSERT_STRING_EQUAL(full->queue, "mail");
    CU_ASSERT_EQUAL(full->jobs, 1);
    CU_ASSERT_PTR_NULL(fake_next_real(watcher)); /* the second refusal raises no event */
    while (fake_next_real(peer))
        continue;
    fake_say(&broker, peer, &(Message){.op = OP_PULL, .id = ++last_id, .name = span_text("mail")});
    for (const Message *sent; (sent = fake_next_real(peer));)
        job = sent->op == OP_JOB ? sent->job.job : 0;
    fake_say(&broker, peer,
             &(Message){.op = OP_REJECT,
                        .id = ++last_id,
                        .settle = {.job = job, .attempt = 1, .text = span_text("no address\n")}});
    dead = NEXT(watcher, EVENT_QUEUE_DEAD, dead_letter);
    CU_ASSERT_PTR_NOT_NULL_FATAL(dead);
    CU_ASSERT_STRING_EQUAL(dead->queue, "mail");
    CU_ASSERT_EQUAL(dead->job, (int64_t)job);
    CU_ASSERT_EQUAL(dead->attempts, 1);
    CU_ASSERT_STRING_EQUAL(dead->reason, "no address\\x0a");
    ferry_free(full);
    ferry_free(dead);
    end();
}

static void only_patterns_that_begin_with_ferry_match(void) {
    static const char *const others[] = {">", "*.events.>", "*.*.*.*", "ferry"};

    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        Peer *watcher = begin(others[i]);

        CU_ASSERT_EQUAL(broker.events_watched, 0);
        connect_as('p');
        CU_ASSERT_PTR_NULL(fake_next_real(watcher));
        /* Nor do they match if another session watches. */
        fake_say(&broker, connect_as('o'),
                 &(Message){.op = OP_SUBSCRIBE, .id = 1, .name = span_text("ferry.>")});
        connect_as('q');
        CU_ASSERT_PTR_NULL(fake_next_real(watcher));
        end();
    }
}

static void an_event_that_nobody_watches_is_not_made(void) {
    Peer *watcher = begin("ferry.events.queue.full");

    CU_ASSERT_EQUAL(broker.events_watched, 1u << EVENT_QUEUE_FULL);
    fake_say(&broker, watcher, &(Message){.op = OP_UNSUBSCRIBE, .id = 2, .unsubscribe.sub = 1});
    CU_ASSERT_EQUAL(broker.events_watched, 0);
    end();
}

static void a_flood_is_counted_and_reported(void) {
    Peer *watcher = begin("ferry.events.>"), *peer = connect_as('p');
    broker_events_left_out *left_out;
    int n = 0;

    while (fake_next_real(watcher))
        continue;
    broker.limits.max_queue_jobs = 1;
    for (int i = 0; i < 1000; i++) {
        fake_say(&broker, peer,
                 &(Message){.op = OP_PUSH, .id = ++last_id, .name = span_text("mail")});
        while (fake_next_real(peer))
            continue;
    }
    for (const Message *sent; (sent = fake_next_real(watcher));)
        n += span_is(sent->name, "ferry.events.limit.reached");
    CU_ASSERT_EQUAL(n, EVENTS_BURST);
    /* Another kind of event has its own rate. */
    serve(peer, "calc.Calc");
    CU_ASSERT_TRUE(span_is(fake_next_real(watcher)->name, "ferry.events.service.added"));
    fake_wait(&broker, EVENTS_TELL_MS);
    left_out = NEXT(watcher, EVENT_LEFT_OUT, left_out);
    CU_ASSERT_PTR_NOT_NULL_FATAL(left_out);
    CU_ASSERT_EQUAL_FATAL(left_out->counts.n, 1);
    CU_ASSERT_STRING_EQUAL(left_out->counts.v[0].topic, "ferry.events.limit.reached");
    CU_ASSERT_EQUAL(left_out->counts.v[0].events, 999 - EVENTS_BURST);
    ferry_free(left_out);
    end();
}

/* Subscribes with a backlog of one byte and no credit left. */
static void subscribe_slowly(Peer *peer, const char *pattern) {
    static const char options[] = "\x82\xa6"
                                  "credit\x01\xa7"
                                  "backlog\x01";

    fake_say(&broker, peer,
             &(Message){.op = OP_SUBSCRIBE,
                        .id = 7,
                        .name = span_text(pattern),
                        .subscribe.options = span_of(options, sizeof(options) - 1)});
}

static void a_slow_subscriber_is_told_once(void) {
    Peer *watcher = begin("ferry.events.subscriber.slow"), *slow = connect_as('s');
    broker_events_subscriber_slow *told;

    subscribe_slowly(slow, "prices.*");
    for (int i = 0; i < 5; i++)
        fake_say(&broker, slow, &(Message){.op = OP_PUBLISH, .name = span_text("prices.a")});
    told = NEXT(watcher, EVENT_SUBSCRIBER_SLOW, subscriber_slow);
    CU_ASSERT_PTR_NOT_NULL_FATAL(told);
    CU_ASSERT_STRING_EQUAL(told->pattern, "prices.*");
    CU_ASSERT_EQUAL(told->session, session_of(slow)->number);
    CU_ASSERT_PTR_NULL(fake_next_real(watcher));
    ferry_free(told);
    end();
}

static void a_slow_watcher_causes_no_events(void) {
    Peer *watcher = begin("ferry.events.subscriber.slow"), *slow = connect_as('s');

    subscribe_slowly(slow, "ferry.events.session.up");
    for (uint8_t i = 0; i < 5; i++)
        connect_as('A' + i);
    CU_ASSERT_TRUE(session_of(slow)->n_dropped > 0);
    CU_ASSERT_PTR_NULL(fake_next_real(watcher));
    end();
}

static void only_the_broker_publishes_events(void) {
    Peer *watcher = begin("ferry.events.>"), *peer = connect_as('p');
    const Message *answer;

    while (fake_next_real(watcher))
        continue;
    fake_say(&broker, peer,
             &(Message){.op = OP_PUBLISH, .id = 9, .name = span_text("ferry.events.session.up")});
    answer = fake_next_real(peer);
    CU_ASSERT_EQUAL(answer->op, OP_ERROR);
    CU_ASSERT_STRING_EQUAL(fake_error(answer, "type"), "ferry.PermissionDenied");
    CU_ASSERT_PTR_NULL(fake_next_real(watcher));
    end();
}

static void a_degraded_store_and_its_recovery_are_reported_once(void) {
    static const StoreOps ops = {.durability = "paper"};
    Store store = {.ops = &ops};
    Peer *watcher = begin("ferry.events.store.>"), *peer = connect_as('p');
    broker_events_store_degraded *told;

    CU_ASSERT_EQUAL(queues_add_store(broker.queues, &store), 0);
    store_set_degraded(&store, "the disk is full");
    for (int i = 0; i < 3; i++) /* three turns */
        fake_say(&broker, peer, &(Message){.op = OP_PUBLISH, .name = span_text("a")});
    told = NEXT(watcher, EVENT_STORE_DEGRADED, store_degraded);
    CU_ASSERT_PTR_NOT_NULL_FATAL(told);
    CU_ASSERT_STRING_EQUAL(told->store, "paper");
    CU_ASSERT_STRING_EQUAL(told->reason, "the disk is full");
    CU_ASSERT_PTR_NULL(fake_next_real(watcher));
    ferry_free(told);
    store_set_degraded(&store, NULL);
    for (int i = 0; i < 3; i++)
        fake_say(&broker, peer, &(Message){.op = OP_PUBLISH, .name = span_text("a")});
    told = NEXT(watcher, EVENT_STORE_DEGRADED, store_degraded);
    CU_ASSERT_PTR_NOT_NULL_FATAL(told);
    CU_ASSERT_STRING_EQUAL(told->reason, "");
    ferry_free(told);
    end();
}

enum { READER = 1001, WATCHER = 1002 };

/* Makes a broker with two users: the watcher may see all events, the reader may do little. */
static Peer *begin_with_users(const char *pattern) {
    static const struct {
        const char *user, *setting, *value;
    } rows[] = {{"reader", "uid", "1001"},
                {"reader", "may", "call calc.>"},
                {"reader", "max_connections", "1"},
                {"watcher", "uid", "1002"},
                {"watcher", "may", "watch >"}};
    char problem[RIGHTS_PROBLEM_MAX];
    int line;

    log_level = LOG_LEVEL_ERROR;
    fake_hub_init(&broker);
    last_id = 100;
    broker.rights = rights_new();
    CU_ASSERT_EQUAL(rights_section(broker.rights, false, "reader", 1, problem), 0);
    CU_ASSERT_EQUAL(rights_section(broker.rights, false, "watcher", 1, problem), 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        CU_ASSERT_EQUAL(rights_set(broker.rights, false, rows[i].user, rows[i].setting,
                                   rows[i].value, 1, problem),
                        0);
    CU_ASSERT_EQUAL_FATAL(rights_complete(broker.rights, 1, &line, problem), 0);
    return watch(connect_user(WATCHER, 'w'), pattern);
}

static void end_with_users(void) {
    Rights *rights = broker.rights;

    end();
    rights_free(rights);
}

static void a_refused_right_is_told_with_its_user(void) {
    Peer *watcher = begin_with_users("ferry.events.right.refused"),
         *reader = connect_user(READER, 'r');
    broker_events_right_refused *told;

    serve(reader, "calc.Calc");
    told = NEXT(watcher, EVENT_RIGHT_REFUSED, right_refused);
    CU_ASSERT_PTR_NOT_NULL_FATAL(told);
    CU_ASSERT_STRING_EQUAL(told->user, "reader");
    CU_ASSERT_STRING_EQUAL(told->action, "serve");
    CU_ASSERT_STRING_EQUAL(told->subject, "calc.Calc");
    CU_ASSERT_EQUAL(told->session, session_of(reader)->number);
    CU_ASSERT_PTR_NULL(fake_next_real(watcher));
    ferry_free(told);
    end_with_users();
}

static void a_refused_connection_is_told_with_its_reason(void) {
    Peer *watcher = begin_with_users("ferry.events.connection.refused");
    broker_events_connection_refused *told;

    /* another message in place of HELLO */
    fake_say(&broker, fake_peer_new(&broker), &(Message){.op = OP_BYE});
    told = NEXT(watcher, EVENT_CONNECTION_REFUSED, connection_refused);
    CU_ASSERT_PTR_NOT_NULL_FATAL(told);
    CU_ASSERT_STRING_EQUAL(told->address, "nowhere");
    CU_ASSERT_PTR_NOT_NULL(strstr(told->problem, "HELLO"));
    ferry_free(told);
    /* a user with too many connections */
    connect_user(READER, 'r');
    CU_ASSERT_PTR_NULL(fake_next_real(watcher));
    connect_user(READER, 's');
    told = NEXT(watcher, EVENT_CONNECTION_REFUSED, connection_refused);
    CU_ASSERT_PTR_NOT_NULL_FATAL(told);
    CU_ASSERT_STRING_EQUAL(told->problem,
                           "the user 'reader' already has 1 connections (max_connections)");
    ferry_free(told);
    end_with_users();
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(sessions_and_services_come_and_go),
        TEST(an_ended_session_has_its_reason),
        TEST(queues_report_dead_letters_and_their_limit),
        TEST(only_patterns_that_begin_with_ferry_match),
        TEST(an_event_that_nobody_watches_is_not_made),
        TEST(a_flood_is_counted_and_reported),
        TEST(a_slow_subscriber_is_told_once),
        TEST(a_slow_watcher_causes_no_events),
        TEST(only_the_broker_publishes_events),
        TEST(a_degraded_store_and_its_recovery_are_reported_once),
        TEST(a_refused_right_is_told_with_its_user),
        TEST(a_refused_connection_is_told_with_its_reason),
        TESTS_END,
    };

    return run_suite("broker events", tests);
}

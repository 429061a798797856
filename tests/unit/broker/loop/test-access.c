/* SPDX-License-Identifier: Apache-2.0 */

/* Sends each message of the protocol: from a peer of an open broker, from an unknown user, from a
 * user without the right, and from a user with it. */

#include "broker/loop/access.h"

#include <stdlib.h>
#include <utlist.h>

#include "base/log.h"
#include "broker/services/services.h"
#include "broker/sessions/hello.h"
#include "broker/sessions/quota.h"
#include "broker/sessions/user.h"
#include "support/fake-hub.h"
#include "support/suite.h"

enum { UID_WITH = 1001, UID_WITHOUT = 1002, UID_UNKNOWN = 1003 };

typedef enum World { OPEN, UNKNOWN, WITHOUT, WITH, N_WORLDS } World;

static const char *const user_names[N_WORLDS] = {"", "anonymous", "without", "with"};

static Broker broker;
static Peer *peer;
static uint64_t last_id;
static bool by_key; /* true: users with rights have keys; false: uids */

/* ---- worlds ---- */

static void set(Rights *rights, const char *user, const char *key, const char *value) {
    char problem[RIGHTS_PROBLEM_MAX];

    CU_ASSERT_EQUAL_FATAL(rights_section(rights, false, user, 1, problem), 0);
    CU_ASSERT_EQUAL_FATAL(rights_set(rights, false, user, key, value, 1, problem), 0);
}

/* Gives the user a key that stands for this uid. */
static void set_key(Rights *rights, const char *user, uid_t uid) {
    uint8_t key[KEY_SIZE];
    char text[KEY_TEXT_MAX];

    memset(key, (int)(uid & 0xff), sizeof(key));
    set(rights, user, "key", key_text(key, text));
}

/* The user `with` may do the action on all names. The user `without` may do all other actions, and
 * this one on other names. */
static Rights *rights_for(Action action) {
    char may[200], problem[RIGHTS_PROBLEM_MAX];
    Rights *rights = rights_new();
    int line;

    set(rights, "with", "uid", "1001");
    set_key(rights, "with", UID_WITH);
    snprintf(may, sizeof(may), "%s > work mine", action_name(action));
    set(rights, "with", "may", may);
    set(rights, "without", "uid", "1002");
    set_key(rights, "without", UID_WITHOUT);
    for (Action other = 0; other < ACTION_ADMIN; other++) {
        snprintf(may, sizeof(may), "%s %s", action_name(other), other == action ? "other" : ">");
        set(rights, "without", "may", may);
    }
    set(rights, "without", "may", "work mine");
    set(rights, "anonymous", "may", "work mine");
    CU_ASSERT_EQUAL_FATAL(rights_complete(rights, 1, &line, problem), 0);
    return rights;
}

/* Makes the peer a connection over TCP whose handshake has proved this key. */
static void give_key(Peer *to, uid_t uid) {
    to->has_uid = false;
    to->connection.zmtp = (Zmtp){.mechanism = &zmtp_curve, .stage = ZMTP_OPEN, .is_server = true};
    to->connection.curve = calloc(1, sizeof(Curve)); /* fake-hub.c frees it */
    CU_ASSERT_PTR_NOT_NULL_FATAL(to->connection.curve);
    memset(to->connection.curve->client_key, (int)(uid & 0xff), KEY_SIZE);
}

static Peer *connect_as(World world, uid_t uid, uint8_t client) {
    Peer *new = fake_peer_new(&broker);

    new->has_uid = world != OPEN;
    new->uid = uid;
    if (by_key && uid != 0 && world != UNKNOWN)
        give_key(new, uid);
    fake_hello(&broker, new, client);
    while (fake_next_real(new))
        continue;
    return new;
}

/* Makes a service, a topic with a subscriber, and a queue; the peer has a job of the queue. */
static void begin(World world, Action action) {
    static const uid_t uids[N_WORLDS] = {0, UID_UNKNOWN, UID_WITHOUT, UID_WITH};
    Peer *admin;

    log_level = LOG_LEVEL_ERROR;
    fake_hub_init(&broker);
    last_id = 100;
    if (world != OPEN)
        broker.rights = rights_for(action);
    admin = connect_as(world, 0, 'a');
    fake_say(&broker, admin, &(Message){.op = OP_SERVE, .id = 1, .name = span_text("there")});
    fake_say(&broker, admin, &(Message){.op = OP_SUBSCRIBE, .id = 2, .name = span_text("there")});
    fake_say(&broker, admin, &(Message){.op = OP_PUSH, .id = 3, .name = span_text("there")});
    fake_say(&broker, admin, &(Message){.op = OP_PUSH, .id = 4, .name = span_text("mine")});
    peer = connect_as(world, uids[world], 'p');
    fake_say(&broker, peer, &(Message){.op = OP_PULL, .id = 1, .name = span_text("mine")});
    while (fake_next_real(peer))
        continue;
}

static void end(void) {
    fake_hub_deinit(&broker);
    rights_free(broker.rights);
}

/* ---- messages ---- */

static Message message_of(unsigned op, uint64_t id, const char *name) {
    static const uint8_t token[WIRE_TOKEN] = "0123456789abcde";
    Message message = {.op = (uint8_t)op, .id = id, .name = span_text(name)};

    switch (op) {
    case OP_HELLO:
        message.name = (Span){NULL, 0};
        message.hello.version_min = message.hello.version_max = 1;
        message.hello.client = span_of(token, sizeof(token));
        break;
    case OP_WELCOME:
        message.welcome.broker = span_of(token, sizeof(token));
        message.welcome.limits = span_text("\x80");
        break;
    case OP_ERROR:
        message.error.map = span_text("\x80");
        break;
    case OP_FAULT:
        message.fault.map = span_text("\x80");
        break;
    case OP_PART:
        message.part.transfer = 1;
        message.body = span_text("x");
        break;
    case OP_CALL:
        message.call.timeout_ms = 1000;
        message.call.method = span_text("m");
        break;
    case OP_TALLY:
        message.tally.calls = 1;
        message.tally.method = span_text("m");
        message.tally.latencies = span_text("\x90");
        break;
    case OP_UNSUBSCRIBE:
        message.unsubscribe.sub = 77;
        break;
    case OP_UNPULL:
        message.unpull.pull = 77;
        break;
    case OP_FORWARD:
    case OP_ACK:
    case OP_RETRY:
    case OP_REJECT:
    case OP_RELEASE:
    case OP_EXTEND:
        message.settle.job = 2;
        message.settle.attempt = 1;
        message.settle.delay_ms = op == OP_EXTEND ? 1000 : 0;
        break;
    default:
        break;
    }
    return message;
}

typedef struct Outcome {
    unsigned op; /* op of the answer; 0: there is no answer */
    char type[64], text[200];
    uint64_t effects;
} Outcome;

/* A number that changes if the peer's messages change anything in the broker. */
static uint64_t effects(void) {
    const Session *session = peer->session;
    const Stats *stats = &broker.stats;

    return stats->calls + stats->published + stats->pushed + stats->acked +
           (session ? services_of(session) + session->n_watchers + session->pulls.n +
                          session->client->n_subscriptions
                    : 0);
}

static Outcome try(unsigned op, uint64_t id, const char *name) {
    Message message = message_of(op, id, name);
    Outcome outcome = {.effects = effects()};
    const Message *answer;

    fake_say(&broker, peer, &message);
    outcome.effects = effects() - outcome.effects;
    answer = fake_next_real(peer);
    /* The only server gets the call, and its caller waits. */
    if (answer) {
        outcome.op = answer->op;
        if (answer->op == OP_ERROR || answer->op == OP_FAULT) {
            snprintf(outcome.type, sizeof(outcome.type), "%s", fake_error(answer, "type"));
            snprintf(outcome.text, sizeof(outcome.text), "%s", fake_error(answer, "message"));
        }
    }
    return outcome;
}

static void same(unsigned op, World world, const Outcome *one, const Outcome *two) {
    if (one->op != two->op || strcmp(one->type, two->type) != 0 || one->effects != two->effects)
        printf("\n    %s, as %s: answer %u %s, not %u %s\n", op_name(op), user_names[world],
               two->op, two->type, one->op, one->type);
    CU_ASSERT_EQUAL(one->op, two->op);
    CU_ASSERT_STRING_EQUAL(one->type, two->type);
    CU_ASSERT_EQUAL(one->effects, two->effects);
}

static void denied(unsigned op, World world, const char *name, const Outcome *outcome) {
    char expected[200];

    CU_ASSERT_EQUAL(outcome->effects, 0);
    if (!op_asks(op)) {
        CU_ASSERT_EQUAL(outcome->op, 0);
        return;
    }
    snprintf(expected, sizeof(expected), "the user '%s' has no right to %s '%s'", user_names[world],
             action_name(access_of(op).action), name);
    if (outcome->op != OP_ERROR)
        printf("\n    %s, as %s: answer %u\n", op_name(op), user_names[world], outcome->op);
    CU_ASSERT_EQUAL(outcome->op, OP_ERROR);
    CU_ASSERT_STRING_EQUAL(outcome->type, "ferry.PermissionDenied");
    CU_ASSERT_STRING_EQUAL(outcome->text, expected);
}

/* ---- tests ---- */

static void each_message_has_a_row(void) {
    for (unsigned op = 0; op < 256; op++)
        CU_ASSERT_EQUAL(access_of(op).kind != ACCESS_UNKNOWN, op_name(op) != NULL);
}

static void allowed_with_its_right_alone(void) {
    static const char *const names[] = {"there", "gone"};

    for (unsigned op = 1; op < 256; op++) {
        Access access = access_of(op);

        for (size_t i = 0; op_name(op) && i < 2; i++) {
            Outcome open;

            begin(OPEN, access.action);
            open = try(op, ++last_id, names[i]);
            end();
            for (World world = UNKNOWN; world <= WITH; world++) {
                Outcome outcome;

                begin(world, access.action);
                outcome = try(op, ++last_id, names[i]);
                if (access.kind == ACCESS_RIGHT && world != WITH)
                    denied(op, world, names[i], &outcome);
                else
                    same(op, world, &open, &outcome);
                end();
            }
        }
    }
}

static void each_message_is_allowed_with_its_right_alone(void) {
    by_key = false;
    allowed_with_its_right_alone();
}

static void with_keys_each_message_needs_the_same_right(void) {
    by_key = true;
    allowed_with_its_right_alone();
    by_key = false;
}

/* The keys may change after the handshake, which the hub checks, and before HELLO. */
static void a_key_without_a_user_begins_no_session(void) {
    static const uid_t uids[] = {UID_UNKNOWN, 0};

    for (size_t i = 0; i < 2; i++) {
        Peer *stranger;
        const Message *m;

        begin(WITH, ACTION_PUSH);
        broker.keys.n_pairs = 1;
        stranger = fake_peer_new(&broker);
        if (uids[i] != 0)
            give_key(stranger, uids[i]);
        fake_hello(&broker, stranger, 's');
        m = fake_next_real(stranger);
        CU_ASSERT_PTR_NOT_NULL_FATAL(m);
        CU_ASSERT_EQUAL(m->op, OP_FAULT);
        CU_ASSERT_STRING_EQUAL(fake_error(m, "type"), "ferry.PermissionDenied");
        CU_ASSERT_PTR_NULL(stranger->session);
        broker.keys.n_pairs = 0;
        end();
    }
}

/* Log lines about a flood of strangers are cut; they must not hide the denials of a user. */
static void denials_are_among_the_log_lines_of_their_user(void) {
    const Quota *quota;

    begin(WITHOUT, ACTION_PUSH);
    quota = ((Session *)peer->session)->quota;
    for (unsigned i = 0; i < 3; i++)
        CU_ASSERT_EQUAL(try(OP_PUSH, ++last_id, "there").op, OP_ERROR);
    CU_ASSERT_STRING_EQUAL(quota->log.user, user_names[WITHOUT]);
    log_level = LOG_LEVEL_WARNING;
    CU_ASSERT_EQUAL(try(OP_PUSH, ++last_id, "there").op, OP_ERROR);
    CU_ASSERT_EQUAL(try(OP_PUSH, ++last_id, "there").op, OP_ERROR);
    log_level = LOG_LEVEL_ERROR;
    CU_ASSERT_EQUAL(quota->log.rate.n, 2);
    CU_ASSERT_EQUAL(broker.peer_log.rate.n, 0);
    end();
}

/* Pushes to a queue that both users may push to. True: this made a new job. */
static bool push_with_key(Peer *from, const char *key, size_t len) {
    uint8_t options[300] = "\x81\xa3key\xd9";
    uint64_t pushed = broker.stats.pushed;
    Message message = message_of(OP_PUSH, ++last_id, "other");
    const Message *answer;

    options[6] = (uint8_t)len;
    memcpy(options + 7, key, len);
    message.push.options = span_of(options, 7 + len);
    fake_say(&broker, from, &message);
    answer = fake_next_real(from);
    CU_ASSERT_PTR_NOT_NULL_FATAL(answer);
    CU_ASSERT_EQUAL(answer->op, OP_OK);
    return broker.stats.pushed > pushed;
}

static void each_user_has_deduplication_keys_of_its_own(void) {
    char long_key[255];
    Peer *other;

    begin(WITH, ACTION_PUSH);
    other = connect_as(WITHOUT, UID_WITHOUT, 'o');
    memset(long_key, 'k', sizeof(long_key));
    CU_ASSERT_TRUE(push_with_key(peer, "k", 1));
    CU_ASSERT_TRUE(push_with_key(other, "k", 1));
    CU_ASSERT_FALSE(push_with_key(peer, "k", 1));
    CU_ASSERT_FALSE(push_with_key(other, "k", 1));
    CU_ASSERT_TRUE(push_with_key(peer, long_key, sizeof(long_key)));
    CU_ASSERT_TRUE(push_with_key(other, long_key, sizeof(long_key)));
    CU_ASSERT_FALSE(push_with_key(peer, long_key, sizeof(long_key)));
    long_key[254] = 'l';
    CU_ASSERT_TRUE(push_with_key(peer, long_key, sizeof(long_key)));
    CU_ASSERT_FALSE(push_with_key(peer, long_key, sizeof(long_key)));
    /* Two sessions of one user have the same keys. */
    CU_ASSERT_FALSE(push_with_key(connect_as(WITH, UID_WITH, 'q'), "k", 1));
    end();
}

/* A message without an id has no answer, and no effect if it is denied. */
static void messages_without_an_id_are_denied_too(void) {
    static const unsigned ops[] = {OP_CALL, OP_PUBLISH, OP_PUSH, OP_SERVE, OP_TALLY};

    for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++)
        for (World world = UNKNOWN; world <= WITH; world++) {
            Outcome outcome;

            begin(world, access_of(ops[i]).action);
            outcome = try(ops[i], 0, "there");
            CU_ASSERT_EQUAL(outcome.op, 0);
            CU_ASSERT_EQUAL(outcome.effects, world == WITH);
            end();
        }
}

static void the_brokers_topics_need_the_right_to_watch(void) {
    begin(WITHOUT, ACTION_WATCH); /* the user may subscribe to all names */
    CU_ASSERT_EQUAL(try(OP_SUBSCRIBE, ++last_id, ">").op, OP_OK);
    CU_ASSERT_EQUAL(try(OP_SUBSCRIBE, ++last_id, "ferry.events.>").op, OP_ERROR);
    CU_ASSERT_EQUAL(try(OP_SUBSCRIBE, ++last_id, "ferry.*.session.up").op, OP_ERROR);
    end();
    begin(WITHOUT, ACTION_SUBSCRIBE); /* the user may watch all names, and may not subscribe */
    CU_ASSERT_EQUAL(try(OP_SUBSCRIBE, ++last_id, "ferry.events.>").op, OP_OK);
    CU_ASSERT_EQUAL(try(OP_SUBSCRIBE, ++last_id, ">").op, OP_ERROR);
    end();
}

static void invalid_names_get_their_own_error(void) {
    static const unsigned ops[] = {OP_SERVE, OP_SUBSCRIBE, OP_PUBLISH, OP_PUSH, OP_PULL};
    static const char *const names[] = {"", "a..b", "a b", "a.>.b"};

    for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++)
        for (size_t j = 0; j < sizeof(names) / sizeof(*names); j++) {
            Outcome outcome;

            begin(WITHOUT, access_of(ops[i]).action);
            outcome = try(ops[i], ++last_id, names[j]);
            CU_ASSERT_EQUAL(outcome.op, OP_ERROR);
            CU_ASSERT_STRING_EQUAL(outcome.type, "ferry.InvalidArgument");
            CU_ASSERT_EQUAL(outcome.effects, 0);
            end();
        }
}

/* The job stays, and is delivered again. */
static void a_job_that_may_not_be_forwarded_is_retried(void) {
    const Message *job;

    begin(WITHOUT, ACTION_PUSH);
    try(OP_FORWARD, ++last_id, "there");
    fake_wait(&broker, 60000);
    job = fake_next_real(peer);
    CU_ASSERT_PTR_NOT_NULL_FATAL(job);
    CU_ASSERT_EQUAL(job->op, OP_JOB);
    CU_ASSERT_EQUAL(job->job.attempt, 2);
    end();
}

static void a_client_is_not_handed_to_another_user(void) {
    Peer *thief;
    const Message *m;

    begin(WITH, ACTION_PUSH);
    thief = fake_peer_of_user(&broker, UID_WITHOUT, 'p');
    m = fake_next_real(thief);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    CU_ASSERT_EQUAL(m->op, OP_FAULT);
    CU_ASSERT_STRING_EQUAL(fake_error(m, "type"), "ferry.PermissionDenied");
    CU_ASSERT_PTR_NOT_NULL(peer->session);
    end();
}

static void the_connections_of_a_user_are_limited(void) {
    Peer *second, *third;
    const Message *m;

    begin(WITH, ACTION_PUSH);
    set(broker.rights, "with", "max_connections", "2");
    second = connect_as(WITH, UID_WITH, 'q');
    CU_ASSERT_PTR_NOT_NULL(second->session);
    third = fake_peer_of_user(&broker, UID_WITH, 'r');
    m = fake_next_real(third);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    CU_ASSERT_EQUAL(m->op, OP_FAULT);
    CU_ASSERT_STRING_EQUAL(fake_error(m, "type"), "ferry.Full");
    /* A client that comes back replaces its own connection. */
    third = connect_as(WITH, UID_WITH, 'q');
    CU_ASSERT_PTR_NOT_NULL(third->session);
    CU_ASSERT_EQUAL(((Session *)third->session)->quota->n_sessions, 2);
    end();
}

/* ---- changing the rights ---- */

static const char *told(Peer *to) {
    static char text[64];
    const Message *m = fake_next_real(to);

    snprintf(text, sizeof(text), "%.*s", m && m->op == OP_BYE ? (int)m->bye.text.len : 0,
             m && m->op == OP_BYE ? (const char *)m->bye.text.data : "");
    return text;
}

static void turn_end(void) {
    sessions_turn_end(&broker);
}

static void sessions_that_lose_a_right_end(void) {
    Rights *rights;

    /* The same rights: all sessions go on. */
    begin(WITH, ACTION_PUSH);
    sessions_set_rights(&broker, rights_for(ACTION_PUSH));
    turn_end();
    CU_ASSERT_PTR_NOT_NULL(peer->session);
    CU_ASSERT_EQUAL(((Session *)peer->session)->quota->n_sessions, 1);

    /* `push >` has become `call >`. */
    sessions_set_rights(&broker, rights_for(ACTION_CALL));
    turn_end();
    CU_ASSERT_PTR_NULL(peer->session);
    CU_ASSERT_STRING_EQUAL(told(peer), "rights");
    end();

    /* More rights: the session continues, and its earlier denial is forgotten. */
    begin(WITHOUT, ACTION_PUSH);
    CU_ASSERT_EQUAL(try(OP_PUSH, ++last_id, "there").op, OP_ERROR);
    rights = rights_for(ACTION_PUSH);
    set(rights, "without", "may", "push there");
    sessions_set_rights(&broker, rights);
    turn_end();
    CU_ASSERT_PTR_NOT_NULL_FATAL(peer->session);
    CU_ASSERT_EQUAL(try(OP_PUSH, ++last_id, "there").op, OP_OK);
    end();
}

static void sessions_whose_user_is_gone_end(void) {
    char problem[RIGHTS_PROBLEM_MAX];
    Rights *rights = rights_new();
    int line;

    begin(WITH, ACTION_PUSH);
    set(rights, "new", "uid", "1001");
    set(rights, "new", "may", "push >");
    CU_ASSERT_EQUAL(rights_complete(rights, 1, &line, problem), 0);
    sessions_set_rights(&broker, rights);
    turn_end();
    CU_ASSERT_PTR_NULL(peer->session);
    /* The program comes back as its new user: it gets another client than the old user's. */
    CU_ASSERT_PTR_NOT_NULL(connect_as(WITH, UID_WITH, 'p')->session);
    end();
}

/* The connection is lost before the user is removed. */
static void lost_clients_whose_user_is_gone_are_forgotten(void) {
    char problem[RIGHTS_PROBLEM_MAX];
    Rights *rights = rights_new();
    int line;

    begin(WITH, ACTION_PUSH);
    fake_peer_gone(&broker, peer);
    set(rights, "new", "uid", "1001");
    CU_ASSERT_EQUAL(rights_complete(rights, 1, &line, problem), 0);
    sessions_set_rights(&broker, rights);
    peer = connect_as(WITH, UID_WITH, 'p');
    CU_ASSERT_PTR_NOT_NULL_FATAL(peer->session);
    CU_ASSERT_STRING_EQUAL(((Session *)peer->session)->client->user->name, "new");
    CU_ASSERT_EQUAL(((Session *)peer->session)->pulls.n, 0);
    end();
}

static void sessions_whose_key_is_gone_end(void) {
    Rights *rights;

    by_key = true;
    begin(WITH, ACTION_PUSH);
    rights = rights_for(ACTION_PUSH);
    sessions_set_rights(&broker, rights);
    turn_end();
    CU_ASSERT_PTR_NOT_NULL_FATAL(peer->session);
    /* The user is the same, but its key is another one. */
    memset(peer->connection.curve->client_key, 0x77, KEY_SIZE);
    sessions_set_rights(&broker, rights_for(ACTION_PUSH));
    turn_end();
    CU_ASSERT_PTR_NULL(peer->session);
    CU_ASSERT_STRING_EQUAL(told(peer), "rights");
    end();
    by_key = false;
}

/* An open endpoint gets keys: sessions without a key end. */
static void sessions_without_a_key_end_when_the_broker_gets_keys(void) {
    Peer *open;

    begin(WITH, ACTION_PUSH);
    open = fake_peer_new(&broker);
    fake_hello(&broker, open, 'o');
    while (fake_next_real(open))
        continue;
    CU_ASSERT_PTR_NOT_NULL_FATAL(open->session);
    broker.keys.n_pairs = 1;
    sessions_set_rights(&broker, rights_for(ACTION_PUSH));
    turn_end();
    CU_ASSERT_PTR_NULL(open->session);
    CU_ASSERT_PTR_NOT_NULL(peer->session); /* its user is known by the uid */
    broker.keys.n_pairs = 0;
    end();
}

static void an_open_broker_may_get_users_and_lose_them(void) {
    begin(OPEN, ACTION_PUSH);
    sessions_set_rights(&broker, rights_for(ACTION_PUSH));
    turn_end();
    CU_ASSERT_PTR_NULL(peer->session);
    peer = connect_as(WITH, UID_WITH, 'p');
    CU_ASSERT_PTR_NOT_NULL_FATAL(peer->session);
    sessions_set_rights(&broker, NULL);
    turn_end();
    CU_ASSERT_PTR_NOT_NULL_FATAL(peer->session);
    CU_ASSERT_PTR_NULL(((Session *)peer->session)->user);
    CU_ASSERT_EQUAL(try(OP_SUBSCRIBE, ++last_id, ">").op, OP_OK);
    end();
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(each_message_has_a_row),
        TEST(each_message_is_allowed_with_its_right_alone),
        TEST(with_keys_each_message_needs_the_same_right),
        TEST(a_key_without_a_user_begins_no_session),
        TEST(messages_without_an_id_are_denied_too),
        TEST(each_user_has_deduplication_keys_of_its_own),
        TEST(denials_are_among_the_log_lines_of_their_user),
        TEST(the_brokers_topics_need_the_right_to_watch),
        TEST(invalid_names_get_their_own_error),
        TEST(a_job_that_may_not_be_forwarded_is_retried),
        TEST(a_client_is_not_handed_to_another_user),
        TEST(the_connections_of_a_user_are_limited),
        TEST(sessions_that_lose_a_right_end),
        TEST(sessions_whose_user_is_gone_end),
        TEST(sessions_whose_key_is_gone_end),
        TEST(sessions_without_a_key_end_when_the_broker_gets_keys),
        TEST(lost_clients_whose_user_is_gone_are_forgotten),
        TEST(an_open_broker_may_get_users_and_lose_them),
        TESTS_END,
    };

    return run_suite("broker/loop access", tests);
}

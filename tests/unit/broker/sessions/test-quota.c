/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/sessions/quota.h"

#include <errno.h>

#include "base/log.h"
#include "broker/queues/queues.h"
#include "broker/sessions/user.h"
#include "support/fake-hub.h"
#include "support/oom.h"
#include "support/suite.h"

enum { GREEDY = 1001, MODEST = 1002 };

static Broker broker;
static uint64_t last_id;

static Rights *rights_with(const char *setting, const char *value) {
    char problem[RIGHTS_PROBLEM_MAX];
    Rights *rights = rights_new();
    int line;

    for (int i = 0; i < 2; i++) {
        const char *name = i == 0 ? "greedy" : "modest";

        CU_ASSERT_EQUAL(rights_section(rights, false, name, 1, problem), 0);
        CU_ASSERT_EQUAL(
            rights_set(rights, false, name, "uid", i == 0 ? "1001" : "1002", 1, problem), 0);
        CU_ASSERT_EQUAL(rights_set(rights, false, name, "may", "admin", 1, problem), 0);
    }
    if (setting)
        CU_ASSERT_EQUAL(rights_set(rights, false, "greedy", setting, value, 1, problem), 0);
    CU_ASSERT_EQUAL_FATAL(rights_complete(rights, 1, &line, problem), 0);
    return rights;
}

static void begin(const char *setting, const char *value) {
    log_level = LOG_LEVEL_ERROR;
    fake_hub_init(&broker);
    broker.rights = rights_with(setting, value);
    last_id = 10;
}

static void end(void) {
    fake_hub_deinit(&broker);
    rights_free(broker.rights);
}

static Peer *connect_as(uid_t uid, uint8_t client) {
    Peer *peer = fake_peer_of_user(&broker, uid, client);

    while (fake_next(peer))
        continue;
    return peer;
}

/* Sends a message. Returns the op of its answer; 0: no answer. */
static unsigned say(Peer *peer, unsigned op, Span body) {
    Message message = {.op = (uint8_t)op, .id = ++last_id, .name = span_text("n")};
    const Message *answer;

    message.body = body;
    if (op == OP_CALL) {
        message.call.method = span_text("m");
        message.call.timeout_ms = 60000;
    }
    fake_say(&broker, peer, &message);
    answer = fake_next_real(peer);
    while (answer && answer->op != OP_OK && answer->op != OP_ERROR)
        answer = fake_next_real(peer);
    return answer ? answer->op : 0;
}

static void only_the_user_at_its_limit_gets_errors(unsigned op, const char *setting,
                                                   const char *value, unsigned good) {
    Peer *first, *second, *other;

    begin(setting, value);
    other = connect_as(MODEST, 'o');
    say(other, OP_SERVE, span_text(""));
    first = connect_as(GREEDY, 'a');
    second = connect_as(GREEDY, 'b');
    CU_ASSERT_EQUAL(say(first, op, span_text("x")), good);
    CU_ASSERT_EQUAL(say(second, op, span_text("x")), good);
    CU_ASSERT_EQUAL(say(first, op, span_text("x")), OP_ERROR);
    CU_ASSERT_EQUAL(say(second, op, span_text("x")), OP_ERROR);
    for (int i = 0; i < 5; i++)
        CU_ASSERT_EQUAL(say(other, op, span_text("x")), good);
    end();
}

static void a_user_has_one_quota_after_memory_was_short(void) {
    Session *session;

    log_level = LOG_LEVEL_ERROR;
    fake_hub_init(&broker);
    session = connect_as(GREEDY, 'a')->session;
    broker.rights = rights_with(NULL, NULL);
    OOM_EACH(n) {
        int r = session_set_user(session, rights_user(broker.rights, "greedy"));

        OOM_STOP;
        CU_ASSERT_EQUAL(r, oom_happened() ? -ENOMEM : 0);
        CU_ASSERT_EQUAL(broker.quotas.n, HASH_COUNT(broker.quotas.by_name));
    }
    CU_ASSERT_EQUAL(broker.quotas.n, 1);
    end();
}

static void calls_of_all_sessions_are_counted(void) {
    only_the_user_at_its_limit_gets_errors(OP_CALL, "max_calls", "2", 0);
}

static void subscriptions_of_all_sessions_are_counted(void) {
    only_the_user_at_its_limit_gets_errors(OP_SUBSCRIBE, "max_subscriptions", "2", OP_OK);
}

static void publishes_beyond_the_rate_are_refused(void) {
    only_the_user_at_its_limit_gets_errors(OP_PUBLISH, "max_publishes", "2/s", OP_OK);
}

static void a_second_later_as_many_publishes_are_allowed_again(void) {
    Peer *peer;

    begin("max_publishes", "2/s");
    peer = connect_as(GREEDY, 'a');
    for (int second = 0; second < 3; second++) {
        CU_ASSERT_EQUAL(say(peer, OP_PUBLISH, span_text("x")), OP_OK);
        CU_ASSERT_EQUAL(say(peer, OP_PUBLISH, span_text("x")), OP_OK);
        CU_ASSERT_EQUAL(say(peer, OP_PUBLISH, span_text("x")), OP_ERROR);
        broker.now_us += 1000000;
        broker.now_ms += 1000;
    }
    end();
}

static void jobs_are_counted_until_they_are_gone(void) {
    static char body[1000];
    Peer *peer, *other;
    uint32_t number;

    begin("max_queue_bytes", "2500");
    peer = connect_as(GREEDY, 'a');
    other = connect_as(MODEST, 'o');
    number = ((Session *)peer->session)->quota->number;
    CU_ASSERT_EQUAL(say(peer, OP_PUSH, span_of(body, sizeof(body))), OP_OK);
    CU_ASSERT_EQUAL(say(peer, OP_PUSH, span_of(body, sizeof(body))), OP_OK);
    CU_ASSERT_EQUAL(say(peer, OP_PUSH, span_of(body, sizeof(body))), OP_ERROR);
    CU_ASSERT_EQUAL(say(other, OP_PUSH, span_of(body, sizeof(body))), OP_OK);
    CU_ASSERT(broker.quotas.all[number - 1]->job_bytes >= 2000);
    /* The jobs stay after their session has ended, and still count. */
    fake_peer_gone(&broker, peer);
    peer = connect_as(GREEDY, 'b');
    CU_ASSERT_EQUAL(say(peer, OP_PUSH, span_of(body, sizeof(body))), OP_ERROR);
    /* Another user does the jobs. */
    fake_say(&broker, other,
             &(Message){.op = OP_PULL, .id = 1, .name = span_text("n"), .pull.slots = 10});
    for (const Message *job; (job = fake_next_real(other));)
        if (job->op == OP_JOB)
            fake_say(&broker, other,
                     &(Message){.op = OP_ACK,
                                .settle = {.job = job->job.job, .attempt = job->job.attempt}});
    CU_ASSERT_EQUAL(broker.quotas.all[number - 1]->job_bytes, 0);
    CU_ASSERT_EQUAL(say(peer, OP_PUSH, span_of(body, sizeof(body))), OP_OK);
    end();
}

static void memory_of_all_kinds_is_bounded(void) {
    static char body[60000];
    Peer *peer, *other;

    begin("max_memory", "64K");
    peer = connect_as(GREEDY, 'a');
    other = connect_as(MODEST, 'o');
    CU_ASSERT_EQUAL(say(peer, OP_PUSH, span_of(body, sizeof(body))), OP_OK);
    CU_ASSERT_EQUAL(say(peer, OP_PUSH, span_of(body, sizeof(body))), OP_ERROR);
    CU_ASSERT_EQUAL(say(peer, OP_PUBLISH, span_of(body, sizeof(body))), OP_ERROR);
    CU_ASSERT_EQUAL(say(peer, OP_PUBLISH, span_text("x")), OP_OK);
    CU_ASSERT_EQUAL(say(other, OP_PUSH, span_of(body, sizeof(body))), OP_OK);
    CU_ASSERT_EQUAL(say(other, OP_PUSH, span_of(body, sizeof(body))), OP_OK);
    end();
}

static void connections_of_one_user_are_bounded(void) {
    Peer *peer;

    begin("max_connections", "2");
    CU_ASSERT_PTR_NOT_NULL(connect_as(GREEDY, 'a')->session);
    peer = connect_as(GREEDY, 'b');
    CU_ASSERT_PTR_NOT_NULL(peer->session);
    CU_ASSERT_PTR_NULL(connect_as(GREEDY, 'c')->session);
    CU_ASSERT_PTR_NOT_NULL(connect_as(MODEST, 'd')->session);
    fake_peer_gone(&broker, peer);
    CU_ASSERT_PTR_NOT_NULL(connect_as(GREEDY, 'c')->session);
    end();
}

static void new_limits_count_what_was_there_before(void) {
    Peer *peer;

    begin(NULL, NULL);
    peer = connect_as(GREEDY, 'a');
    for (int i = 0; i < 3; i++)
        CU_ASSERT_EQUAL(say(peer, OP_SUBSCRIBE, span_text("")), OP_OK);
    sessions_set_rights(&broker, rights_with("max_subscriptions", "4"));
    CU_ASSERT_EQUAL(say(peer, OP_SUBSCRIBE, span_text("")), OP_OK);
    CU_ASSERT_EQUAL(say(peer, OP_SUBSCRIBE, span_text("")), OP_ERROR);
    end();
}

static void limits_that_cannot_be_read_are_explained(void) {
    static const char *const bad[][3] = {
        {"max_calls", "many", "max_calls: a number is expected, not 'many'"},
        {"max_calls", "-1", "max_calls: a number is expected, not '-1'"},
        {"max_memory", "64X", "max_memory: a size such as 64M is expected, not '64X'"},
        {"max_publishes", "5/m", "max_publishes: a rate such as 100/s is expected, not '5/m'"},
        {"max_publishes", "/s", "max_publishes: a rate such as 100/s is expected, not '/s'"},
        {"max_call", "1", "did you mean 'max_calls'?"},
    };
    char problem[RIGHTS_PROBLEM_MAX];
    Rights *rights = rights_new();

    CU_ASSERT_EQUAL(rights_section(rights, false, "u", 1, problem), 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        CU_ASSERT_EQUAL(rights_set(rights, false, "u", bad[i][0], bad[i][1], 1, problem), -EINVAL);
        CU_ASSERT_PTR_NOT_NULL(strstr(problem, bad[i][2]));
        if (!strstr(problem, bad[i][2]))
            printf("\n    %s\n", problem);
    }
    rights_free(rights);
}

/* The counts of a user are those of all its sessions, and outlive them. */
static void messages_of_a_user_are_counted(void) {
    Peer *first, *second;
    const QuotaCounts *counts, *others;

    begin("max_subscriptions", "1");
    others = &((Session *)connect_as(MODEST, 'o')->session)->quota->counts;
    first = connect_as(GREEDY, 'a');
    second = connect_as(GREEDY, 'b');
    counts = &((Session *)first->session)->quota->counts;
    say(first, OP_CALL, span_text("x"));
    say(second, OP_CALL, span_text("x"));
    say(first, OP_PUBLISH, span_text("x"));
    say(first, OP_PUSH, span_text("x"));
    CU_ASSERT_EQUAL(say(first, OP_SUBSCRIBE, span_text("")), OP_OK);
    CU_ASSERT_EQUAL(counts->refused, 0);
    CU_ASSERT_EQUAL(say(second, OP_SUBSCRIBE, span_text("")), OP_ERROR); /* at the limit */
    CU_ASSERT_EQUAL(counts->refused, 1);
    CU_ASSERT_EQUAL(counts->done[QUOTA_CALL], 2);
    CU_ASSERT_EQUAL(counts->done[QUOTA_PUBLISH], 1);
    CU_ASSERT_EQUAL(counts->done[QUOTA_PUSH], 1);
    CU_ASSERT_EQUAL(counts->done[QUOTA_SUBSCRIBE], 2);
    CU_ASSERT_TRUE(counts->bytes > 6 * WIRE_HEAD && counts->bytes < 1000);
    fake_peer_gone(&broker, first);
    CU_ASSERT_EQUAL(counts->done[QUOTA_CALL], 2);
    CU_ASSERT_EQUAL(others->done[QUOTA_CALL] + others->refused, 0);
    end();
}

/* ---- clients of other brokers ---- */

/* Pushes with the option 'origin': 16 times this byte. Returns the type of the error; "": OK. */
static const char *push_for(Peer *peer, uint64_t id, uint8_t origin) {
    CLEANUP(buffer_deinit) Buffer options = {0};
    uint8_t token[WIRE_TOKEN];
    const Message *answer;

    memset(token, origin, sizeof(token));
    write_map(&options, 1);
    write_text(&options, "origin");
    write_bin(&options, token, origin == 's' ? 3 : sizeof(token));
    fake_say(&broker, peer,
             &(Message){.op = OP_PUSH,
                        .id = id,
                        .name = span_text("n"),
                        .push.options = span_of(options.data, options.len),
                        .body = span_text("x")});
    answer = fake_next_real(peer);
    CU_ASSERT_PTR_NOT_NULL_FATAL(answer);
    return answer->op == OP_ERROR ? fake_error(answer, "type") : "";
}

static void a_push_has_an_origin_of_its_own_user(void) {
    Peer *peer;

    begin(NULL, NULL);
    peer = connect_as(MODEST, 'm');
    connect_as(GREEDY, 'g');
    CU_ASSERT_STRING_EQUAL(push_for(peer, 7, 'g'), "ferry.PermissionDenied");
    CU_ASSERT_STRING_EQUAL(push_for(peer, 7, 's'), "ferry.InvalidArgument");
    CU_ASSERT_STRING_EQUAL(push_for(peer, 7, 'o'), "");
    /* The origin belongs to this user from now on. */
    CU_ASSERT_STRING_EQUAL(push_for(connect_as(GREEDY, 'h'), 8, 'o'), "ferry.PermissionDenied");
    CU_ASSERT_STRING_EQUAL(push_for(connect_as(MODEST, 'n'), 8, 'o'), "");
    end();
}

/* The broker remembers an origin as long as a lost client, counted from its last push. */
static void an_origin_is_remembered_like_a_lost_client(void) {
    unsigned n_clients;
    Peer *peer;

    begin(NULL, NULL);
    peer = connect_as(MODEST, 'm');
    n_clients = HASH_COUNT(broker.clients.by_id);
    push_for(peer, 7, 'o');
    fake_wait(&broker, broker.limits.client_memory_ms - 1);
    push_for(peer, 8, 'o');
    fake_wait(&broker, broker.limits.client_memory_ms - 1);
    CU_ASSERT_EQUAL(HASH_COUNT(broker.clients.by_id), n_clients + 1);
    CU_ASSERT_EQUAL(broker.clients.n_lost, 1);
    fake_wait(&broker, 2);
    CU_ASSERT_EQUAL(HASH_COUNT(broker.clients.by_id), n_clients);
    push_for(peer, 9, 'm'); /* the session's own client */
    CU_ASSERT_EQUAL(broker.clients.n_lost, 0);
    end();
}

static void a_stranger_cannot_make_the_broker_remember_any_number_of_origins(void) {
    uint64_t id = 100;
    Peer *peer;

    begin(NULL, NULL);
    peer = connect_as(MODEST, 'm');
    broker.budget.max = budget_used(&broker.budget);
    CU_ASSERT_STRING_EQUAL(push_for(peer, ++id, 'o'), "ferry.Full");
    CU_ASSERT_EQUAL(broker.clients.n_lost, 0);
    end();
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_user_has_one_quota_after_memory_was_short),
        TEST(calls_of_all_sessions_are_counted),
        TEST(subscriptions_of_all_sessions_are_counted),
        TEST(publishes_beyond_the_rate_are_refused),
        TEST(a_second_later_as_many_publishes_are_allowed_again),
        TEST(jobs_are_counted_until_they_are_gone),
        TEST(memory_of_all_kinds_is_bounded),
        TEST(connections_of_one_user_are_bounded),
        TEST(new_limits_count_what_was_there_before),
        TEST(limits_that_cannot_be_read_are_explained),
        TEST(messages_of_a_user_are_counted),
        TEST(a_push_has_an_origin_of_its_own_user),
        TEST(an_origin_is_remembered_like_a_lost_client),
        TEST(a_stranger_cannot_make_the_broker_remember_any_number_of_origins),
        TESTS_END,
    };

    return run_suite("sessions: limits of one user", tests);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/broker/topics/fixture.h"

static void ask(TopicFixture *f, Session *session, uint64_t id, const char *topic,
                uint64_t window_ms) {
    publish_message(f, session,
                    &(Message){.op = OP_PUBLISH,
                               .id = id,
                               .publish.flags = PUBLISH_GATHER,
                               .publish.window_ms = window_ms,
                               .name = span_text(topic),
                               .body = span_text("who?")});
}

static void answer(TopicFixture *f, Session *session, uint64_t reply, const char *body) {
    topics_answer(f->topics, session,
                  &(Message){.op = OP_ANSWER, .answer.reply = reply, .body = span_text(body)},
                  NULL);
}

/* The number of the question that this session got, or 0. */
static uint64_t question(Session *session) {
    const FakeSent *sent = fake_take(session);

    return sent && sent->message.op == OP_MESSAGE && same(sent->message.body, "who?")
               ? sent->message.message.reply
               : 0;
}

static bool gets_answer(Session *session, uint64_t id, const char *body) {
    const FakeSent *sent = fake_take(session);

    return sent && sent->message.op == OP_ANSWER && sent->message.answer.reply == id &&
           same(sent->message.body, body) && sent->lane == LANE_BULK &&
           sent->message.answer.session > 0;
}

typedef struct Asking {
    TopicFixture f;
    Session *asker, *a, *b;
} Asking;

static void start(Asking *s) {
    fixture_init(&s->f);
    s->asker = connect_as(&s->f, 'q');
    s->a = connect_as(&s->f, 'a');
    s->b = connect_as(&s->f, 'b');
    subscribe(&s->f, s->a, 1, "ask.*");
    subscribe(&s->f, s->b, 1, "ask.>");
    fake_drop(s->a);
    fake_drop(s->b);
}

static void a_gather_ends_when_all_have_answered(void) {
    Asking s;
    uint64_t to_a, to_b;

    start(&s);
    ask(&s.f, s.asker, 5, "ask.x", 1000);
    to_a = question(s.a);
    to_b = question(s.b);
    CU_ASSERT_TRUE(to_a && to_b && to_a != to_b);
    answer(&s.f, s.b, to_b, "me");
    CU_ASSERT_TRUE(gets_answer(s.asker, 5, "me"));
    CU_ASSERT_TRUE(gets_nothing(s.asker));
    answer(&s.f, s.a, to_a, "and me");
    CU_ASSERT_TRUE(gets_answer(s.asker, 5, "and me"));
    CU_ASSERT_TRUE(gets_ok(s.asker, 5, 2));
    fake_advance(&s.f.broker, 2000);
    CU_ASSERT_TRUE(gets_nothing(s.asker));
    fixture_deinit(&s.f);
}

static void a_gather_ends_with_its_window(void) {
    Asking s;
    uint64_t to_a, to_b;

    start(&s);
    ask(&s.f, s.asker, 5, "ask.x", 1000);
    to_a = question(s.a);
    to_b = question(s.b);
    answer(&s.f, s.a, to_a, "me");
    fake_advance(&s.f.broker, 999);
    CU_ASSERT_TRUE(gets_answer(s.asker, 5, "me"));
    CU_ASSERT_TRUE(gets_nothing(s.asker));
    fake_advance(&s.f.broker, 2);
    CU_ASSERT_TRUE(gets_ok(s.asker, 5, 1));
    /* A late answer is dropped and counted. */
    answer(&s.f, s.b, to_b, "late");
    CU_ASSERT_TRUE(gets_nothing(s.asker));
    CU_ASSERT_EQUAL(s.b->n_dropped, 1);
    CU_ASSERT_EQUAL(s.f.broker.stats.late_answers, 1);
    fixture_deinit(&s.f);
}

static void a_gather_without_subscribers_ends_at_once(void) {
    Asking s;

    start(&s);
    ask(&s.f, s.asker, 5, "other", 60000);
    CU_ASSERT_TRUE(gets_ok(s.asker, 5, 0));
    fixture_deinit(&s.f);
}

static void a_second_answer_is_dropped(void) {
    Asking s;
    uint64_t to_a;

    start(&s);
    ask(&s.f, s.asker, 5, "ask.x", 1000);
    to_a = question(s.a);
    answer(&s.f, s.a, to_a, "1");
    answer(&s.f, s.a, to_a, "2");
    CU_ASSERT_TRUE(gets_answer(s.asker, 5, "1"));
    CU_ASSERT_TRUE(gets_nothing(s.asker));
    CU_ASSERT_EQUAL(s.a->n_dropped, 1);
    fixture_deinit(&s.f);
}

static void each_subscription_of_a_session_may_answer(void) {
    Asking s;
    uint64_t first, second;

    start(&s);
    subscribe(&s.f, s.a, 2, "ask.x");
    fake_drop(s.a);
    ask(&s.f, s.asker, 5, "ask.x", 1000);
    first = question(s.a);
    second = question(s.a);
    answer(&s.f, s.a, first, "1");
    answer(&s.f, s.a, second, "2");
    CU_ASSERT_TRUE(gets_answer(s.asker, 5, "1"));
    CU_ASSERT_TRUE(gets_answer(s.asker, 5, "2"));
    fixture_deinit(&s.f);
}

static void forged_answers_are_dropped(void) {
    Asking s;
    uint64_t to_a;

    start(&s);
    ask(&s.f, s.asker, 5, "ask.x", 1000);
    to_a = question(s.a);
    answer(&s.f, s.b, to_a, "I am a");
    answer(&s.f, s.asker, to_a, "so am I");
    answer(&s.f, s.b, 0, "zero");
    answer(&s.f, s.b, UINT64_MAX, "no such");
    CU_ASSERT_TRUE(gets_nothing(s.asker));
    CU_ASSERT_EQUAL(s.b->n_dropped, 3);
    answer(&s.f, s.a, to_a, "really");
    CU_ASSERT_TRUE(gets_answer(s.asker, 5, "really"));
    fixture_deinit(&s.f);
}

static void a_lost_session_is_not_waited_for(void) {
    Asking s;
    uint64_t to_a;

    start(&s);
    ask(&s.f, s.asker, 5, "ask.x", 1000);
    to_a = question(s.a);
    answer(&s.f, s.a, to_a, "me");
    lose(&s.f, s.b);
    CU_ASSERT_TRUE(gets_answer(s.asker, 5, "me"));
    CU_ASSERT_TRUE(gets_ok(s.asker, 5, 1));
    /* A lost session is not asked. */
    ask(&s.f, s.asker, 6, "ask.x.y", 1000);
    CU_ASSERT_TRUE(gets_ok(s.asker, 6, 0));
    fixture_deinit(&s.f);
}

static void a_lost_asker_takes_its_questions_along(void) {
    Asking s;
    uint64_t to_a;

    start(&s);
    for (uint64_t id = 1; id <= 100; id++)
        ask(&s.f, s.asker, id, "ask.x", 1000);
    to_a = question(s.a);
    lose(&s.f, s.asker);
    answer(&s.f, s.a, to_a, "me");
    CU_ASSERT_EQUAL(s.a->n_dropped, 1);
    fake_advance(&s.f.broker, 2000);
    fixture_deinit(&s.f);
}

static void one_member_of_a_group_is_asked(void) {
    Asking s;

    start(&s);
    subscribe_with(&s.f, s.a, 2, "g", OPTIONS({"group", "g", 0}));
    subscribe_with(&s.f, s.b, 2, "g", OPTIONS({"group", "g", 0}));
    fake_drop(s.a);
    fake_drop(s.b);
    ask(&s.f, s.asker, 5, "g", 1000);
    CU_ASSERT_EQUAL(fake_n_sent(s.a) + fake_n_sent(s.b), 1);
    answer(&s.f, s.a, question(s.a), "x");
    CU_ASSERT_TRUE(gets_answer(s.asker, 5, "x"));
    CU_ASSERT_TRUE(gets_ok(s.asker, 5, 1));
    fixture_deinit(&s.f);
}

static void a_question_that_was_dropped_is_not_waited_for(void) {
    Asking s;

    start(&s);
    lose(&s.f, s.b);
    subscribe_with(&s.f, s.a, 2, "q", OPTIONS({"backlog", NULL, 0}));
    subscribe_with(&s.f, s.a, 3, "q",
                   OPTIONS({"backlog", NULL, 100}, {"overflow", "drop-oldest", 0}));
    fake_drop(s.a);
    block(s.a);
    ask(&s.f, s.asker, 5, "q", 1000);
    CU_ASSERT_TRUE(gets_nothing(s.asker)); /* the question waits for the second member */
    publish(&s.f, s.asker, "q", "a message that leaves no room beside it");
    CU_ASSERT_TRUE(gets_ok(s.asker, 5, 0));
    fixture_deinit(&s.f);
}

static void a_question_that_waited_is_answered(void) {
    Asking s;
    uint64_t to_a;

    start(&s);
    block(s.a);
    lose(&s.f, s.b);
    ask(&s.f, s.asker, 5, "ask.x", 1000);
    unblock(s.a);
    topics_turn_end(s.f.topics);
    to_a = question(s.a);
    CU_ASSERT_NOT_EQUAL(to_a, 0);
    answer(&s.f, s.a, to_a, "me");
    CU_ASSERT_TRUE(gets_answer(s.asker, 5, "me"));
    CU_ASSERT_TRUE(gets_ok(s.asker, 5, 1));
    fixture_deinit(&s.f);
}

static void bad_questions_are_refused(void) {
    Asking s;

    start(&s);
    ask(&s.f, s.asker, 1, "ask.x", 0);
    CU_ASSERT_TRUE(gets_error(s.asker, 1, "ferry.InvalidArgument"));
    ask(&s.f, s.asker, 2, "ask.x", 60001);
    CU_ASSERT_TRUE(gets_error(s.asker, 2, "ferry.InvalidArgument"));
    ask(&s.f, s.asker, 3, "ask.x", 60000);
    s.f.broker.limits.max_calls = 1;
    ask(&s.f, s.asker, 4, "ask.x", 60000);
    CU_ASSERT_TRUE(gets_error(s.asker, 4, "ferry.Overloaded"));
    s.f.broker.limits.max_calls = 10;
    s.f.broker.limits.max_total_bytes = broker_stored(&s.f.broker);
    ask(&s.f, s.asker, 4, "ask.x", 60000);
    CU_ASSERT_TRUE(gets_error(s.asker, 4, "ferry.Full"));
    s.f.broker.draining = true;
    ask(&s.f, s.asker, 4, "ask.x", 60000);
    CU_ASSERT_TRUE(gets_error(s.asker, 4, "ferry.Draining"));
    CU_ASSERT_FALSE(fake_is_faulted(s.asker));
    ask(&s.f, s.asker, 0, "ask.x", 1000);
    CU_ASSERT_FALSE(fake_is_faulted(s.asker)); /* the question is dropped: it has no id */
    s.f.broker.draining = false;
    ask(&s.f, s.asker, 3, "ask.x", 60000);
    CU_ASSERT_TRUE(fake_is_faulted(s.asker)); /* another question has this id */
    /* Only one question was allowed. */
    CU_ASSERT_EQUAL(fake_n_sent(s.a), 1);
    fixture_deinit(&s.f);
}

static void the_asker_may_answer_itself(void) {
    Asking s;
    uint64_t to_q;

    start(&s);
    subscribe(&s.f, s.asker, 1, "self");
    fake_drop(s.asker);
    ask(&s.f, s.asker, 5, "self", 1000);
    to_q = question(s.asker);
    answer(&s.f, s.asker, to_q, "me");
    CU_ASSERT_TRUE(gets_answer(s.asker, 5, "me"));
    CU_ASSERT_TRUE(gets_ok(s.asker, 5, 1));
    ask(&s.f, s.asker, 6, "self", 1000);
    lose(&s.f, s.asker);
    fixture_deinit(&s.f);
}

static void a_subscriber_that_never_answers_gets_a_limited_number_of_questions(void) {
    enum { MANY = 100 };
    uint64_t to_a = 0;
    Asking s;

    start(&s);
    s.f.broker.limits.max_calls = MANY;
    for (uint64_t id = 1; id <= MANY; id++) {
        ask(&s.f, s.asker, id, "ask.x", 1000);
        to_a = question(s.a);
        CU_ASSERT_TRUE(to_a != 0);
        answer(&s.f, s.b, question(s.b), "me");
        CU_ASSERT_TRUE(gets_answer(s.asker, id, "me"));
    }
    CU_ASSERT_EQUAL(s.a->n_asked, MANY);
    CU_ASSERT_EQUAL(s.b->n_asked, 0);
    /* The subscriber gets the next question as a plain message; the other subscriber is asked. */
    fake_advance(&s.f.broker, 500);
    s.f.broker.limits.max_calls = MANY + 1;
    ask(&s.f, s.asker, MANY + 1, "ask.x", 1000);
    CU_ASSERT_TRUE(question(s.a) != 0);
    s.f.broker.limits.max_calls = 2 * MANY;
    s.a->n_asked += MANY;
    ask(&s.f, s.asker, MANY + 2, "ask.x", 1000);
    CU_ASSERT_EQUAL(question(s.a), 0);
    s.a->n_asked -= MANY;
    CU_ASSERT_TRUE(question(s.b) != 0 && question(s.b) != 0);
    fixture_deinit(&s.f);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_gather_ends_when_all_have_answered),
        TEST(a_gather_ends_with_its_window),
        TEST(a_gather_without_subscribers_ends_at_once),
        TEST(a_second_answer_is_dropped),
        TEST(each_subscription_of_a_session_may_answer),
        TEST(forged_answers_are_dropped),
        TEST(a_lost_session_is_not_waited_for),
        TEST(a_lost_asker_takes_its_questions_along),
        TEST(one_member_of_a_group_is_asked),
        TEST(a_question_that_was_dropped_is_not_waited_for),
        TEST(a_question_that_waited_is_answered),
        TEST(bad_questions_are_refused),
        TEST(the_asker_may_answer_itself),
        TEST(a_subscriber_that_never_answers_gets_a_limited_number_of_questions),
        TESTS_END,
    };

    return run_suite("broker gather", tests);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/topics/topics-private.h"
#include "support/oom.h"
#include "unit/broker/topics/fixture.h"

/* The number of answers to each id. */
typedef struct Seen {
    unsigned ok[16], error[16];
    uint64_t last_seq, missed;
    unsigned n_messages;
} Seen;

static void look(Session *session, Seen *seen) {
    const FakeSent *sent;

    while ((sent = fake_take(session))) {
        const Message *message = &sent->message;

        if (message->op == OP_OK)
            seen->ok[message->id]++;
        else if (message->op == OP_ERROR) {
            seen->error[message->id]++;
            CU_ASSERT_STRING_EQUAL(sent->type, "ferry.OutOfMemory");
        } else if (message->op == OP_MESSAGE && message->message.sub == 1)
            seen->missed += message->message.seq - seen->last_seq - 1,
                seen->last_seq = message->message.seq, seen->n_messages++;
        else if (message->op == OP_GAP && message->gap.sub == 1)
            seen->missed += message->gap.count, seen->last_seq += message->gap.count;
    }
}

static void answered_once(const Seen *seen, uint64_t id) {
    CU_ASSERT_EQUAL(seen->ok[id] + seen->error[id], 1);
}

static void publish_as(TopicFixture *f, Session *session, uint64_t id, uint64_t flags,
                       const char *topic) {
    publish_message(f, session,
                    &(Message){.op = OP_PUBLISH,
                               .id = id,
                               .publish.flags = flags,
                               .publish.window_ms = 100,
                               .name = span_text(topic),
                               .body = span_text("body")});
}

/* Uses all functions of the router. The n-th allocation fails: each message gets one answer, lost
 * messages are counted, no memory leaks. */
static bool live_through(unsigned n) {
    TopicFixture f;
    Session *a, *b;
    Seen seen_a = {0}, seen_b = {0};
    bool subscribed, happened;

    fixture_init(&f);
    a = connect_as(&f, 'a');
    b = connect_as(&f, 'b');
    oom_plan(n);

    publish_as(&f, b, 1, PUBLISH_RETAIN, "t.x");
    publish_as(&f, b, 2, 0, "t.y");
    subscribe_with(&f, a, 1, "t.>", OPTIONS({"last", NULL, 5}));
    look(a, &seen_a);
    answered_once(&seen_a, 1);
    subscribed = seen_a.ok[1] == 1;
    seen_a.last_seq = subscribed ? a->client->subscriptions->seq : 0;
    seen_a.missed = 0;

    subscribe_with(&f, b, 3, "t.x", OPTIONS({"group", "g", 0}));
    publish_as(&f, b, 4, 0, "t.x");
    block(a);
    publish_as(&f, b, 5, 0, "t.x");
    publish_as(&f, b, 6, PUBLISH_RETAIN, "t.z");
    publish_as(&f, b, 7, PUBLISH_GATHER, "t.x");
    unblock(a);
    topics_turn_end(f.topics);
    fake_advance(&f.broker, 200);
    look(b, &seen_b);
    for (uint64_t id = 1; id <= 7; id++)
        answered_once(&seen_b, id);
    look(a, &seen_a);
    if (subscribed) {
        unsigned published = seen_b.ok[4] + seen_b.ok[5] + seen_b.ok[6] + seen_b.ok[7];

        CU_ASSERT_EQUAL(a->client->subscriptions->seq, seen_a.last_seq);
        /* A refused PUBLISH has no effect; a question may be delivered and then end. */
        CU_ASSERT_TRUE(seen_a.last_seq >= published);
    }

    lose(&f, a);
    publish_as(&f, b, 8, 0, "t.y");
    a = connect_as(&f, 'a');
    subscribe_with(&f, a, 9, "t.>", OPTIONS({"resume", NULL, 1}));
    unsubscribe(&f, a, 10, 9);
    look(a, &seen_a);
    answered_once(&seen_a, 9);
    answered_once(&seen_a, 10);
    happened = oom_happened();
    oom_plan(0);
    fixture_deinit(&f);
    return happened;
}

static void every_allocation_may_fail(void) {
    unsigned n = 1;

    while (live_through(n) && n < 10000)
        n++;
    printf("(%u allocations) ", n - 1);
    CU_ASSERT_TRUE(n > 30 && n < 10000);
}

static void making_a_router_reports_out_of_memory(void) {
    Broker broker;
    Topics *topics = NULL;
    int r;

    fake_broker_init(&broker);
    for (unsigned n = 1;; n++) {
        oom_plan(n);
        r = topics_new(&topics, &broker);
        if (!oom_happened())
            break;
        CU_ASSERT_EQUAL(r, -ENOMEM);
        CU_ASSERT_PTR_NULL(topics);
    }
    CU_ASSERT_EQUAL(r, 0);
    topics_free(topics);
    fake_broker_deinit(&broker);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(every_allocation_may_fail),
        TEST(making_a_router_reports_out_of_memory),
        TESTS_END,
    };

    return run_suite("broker topics out of memory", tests);
}

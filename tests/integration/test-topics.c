/* SPDX-License-Identifier: Apache-2.0 */

/* Publishing, subscribing and gathering. */

#include "support/broker.h"
#include "support/suite.h"

static TestBroker broker;

typedef struct Seen {
    int n;
    uint64_t last_seq, missed;
    char topic[64], body[64], header[64];
    ferry_registration *close_me;
} Seen;

static void see(const ferry_message *message, void *ctx) {
    Seen *seen = ctx;
    const char *header = ferry_message_header(message, "colour");
    const char *first = ferry_message_header_after(message, NULL);

    CU_ASSERT_EQUAL(first != NULL, header != NULL);
    if (first) {
        CU_ASSERT_STRING_EQUAL(first, "colour");
        CU_ASSERT_PTR_NULL(ferry_message_header_after(message, first));
    }
    seen->n++;
    seen->last_seq = message->seq;
    seen->missed += message->missed;
    snprintf(seen->topic, sizeof(seen->topic), "%s", message->topic);
    snprintf(seen->body, sizeof(seen->body), "%.*s", (int)message->body.len,
             (const char *)message->body.data);
    snprintf(seen->header, sizeof(seen->header), "%s", header ? header : "");
    if (seen->close_me)
        seen->close_me = ferry_registration_close(seen->close_me);
}

static void published_messages_arrive_in_order(void) {
    ferry_client *sub = connect_client(&broker), *pub = connect_client(&broker);
    const ferry_publish_options options = {.n_headers = 1,
                                           .headers = &(ferry_header){"colour", "green"}};
    Seen seen = {0};

    CU_ASSERT_EQUAL(ferry_subscribe(sub, "orders.*", NULL, see, &seen, NULL, NULL), 0);
    for (int i = 0; i < 999; i++)
        CU_ASSERT_EQUAL(ferry_publish(pub, "orders.new", ferry_str("42"), NULL, NULL), 0);
    CU_ASSERT_EQUAL(ferry_publish(pub, "orders.old", ferry_str("43"), &options, NULL), 0);
    CU_ASSERT_EQUAL(ferry_publish(pub, "other", ferry_str("no"), NULL, NULL), 0);
    CU_ASSERT_TRUE(process_both_until(sub, pub, &seen.n, 1000));
    CU_ASSERT_EQUAL(seen.last_seq, 1000);
    CU_ASSERT_EQUAL(seen.missed, 0);
    CU_ASSERT_STRING_EQUAL(seen.topic, "orders.old");
    CU_ASSERT_STRING_EQUAL(seen.body, "43");
    CU_ASSERT_STRING_EQUAL(seen.header, "green");
    ferry_close(sub);
    ferry_close(pub);
}

typedef struct Told {
    int n, failed;
    bool lost;
} Told;

static void tell(const ferry_error *error, void *ctx) {
    Told *told = ctx;

    told->n++;
    told->failed += error != NULL;
    told->lost |= error && error->outcome_unknown;
}

static void a_publisher_may_be_told_of_each_publish(void) {
    ferry_client *client = connect_client(&broker), *early = NULL;
    Told told = {0};
    const ferry_publish_options options = {.fn = tell, .ctx = &told};

    for (int i = 0; i < 100; i++)
        CU_ASSERT_EQUAL(ferry_publish(client, "told", ferry_str("x"), &options, NULL), 0);
    CU_ASSERT_EQUAL(told.n, 0);
    CU_ASSERT_TRUE(process_until(client, &told.n, 100));
    /* A blocking call receives the answers; their callbacks wait for the next turn. */
    CU_ASSERT_EQUAL(ferry_publish(client, "told", ferry_str("x"), &options, NULL), 0);
    CU_ASSERT_EQUAL(ferry_flush(client, NULL), 0);
    CU_ASSERT_EQUAL(told.n, 100);
    CU_ASSERT_TRUE(process_until(client, &told.n, 101));
    CU_ASSERT_EQUAL(told.failed, 0);
    ferry_close(client);

    /* Before the connection is up; ferry_close() waits for the confirmation. */
    CU_ASSERT_EQUAL(ferry_open(broker.url, NULL, &early, NULL), 0);
    CU_ASSERT_EQUAL(ferry_publish(early, "told", ferry_str("x"), &options, NULL), 0);
    ferry_close(early);
    CU_ASSERT_EQUAL(told.n, 102);
    CU_ASSERT_EQUAL(told.failed, 0);
}

static void a_subscription_has_its_policy_and_backlog(void) {
    ferry_client *client = connect_client(&broker);
    ferry_registration *registration = NULL;
    Seen seen = {0};

    CU_ASSERT_EQUAL(
        ferry_subscribe(client, "policy",
                        &(ferry_subscribe_options){.overflow = FERRY_DROP_OLDEST, .backlog = 1000},
                        see, &seen, &registration, NULL),
        0);
    CU_ASSERT_EQUAL(ferry_publish(client, "policy", ferry_str("x"), NULL, NULL), 0);
    CU_ASSERT_TRUE(process_until(client, &seen.n, 1));
    CU_ASSERT_EQUAL(ferry_subscribe(client, "policy", &(ferry_subscribe_options){.overflow = 3},
                                    see, &seen, NULL, NULL),
                    -EINVAL);
    ferry_close(client);
}

static void a_retained_value_comes_first(void) {
    ferry_client *client = connect_client(&broker);
    const ferry_publish_options retain = {.retain = true};
    Seen seen = {0};

    CU_ASSERT_EQUAL(ferry_publish(client, "state.door", ferry_str("open"), &retain, NULL), 0);
    CU_ASSERT_EQUAL(ferry_ping(client, NULL, NULL), 0);
    CU_ASSERT_EQUAL(ferry_subscribe(client, "state.>", NULL, see, &seen, NULL, NULL), 0);
    CU_ASSERT_EQUAL(seen.n, 0);
    CU_ASSERT_TRUE(process_until(client, &seen.n, 1));
    CU_ASSERT_STRING_EQUAL(seen.body, "open");
    ferry_publish(client, "state.door", ferry_str(""), &retain, NULL);
    ferry_close(client);
}

static void a_callback_may_end_its_own_subscription(void) {
    ferry_client *client = connect_client(&broker);
    Seen seen = {0};

    CU_ASSERT_EQUAL(ferry_subscribe(client, "mine", NULL, see, &seen, &seen.close_me, NULL), 0);
    for (int i = 0; i < 10; i++)
        ferry_publish(client, "mine", ferry_str("x"), NULL, NULL);
    CU_ASSERT_TRUE(process_until(client, &seen.n, 1));
    CU_ASSERT_EQUAL(ferry_ping(client, NULL, NULL), 0);
    ferry_process(client, NULL);
    CU_ASSERT_EQUAL(seen.n, 1);
    ferry_close(client);
}

static void answer(const ferry_message *message, void *ctx) {
    (void)ctx;
    CU_ASSERT_EQUAL(ferry_message_answer(message, ferry_str("here")), 0);
}

static int subscribe_answering(ferry_client *client, void *ctx) {
    return ferry_subscribe(client, "who", NULL, answer, ctx, NULL, NULL);
}

/* The copy of an answer is valid after the callback. */
static void keep_answer(const ferry_message *message, void *ctx) {
    const ferry_message **kept = ctx;

    CU_ASSERT_PTR_NOT_NULL(message->from);
    *kept = ferry_keep(message);
}

static void an_answer_names_its_subscriber(void) {
    ferry_client *client = connect_client(&broker);
    const ferry_message *kept = NULL;
    char process[32];
    Runner runner;

    runner_start(&runner, &broker, subscribe_answering, NULL);
    CU_ASSERT_EQUAL(ferry_gather(client, "who", ferry_str("?"), 20000, keep_answer, &kept, NULL),
                    0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(kept);
    CU_ASSERT_PTR_NOT_NULL_FATAL(kept->from);
    /* A client without a name has the name of its program and process. */
    snprintf(process, sizeof(process), "/%d", getpid());
    CU_ASSERT_PTR_NOT_NULL(strstr(kept->from, process));
    CU_ASSERT(kept->from_session > 0);
    ferry_free(kept);
    runner_stop(&runner);
    ferry_close(client);
}

static void a_question_gathers_the_answers(void) {
    ferry_client *client = connect_client(&broker);
    Runner one, two;
    Seen seen = {0};

    runner_start(&one, &broker, subscribe_answering, NULL);
    runner_start(&two, &broker, subscribe_answering, NULL);
    CU_ASSERT_EQUAL(ferry_gather(client, "who", ferry_str("?"), 200, see, &seen, NULL), 0);
    CU_ASSERT_EQUAL(seen.n, 2);
    CU_ASSERT_STRING_EQUAL(seen.body, "here");
    runner_stop(&one);
    runner_stop(&two);
    ferry_close(client);
}

static void kill_broker(const ferry_message *question, void *ctx) {
    (void)question;
    broker_kill(&broker);
    *(int *)ctx = 1;
}

static void *kill_at_question(void *ctx) {
    int n_killed = 0;

    CU_ASSERT_EQUAL(ferry_subscribe(ctx, "silent", NULL, kill_broker, &n_killed, NULL, NULL), 0);
    CU_ASSERT_TRUE(process_until(ctx, &n_killed, 1));
    return NULL;
}

static void *kill_soon(void *ctx) {
    (void)ctx;
    usleep(100000);
    broker_kill(&broker);
    return NULL;
}

static void a_lost_connection_ends_gathering_at_once(void) {
    ferry_client *client = connect_client(&broker), *subscriber = connect_client(&broker);
    ferry_error error = FERRY_ERROR_INIT;
    pthread_t killer;
    Seen seen = {0};
    int r;

    CU_ASSERT_EQUAL(pthread_create(&killer, NULL, kill_at_question, subscriber), 0);
    /* Without a subscriber, a gather ends at once. */
    do
        r = ferry_gather(client, "silent", ferry_str("?"), 60000, see, &seen, &error);
    while (r == 0);
    CU_ASSERT_EQUAL(r, -ECONNRESET);
    CU_ASSERT_STRING_EQUAL(error.type ? error.type : "", "ferry.ConnectionLost");
    pthread_join(killer, NULL);
    broker_respawn(&broker);
    ferry_error_clear(&error);
    ferry_close(subscriber);
    ferry_close(client);
}

/* The broker is stopped, and killed before it can answer. If the kill comes before the ping, the
 * client only finds no broker. */
static void a_lost_connection_ends_pinging_at_once(void) {
    ferry_client *client = connect_client(&broker);
    pthread_t killer;
    int r, n = 0;

    do {
        CU_ASSERT_EQUAL(ferry_ping(client, NULL, NULL), 0);
        kill(broker.pid, SIGSTOP);
        CU_ASSERT_EQUAL(pthread_create(&killer, NULL, kill_soon, NULL), 0);
        r = ferry_ping(client, NULL, NULL);
        pthread_join(killer, NULL);
        broker_respawn(&broker);
    } while (r == -ENOTCONN && ++n < 10);
    CU_ASSERT_EQUAL(r, -ECONNRESET);
    ferry_close(client);
}

static void messages_published_before_the_connection_are_sent(void) {
    ferry_client *sub = connect_client(&broker), *pub = NULL;
    Seen seen = {0};

    CU_ASSERT_EQUAL(ferry_subscribe(sub, "early", NULL, see, &seen, NULL, NULL), 0);
    CU_ASSERT_EQUAL(ferry_open(broker.url, NULL, &pub, NULL), 0);
    CU_ASSERT_EQUAL(ferry_publish(pub, "early", ferry_str("bird"), NULL, NULL), 0);
    ferry_close(pub);
    CU_ASSERT_TRUE(process_until(sub, &seen.n, 1));
    ferry_close(sub);
}

static const ferry_message *kept[10000];

static void keep(const ferry_message *message, void *ctx) {
    int *n = ctx;

    if (*n < 10000)
        kept[(*n)++] = ferry_keep(message);
}

static size_t resident(void) {
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    if (!f || fscanf(f, "%*u %lu", &pages) != 1)
        pages = 0;
    if (f)
        fclose(f);
    return pages * 4096;
}

static void kept_messages_take_their_own_size(void) {
    ferry_client *sub = connect_client(&broker), *pub = connect_client(&broker);
    size_t before;
    int n = 0;

    CU_ASSERT_EQUAL(ferry_subscribe(sub, "keep", NULL, keep, &n, NULL, NULL), 0);
    before = resident();
    for (int i = 0; i < 10000; i++) {
        char body[64] = "";

        snprintf(body, sizeof(body), "%d", i);
        CU_ASSERT_EQUAL(ferry_publish(pub, "keep", ferry_bytes_of(body, 64), NULL, NULL), 0);
        if (i % 100 == 0)
            ferry_process(sub, NULL);
    }
    CU_ASSERT_TRUE(process_both_until(sub, pub, &n, 10000));
    /* 10 000 messages of 64 bytes with their records, not 10 000 batches. */
#ifndef SANITIZED
    CU_ASSERT_TRUE(resident() - before < 16 << 20);
#else
    (void)before;
#endif
    for (int i = 0; i < 10000; i++) {
        CU_ASSERT_EQUAL(atoi(kept[i]->body.data), i);
        CU_ASSERT_STRING_EQUAL(kept[i]->topic, "keep");
        ferry_free(kept[i]);
    }
    ferry_close(sub);
    ferry_close(pub);
}

static void flush_waits_until_the_broker_has_all_messages(void) {
    static const char large[3000];
    ferry_client *pub = connect_client(&broker), *sub = connect_client(&broker);
    const ferry_publish_options retain = {.retain = true};
    Seen seen = {0};

    CU_ASSERT_EQUAL(ferry_flush(pub, NULL), 0);
    CU_ASSERT_TRUE(ferry_fd(pub) >= 0);
    for (int i = 0; i < 1000; i++)
        CU_ASSERT_EQUAL(
            ferry_publish(pub, "flush.much", ferry_bytes_of(large, sizeof(large)), NULL, NULL), 0);
    CU_ASSERT_EQUAL(ferry_publish(pub, "flush.last", ferry_str("here"), &retain, NULL), 0);
    CU_ASSERT_EQUAL(ferry_flush(pub, NULL), 0);
    /* A subscriber that comes now gets the last message. */
    CU_ASSERT_EQUAL(ferry_subscribe(sub, "flush.last", NULL, see, &seen, NULL, NULL), 0);
    CU_ASSERT_TRUE(process_until(sub, &seen.n, 1));
    CU_ASSERT_STRING_EQUAL(seen.body, "here");
    ferry_close(sub);
    ferry_close(pub);
}

static void bad_names_and_options_are_refused(void) {
    ferry_client *client = connect_client(&broker);
    ferry_error error = FERRY_ERROR_INIT;
    Seen seen = {0};
    const ferry_publish_options reserved = {.reserved = {1}};

    CU_ASSERT_EQUAL(ferry_publish(client, "a..b", ferry_str(""), NULL, &error), -EINVAL);
    CU_ASSERT_EQUAL(ferry_publish(client, "a.*", ferry_str(""), NULL, &error), -EINVAL);
    CU_ASSERT_EQUAL(ferry_publish(client, NULL, ferry_str(""), NULL, &error), -EINVAL);
    CU_ASSERT_EQUAL(ferry_publish(client, "a", ferry_str(""), &reserved, &error), -EINVAL);
    CU_ASSERT_EQUAL(ferry_publish(client, "ferry.x", ferry_str(""), NULL, NULL), -EACCES);
    CU_ASSERT_EQUAL(ferry_subscribe(client, "a.>.b", NULL, see, &seen, NULL, &error), -EINVAL);
    CU_ASSERT_STRING_EQUAL(error.type, "ferry.Misuse");
    CU_ASSERT_EQUAL(ferry_gather(client, "a", ferry_str(""), 0, see, &seen, &error), -EINVAL);
    ferry_error_clear(&error);
    ferry_close(client);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(published_messages_arrive_in_order),
        TEST(a_publisher_may_be_told_of_each_publish),
        TEST(a_subscription_has_its_policy_and_backlog),
        TEST(a_retained_value_comes_first),
        TEST(a_callback_may_end_its_own_subscription),
        TEST(an_answer_names_its_subscriber),
        TEST(a_question_gathers_the_answers),
        TEST(a_lost_connection_ends_gathering_at_once),
        TEST(a_lost_connection_ends_pinging_at_once),
        TEST(messages_published_before_the_connection_are_sent),
        TEST(kept_messages_take_their_own_size),
        TEST(flush_waits_until_the_broker_has_all_messages),
        TEST(bad_names_and_options_are_refused),
        TESTS_END,
    };
    int status;

    broker_spawn(&broker);
    status = run_suite("client: topics", tests);
    broker_terminate(&broker);
    return status;
}

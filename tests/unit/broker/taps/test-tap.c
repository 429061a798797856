/* SPDX-License-Identifier: Apache-2.0 */

#include <stdlib.h>

#include "broker/taps/tap.h"
#include "support/suite.h"
#include "unit/broker/fake-session.h"

typedef struct Fixture {
    Broker broker;
    Session *watcher, *worker;
} Fixture;

static void start(Fixture *f) {
    fake_broker_init(&f->broker);
    CU_ASSERT_EQUAL(taps_new(&f->broker.taps, &f->broker), 0);
    f->watcher = fake_connect(&f->broker, 'w');
    f->worker = fake_connect(&f->broker, 'x');
}

static void end(Fixture *f) {
    f->broker.taps = taps_free(f->broker.taps);
    CU_ASSERT_EQUAL(f->broker.tap_generation, 0);
    fake_disconnect(f->watcher);
    fake_disconnect(f->worker);
    fake_broker_deinit(&f->broker);
}

static int watch(Fixture *f, uint64_t id, TapKind kind, const char *pattern, uint64_t session) {
    TapFilter filter = {.session = session, .max_body = 4};

    if (pattern) {
        filter.names[kind].patterns = &pattern;
        filter.names[kind].n = 1;
    }
    return taps_open(f->broker.taps, f->watcher, id, &filter, NULL);
}

static void record(Fixture *f, TapKind kind, const char *name, const char *body) {
    TapMark mark = {0};

    if (tap_watches(&f->broker, kind, &mark, span_text(name)))
        taps_record(f->broker.taps, &(TapEvent){.kind = kind,
                                                .op = OP_PUBLISH,
                                                .session = f->worker,
                                                .name = span_text(name),
                                                .body = span_text(body)});
}

/* The value of a number in the next record; UINT64_MAX: there is no record. */
static uint64_t next_number(Fixture *f, const char *key) {
    const FakeSent *sent = fake_take(f->watcher);
    uint32_t left;
    Reader pairs;
    Span name;

    if (!sent || sent->message.op != OP_ITEM)
        return UINT64_MAX;
    pairs = pairs_of(sent->message.body, &left);
    while (pairs_next(&pairs, &left, &name)) {
        if (span_is(name, key))
            return reader_uint(&pairs);
        reader_value(&pairs);
    }
    return UINT64_MAX;
}

static void without_taps_no_name_is_watched(void) {
    TapMark mark = {0};
    Fixture f;

    start(&f);
    CU_ASSERT_FALSE(tap_watches(&f.broker, TAP_TOPICS, &mark, span_text("a")));
    end(&f);
}

static void a_tap_gets_the_names_that_its_patterns_match(void) {
    Fixture f;

    start(&f);
    CU_ASSERT_EQUAL(watch(&f, 7, TAP_TOPICS, "orders.*", 0), 0);
    record(&f, TAP_TOPICS, "orders.new", "123456");
    record(&f, TAP_TOPICS, "orders.eu.new", "");
    record(&f, TAP_QUEUES, "orders.new", "");
    CU_ASSERT_EQUAL(fake_n_sent(f.watcher), 1);
    CU_ASSERT_EQUAL(fake_peek(f.watcher)->message.id, 7);
    CU_ASSERT_EQUAL(next_number(&f, "bytes"), 6);
    end(&f);
}

static void a_mark_is_out_of_date_when_a_tap_comes_or_goes(void) {
    TapMark mark = {0};
    Fixture f;

    start(&f);
    watch(&f, 1, TAP_TOPICS, "a", 0);
    CU_ASSERT_FALSE(tap_watches(&f.broker, TAP_TOPICS, &mark, span_text("b")));
    watch(&f, 2, TAP_TOPICS, "b", 0);
    CU_ASSERT_TRUE(tap_watches(&f.broker, TAP_TOPICS, &mark, span_text("b")));
    CU_ASSERT_TRUE(taps_cancel(f.broker.taps, f.watcher, 2));
    CU_ASSERT_FALSE(tap_watches(&f.broker, TAP_TOPICS, &mark, span_text("b")));
    CU_ASSERT_FALSE(taps_cancel(f.broker.taps, f.watcher, 2));
    end(&f);
}

static void a_slow_tap_misses_records_and_is_told_how_many(void) {
    uint64_t sent, missed;
    Fixture f;

    start(&f);
    watch(&f, 1, TAP_TOPICS, NULL, 0);
    for (int i = 0; i < 10000; i++)
        record(&f, TAP_TOPICS, "a", "x");
    sent = fake_n_sent(f.watcher);
    CU_ASSERT_TRUE(sent > 0 && sent < 10000);
    fake_drop(f.watcher);
    CU_ASSERT_TRUE(taps_more(f.broker.taps, f.watcher, 1, 100000));
    record(&f, TAP_TOPICS, "a", "x");
    missed = next_number(&f, "missed");
    CU_ASSERT_EQUAL(missed, 10000 - sent);
    record(&f, TAP_TOPICS, "a", "x");
    CU_ASSERT_EQUAL(next_number(&f, "missed"), 0);
    end(&f);
}

static void a_tap_of_one_session_gets_no_messages_of_others(void) {
    Fixture f;

    start(&f);
    watch(&f, 1, TAP_TOPICS, NULL, f.worker->number + 1000);
    record(&f, TAP_TOPICS, "a", "");
    CU_ASSERT_EQUAL(fake_n_sent(f.watcher), 0);
    watch(&f, 2, TAP_TOPICS, NULL, f.worker->number);
    record(&f, TAP_TOPICS, "a", "");
    CU_ASSERT_EQUAL(fake_n_sent(f.watcher), f.worker->number == 0 ? 2 : 1);
    end(&f);
}

static void taps_and_patterns_are_limited(void) {
    Fixture f;

    start(&f);
    CU_ASSERT_EQUAL(watch(&f, 1, TAP_TOPICS, "a..b", 0), -EINVAL);
    for (uint64_t id = 1; id <= TAPS_MAX; id++)
        CU_ASSERT_EQUAL(watch(&f, id, TAP_TOPICS, "a", 0), 0);
    CU_ASSERT_EQUAL(watch(&f, 99, TAP_TOPICS, "a", 0), -ENOBUFS);
    end(&f);
}

static void taps_end_with_their_session(void) {
    Fixture f;

    start(&f);
    watch(&f, 1, TAP_TOPICS, "a", 0);
    rooms_session_gone(&f.broker, f.watcher);
    CU_ASSERT_EQUAL(f.broker.tap_generation, 0);
    end(&f);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(without_taps_no_name_is_watched),
        TEST(a_tap_gets_the_names_that_its_patterns_match),
        TEST(a_mark_is_out_of_date_when_a_tap_comes_or_goes),
        TEST(a_slow_tap_misses_records_and_is_told_how_many),
        TEST(a_tap_of_one_session_gets_no_messages_of_others),
        TEST(taps_and_patterns_are_limited),
        TEST(taps_end_with_their_session),
        TESTS_END,
    };

    return run_suite("broker taps", tests);
}

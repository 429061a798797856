/* SPDX-License-Identifier: Apache-2.0 */

/* Clients report their caches to ferry.Broker, which lists them until their sessions end. */

#include "broker/admin/caches.h"

#include "base/log.h"
#include "broker/admin/admin.h"
#include "ferry-broker.h"
#include "rpc/schema/codec/codec.h"
#include "rpc/schema/description/description.h"
#include "support/fake-hub.h"
#include "support/suite.h"

static Broker broker;
static Peer *peer, *other;
static uint64_t last_id;
static void *rows; /* the list that list() returned last */

static void begin(void) {
    log_level = LOG_LEVEL_ERROR;
    fake_hub_init(&broker);
    last_id = 0;
    peer = fake_peer_new(&broker);
    other = fake_peer_new(&broker);
    fake_hello(&broker, peer, 'p');
    fake_hello(&broker, other, 'q');
}

static void end(void) {
    ferry_free(rows);
    rows = NULL;
    fake_hub_deinit(&broker);
}

static const Message *call(Peer *from, const char *method, Span body) {
    fake_say(&broker, from,
             &(Message){.op = OP_CALL,
                        .id = ++last_id,
                        .call.timeout_ms = 1000,
                        .name = span_text("ferry.Broker"),
                        .call.method = span_text(method),
                        .body = body});
    return fake_next_real(from);
}

/* Reports n caches, PLACE-0 and so on. NULL: the broker has taken the report; else its error. */
static const char *report(Peer *from, uint32_t n, const char *place, int64_t hits) {
    CLEANUP(buffer_deinit) Buffer args = {0};
    const Message *m;

    write_array(&args, 1);
    write_array(&args, n);
    for (uint32_t i = 0; i < n; i++) {
        char text[300];

        snprintf(text, sizeof(text), "%s-%u", place, i);
        write_map(&args, 2);
        write_text(&args, "cache");
        write_text(&args, text);
        write_text(&args, "hits");
        write_int(&args, hits);
    }
    m = call(from, "report_caches", span_of(args.data, args.len));
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    return m->op == OP_OK ? NULL : fake_error(m, "message");
}

/* The broker's list, valid until the next call. */
static const ferry_broker_list_cache_status *list(void) {
    const Message *m = call(peer, "caches", span_text(""));

    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    CU_ASSERT_EQUAL_FATAL(m->op, OP_OK);
    ferry_free(rows);
    rows = NULL;
    CU_ASSERT_EQUAL_FATAL(
        schema_unpack(description_method(&ferry_service_ferry_broker, "caches")->result, m->body,
                      "caches", &rows, NULL),
        0);
    return rows;
}

static size_t n_listed(void) {
    return list()->n;
}

static void a_report_is_listed_with_its_session(void) {
    const ferry_broker_list_cache_status *listed;

    begin();
    CU_ASSERT_EQUAL(n_listed(), 0);
    CU_ASSERT_PTR_NULL(report(other, 2, "redis://cache", 7));
    fake_wait(&broker, 1500);
    listed = list();
    CU_ASSERT_EQUAL_FATAL(listed->n, 2);
    CU_ASSERT_STRING_EQUAL(listed->v[0].cache, "redis://cache-0");
    CU_ASSERT_STRING_EQUAL(listed->v[1].cache, "redis://cache-1");
    CU_ASSERT_EQUAL(listed->v[0].hits, 7);
    CU_ASSERT_EQUAL(listed->v[0].misses, 0);
    CU_ASSERT_EQUAL(*listed->v[0].session, 2);
    CU_ASSERT_EQUAL(*listed->v[0].age_ms, 1500);
    end();
}

static void a_report_replaces_the_one_before(void) {
    uint64_t held;

    begin();
    CU_ASSERT_PTR_NULL(report(peer, 3, "redis://a", 1));
    CU_ASSERT_PTR_NULL(report(other, 1, "redis://b", 1));
    held = peer->account.held;
    CU_ASSERT_PTR_NULL(report(peer, 3, "redis://a", 2));
    CU_ASSERT_EQUAL(peer->account.held, held);
    CU_ASSERT_EQUAL(n_listed(), 4);
    CU_ASSERT_PTR_NULL(report(peer, 0, "", 0));
    CU_ASSERT(peer->account.held < held);
    CU_ASSERT_EQUAL(n_listed(), 1);
    CU_ASSERT_STRING_EQUAL(list()->v[0].cache, "redis://b-0");
    end();
}

static void the_reports_of_a_session_end_with_it(void) {
    begin();
    report(other, CACHES_MAX, "redis://a", 1);
    report(peer, 1, "redis://b", 1);
    CU_ASSERT_EQUAL(n_listed(), CACHES_MAX + 1);
    fake_peer_gone(&broker, other);
    CU_ASSERT_EQUAL(n_listed(), 1);
    end();
}

static void a_report_has_limits(void) {
    char place[200];

    begin();
    report(peer, 1, "redis://kept", 1);
    CU_ASSERT_STRING_EQUAL(report(peer, CACHES_MAX + 1, "redis://a", 1),
                           "args.caches: 9 caches; a client reports at most 8");
    CU_ASSERT_STRING_EQUAL(report(peer, 2, "redis://a", -1),
                           "args.caches[0].hits: cannot be negative");
    CU_ASSERT_EQUAL(n_listed(), 1);
    snprintf(place, sizeof(place), "redis://%0*d", 180, 0);
    CU_ASSERT_PTR_NULL(report(peer, 1, place, 1));
    CU_ASSERT(strlen(list()->v[0].cache) > 100);
    CU_ASSERT(strlen(list()->v[0].cache) <= 127);
    end();
}

/* A list that takes several turns passes over reports that are gone meanwhile. */
static void a_long_list_survives_sessions_that_end(void) {
    enum { SESSIONS = 100 };
    Peer *many[SESSIONS];
    const Message *m;

    begin();
    for (int i = 0; i < SESSIONS; i++) {
        many[i] = fake_peer_new(&broker);
        fake_hello(&broker, many[i], (uint8_t)(120 + i));
        CU_ASSERT_PTR_NULL(report(many[i], CACHES_MAX, "redis://a", i));
    }
    /* The first slice of the list is written in this turn. */
    CU_ASSERT_PTR_NULL(call(peer, "caches", span_text("")));
    for (int i = 0; i < SESSIONS - 1; i++)
        fake_peer_gone(&broker, many[i]);
    for (int i = 0; !(m = fake_next_real(peer)) && i < 100; i++)
        fake_wait(&broker, 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    CU_ASSERT_EQUAL(m->op, OP_OK);
    CU_ASSERT_EQUAL(n_listed(), CACHES_MAX);
    end();
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_report_is_listed_with_its_session),    TEST(a_report_replaces_the_one_before),
        TEST(the_reports_of_a_session_end_with_it),   TEST(a_report_has_limits),
        TEST(a_long_list_survives_sessions_that_end), TESTS_END,
    };

    return run_suite("broker manage caches", tests);
}

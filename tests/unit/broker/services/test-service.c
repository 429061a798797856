/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "broker/admin/admin-private.h"
#include "broker/services/services.h"
#include "broker/sessions/hello.h"
#include "broker/sessions/user.h"
#include "rpc/schema/description/description.h"
#include "support/fake-hub.h"
#include "support/suite.h"

enum { AHEAD = 1 }; /* number of calls that a new server with one slot gets at once */

static Broker broker;
static Peer *server, *caller;

static Peer *connected(uint8_t client) {
    Peer *peer = fake_peer_new(&broker);

    fake_hello(&broker, peer, client);
    while (fake_next(peer))
        continue;
    return peer;
}

static void serve(Peer *peer, const char *instance, uint64_t slots) {
    const Message *ok;

    fake_say(&broker, peer,
             &(Message){.op = OP_SERVE,
                        .id = 1,
                        .name = span_text("calc.Calc"),
                        .serve.slots = slots,
                        .serve.instance = span_text(instance)});
    ok = fake_next_real(peer);
    CU_ASSERT_PTR_NOT_NULL_FATAL(ok);
    CU_ASSERT_EQUAL(ok->op, OP_OK);
}

static void begin(void) {
    log_level = LOG_LEVEL_ERROR;
    fake_hub_init(&broker);
    server = connected('s');
    caller = connected('c');
    serve(server, "one", 1);
}

static Message call_of(uint64_t id, uint64_t flags) {
    return (Message){.op = OP_CALL,
                     .id = id,
                     .call.timeout_ms = 1000,
                     .call.flags = flags,
                     .name = span_text("calc.Calc"),
                     .call.method = span_text("add"),
                     .body = span_text("\x92\x02\x03")};
}

static void call(uint64_t id, uint64_t flags) {
    Message message = call_of(id, flags);

    fake_say(&broker, caller, &message);
}

/* Checks that the next message to a peer has this op; returns its id. */
static uint64_t expect(Peer *peer, Op op) {
    const Message *m = fake_next_real(peer);

    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    CU_ASSERT_EQUAL(m->op, op);
    return m->id;
}

static void expect_error(Peer *peer, uint64_t id, const char *type) {
    const Message *m = fake_next_real(peer);

    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    CU_ASSERT_EQUAL_FATAL(m->op, OP_ERROR);
    CU_ASSERT_EQUAL(m->id, id);
    CU_ASSERT_STRING_EQUAL(fake_error(m, "type"), type);
}

static void answer(Peer *peer, uint64_t id) {
    fake_say(&broker, peer, &(Message){.op = OP_OK, .id = id, .body = span_text("\x05")});
}

static void a_call_reaches_its_server_and_the_answer_its_caller(void) {
    const Message *m;

    begin();
    call(7, 0);
    m = fake_next_real(server);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    CU_ASSERT_EQUAL(m->op, OP_CALL);
    CU_ASSERT_TRUE(span_is(m->name, "calc.Calc"));
    CU_ASSERT_TRUE(span_is(m->call.method, "add"));
    CU_ASSERT_EQUAL(m->body.len, 3);
    CU_ASSERT_TRUE(span_is(m->call.text, "test"));
    CU_ASSERT(m->call.timeout_ms > 0 && m->call.timeout_ms <= 1000);
    answer(server, m->id);
    m = fake_next_real(caller);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    CU_ASSERT_EQUAL(m->op, OP_OK);
    CU_ASSERT_EQUAL(m->id, 7);
    CU_ASSERT_TRUE(span_is(m->body, "\x05"));
    fake_hub_deinit(&broker);
}

static void an_answer_without_a_body_is_passed_on_whole(void) {
    uint64_t id;

    begin();
    call(7, 0);
    id = expect(server, OP_CALL);
    /* The bytes are [10, id]. fake_next() reads the caller's message, and aborts if it is
     * malformed. */
    fake_receive(&broker, server, (uint8_t[]){0xF7, 1, 0x92, 10, (uint8_t)id}, 5);
    CU_ASSERT_EQUAL(expect(caller, OP_OK), 7);
    call(8, 0);
    CU_ASSERT_EQUAL(expect(server, OP_CALL), id + 1);
    fake_hub_deinit(&broker);
}

static void answers_that_a_slow_caller_has_no_room_for_fail_alone(void) {
    enum { CALLS = 8, PARTS = 5 };
    static uint8_t part[64 * 1024];
    unsigned n_answered = 0, n_refused = 0;
    const Message *m;

    begin();
    broker.limits.max_session_bytes = 1 << 20;
    serve(server, "one", CALLS);
    for (uint64_t i = 1; i <= CALLS; i++)
        call(i, 0);
    for (uint64_t i = 1; i <= CALLS; i++) {
        uint64_t id = expect(server, OP_CALL);

        for (unsigned k = 0; k < PARTS; k++)
            fake_say(
                &broker, server,
                &(Message){.op = OP_PART, .part.transfer = i, .body = span_of(part, sizeof(part))});
        fake_say(&broker, server, &(Message){.op = OP_OK, .id = id, .body_transfer = i});
    }
    while ((m = fake_next_real(caller))) {
        n_answered += m->op == OP_OK;
        if (m->op == OP_ERROR) {
            CU_ASSERT_STRING_EQUAL(fake_error(m, "type"), "ferry.Overloaded");
            n_refused++;
        }
        CU_ASSERT_NOT_EQUAL(m->op, OP_BYE);
    }
    CU_ASSERT_EQUAL(n_answered, 3); /* each answer has 320 KiB */
    CU_ASSERT_EQUAL(n_refused, CALLS - 3);
    /* The session continues. */
    call(CALLS + 1, 0);
    answer(server, expect(server, OP_CALL));
    CU_ASSERT_EQUAL(expect(caller, OP_OK), CALLS + 1);
    fake_hub_deinit(&broker);
}

/* ---- users ---- */

static void be_users(const char *may_of_caller) {
    char problem[RIGHTS_PROBLEM_MAX];
    Rights *rights = rights_new();
    int line;

    rights_section(rights, false, "joe", 1, problem);
    rights_set(rights, false, "joe", "uid", "1001", 1, problem);
    rights_set(rights, false, "joe", "may", may_of_caller, 1, problem);
    rights_set(rights, false, "joe", "groups", "staff", 1, problem);
    rights_section(rights, true, "staff", 1, problem);
    CU_ASSERT_EQUAL_FATAL(rights_complete(rights, 1, &line, problem), 0);
    caller->has_uid = server->has_uid = true;
    caller->uid = 1001;
    sessions_set_rights(&broker, rights);
    sessions_turn_end(&broker);
    /* The first session of the caller, which had all rights, has ended. */
    caller = fake_peer_new(&broker);
    caller->has_uid = true;
    caller->uid = 1001;
    fake_hello(&broker, caller, 'C');
    while (fake_next_real(caller) || fake_next_real(server))
        continue;
}

static void end_users(void) {
    fake_hub_deinit(&broker);
    rights_free(broker.rights);
}

static void call_method(uint64_t id, const char *method) {
    fake_say(&broker, caller,
             &(Message){.op = OP_CALL,
                        .id = id,
                        .call.timeout_ms = 1000,
                        .name = span_text("calc.Calc"),
                        .call.method = span_text(method),
                        .call.user = span_text("root"),
                        .call.text = span_text("root")});
}

static void a_caller_cannot_choose_its_user(void) {
    const Message *m;

    begin();
    call_method(7, "add");
    m = fake_next_real(server);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    CU_ASSERT_EQUAL(m->call.user.len, 0);
    answer(server, m->id);
    be_users("call >");
    call_method(8, "add");
    m = fake_next_real(server);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    CU_ASSERT_EQUAL_FATAL(m->op, OP_CALL);
    CU_ASSERT_TRUE(span_is(m->call.user, "joe"));
    end_users();
}

/* The server sends SERVE for calc.Calc (again); the method `reset` in the description has this
 * annotation. */
static void serve_guarded(const char *may) {
    ferry_annotation annotation = {"may", may};
    ferry_notes notes = {.n_annotations = may != NULL, .annotations = &annotation};
    ferry_type nothing = {.kind = FERRY_KIND_ARGS};
    ferry_method methods[] = {{.name = "add", .args = &nothing},
                              {.name = "reset", .args = &nothing, .notes = &notes}};
    ferry_service service = {.schema_version = FERRY_SCHEMA_VERSION,
                             .name = "calc.Calc",
                             .n_methods = 2,
                             .methods = methods};
    CLEANUP(buffer_deinit) Buffer description = {0};

    CU_ASSERT_EQUAL_FATAL(description_write(&service, &description), 0);
    fake_say(&broker, server,
             &(Message){.op = OP_SERVE,
                        .id = 90,
                        .name = span_text("calc.Calc"),
                        .serve.slots = 10,
                        .body = span_of(description.data, description.len)});
    CU_ASSERT_EQUAL(expect(server, OP_OK), 90);
}

static bool is_denied(const char *method) {
    static uint64_t id = 1000;
    const Message *m;

    call_method(++id, method);
    m = fake_next_real(caller);
    if (!m) {
        m = fake_next_real(server);
        CU_ASSERT_PTR_NOT_NULL_FATAL(m);
        CU_ASSERT_EQUAL(m->op, OP_CALL);
        answer(server, m->id);
        CU_ASSERT_EQUAL(expect(caller, OP_OK), id);
        return false;
    }
    CU_ASSERT_EQUAL_FATAL(m->op, OP_ERROR);
    CU_ASSERT_STRING_EQUAL(fake_error(m, "type"), "ferry.PermissionDenied");
    CU_ASSERT_STRING_EQUAL(fake_error(m, "message"),
                           "the user 'joe' has no right to call 'calc.Calc.reset'");
    return true;
}

static void an_annotation_guards_a_method(void) {
    begin();
    serve_guarded("admins");
    be_users("call >");
    CU_ASSERT_TRUE(is_denied("reset"));
    CU_ASSERT_FALSE(is_denied("add"));
    serve_guarded("admins, joe");
    CU_ASSERT_FALSE(is_denied("reset"));
    serve_guarded("staff");
    CU_ASSERT_FALSE(is_denied("reset"));
    serve_guarded("jo");
    CU_ASSERT_TRUE(is_denied("reset"));
    serve_guarded("");
    CU_ASSERT_TRUE(is_denied("reset"));
    serve_guarded(NULL);
    CU_ASSERT_FALSE(is_denied("reset"));
    serve_guarded("admins");
    end_users();

    begin();
    serve_guarded("admins");
    be_users("admin");
    CU_ASSERT_FALSE(is_denied("reset"));
    end_users();
}

static void calls_without_a_server_fail_at_once(void) {
    Message m;

    begin();
    m = call_of(1, 0);
    m.name = span_text("no.Such");
    fake_say(&broker, caller, &m);
    expect_error(caller, 1, "ferry.NoSuchService");
    m = call_of(2, 0);
    m.call.instance = span_text("two");
    fake_say(&broker, caller, &m);
    expect_error(caller, 2, "ferry.NoSuchService");
    m = call_of(3, 0);
    m.call.timeout_ms = 3600001;
    fake_say(&broker, caller, &m);
    expect_error(caller, 3, "ferry.InvalidArgument");
    m = call_of(4, 0);
    m.call.method = span_text("");
    fake_say(&broker, caller, &m);
    expect_error(caller, 4, "ferry.InvalidArgument");
    m = call_of(5, 0);
    m.name = span_text("ferry.Nothing");
    fake_say(&broker, caller, &m);
    expect_error(caller, 5, "ferry.NoSuchService");
    CU_ASSERT_PTR_NULL(fake_next_real(server));
    fake_hub_deinit(&broker);
}

static void a_deadline_answers_the_caller_and_cancels_at_the_server(void) {
    uint64_t id;

    begin();
    call(7, 0);
    id = expect(server, OP_CALL);
    fake_wait(&broker, 999);
    CU_ASSERT_PTR_NULL(fake_next_real(caller));
    fake_wait(&broker, 1);
    expect_error(caller, 7, "ferry.DeadlineExceeded");
    CU_ASSERT_EQUAL(expect(server, OP_CANCEL), id);
    answer(server, id);
    CU_ASSERT_PTR_NULL(fake_next_real(caller));
    CU_ASSERT_EQUAL(broker.stats.late_answers, 1);
    fake_hub_deinit(&broker);
}

static void callers_of_a_lost_server_get_an_error_at_once(void) {
    begin();
    for (uint64_t id = 1; id <= 100; id++)
        call(id, 0);
    fake_peer_gone(&broker, server);
    for (uint64_t id = 1; id <= 100; id++) {
        const Message *m = fake_next_real(caller);

        CU_ASSERT_PTR_NOT_NULL_FATAL(m);
        CU_ASSERT_EQUAL(m->op, OP_ERROR);
        /* The server has begun only the first call. */
        CU_ASSERT_STRING_EQUAL(fake_error(m, "type"),
                               id == 1 ? "ferry.ServerLost" : "ferry.NoSuchService");
    }
    CU_ASSERT_PTR_NULL(fake_next_real(caller));
    CU_ASSERT_EQUAL(services_n_calls(broker.services), 0);
    fake_hub_deinit(&broker);
}

static void an_idempotent_call_is_moved_once(void) {
    Peer *second;

    begin();
    call(7, CALL_IDEMPOTENT);
    expect(server, OP_CALL);
    second = connected('t');
    serve(second, "two", 1);
    fake_peer_gone(&broker, server);
    expect(second, OP_CALL);
    CU_ASSERT_PTR_NULL(fake_next_real(caller));
    fake_peer_gone(&broker, second);
    expect_error(caller, 7, "ferry.ServerLost");
    fake_hub_deinit(&broker);
}

static void a_cancelled_call_keeps_its_slot_until_the_server_answers(void) {
    Peer *second;
    uint64_t id;

    begin();
    second = connected('t');
    serve(second, "two", 1);
    call(1, 0);
    call(2, 0);
    call(3, 0); /* both servers are busy, so the call waits */
    fake_say(&broker, caller, &(Message){.op = OP_CANCEL, .id = 1});
    expect_error(caller, 1, "ferry.Cancelled");
    CU_ASSERT_EQUAL(services_n_calls(broker.services), 3);
    id = expect(second, OP_CALL);
    CU_ASSERT_EQUAL(expect(second, OP_CANCEL), id);
    CU_ASSERT_PTR_NULL(fake_next_real(second));
    answer(second, id);
    expect(second, OP_CALL);
    fake_hub_deinit(&broker);
}

static void a_session_cannot_answer_for_another_session(void) {
    Peer *thief;
    uint64_t id;

    begin();
    thief = connected('x');
    call(7, 0);
    id = expect(server, OP_CALL);
    answer(thief, id);
    answer(caller, 7);
    CU_ASSERT_PTR_NULL(fake_next_real(caller));
    answer(server, id);
    answer(server, id);
    CU_ASSERT_EQUAL(expect(caller, OP_OK), 7);
    CU_ASSERT_PTR_NULL(fake_next_real(caller));
    CU_ASSERT_EQUAL(broker.stats.late_answers, 3);
    fake_hub_deinit(&broker);
}

/* The caller gets an error, the slot is free again, and the server gets no CANCEL. */
static void malformed_answers_end_their_call(void) {
    static const char *const errors[] = {"\x90", "\x80", "\x81\xa4type\x07", "\x81\xa4type\xa0"};
    uint8_t bytes[] = {WIRE_MAGIC, WIRE_PROTOCOL, 0x93, OP_OK, 0, 0xA0};
    uint64_t id;

    begin();
    for (size_t i = 0; i < 4; i++) {
        call(10 + i, 0);
        id = expect(server, OP_CALL);
        fake_say(&broker, server,
                 &(Message){.op = OP_ERROR, .id = id, .error.map = span_text(errors[i])});
        expect_error(caller, 10 + i, "ferry.Internal");
    }
    call(20, 0);
    bytes[4] = (uint8_t)expect(server, OP_CALL);
    fake_receive(&broker, server, bytes, sizeof(bytes)); /* OK(id, "") */
    expect_error(caller, 20, "ferry.Internal");
    fake_say(
        &broker, caller,
        &(Message){
            .op = OP_CALL, .id = 21, .name = span_text("a..b"), .call.method = span_text("m")});
    expect_error(caller, 21, "ferry.InvalidArgument");
    call(22, 0);
    answer(server, expect(server, OP_CALL)); /* no CANCEL comes before it */
    CU_ASSERT_EQUAL(expect(caller, OP_OK), 22);
    CU_ASSERT_EQUAL(services_n_calls(broker.services), 0);
    fake_hub_deinit(&broker);
}

/* The call waits for a slot until its caller's session has ended: its server still gets the
 * caller's name. */
static void a_oneway_call_names_its_caller(void) {
    const Message *m;
    uint64_t first;

    begin();
    call(1, 0);
    call(2, CALL_ONEWAY);
    expect(caller, OP_OK);
    fake_peer_gone(&broker, caller);
    first = expect(server, OP_CALL);
    expect(server, OP_CANCEL);
    answer(server, first);
    m = fake_next_real(server);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    CU_ASSERT_TRUE(span_is(m->call.text, "test"));
    fake_hub_deinit(&broker);
}

static void a_refused_answer_with_the_id_of_an_own_call_ends_no_call(void) {
    static uint8_t big[1001];

    begin();
    caller->in.max_body = 1000;
    for (uint64_t id = 1; id <= AHEAD + 2; id++)
        call(id, 0);
    fake_say(&broker, caller,
             &(Message){.op = OP_PART, .part.transfer = 1, .body = span_of(big, sizeof(big))});
    fake_say(&broker, caller, &(Message){.op = OP_OK, .id = AHEAD + 2, .body_transfer = 1});
    CU_ASSERT_PTR_NULL(fake_next_real(caller));
    CU_ASSERT_EQUAL(services_n_calls(broker.services), AHEAD + 2);
    fake_hub_deinit(&broker);
}

static void end_and_more_are_for_streams_only(void) {
    begin();
    serve(server, "one", 2);
    call(7, 0);
    fake_say(&broker, caller, &(Message){.op = OP_END, .id = 7});
    expect_error(caller, 7, "ferry.Protocol");
    call(8, CALL_STREAM_IN);
    fake_say(&broker, caller, &(Message){.op = OP_MORE, .id = 8, .more.bytes = 5});
    expect_error(caller, 8, "ferry.Protocol");
    CU_ASSERT_FALSE(caller->closing);
    fake_hub_deinit(&broker);
}

static void a_stream_has_items_and_one_end(void) {
    uint64_t id;

    begin();
    call(7, CALL_STREAM_IN | CALL_STREAM_OUT);
    fake_say(&broker, caller, &(Message){.op = OP_ITEM, .id = 7, .body = span_text("a")});
    for (int i = 0; i < 5; i++)
        fake_say(&broker, caller, &(Message){.op = OP_END, .id = 7});
    id = expect(server, OP_CALL);
    CU_ASSERT(id > INT64_MAX);
    CU_ASSERT_EQUAL(expect(server, OP_ITEM), id);
    CU_ASSERT_EQUAL(expect(server, OP_END), id);
    CU_ASSERT_PTR_NULL(fake_next_real(server));
    fake_say(&broker, server, &(Message){.op = OP_ITEM, .id = id, .body = span_text("b")});
    fake_say(&broker, server, &(Message){.op = OP_OK, .id = id});
    CU_ASSERT_EQUAL(expect(caller, OP_ITEM), 7);
    CU_ASSERT_EQUAL(expect(caller, OP_OK), 7);
    fake_hub_deinit(&broker);
}

static void items_without_credit_fail_the_call(void) {
    static uint8_t body[100000];

    begin();
    call(7, CALL_STREAM_IN);
    for (int i = 0; i < 4; i++)
        fake_say(&broker, caller,
                 &(Message){.op = OP_ITEM, .id = 7, .body = span_of(body, sizeof(body))});
    expect_error(caller, 7, "ferry.Protocol");
    fake_hub_deinit(&broker);
}

static void the_wait_queue_is_bounded(void) {
    begin();
    broker.limits.max_waiting_calls = 3;
    for (uint64_t id = 1; id <= AHEAD + 4; id++)
        call(id, 0);
    expect_error(caller, AHEAD + 4, "ferry.Overloaded");
    broker.limits.max_calls = AHEAD + 3;
    call(100, 0);
    expect_error(caller, 100, "ferry.Overloaded");
    fake_hub_deinit(&broker);
}

static void call_from(Peer *peer, uint64_t id) {
    Message message = call_of(id, 0);

    fake_say(&broker, peer, &message);
}

/* Checks that the next call at the server comes from this caller: the caller gets its answer. */
static void expect_call_of(Peer *peer, uint64_t id) {
    answer(server, expect(server, OP_CALL));
    CU_ASSERT_EQUAL(expect(peer, OP_OK), id);
}

static void callers_take_turns(void) {
    Peer *other;

    begin();
    other = connected('d');
    for (uint64_t id = 1; id <= AHEAD + 3; id++)
        call(id, 0);
    call_from(other, 7);
    call_from(other, 8);
    for (uint64_t id = 1; id <= AHEAD; id++)
        expect_call_of(caller, id);
    expect_call_of(caller, AHEAD + 1);
    expect_call_of(other, 7);
    expect_call_of(caller, AHEAD + 2);
    expect_call_of(other, 8);
    expect_call_of(caller, AHEAD + 3);
    CU_ASSERT_EQUAL(services_n_calls(broker.services), 0);
    fake_hub_deinit(&broker);
}

static void the_caller_with_most_waiting_calls_gives_way(void) {
    Peer *other, *third;

    begin();
    broker.limits.max_waiting_calls = 6;
    other = connected('d');
    third = connected('e');
    for (uint64_t id = 1; id <= AHEAD + 6; id++)
        call(id, 0);
    /* The newest call fails, but only while its caller has more calls than the other caller. */
    for (uint64_t id = 1; id <= 3; id++) {
        call_from(other, id);
        expect_error(caller, AHEAD + 7 - id, "ferry.Overloaded");
    }
    call_from(other, 4);
    expect_error(other, 4, "ferry.Overloaded");
    call_from(third, 1);
    call_from(third, 2);
    CU_ASSERT_PTR_NULL(fake_next_real(third));
    call_from(third, 3);
    expect_error(third, 3, "ferry.Overloaded");
    /* Calls without an id count for their caller, too. */
    call(0, 0);
    CU_ASSERT_EQUAL(services_n_calls(broker.services), AHEAD + 6);
    fake_hub_deinit(&broker);
}

static void calls_without_an_id_wait_after_their_caller_is_gone(void) {
    begin();
    for (uint64_t id = 1; id <= AHEAD; id++)
        call(id, 0);
    call(0, 0);
    call(100, 0);
    fake_peer_gone(&broker, caller);
    for (uint64_t id = 1; id <= AHEAD; id++) {
        uint64_t request = expect(server, OP_CALL);

        answer(server, request);
    }
    for (uint64_t id = 1; id <= AHEAD; id++)
        expect(server, OP_CANCEL);
    answer(server, expect(server, OP_CALL));
    CU_ASSERT_PTR_NULL(fake_next_real(server));
    CU_ASSERT_EQUAL(services_n_calls(broker.services), 0);
    fake_hub_deinit(&broker);
}

static void an_id_in_use_is_a_fault(void) {
    begin();
    call(7, 0);
    call(7, 0);
    expect(caller, OP_FAULT);
    fake_hub_deinit(&broker);
}

static void serving_has_its_rules(void) {
    Peer *other;

    begin();
    other = connected('o');
    fake_say(&broker, other,
             &(Message){.op = OP_SERVE, .id = 1, .name = span_text("ferry.Broker")});
    expect_error(other, 1, "ferry.PermissionDenied");
    fake_say(&broker, other, &(Message){.op = OP_SERVE, .id = 2, .name = span_text("a..b")});
    expect_error(other, 2, "ferry.InvalidArgument");
    fake_say(&broker, other,
             &(Message){.op = OP_SERVE,
                        .id = 3,
                        .name = span_text("calc.Calc"),
                        .serve.instance = span_text("one")});
    expect_error(other, 3, "ferry.AlreadyExists");
    fake_say(&broker, other,
             &(Message){.op = OP_SERVE, .id = 4, .name = span_text("a"), .serve.slots = 65537});
    expect_error(other, 4, "ferry.InvalidArgument");
    fake_say(&broker, other, &(Message){.op = OP_UNSERVE, .id = 5, .name = span_text("a")});
    expect_error(other, 5, "ferry.NotFound");
    broker.limits.max_serves = 1;
    serve(other, "two", 1);
    fake_say(&broker, other, &(Message){.op = OP_SERVE, .id = 6, .name = span_text("b")});
    expect_error(other, 6, "ferry.Full");
    /* SERVE changes a server that the session already has. */
    serve(other, "two", 2);
    fake_hub_deinit(&broker);
}

static const Message *serve_described(Span description) {
    fake_say(&broker, server,
             &(Message){.op = OP_SERVE,
                        .id = 2,
                        .name = span_text("calc.Calc"),
                        .serve.slots = 1,
                        .body = description});
    return fake_next_real(server);
}

static bool is_described(void) {
    CLEANUP(buffer_deinit) Buffer list = {0};

    CU_ASSERT_EQUAL(admin_list(&broker, &list_of_services, NULL, 0, &list), 0);
    /* The last value of the list's only service is the flag. */
    return list.data[list.len - 1] == 0xC3;
}

static void a_broken_description_is_reported_and_not_listed(void) {
    static const char good[] = "\x83\xa1v\x01\xa7service\xa9"
                               "calc.Calc\xa7methods\x90";
    static const char other[] = "\x83\xa1v\x01\xa7service\xa9"
                                "calc.Calx\xa7methods\x90";
    const Message *m;

    begin();
    CU_ASSERT_FALSE(is_described());
    m = serve_described(span_text(good));
    CU_ASSERT(m && m->op == OP_OK && m->body.len == 0);
    CU_ASSERT_TRUE(is_described());
    m = serve_described(span_of(good, 20));
    CU_ASSERT_FATAL(m && m->op == OP_OK && m->id == 2);
    CU_ASSERT(m->body.len > 13 && memcmp(m->body.data, "description: ", 13) == 0);
    CU_ASSERT_FALSE(is_described());
    m = serve_described(span_text(other));
    CU_ASSERT_FATAL(m && m->op == OP_OK);
    CU_ASSERT_TRUE(span_is(m->body, "the description is for 'calc.Calx', not for 'calc.Calc'"));
    CU_ASSERT_FALSE(is_described());
    call(7, 0);
    answer(server, expect(server, OP_CALL));
    CU_ASSERT_EQUAL(expect(caller, OP_OK), 7);
    m = serve_described(span_text(good));
    CU_ASSERT(m && m->body.len == 0);
    CU_ASSERT_TRUE(is_described());
    fake_hub_deinit(&broker);
}

static void a_server_finishes_its_calls_after_unserve(void) {
    uint64_t id;

    begin();
    call(7, 0);
    id = expect(server, OP_CALL);
    fake_say(&broker, server,
             &(Message){.op = OP_UNSERVE, .id = 2, .name = span_text("calc.Calc")});
    expect(server, OP_OK);
    call(8, 0);
    answer(server, id);
    CU_ASSERT_EQUAL(services_n_calls(broker.services), 1);
    CU_ASSERT_EQUAL(expect(caller, OP_OK), 7);
    fake_hub_deinit(&broker);
}

static void a_server_lost_after_it_unserved_takes_no_slots_of_others(void) {
    Peer *leaving, *other;
    Message m = call_of(7, 0);
    int n = 0;

    begin();
    leaving = connected('l');
    serve(leaving, "two", 8);
    other = connected('o');
    serve(other, "three", 8);
    m.call.instance = span_text("two");
    fake_say(&broker, caller, &m);
    expect(leaving, OP_CALL);
    fake_say(&broker, leaving,
             &(Message){.op = OP_UNSERVE, .id = 2, .name = span_text("calc.Calc")});
    expect(leaving, OP_OK);
    fake_peer_gone(&broker, leaving);
    expect_error(caller, 7, "ferry.ServerLost");
    /* The remaining nine slots can all be used. */
    for (uint64_t id = 10; id < 19; id++)
        call(id, 0);
    while (fake_next_real(server))
        n++;
    while (fake_next_real(other))
        n++;
    CU_ASSERT_EQUAL(n, 9);
    fake_hub_deinit(&broker);
}

/* The method that was called last is found without a lookup. */
static void services_that_come_and_go_and_share_names_are_not_confused(void) {
    static const char *const names[] = {"calc.Calc", "calc.Cal", "calc.Calx", "other.Calc"};
    Message m = call_of(7, 0);
    Peer *second;

    begin();
    call(1, 0);
    answer(server, expect(server, OP_CALL));
    CU_ASSERT_EQUAL(expect(caller, OP_OK), 1);
    for (uint64_t i = 1; i < sizeof(names) / sizeof(*names); i++) {
        m.id++;
        m.name = span_text(names[i]);
        fake_say(&broker, caller, &m);
        expect_error(caller, m.id, "ferry.NoSuchService");
    }
    fake_peer_gone(&broker, server);
    call(20, 0);
    expect_error(caller, 20, "ferry.NoSuchService");
    second = connected('n');
    serve(second, "two", 1);
    call(21, 0);
    answer(second, expect(second, OP_CALL));
    CU_ASSERT_EQUAL(expect(caller, OP_OK), 21);
    fake_hub_deinit(&broker);
}

static void calls_of_a_request_end_with_the_request(void) {
    Peer *second;
    Message m;
    uint64_t id;

    begin();
    second = connected('t');
    fake_say(&broker, second,
             &(Message){.op = OP_SERVE, .id = 1, .name = span_text("deep.Deep"), .serve.slots = 1});
    expect(second, OP_OK);
    call(7, 0);
    id = expect(server, OP_CALL);
    m = call_of(50, 0);
    m.name = span_text("deep.Deep");
    m.call.parent = id;
    m.call.timeout_ms = 60000;
    fake_say(&broker, server, &m);
    expect(second, OP_CALL);
    fake_wait(&broker, 1000);
    expect_error(caller, 7, "ferry.DeadlineExceeded");
    expect(second, OP_CANCEL);
    fake_hub_deinit(&broker);
}

/* ---- sessions that wait ---- */

static void serve_deep(Peer *peer) {
    fake_say(
        &broker, peer,
        &(Message){.op = OP_SERVE, .id = 90, .name = span_text("deep.Deep"), .serve.slots = 9});
    expect(peer, OP_OK);
}

static void a_blocking_call_to_the_callers_own_service_fails_at_once(void) {
    Message m;

    begin();
    serve_deep(server);
    m = call_of(7, CALL_BLOCKS);
    m.name = span_text("deep.Deep");
    fake_say(&broker, server, &m);
    expect_error(server, 7, "ferry.Overloaded");
    /* Without the flag, the session can serve while it waits. */
    m = call_of(8, 0);
    m.name = span_text("deep.Deep");
    fake_say(&broker, server, &m);
    expect(server, OP_CALL);
    /* Another server can answer. */
    serve_deep(caller);
    m = call_of(9, CALL_BLOCKS);
    m.name = span_text("deep.Deep");
    fake_say(&broker, server, &m);
    answer(caller, expect(caller, OP_CALL));
    CU_ASSERT_EQUAL(expect(server, OP_OK), 9);
    fake_hub_deinit(&broker);
}

/* server → middle → server: the broker knows the ancestors of the call. */
static void a_call_back_to_a_session_that_waits_fails_at_once(void) {
    Peer *middle;
    Message m;
    uint64_t id;

    begin();
    middle = connected('m');
    serve_deep(server);
    fake_say(&broker, middle,
             &(Message){.op = OP_SERVE, .id = 1, .name = span_text("mid.Mid"), .serve.slots = 1});
    expect(middle, OP_OK);
    m = call_of(50, CALL_BLOCKS);
    m.name = span_text("mid.Mid");
    fake_say(&broker, server, &m);
    id = expect(middle, OP_CALL);
    m = call_of(60, CALL_BLOCKS);
    m.name = span_text("deep.Deep");
    m.call.parent = id;
    fake_say(&broker, middle, &m);
    expect_error(middle, 60, "ferry.Overloaded");
    /* The call of another request has no waiting ancestor. */
    m = call_of(61, CALL_BLOCKS);
    m.name = span_text("deep.Deep");
    fake_say(&broker, middle, &m);
    expect(server, OP_CALL);
    fake_hub_deinit(&broker);
}

/* ---- given ahead ---- */

static int n_calls_at(Peer *peer) {
    int n = 0;

    while (fake_next_real(peer))
        n++;
    return n;
}

static void only_a_quick_server_gets_calls_ahead(void) {
    uint64_t first;

    begin();
    for (uint64_t id = 1; id <= 40; id++)
        call(id, 0);
    first = expect(server, OP_CALL);
    CU_ASSERT_EQUAL(n_calls_at(server), 0);
    /* The call took long: further calls wait in the broker, where another server can get them. */
    broker.now_us += 50000;
    answer(server, first);
    CU_ASSERT_EQUAL(n_calls_at(server), 1);
    serve(connected('t'), "two", 1);
    answer(server, first + 1);
    CU_ASSERT_EQUAL(n_calls_at(server), 1);
    fake_hub_deinit(&broker);

    begin();
    for (uint64_t id = 1; id <= 40; id++)
        call(id, 0);
    answer(server, expect(server, OP_CALL));
    CU_ASSERT_TRUE(n_calls_at(server) > 1);
    fake_hub_deinit(&broker);
}

static void give_back(Peer *peer, uint64_t id) {
    fake_say(&broker, peer, &(Message){.op = OP_RETURN, .id = id});
}

/* Checks that the next message to a peer is a call with this body; returns its id. */
static uint64_t expect_call_with(Peer *peer, const char *body) {
    const Message *m = fake_next_real(peer);

    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    CU_ASSERT_EQUAL(m->op, OP_CALL);
    CU_ASSERT_TRUE(span_is(message_body(m), body));
    return m->id;
}

static void returned_calls_go_to_other_servers_in_their_order(void) {
    static const char *const bodies[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    uint64_t ids[8] = {0}, n_ahead = 0;
    const Message *next;
    Peer *second;

    begin();
    for (uint64_t i = 0; i < 8; i++) {
        Message m = call_of(i + 1, 0);

        m.body = span_text(bodies[i]);
        fake_say(&broker, caller, &m);
    }
    answer(server, expect_call_with(server, "a"));
    CU_ASSERT_EQUAL(expect(caller, OP_OK), 1);
    while ((next = fake_next_real(server)))
        ids[n_ahead++] = next->id;
    CU_ASSERT_EQUAL_FATAL(n_ahead, 5); /* one call for its slot, and AHEAD_FIRST ahead */
    /* The server has begun only "b". */
    for (uint64_t i = 1; i < n_ahead; i++)
        give_back(server, ids[i]);
    CU_ASSERT_PTR_NULL(fake_next_real(server));
    second = connected('t');
    serve(second, "two", 3);
    expect_call_with(second, "c");
    expect_call_with(second, "d");
    expect_call_with(second, "e");
    CU_ASSERT_PTR_NULL(fake_next_real(second));
    /* It gets no calls ahead again, even if it is quick. */
    fake_peer_gone(&broker, second);
    for (int i = 0; i < 3; i++)
        expect(caller, OP_ERROR);
    answer(server, ids[0]);
    expect_call_with(server, "f");
    CU_ASSERT_PTR_NULL(fake_next_real(server));
    fake_hub_deinit(&broker);
}

static void a_returned_call_without_a_caller_frees_its_slot(void) {
    uint64_t ids[8] = {0}, n = 0;
    const Message *next;

    begin();
    for (uint64_t id = 1; id <= 6; id++)
        call(id, 0);
    answer(server, expect(server, OP_CALL));
    while ((next = fake_next_real(server)))
        ids[n++] = next->id;
    CU_ASSERT_EQUAL_FATAL(n, 5);
    CU_ASSERT_EQUAL(expect(caller, OP_OK), 1);
    /* The caller cancels the last call before the server has returned it. */
    fake_say(&broker, caller, &(Message){.op = OP_CANCEL, .id = 6});
    expect_error(caller, 6, "ferry.Cancelled");
    give_back(server, ids[4]);
    give_back(server, ids[4]); /* returned twice: the second RETURN is dropped */
    for (uint64_t i = 0; i < 4; i++)
        answer(server, ids[i]);
    for (uint64_t id = 2; id <= 5; id++)
        CU_ASSERT_EQUAL(expect(caller, OP_OK), id);
    CU_ASSERT_EQUAL(services_n_calls(broker.services), 0);
    /* A call without a copy cannot go to another server. */
    call(7, 0);
    expect(server, OP_CANCEL);
    give_back(server, expect(server, OP_CALL));
    expect_error(caller, 7, "ferry.Overloaded");
    call(8, 0);
    expect(server, OP_CALL);
    fake_hub_deinit(&broker);
}

/* ---- health ---- */

static void fail_as(Peer *peer, uint64_t id, const char *type) {
    CLEANUP(buffer_deinit) Buffer map = {0};

    write_map(&map, 1);
    write_text(&map, "type");
    write_text(&map, type);
    fake_say(&broker, peer,
             &(Message){.op = OP_ERROR, .id = id, .error.map = span_of(map.data, map.len)});
}

/* Makes n calls: `good` answers its calls, `bad` fails its calls. Returns the number of calls that
 * `bad` got. */
static int share_of(Peer *good, Peer *bad, const char *type, int n) {
    int n_bad = 0;

    for (int i = 0; i < n; i++) {
        const Message *m;
        uint64_t id;

        call(1000 + (uint64_t)i, 0);
        m = fake_next_real(bad);
        if (m) {
            id = m->id;
            n_bad++;
            fail_as(bad, id, type);
        } else {
            answer(good, expect(good, OP_CALL));
        }
        while (fake_next_real(caller))
            continue;
    }
    return n_bad;
}

static void a_server_that_fails_gets_no_calls_while_another_works(void) {
    Peer *bad;

    begin();
    bad = connected('b');
    serve(bad, "bad", 1);
    CU_ASSERT_TRUE(share_of(server, bad, "ferry.Internal", 100) <= 6);
    /* The server is on trial: one more failure ejects it for twice as long. */
    fake_wait(&broker, 1000);
    CU_ASSERT_EQUAL(share_of(server, bad, "ferry.Internal", 100), 1);
    fake_wait(&broker, 1000);
    CU_ASSERT_EQUAL(share_of(server, bad, "ferry.Internal", 100), 0);
    /* The last server is never ejected. */
    fake_peer_gone(&broker, server);
    call(5000, 0);
    expect(bad, OP_CALL);
    fake_hub_deinit(&broker);
}

static void declared_exceptions_are_answers(void) {
    Peer *bad;

    begin();
    bad = connected('b');
    serve(bad, "bad", 1);
    CU_ASSERT_TRUE(share_of(server, bad, "shop.OutOfStock", 100) > 30);
    fake_hub_deinit(&broker);
}

/* ---- waiting for a server ---- */

static void calls_may_wait_for_a_server(void) {
    begin();
    broker.started_ms = broker.now_ms;
    fake_wait(&broker, 6000);
    fake_peer_gone(&broker, server);
    call(1, 0);
    expect_error(caller, 1, "ferry.NoSuchService");
    call(2, CALL_IDEMPOTENT); /* the service had a server a moment ago */
    call(3, CALL_WAIT);
    CU_ASSERT_PTR_NULL(fake_next_real(caller));
    server = connected('s');
    serve(server, "one", 2);
    CU_ASSERT_EQUAL(n_calls_at(server), 2);
    fake_hub_deinit(&broker);
}

static void a_broker_that_just_started_holds_idempotent_calls(void) {
    Message m;

    begin();
    broker.started_ms = broker.now_ms;
    m = call_of(1, CALL_IDEMPOTENT);
    m.name = span_text("other.Service");
    m.call.timeout_ms = 60000;
    fake_say(&broker, caller, &m);
    CU_ASSERT_PTR_NULL(fake_next_real(caller));
    fake_wait(&broker, 5000);
    expect_error(caller, 1, "ferry.NoSuchService");
    m.id = 2;
    fake_say(&broker, caller, &m);
    expect_error(caller, 2, "ferry.NoSuchService");
    CU_ASSERT_EQUAL(services_n_calls(broker.services), 0);
    fake_wait(&broker, 1);
    CU_ASSERT_EQUAL(services_count(broker.services), 1);
    fake_hub_deinit(&broker);
}

static void another_attempt_is_not_moved(void) {
    Peer *second;

    begin();
    call(7, CALL_IDEMPOTENT | CALL_AGAIN);
    expect(server, OP_CALL);
    second = connected('t');
    serve(second, "two", 1);
    fake_peer_gone(&broker, server);
    expect_error(caller, 7, "ferry.ServerLost");
    CU_ASSERT_PTR_NULL(fake_next_real(second));
    fake_hub_deinit(&broker);
}

static void a_oneway_call_outlives_its_caller(void) {
    uint64_t id;

    begin();
    call(7, CALL_ONEWAY);
    call(8, CALL_ONEWAY);
    CU_ASSERT_EQUAL(expect(caller, OP_OK), 7);
    CU_ASSERT_EQUAL(expect(caller, OP_OK), 8);
    fake_peer_gone(&broker, caller);
    id = expect(server, OP_CALL);
    CU_ASSERT_PTR_NULL(fake_next_real(server));
    answer(server, id);
    answer(server, expect(server, OP_CALL));
    CU_ASSERT_EQUAL(services_n_calls(broker.services), 0);
    CU_ASSERT_EQUAL(broker.stats.late_answers, 0);
    fake_hub_deinit(&broker);
}

/* AddressSanitizer reports a call that is not freed. */
static void oneway_calls_that_wait_end_with_the_broker(void) {
    begin();
    fake_peer_gone(&broker, server);
    call(7, CALL_ONEWAY | CALL_WAIT);
    call(8, CALL_ONEWAY | CALL_WAIT);
    fake_peer_gone(&broker, caller);
    fake_hub_deinit(&broker);
}

/* ---- versions ---- */

static void serve_version(Peer *peer, const char *instance, const char *const *names, size_t n) {
    CLEANUP(buffer_deinit) Buffer bytes = {0};
    ferry_method methods[4] = {{0}};
    ferry_service service = {.name = "calc.Calc", .n_methods = (uint32_t)n, .methods = methods};

    for (size_t i = 0; i < n; i++)
        methods[i].name = names[i];
    CU_ASSERT_EQUAL_FATAL(description_write(&service, &bytes), 0);
    fake_say(&broker, peer,
             &(Message){.op = OP_SERVE,
                        .id = 1,
                        .name = span_text("calc.Calc"),
                        .serve.slots = 10,
                        .serve.instance = span_text(instance),
                        .body = span_of(bytes.data, bytes.len)});
    CU_ASSERT_EQUAL(expect(peer, OP_OK), 1);
}

static void calls_go_to_servers_that_have_the_method(void) {
    static const char *const names[] = {"add", "extra"};
    Peer *old, *new;
    Message m;

    log_level = LOG_LEVEL_ERROR;
    fake_hub_init(&broker);
    caller = connected('c');
    old = connected('o');
    new = connected('n');
    serve_version(old, "old", names, 1);
    serve_version(new, "new", names, 2);
    for (uint64_t id = 1; id <= 10; id++) {
        m = call_of(id, 0);
        m.call.method = span_text("extra");
        fake_say(&broker, caller, &m);
    }
    CU_ASSERT_EQUAL(n_calls_at(new), 10);
    CU_ASSERT_EQUAL(n_calls_at(old), 0);
    /* No server with the method has a free slot: the call waits, although the old server is idle. A
     * call that both can do overtakes it. */
    m.id = 11;
    fake_say(&broker, caller, &m);
    m = call_of(12, 0);
    fake_say(&broker, caller, &m);
    CU_ASSERT_EQUAL(n_calls_at(new), 0);
    CU_ASSERT_EQUAL(n_calls_at(old), 1);
    /* If no server has the method, one of the servers refuses the call. */
    m = call_of(13, 0);
    m.call.method = span_text("nothing");
    fake_say(&broker, caller, &m);
    CU_ASSERT_EQUAL(n_calls_at(old), 1);
    fake_hub_deinit(&broker);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_call_reaches_its_server_and_the_answer_its_caller),
        TEST(an_answer_without_a_body_is_passed_on_whole),
        TEST(answers_that_a_slow_caller_has_no_room_for_fail_alone),
        TEST(a_caller_cannot_choose_its_user),
        TEST(an_annotation_guards_a_method),
        TEST(calls_without_a_server_fail_at_once),
        TEST(a_deadline_answers_the_caller_and_cancels_at_the_server),
        TEST(callers_of_a_lost_server_get_an_error_at_once),
        TEST(an_idempotent_call_is_moved_once),
        TEST(a_blocking_call_to_the_callers_own_service_fails_at_once),
        TEST(a_call_back_to_a_session_that_waits_fails_at_once),
        TEST(only_a_quick_server_gets_calls_ahead),
        TEST(returned_calls_go_to_other_servers_in_their_order),
        TEST(a_returned_call_without_a_caller_frees_its_slot),
        TEST(a_server_that_fails_gets_no_calls_while_another_works),
        TEST(declared_exceptions_are_answers),
        TEST(calls_may_wait_for_a_server),
        TEST(a_broker_that_just_started_holds_idempotent_calls),
        TEST(another_attempt_is_not_moved),
        TEST(a_oneway_call_outlives_its_caller),
        TEST(oneway_calls_that_wait_end_with_the_broker),
        TEST(calls_go_to_servers_that_have_the_method),
        TEST(a_cancelled_call_keeps_its_slot_until_the_server_answers),
        TEST(a_session_cannot_answer_for_another_session),
        TEST(a_refused_answer_with_the_id_of_an_own_call_ends_no_call),
        TEST(end_and_more_are_for_streams_only),
        TEST(a_stream_has_items_and_one_end),
        TEST(items_without_credit_fail_the_call),
        TEST(the_wait_queue_is_bounded),
        TEST(callers_take_turns),
        TEST(the_caller_with_most_waiting_calls_gives_way),
        TEST(calls_without_an_id_wait_after_their_caller_is_gone),
        TEST(an_id_in_use_is_a_fault),
        TEST(malformed_answers_end_their_call),
        TEST(a_oneway_call_names_its_caller),
        TEST(serving_has_its_rules),
        TEST(a_broken_description_is_reported_and_not_listed),
        TEST(a_server_finishes_its_calls_after_unserve),
        TEST(a_server_lost_after_it_unserved_takes_no_slots_of_others),
        TEST(services_that_come_and_go_and_share_names_are_not_confused),
        TEST(calls_of_a_request_end_with_the_request),
        TESTS_END,
    };

    return run_suite("broker services", tests);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "broker/admin/admin-private.h"
#include "broker/sessions/user.h"
#include "rpc/schema/description/description.h"
#include "service-scene.h"

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
    caller = fake_peer_of_user(&broker, 1001, 'C');
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

static void a_cancelled_call_keeps_its_slot_until_the_server_answers(void) {
    Peer *second;
    uint64_t id;

    begin();
    second = fake_peer_connected(&broker, 't');
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
    thief = fake_peer_connected(&broker, 'x');
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
    other = fake_peer_connected(&broker, 'o');
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
    leaving = fake_peer_connected(&broker, 'l');
    serve(leaving, "two", 8);
    other = fake_peer_connected(&broker, 'o');
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
    second = fake_peer_connected(&broker, 'n');
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
    second = fake_peer_connected(&broker, 't');
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
        TEST(a_oneway_call_outlives_its_caller),
        TEST(a_cancelled_call_keeps_its_slot_until_the_server_answers),
        TEST(a_session_cannot_answer_for_another_session),
        TEST(a_refused_answer_with_the_id_of_an_own_call_ends_no_call),
        TEST(end_and_more_are_for_streams_only),
        TEST(a_stream_has_items_and_one_end),
        TEST(items_without_credit_fail_the_call),
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

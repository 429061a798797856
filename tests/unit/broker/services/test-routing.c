/* SPDX-License-Identifier: Apache-2.0 */
/* Which server gets a call. */
#include "rpc/schema/description/description.h"
#include "service-scene.h"

static void an_idempotent_call_is_moved_once(void) {
    Peer *second;

    begin();
    call(7, CALL_IDEMPOTENT);
    expect(server, OP_CALL);
    second = fake_peer_connected(&broker, 't');
    serve(second, "two", 1);
    fake_peer_gone(&broker, server);
    expect(second, OP_CALL);
    CU_ASSERT_PTR_NULL(fake_next_real(caller));
    fake_peer_gone(&broker, second);
    expect_error(caller, 7, "ferry.ServerLost");
    fake_hub_deinit(&broker);
}

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
    middle = fake_peer_connected(&broker, 'm');
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
    serve(fake_peer_connected(&broker, 't'), "two", 1);
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
    bad = fake_peer_connected(&broker, 'b');
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
    bad = fake_peer_connected(&broker, 'b');
    serve(bad, "bad", 1);
    CU_ASSERT_TRUE(share_of(server, bad, "shop.OutOfStock", 100) > 30);
    fake_hub_deinit(&broker);
}

static void another_attempt_is_not_moved(void) {
    Peer *second;

    begin();
    call(7, CALL_IDEMPOTENT | CALL_AGAIN);
    expect(server, OP_CALL);
    second = fake_peer_connected(&broker, 't');
    serve(second, "two", 1);
    fake_peer_gone(&broker, server);
    expect_error(caller, 7, "ferry.ServerLost");
    CU_ASSERT_PTR_NULL(fake_next_real(second));
    fake_hub_deinit(&broker);
}

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
    caller = fake_peer_connected(&broker, 'c');
    old = fake_peer_connected(&broker, 'o');
    new = fake_peer_connected(&broker, 'n');
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
        TEST(an_idempotent_call_is_moved_once),
        TEST(a_blocking_call_to_the_callers_own_service_fails_at_once),
        TEST(a_call_back_to_a_session_that_waits_fails_at_once),
        TEST(only_a_quick_server_gets_calls_ahead),
        TEST(a_server_that_fails_gets_no_calls_while_another_works),
        TEST(declared_exceptions_are_answers),
        TEST(another_attempt_is_not_moved),
        TEST(calls_go_to_servers_that_have_the_method),
        TESTS_END,
    };

    return run_suite("broker routing", tests);
}

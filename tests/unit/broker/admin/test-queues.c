/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/broker/queues/verbs.h"

/* ---- settings ---- */

static void settings_are_checked(void) {
    static const char *const bad[][3] = {
        {"q", "max_job", "1"},
        {"q", "max_jobs", "0"},
        {"q", "max_jobs", "-1"},
        {"q", "max_jobs", "1x"},
        {"q", "max_jobs", ""},
        {"q", "max_jobs", "4294967296"},
        {"q", "max_bytes", "many"},
        {"q", "max_bytes", "0"},
        {"q", "retry", "soon"},
        {"q", "ttl", "-1"},
        {"q", "ttl", "4000d"},
        {"q", "overflow", "drop"},
        {"q", "durability", "paper"},
        {"q..r", "ttl", "1s"},
        {"", "ttl", "1s"},
        {"q.>.r", "ttl", "1s"},
        {"q", "max_jobs", "99999999999999999999999"},
    };
    static const char *const good[][3] = {
        {"q", "max_jobs", "1"},
        {"q", "max_jobs", "4294967295"},
        {"q", "max_bytes", "64K"},
        {"q", "max_attempts", "0"},
        {"q", "retry", "250ms"},
        {"q", "retry_max", "0"},
        {"q", "ttl", "2m"},
        {"q", "time_limit", "1h"},
        {"q", "dedup", "1d"},
        {"q", "overflow", "refuse"},
        {"q", "overflow", "drop-oldest"},
        {"q", "durability", "memory"},
        {">", "ttl", "0"},
        {"a.*.b", "ttl", "1s"},
    };
    const char *problem;

    setup();
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        problem = NULL;
        CU_ASSERT_EQUAL(queues_configure(queues, bad[i][0], bad[i][1], bad[i][2], &problem),
                        -EINVAL);
        CU_ASSERT_PTR_NOT_NULL(problem);
    }
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        CU_ASSERT_EQUAL(queues_configure(queues, good[i][0], good[i][1], good[i][2], &problem), 0);
    teardown();
}

static void disk_without_a_data_folder_is_refused(void) {
    const char *problem = NULL;

    setup();
    CU_ASSERT_EQUAL(queues_configure(queues, "q", "durability", "disk", &problem), -EINVAL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(problem);
    CU_ASSERT_PTR_NOT_NULL(strstr(problem, "no data folder"));
    teardown();
}

static void later_settings_win_and_names_win_over_patterns(void) {
    Session *s;

    setup();
    configure("a.b", "max_jobs", "3");
    configure("a.*", "max_jobs", "1");
    configure(">", "max_jobs", "2");
    s = fake_connect(&broker, 's');
    push(s, 0, "a.b", "x", NULL);
    push(s, 0, "a.c", "x", NULL);
    CU_ASSERT_EQUAL(count_of("a.b", "max_jobs"), 3);
    CU_ASSERT_EQUAL(count_of("a.c", "max_jobs"), 2);
    configure("a.*", "max_jobs", "7"); /* also for queues that exist */
    CU_ASSERT_EQUAL(count_of("a.b", "max_jobs"), 3);
    CU_ASSERT_EQUAL(count_of("a.c", "max_jobs"), 7);
    /* The file that is read again has an error in the middle: nothing changes. */
    queues_reload(queues);
    configure("a.*", "max_jobs", "9");
    CU_ASSERT_EQUAL(count_of("a.c", "max_jobs"), 7);
    queues_reloaded(queues, false);
    CU_ASSERT_EQUAL(count_of("a.c", "max_jobs"), 7);
    queues_reload(queues);
    queues_reloaded(queues, true);
    CU_ASSERT_EQUAL(count_of("a.b", "max_jobs"), broker.limits.max_queue_jobs);
    CU_ASSERT_EQUAL(count_of("a.c", "max_jobs"), broker.limits.max_queue_jobs);
    teardown();
}

static void a_queue_with_settings_stays(void) {
    Session *s;

    setup();
    configure("kept", "max_jobs", "3");
    s = fake_connect(&broker, 's');
    for (uint64_t id = 1; id <= 2; id++) {
        pull(s, id, id == 1 ? "kept" : "not", 1);
        unpull(s, 0, id);
    }
    wait_ms(60000);
    CU_ASSERT_EQUAL(count_of("kept", "ready"), 0);
    CU_ASSERT_EQUAL(count_of("not", "ready"), UINT64_MAX);
    queues_reload(queues);
    queues_reloaded(queues, true);
    wait_ms(60000);
    CU_ASSERT_EQUAL(count_of("kept", "ready"), UINT64_MAX);
    teardown();
}

/* ---- management ---- */

static void unknown_queues_are_not_found(void) {
    Buffer to = {0};
    Span none = span_text("none");
    uint64_t n;

    setup();
    CU_ASSERT_EQUAL(queues_show(queues, none, &to), -ENOENT);
    CU_ASSERT_EQUAL(queues_peek(queues, none, 1, &to), -ENOENT);
    CU_ASSERT_EQUAL(queues_purge(queues, none, NULL, 0, &n), -ENOENT);
    CU_ASSERT_EQUAL(queues_pause(queues, none, true, NULL, 0), -ENOENT);
    CU_ASSERT_EQUAL(queues_move(queues, none, span_text("q"), 0, NULL, 0, &n), -ENOENT);
    CU_ASSERT_EQUAL(queues_show(queues, (Span){NULL, 0}, &to), -ENOENT);
    CU_ASSERT_EQUAL(admin_list(&broker, &list_of_queues, NULL, 0, &to), 0);
    CU_ASSERT_EQUAL(to.len, 1);
    buffer_deinit(&to);
    teardown();
}

static void describe_lists_all_queues(void) {
    Buffer to = {0};
    Reader reader;
    Session *s;

    setup();
    s = fake_connect(&broker, 's');
    push(s, 0, "one", "x", NULL);
    push(s, 0, "two", "x", NULL);
    CU_ASSERT_EQUAL(admin_list(&broker, &list_of_queues, NULL, 0, &to), 0);
    CU_ASSERT_PTR_NULL(wire_check(to.data, to.len));
    reader = reader_of(to.data, to.len);
    CU_ASSERT_EQUAL(reader_array(&reader), 2);
    buffer_deinit(&to);
    teardown();
}

/* Makes n queues and asks for their list. */
static void begin_list(Session *s, int n) {
    Buffer to = {0};
    char name[16];

    for (int i = 0; i < n; i++) {
        snprintf(name, sizeof(name), "q.%d", i);
        push(s, 0, name, "x", NULL);
    }
    CU_ASSERT_EQUAL(admin_list(&broker, &list_of_queues, s, 7, &to), QUEUES_LATER);
    CU_ASSERT_EQUAL(to.len, 0);
}

static void a_long_list_takes_several_turns(void) {
    enum { N = 2000 };
    const FakeSent *sent;
    Reader reader;
    uint64_t n;
    Session *s;

    setup();
    s = fake_connect(&broker, 's');
    begin_list(s, N);
    rooms_turn_end(&broker);
    expect_nothing(s);
    CU_ASSERT_TRUE(rooms_next_ms(&broker) == 0);
    /* A queue that is removed during the list is skipped; a new queue is listed. */
    queues_purge(queues, span_text("q.512"), NULL, 0, &n);
    fake_advance(&broker, 60000);
    push(s, 0, "q.new", "x", NULL);
    for (int i = 0; i < 4; i++)
        rooms_turn_end(&broker);
    CU_ASSERT_FALSE(rooms_next_ms(&broker) == 0);
    sent = fake_take(s);
    CU_ASSERT_PTR_NOT_NULL_FATAL(sent);
    CU_ASSERT_EQUAL(sent->message.op, OP_OK);
    CU_ASSERT_EQUAL(sent->message.id, 7);
    CU_ASSERT_PTR_NULL(wire_check(sent->message.body.data, sent->message.body.len));
    reader = reader_of(sent->message.body.data, sent->message.body.len);
    CU_ASSERT_EQUAL(reader_array(&reader), N);
    expect_nothing(s);
    teardown();
}

static void a_list_ends_with_the_session_that_asked_for_it(void) {
    Session *s, *t;
    Buffer to = {0};

    setup();
    s = fake_connect(&broker, 's');
    t = fake_connect(&broker, 't');
    begin_list(s, 1000);
    for (uint64_t id = 1; id <= 3; id++)
        CU_ASSERT_EQUAL(admin_list(&broker, &list_of_queues, t, id, &to), QUEUES_LATER);
    CU_ASSERT_EQUAL(admin_list(&broker, &list_of_queues, t, 4, &to), -EBUSY);
    end_session(s);
    CU_ASSERT_EQUAL(admin_list(&broker, &list_of_queues, t, 4, &to), QUEUES_LATER);
    for (int i = 0; i < 20; i++)
        rooms_turn_end(&broker);
    CU_ASSERT_EQUAL(fake_n_sent(t), 4);
    /* A list that is under way when the session ends. */
    CU_ASSERT_EQUAL(admin_list(&broker, &list_of_queues, t, 5, &to), QUEUES_LATER);
    teardown();
}

static void a_paused_queue_takes_jobs_and_delivers_no_job(void) {
    Session *s;

    setup();
    s = fake_connect(&broker, 's');
    pull(s, 1, "q", 5);
    expect_ok(s, 1);
    CU_ASSERT_EQUAL(queues_pause(queues, span_text("q"), true, NULL, 0), QUEUES_LATER);
    push(s, 2, "q", "x", NULL);
    expect_ok(s, 2);
    wait_ms(100);
    expect_nothing(s);
    CU_ASSERT_EQUAL(queues_pause(queues, span_text("q"), false, NULL, 0), QUEUES_LATER);
    expect_job(s, 1, "x", 1);
    teardown();
}

/* Peeks at a queue. Returns the number of jobs; *ret_first is the number of the first job. */
static uint32_t peeked(const char *queue, uint64_t limit, uint64_t *ret_first) {
    Buffer to = {0};
    Reader reader;
    uint32_t n;

    CU_ASSERT_EQUAL(queues_peek(queues, span_text(queue), limit, &to), 0);
    CU_ASSERT_PTR_NULL(wire_check(to.data, to.len));
    reader = reader_of(to.data, to.len);
    n = reader_array(&reader);
    *ret_first = 0;
    if (n > 0) {
        CU_ASSERT_TRUE(reader_map(&reader) >= 13);
        CU_ASSERT_TRUE(span_is(reader_str(&reader), "job"));
        *ret_first = reader_uint(&reader);
    }
    buffer_deinit(&to);
    return n;
}

static void peek_shows_jobs_in_order_and_leaves_them(void) {
    static uint8_t body[100000];
    uint64_t first;
    Session *s;

    setup();
    s = fake_connect(&broker, 's');
    push(s, 0, "q", "held", NULL);
    pull(s, 1, "q", 1);
    push(s, 0, "q", "low", NULL);
    push(s, 0, "q", "later", "delay", UINT64_C(50), NULL);
    push(s, 0, "q", "high", "priority", UINT64_C(3), NULL);
    CU_ASSERT_EQUAL(peeked("q", 0, &first), 4);
    CU_ASSERT_EQUAL(first, 4);
    CU_ASSERT_EQUAL(peeked("q", 2, &first), 2);
    CU_ASSERT_EQUAL(count_of("q", "ready"), 2);
    wait_ms(50);
    CU_ASSERT_EQUAL(peeked("q", 100, &first), 4);
    for (int i = 0; i < 200; i++)
        queues_push(queues, s,
                    &(Message){.op = OP_PUSH,
                               .name = span_text("large"),
                               .body = span_of(body, sizeof(body))},
                    NULL);
    CU_ASSERT_TRUE(peeked("large", 0, &first) < 100); /* the answer has a limit of bytes */
    for (int i = 0; i < 2000; i++)
        push(s, 0, "many", "x", NULL);
    CU_ASSERT_EQUAL(peeked("many", 0, &first), 1000);
    CU_ASSERT_EQUAL(peeked("many", UINT64_MAX, &first), 1000);
    teardown();
}

static void purge_deletes_waiting_jobs(void) {
    uint64_t n;
    Session *s;

    setup();
    s = fake_connect(&broker, 's');
    push(s, 0, "q", "held", NULL);
    pull(s, 1, "q", 1);
    push(s, 0, "q", "ready", "ttl", UINT64_C(500), NULL);
    push(s, 0, "q", "later", "delay", UINT64_C(50), NULL);
    push(s, 0, "q", "due", "delay", UINT64_C(10), NULL);
    wait_ms(20);
    CU_ASSERT_EQUAL(queues_purge(queues, span_text("q"), NULL, 0, &n), 0);
    CU_ASSERT_EQUAL(n, 3);
    CU_ASSERT_EQUAL(count_of("q", "ready"), 0);
    CU_ASSERT_EQUAL(count_of("q", "delayed"), 0);
    CU_ASSERT_EQUAL(count_of("q", "held"), 1);
    CU_ASSERT_EQUAL(queues_purge(queues, span_text("q"), NULL, 0, &n), 0);
    CU_ASSERT_EQUAL(n, 0);
    wait_ms(1000);
    CU_ASSERT_EQUAL(count_of("q", "dead"), 0);
    teardown();
}

static void move_takes_dead_letters_back(void) {
    const FakeSent *sent;
    uint64_t n;
    Session *s;

    setup();
    s = fake_connect(&broker, 's');
    queues_push(queues, s,
                &(Message){.op = OP_PUSH,
                           .name = span_text("q"),
                           .headers = span_of("\x81\xA4mine\xA1v", 8),
                           .body = span_text("a")},
                NULL);
    push(s, 0, "q", "b", NULL);
    pull(s, 1, "q", 2);
    reject(s, 0, 1, 1, "no");
    reject(s, 0, 2, 1, "no");
    fake_drop(s);
    CU_ASSERT_EQUAL(queues_move(queues, span_text("q.dead"), span_text("q"), 1, NULL, 0, &n), 0);
    CU_ASSERT_EQUAL(n, 1);
    sent = fake_take(s);
    CU_ASSERT_PTR_NOT_NULL_FATAL(sent);
    CU_ASSERT_EQUAL(sent->message.job.attempt, 1);
    CU_ASSERT_TRUE(span_is(sent->message.body, "a"));
    CU_ASSERT_EQUAL(sent->message.headers.len, 8);
    CU_ASSERT_EQUAL(queues_move(queues, span_text("q.dead"), span_text("q"), 0, NULL, 0, &n), 0);
    CU_ASSERT_EQUAL(n, 1);
    sent = fake_take(s);
    CU_ASSERT_PTR_NOT_NULL_FATAL(sent);
    CU_ASSERT_EQUAL(sent->message.headers.len, 0);
    CU_ASSERT_EQUAL(count_of("q", "dead"), 0);
    teardown();
}

static void move_stops_when_the_queue_is_full(void) {
    uint64_t n = 99;
    Session *s;

    setup();
    configure("b", "max_jobs", "2");
    s = fake_connect(&broker, 's');
    for (int i = 0; i < 4; i++)
        push(s, 0, "a", "x", "delay", UINT64_C(100), NULL);
    CU_ASSERT_EQUAL(queues_move(queues, span_text("a"), span_text("b"), 0, NULL, 0, &n), 0);
    CU_ASSERT_EQUAL(n, 2);
    CU_ASSERT_EQUAL(count_of("b", "delayed"), 2); /* still delayed */
    CU_ASSERT_EQUAL(queues_move(queues, span_text("a"), span_text("b"), 0, NULL, 0, &n), -ENOSPC);
    CU_ASSERT_EQUAL(queues_move(queues, span_text("a"), span_text("a"), 0, NULL, 0, &n), -EINVAL);
    CU_ASSERT_EQUAL(queues_move(queues, span_text("a"), span_text("a b"), 0, NULL, 0, &n), -EINVAL);
    CU_ASSERT_EQUAL(queues_move(queues, span_text("a"), span_text("ferry.x"), 0, NULL, 0, &n),
                    -EINVAL);
    CU_ASSERT_EQUAL(count_of("a", "delayed"), 2);
    teardown();
}

/* ---- many jobs ---- */

static void push_many(Session *s, const char *queue, int n) {
    for (int i = 0; i < n; i++)
        push(s, 0, queue, "x", NULL);
}

/* The answer to id, a number; -1: there is no answer yet. */
static int64_t answered(Session *s, uint64_t id) {
    const FakeSent *sent = fake_take(s);
    Reader reader;

    if (!sent || sent->message.op != OP_OK || sent->message.id != id)
        return -1;
    reader = reader_of(sent->message.body.data, sent->message.body.len);
    return (int64_t)reader_uint(&reader);
}

static void many_jobs_are_purged_over_several_turns(void) {
    int turns = 0;
    uint64_t n;
    Session *s;

    setup();
    s = fake_connect(&broker, 's');
    push_many(s, "q", 5000);
    CU_ASSERT_EQUAL(queues_purge(queues, span_text("q"), s, 7, &n), QUEUES_LATER);
    CU_ASSERT_TRUE(rooms_next_ms(&broker) == 0);
    CU_ASSERT(count_of("q", "ready") > 4000);
    /* Jobs that are pushed during the purge stay, even if their priority is higher. */
    push(s, 0, "q", "new", "priority", UINT64_C(9), NULL);
    push(s, 0, "q", "new", NULL);
    for (; rooms_next_ms(&broker) == 0 && turns < 100; turns++) {
        CU_ASSERT_EQUAL(fake_n_sent(s), 0);
        rooms_turn_end(&broker);
    }
    CU_ASSERT(turns >= 5 && turns < 100);
    CU_ASSERT_EQUAL(answered(s, 7), 5000);
    CU_ASSERT_EQUAL(count_of("q", "ready"), 2);
    teardown();
}

static void many_jobs_are_moved_in_order_as_far_as_there_is_room(void) {
    uint64_t n;
    Session *s;

    setup();
    configure("b", "max_jobs", "2000");
    s = fake_connect(&broker, 's');
    push_many(s, "a", 3000);
    CU_ASSERT_EQUAL(queues_move(queues, span_text("a"), span_text("b"), 0, s, 1, &n), QUEUES_LATER);
    while (rooms_next_ms(&broker) == 0)
        rooms_turn_end(&broker);
    CU_ASSERT_EQUAL(answered(s, 1), 2000);
    CU_ASSERT_EQUAL(count_of("a", "ready"), 1000);
    CU_ASSERT_EQUAL(count_of("b", "ready"), 2000);
    CU_ASSERT_EQUAL(queues_move(queues, span_text("b"), span_text("a"), 1500, s, 2, &n),
                    QUEUES_LATER);
    while (rooms_next_ms(&broker) == 0)
        rooms_turn_end(&broker);
    CU_ASSERT_EQUAL(answered(s, 2), 1500);
    teardown();
}

static void a_purge_goes_on_without_the_session_that_asked_for_it(void) {
    uint64_t n;
    Session *s, *other;

    setup();
    s = fake_connect(&broker, 's');
    other = fake_connect(&broker, 'o');
    push_many(s, "q", 2000);
    CU_ASSERT_EQUAL(queues_purge(queues, span_text("q"), other, 1, &n), QUEUES_LATER);
    end_session(other);
    while (rooms_next_ms(&broker) == 0)
        rooms_turn_end(&broker);
    CU_ASSERT_EQUAL(count_of("q", "ready"), 0);
    teardown();
}

static void the_number_of_purges_under_way_is_limited(void) {
    uint64_t n;
    Session *s;
    int r = QUEUES_LATER, began = 0;

    setup();
    s = fake_connect(&broker, 's');
    push_many(s, "q", 20000);
    for (uint64_t id = 1; r == QUEUES_LATER && id < 100; id++) {
        r = queues_purge(queues, span_text("q"), s, id, &n);
        began += r == QUEUES_LATER;
    }
    CU_ASSERT_EQUAL(r, -EBUSY);
    CU_ASSERT_EQUAL(began, 16);
    /* A short purge does not wait for the long ones. */
    push(s, 0, "short", "x", NULL);
    CU_ASSERT_EQUAL(queues_purge(queues, span_text("short"), s, 200, &n), 0);
    CU_ASSERT_EQUAL(n, 1);
    rooms_turn_end(&broker);
    teardown(); /* while all of them are under way */
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(settings_are_checked),
        TEST(disk_without_a_data_folder_is_refused),
        TEST(later_settings_win_and_names_win_over_patterns),
        TEST(a_queue_with_settings_stays),
        TEST(unknown_queues_are_not_found),
        TEST(a_long_list_takes_several_turns),
        TEST(a_list_ends_with_the_session_that_asked_for_it),
        TEST(describe_lists_all_queues),
        TEST(a_paused_queue_takes_jobs_and_delivers_no_job),
        TEST(peek_shows_jobs_in_order_and_leaves_them),
        TEST(purge_deletes_waiting_jobs),
        TEST(move_takes_dead_letters_back),
        TEST(move_stops_when_the_queue_is_full),
        TEST(many_jobs_are_purged_over_several_turns),
        TEST(many_jobs_are_moved_in_order_as_far_as_there_is_room),
        TEST(a_purge_goes_on_without_the_session_that_asked_for_it),
        TEST(the_number_of_purges_under_way_is_limited),
        TESTS_END,
    };

    return run_suite("broker queues: settings and management", tests);
}

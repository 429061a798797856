/* SPDX-License-Identifier: Apache-2.0 */

/* The methods of ferry.Broker, called by users with and without the right that each method
 * needs. */

#include <stdlib.h>

#include "base/log.h"
#include "broker/admin/admin.h"
#include "broker/rights/rights.h"
#include "broker/sessions/hello.h"
#include "broker/sessions/user.h"
#include "broker/taps/tap.h"
#include "ferry-broker.h"
#include "rpc/schema/codec/codec.h"
#include "support/fake-hub.h"
#include "support/suite.h"

static Broker broker;
static Peer *admin, *peer;
static uint64_t last_id;

static int reload_nothing(Broker *of, ferry_error *reterr) {
    (void)of;
    (void)reterr;
    return 0;
}

static void say(Peer *from, Op op, const char *name) {
    fake_say(&broker, from,
             &(Message){.op = (uint8_t)op, .id = ++last_id, .name = span_text(name)});
    while (fake_next_real(from))
        continue;
}

/* Makes a user with these rights. The administrator has session 1, the user session 2. */
static void begin(const char *may) {
    char problem[RIGHTS_PROBLEM_MAX];
    int line;

    log_level = LOG_LEVEL_ERROR;
    fake_hub_init(&broker);
    last_id = 0;
    broker.reload = reload_nothing;
    CU_ASSERT_EQUAL_FATAL(taps_new(&broker.taps, &broker), 0);
    broker.rights = rights_new();
    rights_section(broker.rights, false, "u", 1, problem);
    rights_set(broker.rights, false, "u", "uid", "1001", 2, problem);
    rights_set(broker.rights, false, "u", "may", may, 3, problem);
    CU_ASSERT_EQUAL_FATAL(rights_complete(broker.rights, 1, &line, problem), 0);
    admin = fake_peer_of_user(&broker, 0, 'a');
    peer = fake_peer_of_user(&broker, 1001, 'u');
    say(admin, OP_SERVE, "calc.Calc");
    say(admin, OP_SERVE, "log.Log");
    say(admin, OP_SUBSCRIBE, "news.*");
    say(admin, OP_SUBSCRIBE, "orders.*");
    say(admin, OP_PUSH, "mail");
    say(admin, OP_PUSH, "print");
}

static void end(void) {
    sessions_free(&broker);
    broker.taps = taps_free(broker.taps);
    fake_hub_deinit(&broker);
    rights_free(broker.rights);
}

/* Calls a method. args: up to three texts and numbers, with spaces between them. */
static const Message *call_as(Peer *from, const char *method, const char *args) {
    CLEANUP(buffer_deinit) Buffer body = {0};
    char copy[100], *at = copy, *word;
    uint32_t n = 0;

    snprintf(copy, sizeof(copy), "%s", args);
    for (const char *p = args; *p; p++)
        n += p == args || p[-1] == ' ';
    write_array(&body, n);
    while (n > 0 && (word = strsep(&at, " ")))
        if (*word >= '0' && *word <= '9')
            write_uint(&body, (uint64_t)atoi(word));
        else if (*word == '[')
            write_array(&body, 0);
        else
            write_text(&body, word);
    fake_say(&broker, from,
             &(Message){.op = OP_CALL,
                        .id = ++last_id,
                        .call.timeout_ms = 1000,
                        .call.flags = strcmp(method, "tap") == 0 ? CALL_STREAM_OUT : 0,
                        .name = span_text("ferry.Broker"),
                        .call.method = span_text(method),
                        .body = span_of(body.data, body.len)});
    return fake_next_real(from);
}

static const Message *call(const char *method, const char *args) {
    return call_as(peer, method, args);
}

typedef struct Row {
    const char *method, *args, *needs, *denial;
    const char *before, *before_args; /* a method that the administrator calls first, or NULL */
} Row;

/* JOB: the number of the job in the queue `mail`. The other text is the error for users who do not
 * see the queue. */
#define JOB    "1"
#define HIDDEN "!"

static const char *type_of_answer(const Row *row) {
    const Message *m;

    if (row->before) {
        m = call_as(admin, row->before, row->before_args);
        CU_ASSERT_EQUAL_FATAL(m->op, OP_OK);
    }
    m = call(row->method, row->args);
    /* A tap that is allowed has no answer until it ends. */
    return m && m->op == OP_ERROR ? fake_error(m, "type") : "OK";
}

/* Methods without a row are lists: see lists_show_what_the_user_may_see(). */
static const Row rows[] = {
    {"describe", "calc.Calc", "call calc.Calc", "see 'calc.Calc'", NULL, NULL},
    {"describe", "calc.Calc", "serve calc.*", "see 'calc.Calc'", NULL, NULL},
    {"methods", "calc.Calc", "watch calc.Calc", "see 'calc.Calc'", NULL, NULL},
    {"queue", "mail", "push mail", "see 'mail'", NULL, NULL},
    {"queue", "mail", "work mail", "see 'mail'", NULL, NULL},
    {"stats", "", "watch >", "watch '>'", NULL, NULL},
    {"shards", "", "watch >", "watch '>'", NULL, NULL},
    {"peek", "mail", "peek mail", "peek 'mail'", NULL, NULL},
    {"purge", "mail", "manage mail", "manage 'mail'", NULL, NULL},
    {"pause", "mail", "manage mail", "manage 'mail'", NULL, NULL},
    {"resume", "mail", "manage mail", "manage 'mail'", NULL, NULL},
    {"configure", "mail overflow drop-oldest", "manage mail", "manage 'mail'", NULL, NULL},
    {"bind", "mail news.*", "manage mail subscribe news.>", "manage 'mail'", NULL, NULL},
    {"unbind", "mail news.*", "manage mail", "manage 'mail'", "bind", "mail news.*"},
    {"add_schedule", "mail nightly @daily", "manage mail", "manage 'mail'", NULL, NULL},
    {"remove_schedule", "nightly", "manage mail", HIDDEN "there is no schedule 'nightly'",
     "add_schedule", "mail nightly @daily"},
    {"job", JOB, "peek mail", HIDDEN "there is no job " JOB, NULL, NULL},
    {"cancel", JOB, "manage mail", HIDDEN "there is no job " JOB, NULL, NULL},
    {"run_now", JOB, "manage mail", HIDDEN "there is no job " JOB, NULL, NULL},
    {"move_job", JOB " print", "manage mail print", HIDDEN "there is no job " JOB, NULL, NULL},
    {"move", "mail print", "manage mail print", "manage 'mail'", NULL, NULL},
    {"drain", "", "admin", "admin '>'", NULL, NULL},
    {"tap", "[ [ [", "watch >", "watch '>'", NULL, NULL},
    {"kick", "1", "manage >", HIDDEN "there is no session 1", NULL, NULL},
    {"reload", "", "admin", "admin '>'", NULL, NULL},
    {"check", "root call x", "admin", "ask about the user 'root'", NULL, NULL},
};

enum { N_ROWS = sizeof(rows) / sizeof(*rows) };

static void each_method_has_a_row_or_is_a_list(void) {
    static const char *const lists[] = {"services",  "topics", "queues", "sessions",
                                        "schedules", "users",  "caches"};
    unsigned n_lists = 0;

    for (size_t i = 0; admin_method(i); i++) {
        size_t row = 0;

        while (row < N_ROWS && strcmp(rows[row].method, admin_method(i)) != 0)
            row++;
        for (size_t j = 0; row == N_ROWS && j < sizeof(lists) / sizeof(*lists); j++)
            if (strcmp(lists[j], admin_method(i)) == 0)
                n_lists++, row = 0;
        /* each session reports its own caches */
        if (strcmp(admin_method(i), "report_caches") == 0)
            row = 0;
        if (row == N_ROWS)
            printf("\n    %s has no row\n", admin_method(i));
        CU_ASSERT_NOT_EQUAL(row, N_ROWS);
    }
    CU_ASSERT_EQUAL(n_lists, sizeof(lists) / sizeof(*lists));
}

static void each_method_needs_its_right(void) {
    char expected[100];

    for (size_t i = 0; i < N_ROWS; i++) {
        const Row *row = &rows[i];
        bool is_hidden = row->denial[0] == HIDDEN[0];
        const char *type;
        const Message *m;

        begin(row->needs);
        type = type_of_answer(row);
        if (strcmp(type, "OK") != 0)
            printf("\n    %s with '%s': %s\n", row->method, row->needs, type);
        CU_ASSERT_STRING_EQUAL(type, "OK");
        end();
        begin("call other push other");
        if (row->before)
            call_as(admin, row->before, row->before_args);
        m = call(row->method, row->args);
        CU_ASSERT_PTR_NOT_NULL_FATAL(m);
        CU_ASSERT_EQUAL_FATAL(m->op, OP_ERROR);
        CU_ASSERT_STRING_EQUAL(fake_error(m, "type"),
                               is_hidden ? "ferry.NotFound" : "ferry.PermissionDenied");
        snprintf(expected, sizeof(expected), "%s%s",
                 is_hidden ? "" : "the user 'u' has no right to ", row->denial + is_hidden);
        CU_ASSERT_STRING_EQUAL(fake_error(m, "message"), expected);
        CU_ASSERT_FALSE(broker.draining);
        CU_ASSERT_EQUAL(broker.sessions.n, 2);
        end();
    }
}

/* A queue or service that does not exist is denied in the same words. */
static void a_denial_does_not_tell_what_exists(void) {
    static const char *const methods[] = {"peek",  "purge",    "pause",  "resume",
                                          "queue", "describe", "methods"};

    begin("call other");
    for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++) {
        const Message *m = call(methods[i], "nowhere");

        CU_ASSERT_PTR_NOT_NULL_FATAL(m);
        CU_ASSERT_STRING_EQUAL(fake_error(m, "type"), "ferry.PermissionDenied");
    }
    end();
}

static void moving_needs_both_queues(void) {
    const Message *m;

    begin("manage mail");
    m = call("move", "mail print");
    CU_ASSERT_STRING_EQUAL(fake_error(m, "message"), "the user 'u' has no right to manage 'print'");
    end();
    begin("manage print");
    m = call("move", "mail print");
    CU_ASSERT_STRING_EQUAL(fake_error(m, "message"), "the user 'u' has no right to manage 'mail'");
    end();
}

/* The names in a list, in one text. */
static const char *names(const char *method, const char *key) {
    static char text[200];
    const Message *m = call(method, "");
    Reader list = reader_of(m->body.data, m->body.len);
    uint32_t n = reader_array(&list);

    CU_ASSERT_EQUAL_FATAL(m->op, OP_OK);
    *text = '\0';
    for (uint32_t i = 0; i < n; i++) {
        Span map = reader_value(&list);
        uint32_t left;
        Reader pairs = pairs_of(map, &left);
        Span name;

        while (pairs_next(&pairs, &left, &name)) {
            Span value = reader_value(&pairs);
            Reader inside = reader_of(value.data, value.len);

            if (span_is(name, key)) {
                Span said = reader_str(&inside);

                snprintf(text + strlen(text), sizeof(text) - strlen(text), "%.*s ", (int)said.len,
                         (const char *)said.data);
            }
        }
    }
    CU_ASSERT_NOT_EQUAL(list.problem != NULL, true);
    return text;
}

static void report_cache(Peer *from, const char *place) {
    CLEANUP(buffer_deinit) Buffer body = {0};

    write_array(&body, 1);
    write_array(&body, 1);
    write_map(&body, 1);
    write_text(&body, "cache");
    write_text(&body, place);
    fake_say(&broker, from,
             &(Message){.op = OP_CALL,
                        .call.timeout_ms = 1000,
                        .call.flags = CALL_ONEWAY,
                        .name = span_text("ferry.Broker"),
                        .call.method = span_text("report_caches"),
                        .body = span_of(body.data, body.len)});
    while (fake_next_real(from))
        continue;
}

static void expect_error(const Message *m, const char *type, const char *text) {
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    CU_ASSERT_EQUAL_FATAL(m->op, OP_ERROR);
    CU_ASSERT_STRING_EQUAL(fake_error(m, "type"), type);
    CU_ASSERT_STRING_EQUAL(fake_error(m, "message"), text);
}

static void expect_done(const Message *m) {
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    CU_ASSERT_EQUAL(m->op, OP_OK);
}

/* With a bind, a user can read the topics through the queue. */
static void binding_needs_the_queue_and_the_topics(void) {
    begin("manage mail");
    expect_error(call("bind", "mail news.*"), "ferry.PermissionDenied",
                 "the user 'u' has no right to subscribe 'news.*'");
    CU_ASSERT_EQUAL(broker.n_binds, 0);
    end();
    begin("manage mail subscribe news.today");
    expect_error(call("bind", "mail news.*"), "ferry.PermissionDenied",
                 "the user 'u' has no right to subscribe 'news.*'");
    expect_done(call("bind", "mail news.today"));
    CU_ASSERT_EQUAL(broker.n_binds, 1);
    end();
    begin("subscribe news.> push mail");
    expect_error(call("bind", "mail news.*"), "ferry.PermissionDenied",
                 "the user 'u' has no right to manage 'mail'");
    CU_ASSERT_EQUAL(broker.n_binds, 0);
    expect_done(call_as(admin, "bind", "mail news.*"));
    expect_error(call("unbind", "mail news.*"), "ferry.PermissionDenied",
                 "the user 'u' has no right to manage 'mail'");
    CU_ASSERT_EQUAL(broker.n_binds, 1);
    end();
    begin("manage mail");
    expect_done(call_as(admin, "bind", "mail news.*"));
    expect_done(call("unbind", "mail news.*"));
    CU_ASSERT_EQUAL(broker.n_binds, 0);
    end();
}

/* The right to the queue decides; a user that does not see the queue does not see the schedule. */
static void schedules_need_the_right_to_their_queue(void) {
    begin("manage mail push print");
    expect_done(call_as(admin, "add_schedule", "mail nightly @daily"));
    expect_done(call_as(admin, "add_schedule", "print weekly @weekly"));
    expect_done(call_as(admin, "add_schedule", "secret hourly @hourly"));
    CU_ASSERT_STRING_EQUAL(names("schedules", "name"), "nightly weekly ");
    expect_done(call("remove_schedule", "nightly"));
    expect_error(call("remove_schedule", "weekly"), "ferry.PermissionDenied",
                 "the user 'u' has no right to manage 'print'");
    expect_error(call("remove_schedule", "hourly"), "ferry.NotFound",
                 "there is no schedule 'hourly'");
    expect_error(call("remove_schedule", "no"), "ferry.NotFound", "there is no schedule 'no'");
    expect_error(call("add_schedule", "mail weekly @daily"), "ferry.PermissionDenied",
                 "the user 'u' has no right to manage 'print'");
    expect_error(call("add_schedule", "mail hourly @daily"), "ferry.AlreadyExists",
                 "a schedule of another user has the name 'hourly'");
    CU_ASSERT_STRING_EQUAL(names("schedules", "name"), "weekly ");
    end();
}

/* Job 1 is in `mail`, job 2 in `print`. */
static void one_job_needs_the_right_to_its_queue(void) {
    static const char *const methods[] = {"job", "cancel", "run_now"};

    for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++) {
        begin("push mail");
        expect_error(call(methods[i], "1"), "ferry.PermissionDenied",
                     i == 0 ? "the user 'u' has no right to peek 'mail'"
                            : "the user 'u' has no right to manage 'mail'");
        expect_error(call(methods[i], "2"), "ferry.NotFound", "there is no job 2");
        expect_error(call(methods[i], "3"), "ferry.NotFound", "there is no job 3");
        end();
        begin(i == 0 ? "peek mail" : "manage mail");
        expect_done(call(methods[i], "1"));
        end();
    }
    begin("manage mail");
    expect_error(call("move_job", "1 print"), "ferry.PermissionDenied",
                 "the user 'u' has no right to manage 'print'");
    end();
    begin("manage mail print");
    expect_done(call("move_job", "1 print"));
    end();
}

static void lists_show_what_the_user_may_see(void) {
    begin("call calc.* subscribe news.> peek print");
    CU_ASSERT_STRING_EQUAL(names("services", "name"), "calc.Calc ");
    CU_ASSERT_STRING_EQUAL(names("topics", "pattern"), "news.* ");
    CU_ASSERT_STRING_EQUAL(names("queues", "name"), "print ");
    CU_ASSERT_STRING_EQUAL(names("sessions", "user"), "u ");
    CU_ASSERT_STRING_EQUAL(names("users", "user"), "u ");
    end();
    begin("call nothing");
    CU_ASSERT_STRING_EQUAL(names("services", "name"), "");
    CU_ASSERT_STRING_EQUAL(names("topics", "pattern"), "");
    CU_ASSERT_STRING_EQUAL(names("queues", "name"), "");
    end();
    begin("watch >");
    CU_ASSERT_STRING_EQUAL(names("services", "name"), "calc.Calc log.Log ");
    CU_ASSERT_STRING_EQUAL(names("topics", "pattern"), "news.* orders.* ");
    CU_ASSERT_STRING_EQUAL(names("queues", "name"), "mail print ");
    CU_ASSERT_STRING_EQUAL(names("sessions", "user"), "root u ");
    CU_ASSERT_STRING_EQUAL(names("users", "user"), "root u ");
    end();
}

static void a_user_sees_the_caches_of_its_own_sessions(void) {
    begin("call x");
    report_cache(admin, "redis://one");
    report_cache(peer, "redis://two");
    CU_ASSERT_STRING_EQUAL(names("caches", "cache"), "redis://two ");
    end();
    begin("watch >");
    report_cache(admin, "redis://one");
    report_cache(peer, "redis://two");
    CU_ASSERT_STRING_EQUAL(names("caches", "cache"), "redis://one redis://two ");
    end();
}

static void a_user_may_end_its_own_sessions(void) {
    const Message *m;

    begin("call x");
    m = call("kick", "1");
    CU_ASSERT_STRING_EQUAL(fake_error(m, "message"), "there is no session 1");
    fake_peer_of_user(&broker, 1001, 'v');
    m = call("kick", "3");
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    CU_ASSERT_EQUAL(m->op, OP_OK);
    CU_ASSERT_EQUAL(broker.sessions.n, 2);
    end();
    begin("manage >");
    m = call("kick", "1");
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    CU_ASSERT_EQUAL(m->op, OP_OK);
    CU_ASSERT_EQUAL(broker.sessions.n, 1);
    end();
}

static void expect_decision(const char *args, bool is_allowed, const char *rule, int line) {
    ferry_broker_decision *decision = NULL;
    const Message *m = call("check", args);
    ferry_error error = FERRY_ERROR_INIT;

    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    CU_ASSERT_EQUAL_FATAL(m->op, OP_OK);
    CU_ASSERT_EQUAL_FATAL(schema_unpack_block(&ferry_type_ferry_broker_decision, m->body,
                                              "decision", (void **)&decision, &error),
                          0);
    CU_ASSERT_EQUAL(decision->allowed, is_allowed);
    CU_ASSERT_STRING_EQUAL(decision->rule, rule);
    CU_ASSERT_EQUAL(decision->line, line);
    ferry_free(decision);
}

static void check_explains_a_decision(void) {
    begin("call calc.* push mail");
    expect_decision("u call calc.Calc", true, "[user u] may = call calc.*", 3);
    expect_decision("u push mail", true, "[user u] may = push mail", 3);
    expect_decision("u push print", false, "", 0);
    expect_decision(" push mail", true, "[user u] may = push mail", 3); /* the caller */
    CU_ASSERT_STRING_EQUAL(fake_error(call("check", "u pull mail"), "type"),
                           "ferry.InvalidArgument");
    end();
    begin("admin");
    expect_decision("root push mail", true, "[user root] may = admin", 0);
    CU_ASSERT_STRING_EQUAL(fake_error(call("check", "joe push mail"), "type"), "ferry.NotFound");
    end();
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(each_method_has_a_row_or_is_a_list),
        TEST(each_method_needs_its_right),
        TEST(a_denial_does_not_tell_what_exists),
        TEST(moving_needs_both_queues),
        TEST(binding_needs_the_queue_and_the_topics),
        TEST(schedules_need_the_right_to_their_queue),
        TEST(one_job_needs_the_right_to_its_queue),
        TEST(lists_show_what_the_user_may_see),
        TEST(a_user_sees_the_caches_of_its_own_sessions),
        TEST(a_user_may_end_its_own_sessions),
        TEST(check_explains_a_decision),
        TESTS_END,
    };

    return run_suite("broker manage rights", tests);
}

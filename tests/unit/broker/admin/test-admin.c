/* SPDX-License-Identifier: Apache-2.0 */

/* ferry.Broker serves exactly the methods of ferry-broker.thrift. */

#include "base/log.h"
#include "broker/admin/admin.h"
#include "broker/queues/queues.h"
#include "broker/services/services.h"
#include "broker/stores/store.h"
#include "ferry-broker.h"
#include "rpc/schema/codec/codec.h"
#include "rpc/schema/description/description.h"
#include "rpc/schema/text/text.h"
#include "support/fake-hub.h"
#include "support/suite.h"

static Broker broker;
static Peer *peer;
static uint64_t last_id;

static void say(Op op, const char *name, const char *body) {
    Message message = {
        .op = (uint8_t)op, .id = ++last_id, .name = span_text(name), .body = span_text(body)};

    if (op == OP_SERVE)
        message.serve.slots = 3;
    fake_say(&broker, peer, &message);
    while (fake_next_real(peer))
        continue;
}

static int reload_nothing(Broker *of, ferry_error *reterr) {
    (void)of;
    (void)reterr;
    return 0;
}

/* Makes a broker with one of everything, so that no list in its answers is empty. */
static void begin(void) {
    log_level = LOG_LEVEL_ERROR;
    fake_hub_init(&broker);
    peer = fake_peer_new(&broker);
    last_id = 0;
    broker.reload = reload_nothing;
    fake_hello(&broker, peer, 'p');
    fake_hello(&broker, fake_peer_new(&broker), 'q');
    say(OP_SERVE, "calc.Calc", "");
    say(OP_PUSH, "mail", "hello");
    fake_say(&broker, peer,
             &(Message){.op = OP_SUBSCRIBE, .id = ++last_id, .name = span_text("news.*")});
    fake_say(&broker, peer,
             &(Message){.op = OP_PUBLISH,
                        .id = ++last_id,
                        .publish.flags = PUBLISH_RETAIN,
                        .name = span_text("news.today"),
                        .body = span_text("none")});
    fake_say(&broker, peer,
             &(Message){.op = OP_CALL,
                        .id = ++last_id,
                        .call.timeout_ms = 1000,
                        .name = span_text("calc.Calc"),
                        .call.method = span_text("add")});
    while (fake_next_real(peer))
        continue;
}

static const Message *call(const char *method, Span body) {
    fake_say(&broker, peer,
             &(Message){.op = OP_CALL,
                        .id = ++last_id,
                        .call.timeout_ms = 1000,
                        .name = span_text("ferry.Broker"),
                        .call.method = span_text(method),
                        .body = body});
    return fake_next_real(peer);
}

static void expect_error(const Message *m, const char *type, const char *text) {
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    CU_ASSERT_EQUAL_FATAL(m->op, OP_ERROR);
    CU_ASSERT_EQUAL(m->id, last_id);
    CU_ASSERT_STRING_EQUAL(fake_error(m, "type"), type);
    CU_ASSERT_STRING_EQUAL(fake_error(m, "message"), text);
}

/* Pushes a job and returns its number. */
static uint64_t new_job(void) {
    say(OP_PUSH, "mail", "again");
    return queues_last_job(broker.queues);
}

/* Arguments that name existing things. */
static void pack_arguments(const ferry_method *method, Buffer *to) {
    write_array(to, method->args->n);
    for (uint32_t i = 0; i < method->args->n; i++) {
        const char *name = method->args->fields[i].name;

        if (strcmp(name, "limit") == 0)
            write_uint(to, 5);
        else if (strcmp(name, "session") == 0)
            write_uint(to, 2);
        else if (strcmp(name, "job") == 0)
            write_uint(to, new_job());
        else if (strcmp(name, "setting") == 0)
            write_text(to, "ttl");
        else if (strcmp(name, "value") == 0)
            write_text(to, "1h");
        else if (strcmp(name, "cron") == 0)
            write_text(to, "@daily");
        else if (strcmp(name, "every") == 0)
            write_uint(to, 0);
        else if (strcmp(name, "tz") == 0 || strcmp(name, "missed") == 0)
            write_text(to, "");
        else if (strcmp(name, "body") == 0)
            write_bin(to, "x", 1);
        else if (strcmp(name, "action") == 0)
            write_text(to, "push");
        else if (strcmp(name, "caches") == 0)
            write_array(to, 0);
        else
            write_text(to, strcmp(name, "service") == 0 ? "calc.Calc"
                           : strcmp(name, "to") == 0    ? "other"
                                                        : "mail");
    }
}

static void check_result(const ferry_method *method, Span body) {
    ferry_error error = FERRY_ERROR_INIT;
    CLEANUP(buffer_deinit) Buffer shown = {0};
    Reader reader = reader_of(body.data, body.len);

    if (!method->result) {
        CU_ASSERT_TRUE(reader_nil(&reader));
        return;
    }
    CU_ASSERT_EQUAL(schema_format(method->result, body, method->name, &shown, &error), 0);
    if (error.message)
        fprintf(stderr, "%s: %s\n", method->name, error.message);
    ferry_error_clear(&error);
    /* This broker has no users and no shards: see test-rights.c and test-shards.c. */
    if (method->result->kind == FERRY_KIND_LIST && strcmp(method->name, "users") != 0 &&
        strcmp(method->name, "shards") != 0)
        CU_ASSERT(reader_array(&reader) > 0);
}

static void each_described_method_is_served_as_described(void) {
    begin();
    call("report_caches", span_text("\x91\x91\x81\xa5"
                                    "cache\xa1x"));
    for (uint32_t i = 0; i < ferry_service_ferry_broker.n_methods; i++) {
        const ferry_method *method = &ferry_service_ferry_broker.methods[i];
        CLEANUP(buffer_deinit) Buffer args = {0};
        const Message *m;

        if (method->stream_out)
            continue; /* tests/unit/broker/taps/test-tap.c has its tests */
        pack_arguments(method, &args);
        m = call(method->name, span_of(args.data, args.len));
        CU_ASSERT_PTR_NOT_NULL_FATAL(m);
        CU_ASSERT_EQUAL(m->op, OP_OK);
        if (m->op == OP_OK)
            check_result(method, m->body);
        else
            fprintf(stderr, "%s: %s\n", method->name, fake_error(m, "message"));
    }
    fake_hub_deinit(&broker);
}

static void each_served_method_is_described(void) {
    size_t n = 0;

    for (const char *name; (name = admin_method(n)); n++) {
        CU_ASSERT_PTR_NOT_NULL_FATAL(description_method(&ferry_service_ferry_broker, name));
        CU_ASSERT_STRING_EQUAL(ferry_service_ferry_broker.methods[n].name, name);
    }
    CU_ASSERT_EQUAL(n, ferry_service_ferry_broker.n_methods);
}

static void each_method_names_the_right_that_it_needs(void) {
    for (size_t i = 0; admin_method(i); i++)
        CU_ASSERT_TRUE(admin_has_need(i));
}

static const char *wanted(const ferry_type *type) {
    return type == &ferry_type_binary      ? "binary"
           : type == &ferry_type_i64       ? "i64"
           : type == &ferry_type_i32       ? "i32"
           : type->kind == FERRY_KIND_LIST ? "list"
                                           : "string";
}

/* Each argument of each method is once missing and once of a wrong type. */
static void wrong_arguments_are_refused_by_their_path(void) {
    char expected[100];

    begin();
    for (uint32_t i = 0; i < ferry_service_ferry_broker.n_methods; i++) {
        const ferry_method *method = &ferry_service_ferry_broker.methods[i];

        for (uint32_t wrong = 0; wrong < method->args->n; wrong++) {
            CLEANUP(buffer_deinit) Buffer args = {0};

            write_array(&args, method->args->n);
            for (uint32_t j = 0; j < method->args->n; j++)
                if (j == wrong)
                    write_bool(&args, true);
                else if (method->args->fields[j].type->kind == FERRY_KIND_STRING)
                    write_text(&args, "x");
                else if (method->args->fields[j].type->kind == FERRY_KIND_BINARY)
                    write_bin(&args, "x", 1);
                else if (method->args->fields[j].type->kind == FERRY_KIND_LIST)
                    write_array(&args, 0);
                else
                    write_uint(&args, 1);
            snprintf(expected, sizeof(expected), "args.%s: expected %s, got bool",
                     method->args->fields[wrong].name, wanted(method->args->fields[wrong].type));
            expect_error(call(method->name, span_of(args.data, args.len)), "ferry.InvalidArgument",
                         expected);
        }
    }
    expect_error(call("queue", span_text("\x90")), "ferry.InvalidArgument",
                 "args.queue: it is missing");
    expect_error(call("queue", span_text("")), "ferry.InvalidArgument",
                 "args.queue: it is missing");
    expect_error(call("peek", span_text("\x92\xa4mail\xff")), "ferry.InvalidArgument",
                 "args.limit: cannot be negative");
    expect_error(call("move", span_text("\x93\xa4mail\xa1x\xff")), "ferry.InvalidArgument",
                 "args.limit: cannot be negative");
    expect_error(call("move", span_text("\x92\xa4mail\xa4mail")), "ferry.InvalidArgument",
                 "args.to: 'mail' is the queue from which jobs are moved");
    expect_error(call("move", span_text("\x92\xa4mail\xa2m.")), "ferry.InvalidArgument",
                 "args.to: queue 'm.': a part between dots is empty");
    fake_hub_deinit(&broker);
}

static void arguments_may_be_left_out_and_be_too_many(void) {
    const Message *m;

    begin();
    m = call("services", span_text(""));
    CU_ASSERT(m && m->op == OP_OK);
    m = call("stats", span_text("\x92\xa1x\x05"));
    CU_ASSERT(m && m->op == OP_OK);
    m = call("peek", span_text("\x91\xa4mail"));
    CU_ASSERT(m && m->op == OP_OK);
    fake_hub_deinit(&broker);
}

static void unknown_names_are_not_found(void) {
    static const char *const of_queues[] = {"queue", "peek", "purge", "pause", "resume"};

    begin();
    for (size_t i = 0; i < sizeof(of_queues) / sizeof(*of_queues); i++)
        expect_error(call(of_queues[i], span_text("\x91\xa2no")), "ferry.NotFound",
                     "there is no queue 'no'");
    expect_error(call("move", span_text("\x92\xa2no\xa4mail")), "ferry.NotFound",
                 "there is no queue 'no'");
    expect_error(call("describe", span_text("\x91\xa2no")), "ferry.NotFound",
                 "there is no service 'no'");
    expect_error(call("methods", span_text("\x91\xa2no")), "ferry.NotFound",
                 "there is no service 'no'");
    expect_error(call("fly", span_text("\x90")), "ferry.NoSuchMethod",
                 "ferry.Broker has no method 'fly'");
    fake_hub_deinit(&broker);
}

static uint64_t counted(const Methods *methods, const char *name, uint64_t *ret_errors) {
    for (const Method *method = methods->table; method; method = method->hh.next)
        if (strcmp(method->name, name) == 0) {
            *ret_errors = method->errors;
            return method->calls;
        }
    return 0;
}

static void calls_of_ferry_broker_are_counted(void) {
    const Methods *own;
    uint64_t errors = 0;
    const Message *m;

    begin();
    own = services_own(broker.services);
    call("queues", span_text("\x90"));
    call("queue", span_text("\x91\xa2no"));
    call("queue", span_text("\x91\xa4mail"));
    call("fly", span_text("\x90"));
    CU_ASSERT_EQUAL(counted(own, "queues", &errors), 1);
    CU_ASSERT_EQUAL(errors, 0);
    CU_ASSERT_EQUAL(counted(own, "queue", &errors), 2);
    CU_ASSERT_EQUAL(errors, 1);
    CU_ASSERT_EQUAL(counted(own, "fly", &errors), 0);
    m = call("methods", span_text("\x91\xac"
                                  "ferry.Broker"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    CU_ASSERT_EQUAL(m->op, OP_OK);
    CU_ASSERT_EQUAL(own->n, 3);
    fake_hub_deinit(&broker);
}

/* Calls a method with a queue's name, followed by bytes that the broker ignores. */
static const Message *call_with_bytes(size_t len) {
    static const uint8_t bytes[64 * 1024];
    CLEANUP(buffer_deinit) Buffer body = {0};

    write_array(&body, 2);
    write_text(&body, "mail");
    write_bin(&body, bytes, len - 9);
    CU_ASSERT_EQUAL(body.len, len);
    return call("queue", span_of(body.data, body.len));
}

static void large_arguments_are_refused(void) {
    const Message *m;

    begin();
    m = call_with_bytes(64 * 1024);
    CU_ASSERT(m && m->op == OP_OK);
    expect_error(call_with_bytes(64 * 1024 + 1), "ferry.TooBig",
                 "the arguments have more than 65536 bytes");
    fake_hub_deinit(&broker);
}

static void ferry_broker_describes_itself(void) {
    ferry_error error = FERRY_ERROR_INIT;
    ferry_service *read = NULL;
    const Message *m;
    Span bytes = {0};

    begin();
    m = call("describe", span_text("\x91\xac"
                                   "ferry.Broker"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    CU_ASSERT_EQUAL_FATAL(m->op, OP_OK);

    Reader reader = reader_of(m->body.data, m->body.len);

    for (uint32_t n = reader_map(&reader); n > 0 && !reader.problem; n--)
        if (span_is(reader_str(&reader), "description"))
            bytes = reader_bin(&reader);
        else
            reader_value(&reader);
    CU_ASSERT_EQUAL_FATAL(description_read(bytes, &read, &error), 0);
    CU_ASSERT_STRING_EQUAL(read->name, "ferry.Broker");
    CU_ASSERT_EQUAL(read->n_methods, ferry_service_ferry_broker.n_methods);
    for (uint32_t i = 0; i < read->n_methods; i++)
        CU_ASSERT_STRING_EQUAL(read->methods[i].name, ferry_service_ferry_broker.methods[i].name);
    ferry_free(read);
    fake_hub_deinit(&broker);
}

/* The number of elements of a list that takes several turns. */
static uint32_t length_of_list(void) {
    const Message *m = NULL;
    Reader reader;

    for (int turns = 0; !m && turns < 10; turns++) {
        rooms_turn_end(&broker);
        m = fake_next_real(peer);
    }
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    CU_ASSERT_EQUAL_FATAL(m->op, OP_OK);
    reader = reader_of(m->body.data, m->body.len);
    return reader_array(&reader);
}

static void say_many(Op op, const char *prefix, int n) {
    char name[20];

    for (int i = 0; i < n; i++) {
        snprintf(name, sizeof(name), "%s.%d", prefix, i);
        say(op, name, "x");
    }
}

/* The list of topics continues with the patterns. */
static void a_long_list_has_the_elements_of_each_table(void) {
    enum { PATTERNS = 600, TOPICS = 520, SLICE = 512 };

    log_level = LOG_LEVEL_ERROR;
    fake_hub_init(&broker);
    peer = fake_peer_new(&broker);
    fake_hello(&broker, peer, 'p');
    while (fake_next_real(peer))
        continue;
    say_many(OP_SUBSCRIBE, "p", PATTERNS);
    CU_ASSERT_PTR_NULL(call("topics", span_text("\x90")));
    CU_ASSERT_EQUAL(length_of_list(), PATTERNS);

    say_many(OP_PUBLISH, "t", TOPICS);
    CU_ASSERT_PTR_NULL(call("topics", span_text("\x90")));
    /* All further topics are removed before the next turn. */
    CU_ASSERT_PTR_NOT_NULL_FATAL(broker.walks);
    walks_pass(broker.walks, broker.walks->at, NULL);
    CU_ASSERT_EQUAL(length_of_list(), SLICE + PATTERNS);
    fake_hub_deinit(&broker);
}

static void ferry_broker_has_one_instance(void) {
    Message m = {.op = OP_CALL,
                 .call.timeout_ms = 1000,
                 .name = span_text("ferry.Broker"),
                 .call.method = span_text("queues"),
                 .call.instance = span_text("broker")};
    const Message *ok;

    begin();
    m.id = ++last_id;
    fake_say(&broker, peer, &m);
    ok = fake_next_real(peer);
    CU_ASSERT(ok && ok->op == OP_OK);
    m.id = ++last_id;
    m.call.instance = span_text("other");
    fake_say(&broker, peer, &m);
    expect_error(fake_next_real(peer), "ferry.NoSuchService",
                 "'ferry.Broker' has no instance 'other'");
    fake_hub_deinit(&broker);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(each_described_method_is_served_as_described),
        TEST(each_served_method_is_described),
        TEST(each_method_names_the_right_that_it_needs),
        TEST(wrong_arguments_are_refused_by_their_path),
        TEST(arguments_may_be_left_out_and_be_too_many),
        TEST(unknown_names_are_not_found),
        TEST(calls_of_ferry_broker_are_counted),
        TEST(large_arguments_are_refused),
        TEST(ferry_broker_describes_itself),
        TEST(a_long_list_has_the_elements_of_each_table),
        TEST(ferry_broker_has_one_instance),
        TESTS_END,
    };

    return run_suite("broker manage", tests);
}

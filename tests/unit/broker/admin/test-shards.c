/* SPDX-License-Identifier: Apache-2.0 */

/* ferry.Broker at a broker that has some of the shards: what it lists, and which calls it passes to
 * other brokers. */

#include <errno.h>

#include "base/log.h"
#include "broker/admin/admin-private.h"
#include "broker/admin/binds.h"
#include "broker/queues/shards-private.h"
#include "support/fake-hub.h"
#include "support/suite.h"

enum { SHARDS = 5, FACTS = 4 };

/* The facts of shard 0. */
static struct KeptFact {
    uint8_t name[100], value[300];
    size_t n_name, n_value;
} facts[FACTS];

static Broker broker;
static Queues *queues;
static Peer *peer;
static uint64_t last_id;
static Store shards[SHARDS];

static int keep_fact(Store *store, uint64_t ticket, Span name, Span value) {
    unsigned i = 0;

    (void)store, (void)ticket;
    while (i < FACTS && facts[i].n_name > 0 &&
           !(facts[i].n_name == name.len && memcmp(facts[i].name, name.data, name.len) == 0))
        i++;
    CU_ASSERT_FATAL(i < FACTS && name.len < sizeof(facts[i].name) &&
                    value.len < sizeof(facts[i].value));
    memcpy(facts[i].name, name.data, name.len);
    if (value.len > 0)
        memcpy(facts[i].value, value.data, value.len);
    facts[i].n_name = name.len;
    facts[i].n_value = value.len;
    return 0;
}

static const StoreOps shard_ops = {.durability = "redis", .keep = keep_fact};

static void adopt(unsigned k) {
    CU_ASSERT_EQUAL_FATAL(queues_adopt_begin(queues, &shards[k]), 0);
    for (unsigned i = 0; k == 0 && i < FACTS; i++)
        if (facts[i].n_value > 0)
            CU_ASSERT_EQUAL(queues_restore_fact(queues, &shards[k],
                                                span_of(facts[i].name, facts[i].n_name),
                                                span_of(facts[i].value, facts[i].n_value)),
                            0);
    queues_adopt_end(queues, &shards[k]);
}

static void let_go(unsigned k) {
    queues_release_shard(queues, &shards[k]);
    while (queues->leaving)
        shards_go_on(queues);
}

/* Shard 0 is here, shard 1 is at another broker, and no broker has the others. */
static void begin(void) {
    log_level = LOG_LEVEL_ERROR;
    memset(facts, 0, sizeof(facts));
    fake_hub_init(&broker);
    queues = broker.queues;
    last_id = 0;
    for (unsigned k = 0; k < SHARDS; k++) {
        shards[k] = (Store){.ops = &shard_ops, .shard = k + 1, .away = true};
        CU_ASSERT_EQUAL_FATAL(queues_add_store(queues, &shards[k]), 0);
    }
    queues_set_default_store(queues, &shards[0]);
    adopt(0);
    shards[1].owner = (StoreOwner){.is_known = true, .broker = "b", .url = "tcp://b:5877"};
    peer = fake_peer_connected(&broker, 'p');
}

static void end(void) {
    fake_hub_deinit(&broker);
}

/* The n-th name of a queue in this shard. Four names can be used at the same time. */
static const char *queue_in(unsigned k, unsigned n) {
    static char names[4][32];
    static unsigned next;
    char *name = names[next++ % 4];

    for (unsigned i = 0;; i++) {
        snprintf(name, sizeof(names[0]), "queue-%u", i);
        if (shard_of(queues, span_text(name)) == &shards[k] && n-- == 0)
            return name;
    }
}

static const Message *say(const Message *message) {
    Message with_id = *message;

    with_id.id = ++last_id;
    fake_say(&broker, peer, &with_id);
    return fake_next_real(peer);
}

static void push(const char *queue) {
    const Message *m =
        say(&(Message){.op = OP_PUSH, .name = span_text(queue), .body = span_text("x")});

    CU_ASSERT_EQUAL_FATAL(m->op, OP_OK);
}

/* Calls a method. The arguments are words; "#N" is a number. */
static const Message *call(const char *method, const char *arguments) {
    CLEANUP(buffer_deinit) Buffer body = {0};
    char words[4][64];
    int n = sscanf(arguments, "%63s %63s %63s %63s", words[0], words[1], words[2], words[3]);

    write_array(&body, n < 0 ? 0 : (uint32_t)n);
    for (int i = 0; i < n; i++)
        if (words[i][0] == '#')
            write_uint(&body, strtoull(words[i] + 1, NULL, 10));
        else
            write_text(&body, words[i]);
    return say(&(Message){.op = OP_CALL,
                          .name = span_text("ferry.Broker"),
                          .call = {.timeout_ms = 1000, .method = span_text(method)},
                          .body = span_of(body.data, body.len)});
}

static void expect_ok(const Message *m) {
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    if (m->op == OP_ERROR)
        printf("\n    %s\n", fake_error(m, "message"));
    CU_ASSERT_EQUAL(m->op, OP_OK);
}

static void expect_error(const Message *m, const char *type) {
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    CU_ASSERT_EQUAL_FATAL(m->op, OP_ERROR);
    CU_ASSERT_EQUAL(m->id, last_id);
    CU_ASSERT_STRING_EQUAL(fake_error(m, "type"), type);
}

static void expect_moved(const Message *m, const char *url) {
    expect_error(m, "ferry.Moved");
    CU_ASSERT_STRING_EQUAL(fake_error(m, "url"), url);
}

/* The values of one key in all rows of a list, with a blank behind each. */
static const char *column(const char *method, const char *key) {
    static char text[400];
    const Message *m = call(method, "");
    size_t len = 0;
    Reader rows;

    expect_ok(m);
    *text = '\0';
    rows = reader_of(m->body.data, m->body.len);
    for (uint32_t n = reader_array(&rows); n > 0 && !rows.problem; n--) {
        Span row = reader_value(&rows), name;
        uint32_t left;
        Reader pairs = pairs_of(row, &left);

        while (pairs_next(&pairs, &left, &name)) {
            Span value = reader_value(&pairs);
            Reader inside = reader_of(value.data, value.len);

            if (!span_is(name, key))
                continue;
            if (reader_peek(&inside) == WIRE_INT)
                len += (size_t)snprintf(text + len, sizeof(text) - len, "%llu ",
                                        (unsigned long long)reader_uint(&inside));
            else {
                value = reader_str(&inside);
                len += (size_t)snprintf(text + len, sizeof(text) - len, "%.*s ", (int)value.len,
                                        (const char *)value.data);
            }
        }
    }
    CU_ASSERT_PTR_NULL(rows.problem);
    return text;
}

/* ---- lists ---- */

static void shards_are_listed_with_their_states(void) {
    begin();
    push(queue_in(0, 0));
    push(queue_in(0, 1));
    CU_ASSERT_EQUAL(queues_adopt_begin(queues, &shards[3]), 0);
    adopt(4);
    CU_ASSERT_TRUE(queues_close_shard(queues, &shards[4]));
    store_set_degraded(&shards[0], "Redis is away");
    CU_ASSERT_STRING_EQUAL(column("shards", "shard"), "0 1 2 3 4 ");
    CU_ASSERT_STRING_EQUAL(column("shards", "state"), "here elsewhere none restoring leaving ");
    CU_ASSERT_STRING_EQUAL(column("shards", "owner"), " tcp://b:5877    ");
    CU_ASSERT_STRING_EQUAL(column("shards", "jobs"), "2 0 0 0 0 ");
    CU_ASSERT_STRING_EQUAL(column("shards", "degraded"), "Redis is away ");
    end();
}

static void a_list_of_queues_has_those_that_are_here(void) {
    char here[40];

    begin();
    snprintf(here, sizeof(here), "%s ", queue_in(0, 0));
    push(queue_in(0, 0));
    say(&(Message){
        .op = OP_PULL, .name = span_text(queue_in(1, 0)), .pull = {.slots = 1, .wait = 1}});
    CU_ASSERT_EQUAL(queues_count(queues), 2);
    CU_ASSERT_STRING_EQUAL(column("queues", "name"), here);
    let_go(0);
    CU_ASSERT_STRING_EQUAL(column("queues", "name"), "");
    end();
}

static void a_degraded_shard_is_named_with_its_queues(void) {
    begin();
    push(queue_in(0, 0));
    CU_ASSERT_STRING_EQUAL(column("queues", "degraded"), "");
    store_set_degraded(&shards[0], "Redis is away");
    CU_ASSERT_STRING_EQUAL(column("queues", "degraded"), "shard 0: Redis is away ");
    end();
}

/* ---- calls about queues and jobs of other brokers ---- */

static void calls_about_a_queue_elsewhere_name_its_broker(void) {
    static const char *const methods[][2] = {
        {"queue", "Q"},
        {"peek", "Q"},
        {"purge", "Q"},
        {"pause", "Q"},
        {"resume", "Q"},
        {"move", "Q x"},
        {"bind", "Q news.*"},
        {"unbind", "Q news.*"},
        {"configure", "Q ttl 1h"},
        {"add_schedule", "Q s @daily"},
    };
    char arguments[200];

    for (unsigned k = 1; k <= 2; k++) {
        begin();
        push(queue_in(0, 0));
        for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++) {
            size_t len = 0;

            for (const char *at = methods[i][1]; *at; at++)
                len += (size_t)snprintf(arguments + len, sizeof(arguments) - len, "%s",
                                        *at == 'Q' ? queue_in(k, 0) : (char[]){*at, '\0'});
            expect_moved(call(methods[i][0], arguments), k == 1 ? "tcp://b:5877" : "");
        }
        expect_error(call("remove_schedule", "s"), "ferry.NotFound");
        CU_ASSERT_EQUAL(queues_count(queues), 1);
        end();
    }
}

static void calls_about_a_job_elsewhere_name_its_broker(void) {
    static const char *const methods[] = {"job", "cancel", "run_now"};

    begin();
    for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++) {
        expect_moved(call(methods[i], "#66"), "tcp://b:5877"); /* 64 + shard 1 + 1 */
        expect_moved(call(methods[i], "#67"), "");
        expect_error(call(methods[i], "#65"), "ferry.NotFound");  /* shard 0 */
        expect_error(call(methods[i], "#127"), "ferry.NotFound"); /* in no shard */
    }
    expect_moved(call("move_job", "#66 x"), "tcp://b:5877");
    end();
}

static void a_queue_in_a_shard_can_be_bound(void) {
    char arguments[100];
    const char *problem;

    begin();
    snprintf(arguments, sizeof(arguments), "%s news.*", queue_in(0, 0));
    expect_ok(call("bind", arguments));
    CU_ASSERT_EQUAL(binds_configure(broker.binds, queue_in(1, 0), "news.*", &problem), 0);
    CU_ASSERT_EQUAL(broker.n_binds, 2);
    let_go(0);
    CU_ASSERT_EQUAL(broker.n_binds, 1);
    adopt(0);
    CU_ASSERT_EQUAL(broker.n_binds, 2);
    expect_ok(call("unbind", arguments));
    CU_ASSERT_EQUAL(broker.n_binds, 1);
    end();
}

/* ---- facts ---- */

static void settings_and_schedules_move_with_their_shard(void) {
    char arguments[100];

    begin();
    snprintf(arguments, sizeof(arguments), "%s max_jobs 7", queue_in(0, 0));
    expect_ok(call("configure", arguments));
    snprintf(arguments, sizeof(arguments), "%s nightly @daily", queue_in(0, 0));
    expect_ok(call("add_schedule", arguments));
    snprintf(arguments, sizeof(arguments), "%s nightly @daily", queue_in(0, 1));
    expect_ok(call("add_schedule", arguments)); /* replaces it, in the same shard */
    CU_ASSERT_STRING_EQUAL(column("schedules", "name"), "nightly ");
    push(queue_in(0, 0));
    CU_ASSERT_EQUAL(queue_find(queues, span_text(queue_in(0, 0)))->settings.max_jobs, 7);

    let_go(0);
    CU_ASSERT_STRING_EQUAL(column("schedules", "name"), "");
    CU_ASSERT_PTR_NULL(queues->facts);
    CU_ASSERT_NOT_EQUAL(queue_find(queues, span_text(queue_in(0, 0)))->settings.max_jobs, 7);

    adopt(0);
    CU_ASSERT_STRING_EQUAL(column("schedules", "name"), "nightly ");
    CU_ASSERT_EQUAL(queue_find(queues, span_text(queue_in(0, 0)))->settings.max_jobs, 7);
    expect_ok(call("remove_schedule", "nightly"));
    CU_ASSERT_EQUAL(facts[1].n_value, 0);
    end();
}

/* Schedules of two shards may have one name, if they were added at two brokers. */
static void schedules_of_two_shards_with_one_name_do_not_mix(void) {
    char arguments[100];

    begin();
    adopt(2);
    snprintf(arguments, sizeof(arguments), "%s nightly @daily", queue_in(0, 0));
    expect_ok(call("add_schedule", arguments));
    snprintf(arguments, sizeof(arguments), "%s nightly @daily", queue_in(2, 0));
    expect_error(call("add_schedule", arguments), "ferry.AlreadyExists");
    CU_ASSERT_EQUAL(queues_restore_fact(queues, &shards[2], span_of(facts[0].name, facts[0].n_name),
                                        span_of(facts[0].value, facts[0].n_value)),
                    0);
    CU_ASSERT_STRING_EQUAL(column("schedules", "name"), "nightly nightly ");
    let_go(0);
    CU_ASSERT_STRING_EQUAL(column("schedules", "name"), "nightly ");
    let_go(2);
    CU_ASSERT_STRING_EQUAL(column("schedules", "name"), "");
    end();
}

/* A setting may take the queue out of its shard; the setting itself stays there. */
static void a_queue_can_leave_its_shard_by_a_setting(void) {
    char arguments[100];

    begin();
    snprintf(arguments, sizeof(arguments), "%s durability memory", queue_in(0, 0));
    expect_ok(call("configure", arguments));
    push(queue_in(0, 0));
    CU_ASSERT_EQUAL(queues->last_job % 64, 63);
    CU_ASSERT_EQUAL(facts[0].n_value, strlen("memory"));
    snprintf(arguments, sizeof(arguments), "%s", queue_in(0, 0));
    expect_ok(call("purge", arguments));
    snprintf(arguments, sizeof(arguments), "%s durability redis", queue_in(0, 0));
    expect_ok(call("configure", arguments));
    CU_ASSERT_EQUAL(facts[0].n_value, strlen("redis"));
    push(queue_in(0, 0));
    CU_ASSERT_EQUAL(queues->last_job % 64, 1);
    end();
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(shards_are_listed_with_their_states),
        TEST(a_list_of_queues_has_those_that_are_here),
        TEST(a_degraded_shard_is_named_with_its_queues),
        TEST(calls_about_a_queue_elsewhere_name_its_broker),
        TEST(calls_about_a_job_elsewhere_name_its_broker),
        TEST(a_queue_in_a_shard_can_be_bound),
        TEST(settings_and_schedules_move_with_their_shard),
        TEST(schedules_of_two_shards_with_one_name_do_not_mix),
        TEST(a_queue_can_leave_its_shard_by_a_setting),
        TESTS_END,
    };

    return run_suite("broker manages shards", tests);
}

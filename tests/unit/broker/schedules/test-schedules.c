/* SPDX-License-Identifier: Apache-2.0 */
/* Schedules: one job for each moment, even if a broker with a disk is stopped or crashes. */

#include "broker/schedules/schedules.h"

#include "unit/broker/schedules/zone-of-rule.h"
#include "unit/broker/stores/disk-life.h"

/* The wall clock of these tests, which is ahead of the machine's clock. */
static uint64_t at(const char *text) {
    return (uint64_t)moment(text) * 1000;
}

static void open_schedules(void) {
    CU_ASSERT_EQUAL_FATAL(schedules_new(&broker.schedules, &broker), 0);
}

static void begin_in_memory(void) {
    setup();
    open_schedules();
}

static void end_in_memory(void) {
    broker.schedules = schedules_free(broker.schedules);
    teardown();
}

static void begin_on_disk(void) {
    setup();
    open_schedules(); /* before the facts are restored */
    CU_ASSERT_EQUAL(waker_open(&waker), 0);
    disk = store_disk_new(data);
    queues_set_default_store(queues, disk);
    CU_ASSERT_EQUAL(queues_add_store(queues, disk), 0);
    CU_ASSERT_EQUAL_FATAL(queues_open_stores(queues, &waker, NULL), 0);
    while (queues_restore(queues, NULL) > 0)
        continue;
}

static void stop_on_disk(void) {
    broker.schedules = schedules_free(broker.schedules);
    stop();
}

/* Written records stay, but the schedules do not learn that they were written. */
static void crash_on_disk(void) {
    broker.schedules = schedules_free(broker.schedules);
    crash();
}

static int add_with(const char *name, const char *cron, uint64_t every_ms, const char *zone,
                    const char *missed, ferry_error *reterr) {
    return schedules_add(broker.schedules,
                         &(ScheduleParts){.name = span_text(name),
                                          .queue = span_text("q"),
                                          .cron = span_text(cron),
                                          .every_ms = every_ms,
                                          .zone = span_text(zone),
                                          .missed = span_text(missed),
                                          .body = span_text("hello"),
                                          .since_ms = at("2040-01-01T00:00")},
                         NULL, 0, reterr);
}

static void add(const char *name, const char *cron, uint64_t every_ms, const char *missed) {
    CU_ASSERT_EQUAL(add_with(name, cron, every_ms, "", missed, NULL), QUEUES_LATER);
}

/* Looks at the schedules until no moment is due and the store has finished. */
static void look(const char *time) {
    for (int i = 0, n_quiet = 0; n_quiet < 200 && i < 100000; i++) {
        schedules_look(broker.schedules, at(time));
        rooms_turn_end(&broker);
        if (waker.fd >= 0)
            turn(1);
        n_quiet = queues->pendings ? 0 : n_quiet + 1; /* a busy disk takes longer */
    }
}

static void a_job_is_pushed_at_each_moment(void) {
    Session *s;
    const FakeSent *sent;

    begin_in_memory();
    s = fake_connect(&broker, 's');
    add("tick", "*/15 * * * *", 0, "");
    look("2040-01-01T00:14");
    CU_ASSERT_EQUAL(count_of("q", "ready"), UINT64_MAX);
    look("2040-01-01T00:15");
    CU_ASSERT_EQUAL(count_of("q", "ready"), 1);
    look("2040-01-01T00:15");
    look("2040-01-01T00:29");
    CU_ASSERT_EQUAL(count_of("q", "ready"), 1);
    look("2040-01-01T00:30");
    CU_ASSERT_EQUAL(count_of("q", "ready"), 2);
    look("2040-01-01T00:10"); /* the wall clock was set back */
    CU_ASSERT_EQUAL(count_of("q", "ready"), 2);
    pull(s, 1, "q", 1);
    expect_ok(s, 1);
    sent = fake_take(s);
    CU_ASSERT_PTR_NOT_NULL_FATAL(sent);
    CU_ASSERT_TRUE(span_is(sent->message.body, "hello"));
    CU_ASSERT_TRUE(span_is(header_find(sent->message.headers, "ferry-schedule"), "tick"));
    CU_ASSERT_TRUE(
        span_is(header_find(sent->message.headers, "ferry-moment"), "2040-01-01T00:15:00Z"));
    end_in_memory();
}

/* The broker writes shorter names: another program has changed the store. */
static void a_restored_schedule_with_a_long_name_is_refused(void) {
    CLEANUP(buffer_deinit) Buffer value = {0};
    char fact[300] = "schedule ";

    begin_in_memory();
    memset(fact + strlen(fact), 'x', SCHEDULE_NAME_MAX + 100);
    write_map(&value, 3);
    write_text(&value, "queue");
    write_text(&value, "q");
    write_pair(&value, "every", 1000);
    write_pair(&value, "since", at("2040-01-01T00:00"));
    CU_ASSERT_EQUAL(
        queues_restore_fact(queues, &store_memory, span_text(fact), span_of(value.data, value.len)),
        0);
    CU_ASSERT_EQUAL(schedules_queue_of(broker.schedules, span_text(fact + 9)).len, 0);
    end_in_memory();
}

static void an_interval_counts_from_the_start(void) {
    begin_in_memory();
    add("tick", "", 90 * 60 * 1000, "");
    look("2040-01-01T01:29");
    CU_ASSERT_EQUAL(count_of("q", "ready"), UINT64_MAX);
    look("2040-01-01T01:30");
    CU_ASSERT_EQUAL(count_of("q", "ready"), 1);
    look("2040-01-01T03:00");
    CU_ASSERT_EQUAL(count_of("q", "ready"), 2);
    end_in_memory();
}

static void missed_moments_go_by_their_rule(void) {
    static const struct {
        const char *rule;
        uint64_t n;
    } rows[] = {{"once", 1}, {"", 1}, {"skip", UINT64_MAX}, {"all", 5}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        begin_in_memory();
        add("tick", "0 * * * *", 0, rows[i].rule);
        look("2040-01-01T05:30");
        CU_ASSERT_EQUAL(count_of("q", "ready"), rows[i].n);
        look("2040-01-01T06:00");
        CU_ASSERT_EQUAL(count_of("q", "ready"), rows[i].n == UINT64_MAX ? 1 : rows[i].n + 1);
        end_in_memory();
    }
    /* The outage has half a million minutes. */
    begin_in_memory();
    add("tick", "* * * * *", 0, "once");
    look("2041-01-01T00:00");
    CU_ASSERT_EQUAL(count_of("q", "ready"), 1);
    end_in_memory();
}

static void a_full_queue_gets_the_job_later(void) {
    Session *s;

    log_level = LOG_LEVEL_ERROR;
    begin_in_memory();
    configure("q", "max_jobs", "1");
    s = fake_connect(&broker, 's');
    push(s, 1, "q", "in the way", NULL);
    expect_ok(s, 1);
    add("tick", "0 * * * *", 0, "");
    look("2040-01-01T01:00");
    CU_ASSERT_EQUAL(count_of("q", "pushed"), 1);
    pull(s, 2, "q", 1);
    expect_ok(s, 2);
    queues_ack(queues, s,
               &(Message){.op = OP_ACK,
                          .settle = {.job = expect_job(s, 2, "in the way", 1), .attempt = 1}});
    look("2040-01-01T01:01");
    CU_ASSERT_EQUAL(count_of("q", "pushed"), 2);
    look("2040-01-01T01:02");
    CU_ASSERT_EQUAL(count_of("q", "pushed"), 2);
    end_in_memory();
}

static void a_schedule_is_replaced_and_removed(void) {
    begin_in_memory();
    add("tick", "0 * * * *", 0, "");
    add("tick", "30 * * * *", 0, "");
    look("2040-01-01T00:30");
    look("2040-01-01T01:00");
    CU_ASSERT_EQUAL(count_of("q", "ready"), 1);
    CU_ASSERT_TRUE(span_is(schedules_queue_of(broker.schedules, span_text("tick")), "q"));
    CU_ASSERT_EQUAL(schedules_remove(broker.schedules, span_text("tick"), NULL, 0), QUEUES_LATER);
    CU_ASSERT_EQUAL(schedules_remove(broker.schedules, span_text("tick"), NULL, 0), -ENOENT);
    look("2040-01-01T02:00");
    CU_ASSERT_EQUAL(count_of("q", "ready"), 1);
    CU_ASSERT_EQUAL(schedules_look(broker.schedules, at("2040-01-01T02:00")), UINT64_MAX);
    end_in_memory();
}

static void bad_parts_are_refused(void) {
    static const struct {
        const char *name, *cron;
        uint64_t every_ms;
        const char *zone, *missed, *problem;
    } rows[] = {
        {"a b", "* * * * *", 0, "", "", "the name 'a b'"},
        {"a", "", 0, "", "", "either a cron line or an interval"},
        {"a", "* * * * *", 1000, "", "", "either a cron line or an interval"},
        {"a", "", 999, "", "", "at least one second"},
        {"a", "", 1000, "UTC", "", "with a cron line only, not with an interval"},
        {"a", "* 24 * * *", 0, "", "", "hour '24' at byte 3"},
        {"a", "* * * * *", 0, "Europe/Nowhere", "", "'Europe/Nowhere' is not in"},
        {"a", "* * * * *", 0, "../x", "", "is not the name of a time zone"},
        {"a", "* * * * *", 0, "", "maybe", "'once', 'skip' or 'all'"},
    };

    begin_in_memory();
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;

        CU_ASSERT(add_with(rows[i].name, rows[i].cron, rows[i].every_ms, rows[i].zone,
                           rows[i].missed, &error) < 0);
        CU_ASSERT_PTR_NOT_NULL_FATAL(error.message);
        if (!strstr(error.message, rows[i].problem))
            printf("%s\n", error.message);
        CU_ASSERT_PTR_NOT_NULL(strstr(error.message, rows[i].problem));
    }
    CU_ASSERT_EQUAL(schedules_look(broker.schedules, at("2041-01-01T00:00")), UINT64_MAX);
    end_in_memory();
}

static void the_number_of_schedules_has_a_limit(void) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    char name[16];

    begin_in_memory();
    for (int i = 0; i < SCHEDULES_MAX; i++) {
        snprintf(name, sizeof(name), "s%d", i);
        add(name, "@yearly", 0, "");
    }
    CU_ASSERT(add_with("one-more", "@yearly", 0, "", "", &error) < 0);
    CU_ASSERT_STRING_EQUAL(error.type, "ferry.Full");
    add("s0", "@hourly", 0, ""); /* it replaces another schedule */
    end_in_memory();
}

static void schedules_survive_a_restart(void) {
    new_folder();
    begin_on_disk();
    add("tick", "0 * * * *", 0, "all");
    look("2040-01-01T02:00");
    CU_ASSERT_EQUAL(count_of("q", "ready"), 2);
    stop_on_disk();
    begin_on_disk();
    look("2040-01-01T02:30");
    CU_ASSERT_EQUAL(count_of("q", "ready"), 2);
    look("2040-01-01T04:00");
    CU_ASSERT_EQUAL(count_of("q", "ready"), 4);
    CU_ASSERT_EQUAL(schedules_remove(broker.schedules, span_text("tick"), NULL, 0), QUEUES_LATER);
    stop_on_disk();
    begin_on_disk();
    look("2040-01-01T06:00");
    CU_ASSERT_EQUAL(count_of("q", "ready"), 4);
    stop_on_disk();
}

/* The broker dies when the job is on the disk and its moment is not yet kept. */
static void a_moment_has_one_job_when_the_broker_is_killed_in_between(void) {
    static const char *const rules[] = {"once", "all"};

    for (size_t i = 0; i < 2; i++) {
        new_folder();
        begin_on_disk();
        add("tick", "0 * * * *", 0, rules[i]);
        look("2040-01-01T00:30");
        schedules_look(broker.schedules, at("2040-01-01T01:00"));
        rooms_turn_end(&broker); /* the journal gets the job; the broker does not learn that it is
                                  * written */
        for (int j = 0;
             j < 2000 && poll(&(struct pollfd){.fd = waker.fd, .events = POLLIN}, 1, 10) == 0; j++)
            continue;
        crash_on_disk();
        begin_on_disk();
        CU_ASSERT_EQUAL(count_of("q", "ready"), 1);
        look("2040-01-01T01:30");
        CU_ASSERT_EQUAL(count_of("q", "ready"), 1);
        look("2040-01-01T02:00");
        CU_ASSERT_EQUAL(count_of("q", "ready"), 2);
        crash_on_disk();
        begin_on_disk();
        look("2040-01-01T02:30");
        CU_ASSERT_EQUAL(count_of("q", "ready"), 2);
        stop_on_disk();
    }
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_job_is_pushed_at_each_moment),
        TEST(an_interval_counts_from_the_start),
        TEST(a_restored_schedule_with_a_long_name_is_refused),
        TEST(missed_moments_go_by_their_rule),
        TEST(a_full_queue_gets_the_job_later),
        TEST(a_schedule_is_replaced_and_removed),
        TEST(bad_parts_are_refused),
        TEST(the_number_of_schedules_has_a_limit),
        TEST(schedules_survive_a_restart),
        TEST(a_moment_has_one_job_when_the_broker_is_killed_in_between),
        TESTS_END,
    };
    unsigned failed = (unsigned)run_suite("schedules", tests);

    remove_work();
    return (int)failed;
}

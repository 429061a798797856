/* SPDX-License-Identifier: Apache-2.0 */
/* The name of a schedule exists once in a cluster. */

#include "broker/admin/binds-private.h"

#include "broker/schedules/schedules.h"
#include "unit/broker/admin/fake-relay.h"

static void begin_with_schedules(void) {
    begin();
    CU_ASSERT_EQUAL_FATAL(schedules_new(&broker.schedules, &broker), 0);
    binds_set_relay(broker.binds, &relay);
}

static void end_with_schedules(void) {
    broker.schedules = schedules_free(broker.schedules);
    end();
}

static char problem[300]; /* of the last command: type and text */

static int add(uint64_t id, const char *name, const char *queue) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    ScheduleParts parts = {.name = span_text(name), .queue = span_text(queue), .every_ms = 3600000};
    int r = schedule_names_add(broker.binds, &parts, s, id, &error);

    snprintf(problem, sizeof(problem), "%s: %s", r < 0 ? error.type : "",
             r < 0 ? error.message : "");
    return r;
}

static int remove_one(uint64_t id, const char *name) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    int r = schedule_names_remove(broker.binds, span_text(name), s, id, &error);

    snprintf(problem, sizeof(problem), "%s", r < 0 ? error.type : "");
    return r;
}

/* Another broker announces a schedule of a shard; name NULL: an empty list. */
static void hear_schedule(unsigned k, const char *name) {
    CLEANUP(buffer_deinit) Buffer text = {0};

    write_array(&text, name ? 1 : 0);
    if (name)
        remote_binds_write_schedule(&text, span_text(queue_in(k, 0)), span_text(name));
    relay.user.on_binds(k, span_of(text.data, text.len), relay.user.ctx);
}

static bool exists(const char *name) {
    return schedules_queue_of(broker.schedules, span_text(name)).len > 0;
}

static void a_new_name_is_kept_when_all_brokers_know_it(void) {
    begin_with_schedules();
    CU_ASSERT_EQUAL(add(1, "nightly", queue_in(0, 0)), QUEUES_LATER);
    CU_ASSERT_FALSE(exists("nightly"));
    CU_ASSERT_EQUAL(n_announced(0), 1);
    expect_nothing(s);
    all_know();
    expect_ok(s, 1);
    CU_ASSERT_TRUE(exists("nightly"));
    CU_ASSERT_EQUAL(n_announced(0), 1);
    /* Replaced at once, because all brokers know the name. */
    CU_ASSERT_EQUAL(add(2, "nightly", queue_in(0, 0)), QUEUES_LATER);
    expect_ok(s, 2);
    CU_ASSERT_EQUAL(n_announced(0), 1);
    end_with_schedules();
}

static void a_name_of_another_broker_is_refused(void) {
    Span queue = {NULL, 0};

    begin_with_schedules();
    hear_schedule(1, "nightly");
    CU_ASSERT_EQUAL(remote_binds_count(broker.binds->remote), 0);
    CU_ASSERT_TRUE(schedule_names_find_far(broker.binds, span_text("nightly"), &queue));
    CU_ASSERT_TRUE(span_is(queue, queue_in(1, 0)));
    CU_ASSERT(add(1, "nightly", queue_in(0, 0)) < 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(problem, "ferry.AlreadyExists"));
    CU_ASSERT_PTR_NOT_NULL(strstr(problem, queue_in(1, 0)));
    CU_ASSERT_EQUAL(add(2, "weekly", queue_in(0, 0)), QUEUES_LATER);
    hear_schedule(1, NULL);
    CU_ASSERT_EQUAL(add(3, "nightly", queue_in(0, 0)), QUEUES_LATER);
    all_know();
    expect_ok(s, 2);
    expect_ok(s, 3);
    end_with_schedules();
}

static void of_two_brokers_that_add_a_name_at_once_one_refuses_it(void) {
    begin_with_schedules();
    CU_ASSERT_EQUAL(add(1, "nightly", queue_in(0, 0)), QUEUES_LATER);
    hear_schedule(1, "nightly");
    all_know();
    expect_error(s, 1, "ferry.AlreadyExists");
    CU_ASSERT_FALSE(exists("nightly"));
    CU_ASSERT_EQUAL(n_announced(0), 0);
    end_with_schedules();
}

static void a_name_is_free_when_its_removal_is_answered(void) {
    begin_with_schedules();
    add(1, "nightly", queue_in(0, 0));
    all_know();
    expect_ok(s, 1);
    CU_ASSERT_EQUAL(remove_one(2, "nightly"), QUEUES_LATER);
    CU_ASSERT_EQUAL(n_announced(0), 0);
    CU_ASSERT_TRUE(exists("nightly"));
    CU_ASSERT(add(3, "nightly", queue_in(0, 0)) < 0); /* while it is being removed */
    CU_ASSERT_PTR_NOT_NULL(strstr(problem, "ferry.Overloaded"));
    CU_ASSERT(remove_one(3, "nightly") < 0);
    CU_ASSERT_STRING_EQUAL(problem, "ferry.Overloaded");
    expect_nothing(s);
    all_know();
    expect_ok(s, 2);
    CU_ASSERT_FALSE(exists("nightly"));
    end_with_schedules();
}

static void a_command_whose_shard_leaves_is_answered_with_moved(void) {
    begin_with_schedules();
    add(1, "nightly", queue_in(0, 0));
    let_go(0, true);
    turns_until_gone();
    all_know();
    expect_moved_error(s, 1, NULL);
    end_with_schedules();
}

static void the_session_may_go_before_the_answer(void) {
    begin_with_schedules();
    add(1, "nightly", queue_in(0, 0));
    end_session(s);
    all_know();
    CU_ASSERT_TRUE(exists("nightly"));
    end_with_schedules();
}

static void a_broker_may_end_before_the_answer(void) {
    begin_with_schedules();
    add(1, "nightly", queue_in(0, 0));
    end_with_schedules();
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_new_name_is_kept_when_all_brokers_know_it),
        TEST(a_name_of_another_broker_is_refused),
        TEST(of_two_brokers_that_add_a_name_at_once_one_refuses_it),
        TEST(a_name_is_free_when_its_removal_is_answered),
        TEST(a_command_whose_shard_leaves_is_answered_with_moved),
        TEST(the_session_may_go_before_the_answer),
        TEST(a_broker_may_end_before_the_answer),
        TESTS_END,
    };

    return run_suite("broker/admin schedule-names", tests);
}

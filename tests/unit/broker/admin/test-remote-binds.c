/* SPDX-License-Identifier: Apache-2.0 */
/* Binds that other brokers have announced. */

#include "broker/admin/remote-binds.h"

#include <errno.h>

#include "broker/admin/binds.h"
#include "unit/broker/queues/shard-store.h"

static RemoteBinds *binds;
static char found[400]; /* "shard/queue " for each queue */

static void begin(void) {
    empty_shards();
    begin_broker();
    CU_ASSERT_EQUAL_FATAL(remote_binds_new(&binds, queues), 0);
}

static void end(void) {
    binds = remote_binds_free(binds);
    teardown();
}

/* Announces n binds of one queue after the other: queue, pattern, queue, pattern. */
static int announce(unsigned k, size_t n, const char *const *words) {
    CLEANUP(buffer_deinit) Buffer text = {0};

    write_array(&text, (uint32_t)n);
    for (size_t i = 0; i < n; i++)
        remote_binds_write(&text, span_text(words[2 * i]), span_text(words[2 * i + 1]), false);
    return remote_binds_set(binds, k, span_of(text.data, text.len));
}

static void on_found(unsigned shard, Span queue, bool is_full, void *ctx) {
    size_t len = strlen(found);

    (void)ctx;
    snprintf(found + len, sizeof(found) - len, "%u/%.*s%s ", shard, (int)queue.len,
             (const char *)queue.data, is_full ? "!" : "");
}

static const char *match(const char *topic) {
    *found = '\0';
    remote_binds_begin(binds);
    remote_binds_match(binds, span_text(topic), on_found, NULL);
    return found;
}

static void a_queue_is_found_once(void) {
    const char *queue;
    char wanted[60];
    bool is_full;

    begin();
    queue = queue_in(1, 0);
    CU_ASSERT_EQUAL(announce(1, 3, (const char *[]){queue, "a.*", queue, "a.b", queue, "c"}), 0);
    snprintf(wanted, sizeof(wanted), "1/%s ", queue);
    CU_ASSERT_STRING_EQUAL(match("a.b"), wanted);
    CU_ASSERT_STRING_EQUAL(match("c"), wanted);
    CU_ASSERT_STRING_EQUAL(match("d"), "");
    remote_binds_begin(binds);
    CU_ASSERT_TRUE(remote_binds_find(binds, span_text(queue), &is_full));
    CU_ASSERT_FALSE(remote_binds_find(binds, span_text(queue), &is_full));
    CU_ASSERT_TRUE(remote_binds_find(binds, span_text("no-queue"), &is_full));
    CU_ASSERT_FALSE(is_full);
    end();
}

static void a_queue_is_full_as_the_last_announcement_says(void) {
    CLEANUP(buffer_deinit) Buffer text = {0};
    const char *queue;
    char wanted[60];
    bool is_full;

    begin();
    queue = queue_in(1, 0);
    write_array(&text, 1);
    remote_binds_write(&text, span_text(queue), span_text("t"), true);
    CU_ASSERT_EQUAL(remote_binds_set(binds, 1, span_of(text.data, text.len)), 0);
    snprintf(wanted, sizeof(wanted), "1/%s! ", queue);
    CU_ASSERT_STRING_EQUAL(match("t"), wanted);
    remote_binds_begin(binds);
    CU_ASSERT_TRUE(remote_binds_find(binds, span_text(queue), &is_full));
    CU_ASSERT_TRUE(is_full);
    CU_ASSERT_EQUAL(announce(1, 1, (const char *[]){queue, "t"}), 0);
    snprintf(wanted, sizeof(wanted), "1/%s ", queue);
    CU_ASSERT_STRING_EQUAL(match("t"), wanted);
    end();
}

static void an_announcement_replaces_the_one_before(void) {
    const char *first, *second, *other;
    char wanted[100];

    begin();
    first = queue_in(1, 0);
    second = queue_in(1, 1);
    other = queue_in(2, 0);
    CU_ASSERT_EQUAL(announce(1, 1, (const char *[]){first, "t"}), 0);
    CU_ASSERT_EQUAL(announce(2, 1, (const char *[]){other, "t"}), 0);
    CU_ASSERT_EQUAL(announce(1, 1, (const char *[]){second, "t"}), 0);
    snprintf(wanted, sizeof(wanted), "2/%s 1/%s ", other, second);
    CU_ASSERT_STRING_EQUAL(match("t"), wanted);
    CU_ASSERT_EQUAL(remote_binds_count(binds), 2);
    CU_ASSERT_EQUAL(announce(1, 0, NULL), 0);
    CU_ASSERT_EQUAL(remote_binds_count(binds), 1);
    CU_ASSERT_EQUAL(remote_binds_count_of(binds, 1), 0);
    end();
}

static void a_wrong_announcement_changes_nothing(void) {
    const char *queue;
    char wanted[60];

    begin();
    queue = queue_in(1, 0);
    CU_ASSERT_EQUAL(announce(1, 1, (const char *[]){queue, "t"}), 0);
    CU_ASSERT_EQUAL(announce(1, 1, (const char *[]){queue_in(2, 0), "t"}), -EBADMSG);
    CU_ASSERT_EQUAL(announce(1, 1, (const char *[]){"a b", "t"}), -EBADMSG);
    CU_ASSERT_EQUAL(announce(1, 1, (const char *[]){queue, "a..b"}), -EBADMSG);
    CU_ASSERT_EQUAL(remote_binds_set(binds, 1, span_text("\xc1")), -EBADMSG);
    CU_ASSERT_EQUAL(remote_binds_set(binds, 1, span_text("\x90\x90")), -EBADMSG);
    CU_ASSERT_EQUAL(remote_binds_set(binds, 1, (Span){NULL, 0}), -EBADMSG);
    snprintf(wanted, sizeof(wanted), "1/%s ", queue);
    CU_ASSERT_STRING_EQUAL(match("t"), wanted);
    CU_ASSERT_EQUAL(remote_binds_count(binds), 1);
    end();
}

static void an_announcement_has_a_maximum_of_binds(void) {
    CLEANUP(buffer_deinit) Buffer text = {0}, more = {0};
    const char *queue;

    begin();
    queue = queue_in(1, 0);
    write_array(&text, QUEUE_BINDS_MAX);
    write_array(&more, QUEUE_BINDS_MAX + 1);
    for (int i = 0; i <= QUEUE_BINDS_MAX; i++) {
        char pattern[12];

        snprintf(pattern, sizeof(pattern), "t%d", i);
        if (i < QUEUE_BINDS_MAX)
            remote_binds_write(&text, span_text(queue), span_text(pattern), false);
        remote_binds_write(&more, span_text(queue), span_text(pattern), false);
    }
    CU_ASSERT_EQUAL(remote_binds_set(binds, 1, span_of(text.data, text.len)), 0);
    CU_ASSERT_EQUAL(remote_binds_set(binds, 1, span_of(more.data, more.len)), -EBADMSG);
    CU_ASSERT_EQUAL(remote_binds_count(binds), QUEUE_BINDS_MAX);
    end();
}

static void announcements_are_compared(void) {
    begin();
    CU_ASSERT_TRUE(remote_binds_are(binds, 0, span_text("\x90")));
    CU_ASSERT_FALSE(remote_binds_are(binds, 0, span_text("\x91")));
    CU_ASSERT_EQUAL(announce(1, 1, (const char *[]){queue_in(1, 0), "t"}), 0);
    CU_ASSERT_FALSE(remote_binds_are(binds, 1, span_text("\x90")));
    end();
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_queue_is_found_once),
        TEST(a_queue_is_full_as_the_last_announcement_says),
        TEST(an_announcement_replaces_the_one_before),
        TEST(a_wrong_announcement_changes_nothing),
        TEST(an_announcement_has_a_maximum_of_binds),
        TEST(announcements_are_compared),
        TESTS_END,
    };

    return run_suite("broker/admin remote-binds", tests);
}

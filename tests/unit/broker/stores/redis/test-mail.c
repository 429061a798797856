/* SPDX-License-Identifier: Apache-2.0 */
/* Entries on the way to inboxes in Redis, and the reading of inboxes. */

#include "broker/stores/redis/mail.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "support/process.h"
#include "support/redis.h"
#include "support/suite.h"

enum { PATIENCE_MS = 60000, SHARDS = 2, LOOK_MS = 5 };

static RedisServer server;
static RedisMail mail;
static Waker waker;
static const char id[] = "0123456789abcdef0123456789abcdef";

/* Shard 0 has its space, shard 1 has no space. */
static void begin(void) {
    CLEANUP(redis_options_deinit) RedisStoreOptions options = {0};
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    char url[160];

    redis_start(&server, NULL);
    snprintf(url, sizeof(url), "redis://127.0.0.1:%u?name=m&shards=%d", server.port, SHARDS);
    CU_ASSERT_EQUAL_FATAL(redis_options_parse(url, &options, &error), 0);
    snprintf(url, sizeof(url), "HSET ferry:{m.0} format 2 id %s", id);
    redis_ask(&server, url);
    mail = (RedisMail){0};
    CU_ASSERT_EQUAL_FATAL(waker_open(&waker), 0);
    CU_ASSERT_EQUAL_FATAL(redis_mail_open(&mail, &options, &error), 0);
    CU_ASSERT_EQUAL_FATAL(redis_mail_start(&mail, id, &waker), 0);
}

static void end(void) {
    redis_mail_stop(&mail);
    redis_mail_close(&mail);
    waker_close(&waker);
    redis_stop(&server);
}

static void send_entry(unsigned shard, const char *text) {
    CU_ASSERT_EQUAL(redis_mail_send(&mail, shard, span_text(text), NULL), 0);
}

/* Waits for the results of n entries; returns how many have this result. */
static int n_results(int n, int result) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;
    int n_seen = 0, n_right = 0;

    while (n_seen < n && clock_ms() < until_ms) {
        SentEntry *entry = redis_mail_take_sent(&mail), *next;

        for (; entry; entry = next) {
            next = entry->next;
            n_seen++;
            n_right += entry->result == result;
            free(entry);
        }
        sleep_ms(LOOK_MS);
    }
    CU_ASSERT_EQUAL(n_seen, n);
    return n_right;
}

static long n_in_inbox(void) {
    const char *line = redis_ask(&server, "XLEN ferry:{m.0}:inbox");

    return strtol(line + 1, NULL, 10);
}

static void entries_are_appended_in_their_order(void) {
    begin();
    for (int i = 0; i < 3; i++)
        send_entry(0, (const char *[]){"one", "two", "three"}[i]);
    CU_ASSERT_EQUAL(n_results(3, 0), 3);
    CU_ASSERT_EQUAL(n_in_inbox(), 3);
    CU_ASSERT_EQUAL(atoi(redis_ask(&server, "HGET ferry:{m.0}:senders bytes") + 1), 2);
    end();
}

static void an_inbox_needs_its_space(void) {
    begin();
    send_entry(1, "x");
    CU_ASSERT_EQUAL(n_results(1, -EBUSY), 1);
    CU_ASSERT_EQUAL(*redis_ask(&server, "EXISTS ferry:{m.1}:inbox"), ':');
    CU_ASSERT_EQUAL(redis_ask(&server, "EXISTS ferry:{m.1}:inbox")[1], '0');
    end();
}

/* The answer to the first attempt is late: Redis has applied it, or not. */
static void a_call_that_is_sent_again_is_applied_once(void) {
    begin();
    send_entry(0, "first");
    CU_ASSERT_EQUAL(n_results(1, 0), 1);
    for (long round = 1; round <= 3; round++) {
        uint64_t until_ms = clock_ms() + PATIENCE_MS;

        redis_freeze(&server);
        send_entry(0, "x");
        while (redis_mail_admit(&mail, 0) == 0 && clock_ms() < until_ms)
            sleep_ms(LOOK_MS);
        CU_ASSERT_EQUAL(redis_mail_admit(&mail, 0), -EBUSY);
        CU_ASSERT_EQUAL(redis_mail_admit(&mail, 1), 0);
        redis_unfreeze(&server);
        CU_ASSERT_EQUAL(n_results(1, 0), 1);
        CU_ASSERT_EQUAL(n_in_inbox(), 1 + round);
        CU_ASSERT_EQUAL(redis_mail_admit(&mail, 0), 0);
    }
    end();
}

static void an_inbox_has_a_maximum_of_entries(void) {
    begin();
    for (int i = 0; i < RELAY_ENTRIES_MAX + 7; i++)
        send_entry(0, "x");
    CU_ASSERT_EQUAL(n_results(RELAY_ENTRIES_MAX + 7, -EDQUOT), 7);
    CU_ASSERT_EQUAL(n_in_inbox(), RELAY_ENTRIES_MAX);
    end();
}

static void an_inbox_has_a_maximum_of_bytes(void) {
    size_t len = RELAY_INBOX_BYTES_MAX / 4 + 1;
    char *text = calloc(1, len + 1);

    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    memset(text, 'x', len);
    begin();
    for (int i = 0; i < 5; i++)
        send_entry(0, text);
    CU_ASSERT_EQUAL(n_results(5, -EDQUOT), 2);
    CU_ASSERT_EQUAL(n_in_inbox(), 3);
    free(text);
    end();
}

/* The next slice of a shard, as "entry entry "; the caller has told the thread to read. */
static const char *read_some(uint32_t life) {
    static char text[400];
    uint64_t until_ms = clock_ms() + PATIENCE_MS;
    MailSlice *slice = NULL;

    *text = '\0';
    while (!slice && clock_ms() < until_ms) {
        slice = redis_mail_take_slices(&mail);
        sleep_ms(LOOK_MS);
    }
    CU_ASSERT_PTR_NOT_NULL_FATAL(slice);
    CU_ASSERT_EQUAL(slice->life, life);
    for (size_t i = 1; i < slice->reply->n; i += 2) {
        size_t at = strlen(text);
        Span entry = reply_span(slice->reply->elements[i]);

        snprintf(text + at, sizeof(text) - at, "%.*s ", (int)entry.len, (const char *)entry.data);
    }
    CU_ASSERT_PTR_NULL(slice->next);
    mail_slice_free(slice);
    return text;
}

static void an_inbox_is_read_once_in_each_life(void) {
    MailBox box = {.is_open = true, .life = 1, .is_used = true};

    begin();
    send_entry(0, "a");
    send_entry(0, "b");
    CU_ASSERT_EQUAL(n_results(2, 0), 2);
    redis_mail_tell(&mail, 0, &box);
    CU_ASSERT_STRING_EQUAL(read_some(1), "a b ");
    box.n_held = 2;
    redis_mail_tell(&mail, 0, &box);
    send_entry(0, "c");
    CU_ASSERT_EQUAL(n_results(1, 0), 1);
    CU_ASSERT_STRING_EQUAL(read_some(1), "c ");
    box.life = 2;
    box.n_held = 0;
    redis_mail_tell(&mail, 0, &box);
    CU_ASSERT_STRING_EQUAL(read_some(2), "a b c ");
    end();
}

static void entries_that_cannot_be_sent_end_with_the_thread(void) {
    begin();
    redis_kill(&server);
    send_entry(0, "x");
    redis_mail_stop(&mail);
    CU_ASSERT_EQUAL(n_results(1, 0), 0);
    end();
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(entries_are_appended_in_their_order),
        TEST(an_inbox_needs_its_space),
        TEST(a_call_that_is_sent_again_is_applied_once),
        TEST(an_inbox_has_a_maximum_of_entries),
        TEST(an_inbox_has_a_maximum_of_bytes),
        TEST(an_inbox_is_read_once_in_each_life),
        TEST(entries_that_cannot_be_sent_end_with_the_thread),
        TESTS_END,
    };

    if (!redis_available())
        return EXIT_SKIPPED;
    return run_suite("broker/stores/redis mail", tests);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Entries on the way to inboxes in Redis, and the reading of inboxes. */

#include "broker/stores/redis/mail.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "broker/stores/redis/reader.h"
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

/* ---- retained values ---- */

enum { VALUES_MAX = 1000, BYTES_MAX = 1 << 20 };

static void retain(unsigned shard, const char *topic, const char *value, size_t max_values,
                   size_t max_bytes) {
    RelayValue one = {span_text(topic), span_text(value), max_values, max_bytes};

    CU_ASSERT_EQUAL(redis_mail_retain(&mail, shard, &one, NULL), 0);
}

/* Stores a value, and waits for it; value "": deletes the one that is there. */
static void keep(const char *topic, const char *value) {
    retain(0, topic, value, VALUES_MAX, BYTES_MAX);
    CU_ASSERT_EQUAL(n_results(1, 0), 1);
}

/* Changes that were read. */
typedef struct Seen {
    char text[400]; /* "topic=value " of each change, the first ones */
    int n, n_all, n_new, n_slices;
} Seen;

static void see(Seen *seen, const MailSlice *slice) {
    const Reply *reply = slice->reply;

    CU_ASSERT_TRUE(slice->of_values);
    seen->n_slices++;
    seen->n_all += span_is(reply_word(reply, 0), "ALL");
    for (size_t i = 3; i + 2 < reply->n; i += 3) {
        Span topic = reply_word(reply, i), value = reply_word(reply, i + 2);
        size_t at = strlen(seen->text), time = value.len > 0 ? sizeof(uint64_t) : 0;

        CU_ASSERT_NOT_EQUAL(reply_number(reply, i + 1), 0);
        seen->n++;
        seen->n_new += slice->is_new;
        if (at < sizeof(seen->text) / 2)
            snprintf(seen->text + at, sizeof(seen->text) - at, "%.*s=%.*s ", (int)topic.len,
                     (const char *)topic.data, (int)(value.len - time),
                     (const char *)value.data + time);
    }
}

/* False: Redis did not answer in time. */
static bool look_once(Seen *seen) {
    uint64_t number = redis_mail_look(&mail), until_ms = clock_ms() + PATIENCE_MS;
    bool has_looked = false, is_away;

    while (!has_looked && clock_ms() < until_ms) {
        MailSlice *slice, *next;

        has_looked = redis_mail_looked(&mail) >= number;
        for (slice = redis_mail_take_slices(&mail); slice; slice = next) {
            next = slice->next;
            see(seen, slice);
            mail_slice_free(slice);
        }
        sleep_ms(has_looked ? 0 : 1);
    }
    CU_ASSERT_TRUE(has_looked);
    pthread_mutex_lock(&mail.lock);
    is_away = mail.is_away;
    pthread_mutex_unlock(&mail.lock);
    return !is_away;
}

/* All changes that a look finds. */
static Seen look(void) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;
    Seen seen = {0};

    while (!look_once(&seen) && clock_ms() < until_ms)
        continue;
    return seen;
}

/* All values, as a broker reads them at its start. */
static Seen look_at_all(void) {
    look();
    redis_mail_read_again(&mail, 0);
    return look();
}

static void the_last_value_of_a_topic_is_read(void) {
    Seen seen;

    begin();
    seen = look();
    CU_ASSERT_EQUAL(seen.n, 0);
    keep("a", "1");
    seen = look();
    CU_ASSERT_EQUAL(seen.n_all, 0);
    CU_ASSERT_EQUAL(seen.n_new, 1);
    keep("b", "1");
    keep("a", "2");
    keep("c", "1");
    keep("c", "");
    seen = look_at_all();
    CU_ASSERT_STRING_EQUAL(seen.text, "b=1 a=2 ");
    CU_ASSERT_EQUAL(seen.n_all, 1);
    CU_ASSERT_EQUAL(seen.n_new, 0);
    keep("b", "");
    seen = look();
    CU_ASSERT_STRING_EQUAL(seen.text, "b= ");
    CU_ASSERT_EQUAL(seen.n_all, 0);
    CU_ASSERT_EQUAL(seen.n_new, 1);
    seen = look();
    CU_ASSERT_EQUAL(seen.n_slices, 0);
    end();
}

static void values_of_a_shard_have_maxima(void) {
    begin();
    retain(0, "a", "1", 2, BYTES_MAX);
    retain(0, "b", "1", 2, BYTES_MAX);
    retain(0, "c", "1", 2, BYTES_MAX);
    retain(0, "a", "22", 2, BYTES_MAX);
    CU_ASSERT_EQUAL(n_results(4, -E2BIG), 1);
    retain(0, "b", "", 2, BYTES_MAX);
    retain(0, "c", "1", 2, BYTES_MAX);
    CU_ASSERT_EQUAL(n_results(2, 0), 2);
    CU_ASSERT_EQUAL(atoi(redis_ask(&server, "HGET ferry:{m.0}:senders kept") + 1), 2);
    /* "22" and "1", and 8 bytes for each, are 19 bytes. */
    retain(0, "c", "1234", VALUES_MAX, 21);
    CU_ASSERT_EQUAL(n_results(1, -E2BIG), 1);
    retain(0, "c", "123", VALUES_MAX, 21);
    CU_ASSERT_EQUAL(n_results(1, 0), 1);
    CU_ASSERT_STRING_EQUAL(look_at_all().text, "a=22 c=123 ");
    end();
}

static void values_are_read_in_slices(void) {
    enum { N = 3 * MAIL_ENTRIES + 1 };
    char topic[16];
    Seen seen;

    begin();
    for (int i = 0; i < N; i++) {
        snprintf(topic, sizeof(topic), "t.%d", i);
        retain(0, topic, "x", N, BYTES_MAX);
    }
    CU_ASSERT_EQUAL(n_results(N, 0), N);
    seen = look_at_all();
    CU_ASSERT_EQUAL(seen.n, N);
    CU_ASSERT_EQUAL(seen.n_slices, 4);
    CU_ASSERT_EQUAL(seen.n_all, 1);
    CU_ASSERT_EQUAL(seen.n_new, 0);
    end();
}

static void a_value_needs_its_space(void) {
    begin();
    retain(1, "a", "1", VALUES_MAX, BYTES_MAX);
    CU_ASSERT_EQUAL(n_results(1, -EBUSY), 1);
    CU_ASSERT_EQUAL(look().n, 0);
    end();
}

/* Entries and values of one shard are different calls. */
static void entries_and_values_are_stored_in_their_order(void) {
    begin();
    send_entry(0, "one");
    retain(0, "a", "1", VALUES_MAX, BYTES_MAX);
    send_entry(0, "two");
    CU_ASSERT_EQUAL(n_results(3, 0), 3);
    CU_ASSERT_EQUAL(n_in_inbox(), 2);
    CU_ASSERT_EQUAL(atoi(redis_ask(&server, "HLEN ferry:{m.0}:retained") + 1), 1);
    end();
}

/* The answer to the first attempt is late; another sender is faster than the second one. */
static void a_late_value_does_not_replace_a_newer_one(void) {
    begin();
    keep("a", "1");
    redis_ask(&server, "HSET ferry:{m.0}:senders 00000000000000000000000000000000 \"9 0 1\"");
    memset(mail.sender, '0', sizeof(mail.sender) - 1);
    keep("a", "old");
    CU_ASSERT_STRING_EQUAL(look_at_all().text, "a=1 ");
    end();
}

static void values_of_other_data_are_not_read(void) {
    begin();
    keep("a", "1");
    look();
    redis_ask(&server, "HSET ferry:{m.0} id 00000000000000000000000000000000");
    redis_ask(&server, "HINCRBY ferry:{m.0}:senders version 1");
    redis_ask(&server, "DEL ferry:{m.0}:changed");
    CU_ASSERT_EQUAL(look().n_slices, 0);
    CU_ASSERT_EQUAL(look_at_all().n_slices, 0);
    redis_ask(&server, "HDEL ferry:{m.0}:senders version");
    CU_ASSERT_EQUAL(look().n_slices, 0);
    end();
}

/* Subscribers wait for one look at most while Redis is away. */
static void a_look_ends_without_redis(void) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS, looked;
    Seen seen = {0};

    begin();
    redis_freeze(&server);
    CU_ASSERT_FALSE(look_once(&seen));
    looked = redis_mail_looked(&mail);
    CU_ASSERT_EQUAL(redis_mail_look(&mail), looked);
    CU_ASSERT_EQUAL(redis_mail_looked(&mail), looked);
    redis_unfreeze(&server);
    while (redis_mail_look(&mail) == looked && clock_ms() < until_ms)
        sleep_ms(LOOK_MS);
    look();
    CU_ASSERT(redis_mail_looked(&mail) > looked);
    end();
}

static void a_value_that_waits_for_redis_ends_looks(void) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;

    begin();
    redis_freeze(&server);
    retain(0, "a", "1", VALUES_MAX, BYTES_MAX);
    while (redis_mail_admit(&mail, 0) == 0 && clock_ms() < until_ms)
        sleep_ms(LOOK_MS);
    CU_ASSERT_EQUAL(redis_mail_look(&mail), 0);
    redis_unfreeze(&server);
    CU_ASSERT_EQUAL(n_results(1, 0), 1);
    CU_ASSERT_STRING_EQUAL(look_at_all().text, "a=1 ");
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
        TEST(the_last_value_of_a_topic_is_read),
        TEST(values_of_a_shard_have_maxima),
        TEST(values_are_read_in_slices),
        TEST(a_value_needs_its_space),
        TEST(entries_and_values_are_stored_in_their_order),
        TEST(a_late_value_does_not_replace_a_newer_one),
        TEST(values_of_other_data_are_not_read),
        TEST(a_look_ends_without_redis),
        TEST(a_value_that_waits_for_redis_ends_looks),
        TESTS_END,
    };

    if (!redis_available())
        return EXIT_SKIPPED;
    return run_suite("broker/stores/redis mail", tests);
}

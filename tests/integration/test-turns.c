/* The broker is one thread: nothing that a peer sends, and nothing that comes due, may hold up the
 * others for long. What each of them does, and how long a call beside it takes at worst. */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <ferry/ferry.h>

#include "base/clock.h"
#include "support/faults.h"
#include "support/process.h"
#include "support/raw-peer.h"
#include "support/suite.h"

/* A machine with other work holds everybody up; what is not sliced takes far longer. */
enum { WORST_MS = 100 };

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { MANY = 100000 };
#else
enum { MANY = 1000000 };
#endif

static void tell_noticed(const char *what, Noticed noticed) {
    printf("\n    %s; beside it %ld calls, median %.2f ms, worst %.1f ms", what, noticed.n_calls,
           noticed.median_ms, noticed.worst_ms);
    CU_ASSERT_EQUAL(noticed.n_failed, 0);
    CU_ASSERT(noticed.worst_ms < WORST_MS);
}

/* One number of ferry.Broker.queue. */
static int64_t count_of(ferry_client *client, const char *queue, const char *what) {
    ferry_reply *reply = NULL;
    uint8_t args[64] = {0x91};
    int64_t n = -1;
    uint32_t left;
    Reader pairs;
    Span key;

    args[1] = (uint8_t)(0xA0 | strlen(queue));
    memcpy(args + 2, queue, strlen(queue));
    if (ferry_call(client, "ferry.Broker.queue", (ferry_bytes){args, 2 + strlen(queue), NULL},
                   &reply, NULL) < 0)
        return -1;
    pairs = pairs_of(span_of(reply->body.data, reply->body.len), &left);
    while (n < 0 && pairs_next(&pairs, &left, &key)) {
        if (span_is(key, what))
            n = (int64_t)reader_uint(&pairs);
        else
            reader_value(&pairs);
    }
    ferry_free(reply);
    return n;
}

static bool count_reaches(ferry_client *client, const char *queue, const char *what, int64_t n) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;

    while (count_of(client, queue, what) != n) {
        if (clock_ms() > until_ms)
            return false;
        sleep_ms(20);
    }
    return true;
}

/* ---- jobs ---- */

/* Their delay, or their time to live, ends at_ms, or a moment later. */
static void push_many(ferry_client *client, const char *queue, bool delayed, uint64_t at_ms) {
    int n = 0;

    while (n < MANY && clock_ms() < at_ms) {
        uint64_t ms = at_ms - clock_ms();
        ferry_push_options options = {.delay_ms = delayed ? ms : 0, .ttl_ms = delayed ? 0 : ms};
        int r = ferry_push_async(client, queue, ferry_str("a job"), &options, NULL, NULL);

        n += r == 0;
        if (r < 0)
            ferry_process(client, NULL);
    }
    CU_ASSERT_EQUAL_FATAL(n, MANY);
    CU_ASSERT_EQUAL(ferry_flush(client, NULL), 0);
}

static void a_million_jobs_that_come_due_at_once_disturb_nobody(void) {
    static const char *const what[] = {"whose time to live ends", "that come due"};
    char text[64];

    for (int delayed = 1; delayed >= 0; delayed--) {
        uint64_t at_ms = clock_ms() + 6000;
        Bystander *bystander;
        ferry_client *client;
        Noticed noticed;
        Daemon broker;

        daemon_start(&broker, &(DaemonOptions){0});
        client = open_with(broker.url, NULL);
        push_many(client, "due", delayed, at_ms);
        bystander = bystander_start(broker.url);
        sleep_ms(at_ms > clock_ms() ? at_ms - clock_ms() : 0);
        if (delayed)
            CU_ASSERT_TRUE(count_reaches(client, "due", "ready", MANY))
        else
            CU_ASSERT_TRUE(count_reaches(client, "due", "dead", MANY));
        snprintf(text, sizeof(text), "%d jobs %s: %d ms", MANY, what[delayed],
                 (int)(clock_ms() - at_ms));
        noticed = bystander_stop(bystander);
        tell_noticed(text, noticed);
        ferry_close(client);
        daemon_end(&broker);
    }
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_million_jobs_that_come_due_at_once_disturb_nobody),
        TESTS_END,
    };

    return run_suite("long turns", tests);
}

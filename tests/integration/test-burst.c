/* SPDX-License-Identifier: Apache-2.0 */

/* After a burst of messages the broker gives back the memory: first its stored bytes, then its
 * resident memory. */

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <ferry/ferry.h>

#include "base/clock.h"
#include "support/faults.h"
#include "support/process.h"
#include "support/raw-peer.h"
#include "support/suite.h"

#ifdef SANITIZED
enum { JOBS = 50000, CONNECTIONS = 500, MESSAGES = 50000, CHECKED = 0 };
#else
enum { JOBS = 1000000, CONNECTIONS = 10000, MESSAGES = 200000, CHECKED = 1 };
#endif

enum {
    HANG_MS = 300000,
    KEPT_KIB = 48 * 1024,
    STORED_BYTES = 64 * 1024,
    DEDUP_BYTES = 16 << 20, /* the dedup window of the client that pushed */
    TOPICS = 10000,
    KNOWN_TOPIC_BYTES = 2048, /* a topic is known for a while: see topics/table.c */
};

/* Waits until the broker has at most KEPT_KIB more than before. Returns the growth in KiB. */
static long rests_at_kib(const Daemon *broker, size_t before) {
    uint64_t until_ms = clock_ms() + HANG_MS;
    long grown;

    do {
        grown = (long)process_rss_kib(broker->process.pid) - (long)before;
        if (!CHECKED || grown <= KEPT_KIB)
            break;
        sleep_ms(100);
    } while (clock_ms() < until_ms);
    return grown;
}

/* After the burst: the broker must store as much as before, and give back its memory. */
static void check_memory(const Daemon *broker, const char *what, size_t before, size_t most,
                         uint64_t stored) {
    uint64_t start_ms = clock_ms();
    ferry_client *client = open_with(broker->url, NULL);
    long kept = rests_at_kib(broker, before);

    printf("\n    %s: the broker grew from %zu by %ld KiB, and keeps %ld KiB of it after %.1f s",
           what, before, (long)most - (long)before, kept, (double)(clock_ms() - start_ms) / 1000);
    while (broker_stat(client, "stored_bytes") > stored && clock_ms() < start_ms + HANG_MS)
        sleep_ms(10);
    CU_ASSERT(broker_stat(client, "stored_bytes") <= stored);
    if (CHECKED)
        CU_ASSERT(kept <= KEPT_KIB);
    ferry_close(client);
}

static int take(ferry_job *job, void *ctx) {
    (void)job;
    ++*(int *)ctx;
    return 0;
}

static void jobs_give_their_memory_back(void) {
    ferry_work_options slots = {.slots = 1000};
    uint64_t until_ms = clock_ms() + HANG_MS;
    ferry_client *client;
    size_t before, most;
    int n = 0, n_done = 0;
    Daemon broker;

    daemon_start(&broker, &(DaemonOptions){0});
    client = open_with(broker.url, NULL);
    before = process_rss_kib(broker.process.pid);
    while (n < JOBS && clock_ms() < until_ms) {
        int r = ferry_push_async(client, "burst", ferry_str("a job of some bytes"), NULL, NULL,
                                 NULL, NULL);

        n += r == 0;
        if (r < 0)
            ferry_process(client, NULL);
    }
    CU_ASSERT_EQUAL(ferry_flush(client, NULL), 0);
    most = process_rss_kib(broker.process.pid);
    CU_ASSERT_EQUAL(ferry_work(client, "burst", &slots, take, &n_done, NULL, NULL), 0);
    CU_ASSERT_TRUE(turn_until(client, &n_done, JOBS, HANG_MS));
    check_memory(&broker, "jobs, pushed and worked", before, most, DEDUP_BYTES);
    ferry_close(client);
    daemon_end(&broker);
}

static void connections_give_their_memory_back(void) {
    static int fds[CONNECTIONS];
    size_t before, most;
    Daemon broker;
    int n = 0;

    daemon_start(&broker, &(DaemonOptions){.tcp = true});
    before = process_rss_kib(broker.process.pid);
    for (; n < CONNECTIONS; n++)
        if ((fds[n] = raw_session(broker.port, 1 << 20)) < 0)
            break;
    CU_ASSERT_EQUAL(n, CONNECTIONS);
    most = process_rss_kib(broker.process.pid);
    while (n > 0)
        close(fds[--n]);
    check_memory(&broker, "connections, come and gone", before, most, STORED_BYTES);
    daemon_end(&broker);
}

static void subscriptions_and_their_backlogs_give_their_memory_back(void) {
    static char body[1000];
    ferry_error error = FERRY_ERROR_INIT;
    ferry_client *client;
    size_t before, most;
    char topic[64];
    Daemon broker;
    int fd;

    daemon_start(&broker, &(DaemonOptions){.tcp = true, .config = "[topic >]\nkeep = 0\n"});
    client = open_with(broker.url, NULL);
    before = process_rss_kib(broker.process.pid);
    fd = raw_session(broker.port, 1 << 20);
    for (uint64_t i = 1; i <= TOPICS; i++) {
        snprintf(topic, sizeof(topic), "some.topic.of.many.%d", (int)i);
        raw_say(fd, &(Message){.op = OP_SUBSCRIBE, .id = i, .name = span_text(topic)});
    }
    raw_say(fd, &(Message){.op = OP_PING, .id = 1});
    CU_ASSERT_EQUAL(raw_hear(fd, OP_PONG, PATIENCE_MS, &(Message){0}), HEARD);
    for (int i = 0; i < MESSAGES; i++) {
        snprintf(topic, sizeof(topic), "some.topic.of.many.%d", 1 + i % TOPICS);
        while (ferry_publish(client, topic, ferry_bytes_of(body, sizeof(body)), NULL, NULL) < 0)
            ferry_process(client, NULL);
    }
    CU_ASSERT_EQUAL(ferry_flush(client, &error), 0);
    CU_ASSERT_EQUAL(ferry_ping(client, NULL, &error), 0);
    most = process_rss_kib(broker.process.pid);
    raw_say(fd, &(Message){.op = OP_BYE});
    close(fd);
    check_memory(&broker, "messages for a subscriber that reads nothing", before, most,
                 TOPICS * KNOWN_TOPIC_BYTES);
    ferry_close(client);
    daemon_end(&broker);
}

int main(void) {
    struct rlimit limit;
    CU_TestInfo tests[] = {
        TEST(jobs_give_their_memory_back),
        TEST(connections_give_their_memory_back),
        TEST(subscriptions_and_their_backlogs_give_their_memory_back),
        TESTS_END,
    };

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
        if (limit.rlim_max < CONNECTIONS + 500) {
            printf("skipped: no more than %lu descriptors\n", (unsigned long)limit.rlim_max);
            return 77;
        }
    }
    return run_suite("memory after a burst", tests);
}

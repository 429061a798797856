/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Many services, topics and queues over three brokers: memory of a broker, and the times of a
 * take-over. FERRY_TEST_NAMES is the number of services, and of queues; there are ten times as many
 * topics. By default it is 100; with --setup slow 10 000. With the argument "shards" the brokers
 * share the queues in Redis, and each queue has jobs, of which a worker holds the first one: the
 * next owner delivers it again.
 */

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "ferry-broker.h"
#include "support/broker.h"
#include "support/process.h"
#include "support/redis.h"
#include "support/suite.h"

enum {
    N = 3,
    CLIENTS = 10,
    TOPICS_OF_NAME = 10,
    PATIENCE_MS = 30 * 60 * 1000,
    IN_FLIGHT = 500,
    SHARDS = 8,
    JOBS = 10, /* of each queue, with shards */
    BODY = 100,
};

/* Of the worker of a queue. */
typedef struct Held {
    ferry_job *job;
    uint64_t since_ms; /* atomic */
} Held;

static Daemon brokers[N];
static TestBroker all; /* its URL lists them */
static RedisServer redis;
static bool has_shards;
static int n_names = 100;
static Held *held; /* of each queue */

/* ---- brokers ---- */

static void start_brokers(void) {
    static const char *const words[] = {"--appendonly", "yes", NULL};
    char config[100] = "[broker]\n";

    if (has_shards) {
        redis_start(&redis, words);
        snprintf(config, sizeof(config),
                 "[queue >]\nmax_attempts = 0\n[broker]\nstore = "
                 "redis://127.0.0.1:%u?name=s&shards=%d\n",
                 redis.port, SHARDS);
    }
    for (int i = 0; i < N; i++) {
        daemon_start(&brokers[i], &(DaemonOptions){.config = config});
        broker_list(&all, brokers[i].url);
    }
}

static void end_brokers(void) {
    for (int i = 0; i < N; i++)
        daemon_end(&brokers[i]);
    if (has_shards)
        redis_stop(&redis);
}

static void name_queue(char name[64], int i) {
    snprintf(name, 64, "scale.queue.%d", i);
}

/* ---- the clients ---- */

typedef struct Share {
    int from, to; /* numbers of names */
} Share;

static int say(ferry_request *request, void *ctx) {
    (void)ctx;
    return ferry_request_return(request, request->body);
}

static void note(const ferry_message *message, void *ctx) {
    (void)message, (void)ctx;
}

/* The job that the worker has held before is lost. */
static int work(ferry_job *job, void *ctx) {
    Held *own = ctx;

    if (own->job)
        ferry_job_ack(own->job);
    own->job = ferry_job_defer(job);
    __atomic_store_n(&own->since_ms, clock_ms(), __ATOMIC_RELAXED);
    return 0;
}

/* Each client has its share of the services, topics and queues. */
static int set_up(ferry_client *client, void *ctx) {
    const Share *share = ctx;
    char name[64];
    int r = 0;

    for (int i = share->from; i < share->to && r == 0; i++) {
        snprintf(name, sizeof(name), "scale.Service%d.say", i);
        r = ferry_serve_method(client, name, NULL, say, NULL, NULL, NULL);
        name_queue(name, i);
        if (r == 0)
            r = ferry_work(client, name, NULL, work, &held[i], NULL, NULL);
        for (int j = 0; j < TOPICS_OF_NAME && r == 0; j++) {
            snprintf(name, sizeof(name), "scale.topic.%d.%d", i, j);
            r = ferry_subscribe(client, name, NULL, note, NULL, NULL, NULL);
        }
    }
    return r;
}

static void *start_one(void *ctx) {
    Runner *runner = ctx;

    runner_start(runner, &all, set_up, runner->ctx);
    return NULL;
}

static void start_clients(Runner runners[CLIENTS], Share shares[CLIENTS]) {
    pthread_t threads[CLIENTS];

    for (int i = 0; i < CLIENTS; i++) {
        shares[i] = (Share){n_names * i / CLIENTS, n_names * (i + 1) / CLIENTS};
        runners[i].ctx = &shares[i];
        pthread_create(&threads[i], NULL, start_one, &runners[i]);
    }
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(threads[i], NULL);
}

/* ---- the brokers' view ---- */

typedef struct Registered {
    int64_t services, topics, queues;
} Registered;

static ferry_client *connect_to(const char *url) {
    const ferry_options options = {.idempotent = true, .timeout_ms = 600000};
    ferry_client *client = NULL;

    CU_ASSERT_EQUAL_FATAL(ferry_open(url, &options, &client, NULL), 0);
    return client;
}

static Registered registered_at(const Daemon *broker) {
    ferry_broker_list_session_status *sessions = NULL;
    ferry_client *client = connect_to(broker->url);
    Registered registered = {0, 0, 0};

    CU_ASSERT_EQUAL_FATAL(ferry_broker_sessions(client, &sessions, NULL), 0);
    for (uint32_t i = 0; i < sessions->n; i++) {
        registered.services += sessions->v[i].serves;
        registered.topics += sessions->v[i].subscriptions;
        registered.queues += sessions->v[i].pulls;
    }
    ferry_free(sessions);
    ferry_close(client);
    return registered;
}

static bool is_complete(const Registered *registered) {
    return registered->services == n_names && registered->queues == n_names &&
           registered->topics == (int64_t)n_names * TOPICS_OF_NAME;
}

/* ---- calls ---- */

typedef struct Calls {
    int begun, answered, failed;
} Calls;

static void on_answer(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    Calls *calls = ctx;

    (void)reply;
    calls->answered++;
    calls->failed += error != NULL;
    if (error && calls->failed <= 3)
        ferry_error_print(error, stderr);
}

/* Calls each service once. */
static Calls call_all(ferry_client *client) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;
    Calls calls = {0, 0, 0};
    char name[64];

    while (calls.answered < n_names && clock_ms() < until_ms) {
        while (calls.begun < n_names && calls.begun - calls.answered < IN_FLIGHT) {
            snprintf(name, sizeof(name), "scale.Service%d.say", calls.begun);
            CU_ASSERT_EQUAL_FATAL(
                ferry_call_async(client, name, ferry_str("x"), on_answer, &calls, NULL), 0);
            calls.begun++;
        }
        ferry_process(client, NULL);
        usleep(100);
    }
    return calls;
}

/* ---- jobs ---- */

static void on_pushed(const ferry_error *error, void *ctx) {
    Calls *pushes = ctx;

    on_answer(NULL, error, pushes);
}

static void push_all(ferry_client *client) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;
    Calls pushes = {0, 0, 0};
    char name[64], body[BODY] = "";
    int n = n_names * JOBS;

    while (pushes.answered < n && clock_ms() < until_ms) {
        while (pushes.begun < n && pushes.begun - pushes.answered < IN_FLIGHT) {
            name_queue(name, pushes.begun % n_names);
            CU_ASSERT_EQUAL_FATAL(ferry_push_async(client, name, ferry_bytes_of(body, BODY), NULL,
                                                   on_pushed, &pushes, NULL),
                                  0);
            pushes.begun++;
        }
        ferry_process(client, NULL);
        usleep(100);
    }
    CU_ASSERT_EQUAL(pushes.answered, n);
    CU_ASSERT_EQUAL(pushes.failed, 0);
}

/* The process that has the lease of a shard; 0: no process. */
static pid_t holder_of(unsigned shard) {
    char words[60];
    const char *at;

    snprintf(words, sizeof(words), "HGET ferry:{s.%u} holder", shard);
    at = strstr(redis_ask(&redis, words), "process ");
    return at ? atoi(at + strlen("process ")) : 0;
}

static unsigned n_shards_of(pid_t broker) {
    unsigned n = 0;

    for (unsigned k = 0; k < SHARDS; k++)
        n += holder_of(k) == broker;
    return n;
}

/* Waits until each broker has its share of the shards. */
static void wait_for_shards(void) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;
    int n = 0;

    while (n < N && clock_ms() < until_ms) {
        usleep(10000);
        n = 0;
        for (int i = 0; i < N; i++)
            n += n_shards_of(brokers[i].process.pid) >= SHARDS / N;
    }
    CU_ASSERT_EQUAL(n, N);
}

/* Marks the queues in the shards of this broker; returns their number. */
static int find_queues_of(pid_t broker, bool *is_there) {
    bool has_shard[SHARDS];
    char name[64];
    int n = 0;

    for (unsigned k = 0; k < SHARDS; k++)
        has_shard[k] = holder_of(k) == broker;
    for (int i = 0; i < n_names; i++) {
        name_queue(name, i);
        is_there[i] = has_shard[XXH3_64bits(name, strlen(name)) % SHARDS];
        n += is_there[i];
    }
    return n;
}

/* The queues of these whose first job is held since this time or later. */
static int n_held_since(const bool *is_there, uint64_t ms, uint64_t *ret_first,
                        uint64_t *ret_last) {
    int n = 0;

    *ret_first = UINT64_MAX;
    *ret_last = 0;
    for (int i = 0; i < n_names; i++) {
        uint64_t since_ms = __atomic_load_n(&held[i].since_ms, __ATOMIC_RELAXED);

        if ((is_there && !is_there[i]) || since_ms < ms)
            continue;
        n++;
        *ret_first = since_ms < *ret_first ? since_ms : *ret_first;
        *ret_last = since_ms > *ret_last ? since_ms : *ret_last;
    }
    return n;
}

static void wait_until_held(const bool *is_there, int n, const char *what, uint64_t began_ms) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS, first_ms, last_ms;

    while (n_held_since(is_there, began_ms, &first_ms, &last_ms) < n && clock_ms() < until_ms)
        usleep(5000);
    CU_ASSERT_EQUAL(n_held_since(is_there, began_ms, &first_ms, &last_ms), n);
    printf("    %s %d queues with %d jobs each: a worker had a job of the first one after %d ms, "
           "and of the last one after %d ms\n",
           what, n, JOBS, (int)(first_ms - began_ms), (int)(last_ms - began_ms));
}

/* ---- the take-over ---- */

/* The client uses the first broker, which is killed. */
static void kill_one(ferry_client *client) {
    bool *of_it = calloc((size_t)n_names, sizeof(*of_it));
    int n = has_shards ? find_queues_of(brokers[0].process.pid, of_it) : 0;
    uint64_t killed_ms;
    Calls calls = call_all(client);

    CU_ASSERT_EQUAL(calls.failed, 0);
    killed_ms = clock_ms();
    daemon_kill(&brokers[0]);
    CU_ASSERT_EQUAL(ferry_call(client, "scale.Service0.say", ferry_str("x"), NULL, NULL), 0);
    printf("    a broker is killed: the first answer by another one came after %d ms",
           (int)(clock_ms() - killed_ms));
    calls = call_all(client);
    printf(", answers of all %d services after %d ms; %d errors\n", n_names,
           (int)(clock_ms() - killed_ms), calls.failed);
    CU_ASSERT_EQUAL(calls.answered, n_names);
    CU_ASSERT_EQUAL(calls.failed, 0);
    if (has_shards)
        wait_until_held(of_it, n, "the others take over", killed_ms);
    free(of_it);
}

static void restart_it(void) {
    uint64_t began_ms = clock_ms();
    Registered registered;

    daemon_restart(&brokers[0]);
    do {
        usleep(10000);
        registered = registered_at(&brokers[0]);
    } while (!is_complete(&registered) && clock_ms() < began_ms + PATIENCE_MS);
    CU_ASSERT_TRUE(is_complete(&registered));
    printf("    it starts again: all registrations were back after %d ms",
           (int)(clock_ms() - began_ms));
    if (has_shards)
        wait_for_shards();
    printf(has_shards ? ", and its shards after %d ms\n" : "\n", (int)(clock_ms() - began_ms));
}

static void print_memory(const size_t before_kib[N], const char *what, int n) {
    for (int i = 0; i < N; i++) {
        size_t kib = process_rss_kib(brokers[i].process.pid);

        printf("    broker %d: %zu KiB, of these %zu for the %s: %.0f bytes for each\n", i, kib,
               kib - before_kib[i], what, (double)(kib - before_kib[i]) * 1024 / n);
    }
}

static void many_names_over_three_brokers(void) {
    uint64_t began_ms;
    Runner runners[CLIENTS];
    Share shares[CLIENTS];
    size_t before_kib[N];
    ferry_client *client;
    char url[600];

    held = calloc((size_t)n_names, sizeof(*held));
    start_brokers();
    if (has_shards)
        wait_for_shards();
    snprintf(url, sizeof(url), "%s?prefer=order", all.url);
    client = connect_to(url);
    for (int i = 0; i < N; i++)
        before_kib[i] = process_rss_kib(brokers[i].process.pid);
    printf("\n");
    if (has_shards) {
        push_all(client);
        print_memory(before_kib, "jobs", n_names * JOBS / N);
    }
    for (int i = 0; i < N; i++)
        before_kib[i] = process_rss_kib(brokers[i].process.pid);
    began_ms = clock_ms();
    start_clients(runners, shares);
    printf("    %d services, %d topics, %d queues with %d clients at %d brokers, after %d ms\n",
           n_names, n_names * TOPICS_OF_NAME, n_names, CLIENTS, N, (int)(clock_ms() - began_ms));
    for (int i = 0; i < N; i++) {
        Registered registered = registered_at(&brokers[i]);

        CU_ASSERT_TRUE(is_complete(&registered));
    }
    print_memory(before_kib, "names", n_names * (2 + TOPICS_OF_NAME));
    if (has_shards)
        wait_until_held(NULL, n_names, "workers begin with", began_ms);
    kill_one(client);
    restart_it();
    ferry_close(client);
    for (int i = 0; i < CLIENTS; i++) {
        ferry_stop(runners[i].client);
        runner_stop(&runners[i]); /* the second stop does not wait for held jobs */
    }
    for (int i = 0; i < n_names; i++)
        if (held[i].job)
            ferry_job_ack(held[i].job);
    free(held);
    end_brokers();
}

int main(int argc, char **argv) {
    CU_TestInfo tests[] = {
        TEST(many_names_over_three_brokers),
        TESTS_END,
    };

    has_shards = argc > 1 && strcmp(argv[1], "shards") == 0;
    if (has_shards && !redis_available())
        return EXIT_SKIPPED;
    if (getenv("FERRY_TEST_NAMES"))
        n_names = atoi(getenv("FERRY_TEST_NAMES"));
    return run_suite("client: many names over three brokers", tests);
}

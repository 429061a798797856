/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Three brokers are restarted one after the other, as for an upgrade, while clients call, publish
 * and push. No call fails, no push is lost, each message arrives once at each subscriber, and a job
 * whose acknowledgement was confirmed is not delivered again. The queues are on the disks of the
 * brokers; with the argument "shards" the brokers share them in Redis, some of them bound to the
 * topic of the messages. The test prints the counts.
 */

#include <stdio.h>
#include <string.h>

#include "ferry-broker.h"
#include "support/broker.h"
#include "support/faults.h"
#include "support/process.h"
#include "support/redis.h"
#include "support/suite.h"

enum {
    N = 3,
    CLIENTS = 3,
    PER_TURN = 2, /* calls, pushes and publishes that a client begins in one turn */
    IN_FLIGHT = 200,
    NUMBERS_MAX = 100000,
    UNREAD_MAX = 5000, /* messages that a bound queue has not delivered: its inbox takes 10 000 */
    SUBSCRIBERS = 2,
    SHARDS = 8,
    QUEUES = 12, /* of the pushes */
    BOUND = 4,   /* queues that are bound to the topic */
};

static Daemon brokers[N];
static TestBroker all; /* its URL lists them */
static bool has_shards;
static RedisServer redis;

/* ---- brokers ---- */

static void start_all(void) {
    static const char *const words[] = {"--appendonly", "yes", NULL};
    char config[100] = "[broker]\n";

    if (has_shards) {
        redis_start(&redis, words);
        snprintf(config, sizeof(config), "[broker]\nstore = redis://127.0.0.1:%u?shards=%d\n",
                 redis.port, SHARDS);
    }
    for (int i = 0; i < N; i++) {
        daemon_start(&brokers[i], &(DaemonOptions){.config = config, .data = !has_shards});
        broker_list(&all, brokers[i].url);
    }
}

static void stop_all(void) {
    for (int i = 0; i < N; i++)
        daemon_end(&brokers[i]);
    if (has_shards)
        redis_stop(&redis);
}

/* ---- the server, worker and subscriber ---- */

/* How often each number came; it is in the body. */
typedef int Counts[NUMBERS_MAX];

static Counts arrived[SUBSCRIBERS];

/* The jobs of the pushes, and of each bound queue: how often they were delivered, and how many of
 * their acknowledgements were confirmed. */
typedef struct Jobs {
    Counts delivered, confirmed;
    int n_delivered;
} Jobs;

static Jobs pushed, bound[BOUND];

/* -1: the body has no number. */
static int number_in(ferry_bytes body) {
    int number = -1;

    if (body.len == sizeof(number))
        memcpy(&number, body.data, sizeof(number));
    return number < NUMBERS_MAX ? number : -1;
}

static void count(int *to) {
    __atomic_add_fetch(to, 1, __ATOMIC_RELAXED);
}

static int echo(ferry_request *request, void *ctx) {
    (void)ctx;
    return ferry_request_return(request, request->body);
}

static void on_acknowledged(const ferry_error *error, void *ctx) {
    if (!error)
        count(ctx);
}

static int work(ferry_job *job, void *ctx) {
    int number = number_in(job->body);
    Jobs *jobs = ctx;

    if (number < 0)
        return 0;
    count(&jobs->delivered[number]);
    count(&jobs->n_delivered);
    return ferry_job_confirm(job, on_acknowledged, &jobs->confirmed[number]);
}

static void note(const ferry_message *message, void *ctx) {
    int number = number_in(message->body);

    if (number >= 0)
        count(&((int *)ctx)[number]);
}

static const char *queue_name(const char *kind, int i) {
    static _Thread_local char name[20];

    snprintf(name, sizeof(name), "%s.%d", kind, i);
    return name;
}

static int set_up(ferry_client *client, void *ctx) {
    const ferry_work_options options = {.slots = 10};
    int r = ferry_serve_method(client, "test.Echo.echo", &(ferry_serve_options){.slots = 100}, echo,
                               NULL, NULL, NULL);

    for (int i = 0; i < QUEUES && r == 0; i++)
        r = ferry_work(client, queue_name("jobs", i), &options, work, &pushed, NULL, NULL);
    for (int i = 0; i < BOUND && has_shards && r == 0; i++)
        r = ferry_work(client, queue_name("kept", i), &options, work, &bound[i], NULL, NULL);
    return r < 0 ? r : ferry_subscribe(client, "news", NULL, note, ctx, NULL, NULL);
}

/* ---- the load ---- */

typedef struct Load {
    int started, ok, failed;
} Load;

static Load calls, pushes, publishes;

static void end(Load *load, const ferry_error *error) {
    load->ok += error == NULL;
    load->failed += error != NULL;
    if (error && load->failed <= 3)
        ferry_error_print(error, stderr);
}

static void called(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    (void)reply;
    end(ctx, error);
}

static void done(const ferry_error *error, void *ctx) {
    end(ctx, error);
}

static int in_flight(const Load *load) {
    return load->started - load->ok - load->failed;
}

/* Brokers take messages for queues at other brokers faster than a busy machine delivers them. */
static bool has_room(int message) {
    bool room = message < NUMBERS_MAX;

    for (int i = 0; i < BOUND && has_shards; i++)
        room &= message - __atomic_load_n(&bound[i].n_delivered, __ATOMIC_RELAXED) < UNREAD_MAX;
    return room;
}

static void begin_some(ferry_client *client) {
    static const ferry_bytes body = {"\x01", 1, NULL};
    const ferry_publish_options confirmed = {.fn = done, .ctx = &publishes};

    for (int i = 0; i < PER_TURN; i++) {
        int job = pushes.started, message = publishes.started;

        if (in_flight(&calls) < IN_FLIGHT &&
            ferry_call_async(client, "test.Echo.echo", body, called, &calls, NULL) == 0)
            calls.started++;
        if (in_flight(&publishes) < IN_FLIGHT && has_room(message) &&
            ferry_publish(client, "news", ferry_bytes_of(&message, sizeof(message)), &confirmed,
                          NULL) == 0)
            publishes.started++;
        if (in_flight(&pushes) < IN_FLIGHT && job < NUMBERS_MAX &&
            ferry_push_async(client, queue_name("jobs", job % QUEUES),
                             ferry_bytes_of(&job, sizeof(job)), NULL, done, &pushes, NULL) == 0)
            pushes.started++;
    }
}

static ferry_client *clients[CLIENTS];

static void turn(bool begins) {
    for (int i = 0; i < CLIENTS; i++) {
        if (begins)
            begin_some(clients[i]);
        ferry_process(clients[i], NULL);
    }
}

/* Load until this many more calls have been answered. */
static void run_load(int n) {
    int until = calls.ok + n;
    uint64_t give_up_ms = clock_ms() + PATIENCE_MS;

    while (calls.ok < until && clock_ms() < give_up_ms)
        turn(true);
}

/* Waits, under load, until the services, workers and subscribers are back at this broker. */
static void wait_for_subscribers(const Daemon *broker) {
    uint64_t give_up_ms = clock_ms() + PATIENCE_MS;
    ferry_client *client = open_with(broker->url, NULL);
    int n = 0;

    while (n < SUBSCRIBERS && clock_ms() < give_up_ms) {
        ferry_broker_list_topic_status *topics = NULL;

        turn(true);
        if (ferry_broker_topics(client, &topics, NULL) == 0 && topics->n > 0 &&
            topics->v[0].subscribers)
            n = (int)*topics->v[0].subscribers;
        ferry_free(topics);
    }
    CU_ASSERT_EQUAL_FATAL(n, SUBSCRIBERS);
    ferry_close(client);
}

typedef struct Numbers {
    int once_or_more, twice_or_more;
} Numbers;

static Numbers numbers_of(const Counts counts) {
    Numbers numbers = {0, 0};

    for (int i = 0; i < NUMBERS_MAX; i++) {
        int n = __atomic_load_n(&counts[i], __ATOMIC_RELAXED);

        numbers.once_or_more += n > 0;
        numbers.twice_or_more += n > 1;
    }
    return numbers;
}

static int n_missing(const Counts counts, int wanted) {
    int n = numbers_of(counts).once_or_more;

    return n < wanted ? wanted - n : 0;
}

/* Of the jobs of confirmed pushes and messages, and of messages for subscribers. */
static int n_missing_of_all(void) {
    int n = n_missing(pushed.delivered, pushes.ok);

    for (int i = 0; i < SUBSCRIBERS; i++)
        n += n_missing(arrived[i], publishes.ok);
    for (int i = 0; i < BOUND && has_shards; i++)
        n += n_missing(bound[i].delivered, publishes.ok);
    return n;
}

static void wait_for_all(uint64_t give_up_ms) {
    while (in_flight(&calls) + in_flight(&pushes) + in_flight(&publishes) > 0 &&
           clock_ms() < give_up_ms)
        turn(false);
    while (n_missing_of_all() > 0 && clock_ms() < give_up_ms)
        usleep(10000);
}

static void expect_no_error(const char *what, const Load *load) {
    printf("    %s: %d begun, %d confirmed, %d errors\n", what, load->started, load->ok,
           load->failed);
    CU_ASSERT_EQUAL(load->failed, 0);
    CU_ASSERT_EQUAL(load->ok, load->started);
}

/* A job whose acknowledgement was not confirmed, because its broker left, is delivered again. */
static void expect_all_jobs(const char *queue, const Jobs *jobs, int wanted) {
    Numbers delivered = numbers_of(jobs->delivered), confirmed = numbers_of(jobs->confirmed);

    printf("    jobs of %s: %d lost, %d delivered again, of these %d after a confirmed "
           "acknowledgement\n",
           queue, wanted - delivered.once_or_more, delivered.twice_or_more,
           confirmed.twice_or_more);
    CU_ASSERT_EQUAL(delivered.once_or_more, wanted);
    CU_ASSERT_EQUAL(confirmed.twice_or_more, 0);
}

static void expect_all_well(void) {
    expect_no_error("calls", &calls);
    expect_no_error("pushes", &pushes);
    expect_no_error("publishes", &publishes);
    expect_all_jobs("pushes", &pushed, pushes.ok);
    for (int i = 0; i < BOUND && has_shards; i++)
        expect_all_jobs(queue_name("bound queue", i), &bound[i], publishes.ok);
    for (int i = 0; i < SUBSCRIBERS; i++) {
        Numbers messages = numbers_of(arrived[i]);

        printf("    subscriber %d: %d lost, %d arrived twice\n", i,
               publishes.ok - messages.once_or_more, messages.twice_or_more);
        CU_ASSERT_EQUAL(messages.once_or_more, publishes.started);
        CU_ASSERT_EQUAL(messages.twice_or_more, 0);
    }
}

static void no_call_fails_and_no_push_or_message_is_lost(void) {
    const ferry_options options = {.idempotent = true};
    Runner servers[SUBSCRIBERS];

    for (int i = 0; i < SUBSCRIBERS; i++)
        runner_start(&servers[i], &all, set_up, arrived[i]);
    for (int i = 0; i < CLIENTS; i++)
        CU_ASSERT_EQUAL_FATAL(ferry_open(all.url, &options, &clients[i], NULL), 0);
    for (int i = 0; i < BOUND && has_shards; i++)
        CU_ASSERT_EQUAL(ferry_queue_bind(clients[0], queue_name("kept", i), "news", NULL), 0);
    run_load(1000);
    for (int i = 0; i < N; i++) {
        int before = calls.ok;

        process_signal(&brokers[i].process, SIGTERM);
        while (!process_is_over(&brokers[i].process))
            turn(true);
        run_load(500);
        daemon_restart(&brokers[i]);
        wait_for_subscribers(&brokers[i]);
        run_load(1000);
        printf("    broker %d restarted: %d calls were answered meanwhile\n", i, calls.ok - before);
    }
    wait_for_all(clock_ms() + 60000);
    expect_all_well();
    for (int i = 0; i < CLIENTS; i++)
        ferry_close(clients[i]);
    for (int i = 0; i < SUBSCRIBERS; i++)
        runner_stop(&servers[i]);
}

int main(int argc, char **argv) {
    CU_TestInfo tests[] = {
        TEST(no_call_fails_and_no_push_or_message_is_lost),
        TESTS_END,
    };
    int status;

    has_shards = argc > 1 && strcmp(argv[1], "shards") == 0;
    if (has_shards && !redis_available())
        return EXIT_SKIPPED;
    start_all();
    status = run_suite("client: a rolling upgrade", tests);
    stop_all();
    return status;
}

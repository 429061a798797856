/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Three brokers with queues on disk are restarted one after the other, as for an upgrade, while
 * clients call, publish and push. No call fails, no push is lost, and each message arrives once at
 * each subscriber. The test prints the counts.
 */

#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "ferry-broker.h"
#include "support/broker.h"
#include "support/suite.h"

enum {
    N = 3,
    CLIENTS = 3,
    PER_TURN = 2, /* calls, pushes and publishes that a client begins in one turn */
    IN_FLIGHT = 200,
    NUMBERS_MAX = 100000,
    SUBSCRIBERS = 2,
};

static TestBroker brokers[N];
static TestBroker all;

/* ---- brokers on disk ---- */

static void start(TestBroker *broker) {
    const char *program = getenv("FERRY_TEST_BROKER");
    char data[128], path[128];

    snprintf(data, sizeof(data), "%s/data", broker->folder);
    snprintf(path, sizeof(path), "%s/broker", broker->folder);
    unlink(path);
    broker->pid = fork();
    if (broker->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execl(program, program, broker->url, "error", "", data, (char *)NULL);
        _exit(127);
    }
    for (int i = 0; i < 12000 && access(path, F_OK) < 0; i++)
        usleep(5000);
}

static void start_all(void) {
    for (int i = 0; i < N; i++) {
        char folder[] = "/tmp/ferry-test-XXXXXX";

        if (!getenv("FERRY_TEST_BROKER") || !mkdtemp(folder))
            exit(77);
        strcpy(brokers[i].folder, folder);
        snprintf(brokers[i].url, sizeof(brokers[i].url), "ipc://%s/broker", folder);
        broker_list(&all, &brokers[i]);
        start(&brokers[i]);
    }
}

static void stop_all(void) {
    char command[128];

    for (int i = 0; i < N; i++) {
        kill(brokers[i].pid, SIGKILL);
        waitpid(brokers[i].pid, NULL, 0);
        snprintf(command, sizeof(command), "rm -rf '%s'", brokers[i].folder);
        if (system(command) != 0)
            fprintf(stderr, "%s failed\n", command);
    }
}

/* ---- the server, worker and subscriber ---- */

/* How often each push was worked, and each message arrived at each subscriber; the number is in the
 * body. */
static int worked[NUMBERS_MAX];
static int arrived[SUBSCRIBERS][NUMBERS_MAX];

static void count(int counts[NUMBERS_MAX], ferry_bytes body) {
    int number = -1;

    if (body.len == sizeof(number))
        memcpy(&number, body.data, sizeof(number));
    if (number >= 0 && number < NUMBERS_MAX)
        __atomic_add_fetch(&counts[number], 1, __ATOMIC_RELAXED);
}

static int echo(ferry_request *request, void *ctx) {
    (void)ctx;
    return ferry_request_return(request, request->body);
}

static int work(ferry_job *job, void *ctx) {
    count(ctx, job->body);
    return 0;
}

static void note(const ferry_message *message, void *ctx) {
    count(ctx, message->body);
}

static int set_up(ferry_client *client, void *ctx) {
    return ferry_serve_method(client, "test.Echo.echo", &(ferry_serve_options){.slots = 100}, echo,
                              NULL, NULL, NULL) < 0 ||
                   ferry_work(client, "jobs", &(ferry_work_options){.slots = 10}, work, worked,
                              NULL, NULL) < 0 ||
                   ferry_subscribe(client, "news", NULL, note, ctx, NULL, NULL) < 0
               ? -1
               : 0;
}

/* ---- the load ---- */

typedef struct Counts {
    int started, ok, failed;
} Counts;

static Counts calls, pushes, publishes;

static void end(Counts *counts, const ferry_error *error) {
    counts->ok += error == NULL;
    counts->failed += error != NULL;
    if (error && counts->failed <= 3)
        ferry_error_print(error, stderr);
}

static void called(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    (void)reply;
    end(ctx, error);
}

static void done(const ferry_error *error, void *ctx) {
    end(ctx, error);
}

static int in_flight(const Counts *counts) {
    return counts->started - counts->ok - counts->failed;
}

static void begin_some(ferry_client *client) {
    static const ferry_bytes body = {"\x01", 1, NULL};
    const ferry_publish_options confirmed = {.fn = done, .ctx = &publishes};

    for (int i = 0; i < PER_TURN; i++) {
        int job = pushes.started, message = publishes.started;

        if (in_flight(&calls) < IN_FLIGHT &&
            ferry_call_async(client, "test.Echo.echo", body, called, &calls, NULL) == 0)
            calls.started++;
        if (in_flight(&publishes) < IN_FLIGHT && message < NUMBERS_MAX &&
            ferry_publish(client, "news", ferry_bytes_of(&message, sizeof(message)), &confirmed,
                          NULL) == 0)
            publishes.started++;
        if (in_flight(&pushes) < IN_FLIGHT && job < NUMBERS_MAX &&
            ferry_push_async(client, "jobs", ferry_bytes_of(&job, sizeof(job)), NULL, done, &pushes,
                             NULL) == 0)
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

/* Load until so many more calls have been answered. */
static void load(int n) {
    int until = calls.ok + n;
    uint64_t give_up_ms = clock_ms() + 120000;

    while (calls.ok < until && clock_ms() < give_up_ms)
        turn(true);
}

static bool has_ended(pid_t pid) {
    return waitpid(pid, NULL, WNOHANG) == pid;
}

/* Waits, under load, until the services, workers and subscribers are back at this broker. */
static void wait_for_subscribers(const TestBroker *broker) {
    uint64_t give_up_ms = clock_ms() + 120000;
    ferry_client *client = connect_client(broker);
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

static Numbers numbers_of(const int counts[NUMBERS_MAX]) {
    Numbers numbers = {0, 0};

    for (int i = 0; i < NUMBERS_MAX; i++) {
        int n = __atomic_load_n(&counts[i], __ATOMIC_RELAXED);

        numbers.once_or_more += n > 0;
        numbers.twice_or_more += n > 1;
    }
    return numbers;
}

/* Waits until each confirmed push was worked, and each confirmed message has arrived. */
static void wait_for_all(uint64_t give_up_ms) {
    while (in_flight(&calls) + in_flight(&pushes) + in_flight(&publishes) > 0 &&
           clock_ms() < give_up_ms)
        turn(false);
    while ((numbers_of(worked).once_or_more < pushes.ok ||
            numbers_of(arrived[0]).once_or_more < publishes.ok ||
            numbers_of(arrived[1]).once_or_more < publishes.ok) &&
           clock_ms() < give_up_ms)
        usleep(10000);
}

static void print_counts(void) {
    Numbers jobs = numbers_of(worked);

    printf("    calls: %d begun, %d answered, %d errors\n", calls.started, calls.ok, calls.failed);
    printf("    pushes: %d begun, %d confirmed, %d errors, %d lost; %d worked more than once\n",
           pushes.started, pushes.ok, pushes.failed, pushes.ok - jobs.once_or_more,
           jobs.twice_or_more);
    printf("    publishes: %d begun, %d confirmed, %d errors\n", publishes.started, publishes.ok,
           publishes.failed);
    for (int i = 0; i < SUBSCRIBERS; i++) {
        Numbers messages = numbers_of(arrived[i]);

        printf("    subscriber %d: %d lost, %d arrived twice\n", i,
               publishes.ok - messages.once_or_more, messages.twice_or_more);
    }
}

static void no_call_fails_and_no_push_or_message_is_lost(void) {
    const ferry_options options = {.idempotent = true};
    Runner servers[SUBSCRIBERS];

    for (int i = 0; i < SUBSCRIBERS; i++)
        runner_start(&servers[i], &all, set_up, arrived[i]);
    for (int i = 0; i < CLIENTS; i++)
        CU_ASSERT_EQUAL_FATAL(ferry_open(all.url, &options, &clients[i], NULL), 0);
    load(1000);
    for (int i = 0; i < N; i++) {
        int before = calls.ok;

        kill(brokers[i].pid, SIGTERM);
        while (!has_ended(brokers[i].pid))
            turn(true);
        load(500);
        start(&brokers[i]);
        wait_for_subscribers(&brokers[i]);
        load(1000);
        printf("    broker %d restarted: %d calls were answered meanwhile\n", i, calls.ok - before);
    }
    wait_for_all(clock_ms() + 60000);
    print_counts();
    CU_ASSERT_EQUAL(calls.failed, 0);
    CU_ASSERT_EQUAL(calls.ok, calls.started);
    CU_ASSERT_EQUAL(publishes.failed, 0);
    CU_ASSERT_EQUAL(publishes.ok, publishes.started);
    CU_ASSERT_EQUAL(pushes.failed, 0);
    CU_ASSERT_EQUAL(pushes.ok, pushes.started);
    CU_ASSERT_EQUAL(numbers_of(worked).once_or_more, pushes.started);
    for (int i = 0; i < SUBSCRIBERS; i++) {
        CU_ASSERT_EQUAL(numbers_of(arrived[i]).once_or_more, publishes.started);
        CU_ASSERT_EQUAL(numbers_of(arrived[i]).twice_or_more, 0);
    }
    for (int i = 0; i < CLIENTS; i++)
        ferry_close(clients[i]);
    for (int i = 0; i < SUBSCRIBERS; i++)
        runner_stop(&servers[i]);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(no_call_fails_and_no_push_or_message_is_lost),
        TESTS_END,
    };
    int status;

    start_all();
    status = run_suite("client: a rolling upgrade", tests);
    stop_all();
    return status;
}

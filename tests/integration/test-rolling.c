/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Three brokers with queues on disk are restarted one after the other, as for an upgrade, while
 * clients call, publish and push. No call fails, and no push is lost: the test prints the counts.
 */

#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "support/broker.h"
#include "support/suite.h"

enum {
    N = 3,
    CLIENTS = 3,
    PER_TURN = 2, /* calls, pushes and publishes that a client begins in one turn */
    IN_FLIGHT = 200,
    PUSHES_MAX = 100000,
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
        sprintf(all.url + strlen(all.url), "%s%s", i > 0 ? "," : "", brokers[i].url);
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

/* How often each push was worked; its number is in its body. */
static int worked[PUSHES_MAX];
static int n_messages;

static int echo(ferry_request *request, void *ctx) {
    (void)ctx;
    return ferry_request_return(request, request->body);
}

static int work(ferry_job *job, void *ctx) {
    int number = -1;

    (void)ctx;
    if (job->body.len == sizeof(number))
        memcpy(&number, job->body.data, sizeof(number));
    if (number >= 0 && number < PUSHES_MAX)
        __atomic_add_fetch(&worked[number], 1, __ATOMIC_RELAXED);
    return 0;
}

static void note(const ferry_message *message, void *ctx) {
    (void)message, (void)ctx;
    __atomic_add_fetch(&n_messages, 1, __ATOMIC_RELAXED);
}

static int set_up(ferry_client *client, void *ctx) {
    (void)ctx;
    return ferry_serve_method(client, "test.Echo.echo", &(ferry_serve_options){.slots = 100}, echo,
                              NULL, NULL, NULL) < 0 ||
                   ferry_work(client, "jobs", &(ferry_work_options){.slots = 10}, work, NULL, NULL,
                              NULL) < 0 ||
                   ferry_subscribe(client, "news", NULL, note, NULL, NULL, NULL) < 0
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
        int number = pushes.started;

        if (in_flight(&calls) < IN_FLIGHT &&
            ferry_call_async(client, "test.Echo.echo", body, called, &calls, NULL) == 0)
            calls.started++;
        if (in_flight(&publishes) < IN_FLIGHT &&
            ferry_publish(client, "news", body, &confirmed, NULL) == 0)
            publishes.started++;
        if (in_flight(&pushes) < IN_FLIGHT && number < PUSHES_MAX &&
            ferry_push_async(client, "jobs", ferry_bytes_of(&number, sizeof(number)), NULL, done,
                             &pushes, NULL) == 0)
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

/* How many pushes were worked at least once, and how many more than once. */
static void count_jobs(int *ret_worked, int *ret_twice) {
    *ret_worked = *ret_twice = 0;
    for (int i = 0; i < pushes.started; i++) {
        int n = __atomic_load_n(&worked[i], __ATOMIC_RELAXED);

        *ret_worked += n > 0;
        *ret_twice += n > 1;
    }
}

static void no_call_fails_and_no_push_is_lost(void) {
    const ferry_options options = {.idempotent = true};
    uint64_t give_up_ms;
    int n_worked = 0, n_twice = 0;
    Runner servers[2];

    for (int i = 0; i < 2; i++)
        runner_start(&servers[i], &all, set_up, NULL);
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
        load(1000);
        printf("    broker %d restarted: %d calls were answered meanwhile\n", i, calls.ok - before);
    }
    give_up_ms = clock_ms() + 120000;
    while (in_flight(&calls) + in_flight(&pushes) + in_flight(&publishes) > 0 &&
           clock_ms() < give_up_ms)
        turn(false);
    for (; n_worked < pushes.ok && clock_ms() < give_up_ms; usleep(10000))
        count_jobs(&n_worked, &n_twice);
    printf("    calls: %d begun, %d answered, %d errors\n", calls.started, calls.ok, calls.failed);
    printf("    publishes: %d begun, %d confirmed, %d errors; %d messages at 2 subscribers\n",
           publishes.started, publishes.ok, publishes.failed,
           __atomic_load_n(&n_messages, __ATOMIC_RELAXED));
    printf("    pushes: %d begun, %d confirmed, %d errors, %d lost; %d worked more than once\n",
           pushes.started, pushes.ok, pushes.failed, pushes.ok - n_worked, n_twice);
    CU_ASSERT_EQUAL(calls.failed, 0);
    CU_ASSERT_EQUAL(calls.ok, calls.started);
    CU_ASSERT_EQUAL(publishes.failed, 0);
    CU_ASSERT_EQUAL(pushes.failed, 0);
    CU_ASSERT_EQUAL(pushes.ok, pushes.started);
    CU_ASSERT_EQUAL(n_worked, pushes.started);
    for (int i = 0; i < CLIENTS; i++)
        ferry_close(clients[i]);
    for (int i = 0; i < 2; i++)
        runner_stop(&servers[i]);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(no_call_fails_and_no_push_is_lost),
        TESTS_END,
    };
    int status;

    start_all();
    status = run_suite("client: a rolling upgrade", tests);
    stop_all();
    return status;
}

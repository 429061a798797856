/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Pools of threads and of processes, with a real broker.
 *
 *     test-pool --role pool threads|processes URL N [STOP_MS]
 */

#include <ferry/pool.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ferry/schema.h>

#include "base/clock.h"
#include "support/faults.h"
#include "support/roles.h"
#include "support/suite.h"

/* HELD: a call waits until the test releases it. STUCK: it never returns. */
enum { N = 3, STEP_MS = 20, HELD = -2, STUCK = -1 };

/* ---- the server ---- */

static ferry_pool *pool;

static void stop(int signal) {
    (void)signal;
    ferry_pool_stop(pool);
}

static char release[80]; /* the calls that are HELD wait for this file */

static void find_release(const char *url) {
    snprintf(release, sizeof(release), "%s-release", url + strlen("ipc://"));
}

/* Sleeps for the given time in ms, or as HELD and STUCK say, and returns the id of its thread. */
static int who(ferry_request *request, void *ctx) {
    char packed[9] = {(char)0xD3};
    int32_t ms = 0;
    long id = syscall(SYS_gettid);

    (void)ctx;
    ferry_unpack(request->body, NULL, "[i]", &ms);
    if (ms < 0)
        tell("begun 1");
    while (ms == STUCK || (ms == HELD && access(release, F_OK) < 0))
        sleep_ms(1);
    if (ms > 0)
        sleep_ms((uint64_t)ms);
    for (int i = 0; i < 8; i++)
        packed[1 + i] = (char)((uint64_t)id >> (56 - 8 * i));
    return ferry_request_return(request, ferry_bytes_of(packed, sizeof(packed)));
}

static int set_up(ferry_client *client, unsigned member, void *ctx, ferry_error *reterr) {
    (void)member, (void)ctx;
    return ferry_serve_method(client, "pool.Pool.who", NULL, who, NULL, NULL, reterr);
}

static void on_exit_of_one(unsigned member, int status, const ferry_error *error, void *ctx) {
    (void)error, (void)ctx;
    tell("ended %u status %d", member, status);
}

static int play_pool(int argc, char **argv) {
    bool threads = strcmp(argv[0], "threads") == 0;
    ferry_pool_options options = {.url = argv[1],
                                  .n = (uint32_t)atoi(argv[2]),
                                  .stop_ms = argc > 3 ? (uint32_t)atoi(argv[3]) : 0,
                                  .on_exit = on_exit_of_one};
    struct sigaction action = {.sa_handler = stop};
    ferry_error error = FERRY_ERROR_INIT;
    /* A client of the parent must not disturb its children. */
    FERRY_AUTO(ferry_close) ferry_client *own = open_with(argv[1], NULL);
    int r = ferry_pool_open(&options, &pool, &error);

    (void)own;
    find_release(argv[1]);
    sigaction(SIGTERM, &action, NULL);
    if (r == 0)
        r = threads ? ferry_pool_run_threads(pool, set_up, NULL, &error)
                    : ferry_pool_run_processes(pool, set_up, NULL, &error);
    tell("over %d", -r);
    ferry_pool_close(pool);
    ferry_error_clear(&error);
    return r < 0;
}

/* ---- the pool, seen from the broker and a caller ---- */

typedef struct World {
    Daemon broker;
    Process server;
    ferry_client *client;
} World;

static unsigned n_instances(ferry_client *client, unsigned *ret_slots) {
    FERRY_AUTO(ferry_free) ferry_description *description = NULL;
    unsigned n = 0;

    *ret_slots = 0;
    if (ferry_describe(client, "pool.Pool", &description, NULL) < 0)
        return 0;
    for (; n < description->n_instances; n++)
        *ret_slots += description->instances[n].slots;
    return n;
}

static bool instances_become(World *world, unsigned wanted) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;
    unsigned slots;

    while (clock_ms() < until_ms) {
        if (n_instances(world->client, &slots) == wanted && slots == wanted)
            return true;
        sleep_ms(10);
    }
    return false;
}

static void start(World *world, const char *kind, const char *stop_ms) {
    char n[12];

    snprintf(n, sizeof(n), "%d", N);
    daemon_start(&world->broker, NULL);
    find_release(world->broker.url);
    world->client = open_with(world->broker.url, NULL);
    role_start(&world->server, "pool", kind, world->broker.url, n, stop_ms, NULL);
    CU_ASSERT_TRUE(instances_become(world, N));
}

static void end(World *world) {
    process_end(&world->server, SIGKILL, PATIENCE_MS);
    ferry_close(world->client);
    daemon_end(&world->broker);
}

typedef struct Seen {
    long ids[64];
    int n, n_answers, n_lost, n_failed;
} Seen;

static void on_answer(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    Seen *seen = ctx;
    int64_t id = 0;

    seen->n_answers++;
    if (error) {
        seen->n_lost += strcmp(error->type, "ferry.ServerLost") == 0;
        seen->n_failed += strcmp(error->type, "ferry.ServerLost") != 0;
        return;
    }
    ferry_unpack(reply->body, NULL, "l", &id);
    for (int i = 0; i < seen->n; i++)
        if (seen->ids[i] == id)
            return;
    seen->ids[seen->n++] = (long)id;
}

static void ask_many(ferry_client *client, int n, int ms, Seen *seen) {
    const char args[] = {(char)0x91, (char)0xD1, (char)(ms >> 8), (char)ms};

    for (int i = 0; i < n; i++)
        CU_ASSERT_EQUAL(ferry_call_async(client, "pool.Pool.who",
                                         ferry_bytes_of(args, sizeof(args)), on_answer, seen, NULL),
                        0);
}

/* Makes a call for each member, and waits until all are begun. */
static void hold_all(World *world, ferry_client *client, Seen *seen) {
    unlink(release);
    ask_many(client, N, HELD, seen);
    ferry_process(client, NULL);
    for (int i = 0; i < N; i++)
        CU_ASSERT_TRUE(told_count(&world->server, "begun", 1, PATIENCE_MS, NULL));
}

static void let_go(void) {
    int fd = creat(release, 0600);

    CU_ASSERT(fd >= 0);
    close(fd);
}

/* The members that answer. */
static Seen roll_call(World *world) {
    Seen seen = {.n = 0};

    ask_many(world->client, 4 * N, STEP_MS, &seen);
    CU_ASSERT_TRUE(turn_until(world->client, &seen.n_answers, 4 * N, PATIENCE_MS));
    CU_ASSERT_EQUAL(seen.n_lost + seen.n_failed, 0);
    return seen;
}

static bool is_gone(long pid) {
    for (int i = 0; i < 6000 && process_rss_kib((pid_t)pid) > 0; i++)
        sleep_ms(10);
    return process_rss_kib((pid_t)pid) == 0;
}

/* ---- tests ---- */

static void every_thread_answers(void) {
    World world;
    Seen seen;

    start(&world, "threads", NULL);
    seen = roll_call(&world);
    CU_ASSERT_EQUAL(seen.n, N);
    CU_ASSERT_EQUAL(process_end(&world.server, SIGTERM, PATIENCE_MS), 0);
    CU_ASSERT_TRUE(instances_become(&world, 0));
    end(&world);
}

static void every_process_answers(void) {
    World world;
    Seen seen;

    start(&world, "processes", NULL);
    seen = roll_call(&world);
    CU_ASSERT_EQUAL(seen.n, N);
    CU_ASSERT_EQUAL(process_end(&world.server, SIGTERM, PATIENCE_MS), 0);
    for (int i = 0; i < seen.n; i++)
        CU_ASSERT_TRUE(is_gone(seen.ids[i]));
    CU_ASSERT_TRUE(instances_become(&world, 0));
    end(&world);
}

/* Calls in progress are answered before a member of the pool ends. */
static void stopping_finishes_what_was_begun(const char *kind) {
    Seen seen = {.n = 0};
    World world;

    start(&world, kind, NULL);
    hold_all(&world, world.client, &seen);
    process_signal(&world.server, SIGTERM);
    turn_for(world.client, 50);
    CU_ASSERT_EQUAL(seen.n_answers, 0);
    let_go();
    CU_ASSERT_TRUE(turn_until(world.client, &seen.n_answers, N, PATIENCE_MS));
    CU_ASSERT_EQUAL(seen.n, N);
    CU_ASSERT_EQUAL(process_end(&world.server, 0, PATIENCE_MS), 0);
    end(&world);
}

static void stopped_threads_finish_what_they_began(void) {
    stopping_finishes_what_was_begun("threads");
}

static void stopped_processes_finish_what_they_began(void) {
    stopping_finishes_what_was_begun("processes");
}

static void a_killed_child_is_replaced(void) {
    ferry_client *patient = NULL;
    Seen before, during = {.n = 0}, moved = {.n = 0}, after;
    World world;
    uint64_t start_ms;

    start(&world, "processes", NULL);
    before = roll_call(&world);
    CU_ASSERT_EQUAL(before.n, N);

    /* One call is at the member that is killed; the other calls are not affected. */
    hold_all(&world, world.client, &during);
    start_ms = clock_ms();
    kill((pid_t)before.ids[0], SIGKILL);
    CU_ASSERT_TRUE(turn_until(world.client, &during.n_lost, 1, PATIENCE_MS));
    let_go();
    CU_ASSERT_TRUE(turn_until(world.client, &during.n_answers, N, PATIENCE_MS));
    CU_ASSERT_EQUAL(during.n_lost, 1);
    CU_ASSERT_EQUAL(during.n_failed, 0);
    CU_ASSERT_EQUAL(during.n, N - 1);
    CU_ASSERT_TRUE(told_count(&world.server, "ended", 0, PATIENCE_MS, NULL));
    CU_ASSERT_TRUE(instances_become(&world, N));
    printf("\n    a killed child is replaced after at most %llu ms",
           (unsigned long long)(clock_ms() - start_ms));
    after = roll_call(&world);
    CU_ASSERT_EQUAL(after.n, N);
    for (int i = 0; i < after.n; i++)
        CU_ASSERT_NOT_EQUAL(after.ids[i], before.ids[0]);

    /* An idempotent call moves to another member. */
    ferry_with(world.client, &(ferry_options){.idempotent = true}, &patient, NULL);
    hold_all(&world, patient, &moved);
    kill((pid_t)after.ids[0], SIGKILL);
    let_go();
    CU_ASSERT_TRUE(turn_until(world.client, &moved.n_answers, N, PATIENCE_MS));
    CU_ASSERT_EQUAL(moved.n_lost + moved.n_failed, 0);
    ferry_close(patient);
    end(&world);
}

static void a_child_that_is_told_to_stop_does_and_is_replaced(void) {
    Seen before, seen = {.n = 0}, after;
    World world;
    const char *line;

    start(&world, "processes", NULL);
    before = roll_call(&world);
    hold_all(&world, world.client, &seen);
    kill((pid_t)before.ids[1], SIGTERM);
    let_go();
    CU_ASSERT_TRUE(turn_until(world.client, &seen.n_answers, N, PATIENCE_MS));
    CU_ASSERT_EQUAL(seen.n, N);
    line = told(&world.server, PATIENCE_MS);
    CU_ASSERT_PTR_NOT_NULL(line);
#ifndef __SANITIZE_THREAD__ /* it ends a child that forked beside threads with a status of its own \
                             */
    CU_ASSERT_PTR_NOT_NULL(strstr(line, "status 0"));
#endif
    CU_ASSERT_TRUE(is_gone(before.ids[1]));
    CU_ASSERT_TRUE(instances_become(&world, N));
    after = roll_call(&world);
    CU_ASSERT_EQUAL(after.n, N);
    end(&world);
}

static void a_child_that_does_not_stop_is_killed(void) {
    Seen seen;
    World world;

    start(&world, "processes", "300");
    seen = roll_call(&world);
    CU_ASSERT_EQUAL(ferry_call_async(world.client, "pool.Pool.who", ferry_str("\x91\xff"),
                                     on_answer, &seen, NULL),
                    0);
    ferry_process(world.client, NULL);
    CU_ASSERT_TRUE(told_count(&world.server, "begun", 1, PATIENCE_MS, NULL));
    CU_ASSERT_EQUAL(process_end(&world.server, SIGTERM, PATIENCE_MS), 0);
    for (int i = 0; i < seen.n; i++)
        CU_ASSERT_TRUE(is_gone(seen.ids[i]));
    end(&world);
}

static void children_do_not_outlive_their_parent(void) {
    World world;
    Seen seen;

    start(&world, "processes", NULL);
    seen = roll_call(&world);
    process_end(&world.server, SIGKILL, PATIENCE_MS);
    CU_ASSERT_TRUE(instances_become(&world, 0));
    for (int i = 0; i < seen.n; i++)
        CU_ASSERT_TRUE(is_gone(seen.ids[i]));
    end(&world);
}

static int fail(ferry_client *client, unsigned member, void *ctx, ferry_error *reterr) {
    (void)ctx;
    /* This name is reserved for the broker, so it is refused. */
    return member == 1 ? ferry_serve_method(client, "ferry.Not.ours", NULL, who, NULL, NULL, reterr)
                       : 0;
}

static void a_member_that_cannot_be_set_up_ends_the_pool(void) {
    ferry_error error = FERRY_ERROR_INIT;
    ferry_pool *failing = NULL;
    ferry_pool_options options = {.n = N};
    Daemon broker;

    daemon_start(&broker, NULL);
    options.url = broker.url;
    CU_ASSERT_EQUAL(ferry_pool_open(&options, &failing, &error), 0);
    CU_ASSERT_EQUAL(ferry_pool_run_processes(failing, fail, NULL, &error), -EACCES);
    CU_ASSERT_STRING_EQUAL(error.type, "ferry.PermissionDenied");
    CU_ASSERT_EQUAL(ferry_pool_run_threads(failing, fail, NULL, &error), -EACCES);
    CU_ASSERT_STRING_EQUAL(error.type, "ferry.PermissionDenied");
    /* The pool also works if the kernel reaps children by itself. */
    signal(SIGCHLD, SIG_IGN);
    CU_ASSERT_EQUAL(ferry_pool_run_processes(failing, fail, NULL, &error), -EACCES);
    signal(SIGCHLD, SIG_DFL);
    /* A stop before the run ends the next run. */
    ferry_pool_stop(failing);
    CU_ASSERT_EQUAL(ferry_pool_run_threads(failing, set_up, NULL, &error), 0);
    ferry_pool_stop(failing);
    CU_ASSERT_EQUAL(ferry_pool_run_processes(failing, set_up, NULL, &error), 0);
    ferry_error_clear(&error);
    ferry_pool_close(failing);
    daemon_end(&broker);
}

/* Runs the pool again from inside set_up. */
static int run_again(ferry_client *client, unsigned member, void *ctx, ferry_error *reterr) {
    (void)client, (void)member;
    return ferry_pool_run_threads(ctx, set_up, NULL, reterr);
}

static void misuse_is_refused(void) {
    ferry_error error = FERRY_ERROR_INIT;
    ferry_pool *none = NULL;

    CU_ASSERT_EQUAL(ferry_pool_open(NULL, NULL, &error), -EINVAL);
    CU_ASSERT_EQUAL(ferry_pool_open(&(ferry_pool_options){.n = 1025}, &none, &error), -EINVAL);
    CU_ASSERT_EQUAL(ferry_pool_open(&(ferry_pool_options){.reserved = {1}}, &none, &error),
                    -EINVAL);
    CU_ASSERT_PTR_NULL(none);
    CU_ASSERT_EQUAL(ferry_pool_open(NULL, &none, &error), 0);
    CU_ASSERT_EQUAL(ferry_pool_run_threads(none, NULL, NULL, &error), -EINVAL);
    CU_ASSERT_EQUAL(ferry_pool_run_processes(NULL, set_up, NULL, &error), -EINVAL);
    CU_ASSERT_EQUAL(ferry_pool_run_threads(none, run_again, none, &error), -EBUSY);
    CU_ASSERT_EQUAL(ferry_pool_stop(NULL), -EINVAL);
    CU_ASSERT_PTR_NULL(ferry_pool_close(none));
    CU_ASSERT_PTR_NULL(ferry_pool_close(NULL));
    ferry_error_clear(&error);
}

int main(int argc, char **argv) {
    static const Role roles[] = {{"pool", play_pool}, {NULL, NULL}};
    CU_TestInfo tests[] = {
        TEST(every_thread_answers),
        TEST(every_process_answers),
        TEST(stopped_threads_finish_what_they_began),
        TEST(stopped_processes_finish_what_they_began),
        TEST(a_killed_child_is_replaced),
        TEST(a_child_that_is_told_to_stop_does_and_is_replaced),
        TEST(a_child_that_does_not_stop_is_killed),
        TEST(children_do_not_outlive_their_parent),
        TEST(a_member_that_cannot_be_set_up_ends_the_pool),
        TEST(misuse_is_refused),
        TESTS_END,
    };

    roles_play(argc, argv, roles);
    return run_suite("pools of threads and processes", tests);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process has two clients, one of which runs on a thread. Its allocations and descriptors fail,
 * one in each run: the first, the second, the third, until a run needs no more of them. The library
 * returns the failure as an error, or recovers. The process does not end, print or hang, and works
 * afterwards.
 *
 * The functions of this program replace libc's in the whole process: calls from libferry, and
 * libc's own calls for strdup(), getaddrinfo() and pthread_create(), count, too.
 */

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/faults.h"
#include "support/process.h"
#include "support/roles.h"
#include "support/suite.h"

/* ---- failures ---- */

typedef enum Kind { ALLOCATION, DESCRIPTOR, N_KINDS } Kind;

static unsigned left[N_KINDS]; /* atomic: the call that fails, counted from now; 0: all succeed */
static int has_failed;         /* atomic */

static bool fails(Kind kind) {
    unsigned n = __atomic_load_n(&left[kind], __ATOMIC_RELAXED);

    while (n > 0 && !__atomic_compare_exchange_n(&left[kind], &n, n - 1, false, __ATOMIC_RELAXED,
                                                 __ATOMIC_RELAXED))
        continue;
    if (n != 1)
        return false;
    __atomic_store_n(&has_failed, 1, __ATOMIC_RELAXED);
    errno = kind == ALLOCATION ? ENOMEM : EMFILE;
    return true;
}

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

void *malloc(size_t size) {
    return fails(ALLOCATION) ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size) {
    return fails(ALLOCATION) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *memory, size_t size) {
    return fails(ALLOCATION) ? NULL : __libc_realloc(memory, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    return fails(ALLOCATION) ? NULL : __libc_memalign(alignment, size);
}

int posix_memalign(void **ret, size_t alignment, size_t size) {
    *ret = fails(ALLOCATION) ? NULL : __libc_memalign(alignment, size);
    return *ret ? 0 : ENOMEM;
}

int socket(int domain, int type, int protocol) {
    return fails(DESCRIPTOR) ? -1 : (int)syscall(SYS_socket, domain, type, protocol);
}

int epoll_create1(int flags) {
    return fails(DESCRIPTOR) ? -1 : (int)syscall(SYS_epoll_create1, flags);
}

int eventfd(unsigned count, int flags) {
    return fails(DESCRIPTOR) ? -1 : (int)syscall(SYS_eventfd2, count, flags);
}

/* ---- the process in which calls fail ---- */

enum { DONE = 0, NO_FAILURE = 10, WRONG = 11, CALL_MS = 60000, LARGE = 300000 };

static int n_calls, n_messages, n_jobs, n_confirmed, n_answers; /* atomic */
static int n_errors;
static const char *wrong; /* a description of the wrong result */

static void count(int *n) {
    __atomic_add_fetch(n, 1, __ATOMIC_RELAXED);
}

static bool happened(int *n) {
    return __atomic_load_n(n, __ATOMIC_RELAXED) > 0;
}

/* True: the function succeeded. Otherwise its error must say what has happened. */
static bool is_ok(const char *function, int r, ferry_error *error) {
    if (r >= 0)
        return true;
    n_errors++;
    if (!error->type || !error->message || !*error->message)
        wrong = function;
    ferry_error_clear(error);
    *error = (ferry_error)FERRY_ERROR_INIT;
    return false;
}

static int say(ferry_request *request, void *ctx) {
    (void)ctx;
    count(&n_calls);
    return ferry_request_return(request, request->body);
}

static void on_message(const ferry_message *message, void *ctx) {
    (void)message;
    (void)ctx;
    count(&n_messages);
}

static int on_job(ferry_job *job, void *ctx) {
    (void)job;
    (void)ctx;
    count(&n_jobs);
    return 0;
}

static void on_confirmed(const ferry_error *error, void *ctx) {
    (void)ctx;
    if (!error)
        count(&n_confirmed);
}

static void on_answer(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    (void)reply;
    (void)ctx;
    if (!error)
        count(&n_answers);
}

static ferry_client *open_until(const char *url) {
    ferry_options options = {.timeout_ms = CALL_MS};
    ferry_error error = FERRY_ERROR_INIT;
    ferry_client *client = NULL;

    for (int n = 0; n < 3 && !client; n++)
        is_ok("ferry_open", ferry_open(url, &options, &client, &error), &error);
    if (!client)
        wrong = "ferry_open, again";
    return client;
}

static void register_all(ferry_client *client) {
    ferry_error error = FERRY_ERROR_INIT;
    bool serves = false, subscribes = false, works = false;

    for (int n = 0; n < 3 && !(serves && subscribes && works); n++) {
        if (!serves)
            serves = is_ok(
                "ferry_serve_method",
                ferry_serve_method(client, "failing.Service.say", NULL, say, NULL, NULL, &error),
                &error);
        if (!subscribes)
            subscribes = is_ok(
                "ferry_subscribe",
                ferry_subscribe(client, "failing.topic", NULL, on_message, NULL, NULL, &error),
                &error);
        if (!works)
            works = is_ok("ferry_work",
                          ferry_work(client, "failing.queue", NULL, on_job, NULL, NULL, &error),
                          &error);
    }
    if (!serves || !subscribes || !works)
        wrong = "registering again";
}

static void *run(void *client) {
    ferry_error error = FERRY_ERROR_INIT;

    while (!is_ok("ferry_run", ferry_run(client, &error), &error))
        continue;
    return NULL;
}

static void use(ferry_client *client, const void *large) {
    ferry_error error = FERRY_ERROR_INIT;
    ferry_reply *reply = NULL;

    if (!happened(&n_calls))
        is_ok("ferry_call",
              ferry_call(client, "failing.Service.say", ferry_str("\xa5hello"), &reply, &error),
              &error);
    reply = ferry_free(reply);
    if (!happened(&n_answers))
        is_ok("ferry_call_async",
              ferry_call_async(client, "failing.Service.say", (ferry_bytes){large, LARGE, NULL},
                               on_answer, NULL, &error),
              &error);
    if (!happened(&n_messages))
        is_ok("ferry_publish",
              ferry_publish(client, "failing.topic", ferry_str("news"), NULL, &error), &error);
    if (!happened(&n_jobs))
        is_ok("ferry_push", ferry_push(client, "failing.queue", ferry_str("work"), NULL, &error),
              &error);
    if (!happened(&n_confirmed))
        is_ok("ferry_push_async",
              ferry_push_async(client, "failing.queue", (ferry_bytes){large, LARGE, NULL}, NULL,
                               on_confirmed, NULL, &error),
              &error);
    is_ok("ferry_flush", ferry_flush(client, &error), &error);
    is_ok("ferry_ping", ferry_ping(client, NULL, &error), &error);
    is_ok("ferry_process", ferry_process(client, &error), &error);
}

static bool is_all_done(void) {
    return happened(&n_calls) && happened(&n_answers) && happened(&n_messages) &&
           happened(&n_jobs) && happened(&n_confirmed);
}

static int live(const char *url, Kind kind, unsigned n) {
    static uint8_t large[LARGE] = {0xc6, 0, LARGE >> 16, LARGE >> 8 & 255, LARGE & 255};
    ferry_client *server, *caller;
    pthread_t thread;

    __atomic_store_n(&left[kind], n, __ATOMIC_RELAXED);
    server = open_until(url);
    caller = open_until(url);
    if (!server || !caller)
        return WRONG;
    register_all(server);
    while (pthread_create(&thread, NULL, run, server) != 0)
        continue;
    for (int round = 0; round < 1000 && !is_all_done(); round++) {
        use(caller, large);
        if (round > 0 && !is_all_done())
            usleep(1000 * (unsigned)round);
    }
    if (!is_all_done())
        wrong = "not all works afterwards";
    ferry_stop(server);
    pthread_join(thread, NULL);
    ferry_close(caller);
    ferry_close(server);
    if (wrong)
        dprintf(STDOUT_FILENO, "%s\n", wrong);
    if (wrong)
        return WRONG;
    return __atomic_load_n(&has_failed, __ATOMIC_RELAXED) ? DONE : NO_FAILURE;
}

/* ---- the test ---- */

/* Runs the process, and prints its output. Returns its status: see waitpid(). */
static int run_process(const char *url, Kind kind, unsigned n) {
    char said[1024];
    int ends[2], status = -1;
    struct pollfd out;
    ssize_t len;
    pid_t pid;

    if (pipe(ends) < 0 || (pid = fork()) < 0)
        abort();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        _exit(live(url, kind, n));
    }
    close(ends[1]);
    out = (struct pollfd){ends[0], POLLIN, 0};
    while (poll(&out, 1, PATIENCE_MS) > 0 && (len = read(ends[0], said, sizeof(said))) > 0) {
        printf("\n    number %u: %.*s", n, (int)len, said);
        CU_FAIL("it printed something");
    }
    if (waitpid(pid, &status, WNOHANG) == 0 && poll(&out, 1, 0) == 0)
        kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    close(ends[0]);
    return status;
}

static void each_fails_once(const char *url, Kind kind, const char *what) {
    unsigned n = 0;
    int status;

    do {
        status = run_process(url, kind, ++n);
        if (status != 0 && !(WIFEXITED(status) && WEXITSTATUS(status) == NO_FAILURE)) {
            printf("\n    the process in which %s number %u fails ended with status %#x", what, n,
                   (unsigned)status);
            CU_FAIL("the process did not end well");
        }
    } while (n < 5000 && !(WIFEXITED(status) && WEXITSTATUS(status) == NO_FAILURE));
    CU_ASSERT(n > 1 && n < 5000);
    printf("\n    %u %s%s failed, each once, over %.6s", n - 1, what, n == 2 ? "" : "s", url);
}

static Daemon broker;

static void each_allocation_fails_once(void) {
    each_fails_once(broker.url, ALLOCATION, "allocation");
}

static void each_allocation_fails_once_with_a_host_name(void) {
    char url[64];

    snprintf(url, sizeof(url), "tcp://localhost:%u", broker.port);
    each_fails_once(url, ALLOCATION, "allocation");
}

static void each_descriptor_fails_once(void) {
    char url[64];

    each_fails_once(broker.url, DESCRIPTOR, "descriptor");
    snprintf(url, sizeof(url), "tcp://localhost:%u", broker.port);
    each_fails_once(url, DESCRIPTOR, "descriptor");
}

int main(int argc, char **argv) {
    CU_TestInfo tests[] = {
        TEST(each_descriptor_fails_once),
        TEST(each_allocation_fails_once),
        TEST(each_allocation_fails_once_with_a_host_name),
        TESTS_END,
    };
    int status;

    roles_play(argc, argv, usual_roles);
    daemon_start(&broker, &(DaemonOptions){.tcp = true});
    status = run_suite("each failure once, in a whole process", tests);
    daemon_end(&broker);
    return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pool of processes: forks, watches and replaces them. See ferry/pool.h.
 *
 * Two pipes connect parent and children. To stop the children, the parent writes one byte to the
 * first pipe. The children poll the pipe and never read the byte, so all of them see it. If the
 * parent dies, the pipe closes, which also stops the children. A child whose set_up fails writes
 * the error to the second pipe.
 */

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/thread.h"
#include "clients/c/pools/pool.h"

enum { LOOK_MS = 100 }; /* polling interval without process descriptors */

typedef struct Child {
    pid_t pid; /* 0: no process */
    int fd;    /* process descriptor, readable when the process has ended; -1: the kernel has no
                  process descriptors */
    unsigned starts, failures;
    uint64_t started_ms, due_ms; /* due: time of the replacement */
    ferry_error error;           /* the failure of its set_up */
} Child;

/* A child's report of a failed set_up. It is smaller than PIPE_BUF, so that one write is atomic. */
typedef struct MemberError {
    unsigned member;
    int code;
    char type[128], message[512];
} MemberError;

/* The state of one run of a pool. */
typedef struct Run {
    ferry_pool *pool;
    ferry_member_fn set_up;
    void *ctx;
    int stop[2], errors[2]; /* the pipes */
    Child *children;
    struct pollfd *fds;
    uint64_t kill_ms; /* when the remaining children are killed; UINT64_MAX: not stopping */
    int result;
    ferry_error *error;
} Run;

/* ---- in the child ---- */

/* The lock keeps the client alive while the other thread stops it. */
typedef struct ParentWatch {
    pthread_mutex_t lock;
    ferry_client *client; /* NULL: the client has ended */
    int fd;
} ParentWatch;

static void *watch_parent(void *arg) {
    ParentWatch *watch = arg;
    struct pollfd fd = {watch->fd, POLLIN, 0};

    while (poll(&fd, 1, -1) < 1)
        ;
    pthread_mutex_lock(&watch->lock);
    if (watch->client)
        ferry_stop(watch->client);
    pthread_mutex_unlock(&watch->lock);
    return NULL;
}

static int serve(Run *run, unsigned member, ferry_error *reterr) {
    ferry_pool *pool = run->pool;
    /* static, because the watching thread may run a little longer than this function. */
    static ParentWatch watch = {.lock = PTHREAD_MUTEX_INITIALIZER};
    ferry_client *client = NULL;
    int r = ferry_open(pool->url, &pool->client, &client, reterr);

    if (r < 0)
        return r;
    __atomic_store_n(&pool->own, client, __ATOMIC_RELEASE);
    if (pool_stops(pool) > 0)
        ferry_stop(client);
    watch.client = client;
    watch.fd = run->stop[0];
    r = thread_start(NULL, watch_parent, &watch);
    if (r < 0)
        error_set_code(reterr, r, NULL);
    else
        r = run->set_up(client, member, run->ctx, reterr);
    if (r < 0 && !reterr->type)
        error_set_code(reterr, r, NULL);
    if (r == 0)
        ferry_run(client, NULL);
    __atomic_store_n(&pool->own, NULL, __ATOMIC_SEQ_CST);
    pool_outlive_stoppers(pool);
    pthread_mutex_lock(&watch.lock);
    watch.client = NULL;
    pthread_mutex_unlock(&watch.lock);
    ferry_close(client);
    return r;
}

static _Noreturn void be_child(Run *run, unsigned member) {
    ferry_error error = FERRY_ERROR_INIT;
    int r;

    __atomic_store_n(&run->pool->is_child, true, __ATOMIC_RELEASE);
    /* The threads that were counted exist only in the parent. */
    __atomic_store_n(&run->pool->stoppers, 0, __ATOMIC_RELEASE);
    close(run->stop[1]);
    close(run->errors[0]);
    for (unsigned i = 0; i < run->pool->n; i++)
        if (run->children[i].fd >= 0)
            close(run->children[i].fd);
    r = serve(run, member, &error);
    if (r < 0) {
        MemberError failure = {.member = member, .code = r};
        ssize_t n;

        snprintf(failure.type, sizeof(failure.type), "%s", error.type);
        snprintf(failure.message, sizeof(failure.message), "%s", error.message);
        n = write(run->errors[1], &failure, sizeof(failure));
        (void)n;
    }
    fflush(NULL);
    _exit(r < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}

/* ---- in the parent ---- */

static int start_child(Run *run, unsigned member) {
    Child *child = &run->children[member];
    pid_t pid;

    /* Otherwise both processes would write the output that is still in stdio's buffers. */
    fflush(NULL);
    pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0)
        be_child(run, member);
    child->pid = pid;
    child->fd = (int)syscall(SYS_pidfd_open, pid, 0);
    child->starts++;
    child->started_ms = clock_ms();
    return 0;
}

static void stop_all(Run *run) {
    ssize_t n;

    if (run->kill_ms != UINT64_MAX)
        return;
    n = write(run->stop[1], "", 1);
    (void)n;
    run->kill_ms = clock_ms() + run->pool->stop_ms;
}

static void read_errors(Run *run) {
    MemberError failure;

    while (read(run->errors[0], &failure, sizeof(failure)) == (ssize_t)sizeof(failure)) {
        ferry_error *error = &run->children[failure.member].error;

        error_set(error, failure.type, "%s", failure.message);
        error->code = failure.code;
    }
}

static void child_ended(Run *run, unsigned member, int status) {
    Child *child = &run->children[member];
    uint64_t now_ms = clock_ms();
    bool is_stopped;

    if (child->fd >= 0)
        close(child->fd);
    child->fd = -1;
    child->pid = 0;
    child->due_ms = now_ms + pool_pause_ms(&child->failures, now_ms - child->started_ms);
    read_errors(run);
    if (run->pool->on_exit)
        run->pool->on_exit(member, status, child->error.type ? &child->error : NULL,
                           run->pool->ctx);
    is_stopped = run->kill_ms != UINT64_MAX && pool_is_canceled(child->error.code);
    if (child->error.type && child->starts == 1 && run->result == 0 && !is_stopped) {
        run->result = child->error.code;
        error_move(run->error, &child->error);
        stop_all(run);
    }
    ferry_error_clear(&child->error);
}

/* Collects ended children. Returns the number of children that still run. */
static unsigned reap(Run *run) {
    unsigned n = 0;

    for (unsigned i = 0; i < run->pool->n; i++) {
        Child *child = &run->children[i];
        int status = 0;
        pid_t pid;

        if (child->pid == 0)
            continue;
        pid = waitpid(child->pid, &status, WNOHANG);
        /* -1 with ECHILD: the program ignores SIGCHLD, so the kernel has discarded the status. */
        if (pid == child->pid || (pid < 0 && errno == ECHILD))
            child_ended(run, i, status);
        else
            n++;
    }
    return n;
}

static void start_due(Run *run) {
    uint64_t now_ms = clock_ms();

    for (unsigned i = 0; i < run->pool->n && run->kill_ms == UINT64_MAX; i++) {
        Child *child = &run->children[i];
        int r;

        if (child->pid != 0 || child->due_ms > now_ms)
            continue;
        r = start_child(run, i);
        if (r == 0)
            continue;
        if (child->starts > 0) {
            child->due_ms = now_ms + pool_pause_ms(&child->failures, 0);
            continue;
        }
        run->result = error_set_code(run->error, r, "fork() failed");
        stop_all(run);
    }
}

static void kill_late(Run *run) {
    if (run->kill_ms == UINT64_MAX || (clock_ms() < run->kill_ms && pool_stops(run->pool) < 2))
        return;
    for (unsigned i = 0; i < run->pool->n; i++)
        if (run->children[i].pid > 0)
            kill(run->children[i].pid, SIGKILL);
    run->kill_ms = UINT64_MAX - 1;
}

static void wait_for_events(Run *run) {
    uint64_t until_ms = run->kill_ms, now_ms = clock_ms();
    nfds_t n = 0;

    run->fds[n++] = (struct pollfd){run->pool->event_fd, POLLIN, 0};
    for (unsigned i = 0; i < run->pool->n; i++) {
        const Child *child = &run->children[i];

        if (child->pid == 0 && run->kill_ms == UINT64_MAX && child->due_ms < until_ms)
            until_ms = child->due_ms;
        else if (child->pid != 0 && child->fd >= 0)
            run->fds[n++] = (struct pollfd){child->fd, POLLIN, 0};
        else if (child->pid != 0 && now_ms + LOOK_MS < until_ms)
            until_ms = now_ms + LOOK_MS;
    }
    if (until_ms > now_ms + 1000000)
        poll(run->fds, n, -1);
    else
        poll(run->fds, n, until_ms > now_ms ? (int)(until_ms - now_ms) : 0);
    pool_woken(run->pool);
}

static void watch_children(Run *run) {
    for (;;) {
        unsigned n_left = reap(run);

        if (pool_stops(run->pool) > 0)
            stop_all(run);
        if (run->kill_ms != UINT64_MAX && n_left == 0)
            return;
        start_due(run);
        kill_late(run);
        wait_for_events(run);
    }
}

static void close_pipe(const int *fds) {
    if (fds[0] >= 0)
        close(fds[0]);
    if (fds[1] >= 0)
        close(fds[1]);
}

int ferry_pool_run_processes(ferry_pool *pool, ferry_member_fn set_up, void *ctx,
                             ferry_error *reterr) {
    ferry_error error = FERRY_ERROR_INIT;
    Run run = {.pool = pool,
               .set_up = set_up,
               .ctx = ctx,
               .stop = {-1, -1},
               .errors = {-1, -1},
               .kill_ms = UINT64_MAX,
               .error = &error};
    int r = pool_begin(pool, set_up, reterr);

    if (r < 0)
        return r;
    run.children = calloc(pool->n, sizeof(*run.children));
    run.fds = calloc(pool->n + 1, sizeof(*run.fds));
    if (!run.children || !run.fds) {
        run.result = error_set_code(&error, -ENOMEM, NULL);
    } else if (pipe2(run.stop, O_CLOEXEC) < 0 || pipe2(run.errors, O_CLOEXEC | O_NONBLOCK) < 0) {
        run.result = error_set_code(&error, -errno, NULL);
    } else {
        for (unsigned i = 0; i < pool->n; i++)
            run.children[i].fd = -1;
        watch_children(&run);
    }
    close_pipe(run.stop);
    close_pipe(run.errors);
    free(run.children);
    free(run.fds);
    pool_end(pool);
    if (run.result < 0)
        error_move(reterr, &error);
    return run.result;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One service, four shapes of server.
 *
 *     zen-server [--model single|threads|processes|async] [N]   N threads or processes, default 8
 */

#include <ferry/pool.h>

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "answers.h"

enum { ASYNC_SLOTS = 1024 };

/* ---- single: one request after the other; threads and processes: N servers like it ---- */

static ferry_pool *pool;

static void stop(int signal) {
    (void)signal;
    ferry_pool_stop(pool);
}

static int offer(ferry_client *client, unsigned member, void *ctx, ferry_error *reterr) {
    (void)member, (void)ctx;
    return zen_offer(client, 1, NULL, reterr);
}

static int serve_pool(bool processes, unsigned n) {
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    struct sigaction action = {.sa_handler = stop};

    if (ferry_pool_open(&(ferry_pool_options){.n = n}, &pool, &error) == 0) {
        sigaction(SIGTERM, &action, NULL);
        sigaction(SIGINT, &action, NULL);
        if (processes)
            ferry_pool_run_processes(pool, offer, NULL, &error);
        else
            ferry_pool_run_threads(pool, offer, NULL, &error);
    }
    if (error.code != 0)
        ferry_error_print(&error, stderr);
    return error.code != 0;
}

/* ---- async: one thread; requests that have to wait are answered later ---- */

typedef struct Waiting {
    ferry_request *request;
    const char *answer;
    int64_t due_ms;
} Waiting;

static Waiting waiting[ASYNC_SLOTS];
static unsigned n_waiting;

static int64_t now_ms(void) {
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int answer_later(ferry_request *request, const char *answer, int32_t wait_ms) {
    if (n_waiting == ASYNC_SLOTS || !(request = ferry_request_defer(request)))
        return -ENOMEM;
    waiting[n_waiting++] = (Waiting){request, answer, now_ms() + wait_ms};
    return 0;
}

/* Answers the requests that are due. Returns milliseconds until the next one is, or -1. */
static int answer_due(bool all) {
    int64_t now = now_ms(), next = INT64_MAX;

    for (unsigned i = 0; i < n_waiting;) {
        if (all || waiting[i].due_ms <= now) {
            zen_answer_return(waiting[i].request, waiting[i].answer);
            waiting[i] = waiting[--n_waiting];
            continue;
        }
        next = waiting[i].due_ms < next ? waiting[i].due_ms : next;
        i++;
    }
    return next == INT64_MAX ? -1 : (int)(next - now);
}

static int serve_async(void) {
    FERRY_AUTO(ferry_close) ferry_client *client = NULL;
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    sigset_t end_signals;
    int signals;

    sigemptyset(&end_signals);
    sigaddset(&end_signals, SIGTERM);
    sigaddset(&end_signals, SIGINT);
    sigprocmask(SIG_BLOCK, &end_signals, NULL);
    signals = signalfd(-1, &end_signals, SFD_CLOEXEC);
    if (signals >= 0 &&
        ferry_open(NULL, &(ferry_options){.name = "zen-async"}, &client, &error) == 0 &&
        zen_offer(client, ASYNC_SLOTS, answer_later, &error) == 0) {
        struct pollfd fds[] = {{ferry_fd(client), POLLIN, 0}, {signals, POLLIN, 0}};

        while (!fds[1].revents && poll(fds, 2, answer_due(false)) >= 0 &&
               ferry_process(client, &error) == 0)
            ;
    }
    answer_due(true);
    if (error.code != 0)
        ferry_error_print(&error, stderr);
    close(signals);
    return error.code != 0;
}

int main(int argc, char **argv) {
    const char *model = argc > 2 && strcmp(argv[1], "--model") == 0 ? argv[2] : "single";
    unsigned n = argc > 3 ? (unsigned)atoi(argv[3]) : 8;

    if (strcmp(model, "single") == 0)
        return serve_pool(false, 1);
    if (strcmp(model, "threads") == 0)
        return serve_pool(false, n);
    if (strcmp(model, "processes") == 0)
        return serve_pool(true, n);
    if (strcmp(model, "async") == 0)
        return serve_async();
    fprintf(stderr, "usage: zen-server [--model single|threads|processes|async] [N]\n");
    return 2;
}

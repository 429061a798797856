/*
 * One service, four shapes of server.
 *
 *     zen-server [--model single|threads|processes|async] [N]   N threads or processes, default 8
 */

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "answers.h"

enum { MAX_SERVERS = 64, ASYNC_SLOTS = 1024 };

static sigset_t end_signals;

/* ---- single: one request after the other ---- */

static void *wait_for_signal(void *client) {
    int signal;

    sigwait(&end_signals, &signal);
    ferry_stop(client);
    return NULL;
}

static int serve_single(void) {
    FERRY_AUTO(ferry_close) ferry_client *client = NULL;
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    pthread_t signals;

    if (ferry_open(NULL, &(ferry_options){.name = "zen-single"}, &client, &error) < 0 ||
        zen_offer(client, 1, NULL, &error) < 0) {
        ferry_error_print(&error, stderr);
        return 1;
    }
    if (pthread_create(&signals, NULL, wait_for_signal, client) != 0)
        return 1;
    ferry_run(client, &error);
    pthread_kill(signals, SIGTERM); /* when it was not a signal that ended us */
    pthread_join(signals, NULL);
    return error.code != 0;
}

/* ---- threads: N of those in one process, a client each ---- */

static void *run_client(void *client) {
    ferry_run(client, NULL);
    return NULL;
}

static int serve_threads(unsigned n) {
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    ferry_client *clients[MAX_SERVERS] = {NULL};
    pthread_t threads[MAX_SERVERS];
    unsigned running = 0;
    int signal;

    while (running < n) {
        if (ferry_open(NULL, &(ferry_options){.name = "zen-thread"}, &clients[running], &error) <
                0 ||
            zen_offer(clients[running], 1, NULL, &error) < 0 ||
            pthread_create(&threads[running], NULL, run_client, clients[running]) != 0)
            break;
        running++;
    }
    if (running == n)
        sigwait(&end_signals, &signal);
    else
        ferry_error_print(&error, stderr);
    for (unsigned i = 0; i < running; i++) {
        ferry_stop(clients[i]);
        pthread_join(threads[i], NULL);
    }
    for (unsigned i = 0; i < n; i++)
        ferry_close(clients[i]);
    return running != n;
}

/* ---- processes: N single ones, which share nothing; one that dies is one of N ---- */

static int serve_processes(unsigned n) {
    pid_t children[MAX_SERVERS];
    int signal;

    /* Forked before there is a client: a connection does not survive a fork. */
    for (unsigned i = 0; i < n; i++)
        if ((children[i] = fork()) == 0)
            _exit(serve_single());
    sigwait(&end_signals, &signal);
    for (unsigned i = 0; i < n; i++)
        if (children[i] > 0)
            kill(children[i], SIGTERM);
    while (wait(NULL) > 0)
        ;
    return 0;
}

/* ---- async: one thread; who has to wait is answered later ---- */

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

/* Answers what is due; how long until the next is, or -1. */
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
    int signals = signalfd(-1, &end_signals, SFD_CLOEXEC);

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

    if (n < 1 || n > MAX_SERVERS)
        n = 8;
    sigemptyset(&end_signals);
    sigaddset(&end_signals, SIGTERM);
    sigaddset(&end_signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &end_signals, NULL); /* threads and children inherit it */
    if (strcmp(model, "single") == 0)
        return serve_single();
    if (strcmp(model, "threads") == 0)
        return serve_threads(n);
    if (strcmp(model, "processes") == 0)
        return serve_processes(n);
    if (strcmp(model, "async") == 0)
        return serve_async();
    fprintf(stderr, "usage: zen-server [--model single|threads|processes|async] [N]\n");
    return 2;
}

/* SPDX-License-Identifier: Apache-2.0 */

/* Roles of tests. See roles.h. */

#include "support/roles.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <ferry/ferry.h>

enum { HOLD_SLOTS = 1000 };

static ferry_client *open_client(const char *url) {
    ferry_error error = FERRY_ERROR_INIT;
    ferry_client *client = NULL;

    if (ferry_open(url, NULL, &client, &error) < 0) {
        ferry_error_print(&error, stderr);
        exit(EXIT_FAILURE);
    }
    return client;
}

static void need(int r, const ferry_error *error) {
    if (r < 0) {
        ferry_error_print(error, stderr);
        exit(EXIT_FAILURE);
    }
}

static int run(ferry_client *client) {
    tell("ready 0");
    return ferry_run(client, NULL) < 0;
}

/* ---- hold ---- */

static long n_calls, n_jobs, n_cancelled;

static void on_cancelled(ferry_request *request, void *ctx) {
    (void)ctx;
    if (ferry_request_cancelled(request))
        tell("cancelled %ld", ++n_cancelled);
}

static int hold_call(ferry_request *request, void *ctx) {
    (void)ctx;
    request = ferry_request_defer(request);
    ferry_request_watch(request, on_cancelled, NULL);
    tell("calls %ld", ++n_calls);
    return 0;
}

static int hold_job(ferry_job *job, void *ctx) {
    (void)ctx;
    ferry_job_defer(job);
    tell("jobs %ld", ++n_jobs);
    return 0;
}

static int play_hold(int argc, char **argv) {
    uint32_t slots = argc > 1 ? (uint32_t)atoi(argv[1]) : HOLD_SLOTS;
    ferry_client *client = open_client(argv[0]);
    ferry_error error = FERRY_ERROR_INIT;

    need(ferry_serve_method(client, "held.Calls.wait", &(ferry_serve_options){.slots = slots},
                            hold_call, NULL, NULL, &error),
         &error);
    need(ferry_work(client, "held", &(ferry_work_options){.slots = slots}, hold_job, NULL, NULL,
                    &error),
         &error);
    return run(client);
}

/* ---- echo, busy ---- */

static int echo(ferry_request *request, void *ctx) {
    (void)ctx;
    return ferry_request_return(request, request->body);
}

static int play_echo(int argc, char **argv) {
    ferry_client *client = open_client(argv[0]);
    ferry_error error = FERRY_ERROR_INIT;
    char method[300];

    snprintf(method, sizeof(method), "%s.say", argc > 1 ? argv[1] : "echo.Echo");
    need(ferry_serve_method(client, method, &(ferry_serve_options){.slots = 100}, echo, NULL, NULL,
                            &error),
         &error);
    return run(client);
}

static int busy_call(ferry_request *request, void *ctx) {
    sleep_ms(*(const uint64_t *)ctx);
    return ferry_request_return(request, request->body);
}

static int busy_job(ferry_job *job, void *ctx) {
    tell("attempt %u", job->attempt);
    sleep_ms(*(const uint64_t *)ctx);
    tell("done %u", job->attempt);
    return 0;
}

static int play_busy(int argc, char **argv) {
    uint64_t ms = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
    ferry_client *client = open_client(argv[0]);
    ferry_error error = FERRY_ERROR_INIT;

    need(ferry_serve_method(client, argv[1], NULL, busy_call, &ms, NULL, &error), &error);
    return run(client);
}

static int play_busy_work(int argc, char **argv) {
    uint64_t ms = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
    ferry_client *client = open_client(argv[0]);
    ferry_error error = FERRY_ERROR_INIT;

    need(ferry_work(client, argv[1], NULL, busy_job, &ms, NULL, &error), &error);
    return run(client);
}

/* ---- jobs and messages ---- */

static long number_in(ferry_bytes body) {
    char text[32] = "";

    memcpy(text, body.data, body.len < sizeof(text) - 1 ? body.len : sizeof(text) - 1);
    return strtol(text, NULL, 10);
}

static int work_job(ferry_job *job, void *ctx) {
    (void)ctx;
    tell("job %ld", number_in(job->body));
    return 0;
}

static int play_work(int argc, char **argv) {
    ferry_client *client = open_client(argv[0]);
    ferry_error error = FERRY_ERROR_INIT;

    (void)argc;
    need(ferry_work(client, argv[1], &(ferry_work_options){.slots = 50}, work_job, NULL, NULL,
                    &error),
         &error);
    return run(client);
}

static void show_message(const ferry_message *message, void *ctx) {
    (void)ctx;
    tell("message %ld missed %ld", number_in(message->body),
         message->missed == FERRY_MISSED_UNKNOWN ? -1 : (long)message->missed);
}

static int play_listen(int argc, char **argv) {
    ferry_client *client = open_client(argv[0]);
    ferry_error error = FERRY_ERROR_INIT;

    (void)argc;
    need(ferry_subscribe(client, argv[1], NULL, show_message, NULL, NULL, &error), &error);
    return run(client);
}

static void count_message(const ferry_message *message, void *ctx) {
    static long received, missed;

    (void)ctx;
    received++;
    if (message->missed != FERRY_MISSED_UNKNOWN)
        missed += (long)message->missed;
    if (message->body.len == 3 && memcmp(message->body.data, "end", 3) == 0) {
        tell("received %ld", received);
        tell("missed %ld", missed);
    }
    if (message->body.len == 5 && memcmp(message->body.data, "pause", 5) == 0) {
        sigset_t usr1;
        int signal;

        tell("paused 0");
        sigemptyset(&usr1);
        sigaddset(&usr1, SIGUSR1);
        sigwait(&usr1, &signal);
    }
}

static int play_count(int argc, char **argv) {
    ferry_error error = FERRY_ERROR_INIT;
    ferry_client *client;
    sigset_t usr1;

    (void)argc;
    /* Before the library starts a thread: the signal waits for sigwait(). */
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    sigprocmask(SIG_BLOCK, &usr1, NULL);
    client = open_client(argv[0]);
    need(ferry_subscribe(client, argv[1], NULL, count_message, NULL, NULL, &error), &error);
    return run(client);
}

const Role usual_roles[] = {
    {"hold", play_hold},           {"echo", play_echo}, {"busy", play_busy},
    {"busy-work", play_busy_work}, {"work", play_work}, {"listen", play_listen},
    {"count", play_count},         {NULL, NULL},
};

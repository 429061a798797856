/* SPDX-License-Identifier: Apache-2.0 */

/* All kinds of waits for a time. See timed.h. */

#include "support/timed.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <ferry/ferry.h>

#include "base/clock.h"
#include "support/faults.h"

typedef struct Kind {
    const char *what;
    int64_t due_ms; /* after the start */
    uint64_t ended_ms;
} Kind;

enum { DEADLINE, DELAY, EXPIRY, RETRY, LIMIT, WINDOW };

static Kind kinds[TIMED_KINDS] = {
    [DEADLINE] = {"the deadline of a call", 1500, 0}, [DELAY] = {"a delayed job", 1000, 0},
    [EXPIRY] = {"a job's time to live", 1200, 0},     [RETRY] = {"the retry of a job", 700, 0},
    [LIMIT] = {"the time limit of a job", 1000, 0},   [WINDOW] = {"the window of a gather", 800, 0},
};

static int n_ended = 1; /* the gather ends on another thread, and is waited for */

static void ended(int kind) {
    if (kinds[kind].ended_ms == 0) {
        kinds[kind].ended_ms = clock_ms();
        n_ended++;
    }
}

static void on_reply(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    (void)reply;
    (void)ctx;
    if (error && error->code == -ETIMEDOUT)
        ended(DEADLINE);
}

static int on_job(ferry_job *job, void *ctx) {
    (void)job;
    ended((int)((const Kind *)ctx - kinds));
    return 0;
}

static int fail_once(ferry_job *job, void *ctx) {
    (void)ctx;
    if (job->attempt == 1)
        return ferry_job_retry(job, (uint64_t)kinds[RETRY].due_ms, "once");
    ended(RETRY);
    return 0;
}

static int keep_the_first(ferry_job *job, void *ctx) {
    (void)ctx;
    if (job->attempt == 1)
        return ferry_job_defer(job) ? 0 : -ENOMEM;
    ended(LIMIT);
    return 0;
}

static void say_nothing(const ferry_message *message, void *ctx) {
    (void)message;
    (void)ctx;
}

static void on_event(int event, const ferry_error *error, void *ctx) {
    (void)error;
    *(long *)ctx += event == FERRY_EVENT_DOWN;
}

static int keep_call(ferry_request *request, void *ctx) {
    (void)ctx;
    return ferry_request_defer(request) ? 0 : -ENOMEM;
}

static void work(ferry_client *client, const char *queue, ferry_job_fn fn, void *ctx) {
    if (ferry_work(client, queue, &(ferry_work_options){.slots = 2}, fn, ctx, NULL, NULL) < 0)
        exit(EXIT_FAILURE);
}

static void push(ferry_client *client, const char *queue, uint64_t delay_ms, uint64_t ttl_ms) {
    if (ferry_push(client, queue, ferry_str("x"),
                   &(ferry_push_options){.delay_ms = delay_ms, .ttl_ms = ttl_ms}, NULL) < 0)
        exit(EXIT_FAILURE);
}

static void *gather(void *ctx) {
    ferry_client *asker = open_with(ctx, NULL);

    ferry_gather(asker, "timed.question", ferry_str("?"), (uint32_t)kinds[WINDOW].due_ms,
                 say_nothing, NULL, NULL);
    kinds[WINDOW].ended_ms = clock_ms();
    ferry_close(asker);
    return NULL;
}

int play_timed(int argc, char **argv) {
    uint64_t run_ms = argc > 1 ? strtoull(argv[1], NULL, 10) : TIMED_MS, start_ms;
    int64_t early_ms = 0, late_ms = 0;
    ferry_client *client, *hasty = NULL;
    pthread_t asker;
    long n_down = 0, n_reported = 0;
    ferry_options options = {.on_event = on_event, .ctx = &n_down};

    client = open_with(argv[0], &options);
    work(client, "timed.delayed", on_job, &kinds[DELAY]);
    work(client, "timed.expiring.dead", on_job, &kinds[EXPIRY]);
    work(client, "timed.failing", fail_once, NULL);
    work(client, "timed.limited", keep_the_first, NULL);
    ferry_serve_method(client, "timed.Calls.wait", NULL, keep_call, NULL, NULL, NULL);
    ferry_subscribe(client, "timed.question", NULL, say_nothing, NULL, NULL, NULL);
    ferry_with(client, &(ferry_options){.timeout_ms = (uint32_t)kinds[DEADLINE].due_ms}, &hasty,
               NULL);
    tell("ready 0");

    start_ms = clock_ms();
    pthread_create(&asker, NULL, gather, argv[0]);
    ferry_call_async(hasty, "timed.Calls.wait", ferry_str("\x90"), on_reply, NULL, NULL);
    push(client, "timed.delayed", (uint64_t)kinds[DELAY].due_ms, 0);
    push(client, "timed.expiring", 0, (uint64_t)kinds[EXPIRY].due_ms);
    push(client, "timed.failing", 0, 0);
    push(client, "timed.limited", 0, 0);
    turn_for(client, run_ms);
    pthread_join(asker, NULL);
    turn_until(client, &n_ended, TIMED_KINDS, PATIENCE_MS);

    for (int i = 0; i < TIMED_KINDS; i++) {
        int64_t late = (int64_t)(kinds[i].ended_ms - start_ms) - kinds[i].due_ms;

        if (kinds[i].ended_ms == 0) {
            fprintf(stderr, "%s has not ended\n", kinds[i].what);
            continue;
        }
        n_reported++;
        late_ms = late > late_ms ? late : late_ms;
        early_ms = -late > early_ms ? -late : early_ms;
    }
    tell("ended %ld", n_reported);
    tell("early %ld", (long)early_ms);
    tell("late %ld", (long)late_ms);
    tell("down %ld", n_down);
    for (;;)
        pause();
}

bool timed_report(Process *process, TimedReport *ret) {
    *ret = (TimedReport){.n_ended = 0};
    return told_count(process, "ended", 0, PATIENCE_MS, &ret->n_ended) &&
           told_count(process, "early", 0, PATIENCE_MS, &ret->early_ms) &&
           told_count(process, "late", 0, PATIENCE_MS, &ret->late_ms) &&
           told_count(process, "down", 0, PATIENCE_MS, &ret->n_down);
}

/* SPDX-License-Identifier: Apache-2.0 */

/* Client functions that several suites about faults use. See faults.h. */

#include "support/faults.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "rpc/wire/message.h"
#include "support/process.h"

ferry_client *open_with(const char *url, const ferry_options *options) {
    ferry_error error = FERRY_ERROR_INIT;
    ferry_client *client = NULL;

    if (ferry_open(url, options, &client, &error) < 0 || ferry_ping(client, NULL, &error) < 0) {
        ferry_error_print(&error, stderr);
        exit(EXIT_FAILURE);
    }
    return client;
}

bool turn_all_until(ferry_client *const *clients, size_t n_clients, const int *n, int wanted,
                    uint64_t within_ms) {
    uint64_t until_ms = clock_ms() + within_ms;

    for (;;) {
        for (size_t i = 0; i < n_clients; i++)
            if (clients[i])
                ferry_process(clients[i], NULL);
        if (__atomic_load_n(n, __ATOMIC_ACQUIRE) >= wanted)
            return true;
        if (clock_ms() > until_ms)
            return false;
        sleep_ms(1);
    }
}

void turn_all_for(ferry_client *const *clients, size_t n_clients, uint64_t ms) {
    int never = 0;

    turn_all_until(clients, n_clients, &never, 1, ms);
}

bool turn_until(ferry_client *client, const int *n, int wanted, uint64_t within_ms) {
    return turn_all_until(&client, 1, n, wanted, within_ms);
}

void turn_for(ferry_client *client, uint64_t ms) {
    turn_all_for(&client, 1, ms);
}

uint64_t broker_stat(ferry_client *client, const char *name) {
    ferry_reply *reply = NULL;
    uint64_t value = UINT64_MAX;
    uint32_t left;
    Reader pairs;
    Span key;

    if (ferry_call(client, "ferry.Broker.stats", ferry_str("\x90"), &reply, NULL) < 0)
        return value;
    pairs = pairs_of(span_of(reply->body.data, reply->body.len), &left);
    while (pairs_next(&pairs, &left, &key)) {
        if (span_is(key, name))
            value = reader_uint(&pairs);
        else
            reader_value(&pairs);
    }
    ferry_free(reply);
    return value;
}

bool call_echo(ferry_client *client) {
    ferry_reply *reply = NULL;
    ferry_error error = FERRY_ERROR_INIT;
    int r = ferry_call(client, "echo.Echo.say", ferry_str("\xc3"), &reply, &error);

    ferry_free(reply);
    ferry_error_clear(&error);
    return r == 0;
}

bool echo_answers_within(ferry_client *client, uint64_t ms) {
    uint64_t until_ms = clock_ms() + ms;

    while (!call_echo(client)) {
        if (clock_ms() > until_ms)
            return false;
        sleep_ms(5);
    }
    return true;
}

static int echo(ferry_request *request, void *ctx) {
    (void)ctx;
    return ferry_request_return(request, request->body);
}

void serve_echo(ferry_client *client) {
    if (ferry_serve_method(client, "echo.Echo.say", &(ferry_serve_options){.slots = 100}, echo,
                           NULL, NULL, NULL) < 0)
        exit(EXIT_FAILURE);
}

/* ---- the bystander ---- */

enum { CALLS_MAX = 200000, PAUSE_US = 2000 };

struct Bystander {
    pthread_t server, caller;
    const char *url;
    ferry_client *serving;
    int ready, stop; /* atomic */
    float *took_ms;
    Noticed noticed;
};

static void *serve(void *arg) {
    Bystander *me = arg;

    me->serving = open_with(me->url, &(ferry_options){.name = "bystander's server"});
    serve_echo(me->serving);
    __atomic_store_n(&me->ready, 1, __ATOMIC_RELEASE);
    ferry_run(me->serving, NULL);
    ferry_close(me->serving);
    return NULL;
}

static void *call(void *arg) {
    Bystander *me = arg;
    ferry_client *client = open_with(me->url, &(ferry_options){.name = "bystander"});

    while (!__atomic_load_n(&me->stop, __ATOMIC_ACQUIRE)) {
        uint64_t start_us = clock_us();
        double took_ms;

        me->noticed.n_failed += !call_echo(client);
        took_ms = (double)(clock_us() - start_us) / 1000;
        if (me->noticed.n_calls < CALLS_MAX)
            me->took_ms[me->noticed.n_calls] = (float)took_ms;
        __atomic_add_fetch(&me->noticed.n_calls, 1, __ATOMIC_RELEASE);
        if (took_ms > me->noticed.worst_ms)
            me->noticed.worst_ms = took_ms;
        nanosleep(&(struct timespec){0, PAUSE_US * 1000}, NULL);
    }
    ferry_close(client);
    return NULL;
}

Bystander *bystander_start(const char *url) {
    Bystander *me = calloc(1, sizeof(*me));

    if (!me || !(me->took_ms = calloc(CALLS_MAX, sizeof(*me->took_ms))))
        exit(EXIT_FAILURE);
    me->url = url;
    pthread_create(&me->server, NULL, serve, me);
    while (!__atomic_load_n(&me->ready, __ATOMIC_ACQUIRE))
        sleep_ms(1);
    pthread_create(&me->caller, NULL, call, me);
    while (__atomic_load_n(&me->noticed.n_calls, __ATOMIC_ACQUIRE) == 0)
        sleep_ms(1);
    return me;
}

void bystander_wait(const Bystander *me, long n) {
    n += __atomic_load_n(&me->noticed.n_calls, __ATOMIC_ACQUIRE);
    while (__atomic_load_n(&me->noticed.n_calls, __ATOMIC_ACQUIRE) < n)
        sleep_ms(1);
}

static int by_size(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

Noticed bystander_stop(Bystander *me) {
    Noticed noticed;
    size_t n;

    __atomic_store_n(&me->stop, 1, __ATOMIC_RELEASE);
    pthread_join(me->caller, NULL);
    ferry_stop(me->serving);
    pthread_join(me->server, NULL);
    noticed = me->noticed;
    n = noticed.n_calls < CALLS_MAX ? (size_t)noticed.n_calls : CALLS_MAX;
    if (n > 0) {
        qsort(me->took_ms, n, sizeof(*me->took_ms), by_size);
        noticed.median_ms = (double)me->took_ms[n / 2];
    }
    free(me->took_ms);
    free(me);
    return noticed;
}

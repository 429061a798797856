/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Functions for tests against a real broker: they start, kill, stop and continue it, and run
 * clients on threads of their own. If an expected event does not happen within ten seconds, the
 * test fails.
 */

#include <CUnit/Basic.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ferry/ferry.h>

#include "base/clock.h"

typedef struct TestBroker {
    pid_t pid;
    char folder[64], url[128];
} TestBroker;

/* Starts a broker with its own socket. FERRY_TEST_BROKER is the program. FERRY_TEST_TRANSPORT is
 * put in front of the clients' URL: "zmq+" for libzmq. */
void broker_spawn(TestBroker *broker);

/* Starts the broker again on the same endpoint, after broker_kill(). */
void broker_respawn(TestBroker *broker);
void broker_kill(TestBroker *broker);  /* like kill -9 */
void broker_drain(TestBroker *broker); /* like SIGTERM, sent twice */
void broker_terminate(TestBroker *broker);

/* Adds a broker to the list in all->url. */
void broker_list(TestBroker *all, const char *url);

/* Returns a connected client of this broker. */
ferry_client *connect_client(const TestBroker *broker);

/* Runs turns of a client until *n >= wanted, at most 10 s. True: *n reached it. */
bool process_until(ferry_client *client, const int *n, int wanted);

/* process_until() with turns of two clients. */
bool process_both_until(ferry_client *one, ferry_client *two, const int *n, int wanted);

/* A client that runs on a thread of its own: the thread calls set_up, then ferry_run(). */
typedef struct Runner {
    pthread_t thread;
    const TestBroker *broker;
    int (*set_up)(ferry_client *client, void *ctx);
    void *ctx;
    ferry_client *client;
    int ready; /* atomic: 1 set up, -1 failed */
} Runner;

void runner_start(Runner *runner, const TestBroker *broker,
                  int (*set_up)(ferry_client *client, void *ctx), void *ctx);
void runner_stop(Runner *runner); /* calls ferry_stop(), and waits for the end of the thread */

/* With FERRY_TEST_DIRECT in the environment, clients ask for direct calls and services take them,
 * so that the same tests see the same calls without a broker between. */
const ferry_options *test_options(const ferry_options *options);
const ferry_serve_options *test_serve_options(const ferry_serve_options *options);

#define ferry_open(url, options, ...) ferry_open(url, test_options(options), __VA_ARGS__)
#define ferry_serve(client, service, handlers, options, ...)                                       \
    ferry_serve(client, service, handlers, test_serve_options(options), __VA_ARGS__)
#define ferry_serve_method(client, method, options, ...)                                           \
    ferry_serve_method(client, method, test_serve_options(options), __VA_ARGS__)

/* The value of a MessagePack integer in a reply. INT64_MIN: it is not an integer. */
int64_t reply_int(const ferry_reply *reply);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Client functions that several suites about faults use. */

#include <stdbool.h>
#include <stdint.h>

#include <ferry/ferry.h>

enum { PATIENCE_MS = 120000 }; /* also on a busy machine, only a hang takes longer */

/* A connected client; if it cannot connect, the test ends. */
ferry_client *open_with(const char *url, const ferry_options *options);

/* Runs turns of the client until *n >= wanted. False: *n did not reach wanted in time. */
bool turn_until(ferry_client *client, const int *n, int wanted, uint64_t within_ms);
void turn_for(ferry_client *client, uint64_t ms);

/* Like turn_until(), with turns of several clients, which may be NULL. */
bool turn_all_until(ferry_client *const *clients, size_t n_clients, const int *n, int wanted,
                    uint64_t within_ms);
void turn_all_for(ferry_client *const *clients, size_t n_clients, uint64_t ms);

/* A number of ferry.Broker.stats; UINT64_MAX: there is no number with this name. */
uint64_t broker_stat(ferry_client *client, const char *name);

/* Serves echo.Echo.say. */
void serve_echo(ferry_client *client);

/* Calls echo.Echo.say once. */
bool call_echo(ferry_client *client);

/* Repeats call_echo() until a call is answered. */
bool echo_answers_within(ferry_client *client, uint64_t ms);

/* A well-behaved client: calls echo.Echo.say all the time on a thread of its own, and is its own
 * server on another thread. Faults of other clients must not affect it. */
typedef struct Bystander Bystander;

typedef struct Noticed {
    long n_calls, n_failed;
    double worst_ms, median_ms;
} Noticed;

Bystander *bystander_start(const char *url);
void bystander_wait(const Bystander *bystander, long n); /* until it has made n more calls */
Noticed bystander_stop(Bystander *bystander);

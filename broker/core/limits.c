/* SPDX-License-Identifier: Apache-2.0 */
/* The defaults of all limits, and lower limits for machines with little memory. See limits.h. */

#include "broker/core/limits.h"

#include "rpc/wire/limits.h"

const Limits limits_default = {
    .max_body = WIRE_BODY_MAX,
    .max_connections = 0,
    .max_connections_per_address = 0,
    .max_handshakes_per_address = 200,
    .max_unfinished_per_address = 256,
    .max_names = 100000,
    .max_subscriptions = 10000,
    .max_serves = 1000,
    .max_pulls = 1000,
    .max_calls = 65536,
    .max_waiting_calls = 10000,
    .max_slots = 65536,
    .max_subscriber_bytes = 4 << 20,
    .max_session_bytes = 160 << 20,
    .max_total_bytes = 1 << 30,
    .max_queue_memory = 256 << 20,
    .max_transfer_bytes = 512 << 20,
    .max_replay = 1000,
    .max_queue_jobs = 1000000,
    .max_queue_bytes = 256 << 20,
    .max_attempts = 20,
    .retry_ms = 1000,
    .retry_max_ms = 60000,
    .dedup_ms = 120000,
    .lease_grace_ms = 500,
    .client_memory_ms = 60000,
    .max_unconfirmed = 65536,
    .max_idempotent_moves = 1,
};

static void at_most(uint64_t *limit, uint64_t bytes) {
    if (*limit > bytes)
        *limit = bytes;
}

void limits_fit(Limits *limits, uint64_t memory) {
    uint64_t max;

    if (limits->max_memory == 0 && memory < UINT64_MAX)
        limits->max_memory = memory / 2;
    max = limits->max_memory ? limits->max_memory : UINT64_MAX;
    at_most(&limits->max_total_bytes, max / 2);
    at_most(&limits->max_queue_bytes, max / 2);
    at_most(&limits->max_transfer_bytes, max / 2);
    at_most(&limits->max_queue_memory, max / 4);
    at_most(&limits->max_session_bytes, max / 4);
}

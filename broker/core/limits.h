/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The limits of everything that a peer can grow. Each limit has a name, a default, a line in
 * docs/PROTOCOL.md (section 13) and a test. */

#include <stdint.h>

typedef struct Limits {
    uint64_t max_memory; /* bytes of all kinds that peers can make the broker hold; 0: no limit */
    uint32_t max_body;   /* bytes of one body */
    uint32_t max_connections;             /* 0: the limit of descriptors decides */
    uint32_t max_connections_per_address; /* 0: no limit */
    uint32_t max_handshakes_per_address;  /* handshakes that begin in a second, if the broker has
                                           * keys; 0: no limit */
    uint32_t max_unfinished_per_address;  /* unfinished handshakes, if the broker has keys; 0: no
                                           * limit */
    uint32_t max_names;                   /* number of services, of retained topics, and of
                                           * queues */
    uint32_t max_subscriptions;           /* subscriptions of one session */
    uint32_t max_serves;                  /* services offered by one session */
    uint32_t max_pulls;                   /* pulls of one session */
    uint32_t max_calls;                   /* unanswered calls of one session */
    uint32_t max_waiting_calls;           /* calls that wait for one service */
    uint32_t max_slots;                   /* slots of one SERVE or PULL */
    uint64_t max_subscriber_bytes; /* bytes that wait for one subscription before messages are
                                    * dropped */
    uint64_t max_session_bytes;    /* bytes that wait for one session before it ends as too slow */
    uint64_t max_total_bytes;      /* bytes of queues, retained values and backlogs together */
    uint64_t max_queue_memory;     /* bytes of waiting jobs on disk that are kept in memory */
    uint64_t max_transfer_bytes;   /* bytes of large bodies that are arriving, over all sessions */
    uint32_t max_replay;           /* messages kept for replay of each topic */
    uint32_t max_queue_jobs;       /* jobs of a queue, unless it has a setting */
    uint64_t max_queue_bytes;      /* bytes of a queue, unless it has a setting */
    uint32_t max_attempts;         /* attempts before a job becomes a dead letter, unless its queue
                                    * has a setting */
    uint32_t retry_ms; /* first back-off, doubled up to retry_max_ms, unless the queue has a
                        * setting */
    uint32_t retry_max_ms;
    uint32_t dedup_ms;             /* life of a deduplication key, unless the queue has a setting */
    uint32_t lease_grace_ms;       /* time that the leases of a lost session wait for its client */
    uint32_t client_memory_ms;     /* time that a lost client is remembered */
    uint32_t max_unconfirmed;      /* push ids remembered for each client */
    uint32_t max_idempotent_moves; /* moves of one idempotent call after a lost server; always 1 */
} Limits;

extern const Limits limits_default;

/* Fits the limits to a process that may use `memory` bytes: max_memory, unless it is set, becomes
 * half of them, and other sizes become at most a half or a quarter of max_memory. */
void limits_fit(Limits *limits, uint64_t memory);

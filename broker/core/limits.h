/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The limits of everything that a peer can grow. Each has a name, a default, a line in
 * docs/PROTOCOL.md (section 13) and a test. */

#include <stdint.h>

typedef struct Limits {
    uint64_t max_memory; /* bytes that peers can make the broker hold, of all kinds; 0: no limit */
    uint32_t max_body;   /* bytes of one body */
    uint32_t max_connections;             /* 0: the descriptor limit decides */
    uint32_t max_connections_per_address; /* 0: no limit */
    uint32_t max_handshakes_per_address;  /* begun in a second, where there are keys; 0: no limit */
    uint32_t max_unfinished_per_address;  /* handshakes, where there are keys; 0: no limit */
    uint32_t max_names;                   /* services; retained topics; queues: this many of each */
    uint32_t max_subscriptions;           /* of one session */
    uint32_t max_serves;                  /* services offered by one session */
    uint32_t max_pulls;                   /* of one session */
    uint32_t max_calls;                   /* unanswered calls of one session */
    uint32_t max_waiting_calls;           /* calls that wait for one service */
    uint32_t max_slots;                   /* of one SERVE or PULL */
    uint64_t max_subscriber_bytes; /* backlog of one subscriber before messages are dropped */
    uint64_t max_session_bytes;    /* waiting for one session before it is cut as slow */
    uint64_t max_total_bytes;      /* in queues, retained values and backlogs together */
    uint64_t max_queue_memory;     /* of waiting jobs on disk, before they are paged out */
    uint64_t max_transfer_bytes;   /* of large bodies in arrival, over all sessions */
    uint32_t max_replay;           /* messages kept for replay of each topic */
    uint32_t max_queue_jobs;       /* the default of a queue */
    uint64_t max_queue_bytes;      /* the default of a queue */
    uint32_t max_attempts;         /* the default of a queue: then dead letter */
    uint32_t retry_ms; /* the default of a queue: first back-off, doubled up to retry_max_ms */
    uint32_t retry_max_ms;
    uint32_t dedup_ms;             /* the default of a queue: life of a deduplication key */
    uint32_t lease_grace_ms;       /* the leases of a lost session wait this long for its client */
    uint32_t client_memory_ms;     /* a lost client is remembered this long */
    uint32_t max_unconfirmed;      /* push ids remembered for each client */
    uint32_t max_idempotent_moves; /* moves of one idempotent call after a lost server: 1 */
} Limits;

extern const Limits limits_default;

/* Fits the limits of bytes to a process that may use so many bytes of memory: max_memory, unless it
 * is set, is half of that, and the other defaults are parts of max_memory. */
void limits_fit(Limits *limits, uint64_t memory);

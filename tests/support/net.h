/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Two machines and the line between them: two network namespaces of this process, each with a TUN
 * device, and a thread that carries packets between them, delayed or dropped. Packets are lost
 * below TCP, so neither end notices. The namespaces and devices have no name outside this process,
 * so they end with it, even after a crash.
 */

#include <stdbool.h>
#include <stdint.h>

typedef enum Side { NEAR, FAR } Side;

#define NET_NEAR "10.77.0.1"
#define NET_FAR  "10.77.0.2"

typedef struct Net Net;

/* How packets are delayed and dropped. Pairs: packets that NEAR sends, packets that FAR sends. */
typedef struct Weather {
    unsigned loss[2];             /* dropped packets per thousand; 1000: the line is cut */
    unsigned delay_ms, jitter_ms; /* each way; packets keep their order */
    unsigned kbit;                /* each way, in a second; 0: no limit */
} Weather;

/* Call it first in main(), while there is one thread. After that the thread is in NEAR. If
 * namespaces or TUN devices are not available, prints the reason and ends the test as skipped. */
Net *net_start(uint64_t seed);
Net *net_stop(Net *net);

/* Moves this thread, and the threads and processes that it starts later, to that side. */
void net_enter(Net *net, Side side);

void net_weather(Net *net, const Weather *weather);
void net_cut(Net *net); /* in both directions; neither end is notified */

/* Packets that this side has sent, and how many of them were lost. */
uint64_t net_n_sent(const Net *net, Side side);
uint64_t net_n_lost(const Net *net, Side side);

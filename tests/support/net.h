/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Two machines and the line between them: two network namespaces of this process, each with a TUN
 * device, and a thread that carries packets from one to the other, late, or not at all. What is
 * lost here is lost below TCP, without a word to either end. Nothing has a name outside this
 * process, so nothing is left behind, however it ends.
 */

#include <stdbool.h>
#include <stdint.h>

typedef enum Side { NEAR, FAR } Side;

#define NET_NEAR "10.77.0.1"
#define NET_FAR  "10.77.0.2"

typedef struct Net Net;

/* What becomes of packets. The pairs are for those that NEAR sends, and those that FAR sends. */
typedef struct Weather {
    unsigned loss[2];             /* so many of a thousand; 1000: the line is cut */
    unsigned delay_ms, jitter_ms; /* each way; packets keep their order */
    unsigned kbit;                /* each way, in a second; 0: no limit */
} Weather;

/* First in main(), while there is one thread: from then on it is in NEAR. Where namespaces or TUN
 * devices are not to be had, says why and ends the test as skipped. */
Net *net_start(uint64_t seed);
Net *net_stop(Net *net);

/* This thread, and the threads and processes that it starts, are on that side from now on. */
void net_enter(Net *net, Side side);

void net_weather(Net *net, const Weather *weather);
void net_cut(Net *net); /* both ways, without a word */

/* Packets that this side has sent, and those of them that were lost. */
uint64_t net_n_sent(const Net *net, Side side);
uint64_t net_n_lost(const Net *net, Side side);

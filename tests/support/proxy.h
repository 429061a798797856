/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A bad line: a TCP proxy on a thread of its own, between clients and a broker on loopback. A fault
 * affects all current connections, or the next ones.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Proxy Proxy;

/* Starts a proxy that listens on a free port and connects to to_port. */
Proxy *proxy_start(uint16_t to_port);
Proxy *proxy_stop(Proxy *proxy);
const char *proxy_url(const Proxy *proxy);

void proxy_cut(Proxy *proxy);        /* sends RST, even inside a frame, and ends corruption */
void proxy_half_close(Proxy *proxy); /* sends FIN to the broker in place of the clients */
void proxy_stall(Proxy *proxy, uint64_t ms); /* for this time, no byte passes in either direction */
void proxy_drip(Proxy *proxy, uint64_t ms);  /* for this time: a few bytes at a time */
void proxy_corrupt(Proxy *proxy, unsigned bit, bool to_broker); /* flips a bit in the next bytes */
void proxy_refuse(Proxy *proxy, bool yes); /* new connections are closed at once */

/* proxy_record() records the bytes that go to the broker from now on, at most max. proxy_recorded()
 * returns their number so far. */
void proxy_record(Proxy *proxy, uint8_t *to, size_t max);
size_t proxy_recorded(Proxy *proxy);

uint64_t proxy_n_bytes(const Proxy *proxy);
uint64_t proxy_n_connections(const Proxy *proxy); /* number so far */

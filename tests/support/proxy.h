/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A bad line: a TCP proxy on a thread of its own, between clients and a broker on loopback. What is
 * asked for happens to all connections of the moment, or to those that come.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Proxy Proxy;

/* Listens on a port of its own and connects to that one. */
Proxy *proxy_start(uint16_t to_port);
Proxy *proxy_stop(Proxy *proxy);
const char *proxy_url(const Proxy *proxy);

void proxy_cut(Proxy *proxy);        /* RST, in the middle of whatever it is; lies no more */
void proxy_half_close(Proxy *proxy); /* the clients' end of the line to the broker says FIN */
void proxy_stall(Proxy *proxy, uint64_t ms); /* nothing passes for so long, in either direction */
void proxy_drip(Proxy *proxy, uint64_t ms);  /* for so long: a few bytes at a time */
void proxy_corrupt(Proxy *proxy, unsigned bit, bool to_broker); /* flips a bit in what comes next */
void proxy_refuse(Proxy *proxy, bool yes); /* new connections are cut at once */

/* Writes down what goes to the broker from now on, at most so much; returns how much it is so far.
 */
void proxy_record(Proxy *proxy, uint8_t *to, size_t max);
size_t proxy_recorded(Proxy *proxy);

uint64_t proxy_n_bytes(const Proxy *proxy);
uint64_t proxy_n_connections(const Proxy *proxy); /* so far */

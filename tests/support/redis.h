/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A redis-server of a test's own: on a Unix socket in a folder of its own under /tmp, and on a port
 * of the loopback interface. It ends with redis_stop(), and with the test.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct RedisServer {
    pid_t pid; /* 0: not running */
    uint16_t port;
    bool cluster, tls, sentinel;
    char folder[64];
    char socket[96];
} RedisServer;

enum { EXIT_SKIPPED = 77 };

/* Is there a redis-server to start? A test without one ends with EXIT_SKIPPED. */
bool redis_available(void);

/* Starts one with these further words on its command line, NULL at the end, or none: NULL. Returns
 * when it answers; ends the test when it does not. */
void redis_start(RedisServer *server, const char *const *words);

/* Starts one whose port speaks TLS, with the certificates of redis_certificates(). clients: it
 * wants a certificate of its clients. */
void redis_start_tls(RedisServer *server, bool clients);

/* The folder with ca.crt, an authority of the test's own; server.crt and server.key, for 127.0.0.1
 * and localhost; other.crt, an authority that signed neither. Made at the first call, removed at
 * the end of the test; NULL: there is no openssl command. */
const char *redis_certificates(void);

/* Starts a Sentinel that watches a master under the name "mymaster". */
void redis_start_sentinel(RedisServer *sentinel, const RedisServer *master);

/* Starts a cluster of n servers; each owns an equal share of the slots. */
void redis_start_cluster(RedisServer *servers, size_t n);

/* The same port and socket again after redis_stop(), empty. */
void redis_restart(RedisServer *server);

void redis_freeze(RedisServer *server); /* SIGSTOP */
void redis_unfreeze(RedisServer *server);
void redis_stop(RedisServer *server); /* SIGKILL */

/* One command of words, without binary; returns the first line of the reply, in static memory.
 * Waits 5 s at most. */
const char *redis_ask(const RedisServer *server, const char *words);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A redis-server for a test, on a Unix socket in its own folder under /tmp, and on a port of the
 * loopback interface. It ends with redis_stop(), and with the test.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct RedisServer {
    pid_t pid; /* 0: not running */
    uint16_t port;
    bool cluster, tls, sentinel;
    const char *const *words; /* further words on its command line; they outlive the server */
    char folder[64];
    char socket[96];
} RedisServer;

enum { EXIT_SKIPPED = 77 };

/* True: redis-server is installed. Otherwise a test should end with EXIT_SKIPPED. */
bool redis_available(void);

/* Starts a server with these further words on its command line, with NULL at the end (words may be
 * NULL), and waits until it answers. If it does not start, ends the test. */
void redis_start(RedisServer *server, const char *const *words);

/* Starts a server whose port speaks TLS, with the certificates of redis_certificates(). If clients
 * is true, it requires a certificate of its clients. */
void redis_start_tls(RedisServer *server, bool clients);

/* The folder with ca.crt, an authority of the test; server.crt and server.key, for 127.0.0.1 and
 * localhost; and other.crt, an authority that signed no certificate. The first call creates it, and
 * it is removed at the end of the test. NULL: openssl is not installed. */
const char *redis_certificates(void);

/* Starts a Sentinel that watches a master under the name "mymaster". */
void redis_start_sentinel(RedisServer *sentinel, const RedisServer *master);

/* Starts a cluster of n servers; each owns an equal share of the slots. */
void redis_start_cluster(RedisServer *servers, size_t n);

/* Starts a cluster of n masters and, behind them in `servers`, n replicas in the same order, with
 * these further words, with NULL at the end. */
void redis_start_replicated_cluster(RedisServer *servers, size_t n, const char *const *words);

/* Starts the server again on the same port and socket. It is empty, unless its words say
 * "--appendonly yes". */
void redis_restart(RedisServer *server);

void redis_freeze(RedisServer *server); /* SIGSTOP */
void redis_unfreeze(RedisServer *server);
void redis_kill(RedisServer *server); /* SIGKILL; its folder stays */
void redis_stop(RedisServer *server); /* SIGKILL, and removes its folder */

/* Sends one command that consists of words. Returns the first line of the reply, in static memory.
 * Waits at most 5 s. */
const char *redis_ask(const RedisServer *server, const char *words);

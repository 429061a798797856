/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Connects to a host by name, for the examples that use the network. Tries each address in turn,
 * within a time limit. */

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

enum { DIAL_ATTEMPTS_MAX = 16 };

typedef struct DialAttempt {
    char address[INET6_ADDRSTRLEN];
    int error; /* errno; 0: connected */
} DialAttempt;

typedef struct Dial {
    int fd;        /* connected, blocking; -1: not connected. The caller closes it. */
    int gai;       /* EAI_…: the name was not resolved; 0: no error */
    int gai_errno; /* of EAI_SYSTEM */
    int port;
    int family; /* of the last attempt */
    int n_attempts;
    DialAttempt attempts[DIAL_ATTEMPTS_MAX];
    char canonname[256];
} Dial;

/*
 * True if the environment variable `setting` lists the host: "localhost, 127.0.0.1:8000,
 * [::1]:443". An entry without a port covers all of the host's ports. Without the variable no host
 * is allowed. Names are compared as text, before any look-up.
 */
bool dial_allowed(const char *setting, const char *host, const char *port);

/* Resolves and connects: AF_UNSPEC or a family, all addresses within timeout_ms together. True:
 * dial->fd is connected, and each recv and send of it ends after timeout_ms. */
bool dial_host(Dial *dial, int family, const char *host, const char *service, uint32_t timeout_ms);

/* Sends all bytes. 0, or a negative errno. */
int send_all(int fd, const void *data, size_t len);

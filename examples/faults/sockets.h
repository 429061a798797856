/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Sockets that fail, each in its own way. */

#include <netdb.h>
#include <stddef.h>

typedef enum FaultKind {
    FAULT_NONE,
    FAULT_OS,
    FAULT_GAI,
    FAULT_TIMEOUT,
    FAULT_FORBIDDEN
} FaultKind;

typedef struct Fault {
    FaultKind kind;
    int code;         /* errno, or EAI_… */
    const char *call; /* the call that failed */
    int waited_ms;    /* FAULT_TIMEOUT */
} Fault;

/* Holds a port that is closed and one that is silent. 0, or a negative errno. */
int fault_hold_ports(int *ret_closed, int *ret_silent);

/* Looks a name up, only on this machine. Free *ret with freeaddrinfo(). */
Fault fault_resolve(const char *host, const char *port, struct addrinfo **ret);

/* Connects to the ports that are held and to $FAULTS_PORT of this machine; other destinations are
 * refused. *ret_fd: the socket, if it is not NULL. */
Fault fault_connect(const char *host, int port, int *ret_fd);

Fault fault_bind_taken(void);
Fault fault_send_to_closed(void);
Fault fault_receive_from_silent(int timeout_ms);

/* GET /; the first line of the answer. */
Fault fault_http_get(const char *host, int port, char line[256]);

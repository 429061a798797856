/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The address at which a broker listens and its clients connect: "tcp://HOST:PORT" or "ipc://PATH".
 * Text is checked here before a socket is made: libzmq, for example, takes port 99999 for 34463.
 */

#include <stdbool.h>

typedef enum EndpointUse { ENDPOINT_CONNECT, ENDPOINT_BIND } EndpointUse;

/* NULL: text is a valid endpoint; else the problem, for a person. For listening, port 0 or '*'
 * means any free port, host '*' means any address, and a host is numeric, an interface or
 * localhost. */
const char *endpoint_problem(const char *text, EndpointUse use);

/* The endpoint in a URL: "zmq+tcp://HOST:PORT" chooses libzmq as a client's transport. A broker
 * takes the URL of its clients, and listens on the endpoint. */
const char *endpoint_after_transport(const char *text);

/* True: other machines cannot reach it. */
bool endpoint_is_local(const char *text);

/* The path of ipc://PATH in the file system; NULL: the endpoint has no path. */
const char *endpoint_path(const char *text);

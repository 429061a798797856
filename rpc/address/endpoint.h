/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The address at which a broker listens and its clients connect: "tcp://HOST:PORT" or "ipc://PATH".
 * The text is checked before a socket is made, because libzmq, for example, turns port 99999 into
 * 34463.
 */

#include <stdbool.h>

enum { ENDPOINT_HOST_SIZE = 256 };

typedef enum EndpointUse { ENDPOINT_CONNECT, ENDPOINT_BIND } EndpointUse;

/* Returns NULL if text is a valid endpoint, or else a description of the problem. For
 * ENDPOINT_BIND, port 0 or '*' means any free port, host '*' means any address, and other hosts are
 * a numeric address, the name of an interface, or localhost. */
const char *endpoint_problem(const char *text, EndpointUse use);

/* The endpoint in a URL. "zmq+" in front of it ("zmq+tcp://HOST:PORT") makes a client use libzmq as
 * its transport. A broker accepts the same URLs as its clients, and ignores "zmq+". */
const char *endpoint_after_transport(const char *text);

/* Splits tcp://HOST:PORT. Returns PORT, and copies HOST as it is written; NULL: text is another
 * endpoint. */
const char *endpoint_port(const char *text, char ret_host[ENDPOINT_HOST_SIZE]);

/* True: other machines cannot reach the endpoint. */
bool endpoint_is_local(const char *text);

/* The path of ipc://PATH in the file system; NULL: the endpoint has no path. */
const char *endpoint_path(const char *text);

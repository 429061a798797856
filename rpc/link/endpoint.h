/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Where a broker listens and its clients find it: "tcp://HOST:PORT" or "ipc://PATH". Text is
 * checked here before a socket is made: libzmq, for one, takes port 99999 for 34463.
 */

#include <stdbool.h>

typedef enum EndpointUse { ENDPOINT_CONNECT, ENDPOINT_BIND } EndpointUse;

/* NULL: text is an endpoint; to listen at, port 0 or '*' is any free one, host '*' any address,
 * and a host is numeric, an interface or localhost. Else what is wrong with it, for a person. */
const char *endpoint_problem(const char *text, EndpointUse use);

/* Nobody outside this machine reaches it. */
bool endpoint_is_local(const char *text);

/* The path of ipc://PATH, when it is one in the file system; NULL: it is none. */
const char *endpoint_path(const char *text);

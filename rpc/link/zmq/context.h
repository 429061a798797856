/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The process's one ZeroMQ context, counted: made with the first socket, ended after the last. It
 * runs two threads of libzmq's own.
 */

#include <inttypes.h>

#include <ferry/base.h>

/* NULL: errno says why. */
void *context_ref(void);
void context_unref(void);

/* One option of type int; 0 or a negative errno. */
int socket_set(void *socket, int option, int value);

/* Watches a socket's connections. Returns a PAIR to read events from, or NULL. */
void *socket_monitor(void *context, void *socket, int events);

/* Ends it. monitor may be NULL. */
void monitor_close(void *socket, void *monitor);

/* Reads the next event. 1: an event; 0: no event now. ret_value is a descriptor or an errno, by
 * event. */
int monitor_next(void *monitor, uint16_t *ret_event, uint32_t *ret_value);

int socket_fd(void *socket);
unsigned socket_events(void *socket); /* ZMQ_POLLIN, ZMQ_POLLOUT; also does pending housekeeping */

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The process's only ZeroMQ context, with a count of its users: the first user creates it, and the
 * last one ends it. libzmq runs two threads in it.
 */

#include <inttypes.h>

#include <ferry/base.h>

/* NULL: errno has the reason. */
void *context_ref(void);
void context_unref(void);

/* Sets an option of type int. Returns 0 or a negative errno. */
int socket_set(void *socket, int option, int value);

/* Watches a socket's connections. Returns a PAIR to read events from, or NULL. */
void *socket_monitor(void *context, void *socket, int events);

/* Ends the monitor, which may be NULL. */
void monitor_close(void *socket, void *monitor);

/* Reads the next event. 1: an event; 0: no event now. ret_value is a descriptor or an errno,
 * depending on the event. */
int monitor_next(void *monitor, uint16_t *ret_event, uint32_t *ret_value);

int socket_fd(void *socket);
/* ZMQ_POLLIN, ZMQ_POLLOUT. Also makes libzmq do pending work. */
unsigned socket_events(void *socket);

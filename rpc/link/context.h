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

/* The next event. 1, or 0: none now. ret_value is a descriptor or an errno, by event. */
int monitor_next(void *monitor, uint16_t *ret_event, uint32_t *ret_value);

int socket_fd(void *socket);
unsigned socket_events(void *socket); /* ZMQ_POLLIN, ZMQ_POLLOUT; also does pending housekeeping */

/*
 * Looks at ready() for a while before the caller sleeps: a hand-over between threads that are awake
 * costs a tenth of one that has to wake a processor. It learns: looking pays when waits are usually
 * shorter than limit_us, as between the calls of a busy client; an idle program sleeps at once.
 */
typedef struct Spin {
    unsigned limit_us; /* 0: never */
    unsigned usual_us;
    uint64_t began_ns; /* of the wait under way; 0: none */
} Spin;

/* True: ready. False: the caller sleeps now, and says when it woke. */
bool spin_until(Spin *spin, bool (*ready)(void *ctx), void *ctx);
void spin_woke(Spin *spin);

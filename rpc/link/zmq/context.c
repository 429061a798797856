/* SPDX-License-Identifier: Apache-2.0 */

/* The process's ZeroMQ context, and the socket functions that both ends of a connection use. */

#include "rpc/link/zmq/context.h"

#include <pthread.h>
#include <zmq.h>

#include "base/random.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void *context;
static unsigned users;

/* After a fork() libzmq's threads exist only in the parent. A child creates a context of its own,
 * and does not touch its copy of the parent's context. */
static void lock_for_fork(void) {
    pthread_mutex_lock(&lock);
}

static void unlock_in_parent(void) {
    pthread_mutex_unlock(&lock);
}

static void forget_in_child(void) {
    context = NULL;
    users = 0;
    pthread_mutex_unlock(&lock);
}

static void watch_forks(void) {
    pthread_atfork(lock_for_fork, unlock_in_parent, forget_in_child);
}

void *context_ref(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, watch_forks);
    pthread_mutex_lock(&lock);
    if (!context) {
        context = zmq_ctx_new();
        /* Monitors count as sockets too. The default of 1023 is too small for many connections. */
        if (context)
            zmq_ctx_set(context, ZMQ_MAX_SOCKETS, 65535);
    }
    if (context)
        users++;
    pthread_mutex_unlock(&lock);
    return context;
}

void context_unref(void) {
    void *ended = NULL;

    pthread_mutex_lock(&lock);
    if (--users == 0) {
        ended = context;
        context = NULL;
    }
    pthread_mutex_unlock(&lock);
    /* Call it outside the lock, because it waits until lingering messages are sent. */
    if (ended)
        while (zmq_ctx_term(ended) < 0 && errno == EINTR)
            ;
}

int socket_set(void *socket, int option, int value) {
    return zmq_setsockopt(socket, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

void *socket_monitor(void *ctx, void *socket, int events) {
    char endpoint[64];
    void *monitor;

    snprintf(endpoint, sizeof(endpoint), "inproc://ferry-monitor-%016" PRIx64, random_u64());
    if (zmq_socket_monitor(socket, endpoint, events) < 0)
        return NULL;
    monitor = zmq_socket(ctx, ZMQ_PAIR);
    if (!monitor)
        return NULL;
    /* No high-water mark: if an event were dropped, the end of a connection would go unnoticed. */
    if (socket_set(monitor, ZMQ_RCVHWM, 0) < 0 || socket_set(monitor, ZMQ_LINGER, 0) < 0 ||
        zmq_connect(monitor, endpoint) < 0) {
        zmq_close(monitor);
        return NULL;
    }
    return monitor;
}

void monitor_close(void *socket, void *monitor) {
    if (!monitor)
        return;
    /* Keep this order: libzmq 4.3.4 leaks an event whose reader is gone. */
    zmq_socket_monitor(socket, NULL, 0);
    zmq_close(monitor);
}

int monitor_next(void *monitor, uint16_t *ret_event, uint32_t *ret_value) {
    uint8_t frame[6];
    int more = 1;
    size_t size = sizeof(more);
    int n = zmq_recv(monitor, frame, sizeof(frame), ZMQ_DONTWAIT);

    if (n < 0)
        return 0;
    memcpy(ret_event, frame, 2);
    memcpy(ret_value, frame + 2, 4);
    /* The second frame is the endpoint. */
    while (zmq_getsockopt(monitor, ZMQ_RCVMORE, &more, &size) == 0 && more)
        if (zmq_recv(monitor, NULL, 0, ZMQ_DONTWAIT) < 0)
            break;
    return 1;
}

int socket_fd(void *socket) {
    int fd = -1;
    size_t size = sizeof(fd);

    return zmq_getsockopt(socket, ZMQ_FD, &fd, &size) < 0 ? -1 : fd;
}

unsigned socket_events(void *socket) {
    int events = 0;
    size_t size = sizeof(events);

    return zmq_getsockopt(socket, ZMQ_EVENTS, &events, &size) < 0 ? 0 : (unsigned)events;
}

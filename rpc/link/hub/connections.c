/* Which descriptor is whose. See connections.h. */

#include "rpc/link/hub/connections.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <zmq.h>

#include "base/clock.h"
#include "rpc/link/context.h"

/*
 * libzmq closes descriptors in its own thread, and the system gives them out again at once. What
 * helps: the thread tells of an end before it closes, and of a beginning after it has accepted, and
 * both in order; and the system numbers its sockets, whatever their descriptors.
 */
struct Connection {
    void *owner;
    uint64_t number; /* the system's, of this socket */
    uint64_t since_ms;
    uint64_t since_dry; /* when n_dry is this, all is received that others had sent on it */
    bool open;
    unsigned n_looks;            /* that found it without an owner */
    struct sockaddr_in6 address; /* or an IPv4 one, or no more than AF_UNIX */
    pid_t pid;                   /* of the process at the other end of a Unix socket */
};

const char *refusal_text(Refusal refusal) {
    static const char *const texts[] = {
        [REFUSED_GREETING] = "it does not speak ZeroMQ's protocol",
        [REFUSED_SLOWNESS] = "its handshake took too long",
        [REFUSED_SILENCE] = "it said nothing after its handshake",
        [REFUSED_ROUTING_ID] = "it chose its own routing id",
        [REFUSED_FRAMES] = "a message of more than one frame",
        [REFUSED_FULL] = "there are as many connections as may be",
        [LEFT_EARLY] = "it left before its handshake was done",
    };

    return texts[refusal];
}

int connections_init(Connections *connections, void *context, void *socket) {
    connections->monitor = socket_monitor(
        context, socket,
        ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
            ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH);
    if (!connections->monitor)
        return -errno;
    connections->monitor_fd = socket_fd(connections->monitor);
    return 0;
}

void connections_deinit(Connections *connections, void *socket) {
    monitor_close(socket, connections->monitor);
    connections->monitor = NULL;
    free(connections->by_fd);
    connections->by_fd = NULL;
    connections->n_fds = 0;
}

static Connection *find(const Connections *connections, int fd) {
    return fd >= 0 && (size_t)fd < connections->n_fds ? &connections->by_fd[fd] : NULL;
}

/* Its place in the table, which may have to grow; NULL: out of memory. */
static Connection *place_of(Connections *connections, int fd) {
    size_t n = connections->n_fds ? connections->n_fds : 64;
    Connection *by_fd;

    if ((size_t)fd < connections->n_fds)
        return &connections->by_fd[fd];
    while (n <= (size_t)fd)
        n *= 2;
    by_fd = realloc(connections->by_fd, n * sizeof(*by_fd));
    if (!by_fd)
        return NULL;
    memset(by_fd + connections->n_fds, 0, (n - connections->n_fds) * sizeof(*by_fd));
    connections->by_fd = by_fd;
    connections->n_fds = n;
    return &by_fd[fd];
}

static uint64_t number_of(int fd) {
    uint64_t number = 0;
    socklen_t len = sizeof(number);

    return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &number, &len) < 0 ? 0 : number;
}

static const char *address_text(const Connection *connection, char to[CONNECTION_ADDRESS_MAX]) {
    const struct sockaddr_in6 *six = connection ? &connection->address : NULL;
    const struct sockaddr_in *four = (const void *)six;
    char host[INET6_ADDRSTRLEN] = "";

    snprintf(to, CONNECTION_ADDRESS_MAX, "unknown");
    if (!six)
        return to;
    if (six->sin6_family == AF_UNIX) {
        snprintf(to, CONNECTION_ADDRESS_MAX, "process %ld", (long)connection->pid);
    } else if (six->sin6_family == AF_INET) {
        inet_ntop(AF_INET, &four->sin_addr, host, sizeof(host));
        snprintf(to, CONNECTION_ADDRESS_MAX, "%s:%u", host, ntohs(four->sin_port));
    } else if (six->sin6_family == AF_INET6) {
        inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof(host));
        snprintf(to, CONNECTION_ADDRESS_MAX, "[%s]:%u", host, ntohs(six->sin6_port));
    }
    return to;
}

static void tell(const Connections *connections, const Connection *connection, Refusal refusal) {
    char address[CONNECTION_ADDRESS_MAX];

    if (connections->on_refused)
        connections->on_refused(refusal, address_text(connection, address), connections->ctx);
}

/* ---- what the monitor tells ---- */

static void accepted(Connections *connections, int fd) {
    Connection *connection = place_of(connections, fd);
    struct ucred peer = {0};
    socklen_t len = sizeof(connection->address), peer_len = sizeof(peer);

    connections->n_open++;
    if (!connection) {
        shutdown(fd, SHUT_RDWR);
        return;
    }
    *connection = (Connection){.number = number_of(fd),
                               .since_ms = clock_ms(),
                               .since_dry = connection->since_dry,
                               .open = true};
    getpeername(fd, (struct sockaddr *)&connection->address, &len);
    if (connection->address.sin6_family == AF_UNIX &&
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_len) == 0)
        connection->pid = peer.pid;
    /* Descriptors are given out lowest first: a high number means that few are left. At the limit
     * itself libzmq would spin on accept() and serve nobody. */
    if (fd >= connections->fd_limit) {
        tell(connections, connection, REFUSED_FULL);
        shutdown(fd, SHUT_RDWR);
    }
}

static void ended(Connections *connections, int fd) {
    Connection *connection = find(connections, fd);
    void *owner;

    connections->n_open -= connections->n_open > 0;
    if (!connection)
        return;
    owner = connection->owner;
    connection->owner = NULL;
    connection->open = false;
    /* libzmq tells of the end just before it hands over what came last: once is not enough. */
    connection->since_dry = connections->n_dry + 2;
    if (owner)
        connections->on_ended(owner);
}

static void failed(Connections *connections, int fd) {
    const Connection *connection = find(connections, fd);
    Refusal refusal = connections->failure == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL
                          ? LEFT_EARLY
                          : REFUSED_GREETING;

    connections->failure = 0;
    /* That it was full is told already. */
    if (fd >= connections->fd_limit)
        return;
    if (refusal == LEFT_EARLY && connection &&
        clock_ms() >= connection->since_ms + HANDSHAKE_MS - HANDSHAKE_MS / 5)
        refusal = REFUSED_SLOWNESS;
    tell(connections, connection, refusal);
}

void connections_read(Connections *connections) {
    uint16_t event;
    uint32_t value;

    while (monitor_next(connections->monitor, &event, &value)) {
        if (event == ZMQ_EVENT_ACCEPTED) {
            accepted(connections, (int)value);
        } else if (event == ZMQ_EVENT_DISCONNECTED) {
            if (connections->failure)
                failed(connections, (int)value);
            ended(connections, (int)value);
        } else {
            /* A failed handshake comes without its descriptor; the end that follows has it. */
            connections->failure = event;
        }
    }
}

/* ---- whose it is ---- */

/*
 * What is received now may have been sent on a connection that has ended since, and whose
 * descriptor another one has. It was not, if all that the one before had sent is received: nothing
 * was left at some time after its end.
 */
static Connection *certain(Connections *connections, int fd) {
    Connection *connection;

    connections_read(connections);
    connection = find(connections, fd);
    return connection && connection->open && connections->n_dry >= connection->since_dry
               ? connection
               : NULL;
}

bool connections_claim(Connections *connections, int fd, void *owner) {
    Connection *connection = certain(connections, fd);

    if (!connection || connection->owner)
        return false;
    connection->owner = owner;
    return true;
}

uint64_t connections_number(Connections *connections, int fd) {
    const Connection *connection;

    connections_read(connections);
    connection = find(connections, fd);
    return connection && connection->open ? connection->number : 0;
}

bool connections_claim_late(Connections *connections, int fd, uint64_t number, void *owner) {
    Connection *connection;

    if (number == 0 || connections_number(connections, fd) != number)
        return false;
    connection = find(connections, fd);
    if (connection->owner)
        return false;
    connection->owner = owner;
    return true;
}

void connections_release(Connections *connections, int fd, const void *owner) {
    Connection *connection = find(connections, fd);

    if (connection && connection->owner == owner)
        connection->owner = NULL;
}

static void cut(const Connection *connection, int fd) {
    if (number_of(fd) == connection->number)
        shutdown(fd, SHUT_RDWR);
}

void connections_cut(Connections *connections, int fd, const void *owner) {
    Connection *connection;

    connections_read(connections);
    connection = find(connections, fd);
    if (connection && connection->owner == owner)
        cut(connection, fd);
}

void connections_cut_unclaimed(Connections *connections) {
    connections_read(connections);
    for (size_t fd = 0; fd < connections->n_fds; fd++) {
        Connection *connection = &connections->by_fd[fd];

        /* Without its number one could cut those that were claimed too late to be sure. */
        if (!connection->open || connection->owner || !connection->number ||
            ++connection->n_looks < UNCLAIMED_LOOKS)
            continue;
        connection->n_looks = 0;
        tell(connections, connection, REFUSED_SILENCE);
        cut(connection, (int)fd);
    }
}

const char *connections_address(const Connections *connections, int fd,
                                char to[CONNECTION_ADDRESS_MAX]) {
    return address_text(find(connections, fd), to);
}

void connections_tell(const Connections *connections, int fd, Refusal refusal) {
    tell(connections, find(connections, fd), refusal);
}

void connections_refuse(Connections *connections, int fd, Refusal refusal) {
    Connection *connection = certain(connections, fd);

    tell(connections, connection, refusal);
    if (connection && !connection->owner)
        cut(connection, fd);
}

/* The broker's socket: how it is made, and where it listens. See core.h. */

#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/random.h"
#include "rpc/link/endpoint.h"
#include "rpc/link/hub/core.h"

enum {
    HWM = 256,       /* batches in each direction of each connection inside libzmq */
    FD_RESERVE = 64, /* descriptors kept for the broker itself */
};

static int set_up_socket(Hub *hub) {
    const int settings[][2] = {
        {ZMQ_ROUTER_MANDATORY, 1}, {ZMQ_ROUTER_HANDOVER, 0},
        {ZMQ_MAXMSGSIZE, 0},       {ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS},
        {ZMQ_TCP_MAXRT, 10000},    {ZMQ_BACKLOG, 1024},
        {ZMQ_SNDHWM, HWM},         {ZMQ_RCVHWM, HWM},
        {ZMQ_LINGER, 0},
    };
    /* libzmq cuts off who sends more, and does not say why: what is too large by less than as much
     * again comes through, and is refused by name. */
    int64_t max_batch = INT64_C(2) * WIRE_BATCH_MAX;

    for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++) {
        int r = settings[i][0] == ZMQ_MAXMSGSIZE
                    ? zmq_setsockopt(hub->socket, ZMQ_MAXMSGSIZE, &max_batch, sizeof(max_batch))
                    : socket_set(hub->socket, settings[i][0], settings[i][1]);

        if (r < 0)
            return -EIO;
    }
    return 0;
}

static int fd_limit(const HubOptions *options) {
    struct rlimit limit;
    int most = 1024;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        most = limit.rlim_cur > 1000000 ? 1000000 : (int)limit.rlim_cur;
    most = most > 2 * FD_RESERVE ? most - FD_RESERVE : most / 2;
    if (options->max_connections > 0 && options->max_connections + FD_RESERVE < (unsigned)most)
        most = (int)options->max_connections + FD_RESERVE;
    return most;
}

int hub_new(Hub **ret, const HubOptions *options, ferry_error *reterr) {
    Hub *hub = calloc(1, sizeof(*hub));

    if (!hub)
        return error_set_code(reterr, -ENOMEM, NULL);
    hub->options = *options;
    hub->transfers.max = options->max_transfer_bytes ? options->max_transfer_bytes : UINT64_MAX;
    hub->spin.limit_us = options->spin_us;
    timers_init(&hub->timers, clock_ms());
    hub->connections = (Connections){.fd_limit = fd_limit(options),
                                     .on_ended = peer_connection_ended,
                                     .on_refused = options->on_refused,
                                     .ctx = options->ctx};

    /* libzmq numbers its peers from rand(), and never seeds it: numbers that can be foreseen can be
     * claimed. */
    srand((unsigned)random_u64());
    hub->context = context_ref();
    hub->socket = hub->context ? zmq_socket(hub->context, ZMQ_ROUTER) : NULL;
    if (!hub->socket || set_up_socket(hub) < 0) {
        hub_free(hub);
        return error_set_code(reterr, -EIO, "cannot make a ZeroMQ socket: %s", zmq_strerror(errno));
    }
    if (connections_init(&hub->connections, hub->context, hub->socket) < 0) {
        hub_free(hub);
        return error_set_code(reterr, -EIO, "cannot watch a ZeroMQ socket: %s",
                              zmq_strerror(errno));
    }
    liveness_begin(hub);
    hub->socket_fd = socket_fd(hub->socket);
    *ret = hub;
    return 0;
}

Hub *hub_free(Hub *hub) {
    size_t pos = 0;
    Peer *peer;

    if (!hub)
        return NULL;
    while ((peer = id_map_next(&hub->peers, &pos)))
        peer_free(peer);
    id_map_deinit(&hub->peers);
    if (hub->batch_open)
        zmq_msg_close(&hub->batch);
    connections_deinit(&hub->connections, hub->socket);
    if (hub->socket)
        zmq_close(hub->socket);
    if (hub->context)
        context_unref();
    free(hub);
    return NULL;
}

/* libzmq asks no resolver about where to listen. */
static const char *without_name(const char *endpoint, char to[64]) {
    static const char localhost[] = "tcp://localhost:";

    if (strncmp(endpoint, localhost, sizeof(localhost) - 1) != 0)
        return endpoint;
    snprintf(to, 64, "tcp://127.0.0.1:%s", endpoint + sizeof(localhost) - 1);
    return to;
}

/* libzmq removes what is in the way, whatever it is. */
static bool is_in_the_way(const char *path) {
    struct stat status;

    return path && lstat(path, &status) == 0 && !S_ISSOCK(status.st_mode);
}

int hub_bind(Hub *hub, const char *endpoint, char ret_endpoint[256], ferry_error *reterr) {
    char numeric[64];
    size_t size = 256;

    if (is_in_the_way(endpoint_path(endpoint)))
        return error_set(reterr, "ferry.AlreadyExists",
                         "cannot listen on %s: there is something else than a socket", endpoint);
    /* With it set, an IPv4 address would be shown as ::ffff:127.0.0.1. */
    socket_set(hub->socket, ZMQ_IPV6, strchr(endpoint, '[') != NULL);
    if (zmq_bind(hub->socket, without_name(endpoint, numeric)) < 0) {
        int code = errno;

        if (code == EADDRINUSE)
            return error_set_code(reterr, -code,
                                  "%s is taken: another broker, or another program, listens there",
                                  endpoint);
        return error_set_code(reterr, code < 0xFFFF ? -code : -EINVAL, "cannot listen on %s: %s",
                              endpoint, zmq_strerror(code));
    }
    if (ret_endpoint)
        zmq_getsockopt(hub->socket, ZMQ_LAST_ENDPOINT, ret_endpoint, &size);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The endpoints of the broker: choose them, lock them, and warn about them. See listen.h. */

#include "broker/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "rpc/address/endpoint.h"

/* Without a lock, two brokers that start at the same time could both take a socket file for
 * abandoned. */
static int lock_path(const char *path, const char *what, int *ret_fd, ferry_error *reterr) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0)
        return error_set_code(reterr, -errno, "cannot open %s: %s", path, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        close(fd);
        return error_set_code(reterr, -EADDRINUSE, "another broker uses %s", what);
    }
    *ret_fd = fd;
    return 0;
}

/* The URL under which this process reaches an endpoint: "all addresses of the machine" include
 * loopback. */
static void put_own_url(char url[256], const char *bound) {
    static const char *const all[][2] = {{"tcp://0.0.0.0:", "tcp://127.0.0.1:"},
                                         {"tcp://[::]:", "tcp://[::1]:"}};

    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        size_t len = strlen(all[i][0]);

        if (strncmp(bound, all[i][0], len) == 0) {
            snprintf(url, 256, "%s%s", all[i][1], bound + len);
            return;
        }
    }
    snprintf(url, 256, "%s", bound);
}

/* True: other machines can reach the endpoint, and its host is one address. */
static bool is_definite(const char *bound) {
    return !endpoint_is_local(bound) && strncmp(bound, "tcp://0.0.0.0:", 14) != 0 &&
           strncmp(bound, "tcp://[::]:", 11) != 0;
}

static void look_at_advertised(char url[256], const char *bound) {
    if (!*url || (!is_definite(url) && is_definite(bound)))
        snprintf(url, 256, "%s", bound);
}

static int bind_one(const BrokerEndpoints *listening, const char *endpoint, BrokerListening *ret,
                    ferry_error *reterr) {
    const char *problem = endpoint_problem(endpoint, ENDPOINT_BIND);
    const char *path = endpoint_path(endpoint);
    char bound[256], lock[300], shown[TEXT_ESCAPED_MAX];
    Broker *broker = listening->broker;
    bool has_keys = broker->keys.n_pairs > 0;
    int r, fd;

    if (problem)
        return error_set(reterr, "ferry.InvalidArgument", "cannot listen on '%s': %s",
                         text_escape_url(shown, endpoint), problem);
    if (!endpoint_is_local(endpoint) && !has_keys && !listening->options->insecure)
        return error_set(reterr, "ferry.PermissionDenied",
                         "%s can be reached from other machines, by anybody: give the broker and "
                         "its users keys ([server] and [user] in the configuration), listen on "
                         "loopback or ipc://, or use --insecure",
                         endpoint);
    if (path) {
        snprintf(lock, sizeof(lock), "%s.lock", path);
        /* The process keeps the lock until it ends. */
        r = lock_path(lock, endpoint, &fd, reterr);
        if (r < 0)
            return r;
    }
    r = hub_bind(broker->hub, endpoint, bound, reterr);
    if (r < 0)
        return r;
    log_info("listening on %s", bound);
    ret->is_open |= !endpoint_is_local(endpoint);
    if (!*ret->url || (path && strncmp(ret->url, "ipc://", 6) != 0))
        put_own_url(ret->url, bound);
    look_at_advertised(ret->advertised, bound);
    if (!endpoint_is_local(endpoint) && !has_keys)
        log_warning(broker->rights
                        ? "anybody who reaches %s from another machine is the user 'anonymous', "
                          "and nothing is encrypted"
                        : "anybody who reaches %s from another machine can use this broker",
                    bound);
    return 0;
}

int listen_all(const BrokerEndpoints *listening, BrokerListening *ret, ferry_error *reterr) {
    const char *given = listening->options->default_bind;
    const char *const fallback[] = {given && *given ? given : "tcp://127.0.0.1:5877"};
    const char *const *binds = fallback;
    BrokerListening result = {0};
    bool is_local_tcp = false;
    size_t n = 1;

    if (listening->options->n_binds > 0) {
        binds = listening->options->binds;
        n = listening->options->n_binds;
    } else if (listening->config->n_binds > 0) {
        binds = (const char *const *)listening->config->binds;
        n = listening->config->n_binds;
    }
    for (size_t i = 0; i < n; i++) {
        const char *endpoint = endpoint_after_transport(binds[i]);
        int r = bind_one(listening, endpoint, &result, reterr);

        if (r < 0)
            return r;
        is_local_tcp |= !endpoint_path(endpoint) && endpoint_is_local(endpoint);
    }
    if (listening->options->advertise || listening->config->advertise)
        snprintf(result.advertised, sizeof(result.advertised), "%s",
                 listening->options->advertise ? listening->options->advertise
                                               : listening->config->advertise);
    if (is_local_tcp && !listening->broker->rights)
        log_info("every program on this machine may use this broker: the configuration has no "
                 "[user]");
    *ret = result;
    return 0;
}

int listen_web(const BrokerEndpoints *listening, const char *url, ferry_error *reterr) {
    const BrokerOptions *options = listening->options;
    const char *address = options->web ? options->web : listening->config->web;
    int r;

    if (!address)
        return 0;
    if (!options->start_web)
        return error_set(reterr, "ferry.InvalidArgument",
                         "web = %s: this program was built without the HTTP side (-Dweb=enabled)",
                         address);
    r = options->start_web(address, url, options->web_ctx, reterr);
    if (r == 0 && listening->broker->rights && strncmp(url, "ipc://", 6) == 0)
        log_warning("every program on this machine that reaches %s over HTTP has the rights of the "
                    "broker's own user: 'ferry web --tokens' gives each token a user",
                    address);
    return r;
}

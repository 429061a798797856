/* SPDX-License-Identifier: Apache-2.0 */
/* The endpoints of the broker: their choice, their locks, warnings. See listen.h. */

#include "broker/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "rpc/link/endpoint.h"

/* Without a lock, two brokers that start at the same time could both find a socket file
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

static int bind_one(const BrokerEndpoints *listening, const char *endpoint, bool *is_open,
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
                         "loopback or ipc://, or say --insecure",
                         endpoint);
    if (path) {
        snprintf(lock, sizeof(lock), "%s.lock", path);
        /* The lock is held until the process ends. */
        r = lock_path(lock, endpoint, &fd, reterr);
        if (r < 0)
            return r;
    }
    r = hub_bind(broker->hub, endpoint, bound, reterr);
    if (r == 0)
        log_info("listening on %s", bound);
    *is_open |= r == 0 && !endpoint_is_local(endpoint);
    if (r == 0 && !endpoint_is_local(endpoint) && !has_keys)
        log_warning(broker->rights
                        ? "anybody who reaches %s from another machine is the user 'anonymous', "
                          "and nothing is encrypted"
                        : "anybody who reaches %s from another machine can use this broker",
                    bound);
    return r;
}

int listen_all(const BrokerEndpoints *listening, bool *ret_is_open, ferry_error *reterr) {
    const char *usual = listening->options->usual_bind;
    const char *const fallback[] = {usual && *usual ? usual : "tcp://127.0.0.1:5877"};
    const char *const *binds = fallback;
    bool is_local_tcp = false;
    bool is_open = false;
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
        int r = bind_one(listening, endpoint, &is_open, reterr);

        if (r < 0)
            return r;
        is_local_tcp |= !endpoint_path(endpoint) && endpoint_is_local(endpoint);
    }
    if (is_local_tcp && !listening->broker->rights)
        log_info("every program on this machine may use this broker: the configuration has no "
                 "[user]");
    *ret_is_open = is_open;
    return 0;
}

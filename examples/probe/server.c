/* SPDX-License-Identifier: Apache-2.0 */
/* Connects to a host and a port, and reports each attempt. */

#include <netdb.h>
#include <unistd.h>

#include "dial.h"
#include "probe.h"
#include "resolve.h"
#include "server.h"

static size_t list_attempts(const Dial *dial, probe_attempt *attempts) {
    for (int i = 0; i < dial->n_attempts; i++) {
        const DialAttempt *one = &dial->attempts[i];

        attempts[i] =
            (probe_attempt){one->address, one->error, one->error ? strerrorname_np(one->error) : "",
                            one->error ? strerror(one->error) : ""};
    }
    return (size_t)dial->n_attempts;
}

static int throw_not_allowed(ferry_request *request, const char *host, const char *service) {
    return probe_throw_not_allowed(
        request, &(probe_not_allowed){host, service, "this server may not connect to that host"});
}

static int throw_name_failure(ferry_request *request, const char *host, const Dial *dial) {
    return probe_throw_name_failure(
        request, &(probe_name_failure){host, dial->gai, gai_name(dial->gai),
                                       dial->gai == EAI_SYSTEM ? strerror(dial->gai_errno)
                                                               : gai_strerror(dial->gai)});
}

static int connect_(ferry_request *request, const char *host, const char *service,
                    probe_family family, void *ctx) {
    static const int families[] = {AF_UNSPEC, AF_INET, AF_INET6};
    probe_attempt attempts[DIAL_ATTEMPTS_MAX];
    uint32_t left_ms = ferry_request_left_ms(request);
    const probe_attempt *last;
    size_t n;
    Dial dial;

    (void)ctx;
    if (family < 0 || family > PROBE_FAMILY_INET6)
        return ferry_request_fail(request, -EINVAL, NULL);
    if (!dial_allowed("PROBE_ALLOW", host, service))
        return throw_not_allowed(request, host, service);
    /* A quarter of the time is for the answer. */
    dial_host(&dial, families[family], host, service, left_ms / 4 * 3);
    if (dial.gai != 0)
        return throw_name_failure(request, host, &dial);
    n = list_attempts(&dial, attempts);
    last = &attempts[n - 1];
    if (dial.fd < 0)
        return probe_throw_connection_failure(
            request, &(probe_connection_failure){
                         host, dial.port, last->os_errno, last->name, last->reason, {n, attempts}});
    close(dial.fd);
    return probe_connect_return(
        request, &(probe_reached){dial.canonname[0] ? dial.canonname : host,
                                  last->address,
                                  dial.port,
                                  dial.family == AF_INET6 ? PROBE_FAMILY_INET6 : PROBE_FAMILY_INET,
                                  {n, attempts}});
}

int probe_start(ferry_client *client, ferry_error *reterr) {
    static const probe_handlers handlers = {.connect = connect_};

    return probe_serve(client, &handlers, NULL, NULL, NULL, reterr);
}

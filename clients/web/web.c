/* SPDX-License-Identifier: Apache-2.0 */

/* The listener, the client, their loop, and the table of routes. See web.h. */

#include "clients/web/web.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "clients/web/admin/routes.h"
#include "clients/web/core/core.h"
#include "clients/web/gateway/descriptions.h"
#include "clients/web/gateway/routes.h"
#include "clients/web/gateway/topic-streams.h"
#include "clients/web/health.h"
#include "clients/web/page.h"
#include "clients/web/watch/live.h"
#include "clients/web/watch/metrics.h"
#include "clients/web/watch/sampler.h"

static const HttpRoute routes[] = {
    {"GET", "/", HTTP_PAGE, page_index},
    {"GET", "/healthz", 0, health_of_process},
    {"GET", "/readyz", 0, health_of_broker},
    {"GET", "/metrics", 0, metrics_get},
    {"GET", "/api/overview", 0, sampler_get_overview},
    {"GET", "/api/history", 0, sampler_get_history},
    {"GET", "/api/live", 0, live_open},
    {"GET", "/api/services", 0, admin_services},
    {"GET", "/api/services/NAME", 0, admin_service},
    {"GET", "/api/topics", 0, admin_topics},
    {"GET", "/api/queues", 0, admin_queues},
    {"GET", "/api/queues/NAME", 0, admin_queue},
    {"GET", "/api/queues/NAME/jobs", 0, admin_jobs},
    {"POST", "/api/queues/NAME/pause", HTTP_ACTION, admin_pause},
    {"POST", "/api/queues/NAME/resume", HTTP_ACTION, admin_resume},
    {"POST", "/api/queues/NAME/purge", HTTP_ACTION, admin_purge},
    {"POST", "/api/queues/NAME/move", HTTP_ACTION, admin_move},
    {"POST", "/api/queues/NAME/retry", HTTP_ACTION, admin_retry},
    {"POST", "/api/queues/NAME/drop", HTTP_ACTION, admin_drop},
    {"POST", "/api/queues/NAME/set", HTTP_ACTION, admin_set},
    {"POST", "/api/queues/NAME/bind", HTTP_ACTION, admin_bind},
    {"POST", "/api/queues/NAME/unbind", HTTP_ACTION, admin_unbind},
    {"GET", "/api/jobs/NUMBER", 0, admin_job},
    {"POST", "/api/jobs/NUMBER/cancel", HTTP_ACTION, admin_cancel_job},
    {"POST", "/api/jobs/NUMBER/run", HTTP_ACTION, admin_run_job},
    {"POST", "/api/jobs/NUMBER/move", HTTP_ACTION, admin_move_job},
    {"GET", "/api/sessions", 0, admin_sessions},
    {"POST", "/api/sessions/NUMBER/kick", HTTP_ACTION, admin_kick},
    {"GET", "/api/schedules", 0, admin_schedules},
    {"POST", "/api/schedules/NAME/remove", HTTP_ACTION, admin_remove_schedule},
    {"GET", "/api/pipelines", 0, admin_pipelines},
    {"POST", "/v1/call/SERVICE/METHOD", 0, gateway_call},
    {"POST", "/v1/publish/TOPIC", HTTP_BYTES, gateway_publish},
    {"POST", "/v1/push/QUEUE", HTTP_BYTES, gateway_push},
    {"GET", "/v1/subscribe/PATTERN", 0, gateway_subscribe},
    {"POST", "/rpc", 0, gateway_rpc},
    {"GET", "/openapi.json", 0, gateway_openapi},
    {"GET", "/FILE", HTTP_PAGE, page_file},
    {NULL, NULL, 0, NULL},
};

/* ---- the address ---- */

static bool is_loopback(const struct sockaddr *address) {
    if (address->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr) >> 24 ==
               IN_LOOPBACKNET;
    return address->sa_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
}

/* "127.0.0.1:5878", "[::1]:5878" or "localhost:5878". */
static int resolve(const char *listen, struct addrinfo **ret, ferry_error *reterr) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV};
    const char *colon = strrchr(listen, ':');
    char host[64] = "";
    size_t len = colon ? (size_t)(colon - listen) : 0;

    if (len > 1 && *listen == '[' && listen[len - 1] == ']')
        listen++, len -= 2;
    else if (memchr(listen, ':', len))
        len = 0; /* an IPv6 address needs brackets */
    if (len == 0 || len >= sizeof(host) || !colon[1])
        return error_set(reterr, "ferry.Misuse",
                         "--listen takes ADDRESS:PORT, as in 127.0.0.1:5878");
    memcpy(host, listen, len);
    host[len] = '\0';
    if (strcmp(host, "localhost") == 0)
        strcpy(host, "127.0.0.1");
    if (strlen(colon + 1) > 5 || atoi(colon + 1) > UINT16_MAX ||
        getaddrinfo(host, colon + 1, &hints, ret) != 0)
        return error_set(reterr, "ferry.Misuse",
                         "--listen: '%s' is not an address with a port, as in 127.0.0.1:5878",
                         listen);
    return 0;
}

static int listen_at(Web *web, const char *text, ferry_error *reterr) {
    struct addrinfo *address = NULL;
    struct sockaddr_storage at;
    socklen_t len = sizeof(at);
    char host[64], port[8];
    int fd, r = resolve(text, &address, reterr);

    if (r < 0)
        return r;
    if (!is_loopback(address->ai_addr)) {
        freeaddrinfo(address);
        return error_set(reterr, "ferry.Misuse",
                         "'%s' is not a loopback address: whoever reaches it could use the broker. "
                         "Listen on 127.0.0.1, and put a proxy with TLS and a login in front",
                         text);
    }
    fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) < 0 ||
        bind(fd, address->ai_addr, address->ai_addrlen) < 0 || listen(fd, 128) < 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) < 0 ||
        getnameinfo((struct sockaddr *)&at, len, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        r = error_set_code(reterr, errno, "cannot listen on %s: %s", text, strerror(errno));
    freeaddrinfo(address);
    if (r < 0) {
        if (fd >= 0)
            close(fd);
        return r;
    }
    snprintf(web->address, sizeof(web->address), at.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s",
             host, port);
    return fd;
}

/* ---- opening and closing ---- */

static void on_event(int event, const ferry_error *error, void *ctx) {
    Web *web = ctx;

    if (event == FERRY_EVENT_UP) {
        web->is_up = true;
        web->is_away = false;
    } else if (event == FERRY_EVENT_DOWN || event == FERRY_EVENT_RETRY ||
               event == FERRY_EVENT_CLOSED) {
        web->is_up = false;
        web->is_away = true;
        text_copy_safe(web->problem, sizeof(web->problem), error->message);
    }
}

static int watch_fd(Web *web, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    return fd < 0 || epoll_ctl(web->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* The descriptors of the loop. */
static int open_loop(Web *web, ferry_error *reterr) {
    const struct itimerspec each_second = {{1, 0}, {1, 0}};
    int r;

    web->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    web->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    web->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (web->epoll_fd < 0 || web->timer_fd < 0 || web->stop_fd < 0)
        return error_set_code(reterr, errno, NULL);
    timerfd_settime(web->timer_fd, 0, &each_second, NULL);
    r = watch_fd(web, web->timer_fd);
    if (r == 0)
        r = watch_fd(web, web->stop_fd);
    if (r == 0)
        r = watch_fd(web, ferry_fd(web->client));
    if (r == 0)
        r = watch_fd(web, http_fd(web->http));
    return r < 0 ? error_set_code(reterr, r, NULL) : 0;
}

static int open_client(Web *web, const WebOptions *options, ferry_error *reterr) {
    const char *url = options->url ? options->url : getenv("FERRY_URL");
    char shown[TEXT_ESCAPED_MAX];

    web->url = strdup(text_escape_url(shown, url && *url ? url : "tcp://127.0.0.1:5877"));
    if (!web->url)
        return error_set_code(reterr, -ENOMEM, NULL);
    snprintf(web->problem, sizeof(web->problem), "not connected yet");
    return ferry_open(options->url,
                      &(ferry_options){.name = "ferry web",
                                       .on_event = on_event,
                                       .ctx = web,
                                       .key_file = options->key_file,
                                       .server_key = options->server_key},
                      &web->client, reterr);
}

int web_open(const WebOptions *options, Web **ret, ferry_error *reterr) {
    CLEANUP(web_close) Web *web = calloc(1, sizeof(*web));
    int r, fd;

    if (!web)
        return error_set_code(reterr, -ENOMEM, NULL);
    web->epoll_fd = web->timer_fd = web->stop_fd = -1;
    web->sampler = sampler_new(web);
    web->live = live_new(web);
    web->descriptions = descriptions_new(web);
    web->topic_streams = topic_streams_new(web);
    if (!web->sampler || !web->live || !web->descriptions || !web->topic_streams)
        return error_set_code(reterr, -ENOMEM, NULL);
    fd = listen_at(web, options->listen ? options->listen : "127.0.0.1:5878", reterr);
    if (fd < 0)
        return fd;
    r = http_open(&(HttpOptions){.listen_fd = fd,
                                 .routes = routes,
                                 .names = {options->names, options->n_names, "http"},
                                 .ctx = web},
                  &web->http);
    if (r < 0)
        return error_set_code(reterr, r, NULL);
    r = open_client(web, options, reterr);
    if (r == 0)
        r = open_loop(web, reterr);
    if (r == 0)
        *ret = steal(&web);
    return r;
}

const char *web_address(const Web *web) {
    return web->address;
}

Web *web_close(Web *web) {
    if (!web)
        return NULL;
    /* The readers of streams go first: what they have started is ended by posted functions. */
    if (web->http)
        http_end_streams(web->http);
    if (web->client)
        ferry_process(web->client, NULL);
    /* All calls end here, so that each suspended request gets its answer. */
    web->client = ferry_close(web->client);
    http_close(web->http);
    sampler_free(web->sampler);
    live_free(web->live);
    descriptions_free(web->descriptions);
    topic_streams_free(web->topic_streams);
    if (web->epoll_fd >= 0)
        close(web->epoll_fd);
    if (web->timer_fd >= 0)
        close(web->timer_fd);
    if (web->stop_fd >= 0)
        close(web->stop_fd);
    free(web->url);
    free(web);
    return NULL;
}

/* ---- the loop ---- */

static void tick(Web *web) {
    uint64_t times, now_ms = clock_ms();

    if (read(web->timer_fd, &times, sizeof(times)) < 0)
        return;
    http_tick(web->http, now_ms);
    sampler_tick(web->sampler, now_ms, live_is_watched(web->live));
    live_tick(web->live);
    topic_streams_tick(web->topic_streams, now_ms);
}

int web_run(Web *web, ferry_error *reterr) {
    enum { EVENTS = 4 };
    struct epoll_event events[EVENTS];
    bool is_stopped = false;
    uint64_t times;
    int r = 0;

    while (r == 0 && !is_stopped) {
        int n = epoll_wait(web->epoll_fd, events, EVENTS, http_is_due(web->http) ? 0 : -1);

        for (int i = 0; i < n; i++) {
            is_stopped |= events[i].data.fd == web->stop_fd;
            if (events[i].data.fd == web->timer_fd)
                tick(web);
        }
        http_process(web->http);
        /* Calls that requests have made leave together; answers that came wake their requests. */
        r = ferry_process(web->client, reterr);
    }
    if (read(web->stop_fd, &times, sizeof(times)) < 0)
        return r; /* it was not stopped: the broker refuses the client */
    return r;
}

void web_stop(Web *web) {
    int saved = errno;

    if (write(web->stop_fd, &(uint64_t){1}, sizeof(uint64_t)) < 0)
        errno = saved; /* stopped already */
    errno = saved;
}

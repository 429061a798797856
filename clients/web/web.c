/* SPDX-License-Identifier: Apache-2.0 */

/* The HTTP server, the users' clients, their loop, and the table of routes. See web.h. */

#include "clients/web/web.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "clients/web/account.h"
#include "clients/web/admin/routes.h"
#include "clients/web/gateway/routes.h"
#include "clients/web/health.h"
#include "clients/web/listen.h"
#include "clients/web/page.h"
#include "clients/web/tokens.h"
#include "clients/web/watch/live.h"
#include "clients/web/watch/metrics.h"
#include "clients/web/watch/sampler.h"

/* The events of the loop; WATCH_ACCOUNT + n: the client of the n-th account. */
enum { WATCH_TIMER, WATCH_STOP, WATCH_HTTP, WATCH_ACCOUNT };

struct WebServer {
    HttpServer *http;
    Tokens tokens;
    size_t n_accounts;
    Web *accounts[TOKENS_MAX]; /* one, or one for each token */
    int epoll_fd, timer_fd, stop_fd;
    char address[ADDRESS_MAX];
    bool is_secure;
};

static const HttpRoute routes[] = {
    {"GET", "/", HTTP_PAGE, page_index},
    {"GET", "/healthz", HTTP_OPEN, health_of_process},
    {"GET", "/readyz", HTTP_OPEN, health_of_broker},
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
    {"GET", "/api/caches", 0, admin_cache_list},
    {"GET", "/api/pipelines", 0, admin_pipelines},
    {"POST", "/v1/call/SERVICE/METHOD", HTTP_LINES, gateway_call},
    {"POST", "/v1/publish/TOPIC", HTTP_BYTES, gateway_publish},
    {"POST", "/v1/push/QUEUE", HTTP_BYTES, gateway_push},
    {"GET", "/v1/subscribe/PATTERN", 0, gateway_subscribe},
    {"POST", "/rpc", 0, gateway_rpc},
    {"GET", "/openapi.json", 0, gateway_openapi},
    {"GET", "/FILE", HTTP_PAGE, page_file},
    {NULL, NULL, 0, NULL},
};

/* ---- opening and closing ---- */

static int watch_fd(WebServer *server, int fd, uint64_t what) {
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = what};

    return fd < 0 || epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* The descriptors of the loop. */
static int open_loop(WebServer *server, ferry_error *reterr) {
    const struct itimerspec each_second = {{1, 0}, {1, 0}};
    int r;

    server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    server->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    server->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (server->epoll_fd < 0 || server->timer_fd < 0 || server->stop_fd < 0)
        return error_set_code(reterr, errno, NULL);
    timerfd_settime(server->timer_fd, 0, &each_second, NULL);
    r = watch_fd(server, server->timer_fd, WATCH_TIMER);
    if (r == 0)
        r = watch_fd(server, server->stop_fd, WATCH_STOP);
    if (r == 0)
        r = watch_fd(server, http_fd(server->http), WATCH_HTTP);
    for (size_t i = 0; r == 0 && i < server->n_accounts; i++)
        r = watch_fd(server, ferry_fd(server->accounts[i]->client), WATCH_ACCOUNT + i);
    return r < 0 ? error_set_code(reterr, r, NULL) : 0;
}

/* Without tokens all requests share one client. */
static int open_accounts(WebServer *server, const WebOptions *options, ferry_error *reterr) {
    size_t n = server->tokens.n > 0 ? server->tokens.n : 1;
    char name[64];
    int r = 0;

    for (; r == 0 && server->n_accounts < n; server->n_accounts += r == 0) {
        const WebToken *token = server->tokens.n ? &server->tokens.v[server->n_accounts] : NULL;
        bool has_key = token && token->key_file;

        snprintf(name, sizeof(name), token ? "ferry web, %.40s" : "ferry web",
                 token ? token->name : "");
        r = account_open(options->url, has_key ? token->key_file : options->key_file,
                         options->server_key, name, &server->accounts[server->n_accounts], reterr);
    }
    return r;
}

/* Returns the account of a request's token; NULL: the token is missing or unknown. */
static void *authorize(const char *authorization, void *ctx) {
    WebServer *server = ctx;
    const WebToken *token = tokens_find(&server->tokens, authorization);

    return token ? server->accounts[token - server->tokens.v] : NULL;
}

static int open_http(WebServer *server, const WebOptions *options, ferry_error *reterr) {
    bool has_tokens = server->tokens.n > 0, has_tls = options->tls_cert && options->tls_key;
    bool is_guarded = has_tokens && has_tls;
    int r, fd = options->listen_fd > 0
                    ? listen_on(options->listen_fd, is_guarded, server->address, reterr)
                    : listen_at(options->listen ? options->listen : "127.0.0.1:5878", is_guarded,
                                server->address, reterr);

    if (fd < 0)
        return fd;
    r = http_open(
        &(HttpOptions){.listen_fd = fd,
                       .routes = routes,
                       .names = {options->names, options->n_names, has_tls ? "https" : "http"},
                       .tls_cert = options->tls_cert,
                       .tls_key = options->tls_key,
                       .authorize = has_tokens ? authorize : NULL,
                       .authorize_ctx = server,
                       .ctx = server->accounts[0]},
        &server->http, reterr);
    server->is_secure = has_tls;
    return r;
}

int web_open(const WebOptions *options, WebServer **ret, ferry_error *reterr) {
    CLEANUP(web_close) WebServer *server = calloc(1, sizeof(*server));
    int r = 0;

    if (!server)
        return error_set_code(reterr, -ENOMEM, NULL);
    server->epoll_fd = server->timer_fd = server->stop_fd = -1;
    if (!options->tls_cert != !options->tls_key)
        return error_set(reterr, "ferry.Misuse", "--tls-cert and --tls-key belong together");
    if (options->tokens)
        r = tokens_read(options->tokens, &server->tokens, reterr);
    if (r == 0)
        r = open_accounts(server, options, reterr);
    if (r == 0)
        r = open_http(server, options, reterr);
    if (r == 0)
        r = open_loop(server, reterr);
    if (r == 0)
        *ret = steal(&server);
    return r;
}

const char *web_address(const WebServer *server) {
    return server->address;
}

bool web_is_secure(const WebServer *server) {
    return server->is_secure;
}

WebServer *web_close(WebServer *server) {
    if (!server)
        return NULL;
    /* End the streams first: functions that they post end the calls and subscriptions that they
     * have started. */
    if (server->http)
        http_end_streams(server->http);
    for (size_t i = 0; i < server->n_accounts; i++)
        account_disconnect(server->accounts[i]);
    http_close(server->http);
    for (size_t i = 0; i < server->n_accounts; i++)
        account_free(server->accounts[i]);
    tokens_deinit(&server->tokens);
    if (server->epoll_fd >= 0)
        close(server->epoll_fd);
    if (server->timer_fd >= 0)
        close(server->timer_fd);
    if (server->stop_fd >= 0)
        close(server->stop_fd);
    free(server);
    return NULL;
}

/* ---- the loop ---- */

static void tick(WebServer *server) {
    uint64_t times, now_ms = clock_ms();

    if (read(server->timer_fd, &times, sizeof(times)) < 0)
        return;
    http_tick(server->http, now_ms);
    for (size_t i = 0; i < server->n_accounts; i++)
        account_tick(server->accounts[i], now_ms);
}

/* Sends the calls of all requests together, and passes answers to their requests. If the broker
 * refuses a user permanently, the other users continue; if it is the only user, the loop ends. */
static int process(WebServer *server, size_t n, ferry_error *reterr) {
    int r = ferry_process(server->accounts[n]->client, reterr);

    if (r == 0 || server->n_accounts == 1)
        return r;
    epoll_ctl(server->epoll_fd, EPOLL_CTL_DEL, ferry_fd(server->accounts[n]->client), NULL);
    return 0;
}

int web_run(WebServer *server, ferry_error *reterr) {
    enum { EVENTS = 16 };
    struct epoll_event events[EVENTS];
    bool is_stopped = false;
    int r = 0;

    while (r == 0 && !is_stopped) {
        int n = epoll_wait(server->epoll_fd, events, EVENTS, http_is_due(server->http) ? 0 : -1);

        for (int i = 0; i < n; i++) {
            is_stopped |= events[i].data.u64 == WATCH_STOP;
            if (events[i].data.u64 == WATCH_TIMER)
                tick(server);
        }
        http_process(server->http);
        /* A client that was used by a request becomes readable. With a single client, process it
         * now and save that turn. */
        if (server->n_accounts == 1)
            r = process(server, 0, reterr);
        for (int i = 0; r == 0 && server->n_accounts > 1 && i < n; i++)
            if (events[i].data.u64 >= WATCH_ACCOUNT)
                r = process(server, events[i].data.u64 - WATCH_ACCOUNT, reterr);
    }
    return r;
}

void web_stop(WebServer *server) {
    int saved = errno;

    if (write(server->stop_fd, &(uint64_t){1}, sizeof(uint64_t)) < 0)
        errno = saved; /* stopped already */
    errno = saved;
}

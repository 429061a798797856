/* SPDX-License-Identifier: Apache-2.0 */
/* Each fault as an exception; a low layer that passes exceptions on, and a high layer that wraps
 * them. */

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>

#include "faults.h"
#include "server.h"
#include "sockets.h"

enum { HTTP_PORT = 80, ADDRESSES_MAX = 16 };

/* ---- faults to exceptions ---- */

static const char *gai_name(int code) {
    static const struct {
        int code;
        const char *name;
    } names[] = {{EAI_NONAME, "EAI_NONAME"},     {EAI_AGAIN, "EAI_AGAIN"},
                 {EAI_FAIL, "EAI_FAIL"},         {EAI_SERVICE, "EAI_SERVICE"},
                 {EAI_FAMILY, "EAI_FAMILY"},     {EAI_SOCKTYPE, "EAI_SOCKTYPE"},
                 {EAI_BADFLAGS, "EAI_BADFLAGS"}, {EAI_MEMORY, "EAI_MEMORY"}};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (names[i].code == code)
            return names[i].name;
    return "EAI_…";
}

/* Answers with the exception of a fault. */
static int throw_fault(ferry_request *request, const Fault *fault, const char *host, int port) {
    const char *name = strerrorname_np(fault->code), *text;
    char message[192];

    switch (fault->kind) {
    case FAULT_GAI:
        text = gai_strerror(fault->code);
        snprintf(message, sizeof(message), "[Errno %d] %s", fault->code, text);
        return faults_throw_gai_error(
            request, &(faults_gai_error){fault->code, gai_name(fault->code), text, host, message});
    case FAULT_TIMEOUT:
        snprintf(message, sizeof(message), "%s: nothing within %d ms", fault->call,
                 fault->waited_ms);
        return faults_throw_timeout(request,
                                    &(faults_timeout){fault->waited_ms, fault->call, message});
    case FAULT_FORBIDDEN:
        snprintf(message, sizeof(message), "the server may not connect to port %d there", port);
        return faults_throw_forbidden(request, &(faults_forbidden){host, port, message});
    default:
        text = strerror(fault->code);
        snprintf(message, sizeof(message), "[Errno %d] %s", fault->code, text);
        return faults_throw_os_error(request, &(faults_os_error){fault->code, name ? name : "?",
                                                                 text, fault->call, message});
    }
}

/* ---- the faults ---- */

static int ports(ferry_request *request, void *ctx) {
    return faults_ports_return(request, ctx);
}

static int on_connect(ferry_request *request, const char *host, int32_t port, void *ctx) {
    Fault fault = fault_connect(host, port, NULL);

    (void)ctx;
    return fault.kind ? throw_fault(request, &fault, host, port) : faults_connect_return(request);
}

static int bind_taken(ferry_request *request, void *ctx) {
    Fault fault = fault_bind_taken();

    (void)ctx;
    return fault.kind ? throw_fault(request, &fault, "", 0) : faults_bind_taken_return(request);
}

static int send_to_closed(ferry_request *request, void *ctx) {
    Fault fault = fault_send_to_closed();

    (void)ctx;
    return fault.kind ? throw_fault(request, &fault, "", 0) : faults_send_to_closed_return(request);
}

static int receive_from_silent(ferry_request *request, int32_t timeout_ms, void *ctx) {
    Fault fault;

    (void)ctx;
    timeout_ms = timeout_ms < 1 ? 1 : timeout_ms > 1000 ? 1000 : timeout_ms;
    fault = fault_receive_from_silent(timeout_ms);
    return fault.kind ? throw_fault(request, &fault, "", 0)
                      : faults_receive_from_silent_return(request);
}

static int resolve(ferry_request *request, const char *host, const char *port, void *ctx) {
    struct addrinfo *addresses = NULL;
    char texts[ADDRESSES_MAX][INET6_ADDRSTRLEN];
    const char *v[ADDRESSES_MAX];
    Fault fault = fault_resolve(host, port, &addresses);
    size_t n = 0;
    int r;

    (void)ctx;
    if (fault.kind)
        return throw_fault(request, &fault, host, 0);
    for (struct addrinfo *a = addresses; a && n < ADDRESSES_MAX; a = a->ai_next, n++) {
        getnameinfo(a->ai_addr, a->ai_addrlen, texts[n], sizeof(texts[n]), NULL, 0, NI_NUMERICHOST);
        v[n] = texts[n];
    }
    r = faults_resolve_return(request, &(ferry_list_string){n, v});
    freeaddrinfo(addresses);
    return r;
}

/* ---- layers ---- */

static int http_get(ferry_request *request, const char *host, int32_t port, void *ctx) {
    char line[256];
    Fault fault = fault_http_get(host, port, line);

    (void)ctx;
    if (fault.kind)
        return throw_fault(request, &fault, host, port);
    for (char *at = line; *at; at++) /* the answer may be neither HTTP nor text */
        if (!isprint((unsigned char)*at))
            *at = '?';
    return faults_http_get_return(request, line);
}

typedef struct Open {
    ferry_request *request;
    char url[];
} Open;

/* Receives the answer of the low layer. Its error becomes the cause of this service's error. */
static void on_answer(const char *line, const ferry_error *error, void *ctx) {
    Open *open = ctx;
    char message[160];

    if (error) {
        snprintf(message, sizeof(message), "<urlopen error %s>", error->message);
        faults_throw_url_error(ferry_request_because(open->request, error),
                               &(faults_url_error){open->url, message});
    } else {
        faults_urlopen_return(open->request, line);
    }
    free(open);
}

/* http://HOST[:PORT][/…]: the host into `host`. -1: it is not such a URL. */
static int split_url(const char *url, char host[128], int *ret_port) {
    size_t len;

    if (strncmp(url, "http://", 7) != 0)
        return -1;
    url += 7;
    len = strcspn(url, ":/");
    if (len == 0 || len > 127)
        return -1;
    memcpy(host, url, len);
    host[len] = '\0';
    *ret_port = url[len] == ':' ? (int)strtoul(url + len + 1, NULL, 10) & 0xffff : HTTP_PORT;
    return 0;
}

static int urlopen(ferry_request *request, const char *url, void *ctx) {
    char host[128], message[160];
    Open *open;
    int port, r;

    (void)ctx;
    if (split_url(url, host, &port) < 0) {
        snprintf(message, sizeof(message), "unknown url type: '%.100s'", url);
        return faults_throw_value_error(request, &(faults_value_error){url, message});
    }
    open = malloc(sizeof(*open) + strlen(url) + 1);
    if (!open)
        return -ENOMEM;
    strcpy(open->url, url);
    open->request = ferry_request_defer(request);
    if (!open->request) {
        free(open);
        return -ENOMEM;
    }
    r = faults_http_get_async(ferry_request_client(open->request), host, port, on_answer, open,
                              NULL);
    if (r < 0) {
        ferry_request_fail(open->request, r, NULL);
        free(open);
    }
    return 0;
}

int faults_start(ferry_client *client, ferry_error *reterr) {
    static const faults_handlers handlers = {.ports = ports,
                                             .connect = on_connect,
                                             .bind_taken = bind_taken,
                                             .send_to_closed = send_to_closed,
                                             .receive_from_silent = receive_from_silent,
                                             .resolve = resolve,
                                             .urlopen = urlopen};
    static const faults_http_handlers http = {.get = http_get};
    static faults_held_ports held;
    int r = fault_hold_ports(&held.closed, &held.silent);

    if (r == 0)
        r = faults_http_serve(client, &http, NULL, NULL, NULL, reterr);
    if (r == 0)
        r = faults_serve(client, &handlers, &(ferry_serve_options){.slots = 16}, &held, NULL,
                         reterr);
    return r;
}

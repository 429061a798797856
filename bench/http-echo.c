/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plain HTTP server that answers each POST with its body. In bench/web it runs behind nginx. One
 * thread, libmicrohttpd with epoll.
 *
 *     bench-http-echo    prints its port on 127.0.0.1; ends with standard input
 */

#include <arpa/inet.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Body {
    size_t len;
    char data[64 * 1024];
} Body;

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *len, void **body_of) {
    Body *body = *body_of;
    struct MHD_Response *response;
    enum MHD_Result r;

    (void)ctx;
    (void)url;
    (void)method;
    (void)version;
    if (!body) {
        *body_of = body = malloc(sizeof(*body));
        if (body)
            body->len = 0;
        return body ? MHD_YES : MHD_NO;
    }
    if (*len > 0) {
        if (body->len + *len > sizeof(body->data))
            return MHD_NO;
        memcpy(body->data + body->len, data, *len);
        body->len += *len;
        *len = 0;
        return MHD_YES;
    }
    response = MHD_create_response_from_buffer(body->len, body->data, MHD_RESPMEM_MUST_COPY);
    MHD_add_response_header(response, "Content-Type", "application/json");
    r = MHD_queue_response(connection, 200, response);
    MHD_destroy_response(response);
    return r;
}

static void on_completed(void *ctx, struct MHD_Connection *connection, void **body,
                         enum MHD_RequestTerminationCode why) {
    (void)ctx;
    (void)connection;
    (void)why;
    free(*body);
    *body = NULL;
}

int main(void) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, on_request, NULL, MHD_OPTION_SOCK_ADDR, &at,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_END);

    if (!daemon)
        return 1;
    printf("%d\n", MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    fflush(stdout);
    while (getchar() != EOF)
        continue;
    MHD_stop_daemon(daemon);
    return 0;
}

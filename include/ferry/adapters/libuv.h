/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ferry in a libuv loop:
 *
 *     uv_poll_t poll;
 *
 *     ferry_uv_attach(uv_default_loop(), &poll, client);
 *     uv_run(uv_default_loop(), UV_RUN_DEFAULT);
 *
 * Each client has one poll handle in one loop, and one thread uses it. Call ferry_uv_detach()
 * before ferry_close(): otherwise the handle would watch a closed descriptor.
 */
#ifndef FERRY_ADAPTERS_LIBUV_H
#define FERRY_ADAPTERS_LIBUV_H

#include <ferry/client.h>
#include <uv.h>

static inline void ferry_uv_readable(uv_poll_t *poll, int status, int events) {
    (void)status;
    (void)events;
    ferry_process((ferry_client *)poll->data, NULL);
}

/* Watches the client. Returns 0, or a negative errno of ferry_fd() or libuv. The caller owns poll
 * and must keep it until it is detached and closed. */
static inline int ferry_uv_attach(uv_loop_t *loop, uv_poll_t *poll, ferry_client *client) {
    int fd = ferry_fd(client), r;

    if (fd < 0)
        return fd;
    r = uv_poll_init(loop, poll, fd);
    poll->data = client;
    return r < 0 ? r : uv_poll_start(poll, UV_READABLE, ferry_uv_readable);
}

/* Stops watching, and closes the handle; on_closed may be NULL. The client stays open. */
static inline void ferry_uv_detach(uv_poll_t *poll, uv_close_cb on_closed) {
    uv_poll_stop(poll);
    uv_close((uv_handle_t *)poll, on_closed);
}

#endif

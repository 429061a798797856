/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ferry in a libuv loop:
 *
 *     uv_poll_t poll;
 *
 *     ferry_uv_attach(uv_default_loop(), &poll, client);
 *     uv_run(uv_default_loop(), UV_RUN_DEFAULT);
 *
 * One client, one poll handle, one loop, one thread. Before ferry_close(): ferry_uv_detach(), or
 * the handle would watch a descriptor that is gone.
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

/* 0, or a negative errno: of ferry_fd() or libuv. poll is the caller's until it is detached and
 * closed. */
static inline int ferry_uv_attach(uv_loop_t *loop, uv_poll_t *poll, ferry_client *client) {
    int fd = ferry_fd(client), r;

    if (fd < 0)
        return fd;
    r = uv_poll_init(loop, poll, fd);
    poll->data = client;
    return r < 0 ? r : uv_poll_start(poll, UV_READABLE, ferry_uv_readable);
}

/* Stops watching, and closes the handle; on_closed may be NULL. */
static inline void ferry_uv_detach(uv_poll_t *poll, uv_close_cb on_closed) {
    uv_poll_stop(poll);
    uv_close((uv_handle_t *)poll, on_closed);
}

#endif

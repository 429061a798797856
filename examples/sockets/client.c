/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks at the sockets of the server's machine.
 *
 *     sockets-client                numbers, options, path MTU, TIME_WAIT, states of a connection
 *     sockets-client list [PORT]    all sockets, or the sockets with this port, with their owners
 */

#include <stdlib.h>

#include "sockets.h"

static int list(ferry_client *client, const char *port, ferry_error *error) {
    FERRY_AUTO(ferry_free) sockets_list_entry *all = NULL;
    sockets_filter filter = SOCKETS_FILTER_INIT;
    int32_t number = port ? atoi(port) : 0;
    int r;

    filter.port = port ? &number : NULL;
    r = sockets_entries(client, &filter, &all, error);
    printf("%-5s %6s %6s %-22s %-22s %-12s %-18s %s\n", "Proto", "Recv-Q", "Send-Q",
           "Local Address", "Foreign Address", "State", "Timer", "Owner");
    for (size_t i = 0; r == 0 && i < all->n; i++) {
        const sockets_entry *e = &all->v[i];
        char local[64], remote[64], timer[64];

        snprintf(local, sizeof(local), "%s:%d", e->local_address, e->local_port);
        snprintf(remote, sizeof(remote), "%s:%d", e->remote_address, e->remote_port);
        snprintf(timer, sizeof(timer), "%s (%.2f/%d)", e->timer, e->timer_left, e->retransmissions);
        printf("%-5s %6lld %6lld %-22s %-22s %-12s %-18s", sockets_kind_name(e->kind),
               (long long)e->recv_queue, (long long)e->send_queue, local, remote,
               sockets_state_name(e->state), timer);
        if (e->owner)
            printf(" %s, process %d, fd %d", e->owner->command, e->owner->pid, e->owner->fd);
        putchar('\n');
    }
    return r;
}

static int numbers(ferry_client *client, ferry_error *error) {
    FERRY_AUTO(ferry_free) ferry_list_i32 *fds = NULL;
    FERRY_AUTO(ferry_free) sockets_option *type = NULL;
    FERRY_AUTO(ferry_free) sockets_path *path = NULL;
    sockets_change *change = NULL;
    int r = sockets_filenos(client, 3, &fds, error);

    if (r == 0)
        printf("Three sockets, the last one closed: %d %d %d\n", fds->v[0], fds->v[1], fds->v[2]);
    if (r == 0 && (r = sockets_get_option(client, SOCKETS_KIND_UDP, "SO_TYPE", &type, error)) == 0)
        printf("SO_TYPE of a UDP socket: %d, %s\n", type->value, type->meaning);
    if (r == 0 &&
        (r = sockets_set_option(client, SOCKETS_KIND_UDP, "SO_BROADCAST", 1, &change, error)) == 0)
        printf("SO_BROADCAST: %d, then %d\n", change->before, change->after);
    ferry_free(change);
    change = NULL;
    if (r == 0 &&
        (r = sockets_set_option(client, SOCKETS_KIND_TCP, "SO_SNDBUF", 50000, &change, error)) == 0)
        printf("SO_SNDBUF: %d, set to 50000: %d\n", change->before, change->after);
    ferry_free(change);
    if (r == 0 && (r = sockets_path_mtu(client, "127.0.0.1", &path, error)) == 0)
        printf("Path MTU to %s: %d, so %d bytes of text\n", path->address, path->mtu,
               path->payload);
    return r;
}

static int rebind(ferry_client *client, ferry_error *error) {
    FERRY_AUTO(ferry_free) sockets_rebound *rebound = NULL;
    const sockets_os_error *e;
    int r = sockets_rebind(client, false, &rebound, error);

    if (r < 0 && (e = sockets_os_error_in(error)))
        printf("The server again, at once: OSError: [Errno %d] %s\n", e->os_errno, e->message);
    r = sockets_rebind(client, true, &rebound, error);
    if (r == 0)
        printf("With SO_REUSEADDR: listening, beside a connection in %s\n",
               sockets_state_name(rebound->state));
    return r;
}

static int walk(ferry_client *client, ferry_error *error) {
    FERRY_AUTO(ferry_stream_close) ferry_stream *stream = NULL;
    sockets_step *step;
    int r = sockets_walk(client, &stream, error);

    printf("%-12s %-12s %s\n", "client", "server", "what happened");
    while (r >= 0 && (r = sockets_walk_next(stream, &step, error)) > 0) {
        printf("%-12s %-12s %s\n", sockets_state_name(step->client),
               sockets_state_name(step->server), step->event);
        ferry_free(step);
    }
    return r;
}

int main(int argc, char **argv) {
    FERRY_AUTO(ferry_close) ferry_client *client = NULL;
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    int r = ferry_open(NULL, &(ferry_options){.name = "sockets-client"}, &client, &error);

    if (r == 0 && argc > 1)
        r = list(client, argc > 2 ? argv[2] : NULL, &error);
    else if (r == 0 && (r = numbers(client, &error)) == 0 && (r = rebind(client, &error)) == 0)
        r = walk(client, &error);
    if (r < 0)
        ferry_error_print(&error, stderr);
    return r < 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shows the effect of shutdown() on both ends of a TCP connection, and half-closed streams: the
 * caller ends its direction and then receives the answer, or the server answers before the caller
 * has sent everything.
 *
 *     halfopen-client [MEGABYTES]   default 100
 */

#include <inttypes.h>
#include <stdlib.h>

#include "halfopen.h"

enum { PIECE = 64 * 1024 };

static char text[PIECE];

static int show_tcp(ferry_client *client, ferry_error *error) {
    printf("            own recv     recv later   own send     peer recv    peer send\n");
    for (halfopen_how how = HALFOPEN_HOW_READ; how <= HALFOPEN_HOW_BOTH; how++) {
        static const char *const names[] = {"", "SHUT_RD", "SHUT_WR", "SHUT_RDWR"};
        FERRY_AUTO(ferry_free) halfopen_halves *h = NULL;
        int r = halfopen_shutdown(client, how, &h, error);
        const halfopen_result *results[5];

        if (r < 0)
            return r;
        results[0] = &h->own_recv;
        results[1] = &h->own_recv_later;
        results[2] = &h->own_send;
        results[3] = &h->peer_recv;
        results[4] = &h->peer_send;
        printf("%-10s", names[how]);
        for (int i = 0; i < 5; i++)
            printf(i < 4 ? "  %-11s" : "  %s", results[i]->error_number == EAGAIN ? "nothing"
                                               : results[i]->error_number > 0
                                                   ? strerrorname_np(results[i]->error_number)
                                                   : results[i]->what);
        printf("\n");
    }
    return 0;
}

/* Sends up to `total` bytes, until the server ends the stream. *ret_sent: the bytes sent. */
static int send_all(ferry_stream *stream, int64_t total,
                    int (*send)(ferry_stream *stream, ferry_bytes item, ferry_error *reterr),
                    int64_t *ret_sent, ferry_error *error) {
    int r = 0;

    for (*ret_sent = 0; *ret_sent < total;) {
        int64_t n = total - *ret_sent < PIECE ? total - *ret_sent : PIECE;

        r = send(stream, ferry_bytes_of(text, (size_t)n), error);
        if (r < 0)
            break;
        *ret_sent += n;
    }
    return r;
}

/* Ends the caller's direction, and receives the answer on the other direction. */
static int end_ours(ferry_client *client, int64_t total, ferry_error *error) {
    FERRY_AUTO(ferry_stream_close) ferry_stream *stream = NULL;
    FERRY_AUTO(ferry_free) halfopen_received *received = NULL;
    int64_t sent;
    int r = halfopen_digest(client, &stream, error);

    if (r == 0)
        r = send_all(stream, total, halfopen_digest_send, &sent, error);
    if (r == 0)
        r = halfopen_digest_end(stream, &received, error);
    if (r == 0)
        printf("%" PRId64 " bytes sent, then the end; the answer: %" PRId64
               " bytes,\n    SHA-256 %s\n",
               sent, received->bytes, received->sha256);
    return r;
}

static int hear_a_report(ferry_client *client, ferry_error *error) {
    FERRY_AUTO(ferry_stream_close) ferry_stream *stream = NULL;
    char *line;
    int r = halfopen_report(client, &stream, error);

    if (r == 0)
        r = halfopen_report_send(stream, ferry_str("abc"), error);
    if (r == 0)
        r = halfopen_report_end(stream, error);
    if (r == 0)
        printf("3 bytes sent, then the end; the answer continues:\n");
    while (r == 0 && (r = halfopen_report_next(stream, &line, error)) > 0) {
        printf("    %s\n", line);
        ferry_free(line);
        r = 0;
    }
    return r;
}

/* The server ends its direction before the caller does. */
static int be_stopped(ferry_client *client, int64_t total, ferry_error *error) {
    FERRY_AUTO(ferry_stream_close) ferry_stream *stream = NULL;
    FERRY_AUTO(ferry_free) halfopen_received *received = NULL;
    int64_t sent = 0;
    int r = halfopen_first(client, 1000000, &stream, error);

    if (r == 0)
        r = send_all(stream, total, halfopen_first_send, &sent, error);
    if (r != -ECANCELED)
        return r < 0 ? r : -EPROTO;
    printf("%s after %.1f of %.1f MB: %s\n", error->type, (double)sent / 1e6, (double)total / 1e6,
           error->message);
    r = halfopen_first_end(stream, &received, error);
    if (r == 0)
        printf("    and the answer all the same: the first %" PRId64
               " bytes have\n    SHA-256 %s\n",
               received->bytes, received->sha256);
    return r;
}

int main(int argc, char **argv) {
    FERRY_AUTO(ferry_close) ferry_client *client = NULL;
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    int64_t total = (argc > 1 ? atoll(argv[1]) : 100) * 1000000;
    int r = ferry_open(NULL, &(ferry_options){.name = "halfopen-client"}, &client, &error);

    for (size_t i = 0; i < PIECE; i++)
        text[i] = "To be or not to be, this is a question. "[i % 40];
    if (r == 0)
        r = show_tcp(client, &error);
    if (r == 0)
        r = end_ours(client, total, &error);
    if (r == 0)
        r = hear_a_report(client, &error);
    if (r == 0)
        r = be_stopped(client, total, &error);
    if (r < 0)
        ferry_error_print(&error, stderr);
    return r < 0;
}

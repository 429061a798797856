/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends 'capitalize this!' over and over, reads while it writes, and checks every byte.
 *
 *     caps-client [MEGABYTES [SECONDS]]   default 100 0; SECONDS: it starts to read after this time
 */

#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "caps.h"
#include "plain-tcp.h"

enum { PIECE = 32 * 1024 };

typedef struct Transfer {
    uint64_t total, sent, received;
    double read_from; /* when to begin to read */
    unsigned char *text, *capitals;
    bool over;
    int code;
    ferry_error error;
} Transfer;

static double seconds(void) {
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void show(const Transfer *t, bool last) {
    static double shown;
    int done = (int)(40 * t->received / t->total);

    if (!isatty(STDOUT_FILENO) || (!last && seconds() < shown + 0.1))
        return;
    shown = seconds();
    printf("\r[%.*s%*s] %3d %%%s", done, "########################################", 40 - done, "",
           (int)(100 * t->received / t->total), last ? "\n" : "");
    fflush(stdout);
}

static int take(Transfer *t, const ferry_bytes *piece) {
    if (piece->len > PIECE || memcmp(piece->data, t->capitals, piece->len) != 0)
        return -EBADMSG;
    t->received += piece->len;
    show(t, t->received == t->total);
    return 1;
}

/* Sends while there is credit and reads the pieces that have arrived. Never waits. */
static void pump(ferry_stream *stream, void *ctx) {
    Transfer *t = ctx;
    ferry_bytes *piece;
    int r = 0;

    while (r == 0 && t->sent < t->total) {
        size_t n = t->total - t->sent < PIECE ? (size_t)(t->total - t->sent) : PIECE;

        r = caps_capitalize_send(stream, ferry_shared(t->text, n), &t->error);
        t->sent += r == 0 ? n : 0;
        if (r == 0 && t->sent == t->total)
            r = caps_capitalize_end(stream, &t->error);
    }
    if ((r == 0 || r == -EAGAIN) && seconds() >= t->read_from)
        while ((r = caps_capitalize_next(stream, &piece, &t->error)) > 0) {
            r = take(t, piece);
            ferry_free(piece);
            if (r < 0)
                break;
        }
    else if (r == 0)
        r = -EAGAIN;
    t->over = r != -EAGAIN;
    t->code = r;
}

static int transfer(ferry_client *client, Transfer *t) {
    FERRY_AUTO(ferry_stream_close) ferry_stream *stream = NULL;
    struct pollfd fd = {ferry_fd(client), POLLIN, 0};
    bool late = seconds() < t->read_from;
    int r = caps_capitalize(client, &stream, &t->error);

    if (r == 0)
        r = ferry_stream_watch(stream, pump, t);
    while (r == 0 && !t->over) {
        poll(&fd, 1, late ? 100 : -1);
        r = ferry_process(client, &t->error);
        if (late && seconds() >= t->read_from) {
            printf("%.1f MB were on their way when the reader woke up\n", (double)t->sent / 1e6);
            late = false;
            pump(stream, t);
        }
    }
    if (r == 0)
        r = t->code;
    return r == 0 && t->received != t->total ? -EBADMSG : r;
}

/* Makes one transfer. Returns its duration, without the delay of the reader, or a negative errno.
 */
static double timed(ferry_client *client, Transfer *t, double late_s) {
    double started = seconds();
    int r;

    t->sent = t->received = 0;
    t->over = false;
    t->read_from = started + late_s;
    r = transfer(client, t);
    return r < 0 ? r : seconds() - started - late_s;
}

/* Measures both in turns, so that both see the same load of the machine, and prints the best result
 * of each. */
static int compare(ferry_client *client, Transfer *t) {
    double ferry = INFINITY, plain = INFINITY, megabytes = (double)t->total / 1e6;

    for (int i = 0; i < 3; i++) {
        double by_ferry = timed(client, t, 0), by_tcp = plain_tcp(t->total);

        if (by_ferry < 0 || by_tcp < 0)
            return by_ferry < 0 ? (int)by_ferry : -EIO;
        ferry = fmin(ferry, by_ferry);
        plain = fmin(plain, by_tcp);
    }
    printf("%.0f MB sent, %.0f MB received, every byte a capital; three times\n",
           (double)t->sent / 1e6, (double)t->received / 1e6);
    printf("ferry, by way of the broker: %7.0f MB/s\n", megabytes / ferry);
    printf("a TCP connection of its own: %7.0f MB/s\n", megabytes / plain);
    printf("ratio: %.2f\n", plain / ferry);
    return 0;
}

static int be_late(ferry_client *client, Transfer *t, double late_s) {
    double taken = timed(client, t, late_s);

    if (taken < 0)
        return (int)taken;
    printf("%.0f MB received all the same, at %.0f MB/s\n", (double)t->received / 1e6,
           (double)t->total / 1e6 / taken);
    return 0;
}

int main(int argc, char **argv) {
    FERRY_AUTO(ferry_close) ferry_client *client = NULL;
    FERRY_AUTO(ferry_free) unsigned char *text = ferry_alloc(PIECE);
    static unsigned char capitals[PIECE];
    double late_s = argc > 2 ? atof(argv[2]) : 0;
    Transfer t = {.total = (uint64_t)(argc > 1 ? atoi(argv[1]) : 100) * 1000000,
                  .text = text,
                  .capitals = capitals};
    struct rusage usage;
    int r = text ? 0 : -ENOMEM;

    for (size_t i = 0; r == 0 && i < PIECE; i += 16) {
        memcpy(text + i, "capitalize this!", 16);
        memcpy(capitals + i, "CAPITALIZE THIS!", 16);
    }
    if (r == 0)
        r = ferry_open(NULL, &(ferry_options){.name = "caps-client"}, &client, &t.error);
    if (r == 0)
        r = late_s > 0 ? be_late(client, &t, late_s) : compare(client, &t);
    if (r < 0)
        ferry_error_print(&t.error, stderr);
    ferry_error_clear(&t.error);
    getrusage(RUSAGE_SELF, &usage);
    printf("client: at most %.1f MiB of memory\n", (double)usage.ru_maxrss / 1024);
    return r < 0;
}

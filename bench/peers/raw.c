/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plain TCP, which shows the limits of the kernel. "direct" is two processes; "hop" puts a relay
 * between them that only copies, which is the least work of a broker. The "spin" variants poll for
 * 50 us before they block, because waking a sleeping process is the largest part of a call.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench/lab.h"

enum { SPIN_US = 50, CHUNK = 256 * 1024 };

static uint64_t spin_us;

static void tcp_pair(int ret[2]) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    LAB_CHECK(listener >= 0);
    LAB_CHECK(bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0);
    LAB_CHECK(listen(listener, 1) == 0);
    LAB_CHECK(getsockname(listener, (struct sockaddr *)&address, &len) == 0);

    ret[0] = socket(AF_INET, SOCK_STREAM, 0);
    LAB_CHECK(connect(ret[0], (struct sockaddr *)&address, sizeof(address)) == 0);
    ret[1] = accept(listener, NULL, NULL);
    LAB_CHECK(ret[1] >= 0);
    close(listener);

    for (int i = 0; i < 2; i++)
        LAB_CHECK(setsockopt(ret[i], IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)) == 0);
}

static void wait_readable(struct pollfd *fds, nfds_t n) {
    uint64_t end_us = clock_us() + spin_us;

    while (spin_us && clock_us() < end_us) {
        if (poll(fds, n, 0) > 0)
            return;
        sched_yield();
    }
    poll(fds, n, -1);
}

static void write_all(int fd, const char *data, size_t len) {
    while (len) {
        ssize_t n = write(fd, data, len);

        if (n < 0 && errno == EINTR)
            continue;
        LAB_CHECK(n > 0);
        data += n;
        len -= (size_t)n;
    }
}

static size_t read_some(int fd, char *to, size_t len) {
    ssize_t n;

    if (spin_us)
        wait_readable(&(struct pollfd){.fd = fd, .events = POLLIN}, 1);
    do
        n = read(fd, to, len);
    while (n < 0 && errno == EINTR);
    LAB_CHECK(n > 0);
    return (size_t)n;
}

static void read_all(int fd, char *to, size_t len) {
    while (len) {
        size_t n = read_some(fd, to, len);

        to += n;
        len -= n;
    }
}

/* Echoes bytes, without regard to the boundaries of messages. */
static _Noreturn void echo(int fd) {
    static char buffer[CHUNK];

    for (;;)
        write_all(fd, buffer, read_some(fd, buffer, sizeof(buffer)));
}

static _Noreturn void relay(int front, int back) {
    static char buffer[CHUNK];
    struct pollfd fds[2] = {{.fd = front, .events = POLLIN}, {.fd = back, .events = POLLIN}};

    for (;;) {
        wait_readable(fds, 2);
        for (int i = 0; i < 2; i++)
            if (fds[i].revents)
                write_all(fds[1 - i].fd, buffer, read_some(fds[i].fd, buffer, sizeof(buffer)));
    }
}

/* Returns the client's end. */
static int start_server(bool hop) {
    int front[2], back[2];

    tcp_pair(front);
    if (!hop) {
        if (lab_fork() == 0)
            echo(front[1]);
        return front[0];
    }

    tcp_pair(back);
    if (lab_fork() == 0)
        relay(front[1], back[0]);
    if (lab_fork() == 0)
        echo(back[1]);
    return front[0];
}

static void run_calls(const LabArgs *args, bool hop) {
    static char buffer[CHUNK];
    char *requests = calloc(args->window, args->size);
    int fd = start_server(hop);
    size_t n_bytes = 0;
    LabMeter meter;

    LAB_CHECK(requests);
    lab_meter_start(&meter, args);
    write_all(fd, requests, args->window * args->size);
    for (;;) {
        size_t n_done;

        n_bytes += read_some(fd, buffer, sizeof(buffer));
        n_done = n_bytes / args->size;
        n_bytes %= args->size;
        if (lab_meter_add(&meter, n_done))
            break;
        write_all(fd, requests, n_done * args->size);
    }
    lab_meter_report(&meter);
}

typedef struct Caller {
    int fd;
    const LabArgs *args;
} Caller;

static int call(void *ctx) {
    Caller *caller = ctx;

    write_all(caller->fd, caller->args->payload, caller->args->size);
    read_all(caller->fd, caller->args->payload, caller->args->size);
    return 0;
}

static void run_latency(const LabArgs *args, bool hop, uint64_t spin) {
    Caller caller = {.args = args};

    spin_us = spin;
    caller.fd = start_server(hop);
    lab_measure_latency(args, call, &caller);
}

static void calls_direct(const LabArgs *args) {
    run_calls(args, false);
}

static void calls_hop(const LabArgs *args) {
    run_calls(args, true);
}

static void latency_direct(const LabArgs *args) {
    run_latency(args, false, 0);
}

static void latency_hop(const LabArgs *args) {
    run_latency(args, true, 0);
}

static void latency_direct_spin(const LabArgs *args) {
    run_latency(args, false, SPIN_US);
}

static void latency_hop_spin(const LabArgs *args) {
    run_latency(args, true, SPIN_US);
}

/* ---- a disk ---- */

typedef struct Log {
    const LabArgs *args;
    int fd;
    off_t at;
} Log;

static int append(void *ctx) {
    Log *log = ctx;
    ssize_t n = pwrite(log->fd, log->args->payload, log->args->size, log->at);

    log->at += n;
    return n == (ssize_t)log->args->size && fdatasync(log->fd) == 0 ? 0 : -1;
}

/* A log with preallocated blocks, in the folder in which the servers have their files. */
static void flush(const LabArgs *args) {
    char path[] = "/tmp/ferry-bench-XXXXXX";
    Log log = {.args = args, .fd = mkstemp(path)};

    LAB_CHECK(log.fd >= 0 && unlink(path) == 0);
    LAB_CHECK(posix_fallocate(log.fd, 0, 16 << 20) == 0);
    lab_measure_latency(args, append, &log);
}

int main(int argc, char **argv) {
    static const LabRow rows[] = {
        {"calls", "direct", calls_direct},
        {"calls", "hop", calls_hop},
        {"latency", "direct", latency_direct},
        {"latency", "direct-spin", latency_direct_spin},
        {"latency", "hop", latency_hop},
        {"latency", "hop-spin", latency_hop_spin},
        {"flush", "flush", flush},
        {0},
    };

    return lab_main(argc, argv, rows);
}

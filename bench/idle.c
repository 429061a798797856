/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures many idle connections beside some active callers: bench-idle [CONNECTIONS [SECONDS]].
 * Prints the broker's resident memory for one idle connection, and how long the calls take without
 * and with these connections. FERRY_TEST_BROKER names the broker's program.
 *
 * Two processes hold the connections. Each connection has a session and answers the broker's PINGs,
 * as any client of ZMTP 3.1 does. 100 clients make a call each 50 ms, from a process of their own,
 * to a server in another one.
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ferry/ferry.h>

#include "base/clock.h"
#include "support/faults.h"
#include "support/raw-peer.h"
#include "support/roles.h"

enum {
    HOLDERS = 2,
    CONNECTIONS = 20000,
    SECONDS = 5,
    CALLERS = 100,
    PAUSE_MS = 50,
    SAMPLES_MAX = 1 << 20,
    PING_SIZE = 9,
    RESERVE = 200, /* descriptors that stay free for other uses */
};

/* ---- the processes beside the broker ---- */

static void answer_pings(int fd) {
    static const uint8_t pong[] = {4, 5, 4, 'P', 'O', 'N', 'G'};
    uint8_t bytes[PING_SIZE * 16];
    ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);

    for (; n >= PING_SIZE; n -= PING_SIZE)
        send(fd, pong, sizeof(pong), MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* idle PORT N */
static int hold(int argc, char **argv) {
    uint16_t port = (uint16_t)atoi(argv[0]);
    int epoll_fd = epoll_create1(0), n = atoi(argv[1]);
    struct epoll_event events[256];

    (void)argc;
    for (int i = 0; i < n; i++) {
        int fd = raw_session(port, 1 << 20);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

        if (fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
            return 1;
        /* The first ones get PINGs while the others connect. */
        for (int k = i % 64 == 0 ? epoll_wait(epoll_fd, events, 256, 0) : 0; k > 0; k--)
            answer_pings(events[k - 1].data.fd);
    }
    tell("ready 0");
    for (;;) /* until it is killed */
        for (int k = epoll_wait(epoll_fd, events, 256, -1); k > 0; k--)
            answer_pings(events[k - 1].data.fd);
}

typedef struct Caller {
    ferry_client *client;
    uint64_t next_us, started_us; /* started_us 0: no call is in flight */
} Caller;

static uint32_t samples[SAMPLES_MAX]; /* microseconds */
static size_t n_samples, n_failed;

static void on_reply(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    Caller *caller = ctx;

    (void)reply;
    n_failed += error != NULL;
    if (n_samples < SAMPLES_MAX)
        samples[n_samples++] = (uint32_t)(clock_us() - caller->started_us);
    caller->started_us = 0;
}

static int by_size(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static void call_for(Caller callers[CALLERS], int epoll_fd, uint64_t seconds) {
    uint64_t until_us = clock_us() + seconds * 1000000;

    n_samples = n_failed = 0;
    while (clock_us() < until_us) {
        struct epoll_event events[CALLERS];
        uint64_t now_us = clock_us();
        int n;

        for (int i = 0; i < CALLERS; i++) {
            Caller *caller = &callers[i];

            if (caller->started_us > 0 || now_us < caller->next_us)
                continue;
            caller->next_us = now_us + PAUSE_MS * 1000;
            caller->started_us = clock_us();
            if (ferry_call_async(caller->client, "echo.Echo.say", ferry_str("\xc3"), on_reply,
                                 caller, NULL) < 0)
                caller->started_us = 0;
            ferry_process(caller->client, NULL);
        }
        n = epoll_wait(epoll_fd, events, CALLERS, 1);
        for (int i = 0; i < n; i++)
            ferry_process(((Caller *)events[i].data.ptr)->client, NULL);
    }
    qsort(samples, n_samples, sizeof(*samples), by_size);
    if (n_samples > 0)
        tell("calls %zu %zu %.3f %.3f %.3f", n_samples, n_failed, samples[n_samples / 2] / 1e3,
             samples[n_samples * 99 / 100] / 1e3, samples[n_samples - 1] / 1e3);
}

/* call URL SECONDS: measures once for each line of input */
static int call(int argc, char **argv) {
    static Caller callers[CALLERS];
    int epoll_fd = epoll_create1(0);

    (void)argc;
    if (epoll_fd < 0)
        return 1;
    for (int i = 0; i < CALLERS; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &callers[i]};

        callers[i].client = open_with(argv[0], NULL);
        callers[i].next_us = clock_us() + (uint64_t)i * PAUSE_MS * 1000 / CALLERS;
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, ferry_fd(callers[i].client), &event);
    }
    for (;;) /* until it is killed */
        call_for(callers, epoll_fd, strtoull(argv[1], NULL, 10));
}

/* ---- figures ---- */

static void print_calls(Process *callers, const char *when) {
    double p50, p99, worst;
    size_t n, failed;
    const char *line = NULL;

    /* The first result belongs to the time before the measurement: skip it. */
    for (int i = 0; i < 2; i++)
        do {
            line = told(callers, 600000);
        } while (line && strncmp(line, "calls ", 6) != 0);
    if (!line || sscanf(line, "calls %zu %zu %lf %lf %lf", &n, &failed, &p50, &p99, &worst) != 5) {
        fprintf(stderr, "the callers have ended\n");
        exit(EXIT_FAILURE);
    }
    printf("%-28s %8zu calls, %zu failed, p50 %.2f ms, p99 %.2f ms, worst %.2f ms\n", when, n,
           failed, p50, p99, worst);
}

static int room_for(int wanted) {
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return wanted;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max >= (rlim_t)wanted + RESERVE)
        return wanted;
    printf("a process may have %lu descriptors: %lu connections instead of %d\n",
           (unsigned long)limit.rlim_max, (unsigned long)limit.rlim_max - RESERVE, wanted);
    return (int)limit.rlim_max - RESERVE;
}

int main(int argc, char **argv) {
    Process server, callers, holders[HOLDERS];
    char seconds[16], port[16], share[16];
    size_t before_kib, after_kib;
    Role all[8] = {{"idle", hold}, {"call", call}};
    int n, n_roles = 2;
    Daemon broker;

    for (const Role *role = usual_roles; role->name && n_roles < 7; role++)
        if (strcmp(role->name, "echo") == 0)
            all[n_roles++] = *role;
    roles_play(argc, argv, all);
    n = room_for(argc > 1 ? atoi(argv[1]) : CONNECTIONS);
    snprintf(seconds, sizeof(seconds), "%d", argc > 2 ? atoi(argv[2]) : SECONDS);
    daemon_start(&broker, &(DaemonOptions){.tcp = true});
    role_start(&server, "echo", broker.url, NULL);
    told(&server, PATIENCE_MS);
    role_start(&callers, "call", broker.url, seconds, NULL);
    print_calls(&callers, "without idle connections");
    before_kib = process_rss_kib(broker.process.pid);
    snprintf(port, sizeof(port), "%u", broker.port);
    snprintf(share, sizeof(share), "%d", n / HOLDERS);
    for (int i = 0; i < HOLDERS; i++)
        role_start(&holders[i], "idle", port, share, NULL);
    for (int i = 0; i < HOLDERS; i++)
        if (!told(&holders[i], 600000)) {
            fprintf(stderr, "a process with idle connections has ended\n");
            return EXIT_FAILURE;
        }
    after_kib = process_rss_kib(broker.process.pid);
    n = n / HOLDERS * HOLDERS;
    printf("%d idle connections: the broker's resident memory grew from %zu to %zu KiB: %.2f KiB "
           "each\n",
           n, before_kib, after_kib, (double)(after_kib - before_kib) / n);
    print_calls(&callers, "beside idle connections");
    for (int i = 0; i < HOLDERS; i++)
        process_end(&holders[i], SIGKILL, PATIENCE_MS);
    process_end(&callers, SIGKILL, PATIENCE_MS);
    process_end(&server, SIGKILL, PATIENCE_MS);
    daemon_end(&broker);
    return EXIT_SUCCESS;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A name server for a test. See fake-dns.h. */

#include "support/fake-dns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/sandbox.h"

enum { PORT = 53, HEAD = 12, PACKET_MAX = 512, WAITING_MAX = 16, LOOK_US = 2000 };
enum { TYPE_A = 1, TYPE_AAAA = 28, REFUSED_NAME = 3 };

typedef struct Answer {
    uint64_t due_ms;
    struct sockaddr_in to;
    size_t len; /* 0: this element is free */
    uint8_t bytes[PACKET_MAX];
} Answer;

static int server;
static Answer waiting[WAITING_MAX];

/* Reads the name of a question, such as "a.test". Returns its bytes in the question, or 0. */
static size_t read_name(const uint8_t *at, size_t len, char *to) {
    size_t n = 0;

    while (n < len && at[n] != 0) {
        if (n + 1 + at[n] >= len)
            return 0;
        memcpy(to + n, at + n + 1, at[n]);
        to[n + at[n]] = '.';
        n += 1 + (size_t)at[n];
    }
    to[n > 0 ? n - 1 : 0] = '\0';
    return n < len ? n + 1 : 0;
}

/* The address for a name. Returns its length; 0: the name has no address of this type; -1: the name
 * does not exist. */
static int address_of(const char *name, unsigned type, uint8_t to[16]) {
    static const uint8_t six[16] = {[15] = 1}, four[4] = {127, 0, 0, 1};
    bool has_six = strcmp(name, "six.test") == 0 || strcmp(name, "both.test") == 0;
    bool has_four = strcmp(name, "four.test") == 0 || strcmp(name, "both.test") == 0 ||
                    strncmp(name, "after-", 6) == 0;

    if (!has_six && !has_four)
        return -1;
    if (type == TYPE_AAAA && has_six) {
        memcpy(to, six, 16);
        return 16;
    }
    if (type == TYPE_A && has_four) {
        memcpy(to, four, 4);
        return 4;
    }
    return 0;
}

/* Turns a question into its answer. Returns its length; 0: do not answer. */
static size_t answer(uint8_t *bytes, size_t len, unsigned *ret_after_ms) {
    char name[PACKET_MAX] = "";
    size_t n = len > HEAD ? read_name(bytes + HEAD, len - HEAD, name) : 0, end = HEAD + n + 4;
    uint8_t address[16];
    int size;

    if (n == 0 || end + 12 + 16 > PACKET_MAX || end > len || strcmp(name, "never.test") == 0)
        return 0;
    *ret_after_ms = strncmp(name, "after-", 6) == 0 ? (unsigned)atoi(name + 6) : 0;
    size = address_of(name, bytes[end - 3], address);
    bytes[2] = 0x84; /* an authoritative answer */
    bytes[3] = size < 0 ? REFUSED_NAME : 0;
    memset(bytes + 6, 0, 6);
    if (size <= 0)
        return end;
    bytes[7] = 1;
    /* The name of the question, its type and class, valid for a minute. */
    memcpy(bytes + end, "\xc0\x0c\0\0\0\1\0\0\0\x3c\0", 11);
    bytes[end + 3] = bytes[end - 3];
    bytes[end + 11] = (uint8_t)size;
    memcpy(bytes + end + 12, address, (size_t)size);
    return end + 12 + (size_t)size;
}

static void take_question(void) {
    struct sockaddr_in from;
    socklen_t size = sizeof(from);
    uint8_t bytes[PACKET_MAX];
    ssize_t n =
        recvfrom(server, bytes, sizeof(bytes), MSG_DONTWAIT, (struct sockaddr *)&from, &size);
    unsigned after_ms = 0;
    size_t len = n > 0 ? answer(bytes, (size_t)n, &after_ms) : 0;

    for (int i = 0; i < WAITING_MAX && len > 0; i++) {
        if (waiting[i].len > 0)
            continue;
        waiting[i] = (Answer){.due_ms = clock_ms() + after_ms, .to = from, .len = len};
        memcpy(waiting[i].bytes, bytes, len);
        len = 0;
    }
}

static void *serve(void *arg) {
    (void)arg;
    for (;;) {
        take_question();
        for (int i = 0; i < WAITING_MAX; i++) {
            Answer *one = &waiting[i];

            if (one->len == 0 || clock_ms() < one->due_ms)
                continue;
            sendto(server, one->bytes, one->len, 0, (struct sockaddr *)&one->to, sizeof(one->to));
            one->len = 0;
        }
        usleep(LOOK_US);
    }
    return NULL;
}

static void replace_file(const char *path, const char *text) {
    char mine[] = "/tmp/ferry-test-file-XXXXXX";
    int fd = mkstemp(mine);

    if (fd < 0 || !write_file(mine, text) || mount(mine, path, NULL, MS_BIND, NULL) < 0)
        skip("%s cannot be replaced: %s", path, strerror(errno));
    close(fd);
    unlink(mine);
}

void fake_dns_start(void) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(PORT)};
    struct ifreq up = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    pthread_t thread;

    sandbox_enter(CLONE_NEWNET | CLONE_NEWNS);
    /* The following mounts must not affect the system's own mounts. */
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        skip("mounts cannot be made private: %s", strerror(errno));
    replace_file("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:30 attempts:5\n");
    if (access("/etc/nsswitch.conf", F_OK) == 0)
        replace_file("/etc/nsswitch.conf", "hosts: files dns\n");
    server = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (server < 0 || ioctl(server, SIOCSIFFLAGS, &up) < 0 ||
        bind(server, (struct sockaddr *)&address, sizeof(address)) < 0)
        skip("no name server on port %d: %s", PORT, strerror(errno));
    if (pthread_create(&thread, NULL, serve, NULL) != 0)
        skip("no thread");
    pthread_detach(thread);
}

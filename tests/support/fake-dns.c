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

enum { PORT = 53, HEAD = 12, PACKET_MAX = 4096, WAITING_MAX = 16, LOOK_US = 2000, NAMES_MAX = 40 };
enum { TYPE_A = 1, TYPE_AAAA = 28, TYPE_SRV = 33, REFUSED_NAME = 3 };

typedef struct Answer {
    uint64_t due_ms;
    struct sockaddr_in to;
    size_t len; /* 0: this element is free */
    uint8_t bytes[PACKET_MAX];
} Answer;

/* A name with its records as text, see fake_dns_set(). */
typedef struct Name {
    char name[80], records[1024];
    unsigned n_asked;
} Name;

static int server;
static Answer waiting[WAITING_MAX];
static Name names[NAMES_MAX] = {
    {"six.test", "::1", 0}, {"four.test", "127.0.0.1", 0}, {"both.test", "::1 127.0.0.1", 0}};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* NULL: it is not known, and there is no place for it. Needs the lock. */
static Name *name_of(const char *name) {
    Name *to = names;

    while (to < names + NAMES_MAX && *to->name && strcmp(to->name, name) != 0)
        to++;
    if (to == names + NAMES_MAX)
        return NULL;
    snprintf(to->name, sizeof(to->name), "%s", name);
    return to;
}

void fake_dns_set(const char *name, const char *records) {
    Name *to;

    pthread_mutex_lock(&lock);
    to = name_of(name);
    if (to)
        snprintf(to->records, sizeof(to->records), "%s", records ? records : "");
    pthread_mutex_unlock(&lock);
}

unsigned fake_dns_asked(const char *name) {
    unsigned n;
    Name *to;

    pthread_mutex_lock(&lock);
    to = name_of(name);
    n = to ? to->n_asked : 0;
    pthread_mutex_unlock(&lock);
    return n;
}

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

static size_t put_number(uint8_t *to, unsigned number) {
    to[0] = (uint8_t)(number >> 8);
    to[1] = (uint8_t)number;
    return 2;
}

static size_t put_name(uint8_t *to, const char *name) {
    size_t n = 0;

    for (size_t len; *name && strcmp(name, ".") != 0; name += len + (name[len] == '.')) {
        len = strcspn(name, ".");
        to[n++] = (uint8_t)len;
        memcpy(to + n, name, len);
        n += len;
    }
    to[n++] = 0;
    return n;
}

/* The data of a record of this type. Returns its length; 0: the text is of another type. */
static size_t put_data(uint8_t *to, unsigned type, const char *text) {
    unsigned priority, weight, port;
    char target[300];
    size_t n;

    if (type == TYPE_A)
        return inet_pton(AF_INET, text, to) == 1 ? 4 : 0;
    if (type == TYPE_AAAA)
        return inet_pton(AF_INET6, text, to) == 1 ? 16 : 0;
    if (type != TYPE_SRV || sscanf(text, "%u %u %u %299s", &priority, &weight, &port, target) != 4)
        return 0;
    n = put_number(to, priority);
    n += put_number(to + n, weight);
    n += put_number(to + n, port);
    return n + put_name(to + n, target);
}

/* Adds a record for each text that fits the type. Returns the new length. */
static size_t put_records(uint8_t *bytes, size_t end, unsigned type, const char *records) {
    char text[sizeof(names->records)], *rest = text, *one;

    snprintf(text, sizeof(text), "%s", records);
    while ((one = strsep(&rest, type == TYPE_SRV ? ";" : " ")) && end + 400 < PACKET_MAX) {
        size_t n = put_data(bytes + end + 12, type, one);

        if (n == 0)
            continue;
        /* The name of the question, its type and class, valid for a minute. */
        memcpy(bytes + end, "\xc0\x0c\0\0\0\1\0\0\0\x3c\0", 11);
        bytes[end + 3] = (uint8_t)type;
        bytes[end + 11] = (uint8_t)n;
        end += 12 + n;
        bytes[7]++;
    }
    return end;
}

/* The records of a name. False: the name does not exist. */
static bool find_records(const char *name, char to[sizeof(names->records)]) {
    Name *found;

    pthread_mutex_lock(&lock);
    found = name_of(name);
    if (found)
        found->n_asked++;
    snprintf(to, sizeof(found->records), "%s",
             strncmp(name, "after-", 6) == 0 ? "127.0.0.1"
             : found                         ? found->records
                                             : "");
    pthread_mutex_unlock(&lock);
    return *to;
}

/* Turns a question into its answer. Returns its length; 0: do not answer. */
static size_t answer(uint8_t *bytes, size_t len, unsigned *ret_after_ms) {
    char name[PACKET_MAX] = "", records[sizeof(names->records)];
    size_t n = len > HEAD ? read_name(bytes + HEAD, len - HEAD, name) : 0, end = HEAD + n + 4;
    bool is_known;

    if (n == 0 || end > len || strstr(name, "never.test"))
        return 0;
    *ret_after_ms = strncmp(name, "after-", 6) == 0 ? (unsigned)atoi(name + 6) : 0;
    is_known = find_records(name, records);
    bytes[2] = 0x84; /* an authoritative answer */
    bytes[3] = is_known ? 0 : REFUSED_NAME;
    memset(bytes + 6, 0, 6);
    return put_records(bytes, end, bytes[end - 3], records);
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

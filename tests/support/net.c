/* SPDX-License-Identifier: Apache-2.0 */
/* Two machines and the line between them. See net.h. */

#include "support/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/random.h"
#include "support/sandbox.h"

enum { MTU = 1500, PACKETS = 1024, LOOK_MS = 5 };

typedef struct Packet {
    uint64_t due_us;
    ssize_t len;
    uint8_t bytes[MTU];
} Packet;

/* One direction of the line: a ring of packets. Each packet is due no sooner than the packet before
 * it. */
typedef struct Way {
    Packet packets[PACKETS];
    size_t first, n;
    uint64_t last_due_us, n_sent, n_lost;
} Way;

struct Net {
    pthread_t thread;
    pthread_mutex_t lock;
    bool stop;
    int namespaces[2], devices[2]; /* namespaces and devices of each side */
    Way ways[2];                   /* packets from each side */
    Weather weather;
    Dice dice;
};

static const char *const addresses[] = {NET_NEAR, NET_FAR};

/* ---- devices ---- */

static void set_address(int fd, struct ifreq *request, unsigned long what, const char *address) {
    struct sockaddr_in in = {.sin_family = AF_INET};

    inet_pton(AF_INET, address, &in.sin_addr);
    memcpy(&request->ifr_addr, &in, sizeof(in));
    if (ioctl(fd, what, request) < 0)
        skip("the address of a TUN device cannot be set: %s", strerror(errno));
}

static void raise_device(int fd, const char *name) {
    struct ifreq request = {.ifr_flags = IFF_UP};

    strcpy(request.ifr_name, name);
    if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        skip("the device %s does not come up: %s", name, strerror(errno));
}

/* Opens loopback, and a device that leads to the other side, in the current namespace. */
static int device_open(Side side) {
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI, .ifr_name = "line0"};
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || any < 0 || ioctl(fd, TUNSETIFF, &request) < 0)
        skip("no TUN device: %s", strerror(errno));
    set_address(any, &request, SIOCSIFADDR, addresses[side]);
    set_address(any, &request, SIOCSIFDSTADDR, addresses[1 - side]);
    raise_device(any, "line0");
    raise_device(any, "lo");
    close(any);
    return fd;
}

/* ---- the line ---- */

static void take(Net *net, Side side) {
    const Weather *weather = &net->weather;
    Way *way = &net->ways[side];
    uint8_t bytes[MTU];
    ssize_t len;

    while ((len = read(net->devices[side], bytes, sizeof(bytes))) > 0) {
        uint64_t due_us = clock_us() + weather->delay_ms * UINT64_C(1000);
        Packet *packet = &way->packets[(way->first + way->n) % PACKETS];

        way->n_sent++;
        if (way->n == PACKETS || dice_below(&net->dice, 1000) < weather->loss[side]) {
            way->n_lost++;
            continue;
        }
        if (weather->jitter_ms > 0)
            due_us += dice_below(&net->dice, weather->jitter_ms * UINT64_C(1000));
        if (due_us < way->last_due_us)
            due_us = way->last_due_us;
        if (weather->kbit > 0)
            due_us += (uint64_t)len * 8000 / weather->kbit;
        way->last_due_us = packet->due_us = due_us;
        packet->len = len;
        memcpy(packet->bytes, bytes, (size_t)len);
        way->n++;
    }
}

/* Returns the time until the next packet is due, in microseconds. */
static uint64_t deliver(Net *net, Side from, uint64_t now_us) {
    Way *way = &net->ways[from];

    while (way->n > 0) {
        Packet *packet = &way->packets[way->first];

        if (packet->due_us > now_us)
            return packet->due_us - now_us;
        if (write(net->devices[1 - from], packet->bytes, (size_t)packet->len) < 0)
            way->n_lost++;
        way->first = (way->first + 1) % PACKETS;
        way->n--;
    }
    way->first = 0; /* reuse the first elements: memory that is never used takes no pages */
    return LOOK_MS * 1000;
}

static void *carry(void *arg) {
    Net *net = arg;

    pthread_mutex_lock(&net->lock);
    while (!net->stop) {
        struct pollfd fds[] = {{net->devices[NEAR], POLLIN, 0}, {net->devices[FAR], POLLIN, 0}};
        uint64_t now_us, near_us, far_us;
        struct timespec wait = {0};

        take(net, NEAR);
        take(net, FAR);
        now_us = clock_us();
        near_us = deliver(net, NEAR, now_us);
        far_us = deliver(net, FAR, now_us);
        near_us = near_us < far_us ? near_us : far_us;
        wait.tv_nsec = (long)(near_us < LOOK_MS * 1000 ? near_us : LOOK_MS * 1000) * 1000;
        pthread_mutex_unlock(&net->lock);
        ppoll(fds, 2, &wait, NULL);
        pthread_mutex_lock(&net->lock);
    }
    pthread_mutex_unlock(&net->lock);
    return NULL;
}

/* ---- for tests ---- */

Net *net_start(uint64_t seed) {
    Net *net = calloc(1, sizeof(*net));

    if (!net)
        skip("out of memory");
    for (Side side = NEAR; side <= FAR; side++) {
        sandbox_enter(CLONE_NEWNET);
        net->devices[side] = device_open(side);
        net->namespaces[side] = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
        if (net->namespaces[side] < 0)
            skip("no namespace: %s", strerror(errno));
    }
    net_enter(net, NEAR);
    net->dice = dice_of(seed);
    pthread_mutex_init(&net->lock, NULL);
    pthread_create(&net->thread, NULL, carry, net);
    return net;
}

Net *net_stop(Net *net) {
    pthread_mutex_lock(&net->lock);
    net->stop = true;
    pthread_mutex_unlock(&net->lock);
    pthread_join(net->thread, NULL);
    for (Side side = NEAR; side <= FAR; side++) {
        close(net->devices[side]);
        close(net->namespaces[side]);
    }
    pthread_mutex_destroy(&net->lock);
    free(net);
    return NULL;
}

void net_enter(Net *net, Side side) {
    if (setns(net->namespaces[side], CLONE_NEWNET) < 0)
        skip("a namespace cannot be entered: %s", strerror(errno));
}

void net_weather(Net *net, const Weather *weather) {
    pthread_mutex_lock(&net->lock);
    net->weather = *weather;
    pthread_mutex_unlock(&net->lock);
}

void net_cut(Net *net) {
    net_weather(net, &(Weather){.loss = {1000, 1000}});
}

static uint64_t count(const Net *net, const uint64_t *n) {
    Net *mine = (Net *)(uintptr_t)net;
    uint64_t value;

    pthread_mutex_lock(&mine->lock);
    value = *n;
    pthread_mutex_unlock(&mine->lock);
    return value;
}

uint64_t net_n_sent(const Net *net, Side side) {
    return count(net, &net->ways[side].n_sent);
}

uint64_t net_n_lost(const Net *net, Side side) {
    return count(net, &net->ways[side].n_lost);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The members of a client of several brokers: their life and their turns. See brokers.h. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/random.h"
#include "clients/c/brokers/brokers.h"
#include "clients/c/core/client.h"
#include "clients/c/core/loop.h"

struct Brokers {
    ferry_options options; /* of the members */
    char *name, *key_file, *server_key;
    uint8_t group[WIRE_TOKEN]; /* the same in the HELLO of the leader and of all members */
    int epoll_fd;              /* epoll set: the descriptors of the members */
    Core *members[BROKERS_MAX];
};

/* ---- the leader ---- */

static int copy_text(char **to, const char *text) {
    if (!text)
        return 0;
    *to = strdup(text);
    return *to ? 0 : -ENOMEM;
}

static void deinit(Core *leader) {
    struct Brokers *brokers = leader->brokers;

    leader->brokers = NULL;
    if (!brokers)
        return;
    if (brokers->epoll_fd >= 0)
        close(brokers->epoll_fd);
    free(brokers->name);
    free(brokers->key_file);
    free(brokers->server_key);
    free(brokers);
}

/* The options of the leader that are used by ferry_open() only: handles have the other ones. */
static int open_leader(Core *leader, const ferry_options *options) {
    static const ferry_options none;
    struct Brokers *brokers;

    if (link_n_brokers(leader->link) < 2)
        return 0;
    brokers = calloc(1, sizeof(*brokers));
    if (!brokers)
        return -ENOMEM;
    leader->brokers = brokers;
    brokers->epoll_fd = -1;
    if (!options)
        options = &none;
    if (copy_text(&brokers->name, options->name) < 0 ||
        copy_text(&brokers->key_file, options->key_file) < 0 ||
        copy_text(&brokers->server_key, options->server_key) < 0)
        return -ENOMEM;
    brokers->options = (ferry_options){.name = brokers->name,
                                       .key_file = brokers->key_file,
                                       .server_key = brokers->server_key,
                                       .on_event = options->on_event,
                                       .ctx = options->ctx};
    random_bytes(brokers->group, sizeof(brokers->group));
    return 0;
}

static void hello(Core *core, Message *message, Buffer *buffer) {
    const struct Brokers *brokers = core->leader ? core->leader->brokers : core->brokers;

    (void)buffer;
    if (brokers)
        message->hello.group = span_of(brokers->group, WIRE_TOKEN);
}

/* ---- the members ---- */

static void watch(Core *leader) {
    struct epoll_event event = {.events = EPOLLIN};

    if (!leader->brokers || leader->brokers->epoll_fd < 0 || !leader->loop_mode)
        return;
    event.data.fd = leader->brokers->epoll_fd;
    /* If this fails, the members run in the next turn of the leader, whatever starts it. */
    if (epoll_ctl(link_epoll_fd(leader->link), EPOLL_CTL_ADD, event.data.fd, &event) < 0)
        return;
}

static void close_members(Core *leader) {
    while (leader->n_members > 0)
        ferry_close(&leader->members[--leader->n_members]->main);
}

static int open_member(Core *leader, unsigned i, ferry_error *reterr) {
    struct Brokers *brokers = leader->brokers;
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
    ferry_options options = brokers->options;
    const ferry_client *main = &leader->main;
    ferry_client *client = NULL;
    int r;

    options.timeout_ms = main->timeout_ms;
    options.cache = main->cache;
    options.trace = main->trace;
    if (main->interceptor.before || main->interceptor.after)
        options.interceptor = &main->interceptor;
    r = client_open_member(leader, link_broker(leader->link, i), &options, &client, reterr);
    if (r < 0)
        return r;
    brokers->members[leader->n_members++] = client->core;
    r = ferry_fd(client);
    if (r >= 0 && epoll_ctl(brokers->epoll_fd, EPOLL_CTL_ADD, r, &event) < 0)
        r = -errno;
    return r < 0 ? error_set_code(reterr, r, NULL) : 0;
}

int brokers_open_members(Core *leader, ferry_error *reterr) {
    struct Brokers *brokers = leader->brokers;
    int r = 0;

    if (leader->n_members > 0)
        return 0;
    if (brokers->epoll_fd < 0) {
        brokers->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        r = brokers->epoll_fd < 0 ? -errno : core_watch(leader, brokers->epoll_fd);
        if (r < 0)
            return error_set_code(reterr, r, NULL);
        watch(leader);
    }
    leader->members = brokers->members;
    for (unsigned i = 0; i < link_n_brokers(leader->link) && r == 0; i++)
        r = open_member(leader, i, reterr);
    if (r < 0)
        close_members(leader);
    return r;
}

/* ---- turns ---- */

static bool run(Core *leader) {
    struct epoll_event ready[BROKERS_MAX];
    bool busy = false;
    int n;

    if (leader->n_members == 0)
        return false;
    n = epoll_wait(leader->brokers->epoll_fd, ready, BROKERS_MAX, 0);
    for (int i = 0; i < n && !leader->closed; i++)
        busy |= core_turn(leader->members[ready[i].data.u32]);
    return busy;
}

const Part brokers_part = {
    .open = open_leader,
    .free = deinit,
    .hello = hello,
    .run = run,
    .watch = watch,
    .stop = close_members,
};

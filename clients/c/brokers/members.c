/* SPDX-License-Identifier: Apache-2.0 */
/* The members of a client of several brokers: their life and their turns. See brokers.h. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/random.h"
#include "base/text.h"
#include "clients/c/brokers/brokers.h"
#include "clients/c/core/client.h"
#include "clients/c/core/loop.h"

struct Brokers {
    ferry_options options; /* of the members */
    char *name, *key_file, *server_key;
    uint8_t group[WIRE_TOKEN]; /* the same in the HELLO of the leader and of all members */
    int epoll_fd;              /* epoll set: the descriptors of the members */
    Core *members[BROKERS_MAX];
    uint8_t ids[BROKERS_MAX][WIRE_TOKEN]; /* of the brokers that the members use */
    bool is_twin[BROKERS_MAX];            /* the member's broker has another member */
    char cluster[64];                     /* of the first broker that has one */
    char mixed[512];   /* another one belongs to another cluster; empty: all belong to one */
    char problem[512]; /* see refuses() */
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

/* ---- which brokers ---- */

/* Two URLs that lead to one broker: one session is enough. */
static const char *twin_of(Core *member, const Message *welcome) {
    Core *leader = member->leader;
    struct Brokers *brokers = leader->brokers;
    unsigned at = 0;

    while (at < leader->n_members && brokers->members[at] != member)
        at++;
    if (at == leader->n_members)
        return NULL;
    for (unsigned i = 0; i < leader->n_members; i++)
        if (i != at && brokers->members[i]->is_up &&
            memcmp(brokers->ids[i], welcome->welcome.broker.data, WIRE_TOKEN) == 0) {
            snprintf(brokers->problem, sizeof(brokers->problem),
                     "it is the same broker as %s, which the client uses already",
                     link_broker(leader->link, i));
            brokers->is_twin[at] = true;
            return brokers->problem;
        }
    memcpy(brokers->ids[at], welcome->welcome.broker.data, WIRE_TOKEN);
    return NULL;
}

static const char *refuses(Core *core, const Message *welcome, Span cluster) {
    struct Brokers *brokers = core->leader ? core->leader->brokers : core->brokers;

    if (!brokers)
        return NULL;
    if (cluster.len > 0 && cluster.len < sizeof(brokers->cluster)) {
        if (!*brokers->cluster)
            memcpy(brokers->cluster, cluster.data, cluster.len);
        if (!span_is(cluster, brokers->cluster)) {
            char shown[TEXT_ESCAPED_MAX];

            snprintf(brokers->mixed, sizeof(brokers->mixed),
                     "it belongs to the cluster '%s', and another broker of the URL to '%s': a URL "
                     "lists brokers of one cluster",
                     text_escape(shown, (const char *)cluster.data, cluster.len), brokers->cluster);
            return brokers->mixed;
        }
    }
    return core->leader ? twin_of(core, welcome) : NULL;
}

bool brokers_is_twin(const Core *leader, unsigned member) {
    return leader->brokers->is_twin[member];
}

const char *brokers_mixed(const Core *leader) {
    return *leader->brokers->mixed ? leader->brokers->mixed : NULL;
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
    .refuses = refuses,
    .run = run,
    .watch = watch,
    .stop = close_members,
};

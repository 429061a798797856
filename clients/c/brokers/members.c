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
#include "clients/c/core/session.h"

/* The leader keeps one for each member, with the same index. */
typedef struct MemberInfo {
    char *url;
    uint8_t id[WIRE_TOKEN]; /* of its broker */
    bool is_twin;           /* closed: its broker has another member */
    bool is_gone; /* the broker has left the list; the member lasts as long as its session */
} MemberInfo;

enum { ASK_AGAIN_MS = 30000 }; /* a broker that refused the client */

struct Brokers {
    ferry_options options; /* of the members */
    char *name, *key_file, *server_key;
    uint8_t group[WIRE_TOKEN]; /* the same in the HELLO of the leader and of all members */
    int epoll_fd;              /* epoll set: the descriptors of the members */
    Core *members[BROKERS_MAX];
    MemberInfo each[BROKERS_MAX];
    unsigned n_lists;  /* the last list of brokers that the members follow */
    Timer again;       /* after ASK_AGAIN_MS it sets asks_again */
    bool asks_again;   /* the next turn opens the members again whose brokers refused the client */
    char cluster[64];  /* of the first broker that has one */
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
    timer_disarm(&leader->timers, &brokers->again);
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

    if (link_n_brokers(leader->link) < 2 && !link_finds_brokers(leader->link))
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

static unsigned index_of(const Core *member) {
    const Core *leader = member->leader;
    unsigned at = 0;

    while (at < leader->n_members && leader->members[at] != member)
        at++;
    return at;
}

/* Another member that has a session with the same broker; n_members: no other one. */
static unsigned find_twin(const Core *leader, unsigned at, const uint8_t id[WIRE_TOKEN]) {
    unsigned i = 0;

    while (i < leader->n_members && (i == at || !leader->members[i]->is_up ||
                                     memcmp(leader->brokers->each[i].id, id, WIRE_TOKEN) != 0))
        i++;
    return i;
}

/* Two URLs that lead to one broker: one session is enough. Two addresses of a name often belong to
 * one broker, so they cause no event. */
static const char *twin_of(Core *core, const Message *welcome) {
    const Core *leader = core->leader;
    struct Brokers *brokers = leader->brokers;
    unsigned at = index_of(core), twin;
    MemberInfo *member = &brokers->each[at];

    if (at == leader->n_members)
        return NULL;
    memcpy(member->id, welcome->welcome.broker.data, WIRE_TOKEN);
    twin = find_twin(leader, at, member->id);
    member->is_twin = twin < leader->n_members;
    if (!member->is_twin)
        return NULL;
    core->is_quiet = link_finds_brokers(leader->link);
    snprintf(brokers->problem, sizeof(brokers->problem),
             "it is the same broker as %s, which the client uses already", brokers->each[twin].url);
    return brokers->problem;
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

bool brokers_is_twin(const Core *member) {
    unsigned at = index_of(member);

    return at < member->leader->n_members && member->leader->brokers->each[at].is_twin;
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

/* Its registrations end, too. */
static void close_member(Core *leader, unsigned i) {
    struct Brokers *brokers = leader->brokers;
    Core *core = leader->members[i];
    unsigned last = --leader->n_members;

    fan_forget(leader, core);
    free(brokers->each[i].url);
    leader->members[i] = leader->members[last];
    brokers->each[i] = brokers->each[last];
    brokers->each[last] = (MemberInfo){0};
    ferry_close(&core->main);
}

static void close_members(Core *leader) {
    while (leader->n_members > 0)
        close_member(leader, leader->n_members - 1);
}

static int open_member(Core *leader, const char *url, ferry_error *reterr) {
    struct Brokers *brokers = leader->brokers;
    struct epoll_event event = {.events = EPOLLIN};
    ferry_options options = brokers->options;
    const ferry_client *main = &leader->main;
    ferry_client *client = NULL;
    char *kept = strdup(url);
    int r = kept ? 0 : error_set_code(reterr, -ENOMEM, NULL);

    options.timeout_ms = main->timeout_ms;
    options.cache = main->cache;
    options.trace = main->trace;
    if (main->interceptor.before || main->interceptor.after)
        options.interceptor = &main->interceptor;
    if (r == 0)
        r = client_open_member(leader, url, &options, &client, reterr);
    if (r < 0) {
        free(kept);
        return r;
    }
    brokers->each[leader->n_members] = (MemberInfo){.url = kept};
    brokers->members[leader->n_members++] = client->core;
    event.data.ptr = client->core;
    r = ferry_fd(client);
    if (r >= 0 && epoll_ctl(brokers->epoll_fd, EPOLL_CTL_ADD, r, &event) < 0)
        r = -errno;
    return r < 0 ? error_set_code(reterr, r, NULL) : 0;
}

/* Waits until the name of the brokers has been looked up. */
static int await_list(const ferry_client *client, ferry_error *reterr) {
    Core *leader = client->core;
    unsigned stops = __atomic_load_n(&leader->stops, __ATOMIC_ACQUIRE);
    uint64_t now_ms = clock_ms();
    uint32_t timeout_ms = client_timeout(client, 0, now_ms);
    uint64_t until_ms = now_ms + (timeout_ms < CONNECT_MS ? timeout_ms : CONNECT_MS);

    while (link_n_brokers(leader->link) == 0 && (now_ms < until_ms || client->wait_for_broker) &&
           __atomic_load_n(&leader->stops, __ATOMIC_ACQUIRE) == stops) {
        core_poll_members(leader, now_ms + STOP_LOOK_MS);
        now_ms = clock_ms();
    }
    return link_n_brokers(leader->link) > 0 ? 0 : session_missing(leader, reterr);
}

int brokers_open_members(const ferry_client *client, ferry_error *reterr) {
    Core *leader = client->core;
    struct Brokers *brokers = leader->brokers;
    int r = 0;

    if (leader->n_members > 0)
        return 0;
    if (link_finds_brokers(leader->link))
        r = await_list(client, reterr);
    if (r < 0)
        return r;
    if (brokers->epoll_fd < 0) {
        brokers->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        r = brokers->epoll_fd < 0 ? -errno : core_watch(leader, brokers->epoll_fd);
        if (r < 0)
            return error_set_code(reterr, r, NULL);
        watch(leader);
    }
    leader->members = brokers->members;
    brokers->n_lists = link_n_lists(leader->link);
    link_keep_list(leader->link);
    for (unsigned i = 0; i < link_n_brokers(leader->link) && r == 0; i++)
        r = open_member(leader, link_broker(leader->link, i), reterr);
    if (r < 0)
        close_members(leader);
    return r;
}

/* ---- lists that change ---- */

static bool has_member(const Core *leader, const char *url) {
    for (unsigned i = 0; i < leader->n_members; i++)
        if (strcmp(leader->brokers->each[i].url, url) == 0)
            return true;
    return false;
}

static bool is_listed(const Core *leader, const char *url) {
    for (unsigned i = 0; i < link_n_brokers(leader->link); i++)
        if (strcmp(link_broker(leader->link, i), url) == 0)
            return true;
    return false;
}

/* The other members have a copy of each registration, so one of them must stay. Direct calls of
 * all members arrive at one of them. */
static bool can_close(const Core *leader, unsigned i) {
    return leader->n_members > 1 && !leader->members[i]->is_up && !leader->members[i]->has_endpoint;
}

/* If the member fails, the next list gives it another chance. */
static void add_member(Core *leader, const char *url) {
    if (leader->n_members == BROKERS_MAX)
        return;
    if (open_member(leader, url, NULL) == 0)
        fan_copy(leader, leader->members[leader->n_members - 1]);
}

/* A broker that leaves the list keeps its session until the session ends. */
static void follow_list(Core *leader) {
    struct Brokers *brokers = leader->brokers;
    bool is_new = brokers->n_lists != link_n_lists(leader->link);

    brokers->n_lists = link_n_lists(leader->link);
    for (unsigned i = 0; i < leader->n_members && is_new; i++)
        brokers->each[i].is_gone = !is_listed(leader, brokers->each[i].url);
    for (unsigned i = leader->n_members; i-- > 0;)
        if (brokers->each[i].is_gone && can_close(leader, i))
            close_member(leader, i);
    for (unsigned i = 0; i < link_n_brokers(leader->link) && is_new; i++)
        if (!has_member(leader, link_broker(leader->link, i)))
            add_member(leader, link_broker(leader->link, i));
}

static void open_again(Core *leader, unsigned i) {
    char *url = strdup(leader->brokers->each[i].url);

    if (!url || !can_close(leader, i)) {
        free(url);
        return;
    }
    close_member(leader, i);
    add_member(leader, url);
    free(url);
}

/* A twin has lost the session: perhaps the broker can be reached by the other address only. */
static void open_twins(Core *leader) {
    const struct Brokers *brokers = leader->brokers;

    for (unsigned i = leader->n_members; i-- > 0;)
        if (brokers->each[i].is_twin &&
            find_twin(leader, i, brokers->each[i].id) == leader->n_members)
            open_again(leader, i);
}

static void on_again(Timer *timer, void *ctx) {
    Core *leader = ctx;

    (void)timer;
    leader->brokers->asks_again = true;
}

/* A broker that refused the client may know its key, or speak its protocol, after a restart. */
static void open_refused(Core *leader) {
    leader->brokers->asks_again = false;
    for (unsigned i = leader->n_members; i-- > 0;)
        if (!leader->brokers->each[i].is_twin &&
            link_state(leader->members[i]->link) == LINK_CLOSED)
            open_again(leader, i);
}

static void down(Core *core, const ferry_error *reason, bool was_up) {
    Core *leader = core->leader;

    (void)reason, (void)was_up;
    if (leader && link_state(core->link) == LINK_CLOSED && !brokers_is_twin(core) &&
        !timer_armed(&leader->brokers->again))
        timer_arm(&leader->timers, &leader->brokers->again, clock_ms() + ASK_AGAIN_MS, on_again);
}

/* ---- turns ---- */

static bool run(Core *leader) {
    struct epoll_event ready[BROKERS_MAX];
    bool busy = false;
    int n;

    if (leader->n_members == 0)
        return false;
    if (link_finds_brokers(leader->link) && !leader->has_run) {
        follow_list(leader);
        open_twins(leader);
    }
    if (leader->brokers->asks_again && !leader->has_run)
        open_refused(leader);
    n = epoll_wait(leader->brokers->epoll_fd, ready, BROKERS_MAX, 0);
    for (int i = 0; i < n && !leader->closed; i++)
        busy |= core_turn(ready[i].data.ptr);
    return busy;
}

const Part brokers_part = {
    .open = open_leader,
    .free = deinit,
    .hello = hello,
    .refuses = refuses,
    .down = down,
    .run = run,
    .watch = watch,
    .stop = close_members,
};

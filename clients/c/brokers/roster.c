/* SPDX-License-Identifier: Apache-2.0 */
/* The members of a client of several brokers: opened, closed, and the brokers that they use. See
 * brokers.h. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "clients/c/brokers/brokers-private.h"
#include "clients/c/core/client.h"
#include "clients/c/core/loop.h"
#include "clients/c/core/session.h"

enum { ASK_AGAIN_MS = 30000 }; /* a broker that refused the client */

/* ---- which brokers ---- */

unsigned roster_index(const Core *member) {
    const Core *leader = member->leader;
    unsigned at = 0;

    while (at < leader->n_members && leader->members[at] != member)
        at++;
    return at;
}

/* Another member that has a session with the same broker; n_members: no other one. */
unsigned roster_find_twin(const Core *leader, unsigned at, const uint8_t id[WIRE_TOKEN]) {
    unsigned i = 0;

    while (i < leader->n_members && (i == at || !leader->members[i]->is_up ||
                                     memcmp(leader->brokers->each[i].id, id, WIRE_TOKEN) != 0))
        i++;
    return i;
}

bool brokers_is_twin(const Core *member) {
    unsigned at = roster_index(member);

    return at < member->leader->n_members && member->leader->brokers->each[at].is_twin;
}

const char *brokers_mixed(const Core *leader) {
    return *leader->brokers->mixed ? leader->brokers->mixed : NULL;
}

/* ---- opening and closing ---- */

void roster_watch(Core *leader) {
    /* If this fails, the members run in the next turn of the leader, whatever starts it. */
    if (leader->wakeup.members_fd >= 0 && leader->loop_mode)
        core_watch_loop(leader, leader->wakeup.members_fd);
}

/* Its registrations end, too. */
static void close_member(Core *leader, unsigned i) {
    struct Brokers *brokers = leader->brokers;
    Core *core = leader->members[i];
    unsigned last = --leader->n_members;

    fan_forget(leader, core);
    /* Calls and homes may still refer to the route. */
    core->route->member = NULL;
    core->route = NULL;
    free(brokers->each[i].url);
    leader->members[i] = leader->members[last];
    brokers->each[i] = brokers->each[last];
    brokers->each[last] = (MemberInfo){0};
    ferry_close(&core->main);
}

void roster_close(Core *leader) {
    while (leader->n_members > 0)
        close_member(leader, leader->n_members - 1);
}

/* A route outlives its member: the next member takes it over. */
static Route *take_route(struct Brokers *brokers, Core *member) {
    Route *route = brokers->routes;

    while (route->member)
        route++;
    *route = (Route){.core = member->leader, .link = member->link, .member = member};
    return route;
}

static int open_member(Core *leader, const char *url, ferry_error *reterr) {
    struct Brokers *brokers = leader->brokers;
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
    client->core->route = take_route(brokers, client->core);
    r = ferry_fd(client);
    if (r >= 0)
        r = core_watch_loop(client->core, r);
    return r < 0 ? error_set_code(reterr, r, NULL) : 0;
}

/* Waits until the name of the brokers has been looked up. */
static int await_list(const ferry_client *client, ferry_error *reterr) {
    Core *leader = client->core;
    unsigned stops = __atomic_load_n(&leader->wakeup.stops, __ATOMIC_ACQUIRE);
    uint64_t now_ms = clock_ms();
    uint32_t timeout_ms = client_timeout(client, 0, now_ms);
    uint64_t until_ms = now_ms + (timeout_ms < CONNECT_MS ? timeout_ms : CONNECT_MS);

    while (link_brokers(leader->link)->n == 0 && (now_ms < until_ms || client->wait_for_broker) &&
           __atomic_load_n(&leader->wakeup.stops, __ATOMIC_ACQUIRE) == stops) {
        core_poll_members(leader, now_ms + STOP_LOOK_MS);
        now_ms = clock_ms();
    }
    return link_brokers(leader->link)->n > 0 ? 0 : session_missing(leader, reterr);
}

int brokers_open_members(const ferry_client *client, ferry_error *reterr) {
    Core *leader = client->core;
    struct Brokers *brokers = leader->brokers;
    int *members_fd = &leader->wakeup.members_fd, r = 0;

    if (leader->n_members > 0)
        return 0;
    if (link_brokers(leader->link)->name)
        r = await_list(client, reterr);
    if (r < 0)
        return r;
    if (*members_fd < 0) {
        *members_fd = epoll_create1(EPOLL_CLOEXEC);
        r = *members_fd < 0 ? -errno : core_watch(leader, *members_fd);
        if (r < 0)
            return error_set_code(reterr, r, NULL);
        roster_watch(leader);
    }
    leader->members = brokers->members;
    brokers->n_lists = link_brokers(leader->link)->number;
    link_keep_list(leader->link);
    for (unsigned i = 0; i < link_brokers(leader->link)->n && r == 0; i++)
        r = open_member(leader, link_brokers(leader->link)->urls[i], reterr);
    if (r < 0)
        roster_close(leader);
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
    for (unsigned i = 0; i < link_brokers(leader->link)->n; i++)
        if (strcmp(link_brokers(leader->link)->urls[i], url) == 0)
            return true;
    return false;
}

/* The other members have a copy of each registration, so one of them must stay. Direct calls of
 * all members arrive at one of them. */
static bool can_close(const Core *leader, unsigned i) {
    return leader->n_members > 1 && !leader->members[i]->is_up && !leader->members[i]->has_endpoint;
}

/* If the member cannot be opened, the next list causes another attempt. */
static void add_member(Core *leader, const char *url) {
    if (leader->n_members == BROKERS_MAX)
        return;
    if (open_member(leader, url, NULL) == 0)
        fan_copy(leader, leader->members[leader->n_members - 1]);
}

/* A broker that leaves the list keeps its session until the session ends. */
static void follow_list(Core *leader) {
    struct Brokers *brokers = leader->brokers;
    bool is_new = brokers->n_lists != link_brokers(leader->link)->number;

    brokers->n_lists = link_brokers(leader->link)->number;
    for (unsigned i = 0; i < leader->n_members && is_new; i++)
        brokers->each[i].is_gone = !is_listed(leader, brokers->each[i].url);
    for (unsigned i = leader->n_members; i-- > 0;)
        if (brokers->each[i].is_gone && can_close(leader, i))
            close_member(leader, i);
    for (unsigned i = 0; i < link_brokers(leader->link)->n && is_new; i++)
        if (!has_member(leader, link_brokers(leader->link)->urls[i]))
            add_member(leader, link_brokers(leader->link)->urls[i]);
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
            roster_find_twin(leader, i, brokers->each[i].id) == leader->n_members)
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

void roster_refused(Core *leader) {
    if (!timer_armed(&leader->brokers->again))
        timer_arm(&leader->timers, &leader->brokers->again, clock_ms() + ASK_AGAIN_MS, on_again);
}

void roster_update(Core *leader) {
    if (leader->has_run)
        return;
    if (link_brokers(leader->link)->name) {
        follow_list(leader);
        open_twins(leader);
    }
    if (leader->brokers->asks_again)
        open_refused(leader);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The members of a client of several brokers: their sessions and their turns. See brokers.h. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/random.h"
#include "base/text.h"
#include "clients/c/brokers/brokers-private.h"
#include "clients/c/brokers/homes.h"
#include "clients/c/core/loop.h"

/* ---- the leader ---- */

static int copy_text(char **to, const char *text) {
    if (!text)
        return 0;
    *to = strdup(text);
    return *to ? 0 : -ENOMEM;
}

static void deinit(Core *leader) {
    struct Brokers *brokers = leader->brokers;

    if (!brokers)
        return;
    homes_free(leader);
    timer_disarm(&leader->timers, &brokers->again);
    leader->brokers = NULL;
    if (leader->wakeup.members_fd >= 0)
        close(leader->wakeup.members_fd);
    free(brokers->name);
    free(brokers->key_file);
    free(brokers->server_key);
    free(brokers);
}

/* The options of the leader that are used by ferry_open() only: handles have the other ones. */
static int open_leader(Core *leader, const ferry_options *options) {
    static const ferry_options none;
    struct Brokers *brokers;

    if (link_brokers(leader->link)->n < 2 && !link_brokers(leader->link)->name)
        return 0;
    brokers = calloc(1, sizeof(*brokers));
    if (!brokers)
        return -ENOMEM;
    leader->brokers = brokers;
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

/* Two URLs that lead to one broker: one session is enough. Two addresses of a name often belong to
 * one broker, so they cause no event. */
static const char *twin_of(Core *core, const Message *welcome) {
    const Core *leader = core->leader;
    struct Brokers *brokers = leader->brokers;
    unsigned at = roster_index(core), twin;
    MemberInfo *member = &brokers->each[at];

    if (at == leader->n_members)
        return NULL;
    memcpy(member->id, welcome->welcome.broker.data, WIRE_TOKEN);
    twin = roster_find_twin(leader, at, member->id);
    member->is_twin = twin < leader->n_members;
    if (!member->is_twin)
        return NULL;
    core->events.is_quiet = link_brokers(leader->link)->name != NULL;
    snprintf(brokers->problem, sizeof(brokers->problem),
             "it is the same broker as %s, which the client uses already", brokers->each[twin].url);
    return brokers->problem;
}

static const char *notes(Core *core, const Message *welcome) {
    struct Brokers *brokers = core->leader ? core->leader->brokers : core->brokers;

    owners_note(brokers, welcome->welcome.broker);
    if (core->leader)
        return twin_of(core, welcome);
    memcpy(brokers->own_id, welcome->welcome.broker.data, WIRE_TOKEN);
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
    return notes(core, welcome);
}

/* ---- turns ---- */

static bool run(Core *leader) {
    struct epoll_event ready[BROKERS_MAX];
    bool busy = false;
    int n;

    if (leader->n_members == 0)
        return false;
    roster_update(leader);
    n = epoll_wait(leader->wakeup.members_fd, ready, BROKERS_MAX, 0);
    for (int i = 0; i < n && !leader->closed; i++)
        busy |= core_turn(ready[i].data.ptr);
    return busy;
}

static void stop(Core *leader) {
    homes_close(leader);
    roster_close(leader);
}

/* The messages that a leader has sent through its members. */
static void flush(Core *leader, uint64_t now_ms) {
    (void)now_ms;
    for (unsigned i = 0; i < leader->n_members && leader->n_carried > 0; i++)
        link_flush(leader->members[i]->link);
}

static void up(Core *core, const Message *welcome) {
    (void)welcome;
    if (core->leader)
        homes_member_up(core);
}

static void down(Core *core, const ferry_error *reason, bool was_up) {
    (void)reason;
    if (core->leader && was_up)
        homes_member_down(core);
    if (core->leader && link_state(core->link) == LINK_CLOSED && !brokers_is_twin(core))
        roster_refused(core->leader);
    if (core->brokers)
        homes_leader_down(core);
}

static void left(Core *core, const ferry_error *reason) {
    (void)reason;
    if (core->brokers)
        homes_leader_down(core);
}

static void pump(Core *core) {
    if (core->leader)
        homes_member_pump(core);
}

const Part brokers_part = {
    .open = open_leader,
    .free = deinit,
    .hello = hello,
    .refuses = refuses,
    .up = up,
    .down = down,
    .left = left,
    .pump = pump,
    .run = run,
    .flush = flush,
    .watch = roster_watch,
    .stop = stop,
};

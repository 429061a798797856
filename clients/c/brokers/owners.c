/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the broker that has a queue. See brokers.h. */

#include "clients/c/brokers/brokers-private.h"

static bool is_id(const uint8_t id[WIRE_TOKEN], Span broker) {
    return broker.len == WIRE_TOKEN && memcmp(id, broker.data, WIRE_TOKEN) == 0;
}

static bool was_seen(const struct Brokers *brokers, Span id) {
    unsigned n = brokers->n_seen < BROKERS_SEEN_MAX ? brokers->n_seen : BROKERS_SEEN_MAX;

    for (unsigned i = 0; i < n; i++)
        if (is_id(brokers->seen[i], id))
            return true;
    return false;
}

void owners_note(struct Brokers *brokers, Span id) {
    if (!was_seen(brokers, id))
        memcpy(brokers->seen[brokers->n_seen++ % BROKERS_SEEN_MAX], id.data, WIRE_TOKEN);
}

/* True: the URL lists the broker, but it has started again since then, with another id. Its queues
 * are nowhere until its lease ends. */
static bool has_restarted(const struct Brokers *brokers, unsigned n_members, Span broker,
                          Span url) {
    for (unsigned i = 0; i < n_members; i++)
        if (span_is(url, brokers->each[i].url))
            return true;
    return was_seen(brokers, broker);
}

Core *brokers_find_member(const Core *leader, Span broker, unsigned nth) {
    for (unsigned i = 0; i < leader->n_members; i++) {
        unsigned at = (nth + i) % leader->n_members;

        if (leader->members[at]->is_up &&
            (broker.len == 0 || is_id(leader->brokers->each[at].id, broker)))
            return leader->members[at];
    }
    return NULL;
}

const ferry_error *brokers_problem(const Core *leader, Span url) {
    for (unsigned i = 0; i < leader->n_members; i++)
        if (span_is(url, leader->brokers->each[i].url))
            return link_problem(leader->members[i]->link);
    return NULL;
}

Owner brokers_find_owner(Core *leader, Span broker, Span url, Route **ret) {
    const struct Brokers *brokers = leader->brokers;
    /* The next list of brokers may have it. */
    bool is_complete = !link_brokers(leader->link)->name;

    if (broker.len != WIRE_TOKEN)
        return OWNER_AWAY;
    if (leader->is_up && is_id(brokers->own_id, broker))
        return OWNER_HERE;
    if (brokers->is_ended || link_brokers(leader->link)->n == 0 ||
        brokers_open_members(&leader->main, NULL) < 0)
        return OWNER_AWAY;
    for (unsigned i = 0; i < leader->n_members; i++) {
        const Core *member = leader->members[i];

        if (member->is_up && is_id(brokers->each[i].id, broker)) {
            *ret = member->route;
            return OWNER_MEMBER;
        }
        is_complete &= member->is_up || link_state(member->link) == LINK_CLOSED;
    }
    return !is_complete || has_restarted(brokers, leader->n_members, broker, url) ? OWNER_AWAY
                                                                                  : OWNER_UNLISTED;
}

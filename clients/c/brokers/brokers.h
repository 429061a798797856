/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Clients whose URL lists several brokers. Such a client, the leader, makes calls, publishes and
 * pushes through the one link that it has, which moves from broker to broker. For services,
 * workers and subscriptions it has one member for each broker: a client of that broker alone, which
 * runs inside the turns of the leader. The members are opened when the first of them is needed. If
 * the URL has the name of its brokers, members come and go with each lookup.
 *
 * The program's registration is a front: it stands for one registration of each member.
 */

#include "clients/c/resend/registration.h"
#include "rpc/address/endpoint-list.h"

extern const Part brokers_part;

static inline bool brokers_are_several(const ferry_client *client) {
    return client->core->brokers != NULL;
}

/* The brokers of the URL belong to two clusters: the reason why some are not used. NULL: all belong
 * to one cluster. */
const char *brokers_mixed(const Core *leader);

/* True: the member is closed, because another member uses the same broker. */
bool brokers_is_twin(const Core *member);

/* The way to a broker that an answer ferry.Moved names. */
typedef enum Owner {
    OWNER_HERE,     /* the leader uses this broker */
    OWNER_MEMBER,   /* a member has a session with it */
    OWNER_AWAY,     /* the owner is not known, or there is no session with it now: try again */
    OWNER_UNLISTED, /* there are sessions with all brokers of the URL, and the owner is another
                       broker */
} Owner;

/* Opens the members, if they are needed. broker, url: of a Moved. *ret is the way through the
 * member, for OWNER_MEMBER. */
Owner brokers_find_owner(Core *leader, Span broker, Span url, Route **ret);

/* The last problem of the connection to the broker with this URL; NULL: it is not known. */
const ferry_error *brokers_problem(const Core *leader, Span url);

/* The member whose session is with this broker. broker empty: a member with any session; the search
 * begins with the nth member. NULL: no member has a session. */
Core *brokers_find_member(const Core *leader, Span broker, unsigned nth);

/* Opens the members, unless they are open. If the URL has the name of the brokers, waits for the
 * lookup. */
int brokers_open_members(const ferry_client *client, ferry_error *reterr);

/* Makes the registrations of the other members at a new one. */
void fan_copy(Core *leader, Core *member);
/* The member is about to be closed. */
void fan_forget(Core *leader, const Core *member);

/* Makes a registration of one member. */
typedef int (*FanMakeFn)(ferry_client *member, const void *args, ferry_registration **ret,
                         ferry_error *reterr);

/* Calls make() for each member and waits until the brokers have answered: each that can be reached,
 * and at least one. Brokers that cannot be reached get the registration when they come. An error of
 * one broker undoes the registration at all of them. */
int fan_out(ferry_client *client, FanMakeFn make, const void *args, ferry_registration **ret,
            ferry_error *reterr);

/* Calls change() for each registration behind a front, and waits as fan_out() does. */
typedef int (*FanChangeFn)(ferry_registration *one, const void *args, ferry_error *reterr);
int fan_change(ferry_registration *front, FanChangeFn change, const void *args,
               ferry_error *reterr);

bool is_front(const ferry_registration *registration);

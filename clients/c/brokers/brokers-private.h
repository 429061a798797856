/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The state of a leader: its members, their brokers, and the homes of queues. See brokers.h and
 * homes.h. */

#include "clients/c/brokers/brokers.h"
#include "clients/c/core/route.h"

typedef struct Homes Homes;

enum { BROKERS_SEEN_MAX = 2 * BROKERS_MAX };

/* The leader keeps one for each member, with the same index. */
typedef struct MemberInfo {
    char *url;
    uint8_t id[WIRE_TOKEN]; /* of its broker */
    bool is_twin;           /* closed: its broker has another member */
    bool is_gone; /* the broker has left the list; the member lasts as long as its session */
} MemberInfo;

struct Brokers {
    ferry_options options; /* of the members */
    char *name, *key_file, *server_key;
    uint8_t group[WIRE_TOKEN]; /* the same in the HELLO of the leader and of all members */
    Core *members[BROKERS_MAX];
    MemberInfo each[BROKERS_MAX];
    Route routes[BROKERS_MAX];                  /* of the members, in any order */
    uint8_t own_id[WIRE_TOKEN];                 /* of the broker that the leader uses */
    uint8_t seen[BROKERS_SEEN_MAX][WIRE_TOKEN]; /* the last ids of brokers of the URL */
    unsigned n_seen;
    unsigned n_lists;  /* the last list of brokers that the members follow */
    Timer again;       /* after a pause it sets asks_again */
    bool asks_again;   /* the next turn opens the members again whose brokers refused the client */
    char cluster[64];  /* of the first broker that has one */
    char mixed[512];   /* another one belongs to another cluster; empty: all belong to one */
    char problem[512]; /* see refuses() */
    Homes *homes;      /* NULL: no push was answered ferry.Moved */
    bool is_ended;     /* the members are closed for good */
};

/* ---- roster.c ---- */

/* The index of this member; n_members: it is not in the list yet. */
unsigned roster_index(const Core *member);
/* Another member that has a session with the same broker; n_members: no other one. */
unsigned roster_find_twin(const Core *leader, unsigned at, const uint8_t id[WIRE_TOKEN]);
/* In a turn: opens and closes members, if the list of brokers has changed, and opens members again
 * whose brokers may accept the client now. */
void roster_update(Core *leader);
/* A broker has refused its member. */
void roster_refused(Core *leader);
void roster_close(Core *leader);
/* The leader is in loop mode, or has members now. */
void roster_watch(Core *leader);

/* ---- owners.c ---- */

/* A session begins with the broker of this id: remembers it. */
void owners_note(struct Brokers *brokers, Span id);

/* SPDX-License-Identifier: Apache-2.0 */
/* The homes of queues. See homes.h. */

#include "clients/c/brokers/homes.h"

#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/container.h"
#include "base/hash.h"
#include "clients/c/brokers/brokers-private.h"
#include "clients/c/core/loop.h"
#include "clients/c/core/session.h"

struct Home {
    UT_hash_handle hh; /* by the name of the queue */
    Home *prev, *next; /* of homes->idle or homes->blocked */
    Homes *homes;
    Push *waiting; /* utlist by held_prev, held_next: pushes that are sent later */
    /* The same: pushes that were sent, and refused or lost. All of them are older than the pushes
     * in `waiting`. */
    Push *returned;
    Push *asked;    /* sent alone, to see if the broker takes it; NULL */
    unsigned n_out; /* pushes that were sent, or that the log sends */
    Route *way;     /* through the member of its broker; NULL: the leader's own connection */
    bool is_closed; /* pushes wait, even if the outbox has room */
    bool is_idle, is_blocked, is_carried;
    bool was_refused; /* since the last time that one push was sent alone */
    unsigned n_refusals;
    Timer pause;
    uint8_t owner[WIRE_TOKEN]; /* the broker that has the queue, if it is known */
    bool has_owner;
    char why[400]; /* no broker has taken a push since then: the last reason; else empty */
    size_t len;
    char name[];
};

struct Homes {
    Core *leader;
    Home *table;
    Home *idle; /* utlist: homes without pushes, the longest idle first */
    unsigned n_idle;
    Home *blocked; /* utlist: pushes wait for room in the outbox of the member */
};

static void on_pause_ends(Timer *timer, void *ctx);

/* ---- the table ---- */

static void forget(Homes *homes, Home *home) {
    timer_disarm(&homes->leader->timers, &home->pause);
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): links that uthash set */
    HASH_DEL(homes->table, home);
    free(home);
}

static void leave_lists(Home *home) {
    Homes *homes = home->homes;

    if (home->is_idle) {
        DL_DELETE(homes->idle, home);
        homes->n_idle--;
    } else if (home->is_blocked) {
        DL_DELETE(homes->blocked, home);
    }
    home->is_idle = home->is_blocked = false;
}

static Home *find_or_make(Homes *homes, Span name) {
    Home *home;

    HASH_FIND(hh, homes->table, name.data, name.len, home);
    if (home) {
        if (home->is_idle)
            leave_lists(home);
        return home;
    }
    home = calloc(1, sizeof(*home) + name.len);
    if (!home)
        return NULL;
    home->homes = homes;
    home->len = name.len;
    memcpy(home->name, name.data, name.len);
    HASH_ADD_KEYPTR(hh, homes->table, home->name, home->len, home);
    if (!hash_added(home)) {
        free(home);
        return NULL;
    }
    return home;
}

/* Call this after each change. If the home has no pushes, it joins the idle ones, and the oldest of
 * them may be forgotten. If it needs members, the leader's blocking calls drive them. */
static void review(Home *home) {
    Homes *homes = home->homes;
    bool has_pushes = home->n_out > 0 || home->waiting || home->returned;
    bool is_carried = has_pushes && (home->is_closed || home->way);

    if (is_carried != home->is_carried)
        homes->leader->n_carried += is_carried ? 1 : -1;
    home->is_carried = is_carried;
    if (has_pushes || home->is_idle)
        return;
    leave_lists(home);
    home->is_closed = home->was_refused = false;
    home->n_refusals = 0;
    timer_disarm(&homes->leader->timers, &home->pause);
    DL_APPEND(homes->idle, home);
    home->is_idle = true;
    if (++homes->n_idle > HOMES_MAX) {
        Home *oldest = homes->idle;

        leave_lists(oldest);
        forget(homes, oldest);
    }
}

/* ---- sending ---- */

static void hold(Home *home, Push *push) {
    push->is_held = true;
    DL_APPEND2(home->waiting, push, held_prev, held_next);
}

static void let_go(Home *home, Push *push) {
    push->is_held = false;
    DL_DELETE2(home->waiting, push, held_prev, held_next);
}

/* Sends a push that no list of the home has. -EAGAIN: the outbox is full; -ENOTCONN. */
static int send(Home *home, Push *push) {
    Core *leader = home->homes->leader, *member;
    int r;

    if (!home->way) {
        push->session = 0;
        home->n_out++;
        push_log_send_from(leader, push);
        return 0;
    }
    member = home->way->member;
    if (!member)
        return -ENOTCONN;
    r = push_put(member, push, link_client(leader->link));
    if (r == -EAGAIN) {
        link_flush(member->link);
        r = push_put(member, push, link_client(leader->link));
    }
    if (r < 0)
        return r;
    push->await.route = home->way;
    home->n_out++;
    return 0;
}

static void close_home(Home *home) {
    if (home->is_blocked)
        leave_lists(home);
    home->is_closed = true;
    home->asked = NULL;
}

static void reopen(Home *home);

/* Sends the pushes that wait, as far as there is room. */
static void send_waiting(Home *home) {
    Push *push;
    int r = 0;

    if (home->is_blocked)
        leave_lists(home);
    while (r == 0 && (push = home->waiting)) {
        let_go(home, push);
        r = send(home, push);
        if (r < 0) {
            push->is_held = true;
            DL_PREPEND2(home->waiting, push, held_prev, held_next);
        }
    }
    if (r == -ENOTCONN) {
        close_home(home);
        home->has_owner = false;
        if (home->n_out == 0)
            reopen(home);
    } else if (r < 0) {
        DL_APPEND(home->homes->blocked, home);
        home->is_blocked = true;
    }
}

/* ---- one push alone ---- */

static Owner find_owner(const Home *home, Route **ret) {
    Span id = home->has_owner ? span_of(home->owner, WIRE_TOKEN) : (Span){NULL, 0};

    return brokers_find_owner(home->homes->leader, id, (Span){NULL, 0}, ret);
}

/* Sends the oldest push alone: to the broker that has the queue, else through the leader, whose
 * broker may know by now where the queue is. */
static void ask(Home *home) {
    Push *push = home->waiting;

    home->way = NULL;
    find_owner(home, &home->way);
    home->was_refused = false;
    home->asked = push;
    let_go(home, push);
    if (send(home, push) == 0)
        return;
    home->way = NULL;
    send(home, push);
}

/* All pushes that were sent have their answers, or are lost. */
static void reopen(Home *home) {
    Timers *timers = &home->homes->leader->timers;
    unsigned n_pauses;
    Route *way;
    Owner owner;

    for (Push *push = home->returned; push; push = push->held_next)
        push->is_returned = false;
    DL_CONCAT2(home->returned, home->waiting, held_prev, held_next);
    home->waiting = home->returned;
    home->returned = NULL;
    if (!home->waiting || timer_armed(&home->pause))
        return;
    home->n_refusals += home->was_refused;
    owner = find_owner(home, &way);
    /* A broker that was named for the first time gets the push at once. */
    n_pauses = home->n_refusals;
    if (n_pauses > 0 && (owner == OWNER_MEMBER || owner == OWNER_HERE))
        n_pauses--;
    if (n_pauses == 0)
        ask(home);
    else
        timer_arm(timers, &home->pause, clock_ms() + moved_pause_ms(n_pauses), on_pause_ends);
}

static void on_pause_ends(Timer *timer, void *ctx) {
    Home *home = container_of(timer, Home, pause);

    (void)ctx;
    ask(home);
    review(home);
}

/* One of its pushes has ended. */
static void go_on(Home *home) {
    if (!home->is_closed)
        send_waiting(home);
    else if (home->n_out == 0)
        reopen(home);
    review(home);
}

/* ---- pushes ---- */

/* For the log: the push has ended. */
static void left_home(Push *push) {
    Home *home = push->home;

    push->home = NULL;
    if (home->asked == push)
        home->asked = NULL;
    if (!push->is_held) {
        home->n_out--;
    } else if (push->is_returned) {
        DL_DELETE2(home->returned, push, held_prev, held_next);
    } else {
        DL_DELETE2(home->waiting, push, held_prev, held_next);
    }
    go_on(home);
}

static Home *home_of(Homes *homes, Push *push) {
    Message message;

    push_read(push, &message);
    push->home = find_or_make(homes, message.name);
    return push->home;
}

int home_add(Core *leader, Push *push) {
    Home *home = home_of(leader->brokers->homes, push);

    if (!home)
        return -ENOMEM;
    hold(home, push);
    if (!home->is_closed && !home->is_blocked)
        send_waiting(home);
    review(home);
    return 0;
}

bool home_is_known_elsewhere(const Core *leader, Span queue, const uint8_t broker[WIRE_TOKEN]) {
    Home *home = NULL;

    if (homes_are_known(leader))
        HASH_FIND(hh, leader->brokers->homes->table, queue.data, queue.len, home);
    return home && home->has_owner && memcmp(home->owner, broker, WIRE_TOKEN) != 0;
}

bool home_is_elsewhere(const Push *push) {
    return push->is_held || push->await.route;
}

const char *home_why(const Push *push) {
    return push->home && *push->home->why ? push->home->why : NULL;
}

/* The push was sent and not stored. It will be sent before all younger ones. */
static void take_back(Home *home, Push *push) {
    Push *older = home->returned ? home->returned->held_prev : NULL;

    while (older && older->await.id > push->await.id)
        older = older == home->returned ? NULL : older->held_prev;
    DL_APPEND_ELEM2(home->returned, older, push, held_prev, held_next);
    push->is_held = push->is_returned = true;
    push->await.route = NULL;
    home->n_out--;
    close_home(home);
}

static void forget_homes(Core *leader) {
    Homes *homes = leader->brokers->homes;
    Home *home, *next;

    for (Push *push = leader->pushes->first; push; push = push->next) {
        push->home = NULL;
        push->is_held = push->is_returned = false;
    }
    leader->pushes->left_home = NULL;
    leader->brokers->homes = NULL;
    HASH_ITER(hh, homes->table, home, next) {
        leader->n_carried -= home->is_carried;
        forget(homes, home);
    }
    free(homes);
}

/* Gives a home to each push of the log. */
static int make_homes(Core *leader) {
    Homes *homes = calloc(1, sizeof(*homes));

    if (!homes)
        return -ENOMEM;
    homes->leader = leader;
    leader->brokers->homes = homes;
    leader->pushes->left_home = left_home;
    for (Push *push = leader->pushes->first; push; push = push->next) {
        Home *home = home_of(homes, push);

        if (!home) {
            forget_homes(leader);
            return -ENOMEM;
        }
        home->n_out++;
    }
    return 0;
}

/* ---- answers ---- */

/* No broker has the queue, or the client has no session with the broker that has it. */
static void note_why(Home *home, const Message *message, Span url) {
    const ferry_error *problem = brokers_problem(home->homes->leader, url);
    bool is_known = problem && problem->message;
    ferry_error error = FERRY_ERROR_INIT;

    error_of_message(message, &error);
    snprintf(home->why, sizeof(home->why), "%s%s%s", error.message ? error.message : "",
             is_known ? ": " : "", is_known ? problem->message : "");
    ferry_error_clear(&error);
}

/* True: the push stays in the log, to be sent again. */
static bool has_moved(Core *leader, Push *push, const Message *message, const Moved *moved) {
    Route *way;
    Owner owner = brokers_find_owner(leader, moved->broker, moved->url, &way);
    Home *home;

    if (owner == OWNER_UNLISTED || leader->brokers->is_ended ||
        (!homes_are_known(leader) && make_homes(leader) < 0))
        return false;
    home = push->home;
    home->has_owner = moved->broker.len > 0;
    if (home->has_owner)
        memcpy(home->owner, moved->broker.data, WIRE_TOKEN);
    if (owner == OWNER_AWAY)
        note_why(home, message, moved->url);
    home->was_refused = true;
    take_back(home, push);
    go_on(home);
    return true;
}

/* True: a broker that drains has refused the push, which must not be sent on by the log: it went
 * through a member, or an older push of its queue waits. */
static bool is_refused_as_it_drains(const Push *push, const Message *message) {
    return message->op == OP_ERROR &&
           (push->await.route || (push->home && push->home->is_closed)) &&
           span_is(error_type(message->error.map), "ferry.Draining");
}

void home_answer(Core *leader, Await *await, const Message *message, const void *block) {
    Push *push = (Push *)await;
    const Route *route = await->route;
    bool in_turn = core_is_in_turn(leader) && !(route && route->member->waits > 0);
    Moved moved = {0};

    (void)block;
    if ((push_has_moved(leader, push, message, &moved) || is_refused_as_it_drains(push, message)) &&
        has_moved(leader, push, message, &moved))
        return;
    if (push->home && push->home->asked == push) {
        push->home->is_closed = false;
        push->home->n_refusals = 0;
        *push->home->why = '\0';
    }
    push_answered(leader, push, message, in_turn);
}

/* ---- sessions ---- */

static bool has_session(const Core *leader, const Push *push) {
    return push->session > 0 && ((leader->is_up && push->session == leader->session) ||
                                 push->session == leader->left_session);
}

void homes_leader_down(Core *leader) {
    if (!homes_are_known(leader))
        return;
    for (Push *push = leader->pushes->first; push; push = push->next) {
        Home *home = push->home;

        if (!home->is_closed || home_is_elsewhere(push) || has_session(leader, push))
            continue;
        take_back(home, push);
        go_on(home);
    }
}

void homes_member_up(Core *member) {
    Core *leader = member->leader;
    Route *way;

    if (!homes_are_known(leader))
        return;
    for (Push *push = leader->pushes->first; push; push = push->next) {
        Home *home = push->home;

        if (!timer_armed(&home->pause) || find_owner(home, &way) != OWNER_MEMBER ||
            way != member->route)
            continue;
        timer_disarm(&leader->timers, &home->pause);
        ask(home);
        review(home);
    }
}

void homes_member_down(Core *member) {
    Core *leader = member->leader;

    if (!homes_are_known(leader))
        return;
    for (Push *push = leader->pushes->first; push; push = push->next)
        if (push->await.route == member->route) {
            push->home->has_owner = false;
            take_back(push->home, push);
        }
    for (Push *push = leader->pushes->first; push; push = push->next) {
        Home *home = push->home;

        if (home->way != member->route)
            continue;
        close_home(home);
        go_on(home);
    }
}

void homes_member_pump(Core *member) {
    Homes *homes = member->leader->brokers->homes;
    Home *home, *next;

    if (!homes)
        return;
    DL_FOREACH_SAFE(homes->blocked, home, next) {
        if (home->way != member->route)
            continue;
        if (!link_has_room(member->link))
            return;
        send_waiting(home);
        review(home);
    }
}

/* ---- the end ---- */

/* True: answers may come. */
static bool may_go_on(const Core *leader) {
    return leader->n_carried > 0 ||
           (leader->pushes->first &&
            (leader->is_up || link_state(leader->link) == LINK_CONNECTING));
}

void homes_close(Core *leader) {
    uint64_t until_ms = leader->close_by_ms, now_ms;
    static const bool never;
    Push *next;

    if (!leader->brokers)
        return;
    while (may_go_on(leader) && (now_ms = clock_ms()) < until_ms)
        core_wait(leader, &never, now_ms + 1);
    leader->brokers->is_ended = true;
    for (Push *push = leader->pushes->first; push; push = next) {
        next = push->next;
        push->home = NULL;
        if (home_is_elsewhere(push))
            push_cancel(leader, push);
    }
    homes_free(leader);
}

void homes_free(Core *leader) {
    if (leader->brokers && leader->brokers->homes)
        forget_homes(leader);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Registrations at each broker of a URL. See brokers.h. */

#include <stdlib.h>
#include <utlist.h>

#include "clients/c/brokers/brokers.h"
#include "clients/c/core/loop.h"
#include "clients/c/core/session.h"

/* The program's registration. */
typedef struct Front {
    Registration registration;
    Registration *children[BROKERS_MAX]; /* one for each member */
    unsigned n;
} Front;

/* ---- fronts ---- */

static Core *member_of(const Front *front, unsigned i) {
    return front->children[i]->handle->core;
}

static void drop_children(const Core *leader, Front *front) {
    for (unsigned i = 0; i < front->n; i++) {
        Core *member = member_of(front, i);

        registration_drop(member, front->children[i]);
        /* Outside of turns the messages of a member would wait for the next turn. */
        if (leader->turns == 0)
            core_poll(member);
    }
    front->n = 0;
}

static void front_free(Core *leader, Registration *registration) {
    drop_children(leader, (Front *)registration);
    free(registration);
}

static void front_close(Registration *registration) {
    Front *front = (Front *)registration;

    for (unsigned i = 0; i < front->n; i++)
        ferry_registration_close(front->children[i]);
    front->n = 0;
}

static const RegistrationKind front_kind = {.free = front_free, .close = front_close};

bool is_front(const ferry_registration *registration) {
    return registration->kind == &front_kind;
}

/* ---- waiting for the brokers ---- */

typedef struct Answers {
    unsigned n, n_accepted;
    unsigned n_open;        /* brokers that may answer soon */
    unsigned n_closed;      /* brokers that refuse the client */
    bool is_up;             /* one of them has a session */
    const Outcome *refusal; /* NULL: no broker has refused */
} Answers;

static Answers count(const Front *front, const Outcome *outcomes) {
    Answers answers = {.n = front->n};

    for (unsigned i = 0; i < front->n; i++) {
        const Core *member = member_of(front, i);

        if (brokers_is_twin(member))
            continue;
        if (link_state(member->link) == LINK_CLOSED) {
            answers.n_closed++;
            continue;
        }
        if (outcomes[i].done && outcomes[i].code < 0)
            answers.refusal = &outcomes[i];
        answers.n_accepted += outcomes[i].done;
        answers.n_open += !outcomes[i].done && (member->is_up || !link_problem(member->link));
        answers.is_up |= member->is_up;
    }
    return answers;
}

static int no_answer(Core *leader, const Answers *answers, uint32_t timeout_ms,
                     ferry_error *reterr) {
    const ferry_error *problem = link_problem(leader->members[0]->link);

    if (answers->is_up)
        return error_set(reterr, "ferry.DeadlineExceeded", "no broker answered within %u ms",
                         timeout_ms);
    return error_set(reterr, problem ? session_problem_type(problem) : "ferry.NotConnected",
                     "none of the %u brokers of the URL can be reached; the first one: %s",
                     answers->n, problem ? problem->message : "it does not answer");
}

static int await_brokers(const ferry_client *client, const Front *front, const Outcome *outcomes,
                         ferry_error *reterr) {
    Core *leader = client->core;
    unsigned stops = __atomic_load_n(&leader->wakeup.stops, __ATOMIC_ACQUIRE);
    uint64_t now_ms = clock_ms();
    uint32_t timeout_ms = client_timeout(client, 0, now_ms);
    uint64_t until_ms = now_ms + timeout_ms, connect_ends_ms = now_ms + CONNECT_MS;

    core_poll_members(leader, 0); /* sends the registrations */
    for (;;) {
        uint64_t look_ms = now_ms + STOP_LOOK_MS;
        Answers answers = count(front, outcomes);
        bool is_over = now_ms >= until_ms || (!answers.is_up && now_ms >= connect_ends_ms);
        bool is_refused = answers.n_closed == answers.n;

        if (answers.refusal) {
            error_copy(reterr, &answers.refusal->error);
            return answers.refusal->code;
        }
        if (brokers_mixed(leader))
            return error_set(reterr, "ferry.Misuse", "cannot use a broker of the URL: %s",
                             brokers_mixed(leader));
        if (answers.n_accepted > 0 && (answers.n_open == 0 || is_over))
            return 0;
        if (answers.n_accepted == 0 && is_over && !client->wait_for_broker)
            return no_answer(leader, &answers, timeout_ms, reterr);
        if (is_refused || __atomic_load_n(&leader->wakeup.stops, __ATOMIC_ACQUIRE) != stops)
            return no_answer(leader, &answers, timeout_ms, reterr);
        core_poll_members(leader, is_over || look_ms < until_ms ? look_ms : until_ms);
        now_ms = clock_ms();
    }
}

/* The outcomes are about to be freed: later answers of brokers become events. */
static void forget(const Front *front, Outcome *outcomes) {
    for (unsigned i = 0; i < BROKERS_MAX; i++) {
        if (i < front->n && front->children[i]->result == &outcomes[i])
            front->children[i]->result = NULL;
        ferry_error_clear(&outcomes[i].error);
    }
}

/* ---- making and changing ---- */

static int make_all(const ferry_client *client, FanMakeFn make, const void *args, Front *front,
                    Outcome *outcomes, ferry_error *reterr) {
    Core *leader = client->core;
    int r = 0;

    for (unsigned i = 0; i < leader->n_members && r == 0; i++) {
        Core *member = leader->members[i];
        ferry_cache *cache = member->main.cache;

        member->outcome = &outcomes[i];
        member->main.cache = client->cache;
        r = make(&member->main, args, &front->children[i], reterr);
        member->main.cache = cache;
        member->outcome = NULL;
        front->n += r == 0;
    }
    return r;
}

int fan_out(ferry_client *client, FanMakeFn make, const void *args, ferry_registration **ret,
            ferry_error *reterr) {
    Outcome outcomes[BROKERS_MAX] = {0};
    Core *leader = client->core;
    Front *front, *known = NULL;
    int r = brokers_open_members(client, reterr);

    if (r < 0)
        return r;
    front = calloc(1, sizeof(*front));
    if (!front)
        return error_set_code(reterr, -ENOMEM, NULL);
    front->registration.kind = &front_kind;
    front->registration.handle = client;
    front->registration.state = REGISTRATION_ON;
    r = make_all(client, make, args, front, outcomes, reterr);
    /* Methods that are added to a service have the front of that service. */
    if (front->n > 0)
        known = (Front *)front->children[0]->front;
    if (r == 0)
        r = await_brokers(client, front, outcomes, reterr);
    forget(front, outcomes);
    if (r < 0 && !known)
        drop_children(leader, front);
    if (r < 0 || known) {
        free(front);
        front = known;
    } else {
        for (unsigned i = 0; i < front->n; i++)
            front->children[i]->front = &front->registration;
        DL_PREPEND(leader->registrations, &front->registration);
    }
    if (r == 0 && ret)
        *ret = &front->registration;
    return r;
}

int fan_change(ferry_registration *registration, FanChangeFn change, const void *args,
               ferry_error *reterr) {
    Outcome outcomes[BROKERS_MAX] = {0};
    Front *front = (Front *)registration;
    int r = 0;

    for (unsigned i = 0; i < front->n && r == 0; i++) {
        Core *member = member_of(front, i);

        member->outcome = &outcomes[i];
        r = change(front->children[i], args, reterr);
        member->outcome = NULL;
    }
    if (r == 0)
        r = await_brokers(registration->handle, front, outcomes, reterr);
    forget(front, outcomes);
    return r;
}

/* ---- members that come and go ---- */

/* If there is no memory for a copy, the new broker is without this registration. */
static void copy_to(Front *front, Core *member) {
    Registration *from = front->children[0], *copy = NULL;
    ferry_cache *cache = member->main.cache;
    Outcome outcome = {0};

    if (front->n == BROKERS_MAX)
        return;
    member->outcome = &outcome;
    member->main.cache = front->registration.handle->cache;
    if (from->kind->copy(from, &member->main, &copy) == 0) {
        /* A refusal is an event. */
        copy->result = NULL;
        copy->front = &front->registration;
        front->children[front->n++] = copy;
    }
    member->main.cache = cache;
    member->outcome = NULL;
    ferry_error_clear(&outcome.error);
}

void fan_copy(Core *leader, Core *member) {
    for (Registration *r = leader->registrations; r; r = r->next)
        if (is_front(r) && ((Front *)r)->n > 0)
            copy_to((Front *)r, member);
}

void fan_forget(Core *leader, const Core *member) {
    for (Registration *r = leader->registrations; r; r = r->next) {
        Front *front = (Front *)r;

        for (unsigned i = is_front(r) ? front->n : 0; i-- > 0;)
            if (member_of(front, i) == member)
                front->children[i] = front->children[--front->n];
    }
}

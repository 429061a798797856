/* SPDX-License-Identifier: Apache-2.0 */
/* Facts: settings and binds that commands have made. They outlive the broker. See queues.h. */

#include <errno.h>
#include <utlist.h>

#include "broker/queues/queues-private.h"

struct Fact {
    UT_hash_handle hh; /* uthash by name */
    uint32_t n_name, n_value;
    uint8_t data[]; /* name and value */
};

/* A change that the store has not finished. */
typedef struct FactChange {
    Waiter waiter; /* first: a Waiter is a FactChange */
    struct FactChange *prev, *next;
    uint64_t ticket, id;
    Session *session; /* gets the answer; NULL: the session is gone */
    Fact *before;     /* owned: the fact that this change replaces; NULL: the name had no fact */
    uint32_t n_name;
    uint8_t name[];
} FactChange;

static Span name_of(const Fact *fact) {
    return (Span){fact->data, fact->n_name};
}

static Span value_of(const Fact *fact) {
    return (Span){fact->data + fact->n_name, fact->n_value};
}

static Fact *find(const Queues *queues, Span name) {
    Fact *fact;

    HASH_FIND(hh, queues->facts, name.data, name.len, fact);
    return fact;
}

Span queues_fact(const Queues *queues, Span name) {
    const Fact *fact = find(queues, name);

    return fact ? value_of(fact) : (Span){NULL, 0};
}

static Fact *fact_new(Span name, Span value) {
    Fact *fact = malloc(sizeof(*fact) + name.len + value.len);

    if (!fact)
        return NULL;
    *fact = (Fact){.n_name = (uint32_t)name.len, .n_value = (uint32_t)value.len};
    memcpy(fact->data, name.data, name.len);
    memcpy(fact->data + name.len, value.data, value.len);
    return fact;
}

static bool is_watched(const FactWatch *watch, Span name) {
    size_t len = strlen(watch->prefix);

    return name.len >= len && memcmp(name.data, watch->prefix, len) == 0;
}

static void tell(const Queues *queues, Span name, Span value) {
    for (size_t i = 0; i < queues->n_fact_watches; i++)
        if (is_watched(&queues->fact_watches[i], name))
            queues->fact_watches[i].fn(name, value, queues->fact_watches[i].ctx);
}

/* Stores the fact under the name (NULL: removes the name's fact). The caller owns *ret_before, the
 * fact that was there. */
static int replace(Queues *queues, Span name, Fact *fact, Fact **ret_before) {
    Fact *before = find(queues, name);

    if (fact) {
        if (before)
            HASH_DEL(queues->facts, before);
        HASH_ADD_KEYPTR(hh, queues->facts, fact->data, fact->n_name, fact);
        if (!hash_added(fact)) {
            if (before)
                HASH_ADD_KEYPTR(hh, queues->facts, before->data, before->n_name, before);
            return -ENOMEM;
        }
    } else if (before) {
        HASH_DEL(queues->facts, before);
    }
    *ret_before = before;
    tell(queues, name, fact ? value_of(fact) : (Span){NULL, 0});
    return 0;
}

void queues_watch_facts(Queues *queues, const char *prefix, FactFn fn, void *ctx) {
    FactWatch *watch = &queues->fact_watches[queues->n_fact_watches++];

    *watch = (FactWatch){prefix, fn, ctx};
    for (const Fact *fact = queues->facts; fact; fact = fact->hh.next)
        if (is_watched(watch, name_of(fact)))
            fn(name_of(fact), value_of(fact), ctx);
}

int queues_restore_fact(Queues *queues, Span name, Span value) {
    Fact *fact = fact_new(name, value), *before = NULL;
    int r = fact ? replace(queues, name, fact, &before) : -ENOMEM;

    free(r < 0 ? fact : before);
    return r;
}

/* ---- changes ---- */

static void answer(Session *session, uint64_t id, int result) {
    static const uint8_t nil = 0xC0;

    if (!session || !id)
        return;
    if (result < 0)
        store_error(session, id, result);
    else
        session_send(session, LANE_CALLS,
                     &(Message){.op = OP_OK, .id = id, .body = span_of(&nil, 1)}, NULL);
}

static void change_free(Queues *queues, FactChange *change) {
    DL_DELETE(queues->fact_changes, change);
    free(change->before);
    free(change);
}

static void on_kept(Queues *queues, Waiter *waiter, int result) {
    FactChange *change = (FactChange *)waiter;
    Fact *failed = NULL;

    /* No memory to restore the old value: the name has no fact from now on. */
    if (result < 0 &&
        replace(queues, span_of(change->name, change->n_name), change->before, &failed) == 0)
        change->before = failed;
    answer(change->session, change->id, result);
    change_free(queues, change);
}

/* The store that outlives the process; NULL: all stores are in memory. */
static Store *store_of_facts(const Queues *queues) {
    for (size_t i = 0; i < queues->n_stores; i++)
        if (queues->stores[i]->ops->keep)
            return queues->stores[i];
    return NULL;
}

static FactChange *change_new(Queues *queues, Span name, Session *session, uint64_t id) {
    FactChange *change = calloc(1, sizeof(*change) + name.len);

    if (!change)
        return NULL;
    change->waiter.fn = on_kept;
    change->id = id;
    change->session = session;
    change->n_name = (uint32_t)name.len;
    memcpy(change->name, name.data, name.len);
    change->ticket = waiter_ticket(queues, &change->waiter);
    if (!change->ticket) {
        free(change);
        return NULL;
    }
    DL_APPEND(queues->fact_changes, change);
    return change;
}

/* Begins the change in the store. 0: no store has to make it. */
static int keep(Queues *queues, FactChange *change, Span name, Span value) {
    Store *store = store_of_facts(queues);

    return store ? store_keep(store, change->ticket, name, value) : 0;
}

int queues_keep_fact(Queues *queues, Span name, Span value, Session *session, uint64_t id) {
    Fact *fact = NULL;
    FactChange *change;
    int r;

    if (name.len > FACT_NAME_MAX || value.len > FACT_VALUE_MAX)
        return -E2BIG;
    if (value.len > 0 && !find(queues, name) &&
        HASH_COUNT(queues->facts) >= queues->broker->limits.max_names)
        return -ENOSPC;
    change = change_new(queues, name, session, id);
    if (!change)
        return -ENOMEM;
    if (value.len > 0)
        fact = fact_new(name, value);
    r = value.len > 0 && !fact ? -ENOMEM : keep(queues, change, name, value);
    if (r >= 0 && replace(queues, name, fact, &change->before) < 0)
        r = -ENOMEM; /* the store has made the change, so the next start finds it */
    if (r == STORE_LATER)
        return QUEUES_LATER;
    waiter_forget(queues, change->ticket);
    if (r < 0)
        free(fact);
    else
        answer(session, id, 0);
    change_free(queues, change);
    return r < 0 ? r : QUEUES_LATER;
}

void facts_session_gone(Queues *queues, const Session *session) {
    FactChange *change;

    DL_FOREACH(queues->fact_changes, change) {
        if (change->session == session)
            change->session = NULL;
    }
}

void facts_free(Queues *queues) {
    FactChange *change, *next_change;
    Fact *fact, *next;

    DL_FOREACH_SAFE(queues->fact_changes, change, next_change) {
        change_free(queues, change);
    }
    HASH_ITER(hh, queues->facts, fact, next) {
        HASH_DEL(queues->facts, fact);
        free(fact);
    }
}

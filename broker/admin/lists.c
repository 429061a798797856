/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ferry.Broker's lists of sessions, services, topics and queues. A list of a hundred thousand
 * entries takes many turns, each with a slice. See admin.h.
 */

#include <assert.h>
#include <errno.h>

#include "base/block.h"
#include "base/container.h"
#include "broker/admin/admin-private.h"
#include "broker/admin/caches.h"
#include "broker/core/rooms.h"
#include "broker/core/walk.h"

enum {
    LISTS_MAX = 4,
    HEAD_MAX = 5,    /* bytes of the head of a MessagePack array */
    LIST_SLICE = 512 /* entries in one turn, or other work that costs as much */
};

typedef struct List {
    struct List *prev, *next; /* in admin->lists */
    const ListKind *kind;     /* the table of the current element */
    TableWalk walk;
    Session *session; /* gets the answer to id */
    uint64_t id;
    uint32_t n;
    size_t charged; /* bytes that are charged to the session */
    Buffer body;    /* becomes a block: header of the block, head of the array, elements */
} List;

struct Admin {
    Room room;
    Broker *broker;
    List *lists; /* utlist */
    uint32_t n_lists;
    Caches caches;
};

Caches *admin_caches(const Broker *broker) {
    return &broker->admin->caches;
}

static void charge(List *list, size_t bytes) {
    Account *account = &list->session->peer->account;

    account_refund(account, BUDGET_LISTS, list->charged);
    account_charge(account, BUDGET_LISTS, bytes);
    list->charged = bytes;
}

static void list_free(Admin *admin, List *list) {
    DL_DELETE(admin->broker->walks, &list->walk);
    DL_DELETE(admin->lists, list);
    admin->n_lists--;
    charge(list, 0);
    buffer_deinit(&list->body);
    free(list);
}

static void lists_free(Admin *admin) {
    while (admin->lists)
        list_free(admin, admin->lists);
}

static void answer(List *list) {
    ferry_bytes body;
    uint8_t *head;

    if (list->body.failed) {
        session_error(list->session, list->id, "ferry.OutOfMemory", "the broker is out of memory");
        return;
    }
    head = list->body.data + sizeof(BlockHeader);
    *head++ = 0xDD;
    for (int shift = 24; shift >= 0; shift -= 8)
        *head++ = (uint8_t)(list->n >> shift);
    body = block_of_buffer(&list->body);
    session_send(list->session, LANE_CALLS,
                 &(Message){.op = OP_OK, .id = list->id, .body = span_of(body.data, body.len)},
                 body.block);
    ferry_free(body.block);
}

static bool has_room(const List *list) {
    return account_allows(&list->session->peer->account, 0) &&
           session_may_get(list->session, list->body.len);
}

/* Goes to the next table that has elements. A table may be empty at the start, or lose its last
 * elements between two turns. */
static void skip_empty_tables(const Admin *admin, List *list) {
    while (!list->walk.at && list->kind->then) {
        list->kind = list->kind->then;
        list->walk.at = list->kind->first(admin->broker);
    }
}

static void write_slice(const Admin *admin, List *list) {
    skip_empty_tables(admin, list);
    for (unsigned work = 0; work < LIST_SLICE && list->walk.at;) {
        void *element = list->walk.at;

        list->walk.at = list->kind->next(element);
        if (list->kind->is_seen(list->session, element)) {
            work += list->kind->write(element, admin->broker, &list->body);
            list->n++;
        }
        work++;
        skip_empty_tables(admin, list);
    }
    charge(list, list->body.cap);
}

/* Continues the list that has waited longest: all lists share the slice of one turn. */
static void lists_continue(Admin *admin) {
    List *list = admin->lists;

    if (!list)
        return;
    write_slice(admin, list);
    DL_DELETE(admin->lists, list);
    DL_APPEND(admin->lists, list);
    if (!has_room(list)) {
        session_error(list->session, list->id, "ferry.Overloaded",
                      "the session has used up its share of the broker's max_memory");
        list_free(admin, list);
    } else if (!list->walk.at) {
        answer(list);
        list_free(admin, list);
    }
}

static int begin(Admin *admin, const ListKind *kind, Session *session, uint64_t id) {
    List *list;

    if (admin->n_lists == LISTS_MAX)
        return -EBUSY;
    list = calloc(1, sizeof(*list));
    if (!list)
        return -ENOMEM;
    list->kind = kind;
    list->session = session;
    list->id = id;
    if (buffer_reserve(&list->body, sizeof(BlockHeader) + HEAD_MAX))
        list->body.len = sizeof(BlockHeader) + HEAD_MAX;
    list->walk.at = kind->first(admin->broker);
    DL_APPEND(admin->broker->walks, &list->walk);
    DL_APPEND(admin->lists, list);
    admin->n_lists++;
    return ANSWERED_LATER;
}

static void list_write(const ListKind *kind, const Broker *broker, Session *session, Buffer *to) {
    uint32_t n = 0;

    for (const ListKind *part = kind; part; part = part->then)
        for (void *element = part->first(broker); element; element = part->next(element))
            n += part->is_seen(session, element);
    write_array(to, n);
    for (const ListKind *part = kind; part; part = part->then)
        for (void *element = part->first(broker); element; element = part->next(element))
            if (part->is_seen(session, element))
                part->write(element, broker, to);
}

int admin_list(Broker *broker, const ListKind *kind, Session *session, uint64_t id, Buffer *to) {
    size_t n = 0;

    for (const ListKind *part = kind; part; part = part->then)
        n += part->count(broker);
    if (n <= LIST_SLICE)
        list_write(kind, broker, session, to);
    else if (id != 0)
        return begin(broker->admin, kind, session, id);
    return 0;
}

/* ---- the room ---- */

static Admin *self(const Room *room) {
    return container_of(room, Admin, room);
}

static void on_turn_end(Room *room) {
    lists_continue(self(room));
}

static uint64_t on_next_ms(const Room *room) {
    return self(room)->lists ? 0 : UINT64_MAX;
}

static size_t on_n_unfinished(const Room *room) {
    return self(room)->n_lists;
}

static void on_session_gone(Room *room, Session *session) {
    Admin *admin = self(room);
    List *list, *next;

    DL_FOREACH_SAFE(admin->lists, list, next) {
        if (list->session == session)
            list_free(admin, list);
    }
    caches_forget(&admin->caches, session);
}

static const RoomOps room_ops = {
    .turn_end = on_turn_end,
    .next_ms = on_next_ms,
    .n_unfinished = on_n_unfinished,
    .session_gone = on_session_gone,
};

int admin_new(Admin **ret, Broker *broker) {
    Admin *admin = calloc(1, sizeof(*admin));

    if (!admin)
        return -ENOMEM;
    admin->broker = broker;
    room_open(broker, &admin->room, &room_ops);
    *ret = admin;
    return 0;
}

Admin *admin_free(Admin *admin) {
    if (!admin)
        return NULL;
    lists_free(admin);
    room_close(admin->broker, &admin->room);
    free(admin);
    return NULL;
}

int admin_list_answer(const Ask *ask, const ListKind *kind, Buffer *to, ferry_error *reterr) {
    int r = admin_list(ask->broker, kind, ask->session, ask->id, to);

    if (r == -EBUSY)
        return error_set(reterr, "ferry.Overloaded",
                         "too many lists are under way: try again later");
    return r;
}

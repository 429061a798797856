/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ferry.Broker.queues: the list of all queues. A hundred thousand queues take many turns, a slice
 * in each. See admin.h.
 */

#include <assert.h>
#include <errno.h>
#include <utlist.h>

#include "base/block.h"
#include "base/container.h"
#include "broker/admin/admin-private.h"
#include "broker/core/rooms.h"
#include "broker/sessions/user.h"

enum { LISTS_MAX = 4, HEAD_MAX = 5 /* of a MessagePack array */ };

typedef struct QueueList {
    struct QueueList *prev, *next; /* of admin->lists */
    QueueCursor cursor;
    Session *session; /* gets the answer to id */
    uint64_t id;
    uint32_t n;
    Buffer body; /* becomes a block: its header, the head of the array, the elements */
} QueueList;

struct Admin {
    Room room;
    Broker *broker;
    QueueList *lists; /* utlist */
    uint32_t n_lists;
};

static void list_free(Admin *admin, QueueList *list) {
    queue_cursor_end(admin->broker->queues, &list->cursor);
    DL_DELETE(admin->lists, list);
    admin->n_lists--;
    buffer_deinit(&list->body);
    free(list);
}

static void lists_free(Admin *admin) {
    while (admin->lists)
        list_free(admin, admin->lists);
}

static void answer(QueueList *list) {
    ferry_bytes body;
    uint8_t *head;

    if (!session_may_get(list->session, list->body.len)) {
        session_error(list->session, list->id, "ferry.Overloaded",
                      "the session has used up its share of the broker's max_memory");
        return;
    }
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

static bool is_seen(const Session *session, const Queue *queue) {
    return session_sees(session, SIGHT_OF_QUEUE, span_of(queue->name, queue->stored.name_len));
}

/* One slice for all lists: they take turns. */
static void lists_go_on(Admin *admin) {
    QueueList *list = admin->lists;
    const Queue *queue = NULL;

    if (!list)
        return;
    for (int n = 0; n < QUEUE_SLICE && (queue = queue_cursor_next(&list->cursor)); n++) {
        if (!is_seen(list->session, queue))
            continue;
        queue_describe(queue, &list->body);
        list->n++;
    }
    DL_DELETE(admin->lists, list);
    DL_APPEND(admin->lists, list);
    if (!list->cursor.at) {
        answer(list);
        list_free(admin, list);
    }
}

static int begin(Admin *admin, Session *session, uint64_t id) {
    QueueList *list;

    if (admin->n_lists == LISTS_MAX)
        return -EBUSY;
    list = calloc(1, sizeof(*list));
    if (!list)
        return -ENOMEM;
    list->session = session;
    list->id = id;
    if (buffer_reserve(&list->body, sizeof(BlockHeader) + HEAD_MAX))
        list->body.len = sizeof(BlockHeader) + HEAD_MAX;
    queue_cursor_begin(admin->broker->queues, &list->cursor);
    DL_APPEND(admin->lists, list);
    admin->n_lists++;
    return ANSWERED_LATER;
}

int admin_list_queues(Admin *admin, Session *session, uint64_t id, Buffer *to) {
    const Queues *queues = admin->broker->queues;
    uint32_t n = 0;

    if (HASH_COUNT(queues->table) > QUEUE_SLICE && id != 0)
        return begin(admin, session, id);
    for (const Queue *queue = queues->table; queue; queue = queue->hh.next)
        n += is_seen(session, queue);
    write_array(to, n);
    for (const Queue *queue = queues->table; queue; queue = queue->hh.next)
        if (is_seen(session, queue))
            queue_describe(queue, to);
    return 0;
}

/* ---- the room ---- */

static Admin *self(const Room *room) {
    return container_of(room, Admin, room);
}

static void on_turn_end(Room *room) {
    lists_go_on(self(room));
}

static uint64_t on_next_ms(const Room *room) {
    return self(room)->lists ? 0 : UINT64_MAX;
}

static size_t on_n_unfinished(const Room *room) {
    return self(room)->n_lists;
}

static void on_session_gone(Room *room, Session *session) {
    Admin *admin = self(room);
    QueueList *list, *next;

    DL_FOREACH_SAFE(admin->lists, list, next) {
        if (list->session == session)
            list_free(admin, list);
    }
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

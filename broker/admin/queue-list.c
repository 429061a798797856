/* The list of all queues: what a hundred thousand of them say of themselves takes many turns. See
 * queues/core.h. */

#include <assert.h>
#include <errno.h>
#include <utlist.h>

#include "base/block.h"
#include "broker/queues/core.h"

enum { LISTS_MAX = 4, HEAD_MAX = 5 /* of a MessagePack array */ };

struct List {
    List *prev, *next; /* of queues->lists */
    Queue *at;         /* the next to be written; NULL: that was all */
    Session *session;  /* gets the answer to id */
    uint64_t id;
    uint32_t n;
    Buffer body; /* to become a block: room for its header, the head of the array, its elements */
};

static List *list_free(Queues *queues, List *list) {
    /* The first is the only one, or has one behind it. */
    assert(list != queues->lists || list->next || list->prev == list);
    DL_DELETE(queues->lists, list);
    queues->n_lists--;
    buffer_deinit(&list->body);
    free(list);
    return NULL;
}

void queue_leaves_lists(const Queue *queue) {
    List *list;

    DL_FOREACH(queue->queues->lists, list) {
        if (list->at == queue)
            list->at = queue->hh.next;
    }
}

void lists_session_gone(Queues *queues, const Session *session) {
    List *list, *next;

    DL_FOREACH_SAFE(queues->lists, list, next) {
        if (list->session == session)
            list_free(queues, list);
    }
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

/* A slice for all lists: they take turns. */
void lists_go_on(Queues *queues) {
    List *list = queues->lists;

    if (!list)
        return;
    for (int i = 0; i < QUEUE_SLICE && list->at; i++, list->at = list->at->hh.next, list->n++)
        queue_describe(list->at, &list->body);
    DL_DELETE(queues->lists, list);
    DL_APPEND(queues->lists, list);
    if (!list->at) {
        answer(list);
        list_free(queues, list);
    }
}

static int begin(Queues *queues, Session *session, uint64_t id) {
    List *list;

    if (queues->n_lists == LISTS_MAX)
        return -EBUSY;
    list = calloc(1, sizeof(*list));
    if (!list)
        return -ENOMEM;
    *list = (List){.at = queues->table, .session = session, .id = id};
    if (buffer_reserve(&list->body, sizeof(BlockHeader) + HEAD_MAX))
        list->body.len = sizeof(BlockHeader) + HEAD_MAX;
    DL_APPEND(queues->lists, list);
    queues->n_lists++;
    return QUEUES_LATER;
}

int queues_list(Queues *queues, Session *session, uint64_t id, Buffer *to) {
    if (HASH_COUNT(queues->table) > QUEUE_SLICE && id != 0)
        return begin(queues, session, id);
    write_array(to, HASH_COUNT(queues->table));
    for (const Queue *queue = queues->table; queue; queue = queue->hh.next)
        queue_describe(queue, to);
    return 0;
}

void lists_free(Queues *queues) {
    while (queues->lists)
        list_free(queues, queues->lists);
}

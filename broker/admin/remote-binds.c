/* SPDX-License-Identifier: Apache-2.0 */
/* Announced binds. See remote-binds.h. */

#include "broker/admin/remote-binds.h"

#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

#include "broker/admin/binds.h"
#include "broker/queues/queues-private.h"
#include "broker/queues/shards-private.h"
#include "broker/topics/tree.h"
#include "rpc/wire/name.h"
#include "rpc/wire/writer.h"

typedef struct RemoteBind RemoteBind;

typedef struct RemoteQueue {
    UT_hash_handle hh;
    uint64_t mark; /* the last message for which it was found */
    size_t n_binds;
    unsigned shard;
    bool is_full;
    uint32_t len;
    char name[];
} RemoteQueue;

typedef struct RemotePattern {
    RemoteBind *binds; /* utlist */
    TopicNode *node;
} RemotePattern;

struct RemoteBind {
    RemoteBind *prev, *next; /* in pattern->binds */
    RemoteBind *next_of;     /* the next bind of the announcement */
    RemoteQueue *queue;
    RemotePattern *pattern;
    bool is_full; /* as the announcement says */
};

typedef struct Announcement {
    RemoteBind *binds;
    size_t n;
    Buffer text;
} Announcement;

struct RemoteBinds {
    const Queues *router;
    TopicTree tree;      /* from patterns to RemotePatterns */
    RemoteQueue *queues; /* uthash by name */
    Announcement shards[STORE_SHARDS_MAX];
    size_t n;
    uint64_t mark; /* the number of messages so far */
};

/* The state of remote_binds_match(). */
typedef struct Match {
    RemoteBinds *binds;
    RemoteFn fn;
    void *ctx;
    size_t n;
} Match;

void remote_binds_write(Buffer *to, Span queue, Span pattern, bool is_full) {
    write_array(to, is_full ? 3 : 2);
    write_str(to, queue.data, queue.len);
    write_str(to, pattern.data, pattern.len);
    if (is_full)
        write_bool(to, true);
}

void remote_binds_write_schedule(Buffer *to, Span queue, Span name) {
    write_array(to, 3);
    write_str(to, queue.data, queue.len);
    write_text(to, "");
    write_str(to, name.data, name.len);
}

/* ---- queues and patterns ---- */

static RemoteQueue *queue_in(RemoteBinds *binds, unsigned shard, Span name) {
    RemoteQueue *queue;

    HASH_FIND(hh, binds->queues, name.data, name.len, queue);
    if (queue)
        return queue;
    queue = calloc(1, sizeof(*queue) + name.len);
    if (!queue)
        return NULL;
    queue->shard = shard;
    queue->len = (uint32_t)name.len;
    memcpy(queue->name, name.data, name.len);
    HASH_ADD_KEYPTR(hh, binds->queues, queue->name, queue->len, queue);
    if (hash_added(queue))
        return queue;
    free(queue);
    return NULL;
}

static void queue_free_if_unused(RemoteBinds *binds, RemoteQueue *queue) {
    if (queue->n_binds > 0)
        return;
    HASH_DEL(binds->queues, queue);
    free(queue);
}

static RemotePattern *pattern_in(RemoteBinds *binds, Span text) {
    RemotePattern *pattern = topic_tree_get(&binds->tree, text.data, text.len);

    if (pattern)
        return pattern;
    pattern = calloc(1, sizeof(*pattern));
    if (!pattern || topic_tree_put(&binds->tree, text.data, text.len, &pattern->node) < 0) {
        free(pattern);
        return NULL;
    }
    topic_node_set(pattern->node, pattern);
    return pattern;
}

static void pattern_free_if_unused(RemoteBinds *binds, RemotePattern *pattern) {
    if (pattern->binds)
        return;
    topic_tree_drop(&binds->tree, pattern->node);
    free(pattern);
}

/* ---- announcements ---- */

static RemoteBind *bind_new(RemoteBinds *binds, unsigned shard, Span queue, Span pattern) {
    RemoteBind *bind = calloc(1, sizeof(*bind));

    if (!bind)
        return NULL;
    bind->queue = queue_in(binds, shard, queue);
    bind->pattern = bind->queue ? pattern_in(binds, pattern) : NULL;
    if (!bind->pattern) {
        if (bind->queue)
            queue_free_if_unused(binds, bind->queue);
        free(bind);
        return NULL;
    }
    bind->queue->n_binds++;
    DL_APPEND(bind->pattern->binds, bind);
    binds->n++;
    return bind;
}

static void binds_drop(RemoteBinds *binds, Announcement *announcement) {
    RemoteBind *bind = announcement->binds, *next;

    for (; bind; bind = next) {
        next = bind->next_of;
        DL_DELETE(bind->pattern->binds, bind);
        pattern_free_if_unused(binds, bind->pattern);
        bind->queue->n_binds--;
        queue_free_if_unused(binds, bind->queue);
        free(bind);
        binds->n--;
    }
    buffer_deinit(&announcement->text);
    *announcement = (Announcement){0};
}

/* An element of an announcement. */
typedef struct Element {
    Span queue, pattern;
    Span schedule; /* if pattern is empty */
    bool is_full;
} Element;

static bool read_element(Reader *reader, Element *to) {
    uint32_t n = reader_array(reader);

    *to = (Element){0};
    to->queue = reader_str(reader);
    to->pattern = reader_str(reader);
    if (n == 3 && to->pattern.len == 0)
        to->schedule = reader_str(reader);
    else if (n == 3)
        to->is_full = reader_bool(reader);
    return (n == 2 || n == 3) && !reader->problem;
}

/* Reads the next element of a shard. False: it is not right. */
static bool read_of_shard(const RemoteBinds *binds, unsigned shard, Reader *reader, Element *to) {
    return read_element(reader, to) && name_is_valid(to->queue.data, to->queue.len) &&
           (to->schedule.len > 0 ? name_is_valid(to->schedule.data, to->schedule.len)
                                 : pattern_is_valid(to->pattern.data, to->pattern.len)) &&
           shard_of(binds->router, to->queue)->shard == shard + 1;
}

/* Reads an element into the announcement. */
static int take(RemoteBinds *binds, unsigned shard, Reader *reader, Announcement *to) {
    RemoteBind *bind;
    Element element;

    if (!read_of_shard(binds, shard, reader, &element))
        return -EBADMSG;
    if (element.schedule.len > 0)
        return 0;
    if (to->n == QUEUE_BINDS_MAX)
        return -EBADMSG;
    bind = bind_new(binds, shard, element.queue, element.pattern);
    if (!bind)
        return -ENOMEM;
    bind->is_full = element.is_full;
    bind->next_of = to->binds;
    to->binds = bind;
    to->n++;
    return 0;
}

int remote_binds_set(RemoteBinds *binds, unsigned shard, Span announcement) {
    Reader reader = reader_of(announcement.data, announcement.len);
    Announcement made = {0};
    uint32_t n = reader_array(&reader);
    int r = reader.problem ? -EBADMSG : 0;

    for (; n > 0 && r == 0; n--)
        r = take(binds, shard, &reader, &made);
    if (r == 0 && reader_left(&reader) > 0)
        r = -EBADMSG;
    if (r == 0)
        buffer_append(&made.text, announcement.data, announcement.len);
    if (r == 0 && made.text.failed)
        r = -ENOMEM;
    if (r < 0) {
        binds_drop(binds, &made);
        return r;
    }
    binds_drop(binds, &binds->shards[shard]);
    binds->shards[shard] = made;
    for (const RemoteBind *bind = made.binds; bind; bind = bind->next_of)
        bind->queue->is_full = bind->is_full;
    return 0;
}

static bool has_schedule(const Buffer *text, Span name, Span *ret_queue) {
    Reader reader = reader_of(text->data, text->len);
    Element element;

    for (uint32_t n = text->len > 0 ? reader_array(&reader) : 0; n > 0; n--) {
        if (!read_element(&reader, &element))
            return false;
        if (element.schedule.len != name.len || name.len == 0 ||
            memcmp(element.schedule.data, name.data, name.len) != 0)
            continue;
        *ret_queue = element.queue;
        return true;
    }
    return false;
}

bool remote_binds_find_schedule(const RemoteBinds *binds, Span name, unsigned *shard,
                                Span *ret_queue) {
    for (; *shard < STORE_SHARDS_MAX; ++*shard)
        if (has_schedule(&binds->shards[*shard].text, name, ret_queue))
            return true;
    return false;
}

bool remote_binds_are(const RemoteBinds *binds, unsigned shard, Span announcement) {
    const Buffer *text = &binds->shards[shard].text;

    /* Without an announcement, the shard has no binds: an empty list. */
    if (text->len == 0)
        return announcement.len == 1 && *announcement.data == 0x90;
    return text->len == announcement.len && memcmp(text->data, announcement.data, text->len) == 0;
}

size_t remote_binds_count(const RemoteBinds *binds) {
    return binds->n;
}

size_t remote_binds_count_of(const RemoteBinds *binds, unsigned shard) {
    return binds->shards[shard].n;
}

/* ---- messages ---- */

void remote_binds_begin(RemoteBinds *binds) {
    binds->mark++;
}

bool remote_binds_find(RemoteBinds *binds, Span name, bool *ret_is_full) {
    RemoteQueue *queue;

    HASH_FIND(hh, binds->queues, name.data, name.len, queue);
    *ret_is_full = queue && queue->is_full;
    if (!queue)
        return true;
    if (queue->mark == binds->mark)
        return false;
    queue->mark = binds->mark;
    return true;
}

static void collect(void *value, void *ctx) {
    const RemotePattern *pattern = value;
    const RemoteBind *bind;
    Match *match = ctx;

    DL_FOREACH(pattern->binds, bind) {
        RemoteQueue *queue = bind->queue;

        match->n++;
        if (queue->mark == match->binds->mark)
            continue;
        queue->mark = match->binds->mark;
        match->fn(queue->shard, span_of(queue->name, queue->len), queue->is_full, match->ctx);
    }
}

size_t remote_binds_match(RemoteBinds *binds, Span topic, RemoteFn fn, void *ctx) {
    Match match = {binds, fn, ctx, 0};

    return topic_tree_match(&binds->tree, topic.data, topic.len, collect, &match) + match.n;
}

/* ---- new and free ---- */

int remote_binds_new(RemoteBinds **ret, const Queues *queues) {
    RemoteBinds *binds = calloc(1, sizeof(*binds));

    if (!binds || topic_tree_init(&binds->tree) < 0) {
        free(binds);
        return -ENOMEM;
    }
    binds->router = queues;
    *ret = binds;
    return 0;
}

RemoteBinds *remote_binds_free(RemoteBinds *binds) {
    if (!binds)
        return NULL;
    for (unsigned k = 0; k < STORE_SHARDS_MAX; k++)
        binds_drop(binds, &binds->shards[k]);
    topic_tree_deinit(&binds->tree);
    free(binds);
    return NULL;
}

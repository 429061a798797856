/* SPDX-License-Identifier: Apache-2.0 */
/* Announced binds. See remote-binds.h. */

#include "broker/admin/remote-binds.h"

#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

#include "broker/admin/binds.h"
#include "broker/queues/queues-private.h"
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
    topic_node_set(pattern->node, NULL);
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

/* Reads the next bind of a shard. False: it is not right. */
static bool read_bind(const RemoteBinds *binds, unsigned shard, Reader *reader, Span *ret_queue,
                      Span *ret_pattern, bool *ret_is_full) {
    uint32_t n = reader_array(reader);

    *ret_queue = reader_str(reader);
    *ret_pattern = reader_str(reader);
    *ret_is_full = n == 3 && reader_bool(reader);
    return (n == 2 || n == 3) && !reader->problem &&
           name_is_valid(ret_queue->data, ret_queue->len) &&
           pattern_is_valid(ret_pattern->data, ret_pattern->len) &&
           shard_of(binds->router, *ret_queue)->shard == shard + 1;
}

int remote_binds_set(RemoteBinds *binds, unsigned shard, Span announcement) {
    Reader reader = reader_of(announcement.data, announcement.len);
    Announcement made = {.n = reader_array(&reader)};
    int r = reader.problem || made.n > QUEUE_BINDS_MAX ? -EBADMSG : 0;

    for (size_t i = 0; i < made.n && r == 0; i++) {
        RemoteBind *bind = NULL;
        Span queue, pattern;
        bool is_full;

        if (!read_bind(binds, shard, &reader, &queue, &pattern, &is_full))
            r = -EBADMSG;
        else if (!(bind = bind_new(binds, shard, queue, pattern)))
            r = -ENOMEM;
        else {
            bind->is_full = is_full;
            bind->next_of = made.binds;
            made.binds = bind;
        }
    }
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

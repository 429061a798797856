/* SPDX-License-Identifier: Apache-2.0 */
/* Announcements of binds in Redis. See announce.h. */

#include "broker/stores/redis/announce.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "broker/stores/redis/reader.h"
#include "broker/stores/redis/script.h"

void redis_announce_init(RedisAnnounce *announce) {
    announce->write.text = script_announce;
    announce->read.text = script_binds;
    announce->found_end = &announce->found;
    pthread_mutex_init(&announce->lock, NULL);
}

static void free_all(ShardBinds *binds) {
    for (ShardBinds *next; binds; binds = next) {
        next = binds->next;
        free(binds);
    }
}

void redis_announce_deinit(RedisAnnounce *announce) {
    free_all(announce->todo);
    free_all(announce->found);
    pthread_mutex_destroy(&announce->lock);
}

static ShardBinds *binds_new(unsigned shard, uint64_t lease, uint64_t number, Span text) {
    ShardBinds *binds = malloc(sizeof(*binds) + text.len);

    if (!binds)
        return NULL;
    *binds = (ShardBinds){.shard = shard, .lease = lease, .number = number, .len = text.len};
    if (text.len > 0)
        memcpy(binds->data, text.data, text.len);
    return binds;
}

/* ---- for the broker's thread ---- */

/* Removes the binds of a shard from the list; returns them, or NULL. */
static ShardBinds *take_out(ShardBinds **list, unsigned shard) {
    for (; *list; list = &(*list)->next) {
        ShardBinds *binds = *list;

        if (binds->shard == shard) {
            *list = binds->next;
            return binds;
        }
    }
    return NULL;
}

int redis_announce_put(RedisAnnounce *announce, unsigned shard, uint64_t lease, uint64_t number,
                       Span text) {
    ShardBinds *binds = binds_new(shard, lease, 0, text);

    if (!binds)
        return -ENOMEM;
    pthread_mutex_lock(&announce->lock);
    free(take_out(&announce->todo, shard));
    binds->next = announce->todo;
    announce->todo = binds;
    announce->wanted = number;
    pthread_mutex_unlock(&announce->lock);
    return 0;
}

void redis_announce_skip(RedisAnnounce *announce, uint64_t number) {
    pthread_mutex_lock(&announce->lock);
    announce->wanted = number;
    pthread_mutex_unlock(&announce->lock);
}

ShardBinds *redis_announce_take(RedisAnnounce *announce, uint64_t *ret_up_to) {
    ShardBinds *found;

    pthread_mutex_lock(&announce->lock);
    found = announce->found;
    *ret_up_to = announce->found_up_to;
    announce->found = NULL;
    announce->found_end = &announce->found;
    pthread_mutex_unlock(&announce->lock);
    return found;
}

/* ---- for the thread of the members ---- */

/* True: Redis has the binds, or another broker has announced newer ones. */
static bool write_one(RedisAnnounce *announce, RedisLink *link, const ShardBinds *binds) {
    char shard[12], lease[24];
    LinkCall call = {.script = &announce->write, .n_args = 4};
    Span word;
    bool is_done;

    snprintf(shard, sizeof(shard), "%u", binds->shard);
    snprintf(lease, sizeof(lease), "%" PRIu64, binds->lease);
    call.args[0] = span_text(announce->id);
    call.args[1] = span_text(shard);
    call.args[2] = span_text(lease);
    call.args[3] = span_of(binds->data, binds->len);
    redis_link_call(link, &call, 1, true, clock_ns() + ANNOUNCE_CALL_MS * UINT64_C(1000000));
    if (call.outcome != LINK_DONE)
        return false;
    word = reply_word(call.reply, 0);
    is_done = span_is(word, "OK") || span_is(word, "OLD");
    if (span_is(word, "OK"))
        announce->done_number = reply_number(call.reply, 1);
    reply_free(call.reply);
    return is_done;
}

/* Puts back the binds that could not be written, unless the broker's thread has replaced them. */
static void put_back(RedisAnnounce *announce, ShardBinds *binds) {
    ShardBinds *next;

    pthread_mutex_lock(&announce->lock);
    for (; binds; binds = next) {
        ShardBinds *newer = take_out(&announce->todo, binds->shard);

        next = binds->next;
        if (newer) {
            free(binds);
            binds = newer;
        }
        binds->next = announce->todo;
        announce->todo = binds;
    }
    pthread_mutex_unlock(&announce->lock);
}

void redis_announce_write(RedisAnnounce *announce, RedisLink *link) {
    ShardBinds *todo, *next;
    uint64_t wanted;

    pthread_mutex_lock(&announce->lock);
    todo = announce->todo;
    wanted = announce->wanted;
    announce->todo = NULL;
    pthread_mutex_unlock(&announce->lock);
    for (; todo && write_one(announce, link, todo); todo = next) {
        next = todo->next;
        free(todo);
    }
    if (todo)
        put_back(announce, todo);
    else
        announce->done = wanted;
}

/* False: out of memory. */
static bool put_found(RedisAnnounce *announce, const Reply *reply, size_t i) {
    uint64_t shard = reply_number(reply, i), number = reply_number(reply, i + 1);
    ShardBinds *binds = NULL;

    if (shard < STORE_SHARDS_MAX) {
        binds = binds_new((unsigned)shard, 0, number, reply_word(reply, i + 2));
        if (!binds)
            return false;
    }
    pthread_mutex_lock(&announce->lock);
    if (binds) {
        *announce->found_end = binds;
        announce->found_end = &binds->next;
    }
    announce->found_up_to = number;
    pthread_mutex_unlock(&announce->lock);
    announce->read_up_to = number;
    return true;
}

/* Reads a slice. False: Redis has not answered, or has no further announcement. */
static bool read_slice(RedisAnnounce *announce, RedisLink *link) {
    uint64_t before = announce->read_up_to;
    LinkCall call = {.script = &announce->read, .n_args = 2};
    char number[24], bytes[12];

    snprintf(number, sizeof(number), "%" PRIu64, before);
    snprintf(bytes, sizeof(bytes), "%d", ANNOUNCE_SLICE);
    call.args[0] = span_text(number);
    call.args[1] = span_text(bytes);
    redis_link_call(link, &call, 1, false, clock_ns() + ANNOUNCE_CALL_MS * UINT64_C(1000000));
    if (call.outcome != LINK_DONE)
        return false;
    for (size_t i = 0; i + 2 < call.reply->n && put_found(announce, call.reply, i);)
        i += 3;
    reply_free(call.reply);
    return announce->read_up_to > before;
}

bool redis_announce_read(RedisAnnounce *announce, RedisLink *link, uint64_t last) {
    if (last < announce->read_up_to) /* Redis has lost announcements: read all that it has */
        announce->read_up_to = 0;
    while (announce->read_up_to < last && read_slice(announce, link))
        continue;
    return announce->read_up_to >= last;
}

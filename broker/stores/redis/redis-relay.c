/* SPDX-License-Identifier: Apache-2.0 */
/* Announcements and entries of a cluster in Redis. See redis-relay.h. */

#include "broker/stores/redis/redis-relay.h"

#include <endian.h>
#include <stdlib.h>

#include "base/hash.h"
#include "broker/stores/redis/reader.h"

static const char no_binds[] = "\x90"; /* an empty list */

static RedisRelay *relay_of(TopicRelay *relay) {
    return (RedisRelay *)relay;
}

/* ---- ops ---- */

static uint64_t announce(TopicRelay *base, unsigned shard) {
    RedisRelay *relay = relay_of(base);

    relay->dirty |= UINT64_C(1) << shard;
    if (relay->waker)
        waker_call(relay->waker);
    return ++relay->number;
}

static int admit(TopicRelay *base, unsigned shard) {
    return redis_mail_admit(&relay_of(base)->mail, shard);
}

static int send_entry(TopicRelay *base, unsigned shard, Span entry, void *sending) {
    return redis_mail_send(&relay_of(base)->mail, shard, entry, sending);
}

static int retain(TopicRelay *base, unsigned shard, const RelayValue *value, void *sending) {
    return redis_mail_retain(&relay_of(base)->mail, shard, value, sending);
}

static uint64_t look(TopicRelay *base) {
    return redis_mail_look(&relay_of(base)->mail);
}

static const RelayOps ops = {
    .announce = announce, .admit = admit, .send = send_entry, .retain = retain, .look = look};

static void on_announced(void *ctx) {
    redis_members_call(ctx);
}

void redis_relay_init(RedisRelay *relay, RedisMembers *members) {
    relay->relay.ops = &ops;
    relay->members = members;
    relay->mail.on_announced = on_announced;
    relay->mail.ctx = members;
    for (unsigned k = 0; k < STORE_SHARDS_MAX; k++)
        relay->hashes[k] = hash_bytes(no_binds, 1);
}

/* ---- announcements ---- */

static void set_hash(RedisRelay *relay, unsigned k, Span binds) {
    uint64_t bit = UINT64_C(1) << k;

    relay->hashes[k] = hash_bytes(binds.data, binds.len);
    relay->bound = span_is(binds, no_binds) ? relay->bound & ~bit : relay->bound | bit;
}

void redis_relay_take_binds(RedisRelay *relay) {
    const RelayUser *user = &relay->relay.user;
    ShardBinds *binds = redis_announce_take(&relay->members->announce, &relay->known), *next;

    for (; binds; binds = next) {
        Span text = span_of(binds->data, binds->len);

        next = binds->next;
        set_hash(relay, binds->shard, text);
        if (user->on_binds && binds->shard < relay->mail.n)
            user->on_binds(binds->shard, text, user->ctx);
        free(binds);
    }
}

/* False: out of memory. */
static bool announce_shard(RedisRelay *relay, unsigned k, uint64_t lease) {
    CLEANUP(buffer_deinit) Buffer to = {0};
    const RelayUser *user = &relay->relay.user;
    Span binds;

    if (!user->write_binds || !user->write_binds(k, &to, user->ctx))
        return true;
    binds = span_of(to.data, to.len);
    if (to.failed)
        return false;
    if (hash_bytes(binds.data, binds.len) == relay->hashes[k])
        return true;
    if (redis_announce_put(&relay->members->announce, k, lease, relay->number, binds) < 0)
        return false;
    set_hash(relay, k, binds);
    return true;
}

void redis_relay_announce(RedisRelay *relay, const uint64_t *leases) {
    uint64_t dirty = relay->dirty;

    if (dirty == 0)
        return;
    relay->dirty = 0;
    for (unsigned k = 0; k < relay->mail.n; k++)
        if (dirty >> k & 1 && !announce_shard(relay, k, leases[k]))
            relay->dirty |= UINT64_C(1) << k;
    if (relay->dirty == 0)
        redis_announce_skip(&relay->members->announce, relay->number);
    redis_members_call(relay->members);
}

void redis_relay_take_view(RedisRelay *relay, const MembersView *view) {
    const RelayUser *user = &relay->relay.user;

    if (view->announced <= relay->told || relay->known < view->announced_number)
        return;
    for (size_t i = 0; i < view->n; i++)
        if (view->others[i].known < view->announced_number)
            return;
    relay->told = view->announced;
    if (user->on_known)
        user->on_known(relay->told, user->ctx);
}

/* ---- entries ---- */

void redis_relay_take_sent(RedisRelay *relay) {
    SentEntry *entry = redis_mail_take_sent(&relay->mail), *next;

    for (; entry; entry = next) {
        next = entry->next;
        relay->relay.user.on_sent(entry->sending, entry->result, relay->relay.user.ctx);
        free(entry);
    }
}

/* ---- retained values ---- */

/* The time before a value in Redis, in ms by the clock of Redis. Cuts it off. */
static uint64_t take_time(Span *value) {
    uint64_t ms;

    if (value->len < sizeof(ms))
        return 0;
    memcpy(&ms, value->data, sizeof(ms));
    *value = span_of(value->data + sizeof(ms), value->len - sizeof(ms));
    return le64toh(ms);
}

bool redis_relay_take_values(RedisRelay *relay, const MailSlice *slice, WallClock wall) {
    const RelayValues *user = &relay->relay.values;
    const Reply *reply = slice->reply;

    if (!user->on_value)
        return true;
    if (span_is(reply_word(reply, 0), "ALL"))
        user->on_all(slice->shard, user->ctx);
    for (size_t i = 3; i + 2 < reply->n; i += 3) {
        Span value = reply_word(reply, i + 2);
        uint64_t ms = take_time(&value);

        if (value.len == 0) /* the number of the change is a time in microseconds */
            ms = reply_number(reply, i + 1) / 1000;
        if (!user->on_value(slice->shard, reply_word(reply, i), value, slice->is_new,
                            wall_clock_from(wall, ms), user->ctx))
            return false;
    }
    return true;
}

void redis_relay_tell(RedisRelay *relay, unsigned k, const MailBox *box) {
    MailBox *told = &relay->boxes[k];

    if (told->is_open == box->is_open && told->life == box->life && told->n_held == box->n_held &&
        told->is_used == box->is_used)
        return;
    *told = *box;
    redis_mail_tell(&relay->mail, k, box);
}

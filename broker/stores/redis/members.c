/* SPDX-License-Identifier: Apache-2.0 */
/* The brokers of a cluster with shards, as Redis knows them. See members.h. */

#include "broker/stores/redis/members.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/cond.h"
#include "base/error.h"
#include "base/random.h"
#include "base/text.h"
#include "broker/stores/redis/reader.h"

enum {
    CALL_MS = 1000,
    FIRST_OTHER = 5, /* the index in the reply of the first other member: of its id */
    WAIT_MS = 100,   /* for an answer */
    STILL_MS = 5000, /* brokers write their entries again in less time, whatever their lease is */
};

int redis_members_open(RedisMembers *members, RedisStoreOptions *options, ferry_error *reterr) {
    members->lease_ms = options->lease_ms;
    members->n_shards = options->n_shards;
    members->script.text = script_member;
    redis_announce_init(&members->announce);
    members->id_is_known = *options->id != '\0';
    if (members->id_is_known)
        memcpy(members->id, options->id, sizeof(members->id));
    else
        redis_new_id(members->id);
    return redis_link_open(&members->link, options, LINK_CLUSTER, reterr);
}

void redis_members_close(RedisMembers *members) {
    if (members->script.text)
        redis_announce_deinit(&members->announce);
    redis_link_close(&members->link);
}

/* ---- entries ---- */

static void put_hex(char to[2 * WIRE_TOKEN + 1], const uint8_t id[WIRE_TOKEN]) {
    for (int i = 0; i < WIRE_TOKEN; i++)
        snprintf(to + (size_t)2 * i, 3, "%02x", id[i]);
}

static bool take_hex(Span text, uint8_t id[WIRE_TOKEN]) {
    static const char digits[] = "0123456789abcdef";

    if (text.len != (size_t)2 * WIRE_TOKEN)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        const char *at = text.data[i] ? strchr(digits, text.data[i]) : NULL;

        if (!at)
            return false;
        id[i / 2] = (uint8_t)(id[i / 2] << 4 | (at - digits));
    }
    return true;
}

enum { ENTRY_MAX = STORE_URL_MAX + 24 + 5 * STORE_SHARDS_MAX };

static void put_entry(char to[ENTRY_MAX], const ShardMember *member) {
    int n = snprintf(to, ENTRY_MAX, "%s b%" PRIu64, member->url, member->known);

    for (unsigned k = 0; k < STORE_SHARDS_MAX; k++)
        if (member->owned >> k & 1)
            n += snprintf(to + n, ENTRY_MAX - (size_t)n, " %s%u",
                          member->restored >> k & 1 ? "" : "+", k);
}

static bool is_url(const char *text) {
    size_t len = 0;

    for (; text[len]; len++)
        if (text[len] <= ' ' || text[len] > '~')
            return false;
    return len > 0 && len < STORE_URL_MAX;
}

/* "UNTIL URL bKNOWN SHARD…"; a later ferry may add words that begin with another letter. Redis may
 * hold anything. */
static bool take_entry(Span text, unsigned n_shards, ShardMember *ret) {
    char line[ENTRY_MAX + 24], *rest, *word;
    unsigned number = 0;

    if (text.len >= sizeof(line))
        return false;
    if (text.len > 0)
        memcpy(line, text.data, text.len);
    line[text.len] = '\0';
    for (word = strtok_r(line, " ", &rest); word; word = strtok_r(NULL, " ", &rest), number++) {
        bool is_restored = *word != '+';
        uint64_t k;

        if (number == 0)
            continue;
        if (number == 1) {
            if (!is_url(word))
                return false;
            strcpy(ret->url, word);
            continue;
        }
        if (*word == 'b') {
            if (text_parse_count(word + 1, &ret->known) < 0)
                return false;
            continue;
        }
        if (*word >= 'a' && *word <= 'z')
            continue;
        if (text_parse_count(word + !is_restored, &k) < 0 || k >= n_shards)
            return false;
        ret->owned |= UINT64_C(1) << k;
        ret->restored |= (uint64_t)is_restored << k;
    }
    return number >= 2;
}

/* ---- calls ---- */

/* If the clock of Redis was set back, the end of an entry is far away. So a member is also gone
 * when it has not written its entry for the time of a lease, by the clock of this process. */
static bool is_alive(RedisMembers *members, const uint8_t *id, Span entry, MemberSeen *now) {
    uint64_t still_ms = members->lease_ms > STILL_MS ? members->lease_ms : STILL_MS;

    *now = (MemberSeen){.since_ms = clock_ms()};
    memcpy(now->id, id, WIRE_TOKEN);
    for (size_t i = 0; i < entry.len && entry.data[i] >= '0' && entry.data[i] <= '9'; i++)
        now->until_ms = now->until_ms * 10 + (uint64_t)(entry.data[i] - '0');
    for (size_t i = 0; i < members->n_seen; i++)
        if (memcmp(members->seen[i].id, id, WIRE_TOKEN) == 0 &&
            members->seen[i].until_ms == now->until_ms)
            now->since_ms = members->seen[i].since_ms;
    return clock_ms() <= now->since_ms + still_ms;
}

static void take_others(RedisMembers *members, const Reply *reply, MembersView *view) {
    MemberSeen seen[MEMBERS_MAX];
    size_t n_seen = 0;
    char made[400];
    Span text = reply_word(reply, 3);

    snprintf(made, sizeof(made), "%.*s", (int)text.len, text.data ? (const char *)text.data : "");
    for (char *at = made + strspn(made, " "); *at; at += strspn(at, " ")) {
        char *end;
        unsigned long k = strtoul(at, &end, 10);

        if (end == at)
            break;
        at = end;
        if (k < members->n_shards)
            view->made |= UINT64_C(1) << k;
    }
    view->binds = reply_number(reply, FIRST_OTHER - 1);
    for (size_t i = FIRST_OTHER; i + 1 < reply->n && n_seen < MEMBERS_MAX - 1; i += 2) {
        ShardMember *other = &view->others[view->n];
        Span entry = reply_word(reply, i + 1);

        *other = (ShardMember){0};
        if (take_hex(reply_word(reply, i), other->id) &&
            take_entry(entry, members->n_shards, other))
            view->n += is_alive(members, other->id, entry, &seen[n_seen++]);
    }
    memcpy(members->seen, seen, n_seen * sizeof(*seen));
    members->n_seen = n_seen;
}

/* The script has refused the broker. */
static void refuse(const RedisMembers *members, const Reply *reply, MembersView *view) {
    const char *key = members->link.key;
    Span word = reply_word(reply, 0);
    char text[TEXT_ESCAPED_MAX];
    Span detail = reply_word(reply, 1);

    text_escape(text, detail.data ? (const void *)detail.data : "", detail.len);
    view->is_wrong = true;
    if (span_begins(word, "EMPTY"))
        snprintf(view->why, sizeof(view->why),
                 "there is no %s in Redis: it was emptied, or is another Redis than that of id=%s",
                 key, members->id);
    else if (span_begins(word, "SHARDS"))
        snprintf(view->why, sizeof(view->why),
                 "%s in Redis has shards=%.40s, and the URL says shards=%u", key, text,
                 members->n_shards);
    else if (span_begins(word, "SPACE"))
        snprintf(view->why, sizeof(view->why),
                 "the queues of %s in Redis are one space without shards: use another name= for "
                 "queues with shards",
                 members->link.keys[2]);
    else if (span_begins(word, "OTHER"))
        snprintf(view->why, sizeof(view->why), "%s in Redis has the id %.40s, and not %s", key,
                 text, members->id);
    else if (span_begins(word, "FORMAT"))
        snprintf(view->why, sizeof(view->why),
                 "%s in Redis has format %.40s, and this ferry reads format %d", key, text,
                 REDIS_CLUSTER_FORMAT);
    else
        snprintf(view->why, sizeof(view->why), "%s has %d brokers already", key, MEMBERS_MAX);
}

/* lease_ms 0: the entry of this broker is removed. */
static void call_member(RedisMembers *members, const ShardMember *own, uint32_t lease_ms,
                        MembersView *view) {
    char rule[REDIS_ID_SIZE + 8], shards[12], id[2 * WIRE_TOKEN + 1], lease[12], entry[ENTRY_MAX];
    LinkCall call = {.script = &members->script, .n_args = 5};

    memset(view, 0, offsetof(MembersView, why) + 1);
    view->announced = members->announce.done;
    view->announced_number = members->announce.done_number;
    snprintf(rule, sizeof(rule), "%s:%s", members->id_is_known ? "must" : "any", members->id);
    snprintf(shards, sizeof(shards), "%u", members->n_shards);
    snprintf(lease, sizeof(lease), "%u", lease_ms);
    put_hex(id, own->id);
    put_entry(entry, own);
    call.args[0] = span_text(rule);
    call.args[1] = span_text(shards);
    call.args[2] = span_text(id);
    call.args[3] = span_text(lease);
    call.args[4] = span_text(entry);
    redis_link_call(&members->link, &call, 1, false, clock_ns() + CALL_MS * UINT64_C(1000000));
    if (call.outcome != LINK_DONE) {
        view->is_wrong = call.outcome == LINK_WRONG;
        snprintf(view->why, sizeof(view->why), "%s", members->link.why);
        return;
    }
    view->is_valid = span_begins(reply_word(call.reply, 0), "OK");
    if (view->is_valid)
        take_others(members, call.reply, view);
    else
        refuse(members, call.reply, view);
    if (view->is_valid && !members->id_is_known) {
        Span found = reply_word(call.reply, 2);

        members->id_is_known = found.len == REDIS_ID_SIZE;
        if (members->id_is_known)
            memcpy(members->id, found.data, found.len);
    }
    reply_free(call.reply);
}

int redis_members_check(RedisMembers *members, ferry_error *reterr) {
    MembersView view;

    call_member(members, &(ShardMember){0}, 0, &view);
    if (view.is_valid)
        return 0;
    return view.is_wrong ? error_set_code(reterr, -EINVAL, "%s", view.why) : STORE_HAS_MORE;
}

/* ---- the thread ---- */

static void put_view(RedisMembers *members, const MembersView *view) {
    pthread_mutex_lock(&members->lock);
    members->view = *view;
    members->has_view = true;
    pthread_cond_signal(&members->answered);
    pthread_mutex_unlock(&members->lock);
    waker_call(members->waker);
}

/* Waits for the time of the next call. False: the broker ends. */
static bool wait_for_turn(RedisMembers *members, ShardMember *own, bool *ret_leaving) {
    uint64_t began_ms = clock_ms();
    bool stopping;

    pthread_mutex_lock(&members->lock);
    while (!members->called && !members->stopping &&
           cond_wait_until(&members->cond, &members->lock, began_ms + members->pause_ms))
        continue;
    members->called = false;
    stopping = members->stopping;
    *own = members->own;
    *ret_leaving = members->is_leaving || stopping;
    pthread_mutex_unlock(&members->lock);
    return !stopping;
}

static void *run(void *ctx) {
    RedisMembers *members = ctx;
    bool is_leaving, goes_on = true;
    ShardMember own;

    while (goes_on) {
        MembersView view;

        goes_on = wait_for_turn(members, &own, &is_leaving);
        redis_announce_write(&members->announce, &members->link);
        call_member(members, &own, is_leaving ? 0 : members->lease_ms, &view);
        view.has_binds =
            view.is_valid && redis_announce_read(&members->announce, &members->link, view.binds);
        put_view(members, &view);
    }
    return NULL;
}

/* ---- for the broker's thread ---- */

int redis_members_start(RedisMembers *members, const ShardMember *own, Waker *waker) {
    int r;

    members->own = *own;
    memcpy(members->announce.id, members->id, sizeof(members->announce.id));
    members->waker = waker;
    members->called = true;
    members->pause_ms = members->lease_ms;
    pthread_mutex_init(&members->lock, NULL);
    cond_init(&members->cond);
    cond_init(&members->answered);
    r = pthread_create(&members->thread, NULL, run, members);
    members->running = r == 0;
    return -r;
}

void redis_members_tell(RedisMembers *members, const ShardMember *own, uint32_t pause_ms,
                        bool is_leaving) {
    bool is_new;

    pthread_mutex_lock(&members->lock);
    is_new = members->own.owned != own->owned || members->own.restored != own->restored ||
             members->own.known != own->known || members->is_leaving != is_leaving;
    members->called |= is_new;
    is_new |= members->pause_ms != pause_ms;
    members->own = *own;
    members->is_leaving = is_leaving;
    members->pause_ms = pause_ms;
    if (is_new)
        pthread_cond_signal(&members->cond);
    pthread_mutex_unlock(&members->lock);
}

void redis_members_call(RedisMembers *members) {
    pthread_mutex_lock(&members->lock);
    members->called = true;
    pthread_cond_signal(&members->cond);
    pthread_mutex_unlock(&members->lock);
}

void redis_members_wait(RedisMembers *members) {
    uint64_t until_ms = clock_ms() + WAIT_MS;

    pthread_mutex_lock(&members->lock);
    while (!members->has_view && cond_wait_until(&members->answered, &members->lock, until_ms))
        continue;
    pthread_mutex_unlock(&members->lock);
}

bool redis_members_take(RedisMembers *members, MembersView *ret) {
    bool has_view;

    pthread_mutex_lock(&members->lock);
    has_view = members->has_view;
    members->has_view = false;
    if (has_view)
        *ret = members->view;
    pthread_mutex_unlock(&members->lock);
    return has_view;
}

void redis_members_stop(RedisMembers *members) {
    if (!members->running)
        return;
    pthread_mutex_lock(&members->lock);
    members->stopping = true;
    pthread_cond_signal(&members->cond);
    pthread_mutex_unlock(&members->lock);
    pthread_join(members->thread, NULL);
    members->running = false;
    pthread_cond_destroy(&members->cond);
    pthread_cond_destroy(&members->answered);
    pthread_mutex_destroy(&members->lock);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The shards of a cluster, on the broker's thread. See shards.h. */

#include "broker/stores/redis/shards.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/container.h"
#include "base/error.h"
#include "base/log.h"
#include "broker/stores/redis/members.h"
#include "broker/stores/redis/redis-private.h"
#include "broker/stores/redis/redis-relay.h"

enum {
    PIECE = 512,      /* jobs, or other values, that one turn restores */
    MOVING_MS = 200,  /* time between two looks at the members while shards move */
    RESTING_MS = 500, /* otherwise the time is a fifth of the lease, and at most this */
    WAIT_MS = 100,    /* time between two attempts at the start */
    TELL_MS = 30000,  /* time between two lines of the log about waiting */
    AGAIN_MS = 10000, /* pause before a shard that could not be read is tried again */
};

typedef enum ShardState {
    SHARD_AWAY,
    SHARD_ADOPTING, /* its thread waits for the lease, or reads */
    SHARD_HERE,
    SHARD_CLOSING, /* changes are under way, and no further ones begin */
    SHARD_GIVING,  /* its thread writes the end of the lease */
    SHARD_ENDING,  /* its thread ends without the lease */
} ShardState;

typedef struct QueueShard {
    RedisQueues redis;
    ShardState state;
    bool is_begun;          /* the router is adopting it */
    uint64_t not_before_ms; /* the earliest time of the next attempt to take it */
    uint64_t closing_ms;    /* the time when it began to leave */
    uint32_t life;          /* counts the times that it came here */
    MailSlice *mail; /* a list by next: slices of its inbox that are not in redis.inbox yet */
} QueueShard;

struct RedisShards {
    struct Queues *queues;
    Waker *waker;
    StoreOps ops;
    RedisMembers members;
    RedisRelay relay;
    RedisStoreOptions options;
    ShardMember own;
    MembersView view; /* the last valid view */
    /* When the log last had the reason why the latest view was not valid; 0: it was valid. */
    uint64_t told_ms;
    bool is_leaving;
    bool knows_binds;  /* of the cluster, from before this broker has started */
    bool has_restored; /* in this turn */
    bool is_busy;      /* a shard needs another turn soon */
    unsigned n;
    QueueShard *shards[];
};

static RedisShards *shards_of(const StoreOps *ops) {
    return container_of(ops, RedisShards, ops);
}

/* ---- the own entry ---- */

static bool is_owned(const QueueShard *shard) {
    return shard->state == SHARD_HERE ||
           (shard->state == SHARD_ADOPTING && shard->redis.restoring.has_lease);
}

static void look_at_own(RedisShards *shards) {
    shards->own.owned = shards->own.restored = 0;
    shards->own.known = shards->relay.known;
    for (unsigned k = 0; k < shards->n; k++) {
        shards->own.owned |= (uint64_t)is_owned(shards->shards[k]) << k;
        shards->own.restored |= (uint64_t)(shards->shards[k]->state == SHARD_HERE) << k;
    }
}

static SpreadPlan make_plan(RedisShards *shards) {
    ShardMember members[MEMBERS_MAX];

    look_at_own(shards);
    members[0] = shards->own;
    memcpy(members + 1, shards->view.others, shards->view.n * sizeof(*members));
    return spread_plan(members, shards->view.n + 1, 0, shards->n);
}

/* ---- owners ---- */

static void set_owner(RedisShards *shards, QueueShard *shard, const StoreOwner *owner) {
    if (memcmp(&shard->redis.store.owner, owner, sizeof(*owner)) == 0)
        return;
    shard->redis.store.owner = *owner;
    if (shard->redis.store.away)
        queues_owner_changed(shards->queues, &shard->redis.store);
}

static void look_at_owner(RedisShards *shards, unsigned k) {
    QueueShard *shard = shards->shards[k];
    StoreOwner owner;

    memset(&owner, 0, sizeof(owner)); /* with its padding: owners are compared */
    for (size_t i = 0; i < shards->view.n && !is_owned(shard); i++)
        if (shards->view.others[i].restored >> k & 1) {
            owner.is_known = true;
            memcpy(owner.broker, shards->view.others[i].id, WIRE_TOKEN);
            strcpy(owner.url, shards->view.others[i].url);
        }
    if (owner.is_known)
        store_set_degraded(&shard->redis.store, NULL);
    set_owner(shards, shard, &owner);
}

/* ---- from state to state ---- */

static void forget_owner(QueueShard *shard) {
    memset(&shard->redis.store.owner, 0, sizeof(shard->redis.store.owner));
}

static void drop_mail(QueueShard *shard) {
    for (MailSlice *next; shard->mail; shard->mail = next) {
        next = shard->mail->next;
        mail_slice_free(shard->mail);
    }
}

/* The thread has ended: nothing refers to the segments any more. */
static void end_thread(QueueShard *shard) {
    RedisQueues *redis = &shard->redis;

    redis_writer_stop(&redis->writer);
    segments_deinit(&redis->segments);
    shard_inbox_clear(&redis->inbox);
    drop_mail(shard);
    redis->restoring.slice = read_slice_free(redis->restoring.slice);
    writer_batch_free(redis->open);
    redis->open = NULL;
    redis->n_submitted = redis->backlog = 0;
    shard->state = SHARD_AWAY;
}

static void adopt(RedisShards *shards, unsigned k) {
    QueueShard *shard = shards->shards[k];
    RedisReader reader = {.id_rule = shards->view.made >> k & 1 ? ID_MUST : ID_SAME};
    int r;

    redis_set_reader(&shard->redis, &reader);
    memcpy(reader.id, shards->members.id, sizeof(reader.id));
    snprintf(reader.shard, sizeof(reader.shard), "%u/%u", k, shards->n);
    shard->redis.restoring = (Restoring){.began_ms = clock_ms(), .told_ms = clock_ms()};
    shard->redis.state = WRITER_WORKS;
    shard->redis.last_job = 0;
    r = redis_writer_start(&shard->redis.writer, &reader, true, shards->waker);
    if (r < 0) {
        log_error("cannot start the thread of a shard: key=%s reason='%s'", shard->redis.link.key,
                  strerror(-r));
        shard->not_before_ms = clock_ms() + AGAIN_MS;
        return;
    }
    shard->state = SHARD_ADOPTING;
}

/* The shard, and all that the router has of it, is not at this broker any more. ms: for the thread
 * to give a lease back that was not used. */
static void drop(RedisShards *shards, QueueShard *shard, uint32_t ms) {
    RedisQueues *redis = &shard->redis;

    forget_owner(shard);
    redis->writes = ms > 0 && redis->restoring.has_lease;
    redis_give_lease_back(redis, redis->writer.reader.served_ms);
    redis->writes = false;
    if (shard->is_begun)
        queues_release_shard(shards->queues, &redis->store);
    shard->is_begun = false;
    store_set_degraded(&redis->store, NULL);
    redis_writer_end(&redis->writer, ms);
    shard->state = SHARD_ENDING;
}

static void lose(RedisShards *shards, QueueShard *shard) {
    char reason[STORE_REASON_MAX];

    redis_writer_reason(&shard->redis.writer, reason);
    log_warning("a shard has left this broker: key=%s reason='%s'", shard->redis.link.key,
                shard->redis.state >= WRITER_BROKEN ? reason : "its lease has ended");
    drop(shards, shard, 0);
}

static bool is_lost(QueueShard *shard) {
    return shard->redis.state >= WRITER_BROKEN || redis_writer_has_expired(&shard->redis.writer);
}

static void fail(RedisShards *shards, QueueShard *shard, const ferry_error *error) {
    log_error("a shard cannot be restored, trying again in %d s: %s", AGAIN_MS / 1000,
              error->message);
    shard->not_before_ms = clock_ms() + AGAIN_MS;
    drop(shards, shard, REDIS_CLOSE_MS);
    store_set_degraded(&shard->redis.store, error->message);
}

static void give(QueueShard *shard) {
    if (shard->state == SHARD_HERE) {
        log_info("giving a shard up: key=%s", shard->redis.link.key);
        shard->state = SHARD_CLOSING;
        shard->closing_ms = clock_ms();
    }
}

/* By the clock of Redis. */
static uint64_t served_until(const QueueShard *shard) {
    return wall_clock_to(shard->redis.wall,
                         shard->state == SHARD_CLOSING ? shard->closing_ms : clock_ms());
}

/* ---- steps of one shard ---- */

/* False: the router is not ready for the slice. */
static bool begin_adoption(RedisShards *shards, QueueShard *shard) {
    if (shard->is_begun || shard->redis.restoring.slice->step != READ_LEASE)
        return true;
    shard->is_begun = queues_adopt_begin(shards->queues, &shard->redis.store) == 0;
    shards->is_busy |= !shard->is_begun;
    return shard->is_begun;
}

static void tell_here(RedisShards *shards, const RedisQueues *redis) {
    const RelayValues *user = &shards->relay.relay.values;
    uint64_t served_ms = wall_clock_from(redis->wall, redis->writer.reader.served_ms);

    if (user->on_here)
        user->on_here(redis->store.shard - 1, served_ms, user->ctx);
}

static void end_adoption(RedisShards *shards, QueueShard *shard) {
    shard->state = SHARD_HERE;
    tell_here(shards, &shard->redis);
    forget_owner(shard);
    store_set_degraded(&shard->redis.store, NULL);
    shard->redis.store.handed_over = shard->redis.writer.reader.was_given;
    queues_adopt_end(shards->queues, &shard->redis.store);
    shard->life++;
    shards->relay.relay.ops->announce(&shards->relay.relay, shard->redis.store.shard - 1);
}

/* Restores a piece, if no other shard has done so in this turn. */
static void go_on_adopting(RedisShards *shards, QueueShard *shard) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    RedisQueues *redis = &shard->redis;
    int r;

    if (redis->restoring.has_lease)
        redis_take_done(redis);
    if (is_lost(shard)) {
        lose(shards, shard);
        return;
    }
    if (!redis->restoring.slice)
        redis->restoring.slice = redis_writer_take_slice(&redis->writer, 0);
    if (!redis->restoring.slice) {
        if (redis_writer_is_over(&redis->writer))
            drop(shards, shard, 0);
        else
            redis_restore_tell(redis);
        return;
    }
    if (shards->has_restored) {
        waker_call(shards->waker);
        return;
    }
    if (!begin_adoption(shards, shard))
        return;
    shards->has_restored = true;
    waker_call(shards->waker);
    r = redis_restore_some(redis, PIECE, &error);
    if (r < 0)
        fail(shards, shard, &error);
    else if (r == 0)
        end_adoption(shards, shard);
}

/* A change that has ended may let the router deliver a job. A broker that was stopped for longer
 * than its lease must not do so: the shard is elsewhere. */
static bool take_done(QueueShard *shard) {
    if (redis_writer_has_expired(&shard->redis.writer))
        return false;
    redis_take_done(&shard->redis);
    return !is_lost(shard);
}

static void go_on_here(RedisShards *shards, QueueShard *shard) {
    if (!take_done(shard))
        lose(shards, shard);
    else
        shards->is_busy |= shard_inbox_turn(&shard->redis, shards->queues);
}

static void go_on_closing(RedisShards *shards, QueueShard *shard) {
    if (!take_done(shard)) {
        lose(shards, shard);
    } else if (queues_close_shard(shards->queues, &shard->redis.store)) {
        redis_give_lease_back(&shard->redis, served_until(shard));
        redis_writer_end(&shard->redis.writer, REDIS_CLOSE_MS);
        shard->state = SHARD_GIVING;
    } else {
        shards->is_busy = true;
    }
}

static void go_on(RedisShards *shards, QueueShard *shard) {
    RedisQueues *redis = &shard->redis;

    switch (shard->state) {
    case SHARD_AWAY:
        break;
    case SHARD_ADOPTING:
        go_on_adopting(shards, shard);
        break;
    case SHARD_HERE:
        go_on_here(shards, shard);
        break;
    case SHARD_CLOSING:
        go_on_closing(shards, shard);
        break;
    case SHARD_GIVING:
        redis_take_done(redis);
        if (!redis_writer_is_over(&redis->writer))
            break;
        drop(shards, shard, 0);
        end_thread(shard);
        break;
    case SHARD_ENDING:
        if (redis_writer_is_over(&redis->writer))
            end_thread(shard);
    }
}

/* ---- all shards ---- */

static bool is_giving(const RedisShards *shards) {
    for (unsigned k = 0; k < shards->n; k++)
        if (shards->shards[k]->state == SHARD_CLOSING || shards->shards[k]->state == SHARD_GIVING)
            return true;
    return false;
}

static void follow_plan(RedisShards *shards) {
    SpreadPlan plan = make_plan(shards);

    for (unsigned k = 0; k < shards->n; k++) {
        QueueShard *shard = shards->shards[k];
        bool is_mine = plan.take >> k & 1;

        if (shard->state == SHARD_AWAY && is_mine && clock_ms() >= shard->not_before_ms)
            adopt(shards, k);
        else if (shard->state == SHARD_ADOPTING && !is_owned(shard) && !is_mine)
            drop(shards, shard, REDIS_CLOSE_MS); /* another member has taken it */
    }
    if (plan.give >= 0 && !is_giving(shards))
        give(shards->shards[plan.give]);
}

/* ---- binds and inboxes ---- */

/* "NUMBER-RANDOM" */
static uint64_t lease_of(const QueueShard *shard) {
    return shard->state == SHARD_HERE ? strtoull(shard->redis.writer.reader.token, NULL, 10) : 0;
}

static void announce_binds(RedisShards *shards) {
    uint64_t leases[STORE_SHARDS_MAX];

    for (unsigned k = 0; k < shards->n; k++)
        leases[k] = lease_of(shards->shards[k]);
    redis_relay_announce(&shards->relay, leases);
}

static void put_mail(QueueShard *shard, MailSlice *slice) {
    MailSlice **end = &shard->mail;

    slice->next = NULL;
    if (shard->state != SHARD_HERE || shard->life != slice->life) {
        mail_slice_free(slice);
        return;
    }
    while (*end)
        end = &(*end)->next;
    *end = slice;
}

static void take_values(RedisShards *shards, MailSlice *slice) {
    WallClock wall = shards->shards[slice->shard]->redis.wall;

    if (!redis_relay_take_values(&shards->relay, slice, wall))
        redis_mail_read_again(&shards->relay.mail, slice->shard);
    mail_slice_free(slice);
}

static void take_slices(RedisShards *shards) {
    const RelayValues *user = &shards->relay.relay.values;
    uint64_t looked = redis_mail_looked(&shards->relay.mail);
    MailSlice *slice = redis_mail_take_slices(&shards->relay.mail), *next;

    for (; slice; slice = next) {
        next = slice->next;
        if (slice->of_values)
            take_values(shards, slice);
        else
            put_mail(shards->shards[slice->shard], slice);
    }
    if (user->on_looked)
        user->on_looked(looked, user->ctx);
}

static void take_mail(RedisShards *shards) {
    MailSlice *next;

    take_slices(shards);
    for (unsigned k = 0; k < shards->n; k++) {
        QueueShard *shard = shards->shards[k];

        /* Without memory, the next turn tries again. */
        while (shard->mail && shard_inbox_add(&shard->redis.inbox, shard->mail->reply)) {
            next = shard->mail->next;
            mail_slice_free(shard->mail);
            shard->mail = next;
        }
        shards->is_busy |= shard->mail != NULL;
    }
    redis_relay_take_sent(&shards->relay);
}

static void tell_mail(RedisShards *shards) {
    for (unsigned k = 0; k < shards->n; k++) {
        const QueueShard *shard = shards->shards[k];
        const ShardInbox *inbox = &shard->redis.inbox;

        redis_relay_tell(&shards->relay, k,
                         &(MailBox){.is_open = shard->state == SHARD_HERE && !shard->mail &&
                                               inbox->n < INBOX_ITEMS_MAX &&
                                               inbox->bytes < MAIL_AHEAD,
                                    .life = shard->life,
                                    .is_used = shards->relay.bound != 0,
                                    .n_held = inbox->n});
    }
}

/* Of shards that no broker has. why: NULL: shards can come to this broker again. */
static void tell_why_away(RedisShards *shards, const char *why) {
    for (unsigned k = 0; k < shards->n; k++) {
        QueueShard *shard = shards->shards[k];

        if ((shard->state == SHARD_AWAY || shard->state == SHARD_ENDING) &&
            !shard->redis.store.owner.is_known)
            store_set_degraded(&shard->redis.store, why);
    }
}

/* The view is not valid: the broker keeps its shards as long as their leases last. */
static void tell_no_view(RedisShards *shards, const MembersView *view) {
    tell_why_away(shards, view->why);
    if (shards->told_ms != 0 && clock_ms() < shards->told_ms + TELL_MS)
        return;
    shards->told_ms = clock_ms();
    log_warning("the brokers of the cluster are not known now, no shards move: key=%s reason='%s'",
                shards->members.link.key, view->why);
}

static void take_view(RedisShards *shards) {
    MembersView view;

    if (!redis_members_take(&shards->members, &view))
        return;
    if (!view.is_valid) {
        tell_no_view(shards, &view);
        return;
    }
    if (shards->told_ms != 0) {
        log_info("the brokers of the cluster are known again: key=%s", shards->members.link.key);
        tell_why_away(shards, NULL);
    }
    shards->told_ms = 0;
    shards->view = view;
    shards->knows_binds |= view.has_binds;
    redis_relay_take_view(&shards->relay, &view);
    if (!shards->is_leaving)
        follow_plan(shards);
    for (unsigned k = 0; k < shards->n; k++)
        look_at_owner(shards, k);
}

static uint32_t resting_ms(const RedisShards *shards) {
    uint32_t ms = shards->options.lease_ms / 5;

    return ms < RESTING_MS ? ms : RESTING_MS;
}

bool redis_shards_turn(RedisShards *shards) {
    bool is_settled;

    if (!shards->members.running)
        return false;
    shards->is_busy = shards->has_restored = false;
    redis_relay_take_binds(&shards->relay);
    take_view(shards);
    take_mail(shards);
    for (unsigned k = 0; k < shards->n; k++)
        go_on(shards, shards->shards[k]);
    announce_binds(shards);
    tell_mail(shards);
    is_settled = make_plan(shards).is_settled;
    redis_members_tell(&shards->members, &shards->own,
                       is_settled && !redis_relay_waits(&shards->relay) ? resting_ms(shards)
                                                                        : MOVING_MS,
                       shards->is_leaving);
    return shards->is_busy;
}

/* ---- start and end ---- */

static int shard_open(Store *store, Waker *waker, ferry_error *reterr) {
    RedisQueues *redis = redis_of(store);

    shards_of(store->ops)->waker = waker;
    return redis_link_open(&redis->link, &redis->options, LINK_SPACE, reterr);
}

static QueueShard *shard_new(RedisShards *shards, const char *url, unsigned k,
                             ferry_error *reterr) {
    QueueShard *shard = calloc(1, sizeof(*shard));
    RedisStoreOptions *options = shard ? &shard->redis.options : NULL;
    size_t len;

    if (!shard || redis_options_parse(url, options, reterr) < 0) {
        free(shard);
        return NULL;
    }
    len = strlen(options->name);
    snprintf(options->name + len, sizeof(options->name) - len, ".%u", k);
    shard->redis.store.ops = &shards->ops;
    shard->redis.store.shard = k + 1;
    shard->redis.store.away = true;
    return shard;
}

static int open_mail(RedisShards *shards, const char *url, ferry_error *reterr) {
    CLEANUP(redis_options_deinit) RedisStoreOptions options = {0};
    int r = redis_options_parse(url, &options, reterr);

    return r < 0 ? r : redis_mail_open(&shards->relay.mail, &options, reterr);
}

int redis_shards_new(const char *url, RedisShards **ret, ferry_error *reterr) {
    CLEANUP(redis_options_deinit) RedisStoreOptions options = {0};
    CLEANUP(redis_shards_free) RedisShards *shards = NULL;
    int r = redis_options_parse(url, &options, reterr);

    if (r < 0 || options.n_shards == 0)
        return r;
    shards = calloc(1, sizeof(*shards) + options.n_shards * sizeof(*shards->shards));
    if (!shards)
        return error_set_code(reterr, -ENOMEM, NULL);
    shards->ops = redis_ops;
    shards->ops.open = shard_open;
    shards->ops.restore = NULL;
    shards->ops.process = NULL;
    shards->options = options;
    options.url = (CacheUrl){0};
    for (; shards->n < shards->options.n_shards; shards->n++) {
        shards->shards[shards->n] = shard_new(shards, url, shards->n, reterr);
        if (!shards->shards[shards->n])
            return error_set_code(reterr, -ENOMEM, NULL);
    }
    redis_relay_init(&shards->relay, &shards->members);
    r = open_mail(shards, url, reterr);
    if (r < 0)
        return r;
    *ret = steal(&shards);
    return 0;
}

static void shard_free(QueueShard *shard) {
    drop_mail(shard);
    store_redis_free(&shard->redis.store);
}

RedisShards *redis_shards_free(RedisShards *shards) {
    if (!shards)
        return NULL;
    redis_mail_stop(&shards->relay.mail);
    redis_members_stop(&shards->members);
    redis_members_close(&shards->members);
    redis_mail_close(&shards->relay.mail);
    for (unsigned k = 0; k < shards->n; k++)
        shard_free(shards->shards[k]);
    redis_options_deinit(&shards->options);
    free(shards);
    return NULL;
}

int redis_shards_add(RedisShards *shards, struct Queues *queues) {
    int r = 0;

    shards->queues = queues;
    for (unsigned k = 0; k < shards->n && r == 0; k++)
        r = queues_add_store(queues, &shards->shards[k]->redis.store);
    if (r == 0)
        queues_set_default_store(queues, &shards->shards[0]->redis.store);
    return r;
}

const char *redis_shards_id(const RedisShards *shards) {
    return shards->members.id;
}

TopicRelay *redis_shards_relay(RedisShards *shards) {
    return &shards->relay.relay;
}

int redis_shards_check(RedisShards *shards, ferry_error *reterr) {
    RedisMembers *members = &shards->members;
    int r = members->link.redis ? 0 : redis_members_open(members, &shards->options, reterr);

    if (r == 0)
        r = redis_members_check(members, reterr);
    if (r != STORE_HAS_MORE)
        return r;
    if (shards->told_ms == 0 || clock_ms() >= shards->told_ms + TELL_MS) {
        shards->told_ms = clock_ms();
        log_warning("the cluster in Redis cannot be read yet, waiting: key=%s reason='%s'",
                    members->link.key, members->link.why);
    }
    nanosleep(&(struct timespec){.tv_nsec = WAIT_MS * 1000000L}, NULL);
    return r;
}

int redis_shards_start(RedisShards *shards, const uint8_t *broker, const char *url,
                       ferry_error *reterr) {
    int r;

    memcpy(shards->own.id, broker, WIRE_TOKEN);
    snprintf(shards->own.url, sizeof(shards->own.url), "%s", url);
    shards->told_ms = 0;
    r = redis_members_start(&shards->members, &shards->own, shards->waker);
    if (r == 0)
        r = redis_mail_start(&shards->relay.mail, shards->members.id, shards->waker);
    if (r < 0)
        return error_set_code(reterr, r, "cannot start a thread of the cluster in Redis: %s",
                              strerror(-r));
    shards->relay.waker = shards->waker;
    log_info("this broker shares the queues in Redis: key=%s shards=%u id=%s url=%s",
             shards->members.link.key, shards->n, shards->members.id, url);
    return 0;
}

bool redis_shards_join(RedisShards *shards) {
    redis_members_wait(&shards->members);
    redis_shards_turn(shards);
    /* The answer of this turn may have come after its look at the announcements. */
    redis_relay_take_binds(&shards->relay);
    return shards->knows_binds;
}

void redis_shards_leave(RedisShards *shards) {
    shards->is_leaving = true;
    for (unsigned k = 0; k < shards->n; k++)
        if (shards->shards[k]->state == SHARD_ADOPTING)
            drop(shards, shards->shards[k], REDIS_CLOSE_MS);
        else
            give(shards->shards[k]);
    waker_call(shards->waker);
}

unsigned redis_shards_n_left(const RedisShards *shards) {
    unsigned n = 0;

    for (unsigned k = 0; k < shards->n; k++)
        n += shards->shards[k]->state != SHARD_AWAY;
    return n;
}

void redis_shards_stop(RedisShards *shards) {
    redis_mail_stop(&shards->relay.mail);
    redis_members_stop(&shards->members);
    redis_relay_take_sent(&shards->relay);
    for (unsigned k = 0; k < shards->n; k++) {
        redis_give_lease_back(&shards->shards[k]->redis, served_until(shards->shards[k]));
        if (shards->shards[k]->redis.writer.running)
            redis_writer_end(&shards->shards[k]->redis.writer, REDIS_CLOSE_MS);
    }
}

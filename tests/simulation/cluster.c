/* SPDX-License-Identifier: Apache-2.0 */
/* The shards of simulated brokers. See cluster.h. */

#include "cluster.h"

#include <errno.h>
#include <string.h>

#include "broker/queues/queues.h"
#include "broker/stores/redis/spread.h"

enum {
    PIECE = 8,            /* jobs and pushes that one turn restores */
    READ_US = 5000,       /* time that the keeper needs to read the entries */
    MOVING_US = 200000,   /* as in broker/stores/redis/shards.c */
    RESTING_US = 2000000, /* as there */
    AGAIN_US = 1000,      /* until a turn that cannot go on yet is tried again */
};

typedef enum ShardState {
    SHARD_AWAY,
    SHARD_TAKING,  /* it has asked for the lease */
    SHARD_READING, /* it restores the jobs */
    SHARD_HERE,
    SHARD_CLOSING, /* changes are under way, and no further ones begin */
    SHARD_GIVING,  /* the end of the lease is under way */
} ShardState;

typedef struct SimShard {
    KeeperStore *store;
    ShardState state;
    bool is_begun;                /* the router is adopting it, or has it */
    bool is_renewing, is_renewed; /* the question is under way; its answer */
    uint32_t term; /* counts the attempts to take it; answers to earlier ones are ignored */
    uint64_t token, granted;
    uint64_t asked_us, until_us; /* the lease by the clock of this broker */
} SimShard;

typedef struct SimMember {
    SimShard *shards;
    ShardMember own, sent; /* sent: what the keeper will have of it */
    ShardMember *members;  /* all members, as the keeper has said; the first one is this broker */
    size_t n_members;
    uint64_t n_beats;
    bool is_asking, asks_again, is_leaving;
    uint64_t restart_us;
    bool strikes; /* cluster_strike_adopting() */
    uint64_t strike_us, strike_restart_us;
} SimMember;

/* The entry of a member at the keeper. A broker that was killed and has started again has two. */
typedef struct Entry {
    ShardMember member;
    uint64_t until_us;
} Entry;

static ClusterSize size;
static SimMember *sides;
static Entry *entries;     /* MEMBERS_MAX of each cluster */
static uint64_t *ended_us; /* by space: when its owner ended; 0: it has one */
static bool *was_given;    /* by space: its owner has given it up */
static ClusterCounts counts;

static SimMember *side_of(const SimBroker *one) {
    return &sides[one->number];
}

ClusterCounts *clusters_counts(void) {
    return &counts;
}

unsigned cluster_space(const SimBroker *one, unsigned shard) {
    return cluster_of(&size, one) * size.n_shards + shard;
}

uint64_t cluster_token(const SimBroker *one, unsigned shard) {
    return one->broker && shard < size.n_shards ? side_of(one)->shards[shard].token : 0;
}

SimBroker *cluster_broker(World *world, const char *url) {
    unsigned number;

    return sscanf(url, "tcp://broker-%u:5877", &number) == 1 && number < world->n_brokers
               ? &world->brokers[number]
               : NULL;
}

static Event event_of(const SimBroker *one, void (*fn)(World *world, const Event *event),
                      unsigned shard) {
    return (Event){.fn = fn,
                   .broker = one->number,
                   .life = one->life,
                   .client = shard,
                   .generation = side_of(one)->shards[shard].term};
}

/* The events of a question to the keeper, and of its answer. */
static void ask(SimBroker *one, unsigned shard, void (*arrived)(World *world, const Event *event),
                void (*answered)(World *world, const Event *event)) {
    uint64_t us = keeper_delay(one->world->keeper, cluster_space(one, shard));

    if (arrived)
        world_later(one->world, us, event_of(one, arrived, shard));
    world_later(one->world, 2 * us, event_of(one, answered, shard));
}

/* The shard of an event at a broker that is awake; NULL: the event came too late. */
static SimShard *shard_awake(World *world, const Event *event, SimBroker **ret) {
    SimBroker *one = world_awake(world, event);
    SimShard *shard = one ? &side_of(one)->shards[event->client] : NULL;

    if (!shard || shard->term != event->generation)
        return NULL;
    *ret = one;
    return shard;
}

/* The shard of an event that is at the keeper; NULL: the broker has ended the attempt. */
static SimShard *shard_asked(World *world, const Event *event, SimBroker **ret) {
    SimBroker *one = &world->brokers[event->broker];
    SimShard *shard = &side_of(one)->shards[event->client];

    *ret = one;
    return one->broker && one->life == event->life && shard->term == event->generation ? shard
                                                                                       : NULL;
}

/* ---- the own entry ---- */

static bool is_owned(const SimShard *shard) {
    return shard->state == SHARD_READING || shard->state == SHARD_HERE;
}

static void look_at_own(SimMember *side) {
    side->own.owned = side->own.restored = 0;
    for (unsigned k = 0; k < size.n_shards; k++) {
        side->own.owned |= (uint64_t)is_owned(&side->shards[k]) << k;
        side->own.restored |= (uint64_t)(side->shards[k].state == SHARD_HERE) << k;
    }
}

static void on_beat_arrived(World *world, const Event *event);
static void on_beat_answered(World *world, const Event *event);

/* The entry goes to the keeper now, or when the answer to the last one has come. */
static void beat(SimBroker *one) {
    SimMember *side = side_of(one);
    uint64_t us = keeper_delay(one->world->keeper, cluster_space(one, 0));
    Event event = {.fn = on_beat_arrived, .broker = one->number, .life = one->life};

    side->asks_again = side->is_asking;
    if (side->is_asking)
        return;
    look_at_own(side);
    side->sent = side->own;
    side->is_asking = true;
    side->n_beats++;
    counts.beats++;
    world_later(one->world, us, event);
    event.fn = on_beat_answered;
    world_later(one->world, 2 * us, event);
}

static void on_beat_due(World *world, const Event *event) {
    SimBroker *one = world_awake(world, event);

    if (one && side_of(one)->n_beats == event->one)
        beat(one);
}

/* The entry of the member, or a free one. */
static Entry *entry_of(Entry *all, const SimMember *side, uint64_t now_us) {
    Entry *entry = NULL;

    for (unsigned i = 0; i < MEMBERS_MAX; i++)
        if (memcmp(all[i].member.id, side->own.id, WIRE_TOKEN) == 0)
            return &all[i];
        else if (all[i].until_us <= now_us)
            entry = &all[i];
    if (!entry)
        abort();
    return entry;
}

/* At the keeper: the entry is kept for one lease, and all entries go back. */
static void on_beat_arrived(World *world, const Event *event) {
    const SimBroker *one = &world->brokers[event->broker];
    Entry *all = entries + (size_t)cluster_of(&size, one) * MEMBERS_MAX, *own;
    SimMember *side = side_of(one);

    if (one->life != event->life)
        return;
    own = entry_of(all, side, world->now_us);
    own->member = side->sent;
    own->until_us = side->is_leaving ? 0 : world->now_us + world->lease_us;
    side->members[0] = side->sent;
    side->n_members = 1;
    for (unsigned i = 0; i < MEMBERS_MAX; i++)
        if (&all[i] != own && all[i].until_us > world->now_us)
            side->members[side->n_members++] = all[i].member;
}

/* ---- a shard leaves ---- */

static void on_turn(World *world, const Event *event) {
    SimBroker *one = world_awake(world, event);

    if (one)
        world_turn(one);
}

static void let_go(SimBroker *one, SimShard *shard) {
    Store *store = keeper_store_base(shard->store);

    counts.failed += shard->state == SHARD_READING;
    if (shard->is_begun)
        queues_release_shard(one->broker->queues, store);
    shard->is_begun = false;
    shard->state = SHARD_AWAY;
    shard->token = shard->granted = 0;
    shard->is_renewing = false;
    shard->term++;
    keeper_store_leave(shard->store);
    world_later(one->world, AGAIN_US, event_of(one, on_turn, 0)); /* all of it leaves memory */
    beat(one);
}

static void on_given_back(World *world, const Event *event) {
    keeper_give_back(world->keeper, event->client, event->one, event->two);
}

static void give_lease_back(const SimBroker *one, unsigned k, uint64_t token) {
    unsigned space = cluster_space(one, k);

    world_later(one->world, keeper_delay(one->world->keeper, space),
                (Event){.fn = on_given_back,
                        .client = space,
                        .one = token,
                        .two = queues_last_job(one->broker->queues)});
}

/* An adoption that has not ended; the lease goes back. */
static void drop(SimBroker *one, unsigned k) {
    SimShard *shard = &side_of(one)->shards[k];
    uint64_t token = shard->token ? shard->token : shard->granted;

    if (token)
        give_lease_back(one, k, token);
    let_go(one, shard);
}

static void note_end(const SimBroker *one, unsigned k, bool is_given) {
    unsigned space = cluster_space(one, k);

    if (ended_us[space] > 0)
        return;
    ended_us[space] = one->world->now_us;
    was_given[space] = is_given;
}

static void give(const SimBroker *one, unsigned k) {
    SimShard *shard = &side_of(one)->shards[k];

    if (shard->state != SHARD_HERE)
        return;
    shard->state = SHARD_CLOSING;
    note_end(one, k, true);
}

static void on_given(World *world, const Event *event) {
    SimBroker *one;
    SimShard *shard = shard_awake(world, event, &one);

    if (!shard)
        return;
    let_go(one, shard);
}

static void go_on_closing(SimBroker *one, unsigned k) {
    SimShard *shard = &side_of(one)->shards[k];

    if (!queues_close_shard(one->broker->queues, keeper_store_base(shard->store)))
        return;
    shard->state = SHARD_GIVING;
    give_lease_back(one, k, shard->token);
    ask(one, k, NULL, on_given);
}

/* ---- a shard comes ---- */

static void on_slice(World *world, const Event *event);

static void read_slice(const SimBroker *one, unsigned k) {
    uint64_t us = 2 * keeper_delay(one->world->keeper, cluster_space(one, k)) + READ_US;

    world_later(one->world, us, event_of(one, on_slice, k));
}

/* True: the broker has been stopped, or begins to end. */
static bool is_struck(SimBroker *one) {
    SimMember *side = side_of(one);

    if (!side->strikes)
        return false;
    side->strikes = false;
    if (side->strike_us > 0)
        world_freeze(one->world, one, side->strike_us);
    else
        cluster_stop(one, side->strike_restart_us);
    return true;
}

static void end_adoption(SimBroker *one, unsigned k) {
    SimShard *shard = &side_of(one)->shards[k];
    unsigned space = cluster_space(one, k);

    shard->state = SHARD_HERE;
    queues_adopt_end(one->broker->queues, keeper_store_base(shard->store));
    if (ended_us[space] > 0)
        takeover_add(was_given[space] ? &counts.given : &counts.lost,
                     one->world->now_us - ended_us[space]);
    ended_us[space] = 0;
    beat(one);
}

static void restore(SimBroker *one, unsigned k) {
    SimShard *shard = &side_of(one)->shards[k];
    int r = keeper_store_restore(shard->store, PIECE);

    if (r < 0)
        let_go(one, shard);
    else if (r > 0)
        read_slice(one, k);
    else
        end_adoption(one, k);
    world_turn(one);
}

/* False: the router still forgets what it had of the shard before. */
static bool begin_adoption(const SimBroker *one, SimShard *shard) {
    if (!shard->is_begun)
        shard->is_begun =
            queues_adopt_begin(one->broker->queues, keeper_store_base(shard->store)) == 0;
    return shard->is_begun;
}

/* A slice of the shard is at the broker. */
static void on_slice(World *world, const Event *event) {
    SimBroker *one;
    SimShard *shard = shard_awake(world, event, &one);

    if (!shard)
        return;
    if (shard->is_begun && is_struck(one))
        world_later(world, 0, *event); /* for the time when it continues */
    else if (world->now_us >= shard->until_us)
        let_go(one, shard);
    else if (!begin_adoption(one, shard))
        world_later(world, AGAIN_US, *event);
    else
        restore(one, event->client);
}

static void on_lease_arrived(World *world, const Event *event) {
    SimBroker *one;
    SimShard *shard = shard_asked(world, event, &one);

    if (shard)
        shard->granted = keeper_lease(world->keeper, cluster_space(one, event->client),
                                      world->now_us, world->lease_us);
}

static void on_lease_answered(World *world, const Event *event) {
    SimBroker *one;
    SimShard *shard = shard_awake(world, event, &one);

    if (!shard)
        return;
    if (!shard->granted) {
        shard->state = SHARD_AWAY; /* the next plan says whether it asks again */
        shard->term++;
        return;
    }
    shard->token = shard->granted;
    shard->until_us = shard->asked_us + world->lease_us;
    shard->state = SHARD_READING;
    keeper_store_take(shard->store, shard->token, one->broker->queues);
    counts.moves++;
    beat(one);
    read_slice(one, event->client);
}

static void take(SimBroker *one, unsigned k) {
    SimShard *shard = &side_of(one)->shards[k];

    shard->state = SHARD_TAKING;
    shard->term++;
    shard->granted = 0;
    shard->asked_us = one->world->now_us;
    ask(one, k, on_lease_arrived, on_lease_answered);
}

/* ---- the lease ---- */

static void on_renew_arrived(World *world, const Event *event) {
    SimBroker *one;
    SimShard *shard = shard_asked(world, event, &one);

    if (shard)
        shard->is_renewed = keeper_renew(world->keeper, cluster_space(one, event->client),
                                         shard->token, world->now_us + world->lease_us);
}

static void on_renew_answered(World *world, const Event *event) {
    SimBroker *one;
    SimShard *shard = shard_awake(world, event, &one);
    unsigned space = shard ? cluster_space(one, event->client) : 0;

    if (!shard)
        return;
    shard->is_renewing = false;
    if (!shard->is_renewed || world->now_us >= shard->until_us) {
        let_go(one, shard);
        return;
    }
    shard->until_us = shard->asked_us + world->lease_us;
    if (shard->state == SHARD_HERE)
        ended_us[space] = 0; /* it was stopped for less than the lease */
}

static void renew(SimBroker *one, unsigned k) {
    SimShard *shard = &side_of(one)->shards[k];

    if (!shard->token || shard->state == SHARD_GIVING || shard->is_renewing ||
        one->world->now_us < shard->asked_us + one->world->lease_us / 3)
        return;
    shard->asked_us = one->world->now_us;
    shard->is_renewing = true;
    shard->is_renewed = false;
    ask(one, k, on_renew_arrived, on_renew_answered);
}

/* ---- the view of the other members ---- */

static bool is_giving(const SimMember *side) {
    for (unsigned k = 0; k < size.n_shards; k++)
        if (side->shards[k].state == SHARD_CLOSING || side->shards[k].state == SHARD_GIVING)
            return true;
    return false;
}

static SpreadPlan make_plan(SimMember *side) {
    look_at_own(side);
    side->members[0] = side->own;
    return spread_plan(side->members, side->n_members, 0, size.n_shards);
}

static void follow_plan(SimBroker *one) {
    SimMember *side = side_of(one);
    SpreadPlan plan = make_plan(side);

    for (unsigned k = 0; k < size.n_shards; k++) {
        bool is_mine = plan.take >> k & 1;

        if (side->shards[k].state == SHARD_AWAY && is_mine)
            take(one, k);
        else if (side->shards[k].state == SHARD_TAKING && !is_mine)
            drop(one, k);
    }
    if (plan.give >= 0 && !is_giving(side))
        give(one, (unsigned)plan.give);
}

static void look_at_owner(SimBroker *one, unsigned k) {
    const SimMember *side = side_of(one);
    Store *store = keeper_store_base(side->shards[k].store);
    StoreOwner owner;

    memset(&owner, 0, sizeof(owner));
    for (size_t i = 1; i < side->n_members && !is_owned(&side->shards[k]); i++)
        if (side->members[i].restored >> k & 1) {
            owner.is_known = true;
            memcpy(owner.broker, side->members[i].id, WIRE_TOKEN);
            memcpy(owner.url, side->members[i].url, sizeof(owner.url));
        }
    if (store->owner.is_known == owner.is_known && strcmp(store->owner.url, owner.url) == 0)
        return;
    store->owner = owner;
    queues_owner_changed(one->broker->queues, store);
}

static void on_beat_answered(World *world, const Event *event) {
    SimBroker *one = world_awake(world, event);
    SimMember *side = one ? side_of(one) : NULL;
    bool is_settled;

    if (!one)
        return;
    side->is_asking = false;
    if (!side->is_leaving)
        follow_plan(one);
    for (unsigned k = 0; k < size.n_shards; k++)
        look_at_owner(one, k);
    is_settled = make_plan(side).is_settled;
    if (side->asks_again) {
        beat(one);
    } else if (!side->is_asking) {
        Event due = *event;

        due.fn = on_beat_due;
        due.one = side->n_beats;
        world_later(world, is_settled ? RESTING_US : MOVING_US, due);
    }
    world_turn(one);
}

/* ---- lives ---- */

static void on_flush(void *ctx, KeeperStore *store) {
    world_flushed(ctx, store);
}

static void begin(SimBroker *one) {
    SimMember *side = side_of(one);

    side->is_leaving = side->is_asking = side->asks_again = side->strikes = false;
    side->own = (ShardMember){0};
    client_token(one->number, 0, side->own.id);
    memcpy(side->own.id + sizeof(one->number), &one->life, sizeof(one->life));
    snprintf(side->own.url, sizeof(side->own.url), "tcp://broker-%u:5877", one->number);
    world_begin_life(one);
    memcpy(one->broker->id, side->own.id, WIRE_TOKEN);
    for (unsigned k = 0; k < size.n_shards; k++) {
        SimShard *shard = &side->shards[k];

        *shard = (SimShard){.term = shard->term + 1};
        shard->store = keeper_store_new(one->world->keeper, cluster_space(one, k), k + 1,
                                        one->number, on_flush, one);
        if (queues_add_store(one->broker->queues, keeper_store_base(shard->store)) < 0)
            abort();
    }
    queues_set_default_store(one->broker->queues, keeper_store_base(side->shards[0].store));
    queues_restore_last(one->broker->queues, one->world->now_us); /* as an epoch does */
    beat(one);
}

static void tick(SimBroker *one) {
    if (!one->broker)
        begin(one);
    for (unsigned k = 0; k < size.n_shards; k++)
        renew(one, k);
}

static bool has_left(const SimMember *side) {
    for (unsigned k = 0; k < size.n_shards; k++)
        if (side->shards[k].state != SHARD_AWAY)
            return false;
    return true;
}

static void look(SimBroker *one) {
    SimMember *side = side_of(one);

    for (unsigned k = 0; k < size.n_shards; k++) {
        SimShard *shard = &side->shards[k];

        if (shard->token &&
            (one->world->now_us >= shard->until_us || keeper_store_is_lost(shard->store)))
            let_go(one, shard);
        else if (shard->state == SHARD_CLOSING)
            go_on_closing(one, k);
    }
}

static void after(SimBroker *one) {
    SimMember *side = side_of(one);

    if (side->is_leaving && has_left(side))
        world_kill(one->world, one, side->restart_us);
}

static void stopped(SimBroker *one) {
    for (unsigned k = 0; k < size.n_shards; k++)
        if (side_of(one)->shards[k].state >= SHARD_HERE)
            note_end(one, k, false);
}

static void ended(SimBroker *one) {
    for (unsigned k = 0; k < size.n_shards; k++) {
        SimShard *shard = &side_of(one)->shards[k];

        keeper_store_free(shard->store);
        shard->store = NULL;
        shard->state = SHARD_AWAY;
        shard->token = 0;
    }
}

static const Lives lives = {tick, look, after, stopped, ended};

void cluster_stop(SimBroker *one, uint64_t restart_us) {
    SimMember *side = side_of(one);

    if (!one->broker || side->is_leaving || world_is_frozen(one->world, one))
        return;
    side->is_leaving = true;
    side->restart_us = restart_us;
    for (unsigned k = 0; k < size.n_shards; k++)
        if (side->shards[k].state == SHARD_TAKING || side->shards[k].state == SHARD_READING)
            drop(one, k);
        else
            give(one, k);
    beat(one);
    world_turn(one);
}

void cluster_strike_adopting(SimBroker *one, uint64_t for_us, uint64_t restart_us) {
    SimMember *side = side_of(one);

    side->strikes = true;
    side->strike_us = for_us;
    side->strike_restart_us = restart_us;
}

void clusters_init(World *world, uint64_t seed, const ClusterSize *wanted, Keeper *keeper,
                   uint64_t lease_us) {
    unsigned n = wanted->n_clusters * wanted->n_brokers;

    size = *wanted;
    sides = keeper_get(n, sizeof(*sides));
    for (unsigned i = 0; i < n; i++) {
        sides[i].shards = keeper_get(size.n_shards, sizeof(SimShard));
        sides[i].members = keeper_get(MEMBERS_MAX, sizeof(ShardMember));
    }
    entries = keeper_get((size_t)size.n_clusters * MEMBERS_MAX, sizeof(*entries));
    ended_us = keeper_get((size_t)size.n_clusters * size.n_shards, sizeof(*ended_us));
    was_given = keeper_get((size_t)size.n_clusters * size.n_shards, sizeof(*was_given));
    world_init(world, seed, n, keeper, lease_us, &lives);
}

/* ---- the spread ---- */

static unsigned n_here(const SimBroker *one) {
    unsigned n = 0;

    for (unsigned k = 0; k < size.n_shards; k++)
        n += side_of(one)->shards[k].state == SHARD_HERE;
    return n;
}

static bool is_spread(const SimBroker *brokers) {
    unsigned all = 0, least = size.n_shards, most = 0;

    for (unsigned i = 0; i < size.n_brokers; i++) {
        unsigned n = brokers[i].broker ? n_here(&brokers[i]) : 0;

        all += n;
        least = n < least ? n : least;
        most = n > most ? n : most;
    }
    return all == size.n_shards && most - least <= 1;
}

bool clusters_are_spread(const World *world) {
    for (unsigned i = 0; i < world->n_brokers; i += size.n_brokers)
        if (!is_spread(&world->brokers[i]))
            return false;
    return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The near cache. See near.h. */

#include "cache/near/near.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "base/container.h"

enum { STRIPES = 64, COUNTS = 64, LINKS_MAX = 1024, REST_MS = 5000 };

/* Counts the reported changes of the keys that hash to this stripe. When two keys share a stripe, a
 * value may be kept for a shorter time than possible, never for longer. */
typedef struct Stripe {
    _Alignas(64) pthread_mutex_t lock;
    uint32_t counts[COUNTS];
} Stripe;

struct NearLink {
    Near *near;
    Conn *tracking;      /* receives the invalidations */
    Conn *data;          /* NULL: not attached */
    int64_t id;          /* the id of the tracking connection; 0: it is not up */
    int64_t redirect_id; /* the id to which the data connection redirects its tracking; 0: tracking
                            is off */
    int64_t asked_id;    /* the id in the CLIENT TRACKING command in flight */
    ConnRequest request; /* the CLIENT TRACKING command */
    bool pinged;         /* a PING is unanswered */
    uint64_t ping_ns;    /* when the PING was sent */
    uint64_t true_ns;    /* all changes of tracked keys before this time are known */
    /* The PING on the data connection. Redis can end only this connection, and the tracking ends
     * with it, so both connections must prove that they are alive. */
    ConnRequest data_ping;
    bool data_pinged;
    uint64_t data_ping_ns;
    uint64_t tracked_ns; /* time at which Redis tracked the reads of this process; 0: it does not
                            track them */
    uint64_t rest_ns;    /* Redis refused tracking: no new request before this time */
};

struct Near {
    Memory *memory;
    uint64_t stale_ns;
    uint64_t epoch;                        /* atomic; number of flushes, from 1 */
    uint64_t look_ns;                      /* atomic; time of the next read of the invalidations */
    uint64_t true_until;                   /* atomic; after this time no value is returned */
    uint64_t hits, invalidations, flushes; /* atomic */
    pthread_mutex_t look_lock; /* one thread reads the invalidations at a time; also protects the
                                  list of links */
    NearLink *links[LINKS_MAX];
    size_t n_links;
    pthread_mutex_t link_lock; /* protects the fields of the links; taken last */
    Stripe stripes[STRIPES];
};

/* ---- making and freeing ---- */

int near_new(Near **ret, uint64_t max_bytes, uint32_t stale_ms) {
    CLEANUP(near_free) Near *near = aligned_alloc(64, (sizeof(Near) + 63) / 64 * 64);

    if (!near)
        return -ENOMEM;
    memset(near, 0, sizeof(*near));
    near->epoch = 1;
    near->stale_ns = stale_ms * UINT64_C(1000000);
    pthread_mutex_init(&near->look_lock, NULL);
    pthread_mutex_init(&near->link_lock, NULL);
    for (size_t i = 0; i < STRIPES; i++)
        pthread_mutex_init(&near->stripes[i].lock, NULL);
    if (memory_new(&near->memory, max_bytes) < 0)
        return -ENOMEM;
    *ret = steal(&near);
    return 0;
}

Near *near_free(Near *near) {
    if (!near)
        return NULL;
    memory_free(near->memory);
    for (size_t i = 0; i < STRIPES; i++)
        pthread_mutex_destroy(&near->stripes[i].lock);
    pthread_mutex_destroy(&near->look_lock);
    pthread_mutex_destroy(&near->link_lock);
    free(near);
    return NULL;
}

static Stripe *stripe_of(Near *near, uint64_t hash) {
    return &near->stripes[(hash >> 40) % STRIPES];
}

static uint32_t *count_of(Near *near, uint64_t hash) {
    return &stripe_of(near, hash)->counts[(hash >> 32) % COUNTS];
}

/* ---- values ---- */

void near_flush(Near *near) {
    bump(&near->epoch);
    /* A thread that compared the epoch earlier may be storing a value now. When its lock is free,
     * it has finished. */
    for (size_t i = 0; i < STRIPES; i++) {
        pthread_mutex_lock(&near->stripes[i].lock);
        pthread_mutex_unlock(&near->stripes[i].lock);
    }
    memory_clear(near->memory, (Span){NULL, 0});
    bump(&near->flushes);
}

void near_forget(Near *near, Span key, uint64_t hash) {
    Stripe *stripe = stripe_of(near, hash);

    pthread_mutex_lock(&stripe->lock);
    ++*count_of(near, hash);
    memory_delete(near->memory, key, hash, 0);
    pthread_mutex_unlock(&stripe->lock);
}

NearToken near_begin(Near *near, uint64_t hash) {
    Stripe *stripe = stripe_of(near, hash);
    NearToken token = {0, 0};

    /* Redis does not track the reads of this process yet: no value may be kept. */
    if (get(&near->true_until) == 0)
        return token;
    pthread_mutex_lock(&stripe->lock);
    token = (NearToken){get(&near->epoch), *count_of(near, hash)};
    pthread_mutex_unlock(&stripe->lock);
    return token;
}

void near_keep(Near *near, NearToken token, Span key, uint64_t hash, Span value, uint64_t ttl_ms) {
    Stripe *stripe = stripe_of(near, hash);
    uint64_t now_ms = clock_ms();
    MemoryPut put = {
        .key = key, .body = value, .expires_ms = ttl_ms == UINT64_MAX ? 0 : now_ms + ttl_ms};

    if (token.epoch == 0)
        return;
    pthread_mutex_lock(&stripe->lock);
    if (token.epoch == get(&near->epoch) && token.count == *count_of(near, hash))
        memory_put(near->memory, &put, hash, now_ms);
    pthread_mutex_unlock(&stripe->lock);
}

/* Returns no values and keeps no values until the next read of the invalidations. Call it with
 * link_lock. Values that were requested earlier are not kept, and a read of the invalidations that
 * began earlier does not count. */
static void distrust(Near *near) {
    bump(&near->epoch);
    put(&near->true_until, 0);
}

static bool begins(const Reply *reply, const char *words) {
    return reply->bytes.len >= strlen(words) &&
           strncasecmp(reply->bytes.data, words, strlen(words)) == 0;
}

/* Redis before version 6, or a user without the right, refuses tracking. Pause before the next
 * request, because a request at each look-up would cost too much. */
static void rest_if_refused(NearLink *link, const Reply *reply) {
    if (reply->type == REPLY_ERROR && (begins(reply, "NOPERM") || begins(reply, "ERR unknown")))
        put(&link->rest_ns, clock_ns() + REST_MS * UINT64_C(1000000));
}

/* ---- the tracking connection: called with it locked ---- */

static unsigned tracking_greet(Buffer *out, void *ctx) {
    (void)ctx;
    conn_format(out, (Span[]){{(const uint8_t *)"CLIENT", 6}, {(const uint8_t *)"ID", 2}}, 2);
    conn_format(
        out,
        (Span[]){{(const uint8_t *)"SUBSCRIBE", 9}, {(const uint8_t *)"__redis__:invalidate", 20}},
        2);
    return 2;
}

static int tracking_greeted(unsigned i, const Reply *reply, void *ctx) {
    NearLink *link = ctx;

    rest_if_refused(link, reply);
    if (reply->type == REPLY_ERROR)
        return -EOPNOTSUPP;
    if (i > 0)
        return 0;
    if (reply->type != REPLY_INTEGER || reply->integer <= 0)
        return -EPROTO;
    pthread_mutex_lock(&link->near->link_lock);
    link->id = reply->integer;
    link->pinged = false;
    pthread_mutex_unlock(&link->near->link_lock);
    return 0;
}

static void tracking_lost(void *ctx) {
    NearLink *link = ctx;

    pthread_mutex_lock(&link->near->link_lock);
    link->id = link->redirect_id = 0;
    link->pinged = false;
    link->true_ns = 0;
    distrust(link->near);
    pthread_mutex_unlock(&link->near->link_lock);
    near_flush(link->near);
}

static bool is_text(const Reply *reply, const char *text) {
    return reply->type == REPLY_STRING && span_is(reply_span(reply), text);
}

static void handle_push(NearLink *link, const Reply *reply) {
    Near *near = link->near;

    if (reply->type != REPLY_ARRAY || reply->n < 2)
        return;
    if (is_text(reply->elements[0], "pong")) {
        pthread_mutex_lock(&near->link_lock);
        if (link->pinged)
            link->true_ns = link->ping_ns;
        link->pinged = false;
        pthread_mutex_unlock(&near->link_lock);
        return;
    }
    if (reply->n != 3 || !is_text(reply->elements[0], "message"))
        return;
    if (reply->elements[2]->type != REPLY_ARRAY) {
        near_flush(near); /* FLUSHALL, FLUSHDB */
        return;
    }
    for (size_t i = 0; i < reply->elements[2]->n; i++) {
        const Reply *key = reply->elements[2]->elements[i];

        if (key->type == REPLY_STRING) {
            near_forget(near, reply_span(key), memory_hash(reply_span(key)));
            bump(&near->invalidations);
        }
    }
}

static void tracking_push(Reply *reply, void *ctx) {
    handle_push(ctx, reply);
    reply_free(reply);
}

/* ---- the data connection: called with it locked ---- */

typedef struct TrackingCommand {
    Span args[5];
    char digits[24];
} TrackingCommand;

static void tracking_command(TrackingCommand *command, int64_t id) {
    int len = snprintf(command->digits, sizeof(command->digits), "%lld", (long long)id);

    command->args[0] = (Span){(const uint8_t *)"CLIENT", 6};
    command->args[1] = (Span){(const uint8_t *)"TRACKING", 8};
    command->args[2] = (Span){(const uint8_t *)"ON", 2};
    command->args[3] = (Span){(const uint8_t *)"REDIRECT", 8};
    command->args[4] = (Span){(const uint8_t *)command->digits, (size_t)len};
}

unsigned near_link_greet(Buffer *out, void *ctx) {
    NearLink *link = ctx;
    TrackingCommand command;
    int64_t id;

    pthread_mutex_lock(&link->near->link_lock);
    id = link->asked_id = link->id;
    link->data_ping_ns = clock_ns();
    pthread_mutex_unlock(&link->near->link_lock);
    if (id == 0)
        return 0;
    tracking_command(&command, id);
    conn_format(out, command.args, 5);
    return 1;
}

static void take_tracking_answer(NearLink *link, const Reply *reply) {
    pthread_mutex_lock(&link->near->link_lock);
    /* If the tracking connection was replaced meanwhile, this reply is out of date. */
    if (reply && reply->type == REPLY_STATUS && link->asked_id == link->id) {
        link->redirect_id = link->asked_id;
        link->tracked_ns = link->data_ping_ns;
    } else if (reply)
        rest_if_refused(link, reply);
    link->asked_id = 0;
    pthread_mutex_unlock(&link->near->link_lock);
}

int near_link_greeted(unsigned i, const Reply *reply, void *ctx) {
    (void)i;
    take_tracking_answer(ctx, reply);
    return 0;
}

/* Redis ends the tracking of a connection when the connection ends. */
void near_link_lost(void *ctx) {
    NearLink *link = ctx;

    pthread_mutex_lock(&link->near->link_lock);
    link->redirect_id = 0;
    link->tracked_ns = 0;
    distrust(link->near);
    pthread_mutex_unlock(&link->near->link_lock);
    near_flush(link->near);
}

static void tracking_answered(ConnRequest *request) {
    NearLink *link = container_of(request, NearLink, request);

    take_tracking_answer(link, request->reply);
    request->reply = reply_free(request->reply);
}

static void data_ping_done(ConnRequest *request) {
    NearLink *link = container_of(request, NearLink, data_ping);

    pthread_mutex_lock(&link->near->link_lock);
    if (request->reply && request->reply->type == REPLY_STATUS && link->tracked_ns > 0)
        link->tracked_ns = link->data_ping_ns;
    link->data_pinged = false;
    pthread_mutex_unlock(&link->near->link_lock);
    request->reply = reply_free(request->reply);
}

/* ---- links ---- */

int near_link_new(NearLink **ret, Near *near, const ConnOptions *options) {
    CLEANUP(near_link_free) NearLink *link = calloc(1, sizeof(*link));
    ConnOptions tracking = *options;
    int r;

    if (!link)
        return -ENOMEM;
    link->near = near;
    link->request.done = tracking_answered;
    link->data_ping.done = data_ping_done;
    tracking.greet = tracking_greet;
    tracking.greeted = tracking_greeted;
    tracking.lost = tracking_lost;
    tracking.push = tracking_push;
    tracking.ctx = link;
    r = conn_new(&link->tracking, &tracking);
    if (r < 0)
        return r;
    *ret = steal(&link);
    return 0;
}

void near_link_attach(NearLink *link, Conn *data) {
    Near *near = link->near;

    pthread_mutex_lock(&near->look_lock);
    if (!link->data && near->n_links < LINKS_MAX) {
        link->data = data;
        near->links[near->n_links++] = link;
        pthread_mutex_lock(&near->link_lock);
        distrust(near);
        pthread_mutex_unlock(&near->link_lock);
        put(&near->look_ns, 0);
    }
    pthread_mutex_unlock(&near->look_lock);
}

void near_link_detach(NearLink *link) {
    Near *near = link->near;
    bool was = false;

    pthread_mutex_lock(&near->look_lock);
    for (size_t i = 0; i < near->n_links; i++)
        if (near->links[i] == link) {
            near->links[i] = near->links[--near->n_links];
            was = true;
            break;
        }
    link->data = NULL;
    pthread_mutex_unlock(&near->look_lock);
    if (was)
        near_flush(near); /* the values of this server are not tracked any more */
}

NearLink *near_link_free(NearLink *link) {
    if (!link)
        return NULL;
    near_link_detach(link);
    conn_free(link->tracking);
    free(link);
    return NULL;
}

/* ---- reading the invalidations ---- */

static void request_tracking(NearLink *link, int64_t id) {
    TrackingCommand command;

    tracking_command(&command, id);
    conn_lock(link->data);
    /* A command that is still waiting for the connection has an old id: the next read tries
     * again. */
    if (link->request.seq == 0 && conn_put(link->data, command.args, 5, &link->request) >= 0)
        conn_flush(link->data);
    else
        take_tracking_answer(link, NULL);
    conn_unlock(link->data);
}

/* Reads the data connection, to notice its end, and sends a PING on it. */
static void ping_data(NearLink *link) {
    bool fails = true;

    conn_process(link->data);
    conn_lock(link->data);
    if (link->data_ping.seq == 0 &&
        conn_put(link->data, (Span[]){{(const uint8_t *)"PING", 4}}, 1, &link->data_ping) >= 0) {
        conn_flush(link->data);
        fails = false;
    }
    conn_unlock(link->data);
    if (!fails)
        return;
    pthread_mutex_lock(&link->near->link_lock);
    link->data_pinged = false;
    pthread_mutex_unlock(&link->near->link_lock);
}

/* Returns the time before which all changes of this server are known; 0: the server does not track
 * the reads of this process. */
static uint64_t read_link(NearLink *link, uint64_t now) {
    Near *near = link->near;
    bool ping, is_tracked, awaits_data, must_ping_data = false, must_request = false;
    uint64_t true_ns;
    int64_t id = 0;

    if (now < get(&link->rest_ns))
        return 0;
    conn_process(link->tracking);
    pthread_mutex_lock(&near->link_lock);
    ping = link->id != 0 && !link->pinged && now - link->ping_ns >= near->stale_ns / 8;
    if (ping) {
        link->pinged = true;
        link->ping_ns = now;
    }
    if (link->id != 0 && link->redirect_id != link->id && link->asked_id == 0) {
        must_request = true;
        id = link->asked_id = link->id;
        link->data_ping_ns = now;
    }
    is_tracked = link->id != 0 && link->redirect_id == link->id;
    true_ns = link->true_ns < link->tracked_ns ? link->true_ns : link->tracked_ns;
    awaits_data = !is_tracked || link->data_pinged;
    if (is_tracked && !link->data_pinged && now - link->data_ping_ns >= near->stale_ns / 8) {
        must_ping_data = link->data_pinged = true;
        link->data_ping_ns = now;
    }
    pthread_mutex_unlock(&near->link_lock);
    if (must_request)
        request_tracking(link, id);
    else if (must_ping_data)
        ping_data(link);
    else if (awaits_data)
        conn_process(link->data); /* the reply to CLIENT TRACKING, or to PING, may have arrived */
    if (ping)
        conn_tell(link->tracking, (Span[]){{(const uint8_t *)"PING", 4}}, 1);
    return is_tracked ? true_ns : 0;
}

static void read_invalidations(Near *near, uint64_t now) {
    uint64_t oldest = UINT64_MAX, epoch = get(&near->epoch);

    if (pthread_mutex_trylock(&near->look_lock) != 0)
        return; /* another thread reads the invalidations */
    for (size_t i = 0; i < near->n_links; i++) {
        uint64_t true_ns = read_link(near->links[i], now);

        oldest = true_ns < oldest ? true_ns : oldest;
    }
    pthread_mutex_lock(&near->link_lock);
    /* If a connection was lost meanwhile, true_until is 0 and must stay 0. */
    if (epoch == get(&near->epoch))
        put(&near->true_until, oldest == UINT64_MAX || oldest == 0 ? 0 : oldest + near->stale_ns);
    pthread_mutex_unlock(&near->link_lock);
    /* While the connections come up, which takes several reads, read more often. */
    put(&near->look_ns, now + (oldest == 0 ? NEAR_LOOK_US / 10 : NEAR_LOOK_US) * UINT64_C(1000));
    pthread_mutex_unlock(&near->look_lock);
}

int near_get(Near *near, Span key, uint64_t hash, ferry_bytes **ret) {
    uint64_t now = clock_ns();
    int r;

    if (now >= get(&near->look_ns))
        read_invalidations(near, now);
    if (now >= get(&near->true_until))
        return MEMORY_ABSENT;
    r = memory_get(near->memory, key, hash, now / 1000000, ret);
    if (r == MEMORY_FOUND)
        __atomic_add_fetch(&near->hits, 1, __ATOMIC_RELAXED);
    return r;
}

NearStats near_stats(Near *near) {
    return (NearStats){get(&near->hits), get(&near->invalidations), get(&near->flushes)};
}

Memory *near_memory(Near *near) {
    return near->memory;
}

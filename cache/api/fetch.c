/* SPDX-License-Identifier: Apache-2.0 */
/* ferry_cache_fetch(): looks a key up, or computes its value once. See ferry/cache.h. */

#include <errno.h>
#include <time.h>

#include "base/block.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/random.h"
#include "cache/api/cache.h"

enum {
    DEFAULT_WAIT_MS = 5000,
    WAIT_MAX_MS = 3600 * 1000,
    /* First interval between look-ups while another process computes; doubles. */
    POLL_FIRST_US = 500,
    POLL_LONGEST_US = 16000,
};

/* One fetch, from beginning to end. */
typedef struct Fetch {
    ferry_cache *cache;
    Span key;
    uint64_t hash;
    ferry_fetch_options options;
    ferry_compute_fn compute;
    void *ctx;
    uint64_t wait_until_ns;
    StoreCall call;   /* for all look-ups; storing has its own deadline */
    CacheEntry fresh; /* the tags and stamps of the entry to store */
    bool leased;      /* token holds the lease in the store */
    uint64_t token;
    bool store_failed; /* the store is not asked again during this fetch */
    int status;        /* of the failed call */
} Fetch;

static const CacheStoreOps *ops_of(const Fetch *fetch) {
    return fetch->cache->core->store->ops;
}

static CacheStore *store_of(const Fetch *fetch) {
    return fetch->cache->core->store;
}

static void note_failure(Fetch *fetch, int status) {
    if (!fetch->store_failed)
        cache_fail(fetch->cache, status, CACHE_SOFT_READ, &fetch->call, NULL);
    fetch->store_failed = true;
    fetch->status = status;
}

static void look_again(Fetch *fetch, bool far, Look *look) {
    cache_look_deinitp(look);
    cache_look(fetch->cache, fetch->key, far, &fetch->call, look);
    if (look->state == LOOK_FAILED)
        note_failure(fetch, look->status);
}

/* ---- computing ---- */

static uint64_t with_jitter(uint64_t ms) {
    return ms - random_below(ms / 10 + 1);
}

/* Sets the time to live of the computed value, and the time from which it is stale. */
static uint64_t set_times(Fetch *fetch, bool negative) {
    const ferry_fetch_options *options = &fetch->options;
    uint64_t fresh_ms;

    fetch->fresh.fresh_until_ms = 0;
    if (negative) {
        fresh_ms = with_jitter(options->negative_ms);
        fetch->fresh.fresh_until_ms = clock_wall_ms() + fresh_ms;
        return fresh_ms > 0 ? fresh_ms : 1;
    }
    if (options->ttl_ms == 0)
        return 0;
    fresh_ms = with_jitter(options->ttl_ms);
    fetch->fresh.fresh_until_ms = clock_wall_ms() + fresh_ms;
    return fresh_ms + options->stale_ms;
}

/* old: the entry that the value replaces, valid or not. */
static void store_result(Fetch *fetch, const Look *old, Flight *flight, const ferry_bytes *value) {
    uint8_t header[ENTRY_HEADER_MAX];
    StoreCommit commit = {.token = fetch->token};
    StoreCall call = cache_call(fetch->cache);
    int r;

    if (fetch->store_failed || !fetch->leased || (flight && flight_is_void(flight)))
        return;
    fetch->leased = false;
    if (!value && fetch->options.negative_ms == 0) {
        ops_of(fetch)->release(store_of(fetch), fetch->key, fetch->token, &call);
        return;
    }
    fetch->fresh.kind = value ? ENTRY_COMPUTED : ENTRY_NEGATIVE;
    fetch->fresh.nonce = (uint32_t)random_u64();
    commit.put.key = fetch->key;
    commit.put.ttl_ms = set_times(fetch, !value);
    commit.put.head = (Span){header, entry_write_header(&fetch->fresh, header)};
    if (value)
        commit.put.body = (Span){value->data, value->len};
    if (old->block)
        commit.expect = old->entry.header;
    r = ops_of(fetch)->commit(store_of(fetch), &commit, &call);
    if (r > 0)
        cache_count(fetch->cache, stores);
    else if (r < 0)
        cache_fail(fetch->cache, r, CACHE_SOFT_WRITE, &call, NULL);
}

static int run_compute(Fetch *fetch, ferry_bytes **ret) {
    ferry_packer *packer = ferry_packer_new();
    uint64_t began_ns = clock_ns(), took_us;
    ferry_bytes packed, *value;
    int r;

    if (!packer)
        return -ENOMEM;
    r = fetch->compute(packer, fetch->ctx);
    took_us = (clock_ns() - began_ns) / 1000;
    fetch->fresh.took_us = took_us > UINT32_MAX ? UINT32_MAX : (uint32_t)took_us;
    if (r >= 0)
        r = ferry_packer_error(packer);
    packed = ferry_packer_bytes(packer);
    if (r >= 0 && ferry_packer_count(packer) != 1)
        r = -EINVAL;
    if (r >= 0 && packed.len > FERRY_CACHE_VALUE_MAX)
        r = -EMSGSIZE;
    value = r >= 0 ? ferry_alloc(sizeof(*value) + packed.len) : NULL;
    if (r >= 0 && !value)
        r = -ENOMEM;
    if (value) {
        if (packed.len > 0)
            memcpy(value + 1, packed.data, packed.len);
        *value = (ferry_bytes){value + 1, packed.len, value};
        *ret = value;
    }
    ferry_packer_close(packer);
    return r < 0 ? r : 0;
}

/* Computes and stores. The caller owns *ret. 0, -ENOENT, or another negative errno. */
static int load(Fetch *fetch, const Look *old, Flight *flight, ferry_bytes **ret) {
    int r;

    /* Before the computation: an invalidation while it runs must make the result invalid. */
    if (fetch->leased && fetch->fresh.n_tags > 0 && !fetch->store_failed) {
        r = cache_stamp(fetch->cache, &fetch->fresh,
                        fetch->options.ttl_ms ? fetch->options.ttl_ms + fetch->options.stale_ms : 0,
                        &fetch->call);
        if (r < 0)
            note_failure(fetch, r);
    }
    r = run_compute(fetch, ret);
    if (r == 0 || r == -ENOENT) {
        cache_count(fetch->cache, loads);
        store_result(fetch, old, flight, *ret);
    } else {
        cache_count(fetch->cache, load_failures);
    }
    if (fetch->leased && !fetch->store_failed) {
        StoreCall call = cache_call(fetch->cache);

        ops_of(fetch)->release(store_of(fetch), fetch->key, fetch->token, &call);
        fetch->leased = false;
    }
    return r;
}

/* ---- the right to compute ---- */

static int take_lease(Fetch *fetch) {
    int r;

    if (fetch->token == 0)
        fetch->token = random_u64() | 1;
    r = ops_of(fetch)->lease(store_of(fetch), fetch->key, fetch->token, fetch->options.wait_ms,
                             &fetch->call);
    if (r < 0)
        note_failure(fetch, r);
    fetch->leased = r == LEASE_GOT;
    return r;
}

static bool has_answer(const Look *look) {
    return look->state == LOOK_FRESH || look->state == LOOK_STALE || look->state == LOOK_NEGATIVE;
}

static void pause_us(uint64_t us) {
    nanosleep(&(struct timespec){.tv_nsec = (long)(us * 1000)}, NULL);
}

/* Waits until this process may compute, or another process has computed, or the time is over. If
 * look has no answer afterwards, this process computes; without the lease it cannot store the
 * value. */
static void wait_for_turn(Fetch *fetch, Look *look) {
    uint64_t pause = POLL_FIRST_US;
    bool waited = false;

    for (;;) {
        int r = take_lease(fetch);

        if (r < 0)
            return;
        /* Look again even with the lease: another process may have stored the value since the last
         * look-up. */
        look_again(fetch, true, look);
        if (has_answer(look) || fetch->store_failed) {
            if (fetch->leased && !fetch->store_failed) {
                ops_of(fetch)->release(store_of(fetch), fetch->key, fetch->token, &fetch->call);
                fetch->leased = false;
            }
            return;
        }
        if (r == LEASE_GOT)
            return;
        if (!waited)
            cache_count(fetch->cache, waits);
        waited = true;
        if (clock_ns() >= fetch->wait_until_ns) {
            cache_count(fetch->cache, wait_timeouts);
            return;
        }
        pause_us(pause / 2 + random_below(pause / 2 + 1));
        pause = pause * 2 > POLL_LONGEST_US ? POLL_LONGEST_US : pause * 2;
        fetch->call.deadline_ns =
            0; /* each look-up has its own deadline; wait_until_ns bounds them all */
    }
}

/* ---- the cases of a fetch ---- */

static int answer(Fetch *fetch, Look *look, ferry_bytes **ret) {
    if (look->state == LOOK_NEGATIVE) {
        cache_count(fetch->cache, negative_hits);
        return -ENOENT;
    }
    if (look->state == LOOK_STALE)
        cache_count(fetch->cache, stale_hits);
    else
        cache_count(fetch->cache, hits);
    *ret = cache_look_take(look);
    return 0;
}

/* The value is stale or about to be: compute a new one unless another caller does. */
static int renew(Fetch *fetch, Look *look, bool early, ferry_bytes **ret) {
    Flight *flight = NULL;
    ferry_bytes *fresh = NULL;
    int r = flight_join(&fetch->cache->core->flights, fetch->key, fetch->hash, false, &flight);

    if (r != FLIGHT_OURS)
        return answer(fetch, look, ret);
    if (take_lease(fetch) != LEASE_GOT) {
        flight_land(&fetch->cache->core->flights, flight, NULL, -EAGAIN);
        return answer(fetch, look, ret);
    }
    r = load(fetch, look, flight, &fresh);
    flight_land(&fetch->cache->core->flights, flight, fresh, r);
    if (r == 0 || r == -ENOENT) {
        if (early)
            cache_count(fetch->cache, early_loads);
        *ret = fresh;
        return r;
    }
    /* The computation failed, but the old value may still be served. */
    return answer(fetch, look, ret);
}

/* This thread computes for its process. */
static int lead(Fetch *fetch, Look *look, Flight *flight, ferry_bytes **ret) {
    int r;

    if (!fetch->store_failed)
        wait_for_turn(fetch, look);
    r = has_answer(look) ? answer(fetch, look, ret) : load(fetch, look, flight, ret);
    flight_land(&fetch->cache->core->flights, flight, *ret, r);
    return r;
}

/* Another thread of this process computes. */
static int follow(Fetch *fetch, Flight *flight, Look *look, ferry_bytes **ret) {
    bool landed;
    int r = 0;

    cache_count(fetch->cache, waits);
    landed = flight_wait(flight, fetch->wait_until_ns, ret, &r);
    flight_leave(flight);
    if (landed && r != -EAGAIN)
        return r;
    if (!landed)
        cache_count(fetch->cache, wait_timeouts);
    return load(fetch, look, NULL, ret);
}

static int fetch_run(Fetch *fetch, ferry_bytes **ret) {
    __attribute__((__cleanup__(cache_look_deinitp))) Look look;
    Flight *flight = NULL;
    int r;

    look.block = NULL;
    look_again(fetch, false, &look);
    if (look.state == LOOK_FRESH) {
        double random = (double)(random_below(UINT64_C(1) << 53) + 1) / (double)(UINT64_C(1) << 53);

        if (look.entry.kind == ENTRY_COMPUTED && look.entry.fresh_until_ms != 0 &&
            entry_is_early(&look.entry, clock_wall_ms(), random))
            return renew(fetch, &look, true, ret);
    }
    if (look.state == LOOK_STALE)
        return renew(fetch, &look, false, ret);
    if (has_answer(&look))
        return answer(fetch, &look, ret);
    if (look.state == LOOK_FAILED && fetch->cache->core->strict)
        return look.status;

    cache_count(fetch->cache, misses);
    r = flight_join(&fetch->cache->core->flights, fetch->key, fetch->hash, true, &flight);
    if (r < 0)
        return r;
    r = r == FLIGHT_OURS ? lead(fetch, &look, flight, ret) : follow(fetch, flight, &look, ret);
    return r;
}

static int check(const ferry_fetch_options *given, Fetch *fetch, ferry_error *reterr) {
    ferry_fetch_options *options = &fetch->options;

    *options = given ? *given : (ferry_fetch_options){0};
    if (options->ttl_ms > FERRY_CACHE_TTL_MAX || options->stale_ms > FERRY_CACHE_TTL_MAX ||
        options->negative_ms > FERRY_CACHE_TTL_MAX || options->wait_ms > WAIT_MAX_MS)
        return error_set(
            reterr, "ferry.InvalidArgument",
            "fetch options: a time is more than ten years, or wait_ms is more than an hour");
    if (options->reserved32 != 0 || options->reserved[0] != 0 || options->reserved[1] != 0 ||
        options->reserved[2] != 0 || options->reserved[3] != 0)
        return error_set(reterr, "ferry.InvalidArgument",
                         "fetch options: a reserved field is not 0");
    if (options->wait_ms == 0)
        options->wait_ms = DEFAULT_WAIT_MS;
    if (entry_parse_tags(options->tags, &fetch->fresh) < 0)
        return error_set(
            reterr, "ferry.InvalidArgument",
            "cache tags must be at most %d words of 1 to %d bytes, separated by commas",
            FERRY_CACHE_TAGS_MAX, FERRY_CACHE_TAG_MAX);
    return 0;
}

static int explain(const Fetch *fetch, int r, ferry_error *reterr) {
    if (r == -ENOENT)
        return error_set(reterr, "ferry.NotFound", "there is no value for this key");
    if (r == -EDEADLK)
        return error_set_code(
            reterr, r,
            "the computation fetches the key that it computes: it would wait for itself");
    if (fetch->store_failed && r == fetch->status)
        return error_set_code(reterr, r, fetch->call.why[0] ? "%s" : NULL, fetch->call.why);
    return error_set_code(reterr, r, NULL);
}

int ferry_cache_fetch(ferry_cache *cache, ferry_bytes key, const ferry_fetch_options *options,
                      ferry_compute_fn compute, void *ctx, ferry_bytes **ret, ferry_error *reterr) {
    __attribute__((__cleanup__(cache_key_deinitp))) CacheKey full;
    ferry_bytes *value = NULL;
    Fetch fetch;
    int r;

    full.large = NULL;
    if (!cache || !compute || !ret)
        return error_set(reterr, "ferry.Misuse", "a required argument is NULL");
    r = cache_key_init(&full, cache, key, reterr);
    if (r < 0)
        return r;
    fetch.cache = cache;
    fetch.key = full.span;
    fetch.hash = memory_hash(full.span);
    fetch.compute = compute;
    fetch.ctx = ctx;
    fetch.leased = fetch.store_failed = false;
    fetch.token = 0;
    fetch.status = 0;
    fetch.call = cache_call(cache);
    fetch.fresh.n_tags = 0;
    r = check(options, &fetch, reterr);
    if (r < 0)
        return r;
    fetch.wait_until_ns = clock_ns() + fetch.options.wait_ms * UINT64_C(1000000);
    r = fetch_run(&fetch, &value);
    if (r < 0)
        return explain(&fetch, r, reterr);
    *ret = value;
    return 0;
}

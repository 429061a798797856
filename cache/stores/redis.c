/* SPDX-License-Identifier: Apache-2.0 */
/* Entries in Redis, with the near cache in front. See store.h. */

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/random.h"
#include "cache/connection/number.h"
#include "cache/redis/lease.h"
#include "cache/redis/redis.h"
#include "cache/stores/store.h"

enum {
    FEW = 4, /* commands that fit on the stack */
    SCAN_COUNT = 1000,
};

typedef struct RedisStore {
    CacheStore store;
    Redis *redis;
    Near *near; /* NULL: no near cache */
    bool cluster;
} RedisStore;

static RedisStore *of(CacheStore *store) {
    return (RedisStore *)store;
}

/* ---- lists of commands ---- */

typedef struct Commands {
    RedisCommand few[FEW];
    RedisCommand *all;
    size_t n;
} Commands;

/* At most FEW commands: allocates nothing. */
static void commands_few(Commands *commands, size_t n) {
    commands->n = n;
    commands->all = commands->few;
    memset(commands->few, 0, n * sizeof(RedisCommand));
}

static int commands_init(Commands *commands, size_t n) {
    if (n <= FEW) {
        commands_few(commands, n);
        return 0;
    }
    commands->n = n;
    commands->all = calloc(n, sizeof(RedisCommand));
    return commands->all ? 0 : -ENOMEM;
}

static void commands_deinitp(Commands *commands) {
    for (size_t i = 0; i < commands->n && commands->all; i++)
        reply_free(commands->all[i].reply);
    if (commands->all != commands->few)
        free(commands->all);
}

typedef struct Number {
    char text[24];
} Number;

static void add_number(RedisCommand *command, int64_t number, Number *text) {
    int len = snprintf(text->text, sizeof(text->text), "%lld", (long long)number);

    command_add(command, text->text, (size_t)len);
}

static int run(CacheStore *store, Commands *commands, StoreCall *call) {
    return redis_run(of(store)->redis, commands->all, commands->n, store_deadline(call), call->why);
}

/* Reports a reply whose type does not match the command. */
static int unexpected_reply(StoreCall *call) {
    snprintf(call->why, sizeof(call->why), "Redis sent a reply of an unexpected type");
    return -EPROTO;
}

/* ---- the near cache ---- */

static void forget(CacheStore *store, Span key) {
    if (of(store)->near)
        near_forget(of(store)->near, key, memory_hash(key));
}

static bool get_near(Near *near, StoreGet *get) {
    ferry_bytes *value = NULL;

    if (get->far || get->plain ||
        near_get(near, get->key, memory_hash(get->key), &value) != MEMORY_FOUND)
        return false;
    get->value = value;
    get->status = 0;
    return true;
}

/* ---- get ---- */

/* The block of a reply is handed to the user. */
static void take_value(StoreGet *get, RedisCommand *command, StoreCall *call) {
    get->status = command->status;
    if (command->status < 0)
        return;
    if (command->reply->type == REPLY_STRING) {
        get->value = &command->reply->bytes;
        command->reply = NULL;
    } else if (command->reply->type != REPLY_NIL) {
        get->status = unexpected_reply(call);
    }
}

void near_keep_reply(Near *near, NearToken token, Span key, const ferry_bytes *stored,
                     const RedisCommand *value, const RedisCommand *ttl) {
    int64_t left;

    if (!stored || !ttl->reply || ttl->reply->type != REPLY_INTEGER || !redis_watches(value) ||
        value->node != ttl->node)
        return;
    left = ttl->reply->integer;
    /* PTTL: -1: no time to live; -2: the key is gone. */
    if (left > 0 || left == -1)
        near_keep(near, token, key, memory_hash(key), (Span){stored->data, stored->len},
                  left < 0 ? UINT64_MAX : (uint64_t)left);
}

static void fail_gets(StoreGet *gets, size_t n, int status) {
    for (size_t i = 0; i < n; i++)
        if (!gets[i].value)
            gets[i].status = status;
}

static void get_far(CacheStore *store, StoreGet *gets, size_t n, StoreCall *call) {
    __attribute__((__cleanup__(commands_deinitp))) Commands commands;
    int r = commands_init(&commands, n);

    if (r < 0) {
        fail_gets(gets, n, r);
        return;
    }
    for (size_t i = 0; i < n; i++)
        command_begin(&commands.all[i], "GET", gets[i].key, true);
    run(store, &commands, call);
    for (size_t i = 0; i < n; i++)
        take_value(&gets[i], &commands.all[i], call);
}

/* Also requests the remaining time of each key, because the copy in the near cache must not live
 * longer. */
static void get_and_keep(CacheStore *store, StoreGet *gets, size_t n, size_t n_far,
                         StoreCall *call) {
    __attribute__((__cleanup__(commands_deinitp))) Commands commands;
    Near *near = of(store)->near;
    NearToken few[FEW], *tokens = few;
    int r = commands_init(&commands, n_far * 2);

    if (r >= 0 && n_far > FEW && !(tokens = malloc(n_far * sizeof(*tokens))))
        r = -ENOMEM;
    if (r < 0) {
        fail_gets(gets, n, r);
        return;
    }
    for (size_t i = 0, far = 0; i < n; i++)
        if (!gets[i].value) {
            tokens[far] = near_begin(near, memory_hash(gets[i].key));
            command_begin(&commands.all[2 * far], "GET", gets[i].key, true);
            command_begin(&commands.all[2 * far++ + 1], "PTTL", gets[i].key, true);
        }
    run(store, &commands, call);
    for (size_t i = 0, far = 0; i < n; i++)
        if (!gets[i].value) {
            RedisCommand *command = &commands.all[2 * far];

            take_value(&gets[i], command, call);
            near_keep_reply(near, tokens[far++], gets[i].key, gets[i].value, command, command + 1);
        }
    if (tokens != few)
        free(tokens);
}

static void get_all(CacheStore *store, StoreGet *gets, size_t n, StoreCall *call) {
    Near *near = of(store)->near;
    size_t n_far = 0, n_plain = 0;

    for (size_t i = 0; i < n; i++) {
        gets[i].value = NULL;
        gets[i].status = 0;
        n_far += !near || !get_near(near, &gets[i]);
        n_plain += gets[i].plain;
    }
    if (n_far > 0 && near && n_plain == 0)
        get_and_keep(store, gets, n, n_far, call);
    else if (n_far > 0)
        get_far(store, gets, n, call);
}

/* ---- put ---- */

static int begin_put(RedisCommand *command, const StorePut *put, Number *ttl, Buffer *whole) {
    command_begin(command, "SET", put->key, put->mode != MEMORY_ADD);
    if (put->head.len > 0) {
        buffer_append(whole, put->head.data, put->head.len);
        buffer_append(whole, put->body.data, put->body.len);
        if (whole->failed)
            return -ENOMEM;
        command_add(command, whole->data, whole->len);
    } else {
        command_add(command, put->body.data, put->body.len);
    }
    if (put->ttl_ms > 0) {
        command_add_text(command, "PX");
        add_number(command, (int64_t)put->ttl_ms, ttl);
    }
    if (put->mode != MEMORY_SET)
        command_add_text(command, put->mode == MEMORY_ADD ? "NX" : "XX");
    return 0;
}

static int put_status(const StorePut *put, const RedisCommand *command) {
    if (command->status < 0)
        return command->status;
    if (command->reply->type == REPLY_STATUS)
        return 0;
    return put->mode == MEMORY_ADD ? -EEXIST : put->mode == MEMORY_REPLACE ? -ENOENT : -EPROTO;
}

static void put_all(CacheStore *store, StorePut *puts, size_t n, StoreCall *call) {
    __attribute__((__cleanup__(commands_deinitp))) Commands commands;
    Number few_ttls[FEW], *ttls = few_ttls;
    Buffer few_wholes[FEW], *wholes = few_wholes;
    int r = commands_init(&commands, n);

    if (n > FEW) {
        ttls = malloc(n * sizeof(*ttls));
        wholes = calloc(n, sizeof(*wholes));
        if (!ttls || !wholes)
            r = -ENOMEM;
    } else {
        memset(few_wholes, 0, sizeof(few_wholes));
    }
    for (size_t i = 0; i < n && r >= 0; i++) {
        forget(store, puts[i].key);
        r = begin_put(&commands.all[i], &puts[i], &ttls[i], &wholes[i]);
    }
    if (r >= 0)
        run(store, &commands, call);
    for (size_t i = 0; i < n; i++) {
        puts[i].status = r < 0 ? r : put_status(&puts[i], &commands.all[i]);
        forget(store, puts[i].key);
        if (wholes)
            buffer_deinit(&wholes[i]);
    }
    if (n > FEW) {
        free(ttls);
        free(wholes);
    }
}

/* ---- one key ---- */

static int delete_all(CacheStore *store, const Span *keys, size_t n, StoreCall *call) {
    __attribute__((__cleanup__(commands_deinitp))) Commands commands;
    Buffer few[FEW] = {{0}}, *leases = n > FEW ? calloc(n, sizeof(*leases)) : few;
    int r = commands_init(&commands, n);

    if (!leases)
        r = -ENOMEM;
    for (size_t i = 0; i < n && r >= 0; i++) {
        forget(store, keys[i]);
        /* Also delete the lease: a computation in progress has read older data. */
        lease_key(keys[i], of(store)->cluster, &leases[i]);
        if (leases[i].failed)
            r = -ENOMEM;
        command_begin(&commands.all[i], "DEL", keys[i], true);
        command_add(&commands.all[i], leases[i].data, leases[i].len);
    }
    if (r >= 0)
        r = run(store, &commands, call);
    for (size_t i = 0; i < n && leases; i++) {
        forget(store, keys[i]);
        buffer_deinit(&leases[i]);
    }
    if (leases != few)
        free(leases);
    return r;
}

static int touch(CacheStore *store, Span key, uint64_t ttl_ms, StoreCall *call) {
    __attribute__((__cleanup__(commands_deinitp))) Commands commands;
    Number text;
    int r;

    commands_few(&commands, ttl_ms == 0 ? 2 : 1);
    forget(store, key);
    if (ttl_ms == 0) {
        command_begin(&commands.all[0], "PERSIST", key, true);
        command_begin(&commands.all[1], "EXISTS", key, true);
    } else {
        add_number(command_begin(&commands.all[0], "PEXPIRE", key, true), (int64_t)ttl_ms, &text);
    }
    r = run(store, &commands, call);
    forget(store, key);
    if (r < 0)
        return r;
    const Reply *reply = commands.all[commands.n - 1].reply;

    if (reply->type != REPLY_INTEGER)
        return unexpected_reply(call);
    return reply->integer == 1 ? 0 : -ENOENT;
}

static int ttl(CacheStore *store, Span key, uint64_t *ret_ms, StoreCall *call) {
    __attribute__((__cleanup__(commands_deinitp))) Commands commands;
    int r;
    const Reply *reply;

    commands_few(&commands, 1);
    command_begin(&commands.all[0], "PTTL", key, true);
    r = run(store, &commands, call);
    if (r < 0)
        return r;
    reply = commands.all[0].reply;
    if (reply->type != REPLY_INTEGER)
        return unexpected_reply(call);
    if (reply->integer < -1)
        return 0;
    *ret_ms = reply->integer == -1 ? UINT64_MAX : (uint64_t)reply->integer;
    return 1;
}

static int incr(CacheStore *store, Span key, int64_t by, uint64_t ttl_ms, int64_t *ret,
                StoreCall *call) {
    static const char script[] =
        "local n=redis.call('EXISTS',KEYS[1]) redis.call('INCRBY',KEYS[1],ARGV[1]) "
        "if n==0 then redis.call('PEXPIRE',KEYS[1],ARGV[2]) end "
        "return redis.call('GET',KEYS[1])"; /* as text: Lua's numbers are exact up to 2^53 */
    __attribute__((__cleanup__(commands_deinitp))) Commands commands;
    RedisCommand *command;
    Number by_text, ttl_text;
    int r;

    commands_few(&commands, 1);
    forget(store, key);
    command = &commands.all[0];
    if (ttl_ms == 0) {
        command_begin(command, "INCRBY", key, false);
        add_number(command, by, &by_text);
    } else {
        command->route = key;
        command_add_text(command, "EVAL");
        command_add_text(command, script);
        command_add_text(command, "1");
        command_add(command, key.data, key.len);
        add_number(command, by, &by_text);
        add_number(command, (int64_t)ttl_ms, &ttl_text);
    }
    r = run(store, &commands, call);
    forget(store, key);
    if (r == -EREMOTEIO && strstr(call->why, "not an integer"))
        return -EINVAL; /* inside a script the error text comes later */
    if (r == -EREMOTEIO && strstr(call->why, "would overflow"))
        return -ERANGE;
    if (r < 0)
        return r;
    if (command->reply->type == REPLY_INTEGER)
        *ret = command->reply->integer;
    else if (command->reply->type != REPLY_STRING ||
             number_parse(reply_span(command->reply), ret) < 0)
        return unexpected_reply(call);
    return 0;
}

static int append(CacheStore *store, Span key, Span more, StoreCall *call) {
    __attribute__((__cleanup__(commands_deinitp))) Commands commands;
    int r;

    commands_few(&commands, 1);
    forget(store, key);
    command_begin(&commands.all[0], "APPEND", key, false);
    command_add(&commands.all[0], more.data, more.len);
    r = run(store, &commands, call);
    forget(store, key);
    return r;
}

/* ---- tags ---- */

/* A stamp must outlive the entries that have it. If it expires too early, a value is computed once
 * more. */
static void prolong(CacheStore *store, const Span *keys, const Commands *stamped, size_t n,
                    uint64_t need_ms, StoreCall *call) {
    for (size_t i = 0; i < n; i++) {
        const Reply *left = stamped->all[3 * i + 2].reply;

        if (left && left->type == REPLY_INTEGER && left->integer >= 0 &&
            (need_ms == 0 || (uint64_t)left->integer < need_ms / 2))
            touch(store, keys[i], need_ms, call);
    }
}

static int stamp_all(CacheStore *store, const Span *keys, uint64_t *stamps, size_t n,
                     uint64_t ttl_ms, StoreCall *call) {
    __attribute__((__cleanup__(commands_deinitp))) Commands commands;
    uint64_t need_ms = stamp_ttl_ms(ttl_ms);
    uint8_t texts[FERRY_CACHE_TAGS_MAX][STAMP_BYTES];
    Number need;
    int r = commands_init(&commands, 3 * n);

    for (size_t i = 0; i < n && r >= 0; i++) {
        RedisCommand *command = &commands.all[3 * i];

        stamp_format(stamps[i], texts[i]);
        command_begin(command, "SET", keys[i], true);
        command_add(command, texts[i], STAMP_BYTES);
        command_add_text(command, "NX");
        if (need_ms > 0) {
            command_add_text(command, "PX");
            add_number(command, (int64_t)need_ms, &need);
        }
        command_begin(command + 1, "GET", keys[i], true);
        command_begin(command + 2, "PTTL", keys[i], true);
    }
    if (r >= 0)
        r = run(store, &commands, call);
    for (size_t i = 0; i < n && r >= 0; i++) {
        const Reply *now = commands.all[3 * i + 1].reply;

        stamps[i] = now->type == REPLY_STRING ? stamp_parse(reply_span(now)) : 0;
    }
    if (r >= 0)
        prolong(store, keys, &commands, n, need_ms, call);
    return r;
}

/* ---- leases ---- */

static int lease(CacheStore *store, Span key, uint64_t token, uint64_t ms, StoreCall *call) {
    __attribute__((__cleanup__(commands_deinitp))) Commands commands;
    CLEANUP(buffer_deinit) Buffer name = {0};
    uint8_t text[STAMP_BYTES];
    Number number;
    Span lease;
    int r;

    commands_few(&commands, 2);
    lease_key(key, of(store)->cluster, &name);
    if (name.failed)
        return -ENOMEM;
    stamp_format(token, text);
    lease = (Span){name.data, name.len};
    command_begin(&commands.all[0], "SET", lease, true);
    command_add(&commands.all[0], text, sizeof(text));
    command_add_text(&commands.all[0], "NX");
    command_add_text(&commands.all[0], "PX");
    add_number(&commands.all[0], (int64_t)ms, &number);
    command_begin(&commands.all[1], "GET", lease, true);
    commands.all[0].route = commands.all[1].route = key;
    r = run(store, &commands, call);
    if (r < 0)
        return r;
    /* Read the stamp again: the existing stamp may come from this process, whose first reply was
     * lost. */
    if (commands.all[1].reply->type == REPLY_STRING &&
        stamp_parse(reply_span(commands.all[1].reply)) == token)
        return LEASE_GOT;
    return LEASE_TAKEN;
}

static int commit(CacheStore *store, StoreCommit *commit, StoreCall *call) {
    __attribute__((__cleanup__(commands_deinitp))) Commands commands;
    CLEANUP(buffer_deinit) Buffer name = {0}, whole = {0};
    const StorePut *put = &commit->put;
    uint8_t text[STAMP_BYTES];
    RedisCommand *command;
    Number ms;
    int r;

    commands_few(&commands, 1);
    lease_key(put->key, of(store)->cluster, &name);
    buffer_append(&whole, put->head.data, put->head.len);
    buffer_append(&whole, put->body.data, put->body.len);
    if (name.failed || whole.failed)
        return -ENOMEM;
    stamp_format(commit->token, text);
    command = &commands.all[0];
    command->route = put->key;
    command->repeatable = true;
    command_add_text(command, "EVAL");
    command_add_text(command, lease_commit_script);
    command_add_text(command, "2");
    command_add(command, put->key.data, put->key.len);
    command_add(command, name.data, name.len);
    command_add(command, text, sizeof(text));
    command_add(command, commit->expect.data, commit->expect.len);
    command_add(command, whole.data, whole.len);
    add_number(command, (int64_t)put->ttl_ms, &ms);
    forget(store, put->key);
    r = run(store, &commands, call);
    forget(store, put->key);
    if (r < 0)
        return r;
    return command->reply->type == REPLY_INTEGER && command->reply->integer == 1;
}

static void release(CacheStore *store, Span key, uint64_t token, StoreCall *call) {
    __attribute__((__cleanup__(commands_deinitp))) Commands commands;
    CLEANUP(buffer_deinit) Buffer name = {0};
    uint8_t text[STAMP_BYTES];
    RedisCommand *command;

    commands_init(&commands, 1);
    lease_key(key, of(store)->cluster, &name);
    if (name.failed)
        return; /* the lease expires by itself */
    stamp_format(token, text);
    command = &commands.all[0];
    command->route = key;
    command->repeatable = true;
    command_add_text(command, "EVAL");
    command_add_text(command, lease_release_script);
    command_add_text(command, "1");
    command_add(command, name.data, name.len);
    command_add(command, text, sizeof(text));
    run(store, &commands, call);
}

/* ---- all keys ---- */

static int unlink_all(CacheStore *store, Node *node, const Reply *keys, StoreCall *call) {
    __attribute__((__cleanup__(commands_deinitp))) Commands commands;
    int r = commands_init(&commands, keys->n);

    for (size_t i = 0; i < keys->n && r >= 0; i++)
        command_begin(&commands.all[i], "DEL", reply_span(keys->elements[i]), true);
    if (r >= 0 && keys->n > 0)
        r = redis_run_at(of(store)->redis, node, commands.all, commands.n, store_deadline(call),
                         call->why);
    return r;
}

static int clear_node(CacheStore *store, Node *node, Span pattern, StoreCall *call) {
    char cursor[24] = "0";
    Number count;

    do {
        __attribute__((__cleanup__(commands_deinitp))) Commands commands;
        RedisCommand *command;
        const Reply *reply;
        int r;

        commands_few(&commands, 1);
        command = &commands.all[0];
        command->repeatable = true;
        command_add_text(command, "SCAN");
        command_add_text(command, cursor);
        command_add_text(command, "MATCH");
        command_add(command, pattern.data, pattern.len);
        command_add_text(command, "COUNT");
        add_number(command, SCAN_COUNT, &count);
        r = redis_run_at(of(store)->redis, node, command, 1, store_deadline(call), call->why);
        if (r < 0)
            return r;
        reply = command->reply;
        if (reply->type != REPLY_ARRAY || reply->n != 2 ||
            reply->elements[0]->type != REPLY_STRING || reply->elements[0]->bytes.len > 20 ||
            reply->elements[1]->type != REPLY_ARRAY)
            return unexpected_reply(call);
        snprintf(cursor, sizeof(cursor), "%.*s", (int)reply->elements[0]->bytes.len,
                 (const char *)reply->elements[0]->bytes.data);
        r = unlink_all(store, node, reply->elements[1], call);
        if (r < 0)
            return r;
    } while (strcmp(cursor, "0") != 0);
    return 0;
}

static int flush_node(CacheStore *store, Node *node, StoreCall *call) {
    RedisCommand command = {.repeatable = true};
    int r;

    command_add_text(&command, "FLUSHDB");
    r = redis_run_at(of(store)->redis, node, &command, 1, store_deadline(call), call->why);
    reply_free(command.reply);
    return r;
}

/* Writes a glob pattern that matches all keys with the prefix. */
static void write_pattern(Span prefix, Buffer *to) {
    for (size_t i = 0; i < prefix.len; i++) {
        if (memchr("*?[]\\^-", prefix.data[i], 7))
            buffer_append(to, "\\", 1);
        buffer_append(to, &prefix.data[i], 1);
    }
    buffer_append(to, "*", 1);
}

static int clear(CacheStore *store, Span prefix, StoreCall *call) {
    CLEANUP(buffer_deinit) Buffer pattern = {0};
    Node *node;
    int r = 0;

    write_pattern(prefix, &pattern);
    if (pattern.failed)
        return -ENOMEM;
    /* Fetches the map, which lists the servers. */
    if (of(store)->cluster)
        ttl(store, (Span){(const uint8_t *)"ferry", 5}, &(uint64_t){0}, call);
    for (size_t i = 0; r >= 0 && (node = redis_node(of(store)->redis, i)); i++)
        r = prefix.len == 0 ? flush_node(store, node, call)
                            : clear_node(store, node, (Span){pattern.data, pattern.len}, call);
    if (of(store)->near)
        near_flush(of(store)->near);
    return r;
}

/* ---- opening and closing ---- */

static void stats(CacheStore *store, ferry_cache_stats *to) {
    Near *near = of(store)->near;

    redis_stats(of(store)->redis, to);
    if (near) {
        NearStats counts = near_stats(near);
        MemoryStats memory;

        memory_stats(near_memory(near), &memory);
        to->near_hits = counts.hits;
        to->invalidations = counts.invalidations;
        to->near_flushes = counts.flushes;
        to->entries = memory.entries;
        to->bytes = memory.bytes;
        to->max_bytes = memory.max_bytes;
        to->evictions = memory.evictions;
        to->expirations = memory.expirations;
    }
}

static CacheStore *close_store(CacheStore *store) {
    redis_free(of(store)->redis);
    near_free(of(store)->near);
    free(store);
    return NULL;
}

static const CacheStoreOps ops = {
    .free = close_store,
    .get = get_all,
    .put = put_all,
    .delete = delete_all,
    .touch = touch,
    .ttl = ttl,
    .incr = incr,
    .append = append,
    .stamp = stamp_all,
    .lease = lease,
    .commit = commit,
    .release = release,
    .clear = clear,
    .stats = stats,
};

Redis *store_redis(CacheStore *store, Near **ret_near) {
    *ret_near = NULL;
    if (store->ops != &ops)
        return NULL;
    *ret_near = of(store)->near;
    return of(store)->redis;
}

int store_open_redis(CacheStore **ret, CacheUrl *url, const ferry_cache_options *options,
                     ferry_error *reterr) {
    RedisStore *store = calloc(1, sizeof(*store));
    int r = 0;

    if (!store)
        return error_set_code(reterr, -ENOMEM, NULL);
    store->store.ops = &ops;
    store->cluster = url->kind == CACHE_URL_CLUSTER;
    if (options->near_cache != FERRY_NEAR_NOTHING)
        r = near_new(&store->near, options->max_bytes, options->near_stale_ms);
    r = r < 0 ? error_set_code(reterr, r, NULL)
              : redis_new(&store->redis, url, options->timeout_ms, store->near, reterr);
    if (r < 0) {
        close_store(&store->store);
        return r;
    }
    *ret = &store->store;
    return 0;
}

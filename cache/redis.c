/* Commands to one Redis, to several, to a cluster. See redis.h. */

#include "cache/redis.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/random.h"
#include "cache/ketama.h"
#include "cache/node.h"
#include "cache/slots.h"

enum { GROUPS = 64, LATER_FIRST_MS = 5, SLOT_UNKNOWN = UINT16_MAX };

struct Redis {
    CacheUrlKind kind;
    ConnOptions options; /* of every connection; the login is ours */
    char *user, *password;
    uint64_t timeout_ns;
    Near *near; /* NULL: none */

    pthread_mutex_t lock; /* to add nodes */
    Node *nodes[REDIS_NODES_MAX];
    size_t n_nodes; /* atomic; nodes are never removed before the end */

    KetamaPoint *points; /* NULL: one server */
    size_t n_points;

    uint16_t slots[SLOTS];  /* atomic; indexes of nodes */
    uint64_t refreshing;    /* atomic, ns: somebody does until then; 0: nobody */
    bool refresh_wanted;    /* atomic */
    uint64_t refresh_after; /* atomic, ns: not before */
    struct Refresh *map;    /* atomic; a map that came while nobody could take it */
    uint64_t redirects, refreshes;
};

#define get(p)    __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define put(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define bump(p)   __atomic_add_fetch((p), 1, __ATOMIC_RELAXED)

/* CLUSTER SLOTS on its way. */
typedef struct Refresh {
    Request request;
    Redis *redis;
    Node *node;
} Refresh;

static void refresh_free(Refresh *refresh) {
    if (refresh)
        reply_free(refresh->request.reply);
    free(refresh);
}

/* ---- life ---- */

static int add_node(Redis *redis, const CacheHost *host, size_t *ret) {
    size_t n = redis->n_nodes;
    int r;

    for (size_t i = 0; i < n; i++)
        if (redis->nodes[i]->host.port == host->port &&
            strcmp(redis->nodes[i]->host.name, host->name) == 0) {
            *ret = i;
            return 0;
        }
    if (n == REDIS_NODES_MAX)
        return -ENOBUFS;
    r = node_new(&redis->nodes[n], host, &redis->options, redis->near);
    if (r < 0)
        return r;
    *ret = n;
    put(&redis->n_nodes, n + 1);
    return 0;
}

static int build_ring(Redis *redis, const CacheUrl *url) {
    char names[CACHE_HOSTS_MAX][300];
    const char *servers[CACHE_HOSTS_MAX];

    for (size_t i = 0; i < url->n_hosts; i++) {
        bool colons = strchr(url->hosts[i].name, ':') != NULL;

        snprintf(names[i], sizeof(names[i]), colons ? "[%s]:%u" : "%s:%u", url->hosts[i].name,
                 url->hosts[i].port);
        servers[i] = names[i];
    }
    redis->points = ketama_new(servers, url->n_hosts);
    redis->n_points = url->n_hosts * KETAMA_POINTS;
    return redis->points ? 0 : -ENOMEM;
}

static int set_up(Redis *redis, const CacheUrl *url) {
    int r;

    if ((url->user && !(redis->user = strdup(url->user))) ||
        (url->password && !(redis->password = strdup(url->password))))
        return -ENOMEM;
    redis->options = (ConnOptions){.is_unix = url->kind == CACHE_URL_UNIX,
                                   .user = redis->user,
                                   .password = redis->password,
                                   .db = url->db};
    for (size_t i = 0, at; i < url->n_hosts; i++) {
        r = add_node(redis, &url->hosts[i], &at);
        if (r < 0)
            return r;
        if (at < i)
            return -EINVAL;
        if (redis->kind != CACHE_URL_CLUSTER)
            node_set_keys(redis->nodes[i], true);
    }
    memset(redis->slots, 0xFF, sizeof(redis->slots));
    redis->refresh_wanted = redis->kind == CACHE_URL_CLUSTER;
    return url->n_hosts > 1 && redis->kind == CACHE_URL_REDIS ? build_ring(redis, url) : 0;
}

int redis_new(Redis **ret, const CacheUrl *url, uint32_t timeout_ms, Near *near) {
    CLEANUP(redis_free) Redis *redis = calloc(1, sizeof(*redis));
    int r;

    if (!redis)
        return -ENOMEM;
    pthread_mutex_init(&redis->lock, NULL);
    redis->kind = url->kind;
    redis->timeout_ns = timeout_ms * UINT64_C(1000000);
    redis->near = near;
    r = set_up(redis, url);
    if (r < 0)
        return r;
    *ret = steal(&redis);
    return 0;
}

Redis *redis_free(Redis *redis) {
    if (!redis)
        return NULL;
    for (size_t i = 0; i < redis->n_nodes; i++)
        node_free(redis->nodes[i]);
    refresh_free(redis->map);
    if (redis->password)
        explicit_bzero(redis->password, strlen(redis->password));
    free(redis->user);
    free(redis->password);
    free(redis->points);
    pthread_mutex_destroy(&redis->lock);
    free(redis);
    return NULL;
}

/* ---- who has a key ---- */

/* first: where to begin. Commands for one key must not go to different ones: they would overtake
 * each other. */
static Node *any_node(Redis *redis, size_t first) {
    size_t n = get(&redis->n_nodes);

    first %= n;
    for (size_t i = 0; i < n; i++) {
        Node *node = redis->nodes[(first + i) % n];

        if (conn_state(node->conn).is_up)
            return node;
    }
    return redis->nodes[first];
}

Node *redis_route(Redis *redis, Span key) {
    uint16_t slot, at;

    if (redis->points)
        return redis->nodes[ketama_find(redis->points, redis->n_points, ketama_hash(key))];
    if (redis->kind != CACHE_URL_CLUSTER)
        return redis->nodes[0];
    slot = slot_of_key(key);
    at = __atomic_load_n(&redis->slots[slot], __ATOMIC_ACQUIRE);
    return at == SLOT_UNKNOWN ? any_node(redis, slot) : redis->nodes[at];
}

bool redis_watches(const Command *command) {
    return command->node && !command->asking && get(&command->node->has_keys);
}

Node *redis_node(Redis *redis, size_t i) {
    size_t n = get(&redis->n_nodes);

    for (size_t at = 0; at < n; at++)
        if (get(&redis->nodes[at]->has_keys) && i-- == 0)
            return redis->nodes[at];
    return NULL;
}

/* ---- the map of a cluster ---- */

typedef struct NewMap {
    Redis *redis;
    Node *asked;
    uint16_t slots[SLOTS];
    bool has_keys[REDIS_NODES_MAX];
} NewMap;

static int map_range(uint16_t first, uint16_t last, const CacheHost *host, void *ctx) {
    NewMap *map = ctx;
    CacheHost here = *host;
    size_t at;
    int r;

    if (!here.name)
        here.name = map->asked->host.name;
    r = add_node(map->redis, &here, &at);
    if (r < 0)
        return r;
    map->has_keys[at] = true;
    for (unsigned slot = first; slot <= last; slot++)
        map->slots[slot] = (uint16_t)at;
    return 0;
}

static int take_map(Redis *redis, Node *asked, const Reply *reply) {
    NewMap *map = malloc(sizeof(*map));
    int r;

    if (!map)
        return -ENOMEM;
    map->redis = redis;
    map->asked = asked;
    memset(map->slots, 0xFF, sizeof(map->slots));
    memset(map->has_keys, 0, sizeof(map->has_keys));
    pthread_mutex_lock(&redis->lock);
    r = slots_parse(reply, map_range, map);
    pthread_mutex_unlock(&redis->lock);
    if (r >= 0) {
        for (size_t i = 0; i < SLOTS; i++)
            __atomic_store_n(&redis->slots[i], map->slots[i], __ATOMIC_RELEASE);
        for (size_t i = 0; i < get(&redis->n_nodes); i++)
            node_set_keys(redis->nodes[i], map->has_keys[i]);
        bump(&redis->refreshes);
    }
    free(map);
    return r;
}

static void fetch_map(Redis *redis, uint64_t deadline_ns) {
    size_t n = get(&redis->n_nodes), first = random_below(n);

    for (size_t i = 0; i < n && clock_ns() < deadline_ns; i++) {
        Node *node = redis->nodes[(first + i) % n];
        Command command = {.repeatable = true};
        uint64_t now = clock_ns(), share = now + (deadline_ns - now) / (i + 1 < n ? 2 : 1);
        char why[REDIS_WHY];

        if (breaker_is_open(&node->breaker) && i + 1 < n)
            continue;
        command_add_text(&command, "CLUSTER");
        command_add_text(&command, "SLOTS");
        if (redis_run_at(redis, node, &command, 1, share, why) >= 0 &&
            take_map(redis, node, command.reply) >= 0)
            i = n; /* done */
        reply_free(command.reply);
    }
}

/* Is it time to fetch the map, and is nobody doing so? */
static bool begin_refresh(Redis *redis) {
    uint64_t now, busy;

    if (!get(&redis->refresh_wanted))
        return false;
    now = clock_ns();
    busy = get(&redis->refreshing);
    /* An answer that never comes must not be waited for by all others. */
    if (now < get(&redis->refresh_after) || now < busy ||
        !__atomic_compare_exchange_n(&redis->refreshing, &busy,
                                     now + REDIS_REFRESH_MS * UINT64_C(1000000), false,
                                     __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return false;
    put(&redis->refresh_wanted, false);
    /* A tenth at random: clients must not all ask at once. */
    put(&redis->refresh_after,
        now + (REDIS_REFRESH_MS * 9 / 10 + random_below(REDIS_REFRESH_MS / 5)) * UINT64_C(1000000));
    return true;
}

static void take_waiting_map(Redis *redis);

static void refresh_if_wanted(Redis *redis, uint64_t deadline_ns) {
    uint64_t now;

    take_waiting_map(redis);
    if (!begin_refresh(redis))
        return;
    now = clock_ns();
    if (deadline_ns > now)
        fetch_map(redis, now + (deadline_ns - now) / 2);
    put(&redis->refreshing, 0);
}

/* ---- the same without waiting ---- */

/* With the connection locked: the near cache, which the map concerns too, locks in the other order.
 * So the map is left for whoever comes next without a lock. */
static void refreshed(Request *request) {
    Refresh *refresh = (Refresh *)request;
    Redis *redis = refresh->redis;

    if (request->reply && request->reply->type == REPLY_ARRAY) {
        refresh = __atomic_exchange_n(&redis->map, refresh, __ATOMIC_ACQ_REL);
    } else {
        put(&redis->refresh_wanted, true);
        put(&redis->refreshing, 0);
    }
    refresh_free(refresh);
}

/* A map that came meanwhile. */
static void take_waiting_map(Redis *redis) {
    Refresh *refresh;

    if (!get(&redis->map))
        return;
    refresh = __atomic_exchange_n(&redis->map, NULL, __ATOMIC_ACQ_REL);
    if (refresh)
        take_map(redis, refresh->node, refresh->request.reply);
    refresh_free(refresh);
    put(&redis->refreshing, 0);
}

void redis_refresh_soon(Redis *redis) {
    static const Span args[] = {{(const uint8_t *)"CLUSTER", 7}, {(const uint8_t *)"SLOTS", 5}};
    Refresh *refresh;
    Conn *conn;
    int r;

    take_waiting_map(redis);
    if (!begin_refresh(redis))
        return;
    refresh = calloc(1, sizeof(*refresh));
    if (refresh) {
        *refresh = (Refresh){.request.done = refreshed,
                             .redis = redis,
                             .node = any_node(redis, random_below(REDIS_NODES_MAX))};
        conn = refresh->node->conn;
        conn_lock(conn);
        r = conn_put(conn, args, 2, &refresh->request);
        conn_flush(conn);
        conn_unlock(conn);
        if (r >= 0)
            return;
        free(refresh);
    }
    put(&redis->refreshing, 0);
}

/* ---- errors ---- */

static bool begins(Span text, const char *word) {
    return text.len >= strlen(word) && memcmp(text.data, word, strlen(word)) == 0;
}

int redis_error_status(Span error) {
    static const struct {
        const char *word;
        int status;
    } known[] = {
        {"NOAUTH", -EACCES},
        {"WRONGPASS", -EACCES},
        {"NOPERM", -EACCES},
        {"OOM", -ENOBUFS},
        {"READONLY", -EROFS},
        {"WRONGTYPE", -EINVAL},
        {"LOADING", -ENOTCONN},
        {"MASTERDOWN", -ENOTCONN},
        {"CLUSTERDOWN", -ENOTCONN},
        {"TRYAGAIN", -ENOTCONN},
        {"ERR value is not an integer", -EINVAL},
        {"ERR increment or decrement would overflow", -ERANGE},
        {"ERR max number of clients", -ENOTCONN},
        {"ERR string exceeds", -EMSGSIZE},
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
        if (begins(error, known[i].word))
            return known[i].status;
    return -EREMOTEIO;
}

static void say(char why[REDIS_WHY], const Node *node, const char *text, size_t len) {
    if (!why)
        return;
    if (len > 120)
        len = 120;
    if (node->host.name[0] == '/')
        snprintf(why, REDIS_WHY, "Redis at %.60s: %.*s", node->host.name, (int)len, text);
    else
        snprintf(why, REDIS_WHY, "Redis at %.60s:%u: %.*s", node->host.name, node->host.port,
                 (int)len, text);
    /* What a stranger's server says must not reach a terminal as it is. */
    for (char *at = why; *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7F)
            *at = '?';
}

static void say_text(char why[REDIS_WHY], const Node *node, const char *text) {
    say(why, node, text, strlen(text));
}

static const char *status_text(int status) {
    switch (status) {
    case -ETIMEDOUT:
        return "no answer in time";
    case -ENOTCONN:
        return "cannot be reached";
    case -ECONNRESET:
        return "the connection was lost";
    case -ENOBUFS:
        return "too much waits to be sent";
    case -ECANCELED:
        return "the cache was closed";
    default:
        return strerror(-status);
    }
}

/* ---- one round: everything sent, then everything waited for ---- */

typedef struct Group {
    Node *node;
    Command *first, **last;
    size_t n;
    ConnWaiter waiter;
} Group;

/* Commands by server; those that find no room stay pending for the next round. */
static size_t make_groups(Redis *redis, Command *commands, size_t n, Node *only, Group *groups) {
    size_t n_groups = 0;

    for (size_t i = 0; i < n; i++) {
        Command *command = &commands[i];
        size_t g = 0;

        if (!command->pending)
            continue;
        if (!command->asking)
            command->node = only ? only : redis_route(redis, command->route);
        while (g < n_groups && groups[g].node != command->node)
            g++;
        if (g == GROUPS)
            continue;
        if (g == n_groups)
            groups[n_groups++] = (Group){.node = command->node, .last = &groups[g].first};
        command->next = NULL;
        *groups[g].last = command;
        groups[g].last = &command->next;
        groups[g].n++;
    }
    return n_groups;
}

static void send_group(Group *group) {
    static const Span asking = {(const uint8_t *)"ASKING", 6};
    Conn *conn = group->node->conn;

    conn_waiter_init(&group->waiter);
    conn_lock(conn);
    for (Command *command = group->first; command; command = command->next) {
        int r = 0;

        command->tries++;
        command->request = (Request){.waiter = &group->waiter};
        if (command->asking)
            r = conn_put_unanswered(conn, &asking, 1);
        if (r >= 0)
            r = conn_put(conn, command->args, command->n_args, &command->request);
        if (r < 0)
            command->request.status = r;
    }
    conn_flush(conn);
    conn_unlock(conn);
}

/* ---- what came of a command ---- */

static void settle(Command *command, int status) {
    command->pending = false;
    command->status = status;
}

static int follow(Redis *redis, Command *command, Redirect *redirect) {
    CacheHost host = redirect->host;
    size_t at;
    int r;

    if (!host.name)
        host.name = command->node->host.name;
    pthread_mutex_lock(&redis->lock);
    r = add_node(redis, &host, &at);
    pthread_mutex_unlock(&redis->lock);
    if (r < 0)
        return r;
    bump(&redis->redirects);
    command->asking = redirect->kind == REDIRECT_ASK;
    command->node = redis->nodes[at];
    if (redirect->kind == REDIRECT_MOVED) {
        __atomic_store_n(&redis->slots[redirect->slot], (uint16_t)at, __ATOMIC_RELEASE);
        node_set_keys(redis->nodes[at], true);
        put(&redis->refresh_wanted, true);
    }
    return 0;
}

typedef struct Round {
    Redis *redis;
    uint64_t deadline_ns;
    bool last;  /* no time for another */
    bool later; /* somebody said: try again later */
    char *why;
} Round;

static void take_error(Round *round, Command *command) {
    Redis *redis = round->redis;
    Span text = reply_span(command->reply);
    Redirect redirect = {.kind = REDIRECT_NONE};
    int status = redis_error_status(text);
    bool again = false;

    say(round->why, command->node, (const char *)text.data, text.len);
    if (redis->kind == CACHE_URL_CLUSTER || status == -ENOTCONN)
        if (redirect_parse(text, &redirect) < 0)
            status = -EPROTO;
    command->asking = false;
    switch (redirect.kind) {
    case REDIRECT_MOVED:
    case REDIRECT_ASK:
        again = redis->kind == CACHE_URL_CLUSTER && follow(redis, command, &redirect) >= 0;
        break;
    case REDIRECT_LATER:
        /* Refused before anything was done: harmless to repeat, whatever the command. It costs no
         * try: the deadline bounds it. */
        again = round->later = true;
        command->tries--;
        if (redis->kind == CACHE_URL_CLUSTER)
            put(&redis->refresh_wanted, true);
        break;
    case REDIRECT_NONE:
        /* A master that became a replica: its name may lead to the new master by now. */
        if (status == -EROFS && command->tries == 1) {
            again = true;
            put(&redis->refresh_wanted, redis->kind == CACHE_URL_CLUSTER);
            conn_reset(command->node->conn);
        }
    }
    free(redirect.host.name);
    command->reply = reply_free(command->reply);
    command->status = status; /* unless another try ends better */
    if (!again || round->last || command->tries >= COMMAND_TRIES)
        settle(command, status);
}

static void take_result(Round *round, Command *command) {
    Redis *redis = round->redis;
    int status = command->request.status;
    bool again;

    command->reply = command->request.reply;
    if (command->reply && command->reply->type != REPLY_ERROR) {
        settle(command, 0);
        return;
    }
    if (command->reply) {
        take_error(round, command);
        return;
    }
    say_text(round->why, command->node,
             command->request.problem ? command->request.problem : status_text(status));
    /* Unsent is harmless to repeat too, but its time is over; unless another node has the key. */
    again = (status == -ECONNRESET && command->repeatable) ||
            (redis->kind == CACHE_URL_CLUSTER &&
             (status == -ENOTCONN || (status == -ETIMEDOUT && command->repeatable)));
    if (redis->kind == CACHE_URL_CLUSTER)
        put(&redis->refresh_wanted, true);
    command->asking = false;
    command->status = status;
    if (!again || round->last || command->tries >= COMMAND_TRIES)
        settle(command, status);
}

bool redis_take(Redis *redis, Command *command, bool last) {
    Round round = {.redis = redis, .last = last};

    take_result(&round, command);
    if (command->pending && round.later)
        settle(command, -ENOTCONN); /* a loop has no time to wait for that */
    return !command->pending;
}

/* Waits for a group and sorts out its commands. */
static void finish_group(Round *round, Group *group, uint64_t sent_ns, uint64_t until_ns) {
    size_t n_answered = 0;
    bool failed = false;

    conn_wait(group->node->conn, &group->waiter, until_ns);
    conn_waiter_deinit(&group->waiter);
    for (Command *command = group->first; command; command = command->next)
        n_answered += command->request.reply != NULL;
    if (n_answered > 0)
        node_succeeded(group->node, group->n, clock_ns() - sent_ns);
    for (Command *command = group->first; command; command = command->next) {
        take_result(round, command);
        failed |= !command->pending && command->status < 0 && n_answered == 0;
    }
    if (failed || (n_answered == 0 && round->redis->kind == CACHE_URL_CLUSTER))
        node_failed(group->node, clock_ns());
}

static void refuse_group(Round *round, Group *group) {
    say_text(round->why, group->node, "left alone for a while after failures");
    if (round->redis->kind == CACHE_URL_CLUSTER)
        put(&round->redis->refresh_wanted, true);
    for (Command *command = group->first; command; command = command->next)
        settle(command, -ENOTCONN);
}

static void run_round(Round *round, Command *commands, size_t n, Node *only, uint64_t until_ns) {
    Group groups[GROUPS];
    size_t n_groups = make_groups(round->redis, commands, n, only, groups);
    uint64_t sent_ns = clock_ns();

    for (size_t g = 0; g < n_groups; g++)
        if (node_admits(groups[g].node, sent_ns))
            send_group(&groups[g]);
        else {
            refuse_group(round, &groups[g]);
            groups[g].n = 0;
        }
    for (size_t g = 0; g < n_groups; g++)
        if (groups[g].n > 0)
            finish_group(round, &groups[g], sent_ns, until_ns);
}

static void pause_for(uint64_t deadline_ns) {
    uint64_t pause =
        (LATER_FIRST_MS + random_below(LATER_FIRST_MS * UINT64_C(3))) * UINT64_C(1000000);
    uint64_t now = clock_ns();

    if (now + pause > deadline_ns)
        pause = deadline_ns > now ? deadline_ns - now : 0;
    nanosleep(&(struct timespec){.tv_nsec = (long)pause}, NULL);
}

static bool any_pending(const Command *commands, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (commands[i].pending)
            return true;
    return false;
}

/* Time is up. Who has been tried already ends as that try did. */
static bool end_late(Command *commands, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (commands[i].pending && commands[i].status < 0)
            settle(&commands[i], commands[i].status);
    return !any_pending(commands, n);
}

static int run(Redis *redis, Node *only, Command *commands, size_t n, uint64_t deadline_ns,
               char why[REDIS_WHY]) {
    Round round = {.redis = redis, .deadline_ns = deadline_ns, .why = why};
    int r = 0;

    for (size_t i = 0; i < n; i++) {
        commands[i].pending = true;
        commands[i].asking = false;
        commands[i].tries = 0;
        commands[i].reply = NULL;
        commands[i].status = 0;
    }
    while (any_pending(commands, n)) {
        uint64_t until_ns = deadline_ns, now = clock_ns();

        if (now >= deadline_ns && end_late(commands, n))
            break;
        if (!only)
            refresh_if_wanted(redis, deadline_ns);
        round.last = now >= deadline_ns;
        round.later = false;
        /* A node that does not answer may have lost its keys to another: keep time to ask that. */
        if (redis->kind == CACHE_URL_CLUSTER && !only && now < deadline_ns)
            until_ns = now + (deadline_ns - now) / 2;
        if (until_ns - now < 2000000)
            until_ns = deadline_ns;
        run_round(&round, commands, n, only, until_ns);
        if (round.later)
            pause_for(deadline_ns);
    }
    for (size_t i = 0; i < n && r >= 0; i++)
        r = commands[i].status;
    return r;
}

int redis_run(Redis *redis, Command *commands, size_t n, uint64_t deadline_ns,
              char why[REDIS_WHY]) {
    return run(redis, NULL, commands, n, deadline_ns, why);
}

int redis_run_at(Redis *redis, Node *node, Command *commands, size_t n, uint64_t deadline_ns,
                 char why[REDIS_WHY]) {
    return run(redis, node, commands, n, deadline_ns, why);
}

void redis_stats(Redis *redis, ferry_cache_stats *to) {
    size_t n = get(&redis->n_nodes);

    to->nodes = (uint32_t)n;
    to->redirects = get(&redis->redirects);
    to->refreshes = get(&redis->refreshes);
    for (size_t i = 0; i < n; i++)
        node_stats(redis->nodes[i], to);
}

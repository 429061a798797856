/* SPDX-License-Identifier: Apache-2.0 */
/* Sends commands to the servers that have their keys, in rounds. See redis-private.h. */

#include <errno.h>
#include <time.h>

#include "base/clock.h"
#include "base/random.h"
#include "cache/redis/redis-private.h"

enum { GROUPS = 64, LATER_FIRST_MS = 5 };

/* ---- one round: send all commands, then wait for all replies ---- */

typedef struct CommandGroup {
    Node *node;
    RedisCommand *first, **last;
    size_t n;
    ConnWaiter waiter;
} CommandGroup;

/* Groups commands by server; commands without a free group stay pending for the next round. */
static size_t make_groups(Redis *redis, RedisCommand *commands, size_t n, Node *only,
                          CommandGroup *groups) {
    size_t n_groups = 0;

    for (size_t i = 0; i < n; i++) {
        RedisCommand *command = &commands[i];
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
            groups[n_groups++] = (CommandGroup){.node = command->node, .last = &groups[g].first};
        command->next = NULL;
        *groups[g].last = command;
        groups[g].last = &command->next;
        groups[g].n++;
    }
    return n_groups;
}

static void send_group(CommandGroup *group) {
    static const Span asking = {(const uint8_t *)"ASKING", 6};
    Conn *conn = group->node->conn;

    conn_waiter_init(&group->waiter);
    conn_lock(conn);
    for (RedisCommand *command = group->first; command; command = command->next) {
        int r = 0;

        command->tries++;
        command->request = (ConnRequest){.waiter = &group->waiter};
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

/* Waits for a group and takes the results of its commands. */
static void finish_group(RedisRound *round, CommandGroup *group, uint64_t sent_ns,
                         uint64_t until_ns) {
    size_t n_answered = 0;
    bool failed = false;

    conn_wait(group->node->conn, &group->waiter, until_ns);
    conn_waiter_deinit(&group->waiter);
    for (RedisCommand *command = group->first; command; command = command->next)
        n_answered += command->request.reply != NULL;
    if (n_answered > 0)
        node_succeeded(group->node, group->n, clock_ns() - sent_ns);
    for (RedisCommand *command = group->first; command; command = command->next) {
        redis_take_result(round, command);
        failed |= !command->pending && command->status < 0 && n_answered == 0;
    }
    if (failed || (n_answered == 0 && round->redis->kind == CACHE_URL_CLUSTER))
        node_failed(group->node, clock_ns());
}

static void refuse_group(RedisRound *round, CommandGroup *group) {
    redis_say_text(round->why, group->node,
                   "not asked for a while, because it failed several times");
    if (round->redis->kind == CACHE_URL_CLUSTER)
        put(&round->redis->refresh_wanted, true);
    for (RedisCommand *command = group->first; command; command = command->next)
        redis_settle(command, -ENOTCONN);
}

static void run_round(RedisRound *round, RedisCommand *commands, size_t n, Node *only,
                      uint64_t until_ns) {
    CommandGroup groups[GROUPS];
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

static bool any_pending(const RedisCommand *commands, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (commands[i].pending)
            return true;
    return false;
}

/* The time is over: a command that was tried ends with the status of that try. */
static bool end_late(RedisCommand *commands, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (commands[i].pending && commands[i].status < 0)
            redis_settle(&commands[i], commands[i].status);
    return !any_pending(commands, n);
}

int redis_run_rounds(Redis *redis, Node *only, RedisBeforeRound before, RedisCommand *commands,
                     size_t n, uint64_t deadline_ns, char why[REDIS_WHY]) {
    RedisRound round = {.redis = redis, .why = why};
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
        if (before)
            before(redis, deadline_ns);
        round.last = now >= deadline_ns;
        round.later = false;
        /* The keys of a silent node may have moved to another node: keep enough time to ask that
         * node. */
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

int redis_run_at(Redis *redis, Node *node, RedisCommand *commands, size_t n, uint64_t deadline_ns,
                 char why[REDIS_WHY]) {
    return redis_run_rounds(redis, node, NULL, commands, n, deadline_ns, why);
}

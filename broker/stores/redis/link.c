/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of the scripts and commands of a space. See link.h. */

#include "broker/stores/redis/link.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "rpc/wire/message.h"

enum {
    CALLS_MAX = 2,
    WAIT_MS = 700, /* shorter than an attempt, so that WAIT is answered before its end */
    SETTING_MS = 1000,
    SETTING_MAX = 20,  /* bytes of a value that are shown */
    ATTEMPT_MS = 5000, /* for an attempt to connect that has no deadline */
};

static void set_keys(RedisLink *link, const char *name, LinkKeys keys) {
    static const char *const suffixes[][REDIS_KEYS] = {
        [LINK_SPACE] = {"", ":segments", ":order", ":ended", ":passed", ":notes", ":pushes",
                        ":keys", ":paused", ":facts", ":inbox", ":senders"},
        [LINK_CLUSTER] = {":cluster", ":members", "", ":binds"},
        [LINK_INBOX] = {"", ":inbox", ":senders", ":retained", ":changed", ":cleared"},
    };

    for (; link->n_keys < REDIS_KEYS && suffixes[keys][link->n_keys]; link->n_keys++)
        snprintf(link->keys[link->n_keys], sizeof(link->keys[0]), "ferry:{%s}%s", name,
                 suffixes[keys][link->n_keys]);
    link->key = link->keys[0];
}

void redis_link_share(RedisLink *link, const RedisLink *with, const char *name, LinkKeys keys) {
    set_keys(link, name, keys);
    link->n_wait = with->n_wait;
    link->redis = with->redis;
}

int redis_link_open(RedisLink *link, RedisStoreOptions *options, LinkKeys keys,
                    ferry_error *reterr) {
    set_keys(link, options->name, keys);
    link->n_wait = options->n_wait;
    return redis_new(&link->redis, &options->url, ATTEMPT_MS, NULL, reterr);
}

void redis_link_close(RedisLink *link) {
    link->redis = redis_free(link->redis);
}

/* ---- failures ---- */

/* Errors that only a change of the configuration or of the data ends. */
static bool is_wrong(const char *why) {
    static const char *const texts[] = {": WRONGTYPE", ": WRONGPASS", ": NOAUTH", ": NOPERM",
                                        ": ERR "};

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        if (strstr(why, texts[i]))
            return true;
    return false;
}

/* Redis adds where in the script a command failed. */
static void cut_script(char *why) {
    char *at = strstr(why, " script: ");

    if (at)
        *at = '\0';
}

static LinkOutcome outcome_of(const RedisCommand *command, const char *why) {
    if (command->status == 0)
        return LINK_DONE;
    if (command->status == -ENOBUFS && strstr(why, ": OOM "))
        return command->tries <= 1 ? LINK_FULL : LINK_AGAIN;
    return command->status == -EACCES ||
                   ((command->status == -EREMOTEIO || command->status == -EINVAL) && is_wrong(why))
               ? LINK_WRONG
               : LINK_AGAIN;
}

/* ---- scripts ---- */

_Static_assert(3 + REDIS_KEYS + REDIS_CALL_ARGS <= COMMAND_ARGS, "a call has too many words");

static void begin_script(const RedisLink *link, const LinkCall *call, bool by_text,
                         RedisCommand *command) {
    static const char *const numbers[] = {[4] = "4", [6] = "6", [REDIS_KEYS] = "12"};

    *command = (RedisCommand){.route = span_text(link->key), .repeatable = true};
    command_add_text(command, by_text ? "EVAL" : "EVALSHA");
    command_add_text(command, by_text ? call->script->text : call->script->sha);
    /* A Cluster that moves the slot to another node must know all keys: it refuses the script until
     * all of them are on one node. */
    command_add_text(command, numbers[link->n_keys]);
    for (unsigned i = 0; i < link->n_keys; i++)
        command_add_text(command, link->keys[i]);
    for (unsigned i = 0; i < call->n_args; i++)
        command_add(command, call->args[i].data, call->args[i].len);
}

/* Loads the script into Redis, which answers with its name. */
static void learn(RedisLink *link, LinkScript *script, uint64_t deadline_ns) {
    RedisCommand command = {.route = span_text(link->key), .repeatable = true};

    command_add_text(&command, "SCRIPT");
    command_add_text(&command, "LOAD");
    command_add_text(&command, script->text);
    if (redis_run(link->redis, &command, 1, deadline_ns, link->why) < 0)
        return;
    if (command.reply->bytes.len == sizeof(script->sha) - 1)
        memcpy(script->sha, command.reply->bytes.data, sizeof(script->sha) - 1);
    reply_free(command.reply);
}

static void begin_wait(const RedisLink *link, RedisCommand *command, char number[12],
                       char timeout[12]) {
    snprintf(number, 12, "%u", link->n_wait);
    snprintf(timeout, 12, "%d", WAIT_MS);
    *command = (RedisCommand){.route = span_text(link->key), .repeatable = true};
    command_add_text(command, "WAIT");
    command_add_text(command, number);
    command_add_text(command, timeout);
}

/* WAIT counts the replicas that have all earlier writes of its own connection. */
static bool is_confirmed(RedisLink *link, const RedisCommand *commands, unsigned n) {
    const RedisCommand *wait = &commands[n];

    for (unsigned i = 0; i <= n; i++)
        if (commands[i].tries > 1 || commands[i].node != wait->node) {
            snprintf(link->why, sizeof(link->why), "Redis moved the space during a write");
            return false;
        }
    if (wait->status < 0)
        return false;
    if (wait->reply->integer >= (int64_t)link->n_wait)
        return true;
    snprintf(link->why, sizeof(link->why), "%lld of %u replicas have the last changes (wait=%u)",
             (long long)wait->reply->integer, link->n_wait, link->n_wait);
    return false;
}

void redis_link_call(RedisLink *link, LinkCall *calls, unsigned n, bool confirm,
                     uint64_t deadline_ns) {
    RedisCommand commands[CALLS_MAX + 1];
    char number[12], timeout[12];
    bool waits = confirm && link->n_wait > 0, unknown = false;

    for (unsigned i = 0; i < n; i++) {
        if (!*calls[i].script->sha)
            learn(link, calls[i].script, deadline_ns);
        begin_script(link, &calls[i], !*calls[i].script->sha, &commands[i]);
    }
    for (int pass = 0; pass < 2; pass++) {
        *link->why = '\0';
        if (waits)
            begin_wait(link, &commands[n], number, timeout);
        redis_run(link->redis, commands, n + waits, deadline_ns, link->why);
        unknown = false;
        for (unsigned i = 0; i < n; i++)
            unknown |= commands[i].status < 0 && strstr(link->why, ": NOSCRIPT");
        if (!unknown || pass > 0)
            break;
        /* Redis was started again, or is another one: it gets the text. The calls that succeeded
         * have no effect the second time. */
        for (unsigned i = 0; i <= n; i++)
            if (i < n || waits)
                commands[i].reply = reply_free(commands[i].reply);
        for (unsigned i = 0; i < n; i++)
            begin_script(link, &calls[i], true, &commands[i]);
    }
    cut_script(link->why);
    if (waits && !is_confirmed(link, commands, n))
        for (unsigned i = 0; i < n; i++)
            if (commands[i].status == 0)
                commands[i].status = -EAGAIN;
    if (waits)
        reply_free(commands[n].reply);
    for (unsigned i = 0; i < n; i++) {
        calls[i].outcome = outcome_of(&commands[i], link->why);
        calls[i].reply = commands[i].reply;
        if (calls[i].outcome != LINK_DONE)
            calls[i].reply = reply_free(calls[i].reply);
    }
}

/* ---- the setting ---- */

/* The value of a setting in the answer to CONFIG GET: names, each followed by its value. */
static Span setting_of(const Reply *reply, const char *name) {
    for (size_t i = 0; reply->type == REPLY_ARRAY && i + 1 < reply->n; i += 2)
        if (span_is(reply_span(reply->elements[i]), name))
            return reply_span(reply->elements[i + 1]);
    return span_text("unknown");
}

void redis_link_setting(RedisLink *link, char to[STORE_SETTING_MAX]) {
    RedisCommand command = {.route = span_text(link->key), .repeatable = true};
    char why[REDIS_WHY] = "";
    Span fsync = span_text("unknown"), policy = {NULL, 0};
    bool is_off = false;
    int n;

    command_add_text(&command, "CONFIG");
    command_add_text(&command, "GET");
    /* Servers before 7.0 take one pattern: it matches appendonly, appendfsync and maxmemory-policy.
     */
    command_add_text(&command, "[am][pa][px]*[yc]");
    if (redis_run(link->redis, &command, 1, clock_ns() + SETTING_MS * UINT64_C(1000000), why) ==
        0) {
        is_off = span_is(setting_of(command.reply, "appendonly"), "no");
        fsync = setting_of(command.reply, "appendfsync");
        policy = setting_of(command.reply, "maxmemory-policy");
    } else if (outcome_of(&command, why) != LINK_WRONG) {
        reply_free(command.reply);
        return;
    }
    if (is_off)
        n = snprintf(to, STORE_SETTING_MAX, "appendonly=no wait=%u", link->n_wait);
    else
        n = snprintf(to, STORE_SETTING_MAX, "appendfsync=%.*s wait=%u",
                     (int)(fsync.len < SETTING_MAX ? fsync.len : SETTING_MAX),
                     (const char *)fsync.data, link->n_wait);
    /* The other policies delete only keys with a time to live, and a space has no such keys. */
    if (span_begins(policy, "allkeys"))
        snprintf(to + n, STORE_SETTING_MAX - (size_t)n, " maxmemory-policy=%.*s",
                 (int)(policy.len < SETTING_MAX ? policy.len : SETTING_MAX),
                 (const char *)policy.data);
    reply_free(command.reply);
}

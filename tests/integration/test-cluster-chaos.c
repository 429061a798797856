/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Three brokers whose queues are in a Redis Cluster of three masters and three replicas: all three
 * are active and share the queues, or one is active and the others wait. Brokers and servers of
 * Redis are killed and stopped at random, sometimes two at once, under load. ledger.h and aof.h say
 * what is compared. Redis runs with appendfsync always, and the brokers with wait=1, so a single
 * failure may lose no confirmed job.
 *
 * FERRY_TEST_FAULTS is the number of faults, TEST_SEED chooses them; with FERRY_TEST_PAIR one
 * broker is active.
 */

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <xxhash.h>

#include <ferry/ferry.h>

#include "base/clock.h"
#include "integration/aof.h"
#include "integration/ledger.h"
#include "support/faults.h"
#include "support/random.h"
#include "support/redis.h"
#include "support/suite.h"

enum {
    BROKERS = 3,
    MASTERS = 3,
    SERVERS = 2 * MASTERS,
    SHARDS = 8,
    WORKERS = 2,
    WORKER_KILL_EACH = 5,
    LEASE_MS = 2000,
    DOWN_MAX_MS = 4000,
    STOP_MAX_MS = 6000,
    PROBE_PAUSE_MS = 20, /* after a refusal */
    SPREAD_MS = 60000,   /* for all shards to be in their places */
    TOKENS_MAX = 4096,
};

#define NAME "chaos"

typedef enum FaultKind { BROKER_KILLED, BROKER_STOPPED, REDIS_KILLED, REDIS_STOPPED } FaultKind;

/* Faults by what they hit: the broker that has the lease of a space, the master that has its data,
 * others. */
typedef enum FaultClass {
    OWNER_KILLED,
    OWNER_STOPPED,
    MASTER_KILLED,
    MASTER_STOPPED,
    TWO_AT_ONCE,
    OTHER,
    N_CLASSES
} FaultClass;

static const char *const class_names[N_CLASSES] = {
    "owner killed",       "owner stopped", "its master killed",
    "its master stopped", "two at once",   "another one",
};

/* A broker or a server of Redis that a fault has hit, until its end. */
typedef struct Fault {
    FaultKind kind;
    unsigned target;
    uint64_t ends_ms;
    size_t explains; /* the number in the ledger; NO_FAULT: it explains nothing */
} Fault;

enum { NO_FAULT = -1 };

typedef struct Chaos {
    Dice dice;
    unsigned n_shards;       /* 0: one broker is active */
    char probes[SHARDS][16]; /* a queue of each shard */
    unsigned shard;          /* the shard that the fault hits */
    RedisServer servers[SERVERS];
    Daemon brokers[BROKERS];
    bool broker_is_hit[BROKERS], server_is_hit[SERVERS];
    char urls[400];
    Ledger ledger;
    AofVerdict aof;
    Process pushers[LEDGER_PUSHERS], publisher, workers[WORKERS];
    ferry_client *probe;
    Fault faults[2]; /* the present ones */
    size_t n_present, n_faults, n_ended_itself, n_lost_shards;
    size_t unsettled[16]; /* numbers in the ledger of faults that have ended: their shards may still
                           * move */
    size_t n_unsettled;
    double *recovery_ms[N_CLASSES];
    size_t n_recoveries[N_CLASSES];
} Chaos;

/* ---- the stage ---- */

static const char *const redis_words[] = {"--appendonly",
                                          "yes",
                                          "--appendfsync",
                                          "always",
                                          "--auto-aof-rewrite-percentage",
                                          "0",
                                          "--cluster-node-timeout",
                                          "2000",
                                          "--repl-diskless-sync-delay",
                                          "0",
                                          NULL};

static void start_brokers(Chaos *chaos) {
    char config[600];
    int n;

    n = snprintf(config, sizeof(config), "[queue >]\nmax_attempts = 0\n[broker]\nstore = ");
    for (unsigned i = 0; i < SERVERS; i++)
        n += snprintf(config + n, sizeof(config) - (size_t)n, "%s127.0.0.1:%u",
                      i == 0 ? "redis+cluster://" : ",", chaos->servers[i].port);
    n += snprintf(config + n, sizeof(config) - (size_t)n, "?name=" NAME "&wait=1&lease=%dms",
                  LEASE_MS);
    snprintf(config + n, sizeof(config) - (size_t)n, chaos->n_shards > 0 ? "&shards=%u\n" : "\n",
             chaos->n_shards);
    for (unsigned i = 0; i < BROKERS; i++) {
        size_t len = strlen(chaos->urls);

        daemon_launch(&chaos->brokers[i],
                      &(DaemonOptions){.tcp = true, .config = config, .level = "info"});
        snprintf(chaos->urls + len, sizeof(chaos->urls) - len, "%s%s", len ? "," : "",
                 chaos->brokers[i].url);
    }
}

/* The server that has a space, and the broker that has its lease; -1: unknown. */
static void find_owner(Chaos *chaos, unsigned shard, int *ret_server, int *ret_broker) {
    char words[60];

    if (chaos->n_shards > 0)
        snprintf(words, sizeof(words), "HGET ferry:{" NAME ".%u} holder", shard);
    else
        snprintf(words, sizeof(words), "HGET ferry:{" NAME "} holder");
    *ret_server = *ret_broker = -1;
    for (unsigned i = 0; i < SERVERS && *ret_server < 0; i++) {
        const char *line = chaos->server_is_hit[i] ? "" : redis_ask(&chaos->servers[i], words);
        const char *pid = strstr(line, "process ");

        if (line[0] != '$')
            continue;
        *ret_server = (int)i;
        for (int j = 0; pid && j < BROKERS; j++)
            if (chaos->brokers[j].process.pid == atoi(pid + strlen("process ")))
                *ret_broker = j;
    }
}

/* True: each broker has its share of the shards. */
static bool is_even(Chaos *chaos) {
    unsigned counts[BROKERS] = {0};

    for (unsigned k = 0; k < chaos->n_shards; k++) {
        int server, broker;

        find_owner(chaos, k, &server, &broker);
        if (broker < 0)
            return false;
        counts[broker]++;
    }
    for (unsigned i = 0; i < BROKERS; i++)
        if (counts[i] < chaos->n_shards / BROKERS)
            return false;
    return true;
}

/* ---- faults ---- */

/* Redis has a fault: shards whose lease cannot be prolonged leave their broker. */
static bool explains_redeliveries(const Chaos *chaos, FaultKind kind) {
    return chaos->n_shards > 0 || kind == BROKER_KILLED || kind == BROKER_STOPPED;
}

static void begin_fault(Chaos *chaos, Fault *fault) {
    uint64_t max_ms =
        fault->kind == BROKER_STOPPED || fault->kind == REDIS_STOPPED ? STOP_MAX_MS : DOWN_MAX_MS;
    RedisServer *server = &chaos->servers[fault->target % SERVERS];
    Daemon *broker = &chaos->brokers[fault->target % BROKERS];

    switch (fault->kind) {
    case BROKER_KILLED:
        daemon_kill(broker);
        break;
    case BROKER_STOPPED:
        process_signal(&broker->process, SIGSTOP);
        break;
    case REDIS_KILLED:
        redis_kill(server);
        break;
    case REDIS_STOPPED:
        redis_freeze(server);
    }
    if (fault->kind == REDIS_KILLED || fault->kind == REDIS_STOPPED) {
        chaos->server_is_hit[fault->target] = true;
        aof_check(server->folder, NAME, chaos->n_shards, &chaos->aof);
    } else {
        chaos->broker_is_hit[fault->target] = true;
    }
    fault->explains = explains_redeliveries(chaos, fault->kind)
                          ? ledger_fault(&chaos->ledger, clock_ms())
                          : (size_t)NO_FAULT;
    fault->ends_ms = clock_ms() + dice_below(&chaos->dice, max_ms);
}

static void end_fault(Chaos *chaos, const Fault *fault) {
    RedisServer *server = &chaos->servers[fault->target % SERVERS];
    Daemon *broker = &chaos->brokers[fault->target % BROKERS];

    switch (fault->kind) {
    case BROKER_KILLED:
        daemon_relaunch(broker);
        break;
    case BROKER_STOPPED:
        process_signal(&broker->process, SIGCONT);
        break;
    case REDIS_KILLED:
        redis_restart(server);
        break;
    case REDIS_STOPPED:
        redis_unfreeze(server);
    }
    if (fault->kind == REDIS_KILLED || fault->kind == REDIS_STOPPED) {
        chaos->server_is_hit[fault->target] = false;
    } else {
        chaos->broker_is_hit[fault->target] = false;
    }
    if (fault->explains == (size_t)NO_FAULT)
        return;
    ledger_fault_ended(&chaos->ledger, fault->explains);
    chaos->unsettled[chaos->n_unsettled++] = fault->explains;
}

/* Waits until all shards are in their places: the faults so far move no shard any more. */
static void settle(Chaos *chaos) {
    uint64_t until_ms = clock_ms() + SPREAD_MS;

    while (chaos->n_shards > 0 && !is_even(chaos) && clock_ms() < until_ms)
        turn_for(chaos->probe, PROBE_PAUSE_MS);
    CU_ASSERT(clock_ms() < until_ms);
    for (; chaos->n_shards > 0 && chaos->n_unsettled > 0; chaos->n_unsettled--)
        ledger_fault_ended(&chaos->ledger, chaos->unsettled[chaos->n_unsettled - 1]);
    chaos->n_unsettled = 0;
}

/* Half of the faults hit the broker or the server that the probe depends on. */
static FaultClass add_fault(Chaos *chaos) {
    Fault *fault = &chaos->faults[chaos->n_present];
    bool is_broker, is_important;
    int server, broker, important;

    chaos->shard = chaos->n_shards > 0 ? (unsigned)dice_below(&chaos->dice, chaos->n_shards) : 0;
    find_owner(chaos, chaos->shard, &server, &broker);
    do {
        fault->kind = (FaultKind)dice_below(&chaos->dice, 4);
        is_broker = fault->kind == BROKER_KILLED || fault->kind == BROKER_STOPPED;
        important = is_broker ? broker : server;
        fault->target = important >= 0 && dice_below(&chaos->dice, 2) == 0
                            ? (unsigned)important
                            : (unsigned)dice_below(&chaos->dice, is_broker ? BROKERS : SERVERS);
    } while (is_broker ? chaos->broker_is_hit[fault->target] : chaos->server_is_hit[fault->target]);
    is_important = (int)fault->target == important;
    begin_fault(chaos, fault);
    chaos->n_faults++;
    return chaos->n_present++ > 0 ? TWO_AT_ONCE : is_important ? (FaultClass)fault->kind : OTHER;
}

/* Ends the faults whose time has come, and starts brokers again that have ended because another one
 * had taken the lease. */
static void look_after(Chaos *chaos) {
    for (size_t i = chaos->n_present; i-- > 0;)
        if (clock_ms() >= chaos->faults[i].ends_ms) {
            end_fault(chaos, &chaos->faults[i]);
            chaos->faults[i] = chaos->faults[--chaos->n_present];
        }
    for (unsigned i = 0; i < BROKERS; i++)
        if (!chaos->broker_is_hit[i] && process_is_over(&chaos->brokers[i].process)) {
            chaos->n_ended_itself++;
            ledger_fault(&chaos->ledger, clock_ms() - LEASE_MS);
            daemon_relaunch(&chaos->brokers[i]);
        }
}

/* ---- the probe ---- */

typedef struct Probe {
    bool is_over, is_confirmed;
} Probe;

static void on_probed(const ferry_error *error, void *ctx) {
    *(Probe *)ctx = (Probe){.is_over = true, .is_confirmed = error == NULL};
}

/* Pushes until a push is confirmed. False: a hang. */
static bool probe_confirmed(Chaos *chaos) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;
    Probe probe = {0};

    while (!probe.is_confirmed && clock_ms() < until_ms) {
        probe = (Probe){0};
        if (ferry_push_async(chaos->probe, chaos->probes[chaos->shard], ferry_str("x"), NULL,
                             on_probed, &probe, NULL) < 0)
            probe.is_over = true;
        while (!probe.is_over) {
            ferry_process(chaos->probe, NULL);
            look_after(chaos);
            sleep_ms(1);
        }
        if (!probe.is_confirmed)
            turn_for(chaos->probe, PROBE_PAUSE_MS);
    }
    return probe.is_confirmed;
}

/* ---- the run ---- */

static bool fault_once(Chaos *chaos) {
    unsigned worker = (unsigned)(chaos->n_faults % WORKERS);
    bool worker_too = chaos->n_faults % WORKER_KILL_EACH == WORKER_KILL_EACH - 1, well;
    FaultClass class = add_fault(chaos);
    uint64_t began_us = clock_us();

    if (dice_below(&chaos->dice, 4) == 0) {
        turn_for(chaos->probe, dice_below(&chaos->dice, 1000));
        class = add_fault(chaos);
        began_us = clock_us();
    }
    if (worker_too) {
        process_end(&chaos->workers[worker], SIGKILL, PATIENCE_MS);
        ledger_fault(&chaos->ledger, clock_ms());
    }
    well = probe_confirmed(chaos);
    chaos->recovery_ms[class][chaos->n_recoveries[class]++] =
        (double)(clock_us() - began_us) / 1000;
    while (chaos->n_present > 0) {
        turn_for(chaos->probe, 1);
        look_after(chaos);
    }
    well = well && probe_confirmed(chaos);
    /* Half of the faults come while shards still move. */
    if (dice_below(&chaos->dice, 2) == 0 ||
        chaos->n_unsettled + 2 > sizeof(chaos->unsettled) / sizeof(*chaos->unsettled))
        settle(chaos);
    if (well && worker_too)
        ledger_start_worker(&chaos->ledger, &chaos->workers[worker], chaos->urls);
    return well;
}

static int by_text(const void *a, const void *b) {
    return strcmp(a, b);
}

/* The shard that a line of the log is about; 0: the queues have no shards. */
static unsigned shard_in(const char *line) {
    const char *at = strstr(line, "key=ferry:{" NAME ".");

    return at ? (unsigned)atoi(at + strlen("key=ferry:{" NAME ".")) % SHARDS : 0;
}

/* Each broker logs the token of its lease after Redis has confirmed it. Returns the number of
 * tokens that are not larger than that of the line before; lines begin with their time. */
static size_t count_wrong_tokens(const Chaos *chaos, size_t *ret_tokens) {
    static char lines[TOKENS_MAX][300];
    size_t n = 0, n_wrong = 0;
    long long last[SHARDS] = {0};

    for (unsigned i = 0; i < BROKERS; i++) {
        FILE *file = fopen(chaos->brokers[i].log, "re");

        while (file && n < TOKENS_MAX && fgets(lines[n], sizeof(lines[n]), file))
            n += strstr(lines[n], " belong to this broker") != NULL;
        if (file)
            fclose(file);
    }
    qsort(lines, n, sizeof(lines[0]), by_text);
    for (size_t i = 0; i < n; i++) {
        const char *at = strstr(lines[i], "token=");
        long long token = at ? atoll(at + strlen("token=")) : 0;

        n_wrong += token <= last[shard_in(lines[i])];
        last[shard_in(lines[i])] = token;
    }
    *ret_tokens = n;
    return n_wrong;
}

/* The clock of the program at the time of a line of a log. */
static uint64_t ms_of_line(const char *line) {
    uint64_t now_ms = clock_ms(), wall_ms;
    struct timespec wall;
    struct tm tm = {0};
    const char *rest = strptime(line, "%Y-%m-%dT%H:%M:%S.", &tm);

    clock_gettime(CLOCK_REALTIME, &wall);
    wall_ms = (uint64_t)wall.tv_sec * 1000 + (uint64_t)wall.tv_nsec / 1000000;
    return now_ms - (wall_ms - (uint64_t)timegm(&tm) * 1000 - strtoull(rest ? rest : "", NULL, 10));
}

/* On a busy machine a broker may be too late to prolong the lease of a shard, also without a
 * fault. */
static void explain_lost_shards(Chaos *chaos) {
    char line[300];

    for (unsigned i = 0; i < BROKERS; i++) {
        FILE *file = fopen(chaos->brokers[i].log, "re");

        while (file && fgets(line, sizeof(line), file))
            if (strstr(line, "a shard has left this broker")) {
                uint64_t at_ms = ms_of_line(line);
                size_t number = ledger_fault(&chaos->ledger, at_ms - LEASE_MS);

                chaos->ledger.faults[number].until_ms = at_ms;
                chaos->n_lost_shards++;
            }
        if (file)
            fclose(file);
    }
}

static void report(Chaos *chaos, size_t n_tokens, size_t n_wrong) {
    printf("\n    seed %" PRIu64
           ": %u shards, %zu faults; %zu leases, two owners at once: %zu by the brokers' "
           "logs, %zu by %zu calls in the logs of Redis; brokers that lost a lease and ended: "
           "%zu, shards that were lost: %zu\n    until a push is confirmed:\n",
           chaos->dice.seed, chaos->n_shards, chaos->n_faults, n_tokens, n_wrong,
           chaos->aof.n_wrong, chaos->aof.n_calls, chaos->n_ended_itself, chaos->n_lost_shards);
    for (int i = 0; i < N_CLASSES; i++)
        printf("    %-22s %4zu times: p50 %6.0f ms, p99 %6.0f ms\n", class_names[i],
               chaos->n_recoveries[i], share_of(chaos->recovery_ms[i], chaos->n_recoveries[i], 0.5),
               share_of(chaos->recovery_ms[i], chaos->n_recoveries[i], 0.99));
}

/* A queue of each shard, for the probe. */
static void name_probes(Chaos *chaos) {
    char name[sizeof(chaos->probes[0])];
    unsigned n_found = 0;

    for (unsigned i = 0; n_found < SHARDS; i++) {
        int len = snprintf(name, sizeof(name), "probe.%u", i);
        unsigned k = (unsigned)(XXH3_64bits(name, (size_t)len) % SHARDS);

        if (*chaos->probes[k])
            continue;
        memcpy(chaos->probes[k], name, sizeof(name));
        n_found++;
    }
}

static void begin_chaos(Chaos *chaos, size_t n_faults) {
    chaos->n_shards = getenv("FERRY_TEST_PAIR") ? 0 : SHARDS;
    name_probes(chaos);
    redis_start_replicated_cluster(chaos->servers, MASTERS, redis_words);
    start_brokers(chaos);
    ledger_open(&chaos->ledger, chaos->brokers[0].folder, chaos->dice.seed);
    for (int i = 0; i < N_CLASSES; i++)
        chaos->recovery_ms[i] = calloc(n_faults + 1, sizeof(double));
    chaos->probe = open_with(chaos->urls, NULL);
    for (unsigned i = 0; i < WORKERS; i++)
        ledger_start_worker(&chaos->ledger, &chaos->workers[i], chaos->urls);
    for (unsigned i = 0; i < LEDGER_PUSHERS; i++)
        ledger_start_pusher(&chaos->ledger, &chaos->pushers[i], chaos->urls, i);
    ledger_start_publisher(&chaos->ledger, &chaos->publisher, chaos->urls, chaos->probe);
    ledger_add_schedules(&chaos->ledger, chaos->probe);
}

static void end_chaos(Chaos *chaos) {
    ferry_close(chaos->probe);
    for (unsigned i = 0; i < WORKERS; i++)
        process_end(&chaos->workers[i], SIGKILL, PATIENCE_MS);
    ledger_close(&chaos->ledger);
    for (unsigned i = 0; i < BROKERS; i++)
        daemon_end(&chaos->brokers[i]);
    for (unsigned i = 0; i < SERVERS; i++)
        redis_stop(&chaos->servers[i]);
    for (int i = 0; i < N_CLASSES; i++)
        free(chaos->recovery_ms[i]);
}

static void nothing_confirmed_is_lost_by_faults_of_brokers_and_redis(void) {
    size_t n_faults = said_or("FERRY_TEST_FAULTS", 3), n_tokens, n_wrong, n_older = 0;
    Chaos chaos = {.dice = dice_new(clock_us())};
    LedgerVerdict verdict;

    begin_chaos(&chaos, n_faults);
    while (chaos.n_faults < n_faults) {
        bool well = fault_once(&chaos);

        CU_ASSERT_TRUE(well);
        if (!well)
            break;
    }
    settle(&chaos);
    for (unsigned i = 0; i < LEDGER_PUSHERS; i++)
        ledger_end_pusher(&chaos.pushers[i]);
    ledger_end_pusher(&chaos.publisher);
    ledger_end_schedules(&chaos.ledger);
    explain_lost_shards(&chaos);
    verdict = ledger_judge(&chaos.ledger);
    for (unsigned i = 0; i < SERVERS; i++) {
        redis_kill(&chaos.servers[i]);
        aof_check(chaos.servers[i].folder, NAME, chaos.n_shards, &chaos.aof);
    }
    for (unsigned i = 0; i < BROKERS; i++)
        n_older += daemon_log_lines(&chaos.brokers[i], "Redis has lost changes");
    n_wrong = count_wrong_tokens(&chaos, &n_tokens);
    report(&chaos, n_tokens, n_wrong);
    ledger_expect_all_well(&verdict);
    CU_ASSERT(chaos.aof.n_leases > 0 && chaos.aof.n_calls > 0);
    CU_ASSERT_EQUAL(chaos.aof.n_wrong, 0);
    CU_ASSERT(n_tokens > 0);
    CU_ASSERT_EQUAL(n_wrong, 0);
    CU_ASSERT_EQUAL(n_older, 0);
    CU_ASSERT(chaos.n_shards == 0 || chaos.n_ended_itself == 0);
    end_chaos(&chaos);
}

int main(int argc, char **argv) {
    CU_TestInfo tests[] = {
        TEST(nothing_confirmed_is_lost_by_faults_of_brokers_and_redis),
        TESTS_END,
    };

    roles_play(argc, argv, ledger_roles);
    if (!redis_available())
        return EXIT_SKIPPED;
    return run_suite("faults: brokers and a Redis Cluster, killed and stopped", tests);
}

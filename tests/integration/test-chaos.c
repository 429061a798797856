/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A broker on disk that is killed again and again, under load. Publishers and workers are
 * processes; they log pushes, confirmations and deliveries in files outside the data folder. At the
 * end the files are compared:
 *
 *     lost       confirmed, and never delivered                             must be 0
 *     phantom    delivered, and never sent                                  must be 0
 *     corrupt    delivered with another body                                must be 0
 *     reused     a job number that two different jobs had                   must be 0
 *     unexplained  delivered again, without a kill since just before the last time  must be 0
 *
 * FERRY_TEST_KILLS is the number of kills, TEST_SEED chooses their moments.
 */

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include <ferry/ferry.h>

#include "base/clock.h"
#include "base/id-map.h"
#include "support/faults.h"
#include "support/process.h"
#include "support/random.h"
#include "support/suite.h"

enum {
    PUSHERS = 2,
    WORKERS = 2,
    IN_FLIGHT = 32,
    BODY_MAX = 3000,
    FORWARD_EACH = 8, /* every eighth job is forwarded to a second queue */
    WORKER_KILL_EACH = 5,
    AROUND_MS = 2000, /* a delivery may wait so long in a client: a kill at most this long before it
                       * explains it */
    PATH_LEN = 200,
};

/* ---- roles ---- */

static volatile sig_atomic_t stopping;

static void on_term(int signal) {
    (void)signal;
    stopping = 1;
}

static int open_log(const char *path) {
    return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* A line is one write(): it is in the file even if the process is killed. */
static void note(int log, const char *format, ...) {
    char line[200];
    va_list args;
    ssize_t n;

    va_start(args, format);
    n = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    n = write(log, line, (size_t)n);
    (void)n;
}

typedef struct Pusher {
    int log;
    int n_open, n_confirmed;
} Pusher;

typedef struct Sent {
    Pusher *pusher;
    uint32_t n;
} Sent;

static void on_stored(const ferry_error *error, void *ctx) {
    Sent *sent = ctx;

    sent->pusher->n_open--;
    note(sent->pusher->log, "%s %u\n", error ? "error" : "confirmed", sent->n);
    sent->pusher->n_confirmed += error == NULL;
    free(sent);
}

/* Makes a body "P.N HASH LETTERS", with the hash of the letters. */
static size_t make_body(char *to, unsigned pusher, uint32_t n, Dice *dice) {
    size_t len = (size_t)dice_below(dice, BODY_MAX);
    char letters[BODY_MAX];

    for (size_t i = 0; i < len; i++)
        letters[i] = (char)('a' + dice_below(dice, 26));
    return (size_t)sprintf(to, "%u.%u %016" PRIx64 " %.*s", pusher, n,
                           (uint64_t)XXH3_64bits(letters, len), (int)len, letters);
}

static int play_push(int argc, char **argv) {
    unsigned index = (unsigned)atoi(argv[2]);
    Dice dice = dice_of(strtoull(argv[3], NULL, 10) + index);
    Pusher pusher = {.log = open_log(argv[1])};
    ferry_client *client = open_with(argv[0], NULL);
    char body[BODY_MAX + 100];

    (void)argc;
    signal(SIGTERM, on_term);
    tell("ready 0");
    for (uint32_t n = 1; !stopping;) {
        Sent *sent = malloc(sizeof(*sent));
        size_t len = make_body(body, index, n, &dice);

        *sent = (Sent){&pusher, n};
        note(pusher.log, "sent %u\n", n);
        if (ferry_push_async(client, "first", (ferry_bytes){body, len, NULL}, NULL, on_stored, sent,
                             NULL) < 0) {
            free(sent);
            turn_for(client, 10);
            continue;
        }
        n++;
        pusher.n_open++;
        while (pusher.n_open >= IN_FLIGHT && !stopping)
            turn_for(client, 1);
    }
    for (uint64_t until = clock_ms() + PATIENCE_MS; pusher.n_open > 0 && clock_ms() < until;)
        turn_for(client, 10);
    tell("confirmed %d", pusher.n_confirmed);
    ferry_close(client);
    return 0;
}

static bool body_is_right(const char *body, size_t len, unsigned *ret_pusher, unsigned *ret_n) {
    uint64_t hash;
    int at = 0;

    if (sscanf(body, "%u.%u %16" SCNx64 " %n", ret_pusher, ret_n, &hash, &at) < 3 || at == 0)
        return false;
    return (size_t)at <= len && XXH3_64bits(body + at, len - (size_t)at) == hash;
}

static int on_job(ferry_job *job, void *ctx) {
    const int *log = ctx;
    char body[BODY_MAX + 101];
    size_t len = job->body.len < sizeof(body) ? job->body.len : sizeof(body) - 1;
    unsigned pusher, n;

    memcpy(body, job->body.data, len);
    body[len] = '\0';
    if (!body_is_right(body, len, &pusher, &n)) {
        note(*log, "corrupt %s\n", job->id);
        return 0;
    }
    note(*log, "%s %u %u %s %u %" PRIu64 "\n", job->queue, pusher, n, job->id, job->attempt,
         clock_ms());
    if (strcmp(job->queue, "first") == 0 && n % FORWARD_EACH == 0)
        return ferry_job_forward(job, "second", job->body, NULL);
    return 0;
}

static int play_work(int argc, char **argv) {
    int log = open_log(argv[1]);
    ferry_client *client = open_with(argv[0], NULL);
    ferry_work_options options = {.slots = 20};

    (void)argc;
    ferry_work(client, "first", &options, on_job, &log, NULL, NULL);
    ferry_work(client, "second", &options, on_job, &log, NULL, NULL);
    tell("ready 0");
    signal(SIGTERM, on_term);
    while (!stopping)
        turn_for(client, 100);
    ferry_close(client);
    return 0;
}

static const Role roles[] = {{"push", play_push}, {"work", play_work}, {NULL, NULL}};

/* ---- the files, compared ---- */

typedef struct Fate {
    bool sent, confirmed;
    uint32_t deliveries[2];
    uint64_t last_ms[2];
} Fate;

typedef struct Verdict {
    size_t n_sent, n_confirmed, n_delivered, n_lost, n_phantom, n_corrupt, n_reused, n_twice,
        n_unexplained, n_uncounted, n_recovered;
} Verdict;

typedef struct Chaos {
    Dice dice;
    Daemon broker;
    char folder[PATH_LEN];
    Process pushers[PUSHERS], workers[WORKERS];
    unsigned n_workers; /* workers started so far */
    uint64_t *kills_ms;
    size_t n_kills;
    double *recovery_ms;
    Fate *fates[PUSHERS];
    size_t n_fates[PUSHERS];
    IdMap numbers; /* from a job's number to its fate */
} Chaos;

static Fate *fate_of(Chaos *chaos, unsigned pusher, uint32_t n) {
    if (pusher >= PUSHERS || n > 100000000)
        return NULL;
    if (n >= chaos->n_fates[pusher]) {
        size_t n_new = n * 2 + 1024;

        chaos->fates[pusher] = realloc(chaos->fates[pusher], n_new * sizeof(Fate));
        memset(chaos->fates[pusher] + chaos->n_fates[pusher], 0,
               (n_new - chaos->n_fates[pusher]) * sizeof(Fate));
        chaos->n_fates[pusher] = n_new;
    }
    return &chaos->fates[pusher][n];
}

static bool is_explained(const Chaos *chaos, uint64_t before_ms, uint64_t now_ms) {
    for (size_t i = 0; i < chaos->n_kills; i++)
        if (chaos->kills_ms[i] + AROUND_MS >= before_ms && chaos->kills_ms[i] <= now_ms)
            return true;
    return false;
}

/* Checks that the key of a job in `numbers` is always the same: the two queues have different
 * jobs. */
static void check_number(Chaos *chaos, Verdict *verdict, uint64_t job, uintptr_t key) {
    void *known = id_map_get(&chaos->numbers, job);

    if (!known)
        id_map_put(&chaos->numbers, job, (void *)key);
    else
        verdict->n_reused += known != (void *)key;
}

static void delivered(Chaos *chaos, Verdict *verdict, int queue, unsigned pusher, unsigned n,
                      uint64_t job, unsigned attempt, uint64_t at_ms) {
    Fate *fate = fate_of(chaos, pusher, n);

    if (!fate || !fate->sent) {
        verdict->n_phantom++;
        return;
    }
    check_number(chaos, verdict, job,
                 ((uintptr_t)n << 8 | (uintptr_t)pusher << 1 | (uintptr_t)queue) + 1);
    verdict->n_delivered++;
    if (fate->deliveries[queue]++ > 0) {
        uint64_t from = fate->last_ms[queue] < at_ms ? fate->last_ms[queue] : at_ms;
        uint64_t to = fate->last_ms[queue] < at_ms ? at_ms : fate->last_ms[queue];

        verdict->n_twice++;
        verdict->n_uncounted += attempt < 2;
        verdict->n_unexplained += !is_explained(chaos, from, to);
    }
    fate->last_ms[queue] = at_ms;
}

/* Reads all files whose names begin with this prefix. */
static void read_files(Chaos *chaos, Verdict *verdict, const char *prefix) {
    DIR *dir = opendir(chaos->folder);
    struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        char path[PATH_LEN + 300], line[200], word[20];
        unsigned pusher, n, attempt;
        uint64_t job, at_ms;
        Fate *fate;
        FILE *from;

        if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
            continue;
        snprintf(path, sizeof(path), "%s/%s", chaos->folder, entry->d_name);
        from = fopen(path, "r");
        while (from && fgets(line, sizeof(line), from)) {
            if (sscanf(line, "%19s %u %u %" SCNu64 " %u %" SCNu64, word, &pusher, &n, &job,
                       &attempt, &at_ms) == 6) {
                delivered(chaos, verdict, strcmp(word, "second") == 0, pusher, n, job, attempt,
                          at_ms);
            } else if (sscanf(line, "%19s %u", word, &n) == 2 && strcmp(word, "corrupt") != 0) {
                fate = fate_of(chaos, (unsigned)(entry->d_name[5] - '0'), n);
                fate->sent = true;
                fate->confirmed |= strcmp(word, "confirmed") == 0;
            } else {
                verdict->n_corrupt++;
            }
        }
        if (from)
            fclose(from);
    }
    if (dir)
        closedir(dir);
}

static Verdict judge(Chaos *chaos) {
    Verdict verdict = {0};

    id_map_deinit(&chaos->numbers);
    chaos->numbers = (IdMap){0};
    for (unsigned p = 0; p < PUSHERS; p++)
        if (chaos->fates[p])
            memset(chaos->fates[p], 0, chaos->n_fates[p] * sizeof(Fate));
    read_files(chaos, &verdict, "push-");
    read_files(chaos, &verdict, "work-");
    for (unsigned p = 0; p < PUSHERS; p++)
        for (size_t n = 1; n < chaos->n_fates[p]; n++) {
            const Fate *fate = &chaos->fates[p][n];
            bool whole =
                fate->deliveries[0] > 0 && (n % FORWARD_EACH != 0 || fate->deliveries[1] > 0);

            verdict.n_sent += fate->sent;
            verdict.n_confirmed += fate->confirmed;
            verdict.n_lost += fate->confirmed && !whole;
            verdict.n_recovered += fate->sent && !fate->confirmed && fate->deliveries[0] > 0;
        }
    return verdict;
}

/* ---- the run ---- */

static void start_worker(Chaos *chaos, unsigned i) {
    char path[PATH_LEN + 40];

    snprintf(path, sizeof(path), "%s/work-%u", chaos->folder, chaos->n_workers++);
    role_start(&chaos->workers[i], "work", chaos->broker.url, path, NULL);
    CU_ASSERT_TRUE(told_count(&chaos->workers[i], "ready", 0, PATIENCE_MS, NULL));
}

static void start_pusher(Chaos *chaos, unsigned i) {
    char path[PATH_LEN + 40], index[20], seed[40];

    snprintf(path, sizeof(path), "%s/push-%u", chaos->folder, i);
    snprintf(index, sizeof(index), "%u", i);
    snprintf(seed, sizeof(seed), "%" PRIu64, chaos->dice.seed);
    role_start(&chaos->pushers[i], "push", chaos->broker.url, path, index, seed, NULL);
    CU_ASSERT_TRUE(told_count(&chaos->pushers[i], "ready", 0, PATIENCE_MS, NULL));
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static double share_of(double *values, size_t n, double share) {
    qsort(values, n, sizeof(*values), by_size);
    return values[(size_t)(share * (double)(n - 1))];
}

/* Starts the broker. Returns the time until it has confirmed a push. */
static double restart(Chaos *chaos) {
    uint64_t began_us = clock_us();
    ferry_client *client;

    daemon_restart(&chaos->broker);
    client = open_with(chaos->broker.url, NULL);
    CU_ASSERT_EQUAL(ferry_push(client, "probe", ferry_str("x"), NULL, NULL), 0);
    ferry_close(client);
    return (double)(clock_us() - began_us) / 1000;
}

static void kill_once(Chaos *chaos) {
    unsigned i = (unsigned)(chaos->n_kills % WORKERS);
    bool worker_too = chaos->n_kills % WORKER_KILL_EACH == WORKER_KILL_EACH - 1;

    sleep_ms(50 + dice_below(&chaos->dice, 300));
    daemon_kill(&chaos->broker);
    chaos->kills_ms[chaos->n_kills] = clock_ms();
    if (worker_too)
        process_end(&chaos->workers[i], SIGKILL, PATIENCE_MS);
    chaos->recovery_ms[chaos->n_kills++] = restart(chaos);
    if (worker_too)
        start_worker(chaos, i);
}

static void nothing_confirmed_is_lost_by_a_killed_broker(void) {
    size_t n_kills = said_or("FERRY_TEST_KILLS", 5);
    Chaos chaos = {.dice = dice_new(clock_us())};
    Verdict verdict;

    chaos.kills_ms = calloc(n_kills, sizeof(*chaos.kills_ms));
    chaos.recovery_ms = calloc(n_kills, sizeof(*chaos.recovery_ms));
    daemon_start(&chaos.broker,
                 &(DaemonOptions){.data = true, .config = "[queue >]\nmax_attempts = 0\n"});
    snprintf(chaos.folder, sizeof(chaos.folder), "%s", chaos.broker.folder);
    for (unsigned i = 0; i < WORKERS; i++)
        start_worker(&chaos, i);
    for (unsigned i = 0; i < PUSHERS; i++)
        start_pusher(&chaos, i);
    while (chaos.n_kills < n_kills)
        kill_once(&chaos);
    for (unsigned i = 0; i < PUSHERS; i++) {
        process_signal(&chaos.pushers[i], SIGTERM);
        CU_ASSERT_TRUE(told_count(&chaos.pushers[i], "confirmed", 1, PATIENCE_MS, NULL));
        process_end(&chaos.pushers[i], 0, PATIENCE_MS);
    }
    verdict = judge(&chaos);
    for (uint64_t until = clock_ms() + PATIENCE_MS; verdict.n_lost > 0 && clock_ms() < until;) {
        sleep_ms(500);
        verdict = judge(&chaos);
    }
    printf("\n    seed %" PRIu64 ": %zu kills, %zu sent, %zu confirmed, %zu delivered: lost %zu, "
           "phantom %zu, corrupt %zu, numbers used again %zu\n"
           "    delivered again %zu (unexplained %zu, as a first attempt %zu), not confirmed but "
           "delivered %zu\n"
           "    recovery p50 %.0f ms, p99 %.0f ms\n  ",
           chaos.dice.seed, chaos.n_kills, verdict.n_sent, verdict.n_confirmed, verdict.n_delivered,
           verdict.n_lost, verdict.n_phantom, verdict.n_corrupt, verdict.n_reused, verdict.n_twice,
           verdict.n_unexplained, verdict.n_uncounted, verdict.n_recovered,
           share_of(chaos.recovery_ms, n_kills, 0.5), share_of(chaos.recovery_ms, n_kills, 0.99));
    CU_ASSERT(verdict.n_confirmed > 0);
    CU_ASSERT_EQUAL(verdict.n_lost, 0);
    CU_ASSERT_EQUAL(verdict.n_phantom, 0);
    CU_ASSERT_EQUAL(verdict.n_corrupt, 0);
    CU_ASSERT_EQUAL(verdict.n_reused, 0);
    CU_ASSERT_EQUAL(verdict.n_unexplained, 0);
    CU_ASSERT_EQUAL(daemon_log_lines(&chaos.broker, "damaged"), 0);
    for (unsigned i = 0; i < WORKERS; i++)
        process_end(&chaos.workers[i], SIGKILL, PATIENCE_MS);
    daemon_end(&chaos.broker);
    id_map_deinit(&chaos.numbers);
    for (unsigned i = 0; i < PUSHERS; i++)
        free(chaos.fates[i]);
    free(chaos.kills_ms);
    free(chaos.recovery_ms);
}

int main(int argc, char **argv) {
    CU_TestInfo tests[] = {
        TEST(nothing_confirmed_is_lost_by_a_killed_broker),
        TESTS_END,
    };

    roles_play(argc, argv, roles);
    return run_suite("faults: a broker on disk, killed", tests);
}

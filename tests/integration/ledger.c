/* SPDX-License-Identifier: Apache-2.0 */
/* The books of a test that kills brokers. See ledger.h. */

#include "integration/ledger.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include <ferry/ferry.h>

#include "base/clock.h"
#include "support/faults.h"
#include "support/random.h"
#include "support/suite.h"

enum { IN_FLIGHT = 32, PAUSE_MS = 20, PATH_LEN = 300, FATES_MAX = 100000000 };

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

static unsigned shard_of(const char *name) {
    return (unsigned)(XXH3_64bits(name, strlen(name)) % LEDGER_SHARDS);
}

/* The queue of push n. */
static const char *first_queue(uint32_t n) {
    static char name[20];

    snprintf(name, sizeof(name), "first.%u", n % LEDGER_QUEUES);
    return name;
}

/* The queue that it is forwarded to. */
static const char *second_queue(uint32_t n) {
    unsigned shard = shard_of(first_queue(n));
    static char name[30];

    for (unsigned i = 0; i == 0 || shard_of(name) != shard; i++)
        snprintf(name, sizeof(name), "second.%u.%u", n % LEDGER_QUEUES, i);
    return name;
}

typedef struct Pusher {
    int log;
    int n_open, n_confirmed;
    bool was_refused; /* lately: the pusher pauses */
} Pusher;

typedef struct Sent {
    Pusher *pusher;
    uint32_t n;
} Sent;

static void on_stored(const ferry_error *error, void *ctx) {
    Sent *sent = ctx;

    sent->pusher->n_open--;
    sent->pusher->was_refused |= error != NULL;
    note(sent->pusher->log, "%s %u\n",
         !error                    ? "confirmed"
         : !error->outcome_unknown ? "refused"
                                   : "error",
         sent->n);
    sent->pusher->n_confirmed += error == NULL;
    free(sent);
}

/* Makes a body "P.N HASH LETTERS", with the hash of the letters. */
static size_t make_body(char *to, unsigned pusher, uint32_t n, Dice *dice) {
    size_t len = (size_t)dice_below(dice, LEDGER_BODY_MAX);
    char letters[LEDGER_BODY_MAX];

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
    char body[LEDGER_BODY_MAX + 100];

    (void)argc;
    signal(SIGTERM, on_term);
    tell("ready 0");
    for (uint32_t n = 1; !stopping;) {
        Sent *sent = malloc(sizeof(*sent));
        size_t len = make_body(body, index, n, &dice);

        *sent = (Sent){&pusher, n};
        note(pusher.log, "sent %u\n", n);
        if (ferry_push_async(client, first_queue(n), (ferry_bytes){body, len, NULL}, NULL,
                             on_stored, sent, NULL) < 0) {
            free(sent);
            turn_for(client, 10);
            continue;
        }
        n++;
        pusher.n_open++;
        if (pusher.was_refused)
            turn_for(client, PAUSE_MS);
        pusher.was_refused = false;
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
    char body[LEDGER_BODY_MAX + 101];
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
    if (strncmp(job->queue, "first", 5) == 0 && n % LEDGER_FORWARD_EACH == 0)
        return ferry_job_forward(job, second_queue(n), job->body, NULL);
    return 0;
}

static int play_work(int argc, char **argv) {
    int log = open_log(argv[1]);
    ferry_client *client = open_with(argv[0], NULL);
    ferry_work_options options = {.slots = 20};

    (void)argc;
    for (unsigned i = 0; i < LEDGER_QUEUES; i++) {
        ferry_work(client, first_queue(i), &options, on_job, &log, NULL, NULL);
        ferry_work(client, second_queue(i), &options, on_job, &log, NULL, NULL);
    }
    tell("ready 0");
    signal(SIGTERM, on_term);
    while (!stopping)
        turn_for(client, 100);
    ferry_close(client);
    return 0;
}

const Role ledger_roles[] = {{"push", play_push}, {"work", play_work}, {NULL, NULL}};

static void start(Process *process, const char *role, const char *url, const char *path,
                  unsigned index, uint64_t seed) {
    char number[20], chosen[40];

    snprintf(number, sizeof(number), "%u", index);
    snprintf(chosen, sizeof(chosen), "%" PRIu64, seed);
    role_start(process, role, url, path, number, chosen, NULL);
    CU_ASSERT_TRUE(told_count(process, "ready", 0, PATIENCE_MS, NULL));
}

void ledger_start_pusher(Ledger *ledger, Process *process, const char *url, unsigned index) {
    char path[PATH_LEN];

    snprintf(path, sizeof(path), "%s/push-%u", ledger->folder, index);
    start(process, "push", url, path, index, ledger->seed);
}

void ledger_start_worker(Ledger *ledger, Process *process, const char *url) {
    char path[PATH_LEN];

    snprintf(path, sizeof(path), "%s/work-%u", ledger->folder, ledger->n_workers);
    start(process, "work", url, path, ledger->n_workers++, ledger->seed);
}

void ledger_end_pusher(Process *process) {
    process_signal(process, SIGTERM);
    CU_ASSERT_TRUE(told_count(process, "confirmed", 1, PATIENCE_MS, NULL));
    process_end(process, 0, PATIENCE_MS);
}

/* ---- the books ---- */

struct LedgerFate {
    bool sent, confirmed, refused;
    uint32_t deliveries[2]; /* of each of the two queues */
    uint64_t last_ms[2], jobs[2];
};

void ledger_open(Ledger *ledger, const char *folder, uint64_t seed) {
    *ledger = (Ledger){.seed = seed};
    snprintf(ledger->folder, sizeof(ledger->folder), "%s", folder);
}

void ledger_close(Ledger *ledger) {
    id_map_deinit(&ledger->numbers);
    for (unsigned i = 0; i < LEDGER_PUSHERS; i++)
        free(ledger->fates[i]);
    free(ledger->faults);
}

size_t ledger_fault(Ledger *ledger, uint64_t from_ms) {
    ledger->faults = realloc(ledger->faults, (ledger->n_faults + 1) * sizeof(*ledger->faults));
    ledger->faults[ledger->n_faults] = (LedgerFault){from_ms, clock_ms()};
    return ledger->n_faults++;
}

void ledger_fault_ended(Ledger *ledger, size_t number) {
    ledger->faults[number].until_ms = clock_ms();
}

static LedgerFate *fate_of(Ledger *ledger, unsigned pusher, uint32_t n) {
    if (pusher >= LEDGER_PUSHERS || n > FATES_MAX)
        return NULL;
    if (n >= ledger->n_fates[pusher]) {
        size_t n_new = n * 2 + 1024;

        ledger->fates[pusher] = realloc(ledger->fates[pusher], n_new * sizeof(LedgerFate));
        memset(ledger->fates[pusher] + ledger->n_fates[pusher], 0,
               (n_new - ledger->n_fates[pusher]) * sizeof(LedgerFate));
        ledger->n_fates[pusher] = n_new;
    }
    return &ledger->fates[pusher][n];
}

static bool is_explained(const Ledger *ledger, uint64_t before_ms, uint64_t now_ms) {
    for (size_t i = 0; i < ledger->n_faults; i++)
        if (ledger->faults[i].until_ms + LEDGER_AROUND_MS >= before_ms &&
            ledger->faults[i].from_ms <= now_ms)
            return true;
    return false;
}

/* Checks that the key of a job in `numbers` is always the same: the two queues have different
 * jobs. */
static void check_number(Ledger *ledger, LedgerVerdict *verdict, uint64_t job, uintptr_t key) {
    void *known = id_map_get(&ledger->numbers, job);

    if (!known)
        id_map_put(&ledger->numbers, job, (void *)key);
    else
        verdict->n_reused += known != (void *)key;
}

static void delivered(Ledger *ledger, LedgerVerdict *verdict, int queue, unsigned pusher,
                      unsigned n, uint64_t job, unsigned attempt, uint64_t at_ms) {
    LedgerFate *fate = fate_of(ledger, pusher, n);

    if (!fate || !fate->sent || fate->refused) {
        verdict->n_phantom++;
        return;
    }
    check_number(ledger, verdict, job,
                 ((uintptr_t)n << 8 | (uintptr_t)pusher << 1 | (uintptr_t)queue) + 1);
    verdict->n_doubled += fate->jobs[queue] != 0 && fate->jobs[queue] != job;
    fate->jobs[queue] = job;
    verdict->n_delivered++;
    if (fate->deliveries[queue]++ > 0) {
        uint64_t from = fate->last_ms[queue] < at_ms ? fate->last_ms[queue] : at_ms;
        uint64_t to = fate->last_ms[queue] < at_ms ? at_ms : fate->last_ms[queue];

        verdict->n_twice++;
        verdict->n_uncounted += attempt < 2;
        verdict->n_unexplained += !is_explained(ledger, from, to);
    }
    fate->last_ms[queue] = at_ms;
}

/* Reads all files whose names begin with this prefix. */
static void read_files(Ledger *ledger, LedgerVerdict *verdict, const char *prefix) {
    DIR *dir = opendir(ledger->folder);
    struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        char path[PATH_LEN + 300], line[200], word[20];
        unsigned pusher, n, attempt;
        uint64_t job, at_ms;
        LedgerFate *fate;
        FILE *from;

        if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
            continue;
        snprintf(path, sizeof(path), "%s/%s", ledger->folder, entry->d_name);
        from = fopen(path, "r");
        while (from && fgets(line, sizeof(line), from)) {
            if (sscanf(line, "%19s %u %u %" SCNu64 " %u %" SCNu64, word, &pusher, &n, &job,
                       &attempt, &at_ms) == 6) {
                delivered(ledger, verdict, strncmp(word, "second", 6) == 0, pusher, n, job, attempt,
                          at_ms);
            } else if (sscanf(line, "%19s %u", word, &n) == 2 && strcmp(word, "corrupt") != 0) {
                fate = fate_of(ledger, (unsigned)(entry->d_name[5] - '0'), n);
                fate->sent = true;
                fate->confirmed |= strcmp(word, "confirmed") == 0;
                fate->refused |= strcmp(word, "refused") == 0;
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

static LedgerVerdict judge(Ledger *ledger) {
    LedgerVerdict verdict = {0};

    id_map_deinit(&ledger->numbers);
    ledger->numbers = (IdMap){0};
    for (unsigned p = 0; p < LEDGER_PUSHERS; p++)
        if (ledger->fates[p])
            memset(ledger->fates[p], 0, ledger->n_fates[p] * sizeof(LedgerFate));
    read_files(ledger, &verdict, "push-");
    read_files(ledger, &verdict, "work-");
    for (unsigned p = 0; p < LEDGER_PUSHERS; p++)
        for (size_t n = 1; n < ledger->n_fates[p]; n++) {
            const LedgerFate *fate = &ledger->fates[p][n];
            bool whole = fate->deliveries[0] > 0 &&
                         (n % LEDGER_FORWARD_EACH != 0 || fate->deliveries[1] > 0);

            verdict.n_sent += fate->sent;
            verdict.n_confirmed += fate->confirmed;
            verdict.n_lost += fate->confirmed && !whole;
            verdict.n_recovered += fate->sent && !fate->confirmed && fate->deliveries[0] > 0;
        }
    return verdict;
}

LedgerVerdict ledger_judge(Ledger *ledger) {
    LedgerVerdict verdict = judge(ledger);

    for (uint64_t until = clock_ms() + PATIENCE_MS; verdict.n_lost > 0 && clock_ms() < until;) {
        sleep_ms(500);
        verdict = judge(ledger);
    }
    return verdict;
}

void ledger_expect_all_well(const LedgerVerdict *verdict) {
    printf(
        "    %zu sent, %zu confirmed, %zu delivered: lost %zu, phantom %zu, corrupt %zu, numbers "
        "used again %zu, stored twice %zu\n"
        "    delivered again %zu (unexplained %zu, as a first attempt %zu), not confirmed but "
        "delivered %zu\n",
        verdict->n_sent, verdict->n_confirmed, verdict->n_delivered, verdict->n_lost,
        verdict->n_phantom, verdict->n_corrupt, verdict->n_reused, verdict->n_doubled,
        verdict->n_twice, verdict->n_unexplained, verdict->n_uncounted, verdict->n_recovered);
    CU_ASSERT(verdict->n_confirmed > 0);
    CU_ASSERT_EQUAL(verdict->n_lost, 0);
    CU_ASSERT_EQUAL(verdict->n_phantom, 0);
    CU_ASSERT_EQUAL(verdict->n_corrupt, 0);
    CU_ASSERT_EQUAL(verdict->n_reused, 0);
    CU_ASSERT_EQUAL(verdict->n_doubled, 0);
    CU_ASSERT_EQUAL(verdict->n_unexplained, 0);
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

double share_of(double *values, size_t n, double share) {
    if (n == 0)
        return 0;
    qsort(values, n, sizeof(*values), by_size);
    return values[(size_t)(share * (double)(n - 1))];
}

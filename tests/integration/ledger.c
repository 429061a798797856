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
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/clock.h"
#include "support/faults.h"
#include "support/random.h"
#include "support/suite.h"

enum {
    IN_FLIGHT = 32,
    MESSAGES_IN_FLIGHT = 4,
    PAUSE_MS = 20,
    EXAMPLES = 5,   /* of jobs that are stored twice, to print */
    AGAIN_MS = 200, /* until a bind or a schedule is tried again */
    PATH_LEN = 300,
    FATES_MAX = 100000000,
    QUEUES_MAX = LEDGER_BOUND > 2 ? LEDGER_BOUND : 2, /* of one push or message */
    PUBLISHER = LEDGER_PUSHERS,                       /* the author */
};

#define TOPIC "ledger.news"

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

/* The queue of a schedule, or one that is bound. */
static const char *numbered_queue(const char *kind, unsigned i) {
    static char name[20];

    snprintf(name, sizeof(name), "%s.%u", kind, i);
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

/* Sends push or message n. */
static int send_one(ferry_client *client, unsigned author, Sent *sent, ferry_bytes body) {
    const ferry_publish_options confirmed = {.fn = on_stored, .ctx = sent};

    if (author == PUBLISHER)
        return ferry_publish(client, TOPIC, body, &confirmed, NULL);
    return ferry_push_async(client, first_queue(sent->n), body, NULL, on_stored, sent, NULL);
}

static int play_push(int argc, char **argv) {
    unsigned index = (unsigned)atoi(argv[2]);
    int in_flight = index == PUBLISHER ? MESSAGES_IN_FLIGHT : IN_FLIGHT;
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
        if (send_one(client, index, sent, (ferry_bytes){body, len, NULL}) < 0) {
            free(sent);
            turn_for(client, 10);
            continue;
        }
        n++;
        pusher.n_open++;
        if (pusher.was_refused)
            turn_for(client, PAUSE_MS);
        pusher.was_refused = false;
        while (pusher.n_open >= in_flight && !stopping)
            turn_for(client, 1);
    }
    for (uint64_t until = clock_ms() + PATIENCE_MS; pusher.n_open > 0 && clock_ms() < until;)
        turn_for(client, 10);
    tell("confirmed %d", pusher.n_confirmed);
    ferry_close(client);
    return 0;
}

/* The job of a schedule: its body is "I BASE", and its header has the moment. */
static bool moment_of(const ferry_job *job, const char *body, unsigned *ret_author,
                      unsigned *ret_n) {
    const char *text = ferry_job_header(job, "ferry-moment");
    struct tm moment = {0};
    long long base_s;
    unsigned i;

    if (!text || !strptime(text, "%Y-%m-%dT%H:%M:%SZ", &moment) ||
        sscanf(body, "%u %lld", &i, &base_s) != 2)
        return false;
    *ret_author = PUBLISHER + 1 + i;
    *ret_n = (unsigned)(timegm(&moment) - base_s);
    return true;
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
    if (!moment_of(job, body, &pusher, &n) && !body_is_right(body, len, &pusher, &n)) {
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
    for (unsigned i = 0; i < LEDGER_BOUND; i++)
        ferry_work(client, numbered_queue("bound", i), &options, on_job, &log, NULL, NULL);
    for (unsigned i = 0; i < LEDGER_SCHEDULES; i++)
        ferry_work(client, numbered_queue("each", i), &options, on_job, &log, NULL, NULL);
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

void ledger_start_publisher(Ledger *ledger, Process *process, const char *url,
                            ferry_client *client) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;

    for (unsigned i = 0; i < LEDGER_BOUND && clock_ms() < until_ms; i++)
        while (ferry_queue_bind(client, numbered_queue("bound", i), TOPIC, NULL) < 0 &&
               clock_ms() < until_ms)
            turn_for(client, AGAIN_MS);
    CU_ASSERT(clock_ms() < until_ms);
    ledger_start_pusher(ledger, process, url, PUBLISHER);
}

static uint32_t moment_now(const Ledger *ledger) {
    return (uint32_t)(time(NULL) - ledger->base_s);
}

void ledger_add_schedules(Ledger *ledger, ferry_client *client) {
    const ferry_schedule_options options = {.every_ms = 1000, .missed = "all"};
    uint64_t until_ms = clock_ms() + PATIENCE_MS;
    char body[40];

    for (unsigned i = 0; i < LEDGER_SCHEDULES && clock_ms() < until_ms; i++) {
        const char *name = numbered_queue("each", i);

        snprintf(body, sizeof(body), "%u %" PRId64, i, ledger->base_s);
        while (ferry_schedule_add(client, name, name, ferry_str(body), &options, NULL) < 0 &&
               clock_ms() < until_ms)
            turn_for(client, AGAIN_MS);
        ledger->first_moment[i] = moment_now(ledger) + 2;
    }
    CU_ASSERT(clock_ms() < until_ms);
}

void ledger_end_schedules(Ledger *ledger) {
    ledger->last_moment = moment_now(ledger);
}

void ledger_end_pusher(Process *process) {
    process_signal(process, SIGTERM);
    CU_ASSERT_TRUE(told_count(process, "confirmed", 1, PATIENCE_MS, NULL));
    process_end(process, 0, PATIENCE_MS);
}

/* ---- the books ---- */

struct LedgerFate {
    bool sent, confirmed, refused;
    uint32_t deliveries[QUEUES_MAX]; /* of each of its queues */
    uint64_t last_ms[QUEUES_MAX], jobs[QUEUES_MAX];
};

static LedgerKind kind_of(unsigned author) {
    return author < PUBLISHER    ? LEDGER_PUSHED
           : author == PUBLISHER ? LEDGER_PUBLISHED
                                 : LEDGER_SCHEDULED;
}

void ledger_open(Ledger *ledger, const char *folder, uint64_t seed) {
    *ledger = (Ledger){.seed = seed, .base_s = time(NULL)};
    snprintf(ledger->folder, sizeof(ledger->folder), "%s", folder);
}

void ledger_close(Ledger *ledger) {
    id_map_deinit(&ledger->numbers);
    for (unsigned i = 0; i < LEDGER_AUTHORS; i++)
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

static LedgerFate *fate_of(Ledger *ledger, unsigned author, uint32_t n) {
    if (author >= LEDGER_AUTHORS || n > FATES_MAX)
        return NULL;
    if (n >= ledger->n_fates[author]) {
        size_t n_new = n * 2 + 1024;

        ledger->fates[author] = realloc(ledger->fates[author], n_new * sizeof(LedgerFate));
        memset(ledger->fates[author] + ledger->n_fates[author], 0,
               (n_new - ledger->n_fates[author]) * sizeof(LedgerFate));
        ledger->n_fates[author] = n_new;
    }
    return &ledger->fates[author][n];
}

static bool is_explained(const Ledger *ledger, uint64_t before_ms, uint64_t now_ms) {
    for (size_t i = 0; i < ledger->n_faults; i++)
        if (ledger->faults[i].until_ms + LEDGER_AROUND_MS >= before_ms &&
            ledger->faults[i].from_ms <= now_ms)
            return true;
    return false;
}

/* Checks that the key of a job in `numbers` is always the same: each queue has another job. */
static void check_number(Ledger *ledger, LedgerCounts *verdict, uint64_t job, uintptr_t key) {
    void *known = id_map_get(&ledger->numbers, job);

    if (!known)
        id_map_put(&ledger->numbers, job, (void *)key);
    else
        verdict->n_reused += known != (void *)key;
}

/* Its place in the fates of its pushes or messages. */
static unsigned index_of_queue(const char *name) {
    unsigned i = 0;

    if (strncmp(name, "second", 6) == 0)
        return 1;
    return sscanf(name, "bound.%u", &i) == 1 && i < LEDGER_BOUND ? i : 0;
}

static void delivered(Ledger *ledger, LedgerCounts *counts, unsigned queue, unsigned author,
                      unsigned n, uint64_t job, unsigned attempt, uint64_t at_ms) {
    LedgerFate *fate = fate_of(ledger, author, n);

    if (!fate || !fate->sent || fate->refused) {
        counts->n_phantom++;
        return;
    }
    check_number(ledger, counts, job,
                 ((uintptr_t)n << 8 | (uintptr_t)author << 4 | (uintptr_t)queue) + 1);
    if (fate->jobs[queue] != 0 && fate->jobs[queue] != job && counts->n_doubled++ < EXAMPLES)
        printf("    %s %u of author %u is stored twice: queue %u, job %" PRIu64
               " delivered at %" PRIu64 " and job %" PRIu64 " at %" PRIu64 "\n",
               kind_of(author) == LEDGER_PUSHED ? "push" : "message", n, author, queue,
               fate->jobs[queue], fate->last_ms[queue], job, at_ms);
    fate->jobs[queue] = job;
    counts->n_delivered++;
    if (fate->deliveries[queue]++ > 0) {
        uint64_t from = fate->last_ms[queue] < at_ms ? fate->last_ms[queue] : at_ms;
        uint64_t to = fate->last_ms[queue] < at_ms ? at_ms : fate->last_ms[queue];

        counts->n_twice++;
        counts->n_uncounted += attempt < 2;
        counts->n_unexplained += !is_explained(ledger, from, to);
    }
    fate->last_ms[queue] = at_ms;
}

/* writer: the author of the lines of a pusher or of the publisher. */
static void read_line(Ledger *ledger, LedgerVerdict *verdict, const char *line, unsigned writer) {
    unsigned author, n, attempt;
    uint64_t job, at_ms;
    LedgerFate *fate;
    char word[20];

    if (sscanf(line, "%19s %u %u %" SCNu64 " %u %" SCNu64, word, &author, &n, &job, &attempt,
               &at_ms) == 6) {
        delivered(ledger, &verdict->of[kind_of(author)], index_of_queue(word), author, n, job,
                  attempt, at_ms);
    } else if (sscanf(line, "%19s %u", word, &n) == 2 && strcmp(word, "corrupt") != 0) {
        fate = fate_of(ledger, writer, n);
        fate->sent = true;
        fate->confirmed |= strcmp(word, "confirmed") == 0;
        fate->refused |= strcmp(word, "refused") == 0;
    } else {
        verdict->of[LEDGER_PUSHED].n_corrupt++;
    }
}

/* Reads all files whose names begin with this prefix. */
static void read_files(Ledger *ledger, LedgerVerdict *verdict, const char *prefix) {
    DIR *dir = opendir(ledger->folder);
    struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        char path[PATH_LEN + 300], line[200];
        FILE *from;

        if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
            continue;
        snprintf(path, sizeof(path), "%s/%s", ledger->folder, entry->d_name);
        from = fopen(path, "r");
        while (from && fgets(line, sizeof(line), from))
            read_line(ledger, verdict, line, (unsigned)(entry->d_name[5] - '0'));
        if (from)
            fclose(from);
    }
    if (dir)
        closedir(dir);
}

/* Moments up to now count as sent, and moments between the first and the last one as confirmed. */
static void mark_moments(Ledger *ledger) {
    for (unsigned i = 0; i < LEDGER_SCHEDULES && ledger->first_moment[i] > 0; i++)
        for (uint32_t n = moment_now(ledger) + 1; n > 0; n--) {
            LedgerFate *fate = fate_of(ledger, PUBLISHER + 1 + i, n);

            fate->sent = true;
            fate->confirmed = n >= ledger->first_moment[i] && n <= ledger->last_moment;
        }
}

/* True: all its jobs were delivered. */
static bool is_whole(const LedgerFate *fate, LedgerKind kind, size_t n) {
    unsigned n_queues = kind == LEDGER_PUBLISHED                                ? LEDGER_BOUND
                        : kind == LEDGER_PUSHED && n % LEDGER_FORWARD_EACH == 0 ? 2
                                                                                : 1;

    for (unsigned i = 0; i < n_queues; i++)
        if (fate->deliveries[i] == 0)
            return false;
    return true;
}

static LedgerVerdict judge(Ledger *ledger) {
    LedgerVerdict verdict = {0};

    id_map_deinit(&ledger->numbers);
    ledger->numbers = (IdMap){0};
    for (unsigned i = 0; i < LEDGER_AUTHORS; i++)
        if (ledger->fates[i])
            memset(ledger->fates[i], 0, ledger->n_fates[i] * sizeof(LedgerFate));
    mark_moments(ledger);
    read_files(ledger, &verdict, "push-");
    read_files(ledger, &verdict, "work-");
    for (unsigned i = 0; i < LEDGER_AUTHORS; i++)
        for (size_t n = 1; n < ledger->n_fates[i]; n++) {
            LedgerCounts *counts = &verdict.of[kind_of(i)];
            const LedgerFate *fate = &ledger->fates[i][n];

            counts->n_sent += fate->sent;
            counts->n_confirmed += fate->confirmed;
            counts->n_lost += fate->confirmed && !is_whole(fate, kind_of(i), n);
            counts->n_recovered += fate->sent && !fate->confirmed && fate->deliveries[0] > 0;
        }
    return verdict;
}

static size_t n_lost(const LedgerVerdict *verdict) {
    size_t n = 0;

    for (int kind = 0; kind < LEDGER_KINDS; kind++)
        n += verdict->of[kind].n_lost;
    return n;
}

LedgerVerdict ledger_judge(Ledger *ledger) {
    LedgerVerdict verdict = judge(ledger);

    for (uint64_t until = clock_ms() + PATIENCE_MS; n_lost(&verdict) > 0 && clock_ms() < until;) {
        sleep_ms(500);
        verdict = judge(ledger);
    }
    return verdict;
}

void ledger_expect_all_well(const LedgerVerdict *verdict) {
    static const char *const names[LEDGER_KINDS] = {"pushes", "messages for bound queues",
                                                    "moments of schedules"};

    for (int kind = 0; kind < LEDGER_KINDS; kind++) {
        const LedgerCounts *counts = &verdict->of[kind];

        if (kind != LEDGER_PUSHED && counts->n_sent == 0)
            continue;
        printf("    %s: %zu sent, %zu confirmed, %zu jobs delivered: lost %zu, phantom %zu, "
               "corrupt %zu, numbers used again %zu, stored twice %zu\n"
               "    delivered again %zu (unexplained %zu, as a first attempt %zu), not confirmed "
               "but delivered %zu\n",
               names[kind], counts->n_sent, counts->n_confirmed, counts->n_delivered,
               counts->n_lost, counts->n_phantom, counts->n_corrupt, counts->n_reused,
               counts->n_doubled, counts->n_twice, counts->n_unexplained, counts->n_uncounted,
               counts->n_recovered);
        CU_ASSERT(counts->n_confirmed > 0);
        CU_ASSERT_EQUAL(counts->n_lost, 0);
        CU_ASSERT_EQUAL(counts->n_phantom, 0);
        CU_ASSERT_EQUAL(counts->n_corrupt, 0);
        CU_ASSERT_EQUAL(counts->n_reused, 0);
        CU_ASSERT_EQUAL(counts->n_doubled, 0);
        CU_ASSERT_EQUAL(counts->n_unexplained, 0);
    }
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

/* SPDX-License-Identifier: Apache-2.0 */
/* ferry cache: reads, changes and measures a cache. */

#include <ctype.h>
#include <inttypes.h>
#include <unistd.h>

#include <ferry/cache.h>

#include "base/clock.h"
#include "base/text.h"
#include "clients/cli/bodies/show.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/run/pause.h"
#include "clients/cli/terminal/bench-report.h"
#include "clients/cli/terminal/out.h"
#include "clients/cli/terminal/print.h"

#define VERBS       "get|set|del|ttl|tags|stats|bench|watch"
#define DEFAULT_URL "redis://127.0.0.1"

enum { BENCH_KEYS = 1000, BENCH_SIZE_MAX = 1024 * 1024, NOT_FOUND = 6 };

typedef struct Values {
    const char *url, *prefix, *tags;
    uint64_t ttl_ms, count, size, every_ms, timeout_ms;
    bool near, unpack, escaped;
} Values;

static const Option options[] = {
    OPTION_PLAIN(OPTION_TEXT, 'c', "cache", Values, url, "URL",
                 "the cache (default $FERRY_CACHE, else redis://127.0.0.1)"),
    OPTION_PLAIN(OPTION_TEXT, 'p', "prefix", Values, prefix, "TEXT", "prefix of keys and tags"),
    OPTION_RANGE(OPTION_MS, 0, "ttl", Values, ttl_ms, "T",
                 "set, bench, ttl: time to live (default: until evicted)", 1, FERRY_CACHE_TTL_MAX),
    OPTION_PLAIN(OPTION_TEXT, 0, "tags", Values, tags, "TAGS",
                 "set: the entry's tags, 'users,user:7'"),
    OPTION_PLAIN(OPTION_FLAG, 'u', "unpack", Values, unpack, NULL,
                 "get, watch: print a MessagePack value as JSON"),
    OPTION_PLAIN(
        OPTION_FLAG, 'e', "escaped", Values, escaped, NULL,
        "keys have the escapes \\\\, \\xNN and \\0: memoised methods have a NUL in their keys"),
    OPTION_RANGE(OPTION_COUNT, 'n', "count", Values, count, "N",
                 "bench: N reads (default 100000); watch: end after N values", 1, 1000000000),
    OPTION_RANGE(OPTION_BYTES, 's', "size", Values, size, "BYTES",
                 "bench: size of a value (default 100)", 1, BENCH_SIZE_MAX),
    OPTION_PLAIN(OPTION_FLAG, 0, "near", Values, near, NULL, "bench: with a near cache"),
    OPTION_RANGE(OPTION_MS, 0, "every", Values, every_ms, "T",
                 "watch: time between two reads (default 100ms)", 1, 3600000),
    OPTION_RANGE(OPTION_MS, 't', "timeout", Values, timeout_ms, "T",
                 "time limit for Redis (default 5s)", 1, 3600000),
    OPTION_END,
};

typedef struct Run {
    Cli *cli;
    const Values *values;
    ferry_cache *cache;
    int n; /* number of words after the verb */
    char **words;
    size_t lens[TEXTS_MAX];
} Run;

DEFINE_CLEANUP(ferry_cache *, ferry_cache_close);

/* ---- keys ---- */

/* Replaces the escapes in a word, in place; its new length, or -EINVAL. */
static ssize_t unescape(char *word) {
    char *to = word;

    for (const char *at = word; *at; at++) {
        unsigned byte = 0;

        if (*at != '\\') {
            *to++ = *at;
            continue;
        }
        at++;
        if (*at == '\\' || *at == '0') {
            *to++ = (char)(*at == '0' ? '\0' : *at);
        } else if (*at == 'x' && isxdigit((unsigned char)at[1]) && isxdigit((unsigned char)at[2])) {
            sscanf(at + 1, "%2x", &byte);
            *to++ = (char)byte;
            at += 2;
        } else {
            return -EINVAL;
        }
    }
    *to = '\0';
    return to - word;
}

/* Replaces the escapes of --escaped in all words that are keys. Returns an exit status. */
static int read_keys(Run *run, int n_keys) {
    for (int i = 0; i < run->n && i < TEXTS_MAX; i++) {
        ssize_t len = run->values->escaped && i < n_keys ? unescape(run->words[i])
                                                         : (ssize_t)strlen(run->words[i]);

        if (len < 0)
            return cli_usage(run->cli, "key %d: '\\' is followed by '\\', 0 or xNN", i + 1);
        run->lens[i] = (size_t)len;
    }
    return EXIT_OK;
}

static ferry_bytes key_of(const Run *run, int i) {
    return ferry_bytes_of(run->words[i], run->lens[i]);
}

/* ---- values ---- */

static int show_value(const Run *run, ferry_bytes value) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    CLEANUP(json_decref) json_t *json = NULL;
    PrintStyle style = {run->cli->terminal_out && !run->cli->json, run->cli->colour_out};

    if (run->values->unpack) {
        if (value_to_json(value, &json, &error) < 0)
            return cli_error(run->cli, &error);
        print_json(json, style, stdout);
        putchar('\n');
    } else if (run->cli->json && text_is_utf8(value.data, value.len)) {
        print_json_text(value.data, value.len, stdout);
        putchar('\n');
    } else if (run->cli->json) {
        return cli_fail(run->cli, EXIT_OTHER,
                        "the value is not UTF-8: leave --json out, or try --unpack");
    } else {
        show_bytes(run->cli, value);
        if (run->cli->terminal_out)
            putchar('\n');
    }
    fflush(stdout);
    return EXIT_OK;
}

static int get(Run *run) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    CLEANUP(ferry_free) ferry_bytes *value = NULL;
    int r = ferry_cache_get(run->cache, key_of(run, 0), &value, &error);

    if (r < 0)
        return cli_error(run->cli, &error);
    if (r == 0)
        return cli_fail(run->cli, NOT_FOUND, "the cache has no key '%s'", run->words[0]);
    return show_value(run, *value);
}

static int read_all(Run *run, Buffer *to) {
    for (;;) {
        uint8_t *at = buffer_reserve(to, 65536);
        ssize_t n = at ? read(STDIN_FILENO, at, 65536) : 0;

        if (!at || to->len > FERRY_CACHE_VALUE_MAX)
            return cli_fail(run->cli, EXIT_OTHER, "standard input: more than 64 MiB");
        if (n < 0)
            return cli_fail(run->cli, EXIT_OTHER, "standard input: %s", strerror(errno));
        if (n == 0)
            return EXIT_OK;
        to->len += (size_t)n;
    }
}

static int set(Run *run) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    CLEANUP(buffer_deinit) Buffer input = {0};
    ferry_bytes value = ferry_str(run->words[1]);
    int status;

    if (strcmp(run->words[1], "-") == 0) {
        status = read_all(run, &input);
        if (status != EXIT_OK)
            return status;
        value = ferry_bytes_of(input.data, input.len);
    }
    if (ferry_cache_set_tagged(run->cache, key_of(run, 0), value, run->values->ttl_ms,
                               run->values->tags, &error) < 0)
        return cli_error(run->cli, &error);
    return EXIT_OK;
}

static int del(Run *run) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;

    for (int i = 0; i < run->n; i++)
        if (ferry_cache_delete(run->cache, key_of(run, i), &error) < 0)
            return cli_error(run->cli, &error);
    return EXIT_OK;
}

static int ttl(Run *run) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    ferry_bytes key = key_of(run, 0);
    uint64_t ms = 0;
    char text[24];
    int r = 0;

    if (run->values->ttl_ms > 0)
        r = ferry_cache_touch(run->cache, key, run->values->ttl_ms, &error);
    if (r == 0)
        r = ferry_cache_get_ttl(run->cache, key, &ms, &error);
    if (r == 0 || r == -ENOENT)
        return cli_fail(run->cli, NOT_FOUND, "the cache has no key '%s'", run->words[0]);
    if (r < 0)
        return cli_error(run->cli, &error);
    if (ms == UINT64_MAX)
        fputs(run->cli->json ? "null\n" : "until evicted\n", stdout);
    else if (run->cli->terminal_out && !run->cli->json)
        out_format(stdout, "%s\n", text_format_ms(text, ms));
    else
        printf("%" PRIu64 "\n", ms);
    return EXIT_OK;
}

static int tags(Run *run) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;

    for (int i = 0; i < run->n; i++)
        if (ferry_cache_invalidate(run->cache, run->words[i], &error) < 0)
            return cli_error(run->cli, &error);
    return EXIT_OK;
}

/* ---- statistics and speed ---- */

static void show_stats(const Run *run) {
    ferry_cache_stats stats;

    ferry_cache_get_stats(run->cache, &stats);
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        {"nodes", stats.nodes},
        {"breakers_open", stats.breakers_open},
        {"connects", stats.connects},
        {"commands", stats.commands},
        {"round_trips", stats.round_trips},
        {"latency_us_mean", stats.round_trips ? stats.latency_us_sum / stats.round_trips : 0},
        {"latency_us_max", stats.latency_us_max},
        {"hits", stats.hits},
        {"near_hits", stats.near_hits},
        {"misses", stats.misses},
        {"stores", stats.stores},
        {"errors", stats.errors},
        {"timeouts", stats.timeouts},
        {"redirects", stats.redirects},
        {"invalidations", stats.invalidations},
        {"evictions", stats.evictions},
        {"entries", stats.entries},
        {"bytes", stats.bytes},
        {"max_bytes", stats.max_bytes},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (run->cli->json)
            out_format(stdout, "%s\"%s\": %" PRIu64, i ? ", " : "{", rows[i].name, rows[i].value);
        else
            out_format(stdout, run->cli->terminal_out ? "%-16s %" PRIu64 "\n" : "%s\t%" PRIu64 "\n",
                       rows[i].name, rows[i].value);
    }
    if (run->cli->json)
        puts("}");
}

static int stats(Run *run) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;

    /* Ten look-ups, to have a latency to report. */
    for (int i = 0; i < 10; i++)
        if (ferry_cache_exists(run->cache, ferry_str("ferry:stats"), &error) < 0)
            return cli_error(run->cli, &error);
    show_stats(run);
    cli_note(run->cli, "these are the counters of this command; a program reads its own with "
                       "ferry_cache_get_stats()");
    return EXIT_OK;
}

static size_t bench_key(char *to, size_t size, uint64_t i) {
    return (size_t)snprintf(to, size, "ferry.bench:%d:%" PRIu64, getpid(), i % BENCH_KEYS);
}

static int bench_run(Run *run, BenchReport *report, ferry_error *error) {
    static const uint8_t zeroes[BENCH_SIZE_MAX];
    uint64_t ttl_ms = run->values->ttl_ms ? run->values->ttl_ms : 60000;
    char key[64];
    int r = 0;

    for (uint64_t i = 0; i < BENCH_KEYS && r >= 0; i++)
        r = ferry_cache_set(run->cache, ferry_bytes_of(key, bench_key(key, sizeof(key), i)),
                            ferry_bytes_of(zeroes, report->size), ttl_ms, error);
    report->start_ns = clock_ns();
    for (uint64_t i = 0; i < report->count && r >= 0; i++) {
        uint64_t began_ns = clock_ns();
        ferry_bytes *value = NULL;

        r = ferry_cache_get(run->cache, ferry_bytes_of(key, bench_key(key, sizeof(key), i)), &value,
                            error);
        ferry_free(value);
        report->missed += r == 0;
        histogram_add(&report->times, clock_ns() - began_ns);
    }
    report->end_ns = clock_ns();
    for (uint64_t i = 0; i < BENCH_KEYS && r >= 0; i++)
        r = ferry_cache_delete(run->cache, ferry_bytes_of(key, bench_key(key, sizeof(key), i)),
                               error);
    return r;
}

static int bench(Run *run) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    BenchReport *report = calloc(1, sizeof(*report));
    int status = EXIT_OK;

    if (!report)
        return cli_fail(run->cli, EXIT_OTHER, "out of memory");
    report->kind = "cache";
    report->name = "get";
    report->count = run->values->count ? run->values->count : 100000;
    report->size = run->values->size ? run->values->size : 100;
    report->in_flight = 1;
    if (bench_run(run, report, &error) < 0)
        status = cli_error(run->cli, &error);
    else
        bench_report_print(report, run->cli->json, stdout);
    free(report);
    return status;
}

/* ---- watching ---- */

static bool is_same(const ferry_bytes *a, const ferry_bytes *b) {
    return !a || !b ? a == b : a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

static int watch(Run *run) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    CLEANUP(ferry_free) ferry_bytes *last = NULL;
    uint64_t every_ms = run->values->every_ms ? run->values->every_ms : 100, seen = 0;
    int status = EXIT_OK;

    while (status == EXIT_OK) {
        ferry_bytes *now = NULL;

        if (ferry_cache_get(run->cache, key_of(run, 0), &now, &error) < 0)
            return cli_error(run->cli, &error);
        if (is_same(last, now)) {
            ferry_free(now);
        } else {
            ferry_free(last);
            last = now;
            if (now)
                status = show_value(run, *now);
            else
                cli_note(run->cli, "'%s' is gone", run->words[0]);
            if (now && !run->cli->terminal_out && !run->cli->json && !run->values->unpack)
                putchar('\n');
            if (fflush(stdout) != 0)
                return EXIT_OTHER;
            if (now && ++seen == run->values->count)
                return status;
        }
        pause_for(every_ms);
    }
    return status;
}

/* ---- the verbs ---- */

static const struct Verb {
    const char *name;
    int (*fn)(Run *run);
    int min, max; /* allowed number of words after the verb */
    const char *wanted;
} verbs[] = {
    {"get", get, 1, 1, "needs a key"},
    {"set", set, 2, 2, "needs a key and a value"},
    {"del", del, 1, INT32_MAX, "needs a key"},
    {"ttl", ttl, 1, 1, "needs a key"},
    {"tags", tags, 1, INT32_MAX, "needs a tag"},
    {"stats", stats, 0, 0, ""},
    {"bench", bench, 0, 0, ""},
    {"watch", watch, 1, 1, "needs a key"},
};

enum { N_VERBS = sizeof(verbs) / sizeof(*verbs) };

/* NULL: the error was reported. */
static const struct Verb *find_verb(Cli *cli, const char *name, int n) {
    const char *names[N_VERBS], *near;

    for (size_t i = 0; i < N_VERBS; i++) {
        names[i] = verbs[i].name;
        if (strcmp(name, names[i]) != 0)
            continue;
        if (n >= verbs[i].min && n <= verbs[i].max)
            return &verbs[i];
        if (n < verbs[i].min)
            cli_usage(cli, "'%s' %s", name, verbs[i].wanted);
        else
            cli_usage(cli, "too many arguments for %s", name);
        return NULL;
    }
    near = text_nearest(name, names, N_VERBS);
    cli_usage(cli, "'%s' is not one of " VERBS "%s%s%s", name, near ? ": did you mean '" : "",
              near ? near : "", near ? "'?" : "");
    return NULL;
}

static int run_cache(Cli *cli, const void *values, int argc, char **argv) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    CLEANUP(ferry_cache_close) ferry_cache *cache = NULL;
    const Values *v = values;
    char *url = v->url ? (char *)(uintptr_t)v->url : getenv("FERRY_CACHE");
    const struct Verb *verb = find_verb(cli, argv[0], argc - 1);
    Run run = {cli, v, NULL, argc - 1, argv + 1, {0}};
    int status, r;
    ferry_cache_options how = {.strict = true, .prefix = v->prefix, .near_cache = v->near};

    if (!verb)
        return EXIT_USAGE;
    status = read_keys(&run, verb->fn == del ? argc : verb->fn == tags ? 0 : 1);
    if (status != EXIT_OK)
        return status;
    if (url && !*url)
        url = NULL;
    if (url && strncmp(url, "memory:", 7) == 0 && verb->fn != bench && verb->fn != stats)
        return cli_usage(
            cli, "memory:// is private to each process, so it is empty here: use it with bench and "
                 "stats only");
    how.timeout_ms = v->timeout_ms ? (uint32_t)v->timeout_ms : 5000;
    r = ferry_cache_open(url ? url : DEFAULT_URL, &how, &cache, &error);
    if (url)
        text_hide_login(url);
    if (r < 0)
        return cli_error(cli, &error);
    run.cache = cache;
    return verb->fn(&run);
}

static const Hint hints[] = {
    {"ferry.NotConnected",
     "is Redis running there? Name it with --cache or $FERRY_CACHE, as in redis://HOST:PORT"},
    {"ferry.ConnectionLost",
     "the connection to Redis was lost: commands without an answer may have been executed"},
    {"ferry.Overloaded",
     "Redis failed several times, so commands are refused for a moment: try again"},
    {"ferry.NoSuchService", "look at the Redis server"},
    {"ferry.Full", "Redis has no memory left, or a limit of this command was reached"},
    {NULL, NULL},
};

const Command command_cache = {
    .name = "cache",
    .usage = "get|ttl|watch KEY [--cache URL]\n"
             "set KEY VALUE|- [--ttl T] [--tags TAGS] [--cache URL]\n"
             "del KEY...\n"
             "tags TAG...\n"
             "stats\n"
             "bench [--count N] [--size BYTES] [--near]",
    .summary = "read, change and measure a cache",
    .help =
        "get     print the value unchanged\n"
        "set     store a value, or standard input\n"
        "del     remove keys\n"
        "ttl     print the remaining time of a key, or set it with --ttl\n"
        "tags    invalidate all entries with one of these tags\n"
        "stats   connect, ask ten times, and print the statistics\n"
        "bench   store 1000 values, then read them repeatedly\n"
        "watch   print the value, and each new value\n"
        "\n"
        "URL is redis://HOST[:PORT][/DB], redis+unix://PATH, redis+cluster://HOST:PORT,\n"
        "redis+sentinel://HOST/MASTER, rediss://HOST with TLS, or\n"
        "memory://, which is a cache inside this process: useful for bench and stats only.\n"
        "Memoised methods store a MessagePack list: use get --unpack. Their keys have a NUL, for\n"
        "which --escaped writes \\0.\n"
        "\n"
        "Examples:\n"
        "  ferry cache set greeting hello --ttl 5m --tags words\n"
        "  ferry cache get greeting\n"
        "  ferry cache tags users\n"
        "  ferry cache bench --cache redis+unix:///run/redis/redis.sock --near\n",
    .options = options,
    .values_size = sizeof(Values),
    .min_args = 1,
    .max_args = TEXTS_MAX,
    .words = VERBS,
    .hints = hints,
    .run = run_cache,
};

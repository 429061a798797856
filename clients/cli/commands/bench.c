/* SPDX-License-Identifier: Apache-2.0 */

/* ferry bench: measures the speed of calls, published messages or pushed jobs, and their
 * latency. */

#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/container.h"
#include "clients/cli/bodies/source.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/run/loop.h"
#include "clients/cli/terminal/bench-report.h"
#include "clients/cli/terminal/progress.h"

#define KINDS "call|pub|push"

enum { LOOK_MS = 200 }; /* between two checks of the connection */

typedef struct Values {
    uint64_t count, size, in_flight, timeout_ms;
    const char *name, *payload;
    bool serve, work;
} Values;

static const Option options[] = {
    OPTION_RANGE(OPTION_COUNT, 'n', "count", Values, count, "N",
                 "number of operations (default 100000)", 1, 0),
    OPTION_RANGE(OPTION_BYTES, 's', "size", Values, size, "BYTES", "size of a body (default 64)", 1,
                 64 << 20),
    OPTION_RANGE(OPTION_COUNT, 'f', "in-flight", Values, in_flight, "N",
                 "operations in flight (default 1000; 1: one at a time)", 1, 65536),
    OPTION_PLAIN(OPTION_TEXT, 'p', "payload", Values, payload, "FILE",
                 "read the body from FILE, instead of --size"),
    OPTION_PLAIN(OPTION_FLAG, 0, "serve", Values, serve, NULL,
                 "call: also serve the method in this process, as an echo"),
    OPTION_PLAIN(
        OPTION_FLAG, 0, "work", Values, work, NULL,
        "push: also take and acknowledge the jobs in this process, and time them until then"),
    OPTION_RANGE(OPTION_MS, 't', "timeout", Values, timeout_ms, "T",
                 "time limit of a call (default 30s)", 1, 3600000),
    OPTION_END,
};

typedef enum Kind { BENCH_CALL, BENCH_PUB, BENCH_PUSH } Kind;

/* A body in flight. Answers of one connection can arrive out of order, so each body has its own
 * cell for its start time. */
typedef struct Cell {
    struct Bench *bench;
    uint64_t start_ns;
    struct Cell *next_free;
} Cell;

typedef struct Bench {
    Cli *cli;
    const Values *values;
    Kind kind;
    const char *name;
    Loop loop;
    ferry_client *client, *other; /* other: the receiving side, which serves, subscribes or works */
    ferry_bytes body;
    uint8_t *stamped; /* a generated body; its first bytes are the time of sending */
    size_t stamped_len;
    Cell *cells, *free_cells;
    uint64_t sent, ended, failed, received, missed;
    uint64_t total, window;
    bool is_pumping;
    Timer timer, look;
    Progress progress;
    BenchReport report;
    bool is_own_name;
    bool is_open_loop; /* the receiving side reports completion */
} Bench;

static void pump(Bench *bench);

static void on_timer(Timer *timer, void *ctx) {
    (void)ctx;
    pump(container_of(timer, Bench, timer));
}

/* ---- ends ---- */

/* Messages that are lost with a connection never arrive, and their number is not known: without
 * this check, the command would wait for them for ever. */
static void on_look(Timer *timer, void *ctx) {
    Bench *bench = container_of(timer, Bench, look);

    (void)ctx;
    if (bench->cli->n_lost > 0 && !bench->loop.ended)
        loop_end(&bench->loop,
                 cli_fail(bench->cli, EXIT_CONNECT,
                          "the connection to the broker was lost, and messages may be "
                          "lost with it: measure again"));
    else
        loop_arm(&bench->loop, timer, LOOK_MS, on_look);
}

static void finish_if_done(Bench *bench) {
    if (bench->ended >= bench->total)
        loop_end(&bench->loop, EXIT_OK);
}

static void one_ended(Bench *bench, uint64_t start_ns) {
    uint64_t now_ns = clock_ns();

    bench->ended++;
    histogram_add(&bench->report.times, now_ns - start_ns);
    progress_update(&bench->progress, bench->ended, now_ns / 1000);
    finish_if_done(bench);
}

static void failed(Bench *bench, const ferry_error *error) {
    bench->failed++;
    if (!bench->loop.ended)
        loop_end(&bench->loop, cli_error(bench->cli, error));
}

static void cell_done(Cell *cell, const ferry_error *error) {
    Bench *bench = cell->bench;
    uint64_t start_ns = cell->start_ns;

    cell->next_free = bench->free_cells;
    bench->free_cells = cell;
    if (error)
        failed(bench, error);
    else if (bench->is_open_loop)
        bench->received++; /* stored; it completes on arrival at the receiving side */
    else
        one_ended(bench, start_ns);
    pump(bench);
}

static void on_reply(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    (void)reply;
    cell_done(ctx, error);
}

static void on_stored(const ferry_error *error, void *ctx) {
    cell_done(ctx, error);
}

static void arrived(Bench *bench, ferry_bytes body) {
    uint64_t start_ns;

    if (body.len < sizeof(start_ns))
        return;
    memcpy(&start_ns, body.data, sizeof(start_ns));
    /* A body of an earlier run, or of another program. */
    if (start_ns < bench->report.start_ns || start_ns > clock_ns())
        return;
    one_ended(bench, start_ns);
    if (bench->kind == BENCH_PUB)
        pump(bench);
}

static void on_message(const ferry_message *message, void *ctx) {
    Bench *bench = ctx;

    if (message->missed != FERRY_MISSED_UNKNOWN) {
        bench->ended += message->missed;
        bench->missed += message->missed;
    }
    arrived(bench, message->body);
    finish_if_done(bench);
}

static int on_job(ferry_job *job, void *ctx) {
    arrived(ctx, job->body);
    return 0;
}

static int on_call(ferry_request *request, void *ctx) {
    (void)ctx;
    return ferry_request_return(request, request->body);
}

/* ---- starts ---- */

static ferry_bytes next_body(Bench *bench) {
    uint64_t now_ns;

    if (!bench->is_open_loop)
        return bench->body;
    now_ns = clock_ns();
    memcpy(bench->stamped, &now_ns, sizeof(now_ns));
    return ferry_bytes_of(bench->stamped, bench->stamped_len);
}

static int send_one(Bench *bench, Cell *cell, ferry_error *reterr) {
    ferry_bytes body = next_body(bench);

    if (bench->kind == BENCH_CALL)
        return ferry_call_async(bench->client, bench->name, body, on_reply, cell, reterr);
    if (bench->kind == BENCH_PUSH)
        return ferry_push_async(bench->client, bench->name, body, NULL, on_stored, cell, reterr);
    return ferry_publish(bench->client, bench->name, body, NULL, reterr);
}

static bool may_send(const Bench *bench) {
    if (bench->loop.ended || bench->sent == bench->total)
        return false;
    return bench->kind == BENCH_PUB ? bench->sent - bench->ended < bench->window
                                    : bench->free_cells != NULL;
}

/* Sends for half a millisecond at most, then lets the connection work. */
static void pump(Bench *bench) {
    uint64_t until_ns = clock_ns() + 500000;

    if (bench->is_pumping)
        return;
    bench->is_pumping = true;
    while (may_send(bench)) {
        CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
        Cell *cell = bench->free_cells;
        int r;

        cell->start_ns = clock_ns();
        if (cell->start_ns > until_ns) {
            loop_arm(&bench->loop, &bench->timer, 0, on_timer);
            break;
        }
        r = send_one(bench, cell, &error);
        if (r == -EAGAIN) {
            loop_arm(&bench->loop, &bench->timer, 1, on_timer);
            break;
        }
        if (r < 0) {
            failed(bench, &error);
            break;
        }
        if (bench->kind != BENCH_PUB)
            bench->free_cells = cell->next_free;
        bench->sent++;
    }
    bench->is_pumping = false;
}

/* ---- setting up ---- */

static int open_other(Bench *bench) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    int status = cli_open(bench->cli, &(ferry_options){.name = "ferry bench/other"}, &bench->other);
    int r = 0;

    if (status != EXIT_OK)
        return status;
    if (bench->kind == BENCH_CALL) {
        r = ferry_serve_method(bench->other, bench->name,
                               &(ferry_serve_options){.slots = (uint32_t)bench->window}, on_call,
                               bench, NULL, &error);
    } else if (bench->kind == BENCH_PUB) {
        r = ferry_subscribe(bench->other, bench->name, NULL, on_message, bench, NULL, &error);
    } else {
        r = ferry_work(bench->other, bench->name,
                       &(ferry_work_options){.slots = (uint32_t)bench->window}, on_job, bench, NULL,
                       &error);
    }
    return r < 0 ? cli_error(bench->cli, &error) : loop_add_client(&bench->loop, bench->other);
}

/* A call's body is one MessagePack value: a list with one bin. Other bodies are plain bytes. */
static int make_body(Bench *bench) {
    const Values *v = bench->values;
    BodySource source = {0};
    size_t len = v->size, least = bench->is_open_loop ? sizeof(uint64_t) : 0;
    uint8_t *data;

    if (v->payload) {
        int status = source_open(&source, bench->cli, &(SourceOptions){.file = v->payload});

        if (status != EXIT_OK) {
            source_deinit(&source, NULL);
            return status;
        }
        len = source.data.len;
    } else if (v->size == 0) {
        len = 64;
    }
    len = len < least ? least : len;
    bench->stamped = data = calloc(1, len + 6);
    if (data) {
        size_t head = bench->kind == BENCH_CALL ? 6 : 0;

        if (head > 0) {
            const uint8_t start[6] = {
                0x91,        0xc6, (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
                (uint8_t)len};

            memcpy(data, start, 6);
        }
        if (source.data.len > 0)
            memcpy(data + head, source.data.data, source.data.len);
        bench->stamped_len = len + head;
        bench->body = ferry_bytes_of(data, len + head);
        bench->report.size = len;
    }
    source_deinit(&source, NULL);
    return data ? EXIT_OK : cli_fail(bench->cli, EXIT_OTHER, "out of memory");
}

static int make_cells(Bench *bench) {
    bench->cells = calloc(bench->window, sizeof(Cell));
    if (!bench->cells)
        return cli_fail(bench->cli, EXIT_OTHER, "out of memory");
    for (uint64_t i = 0; i < bench->window; i++) {
        bench->cells[i].bench = bench;
        bench->cells[i].next_free = bench->free_cells;
        bench->free_cells = &bench->cells[i];
    }
    return EXIT_OK;
}

static int run_all(Bench *bench) {
    static const char *const what[] = {"called", "published", "pushed"};
    int status = loop_add_client(&bench->loop, bench->client);

    if (status != EXIT_OK)
        return status;
    bench->report.start_ns = clock_ns();
    progress_start(&bench->progress, bench->cli->terminal_err && !bench->cli->quiet ? stderr : NULL,
                   what[bench->kind], bench->total, clock_us());
    if (bench->kind == BENCH_PUB)
        on_look(&bench->look, NULL);
    pump(bench);
    status = loop_run(&bench->loop);
    bench->report.end_ns = clock_ns();
    progress_end(&bench->progress);
    return status;
}

static int prepare(Bench *bench) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    const Values *v = bench->values;
    int status = cli_loop_init(&bench->loop, bench->cli);

    if (status == EXIT_OK)
        status = make_body(bench);
    if (status == EXIT_OK)
        status = make_cells(bench);
    if (status == EXIT_OK)
        status = cli_open(bench->cli, &(ferry_options){.timeout_ms = (uint32_t)v->timeout_ms},
                          &bench->client);
    /* Connect before the measurement begins. */
    if (status == EXIT_OK && ferry_ping(bench->client, NULL, &error) < 0)
        status = cli_error(bench->cli, &error);
    if (status == EXIT_OK && (bench->kind == BENCH_PUB || v->serve || v->work))
        status = open_other(bench);
    return status;
}

/* Removes the jobs of a generated queue, which has no other workers. */
static void clean_up(Bench *bench) {
    CLEANUP(json_decref) json_t *number = NULL;

    if (bench->kind == BENCH_PUSH && bench->is_own_name && !bench->values->work)
        cli_manage(bench->cli, bench->client, true, &number, "purge", "s", bench->name);
}

static void report(Bench *bench) {
    static const char *const kinds[] = {"call", "pub", "push"};
    BenchReport *to = &bench->report;

    to->kind = kinds[bench->kind];
    to->name = bench->name;
    to->count = bench->ended;
    to->failed = bench->failed;
    to->missed = bench->missed;
    to->in_flight = bench->window;
    bench_report_print(to, bench->cli->json, stdout);
}

static int check(Bench *bench, int argc, char **argv) {
    static const char *const names[] = {"ferry-bench.Echo.echo", "ferry-bench.topic",
                                        "ferry-bench.queue"};
    const Values *v = bench->values;
    const char *kind = argv[0];

    if (strcmp(kind, "call") == 0)
        bench->kind = BENCH_CALL;
    else if (strcmp(kind, "pub") == 0)
        bench->kind = BENCH_PUB;
    else if (strcmp(kind, "push") == 0)
        bench->kind = BENCH_PUSH;
    else
        return cli_usage(bench->cli, "'%s' is not one of " KINDS, kind);
    if (v->serve && bench->kind != BENCH_CALL)
        return cli_usage(bench->cli, "--serve is only for 'bench call'");
    if (v->work && bench->kind != BENCH_PUSH)
        return cli_usage(bench->cli, "--work is only for 'bench push'");
    bench->is_own_name = argc == 1;
    bench->name = argc > 1 ? argv[1] : names[bench->kind];
    if (bench->kind == BENCH_CALL && (!strrchr(bench->name, '.') || strlen(bench->name) > 255))
        return cli_usage(bench->cli, "'%s' is not a method: write SERVICE.METHOD", bench->name);
    bench->total = v->count ? v->count : 100000;
    bench->window = v->in_flight ? v->in_flight : 1000;
    bench->is_open_loop = bench->kind == BENCH_PUB || v->work;
    return EXIT_OK;
}

static int run_bench(Cli *cli, const void *values, int argc, char **argv) {
    Bench *bench = calloc(1, sizeof(*bench)); /* on the heap because its histogram is large */
    int status;

    if (!bench)
        return cli_fail(cli, EXIT_OTHER, "out of memory");
    bench->cli = cli;
    bench->values = values;
    bench->loop.epoll_fd = bench->loop.signals.fd = -1;
    status = check(bench, argc, argv);
    if (status == EXIT_OK) {
        status = prepare(bench);
        if (status == EXIT_OK)
            status = run_all(bench);
        if (status == EXIT_OK || status == EXIT_INTERRUPTED)
            report(bench);
        if (status == EXIT_OK)
            clean_up(bench);
    }
    bench->loop.ended = true;
    ferry_close(bench->client);
    ferry_close(bench->other);
    cli_loop_deinit(&bench->loop);
    free(bench->cells);
    free(bench->stamped);
    free(bench);
    return status;
}

static const Hint hints[] = {
    {"ferry.NoSuchService", "with --serve, this command serves the method itself"},
    {NULL, NULL},
};

const Command command_bench = {
    .name = "bench",
    .usage = "call|pub|push [NAME] [--count N] [--size BYTES] [--in-flight N] [--serve] [--work]",
    .summary = "measure calls, messages or jobs",
    .help = "call    calls NAME or, with --serve, a method of this process\n"
            "pub     publishes to NAME and subscribes to it: times run from publishing to arrival\n"
            "push    pushes to NAME: times run until a job is stored, or with --work until it\n"
            "        arrives; without NAME the jobs are deleted afterwards\n"
            "\n"
            "Examples:\n"
            "  ferry bench call --serve --in-flight 1 --count 10000\n"
            "  ferry bench pub --size 1K\n"
            "  ferry bench push --work --json\n",
    .options = options,
    .values_size = sizeof(Values),
    .min_args = 1,
    .max_args = 2,
    .words = KINDS,
    .hints = hints,
    .run = run_bench,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* ferry top: services, queues, topics and sessions as they change, in the terminal. */

#include <ctype.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "clients/cli/bodies/show.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/run/brokers.h"
#include "clients/cli/run/pause.h"
#include "clients/cli/terminal/out.h"
#include "clients/cli/terminal/progress.h"
#include "clients/cli/top/screen.h"

enum { CALL_TIMEOUT_MS = 1000, CTRL_C = 3, ESCAPE = 27 };

typedef struct Values {
    uint64_t every_ms;
    bool once;
    const char *view, *filter;
} Values;

static const Option options[] = {
    OPTION_RANGE(OPTION_MS, 'e', "every", Values, every_ms, "T",
                 "time between two samples (default 1s)", 100, 3600000),
    OPTION_PLAIN(OPTION_FLAG, 0, "once", Values, once, NULL,
                 "take two samples, print the rates between them, and end"),
    OPTION_ROW(OPTION_TEXT, 0, "view", Values, view, "VIEW", "the list to begin with", 0, 0,
               "services|queues|topics|sessions"),
    OPTION_PLAIN(OPTION_TEXT, 'f', "filter", Values, filter, "TEXT",
                 "only names that contain TEXT"),
    OPTION_END,
};

typedef struct Sample {
    json_t *stats; /* NULL: there is no sample yet */
    json_t *rows[N_TOP_KINDS];
    uint64_t at_us;
} Sample;

typedef struct Top {
    Cli *cli;
    ferry_client *client;
    uint64_t every_ms;
    Sample now, before;
    TopKind kind;
    TopOrder orders[N_TOP_KINDS];
    unsigned first, n_fit;
    bool is_paused, is_typing; /* typing: the filter */
    int status;                /* of the last sample */
} Top;

/* ---- samples ---- */

static void sample_free(Sample *sample) {
    json_decref(sample->stats);
    for (TopKind kind = 0; kind < N_TOP_KINDS; kind++)
        json_decref(sample->rows[kind]);
    *sample = (Sample){0};
}

/* Returns an exit status; on failure nothing has changed. A user without the right to see the
 * broker's counters sees the lists. */
static int take(Top *top) {
    Sample sample = {0};
    const Sample *before = &top->now;
    double seconds;
    int status = brokers_ask(top->cli, top->client, true, &sample.stats, "stats", NULL);

    if (status == 4) {
        sample.stats = json_object();
        status = EXIT_OK;
    }
    for (TopKind kind = 0; kind < N_TOP_KINDS && status == EXIT_OK; kind++)
        status = brokers_ask(top->cli, top->client, true, &sample.rows[kind],
                             top_view(kind)->method, NULL);
    if (status != EXIT_OK) {
        sample_free(&sample);
        return status;
    }
    if (json_is_array(sample.stats)) {
        json_t *total = brokers_total(sample.stats);

        json_decref(sample.stats);
        sample.stats = total;
    }
    sample.at_us = clock_us();
    seconds = before->stats ? (double)(sample.at_us - before->at_us) / 1e6 : 1;
    if (json_object_size(sample.stats) > 0)
        top_add_total_rates(sample.stats, before->stats, seconds);
    for (TopKind kind = 0; kind < N_TOP_KINDS; kind++)
        top_add_rates(top_view(kind), sample.rows[kind], before->rows[kind], seconds);
    sample_free(&top->before);
    top->before = top->now;
    top->now = sample;
    return EXIT_OK;
}

/* ---- once ---- */

static json_t *arranged(const Top *top, TopKind kind) {
    return top_arrange(top_view(kind), top->now.rows[kind], &top->orders[kind]);
}

static void print_once(const Top *top, bool all) {
    if (top->cli->json) {
        CLEANUP(json_decref) json_t *object = json_object();

        json_object_set(object, "stats", top->now.stats);
        for (TopKind kind = 0; kind < N_TOP_KINDS; kind++)
            json_object_set_new(object, top_view(kind)->method, arranged(top, kind));
        show_json(top->cli, object);
        return;
    }
    for (TopKind kind = 0; kind < N_TOP_KINDS; kind++) {
        CLEANUP(json_decref) json_t *rows = arranged(top, kind);

        if (!all && kind != top->kind)
            continue;
        if (all && kind > 0)
            putchar('\n');
        show_rows(top->cli, rows, top_view(kind)->columns);
    }
}

static int run_once(Top *top, bool all) {
    int status = take(top);

    if (status == EXIT_OK) {
        pause_for(top->every_ms);
        status = take(top);
    }
    if (status != EXIT_OK)
        return cli_fail(top->cli, status, "the broker gave no answer");
    print_once(top, all);
    return EXIT_OK;
}

/* ---- the screen ---- */

static const char *rate(const Top *top, const char *name, char to[16]) {
    return progress_si(to, (double)json_integer_value(json_object_get(top->now.stats, name)));
}

static void write_title(const Top *top, char *to, size_t size) {
    char calls[16], errors[16], published[16], pushed[16], memory[24], uptime[24];
    const json_t *stats = top->now.stats;
    int n = snprintf(to, size, "ferry top  ");

    for (TopKind kind = 0; kind < N_TOP_KINDS; kind++)
        n += snprintf(to + n, size - (size_t)n, kind == top->kind ? "[%u %s] " : " %u %s  ",
                      kind + 1, top_view(kind)->method);
    if (json_object_size(stats) == 0)
        return;
    text_format_ms(uptime, (uint64_t)json_integer_value(json_object_get(stats, "uptime_ms")));
    text_format_bytes(memory, (uint64_t)json_integer_value(json_object_get(stats, "memory_used")));
    snprintf(to + n, size - (size_t)n,
             "%s%s up %s  calls %s/s  errors %s/s  published %s/s  pushed %s/s  memory %s",
             top->is_paused ? " PAUSED " : "",
             json_object_get(stats, "degraded") ? " STORE DEGRADED " : "", uptime,
             rate(top, "calls_rate", calls), rate(top, "errors_rate", errors),
             rate(top, "published_rate", published), rate(top, "pushed_rate", pushed), memory);
}

static void draw(Top *top) {
    CLEANUP(json_decref) json_t *rows = arranged(top, top->kind);
    const TopOrder *order = &top->orders[top->kind];
    unsigned n = (unsigned)json_array_size(rows);
    char title[512], footer[256], problem[320];

    write_title(top, title, sizeof(title));
    if (top->is_typing)
        snprintf(footer, sizeof(footer), "filter: %s_", order->filter);
    else
        snprintf(footer, sizeof(footer),
                 "%u rows%s%s  1-4 view  <> sort  r reverse  / filter  space pause  q quit", n,
                 *order->filter ? " with " : "", order->filter);
    snprintf(problem, sizeof(problem), "no answer from the broker: trying again  %s",
             top->cli->problem);
    if (top->first >= n)
        top->first = n > 0 ? n - 1 : 0;
    top->n_fit = screen_draw(&(ScreenPage){.title = title,
                                           .footer = footer,
                                           .problem = top->status == EXIT_OK ? NULL : problem,
                                           .view = top_view(top->kind),
                                           .rows = rows,
                                           .sort_column = order->column,
                                           .first = top->first});
}

static void type(TopOrder *order, int key) {
    size_t len = strlen(order->filter);

    if (key == SCREEN_BACKSPACE && len > 0)
        order->filter[len - 1] = '\0';
    else if (key >= ' ' && key < 127 && len + 1 < sizeof(order->filter))
        order->filter[len] = (char)key, order->filter[len + 1] = '\0';
}

static void scroll(Top *top, int rows) {
    top->first = rows < 0 && top->first < (unsigned)-rows ? 0 : top->first + (unsigned)rows;
}

static void choose(Top *top, unsigned kind) {
    top->kind = (TopKind)(kind % N_TOP_KINDS);
    top->first = 0;
}

/* Handles a key. False: end the command. */
static bool on_key(Top *top, int key) {
    TopOrder *order = &top->orders[top->kind];
    unsigned n_columns = top_n_columns(top_view(top->kind));
    int page = top->n_fit > 1 ? (int)top->n_fit - 1 : 1;

    if (key == CTRL_C)
        return false;
    if (top->is_typing) {
        top->is_typing = key != SCREEN_ENTER && key != ESCAPE;
        if (key == ESCAPE)
            *order->filter = '\0';
        type(order, key);
        return true;
    }
    switch (key) {
    case 'q':
        return false;
    case '1':
    case '2':
    case '3':
    case '4':
        choose(top, (unsigned)(key - '1'));
        break;
    case '\t':
        choose(top, top->kind + 1);
        break;
    case '<':
    case SCREEN_LEFT:
        order->column = (order->column + n_columns - 1) % n_columns;
        break;
    case '>':
    case SCREEN_RIGHT:
        order->column = (order->column + 1) % n_columns;
        break;
    case 'r':
        order->is_reversed = !order->is_reversed;
        break;
    case '/':
        top->is_typing = true;
        break;
    case ESCAPE:
        *order->filter = '\0';
        break;
    case ' ':
        top->is_paused = !top->is_paused;
        break;
    case SCREEN_UP:
        scroll(top, -1);
        break;
    case SCREEN_DOWN:
        scroll(top, 1);
        break;
    case SCREEN_PAGE_UP:
        scroll(top, -page);
        break;
    case SCREEN_PAGE_DOWN:
        scroll(top, page);
        break;
    case SCREEN_HOME:
        top->first = 0;
        break;
    default:
        break;
    }
    return true;
}

static int run_screen(Top *top) {
    uint64_t next_ms = 0;
    int r = screen_open(), key;

    if (r < 0)
        return cli_fail(top->cli, EXIT_OTHER, "%s",
                        r == -ENOTSUP ? "this ferry was built without ncurses: use --once"
                                      : "$TERM is not a known terminal: use --once");
    do {
        uint64_t now_ms = clock_ms();

        if (now_ms >= next_ms) {
            if (!top->is_paused)
                top->status = take(top);
            next_ms = clock_ms() + top->every_ms;
        }
        draw(top);
        now_ms = clock_ms();
        key = screen_key(next_ms > now_ms ? (int)(next_ms - now_ms) : 0);
    } while (on_key(top, key));
    screen_close();
    return key == CTRL_C ? EXIT_INTERRUPTED : EXIT_OK;
}

static int run_top(Cli *cli, const void *values, int argc, char **argv) {
    CLEANUP(ferry_close) ferry_client *client = NULL;
    const Values *v = values;
    Top top = {.cli = cli, .every_ms = v->every_ms ? v->every_ms : 1000};
    int status;

    (void)argc;
    (void)argv;
    for (TopKind kind = 0; kind < N_TOP_KINDS; kind++) {
        top.orders[kind].column = top_view(kind)->sort_column;
        snprintf(top.orders[kind].filter, sizeof(top.orders[kind].filter), "%s",
                 v->filter ? v->filter : "");
        if (v->view && strcmp(v->view, top_view(kind)->method) == 0)
            top.kind = kind;
    }
    if (!v->once && (!cli->terminal_out || !isatty(STDIN_FILENO)))
        return cli_usage(cli, "input or output is not a terminal: use --once");
    status = cli_open(cli, &(ferry_options){.timeout_ms = CALL_TIMEOUT_MS}, &client);
    top.client = client;
    if (status == EXIT_OK)
        status = v->once ? run_once(&top, !v->view) : run_screen(&top);
    sample_free(&top.now);
    sample_free(&top.before);
    return status;
}

const Command command_top = {
    .name = "top",
    .usage = "[--view VIEW] [--every T] [--filter TEXT] [--once]",
    .summary = "watch services, queues, topics and sessions",
    .help = "Keys: 1 services, 2 queues, 3 topics, 4 sessions, Tab the next one; < and > or the\n"
            "arrows choose the column to sort by, r reverses; / filters by name, Escape ends the\n"
            "filter; space pauses and resumes; q quits.\n"
            "\n"
            "Examples:\n"
            "  ferry top\n"
            "  ferry top --view queues --filter mail\n"
            "  ferry top --once --json | jq '.services[0].calls_rate'\n",
    .options = options,
    .values_size = sizeof(Values),
    .run = run_top,
};

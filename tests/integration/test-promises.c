/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Random programs against a broker on disk that is killed, over lines that are cut, stalled and
 * slow. A model knows what each return value and each callback promised:
 *
 *     push      confirmed: a worker gets it, after any number of retries and forwards.
 *               refused, with a known outcome: no worker gets it.
 *               of several pushes with one key, the broker stores one
 *     call      a result: the method ran, once if it is not idempotent.
 *               an error with a known outcome: it did not run, unless the method threw the error
 *     oneway    flushed, and neither broker nor server was lost since: it ran once.
 *               in all other cases: it ran at most once
 *     publish   confirmed: the subscriber gets it, or counts it as missed.
 *               refused: the subscriber does not get it
 *     retained  confirmed, and the broker lives: the subscriber has this value, or a later one
 *
 * Each function with a callback calls it once. TEST_SEED and TEST_SEEDS choose the programs.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "support/faults.h"
#include "support/process.h"
#include "support/proxy.h"
#include "support/random.h"
#include "support/suite.h"
#include "y_typed.h"

enum { STEPS = 100, DEEDS_MAX = 400, TIMEOUT_MS = 2000, SLOW_BODY = 20000, KEYS = 4 };

typedef enum Kind { PUSH, CALL, CALL_AGAIN, ONEWAY, PUBLISH, RETAIN } Kind;

static const char *const kinds[] = {"push",   "call",    "idempotent call",
                                    "oneway", "publish", "retained publish"};

/* One thing that the program did. */
typedef struct Deed {
    Kind kind;
    bool has_callback, accepted, unknown, flushed, throws, threw;
    int n_done; /* callbacks */
    int code;   /* 0: the function or its callback promised success */
    int runs;   /* number of jobs or requests that reached a handler, of messages that reached the
                 * subscriber */
    int ended;  /* number of jobs that were acknowledged or rejected */
    int key;    /* of a push: 1 to KEYS; 0: no key */
    unsigned n_lost; /* losses of the broker or the server before this deed */
    bool was_served; /* the server was back after the last of these losses */
    unsigned n_kills;
} Deed;

typedef struct World {
    Dice dice;
    Daemon broker;
    Proxy *near, *far;                               /* near: the program's line; far: the line of
                                                      * all other clients */
    ferry_client *front, *server, *worker, *watcher; /* front: the program */
    ferry_client *again, *patient; /* handles of `front`: for idempotent calls, for oneway calls */
    Deed deeds[DEEDS_MAX];
    int n_deeds, n_open;
    unsigned n_kills, n_lost, n_back; /* n_back: n_lost when the server was last connected */
    uint64_t n_missed;
    bool missed_unknown;
    int value; /* the last retained value that the watcher has got */
    bool is_settling;
    char queue[40], next[40], topic[40], pattern[40], kept[40];
} World;

static World w;

/* ---- server, worker and subscriber ---- */

static Deed *deed_of(ferry_bytes body) {
    char text[12] = "";
    int n;

    memcpy(text, body.data, body.len < 10 ? body.len : 10);
    n = atoi(text);
    return n > 0 && n <= w.n_deeds ? &w.deeds[n - 1] : NULL;
}

static int on_job(ferry_job *job, void *ctx) {
    Deed *deed = deed_of(job->body);

    (void)ctx;
    if (!deed) {
        CU_FAIL("a job that was not pushed");
        return 0;
    }
    deed->runs++;
    if (!w.is_settling && dice_below(&w.dice, 10) == 0)
        return ferry_job_forward(job, w.next, job->body, NULL);
    if (!w.is_settling && dice_below(&w.dice, 10) == 0)
        return -EIO;
    deed->ended++;
    return dice_below(&w.dice, 20) > 0 ? 0 : ferry_job_reject(job, "by chance");
}

static int on_call(ferry_request *request, void *ctx) {
    Deed *deed;

    (void)ctx;
    /* The body is a list of one short text. */
    deed =
        deed_of((ferry_bytes){(const char *)request->body.data + 2, request->body.len - 2, NULL});
    if (!deed) {
        CU_FAIL("a call that was not made");
        return -EINVAL;
    }
    if (deed->runs++ == 0 && deed->throws)
        return ferry_request_throw(request, "promises.Failed", NULL, "by chance");
    return ferry_request_return(request, request->body);
}

static int on_note(ferry_request *request, const char *text, void *ctx) {
    Deed *deed = deed_of(ferry_str(text));

    (void)request, (void)ctx;
    if (deed)
        deed->runs++;
    return 0;
}

static void on_message(const ferry_message *message, void *ctx) {
    Deed *deed = deed_of(message->body);

    (void)ctx;
    if (message->missed == FERRY_MISSED_UNKNOWN)
        w.missed_unknown = true;
    else
        w.n_missed += message->missed;
    if (!deed) {
        CU_FAIL("a message that was not published");
        return;
    }
    deed->runs++;
    if (deed->kind == RETAIN)
        w.value = (int)(deed - w.deeds) + 1;
}

/* Serving and subscribing wait for an answer: a fault may make another attempt necessary. */
#define INSIST(expression)                                                                         \
    do {                                                                                           \
        uint64_t until_ms_ = clock_ms() + PATIENCE_MS;                                             \
        int r_;                                                                                    \
        while ((r_ = (expression)) < 0 && clock_ms() < until_ms_)                                  \
            sleep_ms(5);                                                                           \
        CU_ASSERT_EQUAL_FATAL(r_, 0);                                                              \
    } while (0)

static ferry_client *open_at(const char *url, const ferry_options *options) {
    ferry_client *client = NULL;

    CU_ASSERT_EQUAL_FATAL(ferry_open(url, options, &client, NULL), 0);
    INSIST(ferry_ping(client, NULL, NULL));
    return client;
}

/* When UP is reported, the broker knows that the server's earlier connection is lost. UP may be
 * reported after this connection was cut again: then DOWN follows. */
static void on_server_event(int event, const ferry_error *error, void *ctx) {
    (void)error, (void)ctx;
    if (event == FERRY_EVENT_UP)
        w.n_back = w.n_lost;
    else if (event == FERRY_EVENT_DOWN)
        w.n_lost++;
}

static ferry_client *open_far(const char *name) {
    bool is_server = strcmp(name, "server") == 0;

    return open_at(proxy_url(w.far),
                   &(ferry_options){.name = name,
                                    .timeout_ms = PATIENCE_MS,
                                    .on_event = is_server ? on_server_event : NULL});
}

static void open_server(void) {
    static const typed_handlers handlers = {.note = on_note};
    const ferry_serve_options options = {.slots = 4};

    w.server = open_far("server");
    INSIST(ferry_serve_method(w.server, "promises.All.echo", &options, on_call, NULL, NULL, NULL));
    INSIST(typed_serve(w.server, &handlers, &options, NULL, NULL, NULL));
}

static void open_worker(void) {
    const ferry_work_options options = {.slots = 1 + (uint32_t)dice_below(&w.dice, 4)};

    w.worker = open_far("worker");
    INSIST(ferry_work(w.worker, w.queue, &options, on_job, NULL, NULL, NULL));
    INSIST(ferry_work(w.worker, w.next, &options, on_job, NULL, NULL, NULL));
}

static void open_watcher(void) {
    w.watcher = open_far("watcher");
    INSIST(ferry_subscribe(w.watcher, w.pattern, NULL, on_message, NULL, NULL, NULL));
}

static void open_front(void) {
    const ferry_options again = {.idempotent = true, .timeout_ms = TIMEOUT_MS};
    const ferry_options patient = {.timeout_ms = PATIENCE_MS};

    w.front =
        open_at(proxy_url(w.near), &(ferry_options){.name = "front", .timeout_ms = TIMEOUT_MS});
    CU_ASSERT_EQUAL_FATAL(ferry_with(w.front, &again, &w.again, NULL), 0);
    /* A oneway call is dropped at its deadline, like other calls. */
    CU_ASSERT_EQUAL_FATAL(ferry_with(w.front, &patient, &w.patient, NULL), 0);
}

static void turn(uint64_t ms) {
    ferry_client *const all[] = {w.front, w.server, w.worker, w.watcher};

    turn_all_for(all, 4, ms);
}

/* ---- the program ---- */

static Deed *new_deed(Kind kind, char *text) {
    Deed *deed = &w.deeds[w.n_deeds++];

    *deed = (Deed){
        .kind = kind, .n_kills = w.n_kills, .n_lost = w.n_lost, .was_served = w.n_back == w.n_lost};
    sprintf(text, "%d", w.n_deeds);
    return deed;
}

static void done(Deed *deed, const ferry_error *error) {
    deed->n_done++;
    w.n_open--;
    deed->code = error ? error->code : 0;
    deed->unknown = error && error->outcome_unknown;
    deed->threw = error && strcmp(error->type, "promises.Failed") == 0;
}

static void on_done(const ferry_error *error, void *ctx) {
    done(ctx, error);
}

static void on_reply(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    (void)reply;
    done(ctx, error);
}

/* The function has returned r; if it has a callback, the callback decides later. */
static void returned(Deed *deed, int r, bool has_callback, const ferry_error *error) {
    deed->accepted = r == 0;
    deed->has_callback = has_callback;
    if (r < 0 || !has_callback)
        deed->code = r;
    deed->unknown = r < 0 && error && error->outcome_unknown;
    w.n_open += r == 0 && has_callback;
}

/* Most bodies are short, some fill a slow line. */
static ferry_bytes body_of(const char *text) {
    static char body[SLOW_BODY + 16];
    size_t len = strlen(text), all = dice_below(&w.dice, 6) > 0 ? len + 1 : SLOW_BODY;

    memset(body, ' ', all);
    memcpy(body, text, len);
    return (ferry_bytes){body, all, NULL};
}

static void push(bool waits) {
    ferry_error error = FERRY_ERROR_INIT;
    char text[12], key[60];
    Deed *deed = new_deed(PUSH, text);
    const ferry_push_options options = {
        .priority = (uint32_t)dice_below(&w.dice, 3),
        .delay_ms = dice_below(&w.dice, 4) ? 0 : 20,
        .key = dice_below(&w.dice, 4) ? NULL : key,
    };
    int r;

    deed->key = options.key ? 1 + (int)dice_below(&w.dice, KEYS) : 0;
    snprintf(key, sizeof(key), "%s.%d", w.queue, deed->key);
    r = waits ? ferry_push(w.front, w.queue, body_of(text), &options, &error)
              : ferry_push_async(w.front, w.queue, body_of(text), &options, on_done, deed, &error);
    returned(deed, r, !waits, &error);
    ferry_error_clear(&error);
}

static void call(bool idempotent) {
    ferry_error error = FERRY_ERROR_INIT;
    char text[12], args[16];
    Deed *deed = new_deed(idempotent ? CALL_AGAIN : CALL, text);
    int len = sprintf(args, "\x91%c%s", (char)(0xA0 | strlen(text)), text);
    int r;

    deed->throws = dice_below(&w.dice, 8) == 0;
    r = ferry_call_async(idempotent ? w.again : w.front, "promises.All.echo",
                         (ferry_bytes){args, (size_t)len, NULL}, on_reply, deed, &error);
    returned(deed, r, true, &error);
    ferry_error_clear(&error);
}

static void oneway(void) {
    char text[12];
    Deed *deed = new_deed(ONEWAY, text);

    returned(deed, typed_note(w.patient, text, NULL), false, NULL);
    deed->code = -EINPROGRESS; /* before the flush, success is not promised */
}

static void publish(bool retain) {
    ferry_error error = FERRY_ERROR_INIT;
    char text[12];
    Deed *deed = new_deed(retain ? RETAIN : PUBLISH, text);
    const ferry_publish_options options = {.retain = retain, .fn = on_done, .ctx = deed};

    returned(deed,
             ferry_publish(w.front, retain ? w.kept : w.topic, body_of(text), &options, &error),
             true, &error);
    ferry_error_clear(&error);
}

static void flush(void) {
    int r = ferry_flush(w.front, NULL);

    for (int i = 0; i < w.n_deeds; i++)
        if (w.deeds[i].kind == ONEWAY && w.deeds[i].accepted && !w.deeds[i].flushed) {
            w.deeds[i].flushed = true;
            w.deeds[i].code = r;
        }
}

/* ---- faults ---- */

static void restart_broker(void) {
    daemon_kill(&w.broker);
    w.n_kills++;
    w.n_lost++;
    turn(dice_below(&w.dice, 30));
    daemon_restart(&w.broker);
}

static void cut(Proxy *line) {
    w.n_lost += line == w.far;
    proxy_cut(line);
}

static void slow(Proxy *line) {
    if (dice_below(&w.dice, 2))
        proxy_drip(line, 20 + dice_below(&w.dice, 80));
    else
        proxy_stall(line, 10 + dice_below(&w.dice, 100));
}

static void change_server(void) {
    w.server = ferry_close(w.server);
    w.n_lost++;
    turn(dice_below(&w.dice, 20));
    open_server();
}

static void change_worker(void) {
    w.worker = ferry_close(w.worker);
    turn(dice_below(&w.dice, 20));
    open_worker();
}

static void step(void) {
    Proxy *line = dice_below(&w.dice, 2) ? w.near : w.far;

    switch (dice_below(&w.dice, 100)) {
    case 0:
    case 1:
        restart_broker();
        break;
    case 2:
    case 3:
    case 4:
        cut(line);
        break;
    case 5:
    case 6:
    case 7:
        slow(line);
        break;
    case 8:
        change_server();
        break;
    case 9:
        change_worker();
        break;
    case 10:
    case 11:
    case 12:
    case 13:
        flush();
        break;
    default:
        switch (dice_below(&w.dice, 8)) {
        case 0:
        case 1:
            push(false);
            break;
        case 2:
            push(true);
            break;
        case 3:
            call(false);
            break;
        case 4:
            call(true);
            break;
        case 5:
            oneway();
            break;
        case 6:
            publish(false);
            break;
        default:
            publish(true);
        }
    }
    if (dice_below(&w.dice, 2))
        turn(dice_below(&w.dice, 4));
}

/* ---- the model ---- */

/* The number of pushes with the same key that reached a worker. */
static int n_stored(const Deed *deed) {
    int n = 0;

    for (int i = 0; i < w.n_deeds; i++)
        n += w.deeds[i].kind == PUSH && w.deeds[i].key == deed->key && w.deeds[i].runs > 0;
    return n;
}

static bool is_lost(const Deed *deed) {
    const Deed *by_key = deed;

    if (deed->kind != PUSH || deed->code != 0)
        return false;
    for (int i = 0; deed->key && i < w.n_deeds && by_key->ended == 0; i++)
        if (w.deeds[i].kind == PUSH && w.deeds[i].key == deed->key)
            by_key = &w.deeds[i];
    return by_key->ended == 0;
}

static bool all_pushes_came(void) {
    for (int i = 0; i < w.n_deeds; i++)
        if (is_lost(&w.deeds[i]))
            return false;
    return true;
}

static const char *broken(const Deed *deed) {
    bool known = !deed->unknown;

    if (deed->n_done != (deed->accepted && deed->has_callback))
        return "its callback did not run once";
    if (!deed->accepted && known && deed->runs > 0)
        return "it was refused, and took place";
    switch (deed->kind) {
    case PUSH:
        if (is_lost(deed))
            return "it was confirmed, and is lost";
        if (deed->key && n_stored(deed) > 1)
            return "its key was stored twice";
        break;
    case CALL:
    case CALL_AGAIN:
        if (deed->kind == CALL && deed->runs > 1)
            return "it ran twice";
        if ((deed->code == 0 || deed->threw) && deed->runs == 0)
            return "it has an answer, and did not run";
        if (deed->threw)
            return NULL;
        break;
    case ONEWAY:
        if (deed->runs > 1)
            return "it ran twice";
        if (deed->flushed && deed->code == 0 && deed->was_served && deed->n_lost == w.n_lost &&
            deed->runs == 0)
            return "it was flushed, and is lost";
        return NULL;
    case PUBLISH:
        if (deed->runs > 1)
            return "it came twice";
        break;
    case RETAIN:
        break;
    }
    return deed->code < 0 && known && deed->runs > 0 ? "it failed, and took place" : NULL;
}

/* The faults are over: wait until the promises are fulfilled. */
static void settle(void) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;
    ferry_error error = FERRY_ERROR_INIT;
    Deed *last;
    char text[12];

    w.is_settling = true;
    while ((w.n_open > 0 || !all_pushes_came()) && clock_ms() < until_ms)
        turn(2);
    INSIST(ferry_ping(w.watcher, NULL, NULL));
    flush();
    last = new_deed(RETAIN, text);
    for (;;) {
        const ferry_publish_options options = {.retain = true, .fn = on_done, .ctx = last};

        returned(last, ferry_publish(w.front, w.kept, ferry_str(text), &options, &error), true,
                 &error);
        ferry_error_clear(&error);
        while (w.n_open > 0 && clock_ms() < until_ms)
            turn(1);
        if (last->code == 0 || clock_ms() > until_ms)
            break;
        *last = (Deed){.kind = RETAIN};
    }
    while (w.value < w.n_deeds && clock_ms() < until_ms)
        turn(1);
    turn(20); /* a second copy would come now */
}

/* The last value that was confirmed before settle(), if the broker that confirmed it still runs. */
static int least_value(void) {
    for (int i = w.n_deeds; i-- > 0;)
        if (w.deeds[i].kind == RETAIN && w.deeds[i].n_done && w.deeds[i].code == 0)
            return w.deeds[i].n_kills == w.n_kills ? i + 1 : 0;
    return 0;
}

static int judge(uint64_t seed) {
    int n_broken = 0, n_unseen = 0;

    for (int i = 0; i < w.n_deeds; i++) {
        const Deed *deed = &w.deeds[i];
        const char *problem = broken(deed);

        if (problem) {
            printf("\n    seed %" PRIu64 ", deed %d of %d, %s: %s (code %d, unknown %d, runs %d, "
                   "callbacks %d, accepted %d)",
                   seed, i + 1, w.n_deeds, kinds[deed->kind], problem, deed->code, deed->unknown,
                   deed->runs, deed->n_done, deed->accepted);
            n_broken++;
        }
        n_unseen += (deed->kind == PUBLISH || deed->kind == RETAIN) && deed->n_done &&
                    deed->code == 0 && deed->runs == 0;
    }
    if (!w.missed_unknown && (uint64_t)n_unseen > w.n_missed) {
        printf("\n    seed %" PRIu64 ": %d confirmed publishes did not come, %" PRIu64
               " are counted as missed",
               seed, n_unseen, w.n_missed);
        n_broken++;
    }
    if (w.value < least_value()) {
        printf("\n    seed %" PRIu64 ": the subscriber has the value %d, not %d", seed, w.value,
               least_value());
        n_broken++;
    }
    return n_broken;
}

static void play(uint64_t seed) {
    Daemon broker = w.broker;
    Proxy *near = w.near, *far = w.far;
    int n_broken;

    w = (World){.dice = dice_of(seed), .broker = broker, .near = near, .far = far};
    snprintf(w.queue, sizeof(w.queue), "queue.%" PRIu64, seed);
    snprintf(w.next, sizeof(w.next), "next.%" PRIu64, seed);
    snprintf(w.topic, sizeof(w.topic), "topic.%" PRIu64 ".news", seed);
    snprintf(w.kept, sizeof(w.kept), "topic.%" PRIu64 ".value", seed);
    snprintf(w.pattern, sizeof(w.pattern), "topic.%" PRIu64 ".*", seed);
    open_front();
    open_server();
    open_worker();
    open_watcher();
    for (int i = 0; i < STEPS; i++)
        step();
    settle();
    n_broken = judge(seed);
    CU_ASSERT_EQUAL(n_broken, 0);
    printf("%s%" PRIu64, n_broken ? "\n    broken: " : " ", seed);
    fflush(stdout);
    ferry_close(w.again);
    ferry_close(w.patient);
    ferry_close(w.front);
    ferry_close(w.server);
    ferry_close(w.worker);
    ferry_close(w.watcher);
}

static void every_return_value_keeps_its_promise(void) {
    daemon_start(&w.broker, &(DaemonOptions){.tcp = true,
                                             .data = true,
                                             .level = "error",
                                             .config = "[broker]\nlease_grace = 100ms\n"
                                                       "retry = 5ms\nretry_max = 20ms\n"
                                                       "max_attempts = 0\n"});
    w.near = proxy_start(w.broker.port);
    w.far = proxy_start(w.broker.port);
    printf("\n    seeds:");
    EACH_SEED(seed, 1, 2) {
        play(seed);
    }
    proxy_stop(w.near);
    proxy_stop(w.far);
    daemon_end(&w.broker);
}

int main(int argc, char **argv) {
    CU_TestInfo tests[] = {
        TEST(every_return_value_keeps_its_promise),
        TESTS_END,
    };

    (void)argc, (void)argv;
    return run_suite("promises of the client API", tests);
}

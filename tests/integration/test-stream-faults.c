/* SPDX-License-Identifier: Apache-2.0 */

/* Streams that are long, streams that are not read, and streams whose other end is lost. */

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ferry/ferry.h>

#include "base/clock.h"
#include "rpc/wire/limits.h"
#include "support/faults.h"
#include "support/process.h"
#include "support/suite.h"

enum { ITEM = 32 * 1024, LONG_ITEMS = 4096, MEMORY_KIB = 32 * 1024, WITHIN_MS = 60000 };

/* ---- the server, in a process of its own ---- */

/* Reports to the test which error stopped a handler. */
static int stopped(const char *what, int r) {
    tell("%s %d", what, r);
    return r;
}

static int echo(ferry_request *request, void *ctx) {
    ferry_bytes item;
    int r;

    (void)ctx;
    while ((r = ferry_request_receive(request, &item)) > 0) {
        r = ferry_request_yield(request, item);
        if (r < 0)
            return stopped("yield", r);
    }
    return r < 0 ? stopped("receive", r) : ferry_request_return(request, ferry_str("\xc0"));
}

static int source(ferry_request *request, void *ctx) {
    static char item[ITEM];
    int r;

    (void)ctx;
    while ((r = ferry_request_yield(request, ferry_bytes_of(item, sizeof(item)))) == 0)
        continue;
    return stopped("yield", r);
}

/* Takes two items, and fails. */
static int fail(ferry_request *request, void *ctx) {
    ferry_bytes item;

    (void)ctx;
    for (int i = 0; i < 2; i++)
        if (ferry_request_receive(request, &item) <= 0)
            return -EPIPE;
    return ferry_request_throw(request, "test.Broken", NULL, "two are enough");
}

/* Answers after the caller has ended its side. */
static int after_the_end(ferry_request *request, void *ctx) {
    ferry_bytes item;
    int n = 0, r;

    (void)ctx;
    while ((r = ferry_request_receive(request, &item)) > 0)
        n++;
    for (int i = 0; r == 0 && i < n; i++)
        r = ferry_request_yield(request, ferry_str("late"));
    return r < 0 ? r : ferry_request_return(request, ferry_str("\xc0"));
}

static void on_change(ferry_request *request, void *ctx) {
    (void)ctx;
    if (ferry_request_cancelled(request)) {
        tell("cancelled 0");
        ferry_request_return(request, ferry_str("\xc0"));
    }
}

static int ignore(ferry_request *request, void *ctx) {
    (void)ctx;
    return ferry_request_watch(ferry_request_defer(request), on_change, NULL);
}

static int play_streams(int argc, char **argv) {
    static const struct {
        const char *name;
        int (*handler)(ferry_request *request, void *ctx);
    } methods[] = {{"test.S.echo", echo},
                   {"test.S.source", source},
                   {"test.S.fail", fail},
                   {"test.S.after", after_the_end},
                   {"test.S.ignore", ignore}};

    ferry_client *server = open_with(argv[0], NULL);

    (void)argc;
    for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++)
        if (ferry_serve_method(server, methods[i].name, &(ferry_serve_options){.slots = 2},
                               methods[i].handler, NULL, NULL, NULL) < 0)
            return EXIT_FAILURE;
    ferry_ping(server, NULL, NULL);
    tell("ready 0");
    return ferry_run(server, NULL) < 0;
}

/* A caller that stops in the middle of a stream. */
static int play_caller(int argc, char **argv) {
    ferry_client *client = open_with(argv[0], NULL);
    ferry_stream *stream = NULL;
    ferry_bytes item;

    (void)argc;
    if (ferry_stream_open(client, argv[1], ferry_str("\x90"), FERRY_SEND | FERRY_RECEIVE, &stream,
                          NULL) < 0 ||
        ferry_stream_send(stream, ferry_str("a"), NULL) < 0)
        return EXIT_FAILURE;
    if (strcmp(argv[1], "test.S.echo") == 0 && ferry_stream_next(stream, &item, NULL) != 1)
        return EXIT_FAILURE;
    ferry_ping(client, NULL, NULL); /* the broker has the item too */
    tell("ready 0");
    for (;;)
        sleep_ms(1000);
}

/* ---- set-up and tear-down of every test ---- */

static Daemon broker;
static Process peer;
static ferry_client *client;

static void set_up(void) {
    daemon_start(&broker, NULL);
    role_start(&peer, "streams", broker.url, NULL);
    CU_ASSERT_TRUE(told_count(&peer, "ready", 0, PATIENCE_MS, NULL));
    client = open_with(broker.url, NULL);
}

static void tear_down(void) {
    ferry_close(client);
    process_end(&peer, SIGKILL, PATIENCE_MS);
    daemon_end(&broker);
}

static ferry_stream *open_stream(ferry_client *from, const char *method) {
    ferry_stream *stream = NULL;

    CU_ASSERT_EQUAL(ferry_stream_open(from, method, ferry_str("\x90"), FERRY_SEND | FERRY_RECEIVE,
                                      &stream, NULL),
                    0);
    return stream;
}

/* Takes the remaining items; returns the result of the last read. */
static int drain(ferry_stream *stream, ferry_error *reterr) {
    ferry_bytes item;
    int r;

    while ((r = ferry_stream_next(stream, &item, reterr)) > 0)
        continue;
    return r;
}

/* True: an item is sent and comes back. */
static bool echo_works(ferry_client *from) {
    ferry_stream *stream = open_stream(from, "test.S.echo");
    ferry_bytes item;
    bool works;

    works = ferry_stream_send(stream, ferry_str("x"), NULL) == 0 &&
            ferry_stream_next(stream, &item, NULL) == 1 && ferry_stream_end(stream, NULL) == 0 &&
            ferry_stream_next(stream, &item, NULL) == 0;
    ferry_stream_close(stream);
    return works;
}

static void check_memory(pid_t pid, const char *who) {
    size_t kib = process_rss_kib(pid);

    printf("\n    memory of the %s: %zu KiB", who, kib);
    CU_ASSERT(kib < MEMORY_KIB);
}

/* ---- length ---- */

/* With a sanitizer the process uses more memory. */
__attribute__((weak)) void __sanitizer_set_death_callback(void (*fn)(void));

typedef struct Sender {
    unsigned n_sent, n_back;
    bool in_order;
    int over;
} Sender;

static void on_progress(ferry_stream *stream, void *ctx) {
    static unsigned block[ITEM / sizeof(unsigned)];
    Sender *sender = ctx;
    ferry_bytes item;
    int r = 0;

    while (r == 0 && sender->n_sent < LONG_ITEMS) {
        block[0] = block[ITEM / sizeof(unsigned) - 1] = sender->n_sent;
        r = ferry_stream_send(stream, ferry_bytes_of(block, sizeof(block)), NULL);
        sender->n_sent += r == 0;
        if (r == 0 && sender->n_sent == LONG_ITEMS)
            ferry_stream_end(stream, NULL);
    }
    while ((r = ferry_stream_next(stream, &item, NULL)) > 0) {
        const char *bytes = item.data;

        sender->in_order &=
            item.len == ITEM && memcmp(bytes, &sender->n_back, sizeof(unsigned)) == 0 &&
            memcmp(bytes + ITEM - sizeof(unsigned), &sender->n_back, sizeof(unsigned)) == 0;
        sender->n_back++;
    }
    sender->over += r != -EAGAIN;
}

static void a_long_stream_takes_little_memory_anywhere(void) {
    Sender sender = {.in_order = true};
    ferry_stream *stream;

    set_up();
    stream = open_stream(client, "test.S.echo");
    CU_ASSERT_EQUAL(ferry_stream_watch(stream, on_progress, &sender), 0);
    CU_ASSERT_TRUE(turn_until(client, &sender.over, 1, 3 * PATIENCE_MS));
    CU_ASSERT_EQUAL(sender.n_back, LONG_ITEMS);
    CU_ASSERT_TRUE(sender.in_order);
    if (!__sanitizer_set_death_callback) {
        check_memory(getpid(), "caller");
        check_memory(peer.pid, "server");
        check_memory(broker.process.pid, "broker");
    }
    ferry_stream_close(stream);
    tear_down();
}

static void a_slow_reader_holds_its_sender_back(void) {
    ferry_stream *stream;
    ferry_bytes item;

    set_up();
    stream = open_stream(client, "test.S.source");
    for (int i = 0; i < 10; i++) {
        CU_ASSERT_EQUAL(ferry_stream_next(stream, &item, NULL), 1);
        sleep_ms(30);
    }
    if (!__sanitizer_set_death_callback) {
        check_memory(peer.pid, "server");
        check_memory(broker.process.pid, "broker");
    }
    /* The sender continues when its items are read. */
    for (int i = 0; i < 1000; i++)
        CU_ASSERT_EQUAL(ferry_stream_next(stream, &item, NULL), 1);
    ferry_stream_close(stream);
    CU_ASSERT_TRUE(told_count(&peer, "yield", -ECANCELED, PATIENCE_MS, NULL));
    CU_ASSERT_TRUE(echo_works(client));
    tear_down();
}

static void items_that_came_before_their_handler_began_are_received(void) {
    ferry_error error = FERRY_ERROR_INIT;
    ferry_stream *first, *second;
    ferry_bytes item;

    set_up();
    first = open_stream(client, "test.S.source");
    CU_ASSERT_EQUAL(ferry_stream_next(first, &item, NULL), 1);
    /* All items of the second stream arrive while the server waits in the handler of the first
     * one. */
    second = open_stream(client, "test.S.echo");
    for (int i = 0; i < 3; i++)
        CU_ASSERT_EQUAL(ferry_stream_send(second, ferry_str("abc"), NULL), 0);
    CU_ASSERT_EQUAL(ferry_stream_end(second, NULL), 0);
    sleep_ms(50);
    ferry_stream_close(first);
    for (int i = 0; i < 3; i++)
        CU_ASSERT_EQUAL(ferry_stream_next(second, &item, &error), 1);
    CU_ASSERT_EQUAL(ferry_stream_next(second, &item, &error), 0);
    if (error.type)
        ferry_error_print(&error, stderr);
    ferry_error_clear(&error);
    ferry_stream_close(second);
    tear_down();
}

/* ---- ends that do not read ---- */

static void a_reader_that_never_reads_ends_the_stream_in_time(void) {
    ferry_error error = FERRY_ERROR_INIT;
    ferry_client *hasty = NULL;
    ferry_stream *stream;
    long r;

    set_up();
    CU_ASSERT_EQUAL(ferry_with(client, &(ferry_options){.timeout_ms = 2000}, &hasty, NULL), 0);
    stream = open_stream(hasty, "test.S.source");
    /* The server gets the error: the end of its own wait, or the broker's. */
    CU_ASSERT_TRUE(told_count(&peer, "yield", INT_MIN, PATIENCE_MS, &r));
    CU_ASSERT(r == -ETIMEDOUT || r == -ECANCELED);
    /* Items that arrived earlier may be taken; then the caller gets the error, too. */
    CU_ASSERT(drain(stream, &error) < 0);
    CU_ASSERT_PTR_NOT_NULL(error.type);
    ferry_error_clear(&error);
    ferry_stream_close(stream);
    CU_ASSERT_TRUE(echo_works(client));
    ferry_close(hasty);
    tear_down();
}

static void a_server_that_never_reads_ends_the_stream_in_time(void) {
    static char block[ITEM];
    ferry_error error = FERRY_ERROR_INIT;
    ferry_client *hasty = NULL;
    ferry_stream *stream;
    uint64_t start_ms = clock_ms();
    int n = 0, r;

    set_up();
    CU_ASSERT_EQUAL(ferry_with(client, &(ferry_options){.timeout_ms = 2000}, &hasty, NULL), 0);
    stream = open_stream(hasty, "test.S.ignore");
    while ((r = ferry_stream_send(stream, ferry_bytes_of(block, sizeof(block)), &error)) == 0 &&
           n < 1000)
        n++;
    CU_ASSERT_EQUAL(r, -ETIMEDOUT);
    CU_ASSERT_STRING_EQUAL(error.type, "ferry.DeadlineExceeded");
    /* At most the first credit of a stream, and one item. */
    CU_ASSERT(n > 0 && n <= WIRE_STREAM_CREDIT / ITEM + 1);
    CU_ASSERT(clock_ms() - start_ms < PATIENCE_MS);
    ferry_error_clear(&error);
    ferry_stream_close(stream);
    CU_ASSERT_TRUE(told_count(&peer, "cancelled", 0, PATIENCE_MS, NULL));
    ferry_close(hasty);
    tear_down();
}

static void a_caller_that_has_ended_still_receives(void) {
    ferry_error error = FERRY_ERROR_INIT;
    ferry_stream *stream;
    ferry_bytes item;
    int n = 0;

    set_up();
    stream = open_stream(client, "test.S.after");
    for (int i = 0; i < 5; i++)
        CU_ASSERT_EQUAL(ferry_stream_send(stream, ferry_str("x"), &error), 0);
    CU_ASSERT_EQUAL(ferry_stream_end(stream, &error), 0);
    CU_ASSERT_EQUAL(ferry_stream_end(stream, &error), 0);
    CU_ASSERT_EQUAL(ferry_stream_send(stream, ferry_str("x"), &error), -EINVAL);
    ferry_error_clear(&error);
    while (ferry_stream_next(stream, &item, &error) > 0)
        n += item.len == 4;
    CU_ASSERT_EQUAL(n, 5);
    CU_ASSERT_EQUAL(ferry_stream_result(stream, &item, &error), 0);
    CU_ASSERT_PTR_NULL(error.type);
    ferry_stream_close(stream);
    tear_down();
}

static void an_error_in_mid_stream_stops_the_sender(void) {
    ferry_error error = FERRY_ERROR_INIT;
    ferry_stream *stream;
    int r;

    set_up();
    stream = open_stream(client, "test.S.fail");
    while ((r = ferry_stream_send(stream, ferry_str("x"), &error)) == 0)
        continue;
    CU_ASSERT_EQUAL(r, -EREMOTEIO);
    CU_ASSERT_STRING_EQUAL(error.type, "test.Broken");
    ferry_error_clear(&error);
    CU_ASSERT_EQUAL(drain(stream, &error), -EREMOTEIO);
    CU_ASSERT_STRING_EQUAL(error.message, "two are enough");
    ferry_error_clear(&error);
    ferry_stream_close(stream);
    CU_ASSERT_TRUE(echo_works(client));
    tear_down();
}

/* ---- ends that go away ---- */

static void the_caller_of_a_killed_server_gets_an_error(void) {
    ferry_error error = FERRY_ERROR_INIT;
    ferry_stream *reading, *writing;
    ferry_bytes item;
    uint64_t start_ms;
    int r;

    set_up();
    writing = open_stream(client, "test.S.ignore");
    reading = open_stream(client, "test.S.echo");
    CU_ASSERT_EQUAL(ferry_stream_send(reading, ferry_str("x"), NULL), 0);
    CU_ASSERT_EQUAL(ferry_stream_next(reading, &item, NULL), 1);
    process_end(&peer, SIGKILL, PATIENCE_MS);

    start_ms = clock_ms();
    CU_ASSERT(drain(reading, &error) < 0);
    CU_ASSERT_STRING_EQUAL(error.type, "ferry.ServerLost");
    CU_ASSERT_TRUE(error.outcome_unknown);
    ferry_error_clear(&error);
    while ((r = ferry_stream_send(writing, ferry_str("x"), &error)) == 0)
        continue;
    CU_ASSERT_STRING_EQUAL(error.type, "ferry.ServerLost");
    CU_ASSERT(clock_ms() - start_ms < WITHIN_MS);
    ferry_error_clear(&error);
    ferry_stream_close(reading);
    ferry_stream_close(writing);
    tear_down();
}

static void the_server_of_a_killed_caller_is_told(void) {
    static const struct {
        const char *method, *word;
        long r;
    } cases[] = {{"test.S.echo", "receive", -ECANCELED},
                 {"test.S.source", "yield", -ECANCELED},
                 {"test.S.ignore", "cancelled", 0}};

    set_up();
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        Process caller;

        role_start(&caller, "caller", broker.url, cases[i].method, NULL);
        CU_ASSERT_TRUE(told_count(&caller, "ready", 0, PATIENCE_MS, NULL));
        process_end(&caller, SIGKILL, PATIENCE_MS);
        CU_ASSERT_TRUE(told_count(&peer, cases[i].word, cases[i].r, WITHIN_MS, NULL));
        CU_ASSERT_TRUE(echo_works(client));
    }
    tear_down();
}

static void a_broker_that_comes_back_leaves_both_ends_usable(void) {
    ferry_error error = FERRY_ERROR_INIT;
    uint64_t until_ms = clock_ms() + PATIENCE_MS;
    ferry_stream *stream;
    ferry_bytes item;
    bool works = false;
    long r;

    set_up();
    stream = open_stream(client, "test.S.echo");
    CU_ASSERT_EQUAL(ferry_stream_send(stream, ferry_str("x"), NULL), 0);
    CU_ASSERT_EQUAL(ferry_stream_next(stream, &item, NULL), 1);
    daemon_kill(&broker);
    CU_ASSERT(drain(stream, &error) < 0);
    CU_ASSERT_TRUE(error.outcome_unknown);
    CU_ASSERT_EQUAL(ferry_stream_send(stream, ferry_str("x"), NULL), error.code);
    ferry_error_clear(&error);
    CU_ASSERT_TRUE(told_count(&peer, "receive", INT_MIN, PATIENCE_MS, &r));
    CU_ASSERT(r == -ECANCELED || r == -ECONNRESET);
    ferry_stream_close(stream);

    daemon_restart(&broker);
    while (!works && clock_ms() < until_ms)
        works = echo_works(client);
    CU_ASSERT_TRUE(works);
    tear_down();
}

/* ---- a full outbox ---- */

/* The broker is stopped and reads nothing until it continues. */
static void fill_outbox(ferry_client *of) {
    static char block[64 * 1024];

    process_signal(&broker.process, SIGSTOP);
    while (ferry_publish(of, "test.filler", ferry_bytes_of(block, sizeof(block)), NULL, NULL) == 0)
        continue;
}

typedef struct Waiting {
    int n_refused, n_taken;
} Waiting;

static void on_room(ferry_stream *stream, void *ctx) {
    Waiting *waiting = ctx;
    int r = ferry_stream_send(stream, ferry_str("x"), NULL);

    waiting->n_refused += r == -EAGAIN;
    waiting->n_taken += r == 0;
}

static void a_watched_stream_is_called_when_there_is_room_again(void) {
    Waiting waiting = {0};
    ferry_stream *stream;

    set_up();
    stream = open_stream(client, "test.S.ignore");
    turn_for(client, 20);
    fill_outbox(client);
    CU_ASSERT_EQUAL(ferry_stream_watch(stream, on_room, &waiting), 0);
    CU_ASSERT_TRUE(turn_until(client, &waiting.n_refused, 1, WITHIN_MS));
    CU_ASSERT_EQUAL(waiting.n_taken, 0);
    process_signal(&broker.process, SIGCONT);
    CU_ASSERT_TRUE(turn_until(client, &waiting.n_taken, 1, PATIENCE_MS));
    ferry_stream_close(stream);
    tear_down();
}

static void on_request_room(ferry_request *request, void *ctx) {
    Waiting *waiting = ctx;
    int r = ferry_request_yield(request, ferry_str("x"));

    waiting->n_refused += r == -EAGAIN;
    waiting->n_taken += r == 0;
}

static ferry_request *held;

static int hold(ferry_request *request, void *ctx) {
    (void)ctx;
    held = ferry_request_defer(request);
    return 0;
}

static void a_watched_request_is_called_when_there_is_room_again(void) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;
    Waiting waiting = {0};
    ferry_client *caller;
    ferry_stream *stream;

    set_up();
    caller = open_with(broker.url, NULL);
    CU_ASSERT_EQUAL(ferry_serve_method(client, "test.Held.hold", NULL, hold, NULL, NULL, NULL), 0);
    ferry_ping(client, NULL, NULL);
    stream = open_stream(caller, "test.Held.hold");
    while (!held && clock_ms() < until_ms) {
        ferry_process(caller, NULL);
        ferry_process(client, NULL);
    }
    CU_ASSERT_PTR_NOT_NULL_FATAL(held);
    fill_outbox(client);
    CU_ASSERT_EQUAL(ferry_request_watch(held, on_request_room, &waiting), 0);
    CU_ASSERT_EQUAL(ferry_request_yield(held, ferry_str("x")), -EAGAIN);
    process_signal(&broker.process, SIGCONT);
    CU_ASSERT_TRUE(turn_until(client, &waiting.n_taken, 1, PATIENCE_MS));
    CU_ASSERT_EQUAL(ferry_request_return(held, ferry_str("\xc0")), 0);
    ferry_stream_close(stream);
    ferry_close(caller);
    tear_down();
}

int main(int argc, char **argv) {
    static const Role roles[] = {{"streams", play_streams}, {"caller", play_caller}, {NULL, NULL}};
    CU_TestInfo tests[] = {
        TEST(a_long_stream_takes_little_memory_anywhere),
        TEST(a_slow_reader_holds_its_sender_back),
        TEST(items_that_came_before_their_handler_began_are_received),
        TEST(a_reader_that_never_reads_ends_the_stream_in_time),
        TEST(a_server_that_never_reads_ends_the_stream_in_time),
        TEST(a_caller_that_has_ended_still_receives),
        TEST(an_error_in_mid_stream_stops_the_sender),
        TEST(the_caller_of_a_killed_server_gets_an_error),
        TEST(the_server_of_a_killed_caller_is_told),
        TEST(a_broker_that_comes_back_leaves_both_ends_usable),
        TEST(a_watched_stream_is_called_when_there_is_room_again),
        TEST(a_watched_request_is_called_when_there_is_room_again),
        TESTS_END,
    };

    roles_play(argc, argv, roles);
    return run_suite("streams cut short", tests);
}

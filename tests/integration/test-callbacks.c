/* SPDX-License-Identifier: Apache-2.0 */

/* The functions that a callback may call, and the messages that are deferred while it runs. */

#include "support/broker.h"
#include "support/suite.h"

static TestBroker broker;
static Runner server;

static int echo(ferry_request *request, void *ctx) {
    (void)ctx;
    return ferry_request_return(request, request->body);
}

static int set_up(ferry_client *client, void *ctx) {
    return ferry_serve_method(client, "test.Echo.echo", &(ferry_serve_options){.slots = 1000}, echo,
                              ctx, NULL, NULL);
}

static const ferry_bytes one = {"\x01", 1, NULL};

typedef struct Blocking {
    ferry_client *client;
    int n, depth, deepest;
    int64_t result;
} Blocking;

static void call_inside(const ferry_message *message, void *ctx) {
    Blocking *b = ctx;
    ferry_reply *reply = NULL;

    (void)message;
    b->depth++;
    b->deepest = b->depth > b->deepest ? b->depth : b->deepest;
    CU_ASSERT_EQUAL(ferry_call(b->client, "test.Echo.echo", one, &reply, NULL), 0);
    b->result = reply_int(reply);
    ferry_free(reply);
    b->depth--;
    b->n++;
    CU_ASSERT_EQUAL(message->seq, (uint64_t)b->n);
}

static void a_blocking_call_in_a_callback_defers_other_messages(void) {
    ferry_client *pub = connect_client(&broker);
    Blocking b = {.client = connect_client(&broker)};

    CU_ASSERT_EQUAL(ferry_subscribe(b.client, "nest", NULL, call_inside, &b, NULL, NULL), 0);
    for (int i = 0; i < 500; i++) {
        ferry_publish(pub, "nest", one, NULL, NULL);
        if (i % 50 == 0)
            ferry_process(pub, NULL);
    }
    CU_ASSERT_TRUE(process_both_until(b.client, pub, &b.n, 500));
    CU_ASSERT_EQUAL(b.deepest, 1);
    CU_ASSERT_EQUAL(b.result, 1);
    ferry_close(b.client);
    ferry_close(pub);
}

typedef struct Flooded {
    ferry_client *client, *pub;
    int n;
    uint64_t missed;
    uint32_t last;
    bool flooded;
} Flooded;

enum { FLOOD = 4000, FLOOD_BODY = 4096 };

/* While this callback waits for calls, 16 MiB are published: more than the backlog can have. */
static void call_in_a_flood(const ferry_message *message, void *ctx) {
    Flooded *f = ctx;
    static uint8_t body[FLOOD_BODY];

    f->n++;
    f->missed += message->missed;
    memcpy(&f->last, message->body.data, sizeof(f->last));
    if (f->flooded)
        return;
    f->flooded = true;
    for (uint32_t i = 1; i <= FLOOD; i++) {
        memcpy(body, &i, sizeof(i));
        while (ferry_publish(f->pub, "flood", ferry_bytes_of(body, sizeof(body)), NULL, NULL) < 0)
            ferry_flush(f->pub, NULL);
        if (i % 100 == 0)
            CU_ASSERT_EQUAL(ferry_call(f->client, "test.Echo.echo", one, NULL, NULL), 0);
    }
    CU_ASSERT_EQUAL(ferry_flush(f->pub, NULL), 0);
    CU_ASSERT_EQUAL(ferry_call(f->client, "test.Echo.echo", one, NULL, NULL), 0);
}

static void a_flood_during_a_blocking_call_is_bounded_by_the_subscriptions_policy(void) {
    Flooded f = {.client = connect_client(&broker), .pub = connect_client(&broker)};
    const ferry_subscribe_options newest = {.overflow = FERRY_DROP_OLDEST, .backlog = 64 * 1024};
    static const uint8_t first[FLOOD_BODY];
    int64_t end_ms = (int64_t)clock_ms() + 60000;

    CU_ASSERT_EQUAL(ferry_subscribe(f.client, "flood", &newest, call_in_a_flood, &f, NULL, NULL),
                    0);
    CU_ASSERT_EQUAL(ferry_publish(f.pub, "flood", ferry_bytes_of(first, sizeof(first)), NULL, NULL),
                    0);
    while (f.last < FLOOD && (int64_t)clock_ms() < end_ms) {
        ferry_process(f.client, NULL);
        ferry_process(f.pub, NULL);
    }
    /* The oldest messages were dropped: the last one has come, and each other one has come or is
     * counted as missed. */
    CU_ASSERT_EQUAL(f.last, FLOOD);
    CU_ASSERT_EQUAL((uint64_t)f.n + f.missed, FLOOD + 1);
    CU_ASSERT(f.n < FLOOD / 2);
    ferry_close(f.client);
    ferry_close(f.pub);
}

static void count(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    int *codes = ctx;

    (void)reply;
    codes[0]++;
    codes[1] = error ? error->code : 0;
}

/* The client begins no other request until this one has ended. */
static int call_myself(ferry_request *request, void *ctx) {
    ferry_error error = FERRY_ERROR_INIT;
    int *code = ctx;

    *code = ferry_call(ferry_request_client(request), "test.Self.inner", one, NULL, &error);
    CU_ASSERT_STRING_EQUAL(error.type ? error.type : "", "ferry.Overloaded");
    ferry_error_clear(&error);
    return ferry_request_return(request, one);
}

static void a_blocking_call_of_a_service_of_ones_own_fails_at_once(void) {
    ferry_client *client = connect_client(&broker), *served = connect_client(&broker);
    int codes[2] = {0}, code = 0;

    CU_ASSERT_EQUAL(ferry_serve_method(served, "test.Self.outer",
                                       &(ferry_serve_options){.slots = 9}, call_myself, &code, NULL,
                                       NULL),
                    0);
    CU_ASSERT_EQUAL(ferry_serve_method(served, "test.Self.inner", NULL, echo, NULL, NULL, NULL), 0);
    CU_ASSERT_EQUAL(ferry_call_async(client, "test.Self.outer", one, count, codes, NULL), 0);
    CU_ASSERT_TRUE(process_both_until(client, served, codes, 1));
    CU_ASSERT_EQUAL(codes[1], 0);
    CU_ASSERT_EQUAL(code, -EBUSY);
    ferry_close(served);
    ferry_close(client);
}

static void note(const ferry_message *message, void *ctx) {
    int *n = ctx;

    (void)message;
    ++*n;
}

static void a_blocking_call_outside_runs_no_callback(void) {
    ferry_client *client = connect_client(&broker);
    int n = 0;

    CU_ASSERT_EQUAL(ferry_subscribe(client, "quiet", NULL, note, &n, NULL, NULL), 0);
    CU_ASSERT_EQUAL(ferry_publish(client, "quiet", one, NULL, NULL), 0);
    CU_ASSERT_EQUAL(ferry_call(client, "test.Echo.echo", one, NULL, NULL), 0);
    CU_ASSERT_EQUAL(ferry_call(client, "test.Echo.echo", one, NULL, NULL), 0);
    CU_ASSERT_EQUAL(n, 0);
    CU_ASSERT_TRUE(process_until(client, &n, 1));
    ferry_close(client);
}

static void close_client(const ferry_message *message, void *ctx) {
    ferry_client **client = ctx;

    (void)message;
    *client = ferry_close(*client);
}

static void a_callback_may_close_its_client(void) {
    ferry_client *client = connect_client(&broker);
    int codes[2] = {0};

    CU_ASSERT_EQUAL(ferry_subscribe(client, "end", NULL, close_client, &client, NULL, NULL), 0);
    ferry_publish(client, "end", one, NULL, NULL);
    CU_ASSERT_EQUAL(ferry_call_async(client, "test.Nobody.call", one, count, codes, NULL), 0);
    CU_ASSERT_EQUAL(ferry_run(client, NULL), 0);
    CU_ASSERT_PTR_NULL(client);
    CU_ASSERT_EQUAL(codes[0], 1);
}

static int defer(ferry_request *request, void *ctx) {
    ferry_request **kept = ctx;

    *kept = ferry_request_defer(request);
    return 0;
}

static void closing_a_handle_cancels_only_its_calls(void) {
    ferry_client *client = connect_client(&broker), *served = connect_client(&broker);
    ferry_client *handle = NULL;
    ferry_request *kept = NULL;
    int mine[2] = {0}, other[2] = {0};

    CU_ASSERT_EQUAL(ferry_serve_method(served, "test.Slow.call", NULL, defer, &kept, NULL, NULL),
                    0);
    CU_ASSERT_EQUAL(ferry_with(client, NULL, &handle, NULL), 0);
    CU_ASSERT_EQUAL(ferry_call_async(handle, "test.Slow.call", one, count, mine, NULL), 0);
    CU_ASSERT_EQUAL(ferry_call_async(client, "test.Echo.echo", one, count, other, NULL), 0);
    for (int i = 0; i < 60000 && !kept; i++) {
        ferry_process(served, NULL);
        usleep(1000);
    }
    CU_ASSERT_PTR_NOT_NULL_FATAL(kept);
    CU_ASSERT_FALSE(ferry_request_cancelled(kept));
    CU_ASSERT_PTR_NULL(ferry_close(handle));
    CU_ASSERT_EQUAL(mine[0], 1);
    CU_ASSERT_EQUAL(mine[1], -ECANCELED);
    CU_ASSERT_TRUE(process_until(client, other, 1));
    CU_ASSERT_EQUAL(other[1], 0);
    for (int i = 0; i < 60000 && !ferry_request_cancelled(kept); i++)
        usleep(1000);
    CU_ASSERT_TRUE(ferry_request_cancelled(kept));
    CU_ASSERT_EQUAL(ferry_request_return(kept, one), 0);
    ferry_close(served);
    ferry_close(client);
}

static void closing_a_client_runs_the_remaining_callbacks(void) {
    ferry_client *client = connect_client(&broker);
    int codes[2] = {0};

    for (int i = 0; i < 10; i++)
        CU_ASSERT_EQUAL(ferry_call_async(client, "test.Echo.echo", one, count, codes, NULL), 0);
    ferry_close(client);
    CU_ASSERT_EQUAL(codes[0], 10);
    CU_ASSERT_EQUAL(codes[1], -ECANCELED);
}

static void an_answer_after_close_is_accepted_and_dropped(void) {
    ferry_client *client = connect_client(&broker), *served = connect_client(&broker);
    ferry_request *kept = NULL;
    int codes[2] = {0};

    CU_ASSERT_EQUAL(ferry_serve_method(served, "test.Gone.call", NULL, defer, &kept, NULL, NULL),
                    0);
    CU_ASSERT_EQUAL(ferry_call_async(client, "test.Gone.call", one, count, codes, NULL), 0);
    for (int i = 0; i < 60000 && !kept; i++) {
        ferry_process(served, NULL);
        usleep(1000);
    }
    ferry_close(served);
    CU_ASSERT_PTR_NOT_NULL_FATAL(kept);
    CU_ASSERT_TRUE(ferry_request_cancelled(kept));
    CU_ASSERT_EQUAL(kept->body.len, 1);
    CU_ASSERT_EQUAL(ferry_request_return(kept, one), -ECANCELED);
    CU_ASSERT_TRUE(process_until(client, codes, 1));
    CU_ASSERT_EQUAL(codes[1], -ECONNRESET);
    ferry_close(client);
}

static void add_one(void *ctx) {
    int *n = ctx;

    ++*n;
}

static void *post_many(void *ctx) {
    void **args = ctx;

    for (int i = 0; i < 1000; i++)
        ferry_post(args[0], add_one, args[1]);
    return NULL;
}

static void posts_run_on_the_clients_thread_in_order(void) {
    ferry_client *client = connect_client(&broker);
    int n = 0;
    void *args[] = {client, &n};
    pthread_t thread;

    pthread_create(&thread, NULL, post_many, args);
    CU_ASSERT_TRUE(process_until(client, &n, 1000));
    pthread_join(thread, NULL);
    ferry_close(client);
}

static void process_inside(void *ctx) {
    void **args = ctx;
    int *code = args[1];

    *code = ferry_process(args[0], NULL);
}

static void turns_do_not_nest(void) {
    ferry_client *client = connect_client(&broker);
    int code = 0;
    void *args[] = {client, &code};

    ferry_post(client, process_inside, args);
    ferry_process(client, NULL);
    CU_ASSERT_EQUAL(code, -EINVAL);
    ferry_close(client);
}

typedef struct Events {
    int of[FERRY_EVENT_MISSED + 1]; /* number of events of each type */
} Events;

static void on_event(int event, const ferry_error *error, void *ctx) {
    Events *events = ctx;

    CU_ASSERT_TRUE_FATAL(event >= FERRY_EVENT_UP && event <= FERRY_EVENT_MISSED);
    events->of[event]++;
    if (event == FERRY_EVENT_DOWN || event == FERRY_EVENT_RETRY || event == FERRY_EVENT_REFUSED)
        CU_ASSERT_PTR_NOT_NULL(error);
}

static void the_program_gets_events_of_its_connection(void) {
    const ferry_serve_options as_one = {.instance = "one"};
    Events events = {0};
    const ferry_options options = {.on_event = on_event, .ctx = &events};
    ferry_client *client = NULL, *rival;
    ferry_error error = FERRY_ERROR_INIT;

    CU_ASSERT_EQUAL(ferry_open(broker.url, &options, &client, NULL), 0);
    CU_ASSERT_TRUE(process_until(client, &events.of[FERRY_EVENT_UP], 1));
    CU_ASSERT_EQUAL(
        ferry_serve_method(client, "event.Echo.echo", &as_one, echo, NULL, NULL, &error), 0);
    broker_kill(&broker);
    CU_ASSERT_TRUE(process_until(client, &events.of[FERRY_EVENT_DOWN], 1));
    CU_ASSERT_TRUE(process_until(client, &events.of[FERRY_EVENT_RETRY], 1));

    /* Another client with the same name has come back first. */
    broker_respawn(&broker);
    rival = connect_client(&broker);
    CU_ASSERT_EQUAL(ferry_serve_method(rival, "event.Echo.echo", &as_one, echo, NULL, NULL, &error),
                    0);
    CU_ASSERT_TRUE(process_until(client, &events.of[FERRY_EVENT_REFUSED], 1));
    CU_ASSERT_EQUAL(events.of[FERRY_EVENT_UP], 2);
    CU_ASSERT_EQUAL(events.of[FERRY_EVENT_DOWN], 1);

    /* A direct call with a name in use is an error, and so is a name that belongs to the broker. */
    CU_ASSERT_EQUAL(
        ferry_serve_method(client, "event.Echo.echo", &as_one, echo, NULL, NULL, &error), -EEXIST);
    CU_ASSERT_EQUAL(ferry_serve_method(client, "ferry.Echo.echo", NULL, echo, NULL, NULL, &error),
                    -EACCES);
    ferry_error_clear(&error);
    ferry_close(rival);
    ferry_close(client);
}

static void unexpected(void *ctx) {
    (void)ctx;
    CU_FAIL("what a child posts does not run");
}

static void a_child_gets_echild(void) {
    ferry_client *client = connect_client(&broker);
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        bool all = ferry_call(client, "test.Echo.echo", one, NULL, NULL) == -ECHILD &&
                   ferry_publish(client, "a", one, NULL, NULL) == -ECHILD &&
                   ferry_process(client, NULL) == -ECHILD && ferry_fd(client) == -ECHILD &&
                   ferry_post(client, unexpected, NULL) == -ECHILD && ferry_stop(client) == -ECHILD;

        ferry_close(client);
        _exit(all ? 0 : 1);
    }
    waitpid(pid, &status, 0);
    CU_ASSERT_EQUAL(status, 0);
    CU_ASSERT_EQUAL(ferry_call(client, "test.Echo.echo", one, NULL, NULL), 0);
    ferry_close(client);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_blocking_call_in_a_callback_defers_other_messages),
        TEST(a_flood_during_a_blocking_call_is_bounded_by_the_subscriptions_policy),
        TEST(a_blocking_call_of_a_service_of_ones_own_fails_at_once),
        TEST(a_blocking_call_outside_runs_no_callback),
        TEST(a_callback_may_close_its_client),
        TEST(closing_a_handle_cancels_only_its_calls),
        TEST(closing_a_client_runs_the_remaining_callbacks),
        TEST(an_answer_after_close_is_accepted_and_dropped),
        TEST(posts_run_on_the_clients_thread_in_order),
        TEST(turns_do_not_nest),
        TEST(a_child_gets_echild),
        TEST(the_program_gets_events_of_its_connection),
        TESTS_END,
    };
    int status;

    broker_spawn(&broker);
    runner_start(&server, &broker, set_up, NULL);
    status = run_suite("client: callbacks", tests);
    runner_stop(&server);
    broker_terminate(&broker);
    return status;
}

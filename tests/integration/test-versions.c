/* SPDX-License-Identifier: Apache-2.0 */
/* A URL that lists brokers of other protocol versions beside a real one. */

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/buffer.h"
#include "rpc/wire/writer.h"
#include "support/broker.h"
#include "support/faults.h"
#include "support/process.h"
#include "support/raw-peer.h"
#include "support/suite.h"

typedef enum Speech {
    FAULTS,         /* refuses HELLO, because it does not speak version 1 */
    WELCOMES_AS_2,  /* chooses version 2 */
    BATCHES_AS_2,   /* sends batches of version 2 */
    LATER_VERSION_1 /* adds fields, keys and ops that version 1 allows */
} Speech;

/* A broker that a script plays. */
typedef struct Scripted {
    int fd;
    uint16_t port;
    char url[64];
    /* atomic: */
    Speech speech;
    unsigned answers;       /* the op that it answers; 0: CALL */
    int n_hellos, n_others; /* messages of clients */
    int n_clients;          /* threads that talk to one */
} Scripted;

static Scripted scripted;
static Daemon broker;

static Speech speech(void) {
    return __atomic_load_n(&scripted.speech, __ATOMIC_ACQUIRE);
}

static int now(const int *n) {
    return __atomic_load_n(n, __ATOMIC_ACQUIRE);
}

/* ---- the script ---- */

/* Sends a message with one more field at its end. */
static void say_more(int fd, const Message *message) {
    uint8_t batch[4096] = {WIRE_MAGIC, WIRE_PROTOCOL};
    uint8_t *end = message_write(batch + WIRE_HEAD, message);

    batch[WIRE_HEAD]++; /* the head of the array: its number of elements */
    *end++ = 0xc3;
    raw_frame(fd, batch, (size_t)(end - batch), 0);
}

static void welcome(int fd) {
    static const uint8_t id[WIRE_TOKEN] = {1};
    CLEANUP(buffer_deinit) Buffer limits = {0};
    bool is_later = speech() == LATER_VERSION_1;
    Message message = {.op = OP_WELCOME,
                       .welcome.version = is_later ? 1 : 2,
                       .welcome.broker = span_of(id, sizeof(id)),
                       .welcome.bytes = 1000000};

    write_map(&limits, 2);
    write_text(&limits, "max_body");
    write_uint(&limits, 1000);
    write_text(&limits, "max_of_a_later_version");
    write_map(&limits, 0);
    message.welcome.limits = span_of(limits.data, limits.len);
    message.welcome.held = span_of("\xc0", 1);
    if (is_later)
        say_more(fd, &message);
    else
        raw_say(fd, &message);
}

static void fault(int fd) {
    CLEANUP(buffer_deinit) Buffer map = {0};

    write_map(&map, 2);
    write_text(&map, "type");
    write_text(&map, "ferry.Unsupported");
    write_text(&map, "message");
    write_text(&map, "HELLO: this broker speaks only version 2");
    raw_say(fd, &(Message){.op = OP_FAULT, .fault.map = span_of(map.data, map.len)});
}

static void answer_hello(int fd) {
    static const uint8_t as_2[] = {WIRE_MAGIC, 2, 0x93, OP_WELCOME, 2, 1};
    static const uint8_t unknown_op[] = {WIRE_MAGIC, WIRE_PROTOCOL, 0x93, 0xcc, 200, 1, 2};

    if (speech() == FAULTS)
        fault(fd);
    else if (speech() == BATCHES_AS_2)
        raw_frame(fd, as_2, sizeof(as_2), 0);
    else
        welcome(fd);
    if (speech() == LATER_VERSION_1)
        raw_frame(fd, unknown_op, sizeof(unknown_op), 0);
}

static unsigned answered_op(void) {
    unsigned op = __atomic_load_n(&scripted.answers, __ATOMIC_ACQUIRE);

    return op ? op : OP_CALL;
}

/* Talks to one client, until it leaves. */
static void *talk(void *ctx) {
    int fd = (int)(intptr_t)ctx;
    Message message;

    if (raw_greet_back(fd) && raw_hear(fd, OP_HELLO, PATIENCE_MS, &message) == HEARD) {
        __atomic_add_fetch(&scripted.n_hellos, 1, __ATOMIC_RELEASE);
        answer_hello(fd);
        while (raw_hear(fd, answered_op(), PATIENCE_MS, &message) == HEARD) {
            __atomic_add_fetch(&scripted.n_others, 1, __ATOMIC_RELEASE);
            /* All fields of OK are set, so that one more is unknown. */
            say_more(fd, &(Message){.op = OP_OK,
                                    .id = message.id,
                                    .body = span_of("\x09", 1),
                                    .ok = {.seq = 1, .outcome = 1, .durability = 1}});
        }
    }
    close(fd);
    __atomic_sub_fetch(&scripted.n_clients, 1, __ATOMIC_RELEASE);
    return NULL;
}

static void *listen_for_clients(void *ctx) {
    pthread_t thread;
    int fd;

    (void)ctx;
    while ((fd = accept4(scripted.fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        __atomic_add_fetch(&scripted.n_clients, 1, __ATOMIC_RELEASE);
        if (pthread_create(&thread, NULL, talk, (void *)(intptr_t)fd) != 0)
            abort();
        pthread_detach(thread);
    }
    return NULL;
}

static pthread_t listener;

static void start(Speech speech) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    scripted = (Scripted){.speech = speech, .port = free_port()};
    scripted.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    at.sin_port = htons(scripted.port);
    CU_ASSERT_EQUAL_FATAL(bind(scripted.fd, (struct sockaddr *)&at, sizeof(at)), 0);
    CU_ASSERT_EQUAL_FATAL(listen(scripted.fd, 10), 0);
    snprintf(scripted.url, sizeof(scripted.url), "tcp://127.0.0.1:%u", scripted.port);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&listener, NULL, listen_for_clients, NULL), 0);
    daemon_start(&broker, NULL);
}

static void end(void) {
    shutdown(scripted.fd, SHUT_RDWR);
    pthread_join(listener, NULL);
    while (now(&scripted.n_clients) > 0)
        sleep_ms(1);
    close(scripted.fd);
    daemon_end(&broker);
}

/* ---- the client ---- */

typedef struct Seen {
    int n_named; /* events about the scripted broker that have the text */
    const char *text;
    int n_messages;
} Seen;

static void note_event(int event, const ferry_error *error, void *ctx) {
    Seen *seen = ctx;

    seen->n_named += event != FERRY_EVENT_UP && error && strstr(error->message, scripted.url) &&
                     strstr(error->message, seen->text);
}

static void note(const ferry_message *message, void *ctx) {
    (void)message;
    ((Seen *)ctx)->n_messages++;
}

static int echo(ferry_request *request, void *ctx) {
    (void)ctx;
    return ferry_request_return(request, request->body);
}

static void answered(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    (void)reply;
    *(int *)ctx += error == NULL;
}

/* The real broker is used; the other one gets HELLO and no further message. */
static void expect_the_other_one(Speech speech, const char *text) {
    Seen seen = {.text = text};
    const ferry_options options = {.on_event = note_event, .ctx = &seen, .timeout_ms = 60000};
    ferry_client *client = NULL, *caller, *both[2];
    ferry_error error = FERRY_ERROR_INIT;
    int n_answers = 0;
    char url[300];

    start(speech);
    snprintf(url, sizeof(url), "%s,%s?prefer=order", scripted.url, broker.url);
    CU_ASSERT_EQUAL_FATAL(ferry_open(url, &options, &client, NULL), 0);
    CU_ASSERT_EQUAL(ferry_serve_method(client, "echo.Echo.say", NULL, echo, NULL, NULL, &error), 0);
    if (error.type)
        ferry_error_print(&error, stdout);
    CU_ASSERT_EQUAL(ferry_subscribe(client, "news", NULL, note, &seen, NULL, &error), 0);
    caller = open_with(broker.url, NULL);
    both[0] = client, both[1] = caller;
    CU_ASSERT_EQUAL(
        ferry_call_async(caller, "echo.Echo.say", ferry_str("\x01"), answered, &n_answers, NULL),
        0);
    CU_ASSERT_TRUE(turn_all_until(both, 2, &n_answers, 1, PATIENCE_MS));
    CU_ASSERT_EQUAL(ferry_publish(client, "news", ferry_str("x"), NULL, &error), 0);
    CU_ASSERT_EQUAL(ferry_push(client, "jobs", ferry_str("x"), NULL, &error), 0);
    CU_ASSERT_TRUE(turn_until(client, &seen.n_messages, 1, PATIENCE_MS));
    CU_ASSERT_EQUAL(seen.n_messages, 1);
    CU_ASSERT_EQUAL(broker_stat(caller, "pushed"), 1);
    CU_ASSERT_TRUE(seen.n_named > 0);
    CU_ASSERT_TRUE(now(&scripted.n_hellos) > 0);
    CU_ASSERT_EQUAL(now(&scripted.n_others), 0);
    ferry_error_clear(&error);
    ferry_close(caller);
    ferry_close(client);
    end();
}

static void a_broker_that_refuses_version_1_is_not_used(void) {
    expect_the_other_one(FAULTS, "this broker speaks only version 2");
}

static void a_broker_that_chooses_another_version_is_not_used(void) {
    expect_the_other_one(WELCOMES_AS_2, "version 2");
}

static void a_broker_that_sends_other_batches_is_not_used(void) {
    expect_the_other_one(BATCHES_AS_2, "unknown protocol version");
}

/* A broker that is restarted with another version gets the service half a minute later. */
static void a_broker_that_refused_is_asked_again(void) {
    ferry_client *client = NULL;
    char url[300];

    start(FAULTS);
    snprintf(url, sizeof(url), "%s,%s?prefer=order", scripted.url, broker.url);
    CU_ASSERT_EQUAL_FATAL(ferry_open(url, NULL, &client, NULL), 0);
    CU_ASSERT_EQUAL(ferry_serve_method(client, "echo.Echo.say", NULL, echo, NULL, NULL, NULL), 0);
    __atomic_store_n(&scripted.answers, OP_SERVE, __ATOMIC_RELEASE);
    __atomic_store_n(&scripted.speech, LATER_VERSION_1, __ATOMIC_RELEASE);
    CU_ASSERT_TRUE(turn_until(client, &scripted.n_others, 1, PATIENCE_MS));
    ferry_close(client);
    end();
}

/* If no broker can be used, the error names the last one. */
static void a_broker_of_another_version_alone_is_an_error(void) {
    ferry_error error = FERRY_ERROR_INIT;
    ferry_client *client = NULL;
    char url[200];

    start(WELCOMES_AS_2);
    snprintf(url, sizeof(url), "%s,ipc:///nowhere/broker?prefer=order", scripted.url);
    CU_ASSERT_EQUAL_FATAL(ferry_open(url, NULL, &client, NULL), 0);
    CU_ASSERT(ferry_serve_method(client, "echo.Echo.say", NULL, echo, NULL, NULL, &error) < 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, scripted.url));
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "version 2"));
    ferry_error_clear(&error);
    ferry_close(client);
    end();
}

static void a_later_form_of_version_1_is_understood(void) {
    ferry_error error = FERRY_ERROR_INIT;
    ferry_client *client = NULL;
    ferry_reply *reply = NULL;
    char url[300];

    start(LATER_VERSION_1);
    snprintf(url, sizeof(url), "%s,%s?prefer=order", scripted.url, broker.url);
    CU_ASSERT_EQUAL_FATAL(ferry_open(url, NULL, &client, NULL), 0);
    CU_ASSERT_EQUAL(ferry_call(client, "x.Y.z", ferry_str("\x01"), &reply, &error), 0);
    if (error.type)
        ferry_error_print(&error, stdout);
    CU_ASSERT_EQUAL(reply_int(reply), 9);
    CU_ASSERT_EQUAL(now(&scripted.n_others), 1);
    ferry_free(reply);
    ferry_error_clear(&error);
    ferry_close(client);
    end();
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_broker_that_refuses_version_1_is_not_used),
        TEST(a_broker_that_chooses_another_version_is_not_used),
        TEST(a_broker_that_sends_other_batches_is_not_used),
        TEST(a_broker_that_refused_is_asked_again),
        TEST(a_broker_of_another_version_alone_is_an_error),
        TEST(a_later_form_of_version_1_is_understood),
        TESTS_END,
    };

    return run_suite("client: brokers of other protocol versions", tests);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NATS: calls, one call at a time, topics, and JetStream with memory storage, through nats-server
 * and libnats. libnats collects writes for up to a millisecond, which is best for many calls in
 * flight; "send as soon as possible" turns that off, which is best for one call at a time.
 */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <nats/nats.h>

#include "bench/lab.h"

enum { MAX_PENDING = 10000000, PACE_EVERY = 64 };

#define NATS_CHECK(expression)                                                                     \
    do {                                                                                           \
        natsStatus status_ = (expression);                                                         \
        if (status_ != NATS_OK)                                                                    \
            lab_die("%s: %s", #expression, natsStatus_GetText(status_));                           \
    } while (0)

static natsConnection *connect_to_server(const LabArgs *args, bool asap) {
    natsConnection *connection = NULL;
    const char *ca = getenv("NATS_CA"); /* with it, connections are encrypted */
    natsOptions *options = NULL;
    char url[64];

    snprintf(url, sizeof(url), "nats://127.0.0.1:%d", args->port);
    NATS_CHECK(natsOptions_Create(&options));
    NATS_CHECK(natsOptions_SetURL(options, url));
    NATS_CHECK(natsOptions_SetSendAsap(options, asap));
    NATS_CHECK(natsOptions_SetMaxPendingMsgs(options, MAX_PENDING));
    if (ca) {
        NATS_CHECK(natsOptions_SetSecure(options, true));
        NATS_CHECK(natsOptions_LoadCATrustedCertificates(options, ca));
    }
    NATS_CHECK(natsConnection_Connect(&connection, options));
    natsOptions_Destroy(options);
    return connection;
}

static _Noreturn void work_in_background(natsConnection *connection, natsSubscription *s) {
    NATS_CHECK(natsSubscription_SetPendingLimits(s, -1, -1));
    NATS_CHECK(natsConnection_Flush(connection));
    lab_ready();
    for (;;)
        pause();
}

/* ---- calls ---- */

static void echo(natsConnection *connection, natsSubscription *s, natsMsg *request, void *ctx) {
    (void)s;
    (void)ctx;
    NATS_CHECK(natsConnection_Publish(connection, natsMsg_GetReply(request),
                                      natsMsg_GetData(request), natsMsg_GetDataLength(request)));
    natsMsg_Destroy(request);
}

static void start_servers(const LabArgs *args, bool asap) {
    for (unsigned i = 0; i < args->n_ends; i++) {
        if (lab_fork() == 0) {
            natsConnection *connection = connect_to_server(args, asap);
            natsSubscription *s = NULL;

            NATS_CHECK(
                natsConnection_QueueSubscribe(&s, connection, "bench.echo", "servers", echo, NULL));
            work_in_background(connection, s);
        }
    }
    lab_wait_ready(args->n_ends);
}

static void calls_buffered(const LabArgs *args) {
    natsConnection *connection;
    natsSubscription *s = NULL;
    char inbox[64];
    LabMeter meter;

    start_servers(args, false);
    connection = connect_to_server(args, false);
    snprintf(inbox, sizeof(inbox), "_INBOX.bench.%d", (int)getpid());
    NATS_CHECK(natsConnection_SubscribeSync(&s, connection, inbox));
    NATS_CHECK(natsSubscription_SetPendingLimits(s, -1, -1));
    NATS_CHECK(natsConnection_Flush(connection));

    lab_meter_start(&meter, args);
    for (unsigned i = 0; i < args->window; i++)
        NATS_CHECK(natsConnection_PublishRequest(connection, "bench.echo", inbox, args->payload,
                                                 (int)args->size));
    for (;;) {
        natsMsg *reply = NULL;

        NATS_CHECK(natsSubscription_NextMsg(&reply, s, LAB_CALL_TIMEOUT_MS));
        natsMsg_Destroy(reply);
        if (lab_meter_add(&meter, 1))
            break;
        NATS_CHECK(natsConnection_PublishRequest(connection, "bench.echo", inbox, args->payload,
                                                 (int)args->size));
    }
    lab_meter_report(&meter);
}

typedef struct Caller {
    const LabArgs *args;
    natsConnection *connection;
} Caller;

static int call(void *ctx) {
    Caller *caller = ctx;
    natsMsg *reply = NULL;
    natsStatus status =
        natsConnection_Request(&reply, caller->connection, "bench.echo", caller->args->payload,
                               (int)caller->args->size, LAB_CALL_TIMEOUT_MS);

    natsMsg_Destroy(reply);
    return status != NATS_OK;
}

static void latency_asap(const LabArgs *args) {
    Caller caller = {.args = args};

    start_servers(args, true);
    caller.connection = connect_to_server(args, true);
    lab_measure_latency(args, call, &caller);
}

static void *new_caller(const LabArgs *args) {
    Caller *caller = malloc(sizeof(*caller));

    LAB_CHECK(caller);
    *caller = (Caller){args, connect_to_server(args, true)};
    return caller;
}

static void callers_asap(const LabArgs *args) {
    LabArgs one_server = *args;

    one_server.n_ends = 1;
    start_servers(&one_server, true);
    lab_measure_callers(args, new_caller, call);
}

/* ---- topics ---- */

static void count_message(natsConnection *connection, natsSubscription *s, natsMsg *message,
                          void *ctx) {
    (void)connection;
    (void)s;
    lab_consumed(*(unsigned *)ctx, 1);
    natsMsg_Destroy(message);
}

static _Noreturn void subscribe(const LabArgs *args, unsigned end) {
    natsConnection *connection = connect_to_server(args, false);
    natsSubscription *s = NULL;

    NATS_CHECK(natsConnection_Subscribe(&s, connection, "bench.topic", count_message, &end));
    work_in_background(connection, s);
}

static _Noreturn void publish(const LabArgs *args) {
    natsConnection *connection = connect_to_server(args, false);

    for (uint64_t n = 0;; n++) {
        if (n % PACE_EVERY == 0)
            lab_pace(LAB_FANOUT, args, n);
        NATS_CHECK(
            natsConnection_Publish(connection, "bench.topic", args->payload, (int)args->size));
    }
}

static void pubsub(const LabArgs *args) {
    for (unsigned i = 0; i < args->n_ends; i++)
        if (lab_fork() == 0)
            subscribe(args, i);
    lab_wait_ready(args->n_ends);
    if (lab_fork() == 0)
        publish(args);
    lab_measure_consumed(args);
}

/* ---- JetStream, pull consumer, explicit acknowledgement ---- */

enum { MAX_UNCONFIRMED = 1024, MAX_UNACKNOWLEDGED = 20000, FETCH_TIMEOUT_MS = 200 };

static void name_stream(char stream[32], char subject[32], pid_t row) {
    snprintf(stream, 32, "BENCH%d", (int)row);
    snprintf(subject, 32, "bench.jobs.%d", (int)row);
}

static void add_stream(jsCtx *js, const char *stream, const char *subject, jsStorageType storage) {
    jsStreamConfig config;

    NATS_CHECK(jsStreamConfig_Init(&config));
    config.Name = stream;
    config.Subjects = &subject;
    config.SubjectsLen = 1;
    config.Retention = js_WorkQueuePolicy;
    config.Storage = storage;
    NATS_CHECK(js_AddStream(NULL, js, &config, NULL, NULL));
}

static _Noreturn void produce(const LabArgs *args, const char *stream, const char *subject,
                              jsStorageType storage) {
    natsConnection *connection = connect_to_server(args, false);
    jsOptions options;
    jsCtx *js = NULL;

    NATS_CHECK(jsOptions_Init(&options));
    options.PublishAsync.MaxPending = MAX_UNCONFIRMED;
    options.PublishAsync.StallWait = LAB_CALL_TIMEOUT_MS;
    NATS_CHECK(natsConnection_JetStream(&js, connection, &options));
    add_stream(js, stream, subject, storage);
    lab_ready();
    lab_wait_ready(1 + args->n_ends);

    for (uint64_t n = 0;; n++) {
        if (n % PACE_EVERY == 0)
            lab_pace(LAB_SHARED, args, n);
        NATS_CHECK(js_PublishAsync(js, subject, args->payload, (int)args->size, NULL));
    }
}

static void fetch_and_ack(natsSubscription *s, const LabArgs *args, unsigned end) {
    natsMsgList list = {0};
    natsStatus status = natsSubscription_Fetch(&list, s, (int)args->window, FETCH_TIMEOUT_MS, NULL);

    if (status == NATS_TIMEOUT)
        return;
    NATS_CHECK(status);
    for (int i = 0; i < list.Count; i++)
        NATS_CHECK(natsMsg_Ack(list.Msgs[i], NULL));
    lab_consumed(end, (uint64_t)list.Count);
    natsMsgList_Destroy(&list);
}

static _Noreturn void work(const LabArgs *args, unsigned end, const char *stream,
                           const char *subject) {
    natsConnection *connection = connect_to_server(args, false);
    natsSubscription *s = NULL;
    jsSubOptions options;
    jsCtx *js = NULL;

    NATS_CHECK(natsConnection_JetStream(&js, connection, NULL));
    NATS_CHECK(jsSubOptions_Init(&options));
    options.Stream = stream;
    options.Config.MaxAckPending = MAX_UNACKNOWLEDGED;
    options.Config.AckPolicy = js_AckExplicit;
    NATS_CHECK(js_PullSubscribe(&s, js, subject, "WORKERS", NULL, &options, NULL));
    lab_ready();
    for (;;)
        fetch_and_ack(s, args, end);
}

static void run_queue(const LabArgs *args, jsStorageType storage) {
    char stream[32], subject[32];
    jsCtx *js = NULL;

    name_stream(stream, subject, getpid());
    if (lab_fork() == 0)
        produce(args, stream, subject, storage);
    lab_wait_ready(1);
    for (unsigned i = 0; i < args->n_ends; i++) {
        if (lab_fork() == 0)
            work(args, i, stream, subject);
        /* One after the other, because all of them try to make the consumer that they share. */
        lab_wait_ready(2 + i);
    }
    lab_measure_consumed(args);

    lab_stop_children();
    NATS_CHECK(natsConnection_JetStream(&js, connect_to_server(args, true), NULL));
    NATS_CHECK(js_DeleteStream(js, stream, NULL, NULL));
}

static void queue_memory(const LabArgs *args) {
    run_queue(args, js_MemoryStorage);
}

static void queue_file(const LabArgs *args) {
    run_queue(args, js_FileStorage);
}

/* ---- storage in files ---- */

static void make_file_stream(const LabArgs *args, char stream[32], char subject[32]) {
    jsCtx *js = NULL;

    name_stream(stream, subject, getpid());
    NATS_CHECK(natsConnection_JetStream(&js, connect_to_server(args, true), NULL));
    add_stream(js, stream, subject, js_FileStorage);
}

static void delete_stream(const LabArgs *args, const char *stream) {
    jsCtx *js = NULL;

    NATS_CHECK(natsConnection_JetStream(&js, connect_to_server(args, true), NULL));
    NATS_CHECK(js_DeleteStream(js, stream, NULL, NULL));
}

/* The client stalls a publisher with more unacknowledged messages than the window. */
static void push_async(const LabArgs *args) {
    char stream[32], subject[32];
    jsOptions options;
    jsCtx *js = NULL;
    LabMeter meter;

    make_file_stream(args, stream, subject);
    NATS_CHECK(jsOptions_Init(&options));
    options.PublishAsync.MaxPending = args->window;
    options.PublishAsync.StallWait = LAB_CALL_TIMEOUT_MS;
    NATS_CHECK(natsConnection_JetStream(&js, connect_to_server(args, false), &options));
    lab_meter_start(&meter, args);
    do
        NATS_CHECK(js_PublishAsync(js, subject, args->payload, (int)args->size, NULL));
    while (!lab_meter_add(&meter, 1));
    lab_meter_report(&meter);
    delete_stream(args, stream);
}

typedef struct OnePush {
    jsCtx *js;
    const char *subject;
    const LabArgs *args;
} OnePush;

static int push_one(void *ctx) {
    const OnePush *one = ctx;

    return js_Publish(NULL, one->js, one->subject, one->args->payload, (int)one->args->size, NULL,
                      NULL);
}

static void push_sync(const LabArgs *args) {
    char stream[32], subject[32];
    OnePush one = {.args = args, .subject = subject};

    make_file_stream(args, stream, subject);
    NATS_CHECK(natsConnection_JetStream(&one.js, connect_to_server(args, true), NULL));
    lab_measure_latency(args, push_one, &one);
    delete_stream(args, stream);
}

/* ---- memory ---- */

/* Uses plain sockets, because libnats starts threads for each connection. The server sees no
 * difference. */
static void expect_line(int fd, const char *start) {
    char text[4096];
    ssize_t n = read(fd, text, sizeof(text) - 1);

    LAB_CHECK(n > 0);
    text[n] = '\0';
    if (strncmp(text, start, strlen(start)) != 0)
        lab_die("nats-server says '%s'", text);
}

static void connect_idle(const LabArgs *args) {
    static const char hello[] = "CONNECT {\"verbose\":false}\r\nPING\r\n";
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)args->port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    LAB_CHECK(fd >= 0);
    LAB_CHECK(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    expect_line(fd, "INFO ");
    LAB_CHECK(write(fd, hello, sizeof(hello) - 1) == (ssize_t)sizeof(hello) - 1);
    expect_line(fd, "PONG");
}

static void memory_idle(const LabArgs *args) {
    lab_measure_memory(args, args->pid, connect_idle);
}

int main(int argc, char **argv) {
    static const LabRow rows[] = {
        {"calls", "buffered", calls_buffered}, {"latency", "asap", latency_asap},
        {"callers", "asap", callers_asap},     {"pubsub", "buffered", pubsub},
        {"queue", "memory", queue_memory},     {"memory", "idle", memory_idle},
        {"durable", "file", queue_file},       {"stored", "file", push_async},
        {"flush", "file", push_sync},          {0},
    };

    return lab_main(argc, argv, rows);
}

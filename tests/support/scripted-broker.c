/* SPDX-License-Identifier: Apache-2.0 */
/* A broker whose answers a test writes. See scripted-broker.h. */

#include "support/scripted-broker.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/random.h"
#include "rpc/wire/writer.h"

enum { PATIENCE_MS = 60000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void scripted_lock(void) {
    pthread_mutex_lock(&lock);
}

void scripted_unlock(void) {
    pthread_mutex_unlock(&lock);
}

static void fail(const char *what) {
    perror(what);
    abort();
}

/* ---- sessions ---- */

ScriptedSession *scripted_session(ScriptedBroker *broker, int fd) {
    for (int i = 0; i < SCRIPTED_SESSIONS; i++)
        if (broker->sessions[i].fd == fd)
            return &broker->sessions[i];
    return NULL;
}

void scripted_end(ScriptedBroker *broker, int fd) {
    scripted_session(broker, fd)->is_over = true;
}

static void refuse(const ScriptedBroker *broker, ScriptedSession *session) {
    CLEANUP(buffer_deinit) Buffer map = {0};

    write_map(&map, 2);
    write_text(&map, "type");
    write_text(&map, "ferry.Unsupported");
    write_text(&map, "message");
    write_text(&map, broker->refusal);
    raw_say(session->fd, &(Message){.op = OP_FAULT, .fault.map = span_of(map.data, map.len)});
}

static void begin(ScriptedBroker *broker, ScriptedSession *session, const Message *hello) {
    memcpy(session->client, hello->hello.client.data, WIRE_TOKEN);
    session->floor = hello->hello.floor;
    session->is_up = true;
    raw_say(session->fd, &(Message){.op = OP_WELCOME,
                                    .welcome.version = 1,
                                    .welcome.broker = span_of(broker->id, WIRE_TOKEN),
                                    .welcome.bytes = INT32_MAX});
}

typedef struct Reading {
    ScriptedBroker *broker;
    ScriptedSession *session;
} Reading;

static void on_message(const Message *message, void *ctx) {
    const Reading *reading = ctx;
    ScriptedSession *session = reading->session;

    if (session->is_over)
        return;
    if (message->op == OP_HELLO && reading->broker->refusal)
        refuse(reading->broker, session);
    else if (message->op == OP_HELLO)
        begin(reading->broker, session, message);
    else if (message->op == OP_PING)
        raw_say(session->fd, &(Message){.op = OP_PONG, .id = message->id});
    else if (message->op == OP_BYE)
        session->is_over = true;
    else if (message->op != OP_CREDIT)
        reading->broker->fn(reading->broker, session->fd, message);
}

/* The thread of one session. */
static void *run_session(void *arg) {
    Reading *reading = arg;
    ScriptedSession *session = reading->session;
    Heard heard = raw_greet_back(session->fd) ? HEARD : HEARD_CUT;

    if (heard == HEARD)
        raw_keep_alive(session->fd);
    while (heard == HEARD && !session->is_over) {
        struct pollfd input = {.fd = session->fd, .events = POLLIN};

        poll(&input, 1, -1);
        scripted_lock();
        heard = raw_hear_batch(session->fd, PATIENCE_MS, on_message, reading);
        scripted_unlock();
    }
    scripted_lock();
    raw_close(session->fd);
    session->fd = -1;
    session->is_up = false;
    scripted_unlock();
    free(reading);
    return NULL;
}

static void accept_one(ScriptedBroker *broker, int fd) {
    Reading *reading = malloc(sizeof(*reading));
    ScriptedSession *session;

    scripted_lock();
    session = scripted_session(broker, -1);
    if (!session || !reading)
        fail("a session");
    if (session->was_used)
        pthread_join(session->thread, NULL);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    *reading = (Reading){broker, session};
    *session = (ScriptedSession){.fd = fd, .was_used = true};
    if (pthread_create(&session->thread, NULL, run_session, reading) != 0)
        fail("pthread_create");
    scripted_unlock();
}

/* ---- the broker ---- */

static void *run(void *arg) {
    ScriptedBroker *broker = arg;
    int fd;

    while ((fd = accept4(broker->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
        accept_one(broker, fd);
    return NULL;
}

void scripted_restart(ScriptedBroker *broker) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons(broker->port)};
    socklen_t len = sizeof(address);

    broker->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(broker->listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(broker->listener, (struct sockaddr *)&address, len) < 0 ||
        listen(broker->listener, 64) < 0 ||
        getsockname(broker->listener, (struct sockaddr *)&address, &len) < 0)
        fail("listen");
    broker->port = ntohs(address.sin_port);
    snprintf(broker->url, sizeof(broker->url), "tcp://127.0.0.1:%u", broker->port);
    random_bytes(broker->id, sizeof(broker->id));
    for (int i = 0; i < SCRIPTED_SESSIONS; i++)
        broker->sessions[i] = (ScriptedSession){.fd = -1};
    if (pthread_create(&broker->thread, NULL, run, broker) != 0)
        fail("pthread_create");
}

void scripted_start(ScriptedBroker *broker, ScriptFn fn, void *ctx) {
    *broker = (ScriptedBroker){.fn = fn, .ctx = ctx};
    scripted_restart(broker);
}

void scripted_stop(ScriptedBroker *broker) {
    shutdown(broker->listener, SHUT_RDWR);
    pthread_join(broker->thread, NULL);
    close(broker->listener);
    scripted_lock();
    for (int i = 0; i < SCRIPTED_SESSIONS; i++)
        if (broker->sessions[i].fd >= 0)
            shutdown(broker->sessions[i].fd, SHUT_RDWR);
    scripted_unlock();
    for (int i = 0; i < SCRIPTED_SESSIONS; i++)
        if (broker->sessions[i].was_used)
            pthread_join(broker->sessions[i].thread, NULL);
}

/* ---- answers ---- */

void scripted_ok(int fd, uint64_t id) {
    raw_say(fd, &(Message){.op = OP_OK, .id = id});
}

static void say_error(int fd, uint64_t id, const Buffer *map) {
    raw_say(fd, &(Message){.op = OP_ERROR, .id = id, .error.map = span_of(map->data, map->len)});
}

static void write_entry(Buffer *to, const char *key, const char *text) {
    write_text(to, key);
    write_text(to, text);
}

void scripted_error(int fd, uint64_t id, const char *type) {
    CLEANUP(buffer_deinit) Buffer map = {0};

    write_map(&map, 2);
    write_entry(&map, "type", type);
    write_entry(&map, "message", "as the script says");
    say_error(fd, id, &map);
}

static void say_moved(int fd, uint64_t id, const ScriptedBroker *owner, const char *key,
                      uint64_t value) {
    CLEANUP(buffer_deinit) Buffer map = {0};
    char text[100];

    snprintf(text, sizeof(text), "the queue is at another broker: %s",
             owner ? owner->url : "it is not known");
    write_map(&map, 2 + (owner ? 2 : 0) + (value > 0));
    write_entry(&map, "type", "ferry.Moved");
    write_entry(&map, "message", text);
    if (owner) {
        write_text(&map, "broker");
        write_bin(&map, owner->id, WIRE_TOKEN);
        write_entry(&map, "url", owner->url);
    }
    if (value > 0) {
        write_text(&map, key);
        write_uint(&map, value);
    }
    say_error(fd, id, &map);
}

void scripted_moved(int fd, uint64_t id, const ScriptedBroker *owner, uint64_t number) {
    say_moved(fd, id, owner, "moved", number);
}

void scripted_moved_unknown(int fd, uint64_t id, const ScriptedBroker *owner) {
    say_moved(fd, id, owner, "unknown", 1);
}

void scripted_kept(int fd, uint64_t id, const ScriptedBroker *owner) {
    say_moved(fd, id, owner, "kept", 1);
}

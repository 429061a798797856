/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The endpoint of a server of direct calls: any bytes of one caller, on a socket of this process.
 * The first byte chooses:
 *
 *   bit 0  the bytes follow the handshake unchanged; else they are a list of batches, each of two
 *          bytes of length n and n bytes: frames and heads are added
 *   bit 1  no HELLO with a valid ticket comes first
 *   bit 2  the service is withdrawn at the end, before the connection ends
 *
 * The first letter of a method tells what its handler does. At the end no call, no caller and no
 * memory may be left.
 */

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "clients/c/direct/direct-private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { KEPT_MAX = 64, TURNS_MAX = 200, OUT_MAX = 64 * 1024 };

static const uint8_t token[WIRE_TOKEN] = "a ticket";
static ferry_client *client;
static struct sockaddr_un address;
static socklen_t address_len;
static uint64_t kept[KEPT_MAX];
static unsigned n_kept;

static void must(bool holds) {
    if (!holds)
        abort();
}

/* ---- the handlers ---- */

static void on_call(Core *core, const Message *message, const void *block, bool later) {
    Message answer = {.op = OP_OK, .id = message->id, .body = message->body};
    uint8_t letter = message->call.method.len > 0 ? message->call.method.data[0] : 0;

    (void)later;
    must(message->id & DIRECT_ID && message->name.len == 4);
    if (letter == 'k' || letter == 'i') {
        if (n_kept < KEPT_MAX)
            kept[n_kept++] = message->id;
    }
    if (letter == 'i') {
        core_send(core, LANE_CALLS,
                  &(Message){.op = OP_MORE, .id = message->id, .more.bytes = 1000}, NULL);
        core_send(core, LANE_BULK,
                  &(Message){.op = OP_ITEM, .id = message->id, .body = message->body}, block);
    }
    if (letter != 'k' && letter != 'i')
        core_send(core, LANE_CALLS, &answer, block);
}

static void on_other(Core *core, const Message *message, const void *block, bool later) {
    (void)block;
    (void)later;
    must(message->id & DIRECT_ID);
    if (message->op == OP_END)
        core_send(core, LANE_CALLS, &(Message){.op = OP_OK, .id = message->id}, NULL);
}

static void open_endpoint(void) {
    static const struct Receiver call = {OP_CALL, on_call}, other = {OP_ITEM, on_other};
    const char *bound;
    char url[80];
    Core *core;

    snprintf(url, sizeof(url), "ipc://@ferry-fuzz-direct-%d", getpid());
    address.sun_family = AF_UNIX;
    snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "%s", url + 7);
    address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(url + 7));
    /* No broker listens there. */
    must(ferry_open("ipc://@ferry-fuzz-direct-none", NULL, &client, NULL) == 0);
    core = client->core;
    must(core->direct_ops->listen(core, url, &bound, NULL) == 0);
    core->receivers[OP_CALL] = &call;
    core->receivers[OP_ITEM] = core->receivers[OP_END] = &other;
    core->receivers[OP_MORE] = core->receivers[OP_CANCEL] = &other;
    callers_ticket(core,
                   &(Message){.op = OP_TICKET,
                              .name = span_text("a.Bc"),
                              .ticket.ticket = span_of(token, WIRE_TOKEN)},
                   NULL, false);
}

/* ---- the caller ---- */

static uint8_t out[OUT_MAX];
static size_t n_out;

static void put(const void *bytes, size_t len) {
    must(n_out + len <= sizeof(out));
    if (len > 0)
        memcpy(out + n_out, bytes, len);
    n_out += len;
}

static void put_frame(const uint8_t *bytes, size_t len) {
    uint8_t head[9 + WIRE_HEAD] = {2};

    put_be(head + 1, len + WIRE_HEAD, 8);
    head[9] = WIRE_MAGIC;
    head[10] = WIRE_PROTOCOL;
    put(head, sizeof(head));
    put(bytes, len);
}

static void put_handshake(void) {
    static const uint8_t start[64] = "\xFF\0\0\0\0\0\0\0\x01\x7F\x03\0NULL";
    static const char ready[] = "\x04\x1C\x05READY\x0BSocket-Type\0\0\0\x06"
                                "DEALER";

    put(start, sizeof(start));
    put(ready, sizeof(ready) - 1);
}

static void put_hello(void) {
    Message hello = {.op = OP_HELLO,
                     .hello.version_min = WIRE_PROTOCOL,
                     .hello.version_max = WIRE_PROTOCOL,
                     .hello.client = span_of(token, WIRE_TOKEN),
                     .hello.bytes = 300};
    uint8_t bytes[256];

    must(message_size(&hello) <= sizeof(bytes));
    put_frame(bytes, (size_t)(message_write(bytes, &hello) - bytes));
}

static void put_batches(const uint8_t *at, const uint8_t *end) {
    while (end - at >= 2) {
        size_t len = (size_t)at[0] << 8 | at[1];

        at += 2;
        len = len > (size_t)(end - at) ? (size_t)(end - at) : len;
        put_frame(at, len);
        at += len;
    }
}

static void turn(int fd) {
    uint8_t bytes[4096];

    ferry_process(client, NULL);
    while (fd >= 0 && recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
        continue;
}

static void end_kept(void) {
    while (n_kept > 0)
        core_send(client->core, LANE_CALLS, &(Message){.op = OP_OK, .id = kept[--n_kept]}, NULL);
}

static bool is_over(const Endpoint *endpoint) {
    return !endpoint->callers && hub_n_connections(endpoint->hub) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Endpoint *endpoint;
    int fd;

    if (size == 0 || size > OUT_MAX / 8)
        return 0;
    if (!client)
        open_endpoint();
    endpoint = client->core->direct->endpoint;
    n_out = 0;
    put_handshake();
    if (!(data[0] & 2))
        put_hello();
    if (data[0] & 1)
        put(data + 1, size - 1);
    else
        put_batches(data + 1, data + size);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(fd >= 0 && connect(fd, (struct sockaddr *)&address, address_len) == 0);
    must(send(fd, out, n_out, MSG_NOSIGNAL) == (ssize_t)n_out);
    for (int i = 0; i < 6; i++)
        turn(fd);
    end_kept();
    if (data[0] & 4)
        client->core->direct_ops->withdraw(client->core, span_text("a.Bc"));
    turn(fd);
    close(fd);
    for (int i = 0; i < TURNS_MAX && !is_over(endpoint); i++)
        turn(-1);
    n_kept = 0;
    must(is_over(endpoint));
    must(endpoint->calls.n == 0 && endpoint->n_unproven == 0 && !endpoint->crowd);
    for (unsigned i = 0; i < sizeof(endpoint->budget.bytes) / sizeof(*endpoint->budget.bytes); i++)
        must(endpoint->budget.bytes[i] == 0);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "moved-scene.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/suite.h"

ScriptedBroker brokers[N];
Seen seen[SEEN_MAX];
int n_seen;
void (*answer)(int at, int fd, const Message *message);
int owner;
int n_unknown;
bool is_mute;

void copy_text(char *to, size_t size, Span text) {
    snprintf(to, size, "%.*s", (int)text.len, text.data ? (const char *)text.data : "");
}

static void note(int at, int fd, const Message *message) {
    Seen *one = &seen[n_seen++];
    Span key, options = message->op == OP_PUSH ? message->push.options : (Span){NULL, 0};
    uint32_t left;
    Reader pairs = pairs_of(options, &left);

    if (n_seen == SEEN_MAX)
        abort();
    *one = (Seen){.at = at, .op = message->op, .id = message->id};
    copy_text(one->queue, sizeof(one->queue), message->name);
    copy_text(one->body, sizeof(one->body), message->body);
    memcpy(one->origin, scripted_session(&brokers[at], fd)->client, WIRE_TOKEN);
    one->wait = message->op == OP_PULL ? message->pull.wait : 0;
    if (message->op >= OP_ACK && message->op <= OP_EXTEND) {
        one->job = message->settle.job;
        copy_text(one->text, sizeof(one->text), message->settle.text);
    }
    one->flags = message->op == OP_PUSH ? message->push.flags : 0;
    while (pairs_next(&pairs, &left, &key)) {
        Span value = reader_value(&pairs);
        Reader inside = reader_of(value.data, value.len);

        if (span_is(key, "moved"))
            one->moved = reader_uint(&inside);
        if (span_is(key, "origin")) {
            one->has_origin = true;
            memcpy(one->origin, reader_bin(&inside).data, WIRE_TOKEN);
        }
    }
}

void by_owner(int at, int fd, const Message *message) {
    if (owner == at)
        scripted_ok(fd, message->id);
    else
        scripted_moved(fd, message->id, owner == UNKNOWN ? NULL : &brokers[owner], 0);
}

void known_after_some(int at, int fd, const Message *message) {
    if (n_unknown > 0 && at == 0) {
        n_unknown--;
        scripted_moved(fd, message->id, NULL, 0);
    } else {
        by_owner(at, fd, message);
    }
}

static void script(ScriptedBroker *broker, int fd, const Message *message) {
    int at = (int)(broker - brokers);

    note(at, fd, message);
    if (message->op == OP_PULL || message->op == OP_SERVE)
        scripted_session(broker, fd)->notes[0] = message->id;
    if (message->op == OP_PUSH || message->op == OP_CALL || message->op == OP_EXTEND)
        (answer ? answer : by_owner)(at, fd, message);
    else if (message->op == OP_PULL && !message->pull.wait && owner != at)
        by_owner(at, fd, message);
    else if (message->id && op_asks(message->op) && !(is_mute && message->op == OP_ACK))
        scripted_ok(fd, message->id);
}

const char *url_of(const char *order) {
    static char url[N * 50 + 20];

    *url = '\0';
    for (const char *one = order; *one; one++)
        sprintf(url + strlen(url), "%s%s", one > order ? "," : "", brokers[*one - '0'].url);
    return strcat(url, "?prefer=order");
}

ferry_client *set_up(const char *order, const ferry_options *options) {
    ferry_client *client = NULL;

    for (int i = 0; i < N; i++)
        scripted_start(&brokers[i], script, NULL);
    n_seen = 0;
    answer = NULL;
    owner = 0;
    CU_ASSERT_EQUAL_FATAL(ferry_open(url_of(order), options, &client, NULL), 0);
    return client;
}

void tear_down(ferry_client *client) {
    ferry_close(client);
    for (int i = 0; i < N; i++)
        scripted_stop(&brokers[i]);
}

int n_at(int at, unsigned op) {
    int n = 0;

    scripted_lock();
    for (int i = 0; i < n_seen; i++)
        n += seen[i].at == at && seen[i].op == op;
    scripted_unlock();
    return n;
}

Seen last_at(int at, unsigned op) {
    Seen last = {.at = -1};

    scripted_lock();
    for (int i = 0; i < n_seen; i++)
        if (seen[i].at == at && seen[i].op == op)
            last = seen[i];
    scripted_unlock();
    return last;
}

void set_owner(int at) {
    scripted_lock();
    owner = at;
    scripted_unlock();
}

int push(ferry_client *client, const char *queue, const char *body) {
    ferry_error error = FERRY_ERROR_INIT;
    int r = ferry_push(client, queue, ferry_str(body), NULL, &error);

    if (r < 0)
        ferry_error_print(&error, stderr);
    ferry_error_clear(&error);
    return r;
}

int flush(ferry_client *client) {
    ferry_error error = FERRY_ERROR_INIT;
    int r = ferry_flush(client, &error);

    if (r < 0)
        ferry_error_print(&error, stderr);
    ferry_error_clear(&error);
    return r;
}

void done(const ferry_error *error, void *ctx) {
    int *results = ctx;

    results[error ? 1 : 0]++;
}

int push_async(ferry_client *client, const char *queue, int number, int *results) {
    char body[16];

    snprintf(body, sizeof(body), "%d", number);
    return ferry_push_async(client, queue, ferry_str(body), NULL, results ? done : NULL, results,
                            NULL);
}

bool is_over(uint64_t until_ms) {
    return clock_ms() >= until_ms;
}

void await(ferry_client *client, int at, unsigned op, int n) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;

    while (n_at(at, op) < n && !is_over(until_ms)) {
        ferry_process(client, NULL);
        usleep(1000);
    }
    CU_ASSERT_TRUE(n_at(at, op) >= n);
}

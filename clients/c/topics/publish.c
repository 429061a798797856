/* SPDX-License-Identifier: Apache-2.0 */

/* Publishing, and gathering: publishing a question and collecting the answers. */

#include "base/buffer.h"
#include "clients/c/core/client.h"
#include "clients/c/core/loop.h"
#include "clients/c/core/names.h"
#include "clients/c/core/session.h"
#include "clients/c/topics/confirm.h"
#include "clients/c/topics/subscribe.h"

enum {
    WINDOW_MAX_MS = 60000,
    GATHER_GRACE_MS = 5000,
    FROM_MAX = 63, /* bytes of a client's name */
};

/* ---- before the connection ---- */

static int before_connect_put(const ferry_client *client, const Message *message, const void *block,
                              ferry_error *reterr) {
    Core *core = client->core;
    Record *record;

    /* After CONNECT_MS without a connection, refuse further messages instead of queueing them. */
    if ((!client->wait_for_broker && clock_ms() - core->down_since_ms > CONNECT_MS) ||
        link_state(core->link) == LINK_CLOSED)
        return session_missing(core, reterr);
    if (core->topics->before_connect.bytes + message->body.len > BEFORE_CONNECT_MAX)
        return error_set(reterr, "ferry.WouldBlock",
                         "4 MiB of publishes wait already for the connection to the broker");
    record = record_new(message, block);
    if (!record)
        return error_set_code(reterr, -ENOMEM, NULL);
    records_put(&core->topics->before_connect, record);
    return 0;
}

void before_connect_up(Core *core, const Message *welcome) {
    Record *record;

    (void)welcome;
    while ((record = records_take(&core->topics->before_connect))) {
        Message message;
        const void *block = record_read(record, &message);

        link_put(core->link, LANE_BULK, &message, block);
        record_free(record);
    }
}

/* ---- publishing ---- */

static int put(const ferry_client *client, const Message *message, const void *block,
               ferry_error *reterr) {
    Core *core = client->core;
    int r = link_put(core->link, LANE_BULK, message, block);

    core->unconfirmed.has_published = true;
    if (r == 0) {
        core_sent(core);
        return 0;
    }
    if (r == -EAGAIN) {
        /* Read credit that may have arrived. */
        core_poll(core);
        r = link_put(core->link, LANE_BULK, message, block);
    }
    if (r == -ENOTCONN)
        return before_connect_put(client, message, block, reterr);
    if (r == -EAGAIN)
        return error_set(
            reterr, "ferry.WouldBlock",
            "4 MiB wait to be sent: the broker or the network is slower than this client");
    if (r < 0)
        return error_set_code(reterr, r, NULL);
    core_sent(core);
    return 0;
}

static int check_body(const Core *core, ferry_bytes body, ferry_error *reterr) {
    if (!body.data && body.len > 0)
        return error_set(reterr, "ferry.Misuse", "body.data is NULL, but body.len is not 0");
    if (body.len > link_max_body(core->link))
        return error_set(reterr, "ferry.TooBig",
                         "the body has %zu bytes; the limit (max_body) is %llu", body.len,
                         (unsigned long long)link_max_body(core->link));
    return 0;
}

static int publish_with(ferry_client *client, Message *message, ferry_bytes body,
                        const ferry_publish_options *options, ferry_error *reterr) {
    CLEANUP(buffer_deinit) Buffer headers = {0};
    Core *core = client->core;
    Confirm *confirm;
    int r;

    r = reserved_check(options->reserved, sizeof(options->reserved) / sizeof(uint64_t), reterr);
    if (r < 0)
        return r;
    if (options->retain)
        message->publish.flags |= PUBLISH_RETAIN;
    if (options->n_headers > 0) {
        r = headers_write(&headers, message->headers, options->n_headers, options->headers, reterr);
        if (r < 0)
            return r;
        message->headers = span_of(headers.data, headers.len);
    }
    if (!options->fn && !options->retain && !options->confirm)
        return put(client, message, body.block, reterr);
    message->id = *core->next_id;
    r = confirm_new(core, options->fn, options->ctx, &confirm);
    if (r < 0)
        return error_set_code(
            reterr, r,
            r == -EAGAIN ? "65 536 publishes are not confirmed yet: wait for confirmations" : NULL);
    r = put(client, message, body.block, reterr);
    if (r < 0)
        confirm_drop(core, confirm);
    return r;
}

int ferry_publish(ferry_client *client, const char *topic, ferry_bytes body,
                  const ferry_publish_options *options, ferry_error *reterr) {
    int r = client_check(client, reterr);
    const CachedName *name;
    Message message;

    if (r == 0)
        r = check_body(client->core, body, reterr);
    if (r < 0)
        return r;
    name = names_find(client->core->names, topic, reterr);
    if (!name)
        return -EINVAL;
    /* The broker would drop a message to this topic without a report. */
    if (__builtin_expect(name->is_brokers, 0))
        return error_set(reterr, "ferry.PermissionDenied",
                         "cannot publish to '%s': names that begin with 'ferry.' are the broker's",
                         name->text);
    message = (Message){.op = OP_PUBLISH,
                        .name = name_span(name),
                        .headers = client_headers(client),
                        .body = span_bytes(body)};
    if (options)
        return publish_with(client, &message, body, options, reterr);
    return put(client, &message, body.block, reterr);
}

/* ---- gathering ---- */

typedef struct GatherCall {
    Await await;
    const char *topic;
    ferry_message_fn fn;
    void *ctx;
    uint64_t n;
    bool done, lost;
    int code;
    ferry_error error;
} GatherCall;

static void on_gathered(Core *core, Await *await, const Message *message, const void *block) {
    GatherCall *gather = (GatherCall *)await;

    if (!message) {
        gather->lost = true;
    } else if (message->op == OP_ANSWER) {
        char from[FROM_MAX + 1];
        ferry_message m = {.topic = gather->topic,
                           .seq = ++gather->n,
                           .body = bytes_span(message->body, block),
                           .from = from,
                           .from_session = message->answer.session};

        snprintf(from, sizeof(from), "%.*s", (int)message->answer.text.len,
                 (const char *)message->answer.text.data);
        message_lend(core, gather->fn, gather->ctx, &m, 0, (Span){NULL, 0});
        return;
    } else if (message->op == OP_ERROR) {
        error_of_message(message, &gather->error);
        gather->code = gather->error.code;
    }
    gather->done = true;
}

int ferry_gather(ferry_client *client, const char *topic, ferry_bytes question, uint32_t window_ms,
                 ferry_message_fn fn, void *ctx, ferry_error *reterr) {
    int r = client_check(client, reterr);
    GatherCall gather = {
        .await = {.fn = on_gathered, .session_only = true}, .topic = topic, .fn = fn, .ctx = ctx};
    const CachedName *name;
    uint64_t until_ms;
    Core *core;

    if (r == 0)
        r = check_body(client->core, question, reterr);
    if (r < 0)
        return r;
    if (!fn || window_ms == 0 || window_ms > WINDOW_MAX_MS)
        return error_set(reterr, "ferry.Misuse",
                         "the callback is NULL, or the window is not 1 to "
                         "60 000 ms");
    core = client->core;
    name = names_find(core->names, topic, reterr);
    if (!name)
        return -EINVAL;
    until_ms = clock_ms() + window_ms + GATHER_GRACE_MS;
    r = session_await(client, until_ms, reterr);
    if (r < 0)
        return r;
    gather.await.id = (*core->next_id)++;
    r = await_put(core, &gather.await);
    if (r == 0)
        r = link_put(core->link, LANE_BULK,
                     &(Message){.op = OP_PUBLISH,
                                .id = gather.await.id,
                                .publish.flags = PUBLISH_GATHER,
                                .publish.window_ms = window_ms,
                                .name = name_span(name),
                                .headers = client_headers(client),
                                .body = span_bytes(question)},
                     question.block);
    if (r < 0) {
        await_take(core, &gather.await);
        return error_set_code(reterr, r, NULL);
    }
    r = core_wait(core, &gather.done, until_ms);
    await_take(core, &gather.await);
    if (r < 0)
        return error_set(reterr, "ferry.DeadlineExceeded",
                         "the broker did not report the end of the window in time");
    if (gather.lost)
        return error_set(reterr, "ferry.ConnectionLost",
                         "the connection was lost before the end of the window");
    if (gather.code < 0)
        error_move(reterr, &gather.error);
    return gather.code;
}

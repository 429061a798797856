/* SPDX-License-Identifier: Apache-2.0 */

/* Pushes jobs, and waits until they are confirmed. resend/pushes.c sends them again after a lost
 * connection. */

#include "clients/c/queues/push.h"
#include "base/buffer.h"
#include "clients/c/brokers/homes.h"
#include "clients/c/core/client.h"
#include "clients/c/core/loop.h"
#include "clients/c/core/names.h"
#include "clients/c/core/session.h"
#include "clients/c/queues/push-options.h"
#include "clients/c/resend/push-log.h"

/* ---- sending ---- */

/* Pushes through the handle of a request are its leader's, which sees where queues are. */
static Core *core_of(const ferry_client *client) {
    return client->core->leader ? client->core->leader : client->core;
}

static int put(Core *core, const Message *message, const void *block) {
    int r = link_put(core->link, LANE_BULK, message, block);

    if (r != -EAGAIN)
        return r;
    core_poll(core);
    return link_put(core->link, LANE_BULK, message, block);
}

static int check(ferry_client *client, const char *queue, ferry_bytes body,
                 const CachedName **ret_name, ferry_error *reterr) {
    int r = client_check(client, reterr);
    const Core *core;

    if (r < 0)
        return r;
    core = core_of(client);
    *ret_name = names_find(core->names, queue, reterr);
    if (!*ret_name)
        return -EINVAL;
    if (!body.data && body.len > 0)
        return error_set(reterr, "ferry.Misuse", "body.data is NULL, but body.len is not 0");
    if (body.len > link_max_body(core->link))
        return error_set(reterr, "ferry.TooBig",
                         "the body has %zu bytes; the limit (max_body) is %llu", body.len,
                         (unsigned long long)link_max_body(core->link));
    return 0;
}

static void forget(Core *core, Push *push) {
    await_take(core, &push->await);
    push_log_take(core->pushes, push);
    push_log_give_back(core->pushes, push);
}

/* The receiver of a push's outcome: a callback, or a blocking call that waits for the result. */
typedef struct PushListener {
    ferry_done_fn fn;
    void *ctx;
    Outcome *result;
} PushListener;

/* Sends the push now, or leaves it to the log. -EAGAIN: the outbox is full. */
static int send(Core *core, Push *push, const Message *message, const void *block) {
    int r = 0;

    if (homes_are_known(core))
        return home_add(core, push);
    if (core->is_up && !core->pushes->unsent) {
        r = core->pushes->moved > 0 ? push_put(core, push, NULL) : put(core, message, block);
        push->was_sent = r == 0;
        push->session = r == 0 ? core->session : 0;
        if (r == -ENOTCONN)
            r = 0;
    }
    if (r == 0 && !push->was_sent && !core->pushes->unsent)
        core->pushes->unsent = push;
    return r;
}

/* -EAGAIN: no room for another push. */
static int push_start(ferry_client *client, const char *queue, ferry_bytes body,
                      const ferry_push_options *options, PushListener listener, Push **ret,
                      ferry_error *reterr) {
    CLEANUP(buffer_deinit) Buffer scratch = {0};
    const CachedName *name;
    Message message;
    Core *core;
    Push *push;
    int r = check(client, queue, body, &name, reterr);

    if (r < 0)
        return r;
    core = core_of(client);
    message = (Message){.op = OP_PUSH,
                        .name = name_span(name),
                        .headers = client_headers(client),
                        .push.flags = PUSH_COUNTS,
                        .body = span_bytes(body)};
    if (options) {
        r = push_options_write(&scratch, options, &message.push.options, &message.headers, reterr);
        if (r < 0)
            return r;
    }
    if (!push_log_has_room(core->pushes, body.len)) {
        core_poll(core);
        if (!push_log_has_room(core->pushes, body.len))
            return error_set(reterr, "ferry.WouldBlock",
                             "65 536 pushes, or 64 MiB of pushes, are "
                             "not confirmed yet: wait for confirmations");
    }
    message.id = (*core->next_id)++;
    push = push_log_add(core->pushes, &message, body.block);
    if (!push)
        return error_set_code(reterr, -ENOMEM, NULL);
    push->fn = listener.fn;
    push->ctx = listener.ctx;
    push->result = listener.result;
    push->pushed = options ? options->pushed : NULL;
    push->await.fn = core->brokers ? home_answer : push_log_answer;
    push->await.at_close = true;
    r = await_put(core, &push->await);
    if (r == 0)
        r = send(core, push, &message, body.block);
    if (r < 0) {
        forget(core, push);
        return error_set_code(reterr, r,
                              r == -EAGAIN ? "the outbox is full: 4 MiB wait to be sent" : NULL);
    }
    if (push->was_sent)
        core_sent(core);
    if (ret)
        *ret = push;
    return 0;
}

int ferry_push_async(ferry_client *client, const char *queue, ferry_bytes body,
                     const ferry_push_options *options, ferry_done_fn fn, void *ctx,
                     ferry_error *reterr) {
    return push_start(client, queue, body, options, (PushListener){fn, ctx, NULL}, NULL, reterr);
}

int push_for_library(Core *core, Message *message, const void *block, ferry_done_fn fn, void *ctx) {
    Push *push;
    int r;

    if (!push_log_has_room(core->pushes, message->body.len))
        return -EAGAIN;
    message->id = (*core->next_id)++;
    push = push_log_add(core->pushes, message, block);
    if (!push)
        return -ENOMEM;
    push->fn = fn;
    push->ctx = ctx;
    push->is_inner = true;
    push->await.fn = core->brokers ? home_answer : push_log_answer;
    push->await.at_close = true;
    r = await_put(core, &push->await);
    if (r == 0 && homes_are_known(core))
        r = home_add(core, push);
    else if (r == 0)
        push_log_send_from(core, push);
    if (r < 0) {
        forget(core, push);
        return r;
    }
    core_sent(core);
    return 0;
}

/* Waits a short time for room. */
static void pause_briefly(Core *core) {
    static const bool never;

    core_wait(core, &never, clock_ms() + 1);
}

int ferry_push(ferry_client *client, const char *queue, ferry_bytes body,
               const ferry_push_options *options, ferry_error *reterr) {
    Outcome result = {.error = FERRY_ERROR_INIT};
    const PushListener listener = {.result = &result};
    uint64_t now_ms = clock_ms(), until_ms;
    uint32_t timeout_ms;
    Push *push = NULL;
    Core *core;
    int r = client_check(client, reterr);

    if (r < 0)
        return r;
    core = core_of(client);
    timeout_ms = client_timeout(client, 0, now_ms);
    until_ms = now_ms + timeout_ms;
    while ((r = push_start(client, queue, body, options, listener, &push, reterr)) == -EAGAIN &&
           clock_ms() < until_ms)
        pause_briefly(core);
    if (!push)
        return r;
    if (!home_is_elsewhere(push))
        r = session_await(core == client->core ? client : &core->main, until_ms, reterr);
    if (r == 0 && core_wait(core, &result.done, until_ms) < 0) {
        const char *why = home_why(push);

        r = error_set(reterr, "ferry.DeadlineExceeded",
                      "the push was not confirmed within %u ms%s%s", timeout_ms, why ? ": " : "",
                      why ? why : "");
    }
    if (r < 0 && !result.done) {
        if (reterr)
            reterr->outcome_unknown = push->was_sent;
        forget(core, push);
        return r;
    }
    if (result.code < 0)
        error_move(reterr, &result.error);
    return result.code;
}

static int take_flush_error(Core *core, ferry_error *reterr) {
    int r = core->unconfirmed.error.type ? core->unconfirmed.error.code : 0;

    if (r < 0)
        error_move(reterr, &core->unconfirmed.error);
    return r;
}

int ferry_flush(ferry_client *client, ferry_error *reterr) {
    uint64_t now_ms = clock_ms(), until_ms;
    uint32_t timeout_ms;
    PushLog *log;
    Core *core, *pusher;
    int r = client_check(client, reterr);

    if (r < 0)
        return r;
    core = client->core;
    pusher = core_of(client);
    log = pusher->pushes;
    log->confirmed = !log->first;
    log->flush_id = *core->next_id - 1;
    timeout_ms = client_timeout(client, 0, now_ms);
    until_ms = now_ms + timeout_ms;
    r = core_wait(pusher, &log->confirmed, until_ms);
    log->flush_id = 0;
    while (r == 0 && (core->unconfirmed.n_oneway > 0 || core->unconfirmed.n_publishes > 0)) {
        if (clock_ms() < until_ms)
            pause_briefly(core);
        else
            r = -ETIMEDOUT;
    }
    if (r < 0) {
        r = error_set(
            reterr, "ferry.DeadlineExceeded",
            "%zu pushes, %u publishes and %u oneway calls were not confirmed within %u ms", log->n,
            core->unconfirmed.n_publishes, core->unconfirmed.n_oneway, timeout_ms);
        if (reterr)
            reterr->outcome_unknown = true;
        return r;
    }
    r = take_flush_error(pusher, reterr);
    if (r == 0)
        r = take_flush_error(core, reterr);
    if (r < 0 || !core->unconfirmed.has_published)
        return r;
    /* Publishes have no answer, but the answer to a later ping shows that the broker has them. */
    r = session_await(client, until_ms, reterr);
    while (r == 0 && link_waiting(core->link) > 0 && clock_ms() < until_ms)
        pause_briefly(core);
    if (r == 0)
        r = ferry_ping(client, NULL, reterr);
    core->unconfirmed.has_published = r < 0;
    return r;
}

/* SPDX-License-Identifier: Apache-2.0 */

/* The caller's end of a stream. See stream.h. */

#include "clients/c/calls/stream.h"

#include <stdlib.h>

#include "base/container.h"
#include "clients/c/calls/send.h"
#include "clients/c/core/loop.h"
#include "clients/c/core/names.h"
#include "clients/c/core/session.h"

struct ferry_stream {
    PendingCall call;
    Core *core; /* the stream holds a reference */
    Flow flow;
    ferry_error error;  /* the failure */
    ferry_reply *reply; /* the answer */
    uint32_t timeout_ms;
    bool over;  /* answered or failed: the call has ended */
    bool ended; /* the caller has sent END */
    void (*fn)(ferry_stream *stream, void *ctx);
    void *ctx;
    bool due, busy, dead; /* fn is due; fn runs; the stream was closed while fn ran */
    ferry_stream *next_due;
    StreamFiles files; /* see stream-file.c */
};

/* ---- watching ---- */

static void note_due(ferry_stream *stream) {
    Core *core = stream->core;

    stream->flow.wake = true;
    if (!stream->fn || stream->due)
        return;
    stream->due = true;
    stream->next_due = core->calls->due_streams;
    core->calls->due_streams = stream;
    core_raise(core);
}

static void note_room(void *owner) {
    note_due(owner);
}

static void not_due(ferry_stream *stream) {
    ferry_stream **link = &stream->core->calls->due_streams;

    while (*link && *link != stream)
        link = &(*link)->next_due;
    if (*link)
        *link = stream->next_due;
    stream->due = false;
}

static void stream_free(ferry_stream *stream) {
    Core *core = stream->core;

    not_due(stream);
    flow_deinit(&stream->flow);
    ferry_free(stream->reply);
    ferry_error_clear(&stream->error);
    free(stream);
    core_unref(core);
}

static bool is_due(const Core *core) {
    return core->calls->due_streams != NULL;
}

static bool run(Core *core) {
    bool busy = core->calls->due_streams != NULL;

    while (core->calls->due_streams && !core->closed) {
        ferry_stream *stream = core->calls->due_streams;

        core->calls->due_streams = stream->next_due;
        stream->due = false;
        stream->busy = true;
        stream->fn(stream, stream->ctx);
        stream->busy = false;
        if (stream->dead)
            stream_free(stream);
    }
    return busy;
}

int ferry_stream_watch(ferry_stream *stream, void (*fn)(ferry_stream *stream, void *ctx),
                       void *ctx) {
    if (!stream || !fn)
        return -EINVAL;
    stream->fn = fn;
    stream->ctx = ctx;
    /* Items that arrived before fn was set are reported, too. */
    note_due(stream);
    return 0;
}

/* ---- arriving ---- */

int stream_item(Core *core, Flow *flow, const Message *message, const void *block) {
    const void *held = block ? NULL : link_hold_body(core->link, message->body);
    int r = flow_item(flow, message->body, held ? held : block);

    ferry_free(held);
    return r;
}

static void on_sent(PendingCall *call) {
    note_due(container_of(call, ferry_stream, call));
}

static void on_ended(PendingCall *call, ferry_error *error) {
    ferry_stream *stream = container_of(call, ferry_stream, call);

    stream->over = true;
    stream->flow.in_ended = true;
    if (error->type)
        error_move(&stream->error, error);
    note_due(stream);
}

static const StreamEvents events = {on_sent, on_ended};

/* The broker checks the items of calls that go through it. A server that is called directly may
 * send anything. */
static void on_item(Core *core, ferry_stream *stream, const Message *message, const void *block) {
    ferry_error error = FERRY_ERROR_INIT;
    int r = stream_item(core, &stream->flow, message, block);

    if (r == 0) {
        note_due(stream);
        return;
    }
    if (r == -EPROTO)
        error_set(&error, "ferry.Protocol",
                  "the server sent items beyond its credit: it does not wait for MORE");
    else
        error_set_code(&error, r, NULL);
    error.outcome_unknown = true;
    pending_call_abandon(core, &stream->call);
    on_ended(&stream->call, &error);
}

static void on_message(Core *core, Await *await, const Message *message, const void *block) {
    ferry_stream *stream = (ferry_stream *)await;
    ferry_error error = FERRY_ERROR_INIT;

    switch (message->op) {
    case OP_ITEM:
        on_item(core, stream, message, block);
        return;
    case OP_MORE:
        flow_more(&stream->flow, message->more.bytes);
        break;
    case OP_OK:
        stream->reply = reply_new(message->body, block);
        if (!stream->reply)
            error_set_code(&error, -ENOMEM, NULL);
        call_end(core, &stream->call);
        on_ended(&stream->call, &error);
        return;
    case OP_ERROR:
        error_of_message(message, &error);
        pending_call_fail(core, &stream->call, &error, false);
        return;
    default:
        return;
    }
    note_due(stream);
}

/* ---- the program's side ---- */

int stream_open(ferry_client *client, const CallSpec *spec, ferry_stream **ret,
                ferry_error *reterr) {
    ferry_stream *stream = calloc(1, sizeof(*stream));
    int r;

    if (!stream)
        return error_set_code(reterr, -ENOMEM, NULL);
    flow_init(&stream->flow);
    stream->flow.note = note_room;
    stream->flow.owner = stream;
    stream->call.await.fn = on_message;
    stream->call.stream = &events;
    stream->call.is_streaming = true;
    stream->ended = !(spec->flags & CALL_STREAM_IN);
    stream->files.writable = !stream->ended;
    stream->files.readable = (spec->flags & CALL_STREAM_OUT) != 0;
    stream->timeout_ms = client->timeout_ms ? client->timeout_ms
                         : spec->timeout_ms ? spec->timeout_ms
                                            : TIMEOUT_MS;
    stream->core = core_ref(client->core);
    r = call_begin(client, spec, &stream->call, reterr);
    if (r < 0)
        call_not_begun(&stream->call, reterr, r);
    if (r < 0) {
        stream_free(stream);
        return r;
    }
    *ret = stream;
    return 0;
}

Core *stream_core(const ferry_stream *stream) {
    return stream->core;
}

StreamFiles *stream_files(ferry_stream *stream) {
    return &stream->files;
}

int ferry_stream_open(ferry_client *client, const char *method, ferry_bytes args,
                      unsigned directions, ferry_stream **ret, ferry_error *reterr) {
    int r = client_check(client, reterr);
    const CachedName *name;
    CallSpec spec;

    if (r < 0)
        return r;
    if (!ret || directions == 0 || directions > (FERRY_SEND | FERRY_RECEIVE))
        return error_set(
            reterr, "ferry.Misuse",
            "directions must be FERRY_SEND, FERRY_RECEIVE or both, and ret must not be NULL");
    name = names_find_method(client->core->names, method, reterr);
    if (!name)
        return -EINVAL;
    spec = (CallSpec){.service = name_service(name), .method = name_method(name), .args = args};
    spec.flags = (directions & FERRY_SEND ? CALL_STREAM_IN : 0) |
                 (directions & FERRY_RECEIVE ? CALL_STREAM_OUT : 0);
    return stream_open(client, &spec, ret, reterr);
}

static int check(ferry_stream *stream, ferry_error *reterr) {
    if (!stream)
        return error_set(reterr, "ferry.Misuse", "the stream is NULL");
    if (stream->core->closed)
        return error_set(reterr, "ferry.Cancelled", "the client is closed");
    return client_check(&stream->core->main, reterr);
}

static int failed(ferry_stream *stream, ferry_error *reterr) {
    /* If memory runs out, reterr has no text; the code is still correct. */
    error_copy(reterr, &stream->error);
    return stream->error.code;
}

/* Waits for a change. -EAGAIN: the stream is watched, so it must not block. */
static int wait_for_change(ferry_stream *stream, ferry_error *reterr) {
    uint64_t now_ms = clock_ms(), until_ms = now_ms + stream->timeout_ms;
    const ferry_client *handle = stream->call.handle;

    if (stream->fn)
        return error_set(reterr, "ferry.WouldBlock",
                         "the stream is watched and not ready: try again in its callback");
    if (!stream->over && handle->deadline_ms < until_ms)
        until_ms = handle->deadline_ms;
    stream->flow.wake = false;
    if (core_wait(stream->core, &stream->flow.wake, until_ms) < 0) {
        ferry_error error = FERRY_ERROR_INIT;

        error_set(&error, "ferry.DeadlineExceeded", "nothing arrived on the stream for %u ms",
                  until_ms > now_ms ? (unsigned)(until_ms - now_ms) : 0);
        error.outcome_unknown = true;
        pending_call_abandon(stream->core, &stream->call);
        on_ended(&stream->call, &error);
    }
    return 0;
}

static void grant(ferry_stream *stream) {
    uint64_t bytes = stream->over ? 0 : flow_grant(&stream->flow);
    Message more = {.op = OP_MORE, .id = stream->call.await.id, .more.bytes = bytes};

    if (bytes == 0)
        return;
    if (stream->call.await.route
            ? call_put(stream->core, &stream->call, LANE_CALLS, &more, NULL) < 0
            : core_send(stream->core, LANE_CALLS, &more, NULL) < 0)
        flow_not_granted(&stream->flow, bytes);
}

int ferry_stream_next(ferry_stream *stream, ferry_bytes *ret, ferry_error *reterr) {
    int r = check(stream, reterr);

    while (r == 0) {
        if (flow_take(&stream->flow, ret) > 0) {
            grant(stream);
            return 1;
        }
        if (stream->error.type)
            return failed(stream, reterr);
        if (stream->over)
            return 0;
        r = wait_for_change(stream, reterr);
    }
    return r;
}

int stream_result(ferry_stream *stream, ferry_bytes *ret, ferry_error *reterr) {
    ferry_bytes dropped;
    int r;

    while ((r = ferry_stream_next(stream, &dropped, reterr)) > 0)
        ;
    if (r == 0 && ret)
        *ret = stream->reply ? stream->reply->body : (ferry_bytes){NULL, 0, NULL};
    return r;
}

int ferry_stream_result(ferry_stream *stream, ferry_bytes *ret, ferry_error *reterr) {
    return stream_result(stream, ret, reterr);
}

int ferry_stream_send(ferry_stream *stream, ferry_bytes item, ferry_error *reterr) {
    int r = check(stream, reterr);

    if (r == 0 && stream->ended)
        r = error_set(
            reterr, "ferry.Misuse",
            "this end of the stream cannot send: it was ended, or the method takes no stream");
    if (r == 0 && item.len > link_max_body(stream->core->link))
        r = error_set(reterr, "ferry.TooBig",
                      "the item has %zu bytes; the limit (max_body) is %llu", item.len,
                      (unsigned long long)link_max_body(stream->core->link));
    while (r == 0) {
        if (stream->error.type)
            return failed(stream, reterr);
        if (stream->over)
            return error_set(reterr, "ferry.Cancelled", "the server has ended the stream");
        if (flow_may_send(&stream->flow) && stream->call.state == CALL_SENT) {
            r = call_put(
                stream->core, &stream->call, LANE_BULK,
                &(Message){.op = OP_ITEM, .id = stream->call.await.id, .body = span_bytes(item)},
                item.block);
            if (r == 0) {
                flow_sent(&stream->flow, item.len);
                return 0;
            }
            if (r != -EAGAIN)
                return error_set_code(reterr, r, NULL);
            flow_wait_for_room(&stream->flow, call_full_flows(stream->core, &stream->call));
        }
        r = wait_for_change(stream, reterr);
    }
    return r;
}

int ferry_stream_end(ferry_stream *stream, ferry_error *reterr) {
    int r = check(stream, reterr);

    if (r < 0)
        return r;
    if (stream->ended)
        return 0;
    /* END needs a call that was sent. */
    while (stream->call.state != CALL_SENT && !stream->over) {
        r = wait_for_change(stream, reterr);
        if (r < 0)
            return r;
    }
    if (stream->error.type)
        return failed(stream, reterr);
    stream->ended = true;
    while (!stream->over && stream->call.await.route) {
        r = call_put(stream->core, &stream->call, LANE_BULK,
                     &(Message){.op = OP_END, .id = stream->call.await.id}, NULL);
        if (r == 0)
            return 0;
        if (r != -EAGAIN)
            return error_set_code(reterr, r, NULL);
        flow_wait_for_room(&stream->flow, call_full_flows(stream->core, &stream->call));
        r = wait_for_change(stream, reterr);
        if (r < 0)
            return r;
    }
    if (stream->over)
        return 0;
    return core_send(stream->core, LANE_BULK, &(Message){.op = OP_END, .id = stream->call.await.id},
                     NULL);
}

ferry_stream *ferry_stream_close(ferry_stream *stream) {
    if (!stream || client_check(&stream->core->main, NULL) == -ECHILD)
        return NULL;
    if (!stream->over && stream->core->link) {
        pending_call_abandon(stream->core, &stream->call);
        stream->over = true;
    }
    if (stream->busy)
        stream->dead = true;
    else
        stream_free(stream);
    return NULL;
}

const Part streams_part = {
    .is_due = is_due,
    .run = run,
};

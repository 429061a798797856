/* SPDX-License-Identifier: Apache-2.0 */

/* The requests that handlers receive, and their answers. See request.h. */

#include "clients/c/serving/request.h"

#include <assert.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/buffer.h"
#include "clients/c/calls/call.h"
#include "clients/c/calls/stream.h"
#include "clients/c/core/client.h"
#include "clients/c/core/intercept.h"
#include "clients/c/core/loop.h"
#include "clients/c/core/session.h"
#include "rpc/schema/codec/codec.h"

static_assert(offsetof(Request, request) == sizeof(BlockHeader), "a request follows its header");

/* ---- ferry_keep() on a request ---- */

static const void *keep_request(const void *block) {
    const Request *request = request_of(block);
    const ferry_bytes body = request->request.body;
    const void *inner = body.block ? ferry_keep(body.block) : NULL;
    size_t fixed = sizeof(Request) - sizeof(BlockHeader);
    size_t method_len = strlen(request->request.method);
    ferry_request *copy;
    Request *kept;
    char *at;

    if (body.block && !inner)
        return NULL;
    copy = block_new_around(fixed + header_text_size(request->headers) + method_len + 1 +
                                (inner ? 0 : body.len),
                            inner);
    if (!copy) {
        ferry_free(inner);
        return NULL;
    }
    kept = request_of(copy);
    memcpy(copy, &request->request, fixed);
    kept->core = NULL;
    kept->answered = true;
    kept->flow = NULL;
    kept->client = NULL;
    kept->serving = NULL;
    kept->intercepted = NULL;
    kept->args = NULL;
    kept->because = NULL;
    kept->request.caller = kept->caller;
    at = (char *)copy + fixed;
    kept->text = header_text_init(at, request->headers);
    at += header_text_size(request->headers);
    memcpy(at, request->request.method, method_len + 1);
    kept->request.method = at;
    at += method_len + 1;
    if (!inner) {
        if (body.len > 0)
            memcpy(at, body.data, body.len);
        kept->request.body = ferry_bytes_of(at, body.len);
    }
    return copy;
}

/* ---- life ---- */

static void note_room(void *owner) {
    request_note_due(owner);
}

Request *request_new(Core *core, const ServedMethod *method, const Message *message,
                     const void *block) {
    Request *request = slabs_alloc(&core->slabs, sizeof(*request));
    size_t caller_len = message->call.text.len < CALLER_MAX ? message->call.text.len : CALLER_MAX;
    size_t user_len = message->call.user.len < USER_MAX ? message->call.user.len : USER_MAX;

    if (!request)
        return NULL;
    block_init_lent(&request->header, keep_request);
    request->request.method = method->full;
    request->request.caller = request->caller;
    request->request.body = bytes_span(message->body, block);
    request->core = core;
    request->id = message->id;
    request->session = message->id & DIRECT_ID ? UINT64_MAX : core->session;
    request->timeout_ms = message->call.timeout_ms > 0 && message->call.timeout_ms <= TIMEOUT_MAX_MS
                              ? (uint32_t)message->call.timeout_ms
                              : TIMEOUT_MS;
    /* The deadline counts from the arrival: time spent waiting for another handler is used up. */
    request->deadline_ms = core_received_ms(core) + request->timeout_ms;
    request->typed = method->typed;
    request->headers = message->headers;
    request->text = NULL;
    request->args = NULL;
    request->copy = NULL;
    request->client = NULL;
    request->flow = NULL;
    request->because = NULL;
    request->retry_ms = -1;
    request->fn = NULL;
    request->in_handler = true;
    request->deferred = request->answered = request->cancelled = request->due = false;
    request->in_table = request->resumed = request->told = false;
    request->fresh = message->call.flags & CALL_FRESH;
    request->serving = NULL;
    request->intercepted = NULL;
    if (caller_len > 0)
        memcpy(request->caller, message->call.text.data, caller_len);
    request->caller[caller_len] = '\0';
    if (user_len > 0)
        memcpy(request->user, message->call.user.data, user_len);
    request->user[user_len] = '\0';
    if (message->id & STREAM_ID) {
        request->flow = malloc(sizeof(*request->flow));
        if (!request->flow) {
            slabs_free(&core->slabs, request, sizeof(*request));
            return NULL;
        }
        flow_init(request->flow);
        request->flow->note = note_room;
        request->flow->owner = request;
        request->flow->in_ended = !(message->call.flags & CALL_STREAM_IN);
    }
    return request;
}

static void link_in(Core *core, Request *request) {
    DL_PREPEND(core->serving->deferred, request);
    core->n_requests++;
    core_ref(core);
}

static void link_out(Core *core, Request *request) {
    DL_DELETE(core->serving->deferred, request);
    core->n_requests--;
}

static void leave_table(Request *request) {
    if (request->in_table)
        id_map_take(&request->core->serving->by_id, request->id);
    request->in_table = false;
}

/* Drops the handle of the request. Handles that the program made from it remain valid, but no
 * longer act on behalf of the request. */
static void drop_client(Request *request) {
    Core *core = request->core;

    if (!request->client)
        return;
    for (ferry_client *handle = core->main.next; handle; handle = handle->next)
        if (handle->request == request) {
            handle->request = NULL;
            handle->parent = 0;
            handle->cancelled = false;
        }
    client_drop(request->client);
}

/* Frees the request, once it is answered and its handler has returned. */
static void request_end(Request *request) {
    Core *core = request->core;
    bool deferred = request->deferred;

    if (request->in_handler || !request->answered)
        return;
    leave_table(request);
    if (request->due)
        core->serving->n_due--;
    drop_client(request);
    if (request->serving)
        core->serve_memo->end(request);
    if (request->text)
        free(request->text);
    schema_spare(&core->spare, request->args);
    if (request->because) {
        ferry_error_clear(request->because);
        free(request->because);
    }
    if (request->flow) {
        flow_deinit(request->flow);
        free(request->flow);
    }
    if (request->copy) {
        ferry_free(request->request.body.block);
        free(request->copy);
    }
    if (deferred)
        link_out(core, request);
    slabs_free(&core->slabs, request, sizeof(*request));
    if (deferred)
        core_unref(core);
}

Request *request_find(Core *core, uint64_t id) {
    if (core->serving->current && core->serving->current->id == id &&
        request_is_live(core->serving->current))
        return core->serving->current;
    return core->serving->by_id.n > 0 ? id_map_get(&core->serving->by_id, id) : NULL;
}

ferry_request *ferry_request_defer(ferry_request *request) {
    Request *mine = request ? request_of(request) : NULL;
    size_t method_len, body_len;
    char *copy;

    if (mine && mine->deferred)
        mine->resumed = false;
    if (!mine || mine->answered || !mine->in_handler || mine->deferred)
        return mine && mine->deferred ? request : NULL;
    method_len = strlen(request->method) + 1;
    body_len = request->body.block ? 0 : request->body.len;
    copy = malloc(mine->headers.len + method_len + body_len);
    if (!copy)
        return NULL;
    if (id_map_put(&mine->core->serving->by_id, mine->id, mine) < 0) {
        free(copy);
        return NULL;
    }
    mine->in_table = true;
    if (mine->headers.len > 0)
        memcpy(copy, mine->headers.data, mine->headers.len);
    mine->headers.data = (const uint8_t *)copy;
    memcpy(copy + mine->headers.len, request->method, method_len);
    request->method = copy + mine->headers.len;
    if (request->body.block)
        ferry_keep(request->body.block);
    else if (body_len > 0)
        memcpy(copy + mine->headers.len + method_len, request->body.data, body_len);
    if (!request->body.block)
        request->body.data = copy + mine->headers.len + method_len;
    mine->copy = copy;
    mine->deferred = true;
    link_in(mine->core, mine);
    return request;
}

/* ---- answering ---- */

static int send_answer(Request *request, Message *message, const void *block) {
    Core *core = request->core;

    message->id = request->id;
    if (!core->link)
        return -ECANCELED;
    if (request->told || !request_is_live(request) || (!core->is_up && !(request->id & DIRECT_ID)))
        return 0;
    /* The answer of a stream must not overtake its items. */
    return core_send(core, request->flow ? LANE_BULK : LANE_CALLS, message, block);
}

/* Runs the interceptor's `after`: the answer has been sent, and the request is still valid. */
static void tell_interceptor(Request *request, const Message *message) {
    ferry_error error = FERRY_ERROR_INIT;

    if (!request->intercepted)
        return;
    if (message->op == OP_ERROR)
        error_of_message(message, &error);
    intercept_end(&request->intercepted, message->op == OP_ERROR ? &error : NULL);
    ferry_error_clear(&error);
}

/* Sends an answer. error: the error in the message, which a cache may store; NULL: the message has
 * a result, or an error that the cache must not store. */
static int answer(Request *request, Message *message, const void *block, const ferry_error *error) {
    int r;

    if (request->answered)
        return -EINVAL;
    r = send_answer(request, message, block);
    if (r < 0 && r != -ECANCELED)
        return r;
    if (request->serving && r == 0 && message->op == OP_OK)
        request->core->serve_memo->result(request, message->body);
    else if (request->serving && r == 0 && error)
        request->core->serve_memo->error(request, error);
    request->answered = true;
    tell_interceptor(request, message);
    request_end(request);
    return r;
}

int ferry_request_return(ferry_request *request, ferry_bytes result) {
    Request *mine;

    if (!request || (!result.data && result.len > 0))
        return -EINVAL;
    mine = request_of(request);
    if (mine->answered)
        return -EINVAL;
    if (mine->core->link && result.len > link_max_body(mine->core->link)) {
        int r = request_reject(mine, "ferry.TooBig", "the result is larger than max_body");

        return r < 0 ? r : -EMSGSIZE;
    }
    return answer(mine, &(Message){.op = OP_OK, .body = span_of(result.data, result.len)},
                  result.block, NULL);
}

int request_tell(Request *request, ferry_bytes result) {
    int r = send_answer(request, &(Message){.op = OP_OK, .body = span_of(result.data, result.len)},
                        result.block);

    request->told = r == 0;
    return r;
}

int request_answer_error(Request *request, Span map, const ferry_error *error) {
    return answer(request, &(Message){.op = OP_ERROR, .error.map = map}, NULL, error);
}

void request_drop(Request *request) {
    request->answered = true;
    intercept_end(&request->intercepted,
                  &(ferry_error){-ECANCELED, false, "ferry.Cancelled",
                                 "the request ended before its handler began", NULL});
    request_end(request);
}

void request_handled(Request *request, const ServedMethod *method, int r) {
    ferry_request *public_request = &request->request;
    bool deferred = request->deferred && !request->resumed;

    request->in_handler = false;
    if (!request->answered && r < 0)
        request_reject(request, "ferry.Internal", strerror(-r));
    else if (!request->answered && !deferred && method->is_void)
        ferry_request_return(public_request, (ferry_bytes){NULL, 0, NULL});
    else if (!request->answered && !deferred)
        request_reject(request, "ferry.Internal", "the handler returned without an answer");
    else
        request_end(request);
}

/* ---- functions for handlers ---- */

ferry_client *ferry_request_client(ferry_request *request) {
    Request *mine = request ? request_of(request) : NULL;

    if (!mine || mine->answered || mine->core->closed)
        return NULL;
    if (!mine->client) {
        mine->client = client_for_request(mine->core, mine, mine->id, mine->headers,
                                          mine->flow ? UINT64_MAX : mine->deadline_ms);
        if (mine->client) {
            mine->client->parent_session = mine->session;
            mine->client->cancelled = mine->cancelled;
        }
    }
    return mine->client;
}

uint32_t ferry_request_left_ms(const ferry_request *request) {
    const Request *mine = request ? request_of(request) : NULL;
    uint64_t now_ms = clock_ms();

    if (!mine || mine->deadline_ms <= now_ms)
        return 0;
    return (uint32_t)(mine->deadline_ms - now_ms);
}

const char *ferry_request_user(const ferry_request *request) {
    const Request *mine = request ? request_of(request) : NULL;

    return mine && *mine->user ? mine->user : NULL;
}

static const HeaderText *text_of(const ferry_request *request) {
    Request *mine = request ? request_of(request) : NULL;

    if (mine && !mine->text && mine->core && mine->headers.len > 0)
        mine->text = header_text_new(mine->headers);
    return mine ? mine->text : NULL;
}

const char *ferry_request_header(const ferry_request *request, const char *name) {
    const HeaderText *text = name ? text_of(request) : NULL;

    return text ? header_text_find(text, name) : NULL;
}

const char *ferry_request_header_after(const ferry_request *request, const char *name) {
    const HeaderText *text = text_of(request);

    return text ? header_text_after(text, name) : NULL;
}

bool ferry_request_cancelled(ferry_request *request) {
    Request *mine = request ? request_of(request) : NULL;
    Core *core;

    if (!mine || !mine->core)
        return true;
    core = mine->core;
    if (mine->cancelled || core->closed)
        return true;
    core_look(core);
    return mine->cancelled || (!mine->flow && clock_ms() >= mine->deadline_ms);
}

/* ---- the session ---- */

static void cancel(Core *core, Request *request) {
    request->cancelled = true;
    if (request->flow)
        request->flow->wake = true;
    for (ferry_client *handle = core->main.next; handle; handle = handle->next)
        if (handle->request == request) {
            handle->cancelled = true;
            calls_cancel(handle);
        }
    request_note_due(request);
}

void request_message(Core *core, Request *request, const Message *message, const void *block) {
    Flow *flow = request->flow;

    if (message->op == OP_CANCEL) {
        cancel(core, request);
        return;
    }
    if (!flow)
        return;
    if (message->op == OP_ITEM && stream_item(core, flow, message, block) < 0)
        cancel(core, request);
    else if (message->op == OP_MORE)
        flow_more(flow, message->more.bytes);
    else if (message->op == OP_END)
        flow->in_ended = true;
    flow->wake = true;
    request_note_due(request);
}

static void cancel_some(Core *core, bool of_broker) {
    if (core->serving->current && !(of_broker && core->serving->current->id & DIRECT_ID))
        cancel(core, core->serving->current);
    for (Request *request = core->serving->deferred; request; request = request->next) {
        if (of_broker && request->id & DIRECT_ID)
            continue;
        leave_table(request);
        cancel(core, request);
    }
}

void requests_cancel(Core *core) {
    cancel_some(core, false);
}

void requests_lose_broker(Core *core) {
    cancel_some(core, true);
}

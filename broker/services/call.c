/* SPDX-License-Identifier: Apache-2.0 */

/* A call, from its beginning to its end: its deadline, and how it is cancelled. routing.c chooses
 * its server. See services-private.h. */

#include "broker/services/services-private.h"

#include <stdlib.h>
#include <utlist.h>

#include "base/block.h"
#include "base/container.h"

/* A call and its entries in the tables of caller and server. */
enum { CALL_MEMORY = sizeof(Call) + 64 };

Call *call_new(Services *services, Session *caller) {
    Account *account = &caller->peer->account;
    Call *call =
        account_allows(account, CALL_MEMORY) ? slabs_alloc(&services->slabs, sizeof(*call)) : NULL;

    if (!call)
        return NULL;
    memset(call, 0, sizeof(*call));
    /* These bytes are `held`, not due: the broker still reads from a session with many slow
     * calls. */
    account->held += CALL_MEMORY;
    services->broker->budget.bytes[BUDGET_CALLS] += CALL_MEMORY;
    call->payer = caller;
    DL_APPEND2(caller->paid_calls, call, paid_prev, paid_next);
    services->n_calls++;
    return call;
}

static void drop_record(Services *services, Call *call) {
    if (call->payer) {
        call->payer->peer->account.held -= CALL_MEMORY;
        DL_DELETE2(call->payer->paid_calls, call, paid_prev, paid_next);
    }
    services->broker->budget.bytes[BUDGET_CALLS] -= CALL_MEMORY;
    services->n_calls--;
    slabs_free(&services->slabs, call, sizeof(*call));
}

bool call_charge(Call *call, BudgetKind kind, size_t bytes) {
    Broker *broker = call->service->services->broker;
    Session *payer = call->payer;

    if (payer ? !account_allows(&payer->peer->account, bytes)
              : !budget_allows(&broker->budget, bytes))
        return false;
    *(kind == BUDGET_CALLS ? &call->request_charge : &call->unsent_charge) += bytes;
    if (payer)
        account_charge(&payer->peer->account, kind, bytes);
    else
        broker->budget.bytes[kind] += bytes;
    return true;
}

static void refund(Call *call, BudgetKind kind, size_t *charge, size_t bytes) {
    if (bytes == 0)
        return;
    *charge -= bytes;
    if (!call->payer) {
        call->service->services->broker->budget.bytes[kind] -= bytes;
        return;
    }
    account_refund(&call->payer->peer->account, kind, bytes);
}

void call_refund_items(Call *call, size_t bytes) {
    refund(call, BUDGET_STREAMS, &call->unsent_charge, bytes);
}

void call_lose_payer(Call *call) {
    Session *payer = call->payer;

    DL_DELETE2(payer->paid_calls, call, paid_prev, paid_next);
    payer->peer->account.held -= CALL_MEMORY + call->request_charge + call->unsent_charge;
    payer->peer->account.due -= call->request_charge + call->unsent_charge;
    call->payer = NULL;
}

static void drop_request(Call *call) {
    refund(call, BUDGET_CALLS, &call->request_charge, call->request_charge);
    call->request = stored_message_free(call->request);
    call->instance = (Span){NULL, 0};
}

/* The caller has its answer, or its session has ended. */
static void forget_caller(Call *call) {
    if (call->caller)
        id_map_take(&call->caller->calls, call->caller_id);
    call->caller = NULL;
    timer_disarm(&call->service->services->broker->timers, &call->deadline);
    /* A call without a caller that waits for the answer does not move to another server. */
    if (call->server)
        drop_request(call);
    if (call->parent)
        DL_DELETE2(call->parent->children, call, child_prev, child_next);
    call->parent = NULL;
}

void call_detach(Call *call) {
    id_map_take(&call->caller->calls, call->caller_id);
    call->caller = NULL;
    if (call->parent)
        DL_DELETE2(call->parent->children, call, child_prev, child_next);
    call->parent = NULL;
}

void call_leave_server(Call *call) {
    Server *server = call->server;

    id_map_take(&server->session->requests, call->request_id);
    server->busy--;
    if (server_is_open(server) && server->busy < server->slots)
        server->service->free_slots++;
    call->server = NULL;
}

void call_free(Call *call) {
    Service *service = call->service;
    Services *services = service->services;
    Call *child, *next;

    forget_caller(call);
    call_leave_wait_queue(call);
    DL_FOREACH_SAFE2(call->children, child, next, child_next) {
        DL_DELETE2(call->children, child, child_prev, child_next);
        child->parent = NULL;
    }
    drop_request(call);
    call->user = user_unref(call->user);
    while (call->unsent) {
        UnsentItem *item = call->unsent;

        call->unsent = item->next;
        ferry_free(item->body.block);
        free(item);
    }
    call_refund_items(call, call->unsent_charge);
    if (call->server)
        call_leave_server(call);
    drop_record(services, call);
}

void call_tap(const Call *call, bool sent, Op op, const Session *session, uint64_t id, Span body) {
    Service *service = call->service;
    const Broker *broker = service->services->broker;
    Span name = span_of(service->name, service->name_len);

    if (tap_watches(broker, TAP_SERVICES, &service->tap, name))
        taps_record(broker->taps,
                    &(TapEvent){
                        .kind = TAP_SERVICES,
                        .sent = sent,
                        .op = op,
                        .session = session,
                        .id = id,
                        .name = name,
                        .method = call->method ? span_of(call->method->name, call->method->name_len)
                                               : (Span){NULL, 0},
                        .body = body,
                    });
}

void call_fail(Call *call, const char *type, const char *text) {
    Services *services = call->service->services;
    Session *caller = call->caller;
    uint64_t id = call->caller_id;

    call->service->errors++;
    method_ended(call->method, services->latencies, services->broker->now_us - call->started_us,
                 span_text(type));
    if (caller)
        call_tap(call, true, OP_ERROR, caller, id, span_text(type));
    call_abandon(call);
    if (caller)
        session_error(caller, id, type, "%s", text);
}

/* Cancels the call at its server. The calls made on behalf of this call fail first. */
static void cancel_at_server(Call *call) {
    Call *child, *next;

    DL_FOREACH_SAFE2(call->children, child, next, child_next) {
        call_fail(child, "ferry.Cancelled", "the request that made this call has ended");
    }
    /* CANCEL takes the lane of CALL: in another lane it could overtake the call. */
    session_send(call->server->session, call_is_stream(call) ? LANE_BULK : LANE_CALLS,
                 &(Message){.op = OP_CANCEL, .id = call->request_id}, NULL);
}

void call_abandon(Call *call) {
    if (call->server) {
        cancel_at_server(call);
        forget_caller(call);
    } else {
        call_free(call);
    }
}

static void on_deadline(Timer *timer, void *ctx) {
    Call *call = container_of(timer, Call, deadline);
    char text[160];

    (void)ctx;
    if (call->wait_queue && !call->service->servers) {
        if (call->moves > 0)
            call_fail(call, "ferry.ServerLost",
                      "the server went away, and no other server came in its place");
        else
            call_fail(call, "ferry.NoSuchService", "no server offers the service");
        return;
    }
    if (call->wait_queue)
        snprintf(text, sizeof(text), "all servers were busy for %u ms", call->timeout_ms);
    else
        snprintf(text, sizeof(text),
                 call_is_stream(call) ? "no item came on the stream for %u ms"
                                      : "no answer within %u ms",
                 call->timeout_ms);
    call_fail(call, "ferry.DeadlineExceeded", text);
}

void call_arm_timer(Call *call, uint64_t at_ms) {
    timer_arm(&call->service->services->broker->timers, &call->deadline, at_ms, on_deadline);
}

void call_arm_deadline(Call *call) {
    call->ends_ms = call->service->services->broker->now_ms + call->timeout_ms;
    call_arm_timer(call, call->ends_ms);
}

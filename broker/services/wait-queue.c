/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The calls that wait for a server. Each caller of a service has a wait queue of its own, and the
 * wait queues take turns: a caller that makes ten thousand calls at once delays only itself. See
 * services-private.h.
 */

#include <stdlib.h>
#include <utlist.h>

#include "base/hash.h"
#include "broker/services/services-private.h"

static WaitKey key_of(const Call *call) {
    return (WaitKey){(uint64_t)(uintptr_t)call->service, call->caller_number};
}

static WaitQueue *wait_queue_of(const Call *call) {
    WaitKey key = key_of(call);
    WaitQueue *wait_queue;

    HASH_FIND(hh, call->service->services->wait_queues, &key, sizeof(key), wait_queue);
    return wait_queue;
}

static WaitQueue *wait_queue_new(const Call *call) {
    Services *services = call->service->services;
    WaitQueue *wait_queue = calloc(1, sizeof(*wait_queue));

    if (!wait_queue)
        return NULL;
    wait_queue->key = key_of(call);
    HASH_ADD(hh, services->wait_queues, key, sizeof(wait_queue->key), wait_queue);
    if (!hash_added(wait_queue)) {
        free(wait_queue);
        return NULL;
    }
    services->broker->budget.bytes[BUDGET_CALLS] += sizeof(*wait_queue);
    DL_APPEND(call->service->wait_queues, wait_queue);
    call->service->n_wait_queues++;
    return wait_queue;
}

static void wait_queue_free(WaitQueue *wait_queue, Service *service) {
    HASH_DEL(service->services->wait_queues, wait_queue);
    DL_DELETE(service->wait_queues, wait_queue);
    service->n_wait_queues--;
    service->services->broker->budget.bytes[BUDGET_CALLS] -= sizeof(*wait_queue);
    free(wait_queue);
}

/* Puts a returned call at its place. Numbers of requests grow; calls that have not been at a server
 * have number 0. The search begins where the last one ended, because the thousands of calls of a
 * lost server join nearly in order. */
static void insert_by_age(WaitQueue *wait_queue, Call *call) {
    Call *before = wait_queue->returned, *after;

    while (before && before->request_id > call->request_id)
        before = before == wait_queue->calls ? NULL : before->prev;
    after = before ? before->next : wait_queue->calls;
    while (after && after->request_id != 0 && after->request_id < call->request_id)
        after = after->next;
    if (after)
        DL_PREPEND_ELEM(wait_queue->calls, after, call);
    else
        DL_APPEND(wait_queue->calls, call);
    wait_queue->returned = call;
}

int call_join_wait_queue(Call *call, bool in_front) {
    Service *service = call->service;
    WaitQueue *wait_queue = wait_queue_of(call);

    if (!wait_queue)
        wait_queue = wait_queue_new(call);
    if (!wait_queue)
        return -ENOMEM;
    if (in_front) {
        insert_by_age(wait_queue, call);
        DL_DELETE(service->wait_queues, wait_queue);
        DL_PREPEND(service->wait_queues, wait_queue);
    } else {
        DL_APPEND(wait_queue->calls, call);
    }
    call->wait_queue = wait_queue;
    wait_queue->n++;
    service->n_waiting++;
    return 0;
}

void call_leave_wait_queue(Call *call) {
    WaitQueue *wait_queue = call->wait_queue;

    if (!wait_queue)
        return;
    if (wait_queue->returned == call)
        wait_queue->returned = call == wait_queue->calls ? NULL : call->prev;
    DL_DELETE(wait_queue->calls, call);
    call->wait_queue = NULL;
    call->service->n_waiting--;
    if (--wait_queue->n == 0)
        wait_queue_free(wait_queue, call->service);
}

void wait_queue_served(WaitQueue *wait_queue, Service *service) {
    DL_DELETE(service->wait_queues, wait_queue);
    DL_APPEND(service->wait_queues, wait_queue);
}

Call *call_to_give_way(const Call *call) {
    const Service *service = call->service;
    const WaitQueue *mine = wait_queue_of(call);
    unsigned n = mine ? mine->n : 0, n_wait_queues = service->n_wait_queues + (mine ? 0 : 1);
    WaitQueue *wait_queue, *longest = NULL;

    /* The caller has its fair share of waiting calls already. */
    if (n >= service->n_waiting / n_wait_queues)
        return NULL;
    /* A search through ten thousand wait queues is more work than a call. */
    service->services->broker->turn.work += service->n_wait_queues / 4;
    DL_FOREACH(service->wait_queues, wait_queue) {
        if (!longest || wait_queue->n > longest->n)
            longest = wait_queue;
    }
    return longest && longest->n > n + 1 ? longest->calls->prev : NULL;
}

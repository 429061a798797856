/* SPDX-License-Identifier: Apache-2.0 */
/* ferry_run() and ferry_stop(): a client runs until it is stopped, and then finishes the work that
 * it has begun. */

#include "clients/c/core/loop.h"
#include "clients/c/core/session.h"
#include "clients/c/resend/registration.h"

enum { DRAIN_MS = 5000 };

static unsigned stops(const Core *core) {
    return __atomic_load_n(&core->wakeup.stops, __ATOMIC_ACQUIRE);
}

/* True: the test is true of the client and, if it uses several brokers, of each of its members. */
static bool is_true_of_all(const Core *core, bool (*test)(const Core *core)) {
    bool result = test(core);

    for (unsigned i = 0; i < core->n_members && result; i++)
        result = test(core->members[i]);
    return result;
}

static bool has_no_work(const Core *core) {
    return core->n_requests == 0 && core->n_jobs == 0 && !core->deferred.records.first &&
           registrations_are_off(core);
}

static bool has_sent_all(const Core *core) {
    return !core->is_up || (link_waiting(core->link) == 0 && !core_is_unconfirmed(core));
}

static bool is_stopped(const Core *core, const void *ctx) {
    (void)ctx;
    return stops(core) > 0 || link_state(core->link) == LINK_CLOSED;
}

/* True: all begun work is finished. A second ferry_stop() ends the run without this wait. */
static bool is_drained(const Core *core, const void *ctx) {
    (void)ctx;
    return stops(core) > 1 || is_true_of_all(core, has_no_work);
}

static bool has_left(const Core *core, const void *ctx) {
    (void)ctx;
    return stops(core) > 1 || is_true_of_all(core, has_sent_all);
}

int ferry_run(ferry_client *client, ferry_error *reterr) {
    int r = core_turn_check(client, reterr);
    Core *core;

    if (r < 0)
        return r;
    core = core_ref(client->core);
    registrations_resume(core);
    core_run(core, is_stopped, NULL, UINT64_MAX);
    if (!core->closed)
        r = session_refused(core, reterr);
    if (!core->closed) {
        registrations_withdraw(core);
        core_run(core, is_drained, NULL, UINT64_MAX);
    }
    if (!core->closed)
        core_run(core, has_left, NULL, clock_ms() + DRAIN_MS);
    __atomic_store_n(&core->wakeup.stops, 0, __ATOMIC_RELEASE);
    core_unref(core);
    return r;
}

int ferry_stop(ferry_client *client) {
    Core *core;

    if (!client)
        return -EINVAL;
    core = client->core;
    if (core_is_of_parent(core))
        return -ECHILD;
    core_visit(core);
    __atomic_add_fetch(&core->wakeup.stops, 1, __ATOMIC_ACQ_REL);
    core_wake_and_leave(core);
    return 0;
}

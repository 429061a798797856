/* SPDX-License-Identifier: Apache-2.0 */

/* Announces registrations to the broker, again in each session. See registration.h. */

#include "clients/c/resend/registration.h"

#include <utlist.h>

#include "base/container.h"
#include "clients/c/core/loop.h"
#include "clients/c/core/route.h"
#include "clients/c/core/session.h"
#include "clients/c/resend/moved.h"

enum { RETRY_MS = 1000 };

static void on_answer(Core *core, Await *await, const Message *message, const void *block);

/* ---- announcing ---- */

static void finish(Registration *registration, ferry_error *error) {
    Outcome *result = registration->result;

    if (!result)
        return;
    registration->result = NULL;
    if (error) {
        result->code = error->code;
        error_move(&result->error, error);
    }
    result->done = true;
}

static int ask(Core *core, Registration *registration) {
    int r;

    await_take(core, &registration->await);
    registration->await.fn = on_answer;
    registration->await.id = (*core->next_id)++;
    r = await_put(core, &registration->await);
    if (r == 0) {
        r = registration->kind->announce(core, registration, registration->await.id);
        if (r < 0)
            await_take(core, &registration->await);
    }
    if (r < 0)
        return r;
    registration->id = registration->await.id;
    registration->state = REGISTRATION_ASKED;
    core_sent(core);
    return 0;
}

static void on_retry(Timer *timer, void *ctx) {
    Registration *registration = container_of(timer, Registration, retry);
    Core *core = ctx;

    if (core->is_up && registration->state == REGISTRATION_OFF && ask(core, registration) < 0)
        timer_arm(&core->timers, timer, clock_ms() + RETRY_MS, on_retry);
}

static void refused(Core *core, Registration *registration, const Message *message) {
    ferry_error error = FERRY_ERROR_INIT;

    error_of_message(message, &error);
    moved_advise(message, &error);
    registration->state = REGISTRATION_OFF;
    /* If the broker accepted this registration in an earlier session, the cause of the refusal may
     * be temporary. */
    if (registration->result)
        finish(registration, &error);
    else
        registration_ended(core, registration, &error);
    ferry_error_clear(&error);
}

void registration_ended(Core *core, Registration *registration, const ferry_error *error) {
    registration->state = REGISTRATION_OFF;
    event_note(core, FERRY_EVENT_REFUSED, error);
    timer_arm(&core->timers, &registration->retry, clock_ms() + RETRY_MS, on_retry);
}

/* The broker accepted the service. The body of its answer has a text if the broker could not use
 * the description. */
static void accepted(Core *core, const Message *message) {
    ferry_error error = FERRY_ERROR_INIT;

    if (message->body.len == 0)
        return;
    error_set(&error, "ferry.InvalidArgument", "%.*s",
              message->body.len < 1000 ? (int)message->body.len : 1000,
              (const char *)message->body.data);
    event_note(core, FERRY_EVENT_UNDESCRIBED, &error);
    ferry_error_clear(&error);
}

static void on_answer(Core *core, Await *await, const Message *message, const void *block) {
    Registration *registration = (Registration *)await;

    (void)block;
    await_take(core, await);
    if (registration->state == REGISTRATION_LEAVING) {
        registration->state = REGISTRATION_OFF;
    } else if (message->op == OP_ERROR) {
        refused(core, registration, message);
    } else {
        registration->state = REGISTRATION_ON;
        if (registration->kind->accepted)
            registration->kind->accepted(registration);
        accepted(core, message);
        finish(registration, NULL);
    }
}

/* ---- making and dropping ---- */

static void link_in(Core *core, Registration *registration) {
    DL_PREPEND(core->registrations, registration);
}

static void link_out(Core *core, Registration *registration) {
    DL_DELETE(core->registrations, registration);
    registration->prev = registration->next = NULL;
    await_take(core, &registration->await);
    timer_disarm(&core->timers, &registration->retry);
    if (registration->kind->dropped)
        registration->kind->dropped(core, registration);
}

static int await_answer(Core *core, Registration *registration, Outcome *result,
                        ferry_error *reterr) {
    uint64_t now_ms = clock_ms();
    uint32_t timeout_ms = client_timeout(registration->handle, 0, now_ms);
    uint64_t until_ms = now_ms + timeout_ms;
    bool waits = registration->handle->wait_for_broker;
    int r = session_await(registration->handle, waits ? UINT64_MAX : until_ms, reterr);

    if (waits)
        until_ms = clock_ms() + timeout_ms;

    /* If the connection came up during the wait, announce_all() has sent the announcement. */
    if (r == 0 && registration->state == REGISTRATION_OFF && !result->done) {
        r = ask(core, registration);
        if (r < 0)
            error_set_code(reterr, r, NULL);
    }
    if (r < 0) {
        registration->result = NULL;
        ferry_error_clear(&result->error);
        return r;
    }
    if (core_wait(core, &result->done, until_ms) < 0) {
        registration->result = NULL;
        return error_set(reterr, "ferry.DeadlineExceeded", "the broker did not answer within %u ms",
                         timeout_ms);
    }
    if (result->code < 0)
        error_move(reterr, &result->error);
    return result->code;
}

/* Announces the registration now, or when the connection comes. */
static int ask_without_waiting(Core *core, Registration *registration, ferry_error *reterr) {
    int r;

    registration->result = core->outcome;
    registration->state = REGISTRATION_OFF;
    r = core->is_up ? ask(core, registration) : 0;
    return r < 0 ? error_set_code(reterr, r, NULL) : 0;
}

int registration_add(ferry_client *client, Registration *registration, const RegistrationKind *kind,
                     ferry_error *reterr) {
    Core *core = client->core;
    Outcome result = {.error = FERRY_ERROR_INIT};
    int r;

    registration->kind = kind;
    registration->handle = client;
    registration->result = &result;
    registration->state = REGISTRATION_OFF;
    link_in(core, registration);
    r = core->outcome ? ask_without_waiting(core, registration, reterr)
                      : await_answer(core, registration, &result, reterr);
    if (r < 0) {
        if (registration->state == REGISTRATION_ASKED && core->is_up)
            kind->withdraw(core, registration, 0);
        link_out(core, registration);
    }
    return r;
}

int registration_change(Registration *registration, ferry_error *reterr) {
    ferry_client *client = registration->handle;
    Core *core = client->core;
    Outcome result = {.error = FERRY_ERROR_INIT};
    int r;

    if (core->outcome)
        return ask_without_waiting(core, registration, reterr);
    registration->result = &result;
    registration->state = REGISTRATION_OFF;
    r = await_answer(core, registration, &result, reterr);
    registration->result = NULL;
    return r;
}

void registration_drop(Core *core, Registration *registration) {
    if (registration->dead)
        return;
    link_out(core, registration);
    if (core->is_up && !registration->kind->close &&
        (registration->state == REGISTRATION_ON || registration->state == REGISTRATION_ASKED)) {
        registration->kind->withdraw(core, registration, 0);
        core_sent(core);
    }
    registration->state = REGISTRATION_OFF;
    registration->dead = true;
    if (registration->busy == 0)
        registration->kind->free(core, registration);
}

void registration_enter(Registration *registration) {
    registration->busy++;
}

void registration_leave(Core *core, Registration *registration) {
    if (--registration->busy == 0 && registration->dead)
        registration->kind->free(core, registration);
}

/* ---- each new session: announce again ---- */

static void announce_all(Core *core) {
    for (Registration *r = core->registrations; r; r = r->next) {
        timer_disarm(&core->timers, &r->retry);
        if (r->state != REGISTRATION_OFF || (core->has_run && r->kind->stops))
            continue;
        if (ask(core, r) < 0)
            timer_arm(&core->timers, &r->retry, clock_ms() + RETRY_MS, on_retry);
    }
}

static void registrations_up(Core *core, const Message *welcome) {
    (void)welcome;
    announce_all(core);
}

static void registrations_down(Core *core, const ferry_error *reason, bool was_up) {
    (void)was_up;
    for (Registration *r = core->registrations; r; r = r->next) {
        if (r->kind->close)
            continue;
        await_take(core, &r->await);
        r->state = REGISTRATION_OFF;
        if (link_state(core->link) == LINK_CLOSED && r->result) {
            ferry_error error = FERRY_ERROR_INIT;

            error_copy(&error, reason);
            finish(r, &error);
        }
    }
}

static void registrations_drop(ferry_client *handle) {
    Core *core = handle->core;
    Registration *next;

    for (Registration *r = core->registrations; r; r = next) {
        next = r->next;
        if (r->handle == handle)
            registration_drop(core, r);
    }
}

static void registrations_shut(Core *core) {
    while (core->registrations)
        registration_drop(core, core->registrations);
}

/* ---- stopping and closing ---- */

/* Withdraws the registration. All messages that were in flight arrive before the broker's answer.
 */
static void withdraw(Core *core, Registration *registration) {
    bool known =
        registration->state == REGISTRATION_ON || registration->state == REGISTRATION_ASKED;

    await_take(core, &registration->await);
    registration->state = REGISTRATION_OFF;
    if (!known || !core->is_up)
        return;
    registration->await.id = (*core->next_id)++;
    if (await_put(core, &registration->await) == 0 &&
        registration->kind->withdraw(core, registration, registration->await.id) == 0)
        registration->state = REGISTRATION_LEAVING;
    else
        await_take(core, &registration->await);
}

static bool has_left(const Core *core, const void *ctx) {
    const Registration *registration = ctx;

    return registration->dead ||
           (registration->state != REGISTRATION_LEAVING && !core->deferred.records.first &&
            core->direct_ops->is_withdrawn(core));
}

ferry_registration *ferry_registration_close(ferry_registration *registration) {
    Core *core;

    if (!registration || client_check(registration->handle, NULL) < 0)
        return NULL;
    core = core_ref(registration->handle->core);
    if (core->turns == 0 && core->waits == 0) {
        registration_enter(registration);
        if (registration->kind->close) {
            core_enter(core);
            registration->kind->close(registration);
            core_leave(core);
        } else {
            withdraw(core, registration);
            core_sent(core);
            core_run(core, has_left, registration, clock_ms() + CLOSE_WAIT_MS);
        }
        registration_drop(core, registration);
        registration_leave(core, registration);
    } else {
        registration_drop(core, registration);
    }
    core_unref(core);
    return NULL;
}

void registrations_withdraw(Core *core) {
    for (unsigned i = 0; i < core->n_members; i++)
        registrations_withdraw(core->members[i]);
    core->has_run = true;
    for (Registration *r = core->registrations; r; r = r->next)
        if (r->kind->stops)
            withdraw(core, r);
    core_sent(core);
}

void registrations_resume(Core *core) {
    for (unsigned i = 0; i < core->n_members; i++)
        registrations_resume(core->members[i]);
    if (!core->has_run)
        return;
    core->has_run = false;
    if (core->is_up)
        announce_all(core);
}

bool registrations_are_off(const Core *core) {
    for (const Registration *r = core->registrations; r; r = r->next)
        if (r->kind->stops && r->state == REGISTRATION_LEAVING)
            return false;
    return core->direct_ops->is_withdrawn(core);
}

const Part registrations_part = {
    .up = registrations_up,
    .down = registrations_down,
    .drop = registrations_drop,
    .stop = registrations_shut,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* Confirmations of publishes. See confirm.h. */

#include "clients/c/topics/confirm.h"

#include <stdlib.h>
#include <utlist.h>

#include "clients/c/core/loop.h"
#include "clients/c/core/session.h"

enum { CONFIRMS_MAX = 65536 };

struct Confirm {
    Await await; /* first: an Await is a Confirm */
    ferry_done_fn fn;
    void *ctx;
    Confirm *prev,
        *next; /* of core->topics->confirms, oldest first, or core->topics->ended_confirms */
    bool failed;
    ferry_error error; /* of a failed publish */
};

static void link_out(Core *core, Confirm *confirm) {
    await_take(core, &confirm->await);
    DL_DELETE(core->topics->confirms, confirm);
    core->unconfirmed.n_publishes--;
}

void confirm_drop(Core *core, Confirm *confirm) {
    link_out(core, confirm);
    free(confirm);
}

/* The callback runs in a turn; the answer may have come in a blocking call. */
static void end(Core *core, Confirm *confirm, ferry_error *error) {
    link_out(core, confirm);
    confirm->failed = error != NULL;
    if (!confirm->fn) {
        if (error && !core->unconfirmed.error.type)
            error_move(&core->unconfirmed.error, error);
        free(confirm);
        return;
    }
    if (error)
        error_move(&confirm->error, error);
    DL_APPEND(core->topics->ended_confirms, confirm);
    core_raise(core);
}

static void on_answer(Core *core, Await *await, const Message *message, const void *block) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;

    (void)block;
    if (message->op == OP_ERROR)
        error_of_message(message, &error);
    end(core, (Confirm *)await, message->op == OP_ERROR ? &error : NULL);
}

int confirm_new(Core *core, ferry_done_fn fn, void *ctx, Confirm **ret) {
    Confirm *confirm;

    if (core->unconfirmed.n_publishes >= CONFIRMS_MAX)
        return -EAGAIN;
    confirm = calloc(1, sizeof(*confirm));
    if (!confirm)
        return -ENOMEM;
    confirm->await = (Await){.fn = on_answer, .id = *core->next_id, .at_close = true};
    if (await_put(core, &confirm->await) < 0) {
        free(confirm);
        return -ENOMEM;
    }
    (*core->next_id)++;
    confirm->fn = fn;
    confirm->ctx = ctx;
    DL_APPEND(core->topics->confirms, confirm);
    core->unconfirmed.n_publishes++;
    *ret = confirm;
    return 0;
}

/* left: in the session that was left; otherwise in the current one. */
static void end_all(Core *core, bool left, const char *type, const char *text) {
    Confirm *next;

    for (Confirm *confirm = core->topics->confirms; confirm; confirm = next) {
        CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;

        next = confirm->next;
        if (core_is_left(core, confirm->await.id) != left)
            continue;
        error_set(&error, type, "%s", text);
        error.outcome_unknown = true;
        end(core, confirm, &error);
    }
}

void confirms_down(Core *core, const ferry_error *reason, bool was_up) {
    if (was_up)
        end_all(core, false, "ferry.ConnectionLost", reason->message);
}

void confirms_left(Core *core, const ferry_error *reason) {
    end_all(core, true, "ferry.ConnectionLost", reason->message);
}

bool confirms_due(const Core *core) {
    return core->topics->ended_confirms != NULL;
}

bool confirms_run(Core *core) {
    Confirm *confirm;
    bool busy = core->topics->ended_confirms != NULL;

    while ((confirm = core->topics->ended_confirms)) {
        DL_DELETE(core->topics->ended_confirms, confirm);
        confirm->fn(confirm->failed ? &confirm->error : NULL, confirm->ctx);
        ferry_error_clear(&confirm->error);
        free(confirm);
    }
    return busy;
}

bool confirms_wait(const Core *core) {
    return core->unconfirmed.n_publishes > 0 || core->topics->before_connect.first;
}

void confirms_shut(Core *core) {
    static const char text[] = "the client was closed before the publish was confirmed";

    end_all(core, true, "ferry.Cancelled", text);
    end_all(core, false, "ferry.Cancelled", text);
}

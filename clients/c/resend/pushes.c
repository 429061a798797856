/* SPDX-License-Identifier: Apache-2.0 */

/* Each new session sends the unconfirmed pushes again. The broker's answer takes a push out of the
 * log. See push-log.h. */

#include <stdlib.h>
#include <utlist.h>

#include "base/buffer.h"
#include "clients/c/core/loop.h"
#include "clients/c/core/route.h"
#include "clients/c/core/session.h"
#include "clients/c/resend/push-log.h"

/* The error for a callback if there is no memory for the actual error. */
static ferry_error out_of_memory = {-ENOMEM, true, "ferry.OutOfMemory", "out of memory", NULL};

/* ---- answers ---- */

static void queue_ended(Core *core, Push *push, ferry_error *error) {
    PushLog *log = core->pushes;

    if (error) {
        push->error = malloc(sizeof(*error));
        if (push->error) {
            *push->error = (ferry_error)FERRY_ERROR_INIT;
            error_move(push->error, error);
        } else {
            push->error = &out_of_memory;
            ferry_error_clear(error);
        }
    }
    DL_APPEND(log->ended, push);
    core_raise(core);
}

/* Ends ferry_flush() if all pushes up to its id are confirmed. */
static void confirm(PushLog *log) {
    if (log->flush_id > 0 && push_log_floor(log, UINT64_MAX) > log->flush_id)
        log->confirmed = true;
}

void push_finish(Core *core, Push *push, ferry_error *error, bool in_turn) {
    PushLog *log = core->pushes;
    ferry_done_fn fn = push->fn;
    void *ctx = push->ctx;

    push_log_take(log, push);
    confirm(log);
    if (push->result) {
        if (error) {
            push->result->code = error->code;
            error_move(&push->result->error, error);
        }
        push->result->done = true;
    } else if (fn && !in_turn && !push->is_inner) {
        queue_ended(core, push, error);
        return;
    } else if (!fn && error && !core->unconfirmed.error.type) {
        error_move(&core->unconfirmed.error, error);
    }
    push_log_give_back(log, push);
    if (fn)
        fn(error, ctx);
    if (error)
        ferry_error_clear(error);
}

static ferry_durability durability_of(const Message *ok) {
    /* A later broker may send a durability that this library does not know. */
    return ok->ok.durability <= DURABILITY_REDIS ? (ferry_durability)ok->ok.durability
                                                 : FERRY_DURABILITY_UNKNOWN;
}

bool push_has_moved(Core *core, const Push *push, const Message *message, Moved *ret) {
    const Route *route = push->await.route;

    if (!moved_read(message, ret))
        return false;
    if (route)
        route->member->pushes->moved = ret->number;
    else if (push->session == core->session)
        core->pushes->moved = ret->number;
    return true;
}

void push_answered(Core *core, Push *push, const Message *message, bool in_turn) {
    ferry_error error = FERRY_ERROR_INIT;

    if (message->op == OP_ERROR) {
        error_of_message(message, &error);
        if (!push->await.route && session_refuses_as_it_drains(core, push->await.id, &error)) {
            ferry_error_clear(&error);
            push->session = 0;
            core->pushes->unsent = core->pushes->first;
            return;
        }
        moved_advise(message, &error);
    }
    await_take(core, &push->await);
    if (message->op != OP_ERROR && push->pushed)
        *push->pushed = (ferry_pushed){.job = message->ok.seq,
                                       .duplicate = message->ok.outcome == PUSH_DUPLICATE,
                                       .durability = durability_of(message)};
    push_finish(core, push, message->op == OP_ERROR ? &error : NULL, in_turn);
}

void push_log_answer(Core *core, Await *await, const Message *message, const void *block) {
    Push *push = (Push *)await;
    Moved moved;

    (void)block;
    push_has_moved(core, push, message, &moved);
    push_answered(core, push, message, core_is_in_turn(core));
}

/* ---- sending ---- */

void options_copy(Buffer *to, Span options, uint32_t n_more) {
    Reader reader = reader_of(options.data, options.len);
    uint32_t n = options.len > 0 ? reader_map(&reader) : 0;

    write_map(to, n + n_more);
    if (n > 0)
        buffer_append(to, reader.at, (size_t)(reader.end - reader.at));
}

/* Adds the library's options to those of the program. */
static void write_options(Buffer *to, Span options, const uint8_t *origin, uint64_t moved) {
    options_copy(to, options, (uint32_t)(origin != NULL) + (moved > 0));
    if (origin) {
        write_text(to, "origin");
        write_bin(to, origin, WIRE_TOKEN);
    }
    if (moved > 0) {
        write_text(to, "moved");
        write_uint(to, moved);
    }
}

int push_put(Core *core, Push *push, const uint8_t *origin) {
    CLEANUP(buffer_deinit) Buffer options = {0};
    Message message;
    const void *block = push_read(push, &message);
    int r;

    if (origin || core->pushes->moved > 0) {
        write_options(&options, message.push.options, origin, core->pushes->moved);
        if (options.failed)
            return -ENOMEM;
        message.push.options = span_of(options.data, options.len);
    }
    r = link_put(core->link, LANE_BULK, &message, block);
    if (r == 0)
        push->was_sent = true;
    return r;
}

/* ---- each new session ---- */

/* True: the log does not send it now: a session that is still open has it, or its home sends it. */
static bool is_under_way(const Core *core, const Push *push) {
    return push->is_held || push->await.route ||
           (push->session > 0 &&
            (push->session == core->session || push->session == core->left_session));
}

static void pump(Core *core) {
    PushLog *log = core->pushes;

    while (log->unsent) {
        Push *push = log->unsent;

        if (!is_under_way(core, push)) {
            if (push_put(core, push, NULL) < 0)
                return;
            push->session = core->session;
        }
        log->unsent = push->next;
    }
}

void push_log_send_from(Core *core, Push *push) {
    PushLog *log = core->pushes;

    if (!log->unsent || push->await.id < log->unsent->await.id)
        log->unsent = push;
    if (core->is_up)
        pump(core);
}

static void up(Core *core, const Message *welcome) {
    (void)welcome;
    core->pushes->unsent = core->pushes->first;
    core->pushes->moved = 0;
    pump(core);
}

static void down(Core *core, const ferry_error *reason, bool was_up) {
    (void)reason, (void)was_up;
    core->pushes->unsent = core->pushes->first;
}

static void left(Core *core, const ferry_error *reason) {
    (void)reason;
    core->pushes->unsent = core->pushes->first;
}

static void hello(Core *core, Message *message, Buffer *buffer) {
    (void)buffer;
    message->hello.floor = push_log_floor(core->pushes, *core->next_id);
}

/* ---- the end ---- */

void push_cancel(Core *core, Push *push) {
    ferry_error error = FERRY_ERROR_INIT;

    error_set(&error, "ferry.Cancelled", "the client was closed before the push was confirmed");
    error.outcome_unknown = push->was_sent;
    await_take(core, &push->await);
    push_finish(core, push, &error, false);
    ferry_error_clear(&error);
}

static void shut(Core *core) {
    while (core->pushes->first)
        push_cancel(core, core->pushes->first);
}

static bool is_due(const Core *core) {
    return core->pushes->ended != NULL;
}

static bool run(Core *core) {
    PushLog *log = core->pushes;
    Push *push = log->ended;

    if (!push)
        return false;
    while ((push = log->ended)) {
        ferry_error *error = push->error;
        ferry_done_fn fn = push->fn;
        void *ctx = push->ctx;

        DL_DELETE(log->ended, push);
        push_log_give_back(log, push);
        fn(error, ctx);
        if (error && error != &out_of_memory) {
            ferry_error_clear(error);
            free(error);
        }
    }
    return true;
}

static bool is_unconfirmed(const Core *core) {
    return !push_log_is_empty(core->pushes);
}

static int init(Core *core) {
    core->pushes = push_log_new(&core->slabs);
    return core->pushes ? 0 : -ENOMEM;
}

static void deinit(Core *core) {
    push_log_free(core->pushes);
    ferry_error_clear(&core->unconfirmed.error);
}

const Part pushes_part = {
    .init = init,
    .free = deinit,
    .up = up,
    .down = down,
    .left = left,
    .hello = hello,
    .pump = pump,
    .is_due = is_due,
    .run = run,
    .is_unconfirmed = is_unconfirmed,
    .shut = shut,
};

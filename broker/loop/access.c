/* SPDX-License-Identifier: Apache-2.0 */

/* The right that each message needs, in one table, and its check. See access.h. */

#include "broker/loop/access.h"

#include "broker/queues/queues.h"
#include "broker/sessions/user.h"
#include "rpc/wire/name.h"

/* One row for each op. */
/* clang-format off */
static const Access table[] = {
    [OP_HELLO]        = {ACCESS_CONTROL,     0},
    [OP_WELCOME]      = {ACCESS_FROM_BROKER, 0},
    [OP_PING]         = {ACCESS_CONTROL,     0},
    [OP_PONG]         = {ACCESS_CONTROL,     0},
    [OP_CREDIT]       = {ACCESS_CONTROL,     0},
    [OP_PART]         = {ACCESS_CONTROL,     0},
    [OP_BYE]          = {ACCESS_CONTROL,     0},
    [OP_FAULT]        = {ACCESS_FROM_BROKER, 0},

    [OP_OK]           = {ACCESS_OWN,         0}, /* to a request that the session works on */
    [OP_ERROR]        = {ACCESS_OWN,         0},

    [OP_SERVE]        = {ACCESS_RIGHT,       ACTION_SERVE},
    [OP_UNSERVE]      = {ACCESS_OWN,         0},
    [OP_CALL]         = {ACCESS_RIGHT,       ACTION_CALL},
    [OP_ITEM]         = {ACCESS_OWN,         0}, /* of a call that the session made, or works on */
    [OP_END]          = {ACCESS_OWN,         0},
    [OP_MORE]         = {ACCESS_OWN,         0},
    [OP_CANCEL]       = {ACCESS_OWN,         0},
    [OP_RETURN]       = {ACCESS_OWN,         0},

    [OP_SUBSCRIBE]    = {ACCESS_RIGHT,       ACTION_SUBSCRIBE},
    [OP_UNSUBSCRIBE]  = {ACCESS_OWN,         0},
    [OP_PUBLISH]      = {ACCESS_RIGHT,       ACTION_PUBLISH},
    [OP_MESSAGE]      = {ACCESS_FROM_BROKER, 0},
    [OP_ANSWER]       = {ACCESS_OWN,         0}, /* to a question that a subscription received */
    [OP_GAP]          = {ACCESS_FROM_BROKER, 0},

    [OP_PUSH]         = {ACCESS_RIGHT,       ACTION_PUSH},
    [OP_PULL]         = {ACCESS_RIGHT,       ACTION_WORK},
    [OP_UNPULL]       = {ACCESS_OWN,         0},
    [OP_JOB]          = {ACCESS_FROM_BROKER, 0},
    [OP_ACK]          = {ACCESS_OWN,         0}, /* of a job that the client received */
    [OP_RETRY]        = {ACCESS_OWN,         0},
    [OP_REJECT]       = {ACCESS_OWN,         0},
    [OP_RELEASE]      = {ACCESS_OWN,         0},
    [OP_EXTEND]       = {ACCESS_OWN,         0},
    [OP_FORWARD]      = {ACCESS_RIGHT,       ACTION_PUSH}, /* the right is for the other queue */
    [OP_LOST]         = {ACCESS_FROM_BROKER, 0},

    [OP_LEAVE]        = {ACCESS_OWN,         0},
    [OP_WATCH]        = {ACCESS_RIGHT,       ACTION_CALL},
    [OP_SERVER]       = {ACCESS_FROM_BROKER, 0},
    [OP_TICKET]       = {ACCESS_FROM_BROKER, 0},
    [OP_TALLY]        = {ACCESS_RIGHT,       ACTION_SERVE},
    [OP_MOVED]        = {ACCESS_FROM_BROKER, 0},
};
/* clang-format on */

Access access_of(unsigned op) {
    return op < sizeof(table) / sizeof(*table) ? table[op] : (Access){ACCESS_UNKNOWN, 0};
}

/* True: the name is invalid. The routers refuse it and say why. */
static bool is_invalid(const Message *message) {
    return message->op == OP_SUBSCRIBE ? !pattern_is_valid(message->name.data, message->name.len)
                                       : !name_is_valid(message->name.data, message->name.len);
}

bool access_check(Session *session, const Message *message) {
    Access access = access_of(message->op);

    /* A subscriber of the broker's own topics sees the actions of other users. */
    if (message->op == OP_SUBSCRIBE && name_is_reserved(message->name.data, message->name.len))
        access.action = ACTION_WATCH;
    if (access.kind == ACCESS_UNKNOWN) {
        session_fault(session, "%s is not a message for the broker", op_name(message->op));
        return false;
    }
    if (access.kind != ACCESS_RIGHT || session_may(session, access.action, message->name))
        return true;
    /* Methods of ferry.Broker check rights themselves: see broker/admin/. */
    if (message->op == OP_CALL && name_is_reserved(message->name.data, message->name.len))
        return true;
    if (is_invalid(message))
        return true;
    if (message->op == OP_FORWARD)
        queues_forward_denied(session->broker->queues, session, message);
    else
        session_deny(session, message->id, access.action, message->name);
    return false;
}

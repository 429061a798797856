/* SPDX-License-Identifier: Apache-2.0 */
/* The log of unconfirmed pushes. See push-log.h. */

#include <stdlib.h>
#include <utlist.h>

#include "clients/c/resend/push-log.h"

PushLog *push_log_new(Slabs *slabs) {
    PushLog *log = calloc(1, sizeof(*log));

    if (log)
        log->slabs = slabs;
    return log;
}

PushLog *push_log_free(PushLog *log) {
    if (!log)
        return NULL;
    while (log->first) {
        Push *push = log->first;

        push_log_take(log, push);
        push_log_give_back(log, push);
    }
    free(log);
    return NULL;
}

bool push_log_is_empty(const PushLog *log) {
    return !log->first;
}

uint64_t push_log_floor(const PushLog *log, uint64_t next_id) {
    return log->first ? log->first->await.id : next_id;
}

bool push_log_has_room(const PushLog *log, size_t len) {
    /* A push may have any size if it is the only one. */
    return log->n < PUSHES_MAX && (log->n == 0 || log->bytes + len <= PUSHES_BYTES_MAX);
}

Push *push_log_add(PushLog *log, const Message *message, const void *block) {
    Push *push = slabs_alloc(log->slabs, sizeof(*push));

    if (!push)
        return NULL;
    push->await = (Await){.id = message->id};
    push->fn = NULL;
    push->ctx = NULL;
    push->pushed = NULL;
    push->result = NULL;
    push->record = NULL;
    push->error = NULL;
    push->was_sent = push->is_inner = false;
    push->session = 0;
    push->is_held = push->is_returned = false;
    push->home = NULL;
    push->len = 0;
    if (message_size(message) <= PUSH_INLINE) {
        push->len = (uint16_t)(message_write(push->bytes, message) - push->bytes);
    } else {
        push->record = record_new(message, block);
        if (!push->record) {
            slabs_free(log->slabs, push, sizeof(*push));
            return NULL;
        }
    }
    push->size = (uint32_t)(sizeof(*push) + (push->record ? record_size(push->record) : 0));
    DL_APPEND(log->first, push);
    log->n++;
    log->bytes += push->size;
    return push;
}

void push_log_take(PushLog *log, Push *push) {
    if (log->unsent == push)
        log->unsent = push->next;
    DL_DELETE(log->first, push);
    log->n--;
    log->bytes -= push->size;
    push->record = record_free(push->record);
    if (push->home)
        log->left_home(push);
}

void push_log_give_back(PushLog *log, Push *push) {
    slabs_free(log->slabs, push, sizeof(*push));
}

const void *push_read(const Push *push, Message *message) {
    Reader reader;

    if (push->record)
        return record_read(push->record, message);
    reader = reader_of(push->bytes, push->len);
    *message = (Message){0};
    message_read(&reader, message);
    return NULL;
}

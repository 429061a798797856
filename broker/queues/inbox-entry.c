/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of inboxes. See inbox-entry.h. */

#include "broker/queues/inbox-entry.h"

#include <errno.h>

#include "broker/queues/queues-private.h"
#include "rpc/wire/limits.h"
#include "rpc/wire/name.h"
#include "rpc/wire/writer.h"

/* The first field of an entry is its format. Both have a list of queues, headers and a body. */
enum {
    FORMAT_MESSAGE = 1,
    FORMAT_JOB = 2,
    MESSAGE_FIELDS = 5,
    JOB_FIELDS = 10,
};

/* ---- writing ---- */

static void write_head(Buffer *to, uint32_t fields, uint64_t format, const Span *queues, size_t n) {
    write_array(to, fields);
    write_uint(to, format);
    write_array(to, (uint32_t)n);
    for (size_t i = 0; i < n; i++)
        write_str(to, queues[i].data, queues[i].len);
}

static void write_content(Buffer *to, const Message *content) {
    if (content->headers.len > 0)
        write_raw(to, content->headers);
    else
        write_map(to, 0);
    write_bin(to, content->body.data, content->body.len);
}

void inbox_entry_write(Buffer *to, const Span *queues, size_t n, const Message *message) {
    write_head(to, MESSAGE_FIELDS, FORMAT_MESSAGE, queues, n);
    write_str(to, message->name.data, message->name.len);
    write_content(to, message);
}

void inbox_entry_write_job(Buffer *to, Span queue, const InboxJob *job, const Message *content) {
    Message plain = *content;

    if (content->passed.data) {
        Reader fields = reader_of(content->passed.data, content->passed.len);

        plain.headers = reader_nil(&fields) ? (Span){NULL, 0} : reader_value(&fields);
        plain.body = message_body(content);
    }
    write_head(to, JOB_FIELDS, FORMAT_JOB, &queue, 1);
    write_bin(to, job->origin.data, job->origin.len);
    write_uint(to, job->id);
    write_uint(to, job->delay_ms);
    write_uint(to, job->priority);
    write_bin(to, job->order.data, job->order.len);
    write_bin(to, job->reason.data, job->reason.len);
    write_content(to, &plain);
}

/* ---- reading ---- */

static bool read_queues(Reader *reader, InboxEntry *to) {
    uint32_t n = reader_array(reader);

    if (to->is_job ? n != 1 : n > INBOX_QUEUES_MAX)
        return false;
    for (to->n = 0; to->n < n; to->n++) {
        Span name = reader_str(reader);

        if (!name_is_valid(name.data, name.len) || name_is_reserved(name.data, name.len))
            return false;
        to->queues[to->n] = name;
    }
    return true;
}

static bool read_job(Reader *reader, InboxJob *to) {
    uint64_t priority;

    to->origin = reader_bin(reader);
    to->id = reader_uint(reader);
    to->delay_ms = reader_uint(reader);
    priority = reader_uint(reader);
    to->order = reader_bin(reader);
    to->reason = reader_bin(reader);
    if (reader->problem || priority >= PRIORITIES)
        return false;
    to->priority = (uint8_t)priority;
    return to->origin.len == WIRE_TOKEN && to->id > 0 && to->delay_ms <= QUEUE_TIME_MAX &&
           to->order.len <= QUEUE_KEY_MAX && to->reason.len <= QUEUE_REASON_MAX;
}

static bool headers_are_right(Span headers) {
    uint32_t n;
    Reader pairs = reader_of(headers.data, headers.len);

    n = reader_map(&pairs);
    if (headers.len > WIRE_HEADERS_BYTES || n > WIRE_HEADERS_MAX)
        return false;
    for (uint32_t i = 0; i < 2 * n; i++)
        reader_str(&pairs);
    return !pairs.problem;
}

static bool read_head(Reader *reader, InboxEntry *to) {
    uint32_t fields = reader_array(reader);
    uint64_t format = reader_uint(reader);

    to->is_job = format == FORMAT_JOB;
    if (!(fields == MESSAGE_FIELDS && format == FORMAT_MESSAGE) &&
        !(fields == JOB_FIELDS && format == FORMAT_JOB))
        return false;
    return read_queues(reader, to);
}

int inbox_entry_read(Span data, InboxEntry *ret) {
    Reader reader = reader_of(data.data, data.len);
    Message *message = &ret->message;

    *message = (Message){.op = OP_PUBLISH};
    ret->job = (InboxJob){0};
    if (!read_head(&reader, ret))
        return -EBADMSG;
    if (!ret->is_job)
        message->name = reader_str(&reader);
    else if (!read_job(&reader, &ret->job))
        return -EBADMSG;
    message->headers = reader_value(&reader);
    message->body = reader_bin(&reader);
    if (reader.problem || reader_left(&reader) > 0 ||
        (!ret->is_job && !name_is_valid(message->name.data, message->name.len)) ||
        !headers_are_right(message->headers) || message->body.len > WIRE_BODY_MAX)
        return -EBADMSG;
    return 0;
}

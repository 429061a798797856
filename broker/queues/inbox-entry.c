/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of inboxes. See inbox-entry.h. */

#include "broker/queues/inbox-entry.h"

#include <errno.h>

#include "rpc/wire/limits.h"
#include "rpc/wire/name.h"
#include "rpc/wire/writer.h"

enum { FORMAT = 1, FIELDS = 5 };

void inbox_entry_write(Buffer *to, const Span *queues, size_t n, const Message *message) {
    write_array(to, FIELDS);
    write_uint(to, FORMAT);
    write_array(to, (uint32_t)n);
    for (size_t i = 0; i < n; i++)
        write_str(to, queues[i].data, queues[i].len);
    write_str(to, message->name.data, message->name.len);
    if (message->headers.len > 0)
        write_raw(to, message->headers);
    else
        write_map(to, 0);
    write_bin(to, message->body.data, message->body.len);
}

static bool read_queues(Reader *reader, InboxEntry *to) {
    uint32_t n = reader_array(reader);

    if (n > INBOX_QUEUES_MAX)
        return false;
    for (to->n = 0; to->n < n; to->n++) {
        Span name = reader_str(reader);

        if (!name_is_valid(name.data, name.len) || name_is_reserved(name.data, name.len))
            return false;
        to->queues[to->n] = name;
    }
    return true;
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

int inbox_entry_read(Span data, InboxEntry *ret) {
    Reader reader = reader_of(data.data, data.len);
    Message *message = &ret->message;

    *message = (Message){.op = OP_PUBLISH};
    if (reader_array(&reader) != FIELDS || reader_uint(&reader) != FORMAT ||
        !read_queues(&reader, ret))
        return -EBADMSG;
    message->name = reader_str(&reader);
    message->headers = reader_value(&reader);
    message->body = reader_bin(&reader);
    if (reader.problem || reader_left(&reader) > 0 ||
        !name_is_valid(message->name.data, message->name.len) ||
        !headers_are_right(message->headers) || message->body.len > WIRE_BODY_MAX)
        return -EBADMSG;
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */

/* The table of messages, and the reader and writer that use it. See message.h. */

#include "rpc/wire/message.h"

#include <errno.h>
#include <stdio.h>

#ifdef MESSAGE_CHECKED
#include <valgrind/memcheck.h>
#define CHECKED_UNDEFINED(message) VALGRIND_MAKE_MEM_UNDEFINED(message, sizeof(*(message)))
#else
#define CHECKED_UNDEFINED(message) (void)0
#endif

typedef enum FieldType {
    FIELD_NONE,
    FIELD_UINT,
    FIELD_COUNT,   /* uint, or nil for GAP_UNKNOWN */
    FIELD_STR,     /* nil is read as empty */
    FIELD_BIN,     /* nil is read as empty */
    FIELD_BODY,    /* bin, or the number of a transfer, or nil */
    FIELD_HEADERS, /* a map of strings, or nil */
    FIELD_OPTIONS, /* a map from strings, or nil */
    FIELD_VALUE,   /* one value of any type */
} FieldType;

typedef struct OpField {
    uint8_t type;
    uint16_t offset;
    const char *name;
} OpField;

enum { FIELDS_MAX = 11 };

typedef struct OpInfo {
    const char *name;
    uint16_t part, part_size; /* offset and size of the op's part in Message; size 0: no part */
    uint8_t n;                /* fields */
    uint8_t n_min;            /* fields that must be present */
    uint8_t passed_from;      /* index of the first field of `passed` */
    uint8_t passed_to;        /* index after its last field; equal to passed_from: no `passed` */
    OpField fields[FIELDS_MAX];
} OpInfo;

/* NOLINTBEGIN(bugprone-macro-parentheses): the name of a member cannot stand in parentheses */
#define FIELD(type, member, as)                                                                    \
    { type, offsetof(Message, member), as }
#define ID             FIELD(FIELD_UINT, id, "id")
#define NAME(as)       FIELD(FIELD_STR, name, as)
#define HEADERS        FIELD(FIELD_HEADERS, headers, "headers")
#define BODY           FIELD(FIELD_BODY, body, "body")
#define U(part, field) FIELD(FIELD_UINT, part.field, #field)
#define S(part, field) FIELD(FIELD_STR, part.field, #field)
#define B(part, field) FIELD(FIELD_BIN, part.field, #field)
#define V(part, field) FIELD(FIELD_VALUE, part.field, #field)
#define OPTIONS(part)  FIELD(FIELD_OPTIONS, part.options, "options")

#define PART(part) offsetof(Message, part), sizeof(((Message *)NULL)->part)
/* NOLINTEND(bugprone-macro-parentheses) */
#define NO_PART 0, 0

/* One row for each op: its name, its part, the numbers n, n_min, passed_from and passed_to, and its
 * fields. */
/* clang-format off */
static const OpInfo ops[] = {
    [OP_HELLO]        = {"HELLO",       PART(hello),        8, 3, 0, 0,
        {U(hello, version_min), U(hello, version_max), B(hello, client), U(hello, bytes),
         U(hello, floor), V(hello, held), S(hello, text), B(hello, group)}},
    [OP_WELCOME]      = {"WELCOME",     PART(welcome),      6, 4, 0, 0,
        {U(welcome, version), B(welcome, broker), U(welcome, epoch), U(welcome, bytes),
         V(welcome, limits), V(welcome, held)}},
    [OP_PING]         = {"PING",        NO_PART,            1, 0, 0, 0, {ID}},
    [OP_PONG]         = {"PONG",        NO_PART,            1, 0, 0, 0, {ID}},
    [OP_CREDIT]       = {"CREDIT",      PART(credit),       1, 1, 0, 0, {U(credit, bytes)}},
    [OP_PART]         = {"PART",        PART(part),         3, 2, 0, 0,
        {U(part, transfer), FIELD(FIELD_BIN, body, "body"), U(part, size)}},
    [OP_BYE]          = {"BYE",         PART(bye),          1, 0, 0, 0, {S(bye, text)}},
    [OP_FAULT]        = {"FAULT",       PART(fault),        1, 1, 0, 0,
        {FIELD(FIELD_VALUE, fault.map, "error")}},

    [OP_OK]           = {"OK",          PART(ok),           5, 1, 1, 2,
        {ID, BODY, U(ok, seq), U(ok, outcome), U(ok, durability)}},
    [OP_ERROR]        = {"ERROR",       PART(error),        2, 2, 0, 0,
        {ID, FIELD(FIELD_VALUE, error.map, "error")}},

    [OP_SERVE]        = {"SERVE",       PART(serve),        8, 2, 0, 0,
        {ID, NAME("service"), U(serve, slots), S(serve, instance), BODY, U(serve, flags),
         S(serve, endpoint), B(serve, key)}},
    [OP_UNSERVE]      = {"UNSERVE",     NO_PART,            2, 2, 0, 0, {ID, NAME("service")}},
    [OP_CALL]         = {"CALL",        PART(call),        11, 9, 4, 9,
        {ID, U(call, timeout_ms), U(call, flags), U(call, parent), NAME("service"),
         S(call, method), S(call, instance), HEADERS, BODY, S(call, text), S(call, user)}},
    [OP_ITEM]         = {"ITEM",        NO_PART,            2, 2, 1, 2, {ID, BODY}},
    [OP_END]          = {"END",         NO_PART,            1, 1, 0, 0, {ID}},
    [OP_MORE]         = {"MORE",        PART(more),         2, 2, 0, 0, {ID, U(more, bytes)}},
    [OP_CANCEL]       = {"CANCEL",      NO_PART,            1, 1, 0, 0, {ID}},
    [OP_RETURN]       = {"RETURN",      NO_PART,            1, 1, 0, 0, {ID}},

    [OP_SUBSCRIBE]    = {"SUBSCRIBE",   PART(subscribe),    3, 2, 0, 0,
        {ID, NAME("pattern"), OPTIONS(subscribe)}},
    [OP_UNSUBSCRIBE]  = {"UNSUBSCRIBE", PART(unsubscribe),  2, 2, 0, 0, {ID, U(unsubscribe, sub)}},
    [OP_PUBLISH]      = {"PUBLISH",     PART(publish),      6, 6, 3, 6,
        {ID, U(publish, flags), U(publish, window_ms), NAME("topic"), HEADERS, BODY}},
    [OP_MESSAGE]      = {"MESSAGE",     PART(message),      6, 6, 3, 6,
        {U(message, sub), U(message, seq), U(message, reply), NAME("topic"), HEADERS, BODY}},
    [OP_ANSWER]       = {"ANSWER",      PART(answer),       4, 2, 1, 2,
        {U(answer, reply), BODY, U(answer, session), S(answer, text)}},
    [OP_GAP]          = {"GAP",         PART(gap),          2, 1, 0, 0,
        {U(gap, sub), FIELD(FIELD_COUNT, gap.count, "count")}},

    [OP_PUSH]         = {"PUSH",        PART(push),         6, 6, 4, 6,
        {ID, U(push, flags), NAME("queue"), OPTIONS(push), HEADERS, BODY}},
    [OP_PULL]         = {"PULL",        PART(pull),         5, 2, 0, 0,
        {ID, NAME("queue"), U(pull, slots), U(pull, bytes), U(pull, wait)}},
    [OP_UNPULL]       = {"UNPULL",      PART(unpull),       2, 2, 0, 0, {ID, U(unpull, pull)}},
    [OP_JOB]          = {"JOB",         PART(job),          5, 5, 3, 5,
        {U(job, pull), U(job, job), U(job, attempt), HEADERS, BODY}},
    [OP_ACK]          = {"ACK",         PART(settle),       3, 3, 0, 0,
        {ID, U(settle, job), U(settle, attempt)}},
    [OP_RETRY]        = {"RETRY",       PART(settle),       5, 3, 0, 0,
        {ID, U(settle, job), U(settle, attempt), U(settle, delay_ms), S(settle, text)}},
    [OP_REJECT]       = {"REJECT",      PART(settle),       4, 3, 0, 0,
        {ID, U(settle, job), U(settle, attempt), S(settle, text)}},
    [OP_RELEASE]      = {"RELEASE",     PART(settle),       3, 3, 0, 0,
        {ID, U(settle, job), U(settle, attempt)}},
    [OP_EXTEND]       = {"EXTEND",      PART(settle),       4, 4, 0, 0,
        {ID, U(settle, job), U(settle, attempt), U(settle, delay_ms)}},
    [OP_FORWARD]      = {"FORWARD",     PART(settle),       7, 7, 5, 7,
        {ID, U(settle, job), U(settle, attempt), NAME("queue"), OPTIONS(settle), HEADERS, BODY}},
    [OP_LOST]         = {"LOST",        PART(lost),         3, 2, 0, 0,
        {U(lost, job), U(lost, attempt), U(lost, reason)}},

    [OP_LEAVE]        = {"LEAVE",       PART(bye),          1, 0, 0, 0, {S(bye, text)}},
    [OP_WATCH]        = {"WATCH",       NO_PART,            2, 2, 0, 0, {ID, NAME("service")}},
    [OP_SERVER]       = {"SERVER",      PART(server),       6, 2, 0, 0,
        {U(server, server), NAME("service"), S(server, endpoint), S(server, instance),
         B(server, ticket), B(server, key)}},
    [OP_TICKET]       = {"TICKET",      PART(ticket),       5, 3, 0, 0,
        {U(ticket, flags), NAME("service"), B(ticket, ticket), S(ticket, text), S(ticket, user)}},
    [OP_TALLY]        = {"TALLY",       PART(tally),        7, 6, 0, 0,
        {U(tally, calls), U(tally, errors), U(tally, total_us), NAME("service"), S(tally, method),
         V(tally, latencies), S(tally, text)}},
    [OP_MOVED]        = {"MOVED",       PART(moved),        3, 1, 0, 0,
        {NAME("queue"), B(moved, broker), S(moved, url)}},
};
/* clang-format on */

/*
 * The most frequent ops. The compiler makes a reader and a writer for each of them, with its row of
 * the table as a constant: this takes half the time of a look-up for each field.
 */
#define HOT_OPS(each)                                                                              \
    each(OP_CALL) each(OP_OK) each(OP_PUBLISH) each(OP_MESSAGE) each(OP_PUSH) each(OP_JOB)         \
        each(OP_ACK)

#define ALWAYS_INLINE static inline __attribute__((always_inline))

enum { N_OPS = sizeof(ops) / sizeof(*ops) };

static const OpInfo *info_of(uint64_t op) {
    return op < N_OPS && ops[op].name ? &ops[op] : NULL;
}

const char *op_name(unsigned op) {
    return info_of(op) ? ops[op].name : NULL;
}

void op_fields(unsigned op, char *to, size_t size) {
    const OpInfo *info = info_of(op);
    size_t len = 0;

    *to = '\0';
    for (unsigned i = 0; info && i < info->n && len < size; i++)
        len += (size_t)snprintf(to + len, size - len, "%s%s%s", i ? " " : "", info->fields[i].name,
                                i < info->n_min ? "" : "?");
}

ALWAYS_INLINE uint64_t *number_at(const Message *message, const OpField *field) {
    return (uint64_t *)((uintptr_t)message + field->offset);
}

ALWAYS_INLINE Span *span_at(const Message *message, const OpField *field) {
    return (Span *)((uintptr_t)message + field->offset);
}

Reader pairs_of(Span map, uint32_t *left) {
    Reader pairs = reader_of(map.data, map.len);

    *left = map.len > 0 ? reader_map(&pairs) : 0;
    return pairs;
}

bool pairs_next(Reader *pairs, uint32_t *left, Span *key) {
    if (*left == 0 || pairs->problem)
        return false;
    --*left;
    *key = reader_str(pairs);
    return !pairs->problem;
}

Reader pairs_find(Span map, const char *key) {
    uint32_t left;
    Reader pairs = pairs_of(map, &left);
    Span found;

    while (pairs_next(&pairs, &left, &found)) {
        Span value = reader_value(&pairs);

        if (span_is(found, key))
            return reader_of(value.data, value.len);
    }
    return reader_of(NULL, 0);
}

Span error_type(Span error) {
    Reader type = pairs_find(error, "type");

    return reader_str(&type);
}

Span header_find(Span headers, const char *name) {
    uint32_t left;
    Reader pairs = pairs_of(headers, &left);
    Span key;

    while (pairs_next(&pairs, &left, &key)) {
        Span value = reader_str(&pairs);

        if (span_is(key, name))
            return value;
    }
    return (Span){NULL, 0};
}

/* Reads a map whose keys are strings. The values of headers are strings too. */
static Span read_pairs(Reader *reader, bool headers) {
    const uint8_t *start = reader->at;
    uint32_t n = reader_map(reader), left = n;
    size_t max_bytes = headers ? WIRE_HEADERS_BYTES : WIRE_OPTIONS_BYTES;

    if (n > WIRE_HEADERS_MAX)
        reader_fail(reader, "more than 64 headers or options");
    for (; left > 0 && !reader->problem; left--) {
        Span key = reader_str(reader);

        if (key.len == 0 && !reader->problem)
            reader_fail(reader, "the name of a header or option is empty");
        if (headers)
            reader_str(reader);
        else
            reader_value(reader);
    }
    if (!reader->problem && (size_t)(reader->at - start) > max_bytes)
        reader_fail(reader, "headers or options are too large");
    return reader->problem ? (Span){NULL, 0} : span_of(start, (size_t)(reader->at - start));
}

static void read_inline_body(Reader *reader, Message *message) {
    message->body = reader_bin(reader);
    /* If a larger body were forwarded behind longer fields, the batch could exceed the limit. */
    if (message->body.len > WIRE_INLINE_MAX) {
        message->body = (Span){NULL, 0};
        reader_fail(reader, "a body over 128 KiB must be sent in PARTs before the message");
    }
}

static void read_body(Reader *reader, Message *message) {
    message->body = (Span){NULL, 0};
    message->body_transfer = 0;
    if (reader->at < reader->end && *reader->at >= 0xC4 && *reader->at <= 0xC6)
        read_inline_body(reader, message);
    else if (!reader_nil(reader)) {
        message->body_transfer = reader_uint(reader);
        if (message->body_transfer == 0)
            reader_fail(reader, "a body is bytes, the number of a transfer, or nil");
    }
}

ALWAYS_INLINE void read_field(Reader *reader, Message *message, const OpField *field) {
    switch ((FieldType)field->type) {
    case FIELD_UINT:
        *number_at(message, field) = reader_uint(reader);
        break;
    case FIELD_COUNT:
        *number_at(message, field) = reader_nil(reader) ? GAP_UNKNOWN : reader_uint(reader);
        break;
    case FIELD_STR:
        *span_at(message, field) = reader_nil(reader) ? (Span){NULL, 0} : reader_str(reader);
        break;
    case FIELD_BIN:
        *span_at(message, field) = reader_nil(reader) ? (Span){NULL, 0} : reader_bin(reader);
        break;
    case FIELD_BODY:
        read_body(reader, message);
        break;
    case FIELD_HEADERS:
    case FIELD_OPTIONS:
        *span_at(message, field) =
            reader_nil(reader) ? (Span){NULL, 0} : read_pairs(reader, field->type == FIELD_HEADERS);
        break;
    case FIELD_VALUE:
        *span_at(message, field) = reader_value(reader);
        break;
    case FIELD_NONE:
        break;
    }
}

ALWAYS_INLINE void default_field(Message *message, const OpField *field) {
    if (field->type == FIELD_UINT)
        *number_at(message, field) = 0;
    else if (field->type == FIELD_COUNT)
        *number_at(message, field) = GAP_UNKNOWN;
    else
        *span_at(message, field) = (Span){NULL, 0};
    if (field->type == FIELD_BODY)
        message->body_transfer = 0;
}

ALWAYS_INLINE bool has_field(const OpInfo *info, size_t offset) {
#pragma GCC unroll 12
    for (unsigned i = 0; i < info->n; i++)
        if (info->fields[i].offset == offset)
            return true;
    return false;
}

ALWAYS_INLINE bool has_whole_part(const OpInfo *info) {
    size_t size = 0;

#pragma GCC unroll 12
    for (unsigned i = 0; i < info->n; i++)
        if (info->fields[i].offset >= offsetof(Message, hello))
            size += info->fields[i].type <= FIELD_COUNT ? sizeof(uint64_t) : sizeof(Span);
    return size == info->part_size;
}

/* Sets the fields of the head and of the op's part that the op's row does not have. If the row is a
 * constant, the compiler evaluates all conditions here. Otherwise it is cheaper to set all
 * fields. */
ALWAYS_INLINE void set_other_fields(Message *message, const OpInfo *info, bool is_constant) {
    message->passed = (Span){NULL, 0};
    if (!is_constant || !has_field(info, offsetof(Message, id)))
        message->id = 0;
    if (!is_constant || !has_field(info, offsetof(Message, name)))
        message->name = (Span){NULL, 0};
    if (!is_constant || !has_field(info, offsetof(Message, headers)))
        message->headers = (Span){NULL, 0};
    if (!is_constant || !has_field(info, offsetof(Message, body))) {
        message->body = (Span){NULL, 0};
        message->body_transfer = 0;
    }
    if (is_constant ? !has_whole_part(info) : info->part_size > 0)
        memset((uint8_t *)message + info->part, 0, info->part_size);
}

ALWAYS_INLINE void read_fields(Reader *reader, Message *message, const OpInfo *info, uint32_t n,
                               bool is_constant) {
    const uint8_t *passed = NULL;

    set_other_fields(message, info, is_constant);
#pragma GCC unroll 12
    for (uint32_t i = 0; i < info->n; i++) {
        if (i == info->passed_from)
            passed = reader->at;
        if (i < n)
            read_field(reader, message, &info->fields[i]);
        else
            default_field(message, &info->fields[i]);
        if (i + 1 == info->passed_to && info->passed_from < info->passed_to && n >= info->passed_to)
            message->passed = span_of(passed, (size_t)(reader->at - passed));
    }
}

static void read_fields_of(Reader *reader, Message *message, const OpInfo *info, uint32_t n) {
    switch (message->op) {
#define READ(op)                                                                                   \
    case op:                                                                                       \
        read_fields(reader, message, &ops[op], n, true);                                           \
        break;
        HOT_OPS(READ)
#undef READ
    default:
        read_fields(reader, message, info, n, false);
    }
}

/* True: the first field is a number that identifies the refused message. */
static bool has_number(const OpInfo *info) {
    return info->n > 0 && info->fields[0].type == FIELD_UINT &&
           (info->fields[0].offset == offsetof(Message, id) || info == &ops[OP_ANSWER]);
}

/* Handles a message with a wrong field. If it is MessagePack and begins with a number, the reader
 * continues after the message. at is the position after the op; n is the number of fields. */
static int refuse(Reader *reader, Message *message, const OpInfo *info, const uint8_t *at,
                  uint32_t n) {
    const char *problem = reader->problem;
    Reader start = reader_of(at, (size_t)(reader->end - at));
    uint64_t op = message->op;

    if (!has_number(info) || n == 0)
        return -EPROTO;
    *message = (Message){.op = (uint8_t)op, .id = reader_uint(&start)};
    for (uint32_t i = 1; i < n && !start.problem; i++) {
        if (i < info->n && info->fields[i].type == FIELD_BODY && reader_peek(&start) == WIRE_INT &&
            *start.at < 0xD0)
            message->body_transfer = reader_uint(&start);
        else
            reader_value(&start);
    }
    if (start.problem)
        return -EPROTO;
    message->refused.problem = problem;
    *reader = start;
    return MESSAGE_REFUSED;
}

int message_read(Reader *reader, Message *message) {
    for (;;) {
        const OpInfo *info;
        const uint8_t *start;
        uint32_t n;
        uint64_t op;

        if (reader->at == reader->end)
            return reader->problem ? -EPROTO : 0;
        n = reader_array(reader);
        op = n > 0 ? reader_uint(reader) : 0;
        info = info_of(op);
        if (!info && op < OP_SKIPPED_FROM)
            reader_fail(reader, "unknown op");
        if (reader->problem)
            return -EPROTO;
        if (!info) {
            while (--n > 0 && !reader->problem)
                reader_value(reader);
            if (reader->problem)
                return -EPROTO;
            continue;
        }

        CHECKED_UNDEFINED(message);
        message->op = (uint8_t)op;
        start = reader->at;
        if (n - 1 < info->n_min)
            reader_fail(reader, "the message has too few fields");
        else
            read_fields_of(reader, message, info, n - 1);
        for (uint32_t i = info->n; i < n - 1 && !reader->problem; i++)
            reader_value(reader);
        return reader->problem ? refuse(reader, message, info, start, n - 1) : 1;
    }
}

ALWAYS_INLINE bool is_default(const Message *message, const OpField *field) {
    switch ((FieldType)field->type) {
    case FIELD_UINT:
        return *number_at(message, field) == 0;
    case FIELD_COUNT:
        return *number_at(message, field) == GAP_UNKNOWN;
    case FIELD_BODY:
        return !message->body.data && !message->body_transfer;
    default:
        return span_at(message, field)->len == 0;
    }
}

/* The number of fields to write: trailing fields with their default values are left out. */
ALWAYS_INLINE unsigned n_fields(const Message *message, const OpInfo *info) {
    unsigned n = info->n, n_min = info->n_min;

    if (message->passed.data && n_min < info->passed_to)
        n_min = info->passed_to;
    while (n > n_min && is_default(message, &info->fields[n - 1]))
        n--;
    return n;
}

ALWAYS_INLINE size_t size_of(const Message *message, const OpInfo *info) {
    size_t size = 8 + message->passed.len + (size_t)info->n * PUT_HEAD_MAX;

#pragma GCC unroll 12
    for (unsigned i = 0; i < info->n; i++) {
        const OpField *field = &info->fields[i];

        if (field->type > FIELD_COUNT &&
            !(message->passed.data && i >= info->passed_from && i < info->passed_to))
            size += span_at(message, field)->len;
    }
    return size;
}

size_t message_size(const Message *message) {
    switch (message->op) {
#define SIZE(op)                                                                                   \
    case op:                                                                                       \
        return size_of(message, &ops[op]);
        HOT_OPS(SIZE)
#undef SIZE
    default:
        return size_of(message, info_of(message->op));
    }
}

static inline uint8_t *put_nil(uint8_t *to) {
    *to = 0xC0;
    return to + 1;
}

ALWAYS_INLINE uint8_t *put_field(uint8_t *to, const Message *message, const OpField *field) {
    const Span *span;

    if (field->type == FIELD_UINT)
        return put_uint(to, *number_at(message, field));
    if (field->type == FIELD_COUNT) {
        uint64_t count = *number_at(message, field);

        return count == GAP_UNKNOWN ? put_nil(to) : put_uint(to, count);
    }
    span = span_at(message, field);
    switch ((FieldType)field->type) {
    case FIELD_STR:
        return put_bytes(put_str_head(to, span->len), span->data, span->len);
    case FIELD_BIN:
        return put_bytes(put_bin_head(to, span->len), span->data, span->len);
    case FIELD_BODY:
        if (message->body_transfer)
            return put_uint(to, message->body_transfer);
        if (!span->data)
            return put_nil(to);
        return put_bytes(put_bin_head(to, span->len), span->data, span->len);
    default:
        return span->len == 0 ? put_nil(to) : put_bytes(to, span->data, span->len);
    }
}

ALWAYS_INLINE uint8_t *write_as(uint8_t *to, const Message *message, const OpInfo *info) {
    unsigned n = n_fields(message, info);

    *to++ = (uint8_t)(0x90 | (n + 1));
    if (message->op >= 0x80)
        *to++ = 0xCC;
    *to++ = message->op;
#pragma GCC unroll 12
    for (unsigned i = 0; i < info->n; i++) {
        bool passed = message->passed.data && i >= info->passed_from && i < info->passed_to;

        if (i < n && !passed)
            to = put_field(to, message, &info->fields[i]);
        else if (passed && i == info->passed_from)
            to = put_bytes(to, message->passed.data, message->passed.len);
    }
    return to;
}

uint8_t *message_write(uint8_t *to, const Message *message) {
    switch (message->op) {
#define WRITE(op)                                                                                  \
    case op:                                                                                       \
        return write_as(to, message, &ops[op]);
        HOT_OPS(WRITE)
#undef WRITE
    default:
        return write_as(to, message, info_of(message->op));
    }
}

int batch_open(Reader *reader, const void *data, size_t len) {
    const uint8_t *p = data;

    *reader = reader_of(data, len);
    if (len < WIRE_HEAD || p[0] != WIRE_MAGIC)
        reader_fail(reader, "not a batch of ferry messages: its first byte is not F7");
    else if (p[1] != WIRE_PROTOCOL)
        reader_fail(reader, "unknown protocol version: the second byte of a batch must be 1");
    else if (len > WIRE_BATCH_MAX)
        reader_fail(reader, "the batch is larger than 640 KiB");
    else
        reader->at += WIRE_HEAD;
    return reader->problem ? -EPROTO : 0;
}

bool batch_is_control(Reader batch) {
    uint64_t op = reader_array(&batch) > 0 ? reader_uint(&batch) : 0;

    return op < OP_SKIPPED_FROM && op_is_control((unsigned)op);
}

Span message_body(const Message *message) {
    Reader fields = reader_of(message->passed.data, message->passed.len);
    Span last = {NULL, 0};
    Reader body;

    if (!message->passed.data)
        return message->body;
    while (reader_left(&fields) > 0 && !fields.problem)
        last = reader_value(&fields);
    body = reader_of(last.data, last.len);
    return reader_peek(&body) == WIRE_BIN ? reader_bin(&body) : (Span){NULL, 0};
}

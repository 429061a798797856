/* The messages: one table, one reader, one writer. See message.h. */

#include "rpc/wire/message.h"

#include <errno.h>
#include <stdio.h>

typedef enum FieldType {
    FIELD_NONE,
    FIELD_UINT,
    FIELD_COUNT,   /* uint, or nil for GAP_UNKNOWN */
    FIELD_STR,     /* nil reads as empty */
    FIELD_BIN,     /* likewise */
    FIELD_BODY,    /* bin, or the number of a transfer, or nil */
    FIELD_HEADERS, /* a map of strings, or nil */
    FIELD_OPTIONS, /* a map from strings, or nil */
    FIELD_VALUE,   /* any one value */
} FieldType;

typedef struct Field {
    uint8_t type;
    uint16_t offset;
    const char *name;
} Field;

enum { FIELDS_MAX = 11 };

typedef struct OpInfo {
    const char *name;
    uint8_t n;           /* fields */
    uint8_t n_min;       /* that must be there; the rest may be left out */
    uint8_t passed_from; /* the fields of `passed`: from here… */
    uint8_t passed_to;   /* …to before here; equal: none */
    Field fields[FIELDS_MAX];
} OpInfo;

#define U(name)                                                                                    \
    { FIELD_UINT, offsetof(Message, name), #name }
#define S(name)                                                                                    \
    { FIELD_STR, offsetof(Message, name), #name }
#define NAMED(as)                                                                                  \
    { FIELD_STR, offsetof(Message, name), as }
#define B(name)                                                                                    \
    { FIELD_BIN, offsetof(Message, name), #name }
#define V(name)                                                                                    \
    { FIELD_VALUE, offsetof(Message, name), #name }
#define COUNT(name)                                                                                \
    { FIELD_COUNT, offsetof(Message, name), #name }
#define BODY                                                                                       \
    { FIELD_BODY, offsetof(Message, body), "body" }
#define HEADERS                                                                                    \
    { FIELD_HEADERS, offsetof(Message, headers), "headers" }
#define OPTIONS                                                                                    \
    { FIELD_OPTIONS, offsetof(Message, options), "options" }

static const OpInfo ops[] = {
    [OP_HELLO] = {"HELLO",
                  9,
                  3,
                  0,
                  0,
                  {U(version_min), U(version_max), B(client), B(token), U(bytes), U(features),
                   U(floor), V(held), S(text)}},
    [OP_WELCOME] = {"WELCOME",
                    7,
                    5,
                    0,
                    0,
                    {U(version), B(token), B(broker), U(epoch), U(bytes), U(flags), V(limits)}},
    [OP_PING] = {"PING", 1, 0, 0, 0, {U(id)}},
    [OP_PONG] = {"PONG", 1, 0, 0, 0, {U(id)}},
    [OP_CREDIT] = {"CREDIT", 1, 1, 0, 0, {U(bytes)}},
    [OP_PART] = {"PART", 2, 2, 0, 0, {U(transfer), B(body)}},
    [OP_BYE] = {"BYE", 1, 0, 0, 0, {S(text)}},
    [OP_FAULT] = {"FAULT", 1, 1, 0, 0, {V(error)}},

    [OP_OK] = {"OK", 3, 1, 1, 2, {U(id), BODY, U(seq)}},
    [OP_ERROR] = {"ERROR", 2, 2, 0, 0, {U(id), V(error)}},

    [OP_SERVE] = {"SERVE", 5, 2, 0, 0, {U(id), NAMED("service"), U(slots), S(instance), BODY}},
    [OP_UNSERVE] = {"UNSERVE", 2, 2, 0, 0, {U(id), NAMED("service")}},
    [OP_CALL] = {"CALL",
                 10,
                 9,
                 4,
                 9,
                 {U(id), U(timeout_ms), U(flags), U(parent), NAMED("service"), S(method),
                  S(instance), HEADERS, BODY, S(text)}},
    [OP_ITEM] = {"ITEM", 2, 2, 1, 2, {U(id), BODY}},
    [OP_END] = {"END", 1, 1, 0, 0, {U(id)}},
    [OP_MORE] = {"MORE", 2, 2, 0, 0, {U(id), U(bytes)}},
    [OP_CANCEL] = {"CANCEL", 1, 1, 0, 0, {U(id)}},

    [OP_SUBSCRIBE] = {"SUBSCRIBE", 3, 2, 0, 0, {U(id), NAMED("pattern"), OPTIONS}},
    [OP_UNSUBSCRIBE] = {"UNSUBSCRIBE", 2, 2, 0, 0, {U(id), U(sub)}},
    [OP_PUBLISH] =
        {"PUBLISH", 6, 6, 3, 6, {U(id), U(flags), U(window_ms), NAMED("topic"), HEADERS, BODY}},
    [OP_MESSAGE] =
        {"MESSAGE", 6, 6, 3, 6, {U(sub), U(seq), U(reply), NAMED("topic"), HEADERS, BODY}},
    [OP_ANSWER] = {"ANSWER", 2, 2, 1, 2, {U(reply), BODY}},
    [OP_GAP] = {"GAP", 2, 1, 0, 0, {U(sub), COUNT(count)}},

    [OP_PUSH] = {"PUSH", 6, 6, 4, 6, {U(id), U(flags), NAMED("queue"), OPTIONS, HEADERS, BODY}},
    [OP_PULL] = {"PULL", 3, 2, 0, 0, {U(id), NAMED("queue"), U(slots)}},
    [OP_UNPULL] = {"UNPULL", 2, 2, 0, 0, {U(id), U(pull)}},
    [OP_JOB] = {"JOB", 5, 5, 3, 5, {U(pull), U(job), U(attempt), HEADERS, BODY}},
    [OP_ACK] = {"ACK", 3, 3, 0, 0, {U(id), U(job), U(attempt)}},
    [OP_RETRY] = {"RETRY", 5, 3, 0, 0, {U(id), U(job), U(attempt), U(delay_ms), S(text)}},
    [OP_REJECT] = {"REJECT", 4, 3, 0, 0, {U(id), U(job), U(attempt), S(text)}},
    [OP_RELEASE] = {"RELEASE", 3, 3, 0, 0, {U(id), U(job), U(attempt)}},
    [OP_EXTEND] = {"EXTEND", 4, 4, 0, 0, {U(id), U(job), U(attempt), U(delay_ms)}},
    [OP_FORWARD] = {"FORWARD",
                    7,
                    7,
                    5,
                    7,
                    {U(id), U(job), U(attempt), NAMED("queue"), OPTIONS, HEADERS, BODY}},
};

/*
 * The ops that come by the million. For each, reading and writing are compiled apart, with its row
 * of the table known: that takes half as long as looking into the table at each field.
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

ALWAYS_INLINE uint64_t *number_at(const Message *message, const Field *field) {
    return (uint64_t *)((uintptr_t)message + field->offset);
}

ALWAYS_INLINE Span *span_at(const Message *message, const Field *field) {
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

/* A map whose keys are strings, and whose values are strings too when they are headers. */
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
    /* Passed on behind longer fields, a larger one could make a batch over the limit. */
    if (message->body.len > WIRE_INLINE_MAX) {
        message->body = (Span){NULL, 0};
        reader_fail(reader, "a body over 128 KiB must go ahead in PARTs");
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

ALWAYS_INLINE void read_field(Reader *reader, Message *message, const Field *field) {
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

ALWAYS_INLINE void default_field(Message *message, const Field *field) {
    if (field->type == FIELD_UINT)
        *number_at(message, field) = 0;
    else if (field->type == FIELD_COUNT)
        *number_at(message, field) = GAP_UNKNOWN;
    else
        *span_at(message, field) = (Span){NULL, 0};
    if (field->type == FIELD_BODY)
        message->body_transfer = 0;
}

ALWAYS_INLINE void read_fields(Reader *reader, Message *message, const OpInfo *info, uint32_t n) {
    const uint8_t *passed = NULL;

    message->passed = (Span){NULL, 0};
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
        read_fields(reader, message, &ops[op], n);                                                 \
        break;
        HOT_OPS(READ)
#undef READ
    default:
        read_fields(reader, message, info, n);
    }
}

int message_read(Reader *reader, Message *message) {
    for (;;) {
        const OpInfo *info;
        uint32_t n;
        uint64_t op;

        if (reader->at == reader->end)
            return reader->problem ? -EPROTO : 0;
        n = reader_array(reader);
        op = n > 0 ? reader_uint(reader) : 0;
        info = info_of(op);
        if (!info && op < OP_SKIPPED_FROM)
            reader_fail(reader, "no message has this op");
        else if (info && n - 1 < info->n_min)
            reader_fail(reader, "the message has too few fields");
        if (reader->problem)
            return -EPROTO;
        if (!info) {
            while (--n > 0 && !reader->problem)
                reader_value(reader);
            if (reader->problem)
                return -EPROTO;
            continue;
        }

        message->op = (uint8_t)op;
        message->body = (Span){NULL, 0};
        message->body_transfer = 0;
        read_fields_of(reader, message, info, n - 1);
        for (uint32_t i = info->n; i < n - 1 && !reader->problem; i++)
            reader_value(reader);
        return reader->problem ? -EPROTO : 1;
    }
}

ALWAYS_INLINE bool is_default(const Message *message, const Field *field) {
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

/* How many fields to write: those at the end that have their default are left out. */
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
        const Field *field = &info->fields[i];

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

ALWAYS_INLINE uint8_t *put_field(uint8_t *to, const Message *message, const Field *field) {
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
        reader_fail(reader, "this is not a batch of ferry messages");
    else if (p[1] != WIRE_PROTOCOL)
        reader_fail(reader, "this protocol is not spoken here: only 1 is");
    else if (len > WIRE_BATCH_MAX)
        reader_fail(reader, "the batch is larger than 640 KiB");
    else
        reader->at += WIRE_HEAD;
    return reader->problem ? -EPROTO : 0;
}

#pragma once

/*
 * The messages of the protocol (docs/PROTOCOL.md): one array [op, field, …] each. One table says
 * which fields a message has; reading and writing both follow it.
 */

#include "rpc/wire/limits.h"
#include "rpc/wire/writer.h"

typedef enum Op {
    OP_HELLO = 1,
    OP_WELCOME,
    OP_PING,
    OP_PONG,
    OP_CREDIT,
    OP_PART,
    OP_BYE,
    OP_FAULT,
    OP_OK = 10,
    OP_ERROR,
    OP_SERVE = 16,
    OP_UNSERVE,
    OP_CALL,
    OP_ITEM,
    OP_END,
    OP_MORE,
    OP_CANCEL,
    OP_SUBSCRIBE = 32,
    OP_UNSUBSCRIBE,
    OP_PUBLISH,
    OP_MESSAGE,
    OP_ANSWER,
    OP_GAP,
    OP_PUSH = 48,
    OP_PULL,
    OP_UNPULL,
    OP_JOB,
    OP_ACK,
    OP_RETRY,
    OP_REJECT,
    OP_RELEASE,
    OP_EXTEND,
    OP_FORWARD,
    OP_SKIPPED_FROM = 128, /* unknown ops from here on are skipped, others are a FAULT */
} Op;

/* Bits of flags. */
enum {
    CALL_IDEMPOTENT = 1, /* may be moved to another server, once, when its server is lost */
    CALL_STREAM_IN = 2,  /* the caller will send ITEMs, then END */
    CALL_STREAM_OUT = 4, /* the server may send ITEMs before its OK */
    CALL_FRESH = 8,      /* to be computed, not taken from a cache: it will be kept as new */
    PUBLISH_RETAIN = 1,  /* becomes the topic's retained value */
    PUBLISH_GATHER = 2,  /* collect ANSWERs for window_ms */
    PUSH_AGAIN = 1,      /* was sent before, in an earlier session: look whether it was stored */
    WELCOME_RESUMED = 1, /* the broker still knew the session of HELLO's token */
};

#define GAP_UNKNOWN UINT64_MAX

/* A message that was read, or is to be written. Only the fields of its op mean anything: reading
 * leaves the others as they were, but for the body: there is none. Spans point into the bytes that
 * were read. */
typedef struct Message {
    uint8_t op;
    uint64_t id;
    uint64_t sub, pull, job, parent, transfer, reply; /* what it refers to */
    uint64_t flags, timeout_ms, seq, attempt, slots, bytes, window_ms, delay_ms, count;
    uint64_t version_min, version_max, version, features, floor, epoch;
    Span name; /* service, topic, pattern or queue */
    Span method;
    Span instance;
    Span headers;           /* a map of strings, MessagePack still; empty: none */
    Span body;              /* bytes; data NULL: none, or it is body_transfer */
    uint64_t body_transfer; /* nonzero: the body went ahead in PARTs under this number */
    Span options;           /* a map, MessagePack still; empty: none */
    Span error;             /* a map, MessagePack still */
    Span limits;            /* likewise */
    Span held;              /* a list of [job, attempt], MessagePack still */
    Span text;              /* a reason, or the peer's name for people */
    Span client, token, broker;
    Span passed; /* the fields that a broker passes on unopened, as they stand (see message_op):
                  * set by reading; when set, writing copies it instead of those fields */
} Message;

/* Reads the next message. 1: *message is filled. 0: the end. -EPROTO: reader->problem says why.
 * Unknown ops from 128 up are skipped. */
int message_read(Reader *reader, Message *message);

/* No more than this many bytes will be written. */
size_t message_size(const Message *message);

/* Writes into memory that is large enough; returns the end. */
uint8_t *message_write(uint8_t *to, const Message *message);

/* Begins a message that passes on what another one carries: `passed` as it stands, or, with a large
 * body, the fields one by one. The other fields of to are the caller's to set. */
static inline void message_pass(Message *to, const Message *from) {
    if (!from->passed.data) {
        *to = *from;
        return;
    }
    /* A Message is some 400 bytes: on the path of every call, only what will be looked at. */
    to->passed = from->passed;
    to->body = (Span){NULL, 0};
    to->body_transfer = 0;
}

/* "CALL", or NULL for a number that is no op. */
const char *op_name(unsigned op);

/* "id timeout_ms …", as in docs/PROTOCOL.md; a test holds the two together. */
void op_fields(unsigned op, char *to, size_t size);

/* Reads the head of a batch. 0, or -EPROTO: reader->problem says why. */
int batch_open(Reader *reader, const void *data, size_t len);

/* Walks over headers or options: true while there is a pair. */
bool pairs_next(Reader *pairs, uint32_t *left, Span *key);
Reader pairs_of(Span map, uint32_t *left);

/* The value of a header, or an empty span with data NULL. */
Span header_find(Span headers, const char *name);

static inline Span span_of(const void *data, size_t len) {
    return (Span){data, len};
}

static inline Span span_text(const char *text) {
    return (Span){(const uint8_t *)text, text ? strlen(text) : 0};
}

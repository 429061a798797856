/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The messages of the protocol (docs/PROTOCOL.md): each message is one array [op, field, …]. The
 * table in message.c lists the fields of each op, for both the reader and the writer.
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
    OP_RETURN,
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
    OP_LOST,
    /* Unknown ops from 128 on are skipped; other unknown ops cause a FAULT. */
    OP_SKIPPED_FROM = 128,
    OP_LEAVE = OP_SKIPPED_FROM,
    OP_WATCH,
    OP_SERVER,
    OP_TICKET,
    OP_TALLY,
    OP_MOVED,
} Op;

/* Bits of flags. */
enum {
    CALL_IDEMPOTENT = 1, /* if the server is lost, the broker may send the call to another server */
    CALL_STREAM_IN = 2,  /* the caller will send ITEMs, then END */
    CALL_STREAM_OUT = 4, /* the server may send ITEMs before its OK */
    CALL_FRESH = 8,      /* skip the cached result: compute it, and cache the new one */
    /* The broker answers OK as soon as it has accepted the call, which continues even if the
     * caller is lost. */
    CALL_ONEWAY = 16,
    CALL_WAIT = 32,      /* if no server offers the service, the call waits for one */
    CALL_AGAIN = 64,     /* another attempt of a call whose server was lost */
    CALL_BLOCKS = 128,   /* the caller's session begins no request until it has the answer */
    SERVE_NOT_READY = 1, /* the server gets no calls until the next SERVE */
    TICKET_UNUSED = 1,   /* the ticket is withdrawn, unless a connection uses it */
    TICKET_CUT = 2,      /* the ticket is withdrawn, and its connection must be closed */
    PUSH_COUNTS = 1,     /* the client counts the answers ferry.Moved to its pushes: see §11 */
    PUBLISH_RETAIN = 1,  /* the message becomes the topic's retained value */
    PUBLISH_GATHER = 2,  /* collect ANSWERs for window_ms */
};

/* The outcome of a PUSH, in its OK. */
enum {
    PUSH_STORED = 0,
    PUSH_STORED_BEFORE = 1, /* an earlier attempt of this push has already stored the job */
    PUSH_DUPLICATE = 2,     /* the queue remembers another job with this key */
};

/* How safe a confirmed push is, in its OK. */
enum {
    DURABILITY_UNKNOWN = 0, /* the broker does not report it */
    DURABILITY_MEMORY = 1,
    DURABILITY_INTERVAL = 2, /* on the disk after a short interval */
    DURABILITY_DISK = 3,
    DURABILITY_REDIS = 4, /* Redis has confirmed it */
};

/* Why a worker has lost a job, in LOST. */
enum {
    LOST_TIME_LIMIT = 0,
    LOST_CANCELLED = 1,
    LOST_MOVED = 2, /* moved to another queue */
    LOST_AWAY = 3,  /* its queue went to another broker */
};

#define GAP_UNKNOWN UINT64_MAX

/*
 * A message that was read or will be written. It has a head, which is the same for all messages,
 * and one part for the op. The part has the name of the op in lower case; the ops that settle a job
 * share the part `settle`.
 *
 * There are two ways to make a message, and both set all fields:
 *  - an initialiser, (Message){.op = OP_MORE, .id = id, .more = {.bytes = n}}: the rest is zero;
 *  - message_read(): it sets the whole head and the whole part of the op.
 *
 * Code may read the part of the message's op and no other part. MESSAGE_CHECKED proves this: it
 * gives each part its own memory, and message_read() then marks the other parts as undefined, so
 * that valgrind reports a read of them (see the option check_messages in meson_options.txt).
 *
 * Spans point into the bytes that were read.
 */
#ifdef MESSAGE_CHECKED
#define MESSAGE_PARTS struct
#else
#define MESSAGE_PARTS union
#endif

typedef struct Message {
    uint8_t op;
    uint64_t id;            /* 0: the op has no id, or the sender wants no answer */
    uint64_t body_transfer; /* nonzero: the number of the PARTs that carry the body */
    Span name;              /* service, topic, pattern or queue */
    Span headers;           /* MessagePack: a map of strings; empty: no headers */
    /* Bytes; if data is NULL, there is no body, or it is in the transfer body_transfer. */
    Span body;
    /* MessagePack: the fields that the broker forwards without decoding them. The table in
     * message.c defines them. message_read() sets `passed`. If it is set, message_write() copies it
     * in place of these fields. */
    Span passed;
    MESSAGE_PARTS {
        struct {
            uint64_t version_min, version_max, bytes, floor;
            Span client;
            Span held;  /* MessagePack: a list of [job, attempt] */
            Span text;  /* the name of the peer, for people */
            Span group; /* 16 bytes, equal in all sessions of one client; empty: only this one */
        } hello;
        struct {
            uint64_t version, epoch, bytes;
            Span broker;
            Span limits; /* MessagePack: a map */
            Span held;   /* MessagePack: the jobs of HELLO's list that the broker accepts */
        } welcome;
        struct {
            uint64_t bytes;
        } credit;
        struct {
            uint64_t transfer;
            uint64_t size; /* size of the whole body, in the first PART; 0: unknown */
        } part;
        struct {
            Span text; /* the reason */
        } bye;
        struct {
            Span map; /* MessagePack: type, message and more */
        } fault, error;
        struct {
            uint64_t seq, outcome;
            uint64_t durability; /* in the answer to a PUSH: durability of the queue */
        } ok;
        struct {
            uint64_t slots;
            Span instance;
            uint64_t flags; /* SERVE_NOT_READY */
            /* Endpoint for direct calls; empty: the server accepts no direct calls. */
            Span endpoint;
            Span key; /* public key of the endpoint; empty: the endpoint has no key */
        } serve;
        struct {
            uint64_t timeout_ms, flags, parent;
            Span method, instance;
            Span text; /* the name of the caller, for people */
            /* The caller's user, which only the broker sets; empty: the broker has no users. */
            Span user;
        } call;
        struct {
            uint64_t bytes;
        } more;
        struct {
            /* MessagePack: a map; empty: no options. The same holds for all `options`. */
            Span options;
        } subscribe;
        struct {
            uint64_t sub;
        } unsubscribe;
        struct {
            uint64_t flags, window_ms;
        } publish;
        struct {
            uint64_t sub, seq, reply;
        } message;
        struct {
            uint64_t reply;
            /* Session of the client that answered; only the broker sets session and text. */
            uint64_t session;
            Span text; /* name of the client, for people */
        } answer;
        struct {
            uint64_t sub;
            uint64_t count; /* GAP_UNKNOWN: the number of lost messages is not known */
        } gap;
        struct {
            uint64_t flags;
            Span options;
        } push;
        struct {
            uint64_t slots, bytes;
            uint64_t wait; /* 1: a queue at another broker is waited for */
        } pull;
        struct {
            uint64_t pull;
        } unpull;
        struct {
            uint64_t pull, job, attempt;
        } job;
        struct {
            uint64_t job, attempt, reason;
        } lost;
        struct {
            uint64_t server; /* a number that the broker chooses */
            Span endpoint;   /* empty: the server no longer accepts direct calls */
            Span instance, ticket, key;
        } server;
        struct {
            uint64_t flags; /* TICKET_UNUSED, TICKET_CUT */
            Span ticket;
            Span text; /* the name of the caller, for people */
            Span user; /* the caller's user; empty: the broker has no users */
        } ticket;
        struct {
            uint64_t calls, errors;
            uint64_t total_us; /* the sum of the latencies */
            Span method;
            Span latencies; /* MessagePack: a list of bucket, count, …: see latency.h */
            Span text;      /* the type of the last error; empty: no call failed */
        } tally;
        struct {
            Span broker; /* the queue's broker, as in WELCOME; empty: it is not known */
            Span url;
        } moved;
        struct {
            const char *problem; /* why message_read() refused the message: a static text */
        } refused;
        struct { /* ACK, RETRY, REJECT, RELEASE, EXTEND, FORWARD */
            uint64_t job, attempt;
            uint64_t delay_ms; /* RETRY, EXTEND */
            Span text;         /* RETRY, REJECT: the reason */
            Span options;      /* FORWARD */
        } settle;
    };
} Message;

/*
 * Reads the next message, and skips unknown ops from 128 on. It returns one of these:
 *
 *  - 1: *message is set.
 *  - 0: the batch has ended.
 *  - MESSAGE_REFUSED: a field behind the first number of the message is wrong. Only op, id (that
 *    number), body_transfer (if the message has one) and refused.problem are set. The reader is at
 *    the next message.
 *  - -EPROTO: the bytes are not messages. reader->problem has the cause.
 */
enum { MESSAGE_REFUSED = 2 };
int message_read(Reader *reader, Message *message);

/* An upper bound of the bytes that message_write() writes. */
size_t message_size(const Message *message);

/* Writes the message to memory of at least message_size() bytes; returns the end. */
uint8_t *message_write(uint8_t *to, const Message *message);

/* A message that forwards the name, the headers and the body of another message, in encoded form if
 * the other message has it. The part is zero, and the caller fills it in. */
static inline Message message_forward(Op op, uint64_t id, const Message *from) {
    if (from->passed.data)
        return (Message){.op = (uint8_t)op, .id = id, .passed = from->passed};
    return (Message){.op = (uint8_t)op,
                     .id = id,
                     .name = from->name,
                     .headers = from->headers,
                     .body = from->body,
                     .body_transfer = from->body_transfer};
}

/* Like message_forward(), but sets only the head. For the hot path, where clearing a whole Message
 * costs more than forwarding it. The caller sets each field of the part. */
static inline void message_forward_head(Message *out, Op op, uint64_t id, const Message *from) {
    static const Span none = {NULL, 0};
    bool is_encoded = from->passed.data != NULL;

    out->op = (uint8_t)op;
    out->id = id;
    out->body_transfer = is_encoded ? 0 : from->body_transfer;
    out->name = is_encoded ? none : from->name;
    out->headers = is_encoded ? none : from->headers;
    out->body = is_encoded ? none : from->body;
    out->passed = from->passed;
}

/* The body of a message. If the message forwards its fields in encoded form, the body is the last
 * of these fields. Empty: the message has no body. */
Span message_body(const Message *message);

/* "CALL", for example; NULL: the op is unknown. */
const char *op_name(unsigned op);

/* True: session control. It costs no credit, and shares no batch with other messages. */
static inline bool op_is_control(unsigned op) {
    return op < OP_OK && op != OP_PART;
}

/* True: the sender of this op chooses its id, and gets an answer with this id. */
static inline bool op_asks(unsigned op) {
    return op >= OP_SERVE && op != OP_ITEM && op != OP_END && op != OP_MORE && op != OP_CANCEL &&
           op != OP_RETURN && op != OP_ANSWER && op != OP_SERVER && op != OP_TICKET &&
           op != OP_TALLY && op != OP_MOVED;
}

/* Prints the fields as docs/PROTOCOL.md lists them, "id timeout_ms …"; a test compares the two. */
void op_fields(unsigned op, char *to, size_t size);

/* Reads the head of a batch. 0, or -EPROTO: reader->problem has the cause. */
int batch_open(Reader *reader, const void *data, size_t len);

/* True: the first message of an open batch is session control. Unknown messages, which later
 * versions send, cost credit like others. */
bool batch_is_control(Reader batch);

/* Iterate over headers or options: pairs_next() reads the next key, and returns false at the end.
 * The caller reads the value. */
Reader pairs_of(Span map, uint32_t *left);
bool pairs_next(Reader *pairs, uint32_t *left, Span *key);

/* A reader of the value of this key, for any map of strings. If the map has no such key, the reader
 * is at its end, so that reading a value fails. */
Reader pairs_find(Span map, const char *key);

/* The type in the map of an error. Empty: the error is not a map, or has no type. */
Span error_type(Span error);

/* The value of a header; data NULL: there is no header of this name. */
Span header_find(Span headers, const char *name);

static inline Span span_of(const void *data, size_t len) {
    return (Span){data, len};
}

static inline Span span_text(const char *text) {
    return (Span){(const uint8_t *)text, text ? strlen(text) : 0};
}

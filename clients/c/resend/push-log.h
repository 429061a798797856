/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The log of pushes that the broker has not confirmed, in the order of the calls. After a lost
 * connection, pushes.c sends all pushes of the log again.
 */

#include <ferry/queue.h>

#include "clients/c/core/core.h"
#include "clients/c/resend/moved.h"

enum {
    PUSHES_MAX = 65536, /* unconfirmed pushes: the broker remembers this many ids */
    PUSHES_BYTES_MAX = 64 * 1024 * 1024, /* bytes of unconfirmed pushes */
};

enum { PUSH_INLINE = 192 };

typedef struct Push Push;
typedef struct Home Home;

struct Push {
    Await await;
    Push *prev, *next; /* of the log or, if its callback is due, of log->ended */
    ferry_done_fn fn;
    void *ctx;
    ferry_pushed *pushed; /* the program's; NULL: not wanted */
    Outcome *result;      /* the outcome of a blocking push */
    ferry_error *error;   /* of an ended push; NULL: confirmed */
    Record *record;       /* NULL: the message is stored in this struct */
    uint32_t size;        /* its share of log->bytes */
    uint16_t len;
    uint64_t session; /* the last session in which it was sent; 0: it was not sent */
    bool is_inner;    /* fn is the library's: it may run at any time */
    bool was_sent;    /* sent at least once, in any session */
    bool is_held;     /* its home sends it, not the log */
    bool is_returned; /* see brokers/homes.c */
    Home *home;       /* the home of its queue: see brokers/homes.h; NULL: it has no home */
    Push *held_prev, *held_next; /* of a list of the home */
    uint8_t bytes[PUSH_INLINE];
};

struct PushLog {
    Push *first;  /* the oldest */
    Push *unsent; /* the first push that was not sent in this session; NULL: all were sent */
    size_t n, bytes;
    Push *ended;       /* removed from the log; their callbacks are due */
    uint64_t flush_id; /* ferry_flush() waits for all ids up to this one; 0: no flush */
    bool confirmed;
    /* The number of the last ferry.Moved in this session; 0: there was no ferry.Moved. */
    uint64_t moved;
    /* A push that has a home leaves the log. NULL: no push has a home. */
    void (*left_home)(Push *push);
    Slabs *slabs; /* of the core */
};

/* Pushes are allocated from slabs, which outlive the log. */
PushLog *push_log_new(Slabs *slabs);
PushLog *push_log_free(PushLog *log);
bool push_log_is_empty(const PushLog *log);

/* Returns the lowest id that may be sent again. */
uint64_t push_log_floor(const PushLog *log, uint64_t next_id);

/* True: there is room for a push with a body of len bytes. */
bool push_log_has_room(const PushLog *log, size_t len);

/* Appends a message to the log. NULL: out of memory. */
Push *push_log_add(PushLog *log, const Message *message, const void *block);

/* Removes a push from the log: it is confirmed, refused or abandoned. */
void push_log_take(PushLog *log, Push *push);
void push_log_give_back(PushLog *log, Push *push);

/* Reads the stored message. Returns the block around its body, or NULL. */
const void *push_read(const Push *push, Message *message);

/* ---- pushes.c ---- */

/* Copies the map of options, and makes room in it for n more. */
void options_copy(Buffer *to, Span options, uint32_t n_more);

/* Puts the push into the outbox of this client. origin: the client that gave it its id; NULL: this
 * one. 0; an error of link_put(); -ENOMEM. */
int push_put(Core *core, Push *push, const uint8_t *origin);

/* Sends again the pushes that the log has to send, from this push on. */
void push_log_send_from(Core *core, Push *push);

/* Receives the broker's answer to a push. */
void push_log_answer(Core *core, Await *await, const Message *message, const void *block);

/* True: the answer is ferry.Moved. Notes its number. */
bool push_has_moved(Core *core, const Push *push, const Message *message, Moved *ret);
/* The answer ends the push, unless its broker drains and the client goes to another one. */
void push_answered(Core *core, Push *push, const Message *message, bool in_turn);

/* Ends a push. Its callback runs now if it may (in_turn), else in a later turn. error (NULL: the
 * push is confirmed) is moved. */
void push_finish(Core *core, Push *push, ferry_error *error, bool in_turn);

/* Ends a push, because the client is closed. */
void push_cancel(Core *core, Push *push);

/* True: callbacks may run now. */
static inline bool core_is_in_turn(const Core *core) {
    return core->turns > 0 && core->waits == 0;
}

extern const Part pushes_part; /* pushes.c */

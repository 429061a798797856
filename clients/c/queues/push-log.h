/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The log of pushes that the broker has not confirmed, in the order of the calls. After a lost
 * connection, push.c sends all pushes of the log again.
 */

#include <ferry/queue.h>

#include "clients/c/core/core.h"

enum {
    PUSHES_MAX = 65536, /* unconfirmed pushes: the broker remembers this many ids */
    PUSHES_BYTES_MAX = 64 * 1024 * 1024, /* bytes of unconfirmed pushes */
};

typedef struct Push Push;

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

extern const Part pushes_part; /* push.c */
